// Forecasts of price bars: Kronos.
#include <stdio.h>

#include "bars.h"
#include "forecast.h"
#include "model_input.h"

static bool refuses(const request *r, const char *folder, message *error) {
    if (r->columns.count || r->future_columns.count) {
        message_set(error, "%s is a model of bars: it forecasts open, high, low, close, volume and amount together, so --%s does not "
                    "go with it", folder, r->columns.count ? "columns" : "future-columns");
        return true;
    }
    if (r->season) {
        message_set(error, "%s is a model of bars, which are compared with the last value alone; leave out --season", folder);
        return true;
    }
    if (r->top_p > 1) {
        message_set(error, "--top-p is %g; it is a probability, above 0 and up to 1", r->top_p);
        return true;
    }
    if (r->temperature > 1e6) {
        message_set(error, "--temperature is %g; it is above 0 and up to 1e6", r->temperature);
        return true;
    }
    if (r->mean && (r->temperature > 0 || r->top_p > 0 || r->top_k)) {
        message_set(error, "--mean takes the likeliest tokens, so --temperature, --top-k and --top-p do not go with it");
        return true;
    }
    return false;
}

// ---- the file ----

// Rows that were held out keep their own times; those beyond the file come from a file or a rule.
static bool continue_times(const request *r, timeline *time, outcome *o, message *error) {
    if (r->future && r->calendar) {
        return message_set(error, "--future says when the bars will be, so --calendar does not go with it");
    }
    if (r->future && o->end < o->n_rows) {
        return message_set(error, "--future goes on after the last row, but --end leaves %zu rows out, which have their own times",
                           o->n_rows - o->end);
    }
    size_t known = outcome_n_known(o), beyond = o->horizon - known;
    calendar used = CALENDAR_FILE;
    if (r->future) {
        if (!calendar_read(time, r->future, time->name, beyond, error)) { return false; }
    } else if (beyond > 0) {
        if (!calendar_continue(time, calendar_named(r->calendar), o->end - o->context, beyond, &used, error)) { return false; }
    } else if (r->calendar) {
        note("--calendar %s: all %zu bars of the horizon have their times in the file", r->calendar, o->horizon);
    }
    o->calendar = beyond > 0 ? calendar_name(used) : "file";
    return true;
}

// A context that fits into the window with the horizon; of a long horizon, half the window.
static size_t usual_context(const rp_model_info *model, size_t horizon) {
    return horizon < model->window / 2 ? model->window - horizon : model->window - model->window / 2;
}

static void describe(const request *r, outcome *o) {
    o->unit = "bar";
    o->mean_label = "greedy";
    o->mean_text = "each step takes the likeliest tokens";
    o->temperature = r->temperature > 0 ? (float)r->temperature : 1;
    o->top_p = r->top_p > 0 && r->top_k == 0 ? (float)r->top_p : 1;
    o->top_k = r->top_k;
    o->overview = r->quantiles.count == 0;
    if (r->top_k && r->top_p > 0) { note("--top-p is not used where --top-k is given"); }
    int n = snprintf(o->sampling, sizeof o->sampling, "temperature %g", (double)o->temperature);
    if (o->top_k && n > 0) { snprintf(o->sampling + n, sizeof o->sampling - (size_t)n, ", top-k %u", (unsigned)o->top_k); }
    else if (o->top_p < 1 && n > 0) { snprintf(o->sampling + n, sizeof o->sampling - (size_t)n, ", top-p %g", (double)o->top_p); }
}

static bool prepare(const request *r, const rp_model_info *model, const table *t, size_t time_column, timeline *time, outcome *o,
                    message *error) {
    (void)time_column;
    bars b;
    if (r->horizon > model->window) {
        return message_set(error, "--horizon %u: the model sees %u bars at once, and the forecast must fit into them", r->horizon,
                           model->window);
    }
    if (!bars_have_times(r->input, t, time, error) || !bars_read(r->input, t, &b, error)) { return false; }
    o->values = b.values;   // the outcome's from here on
    o->n_rows = t->n_rows;
    o->n_all = BAR_COLUMNS;
    o->n_variates = b.has_volume ? BAR_COLUMNS : BAR_VOLUME;
    o->names = take(BAR_COLUMNS, sizeof *o->names);
    for (size_t c = 0; c < BAR_COLUMNS; c++) { o->names[c] = take_text(bar_names[c]); }
    o->context = forecast_context(r, o->end, usual_context(model, o->horizon));
    o->drawn[o->n_drawn++] = BAR_CLOSE;
    if (b.has_volume) { o->drawn[o->n_drawn++] = BAR_VOLUME; }
    size_t first = o->end - o->context, odd = 0;
    if (!bars_check(&b, t, first, o->end, error) || !continue_times(r, time, o, error)) { return false; }
    size_t n_odd = bars_n_odd(&b, first, o->end, &odd);
    if (n_odd) {
        note("%zu bar%s whose high is not the highest price or whose low is not the lowest, the first in row %zu (line %zu)", n_odd,
             n_odd == 1 ? "" : "s", odd + 1, t->lines[odd]);
    }
    if (!b.has_volume) { note("%s has no column 'volume', so volume and amount are 0 and not shown", r->input); }
    else if (!b.has_amount) { note("%s has no column 'amount'; it is taken as volume x mean price", r->input); }
    if (o->context + o->horizon > model->window) {
        note("%zu bars of context and %zu of forecast are more than the model sees at once (%u): the oldest drop out as it goes",
             o->context, o->horizon, model->window);
    }
    describe(r, o);
    return true;
}

// ---- the model ----

static uint32_t variates(const outcome *o) {
    (void)o;
    return 0;   // a bar's are known
}

static rp_status run(rp_forecaster *forecaster, const outcome *o, rp_forecast_config *config, rp_forecast_result *result) {
    const model_rows rows = { o->values, o->n_rows, BAR_COLUMNS, 0, o->end, o->context, o->horizon };
    model_input in;
    rp_bars bars;
    model_input_bars(&rows, o->time, &in, &bars);
    config->temperature = o->temperature;
    config->top_k = o->top_k;
    config->top_p = o->top_p;
    rp_status status = rp_forecast_bars(forecaster, &bars, 1, config, result);
    model_input_free(&in);
    return status;
}

const forecast_kind forecast_of_bars = { .refuses = refuses, .prepare = prepare, .variates = variates, .run = run };
