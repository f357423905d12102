// rope_kv: prompt and decode, with and without a label token, series shorter than the capacity, slots that stay untouched.
#include "../case.h"

#define STEPS 6    // decode steps that the tables cover

static const struct { const char *name; struct rp_rope_kv_params p; } cases[] = {
    //                          B  S  V  n  h  d   cap dec ext xpos_zero f16
    { "one pair", { 1, 1, 1, 1, 1, 2, 1, 0, 0, 0, 0 } },
    { "prompt", { 2, 1, 3, 9, 2, 8, 9, 0, 0, 0, 0 } },
    { "prompt, label, larger cache", { 3, 1, 2, 6, 3, 6, 11, 0, 1, 0, 0 } },
    { "prompt, head 64", { 2, 1, 1, 33, 2, 64, 33, 0, 0, 0, 0 } },
    { "decode", { 2, 5, 3, 1, 2, 8, STEPS, 1, 0, 0, 0 } },
    { "decode, label, head 64", { 3, 2, 2, 1, 3, 64, STEPS, 1, 1, 0, 0 } },
    { "float16, prompt, label", { 3, 1, 2, 6, 3, 4, 11, 0, 1, 0, 1 } },
    { "float16, decode, head 64", { 2, 5, 3, 1, 2, 64, STEPS, 1, 0, 0, 1 } },
};

static uint32_t longest(const struct rp_rope_kv_params *p) { return p->decode ? 12 : p->tokens; }   // n_tokens

bool test_case_rope_kv(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    struct rp_rope_kv_params *p = (void *)c->params;
    const uint32_t positions = longest(p) + STEPS, half = p->head_width / 2;
    p->xpos_zero = positions;                                            // exponents -positions .. positions
    const uint64_t rows = (uint64_t)p->batch * p->paths * p->variates, D = (uint64_t)p->heads * p->head_width;
    if (p->f16) {
        test_uniform_f16(c, 0, rows * p->tokens * 3 * D, -2, 2);
    } else {
        test_uniform(c, 0, rows * p->tokens * 3 * D, -2, 2);
        test_spice(c, 0);
    }
    float *rope = test_f32(c, 1, (uint64_t)positions * p->head_width), *xpos = test_f32(c, 2, (2 * (uint64_t)positions + 1) * half);
    for (uint32_t i = 0; i < positions * half; i++) {
        const double angle = i / half * pow(10000, -2.0 * (i % half) / p->head_width);
        rope[2 * i] = (float)cos(angle), rope[2 * i + 1] = (float)sin(angle);
    }
    for (uint32_t i = 0; i < (2 * positions + 1) * half; i++) {          // steeper than the model's, so that a wrong row shows
        const double s = (2.0 * (i % half) + 0.4 * p->head_width) / (1.4 * p->head_width);
        xpos[i] = (float)pow(s, ((double)(i / half) - positions) / 24);
    }
    uint32_t *n_patches = test_u32(c, 3, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) { n_patches[b] = b == 0 ? longest(p) - p->extra : 1 + test_below(c, longest(p) - p->extra); }
    const uint32_t step = c->variation == 0 ? 1 : 1 + (c->variation * 2 + 1) % STEPS;
    test_step(c, 4, (struct rp_step){ .batch = p->batch, .paths = p->paths, .step = p->decode ? step : 0 });
    void (*output)(test_case *, uint32_t, uint64_t) = p->f16 ? test_output_f16 : test_output;
    output(c, 5, rows * p->tokens * D);
    output(c, 6, rows * p->cap * D);
    output(c, 7, rows * p->cap * D);
    c->needs_mixed = p->f16 != 0;
    return true;
}
