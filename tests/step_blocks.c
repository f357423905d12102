// Layers of a decode step as a model builds them, replayed step by step: where a backend does several launches as one, each of them is
// judged all the same, as `reprise compare` does: from what the device itself has left of its inputs, in float64, by the op's own rule
// (tools/tolerance.h). A block leaves all that its launches would have, rounded as they would have, so nothing adds up over launches.
// Attention has a closer rule, below. Float16 where the device has it, else float32; and float32 where its products take pairs. In float32 the
// launches, one by one, have the same bits.
#include "step_layers.h"

#include "../backend_cuda/device.h"

#define MARK 0xFFFFFFFFu               // not a number, in float32 and float16 alike

// The last two give warps of wide blocks two units of keys, of the prompt and of a path, and three.
static const shape shapes[] = {
    { 1, 8, 64, 1024, 77, true, true, true },    { 1, 4, 64, 512, 77, false, true, true },  { 1, 16, 52, 2048, 77, true, false, false },
    { 10, 4, 64, 512, 77, true, true, true },    { 3, 6, 32, 384, 77, false, true, false }, { 16, 4, 64, 512, 77, true, true, true },
    { 7, 2, 64, 256, 77, false, true, true },    { 10, 16, 52, 2048, 77, true, true, false }, { 13, 8, 48, 640, 77, false, true, false },
    { 5, 12, 64, 1024, 77, true, true, false },  { 16, 8, 64, 1024, 77, false, true, false }, { 10, 16, 52, 2048, 1000, true, true, false },
    { 2, 16, 52, 2048, MAX_TOKENS, false, true, false },
};

// Layers are alike, so all are blocks, or only their attention: then its sum is a kernel more; or nothing is.
static void check_blocks(const layers *l) {
    const rp_device *device = l->device;
    rp_launch ninety[5];                                                  // as on compute capability 9.0
    rp_step_block block;
    assert_int_equal(l->plan->n_launches, 5 * LAYERS + 1);
    memcpy(ninety, l->plan->launches, sizeof ninety);
    for (uint32_t i = 0; i < 5; i++) { ninety[i].clusters = true, ninety[i].wgmma = 1, ninety[i].processors = 132; }
    const bool pairs = !l->f16 && device->wgmma > 0;
    if (l->f16 || pairs) { assert_int_equal(rp_step_block_lay(ninety, 5, &block) && rp_step_block_lay(ninety + 3, 2, &block), l->f16 ? l->shape->whole : l->shape->pairs); }
    if (l->f16 && l->shape->m > 1 && l->d > RP_STEP_WIDTH) {              // wide ones need places for their clusters
        for (uint32_t i = 0; i < 5; i++) { ninety[i].processors = RP_STEP_WIDE_PROCESSORS - 1; }
        assert_false(rp_step_block_lay(ninety, 5, &block) || rp_step_block_lay(ninety + 3, 2, &block));
    }
    if (device->backend != &rp_backend_cuda || device->config.direct || !((const rp_cuda *)device->impl)->overlaps) { return; }
    const bool attention = rp_step_block_lay(l->plan->launches, 5, &block), mlp = rp_step_block_lay(l->plan->launches + 3, 2, &block);
    assert_int_equal(l->recording->n_nodes, 1 + (attention ? mlp ? 2 * LAYERS + 1 : 4 * LAYERS : 5 * LAYERS));
}

// ---- steps ----

static void read_back(const layers *l, const rp_binding *b, rp_dtype from, void *to, rp_dtype as, uint64_t count) {
    test_ok(l->device, l->device->backend->read(b->buffer, b->offset, from, to, as, count), "read");
}

// What lives on, before a step.
static void take_living(layers *l) {
    for (uint32_t i = 0; i < N_LIVING; i++) {
        const rp_tensor *t = l->bound[i];
        read_back(l, &(rp_binding){ .buffer = t->buffer }, t->dtype, l->data[i], t->dtype, rp_tensor_count(t));
    }
}

// Launches one by one. The reference device keeps what it computes as float64, so that its float16 numbers are rounded here.
static void run_launches(layers *l) {
    const rp_backend *backend = l->device->backend;
    for (uint32_t i = 0; i < l->plan->n_launches; i++) {
        const rp_node *node = &l->graph->nodes[i];
        rp_plan one = *l->plan;
        one.launches += i, one.n_launches = 1;
        test_ok(l->device, backend->run(l->device, &one), node->label);
        for (uint32_t o = 0; o < rp_op_table[node->op].n_out; o++) {
            const rp_binding *b = &one.launches->binding[one.launches->n_in + o];
            if (node->out[o]->dtype != RP_F16 || backend != &rp_backend_ref) { continue; }
            uint16_t *half = malloc(b->bytes);
            assert_non_null(half);
            read_back(l, b, RP_F16, half, RP_F16, b->bytes / 2);
            test_ok(l->device, backend->write(b->buffer, b->offset, RP_F16, half, RP_F16, b->bytes / 2), "write");
            free(half);
        }
    }
}

static void replay(layers *l, uint32_t n) {
    rp_recording *all[SUFFIX];
    for (uint32_t i = 0; i < n; i++) { all[i] = l->recording; }
    test_ok(l->device, l->device->backend->replay(l->device, all, n), "replay");
    test_ok(l->device, l->device->backend->wait(l->device), "wait");
}

static void step_on(layers *l) { l->recording != NULL ? replay(l, 1) : run_launches(l); }

// ---- a closer rule for attention ----

// Number j of a head at `from`, turned, and its error: two products and a sum, as in tolerance_attn_step, and one of float16.
static double turned(const test_case *c, uint64_t from, const float *turn, uint32_t j, double *off) {
    TOLERANCE_PARAMS(c, attn_step);
    const uint32_t half = p->head_width / 2, pair = j % half;
    const double own = tolerance_at(&c->tensor[0], from + j), other = tolerance_at(&c->tensor[0], from + (j + half) % p->head_width);
    const double y = own * (double)turn[2 * pair] + (j < half ? -other : other) * (double)turn[2 * pair + 1];
    *off = 3 * U32ROUND * (fabs(own) + fabs(other)) + 2 * FLUSH + (p->f16 ? U16ROUND * (1 + U16ROUND) * fabs(y) + 0x1p-25 : 0);
    return y;
}

// y = sum p v / sum p of one row and head, whose y is `ref`. The rule in tools/tolerance_attention.c takes the largest query times the
// largest key for every score; here each score has its own error: those of its q and k, which are turned and rounded, and twice d + 8
// roundings of its sum of |q k|, which units may cut. Where each weight is off by a factor of at most 1 + e, y is off by sum p e |v - y| / sum p,
// but for (1 + most e) / (1 - most e). e: expm1 of the score's error, exp's 4 roundings, and, for each of the sums of sixteen keys or more that a
// weight comes through, 6 and those of a difference of scores. Besides, sum p |v| / sum p times: weights' rounding to float16 (2^-25 where
// subnormal; the largest is 1), two roundings a key and sum, and 6. Then that of y.
static void bound_head(const test_case *c, uint32_t row, uint32_t head, const double *ref, double *bound) {
    TOLERANCE_PARAMS(c, attn_step);
    const uint32_t n = ((const uint32_t *)c->tensor[4].data)[0], step = ((const uint32_t *)c->tensor[5].data)[4];
    const uint32_t d = p->head_width, n_keys = n + step;
    const uint64_t D = (uint64_t)p->heads * d, in_row = (uint64_t)head * d;
    const uint64_t q_at = (uint64_t)row * 3 * D + in_row, own_at = (uint64_t)row * SUFFIX * D + in_row;
    const float *turn = (const float *)c->tensor[1].data + (uint64_t)(n + step - 1) * d;
    const double scale = (double)p->scale + (double)p->scale_rest, sums = ceil(n_keys / 16.0) + 4;
    double q[MAX_HEAD], q_off[MAX_HEAD], weight[MAX_TOKENS + SUFFIX], e[MAX_TOKENS + SUFFIX], top = 0, most = 0, total = 0;
    struct { const test_tensor *t; uint64_t at; } value[MAX_TOKENS + SUFFIX];
    for (uint32_t j = 0; j < d; j++) { q[j] = turned(c, q_at, turn, j, &q_off[j]); }
    for (uint32_t i = 0; i < n_keys; i++) {
        const bool fresh = i + 1 == n_keys, of_prompt = i < n;
        const test_tensor *t = &c->tensor[of_prompt ? 2 : 3];
        const uint64_t at = of_prompt ? i * D + in_row : own_at + (i - n) * D;
        double dot = 0, size = 0, off = 0;
        for (uint32_t j = 0; j < d; j++) {
            double k_off = 0;
            const double k = fresh ? turned(c, q_at + D, turn, j, &k_off) : tolerance_at(t, at + j);
            dot += q[j] * k, size += fabs(q[j] * k), off += q_off[j] * (fabs(k) + k_off) + fabs(q[j]) * k_off;
        }
        value[i].t = fresh ? &c->tensor[0] : t, value[i].at = fresh ? q_at + 2 * D : at + t->count / 2;
        weight[i] = dot * scale, e[i] = scale * (off + 2 * (d + 8) * U32ROUND * size);
        top = i == 0 ? weight[i] : fmax(top, weight[i]), most = fmax(most, fabs(weight[i]));
    }
    for (uint32_t i = 0; i < n_keys; i++) {
        weight[i] = exp(weight[i] - top), e[i] = expm1(e[i]) + (4 + sums * (6 + 4 * most)) * U32ROUND;
        total += weight[i];
    }
    most = 0;
    for (uint32_t i = 0; i < n_keys; i++) { most = fmax(most, e[i]); }
    for (uint32_t j = 0; j < d; j++) {
        double moved = 0, size = 0, small = 0;
        for (uint32_t i = 0; i < n_keys; i++) {
            const double v = tolerance_at(value[i].t, value[i].at + j);
            moved += weight[i] * e[i] * fabs(v - ref[j]), size += weight[i] * fabs(v), small += fabs(v);
        }
        const double rounded = (p->f16 ? U16ROUND : 0) + (4 * (n_keys + sums) + 12) * U32ROUND;
        const double error = moved + rounded * size + (p->f16 ? 0x1p-25 : n_keys * FLUSH) * small;
        bound[j] = error / total * (1 + most) / (1 - most) + (p->f16 ? U16ROUND * (1 + U16ROUND) * fabs(ref[j]) + 0x1p-25 : 0);
    }
}

// ---- judging ----

static double as_bound(const test_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)c, (void)output, (void)index, (void)ref;
    return magnitude;
}

static void bound_attention(const test_case *c, const test_result *ref, test_result *bound) {
    TOLERANCE_PARAMS(c, attn_step);
    const tolerance_case judged = test_judged(c);
    for (uint32_t o = 0; o < 2; o++) {
        bound->value[o] = calloc(ref->count[o], sizeof(double)), bound->count[o] = ref->count[o];
        assert_non_null(bound->value[o]);
    }
    for (uint64_t i = 0; i < ref->count[0]; i++) { bound->value[0][i] = tolerance_attn_step(&judged, 0, i, ref->value[0][i], 0); }
    for (uint32_t i = 0; i < p->paths * p->heads; i++) {
        bound_head(c, i / p->heads, i % p->heads, ref->value[1] + (uint64_t)i * p->head_width, bound->value[1] + (uint64_t)i * p->head_width);
    }
}

// Launch i with inputs as the device had them: what is bound, as it was before the step, and activations.
static void take_case(const layers *l, uint32_t i, const char *name, test_case *c) {
    const rp_node *node = &l->graph->nodes[i];
    const rp_launch *launch = &l->plan->launches[i];
    *c = (test_case){ .op = node->op };
    test_start(c, name, node->params, sizeof node->params);
    for (uint32_t b = 0; b < launch->n_bindings; b++) {
        const rp_tensor *t = b < launch->n_in ? node->in[b] : node->out[b - launch->n_in];
        if (t == NULL) { continue; }
        for (uint32_t j = 0; j < launch->n_in && b >= launch->n_in; j++) {
            if (node->in[j] == t) { test_alias(c, b, j); }
        }
        if (c->alias[b]) { continue; }
        c->tensor[b] = (test_tensor){ t->dtype, rp_tensor_count(t), rp_arena_alloc(&c->arena, rp_tensor_bytes(t)) };
        assert_non_null(c->tensor[b].data);
        uint32_t k = 0;
        while (k < l->n_bound && l->bound[k] != t) { k++; }
        if (k < l->n_bound) {
            memcpy(c->tensor[b].data, l->data[k], rp_tensor_bytes(t));
        } else {
            read_back(l, &launch->binding[b], t->dtype, c->tensor[b].data, t->dtype, rp_tensor_count(t));
        }
    }
}

static void judge(const layers *l, uint32_t i, uint32_t step, test_score *score) {
    const rp_launch *launch = &l->plan->launches[i];
    char name[96];
    snprintf(name, sizeof name, "%u rows of %u, step %u, layer %u: %s", l->shape->m, l->d, step, i / 5, launch->label);
    test_case c, absolute;
    take_case(l, i, name, &c), take_case(l, i, name, &absolute);
    test_result got = { 0 }, ref, magnitude = { 0 };
    for (uint32_t o = 0; launch->n_in + o < launch->n_bindings; o++) {
        const uint32_t b = launch->n_in + o;
        const test_tensor *t = &c.tensor[b];
        got.value[o] = calloc(t->count, sizeof(double)), got.count[o] = t->count;
        assert_non_null(got.value[o]);
        read_back(l, &launch->binding[b], t->dtype, got.value[o], t->dtype == RP_U32 ? RP_U32 : RP_F64, t->count);
        for (uint64_t e = t->count; t->dtype == RP_U32 && e-- > 0;) { got.value[o][e] = ((const uint32_t *)(const void *)got.value[o])[e]; }
    }
    test_run(test_ref(), &c, &ref);
    tolerance_case judged = test_judged(&absolute);
    if (c.op == RP_OP_ATTN_STEP) {
        c.tolerance = as_bound;
        bound_attention(&c, &ref, &magnitude);
    } else if (tolerance_absolute(&judged)) {
        test_run(test_ref(), &absolute, &magnitude);
    }
    test_compare(score, &c, l->f16 ? "float16" : "float32", &got, &ref, &magnitude);
    test_result_free(&got), test_result_free(&ref), test_result_free(&magnitude);
    test_case_free(&c), test_case_free(&absolute);
}

// A step whose launches are all judged. What nobody writes must be what it was.
static void judged_step(layers *l, uint32_t step, test_score *score) {
    const uint64_t words = l->plan->activation_bytes / 4;
    uint32_t *marks = malloc(words * 4);
    assert_non_null(marks);
    for (uint64_t i = 0; i < words; i++) { marks[i] = MARK; }
    test_ok(l->device, l->device->backend->write(l->activations, 0, RP_U32, marks, RP_U32, words), "write");
    free(marks);
    take_living(l);
    assert_int_equal(((const struct rp_step *)l->data[STEP])->step, step);
    step_on(l);
    for (uint32_t i = 0; i < l->plan->n_launches; i++) { judge(l, i, step, score); }
    for (uint32_t i = N_LIVING; i < l->n_bound; i++) {
        const rp_tensor *t = l->bound[i];
        void *now = malloc(rp_tensor_bytes(t));
        assert_non_null(now);
        read_back(l, &(rp_binding){ .buffer = t->buffer }, t->dtype, now, t->dtype, rp_tensor_count(t));
        if (memcmp(now, l->data[i], rp_tensor_bytes(t)) != 0) { fail_msg("'%s' was written at step %u", t->name, step); }
        free(now);
    }
}

// Two layers after the same steps: caches and the last x, bit for bit.
static void same_bits(layers *a, layers *b, const char *how) {
    take_living(a), take_living(b);
    for (uint32_t i = 0; i < N_LIVING; i++) {
        if (memcmp(a->data[i], b->data[i], rp_tensor_bytes(a->bound[i])) != 0) { fail_msg("'%s' has other bits %s", a->bound[i]->name, how); }
    }
    const uint64_t count = rp_tensor_count(a->x);
    float *of[2] = { calloc(count, sizeof **of), calloc(count, sizeof **of) };
    assert_true(of[0] != NULL && of[1] != NULL);
    read_back(a, &a->plan->launches[5 * LAYERS - 1].binding[6], RP_F32, of[0], RP_F32, count);
    read_back(b, &b->plan->launches[5 * LAYERS - 1].binding[6], RP_F32, of[1], RP_F32, count);
    if (memcmp(of[0], of[1], count * sizeof **of) != 0) { fail_msg("the last x has other bits %s", how); }
    free(of[0]), free(of[1]);
}

static void check_as(rp_device *device, const shape *s, bool f16) {
    test_score score = { 0 };
    layers l, other;
    open_layers(&l, device, s, (layers_kind){ .f16 = f16, .recorded = true });
    check_blocks(&l);
    const uint32_t n_steps = device->backend == &rp_backend_cuda ? SUFFIX : 18;    // where there are no blocks, and each step takes long
    for (uint32_t step = 1; step <= n_steps; step++) {
        if (step < 3 || step == 17 || step == n_steps) {
            judged_step(&l, step, &score);
        } else {
            step_on(&l);
        }
    }
    printf("  %u rows of %u, %u tokens, on %s, %s: %llu numbers, worst err/tol %.3f: %s\n", s->m, l.d, s->tokens, device->info.spec, l.f16 ? "float16" : "float32",
           (unsigned long long)score.compared, score.worst, score.where);
    if (l.recording != NULL) {
        open_layers(&other, device, s, (layers_kind){ .f16 = f16, .together = true, .recorded = true });
        check_blocks(&other);
        assert_true(other.plan->activation_bytes < l.plan->activation_bytes);
        replay(&other, n_steps);
        same_bits(&l, &other, "after steps in one call");
        close_layers(&other);
    }
    if (!f16 && device->wgmma > 0) {
        open_layers(&other, device, s, (layers_kind){ .f16 = f16 });
        for (uint32_t step = 1; step <= n_steps; step++) { step_on(&other); }
        same_bits(&l, &other, "launch by launch");
        close_layers(&other);
    }
    close_layers(&l);
    if (score.failed > 0) { fail_msg("%llu failures", (unsigned long long)score.failed); }
}

static void check_shape(void **state, const shape *s) {
    rp_device *device = test_device_of(state);
    const bool f16 = test_has_f16(device);
    check_as(device, s, f16);
    if (f16 && device->wgmma > 0) { check_as(device, s, false); }
}
#define SHAPE(i) static void shape_##i(void **state) { check_shape(state, &shapes[i]); }
SHAPE(0) SHAPE(1) SHAPE(2) SHAPE(3) SHAPE(4) SHAPE(5) SHAPE(6) SHAPE(7) SHAPE(8) SHAPE(9) SHAPE(10) SHAPE(11) SHAPE(12)

int main(void) {
    static const test_named all[] = {
        { "1 row of 512", shape_0 },  { "1 row of 256", shape_1 },   { "1 row of 832", shape_2 },  { "10 rows of 256", shape_3 },
        { "3 rows of 192", shape_4 }, { "16 rows of 256", shape_5 }, { "7 rows of 128", shape_6 },
        { "10 rows of 832", shape_7 },{ "13 rows of 384", shape_8 }, { "5 rows of 768", shape_9 },   { "16 rows of 512", shape_10 },
        { "10 rows of 832, 1000 tokens", shape_11 }, { "2 rows of 832, 2040 tokens", shape_12 },
    };
    test_seed();
    return test_on_each_device("step_blocks", all, TEST_COUNT(all));
}
