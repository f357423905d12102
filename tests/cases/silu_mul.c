// silu_mul: both signs, saturation at both ends, outliers.
#include "../case.h"

static const struct { const char *name; struct rp_silu_mul_params p; float range; bool spice; } cases[] = {
    { "one element", { 1, 1 }, 4, false },
    { "no rows", { 0, 3 }, 4, false },
    { "odd width", { 5, 37 }, 4, true },
    { "saturated", { 3, 257 }, 120, false },
    { "a row of 2048", { 2, 2048 }, 10, true },
};

bool test_case_silu_mul(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, silu_mul);
    test_uniform(c, 0, (uint64_t)p->rows * 2 * p->width, -cases[index].range, cases[index].range);
    if (cases[index].spice) { test_spice(c, 0); }
    test_output(c, 1, (uint64_t)p->rows * p->width);
    return true;
}
