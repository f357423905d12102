// block_result: first and later calls, known futures, caps, crossing levels, infinities of one step and of all, a constant series.
#include "blocks.h"

enum { PLAIN, CAPPED, INFINITE, CONSTANT };
#define FUTURE 5       // patches
#define HUGE_RAW 1000.0f
static const struct { const char *name; struct rp_block_result_params p; int what; uint32_t exogenous; } cases[] = {
    //                    B  V count A  H   P  K later
    { "one step", { 1, 1, 1, 6, 5, 1, 1, 0 }, PLAIN, 0 },
    { "single pass", { 2, 3, 5, 14, 40, 8, 5, 0 }, PLAIN, 0 },
    { "capped", { 2, 3, 2, 14, 160, 32, 2, 0 }, CAPPED, 0 },
    { "infinities", { 2, 2, 2, 9, 60, 12, 2, 0 }, INFINITE, 0 },
    { "known futures, long patches", { 3, 3, 2, 9, 500, 100, 2, 0 }, INFINITE, 2 },
    { "constant", { 2, 2, 2, 9, 60, 12, 2, 0 }, CONSTANT, 0 },
    { "later", { 2, 3, 2, 14, 40, 8, 2, 1 }, PLAIN, 1 },
    { "the last round, shorter", { 2, 3, 1, 14, 160, 32, 2, 1 }, CAPPED, 0 },
    { "a dead series", { 4, 1, 3, 9, 60, 12, 3, 1 }, PLAIN, 0 },
};

static void fill_raw(test_case *c, const struct rp_block_result_params *p, int what) {
    const uint64_t each = (uint64_t)p->patch_size * RP_BLOCK_QUANTILES, n = (uint64_t)p->batch * p->variates * p->count * each;
    float *raw = test_uniform(c, 0, n, -3, 3);
    for (uint64_t i = 0; i < n && what == INFINITE; i++) {
        const bool all = i % RP_BLOCK_QUANTILES == 4 && i / each % 2 == 0;   // every step of the fifth, in every other patch
        if (all || test_below(c, 9) == 0) { raw[i] = test_below(c, 2) ? HUGE_RAW : -HUGE_RAW; }
    }
}

bool test_case_block_result(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, block_result);
    const int what = cases[index].what;
    const uint64_t rows = (uint64_t)p->batch * p->variates;
    fill_raw(c, p, what);
    double *state = test_f64(c, 1, rows * RP_BLOCK_STATE);
    for (uint64_t i = 0; i < rows; i++) {
        double *s = state + i * RP_BLOCK_STATE;
        s[0] = 1 + test_below(c, 200);
        s[1] = (double)(float)(test_random(c) * 4 - 2);
        s[2] = what == CONSTANT ? 0 : s[0] * (0.5 + test_random(c));
        s[3] = s[1] - 2, s[4] = s[1] + 2;
    }
    const float cap = what == CAPPED ? 0.25f : 0;
    memcpy(&test_u32(c, 2, 2)[1], &cap, sizeof cap);
    blocks_lengths(c, 3, p->batch, p->series_patches - FUTURE);
    struct rp_step step = blocks_step(c, p->batch > 3 ? p->batch - 1 : p->batch, FUTURE, p->patch_size, p->block, p->later);
    if (p->count < p->block) { step.step = (FUTURE - 1) / p->block; }
    step.exogenous = cases[index].exogenous;
    test_step(c, 4, step);
    test_uniform(c, 5, 2 * rows * p->series_patches * p->patch_size, -3, 3);
    test_alias(c, 6, 5);
    test_output(c, 7, rows * RP_BLOCK_QUANTILES * p->horizon_cap);
    return true;
}
