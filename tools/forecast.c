// `reprise forecast`: from a CSV file and a model to numbers, scores and a picture.
#include "forecast.h"

#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "interrupt.h"
#include "output.h"
#include "plot.h"
#include "progress.h"
#include "session.h"

enum { DEFAULT_PATHS = 256 };   // what Toto's authors sample

// ---- the question ----

// -1 when it can be answered, else the exit code.
static int read_request(int argc, char **argv, request *r) {
    const option options[] = {
        ROW_MODEL(&r->model), ROW_TOKENIZER(&r->tokenizer),
        { "input", OPTION_TEXT, &r->input, "FILE.csv",
          "one row for each time, oldest first. Toto: empty cells are missing values.\nKronos: columns open, high, low, close, "
          "and volume and amount if there are", NULL, true },
        { "horizon", OPTION_COUNT, &r->horizon, "H", "rows to forecast", NULL, true },
        { "columns", OPTION_NAMES, &r->columns, "a,b", "Toto: columns to forecast, by name or number; default: all numeric ones",
          NULL, false },
        { "future-columns", OPTION_NAMES, &r->future_columns, "c,d",
          "Toto: columns that are known over the horizon and help the others\n(needs --end: their values are read from the rows "
          "after it)",
          NULL, false },
        { "time-column", OPTION_TEXT, &r->time_column, "c", "default: the first column of dates; Toto numbers the rows of a file\nwithout one, Kronos needs it",
          NULL, false },
        { "future", OPTION_TEXT, &r->future, "FILE.csv", "Kronos: the times of the rows to forecast, in a column of dates", NULL,
          false },
        { "calendar", OPTION_CHOICE, &r->calendar, "C",
          "Kronos, without --future: 24x7 (step by step), weekdays (the same\nwithout weekends) or sessions (the times of day seen "
          "in the context,\non weekdays); default: as the rows suggest",
          CALENDAR_CHOICES, false },
        { "context", OPTION_COUNT, &r->context, "N", "rows given to the model; default: all, at most 4096 for Toto; for Kronos\nas many as its window has room for beside the "
          "horizon", NULL, false },
        { "end", OPTION_ROW, &r->end, "ROW",
          "forecast as if the file ended after this row (1 is the first of data;\n"
          "-24 leaves 24 out); rows after it are compared with the forecast",
          NULL, false },
        { "season", OPTION_COUNT, &r->season, "M",
          "Toto: rows of a season, for comparison only; default: from the dates\n"
          "(months 12, quarters 4, days 7, working days 5, hours 24, else 1)",
          NULL, false },
        { "samples", OPTION_COUNT, &r->samples, "S", "sample paths; default 256", NULL, false },
        { "seed", OPTION_SEED, &r->seed, "N", "of the random stream; default 0; the same seed gives the same paths", NULL,
          false },
        ROW_TEMPERATURE(&r->temperature),
        { "top-k", OPTION_COUNT, &r->top_k, "K", "Kronos: draw among the K likeliest tokens (1: always the likeliest); default all",
          NULL, false },
        ROW_TOP_P(&r->top_p),
        ROW_BLOCK(&r->block), ROW_FALLBACK_MIN_OBS(&r->fallback_min_obs), ROW_CAP_K(&r->cap_k),
        { "quantiles", OPTION_NUMBERS, &r->quantiles, "0.1,0.5,0.9", "what to print and write, from 0 to 1, of Toto 2.0 from 0.1 to 0.9; Kronos\nthen prints each column", NULL,
          false },
        { "mean", OPTION_FLAG, &r->mean, NULL, "no sampling: each step appends the mean of its distribution (Toto) or\ntakes the likeliest tokens (Kronos)", NULL, false },
        { "device", OPTION_TEXT, &r->device, "D",
          "auto, cuda, cuda:N, vulkan, vulkan:N or ref; default auto\n('reprise devices' lists them)", NULL, false },
        ROW_PRECISION(&r->precision),
        { "memory", OPTION_BYTES, &r->memory, "BYTES", "device memory to stay within beyond the model's own, such as 2G",
          NULL, false },
        { "direct", OPTION_FLAG, &r->direct, NULL, "run operation by operation, without replaying recordings: slow; names the\noperation at which a device fails", NULL, false },
        { "output", OPTION_TEXT, &r->output, "FILE", "write .csv or .json instead of printing the table", NULL, false },
        { "plot", OPTION_TEXT, &r->plot, "FILE", "draw .svg or .png", NULL, false },
    };
    const option_set set = {
        "forecast",
        "--model DIR --input FILE.csv --horizon H [options]",
        "Forecasts the rows that follow a CSV file: columns of numbers, all of them together as one group\n"
        "of variates (Toto, Toto 2.0), or price bars (Kronos). The folder says which model it is.\n",
        "  reprise forecast --model models/demo-toto --input data/air_passengers.csv --horizon 24 --end -24 --plot "
        "air.png\n"
        "  reprise forecast --model models/demo-kronos --input data/sse600977_5min.csv --context 168 --horizon 24 --end -24 \\\n"
        "      --plot bars.png\n",
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
    return -1;
}

bool forecast_suits(request *r, const rp_model_info *model, message *error) {
    if (model->quantiles == 0) {
        const char *option = r->block ? "block" : r->fallback_min_obs ? "scaler-fallback-min-obs" : r->cap_k > 0 ? "quantile-real-cap-k" : NULL;
        if (option) { return message_set(error, "--%s is for Toto 2.0, and %s is none; leave it out", option, r->model); }
        if (!r->mean && r->samples == 0) { r->samples = DEFAULT_PATHS; }
        return true;
    }
    if (r->mean || r->samples) {
        return message_set(error, "%s gives quantiles and samples no paths; leave out --%s (--quantiles says which)", r->model,
                           r->mean ? "mean" : "samples");
    }
    return true;
}

// ---- the file ----

size_t forecast_context(const request *r, size_t end, size_t usual) {
    size_t context = r->context ? r->context : usual;
    if (context <= end) { return context; }
    if (r->context) { note("--context %u: only %zu rows lie before the forecast", r->context, end); }
    return end;
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

static bool read_file(const request *r, table *t, timeline *time, size_t *time_column, outcome *o, message *error) {
    if (!table_read(r->input, t, error) || !timeline_read(t, r->time_column, time, time_column, error)) { return false; }
    o->time = time;
    o->horizon = r->horizon;
    return find_end(r, t->n_rows, &o->end, error);
}

// ---- the answer ----

static rp_status run_forecast(rp_forecaster *forecaster, const forecast_kind *kind, const request *r, outcome *o) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = r->horizon;
    config.paths = r->samples;
    config.seed = r->seed;
    config.scaler_fallback_min_obs = r->fallback_min_obs;
    config.quantile_real_cap_k = (float)r->cap_k;
    config.quantile_levels = o->levels;
    config.n_quantiles = (uint32_t)o->n_levels;
    progress bar;
    progress_start(&bar);
    config.progress = interrupt_step;   // with it the host waits between replays, which is what Ctrl-C needs
    config.progress_user = progress_is_wanted() ? &bar : NULL;
    o->mean = take(o->n_all, o->horizon * sizeof *o->mean);
    o->quantiles = take(o->n_levels, o->n_all * o->horizon * sizeof *o->quantiles);
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    result.mean = o->mean;
    result.quantiles = o->n_levels ? o->quantiles : NULL;
    double start = seconds_now();
    rp_status status = kind->run(forecaster, o, &config, &result);
    o->seconds = seconds_now() - start;
    progress_end(&bar);
    return status;
}

static bool answer(session *s, const forecast_kind *kind, const request *r, outcome *o) {
    rp_forecaster *forecaster = NULL;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = (uint32_t)o->context;
    config.max_horizon = r->horizon;
    config.variates = kind->variates(o);
    config.max_paths = r->samples;
    config.memory_bytes = r->memory;
    config.block = r->block;
    rp_status status = rp_forecaster_create(s->model, &config, &forecaster);
    if (status == RP_OK) { status = run_forecast(forecaster, kind, r, o); }
    if (status != RP_OK && !interrupt_came()) { session_complain(s->device, status); }
    rp_forecaster_destroy(forecaster);
    o->model = r->model;
    snprintf(o->family, sizeof o->family, "%s", s->model_info.family);
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

// One forecast is whole or it is nothing: paths that end early would be other quantiles.
static int stopped(void) {
    complain("stopped by %s before the forecast was done; no file was written", interrupt_name());
    return interrupt_exit(EXIT_FAILED);
}

int command_forecast(int argc, char **argv) {
    static const double usual_levels[] = { 0.1, 0.5, 0.9 };
    request r = { 0 };
    table t = { 0 };
    timeline time = { 0 };
    size_t time_column = SIZE_MAX;
    outcome o = { 0 };
    session s = { 0 };
    message error = { "" };
    int result = read_request(argc, argv, &r);
    if (result >= 0) { goto cleanup; }
    interrupt_install();
    result = EXIT_FAILED;
    if (!read_file(&r, &t, &time, &time_column, &o, &error)) {
        complain("%s", error.text);
        goto cleanup;
    }
    if (interrupt_came()) {
        result = stopped();
        goto cleanup;
    }
    const session_how how = { r.device, r.precision, r.model, r.tokenizer, r.direct };
    if (!session_open_how(&how, &s)) { goto cleanup; }
    const forecast_kind *kind = session_is_bars(&s) ? &forecast_of_bars : &forecast_of_series;
    if (!forecast_suits(&r, &s.model_info, &error) || kind->refuses(&r, r.model, &error)) {
        result = options_misused("forecast", "%s", error.text);
        goto cleanup;
    }
    if (!kind->prepare(&r, &s.model_info, &t, time_column, &time, &o, &error)) {
        complain("%s", error.text);
        goto cleanup;
    }
    if (!r.mean) {
        bool asked = r.quantiles.count > 0;
        const double tail = session_tail(&s);
        if (tail > 0) { o.mean_column = "median"; }
        outcome_set_levels(&o, asked ? r.quantiles.numbers : usual_levels, asked ? r.quantiles.count : 3, tail);
    }
    if (interrupt_came() || !answer(&s, kind, &r, &o)) {
        if (interrupt_came()) { result = stopped(); }
        goto cleanup;
    }
    if (!deliver(&r, &o, &error)) {
        complain("%s", error.text);
        goto cleanup;
    }
    result = interrupt_exit(EXIT_DONE);   // a signal that came while files were written: they are, and the caller's loop ends
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
