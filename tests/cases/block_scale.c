// block_scale: first and later calls, missing values and patches, more patches than a scan takes at once, both ends of the
// fallback, constant series, known futures.
#include "blocks.h"

enum { NOISE, OFFSET, CONSTANT, MISSING, KNOWN };
#define FUTURE 5       // patches
static const struct { const char *name; struct rp_block_scale_params p; int what; uint32_t min_obs; } cases[] = {
    //                        B  V  n   N   A   P  K later x_f16
    { "one element", { 1, 1, 1, 1, 6, 1, 1, 0, 0 }, NOISE, 0 },
    { "single pass", { 2, 3, 13, 9, 14, 8, 5, 0, 0 }, NOISE, 0 },
    { "missing", { 3, 2, 11, 10, 15, 12, 2, 0, 0 }, MISSING, 0 },
    { "missing, fallback", { 3, 2, 11, 10, 15, 12, 2, 0, 0 }, MISSING, 17 },
    { "missing, fallback behind the end", { 2, 2, 4, 3, 8, 4, 2, 0, 0 }, MISSING, 500 },
    { "known future, fallback in it", { 2, 2, 4, 3, 8, 8, 2, 0, 0 }, KNOWN, 30 },
    { "many patches", { 2, 2, 135, 134, 139, 5, 2, 0, 0 }, MISSING, 400 },
    { "more patches than a round", { 1, 2, 300, 299, 304, 4, 2, 0, 0 }, MISSING, 0 },
    { "more patches than a round, fallback", { 1, 1, 300, 299, 304, 4, 2, 0, 0 }, MISSING, 800 },
    { "far offset", { 1, 2, 71, 70, 75, 32, 2, 0, 0 }, OFFSET, 0 },
    { "constant", { 2, 1, 7, 6, 11, 8, 2, 0, 0 }, CONSTANT, 3 },
    { "later", { 2, 3, 3, 9, 14, 8, 2, 1, 0 }, NOISE, 0 },
    { "later, more than it needs", { 3, 2, 4, 10, 15, 12, 2, 1, 0 }, MISSING, 0 },
    { "later, fallback", { 3, 2, 5, 10, 15, 12, 3, 1, 0 }, KNOWN, 23 },
    { "to float16", { 2, 3, 13, 9, 14, 8, 5, 0, 1 }, MISSING, 0 },
    { "to float16, many patches", { 1, 2, 135, 134, 139, 32, 2, 0, 1 }, MISSING, 40 },
    { "to float16, later", { 2, 3, 3, 9, 14, 8, 2, 1, 1 }, NOISE, 0 },
};

static bool is_seen(test_case *c, int what, uint32_t patch, uint32_t n_patches, uint32_t given) {
    if (patch >= given) { return what == KNOWN; }
    if (patch + 1 >= n_patches) { return true; }    // the context's last, and medians
    return what != MISSING || (patch % 3 != 1 && test_below(c, 3) > 0);
}

static void fill(test_case *c, const struct rp_block_scale_params *p, int what) {
    const uint64_t length = (uint64_t)p->series_patches * p->patch_size, rows = (uint64_t)p->batch * p->variates;
    float *x = test_uniform(c, 0, 2 * rows * length, -3, 3), *seen = x + rows * length;
    const uint32_t *n = c->tensor[2].data;
    for (uint64_t i = 0; i < rows * length; i++) {
        const uint32_t b = (uint32_t)(i / length / p->variates), patch = (uint32_t)(i % length / p->patch_size);
        const rp_call call = blocks_call(c, 2, 3, b, p->patch_size, p->block, p->later);
        seen[i] = is_seen(c, what, patch, n[b], call.start + call.given);
        if (what == OFFSET) { x[i] += 1e6f; }
        if (what == CONSTANT) { x[i] = 4.25f; }
    }
}

bool test_case_block_scale(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, block_scale);
    const uint64_t rows = (uint64_t)p->batch * p->variates;
    blocks_lengths(c, 2, p->batch, p->patches);
    test_step(c, 3, blocks_step(c, p->batch, FUTURE, p->patch_size, p->block, p->later));
    fill(c, p, cases[index].what);
    test_u32(c, 1, 2)[0] = cases[index].min_obs;
    double *state = test_f64(c, 4, rows * RP_BLOCK_STATE);
    for (uint64_t i = 0; i < rows; i++) {
        double *s = state + i * RP_BLOCK_STATE;
        s[0] = cases[index].min_obs > 0 ? 1 + test_below(c, 2 * cases[index].min_obs) : 20 + test_below(c, 300);
        s[1] = (double)(float)test_random(c);
        s[2] = s[0] > 1 ? s[0] * (0.5 + test_random(c)) : 0;
        s[3] = -3, s[4] = 3;
    }
    (p->x_f16 ? test_output_f16 : test_output)(c, 5, rows * p->tokens * 2 * p->patch_size);
    c->needs_mixed = p->x_f16 != 0;
    test_alias(c, 6, 4);
    test_u32(c, 7, rows * p->patches);
    return true;
}
