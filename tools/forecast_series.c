// Forecasts of columns of numbers, all of them together as one group of variates: Toto.
#include <math.h>
#include <stdlib.h>

#include "forecast.h"

enum { DEFAULT_CONTEXT = 4096 };   // what Toto was trained on

static bool refuses(const request *r, const char *folder, message *error) {
    const char *option = r->future        ? "future"
                         : r->calendar    ? "calendar"
                         : r->temperature ? "temperature"
                         : r->top_k       ? "top-k"
                         : r->top_p       ? "top-p"
                                          : NULL;
    if (!option) { return false; }
    message_set(error, "--%s is for models of bars, and %s is none; leave it out%s", option, folder,
                r->future ? " (--future-columns names columns with a known future)" : "");
    return true;
}

// ---- the file ----

typedef struct selection {
    size_t *columns;       // [n]; those with known futures last
    size_t n, n_future;
} selection;

static bool add_column(const table *t, selection *s, size_t column, size_t time_column, message *error) {
    for (size_t i = 0; i < s->n; i++) {
        if (s->columns[i] == column) { return message_set(error, "column '%s' is asked for twice", t->names[column]); }
    }
    if (column == time_column) {
        return message_set(error, "column '%s' is the time; it cannot be forecast", t->names[column]);
    }
    s->columns[s->n++] = column;
    return true;
}

static bool select_columns(const table *t, const request *r, size_t time_column, selection *s, message *error) {
    size_t column, future = 0;
    s->columns = take(t->n_columns + r->columns.count + r->future_columns.count, sizeof *s->columns);
    size_t *known = take(r->future_columns.count, sizeof *known);
    bool good = true;
    for (size_t i = 0; i < r->future_columns.count && good; i++) {
        good = table_find(t, r->future_columns.names[i], &column, error);
        known[future++] = good ? column : 0;
    }
    for (size_t i = 0; i < r->columns.count && good; i++) {
        good = table_find(t, r->columns.names[i], &column, error) && add_column(t, s, column, time_column, error);
    }
    for (column = 0; column < t->n_columns && r->columns.count == 0 && good; column++) {
        bool other = column == time_column || !table_is_numeric(t, column);
        for (size_t i = 0; i < future; i++) { other = other || known[i] == column; }
        if (!other) { good = add_column(t, s, column, time_column, error); }
    }
    if (good && s->n == 0) { good = message_set(error, "%s has no column of numbers to forecast", r->input); }
    for (size_t i = 0; i < future && good; i++) { good = add_column(t, s, known[i], time_column, error); }
    s->n_future = future;
    free(known);
    return good;
}

static bool read_values(const table *t, const selection *s, outcome *o, message *error) {
    o->n_all = s->n;
    o->n_variates = s->n - s->n_future;
    o->n_rows = t->n_rows;
    o->names = take(s->n, sizeof *o->names);
    o->values = take(s->n, t->n_rows * sizeof *o->values);
    for (size_t v = 0; v < s->n; v++) {
        o->names[v] = take_text(t->names[s->columns[v]]);
        if (!table_numbers(t, s->columns[v], o->values + v * t->n_rows, error)) { return false; }
    }
    for (size_t v = 0; v < s->n; v++) {
        const double *values = o->values + v * t->n_rows;
        size_t row = o->end - o->context;
        while (row < o->end && isnan(values[row])) { row++; }
        if (row == o->end) {
            return message_set(
                error, "column '%s' has no value in the %zu rows of context; leave it out or give a longer --context",
                o->names[v], o->context);
        }
    }
    for (size_t v = o->n_variates; v < o->n_all; v++) {
        for (size_t row = o->end; row < o->end + o->horizon; row++) {
            if (row < o->n_rows && !isnan(o->values[v * o->n_rows + row])) { continue; }
            return message_set(
                error, "column '%s' has a known future, but %s row %zu, which is within the horizon of %zu after row %zu",
                o->names[v], row < o->n_rows ? "no value in" : "the file ends before", row + 1, o->horizon, o->end);
        }
    }
    return true;
}

// A column that is skipped without a word would surprise.
static void note_skipped(const table *t, const selection *s, size_t time_column) {
    for (size_t column = 0; column < t->n_columns; column++) {
        bool used = column == time_column;
        for (size_t i = 0; i < s->n; i++) { used = used || s->columns[i] == column; }
        if (!used) { note("column '%s' does not hold numbers and is left out", t->names[column]); }
    }
}

static bool prepare(const request *r, const rp_model_info *model, const table *t, size_t time_column, timeline *time, outcome *o,
                    message *error) {
    (void)model;
    selection s = { 0 };
    bool good = select_columns(t, r, time_column, &s, error);
    if (good) {
        o->context = forecast_context(r, o->end, DEFAULT_CONTEXT);
        o->season = r->season ? r->season : timeline_season(time);
        good = read_values(t, &s, o, error);
    }
    if (good && r->columns.count == 0) { note_skipped(t, &s, time_column); }
    if (good && time_column == SIZE_MAX) { note("%s has no column of dates; rows are numbered", r->input); }
    if (good && time->n_uneven && time->spacing != SPACING_WORKDAYS) {
        char rhythm[64];
        timeline_describe(time, rhythm, sizeof rhythm);
        note("%zu of %zu steps in column '%s' are not %s; the model takes rows as evenly spaced", time->n_uneven,
             time->n_rows - 1, time->name, rhythm);
    }
    free(s.columns);
    return good;
}

// ---- the model ----

static uint32_t variates(const outcome *o) { return (uint32_t)o->n_all; }

// The model's input, copied from the rows: [V, T] values and mask, [exogenous, H] futures.
typedef struct arrays {
    float *values, *future;
    uint8_t *mask;
} arrays;

static arrays fill_arrays(const outcome *o) {
    size_t n_future = o->n_all - o->n_variates;
    arrays a = { .values = take(o->n_all, o->context * sizeof *a.values),
                 .mask = take(o->n_all, o->context),
                 .future = take(n_future, o->horizon * sizeof *a.future) };
    for (size_t v = 0; v < o->n_all; v++) {
        const double *from = o->values + v * o->n_rows + o->end - o->context;
        for (size_t i = 0; i < o->context; i++) {
            a.mask[v * o->context + i] = !isnan(from[i]);
            a.values[v * o->context + i] = isnan(from[i]) ? 0 : (float)from[i];
        }
    }
    for (size_t v = 0; v < n_future; v++) {
        const double *from = o->values + (o->n_variates + v) * o->n_rows + o->end;
        for (size_t i = 0; i < o->horizon; i++) { a.future[v * o->horizon + i] = (float)from[i]; }
    }
    return a;
}

static rp_status run(rp_forecaster *forecaster, const outcome *o, rp_forecast_config *config, rp_forecast_result *result) {
    arrays a = fill_arrays(o);
    rp_series series = RP_SERIES_INIT;
    config->exogenous = (uint32_t)(o->n_all - o->n_variates);
    series.values = a.values;
    series.mask = a.mask;
    series.future = config->exogenous ? a.future : NULL;
    series.context = (uint32_t)o->context;
    rp_status status = rp_forecast(forecaster, &series, 1, config, result);
    free(a.values);
    free(a.mask);
    free(a.future);
    return status;
}

const forecast_kind forecast_of_series = { .refuses = refuses, .prepare = prepare, .variates = variates, .run = run };
