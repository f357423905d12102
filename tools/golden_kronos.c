// Goldens of Kronos: tokens of the context and of a greedy forecast, logits of each step, bars; quantiles of samples.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "golden_parts.h"
#include "kronos.h"
#include "platform.h"

#define COLUMNS RP_BAR_COLUMNS
#define THEIR_TOP_P 0.9f    // of demo-kronos' goldens, at temperature 1
#define BOOTSTRAPS 100u

typedef struct kronos_golden {
    golden base;
    uint32_t B, L, H, window;  // window 0: the model's own
    double *std;               // [B, 6]
    float *columns;            // [B, 6, L]
    uint8_t *stamps;           // [B, L + H, 5]
    rp_bars *bars;             // [B]
    golden_draws draws;        // of the greedy forecast
} kronos_golden;

// ---- inputs ----

static bool read_sizes(kronos_golden *g, const char *folder, message *error) {
    const rp_weight *bars = rp_weights_find(g->base.file, "input.ohlcva"), *stamps = rp_weights_find(g->base.file, "input.stamps");
    if (bars == NULL || stamps == NULL || bars->n_dims < 2 || bars->n_dims > 3 || stamps->n_dims != bars->n_dims) {
        return message_set(error, "no golden of Kronos: input.ohlcva or input.stamps is missing");
    }
    const uint32_t n = bars->n_dims;
    g->B = n == 3 ? (uint32_t)bars->dims[0] : 1;
    g->L = (uint32_t)bars->dims[n - 2], g->H = (uint32_t)(stamps->dims[n - 2] - bars->dims[n - 2]);
    if (folder == NULL) { return true; }
    rp_config *config = NULL;
    rp_error text;
    char *path = rp_path_join(folder, "case.json");
    rp_status status = path ? rp_config_open(path, &config, &text) : RP_OUT_OF_MEMORY;
    if (status == RP_OK) { status = rp_config_u32(config, "max_context", 1, 1u << 24, &g->window, &text); }
    rp_config_close(config);
    free(path);
    return status == RP_OK || message_set(error, "%s", text.text);
}

static void read_inputs(kronos_golden *g) {
    const uint32_t B = g->B, L = g->L, T = g->L + g->H;
    double *bars = golden_numbers(&g->base, "input.ohlcva", NULL), *stamps = golden_numbers(&g->base, "input.stamps", NULL);
    g->columns = take((size_t)B * COLUMNS * L, sizeof *g->columns);
    g->stamps = take((size_t)B * T * RP_BAR_STAMPS, sizeof *g->stamps);
    g->std = take((size_t)B * COLUMNS, sizeof *g->std);
    g->bars = take(B, sizeof *g->bars);
    for (size_t i = 0; i < (size_t)B * T * RP_BAR_STAMPS; i++) { g->stamps[i] = (uint8_t)stamps[i]; }
    for (uint32_t row = 0; row < B * COLUMNS; row++) {
        float *column = g->columns + (size_t)row * L;
        double sum = 0, square = 0;
        for (uint32_t t = 0; t < L; t++) {
            column[t] = (float)bars[((size_t)row / COLUMNS * L + t) * COLUMNS + row % COLUMNS];
            sum += column[t];
        }
        for (uint32_t t = 0; t < L; t++) { square += pow(column[t] - sum / L, 2); }
        g->std[row] = sqrt(square / L);
    }
    for (uint32_t b = 0; b < B; b++) {
        const float *at = g->columns + (size_t)b * COLUMNS * L;
        g->bars[b] = (rp_bars){ .struct_size = sizeof(rp_bars), .open = at, .high = at + L, .low = at + 2 * L, .close = at + 3 * L,
                                .volume = at + 4 * L, .amount = at + 5 * L, .stamps = g->stamps + (size_t)b * T * RP_BAR_STAMPS,
                                .context = L, .id = b };
    }
    free(bars), free(stamps);
}

// ---- comparisons ----

// How many of our numbers are not theirs, bit for bit. got: element (row, i) at (row * stride + i * step + offset).
static void compare_exact(kronos_golden *g, const char *name, const double *got, uint64_t row_length, uint64_t stride, uint64_t step,
                          uint64_t offset) {
    uint64_t count;
    double *want = golden_numbers(&g->base, name, &count), different = 0;
    if (want == NULL) { return; }
    for (uint64_t i = 0; i < count; i++) {
        const double ours = got[i / row_length * stride + i % row_length * step + offset];
        different += !(ours == want[i]);
    }
    golden_report(&g->base, name, different, 0, "differ");
    free(want);
}

static void compare_input(kronos_golden *g, const kronos_forecaster *f) {
    double *affine = golden_read(f->storage.activations, f->affine), *x = golden_read(f->storage.activations, f->normalised_input);
    double *tokens = golden_read(f->storage.activations, f->context);
    compare_exact(g, "expect.x_mean", affine, COLUMNS, COLUMNS * 2, 2, 0);
    compare_exact(g, "expect.x_std", affine, COLUMNS, COLUMNS * 2, 2, 1);
    compare_exact(g, "expect.x_norm", x, (uint64_t)g->L * COLUMNS, (uint64_t)g->L * COLUMNS, 1, 0);
    compare_exact(g, "expect.context_s1", tokens, g->L, (uint64_t)g->L * 2, 2, 0);
    compare_exact(g, "expect.context_s2", tokens, g->L, (uint64_t)g->L * 2, 2, 1);
    free(affine), free(x), free(tokens);
}

// [B, H, 2], read as far as they are drawn: up to bar `step` of each series.
static double *read_tokens(const kronos_forecaster *f, const rp_tensor *tokens, uint32_t B, uint32_t H, uint32_t step) {
    double *all = take((size_t)B * H * 2 + 1, sizeof *all);
    for (uint32_t b = 0; b < B; b++) {
        rp_tensor drawn = *tokens;
        drawn.n_dims = 2, drawn.shape[0] = step + 1, drawn.shape[1] = 2;
        drawn.offset += (uint64_t)b * H * 2 * 4;
        double *some = golden_read(f->storage.activations, &drawn);
        memcpy(all + (size_t)b * H * 2, some, (size_t)(step + 1) * 2 * sizeof *some);
        free(some);
    }
    return all;
}

static void compare_draws(kronos_golden *g, const kronos_forecaster *f, uint32_t step, const kronos_taps *taps, const rp_tensor *drawn) {
    const rp_tensor *const tensors[] = { taps->s1, taps->s2 };
    double *tokens = read_tokens(f, drawn, g->B, g->H, step);
    for (uint32_t i = 0; i < 2; i++) {
        double *logits = golden_read(f->storage.activations, tensors[i]);
        golden_draws_take(&g->draws, &g->base, step, i, logits, (uint32_t)(rp_tensor_count(tensors[i]) / g->B), tokens);
        free(logits);
    }
    free(tokens);
}

// In units of each column's standard deviation, or as they are; want [B, H, 6], got [B, 6, H] or, `rows`, [B, H, 6]. Of the bars
// before tokens part.
static double distance(const kronos_golden *g, const double *want, const double *got, bool in_std, bool rows) {
    double worst = 0;
    for (size_t i = 0; i < (size_t)g->B * g->H * COLUMNS; i++) {
        const size_t c = i % COLUMNS, t = i / COLUMNS % g->H, b = i / COLUMNS / g->H;
        if (t >= g->draws.alike[b]) { continue; }
        const double ours = got[rows ? i : (b * COLUMNS + c) * g->H + t];
        worst = golden_worse(worst, fabs(ours - want[i]) / (in_std ? g->std[b * COLUMNS + c] : 1));
    }
    return worst;
}

// `name`, and what the original did in float32 as `name`.f32.
static void compare_bars(kronos_golden *g, const char *name, const double *got, bool in_std, bool rows) {
    char in_f32[64];
    snprintf(in_f32, sizeof in_f32, "%s.f32", name);
    double *want = golden_numbers(&g->base, name, NULL), *theirs = golden_numbers(&g->base, in_f32, NULL);
    if (want != NULL) {
        const double own = theirs ? distance(g, want, theirs, in_std, true) : 0;
        // Of what float32 is allowed, a third is the original's own.
        const double limit = golden_limit_of(g->base.device, own) * (g->draws.mixed ? MIXED_FACTOR / F32_FACTOR : 1);
        golden_report(&g->base, name, distance(g, want, got, in_std, rows), limit, in_std ? "std" : "");
    }
    free(want), free(theirs);
}

static rp_status after_replay(void *user, kronos_forecaster *f, const kronos_decode *d, const rp_run *run) {
    kronos_golden *g = user;
    if (run == &f->prompt) { compare_input(g, f); }
    const kronos_taps *taps = run == &d->start ? &d->start_taps : run == &d->step ? &d->step_taps : run == &d->slide ? &d->slide_taps : NULL;
    if (taps != NULL) {
        const uint32_t step = run == &d->slide ? f->storage.queue.mirror.step : f->storage.queue.mirror.step - 1;   // `slide` leaves the moving on to others
        compare_draws(g, f, step, taps, d->tokens);
    }
    if (run == &d->finish) {
        double *tokens = golden_read(f->storage.activations, d->tokens), *bars = golden_read(f->storage.activations, d->normalised);
        golden_draws_report_tokens(&g->base, &g->draws, tokens);
        compare_bars(g, "expect.normalised", bars, false, true);
        free(tokens), free(bars);
    }
    return RP_OK;
}

// ---- runs ----

static bool create_forecaster(kronos_golden *g, uint32_t paths, bool taps, message *error) {
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = g->L, config.max_horizon = g->H, config.variates = 1, config.max_batch = g->B;
    config.max_paths = paths, config.window = g->window;
    rp_forecaster_destroy(g->base.forecaster);
    rp_status status = kronos_forecaster_create_with(g->base.model, &config, taps, &g->base.forecaster);
    return status == RP_OK || golden_failed(error, g->base.device, status);
}

static bool run_greedy(kronos_golden *g, message *error) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = g->H;
    double *out = take((size_t)g->B * COLUMNS * g->H, sizeof *out);
    if (!create_forecaster(g, 1, true, error)) { return false; }
    rp_status status = kronos_forecast_traced((kronos_forecaster *)g->base.forecaster, g->bars, g->B, &config, after_replay, g, out);
    if (status == RP_OK) {
        golden_draws_report_logits(&g->base, &g->draws);
        compare_bars(g, "expect.forecast", out, true, false);
        compare_bars(g, "expect.greedy", out, true, false);
    }
    free(out);
    return status == RP_OK || golden_failed(error, g->base.device, status);
}

// The level's quantile of S numbers that stand `counts` times each in ascending order; linear between order statistics.
static double counted_quantile(const float *sorted, const uint32_t *counts, uint32_t S, double level) {
    const double at = level * (S - 1);
    const uint32_t below = (uint32_t)at, above = below + 1 < S ? below + 1 : below;
    uint32_t seen = 0, i = 0, j;
    while (seen + counts[i] <= below) { seen += counts[i++]; }
    for (j = i; seen + counts[j] <= above; j++) { seen += counts[j]; }
    return sorted[i] + (at - below) * ((double)sorted[j] - sorted[i]);
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Standard errors of the quantiles of S numbers, by bootstrap: tokens make them clump, so no formula will do. Sorts the numbers.
static void bootstrap(float *numbers, uint32_t S, const float *levels, uint32_t n_levels, uint64_t *random, double *se) {
    double sum[16] = { 0 }, square[16] = { 0 };
    uint32_t *counts = take(S, sizeof *counts);
    qsort(numbers, S, sizeof *numbers, ascending);
    for (uint32_t round = 0; round < BOOTSTRAPS; round++) {
        memset(counts, 0, S * sizeof *counts);
        for (uint32_t i = 0; i < S; i++) {
            *random = *random * 6364136223846793005u + 1442695040888963407u;   // Knuth's linear congruence, its upper bits
            counts[(*random >> 33) % S]++;
        }
        for (uint32_t q = 0; q < n_levels; q++) {
            const double value = counted_quantile(numbers, counts, S, levels[q]) - numbers[S / 2];
            sum[q] += value, square[q] += value * value;
        }
    }
    for (uint32_t q = 0; q < n_levels; q++) { se[q] = sqrt(fmax(0, square[q] / BOOTSTRAPS - pow(sum[q] / BOOTSTRAPS, 2))); }
    free(counts);
}

// Our quantiles of `samples` paths against the original's, in combined standard errors: theirs from the file, ours by bootstrap.
static bool run_quantiles(kronos_golden *g, const golden_options *options, message *error) {
    uint64_t n_levels;
    double *levels = golden_numbers(&g->base, "quantile_levels", &n_levels), *want = golden_numbers(&g->base, "expect.quantiles", NULL);
    double *se = golden_numbers(&g->base, "expect.quantiles_se", NULL), own[16];
    const uint32_t S = options->samples, rows = COLUMNS * g->H;
    float *samples = take((size_t)rows * S, sizeof *samples), *got = take(n_levels * rows, sizeof *got), level[16];
    if (n_levels > 16) { return message_set(error, "quantile_levels has more than 16 levels"); }
    for (uint64_t i = 0; i < n_levels; i++) { level[i] = (float)levels[i]; }
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.horizon = g->H, config.paths = S, config.seed = options->seed, config.top_p = THEIR_TOP_P;
    config.quantile_levels = level, config.n_quantiles = (uint32_t)n_levels;
    result.quantiles = got, result.samples = samples;
    const bool made = create_forecaster(g, S, false, error);
    rp_status status = made ? rp_forecast_bars(g->base.forecaster, g->bars, 1, &config, &result) : RP_INTERNAL;
    double sum = 0, worst = 0;
    uint64_t random = options->seed;
    for (uint32_t row = 0; status == RP_OK && row < rows; row++) {   // theirs [levels, H, 6], ours [levels, 6, H]
        bootstrap(samples + (size_t)row * S, S, level, (uint32_t)n_levels, &random, own);
        for (uint32_t q = 0; q < n_levels; q++) {
            const size_t theirs = (size_t)q * rows + row % g->H * COLUMNS + row / g->H;
            const double away = fabs(got[(size_t)q * rows + row] - want[theirs]), z = away == 0 ? 0 : away / hypot(se[theirs], own[q]);
            sum += z * z;
            worst = golden_worse(worst, z);
        }
    }
    if (status == RP_OK) {
        golden_report(&g->base, "expect.quantiles, rms", sqrt(sum / (double)(n_levels * rows)), QUANTILES_RMS, "std. errors");
        golden_report(&g->base, "expect.quantiles, worst", worst, QUANTILES_WORST, "std. errors");
    }
    free(levels), free(want), free(se), free(got), free(samples);
    return status == RP_OK || (made && golden_failed(error, g->base.device, status));
}

static bool open_model(kronos_golden *g, const char *folder, rp_precision precision, message *error) {
    rp_model_config config = RP_MODEL_CONFIG_INIT;
    config.precision = precision;
    rp_status status = rp_model_load(g->base.device, folder, &config, &g->base.model);
    if (status != RP_OK) { return golden_failed(error, g->base.device, status); }
    if (g->base.model->family != &rp_family_kronos) { return message_set(error, "%s is not a Kronos checkpoint", folder); }
    return true;
}

static bool run(kronos_golden *g, const char *path, bool is_folder, const golden_options *options, message *error) {
    if (!is_folder && options->model == NULL) { return message_set(error, "a golden file needs --model DIR, the weights it was made with"); }
    if (!read_sizes(g, is_folder ? path : NULL, error)) { return false; }
    if (!open_model(g, options->model ? options->model : path, options->precision, error)) { return false; }
    read_inputs(g);
    golden_draws_begin(&g->draws, &g->base, path, golden_is_mixed(&g->base), g->B, g->H);
    if (!run_greedy(g, error)) { return false; }
    return rp_weights_find(g->base.file, "expect.quantiles") == NULL || run_quantiles(g, options, error);
}

bool golden_run_kronos(golden *base, const char *path, bool is_folder, const golden_options *options, message *error) {
    kronos_golden g = { .base = *base };
    const bool ok = run(&g, path, is_folder, options, error);
    *base = g.base;
    golden_draws_free(&g.draws);
    free(g.std), free(g.columns), free(g.stamps), free(g.bars);
    return ok;
}
