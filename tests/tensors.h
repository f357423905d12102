// What the suites of tensors share: a forecaster, descriptors of memory, rows that are on a device already, and samples that are lent.
#ifndef RP_TESTS_TENSORS_H
#define RP_TESTS_TENSORS_H

#include "case.h"

#include "family.h"
#include "reprise_dlpack.h"

// ---- a model and a forecaster of it, in float32 ----

typedef struct fixture { rp_device *device; rp_model *model; rp_forecaster *forecaster; } fixture;

static inline fixture fixture_open(rp_device *device, const char *folder, const rp_forecaster_config *config) {
    fixture x = { device, NULL, NULL };
    rp_model_config model = RP_MODEL_CONFIG_INIT;
    model.precision = RP_PRECISION_F32;
    test_ok(device, rp_model_load(device, folder, &model, &x.model), "load");
    test_ok(device, rp_forecaster_create(x.model, config, &x.forecaster), "create");
    return x;
}

static inline void close_it(fixture *x) {
    rp_forecaster_destroy(x->forecaster);
    rp_model_destroy(x->model);
}

// ---- tensors ----

// A tensor and the sizes that it points to.
typedef struct tensor { rp_dl_tensor t; int64_t shape[2], strides[2]; } tensor;

static inline rp_dl_tensor *describe(tensor *x, void *data, uint8_t code, uint8_t bits, int64_t rows, int64_t cols, int64_t row_stride, int64_t stride) {
    memset(x, 0, sizeof *x);
    x->shape[0] = rows, x->shape[1] = cols, x->strides[0] = row_stride, x->strides[1] = stride;
    x->t.data = data, x->t.ndim = 2, x->t.shape = x->shape, x->t.strides = x->strides;
    x->t.device.device_type = RP_DL_CPU;
    x->t.dtype.code = code, x->t.dtype.bits = bits, x->t.dtype.lanes = 1;
    return &x->t;
}

static inline rp_dl_tensor *describe_f32(tensor *x, const float *data, int64_t rows, int64_t cols) {
    describe(x, (void *)(uintptr_t)data, RP_DL_FLOAT, 32, rows, cols, cols, 1);
    x->t.strides = NULL;
    return &x->t;
}

static inline void drop(rp_dl_managed_tensor *m) {
    if (m != NULL) { m->deleter(m); }
}

static inline void drop_all(rp_dl_result *r) { drop(r->samples), drop(r->mean), drop(r->quantiles); }

// Rows of numbers in a buffer of the device: what a CUDA tensor is to CUDA. mask: bytes.
static inline rp_device_rows upload(rp_device *device, const void *data, uint64_t bytes, uint32_t start, uint32_t row_stride, uint32_t stride,
                             rp_dtype dtype, rp_buffer **owner) {
    test_ok(device, device->backend->buffer_create(device, bytes, RP_MEMORY_DEVICE, owner), "buffer");
    test_ok(device, device->backend->write(*owner, 0, dtype, data, dtype, bytes / 4), "write");
    rp_device_rows rows = { .buffer = **owner, .start = start, .row_stride = row_stride, .stride = stride };
    return rows;
}

// ---- CUDA: on a device of its own; elsewhere skipped ----

static inline rp_device *cuda_of(void **state) {
    rp_device *device = test_device_of(state);
    if (strncmp(device->info.spec, "cuda", 4) != 0) {
        printf("  skipped, %s is not a CUDA device\n", device->info.spec);
        skip();
    }
    return device;
}

static inline rp_dl_tensor *put_on(rp_device *device, tensor *t, rp_buffer *buffer) {
    t->t.data = (void *)(uintptr_t)buffer->address, t->t.device.device_type = RP_DL_CUDA, t->t.device.device_id = device->ordinal;
    return &t->t;
}

static inline void lent_samples(rp_device *device, const rp_dl_managed_tensor *m, float *out) {
    const rp_dl_tensor *t = &m->dl_tensor;
    rp_buffer buffer = { .device = device, .address = (uint64_t)(uintptr_t)t->data, .kind = RP_MEMORY_DEVICE };
    assert_true((int)t->device.device_type == RP_DL_CUDA && t->device.device_id == device->ordinal && t->ndim == 4 && t->strides[3] == 1);
    for (int64_t b = 0; b < t->shape[0]; b++) {
        for (int64_t v = 0; v < t->shape[1]; v++) {
            for (int64_t h = 0; h < t->shape[2]; h++, out += t->shape[3]) {
                const int64_t at = b * t->strides[0] + v * t->strides[1] + h * t->strides[2];
                test_ok(device, device->backend->read(&buffer, (uint64_t)at * 4, RP_F32, out, RP_F32, (uint64_t)t->shape[3]), "read");
            }
        }
    }
}

#endif
