// Blocks of a decode step on a driver that records every call: which launches become one kernel, what it is handed, and what waits for it.
#include "cuda_rig.h"
#include "product.h"

enum { D = 256, HEADS = 4, HIDDEN = 512, PREFIX = 64, OWN = 32, LAYERS = 3, PARTS = 5 };   // PARTS: launches of a layer

typedef enum twist { PLAIN, OTHER_QKV, OTHER_ATTENDED, OTHER_H, OTHER_RESIDUAL, OTHER_MLP_RESIDUAL, TWISTS } twist;

typedef struct layers {
    rig rig;
    uint32_t m;
    bool pairs;                        // float32, with weights in pairs
    rp_tensor *own;
    rp_tensor *x[2 * LAYERS + 1];      // what blocks read, and what the last one writes
    uint32_t n;                        // blocks added
    uint32_t bound;                    // tensors made with `apart`
} layers;

static rp_tensor *weight(layers *l, rp_shape shape, uint64_t offset) { return rp_tensor_bind(&l->rig.arena, "weights", shape, l->rig.weights, offset); }
static rp_dtype between(const layers *l) { return l->pairs ? RP_F32 : RP_F16; }       // launches
static rp_tensor *matrix(layers *l, uint32_t rows, uint32_t columns) {
    rp_tensor *w = weight(l, RP_SHAPE(RP_F16, rows, (l->pairs ? 2 : 1) * columns), 4096);
    if (l->pairs) { w->row_scale = weight(l, RP_SHAPE(RP_F32, rows), 768 + rows); }
    return w;
}
static rp_tensor *vector(layers *l, uint32_t n, uint64_t offset) { return weight(l, RP_SHAPE(RP_F32, n), offset); }

// One of m rows, each time elsewhere, that shares no memory with others.
static rp_tensor *apart(layers *l, rp_dtype dtype, uint32_t columns) {
    return rp_tensor_bind(&l->rig.arena, "apart", RP_SHAPE(dtype, l->m, columns), l->rig.x, (uint64_t)l->bound++ << 16);
}

static rp_tensor *product(layers *l, const char *label, rp_product p) {
    p.m = l->m;
    return rp_product_add(l->rig.graph, label, NULL, &p);
}

static rp_tensor *attend(layers *l, rp_tensor *qkv) {
    const struct rp_attn_step_params p = { 1, l->m, HEADS, D / HEADS, PREFIX, OWN, PREFIX + OWN, 0.125f, 0, !l->pairs };
    rp_tensor *in[] = { qkv, weight(l, RP_SHAPE(RP_F32, PREFIX + OWN, D / HEADS / 2, 2), 1024), weight(l, RP_SHAPE(between(l), 2, 1, PREFIX, D), 2048), l->own,
                        weight(l, RP_SHAPE(RP_U32, 1), 256), weight(l, RP_SHAPE(RP_U32, RP_STEP_WORDS), 512) };
    rp_tensor *out[] = { l->own, NULL };
    rp_graph_add(l->rig.graph, RP_OP_ATTN_STEP, "attention", &p, sizeof p, in, out);
    return out[1];
}

static void attention(layers *l, twist how) {
    rp_tensor *x = l->x[l->n];
    rp_tensor *qkv = product(l, "qkv", (rp_product){ .x = x, .w = matrix(l, 3 * D, D), .bias = vector(l, 3 * D, 256), .norm = vector(l, D, 0),
                                                     .n = 3 * D, .k = D, .y_f16 = !l->pairs });
    rp_tensor *y = attend(l, how == OTHER_QKV ? apart(l, between(l), 3 * D) : qkv);
    l->x[++l->n] = product(l, "attention out", (rp_product){ .x = how == OTHER_ATTENDED ? apart(l, between(l), D) : y, .w = matrix(l, D, D),
                                                             .bias = vector(l, D, 512), .n = D, .k = D,
                                                             .residual = how == OTHER_RESIDUAL ? apart(l, RP_F32, D) : x });
}

// Returns h.
static rp_tensor *mlp(layers *l, twist how) {
    rp_tensor *x = l->x[l->n];
    rp_tensor *h = product(l, "mlp in", (rp_product){ .x = x, .w = matrix(l, 2 * HIDDEN, D), .norm = vector(l, D, 0), .n = 2 * HIDDEN, .k = D,
                                                      .gated = true, .y_f16 = !l->pairs });
    l->x[++l->n] = product(l, "mlp out", (rp_product){ .x = how == OTHER_H ? apart(l, between(l), HIDDEN) : h, .w = matrix(l, D, HIDDEN), .n = D, .k = HIDDEN,
                                                       .residual = how == OTHER_MLP_RESIDUAL ? apart(l, RP_F32, D) : x });
    return h;
}

static void add_layers(layers *l) {
    for (uint32_t i = 0; i < LAYERS; i++) { attention(l, PLAIN), mlp(l, PLAIN); }
}

// Launches beside, which read one of x; or h, and perhaps x.
static void read_x(layers *l, rp_tensor *x) {
    const struct rp_copy_params p = { .n = l->m * D };
    rp_graph_add(l->rig.graph, RP_OP_COPY, "reads x", &p, sizeof p, (rp_tensor *[]){ x }, (rp_tensor *[]){ apart(l, RP_F32, D) });
}
static void read_h(layers *l, rp_tensor *h, rp_tensor *x) {
    product(l, "reads h", (rp_product){ .x = h, .w = matrix(l, D, HIDDEN), .residual = x, .n = D, .k = HIDDEN, .y = apart(l, RP_F32, D) });
}

static void begin_on(layers *l, uint32_t m, bool pairs, const rp_cuda_driver *driver) {
    *l = (layers){ .m = m, .pairs = pairs };
    assert_int_equal(rig_open(&l->rig, driver, 0, false), RP_OK);
    const rp_backend *cuda = l->rig.device.backend;
    l->rig.device.processors = 132, l->rig.device.wgmma = 1;      // shared memory as of compute capability 9.0
    fake.n_nodes = 0;
    assert_int_equal(cuda->buffer_create(&l->rig.device, 1 << 21, RP_MEMORY_DEVICE, &l->rig.weights), RP_OK);
    assert_int_equal(cuda->buffer_create(&l->rig.device, 1 << 21, RP_MEMORY_DEVICE, &l->rig.x), RP_OK);
    assert_int_equal(cuda->buffer_create(&l->rig.device, 1 << 20, RP_MEMORY_DEVICE, &l->rig.out), RP_OK);
    l->rig.graph = rp_graph_create(&l->rig.device, &l->rig.arena, "layers");
    l->own = rp_tensor_bind(&l->rig.arena, "own", RP_SHAPE(between(l), 2, 1, m, OWN, D), l->rig.out, 0);
    l->x[0] = apart(l, RP_F32, D);
}

static void begin_as(layers *l, uint32_t m, bool pairs) {
    const rp_cuda_driver driver = fake_table();
    begin_on(l, m, pairs, &driver);
}
static void begin(layers *l, uint32_t m) { begin_as(l, m, false); }

static void plan(layers *l) {
    rig *r = &l->rig;
    assert_int_equal(rp_plan_create(r->graph, &r->plan), RP_OK);
    assert_int_equal(r->device.backend->buffer_create(&r->device, r->plan->activation_bytes, RP_MEMORY_DEVICE, &r->activations), RP_OK);
    rp_plan_bind(r->graph, r->plan, r->activations);
}

static void record(layers *l) {
    rig *r = &l->rig;
    plan(l);
    assert_int_equal(r->device.backend->record(&r->device, r->plan, &r->recording), RP_OK);
    assert_int_equal(r->recording->n_nodes, fake.n_nodes);
}

static bool is_kind(int node, const char *kind) { return strncmp(fake.nodes[node].kernel, kind, strlen(kind)) == 0; }
static const char *kind_of(const layers *l, uint32_t i) {
    return l->pairs ? i % 2 ? "step_mlp_pair" : "step_attention_pair" : i % 2 ? "step_mlp_mixed" : "step_attention_mixed";
}

// Asserts that kernels are of these kinds, in this order.
static void check_kinds(const layers *l, const char *const *kinds) {
    int n = 0;
    for (; kinds[n] != NULL; n++) {
        assert_true(n < fake.n_nodes);
        if (!is_kind(n, kinds[n])) { fail_msg("node %d is '%s', not '%s'", n, fake.nodes[n].kernel, kinds[n]); }
    }
    assert_int_equal(fake.n_nodes, n);
    assert_true(l->rig.recording->sums != NULL);
}
#define ATTENTION "step_attention"
#define MLP "step_mlp"
#define SUM "step_sum"
#define LINEAR "linear_mixed"
#define STEP "attn_step"
#define COPY "copy"
#define kinds(l, ...) check_kinds(l, (const char *const[]){ __VA_ARGS__, NULL })

static void waits_for(int node, int dep) {
    assert_int_equal(fake.nodes[node].n_deps, 1);
    assert_int_equal(fake.nodes[node].deps[0], dep);
    assert_true(fake.nodes[node].overlaps);
}

static uint64_t at(const rp_launch *launch, uint32_t binding) { return rp_args_of(launch).address[binding]; }

// What a block's kernel is handed of its own launches.
static void check_own(const struct rp_step_block_args *a, const rp_launch *in, uint32_t n, uint32_t m) {
    const rp_launch *out = &in[n - 1];
    assert_int_equal(a->m, m);
    assert_int_equal(a->d, D);
    assert_int_equal(a->scale, at(in, 4));
    assert_int_equal(a->w_in, at(in, 1));
    assert_int_equal(a->bias_in, n == 3 ? at(in, 2) : 0);
    assert_int_equal(a->y_in, at(in, 6));
    assert_int_equal(a->w_out, at(out, 1));
    assert_int_equal(a->bias_out, n == 3 ? at(out, 2) : 0);
    assert_true(n == 2 || (a->bias_in != 0 && a->bias_out != 0));
    const uint64_t attend[] = { a->angles, a->prefix, a->n_tokens, a->step, a->own, a->y };
    for (uint32_t i = 0; i < 6; i++) { assert_int_equal(attend[i], n == 3 ? at(&in[1], i < 2 ? i + 1 : i + 2) : 0); }
}

// In float32: scales of its own weights, and of those that left the parts, whose launch is `before`, NULL: none did; and x before that, or for later.
static void check_pairs(const struct rp_step_block_args *a, const rp_launch *in, const rp_launch *before, const struct rp_step_block_args *left) {
    const uint64_t area = (uint64_t)a->m * D * 4;
    assert_int_equal(a->scale_in, at(in, 5));
    assert_int_equal(a->kept, a->sums + a->n_made * area);
    assert_int_equal(a->part_scale, before ? at(before, 5) : 0);
    assert_int_equal(a->part_bias, before && left->hidden == 0 ? at(before, 2) : 0);
    assert_int_equal(a->residual, before ? left->kept : 0);
}

// Where launches hand on what they make, in a run of blocks each reads the parts that the one before wrote, and writes its x.
static void layers_are_runs(void **state) {
    (void)state;
    static const uint32_t rows[] = { 1, 8, 9, 16 };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        const uint32_t m = rows[i / 2];
        const bool pairs = i % 2;
        layers l;
        begin_as(&l, m, pairs);
        add_layers(&l);
        record(&l);
        const rp_recording *r = l.rig.recording;
        const int last = 2 * LAYERS;
        assert_int_equal(fake.n_nodes, last + 1);
        const uint32_t sets = m > 1 ? RP_STEP_SETS : RP_STEP_CLUSTERS;      // of the mlps
        const uint32_t chunks = pairs ? HIDDEN / sets / 64 : 1;       // parts of a set; then x
        const uint64_t area = (uint64_t)(sets * chunks + pairs) * m * D * 4;
        assert_int_equal(r->sums->bytes, 2 * area);
        const rp_launch *launch = l.rig.plan->launches;
        for (int k = 0; k < last; k++) {
            const fake_work *node = &fake.nodes[k], *before = node - 1;
            const struct rp_step_block_args *a = &node->step;
            const uint32_t n = k % 2 ? 2 : 3;
            assert_true(is_kind(k, kind_of(&l, (uint32_t)k)));
            assert_int_equal(a->n_sums, n == 2 ? sets : HEADS);
            assert_int_equal(a->n_made, n == 2 ? sets * chunks : HEADS);
            if (pairs) { check_pairs(a, launch, k > 0 ? launch - 1 : NULL, k > 0 ? &before->step : NULL); }
            assert_int_equal(node->grid[0], (m > 1 ? RP_STEP_CLUSTERS : a->n_sums) * RP_STEP_RANKS);
            assert_int_equal(a->rows_own, (m + 1) / 2);
            assert_int_equal(node->grid[1] * node->grid[2], 1);
            check_own(a, launch, n, m);
            assert_int_equal(a->sums, r->sums->address + (uint64_t)(k % 2) * area);
            assert_int_equal(a->parts, k > 0 ? before->step.sums : at(launch, 0));
            assert_int_equal(a->n_parts, k > 0 ? before->step.n_made : 1);
            assert_int_equal(a->x, k > 0 ? at(launch, 0) : 0);
            if (k > 0) {
                waits_for(k, k - 1);
            } else {
                assert_int_equal(node->n_deps, 0);
            }
            launch += n;
        }
        const struct rp_step_sum_args *sum = &fake.nodes[last].sum;
        assert_string_equal(fake.nodes[last].kernel, "step_sum");
        waits_for(last, last - 1);
        assert_int_equal(fake.nodes[last].grid[0], (m * D + 127) / 128);
        assert_int_equal(fake.nodes[last].block[0], 128);
        assert_int_equal(sum->parts, fake.nodes[last - 1].step.sums);
        assert_int_equal(sum->n_parts, fake.nodes[last - 1].step.n_made);
        assert_int_equal(sum->scale, pairs ? at(launch - 1, 5) : 0);
        assert_int_equal(sum->residual, pairs ? fake.nodes[last - 1].step.kept : 0);
        assert_int_equal(sum->d, D);
        assert_int_equal(sum->x, at(launch - 1, 6));
        assert_int_equal(sum->count, m * D);
        rig_close(&l.rig);
    }
}

// Who waits for what a block keeps to itself waits for its kernel; for the last x, for the sum.
static void others_wait(void **state) {
    (void)state;
    layers l;
    begin(&l, 4);
    attention(&l, PLAIN);
    rp_tensor *h = mlp(&l, PLAIN);
    read_x(&l, l.x[2]);
    read_h(&l, h, NULL);
    read_h(&l, h, l.x[1]);
    read_h(&l, h, l.x[2]);
    record(&l);
    kinds(&l, ATTENTION, MLP, SUM, COPY, LINEAR, LINEAR, LINEAR);
    waits_for(3, 2);
    waits_for(4, 1);
    waits_for(5, 1);           // which also wrote x
    waits_for(6, 2);
    rig_close(&l.rig);
}

// A launch that reads x and does not come after the next block ends the run, so that x is there for it.
static void readers_end_runs(void **state) {
    (void)state;
    layers l;
    begin(&l, 4);
    add_layers(&l);
    read_x(&l, l.x[3]);
    record(&l);
    kinds(&l, ATTENTION, MLP, ATTENTION, SUM, MLP, ATTENTION, MLP, SUM, COPY);
    waits_for(4, 3);
    waits_for(8, 3);
    assert_int_equal(fake.nodes[4].step.x, 0);
    assert_int_equal(fake.nodes[4].step.n_parts, 1);
    assert_int_equal(fake.nodes[4].step.parts, fake.nodes[3].sum.x);
    assert_int_not_equal(fake.nodes[4].step.sums, fake.nodes[3].sum.parts);
    rig_close(&l.rig);

    begin(&l, 4);              // what is left behind it is one mlp
    attention(&l, PLAIN), mlp(&l, PLAIN);
    read_x(&l, l.x[1]);
    record(&l);
    kinds(&l, ATTENTION, SUM, LINEAR, LINEAR, COPY);
    waits_for(2, 1);
    rig_close(&l.rig);

    begin(&l, 4);              // one that stands between two blocks
    attention(&l, PLAIN);
    read_x(&l, l.x[1]);
    mlp(&l, PLAIN), attention(&l, PLAIN);
    record(&l);
    kinds(&l, ATTENTION, SUM, COPY, MLP, ATTENTION, SUM);
    rig_close(&l.rig);
}

// A run that does not come after the one in front would write sums while they are read, so it is none.
static void runs_take_turns(void **state) {
    (void)state;
    for (uint32_t way = 0; way < 2; way++) {
        layers l;
        begin(&l, 4);
        attention(&l, PLAIN);
        for (uint32_t i = 0; i < l.rig.graph->n_tensors; i++) { l.rig.graph->tensors[i]->keep = true; }
        l.own = rp_tensor_bind(&l.rig.arena, "own", RP_SHAPE(RP_F16, 2, 1, 4, OWN, D), l.rig.out, 1 << 19);
        l.x[1] = way == 0 ? apart(&l, RP_F32, D) : product(&l, "between", (rp_product){ .x = l.x[1], .w = matrix(&l, D, D), .n = D, .k = D });
        attention(&l, PLAIN);
        record(&l);
        if (way == 0) {
            kinds(&l, ATTENTION, SUM, LINEAR, STEP, LINEAR);
            assert_int_equal(fake.nodes[2].n_deps, 0);
        } else {
            kinds(&l, ATTENTION, SUM, LINEAR, ATTENTION, SUM);
            waits_for(3, 2);
            assert_int_equal(fake.nodes[3].step.n_parts, 1);
        }
        rig_close(&l.rig);
    }
}

// A block whose launches do not hand on to each other is none.
static void broken_ones_are_not(void **state) {
    (void)state;
    for (twist how = OTHER_QKV; how < TWISTS; how++) {
        const bool of_mlp = how == OTHER_H || how == OTHER_MLP_RESIDUAL;
        layers l;
        begin(&l, 4);
        attention(&l, of_mlp ? PLAIN : how);
        mlp(&l, of_mlp ? how : PLAIN);
        attention(&l, PLAIN);
        record(&l);
        if (of_mlp) {
            kinds(&l, ATTENTION, SUM, LINEAR, LINEAR, ATTENTION, SUM);
        } else {
            kinds(&l, LINEAR, STEP, LINEAR, MLP, ATTENTION, SUM);
        }
        rig_close(&l.rig);
    }
}

// Where there is no run at all, there are as many kernels as launches, and no sums.
static void others_are_not(void **state) {
    (void)state;
    for (uint32_t way = 0; way < 4; way++) {
        rp_cuda_driver driver = fake_table();
        layers l;
        if (way == 3) { driver.graph_add_edges = NULL; }
        if (way == 2) { fake.major = 8; }
        begin_on(&l, way == 1 ? RP_STEP_ROWS + 1 : 4, false, &driver);
        if (way == 0) {
            mlp(&l, PLAIN);
        } else {
            add_layers(&l);
        }
        record(&l);
        assert_null(l.rig.recording->sums);
        assert_int_equal(fake.n_nodes, l.rig.plan->n_launches);
        for (int i = 0; i < fake.n_nodes; i++) { assert_false(is_kind(i, "step_")); }
        rig_close(&l.rig);
        fake.major = 12;
    }
}

// Whichever call of the driver fails, the recording fails, and nothing of it is left.
static void every_call_may_fail(void **state) {
    (void)state;
    bool failed = true;
    for (int n = 1; failed; n++) {
        layers l;
        begin(&l, 4);
        attention(&l, PLAIN), mlp(&l, PLAIN);
        plan(&l);
        const uint64_t bytes = l.rig.device.counters.buffer_bytes;
        fake.armed = true, fake.fail_at = n, fake.countdown = 0, fake.fail_with = 2, fake.failed = NULL;
        const rp_status status = l.rig.device.backend->record(&l.rig.device, l.rig.plan, &l.rig.recording);
        failed = fake.failed != NULL;
        fake.fail_at = 0;
        assert_true(failed ? status != RP_OK : status == RP_OK && n > 10);
        assert_true(!failed || (l.rig.recording == NULL && l.rig.device.counters.buffer_bytes == bytes));
        rig_close(&l.rig);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(layers_are_runs, fake_reset),     cmocka_unit_test_setup(others_wait, fake_reset),
        cmocka_unit_test_setup(readers_end_runs, fake_reset),    cmocka_unit_test_setup(runs_take_turns, fake_reset),
        cmocka_unit_test_setup(broken_ones_are_not, fake_reset), cmocka_unit_test_setup(others_are_not, fake_reset),
        cmocka_unit_test_setup(every_call_may_fail, fake_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
