// Access to a finished forecast; see outcome.h.
#include "outcome.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// The median and the ends of the 50, 80 and 90 % intervals.
static const float own_levels[] = { 0.05f, 0.1f, 0.25f, 0.5f, 0.75f, 0.9f, 0.95f };
enum { N_OWN = sizeof own_levels / sizeof *own_levels };

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void outcome_set_levels(outcome *o, const double *asked, size_t n_asked, double lowest) {
    size_t n = 0;
    o->levels = take(n_asked + N_OWN, sizeof *o->levels);
    for (size_t i = 0; i < N_OWN; i++) {
        if (own_levels[i] >= (float)lowest && own_levels[i] <= (float)(1 - lowest)) { o->levels[n++] = own_levels[i]; }
    }
    for (size_t i = 0; i < n_asked; i++) { o->levels[n++] = (float)asked[i]; }
    qsort(o->levels, n, sizeof *o->levels, compare_floats);
    o->n_levels = 0;
    for (size_t i = 0; i < n; i++) {
        if (o->n_levels == 0 || o->levels[i] != o->levels[o->n_levels - 1]) { o->levels[o->n_levels++] = o->levels[i]; }
    }
    // In rising order whatever the order of the question, and each once.
    o->asked = take(n_asked, sizeof *o->asked);
    for (size_t level = 0; level < o->n_levels; level++) {
        for (size_t i = 0; i < n_asked; i++) {
            if ((float)asked[i] == o->levels[level]) {
                o->asked[o->n_asked++] = level;
                break;
            }
        }
    }
}

void outcome_free(outcome *o) {
    for (size_t i = 0; o->names && i < o->n_all; i++) { free(o->names[i]); }
    free(o->names);
    free(o->values);
    free(o->levels);
    free(o->asked);
    free(o->mean);
    free(o->quantiles);
    *o = (outcome){ 0 };
}

bool outcome_has_levels(const outcome *o) { return o->n_levels > 0; }

bool outcome_has_interval(const outcome *o, double tail) {
    return outcome_level(o, tail) != SIZE_MAX && outcome_level(o, 1 - tail) != SIZE_MAX;
}

size_t outcome_level(const outcome *o, double level) {
    for (size_t i = 0; i < o->n_levels; i++) {
        if (o->levels[i] == (float)level) { return i; }
    }
    return SIZE_MAX;
}

float outcome_mean(const outcome *o, size_t variate, size_t step) { return o->mean[variate * o->horizon + step]; }

float outcome_quantile(const outcome *o, size_t level, size_t variate, size_t step) {
    return o->quantiles[(level * o->n_all + variate) * o->horizon + step];
}

float outcome_point(const outcome *o, size_t variate, size_t step) {
    if (!outcome_has_levels(o)) { return outcome_mean(o, variate, step); }
    return outcome_quantile(o, outcome_level(o, 0.5), variate, step);
}

double outcome_actual(const outcome *o, size_t variate, size_t step) {
    return o->end + step < o->n_rows ? o->values[variate * o->n_rows + o->end + step] : NAN;
}

size_t outcome_n_known(const outcome *o) {
    size_t later = o->n_rows - o->end;
    return later < o->horizon ? later : o->horizon;
}
