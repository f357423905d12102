// cache_kv: the first slot, the last, and those that stay as they are.
#include "bars.h"

static const struct { const char *name; struct rp_cache_kv_params p; } cases[] = {
    { "one element", { 1, 1, 1, 0 } },
    { "odd sizes", { 5, 6, 37, 0 } },
    { "a group and more", { 3, 9, 257, 0 } },
    { "float16", { 5, 6, 77, 1 } },
};

bool test_case_cache_kv(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, cache_kv);
    if (p->f16) {
        test_uniform_f16(c, 0, (uint64_t)p->rows * 2 * p->width, -1, 1);
    } else {
        test_uniform(c, 0, (uint64_t)p->rows * 2 * p->width, -1, 1);
        test_spice(c, 0);
    }
    test_step(c, 1, (struct rp_step){ .batch = 1, .paths = p->rows, .step = bars_step(c, RP_ROWS_STEP, p->cap) });
    for (uint32_t i = 2; i < 4; i++) { (p->f16 ? test_output_f16 : test_output)(c, i, (uint64_t)p->rows * p->cap * p->width); }
    c->needs_mixed = p->f16 != 0;
    return true;
}
