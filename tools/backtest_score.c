// Judging forecasts; see backtest_score.h. Sums are kept for each seed and added window by window, so that no number depends on
// how the windows were batched.
#include "backtest_score.h"

#include <math.h>
#include <stdlib.h>

#include "naive.h"

static size_t picture_of(const bt_result *r, size_t end) {
    size_t i = 0;
    while (i < r->n_pictures && r->picture_ends[i] != end) { i++; }
    return i;
}

static void draw(bt_result *r, size_t picture, size_t variate, size_t step, const judged *j) {
    float *to = r->pictures + (picture * r->n_variates + variate) * PICTURE_LEVELS * r->horizon;
    for (size_t q = 0; q < PICTURE_LEVELS; q++) {
        to[q * r->horizon + step] = (float)given_quantile(j->paths, j->n_paths, j->tail, picture_levels[q]);
    }
}

// What is forecast of one value, rising; NULL if it is not finite. Room for as much in `spare`.
static const float *rising_at(const bt_scoring *s, size_t job, size_t variate, size_t step, float *spare) {
    const size_t at = (job * s->n_all + variate) * s->horizon + step;
    bool finite = true;
    if (s->tail == 0) {
        float *own = s->paths + at * s->n_paths;
        return sort_paths(own, spare, s->n_paths) ? own : NULL;
    }
    for (size_t q = 0; q < s->n_paths; q++) {   // these rise as they are
        spare[q] = s->paths[q * s->n_jobs * s->n_all * s->horizon + at];
        finite = finite && isfinite(spare[q]);
    }
    return finite ? spare : NULL;
}

static bool score_variate(const bt_scoring *s, bt_file *f, size_t job, size_t end, size_t v, float *spare) {
    const double *values = f->values + v * f->n_rows;
    bt_result *r = &f->result;
    judged j = { .n_paths = s->n_paths, .tail = s->tail, .last = naive_last(values, end), .scale = f->scales[v * (f->n_rows + 1) + end] };
    size_t picture = s->seed == 0 ? picture_of(r, end) : r->n_pictures;
    for (size_t step = 0; step < s->horizon; step++) {
        j.paths = rising_at(s, job, v, step, spare);
        if (j.paths == NULL) { return false; }
        if (picture < r->n_pictures) { draw(r, picture, v, step, &j); }
        j.actual = values[end + step];
        if (isnan(j.actual)) { continue; }
        j.seasonal = naive_seasonal(values, end, f->season, step);
        tally_value(&r->tallies[s->seed * r->n_variates + v], &r->steps[s->seed * r->horizon + step], &j);
    }
    return true;
}

void bt_score(const bt_scoring *s) {
    float *spare = take(s->n_paths, sizeof *spare);
    for (size_t i = 0; i < s->n_jobs; i++) {
        bt_file *f = s->jobs[i].file;
        size_t end = f->ends[s->jobs[i].window];
        for (size_t v = 0; v < f->n_variates && bt_usable(f); v++) {
            if (score_variate(s, f, i, end, v, spare)) { continue; }
            message_set(&f->problem,
                        "%s: the forecast of column '%s' after row %zu is not finite; 'reprise verify' tells whether the "
                        "device computes as it should",
                        f->path, f->names[v], end);
        }
    }
    free(spare);
}

static void *on_thread(void *scoring) {
    bt_score(scoring);
    return NULL;
}

void bt_scoring_start(bt_scoring *s) {
    s->busy = true;
    s->threaded = pthread_create(&s->thread, NULL, on_thread, s) == 0;
    if (!s->threaded) { bt_score(s); }
}

void bt_scoring_wait(bt_scoring *s) {
    if (s->busy && s->threaded) { pthread_join(s->thread, NULL); }
    s->busy = false;
}
