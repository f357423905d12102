// Goldens of Toto 2.0: nine quantiles of each run, and the intermediate tensors of the first.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "golden_parts.h"
#include "platform.h"
#include "toto2.h"

#define LEVELS RP_BLOCK_QUANTILES
#define TAPPED_RUN "single"

typedef struct toto2_golden {
    golden base;
    uint32_t B, V, X, T, H;    // V targets, X known covariates behind them
    double *std;               // [B, V] of the real steps
    rp_series *series;         // [B]
    float *values, *future;    // [B, V + X, T], [B, X, H]
    uint8_t *mask;             // [B, V + X, T]
    int32_t *groups;           // [B, V + X]
} toto2_golden;

// ---- inputs ----

static bool read_sizes(toto2_golden *g, message *error) {
    const rp_weight *series = rp_weights_find(g->base.file, "input.series"), *first = rp_weights_find(g->base.file, "expect.single");
    const rp_weight *known = rp_weights_find(g->base.file, "input.known_dynamic");
    if (series == NULL || first == NULL || series->n_dims != 3 || first->n_dims != 4 || (known != NULL && known->n_dims != 3)) {
        return message_set(error, "no golden of Toto 2.0: input.series or expect.single is missing");
    }
    g->B = (uint32_t)series->dims[0], g->V = (uint32_t)series->dims[1], g->T = (uint32_t)series->dims[2];
    g->H = (uint32_t)first->dims[3];
    g->X = known ? (uint32_t)known->dims[1] : 0;
    return true;
}

static void read_variate(toto2_golden *g, uint32_t b, uint32_t v, const double *values, const double *mask, const double *known) {
    const size_t to = ((size_t)b * (g->V + g->X) + v) * g->T, from = ((size_t)b * g->V + v) * g->T, whole = g->T + g->H;
    double count = 0, sum = 0, square = 0;
    for (size_t t = 0; t < g->T; t++) {
        g->values[to + t] = (float)(v < g->V ? values[from + t] : known[((size_t)b * g->X + v - g->V) * whole + t]);
        g->mask[to + t] = v >= g->V || mask[from + t] != 0;
    }
    for (size_t t = 0; t < g->H && v >= g->V; t++) {
        const size_t row = (size_t)b * g->X + v - g->V;
        g->future[row * g->H + t] = (float)known[row * whole + g->T + t];
    }
    if (v >= g->V) { return; }
    for (size_t t = 0; t < g->T; t++) {
        if (g->mask[to + t]) { count++, sum += values[from + t]; }
    }
    for (size_t t = 0; t < g->T; t++) {
        if (g->mask[to + t]) { square += pow(values[from + t] - sum / count, 2); }
    }
    g->std[b * g->V + v] = sqrt(square / count);
}

static void read_inputs(toto2_golden *g) {
    const size_t W = g->V + g->X;
    double *values = golden_numbers(&g->base, "input.series", NULL), *mask = golden_numbers(&g->base, "input.mask", NULL);
    double *ids = golden_numbers(&g->base, "input.series_ids", NULL), *known = golden_numbers(&g->base, "input.known_dynamic", NULL);
    g->values = take(g->B * W * g->T, sizeof *g->values);
    g->mask = take(g->B * W * g->T, sizeof *g->mask);
    g->groups = take(g->B * W, sizeof *g->groups);
    g->future = take((size_t)g->B * g->X * g->H, sizeof *g->future);
    g->std = take((size_t)g->B * g->V, sizeof *g->std);
    g->series = take(g->B, sizeof *g->series);
    for (uint32_t b = 0; b < g->B; b++) {
        for (uint32_t v = 0; v < W; v++) {
            read_variate(g, b, v, values, mask, known);
            g->groups[b * W + v] = (int32_t)ids[b * g->V + (v < g->V ? v : 0)];   // covariates are the first target's
        }
        g->series[b] = (rp_series){ .struct_size = sizeof(rp_series), .values = g->values + b * W * g->T, .mask = g->mask + b * W * g->T,
                                    .group_ids = g->groups + b * W, .context = g->T, .id = b,
                                    .future = g->X ? g->future + (size_t)b * g->X * g->H : NULL };
    }
    free(values), free(mask), free(ids), free(known);
}

// ---- comparisons ----

// Bounds, in standard deviations. The original takes the root of its norms in float32 at any precision, so block decode, which
// feeds medians back, carries some of its float32 error into its float64: the reference may differ by a tenth of that.
#define REFERENCE_FACTOR 0.1

static double limit_of(const toto2_golden *g, double own) {
    rp_device *device = g->base.device;
    const double limit = golden_limit_of(device, own);
    if (g->base.model->info.precision == RP_PRECISION_MIXED) { return MIXED_FACTOR * own; }
    return device->info.kind == RP_DEVICE_REFERENCE ? fmax(limit, REFERENCE_FACTOR * own) : limit;
}

// Levels [9, B, V, H] of the golden against ours [B, V + X, 9, H], or the golden's own in float32, in standard deviations.
static double distance(const toto2_golden *g, const double *want, const double *got, bool same_order) {
    double worst = 0;
    for (size_t i = 0; i < (size_t)LEVELS * g->B * g->V * g->H; i++) {
        const size_t t = i % g->H, v = i / g->H % g->V, b = i / g->H / g->V % g->B, q = i / g->H / g->V / g->B;
        const size_t ours = same_order ? i : ((b * (g->V + g->X) + v) * LEVELS + q) * g->H + t;
        worst = golden_worse(worst, fabs(got[ours] - want[i]) / g->std[b * g->V + v]);
    }
    return worst;
}

static void compare_levels(toto2_golden *g, const char *run, const double *got) {
    char name[96], f32[112];
    snprintf(name, sizeof name, "expect.%s", run);
    snprintf(f32, sizeof f32, "%s.f32", name);
    double *want = golden_numbers(&g->base, name, NULL), *own = golden_numbers(&g->base, f32, NULL);
    if (want != NULL) {
        const double theirs = own ? distance(g, want, own, true) : 0;
        golden_report(&g->base, name, distance(g, want, got, false), limit_of(g, theirs), "std");
        g->base.limit = fmax(g->base.limit, limit_of(g, theirs));
    }
    free(want), free(own);
}

// [B V, n', D], or variates inside, [B n', V, D], against ours [B V, n, D], which holds all but the last future token.
static void compare_tap(toto2_golden *g, const toto2_forecaster *f, const toto2_tap *tap) {
    char name[96];
    uint64_t count;
    snprintf(name, sizeof name, TAPPED_RUN ".%s", tap->name);
    double *want = golden_numbers(&g->base, name, &count), *got, worst = 0;
    if (want == NULL) { return; }
    const toto2_config *c = &((const toto2_model *)g->base.model)->config;
    const uint64_t D = c->width, W = g->V + g->X, theirs = count / D / g->B / W, ours = rp_tensor_count(tap->tensor) / D / g->B / W;
    const bool embed = strcmp(tap->name, "context_embed") == 0;
    const bool across = !embed && toto2_layer_is_variate(c, (uint32_t)strtoul(tap->name + strlen("layer"), NULL, 10));
    got = golden_read(f->storage.activations, tap->tensor);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t j = i % D, inner = i / D % (across ? W : theirs), outer = i / D / (across ? W : theirs);
        const uint64_t token = across ? outer % theirs : inner, row = across ? outer / theirs * W + inner : outer;
        if (token >= ours) { continue; }
        worst = golden_worse(worst, fabs(got[(row * ours + token) * D + j] / tap->scale - want[i]) / fmax(1, fabs(want[i])));
    }
    golden_report(&g->base, name, worst, g->base.limit, "(rel. above 1)");
    free(want), free(got);
}

static rp_status after_replay(void *user, toto2_forecaster *f, uint32_t replay) {
    toto2_golden *g = user;
    for (uint32_t i = 0; i < f->n_taps && replay == 0; i++) { compare_tap(g, f, &f->taps[i]); }
    return RP_OK;
}

// ---- runs ----

// A run's options, as case.json has them under runs.NAME.
static bool read_options(const rp_config *file, const char *run, rp_forecaster_config *sizes, rp_forecast_config *config, message *error) {
    rp_error text;
    char key[160];
    double cap;
#define KEY(name) (snprintf(key, sizeof key, "runs.%s." name, run), key)
    rp_status status = rp_config_u32_or(file, KEY("decode_block_size"), 1, 1u << 24, 0, &sizes->block, &text);
    if (status == RP_OK) {
        status = rp_config_u32_or(file, KEY("scaler_fallback_min_obs"), 0, 1u << 24, 0, &config->scaler_fallback_min_obs, &text);
    }
    if (status == RP_OK) { status = rp_config_f64_or(file, KEY("quantile_real_cap_k"), 0, 1e6, 0, &cap, &text); }
#undef KEY
    if (status != RP_OK) { return message_set(error, "%s", text.text); }
    config->quantile_real_cap_k = (float)cap;
    return true;
}

static bool run_one(toto2_golden *g, const rp_config *file, const char *run, bool taps, message *error) {
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    sizes.max_context = g->T, sizes.max_horizon = g->H, sizes.variates = g->V + g->X, sizes.max_batch = g->B, sizes.max_paths = 1;
    config.horizon = g->H, config.exogenous = g->X;
    if (!read_options(file, run, &sizes, &config, error)) { return false; }
    rp_forecaster_destroy(g->base.forecaster);
    g->base.forecaster = NULL;
    rp_status status = toto2_forecaster_create_with(g->base.model, &sizes, taps, &g->base.forecaster);
    double *levels = take((size_t)g->B * (g->V + g->X) * LEVELS * g->H, sizeof *levels);
    if (status == RP_OK) {
        status = toto2_forecast_traced((toto2_forecaster *)g->base.forecaster, g->series, g->B, &config, taps ? after_replay : NULL, g, levels);
    }
    if (status == RP_OK && !taps) { compare_levels(g, run, levels); }
    free(levels);
    return status == RP_OK || golden_failed(error, g->base.device, status);
}

// Every expect.NAME, then the tensors behind the first, by the largest bound of the runs.
static bool run_all(toto2_golden *g, const rp_config *file, message *error) {
    bool tapped = false;
    for (uint32_t i = 0; i < rp_weights_count(g->base.file); i++) {
        const char *name = rp_weights_get(g->base.file, i)->name, *run = name + strlen("expect.");
        tapped = tapped || strncmp(name, TAPPED_RUN ".", strlen(TAPPED_RUN ".")) == 0;
        if (strncmp(name, "expect.", strlen("expect.")) != 0 || strchr(run, '.') != NULL) { continue; }
        if (!run_one(g, file, run, false, error)) { return false; }
    }
    return !tapped || run_one(g, file, TAPPED_RUN, true, error);
}

static bool open_model(toto2_golden *g, const char *folder, rp_precision precision, message *error) {
    rp_error text;
    rp_config *config = NULL;
    char *path = rp_path_join(folder, "config.json");
    rp_status status = path ? rp_config_open(path, &config, &text) : RP_OUT_OF_MEMORY;
    free(path);
    if (status != RP_OK) { return message_set(error, "%s", text.text); }
    if (!rp_family_toto2.recognises(config)) {
        rp_config_close(config);
        return message_set(error, "%s is not a Toto 2.0 checkpoint", folder);
    }
    status = toto2_load(g->base.device, folder, config, precision, &g->base.model);
    rp_config_close(config);
    return status == RP_OK || golden_failed(error, g->base.device, status);
}

static bool run(toto2_golden *g, const char *path, bool is_folder, const golden_options *options, message *error) {
    rp_error text;
    rp_config *file = NULL;
    if (!is_folder) { return message_set(error, "a golden of Toto 2.0 is a folder with case.json and golden.safetensors"); }
    if (!read_sizes(g, error) || !open_model(g, options->model ? options->model : path, options->precision, error)) { return false; }
    char *name = rp_path_join(path, "case.json");
    rp_status status = name ? rp_config_open(name, &file, &text) : RP_OUT_OF_MEMORY;
    free(name);
    if (status != RP_OK) { return message_set(error, "%s", text.text); }
    read_inputs(g);
    const bool ok = run_all(g, file, error);
    rp_config_close(file);
    return ok;
}

bool golden_run_toto2(golden *base, const char *path, bool is_folder, const golden_options *options, message *error) {
    toto2_golden g = { .base = *base };
    const bool ok = run(&g, path, is_folder, options, error);
    *base = g.base;
    free(g.values), free(g.mask), free(g.groups), free(g.future), free(g.std), free(g.series);
    return ok;
}
