// copy: every bit pattern as it is.
#include "../case.h"

static const struct { const char *name; struct rp_copy_params p; bool words; } cases[] = {
    { "one word", { 1 }, true },
    { "none", { 0 }, true },
    { "255 words", { 255 }, true },
    { "256 floats", { 256 }, false },
    { "1027 words", { 1027 }, true },
    { "70001 floats", { 70001 }, false },
};

bool test_case_copy(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    const uint64_t n = cases[index].p.n;
    if (cases[index].words) {    // NaNs, subnormals and all
        uint32_t *x = test_u32(c, 0, n), *y;
        for (uint64_t i = 0; i < n; i++) { x[i] = test_below(c, ~0u); }
        y = test_u32(c, 1, n);
        for (uint64_t i = 0; i < n; i++) { y[i] = 0x55aa55aau; }
    } else {
        test_uniform(c, 0, n, -1, 1);
        test_spice(c, 0);
        test_output(c, 1, n);
    }
    return true;
}
