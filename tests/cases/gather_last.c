// gather_last: series of different lengths in one batch; one token and several.
#include "../case.h"

static const struct { const char *name; struct rp_gather_last_params p; } cases[] = {
    { "one element", { 1, 1, 1, 1, 0, 1, 0 } },
    { "lengths of their own", { 4, 3, 9, 37, 0, 1, 0 } },
    { "after a label", { 3, 2, 8, 65, 1, 1, 0 } },
    { "several, some past the end", { 4, 3, 9, 37, 0, 4, 0 } },
    { "from the start", { 3, 2, 8, 65, 5, 4, 1 } },
};

bool test_case_gather_last(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, gather_last);
    test_uniform(c, 0, (uint64_t)p->batch * p->variates * p->tokens * p->width, -1, 1);
    test_spice(c, 0);
    uint32_t *n_patches = test_u32(c, 1, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) { n_patches[b] = 1 + test_below(c, p->tokens - p->extra); }
    n_patches[0] = p->tokens - p->extra;
    if (p->batch > 1) { n_patches[1] = 1; }
    test_output(c, 2, (uint64_t)p->batch * p->variates * p->count * p->width);
    return true;
}
