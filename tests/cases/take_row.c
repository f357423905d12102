// take_row: rows of every number, the first and the last, numbers past the end, and a step past the last slot.
#include "bars.h"

static const struct { const char *name; struct rp_take_row_params p; } cases[] = {
    { "one element", { 1, 1, 1, 1, 0 } },
    { "odd sizes", { 7, 5, 4, 37, 0 } },
    { "a group and more", { 33, 64, 6, 300, 0 } },
    { "to float16", { 7, 32, 4, 150, 1 } },
};

bool test_case_take_row(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, take_row);
    test_uniform(c, 0, (uint64_t)p->table_rows * p->width, -1, 1);
    if (!p->y_f16) { test_spice(c, 0); }   // outliers beyond float16 are cut
    uint32_t *tokens = test_u32(c, 1, (uint64_t)p->rows * p->tokens_cap * 2);
    for (uint32_t i = 0; i < p->rows * p->tokens_cap; i++) {
        tokens[2 * i] = i % 9 == 4 ? ~0u - test_below(c, 3) : i % 9 == 5 ? p->table_rows : test_below(c, p->table_rows);
        tokens[2 * i + 1] = test_below(c, ~0u);                          // nobody's business
    }
    const uint32_t step = c->variation < 3 ? c->variation % p->tokens_cap : p->tokens_cap;
    test_step(c, 2, (struct rp_step){ .batch = 1, .paths = p->rows, .step = step });
    (p->y_f16 ? test_output_f16 : test_output)(c, 3, (uint64_t)p->rows * p->width);
    c->needs_mixed = p->y_f16 != 0;
    return true;
}
