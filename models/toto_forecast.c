// One forecast: inputs into host-visible memory, replays queued, results taken from host-visible memory at the end.
#include <float.h>
#include <math.h>
#include <string.h>

#include "results.h"
#include "series.h"
#include "toto.h"

static rp_status put(const toto_forecaster *f, const rp_tensor *to, uint64_t first, rp_dtype to_type, const void *from,
                     rp_dtype from_type, uint64_t count) {
    return f->base.model->device->backend->write(to->buffer, to->offset + first * rp_dtype_size(to_type), to_type, from, from_type, count);
}

// One series into its place b: padded on the left to whole patches, then left-aligned; what is past it is 0 and masked.
static rp_status put_series(toto_forecaster *f, const rp_series *s, uint32_t b, const rp_forecast_config *config) {
    const uint32_t V = f->base.config.variates, P = ((toto_model *)f->base.model)->config.patch, T = f->patches * P;
    const uint32_t n_patches = (s->context + P - 1) / P, pad = n_patches * P - s->context, H = f->rounds * P;
    const size_t row = (size_t)V * T;
    float *values = f->storage.scratch, *mask = values + row;
    memset(values, 0, 2 * row * sizeof *values);
    for (uint32_t v = 0; v < V && s->values != NULL; v++) {
        const float *from = s->values + (size_t)v * s->context;
        const uint8_t *real = s->mask ? s->mask + (size_t)v * s->context : NULL;
        float *to = values + (size_t)v * T + pad, *seen = mask + (size_t)v * T + pad;
        for (uint32_t t = 0; t < s->context; t++) { to[t] = fabsf(from[t]) <= FLT_MAX ? from[t] : 0; }   // only masked ones are not
        for (uint32_t t = 0; t < s->context; t++) { seen[t] = real == NULL || real[t] != 0; }
    }
    RP_RETURN(put(f, f->staged.series, b * row, RP_F32, values, RP_F32, row));
    RP_RETURN(put(f, f->staged.mask, b * row, RP_F32, mask, RP_F32, row));
    RP_RETURN(put(f, f->staged.n_patches, b, RP_U32, &n_patches, RP_U32, 1));
    RP_RETURN(put(f, f->staged.series_ids, b, RP_U32, &s->id, RP_U32, 1));
    for (uint32_t v = 0; v < V; v++) {
        const int32_t group = s->group_ids ? s->group_ids[v] : 0;
        RP_RETURN(put(f, f->staged.group_ids, (uint64_t)b * V + v, RP_I32, &group, RP_I32, 1));
    }
    for (uint32_t e = 0; e < config->exogenous && s->future != NULL; e++) {
        const uint64_t to = ((uint64_t)b * V + V - config->exogenous + e) * H;
        RP_RETURN(put(f, f->staged.future, to, RP_F32, s->future + (size_t)e * config->horizon, RP_F32, config->horizon));
    }
    return RP_OK;
}

static rp_status put_inputs(toto_forecaster *f, const rp_series *series, uint32_t n_series, const rp_forecast_config *config) {
    const struct rp_step step = { .batch = n_series, .paths = config->paths ? config->paths : 1, .horizon = config->horizon,
                                  .exogenous = config->exogenous, .seed_lo = (uint32_t)config->seed,
                                  .seed_hi = (uint32_t)(config->seed >> 32) };
    const uint32_t good = 0;
    rp_replays_begin(&f->storage.queue, step);
    for (uint32_t b = 0; f->staged.bad != NULL && b < f->base.config.max_batch; b++) { RP_RETURN(put(f, f->staged.bad, b, RP_U32, &good, RP_U32, 1)); }
    RP_RETURN(put(f, f->staged.step, 0, RP_U32, &step, RP_U32, RP_STEP_WORDS));
    for (uint32_t b = 0; b < f->base.config.max_batch; b++) {   // places without a series repeat the last: finite, and dropped
        RP_RETURN(put_series(f, &series[b < n_series ? b : n_series - 1], b, config));
    }
    return RP_OK;
}

// ---- series from the device ----

// Queues what brings them to where the copy of host_in has left zeros.
static rp_status bring(toto_forecaster *f, const rp_series *series, const rp_device_series *there, uint32_t n_series,
                       const rp_forecast_config *config) {
    const uint32_t V = f->base.config.variates, P = ((toto_model *)f->base.model)->config.patch, T = f->patches * P, H = f->rounds * P;
    rp_device_inputs_begin(&f->storage.from_device);
    for (uint32_t b = 0; b < f->base.config.max_batch; b++) {
        const uint32_t from = b < n_series ? b : n_series - 1, context = series[from].context;
        const rp_device_series *d = &there[from];
        const rp_device_place bad = { f->staged.bad, b };
        if (d->values.buffer.bytes > 0) {
            const struct rp_pad_rows_params p = { .rows = V, .count = context, .pad = (P - context % P) % P, .cap = T, .y_stride = T };
            rp_device_inputs_add(&f->storage.from_device, "series", &d->values, &d->mask, p, (rp_device_place){ f->in.series, (uint64_t)b * V * T },
                                 (rp_device_place){ f->in.mask, (uint64_t)b * V * T }, bad);
        }
        if (d->future.buffer.bytes > 0) {
            const struct rp_pad_rows_params p = { .rows = config->exogenous, .count = config->horizon, .cap = H, .y_stride = H, .known = 1 };
            const uint64_t row = (uint64_t)b * V + V - config->exogenous;
            rp_device_inputs_add(&f->storage.from_device, "known future", &d->future, NULL, p, (rp_device_place){ f->in.future, row * H },
                                 (rp_device_place){ 0 }, bad);
        }
    }
    return rp_device_inputs_enqueue(&f->storage.from_device);
}

// ---- replays ----

// The replays of one forecast, in order.
static void fill_queue(toto_forecaster *f, const toto_decode *d, const rp_forecast_config *config, bool collect) {
    const uint32_t P = ((toto_model *)f->base.model)->config.patch, rounds = (config->horizon + P - 1) / P;
    const uint32_t paths = config->paths ? config->paths : 1;
    if (f->inputs.plan != NULL) { rp_replays_add(&f->storage.queue, &f->inputs); }
    rp_replays_add(&f->storage.queue, &f->prompt);
    for (uint32_t first = 0; first < paths; first += d->paths) {
        rp_replays_add(&f->storage.queue, &d->start);
        for (uint32_t i = 1; i < rounds; i++) { rp_replays_add(&f->storage.queue, &d->step); }
    }
    if (collect) { rp_replays_add(&f->storage.queue, &f->collect); }
}

rp_status toto_forecast_device(rp_forecaster *forecaster, const rp_series *series, const rp_device_series *there, uint32_t n_series,
                               const rp_forecast_config *config, const rp_forecast_result *result) {
    toto_forecaster *f = (toto_forecaster *)forecaster;
    const toto_decode *d = config->paths ? &f->sample : &f->mean;
    const bool wanted = rp_results_wanted(config, result);
    RP_RETURN(rp_series_check(&f->base, series, there, n_series, config));
    RP_RETURN(put_inputs(f, series, n_series, config));
    fill_queue(f, d, config, wanted);
    if (there != NULL) {
        RP_RETURN(rp_replays_send(&f->storage.queue, 0, 1));   // the host's inputs, which say where all else is
        RP_RETURN(bring(f, series, there, n_series, config));
    }
    RP_RETURN(rp_replays_finish(&f->storage.queue, config));
    if (there != NULL) { RP_RETURN(rp_device_inputs_check(&f->storage.from_device, f->staged.bad, n_series, RP_DEVICE_BAD_ROWS)); }
    if (!wanted) { return RP_OK; }
    const float *values;
    RP_RETURN(rp_results_read(f->storage.host_out, f->storage.out_words, f->storage.scratch, &values));
    const rp_results r = { .values = values, .row = (float *)f->storage.scratch + f->storage.out_words, .rows = n_series * f->base.config.variates,
                           .horizon_cap = f->rounds * ((toto_model *)f->base.model)->config.patch, .paths_cap = d->paths_cap,
                           .horizon = config->horizon, .paths = config->paths ? config->paths : 1 };
    rp_results_fill(&r, config, result);
    return RP_OK;
}

rp_status toto_forecast(rp_forecaster *forecaster, const rp_series *series, uint32_t n_series, const rp_forecast_config *config,
                        const rp_forecast_result *result) {
    return toto_forecast_device(forecaster, series, NULL, n_series, config, result);
}

rp_status toto_forecast_traced(toto_forecaster *f, const rp_series *series, uint32_t n_series, const rp_forecast_config *config,
                               const double *forced, toto_after_fn after, void *user, double *samples) {
    rp_device *device = f->base.model->device;
    const toto_decode *d = config->paths ? &f->sample : &f->mean;
    RP_RETURN(rp_series_check(&f->base, series, NULL, n_series, config));
    RP_RETURN(put_inputs(f, series, n_series, config));
    if (forced != NULL && f->forced != NULL) { RP_RETURN(put(f, f->forced, 0, RP_F32, forced, RP_F64, rp_tensor_count(f->forced))); }
    const uint32_t paths = config->paths ? config->paths : 1;
    fill_queue(f, d, config, true);
    for (uint32_t i = 0; i < f->storage.queue.n; i++) {
        RP_RETURN(rp_replays_send(&f->storage.queue, i, 1));
        RP_RETURN(device->backend->wait(device));
        if (after != NULL) { RP_RETURN(after(user, f, i)); }
    }
    RP_RETURN(rp_replays_check(&f->storage.queue, f->in.step));
    const uint32_t H = f->rounds * ((toto_model *)f->base.model)->config.patch;
    for (uint32_t row = 0; row < n_series * f->base.config.variates; row++) {   // [H, paths_cap] -> [horizon, paths]
        for (uint32_t t = 0; t < config->horizon; t++) {
            const uint64_t from = ((uint64_t)row * H + t) * d->paths_cap;
            RP_RETURN(device->backend->read(f->storage.host_out, from * 4, RP_F32, samples, RP_F64, paths));
            samples += paths;
        }
    }
    return RP_OK;
}
