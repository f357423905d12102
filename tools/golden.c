#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "platform.h"
#include "toto.h"

// Error bounds in units of a series' standard deviation. The reference works in float64; what is left is the goldens' own
// storage in float32. A float32 device may err three times as much as the original did in float32 on this very case.
#define LIMIT_REFERENCE 1e-6
#define LIMIT_F32 1e-5
#define F32_FACTOR 3.0
// Precision mixed: what the original reaches with float16 autocast, worst error of the mean forecast (for toto-base of three
// patches, measured on an H200 with PyTorch 2.11). Where that was not measured, the original's own float32
// error on the case, scaled by the unit roundoffs of float16 and float32, 2^-11 / 2^-24. (On the four measured cases float16
// autocast errs 1470 to 10000 times as much as float32; on the small seeded models ours errs 900 to 4300 times as much.)
static const struct { const char *name; double limit; } f16_autocast[] = {
    { "air.safetensors", 4e-3 }, { "btc.safetensors", 9e-4 }, { "aapl4.safetensors", 1.6e-3 }, { "toto-base", 2.8e-1 },
};
#define MIXED_FACTOR 8192.0
// Quantiles of samples against those of the original's samples, in combined standard errors.
#define QUANTILES_RMS 1.5
#define QUANTILES_WORST 7.0

typedef struct golden {
    rp_device *device;
    rp_weights *file;
    rp_model *model;
    rp_forecaster *forecaster;
    uint32_t B, V, T, H, S, P, E;
    double limit;
    double *std;               // [B, V] of the real steps
    rp_series *series;         // [B]
    float *values, *future;    // [B, V, T], [B, E, H]
    uint8_t *mask;             // [B, V, T]
    int32_t *groups;           // [B, V]
    golden_count *count;
} golden;

static bool failed(message *error, rp_device *device, rp_status status) {
    char text[sizeof error->text];
    rp_device_copy_error(device, text, sizeof text);
    return message_set(error, "%s", text[0] ? text : rp_status_text(status));
}

// A tensor of the golden file as float64, to be freed; NULL: not there.
static double *numbers(const golden *g, const char *name, uint64_t *count) {
    const rp_weight *w = rp_weights_find(g->file, name);
    if (w == NULL) { return NULL; }
    double *out = take(w->count + 1, sizeof *out);
    if (w->dtype == RP_I32 || w->dtype == RP_U8) {
        for (uint64_t i = 0; i < w->count; i++) {
            int32_t value = 0;
            memcpy(&value, (const char *)w->data + i * rp_dtype_size(w->dtype), rp_dtype_size(w->dtype));
            out[i] = value;
        }
    } else {
        rp_convert(out, RP_F64, w->data, w->dtype, w->count);
    }
    if (count != NULL) { *count = w->count; }
    return out;
}

static void report(golden *g, const char *name, double error, double limit, const char *unit) {
    const bool pass = error <= limit;    // false for NaN
    printf("  %-28s %9.2e  limit %8.1e %-14s %s\n", name, error, limit, unit, pass ? "PASS" : "FAIL");
    pass ? g->count->passed++ : g->count->failed++;
}

// Largest error; NaN stays.
static double worse(double worst, double error) { return error <= worst ? worst : error; }

// ---- inputs ----

static void read_inputs(golden *g) {
    const size_t n = (size_t)g->B * g->V * g->T;
    double *values = numbers(g, "input.series", NULL), *mask = numbers(g, "input.padding_mask", NULL);
    double *ids = numbers(g, "input.id_mask", NULL), *future = numbers(g, "input.future_exogenous", NULL);
    g->values = take(n, sizeof *g->values);
    g->mask = take(n, sizeof *g->mask);
    g->groups = take((size_t)g->B * g->V, sizeof *g->groups);
    g->future = take((size_t)g->B * g->V * g->H, sizeof *g->future);
    g->std = take((size_t)g->B * g->V, sizeof *g->std);
    g->series = take(g->B, sizeof *g->series);
    for (size_t i = 0; i < n; i++) { g->values[i] = (float)values[i], g->mask[i] = mask == NULL || mask[i] != 0; }
    for (size_t row = 0; row < (size_t)g->B * g->V; row++) {
        double count = 0, sum = 0, square = 0;
        g->groups[row] = ids ? (int32_t)ids[row] : 0;
        for (size_t i = row * g->T; i < (row + 1) * g->T; i++) { count += g->mask[i], sum += g->mask[i] * values[i]; }
        for (size_t i = row * g->T; i < (row + 1) * g->T; i++) { square += g->mask[i] * pow(values[i] - sum / count, 2); }
        g->std[row] = sqrt(square / count);
    }
    for (size_t i = 0; future != NULL && i < (size_t)g->B * g->E * g->H; i++) { g->future[i] = (float)future[i]; }
    for (uint32_t b = 0; b < g->B; b++) {
        g->series[b] = (rp_series){ .struct_size = sizeof(rp_series), .values = g->values + (size_t)b * g->V * g->T,
                                    .mask = g->mask + (size_t)b * g->V * g->T, .group_ids = g->groups + (size_t)b * g->V,
                                    .future = g->E ? g->future + (size_t)b * g->E * g->H : NULL, .context = g->T, .id = b };
    }
    free(values), free(mask), free(ids), free(future);
}

// ---- comparisons ----

// Forecasts [B, V, H, S] in units of each variate's standard deviation.
static void compare_forecast(golden *g, const char *name, const double *got, uint32_t S) {
    double *want = numbers(g, name, NULL), worst = 0;
    for (size_t i = 0; want != NULL && i < (size_t)g->B * g->V * g->H * S; i++) {
        worst = worse(worst, fabs(got[i] - want[i]) / g->std[i / ((size_t)g->H * S)]);
    }
    if (want != NULL) { report(g, name, worst, g->limit, "std"); }
    free(want);
}

static double *read_tensor(const rp_tensor *t) {
    double *out = take(rp_tensor_count(t) + 1, sizeof *out);
    if (t->buffer->device->backend->read(t->buffer, t->offset, t->dtype, out, RP_F64, rp_tensor_count(t)) != RP_OK) { out[0] = NAN; }
    return out;
}

// An activation is found in the forecaster's activation buffer.
static double *read_activation(const toto_forecaster *f, const rp_tensor *t) {
    rp_tensor placed = *t;
    if (placed.buffer == NULL) { placed.buffer = f->activations; }
    return read_tensor(&placed);
}

static void compare_taps(golden *g, const toto_forecaster *f) {
    for (uint32_t i = 0; i < f->n_taps; i++) {
        uint64_t count;
        double *want = numbers(g, f->taps[i].name, &count), *got, worst = 0;
        if (want == NULL) { continue; }
        got = read_activation(f, f->taps[i].tensor);
        for (uint64_t j = 0; j < count; j++) { worst = worse(worst, fabs(got[j] - want[j]) / fmax(1, fabs(want[j]))); }
        report(g, f->taps[i].name, worst, g->limit, "(rel. above 1)");
        free(want), free(got);
    }
}

// One parameter of a step's distribution: golden [S B, V, P, k] sample-major, ours [B, S, V, P, parts, k], S = 1 for step 0.
static void compare_part(golden *g, uint32_t step, const char *name, const double *got, uint32_t parts, uint32_t part, uint32_t k,
                         bool in_std) {
    char full[64];
    snprintf(full, sizeof full, "step%u.%s", step, name);
    uint64_t count;
    double *want = numbers(g, full, &count), worst = 0;
    if (want == NULL) { return; }
    const uint32_t P = (uint32_t)(count / ((uint64_t)g->S * g->B * g->V * k));   // 1 for loc and scale of StdMeanScaler
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t c = i % k, p = i / k % P, v = i / k / P % g->V, row = i / k / P / g->V, b = row % g->B, s = row / g->B;
        const uint64_t ours = step == 0 ? b * g->V + v : (b * g->S + s) * g->V + v;
        const double unit = in_std ? g->std[b * g->V + v] : fmax(1, fabs(want[i]));
        worst = worse(worst, fabs(got[((ours * g->P + p) * parts + part) * k + c] - want[i]) / unit);
    }
    report(g, full, worst, g->limit, in_std ? "std" : "(rel. above 1)");
    free(want);
}

static void compare_step(golden *g, const toto_forecaster *f, uint32_t step) {
    static const char *const names[] = { "df", "loc", "scale", "probs" };
    const uint32_t k = ((const toto_model *)g->model)->config.components;
    double *dist = read_activation(f, step == 0 ? f->sample.start_dist : f->sample.step_dist);
    double *affine = read_activation(f, step == 0 ? f->sample.start_affine : f->sample.step_affine);
    for (uint32_t i = 0; i < 4; i++) { compare_part(g, step, names[i], dist, 4, i, k, false); }
    compare_part(g, step, "affine_loc", affine, 2, 0, 1, true);
    compare_part(g, step, "affine_scale", affine, 2, 1, 1, true);
    free(dist), free(affine);
}

static rp_status after_replay(void *user, toto_forecaster *f, uint32_t replay) {
    golden *g = user;
    const uint32_t steps = (g->H + g->P - 1) / g->P;
    if (replay == 0) { compare_taps(g, f); }
    if (replay >= 1 && replay <= steps) { compare_step(g, f, replay - 1); }
    return RP_OK;
}

// ---- runs ----

static bool create_forecaster(golden *g, uint32_t paths, bool forced, message *error) {
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = g->T, config.max_horizon = g->H, config.variates = g->V, config.max_batch = g->B;
    config.max_paths = paths;
    rp_forecaster_destroy(g->forecaster);
    rp_status status = toto_forecaster_create_with(g->model, &config, forced, forced, &g->forecaster);
    return status == RP_OK || failed(error, g->device, status);
}

static bool run_mean(golden *g, message *error) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = g->H, config.exogenous = g->E;
    double *out = take((size_t)g->B * g->V * g->H, sizeof *out);
    rp_status status = toto_forecast_traced((toto_forecaster *)g->forecaster, g->series, g->B, &config, NULL, NULL, NULL, out);
    if (status == RP_OK) { compare_forecast(g, "expect.mean_kv", out, 1); }
    free(out);
    return status == RP_OK || failed(error, g->device, status);
}

static bool run_forced(golden *g, message *error) {
    const uint32_t steps = (g->H + g->P - 1) / g->P;
    const size_t one = (size_t)g->S * g->B * g->V * g->P;
    double *forced = take(steps * one, sizeof *forced), *out = take((size_t)g->B * g->V * g->H * g->S, sizeof *out);
    for (uint32_t i = 0; i < steps; i++) {
        char name[32];
        uint64_t count = 0;
        snprintf(name, sizeof name, "step%u.sample", i);
        double *draws = numbers(g, name, &count);
        if (draws == NULL || count != one) { return message_set(error, "%s is missing or not [S B, V, P]", name); }
        memcpy(forced + i * one, draws, one * sizeof *draws);
        free(draws);
    }
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = g->H, config.exogenous = g->E, config.paths = g->S;
    rp_status status = toto_forecast_traced((toto_forecaster *)g->forecaster, g->series, g->B, &config, forced, after_replay, g, out);
    if (status == RP_OK) { compare_forecast(g, "expect.forced_samples", out, g->S); }
    free(forced), free(out);
    return status == RP_OK || failed(error, g->device, status);
}

// Our quantiles of `samples` paths against the original's. The standard error of ours follows from theirs and the counts.
static bool run_quantiles(golden *g, const golden_options *options, uint32_t their_paths, message *error) {
    uint64_t n_levels;
    double *levels = numbers(g, "quantile_levels", &n_levels), *want = numbers(g, "expect.quantiles", NULL);
    double *se = numbers(g, "expect.quantiles_se", NULL);
    const size_t n = (size_t)g->V * g->H;
    float *got = take(n_levels * n, sizeof *got), *level = take(n_levels, sizeof *level);
    for (uint64_t i = 0; i < n_levels; i++) { level[i] = (float)levels[i]; }
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.horizon = g->H, config.paths = options->samples, config.seed = options->seed;
    config.quantile_levels = level, config.n_quantiles = (uint32_t)n_levels;
    result.quantiles = got;
    rp_status status = rp_forecast(g->forecaster, g->series, 1, &config, &result);
    if (status == RP_OK) {
        const double factor = sqrt(1 + (double)their_paths / options->samples);
        double sum = 0, worst = 0;
        for (size_t i = 0; i < n_levels * n; i++) {
            const double z = fabs(got[i] - want[i]) / (se[i] * factor);
            sum += z * z;
            worst = worse(worst, z);
        }
        report(g, "expect.quantiles, rms", sqrt(sum / (double)(n_levels * n)), QUANTILES_RMS, "std. errors");
        report(g, "expect.quantiles, worst", worst, QUANTILES_WORST, "std. errors");
    }
    free(levels), free(want), free(se), free(got), free(level);
    return status == RP_OK || failed(error, g->device, status);
}

static bool open_model(golden *g, const char *folder, rp_precision precision, bool extra, message *error) {
    rp_error text;
    rp_config *config = NULL;
    char *path = rp_path_join(folder, "config.json");
    rp_status status = path ? rp_config_open(path, &config, &text) : RP_OUT_OF_MEMORY;
    free(path);
    if (status != RP_OK) { return message_set(error, "%s", text.text); }
    if (!rp_family_toto.recognises(config)) {
        rp_config_close(config);
        return message_set(error, "%s is not a Toto 1.0 checkpoint", folder);
    }
    status = toto_load(g->device, folder, config, precision, extra ? g->file : NULL, &g->model);
    rp_config_close(config);
    return status == RP_OK || failed(error, g->device, status);
}

// B, V, T and H from the tensors themselves.
static bool read_sizes(golden *g, message *error) {
    const rp_weight *series = rp_weights_find(g->file, "input.series"), *mean = rp_weights_find(g->file, "expect.mean_kv");
    const rp_weight *forced = rp_weights_find(g->file, "expect.forced_samples");
    const rp_weight *future = rp_weights_find(g->file, "input.future_exogenous");
    if (series == NULL || mean == NULL || series->n_dims < 2 || series->n_dims > 3 || mean->n_dims != series->n_dims) {
        return message_set(error, "no golden of Toto: input.series or expect.mean_kv is missing");
    }
    const uint32_t n = series->n_dims;
    g->B = n == 3 ? (uint32_t)series->dims[0] : 1;
    g->V = (uint32_t)series->dims[n - 2], g->T = (uint32_t)series->dims[n - 1], g->H = (uint32_t)mean->dims[n - 1];
    g->S = forced && forced->n_dims == 4 ? (uint32_t)forced->dims[3] : 0;
    g->E = future && future->n_dims == 3 ? (uint32_t)future->dims[1] : 0;
    return true;
}

// The last part of a path.
static const char *stem_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static double read_limit(rp_device *device, const char *path_of_case, bool is_folder, bool mixed) {
    const char *folder = is_folder ? path_of_case : NULL;
    double own = 0;
    rp_error error;
    rp_config *config = NULL;
    if (device->info.kind == RP_DEVICE_REFERENCE) { return LIMIT_REFERENCE; }
    char *path = folder ? rp_path_join(folder, "case.json") : NULL;
    if (path != NULL && rp_config_open(path, &config, &error) == RP_OK) {
        if (rp_config_f64_or(config, "fp32_vs_fp64", 0, 1, 0, &own, &error) != RP_OK) { own = 0; }
    }
    rp_config_close(config);
    free(path);
    for (size_t i = 0; mixed && i < sizeof f16_autocast / sizeof *f16_autocast; i++) {
        if (strcmp(stem_of(path_of_case), f16_autocast[i].name) == 0) { return f16_autocast[i].limit; }
    }
    return mixed ? MIXED_FACTOR * own : fmax(LIMIT_F32, F32_FACTOR * own);
}

static bool run(golden *g, const char *path, bool is_folder, const golden_options *options, message *error) {
    rp_error text;
    char *file = is_folder ? rp_path_join(path, "golden.safetensors") : take_text(path);
    rp_status status = rp_weights_open_file(file, &g->file, &text);
    free(file);
    if (status != RP_OK) { return message_set(error, "%s", text.text); }
    if (!read_sizes(g, error)) { return false; }
    const char *folder = options->model ? options->model : path;
    const bool labels = rp_weights_find(g->file, "model.target_variate_label") != NULL;
    if (!is_folder && options->model == NULL) { return message_set(error, "a golden file needs --model DIR, the weights it was made with"); }
    if (!open_model(g, folder, options->precision, labels, error)) { return false; }
    g->P = ((toto_model *)g->model)->config.patch;
    g->limit = read_limit(g->device, path, is_folder, g->model->info.precision == RP_PRECISION_MIXED);
    read_inputs(g);
    const bool quantiles = rp_weights_find(g->file, "expect.quantiles") != NULL;
    if (!create_forecaster(g, g->S ? g->S : quantiles ? options->samples : 1, g->S > 0, error) || !run_mean(g, error)) { return false; }
    if (rp_weights_find(g->file, "expect.mean_nokv") != NULL) {
        printf("  %-28s not compared: recomputing without a cache is another definition\n", "expect.mean_nokv");
    }
    if (g->S > 0 && !run_forced(g, error)) { return false; }
    return !quantiles || run_quantiles(g, options, 8192, error);   // demo-toto's goldens come from 8192 paths
}

bool golden_run(rp_device *device, const char *path, const golden_options *options, golden_count *count, message *error) {
    golden g = { .device = device, .count = count };
    printf("%s\n", path);
    bool ok = run(&g, path, rp_path_is_folder(path), options, error);
    rp_forecaster_destroy(g.forecaster);
    rp_model_destroy(g.model);
    rp_weights_close(g.file);
    free(g.values), free(g.mask), free(g.groups), free(g.future), free(g.std), free(g.series);
    return ok;
}
