// One forecast: inputs into host-visible memory, replays queued, results taken from host-visible memory at the end.
#include <math.h>
#include <string.h>

#include "results.h"
#include "toto.h"

static rp_status bad(const toto_forecaster *f, const char *what, uint32_t asked, uint32_t created, const char *field) {
    return rp_fail(f->base.model->device, RP_INVALID_ARGUMENT,
                   "%s is %u, but the forecaster was created for %u. Create one with rp_forecaster_config.%s = %u or more.", what,
                   asked, created, field, asked);
}

static rp_status check_series(const toto_forecaster *f, const rp_series *s, uint32_t index, const rp_forecast_config *config) {
    rp_device *device = f->base.model->device;
    const uint32_t V = f->base.config.variates;
    if (s->context == 0 || s->values == NULL) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u has no values: context and values must be set.", index);
    }
    if (s->context > f->base.config.max_context) {
        return bad(f, "The context of a series", s->context, f->base.config.max_context, "max_context");
    }
    for (uint32_t v = 0; v < V; v++) {
        for (uint32_t t = 0; t < s->context; t++) {
            const size_t at = (size_t)v * s->context + t;
            if ((s->mask == NULL || s->mask[at]) && !(fabsf(s->values[at]) <= 1e30f)) {
                return rp_fail(device, RP_INVALID_ARGUMENT,
                               "Series %u, variate %u, time step %u is %g. Values must be finite and below 1e30; mask missing ones.",
                               index, v, t, (double)s->values[at]);
            }
        }
    }
    if (config->exogenous > 0 && s->future == NULL) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u has %u exogenous variates but no known future.", index, config->exogenous);
    }
    for (size_t i = 0; i < (size_t)config->exogenous * config->horizon; i++) {
        if (!(fabsf(s->future[i]) <= 1e30f)) {
            return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u: the known future of exogenous variate %zu, step %zu is %g.", index,
                           i / config->horizon, i % config->horizon, (double)s->future[i]);
        }
    }
    return RP_OK;
}

static rp_status check(const toto_forecaster *f, const rp_series *series, uint32_t n_series, const rp_forecast_config *config) {
    rp_device *device = f->base.model->device;
    const rp_forecaster_config *sizes = &f->base.config;
    if (n_series == 0 || series == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "There is no series to forecast."); }
    if (n_series > sizes->max_batch) { return bad(f, "The number of series", n_series, sizes->max_batch, "max_batch"); }
    if (config->horizon == 0) { return rp_fail(device, RP_INVALID_ARGUMENT, "The horizon must be at least 1."); }
    if (config->horizon > sizes->max_horizon) { return bad(f, "The horizon", config->horizon, sizes->max_horizon, "max_horizon"); }
    if (config->paths > sizes->max_paths) { return bad(f, "The number of paths", config->paths, sizes->max_paths, "max_paths"); }
    if (config->exogenous > 0 && config->exogenous >= sizes->variates) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%u of %u variates are exogenous; at least one must be left to forecast.",
                       config->exogenous, sizes->variates);
    }
    for (uint32_t i = 0; i < n_series; i++) { RP_RETURN(check_series(f, &series[i], i, config)); }
    return RP_OK;
}

static rp_status put(const toto_forecaster *f, const rp_tensor *to, uint64_t first, rp_dtype to_type, const void *from,
                     rp_dtype from_type, uint64_t count) {
    return f->base.model->device->backend->write(to->buffer, to->offset + first * rp_dtype_size(to_type), to_type, from, from_type, count);
}

// One series into its place b: padded on the left to whole patches, then left-aligned; what is past it is 0 and masked.
static rp_status put_series(toto_forecaster *f, const rp_series *s, uint32_t b, const rp_forecast_config *config) {
    const uint32_t V = f->base.config.variates, P = ((toto_model *)f->base.model)->config.patch, T = f->patches * P;
    const uint32_t n_patches = (s->context + P - 1) / P, pad = n_patches * P - s->context, H = f->rounds * P;
    const size_t row = (size_t)V * T;
    float *values = f->scratch, *mask = values + row;
    memset(values, 0, 2 * row * sizeof *values);
    for (uint32_t v = 0; v < V; v++) {
        for (uint32_t t = 0; t < s->context; t++) {
            const size_t from = (size_t)v * s->context + t, to = (size_t)v * T + pad + t;
            const bool real = s->mask == NULL || s->mask[from];
            values[to] = real || isfinite(s->values[from]) ? s->values[from] : 0;
            mask[to] = real;
        }
    }
    RP_RETURN(put(f, f->staged.series, b * row, RP_F32, values, RP_F32, row));
    RP_RETURN(put(f, f->staged.mask, b * row, RP_F32, mask, RP_F32, row));
    RP_RETURN(put(f, f->staged.n_patches, b, RP_U32, &n_patches, RP_U32, 1));
    RP_RETURN(put(f, f->staged.series_ids, b, RP_U32, &s->id, RP_U32, 1));
    for (uint32_t v = 0; v < V; v++) {
        const int32_t group = s->group_ids ? s->group_ids[v] : 0;
        RP_RETURN(put(f, f->staged.group_ids, (uint64_t)b * V + v, RP_I32, &group, RP_I32, 1));
    }
    for (uint32_t e = 0; e < config->exogenous; e++) {
        const uint64_t to = ((uint64_t)b * V + V - config->exogenous + e) * H;
        RP_RETURN(put(f, f->staged.future, to, RP_F32, s->future + (size_t)e * config->horizon, RP_F32, config->horizon));
    }
    return RP_OK;
}

static rp_status put_inputs(toto_forecaster *f, const rp_series *series, uint32_t n_series, const rp_forecast_config *config) {
    const struct rp_step step = { .batch = n_series, .paths = config->paths ? config->paths : 1, .horizon = config->horizon,
                                  .exogenous = config->exogenous, .seed_lo = (uint32_t)config->seed,
                                  .seed_hi = (uint32_t)(config->seed >> 32) };
    rp_replays_begin(&f->queue, step);
    RP_RETURN(put(f, f->staged.step, 0, RP_U32, &step, RP_U32, RP_STEP_WORDS));
    for (uint32_t b = 0; b < f->base.config.max_batch; b++) {   // places without a series repeat the last: finite, and dropped
        RP_RETURN(put_series(f, &series[b < n_series ? b : n_series - 1], b, config));
    }
    return RP_OK;
}

// The replays of one forecast, in order.
static void fill_queue(toto_forecaster *f, const toto_decode *d, const rp_forecast_config *config) {
    const uint32_t P = ((toto_model *)f->base.model)->config.patch, rounds = (config->horizon + P - 1) / P;
    const uint32_t paths = config->paths ? config->paths : 1;
    rp_replays_add(&f->queue, &f->prompt);
    for (uint32_t first = 0; first < paths; first += d->paths) {
        rp_replays_add(&f->queue, &d->start);
        for (uint32_t i = 1; i < rounds; i++) { rp_replays_add(&f->queue, &d->step); }
    }
    rp_replays_add(&f->queue, &f->collect);
}

rp_status toto_forecast(rp_forecaster *forecaster, const rp_series *series, uint32_t n_series, const rp_forecast_config *config,
                        const rp_forecast_result *result) {
    toto_forecaster *f = (toto_forecaster *)forecaster;
    rp_device *device = f->base.model->device;
    const toto_decode *d = config->paths ? &f->sample : &f->mean;
    RP_RETURN(check(f, series, n_series, config));
    RP_RETURN(put_inputs(f, series, n_series, config));
    fill_queue(f, d, config);
    RP_RETURN(rp_replays_finish(&f->queue, config));
    RP_RETURN(device->backend->read(f->host_out, 0, RP_F32, f->scratch, RP_F32, f->out_words));
    const rp_results r = { .values = f->scratch, .rows = n_series * f->base.config.variates,
                           .horizon_cap = f->rounds * ((toto_model *)f->base.model)->config.patch, .paths_cap = d->paths_cap,
                           .horizon = config->horizon, .paths = config->paths ? config->paths : 1 };
    rp_results_fill(&r, config, result);
    return RP_OK;
}

rp_status toto_forecast_traced(toto_forecaster *f, const rp_series *series, uint32_t n_series, const rp_forecast_config *config,
                               const double *forced, toto_after_fn after, void *user, double *samples) {
    rp_device *device = f->base.model->device;
    const toto_decode *d = config->paths ? &f->sample : &f->mean;
    RP_RETURN(check(f, series, n_series, config));
    RP_RETURN(put_inputs(f, series, n_series, config));
    if (forced != NULL && f->forced != NULL) { RP_RETURN(put(f, f->forced, 0, RP_F32, forced, RP_F64, rp_tensor_count(f->forced))); }
    const uint32_t paths = config->paths ? config->paths : 1;
    fill_queue(f, d, config);
    for (uint32_t i = 0; i < f->queue.n; i++) {
        RP_RETURN(rp_replays_send(&f->queue, i, 1));
        RP_RETURN(device->backend->wait(device));
        if (after != NULL) { RP_RETURN(after(user, f, i)); }
    }
    RP_RETURN(rp_replays_check(&f->queue, f->in.step));
    const uint32_t H = f->rounds * ((toto_model *)f->base.model)->config.patch;
    for (uint32_t row = 0; row < n_series * f->base.config.variates; row++) {   // [H, paths_cap] -> [horizon, paths]
        for (uint32_t t = 0; t < config->horizon; t++) {
            const uint64_t from = ((uint64_t)row * H + t) * d->paths_cap;
            RP_RETURN(device->backend->read(f->host_out, from * 4, RP_F32, samples, RP_F64, paths));
            samples += paths;
        }
    }
    return RP_OK;
}
