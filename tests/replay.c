// A whole decode step, as a model would build it: recorded once and replayed for every step value, each time compared bit for
// bit with a fresh direct run; replays queued without a wait; and a thousand replays that allocate and record nothing.
#include "case.h"

#include <stdatomic.h>

// ---- counting allocations of the library, whose code is linked into this program; drivers may do as they like ----

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define COUNTS_ALLOCATIONS 0
static atomic_bool counting;
static atomic_uint allocations;
#else
#define COUNTS_ALLOCATIONS 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
extern char __executable_start, etext;      // of this program, set by the linker

static atomic_bool counting;
static atomic_uint allocations;
static void count(const void *caller) {
    if (atomic_load(&counting) && (const char *)caller >= &__executable_start && (const char *)caller < &etext) { allocations++; }
}
__attribute__((visibility("default"))) void *malloc(size_t size) {
    count(__builtin_return_address(0));
    return __libc_malloc(size);
}
__attribute__((visibility("default"))) void *calloc(size_t n, size_t size) {
    count(__builtin_return_address(0));
    return __libc_calloc(n, size);
}
__attribute__((visibility("default"))) void *realloc(void *old, size_t size) {
    count(__builtin_return_address(0));
    return __libc_realloc(old, size);
}
#endif

// ---- a small model: one time-wise and one space-wise attention, an MLP, a head ----

enum { BATCH = 2, PATHS = 3, VARIATES = 2, HEADS = 2, HEAD = 8, WIDTH = HEADS * HEAD, MLP = 24, PATCH = 4, COMPONENTS = 3,
       PREFIX = 9, STEPS = 70 /* the suffix outgrows a tile of 64 keys */, ROWS = BATCH * PATHS * VARIATES,
       POSITIONS = PREFIX + STEPS, HORIZON = (STEPS + 1) * PATCH };

// What lives from one step to the next; compared after each.
enum { STEP, PATCH_VALUES, STATE, K_SUFFIX, V_SUFFIX, RESULT, N_LIVING };
#define MAX_TENSORS 40

typedef struct model {
    rp_device *device;
    rp_arena arena;
    test_case numbers;                   // random numbers only
    rp_tensor *tensor[MAX_TENSORS];      // bound ones; the first N_LIVING live on
    void *start[MAX_TENSORS];            // what they hold at the start
    uint32_t n_tensors;
    rp_buffer *memory;                   // activations
    rp_graph *graph;
    rp_plan *plan;
} model;

static rp_tensor *bind(model *m, const char *name, rp_dtype dtype, uint64_t count, const void *start) {
    rp_buffer *buffer = NULL;
    test_ok(m->device, m->device->backend->buffer_create(m->device, count * rp_dtype_size(dtype), RP_MEMORY_DEVICE, &buffer), name);
    rp_shape shape = { 1, { (uint32_t)count }, dtype };
    assert_true(m->n_tensors < MAX_TENSORS);
    m->start[m->n_tensors] = rp_arena_alloc(&m->arena, (size_t)count * rp_dtype_size(dtype));
    if (start != NULL) { memcpy(m->start[m->n_tensors], start, (size_t)count * rp_dtype_size(dtype)); }
    return m->tensor[m->n_tensors++] = rp_tensor_bind(&m->arena, name, shape, buffer, 0);
}

static rp_tensor *random_tensor(model *m, const char *name, uint64_t count, double low, double high) {
    float *x = malloc((size_t)count * sizeof *x);
    assert_non_null(x);
    for (uint64_t i = 0; i < count; i++) { x[i] = (float)(low + (high - low) * test_random(&m->numbers)); }
    rp_tensor *tensor = bind(m, name, RP_F32, count, x);
    free(x);
    return tensor;
}

static rp_tensor *linear(model *m, rp_tensor *x, uint32_t rows, uint32_t k, uint32_t n, rp_tensor *residual, const char *name) {
    const struct rp_linear_params p = { .m = rows, .n = n, .k = k, .has_bias = 1, .has_residual = residual != NULL };
    rp_tensor *in[6] = { x, random_tensor(m, name, (uint64_t)n * k, -0.4, 0.4), random_tensor(m, name, n, -0.1, 0.1), residual };
    rp_tensor *y = NULL;
    rp_graph_add(m->graph, RP_OP_LINEAR, name, &p, sizeof p, in, &y);
    return y;
}

static rp_tensor *norm(model *m, rp_tensor *x, const char *name) {
    const struct rp_rmsnorm_params p = { .rows = ROWS, .width = WIDTH, .eps = 1e-8f };
    rp_tensor *in[2] = { x, random_tensor(m, name, WIDTH, 0.5, 1.5) }, *y = NULL;
    rp_graph_add(m->graph, RP_OP_RMSNORM, name, &p, sizeof p, in, &y);
    return y;
}

static rp_tensor *time_attention(model *m, rp_tensor *x) {
    const struct rp_rope_kv_params rope = { BATCH, PATHS, VARIATES, 1, HEADS, HEAD, STEPS, 1, 0, POSITIONS, 0 };
    const struct rp_attn_time_params attend = { BATCH, PATHS, VARIATES, 1, HEADS, HEAD, PREFIX, STEPS, 0, 0.35355338f, 0, 0, 0, 0, 0 };
    const uint32_t n_patches[BATCH] = { PREFIX, 4 };
    rp_tensor *lengths = bind(m, "n_patches", RP_U32, BATCH, n_patches), *k = m->tensor[K_SUFFIX], *v = m->tensor[V_SUFFIX];
    rp_tensor *in[7] = { linear(m, norm(m, x, "norm1"), ROWS, WIDTH, 3 * WIDTH, NULL, "qkv"),
                         random_tensor(m, "rope", POSITIONS * HEAD, -1, 1),
                         random_tensor(m, "xpos", (2 * POSITIONS + 1) * HEAD / 2, 0.5, 2), lengths, m->tensor[STEP] };
    rp_tensor *out[3] = { NULL, k, v }, *y = NULL;
    rp_graph_add(m->graph, RP_OP_ROPE_KV, "rope", &rope, sizeof rope, in, out);
    rp_tensor *keys[7] = { out[0], random_tensor(m, "k_prefix", BATCH * VARIATES * PREFIX * WIDTH, -1, 1),
                           random_tensor(m, "v_prefix", BATCH * VARIATES * PREFIX * WIDTH, -1, 1), k, v, lengths, m->tensor[STEP] };
    rp_graph_add(m->graph, RP_OP_ATTN_TIME, "attention", &attend, sizeof attend, keys, &y);
    return linear(m, y, ROWS, WIDTH, WIDTH, x, "out");
}

static rp_tensor *space_attention(model *m, rp_tensor *x) {
    const struct rp_attn_space_params p = { BATCH, PATHS, VARIATES, 1, HEADS, HEAD, 0.35355338f, 0, 0, .kv_heads = HEADS };
    const int32_t ids[BATCH * VARIATES] = { 0, 0, 1, 2 };
    rp_tensor *in[3] = { linear(m, norm(m, x, "norm1"), ROWS, WIDTH, 3 * WIDTH, NULL, "qkv"), bind(m, "ids", RP_I32, BATCH * VARIATES, ids) };
    rp_tensor *y = NULL;
    rp_graph_add(m->graph, RP_OP_ATTN_SPACE, "across", &p, sizeof p, in, &y);
    return linear(m, y, ROWS, WIDTH, WIDTH, x, "out");
}

static rp_tensor *mlp(model *m, rp_tensor *x) {
    const struct rp_silu_mul_params p = { ROWS, MLP };
    rp_tensor *both = linear(m, norm(m, x, "norm2"), ROWS, WIDTH, 2 * MLP, NULL, "w12"), *y = NULL;
    rp_graph_add(m->graph, RP_OP_SILU_MUL, "gate", &p, sizeof p, &both, &y);
    return linear(m, y, ROWS, MLP, WIDTH, x, "w3");
}

static rp_tensor *scaled(model *m, rp_tensor **affine) {
    const struct rp_scale_step_params p = { BATCH, PATHS, VARIATES, PATCH, RP_SCALER_CAUSAL_PATCH, 1, 10 };
    double whole[BATCH * VARIATES * 2];
    for (uint32_t i = 0; i < BATCH * VARIATES * 2; i++) { whole[i] = 0.5 + test_random(&m->numbers); }
    rp_tensor *in[3] = { m->tensor[PATCH_VALUES], m->tensor[STATE], bind(m, "global", RP_F64, BATCH * VARIATES * 2, whole) };
    rp_tensor *out[3] = { NULL, NULL, m->tensor[STATE] };
    rp_graph_add(m->graph, RP_OP_SCALE_STEP, "scale", &p, sizeof p, in, out);
    *affine = out[1];
    return out[0];
}

static void head(model *m, rp_tensor *x, rp_tensor *affine) {
    const struct rp_mixture_params mix = { ROWS * PATCH, COMPONENTS, 4 };
    const struct rp_draw_params draw = { BATCH, PATHS, VARIATES, PATCH, COMPONENTS, RP_DRAW_SAMPLE, 0, HORIZON, 8 };
    const struct rp_advance_params advance = { RP_ADVANCE_STEP, 0 };
    const uint32_t ids[BATCH] = { 5, 9 };
    rp_tensor *raw = linear(m, x, ROWS, WIDTH, PATCH * 4 * COMPONENTS, NULL, "head"), *dist = NULL, *step = m->tensor[STEP];
    rp_graph_add(m->graph, RP_OP_MIXTURE, "mixture", &mix, sizeof mix, &raw, &dist);
    rp_tensor *in[6] = { dist, affine, random_tensor(m, "future", BATCH * VARIATES * HORIZON, -1, 1), NULL,
                         bind(m, "ids", RP_U32, BATCH, ids), step };
    rp_tensor *out[2] = { m->tensor[PATCH_VALUES], m->tensor[RESULT] };
    rp_graph_add(m->graph, RP_OP_DRAW, "draw", &draw, sizeof draw, in, out);
    rp_graph_add(m->graph, RP_OP_ADVANCE, "advance", &advance, sizeof advance, &step, &step);
}

static void open_model(model *m, rp_device *device) {
    *m = (model){ .device = device, .numbers = { .seed = test_seed() } };
    const struct rp_step step = { .batch = BATCH, .paths = 7, .path0 = 4, .chunk = 2, .step = 1, .horizon = HORIZON, .exogenous = 1,
                                  .seed_lo = 11, .seed_hi = 12 };
    m->graph = rp_graph_create(device, &m->arena, "step");
    bind(m, "step", RP_U32, RP_STEP_WORDS, &step);
    random_tensor(m, "patch", ROWS * PATCH, -1, 2);
    double state[ROWS * 4] = { 0 };
    for (uint32_t i = 0; i < ROWS; i++) { state[4 * i] = 36, state[4 * i + 1] = test_random(&m->numbers), state[4 * i + 2] = 20; }
    bind(m, "state", RP_F64, ROWS * 4, state);
    bind(m, "k_suffix", RP_F32, (uint64_t)ROWS * STEPS * WIDTH, NULL);
    bind(m, "v_suffix", RP_F32, (uint64_t)ROWS * STEPS * WIDTH, NULL);
    bind(m, "result", RP_F32, BATCH * VARIATES * HORIZON * 8, NULL);
    rp_tensor *affine = NULL, *z = scaled(m, &affine);
    rp_tensor *x = linear(m, z, ROWS, PATCH, WIDTH, NULL, "embed");
    x = mlp(m, time_attention(m, x));
    x = mlp(m, space_attention(m, x));
    head(m, x, affine);
    test_ok(device, rp_plan_create(m->graph, &m->plan), "step");
    test_ok(device, device->backend->buffer_create(device, m->plan->activation_bytes, RP_MEMORY_DEVICE, &m->memory), "activations");
    rp_plan_bind(m->graph, m->plan, m->memory);
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        const rp_tensor *t = m->tensor[i];
        test_ok(device, device->backend->write(t->buffer, 0, t->dtype, m->start[i], t->dtype, rp_tensor_count(t)), "write");
    }
}

static void close_model(model *m) {
    for (uint32_t i = 0; i < m->n_tensors; i++) { m->device->backend->buffer_destroy(m->tensor[i]->buffer); }
    m->device->backend->buffer_destroy(m->memory);
    rp_arena_destroy(&m->arena);
}

// Everything that lives on, as at the start but for the step value.
static void restart(model *m, uint32_t step) {
    for (uint32_t i = 0; i < N_LIVING; i++) {
        const rp_tensor *t = m->tensor[i];
        if (i == STEP) { ((uint32_t *)m->start[i])[4] = step; }
        test_ok(m->device, m->device->backend->write(t->buffer, 0, t->dtype, m->start[i], t->dtype, rp_tensor_count(t)), "write");
    }
}

typedef struct snapshot { void *data[N_LIVING]; } snapshot;

// Bytes are compared on the device's own dtypes, on ref float64 in place of float32.
static rp_dtype kept(const model *m, const rp_tensor *t) {
    return t->dtype == RP_F32 && m->device->backend == &rp_backend_ref ? RP_F64 : t->dtype;
}

static snapshot take(model *m) {
    snapshot s;
    for (uint32_t i = 0; i < N_LIVING; i++) {
        const rp_tensor *t = m->tensor[i];
        s.data[i] = calloc(rp_tensor_count(t), 8);
        assert_non_null(s.data[i]);
        test_ok(m->device, m->device->backend->read(t->buffer, 0, t->dtype, s.data[i], kept(m, t), rp_tensor_count(t)), "read");
    }
    return s;
}

static void drop(snapshot *s) {
    for (uint32_t i = 0; i < N_LIVING; i++) { free(s->data[i]); }
}

static void same(model *m, const snapshot *a, const snapshot *b, const char *what, uint32_t step) {
    for (uint32_t i = 0; i < N_LIVING; i++) {
        const rp_tensor *t = m->tensor[i];
        const size_t size = rp_dtype_size(kept(m, t));
        for (uint64_t e = 0; e < rp_tensor_count(t); e++) {
            if (memcmp((char *)a->data[i] + e * size, (char *)b->data[i] + e * size, size) != 0) {
                fail_msg("%s, step %u on %s: '%s' element %llu differs from a direct run", what, step, m->device->info.spec, t->name,
                         (unsigned long long)e);
            }
        }
    }
}

// ---- the tests ----

static void run_direct(model *m) { test_ok(m->device, m->device->backend->run(m->device, m->plan), "run"); }

static void replay(model *m, rp_recording *recording, uint32_t n) {
    rp_recording *all[STEPS];
    for (uint32_t i = 0; i < n; i++) { all[i] = recording; }
    test_ok(m->device, m->device->backend->replay(m->device, all, n), "replay");
}

// Each step value on its own, far from in order.
static void step_values(void **state) {
    const test_device *d = *state;
    test_need(d);
    model m;
    rp_recording *recording = NULL;
    open_model(&m, d->device);
    test_ok(d->device, d->device->backend->record(d->device, m.plan, &recording), "record");
    for (uint32_t i = 0; i < STEPS; i++) {
        const uint32_t step = 1 + i * 29 % STEPS;
        restart(&m, step);
        replay(&m, recording, 1);
        test_ok(d->device, d->device->backend->wait(d->device), "wait");
        snapshot replayed = take(&m);
        restart(&m, step);
        run_direct(&m);
        snapshot direct = take(&m);
        same(&m, &replayed, &direct, "one replay", step);
        drop(&replayed);
        drop(&direct);
    }
    d->device->backend->recording_destroy(recording);
    close_model(&m);
}

// A whole horizon: one by one, and queued without a wait, as one call and as many; one call also again, when a backend may have made
// one launch of it.
static void horizon(void **state) {
    const test_device *d = *state;
    test_need(d);
    model m;
    rp_recording *recording = NULL;
    open_model(&m, d->device);
    test_ok(d->device, d->device->backend->record(d->device, m.plan, &recording), "record");
    restart(&m, 1);
    for (uint32_t i = 0; i < STEPS; i++) { run_direct(&m); }
    snapshot direct = take(&m);
    restart(&m, 1);
    replay(&m, recording, STEPS);
    snapshot queued = take(&m);
    same(&m, &queued, &direct, "the horizon in one call", STEPS);
    restart(&m, 1);
    replay(&m, recording, STEPS);
    snapshot again = take(&m);
    same(&m, &again, &direct, "the horizon in one call, again", STEPS);
    restart(&m, 1);
    for (uint32_t i = 0; i < STEPS; i++) { replay(&m, recording, 1); }
    snapshot one_by_one = take(&m);
    same(&m, &one_by_one, &direct, "the horizon in many calls", STEPS);
    const float *result = direct.data[RESULT];
    if (m.device->backend != &rp_backend_ref) {       // something was computed at all
        double sum = 0;
        for (uint32_t i = 0; i < BATCH * VARIATES * HORIZON * 8; i++) { sum += fabs((double)result[i]); }
        assert_true(isfinite(sum) && sum > 1);
    }
    drop(&direct);
    drop(&queued);
    drop(&again);
    drop(&one_by_one);
    d->device->backend->recording_destroy(recording);
    close_model(&m);
}

// Queues of many lengths in turn, more than a backend may keep, of recordings that come and go: each must do all of its replays, and no
// queue may be taken for one of a recording that is gone.
static void many_queues(void **state) {
    const test_device *d = *state;
    test_need(d);
    enum { TURNS = 2, LONGEST = 30 };
    model m;
    open_model(&m, d->device);
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        rp_recording *recording = NULL;
        test_ok(d->device, d->device->backend->record(d->device, m.plan, &recording), "record");
        for (uint32_t i = 0; i < 2 * LONGEST; i++) {
            const uint32_t n = turn == 0 ? 1 + i / 2 : 1 + i * 29 % LONGEST;
            uint32_t step[RP_STEP_WORDS];
            restart(&m, 1);
            replay(&m, recording, n);
            test_ok(d->device, d->device->backend->read(m.tensor[STEP]->buffer, 0, RP_U32, step, RP_U32, RP_STEP_WORDS), "read");
            assert_int_equal(step[4], 1 + n);
        }
        d->device->backend->recording_destroy(recording);
    }
    close_model(&m);
}

static uint32_t count_launches(const model *m, rp_op op) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->plan->n_launches; i++) { n += m->plan->launches[i].op == op; }
    return n;
}

static void thousand_replays(void **state) {
    const test_device *d = *state;
    test_need(d);
    enum { QUEUED = 50, ROUNDS = 20 };
    model m;
    rp_recording *recording = NULL;
    open_model(&m, d->device);
    test_ok(d->device, d->device->backend->record(d->device, m.plan, &recording), "record");
    restart(&m, 1);
    replay(&m, recording, 1);     // the first replay may set things up
    test_ok(d->device, d->device->backend->wait(d->device), "wait");
    const rp_counters before = d->device->counters;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        restart(&m, 1);
        atomic_store(&counting, true);
        replay(&m, recording, QUEUED);
        test_ok(d->device, d->device->backend->wait(d->device), "wait");
        atomic_store(&counting, false);
    }
    const rp_counters after = d->device->counters;
    assert_int_equal(after.buffers, before.buffers);
    assert_int_equal(after.buffer_bytes, before.buffer_bytes);
    assert_int_equal(after.recordings, before.recordings);
    assert_int_equal(after.replays, before.replays + QUEUED * ROUNDS);
    assert_int_equal(after.reads, before.reads);
    const uint32_t counted = atomic_load(&allocations);
    atomic_store(&allocations, 0);
    d->device->backend->recording_destroy(recording);
    // The reference keeps an attention's scores on the heap while it runs; it is not made for speed.
    const uint32_t attentions = count_launches(&m, RP_OP_ATTN_TIME) + count_launches(&m, RP_OP_ATTN_SPACE);
    close_model(&m);
    if (!COUNTS_ALLOCATIONS) {
        printf("  allocations are not counted: the sanitizer has its own malloc\n");
        return;
    }
    printf("  %u allocations of the library in %u replays\n", counted, QUEUED * ROUNDS);
    assert_true(counted <= (d->device->backend == &rp_backend_ref ? attentions * QUEUED * ROUNDS : 0));
}

// Host memory counts among all buffers only; the peak stays when a buffer goes.
static void memory_is_counted(void **state) {
    const test_device *d = *state;
    test_need(d);
    const rp_backend *backend = d->device->backend;
    rp_counters *c = &d->device->counters;
    rp_buffer *first, *second, *host;
    const rp_counters before = *c;
    c->device_bytes_peak = c->device_bytes;
    test_ok(d->device, backend->buffer_create(d->device, 1000, RP_MEMORY_DEVICE, &first), "first");
    test_ok(d->device, backend->buffer_create(d->device, 4096, RP_MEMORY_HOST, &host), "host");
    assert_true(c->device_bytes == before.device_bytes + 1000 && c->buffer_bytes == before.buffer_bytes + 5096);
    backend->buffer_destroy(first);
    test_ok(d->device, backend->buffer_create(d->device, 600, RP_MEMORY_DEVICE, &second), "second");
    assert_true(c->device_bytes == before.device_bytes + 600 && c->device_bytes_peak == before.device_bytes + 1000);
    backend->buffer_destroy(second);
    backend->buffer_destroy(host);
    assert_true(c->device_bytes == before.device_bytes && c->buffer_bytes == before.buffer_bytes && c->buffers == before.buffers + 3);
    assert_int_equal(c->device_bytes_peak, before.device_bytes + 1000);
}

int main(void) {
    static const struct { const char *name; test_function run; } kinds[] = {
        { "step values", step_values }, { "horizon", horizon }, { "many queues", many_queues }, { "a thousand replays", thousand_replays },
        { "memory is counted", memory_is_counted },
    };
    static char names[TEST_MAX_DEVICES * TEST_COUNT(kinds)][64];
    static struct CMUnitTest tests[TEST_MAX_DEVICES * TEST_COUNT(kinds)];
    test_device *devices;
    uint32_t n_devices = test_devices(&devices), n = 0;
    test_seed();
    for (uint32_t d = 0; d < n_devices; d++) {
        for (uint32_t k = 0; k < TEST_COUNT(kinds); k++, n++) {
            snprintf(names[n], sizeof *names, "%s on %s", kinds[k].name, devices[d].spec);
            tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = kinds[k].run, .initial_state = &devices[d] };
        }
    }
    return test_group("replay", tests, n);
}
