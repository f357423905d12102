#include "storage.h"

#include <stdlib.h>
#include <string.h>

void rp_storage_stand_in(rp_storage *storage, rp_stand_ins *stand_ins) {
    *stand_ins = (rp_stand_ins){ 0 };
    storage->host_in = &stand_ins->in, storage->host_out = &stand_ins->out, storage->state = &stand_ins->state;
    storage->activations = NULL;
}

void rp_storage_stand_down(rp_storage *storage) { storage->host_in = storage->host_out = storage->state = NULL; }

rp_status rp_storage_create(rp_storage *storage, const rp_forecaster *forecaster, const rp_sizes *sizes, uint64_t replays, uint32_t inputs) {
    rp_device *device = forecaster->model->device;
    const rp_backend *backend = device->backend;
    RP_RETURN(backend->buffer_create(device, sizes->in, RP_MEMORY_HOST, &storage->host_in));
    RP_RETURN(backend->buffer_create(device, sizes->out, RP_MEMORY_HOST, &storage->host_out));
    RP_RETURN(backend->buffer_create(device, sizes->state, RP_MEMORY_DEVICE, &storage->state));
    RP_RETURN(backend->buffer_create(device, sizes->activations ? sizes->activations : 256, RP_MEMORY_DEVICE, &storage->activations));
    const uint64_t results = sizes->out + (forecaster->config.max_paths + 1) * sizeof(float);
    storage->scratch = malloc(sizes->in > results ? sizes->in : results);
    if (storage->scratch == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while creating a forecaster."); }
    if (forecaster->config.device_inputs) { RP_RETURN(rp_device_inputs_create(&storage->from_device, device, inputs)); }
    return rp_replays_create(&storage->queue, device, replays);
}

void rp_storage_destroy(rp_storage *storage, const rp_device *device) {
    rp_buffer *const buffers[] = { storage->host_in, storage->host_out, storage->state, storage->activations };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) { device->backend->buffer_destroy(buffers[i]); }
    free(storage->scratch);
    rp_replays_destroy(&storage->queue);
    rp_device_inputs_destroy(&storage->from_device);
}

rp_status rp_storage_clear(rp_storage *storage, const rp_device *device, const rp_tensor *result) {
    memset(storage->scratch, 0, storage->out_words * sizeof(float));
    return device->backend->write(result->buffer, result->offset, RP_F32, storage->scratch, RP_F32, storage->out_words);
}
