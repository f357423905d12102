#include "dlpack_result.h"

#include <stdlib.h>
#include <string.h>

#include "config_struct.h"
#include "loan.h"

#define ALIGNMENT 256u   // what DLPack asks of data

// A tensor with its sizes beside it.
typedef struct managed {
    rp_dl_managed_tensor tensor;
    int64_t shape[4], strides[4];
    void *memory;                  // host: what data points into
    rp_loan *loan;                 // device
} managed;

static void delete_managed(rp_dl_managed_tensor *self) {
    if (self == NULL) { return; }
    managed *m = self->manager_ctx;
    if (m->loan != NULL) { rp_loan_return(m->loan); }
    free(m->memory);
    free(m);
}

static managed *new_managed(uint32_t n_dims, const uint32_t *shape) {
    managed *m = calloc(1, sizeof *m);
    if (m == NULL) { return NULL; }
    int64_t stride = 1;
    for (uint32_t i = n_dims; i-- > 0;) {
        m->shape[i] = shape[i], m->strides[i] = stride;
        stride *= shape[i] ? shape[i] : 1;
    }
    rp_dl_tensor *t = &m->tensor.dl_tensor;
    t->ndim = (int32_t)n_dims, t->shape = m->shape, t->strides = m->strides;
    t->dtype.code = RP_DL_FLOAT, t->dtype.bits = 32, t->dtype.lanes = 1;
    m->tensor.manager_ctx = m;
    m->tensor.deleter = delete_managed;
    return m;
}

static rp_status no_memory(rp_device *device) {
    return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while making the tensors of a forecast.");
}

static rp_status make(rp_device *device, uint32_t n_dims, const uint32_t *shape, rp_dl_managed_tensor **out, float **array) {
    uint64_t count = 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        if (__builtin_mul_overflow(count, (uint64_t)shape[i], &count) || count > (uint64_t)INT64_MAX / 8) { return no_memory(device); }
    }
    managed *m = new_managed(n_dims, shape);
    if (m == NULL) { return no_memory(device); }
    *out = &m->tensor;
    m->memory = aligned_alloc(ALIGNMENT, (size_t)((count * sizeof(float) + ALIGNMENT) / ALIGNMENT * ALIGNMENT));
    m->tensor.dl_tensor.data = m->memory;
    memset(&m->tensor.dl_tensor.device, 0, sizeof m->tensor.dl_tensor.device);
    m->tensor.dl_tensor.device.device_type = RP_DL_CPU;
    *array = m->memory;
    return m->memory != NULL ? RP_OK : no_memory(device);
}

rp_status dlpack_results_begin(rp_device *device, rp_dl_result *theirs, dlpack_results *own) {
    if (theirs == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "A forecast to tensors needs a result."); }
    if (theirs->struct_size != sizeof *theirs) { return rp_fail(device, RP_INVALID_ARGUMENT, RP_STRUCT_MESSAGE, "rp_dl_result"); }
    theirs->samples = theirs->mean = theirs->quantiles = NULL;
    own->wanted = theirs->wanted;
    if (own->wanted > (RP_DL_SAMPLES | RP_DL_MEAN | RP_DL_QUANTILES)) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "rp_dl_result.wanted is %u; RP_DL_SAMPLES, RP_DL_MEAN and RP_DL_QUANTILES are known.", own->wanted);
    }
    return RP_OK;
}

rp_status dlpack_results_make(rp_forecaster *forecaster, uint32_t n_series, const rp_forecast_config *config, dlpack_results *own) {
    rp_device *device = forecaster->model->device;
    const rp_forecaster_config *sizes = &forecaster->config;
    if (n_series > sizes->max_batch || config->horizon > sizes->max_horizon || config->paths > sizes->max_paths) { return RP_OK; }
    const uint32_t variates = forecaster->model->family->forecast_bars != NULL ? RP_BAR_COLUMNS : sizes->variates;
    const uint32_t samples[] = { n_series, variates, config->horizon, config->paths };
    const uint32_t quantiles[] = { config->n_quantiles, n_series, variates, config->horizon };
    if (own->wanted & RP_DL_SAMPLES) { RP_RETURN(make(device, 4, samples, &own->samples, &own->arrays.samples)); }
    if (own->wanted & RP_DL_MEAN) { RP_RETURN(make(device, 3, samples, &own->mean, &own->arrays.mean)); }
    if (own->wanted & RP_DL_QUANTILES) { RP_RETURN(make(device, 4, quantiles, &own->quantiles, &own->arrays.quantiles)); }
    return RP_OK;
}

void dlpack_results_end(dlpack_results *own, rp_dl_result *theirs) {
    theirs->samples = own->samples, theirs->mean = own->mean, theirs->quantiles = own->quantiles;
    own->samples = own->mean = own->quantiles = NULL;
}

void dlpack_results_drop(dlpack_results *own) {
    delete_managed(own->samples);
    delete_managed(own->mean);
    delete_managed(own->quantiles);
}

rp_status rp_forecaster_lend_samples(rp_forecaster *forecaster, rp_dl_managed_tensor **out) {
    if (out == NULL) { return RP_INVALID_ARGUMENT; }
    *out = NULL;
    if (forecaster == NULL) { return RP_INVALID_ARGUMENT; }
    rp_device *device = forecaster->model->device;
    RP_HOLD(device);
    if (forecaster->model->info.quantiles > 0) {
        return rp_fail(device, RP_UNSUPPORTED, "Models of family %s sample no paths, so there are none to lend. Take quantiles on the host.",
                       forecaster->model->info.family);
    }
    if (device->backend->borrow == NULL || forecaster->model->family->result == NULL) {
        return rp_fail(device, RP_UNSUPPORTED, "Samples are lent on CUDA devices; this forecaster runs on %s. Take them on the host.", device->info.spec);
    }
    if (forecaster->loan != NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "The samples of this forecaster are lent already."); }
    if (forecaster->last.series == 0) { return rp_fail(device, RP_INVALID_ARGUMENT, "There are no samples to lend: no forecast has ended well."); }
    rp_result_place place;
    forecaster->model->family->result(forecaster, forecaster->last.paths, &place);
    const uint32_t paths = forecaster->last.paths ? forecaster->last.paths : 1;
    const uint32_t shape[] = { forecaster->last.series, place.variates, forecaster->last.horizon, paths };
    managed *m = new_managed(4, shape);
    if (m == NULL || (m->loan = rp_loan_create(device, &forecaster->loan)) == NULL) {
        free(m);
        return no_memory(device);
    }
    m->strides[3] = 1, m->strides[2] = place.paths_cap;
    m->strides[1] = m->strides[2] * place.horizon_cap, m->strides[0] = m->strides[1] * place.variates;
    rp_dl_tensor *t = &m->tensor.dl_tensor;
    t->data = (void *)(uintptr_t)((*place.buffer)->address + place.offset);
    memset(&t->device, 0, sizeof t->device);
    t->device.device_type = RP_DL_CUDA, t->device.device_id = device->ordinal;
    forecaster->lent = true;
    *out = &m->tensor;
    return RP_OK;
}
