// One forecast: inputs into host-visible memory, replays queued, results taken from host-visible memory at the end.
#include <math.h>
#include <string.h>

#include "results.h"
#include "series.h"
#include "toto2.h"

#define LEVELS RP_BLOCK_QUANTILES

// Where a level lies among the nine: 0 for 0.1 to 8 for 0.9.
static double place_of(float level) {
    const double place = (double)level * 10 - 1, whole = round(place);
    return fabs(place - whole) < 1e-6 ? whole : place;   // 0.3f is not 0.3
}

static rp_status check_options(const toto2_forecaster *f, const rp_forecast_config *config) {
    rp_device *device = f->base.model->device;
    if (!(config->quantile_real_cap_k >= 0) || isinf(config->quantile_real_cap_k)) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "rp_forecast_config.quantile_real_cap_k is %g; it is a number of standard deviations, 0 for no cap.",
                       (double)config->quantile_real_cap_k);
    }
    for (uint32_t i = 0; i < config->n_quantiles; i++) {
        const double place = place_of(config->quantile_levels[i]);
        if (!(place >= 0 && place <= LEVELS - 1)) {
            return rp_fail(device, RP_INVALID_ARGUMENT,
                           "Quantile level %u is %g; Toto 2.0 knows the levels from 0.1 to 0.9 and says nothing beyond them.", i,
                           (double)config->quantile_levels[i]);
        }
    }
    return RP_OK;
}

static rp_status put(const toto2_forecaster *f, const rp_tensor *to, uint64_t first, rp_dtype type, const void *from, uint64_t count) {
    return f->base.model->device->backend->write(to->buffer, to->offset + first * rp_dtype_size(type), type, from, type, count);
}

// One series into its place b: padded on the left to whole patches, then left-aligned; the future follows the context. Every step
// of the last patch but padding counts as observed.
static rp_status put_series(toto2_forecaster *f, const rp_series *s, uint32_t b, const rp_forecast_config *config) {
    const uint32_t V = f->base.config.variates, P = ((toto2_model *)f->base.model)->config.patch;
    const uint32_t n_patches = (s->context + P - 1) / P, pad = n_patches * P - s->context, T = n_patches * P;
    const size_t length = (size_t)(f->patches + f->future) * P, row = V * length;
    float *values = f->storage.scratch, *seen = values + row;
    memset(values, 0, 2 * row * sizeof *values);
    for (uint32_t v = 0; v < V; v++) {
        const float *from = s->values ? s->values + (size_t)v * s->context : NULL;
        const uint8_t *mask = s->mask ? s->mask + (size_t)v * s->context : NULL;
        float *to = values + v * length + pad, *to_seen = seen + v * length + pad;
        for (uint32_t t = 0; t < s->context && s->values != NULL; t++) { to[t] = fabsf(from[t]) <= RP_SERIES_MOST ? from[t] : 0; }   // only masked ones are not
        for (uint32_t t = 0; t < s->context; t++) { to_seen[t] = mask == NULL || mask[t] != 0; }
        for (uint32_t t = s->context > P ? s->context - P : 0; t < s->context; t++) { to_seen[t] = 1; }
        const uint32_t known = v + config->exogenous < V ? 0 : config->horizon, e = v + config->exogenous - V;
        for (uint32_t t = 0; t < known; t++) {
            values[v * length + T + t] = s->future ? s->future[(size_t)e * config->horizon + t] : 0;
            seen[v * length + T + t] = 1;
        }
    }
    RP_RETURN(put(f, f->staged.series, b * row, RP_F32, values, row));
    RP_RETURN(put(f, f->staged.series, (f->base.config.max_batch + (size_t)b) * row, RP_F32, seen, row));
    RP_RETURN(put(f, f->staged.n_patches, b, RP_U32, &n_patches, 1));
    for (uint32_t v = 0; v < V; v++) {
        const int32_t group = s->group_ids ? s->group_ids[v] : 0;
        RP_RETURN(put(f, f->staged.group_ids, (uint64_t)b * V + v, RP_I32, &group, 1));
    }
    return RP_OK;
}

static rp_status put_inputs(toto2_forecaster *f, const rp_series *series, uint32_t n_series, const rp_forecast_config *config) {
    const struct rp_step step = { .batch = n_series, .paths = 1, .horizon = config->horizon, .exogenous = config->exogenous };
    uint32_t settings[2] = { config->scaler_fallback_min_obs, 0 };
    const uint32_t good = 0;
    memcpy(&settings[1], &config->quantile_real_cap_k, sizeof settings[1]);
    for (uint32_t b = 0; f->staged.bad != NULL && b < f->base.config.max_batch; b++) { RP_RETURN(put(f, f->staged.bad, b, RP_U32, &good, 1)); }
    rp_replays_begin(&f->storage.queue, step);
    RP_RETURN(put(f, f->staged.step, 0, RP_U32, &step, RP_STEP_WORDS));
    RP_RETURN(put(f, f->staged.settings, 0, RP_U32, settings, 2));
    for (uint32_t b = 0; b < f->base.config.max_batch; b++) {   // places without a series repeat the last: finite, and dropped
        RP_RETURN(put_series(f, &series[b < n_series ? b : n_series - 1], b, config));
    }
    return RP_OK;
}

// ---- series from the device ----

// Queues what brings them to where the copy of host_in has left zeros; that has marked what of the future is known.
static rp_status bring(toto2_forecaster *f, const rp_series *series, const rp_device_series *there, uint32_t n_series,
                       const rp_forecast_config *config) {
    const uint32_t B = f->base.config.max_batch, V = f->base.config.variates, P = ((toto2_model *)f->base.model)->config.patch;
    const uint32_t length = (f->patches + f->future) * P;
    rp_device_inputs_begin(&f->storage.from_device);
    for (uint32_t b = 0; b < B; b++) {
        const uint32_t from = b < n_series ? b : n_series - 1, context = series[from].context, pad = (P - context % P) % P;
        const rp_device_series *d = &there[from];
        const rp_device_place bad = { f->staged.bad, b };
        const uint64_t row = (uint64_t)b * V, seen = ((uint64_t)B + b) * V;
        if (d->values.buffer.bytes > 0) {
            const struct rp_pad_rows_params p = { .rows = V, .count = context, .pad = pad, .cap = pad + context, .y_stride = length,
                                                  .whole = context < P ? context : P };
            rp_device_inputs_add(&f->storage.from_device, "series", &d->values, &d->mask, p, (rp_device_place){ f->in.series, row * length },
                                 (rp_device_place){ f->in.series, seen * length }, bad);
        }
        if (d->future.buffer.bytes > 0) {
            const struct rp_pad_rows_params p = { .rows = config->exogenous, .count = config->horizon, .cap = config->horizon,
                                                  .y_stride = length, .known = 1 };
            const uint64_t to = (row + V - config->exogenous) * length + pad + context;
            rp_device_inputs_add(&f->storage.from_device, "known future", &d->future, NULL, p, (rp_device_place){ f->in.series, to },
                                 (rp_device_place){ 0 }, bad);
        }
    }
    return rp_device_inputs_enqueue(&f->storage.from_device);
}

// ---- replays ----

// The replays of one forecast, in order.
static void fill_queue(toto2_forecaster *f, const rp_forecast_config *config, bool collect) {
    const uint32_t P = ((toto2_model *)f->base.model)->config.patch, all = (config->horizon + P - 1) / P;
    if (f->inputs.plan != NULL) { rp_replays_add(&f->storage.queue, &f->inputs); }
    rp_replays_add(&f->storage.queue, &f->prompt);
    for (uint32_t done = f->block; done < all; done += f->block) {
        rp_replays_add(&f->storage.queue, all - done <= f->last_count ? &f->last : &f->round);
    }
    if (collect) { rp_replays_add(&f->storage.queue, &f->collect); }
}

// From the nine levels [rows, 9, horizon_cap] to those that are asked for, linear in level; the mean is the median.
static void fill_result(const toto2_forecaster *f, const float *levels, uint32_t rows, const rp_forecast_config *config,
                        const rp_forecast_result *result) {
    const size_t cap = f->result->shape[3], H = config->horizon;
    for (size_t row = 0; row < rows; row++) {
        const float *of = levels + row * LEVELS * cap;
        if (result->mean != NULL) { memcpy(result->mean + row * H, of + LEVELS / 2 * cap, H * sizeof *of); }
        for (uint32_t q = 0; q < config->n_quantiles && result->quantiles != NULL; q++) {
            const double place = place_of(config->quantile_levels[q]);
            const size_t below = (size_t)place, above = below + 1 < LEVELS ? below + 1 : below;
            for (size_t t = 0; t < H; t++) {
                const double low = of[below * cap + t], high = of[above * cap + t];
                result->quantiles[((size_t)q * rows + row) * H + t] = (float)(low + (place - (double)below) * (high - low));
            }
        }
    }
}

rp_status toto2_forecast_device(rp_forecaster *forecaster, const rp_series *series, const rp_device_series *there, uint32_t n_series,
                                const rp_forecast_config *config, const rp_forecast_result *result) {
    toto2_forecaster *f = (toto2_forecaster *)forecaster;
    const bool wanted = rp_results_wanted(config, result);
    RP_RETURN(rp_series_check(&f->base, series, there, n_series, config));
    RP_RETURN(check_options(f, config));
    RP_RETURN(put_inputs(f, series, n_series, config));
    fill_queue(f, config, wanted);
    if (there != NULL) {
        RP_RETURN(rp_replays_send(&f->storage.queue, 0, 1));   // the host's inputs, which say where all else is
        RP_RETURN(bring(f, series, there, n_series, config));
    }
    RP_RETURN(rp_replays_finish(&f->storage.queue, config));
    if (there != NULL) { RP_RETURN(rp_device_inputs_check(&f->storage.from_device, f->staged.bad, n_series, RP_DEVICE_BAD_ROWS)); }
    if (!wanted) { return RP_OK; }
    const float *levels;
    RP_RETURN(rp_results_read(f->storage.host_out, f->storage.out_words, f->storage.scratch, &levels));
    fill_result(f, levels, n_series * f->base.config.variates, config, result);
    return RP_OK;
}

rp_status toto2_forecast(rp_forecaster *forecaster, const rp_series *series, uint32_t n_series, const rp_forecast_config *config,
                         const rp_forecast_result *result) {
    return toto2_forecast_device(forecaster, series, NULL, n_series, config, result);
}

rp_status toto2_forecast_traced(toto2_forecaster *f, const rp_series *series, uint32_t n_series, const rp_forecast_config *config,
                                toto2_after_fn after, void *user, double *levels) {
    rp_device *device = f->base.model->device;
    RP_RETURN(rp_series_check(&f->base, series, NULL, n_series, config));
    RP_RETURN(check_options(f, config));
    RP_RETURN(put_inputs(f, series, n_series, config));
    fill_queue(f, config, true);
    for (uint32_t i = 0; i < f->storage.queue.n; i++) {
        RP_RETURN(rp_replays_send(&f->storage.queue, i, 1));
        RP_RETURN(device->backend->wait(device));
        if (after != NULL) { RP_RETURN(after(user, f, i)); }
    }
    RP_RETURN(rp_replays_check(&f->storage.queue, f->in.step));
    const uint64_t cap = f->result->shape[3], rows = (uint64_t)n_series * f->base.config.variates * LEVELS;
    for (uint64_t row = 0; row < rows; row++) {   // [horizon_cap] -> [horizon]
        RP_RETURN(device->backend->read(f->storage.host_out, row * cap * 4, RP_F32, levels + row * config->horizon, RP_F64, config->horizon));
    }
    return RP_OK;
}
