// fold_head: float64 sums, rounded once.
#include "../case.h"

static const struct { const char *name; struct rp_fold_head_params p; } cases[] = {
    { "one element", { 1, 1, 1, 0 } },
    { "odd sizes", { 3, 37, 12, 0 } },
    { "a whole group and more", { 2, 96, 20, 0 } },
    { "to float16", { 2, 40, 12, 1 } },
};

// One rounding to float32 (one ulp where a device emulates float64 by pairs) and sums good to 1e-12 of their |terms|.
static double tolerance(const test_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)index;
    TEST_PARAMS(c, fold_head);
    const bool f16 = p->w_f16 && output == 0;
    return (f16 ? 1.001 * U16ROUND : 2 * U32ROUND) * fabs(ref) + (f16 ? 0x1p-25 : 0) + 1e-12 * magnitude;
}

static void absolute(test_case *c) {
    for (uint32_t i = 0; i < 4; i++) { test_make_absolute(c, i); }
}

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
    c->tolerance = tolerance;
    c->absolute = absolute;
    return true;
}
