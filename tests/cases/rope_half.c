// rope_half: rows of every kind, dead ones among them, slots and rows that stay untouched.
#include "bars.h"

static const struct { const char *name; struct rp_rope_half_params p; } cases[] = {
    //                         B  S  n   h  d  cap pos rows f16
    { "one pair", { 1, 1, 1, 1, 2, 1, 1, RP_ROWS_PROMPT, 0 } },
    { "prompt", { 3, 1, 9, 2, 8, 9, 9, RP_ROWS_PROMPT, 0 } },
    { "prompt, larger cache, head 52", { 2, 1, 17, 3, 52, 20, 30, RP_ROWS_PROMPT, 0 } },
    { "step", { 3, 5, 1, 2, 6, 6, BARS_SHARED + 6, RP_ROWS_STEP, 0 } },
    { "step, head 64", { 2, 2, 1, 4, 64, 6, BARS_SHARED + 8, RP_ROWS_STEP, 0 } },
    { "own", { 3, 4, 7, 2, 8, 7, BARS_SHARED + 7, RP_ROWS_OWN, 0 } },
    { "float16, prompt", { 2, 1, 9, 2, 8, 9, 9, RP_ROWS_PROMPT, 1 } },
    { "float16, step, head 52", { 3, 5, 1, 2, 52, 6, BARS_SHARED + 6, RP_ROWS_STEP, 1 } },
    { "own, slots to spare", { 2, 3, 5, 1, 64, 9, BARS_SHARED + 9, RP_ROWS_OWN, 0 } },
};

bool test_case_rope_half(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, rope_half);
    const uint64_t rows = (uint64_t)p->batch * p->paths, D = (uint64_t)p->heads * p->head_width, half = p->head_width / 2;
    if (p->f16) {
        test_uniform_f16(c, 0, rows * p->tokens * 3 * D, -2, 2);
    } else {
        test_uniform(c, 0, rows * p->tokens * 3 * D, -2, 2);
        test_spice(c, 0);
    }
    float *rope = test_f32(c, 1, p->positions * half * 2);
    for (uint64_t i = 0; i < p->positions * half; i++) {
        const double angle = (double)(i / half) * pow(10000, -2.0 * (double)(i % half) / p->head_width);
        rope[2 * i] = (float)cos(angle), rope[2 * i + 1] = (float)sin(angle);
    }
    bars_counts(c, 2, p->batch, p->rows, p->tokens);
    const uint32_t cap = p->rows == RP_ROWS_OWN ? p->tokens : p->cap;
    test_step(c, 3, (struct rp_step){ .batch = p->batch, .paths = p->paths, .step = bars_step(c, p->rows, cap) });
    void (*output)(test_case *, uint32_t, uint64_t) = p->f16 ? test_output_f16 : test_output;
    output(c, 4, rows * p->tokens * D);
    output(c, 5, rows * p->cap * D);
    output(c, 6, rows * p->cap * D);
    c->needs_mixed = p->f16 != 0;
    return true;
}
