// embed_bars: rows of every kind, dead ones among them, every table from its first row to its last; with s2's token and without.
#include "bars.h"

static const struct { const char *name; struct rp_embed_bars_params p; uint32_t s1_bits, s2_bits; } cases[] = {
    //                         B  S  n   cap stamps rows           s2_row, table_rows; D
    { "one element", { 1, 1, 1, 1 + BARS_FIRST, 1 + BARS_FIRST, RP_ROWS_PROMPT, 0, 0, 1, 0 }, 1, 1 },
    { "prompt", { 4, 1, 9, 12, 17, RP_ROWS_PROMPT, 0, 0, 37, 0 }, 4, 6 },
    { "prompt, in fours", { 3, 1, 9, 12, 17, RP_ROWS_PROMPT, 0, 0, 52, 0 }, 4, 6 },
    { "step", { 3, 5, 1, 6, BARS_FIRST + BARS_SHARED + 6, RP_ROWS_STEP, 0, 0, 64, 0 }, 5, 3 },
    { "step, s1 alone", { 3, 5, 1, 6, BARS_FIRST + BARS_SHARED + 6, RP_ROWS_STEP, 0, 0, 300, 1 }, 5, 3 },
    { "own", { 3, 4, 7, 7, BARS_FIRST + BARS_SHARED + 7, RP_ROWS_OWN, 0, 0, 33, 0 }, 4, 4 },
    { "own, in fours", { 3, 4, 7, 7, BARS_FIRST + BARS_SHARED + 7, RP_ROWS_OWN, 0, 0, 100, 0 }, 4, 4 },
    { "own, slots to spare", { 2, 3, 5, 9, BARS_FIRST + BARS_SHARED + 9, RP_ROWS_OWN, 0, 0, 70, 0 }, 10, 10 },
};

bool test_case_embed_bars(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    struct rp_embed_bars_params *p = (void *)c->params;
    p->s2_row = 1u << cases[index].s1_bits;
    p->table_rows = p->s2_row + (1u << cases[index].s2_bits);
    const uint64_t rows = p->rows == RP_ROWS_PROMPT ? p->batch : (uint64_t)p->batch * p->paths;
    bars_tokens(c, 0, rows * p->tokens_cap, cases[index].s1_bits, cases[index].s2_bits);
    static const uint32_t choices[RP_BAR_STAMPS] = { 60, 24, 7, 32, 13 };
    uint32_t *stamps = test_u32(c, 1, (uint64_t)p->batch * p->stamps_cap * RP_BAR_STAMPS);
    for (uint32_t i = 0; i < p->batch * p->stamps_cap; i++) {
        for (uint32_t k = 0; k < RP_BAR_STAMPS; k++) {
            stamps[i * RP_BAR_STAMPS + k] = i % 5 == 3 ? choices[k] - 1 : test_below(c, choices[k]);
        }
    }
    test_uniform(c, 2, (uint64_t)p->table_rows * p->width, -1, 1);
    test_uniform(c, 3, (uint64_t)RP_STAMP_ROWS * p->width, -1, 1);
    test_spice(c, 2);
    test_spice(c, 3);
    bars_counts(c, 4, p->batch, p->rows, p->tokens);
    bars_firsts(c, 5, p->batch);
    const uint32_t cap = p->rows == RP_ROWS_OWN ? p->tokens : p->tokens_cap;
    test_step(c, 6, (struct rp_step){ .batch = p->batch, .paths = p->paths, .step = bars_step(c, p->rows, cap) });
    test_output(c, 7, (uint64_t)p->batch * p->paths * p->tokens * p->width);
    return true;
}
