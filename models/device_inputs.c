#include "device_inputs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

rp_status rp_device_inputs_create(rp_device_inputs *inputs, rp_device *device, uint32_t cap) {
    *inputs = (rp_device_inputs){ .device = device, .cap = cap };
    inputs->launches = malloc(cap * sizeof *inputs->launches);
    return inputs->launches != NULL ? RP_OK : rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while creating a forecaster.");
}

void rp_device_inputs_destroy(rp_device_inputs *inputs) { free(inputs->launches); }

void rp_device_inputs_begin(rp_device_inputs *inputs) { inputs->n = 0; }

static rp_binding binding_of(rp_device_place place, uint64_t count) {
    if (place.tensor == NULL) { return (rp_binding){ 0 }; }
    const uint32_t size = rp_dtype_size(place.tensor->dtype);
    return (rp_binding){ place.tensor->buffer, place.tensor->offset + place.first * size, count * size };
}

void rp_device_inputs_add(rp_device_inputs *inputs, const char *label, const rp_device_rows *x, const rp_device_rows *mask,
                          struct rp_pad_rows_params p, rp_device_place y, rp_device_place y_mask, rp_device_place bad) {
    const uint64_t taken = (uint64_t)(p.rows - 1) * p.y_stride + p.cap;
    const bool masked = mask != NULL && mask->buffer.bytes > 0;
    p.x_count = (uint32_t)(x->buffer.bytes / 4), p.x_start = x->start, p.x_row_stride = x->row_stride, p.x_stride = x->stride;
    if (masked) {
        p.mask_words = (uint32_t)((mask->buffer.bytes + 3) / 4);
        p.mask_start = mask->start, p.mask_row_stride = mask->row_stride, p.mask_stride = mask->stride;
    }
    assert(inputs->n < inputs->cap);
    rp_launch *launch = &inputs->launches[inputs->n++];
    rp_node node = { .op = RP_OP_PAD_ROWS, .label = label };
    memcpy(node.params, &p, sizeof p);
    *launch = (rp_launch){ .op = node.op, .label = label, .processors = inputs->device->processors, .fast = inputs->device->fast,
                           .clusters = inputs->device->clusters, .n_in = rp_op_table[node.op].n_in, .n_bindings = rp_op_table[node.op].n_in + rp_op_table[node.op].n_out };
    memcpy(launch->params, node.params, sizeof node.params);
    const rp_binding all[] = { { (rp_buffer *)&x->buffer, 0, x->buffer.bytes },
                               { masked ? (rp_buffer *)&mask->buffer : NULL, 0, masked ? mask->buffer.bytes : 0 },
                               binding_of(y, taken), binding_of(y_mask, taken), binding_of(bad, 1) };
    memcpy(launch->binding, all, sizeof all);
    rp_op_table[node.op].launch(&node, launch);
}

rp_status rp_device_inputs_enqueue(rp_device_inputs *inputs) {
    if (inputs->n == 0) { return RP_OK; }
    const rp_plan plan = { .name = "device inputs", .n_launches = inputs->n, .launches = inputs->launches };
    return inputs->device->backend->enqueue(inputs->device, &plan);
}

rp_status rp_device_inputs_check(const rp_device_inputs *inputs, const rp_tensor *bad, uint32_t n_series) {
    rp_device *device = inputs->device;
    for (uint32_t b = 0; b < n_series; b++) {
        uint32_t flag;
        RP_RETURN(device->backend->read(bad->buffer, bad->offset + b * sizeof flag, RP_U32, &flag, RP_U32, 1));
        if (flag != 0) {
            return rp_fail(device, RP_INVALID_ARGUMENT,
                           "Series %u, which came as a CUDA tensor, has an infinite value or one beyond 1e30, or its known future has "
                           "one, or a NaN. In the values NaN stands for a missing one.", b);
        }
    }
    return RP_OK;
}
