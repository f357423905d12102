// What a device reaches at best with the library's own kernels: bytes copied and products made in a second, on buffers beyond
// its caches.
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "pairs.h"

typedef struct probe {
    rp_device *device;
    rp_arena arena;
    rp_graph *graph;
    rp_buffer *buffer;
} probe;

static rp_status begin(probe *p, rp_device *device, uint64_t bytes) {
    *p = (probe){ .device = device };
    p->graph = rp_graph_create(device, &p->arena, "rates");
    if (p->graph == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while measuring the device."); }
    return device->backend->buffer_create(device, bytes, RP_MEMORY_DEVICE, &p->buffer);
}

static void end(probe *p) {
    if (p->buffer != NULL) { p->device->backend->buffer_destroy(p->buffer); }
    rp_arena_destroy(&p->arena);
}

// Numbers between -1 and 1: zeros would cost less power, and flatter the clock.
static rp_status fill(probe *p, const rp_tensor *t) {
    enum { PIECE = 1 << 18 };
    if (t == NULL) { return p->graph->status; }
    float *numbers = take(PIECE, sizeof *numbers);
    rp_status status = RP_OK;
    uint32_t state = 1;
    for (size_t i = 0; i < PIECE; i++) {
        state = state * 1664525u + 1013904223u;
        numbers[i] = (float)(state >> 8) / 8388608.0f - 1;
    }
    const uint64_t count = rp_tensor_count(t);
    for (uint64_t at = 0; at < count && status == RP_OK; at += PIECE) {
        status = p->device->backend->write(t->buffer, t->offset + at * rp_dtype_size(t->dtype), t->dtype, numbers, RP_F32,
                                           count - at < PIECE ? count - at : PIECE);
    }
    free(numbers);
    return status;
}

static rp_status measure(probe *p, double *seconds, rp_cost *cost) {
    rp_plan *plan;
    RP_RETURN(rp_plan_create(p->graph, &plan));
    const rp_launch *launch = &plan->launches[0];
    *cost = plan->cost;
    return bench_time_launches(p->device, &launch, 1, seconds);
}

static rp_tensor *bind(probe *p, const char *name, rp_shape shape, uint64_t offset) {
    rp_tensor *t = rp_tensor_bind(&p->arena, name, shape, p->buffer, offset);
    if (t == NULL && p->graph->status == RP_OK) {
        p->graph->status = rp_fail(p->device, RP_OUT_OF_MEMORY, "Host memory ran out while measuring the device.");
    }
    return t;
}

static rp_status measure_copy(probe *p, uint32_t words, double *rate) {
    const struct rp_copy_params params = { .n = words };
    rp_tensor *from = bind(p, "from", RP_SHAPE(RP_F32, words), 0), *to = bind(p, "to", RP_SHAPE(RP_F32, words), (uint64_t)words * 4);
    rp_tensor *const in[RP_MAX_BINDINGS] = { from };
    rp_tensor *out[RP_MAX_BINDINGS] = { to };
    double seconds;
    rp_cost cost;
    rp_graph_add(p->graph, RP_OP_COPY, "copy", &params, sizeof params, in, out);
    RP_RETURN(fill(p, from));
    RP_RETURN(measure(p, &seconds, &cost));
    *rate = (double)cost.bytes / seconds;
    return RP_OK;
}

// Float32 as models keep it: in pairs, where the device multiplies those.
static rp_status measure_products(probe *p, uint32_t n, bool mixed, double *rate) {
    const rp_dtype dtype = mixed ? RP_F16 : RP_F32;
    const uint64_t bytes = (uint64_t)n * n * rp_dtype_size(dtype);
    rp_tensor *x = bind(p, "x", RP_SHAPE(dtype, n, n), 0), *y = bind(p, "y", RP_SHAPE(dtype, n, n), bytes),
              *w = bind(p, "w", RP_SHAPE(dtype, n, n), 2 * bytes);
    double seconds;
    rp_cost cost;
    RP_RETURN(fill(p, x));
    RP_RETURN(fill(p, w));
    RP_RETURN(p->graph->status);
    RP_RETURN(rp_pairs_make(p->device, &p->arena, (rp_tensor **[]){ &w }, 1));
    const struct rp_linear_params params = { .m = n, .n = n, .k = n, .w_f16 = mixed, .x_f16 = mixed, .y_f16 = mixed, .w_pairs = w->row_scale != NULL };
    rp_tensor *const in[RP_MAX_BINDINGS] = { x, w, [5] = w->row_scale };   // the other optional ones are absent
    rp_tensor *out[RP_MAX_BINDINGS] = { y };
    rp_graph_add(p->graph, RP_OP_LINEAR, "product", &params, sizeof params, in, out);
    RP_RETURN(measure(p, &seconds, &cost));
    *rate = (double)cost.flops / seconds;
    return RP_OK;
}

rp_status bench_rates_measure(rp_device *device, rp_precision precision, bench_rates *out) {
    const rp_device_kind kind = device->info.kind;
    const bool gpu = kind == RP_DEVICE_GPU, mixed = precision == RP_PRECISION_MIXED;
    uint32_t words = gpu ? 1u << 26 : 1u << 22;                                   // 256 MiB each way, beyond every cache; 16 MiB
    uint32_t n = gpu ? 8192 : kind == RP_DEVICE_CPU ? 512 : 192;                  // 1.1 TFLOP, 0.3 and 0.01 GFLOP
    while (n > 512 && gpu && device->info.memory_bytes / 8 < (uint64_t)n * n * 12) { n /= 2, words /= 2; }
    probe p;
    rp_status status = begin(&p, device, (uint64_t)words * 8);
    if (status == RP_OK) { status = measure_copy(&p, words, &out->copy_bytes_per_s); }
    end(&p);
    if (status != RP_OK) { return status; }
    status = begin(&p, device, (uint64_t)n * n * 12 + rp_pairs_room(device, RP_SHAPE(RP_F32, n, n)));
    if (status == RP_OK) { status = measure_products(&p, n, mixed, &out->matrix_flops_per_s); }
    end(&p);
    return status;
}
