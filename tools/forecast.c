// `reprise forecast`: from a CSV file and a model to numbers, scores and a picture.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "options.h"
#include "outcome.h"
#include "output.h"
#include "plot.h"
#include "progress.h"
#include "reprise.h"
#include "session.h"

enum { DEFAULT_CONTEXT = 4096, DEFAULT_PATHS = 256 };   // what Toto was trained on, and what its authors sample

typedef struct request {
    const char *model, *input, *time_column, *device, *precision, *output, *plot;
    name_list columns, future_columns;
    uint32_t context, horizon, samples, season;
    int64_t end;
    uint64_t seed, memory;
    number_list quantiles;
    bool mean;
} request;

// ---- the question ----

// -1 when it can be answered, else the exit code.
static int read_request(int argc, char **argv, request *r) {
    const option options[] = {
        { "model", OPTION_TEXT, &r->model, "DIR", "folder with config.json and model.safetensors", NULL, true },
        { "input", OPTION_TEXT, &r->input, "FILE.csv",
          "one row for each time, oldest first; empty cells are missing values", NULL, true },
        { "horizon", OPTION_COUNT, &r->horizon, "H", "rows to forecast", NULL, true },
        { "columns", OPTION_NAMES, &r->columns, "a,b", "columns to forecast, by name or number; default: all numeric ones",
          NULL, false },
        { "future-columns", OPTION_NAMES, &r->future_columns, "c,d",
          "columns that are known over the horizon and help the others (needs\n--end: their values are read from the rows "
          "after it)",
          NULL, false },
        { "time-column", OPTION_TEXT, &r->time_column, "c", "default: the first column of dates; none: rows are numbered",
          NULL, false },
        { "context", OPTION_COUNT, &r->context, "N", "rows given to the model; default: all, at most 4096", NULL, false },
        { "end", OPTION_ROW, &r->end, "ROW",
          "forecast as if the file ended after this row (1 is the first of data;\n"
          "-24 leaves 24 out); rows after it are compared with the forecast",
          NULL, false },
        { "season", OPTION_COUNT, &r->season, "M",
          "rows of a season, for comparison only; default: from the dates\n"
          "(months 12, quarters 4, days 7, working days 5, hours 24, else 1)",
          NULL, false },
        { "samples", OPTION_COUNT, &r->samples, "S", "sample paths; default 256", NULL, false },
        { "seed", OPTION_SEED, &r->seed, "N", "of the random stream; default 0; the same seed gives the same paths", NULL,
          false },
        { "quantiles", OPTION_NUMBERS, &r->quantiles, "0.1,0.5,0.9", "what to print and write, from 0 to 1", NULL, false },
        { "mean", OPTION_FLAG, &r->mean, NULL, "no sampling: each step appends the mean of its distribution", NULL, false },
        { "device", OPTION_TEXT, &r->device, "D",
          "auto, cuda, cuda:N, vulkan, vulkan:N or ref; default auto\n('reprise devices' lists them)", NULL, false },
        { "precision", OPTION_CHOICE, &r->precision, "P", "f32, mixed (16-bit operands on matrix units) or auto",
          PRECISION_CHOICES, false },
        { "memory", OPTION_BYTES, &r->memory, "BYTES", "device memory to stay within beyond the model's own, such as 2G",
          NULL, false },
        { "output", OPTION_TEXT, &r->output, "FILE", "write .csv or .json instead of printing the table", NULL, false },
        { "plot", OPTION_TEXT, &r->plot, "FILE", "draw .svg or .png", NULL, false },
    };
    const option_set set = {
        "forecast",
        "--model DIR --input FILE.csv --horizon H [options]",
        "Forecasts columns of a CSV file, all of them together as one group of variates.\n",
        "  reprise forecast --model models/demo-toto --input data/air_passengers.csv --horizon 24 --end -24 --plot "
        "air.png\n",
        options,
        sizeof options / sizeof *options,
    };
    int result = options_parse(&set, argc, argv, NULL, 0, NULL);
    if (result >= 0) { return result; }
    if (r->mean && (r->samples || r->quantiles.count)) {
        return options_misused("forecast", "--mean samples no paths, so --samples and --quantiles do not go with it");
    }
    for (size_t i = 0; i < r->quantiles.count; i++) {
        if (r->quantiles.numbers[i] < 0 || r->quantiles.numbers[i] > 1) {
            return options_misused("forecast", "--quantiles has %g, but quantiles are from 0 to 1",
                                   r->quantiles.numbers[i]);
        }
    }
    if (r->output && !output_is_known(r->output)) {
        return options_misused("forecast", "--output %s: the name must end in .csv or .json", r->output);
    }
    if (r->plot && !plot_is_known(r->plot)) {
        return options_misused("forecast", "--plot %s: the name must end in .svg or .png", r->plot);
    }
    if (r->future_columns.count && r->end == 0) {
        return options_misused("forecast",
                               "--future-columns needs --end: the rows after it are where their future is known");
    }
    if (!r->mean && r->samples == 0) { r->samples = DEFAULT_PATHS; }
    return -1;
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

static bool find_end(const request *r, size_t n_rows, size_t *end, message *error) {
    int64_t rows = (int64_t)n_rows, at = r->end == 0 ? rows : r->end < 0 ? rows + r->end : r->end;
    if (at < 1 || at > rows) {
        return message_set(error, "--end %lld: the file has %zu rows, so it can be from 1 to %zu or from -1 to -%zu",
                           (long long)r->end, n_rows, n_rows, n_rows - 1);
    }
    *end = (size_t)at;
    return true;
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

static bool read_file(const request *r, table *t, timeline *time, outcome *o, message *error) {
    size_t time_column = SIZE_MAX, end = 0;
    selection s = { 0 };
    bool good = table_read(r->input, t, error) && timeline_read(t, r->time_column, time, &time_column, error) &&
                find_end(r, t->n_rows, &end, error) && select_columns(t, r, time_column, &s, error);
    if (good) {
        o->time = time;
        o->end = end;
        o->horizon = r->horizon;
        o->context = r->context ? r->context : DEFAULT_CONTEXT;
        if (o->context > end) {
            if (r->context) { note("--context %u: only %zu rows lie before the forecast", r->context, end); }
            o->context = end;
        }
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

// ---- the answer ----

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

static rp_status run_forecast(rp_forecaster *forecaster, const request *r, outcome *o) {
    arrays a = fill_arrays(o);
    uint32_t n_future = (uint32_t)(o->n_all - o->n_variates);
    rp_series series = RP_SERIES_INIT;
    series.values = a.values;
    series.mask = a.mask;
    series.future = n_future ? a.future : NULL;
    series.context = (uint32_t)o->context;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = r->horizon;
    config.paths = r->samples;
    config.exogenous = n_future;
    config.seed = r->seed;
    config.quantile_levels = o->levels;
    config.n_quantiles = (uint32_t)o->n_levels;
    progress bar;
    progress_start(&bar);
    if (progress_is_wanted()) {   // without it the host need not wait between replays
        config.progress = progress_step;
        config.progress_user = &bar;
    }
    o->mean = take(o->n_all, o->horizon * sizeof *o->mean);
    o->quantiles = take(o->n_levels, o->n_all * o->horizon * sizeof *o->quantiles);
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    result.mean = o->mean;
    result.quantiles = o->n_levels ? o->quantiles : NULL;
    double start = seconds_now();
    rp_status status = rp_forecast(forecaster, &series, 1, &config, &result);
    o->seconds = seconds_now() - start;
    progress_end(&bar);
    free(a.values);
    free(a.mask);
    free(a.future);
    return status;
}

static bool answer(session *s, const request *r, outcome *o) {
    rp_forecaster *forecaster = NULL;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = (uint32_t)o->context;
    config.max_horizon = r->horizon;
    config.variates = (uint32_t)o->n_all;
    config.max_paths = r->samples;
    config.memory_bytes = r->memory;
    rp_status status = rp_forecaster_create(s->model, &config, &forecaster);
    if (status == RP_OK) { status = run_forecast(forecaster, r, o); }
    if (status != RP_OK) { session_complain(s->device, status); }
    rp_forecaster_destroy(forecaster);
    o->model = r->model;
    o->precision = precision_name(s->model_info.precision);
    o->parameters = s->model_info.parameters;
    o->seed = r->seed;
    o->paths = r->samples;
    snprintf(o->device, sizeof o->device, "%s", s->device_info.spec);
    snprintf(o->device_name, sizeof o->device_name, "%s", s->device_info.name);
    return status == RP_OK;
}

static bool deliver(const request *r, const outcome *o, message *error) {
    output_summary(o);
    if (!r->output) { output_table(o); }
    output_scores(o);
    if (r->output || r->plot) { printf("\n"); }
    if (r->output) {
        if (!output_write(o, r->output, error)) { return false; }
        printf("wrote %s\n", r->output);
    }
    if (r->plot) {
        if (!plot_write(o, r->plot, error)) { return false; }
        printf("drew %s\n", r->plot);
    }
    return true;
}

int command_forecast(int argc, char **argv) {
    static const double usual_levels[] = { 0.1, 0.5, 0.9 };
    request r = { 0 };
    table t = { 0 };
    timeline time = { 0 };
    outcome o = { 0 };
    session s = { 0 };
    message error = { "" };
    int result = read_request(argc, argv, &r);
    if (result >= 0) { goto cleanup; }
    result = EXIT_FAILED;
    if (!read_file(&r, &t, &time, &o, &error)) {
        complain("%s", error.text);
        goto cleanup;
    }
    if (!r.mean) {
        bool asked = r.quantiles.count > 0;
        outcome_set_levels(&o, asked ? r.quantiles.numbers : usual_levels, asked ? r.quantiles.count : 3);
    }
    if (!session_open(r.device, r.precision, r.model, &s)) { goto cleanup; }
    if (!answer(&s, &r, &o)) { goto cleanup; }
    if (!deliver(&r, &o, &error)) {
        complain("%s", error.text);
        goto cleanup;
    }
    result = EXIT_DONE;
cleanup:
    session_close(&s);
    outcome_free(&o);
    timeline_free(&time);
    table_free(&t);
    name_list_free(&r.columns);
    name_list_free(&r.future_columns);
    number_list_free(&r.quantiles);
    return result;
}
