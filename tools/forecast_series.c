// Forecasts of columns of numbers, all of them together as one group of variates: Toto.
#include <math.h>

#include "columns.h"
#include "forecast.h"
#include "model_input.h"

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

static bool read_values(const table *t, const selection *s, outcome *o, message *error) {
    o->n_all = s->n;
    o->n_variates = s->n - s->n_future;
    o->n_rows = t->n_rows;
    if (!columns_read(t, s, &o->names, &o->values, error)) { return false; }
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
    bool good = columns_select(r->input, t, &r->columns, &r->future_columns, time_column, &s, error);
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
    columns_free(&s);
    return good;
}

// ---- the model ----

static uint32_t variates(const outcome *o) { return (uint32_t)o->n_all; }

static rp_status run(rp_forecaster *forecaster, const outcome *o, rp_forecast_config *config, rp_forecast_result *result) {
    const model_rows rows = { o->values, o->n_rows, o->n_all, o->n_all - o->n_variates, o->end, o->context, o->horizon };
    model_input in;
    rp_series series;
    model_input_series(&rows, &in, &series);
    config->exogenous = (uint32_t)rows.n_future;
    rp_status status = rp_forecast(forecaster, &series, 1, config, result);
    model_input_free(&in);
    return status;
}

const forecast_kind forecast_of_series = { .refuses = refuses, .prepare = prepare, .variates = variates, .run = run };
