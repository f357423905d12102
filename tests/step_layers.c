// The layers of step_layers.h: weights and norms that leave rows of O(1), real angles, and slots whose use would show.
#include "step_layers.h"

#include "cases/attention.h"
#include "pairs.h"
#include "product.h"

#define UNIT 1.7320508f                // numbers in (-UNIT, UNIT) have a variance of 1
#define DEAD 500                       // in slots that nobody may read; one of them would move a result by tens

// room: bytes behind it.
static rp_tensor *bind_with(layers *l, rp_shape shape, const char *name, uint64_t room) {
    rp_tensor *t = rp_tensor_bind(&l->arena, name, shape, NULL, 0);
    assert_true(t != NULL && l->n_bound < MAX_BOUND);
    test_ok(l->device, l->device->backend->buffer_create(l->device, rp_tensor_bytes(t) + room, RP_MEMORY_DEVICE, &t->buffer), name);
    l->data[l->n_bound] = rp_arena_alloc(&l->arena, rp_tensor_bytes(t));
    assert_non_null(l->data[l->n_bound]);
    l->bound[l->n_bound++] = t;
    return t;
}

static rp_tensor *bind(layers *l, rp_shape shape, const char *name) { return bind_with(l, shape, name, 0); }

static void put(layers *l, uint64_t i, double x) {
    const rp_tensor *t = l->bound[l->n_bound - 1];
    rp_convert((char *)l->data[l->n_bound - 1] + i * rp_dtype_size(t->dtype), t->dtype, &x, RP_F64, 1);
}

static rp_tensor *uniform(layers *l, rp_shape shape, const char *name, double low, double high) {
    rp_tensor *t = bind(l, shape, name);
    for (uint64_t i = 0; i < rp_tensor_count(t); i++) { put(l, i, low + (high - low) * test_random(&l->numbers)); }
    return t;
}

// Keys and values of `rows` rows, the first `live` slots of each as attention sees them, of others none.
static rp_tensor *cache(layers *l, uint32_t rows, uint32_t slots, uint32_t live, const char *name) {
    rp_tensor *t = uniform(l, RP_SHAPE(l->f16 ? RP_F16 : RP_F32, 2, 1, rows, slots, l->d), name, -UNIT, UNIT);
    for (uint64_t i = 0; i < rp_tensor_count(t); i++) {
        if (i / l->d % slots >= live) { put(l, i, i % 3 ? DEAD : -DEAD); }
    }
    return t;
}

// [n, k] float16, or float32, in pairs where the device multiplies those: then what is bound is what became of it.
static rp_tensor *weights(layers *l, uint32_t n, uint32_t k, double most) {
    const rp_shape shape = RP_SHAPE(l->f16 ? RP_F16 : RP_F32, n, k);
    const rp_backend *backend = l->device->backend;
    const uint64_t room = rp_pairs_room(l->device, shape);
    rp_tensor *t = bind_with(l, shape, "weights", room), *w = t, **slot = &w;
    void *data = l->data[l->n_bound - 1];
    for (uint64_t i = 0; i < rp_tensor_count(t); i++) { put(l, i, most * (2 * test_random(&l->numbers) - 1)); }
    if (room == 0) { return t; }
    test_ok(l->device, backend->write(t->buffer, 0, RP_F32, data, RP_F32, rp_tensor_count(t)), "write");
    test_ok(l->device, rp_pairs_make(l->device, &l->arena, &slot, 1), "pairs");
    test_ok(l->device, backend->read(t->buffer, 0, RP_F32, data, RP_F32, rp_tensor_count(t)), "read");
    return w;
}

static rp_tensor *product(layers *l, const char *label, rp_tensor *x, rp_tensor *residual, uint32_t n, uint32_t k, bool gated) {
    const double most = (double)UNIT / sqrt(k);
    const rp_product p = { .x = x, .w = weights(l, n, k, most), .residual = residual,
                           .bias = l->shape->biased ? uniform(l, RP_SHAPE(RP_F32, n), "bias", -0.5, 0.5) : NULL,
                           .norm = residual == NULL ? uniform(l, RP_SHAPE(RP_F32, k), "norm", 0.8, 1.2) : NULL, .eps = 1e-5f,
                           .m = l->shape->m, .n = n, .k = k, .gated = gated, .y_f16 = l->f16 && residual == NULL };
    return rp_product_add(l->graph, label, NULL, &p);
}

static rp_tensor *angles(layers *l, uint32_t positions) {
    const uint32_t half = l->shape->head_width / 2;
    rp_tensor *t = bind(l, RP_SHAPE(RP_F32, positions, half, 2), "angles");
    for (uint32_t i = 0; i < positions * half; i++) {
        const double angle = (i / half) * pow(10000, -(double)(i % half) / half);
        put(l, 2 * i, cos(angle)), put(l, 2 * i + 1, sin(angle));
    }
    return t;
}

void open_layers(layers *l, rp_device *device, const shape *s, layers_kind kind) {
    const uint32_t d = s->heads * s->head_width, prefix = s->tokens + UNUSED;
    *l = (layers){ .device = device, .shape = s, .d = d, .f16 = kind.f16, .numbers = { .seed = test_seed() } };
    l->graph = rp_graph_create(device, &l->arena, "layers");
    rp_tensor *step = bind(l, RP_SHAPE(RP_U32, RP_STEP_WORDS), "step"), *own[LAYERS];
    ((struct rp_step *)l->data[STEP])->batch = 1, ((struct rp_step *)l->data[STEP])->paths = s->m, ((struct rp_step *)l->data[STEP])->step = 1;
    for (uint32_t i = 0; i < LAYERS; i++) { own[i] = cache(l, s->m, SUFFIX, 0, "own"); }
    rp_tensor *n_tokens = bind(l, RP_SHAPE(RP_U32, 1), "n_tokens"), *rope = NULL;
    *(uint32_t *)l->data[l->n_bound - 1] = s->tokens;
    rope = angles(l, prefix + SUFFIX);
    l->x = uniform(l, RP_SHAPE(RP_F32, s->m, d), "x", -UNIT, UNIT);
    struct rp_attn_step_params p = { 1, s->m, s->heads, s->head_width, prefix, SUFFIX, prefix + SUFFIX, 0, 0, l->f16 };
    attention_scale(s->head_width, &p.scale, &p.scale_rest);
    for (uint32_t i = 0; i < LAYERS; i++) {
        rp_tensor *in[] = { product(l, "qkv", l->x, NULL, 3 * d, d, false), rope, cache(l, 1, prefix, s->tokens, "prefix"), own[i], n_tokens, step };
        rp_tensor *out[] = { own[i], NULL };
        rp_graph_add(l->graph, RP_OP_ATTN_STEP, "attention", &p, sizeof p, in, out);
        l->x = product(l, "attention out", out[1], l->x, d, d, false);
        rp_tensor *h = product(l, "mlp in", l->x, NULL, 2 * s->hidden, d, true);
        l->x = product(l, "mlp out", h, l->x, d, s->hidden, false);
    }
    const struct rp_advance_params advance = { RP_ADVANCE_STEP, 0 };
    rp_graph_add(l->graph, RP_OP_ADVANCE, "advance", &advance, sizeof advance, &step, &step);
    assert_int_equal(l->graph->status, RP_OK);
    for (uint32_t i = 0; i < l->graph->n_tensors; i++) { l->graph->tensors[i]->keep = !kind.together || l->graph->tensors[i] == l->x; }
    test_ok(device, rp_plan_create(l->graph, &l->plan), "layers");
    test_ok(device, device->backend->buffer_create(device, l->plan->activation_bytes, RP_MEMORY_DEVICE, &l->activations), "activations");
    rp_plan_bind(l->graph, l->plan, l->activations);
    for (uint32_t i = 0; i < l->n_bound; i++) {
        const rp_tensor *t = l->bound[i];
        test_ok(device, device->backend->write(t->buffer, 0, t->dtype, l->data[i], t->dtype, rp_tensor_count(t)), t->name);
    }
    if (kind.recorded && device->backend != &rp_backend_ref) { test_ok(device, device->backend->record(device, l->plan, &l->recording), "record"); }
}

void close_layers(layers *l) {
    l->device->backend->recording_destroy(l->recording);
    for (uint32_t i = 0; i < l->n_bound; i++) { l->device->backend->buffer_destroy(l->bound[i]->buffer); }
    l->device->backend->buffer_destroy(l->activations);
    rp_arena_destroy(&l->arena);
}
