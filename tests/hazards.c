// Dependencies between launches: write after write, read after write, write after read, overlapping views of one buffer, and
// activations that share memory. Each graph is a list of copies between ranges; the host does the same in order and compares.
// What the plan must find as dependencies is stated beside each copy.
#include "case.h"

#define UNIT 8192           // words: 32 groups of copy, so that launches which should wait would overlap
#define RANGE 8             // units of each buffer
#define BUFFERS 4
#define MAX_COPIES 6
#define WORDS (RANGE * UNIT)

typedef struct range { uint32_t buffer, unit; } range;
typedef struct copy_step {
    range from, to;
    uint32_t units;
    uint32_t deps;          // bit j: waits for copy j
} copy_step;

enum { A, B, X, Y };
static const struct { const char *name; uint32_t n; copy_step copy[MAX_COPIES]; } hazards[] = {
    { "write after write", 2, { { { A, 0 }, { X, 0 }, 8, 0 }, { { B, 0 }, { X, 0 }, 8, 1 } } },
    { "read after write", 2, { { { A, 0 }, { X, 0 }, 8, 0 }, { { X, 0 }, { Y, 0 }, 8, 1 } } },
    { "write after read", 2, { { { X, 0 }, { Y, 0 }, 8, 0 }, { { A, 0 }, { X, 0 }, 8, 1 } } },
    { "reads of one buffer", 2, { { { A, 0 }, { X, 0 }, 8, 0 }, { { A, 0 }, { Y, 0 }, 8, 0 } } },
    { "ranges side by side", 3,
      { { { A, 0 }, { X, 0 }, 3, 0 }, { { B, 0 }, { X, 3 }, 2, 0 }, { { B, 5 }, { X, 5 }, 3, 0 } } },
    { "overlap, write after write", 2, { { { A, 0 }, { X, 0 }, 5, 0 }, { { B, 0 }, { X, 4 }, 4, 1 } } },
    { "overlap, read after write", 3,
      { { { A, 0 }, { X, 0 }, 3, 0 }, { { B, 0 }, { X, 5 }, 3, 0 }, { { X, 2 }, { Y, 0 }, 4, 3 } } },
    { "overlap, write after read", 2, { { { X, 2 }, { Y, 0 }, 4, 0 }, { { A, 0 }, { X, 5 }, 3, 1 } } },
    { "inner range", 2, { { { A, 0 }, { X, 0 }, 8, 0 }, { { X, 3 }, { Y, 0 }, 1, 1 } } },
    { "within one buffer", 3, { { { X, 0 }, { X, 4 }, 2, 0 }, { { X, 4 }, { X, 6 }, 2, 1 }, { { X, 6 }, { X, 0 }, 2, 2 } } },
    { "nothing transitive", 4,
      { { { A, 0 }, { X, 0 }, 8, 0 }, { { X, 0 }, { Y, 0 }, 8, 1 }, { { Y, 0 }, { X, 0 }, 8, 2 }, { { X, 0 }, { B, 0 }, 8, 4 } } },
    { "diamond", 4,
      { { { A, 0 }, { X, 0 }, 4, 0 }, { { X, 0 }, { Y, 0 }, 4, 1 }, { { X, 0 }, { Y, 4 }, 4, 1 }, { { Y, 2 }, { B, 0 }, 4, 6 } } },
    { "swap", 3, { { { A, 0 }, { X, 0 }, 8, 0 }, { { B, 0 }, { A, 0 }, 8, 1 }, { { X, 0 }, { B, 0 }, 8, 2 } } },
    { "a long chain", 6,
      { { { A, 0 }, { X, 0 }, 2, 0 }, { { X, 0 }, { X, 2 }, 2, 1 }, { { X, 0 }, { X, 4 }, 4, 2 }, { { B, 0 }, { X, 0 }, 1, 4 },
        { { X, 0 }, { Y, 0 }, 8, 8 }, { { B, 0 }, { X, 7 }, 1, 16 } } },
};

typedef struct rig {
    rp_device *device;
    rp_arena arena;
    rp_buffer *buffer[BUFFERS];
    uint32_t *image[BUFFERS];     // what the host expects
    rp_plan *plan;
    rp_recording *recording;
} rig;

static void load(rig *r) {
    for (uint32_t b = 0; b < BUFFERS; b++) {
        for (uint32_t i = 0; i < WORDS; i++) { r->image[b][i] = b << 28 | i; }
        test_ok(r->device, r->device->backend->write(r->buffer[b], 0, RP_U32, r->image[b], RP_U32, WORDS), "write");
    }
}

static void open_rig(rig *r, rp_device *device) {
    *r = (rig){ .device = device };
    for (uint32_t b = 0; b < BUFFERS; b++) {
        test_ok(device, device->backend->buffer_create(device, WORDS * 4, RP_MEMORY_DEVICE, &r->buffer[b]), "buffer_create");
        r->image[b] = rp_arena_alloc(&r->arena, WORDS * 4);
        assert_non_null(r->image[b]);
    }
}

static void close_rig(rig *r) {
    r->device->backend->recording_destroy(r->recording);
    for (uint32_t b = 0; b < BUFFERS; b++) { r->device->backend->buffer_destroy(r->buffer[b]); }
    rp_arena_destroy(&r->arena);
}

static void simulate(rig *r, const copy_step *copy, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        memmove(r->image[copy[i].to.buffer] + (size_t)copy[i].to.unit * UNIT,
                r->image[copy[i].from.buffer] + (size_t)copy[i].from.unit * UNIT, (size_t)copy[i].units * UNIT * 4);
    }
}

static void compare(rig *r, const char *name, const char *mode) {
    uint32_t *got = malloc(WORDS * 4);
    assert_non_null(got);
    for (uint32_t b = 0; b < BUFFERS; b++) {
        test_ok(r->device, r->device->backend->read(r->buffer[b], 0, RP_U32, got, RP_U32, WORDS), "read");
        for (uint32_t i = 0; i < WORDS; i++) {
            if (got[i] != r->image[b][i]) {
                fail_msg("%s, %s on %s: buffer %c word %u is %08x, not %08x", name, mode, r->device->info.spec, "ABXY"[b], i,
                         got[i], r->image[b][i]);
            }
        }
    }
    free(got);
}

static rp_tensor *view(rig *r, range at, uint32_t units) {
    return rp_tensor_bind(&r->arena, "view", RP_SHAPE(RP_U32, units * UNIT), r->buffer[at.buffer], (uint64_t)at.unit * UNIT * 4);
}

static void add_copy(rp_graph *graph, const char *name, rp_tensor *from, rp_tensor **to) {
    const struct rp_copy_params p = { from ? (uint32_t)rp_tensor_count(from) : 0 };
    rp_graph_add(graph, RP_OP_COPY, name, &p, sizeof p, &from, to);
}

static void check_deps(const char *name, const rp_plan *plan, uint32_t i, uint32_t want) {
    uint32_t have = 0;
    for (uint32_t d = 0; d < plan->n_deps[i]; d++) { have |= 1u << plan->deps[i][d]; }
    if (have != want) { fail_msg("%s: launch %u depends on the launches of mask %x, not %x", name, i, have, want); }
}

// Every mode; and several replays queued at once, each of which must wait for the one before: twice, since a backend may make one
// launch of a queue that comes again.
static void check_modes(rig *r, const char *name, const copy_step *copy, uint32_t n) {
    const rp_backend *backend = r->device->backend;
    load(r);
    test_ok(r->device, backend->run(r->device, r->plan), "run");
    simulate(r, copy, n);
    compare(r, name, "direct");
    test_ok(r->device, backend->record(r->device, r->plan, &r->recording), "record");
    for (uint32_t turn = 0; turn < 8; turn++) {
        rp_recording *const all[4] = { r->recording, r->recording, r->recording, r->recording };
        const uint32_t queued = 1 + turn / 2;
        load(r);
        test_ok(r->device, backend->replay(r->device, all, queued), "replay");
        test_ok(r->device, backend->wait(r->device), "wait");
        for (uint32_t i = 0; i < queued; i++) { simulate(r, copy, n); }
        compare(r, name, queued == 1 ? "recorded" : turn % 2 == 0 ? "queued" : "queued again");
    }
}

// A graph whose activations take `bytes`, in a buffer of their own: what its launches depend on, and that it does as n copies do.
static void check_activations(rig *r, rp_graph *graph, uint64_t bytes, const uint32_t *deps, const copy_step *copy, uint32_t n) {
    rp_buffer *memory = NULL;
    assert_int_equal(r->plan->activation_bytes, bytes);
    test_ok(r->device, r->device->backend->buffer_create(r->device, bytes, RP_MEMORY_DEVICE, &memory), "buffer_create");
    rp_plan_bind(graph, r->plan, memory);
    for (uint32_t i = 0; i < r->plan->n_launches; i++) { check_deps(graph->name, r->plan, i, deps[i]); }
    check_modes(r, graph->name, copy, n);
    close_rig(r);
    r->device->backend->buffer_destroy(memory);
}

static void ranges(void **state) {
    const test_device *d = *state;
    test_need(d);
    for (uint32_t h = 0; h < TEST_COUNT(hazards); h++) {
        rig r;
        open_rig(&r, d->device);
        rp_graph *graph = rp_graph_create(d->device, &r.arena, hazards[h].name);
        for (uint32_t i = 0; i < hazards[h].n; i++) {
            const copy_step *copy = &hazards[h].copy[i];
            rp_tensor *to = view(&r, copy->to, copy->units);
            add_copy(graph, hazards[h].name, view(&r, copy->from, copy->units), &to);
        }
        test_ok(d->device, rp_plan_create(graph, &r.plan), hazards[h].name);
        rp_plan_bind(graph, r.plan, NULL);
        for (uint32_t i = 0; i < hazards[h].n; i++) { check_deps(hazards[h].name, r.plan, i, hazards[h].copy[i].deps); }
        check_modes(&r, hazards[h].name, hazards[h].copy, hazards[h].n);
        close_rig(&r);
    }
}

// A -> p -> q -> X and B -> s -> Y: s takes the place of p, so its write must wait until p has been read.
static void activations(void **state) {
    const test_device *d = *state;
    test_need(d);
    rig r;
    open_rig(&r, d->device);
    rp_graph *graph = rp_graph_create(d->device, &r.arena, "activations");
    rp_tensor *p = NULL, *q = NULL, *s = NULL, *x = view(&r, (range){ X, 0 }, 8), *y = view(&r, (range){ Y, 0 }, 8);
    add_copy(graph, "p", view(&r, (range){ A, 0 }, 8), &p);
    add_copy(graph, "q", p, &q);
    add_copy(graph, "s", view(&r, (range){ B, 0 }, 8), &s);
    add_copy(graph, "x", q, &x);
    add_copy(graph, "y", s, &y);
    test_ok(d->device, rp_plan_create(graph, &r.plan), "activations");
    assert_int_equal(p->offset, s->offset);
    static const uint32_t deps[5] = { 0, 1, 2, 2, 4 };    // the third: write after read of p, which also covers p's write
    static const copy_step result[2] = { { { A, 0 }, { X, 0 }, 8, 0 }, { { B, 0 }, { Y, 0 }, 8, 0 } };
    check_activations(&r, graph, 2 * WORDS * 4, deps, result, 2);
}

// A -> low and B -> high, parts of w; w -> X and high -> Y; A -> s -> B: s takes the place of w, so its write must wait until w and its part
// have been read.
static void parts(void **state) {
    const test_device *d = *state;
    test_need(d);
    rig r;
    open_rig(&r, d->device);
    rp_graph *graph = rp_graph_create(d->device, &r.arena, "parts");
    rp_tensor *w = rp_tensor_bind(&r.arena, "w", RP_SHAPE(RP_U32, WORDS), NULL, 0), *s = NULL;
    rp_tensor *low = rp_tensor_part(&r.arena, "low", RP_SHAPE(RP_U32, 3 * UNIT), w, 0);
    rp_tensor *high = rp_tensor_part(&r.arena, "high", RP_SHAPE(RP_U32, 5 * UNIT), w, 3 * UNIT * 4);
    rp_tensor *x = view(&r, (range){ X, 0 }, 8), *y = view(&r, (range){ Y, 0 }, 5), *b = view(&r, (range){ B, 0 }, 8);
    add_copy(graph, "low", view(&r, (range){ A, 0 }, 3), &low);
    add_copy(graph, "high", view(&r, (range){ B, 0 }, 5), &high);
    add_copy(graph, "x", w, &x);
    add_copy(graph, "y", high, &y);
    add_copy(graph, "s", view(&r, (range){ A, 0 }, 8), &s);
    add_copy(graph, "b", s, &b);
    test_ok(d->device, rp_plan_create(graph, &r.plan), "parts");
    assert_int_equal(high->offset, w->offset + 3 * UNIT * 4);
    static const uint32_t deps[6] = { 0, 0, 3, 2, 12, 16 };
    static const copy_step result[4] = { { { A, 0 }, { X, 0 }, 3, 0 }, { { B, 0 }, { X, 3 }, 5, 0 }, { { B, 0 }, { Y, 0 }, 5, 0 }, { { A, 0 }, { B, 0 }, 8, 0 } };
    check_activations(&r, graph, WORDS * 4, deps, result, 4);
}

// A -> p; aside, from a part of p on, low -> q -> X; p -> s -> t -> Y: s would take the place of q, or t that of p, and so wait for nodes aside.
static void aside(void **state) {
    const test_device *d = *state;
    test_need(d);
    rig r;
    open_rig(&r, d->device);
    rp_graph *graph = rp_graph_create(d->device, &r.arena, "aside");
    rp_tensor *p = NULL, *q = NULL, *s = NULL, *t = NULL, *x = view(&r, (range){ X, 0 }, 3), *y = view(&r, (range){ Y, 0 }, 8);
    add_copy(graph, "p", view(&r, (range){ A, 0 }, 8), &p);
    rp_graph_aside_begin(graph);
    add_copy(graph, "q", rp_tensor_part(&r.arena, "low", RP_SHAPE(RP_U32, 3 * UNIT), p, 0), &q);
    add_copy(graph, "x", q, &x);
    rp_graph_aside_end(graph);
    add_copy(graph, "s", p, &s);
    add_copy(graph, "t", s, &t);
    add_copy(graph, "y", t, &y);
    test_ok(d->device, rp_plan_create(graph, &r.plan), "aside");
    static const uint32_t deps[6] = { 0, 1, 2, 1, 8, 16 };
    static const copy_step result[2] = { { { A, 0 }, { X, 0 }, 3, 0 }, { { A, 0 }, { Y, 0 }, 8, 0 } };
    check_activations(&r, graph, (3 * 8 + 3) * UNIT * 4, deps, result, 2);
}

// A tensor that is kept must not share its memory with later ones.
static void kept(void **state) {
    const test_device *d = *state;
    test_need(d);
    rig r;
    open_rig(&r, d->device);
    rp_graph *graph = rp_graph_create(d->device, &r.arena, "kept");
    rp_tensor *p = NULL, *q = NULL, *s = NULL;
    add_copy(graph, "p", view(&r, (range){ A, 0 }, 8), &p);
    if (p != NULL) { p->keep = true; }
    add_copy(graph, "q", p, &q);
    add_copy(graph, "s", q, &s);
    test_ok(d->device, rp_plan_create(graph, &r.plan), "kept");
    assert_true(p->offset != q->offset && p->offset != s->offset && q->offset != s->offset);
    close_rig(&r);
}

// In place, many times: each launch reads what the one before wrote.
static void in_place(void **state) {
    const test_device *d = *state;
    test_need(d);
    const rp_backend *backend = d->device->backend;
    rp_arena arena = { 0 };
    rp_buffer *buffer = NULL;
    rp_plan *plan;
    rp_recording *recording = NULL;
    test_ok(d->device, backend->buffer_create(d->device, RP_STEP_WORDS * 4, RP_MEMORY_DEVICE, &buffer), "buffer_create");
    rp_graph *graph = rp_graph_create(d->device, &arena, "in place");
    rp_tensor *step = rp_tensor_bind(&arena, "step", RP_SHAPE(RP_U32, RP_STEP_WORDS), buffer, 0);
    const struct rp_advance_params p = { RP_ADVANCE_STEP, 0 };
    for (uint32_t i = 0; i < 20; i++) {
        rp_tensor *out = step;
        rp_graph_add(graph, RP_OP_ADVANCE, "advance", &p, sizeof p, &step, &out);
    }
    test_ok(d->device, rp_plan_create(graph, &plan), "in place");
    rp_plan_bind(graph, plan, NULL);
    for (uint32_t i = 0; i < 20; i++) { check_deps("in place", plan, i, i ? 1u << (i - 1) : 0); }
    const uint32_t zero[RP_STEP_WORDS] = { 0 };
    uint32_t now[RP_STEP_WORDS];
    test_ok(d->device, backend->write(buffer, 0, RP_U32, zero, RP_U32, RP_STEP_WORDS), "write");
    test_ok(d->device, backend->run(d->device, plan), "run");
    test_ok(d->device, backend->record(d->device, plan, &recording), "record");
    for (uint32_t i = 0; i < 50; i++) { test_ok(d->device, backend->replay(d->device, &recording, 1), "replay"); }   // no wait between
    test_ok(d->device, backend->read(buffer, 0, RP_U32, now, RP_U32, RP_STEP_WORDS), "read");
    assert_int_equal(now[4], 20 + 50 * 20);
    backend->recording_destroy(recording);
    backend->buffer_destroy(buffer);
    rp_arena_destroy(&arena);
}

// A launch that depends on a long one and on a short one, in either order: it must wait for both. long: a norm of one row by one group.
static void two_at_once(void **state) {
    enum { LONG = 1 << 18, FEW = 64 };
    const test_device *d = *state;
    test_need(d);
    const rp_backend *backend = d->device->backend;
    test_case numbers = { .seed = test_seed() };
    for (uint32_t order = 0; order < 2; order++) {
        rp_arena arena = { 0 };
        rp_buffer *buffer[6];              // x, scale, normed; few, copied; y, with the product's weights behind it
        static const uint32_t counts[6] = { LONG, LONG, LONG, FEW, FEW, FEW + FEW * FEW };
        rp_tensor *t[6], *w, *tail;
        rp_plan *plan;
        rp_recording *recording = NULL;
        float *numbers_of[6], direct[FEW], got[FEW];
        for (uint32_t i = 0; i < 6; i++) {
            numbers_of[i] = malloc(counts[i] * sizeof(float));
            assert_non_null(numbers_of[i]);
            for (uint32_t e = 0; e < counts[i]; e++) { numbers_of[i][e] = i == 2 || i == 4 ? 0 : (float)test_random(&numbers) + 0.5f; }
            test_ok(d->device, backend->buffer_create(d->device, counts[i] * 4, RP_MEMORY_DEVICE, &buffer[i]), "buffer_create");
            t[i] = rp_tensor_bind(&arena, "numbers", RP_SHAPE(RP_F32, i == 5 ? FEW : counts[i]), buffer[i], 0);
        }
        w = rp_tensor_bind(&arena, "weights", RP_SHAPE(RP_F32, FEW, FEW), buffer[5], FEW * 4);
        tail = rp_tensor_bind(&arena, "tail", RP_SHAPE(RP_F32, FEW), buffer[2], (LONG - FEW) * 4);
        rp_graph *graph = rp_graph_create(d->device, &arena, "two at once");
        const struct rp_rmsnorm_params norm = { .rows = 1, .width = LONG, .eps = 1e-5f };
        const struct rp_copy_params words = { .n = FEW };
        const struct rp_linear_params product = { .m = 1, .n = FEW, .k = FEW, .has_residual = 1 };
        if (order == 0) { rp_graph_add(graph, RP_OP_RMSNORM, "long", &norm, sizeof norm, (rp_tensor *[]){ t[0], t[1] }, &t[2]); }
        rp_graph_add(graph, RP_OP_COPY, "short", &words, sizeof words, &t[3], &t[4]);
        if (order == 1) { rp_graph_add(graph, RP_OP_RMSNORM, "long", &norm, sizeof norm, (rp_tensor *[]){ t[0], t[1] }, &t[2]); }
        rp_graph_add(graph, RP_OP_LINEAR, "both", &product, sizeof product, (rp_tensor *[]){ t[4], w, NULL, tail, NULL, NULL }, &t[5]);
        test_ok(d->device, rp_plan_create(graph, &plan), "two at once");
        rp_plan_bind(graph, plan, NULL);
        check_deps("two at once", plan, 2, 3);
        test_ok(d->device, backend->record(d->device, plan, &recording), "record");
        for (uint32_t turn = 0; turn < 4; turn++) {        // turn 0: directly
            for (uint32_t i = 0; i < 6; i++) { test_ok(d->device, backend->write(buffer[i], 0, RP_F32, numbers_of[i], RP_F32, counts[i]), "write"); }
            if (turn == 0) {
                test_ok(d->device, backend->run(d->device, plan), "run");
            } else {
                test_ok(d->device, backend->replay(d->device, &recording, 1), "replay");
            }
            test_ok(d->device, backend->read(buffer[5], 0, RP_F32, turn == 0 ? direct : got, RP_F32, FEW), "read");
            if (turn > 0) { assert_memory_equal(got, direct, sizeof got); }
        }
        backend->recording_destroy(recording);
        for (uint32_t i = 0; i < 6; i++) {
            backend->buffer_destroy(buffer[i]);
            free(numbers_of[i]);
        }
        rp_arena_destroy(&arena);
    }
}

int main(void) {
    static const struct { const char *name; test_function run; } kinds[] = {
        { "ranges", ranges }, { "activations", activations }, { "parts", parts }, { "aside", aside }, { "kept", kept }, { "in place", in_place },
        { "two at once", two_at_once },
    };
    static char names[TEST_MAX_DEVICES * TEST_COUNT(kinds)][64];
    static struct CMUnitTest tests[TEST_MAX_DEVICES * TEST_COUNT(kinds)];
    test_device *devices;
    uint32_t n_devices = test_devices(&devices), n = 0;
    for (uint32_t d = 0; d < n_devices; d++) {
        for (uint32_t k = 0; k < TEST_COUNT(kinds); k++, n++) {
            snprintf(names[n], sizeof *names, "%s on %s", kinds[k].name, devices[d].spec);
            tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = kinds[k].run, .initial_state = &devices[d] };
        }
    }
    return test_group("hazards", tests, n);
}
