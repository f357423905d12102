// Products: any number of rows, tiles of any shape, and the ops that they take in.
#include "agree.h"

static bool takes_pairs(const rp_device *device, uint32_t k) { return test_has_pairs(device) && k % RP_LINEAR_PAIR_CHUNK == 0; }

static void rows_agree(rp_device *device, uint32_t n, uint32_t k, uint64_t seed, bool pairs) {
    static const uint32_t rows[] = { 200, 1, 2, 8, 15, 16, 17, 64, 65, 128 };
    test_result whole = { 0 };
    for (uint32_t i = 0; i < TEST_COUNT(rows); i++) {
        test_case c = { .op = RP_OP_LINEAR, .seed = test_seed() + seed };
        const struct rp_linear_params p = { .m = rows[i], .n = n, .k = k, .has_bias = 1, .has_residual = 1, .w_pairs = pairs };
        test_start(&c, "linear rows", &p, sizeof p);
        test_uniform(&c, 1, (uint64_t)n * k, -1, 1);
        if (pairs) { test_pairs(&c, 1, 5, n, k); }
        test_uniform(&c, 2, n, -1, 1);
        test_uniform(&c, 0, (uint64_t)p.m * k, -1, 1);
        c.seed = 77 + seed;                                      // residuals of shared rows are shared as well
        test_uniform(&c, 3, (uint64_t)p.m * n, -1, 1);
        test_output(&c, 6, (uint64_t)p.m * n);
        test_result got = agree_run(device, &c);
        if (i == 0) {
            whole = got;
            continue;
        }
        char what[64];
        snprintf(what, sizeof what, "%u rows, n = %u, k = %u%s", p.m, n, k, pairs ? ", pairs" : "");
        agree_same_bits(&got, "by themselves", &whole, "as the first of 200", (uint64_t)p.m * n, what);
        test_result_free(&got);
    }
    test_result_free(&whole);
}

// The first rows of a product have the same bits whatever the number of rows, so whichever kernel runs.
void linear_rows_agree(void **state) {
    rp_device *device = test_device_of(state);
    static const uint32_t sizes[][2] = { { 70, 200 }, { 33, 130 }, { 1, 3 }, { 64, 768 }, { 39, 64 }, { 130, 832 } };    // n, k
    for (uint32_t s = 0; s < TEST_COUNT(sizes); s++) {
        rows_agree(device, sizes[s][0], sizes[s][1], s, false);
        if (takes_pairs(device, sizes[s][1])) { rows_agree(device, sizes[s][0], sizes[s][1], s, true); }
    }
}

// Products of many rows: tiles of any shape give the same bits. float16: those of the kernels that devices without wgmma run, and those
// conform. Pairs, which no such device takes: those of the tiles that the size picks.
void linear_tiles_agree(void **state) {
    rp_device *device = test_device_of(state);
    rp_device *own;
    test_score score = { 0 };
    uint32_t n_cases = 0;
    if (device->wgmma == 0) { skip(); }
    test_ok(device, rp_device_create(device->info.spec, &device->config, &own), "a device");
    for (uint32_t index = 0;; index++) {
        test_case c;
        if (!test_case_make(&c, RP_OP_LINEAR, index, 0)) {
            test_case_free(&c);
            break;
        }
        const struct rp_linear_params *p = (const void *)c.params;
        const uint64_t count = (uint64_t)p->m * (p->gated ? p->n / 2 : p->n);
        test_result plain = { 0 };
        const bool pairs = p->w_pairs && p->m > RP_LINEAR_SKINNY_M;
        const uint32_t n_shapes = pairs ? RP_LINEAR_PAIR_SHAPES : p->x_f16 && p->m >= RP_LINEAR_WGMMA_M ? RP_LINEAR_WGMMA_SHAPES : 0;
        const uint32_t first = pairs ? 1 : 0;                    // of `wgmma`: what the others must give
        for (uint32_t wgmma = first; wgmma < 2 + n_shapes && n_shapes > 0; wgmma++) {
            own->wgmma = wgmma;
            test_result got;
            test_run(own, &c, &got);
            if (wgmma == 0) {
                test_result ref, magnitude;
                test_reference(RP_OP_LINEAR, index, 0, &ref, &magnitude);
                test_compare(&score, &c, "without wgmma", &got, &ref, &magnitude);
                test_result_free(&ref);
                test_result_free(&magnitude);
                n_cases++;
            }
            if (wgmma == first) {
                plain = got;
                continue;
            }
            char tiles[32];
            snprintf(tiles, sizeof tiles, "by tiles %u", wgmma);
            agree_same_bits(&got, tiles, &plain, "by others", count, c.name);
            test_result_free(&got);
        }
        test_result_free(&plain);
        test_case_free(&c);
    }
    rp_device_destroy(own);
    assert_true(n_cases > 0);
    if (score.failed > 0) { fail_msg("kernels without wgmma: %llu failures", (unsigned long long)score.failed); }
}

// Pairs add up to the numbers that they were made of: to 2^-23 of each and 2^-39 of its row's largest.
void pairs_add_up(void **state) {
    rp_device *device = test_device_of(state);
    for (uint32_t index = 0;; index++) {
        test_case c;
        if (!test_case_make(&c, RP_OP_PAIR_ROWS, index, 0)) {
            test_case_free(&c);
            return;
        }
        const struct rp_pair_rows_params *p = (const void *)c.params;
        const float *w = c.tensor[0].data;
        test_result got;
        test_run(device, &c, &got);
        for (uint64_t row = 0; row < p->rows; row++) {
            const double scale = got.value[1][row], *pairs = got.value[0] + row * 2 * p->k;
            for (uint64_t i = 0; i < p->k; i++) {
                const double *hi = pairs + i / RP_LINEAR_PAIR_CHUNK * 2 * RP_LINEAR_PAIR_CHUNK + RP_PAIR_AT(i % RP_LINEAR_PAIR_CHUNK);
                const double want = (double)w[row * p->k + i], sum = (hi[0] + hi[RP_LINEAR_PAIR_CHUNK]) * 0x1p-14 * scale;
                if (fabs(sum - want) <= 0x1p-23 * fabs(want) + 0x1p-39 * scale + FLUSH) { continue; }
                fail_msg("'%s', row %llu, column %llu: %.9g became %.9g", c.name, (unsigned long long)row, (unsigned long long)i, want, sum);
            }
        }
        test_result_free(&got);
        test_case_free(&c);
    }
}

// Products that normalise their rows, or gate their halves, give the bits of the two launches that they stand for.
static void fused_agree(rp_device *device, uint32_t m, uint32_t k, uint64_t seed, bool pairs) {
    enum { N = 48 };
    char what[64];
    float x[16 * 1100], w[N * 1100], scale[1100];
    test_case numbers = { .seed = test_seed() + seed };
    for (uint32_t i = 0; i < m * k; i++) { x[i] = (float)test_random(&numbers) * 4 - 2; }
    for (uint32_t i = 0; i < N * k; i++) { w[i] = (float)test_random(&numbers) * 2 - 1; }
    for (uint32_t i = 0; i < k; i++) { scale[i] = (float)test_random(&numbers) + 0.5f; }

    test_case c = { .op = RP_OP_RMSNORM };
    const struct rp_rmsnorm_params norm = { .rows = m, .width = k, .eps = 1e-5f };
    test_start(&c, "norm", &norm, sizeof norm);
    memcpy(test_uniform(&c, 0, (uint64_t)m * k, 0, 1), x, (size_t)m * k * 4);
    memcpy(test_uniform(&c, 1, k, 0, 1), scale, (size_t)k * 4);
    test_output(&c, 2, (uint64_t)m * k);
    test_result normed = agree_run(device, &c);
    test_result y[2];
    for (uint32_t fused = 0; fused < 2; fused++) {
        const struct rp_linear_params p = { .m = m, .n = N, .k = k, .norm = fused, .eps = fused ? 1e-5f : 0, .w_pairs = pairs };
        c = (test_case){ .op = RP_OP_LINEAR };
        test_start(&c, "norm and product", &p, sizeof p);
        float *in = test_uniform(&c, 0, (uint64_t)m * k, 0, 1);
        for (uint32_t i = 0; i < m * k; i++) { in[i] = fused ? x[i] : (float)normed.value[0][i]; }
        memcpy(test_uniform(&c, 1, (uint64_t)N * k, 0, 1), w, (size_t)N * k * 4);
        if (pairs) { test_pairs(&c, 1, 5, N, k); }
        if (fused) { memcpy(test_uniform(&c, 4, k, 0, 1), scale, (size_t)k * 4); }
        test_output(&c, 6, (uint64_t)m * N);
        y[fused] = agree_run(device, &c);
    }
    snprintf(what, sizeof what, "norm and product%s, m = %u, k = %u", pairs ? " of pairs" : "", m, k);
    agree_same_bits(&y[1], "in one launch", &y[0], "in two", (uint64_t)m * N, what);

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
    test_result gated[2] = { agree_run(device, &c) };
    const struct rp_linear_params p = { .m = m, .n = N, .k = k, .gated = 1, .norm = 1, .eps = 1e-5f, .w_pairs = pairs };
    c = (test_case){ .op = RP_OP_LINEAR };
    test_start(&c, "gated product", &p, sizeof p);
    memcpy(test_uniform(&c, 0, (uint64_t)m * k, 0, 1), x, (size_t)m * k * 4);
    memcpy(test_uniform(&c, 1, (uint64_t)N * k, 0, 1), w, (size_t)N * k * 4);
    if (pairs) { test_pairs(&c, 1, 5, N, k); }
    memcpy(test_uniform(&c, 4, k, 0, 1), scale, (size_t)k * 4);
    test_output(&c, 6, (uint64_t)m * N / 2);
    gated[1] = agree_run(device, &c);
    snprintf(what, sizeof what, "gated product%s, m = %u, k = %u", pairs ? " of pairs" : "", m, k);
    agree_same_bits(&gated[1], "in one launch", &gated[0], "in two", (uint64_t)m * N / 2, what);
    test_result_free(&normed);
    for (uint32_t i = 0; i < 2; i++) { test_result_free(&y[i]), test_result_free(&gated[i]); }
}

// Not on the reference: it does not round what goes from one node to the next.
void linear_fused_agrees(void **state) {
    rp_device *device = test_device_of(state);
    if (device->info.kind == RP_DEVICE_REFERENCE) { skip(); }   // float64, which two launches here would round between them
    static const uint32_t rows[] = { 1, 5, 16 }, lengths[] = { 3, 48, 100, 768, 1088, 1100 };
    for (uint32_t r = 0; r < TEST_COUNT(rows); r++) {
        for (uint32_t l = 0; l < TEST_COUNT(lengths); l++) {
            fused_agree(device, rows[r], lengths[l], r, false);
            if (takes_pairs(device, lengths[l])) { fused_agree(device, rows[r], lengths[l], r, true); }
        }
    }
}
