// Weights to host memory and back. Tensors keep pointing at the same rp_buffer, whose insides are exchanged for those of a small
// one and later for those of a new one: only forecasters hold device addresses, and there are none by then.
#include <stdlib.h>

#include "family.h"

#define MB 1048576.0
#define STAND_IN_BYTES 256u

// What a number of the device's F32 is on the host: the reference keeps float64.
static rp_dtype host_dtype(const rp_device *device) { return device->info.kind == RP_DEVICE_REFERENCE ? RP_F64 : RP_F32; }

// Exchanges the model's buffer for a new one of `bytes` and gives the old one back.
static rp_status exchange(rp_model *model, uint64_t bytes) {
    rp_buffer *fresh, held;
    RP_RETURN(model->device->backend->buffer_create(model->device, bytes, RP_MEMORY_DEVICE, &fresh));
    held = *model->weights;
    *model->weights = *fresh;
    *fresh = held;
    model->device->backend->buffer_destroy(fresh);
    return RP_OK;
}

rp_status rp_weights_offload(rp_model *model) {
    rp_device *device = model->device;
    if (model->offloaded != NULL) { return RP_OK; }
    if (model->forecasters > 0) {
        return rp_fail(device, RP_INVALID_ARGUMENT,
                       "The model has %u forecaster%s, whose recordings use its weights where they are. Destroy them before it is "
                       "offloaded.", model->forecasters, model->forecasters > 1 ? "s" : "");
    }
    const rp_dtype dtype = host_dtype(device);
    const uint64_t count = model->weights->bytes / rp_dtype_size(RP_F32);
    void *host = malloc((size_t)count * rp_dtype_size(dtype));
    if (host == NULL) {
        return rp_fail(device, RP_OUT_OF_MEMORY, "Offloading the model needs %.1f MB of host memory, which are not there.",
                       (double)count * rp_dtype_size(dtype) / MB);
    }
    rp_status status = device->backend->read(model->weights, 0, RP_F32, host, dtype, count);
    if (status == RP_OK) { status = exchange(model, STAND_IN_BYTES); }
    if (status != RP_OK) {
        free(host);
        return status;
    }
    model->offloaded = host;
    return RP_OK;
}

rp_status rp_weights_restore(rp_model *model) {
    rp_device *device = model->device;
    if (model->offloaded == NULL) { return RP_OK; }
    const uint64_t count = model->info.device_bytes / rp_dtype_size(RP_F32);
    rp_status status = exchange(model, model->info.device_bytes);
    if (status == RP_OUT_OF_MEMORY) {
        return rp_fail(device, status,
                       "Restoring the model needs %.1f MB on %s, which this program's models and forecasters there, %.1f MB in all, "
                       "leave no room for. Offload another model or destroy a forecaster.",
                       (double)model->info.device_bytes / MB, device->info.spec, (double)device->counters.buffer_bytes / MB);
    }
    RP_RETURN(status);
    RP_RETURN(device->backend->write(model->weights, 0, RP_F32, model->offloaded, host_dtype(device), count));
    free(model->offloaded);
    model->offloaded = NULL;
    return RP_OK;
}
