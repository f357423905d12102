// Checks of a call that forecasts series of variates.
#include "series.h"

#include <math.h>

static rp_status beyond(const rp_forecaster *f, const char *what, uint32_t asked, uint32_t created, const char *field) {
    return rp_fail(f->model->device, RP_INVALID_ARGUMENT,
                   "%s is %u, but the forecaster was created for %u. Create one with rp_forecaster_config.%s = %u or more.", what,
                   asked, created, field, asked);
}

static bool is_fine(float x) { return fabsf(x) <= RP_SERIES_MOST; }   // NaN is not

// The first of n values that is neither fine nor masked; n: none. The first pass has no way out, so that it is vector code.
static size_t first_bad(const rp_series *s, size_t n) {
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) { bad |= !is_fine(s->values[i]); }
    if (!bad) { return n; }
    for (size_t i = 0; i < n; i++) {
        if ((s->mask == NULL || s->mask[i]) && !is_fine(s->values[i])) { return i; }
    }
    return n;
}

static rp_status check_values(const rp_forecaster *f, const rp_series *s, uint32_t index) {
    const size_t n = (size_t)f->config.variates * s->context, at = first_bad(s, n);
    if (at == n) { return RP_OK; }
    return rp_fail(f->model->device, RP_INVALID_ARGUMENT,
                   "Series %u, variate %zu, time step %zu is %g. Values must be finite and below 1e30; mask missing ones.", index,
                   at / s->context, at % s->context, (double)s->values[at]);
}

static rp_status check_future(const rp_forecaster *f, const rp_series *s, uint32_t index, const rp_forecast_config *config) {
    rp_device *device = f->model->device;
    if (config->exogenous > 0 && s->future == NULL) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u has %u exogenous variates but no known future.", index, config->exogenous);
    }
    for (size_t i = 0; i < (size_t)config->exogenous * config->horizon; i++) {
        if (!is_fine(s->future[i])) {
            return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u: the known future of exogenous variate %zu, step %zu is %g.", index,
                           i / config->horizon, i % config->horizon, (double)s->future[i]);
        }
    }
    return RP_OK;
}

static rp_status check_one(const rp_forecaster *f, const rp_series *s, const rp_device_series *d, uint32_t index,
                           const rp_forecast_config *config) {
    const bool values_there = d != NULL && d->values.buffer.bytes > 0, future_there = d != NULL && d->future.buffer.bytes > 0;
    if (s->context == 0 || (s->values == NULL && !values_there)) {
        return rp_fail(f->model->device, RP_INVALID_ARGUMENT, "Series %u has no values: context and values must be set.", index);
    }
    if (s->context > f->config.max_context) {
        return beyond(f, "The context of a series", s->context, f->config.max_context, "max_context");
    }
    if (!values_there) { RP_RETURN(check_values(f, s, index)); }
    return future_there ? RP_OK : check_future(f, s, index, config);
}

rp_status rp_series_check(const rp_forecaster *f, const rp_series *series, const rp_device_series *there, uint32_t n_series,
                          const rp_forecast_config *config) {
    rp_device *device = f->model->device;
    const rp_forecaster_config *sizes = &f->config;
    if (n_series == 0 || series == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "There is no series to forecast."); }
    if (n_series > sizes->max_batch) { return beyond(f, "The number of series", n_series, sizes->max_batch, "max_batch"); }
    if (config->horizon == 0) { return rp_fail(device, RP_INVALID_ARGUMENT, "The horizon must be at least 1."); }
    if (config->horizon > sizes->max_horizon) { return beyond(f, "The horizon", config->horizon, sizes->max_horizon, "max_horizon"); }
    if (config->paths > sizes->max_paths) { return beyond(f, "The number of paths", config->paths, sizes->max_paths, "max_paths"); }
    if (config->exogenous > 0 && config->exogenous >= sizes->variates) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%u of %u variates are exogenous; at least one must be left to forecast.",
                       config->exogenous, sizes->variates);
    }
    for (uint32_t i = 0; i < n_series; i++) { RP_RETURN(check_one(f, &series[i], there ? &there[i] : NULL, i, config)); }
    return RP_OK;
}
