// Outputs of Kronos with its real weights, for whoever has them: CSV files called NAME_CONTEXT.csv beside whose folders the
// tree has data/sse600977_5min.csv; greedy, one path, in f32: they were made in it, and are compared as closely.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden_parts.h"
#include "platform.h"
#include "timeline.h"

#define COLUMNS 6u
#define LIMIT 1e-5          // relative, as the original's own test has it
#define DATA "../../../data/sse600977_5min.csv"

static const char *const names[COLUMNS] = { "open", "high", "low", "close", "volume", "amount" };

// A file's columns [6, rows] and its times in seconds.
typedef struct bar_file { table t; timeline time; double *columns; } bar_file;

static bool read_bars(const char *path, bar_file *out, message *error) {
    size_t at;
    if (!table_read(path, &out->t, error) || !timeline_read(&out->t, "timestamps", &out->time, &at, error)) { return false; }
    out->columns = take(COLUMNS * out->t.n_rows + 1, sizeof *out->columns);
    for (uint32_t c = 0; c < COLUMNS; c++) {
        if (!table_find(&out->t, names[c], &at, error) || !table_numbers(&out->t, at, out->columns + c * out->t.n_rows, error)) { return false; }
    }
    return true;
}

static void free_file(bar_file *f) {
    table_free(&f->t);
    timeline_free(&f->time);
    free(f->columns);
}

// The number before ".csv"; 0: none.
static size_t context_of(const char *path) {
    const char *underscore = strrchr(path, '_');
    return underscore != NULL ? strtoul(underscore + 1, NULL, 10) : 0;
}

static bool forecast(golden *g, const bar_file *data, const bar_file *want, size_t context, const char *folder, message *error) {
    const uint32_t H = (uint32_t)want->t.n_rows;
    float *columns = take(COLUMNS * context, sizeof *columns), *got = take(COLUMNS * H, sizeof *got);
    int64_t *times = take(context + H, sizeof *times);
    for (size_t t = 0; t < context; t++) {
        for (uint32_t c = 0; c < COLUMNS; c++) { columns[c * context + t] = (float)data->columns[c * data->t.n_rows + t]; }
        times[t] = timeline_clock(&data->time, t) / 1000;
    }
    for (uint32_t t = 0; t < H; t++) { times[context + t] = timeline_clock(&want->time, t) / 1000; }
    rp_bars bars = RP_BARS_INIT;
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    bars.open = columns, bars.high = columns + context, bars.low = columns + 2 * context, bars.close = columns + 3 * context;
    bars.volume = columns + 4 * context, bars.amount = columns + 5 * context;
    bars.times = times, bars.future_times = times + context, bars.context = (uint32_t)context;
    sizes.max_context = (uint32_t)context, sizes.max_horizon = config.horizon = H, result.mean = got;
    rp_model_config precise = RP_MODEL_CONFIG_INIT;
    precise.precision = RP_PRECISION_F32;
    rp_status status = rp_model_load(g->device, folder, &precise, &g->model);
    if (status == RP_OK) { status = rp_forecaster_create(g->model, &sizes, &g->forecaster); }
    if (status == RP_OK) { status = rp_forecast_bars(g->forecaster, &bars, 1, &config, &result); }
    for (uint32_t c = 0; status == RP_OK && c < COLUMNS; c++) {
        double worst = 0;
        for (uint32_t t = 0; t < H; t++) {
            const double theirs = want->columns[c * H + t];
            worst = golden_worse(worst, fabs(got[c * H + t] - theirs) / fabs(theirs));
        }
        golden_report(g, names[c], worst, LIMIT, "relative");
    }
    free(columns), free(got), free(times);
    return status == RP_OK || golden_failed(error, g->device, status);
}

bool golden_run_real(golden *g, const char *path, const golden_options *options, message *error) {
    bar_file data = { 0 }, want = { 0 };
    const size_t context = context_of(path);
    if (options->model == NULL) {
        printf("  skipped: needs the real weights of Kronos-small; name the folder that holds `model` and `tokenizer` with --model\n");
        g->count->skipped++;
        return true;
    }
    char *folder = take_text(path), *slash = strrchr(folder, '/');
    if (slash != NULL) { *slash = '\0'; }
    char *source = rp_path_join(slash != NULL ? folder : ".", DATA);
    bool ok = source != NULL && read_bars(source, &data, error) && read_bars(path, &want, error);
    if (ok && (context == 0 || context > data.t.n_rows)) { ok = message_set(error, "the file's name does not end with the number of its context"); }
    ok = ok && forecast(g, &data, &want, context, options->model, error);
    free_file(&data), free_file(&want);
    free(folder), free(source);
    return ok;
}
