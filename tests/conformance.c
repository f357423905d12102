// Every case x every device x {direct, recorded, replayed}, against the reference device's float64 result from the same
// rounded inputs. The cases live in tests/cases/.
#include "case.h"

#define N_REPLAYS 3    // replays of one recording, each with inputs of its own

typedef struct job {
    const test_device *device;
    rp_op op;
} job;

// Vulkan devices without float64 take two-float kernels; a test makes any Vulkan device do so. Absent where that backend is.
rp_status rp_vulkan_use_pair(rp_device *device, bool pair) __attribute__((weak));
void rp_vulkan_use_gpu_kernels(rp_device *device) __attribute__((weak));
static const rp_op pair_ops[] = { RP_OP_SCALER, RP_OP_SCALE_STEP, RP_OP_FOLD_HEAD, RP_OP_BROADCAST,   // broadcast moves states
                                   RP_OP_BLOCK_SCALE, RP_OP_BLOCK_RESULT };

static void reference_of(rp_op op, uint32_t index, uint32_t variation, test_result *ref, test_result *magnitude) {
    test_case c;
    assert_true(test_case_make(&c, op, index, variation));
    test_reference(&c, ref);
    *magnitude = (test_result){ 0 };
    tolerance_case judged = test_judged(&c);
    if (c.absolute != NULL) { c.absolute(&c); }
    if (c.absolute != NULL || tolerance_absolute(&judged)) { test_reference(&c, magnitude); }
    test_case_free(&c);
}

// Direct; or through the recording, which must also give the bits of a direct run.
static void run_once(test_rig *rig, const test_case *c, uint32_t index, const char *mode, test_score *score) {
    test_result direct, got = { 0 }, ref, magnitude;
    reference_of(c->op, index, c->variation, &ref, &magnitude);
    test_rig_load(rig, c);
    test_rig_direct(rig);
    test_rig_read(rig, c, &direct);
    test_compare(score, c, "direct", &direct, &ref, &magnitude);
    if (mode != NULL) {
        test_rig_load(rig, c);
        test_rig_replay(rig);
        test_rig_read(rig, c, &got);
        test_compare(score, c, mode, &got, &ref, &magnitude);
        test_same_bits(score, c, mode, &got, &direct);
    }
    test_result_free(&direct);
    test_result_free(&got);
    test_result_free(&ref);
    test_result_free(&magnitude);
}

static void conform(void **state) {
    const job *j = *state;
    test_need(j->device);
    test_score score = { 0 };
    uint32_t index = 0, n_skipped = 0;
    for (;; index++) {
        test_case c;
        if (!test_case_make(&c, j->op, index, 0)) {
            test_case_free(&c);
            break;
        }
        if (c.needs_mixed && !test_has_f16(j->device->device)) {
            n_skipped++;
            test_case_free(&c);
            continue;
        }
        test_rig rig;
        test_rig_open(&rig, j->device->device, &c, index % 2 == 1);    // both kinds of memory get their turn
        run_once(&rig, &c, index, NULL, &score);
        test_rig_record(&rig);
        run_once(&rig, &c, index, "recorded", &score);
        test_case_free(&c);
        for (uint32_t variation = 1; variation <= N_REPLAYS; variation++) {
            assert_true(test_case_make(&c, j->op, index, variation));
            run_once(&rig, &c, index, "replayed", &score);
            test_case_free(&c);
        }
        test_rig_close(&rig);
    }
    printf("  %s on %s: %u cases, %llu numbers (%llu near a boundary, left out), worst err/tol %.3f: %s\n",
           rp_op_table[j->op].name, j->device->spec, index, (unsigned long long)score.compared,
           (unsigned long long)score.ignored, score.worst, score.where);
    if (n_skipped > 0) { printf("  %s on %s: %u cases skipped, they need float16\n", rp_op_table[j->op].name, j->device->spec, n_skipped); }
    assert_true(index > n_skipped);
    if (score.failed > 0) { fail_msg("%s on %s: %llu failures", rp_op_table[j->op].name, j->device->spec, (unsigned long long)score.failed); }
}

// The same cases with the two-float kernels, on a device of its own.
static void conform_pair(void **state) {
    const job *j = *state;
    test_need(j->device);
    test_device own = { .required = true };
    snprintf(own.spec, sizeof own.spec, "%s", j->device->device->info.spec);
    test_ok(j->device->device, rp_device_create(own.spec, &j->device->device->config, &own.device), own.spec);
    test_ok(own.device, rp_vulkan_use_pair(own.device, true), "two-float kernels");
    job other = { &own, j->op };
    void *other_state = &other;
    conform(&other_state);
    rp_device_destroy(own.device);
}

// On a CPU device, the kernels that GPUs run.
static void conform_gpu_kernels(void **state) {
    const job *j = *state;
    test_device own = { .required = true };
    snprintf(own.spec, sizeof own.spec, "%s", j->device->device->info.spec);
    test_ok(j->device->device, rp_device_create(own.spec, &j->device->device->config, &own.device), own.spec);
    rp_vulkan_use_gpu_kernels(own.device);
    own.device->processors = 8;    // so that some cases take the narrow kernel
    job other = { &own, j->op };
    void *other_state = &other;
    conform(&other_state);
    rp_device_destroy(own.device);
}

static bool has_pairs(const test_device *d) {
    return rp_vulkan_use_pair != NULL && d->device != NULL && d->device->backend == &rp_backend_vulkan;
}

// The first rows of a product have the same bits whatever the number of rows, so whichever kernel runs.
static void linear_rows_agree(void **state) {
    const job *j = *state;
    test_need(j->device);
    static const uint32_t rows[] = { 200, 1, 2, 15, 16, 17, 64, 65, 128 };
    static const uint32_t sizes[][2] = { { 70, 200 }, { 33, 130 }, { 1, 3 }, { 64, 768 }, { 39, 64 }, { 130, 832 } };    // n, k
    for (uint32_t s = 0; s < TEST_COUNT(sizes); s++) {
        const uint32_t n = sizes[s][0], k = sizes[s][1];
        test_result whole = { 0 };
        for (uint32_t i = 0; i < TEST_COUNT(rows); i++) {
            test_case c = { .op = RP_OP_LINEAR, .seed = test_seed() + s };
            const struct rp_linear_params p = { .m = rows[i], .n = n, .k = k, .has_bias = 1, .has_residual = 1 };
            test_start(&c, "linear rows", &p, sizeof p);
            test_uniform(&c, 1, (uint64_t)n * k, -1, 1);
            test_uniform(&c, 2, n, -1, 1);
            test_uniform(&c, 0, (uint64_t)p.m * k, -1, 1);
            c.seed = 77 + s;                                     // residuals of shared rows are shared as well
            test_uniform(&c, 3, (uint64_t)p.m * n, -1, 1);
            test_output(&c, 5, (uint64_t)p.m * n);
            test_rig rig;
            test_result got;
            test_rig_open(&rig, j->device->device, &c, false);
            test_rig_load(&rig, &c);
            test_rig_direct(&rig);
            test_rig_read(&rig, &c, &got);
            test_rig_close(&rig);
            test_case_free(&c);
            if (i == 0) {
                whole = got;
                continue;
            }
            for (uint64_t e = 0; e < (uint64_t)p.m * n; e++) {
                if (memcmp(&got.value[0][e], &whole.value[0][e], sizeof(double)) != 0) {
                    fail_msg("m = %u and m = %u differ in row %llu, column %llu (n = %u, k = %u): %.17g, %.17g", p.m, rows[0],
                             (unsigned long long)(e / n), (unsigned long long)(e % n), n, k, got.value[0][e], whole.value[0][e]);
                }
            }
            test_result_free(&got);
        }
        test_result_free(&whole);
    }
}

// Runs one case and frees it.
static test_result run_alone(rp_device *device, test_case *c) {
    test_rig rig;
    test_result got = { 0 };
    test_rig_open(&rig, device, c, false);
    test_rig_load(&rig, c);
    test_rig_direct(&rig);
    test_rig_read(&rig, c, &got);
    test_rig_close(&rig);
    test_case_free(c);
    return got;
}

static void same_values(const char *what, const test_result *a, const test_result *b, uint64_t count, uint32_t m, uint32_t k) {
    for (uint64_t e = 0; e < count; e++) {
        if (memcmp(&a->value[0][e], &b->value[0][e], sizeof(double)) != 0) {
            fail_msg("%s, m = %u, k = %u: element %llu is %.17g in one launch, %.17g in two", what, m, k, (unsigned long long)e,
                     b->value[0][e], a->value[0][e]);
        }
    }
}

// Products of many rows: tiles of any shape give the same bits. float16: those of the kernels that devices without wgmma run, and those
// conform. float32 in three parts: those of the tiles that the size picks; devices without run kernels with other sums, which conform.
static void linear_tiles_agree(void **state) {
    const job *j = *state;
    test_need(j->device);
    test_device own = { .required = true };
    test_score score = { 0 };
    uint32_t n_cases = 0;
    if (j->device->device->wgmma == 0) { skip(); }
    test_ok(j->device->device, rp_device_create(j->device->device->info.spec, &j->device->device->config, &own.device), "a device");
    for (uint32_t index = 0;; index++) {
        test_case c;
        if (!test_case_make(&c, RP_OP_LINEAR, index, 0)) {
            test_case_free(&c);
            break;
        }
        const struct rp_linear_params *p = (const void *)c.params;
        const uint64_t count = (uint64_t)p->m * (p->gated ? p->n / 2 : p->n);
        test_result plain = { 0 };
        const bool triple = !p->w_f16 && p->k % RP_LINEAR_TRIPLE_CHUNK == 0 && p->m > RP_LINEAR_SKINNY_M;
        const uint32_t n_shapes = triple ? RP_LINEAR_TRIPLE_SHAPES : p->x_f16 && p->m >= RP_LINEAR_WGMMA_M ? RP_LINEAR_WGMMA_SHAPES : 0;
        for (uint32_t wgmma = 0; wgmma < 2 + n_shapes && n_shapes > 0; wgmma++) {
            own.device->wgmma = wgmma;
            test_rig rig;
            test_result got = { 0 };
            test_rig_open(&rig, own.device, &c, false);
            test_rig_load(&rig, &c);
            test_rig_direct(&rig);
            test_rig_read(&rig, &c, &got);
            test_rig_close(&rig);
            if (wgmma == 0) {
                test_result ref, magnitude;
                reference_of(RP_OP_LINEAR, index, 0, &ref, &magnitude);
                test_compare(&score, &c, "without wgmma", &got, &ref, &magnitude);
                test_result_free(&ref);
                test_result_free(&magnitude);
                n_cases++;
            }
            if (wgmma == (triple ? 1 : 0)) {
                plain = got;
                continue;
            }
            for (uint64_t e = 0; e < count && plain.value[0] != NULL; e++) {
                if (memcmp(&got.value[0][e], &plain.value[0][e], sizeof(double)) != 0) {
                    fail_msg("%s, tiles %u: element %llu is %.17g, and %.17g by others", c.name, wgmma, (unsigned long long)e,
                             got.value[0][e], plain.value[0][e]);
                }
            }
            test_result_free(&got);
        }
        test_result_free(&plain);
        test_case_free(&c);
    }
    rp_device_destroy(own.device);
    assert_true(n_cases > 0);
    if (score.failed > 0) { fail_msg("kernels without wgmma: %llu failures", (unsigned long long)score.failed); }
}

// Kernels of fast devices that promise the plain kernel's bits. A device of its own takes first the plain ones, which are held to the
// reference too, as nothing else runs them there; then these, as a device with few processors, with some and with many has them.
static const rp_op same_bits_ops[] = { RP_OP_RMSNORM, RP_OP_ATTN_SPACE, RP_OP_MIXTURE, RP_OP_BLOCK_ROPE, RP_OP_BLOCK_ATTN };

static void fast_agrees(void **state) {
    enum { WAYS = 4 };
    static const uint32_t processors[WAYS] = { 1, 1, 16, 4096 };
    const job *j = *state;
    test_need(j->device);
    rp_device *device = j->device->device;
    if (!device->fast) { skip(); }                                        // one kernel
    test_device own = { .required = true };
    test_ok(device, rp_device_create(device->info.spec, &device->config, &own.device), "a device");
    test_score score = { 0 };
    uint32_t n_cases = 0;
    for (uint32_t index = 0;; index++) {
        test_case c;
        if (!test_case_make(&c, j->op, index, 0)) {
            test_case_free(&c);
            break;
        }
        if (c.needs_mixed && !test_has_f16(device)) {
            test_case_free(&c);
            continue;
        }
        test_result got[WAYS], ref, magnitude;                            // plain, fast
        char kernel[WAYS][64];
        for (uint32_t way = 0; way < WAYS; way++) {
            test_rig rig;
            own.device->fast = way > 0;
            own.device->processors = processors[way];
            test_rig_open(&rig, own.device, &c, false);
            snprintf(kernel[way], sizeof *kernel, "%s", rig.plan->launches[0].kernel);
            test_rig_load(&rig, &c);
            test_rig_direct(&rig);
            test_rig_read(&rig, &c, &got[way]);
            test_rig_close(&rig);
        }
        reference_of(j->op, index, 0, &ref, &magnitude);
        test_compare(&score, &c, kernel[0], &got[0], &ref, &magnitude);
        for (uint32_t way = 1; way < WAYS; way++) {
            if (c.needs_mixed) {                                          // matrix units have an order of their own
                test_compare(&score, &c, kernel[way], &got[way], &ref, &magnitude);
            } else if (strcmp(kernel[0], kernel[way]) != 0) {
                test_same_bits(&score, &c, kernel[way], &got[way], &got[0]);
                n_cases++;
            }
        }
        test_result_free(&ref);
        test_result_free(&magnitude);
        for (uint32_t way = 0; way < WAYS; way++) { test_result_free(&got[way]); }
        test_case_free(&c);
    }
    rp_device_destroy(own.device);
    assert_true(n_cases > 0);
    if (score.failed > 0) { fail_msg("%s: %llu failures", rp_op_table[j->op].name, (unsigned long long)score.failed); }
}

// Products that normalise their rows, or gate their halves, give the bits of the two launches that they stand for. Not on the
// reference: it does not round what goes from one node to the next.
static void linear_fused_agrees(void **state) {
    const job *j = *state;
    test_need(j->device);
    rp_device *device = j->device->device;
    if (device->info.kind == RP_DEVICE_REFERENCE) { skip(); }   // float64, which two launches here would round between them
    static const uint32_t rows[] = { 1, 5, 16 }, lengths[] = { 3, 48, 100, 768, 1088, 1100 };
    enum { N = 48 };
    for (uint32_t r = 0; r < TEST_COUNT(rows); r++) {
        for (uint32_t l = 0; l < TEST_COUNT(lengths); l++) {
            const uint32_t m = rows[r], k = lengths[l];
            float x[16 * 1100], w[N * 1100], scale[1100];
            test_case numbers = { .seed = test_seed() + r };
            for (uint32_t i = 0; i < m * k; i++) { x[i] = (float)test_random(&numbers) * 4 - 2; }
            for (uint32_t i = 0; i < N * k; i++) { w[i] = (float)test_random(&numbers) * 2 - 1; }
            for (uint32_t i = 0; i < k; i++) { scale[i] = (float)test_random(&numbers) + 0.5f; }

            test_case c = { .op = RP_OP_RMSNORM };
            const struct rp_rmsnorm_params norm = { .rows = m, .width = k, .eps = 1e-5f };
            test_start(&c, "norm", &norm, sizeof norm);
            memcpy(test_uniform(&c, 0, (uint64_t)m * k, 0, 1), x, (size_t)m * k * 4);
            memcpy(test_uniform(&c, 1, k, 0, 1), scale, (size_t)k * 4);
            test_output(&c, 2, (uint64_t)m * k);
            test_result normed = run_alone(device, &c);
            test_result y[2];
            for (uint32_t fused = 0; fused < 2; fused++) {
                const struct rp_linear_params p = { .m = m, .n = N, .k = k, .norm = fused, .eps = fused ? 1e-5f : 0 };
                c = (test_case){ .op = RP_OP_LINEAR };
                test_start(&c, "norm and product", &p, sizeof p);
                float *in = test_uniform(&c, 0, (uint64_t)m * k, 0, 1);
                for (uint32_t i = 0; i < m * k; i++) { in[i] = fused ? x[i] : (float)normed.value[0][i]; }
                memcpy(test_uniform(&c, 1, (uint64_t)N * k, 0, 1), w, (size_t)N * k * 4);
                if (fused) { memcpy(test_uniform(&c, 4, k, 0, 1), scale, (size_t)k * 4); }
                test_output(&c, 5, (uint64_t)m * N);
                y[fused] = run_alone(device, &c);
            }
            same_values("norm and product", &y[0], &y[1], (uint64_t)m * N, m, k);

            // y[0] holds turns of eight; silu_mul takes halves.
            const struct rp_silu_mul_params gate = { m, N / 2 };
            c = (test_case){ .op = RP_OP_SILU_MUL };
            test_start(&c, "gate", &gate, sizeof gate);
            float *halves = test_uniform(&c, 0, (uint64_t)m * N, 0, 1);
            for (uint32_t i = 0; i < m * N; i++) {
                const uint32_t column = i % N, turn = column / RP_LINEAR_GATE;
                halves[i / N * N + turn % 2 * (N / 2) + turn / 2 * RP_LINEAR_GATE + column % RP_LINEAR_GATE] = (float)y[0].value[0][i];
            }
            test_output(&c, 1, (uint64_t)m * N / 2);
            test_result gated[2] = { run_alone(device, &c) };
            const struct rp_linear_params p = { .m = m, .n = N, .k = k, .gated = 1, .norm = 1, .eps = 1e-5f };
            c = (test_case){ .op = RP_OP_LINEAR };
            test_start(&c, "gated product", &p, sizeof p);
            memcpy(test_uniform(&c, 0, (uint64_t)m * k, 0, 1), x, (size_t)m * k * 4);
            memcpy(test_uniform(&c, 1, (uint64_t)N * k, 0, 1), w, (size_t)N * k * 4);
            memcpy(test_uniform(&c, 4, k, 0, 1), scale, (size_t)k * 4);
            test_output(&c, 5, (uint64_t)m * N / 2);
            gated[1] = run_alone(device, &c);
            same_values("gated product", &gated[0], &gated[1], (uint64_t)m * N / 2, m, k);
            test_result_free(&normed);
            for (uint32_t i = 0; i < 2; i++) { test_result_free(&y[i]), test_result_free(&gated[i]); }
        }
    }
}

// One launch, of attn_rope or attn_step, gives the bits of several: caches [2][own], keys and values, and y [queries].
static void agrees_in_one(rp_device *device, test_case *whole, const double *const *caches, uint64_t own, const double *y, uint64_t queries) {
    char name[64];
    snprintf(name, sizeof name, "%s", whole->name);
    test_result once = run_alone(device, whole);
    for (uint64_t i = 0; i < 2 * own; i++) {
        if (once.value[0][i] != caches[i / own][i % own]) {
            fail_msg("%s: element %llu of the cache is %.17g in one launch, %.17g in two", name, (unsigned long long)i, once.value[0][i],
                     caches[i / own][i % own]);
        }
    }
    for (uint64_t i = 0; i < queries; i++) {
        if (once.value[1][i] != y[i]) {
            fail_msg("%s: element %llu is %.17g in one launch, %.17g in two", name, (unsigned long long)i, once.value[1][i], y[i]);
        }
    }
    test_result_free(&once);
}

// attn_rope gives the bits of the two launches that it stands for. On fast devices, whose kernels say so.
static void attn_rope_agrees(void **state) {
    const job *j = *state;
    test_need(j->device);
    rp_device *device = j->device->device;
    if (!device->fast) { skip(); }
    for (uint32_t index = 0;; index++) {
        test_case whole;
        if (!test_case_make(&whole, RP_OP_ATTN_ROPE, index, index)) {
            test_case_free(&whole);
            break;
        }
        const struct rp_attn_rope_params p = *(const struct rp_attn_rope_params *)(const void *)whole.params;
        if (p.f16) {                                                      // on matrix units, or not
            test_case_free(&whole);
            continue;
        }
        const bool decode = p.suffix_cap > 0;
        const uint64_t D = (uint64_t)p.heads * p.head_width, rows = (uint64_t)p.batch * p.paths * p.variates, queries = rows * p.tokens * D;
        const uint64_t angles = (uint64_t)p.positions * p.head_width, powers = whole.tensor[1].count - angles;
        const uint64_t prefix = (uint64_t)p.batch * p.variates * p.prefix_cap * D, own = rows * (decode ? p.suffix_cap : p.prefix_cap) * D;
        const float *in[4];
        for (uint32_t i = 0; i < 4; i++) { in[i] = whole.tensor[i].data; }
        const uint32_t *n_patches = whole.tensor[4].data;
        struct rp_step step;
        memcpy(&step, whole.tensor[5].data, sizeof step);

        test_case c = { .op = RP_OP_ROPE_KV };
        const struct rp_rope_kv_params turn = { p.batch, p.paths, p.variates, p.tokens, p.heads, p.head_width, decode ? p.suffix_cap : p.prefix_cap,
                                                decode, p.extra, p.xpos_zero, 0 };
        test_start(&c, whole.name, &turn, sizeof turn);
        memcpy(test_f32(&c, 0, 3 * queries), in[0], 3 * queries * sizeof **in);
        memcpy(test_f32(&c, 1, angles), in[1], angles * sizeof **in);
        memcpy(test_f32(&c, 2, powers), in[1] + angles, powers * sizeof **in);
        memcpy(test_u32(&c, 3, p.batch), n_patches, p.batch * sizeof *n_patches);
        test_step(&c, 4, step);
        test_output(&c, 5, queries);
        test_output(&c, 6, own);
        test_output(&c, 7, own);
        memcpy(c.tensor[6].data, in[3], own * sizeof **in);
        memcpy(c.tensor[7].data, in[3] + own, own * sizeof **in);
        test_result turned = run_alone(device, &c);

        c = (test_case){ .op = RP_OP_ATTN_TIME };
        const struct rp_attn_time_params attend = { .batch = p.batch, .paths = p.paths, .variates = p.variates, .tokens = p.tokens, .heads = p.heads,
                                                    .head_width = p.head_width, .prefix_cap = p.prefix_cap, .suffix_cap = p.suffix_cap,
                                                    .extra = p.extra, .scale = p.scale, .scale_rest = p.scale_rest };
        test_start(&c, whole.name, &attend, sizeof attend);
        float *q = test_f32(&c, 0, queries);
        for (uint64_t i = 0; i < queries; i++) { q[i] = (float)turned.value[0][i]; }
        for (uint32_t half = 0; half < 2; half++) {                       // keys, values
            if (decode) { memcpy(test_f32(&c, 1 + half, prefix), in[2] + half * prefix, prefix * sizeof **in); }
            float *cache = test_f32(&c, (decode ? 3 : 1) + half, own);
            for (uint64_t i = 0; i < own; i++) { cache[i] = (float)turned.value[1 + half][i]; }
        }
        memcpy(test_u32(&c, 5, p.batch), n_patches, p.batch * sizeof *n_patches);
        test_step(&c, 6, step);
        test_output(&c, 7, queries);
        test_result attended = run_alone(device, &c);

        agrees_in_one(device, &whole, (const double *const *)turned.value + 1, own, attended.value[0], queries);
        test_result_free(&turned), test_result_free(&attended);
    }
}

// attn_step in float32 gives the bits of the launches that it stands for, whichever kernel runs. On devices with clusters, whose kernels say so.
static void attn_step_agrees(void **state) {
    const job *j = *state;
    test_need(j->device);
    rp_device *device = j->device->device;
    if (!device->clusters) { skip(); }
    for (uint32_t index = 0;; index++) {
        test_case whole;
        if (!test_case_make(&whole, RP_OP_ATTN_STEP, index, index % 4)) {
            test_case_free(&whole);
            break;
        }
        const struct rp_attn_step_params p = *(const struct rp_attn_step_params *)(const void *)whole.params;
        if (p.f16) {                                                      // on matrix units
            test_case_free(&whole);
            continue;
        }
        const uint64_t D = (uint64_t)p.heads * p.head_width, rows = (uint64_t)p.batch * p.paths, queries = rows * D;
        const uint64_t prefix = (uint64_t)p.batch * p.prefix_cap * D, own = queries * p.suffix_cap;
        const float *in[4];
        for (uint32_t i = 0; i < 4; i++) { in[i] = whole.tensor[i].data; }
        const uint32_t *n_tokens = whole.tensor[4].data;
        struct rp_step step;
        memcpy(&step, whole.tensor[5].data, sizeof step);

        test_case c = { .op = p.positions > 0 ? RP_OP_ROPE_HALF : RP_OP_CACHE_KV };
        uint32_t cache = 5;                                               // its first output of the cache
        if (p.positions > 0) {
            const struct rp_rope_half_params turn = { p.batch, p.paths, 1, p.heads, p.head_width, p.suffix_cap, p.positions, RP_ROWS_STEP, 0 };
            test_start(&c, whole.name, &turn, sizeof turn);
            memcpy(test_f32(&c, 0, 3 * queries), in[0], 3 * queries * sizeof **in);
            memcpy(test_f32(&c, 1, (uint64_t)p.positions * p.head_width), in[1], (uint64_t)p.positions * p.head_width * sizeof **in);
            memcpy(test_u32(&c, 2, p.batch), n_tokens, p.batch * sizeof *n_tokens);
            test_step(&c, 3, step);
            test_output(&c, 4, queries);
        } else {
            const struct rp_cache_kv_params put = { (uint32_t)rows, p.suffix_cap, (uint32_t)D, 0 };
            test_start(&c, whole.name, &put, sizeof put);
            memcpy(test_f32(&c, 0, 2 * queries), in[0], 2 * queries * sizeof **in);
            test_step(&c, 1, step);
            cache = 2;
        }
        for (uint32_t i = 0; i < 2; i++) {                                // keys, values
            test_output(&c, cache + i, own);
            memcpy(c.tensor[cache + i].data, in[3] + i * own, own * sizeof **in);
        }
        test_result turned = run_alone(device, &c);
        const double *const *caches = (const double *const *)turned.value + (p.positions > 0 ? 1 : 0);

        c = (test_case){ .op = RP_OP_ATTN_TIME };
        const struct rp_attn_time_params attend = { .batch = p.batch, .paths = p.paths, .variates = 1, .tokens = 1, .heads = p.heads,
                                                    .head_width = p.head_width, .prefix_cap = p.prefix_cap, .suffix_cap = p.suffix_cap,
                                                    .scale = p.scale, .scale_rest = p.scale_rest };
        test_start(&c, whole.name, &attend, sizeof attend);
        float *q = test_f32(&c, 0, queries);
        for (uint64_t i = 0; i < queries; i++) { q[i] = p.positions > 0 ? (float)turned.value[0][i] : in[1][i]; }
        for (uint32_t half = 0; half < 2; half++) {
            memcpy(test_f32(&c, 1 + half, prefix), in[2] + half * prefix, prefix * sizeof **in);
            float *to = test_f32(&c, 3 + half, own);
            for (uint64_t i = 0; i < own; i++) { to[i] = (float)caches[half][i]; }
        }
        memcpy(test_u32(&c, 5, p.batch), n_tokens, p.batch * sizeof *n_tokens);
        test_step(&c, 6, step);
        test_output(&c, 7, queries);
        test_result attended = run_alone(device, &c);

        agrees_in_one(device, &whole, caches, own, attended.value[0], queries);
        test_result_free(&turned), test_result_free(&attended);
    }
}

// Attention in float32 has the same bits whichever kernel runs. A device of its own, made to have what only some have, or many
// processors or few, takes every kernel for every case that the kernel is for.
static void attention_agrees(void **state) {
    const job *j = *state;
    test_need(j->device);
    rp_device *device = j->device->device;
    if (!device->fast) { skip(); }                                        // one kernel
    static const uint32_t processors[] = { 1, 16, 4096 };                 // large blocks of queries, smaller ones, and the smallest
    static const char *const kernels[] = { "attn_time_f32", "attn_time_f32_shared", "attn_time_f32_spread", "attn_time_f32_short",
                                           "attn_time_f32_short_2", "attn_time_f32_tiled_8", "attn_time_f32_tiled_4", "attn_time_f32_tiled_2",
                                           "attn_time_f32_tiled_wide", "attn_time_f32_tiled_widest" };
    uint32_t n_ran[TEST_COUNT(kernels)] = { 0 };
    test_device own = { .required = true };
    test_ok(device, rp_device_create(device->info.spec, &device->config, &own.device), "a device");
    for (uint32_t index = 0;; index++) {
        test_case c;
        if (!test_case_make(&c, RP_OP_ATTN_TIME, index, 0)) {
            test_case_free(&c);
            break;
        }
        const struct rp_attn_time_params *p = (const void *)c.params;
        const uint32_t n_variations = p->mixed || p->y_f16 ? 0 : 4;
        test_case_free(&c);
        for (uint32_t variation = 0; variation < n_variations; variation++) {
            assert_true(test_case_make(&c, RP_OP_ATTN_TIME, index, variation));
            test_result plain = { 0 };
            for (uint32_t way = 0; way < 1 + 2 * TEST_COUNT(processors); way++) {
                own.device->fast = way > 0;
                own.device->clusters = device->clusters && way >= 1 + TEST_COUNT(processors);
                own.device->wgmma = own.device->clusters ? device->wgmma : 0;         // and so shared memory for two teams, or four
                own.device->processors = way == 0 ? 1 : processors[(way - 1) % TEST_COUNT(processors)];
                test_rig rig;
                test_result got = { 0 };
                test_rig_open(&rig, own.device, &c, false);
                const char *kernel = rig.plan->launches[0].kernel;
                for (uint32_t i = 0; i < TEST_COUNT(kernels); i++) { n_ran[i] += strcmp(kernel, kernels[i]) == 0; }
                test_rig_load(&rig, &c);
                test_rig_direct(&rig);
                test_rig_read(&rig, &c, &got);
                if (way == 0) {
                    plain = got;
                } else {
                    for (uint64_t e = 0; e < plain.count[0]; e++) {
                        if (memcmp(&got.value[0][e], &plain.value[0][e], sizeof(double)) != 0) {
                            fail_msg("%s, variation %u: element %llu is %.17g by %s, and %.17g by attn_time_f32", c.name, variation,
                                     (unsigned long long)e, got.value[0][e], kernel, plain.value[0][e]);
                        }
                    }
                    test_result_free(&got);
                }
                test_rig_close(&rig);
            }
            test_result_free(&plain);
            test_case_free(&c);
        }
    }
    for (uint32_t i = 0; i < TEST_COUNT(kernels); i++) {
        printf("  %s: %u runs\n", kernels[i], n_ran[i]);
        if (n_ran[i] == 0 && (device->clusters || strstr(kernels[i], "spread") == NULL)) { fail_msg("no case took %s", kernels[i]); }
    }
    rp_device_destroy(own.device);
}

int main(void) {
    enum { MAX_TESTS = TEST_MAX_DEVICES * (RP_OP_COUNT + 7 + TEST_COUNT(pair_ops) + TEST_COUNT(same_bits_ops)) };
    static job jobs[MAX_TESTS];
    static char names[MAX_TESTS][64];
    static struct CMUnitTest tests[MAX_TESTS];
    test_device *devices;
    uint32_t n_devices = test_devices(&devices), n = 0, n_jobs = 0;
    test_seed();
    for (uint32_t d = 0; d < n_devices; d++) {
        for (uint32_t op = 0; op < RP_OP_COUNT; op++) {
            job *j = &jobs[n_jobs++];
            *j = (job){ &devices[d], (rp_op)op };
            snprintf(names[n], sizeof *names, "%s on %s", rp_op_table[op].name, devices[d].spec);
            tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = conform, .initial_state = j };
            n++;
            if (op == RP_OP_LINEAR) {
                snprintf(names[n], sizeof *names, "linear rows agree on %s", devices[d].spec);
                tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = linear_rows_agree, .initial_state = j };
                n++;
                snprintf(names[n], sizeof *names, "linear tiles agree on %s", devices[d].spec);
                tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = linear_tiles_agree, .initial_state = j };
                n++;
                snprintf(names[n], sizeof *names, "linear fused agrees on %s", devices[d].spec);
                tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = linear_fused_agrees, .initial_state = j };
                n++;
            }
            if (op == RP_OP_ATTN_ROPE) {
                snprintf(names[n], sizeof *names, "attn_rope agrees on %s", devices[d].spec);
                tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = attn_rope_agrees, .initial_state = j };
                n++;
            }
            if (op == RP_OP_ATTN_STEP) {
                snprintf(names[n], sizeof *names, "attn_step agrees on %s", devices[d].spec);
                tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = attn_step_agrees, .initial_state = j };
                n++;
            }
            if (op == RP_OP_ATTN_TIME) {
                snprintf(names[n], sizeof *names, "attention kernels agree on %s", devices[d].spec);
                tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = attention_agrees, .initial_state = j };
                n++;
            }
        }
        for (uint32_t i = 0; i < TEST_COUNT(same_bits_ops); i++, n++) {
            job *j = &jobs[n_jobs++];
            *j = (job){ &devices[d], same_bits_ops[i] };
            snprintf(names[n], sizeof *names, "%s kernels agree on %s", rp_op_table[same_bits_ops[i]].name, devices[d].spec);
            tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = fast_agrees, .initial_state = j };
        }
        for (uint32_t i = 0; i < TEST_COUNT(pair_ops) && has_pairs(&devices[d]); i++, n++) {
            job *j = &jobs[n_jobs++];
            *j = (job){ &devices[d], pair_ops[i] };
            snprintf(names[n], sizeof *names, "%s on %s, two-float", rp_op_table[pair_ops[i]].name, devices[d].spec);
            tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = conform_pair, .initial_state = j };
        }
        if (has_pairs(&devices[d]) && devices[d].device->info.kind == RP_DEVICE_CPU) {
            job *j = &jobs[n_jobs++];
            *j = (job){ &devices[d], RP_OP_LINEAR };
            snprintf(names[n], sizeof *names, "linear on %s, kernels of GPUs", devices[d].spec);
            tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = conform_gpu_kernels, .initial_state = j };
            n++;
        }
    }
    return test_group("conformance", tests, n);
}
