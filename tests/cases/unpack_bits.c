// unpack_bits: rows of every kind, dead ones among them, halves of unequal bits.
#include "bars.h"

static const struct { const char *name; struct rp_unpack_bits_params p; } cases[] = {
    //                          B  S  n   cap rows        s1  s2
    { "one bar", { 1, 1, 1, 1 + BARS_FIRST, RP_ROWS_PROMPT, 1, 1, 0, 0 } },
    { "prompt", { 4, 1, 19, 25, RP_ROWS_PROMPT, 10, 10, 0, 0 } },
    { "step", { 3, 5, 1, 6, RP_ROWS_STEP, 3, 7, 0, 0 } },
    { "own", { 3, 4, 7, 7, RP_ROWS_OWN, 10, 10, 0, 0 } },
    { "own, slots to spare", { 2, 3, 5, 9, RP_ROWS_OWN, 5, 4, 0, 0 } },
};

bool test_case_unpack_bits(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    struct rp_unpack_bits_params *p = (void *)c->params;
    const double scale = 1 / sqrt((double)(p->s1_bits + p->s2_bits));
    p->scale = (float)scale, p->scale_rest = (float)(scale - (double)p->scale);
    const uint64_t rows = p->rows == RP_ROWS_PROMPT ? p->batch : (uint64_t)p->batch * p->paths;
    bars_tokens(c, 0, rows * p->tokens_cap, p->s1_bits, p->s2_bits);
    bars_counts(c, 1, p->batch, p->rows, p->tokens);
    bars_firsts(c, 2, p->batch);
    const uint32_t cap = p->rows == RP_ROWS_OWN ? p->tokens : p->tokens_cap;
    test_step(c, 3, (struct rp_step){ .batch = p->batch, .paths = p->paths, .step = bars_step(c, p->rows, cap) });
    test_output(c, 4, (uint64_t)p->batch * p->paths * p->tokens * (p->s1_bits + p->s2_bits));
    return true;
}
