// fold_head: float64 sums, rounded once.
#include "../case.h"

static const struct { const char *name; struct rp_fold_head_params p; } cases[] = {
    { "one element", { 1, 1, 1, 0 } },
    { "odd sizes", { 3, 37, 12, 0 } },
    { "a whole group and more", { 2, 96, 20, 0 } },
    { "to float16", { 2, 40, 12, 1 } },
};

bool test_case_fold_head(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, fold_head);
    const uint64_t P = p->patch_size, D = p->width, outputs = p->outputs;
    test_uniform(c, 0, P * D * D, -1, 1);
    test_uniform(c, 1, P * D, -1, 1);
    test_uniform(c, 2, outputs * D, -1, 1);
    test_uniform(c, 3, outputs, -1, 1);
    (p->w_f16 ? test_output_f16 : test_output)(c, 4, P * outputs * D);
    c->needs_mixed = p->w_f16 != 0;
    test_output(c, 5, P * outputs);
    return true;
}
