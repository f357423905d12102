// prepend_label: both labels, none and all variates exogenous.
#include "../case.h"

static const struct { const char *name; struct rp_prepend_label_params p; uint32_t exogenous; } cases[] = {
    { "one element", { 1, 1, 1, 1 }, 0 },
    { "none exogenous", { 2, 3, 4, 5 }, 0 },
    { "one exogenous", { 2, 3, 5, 70 }, 1 },
    { "all exogenous", { 1, 3, 7, 33 }, 3 },
    { "more exogenous than variates", { 2, 2, 1, 9 }, 3 },
};

bool test_case_prepend_label(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, prepend_label);
    const uint64_t rows = (uint64_t)p->batch * p->variates;
    test_uniform(c, 0, rows * p->tokens * p->width, -1, 1);
    test_spice(c, 0);
    test_uniform(c, 1, 2 * (uint64_t)p->width, -1, 1);
    const uint32_t exogenous = c->variation ? test_below(c, p->variates + 1) : cases[index].exogenous;
    test_step(c, 2, (struct rp_step){ .batch = p->batch, .exogenous = exogenous });
    test_output(c, 3, rows * (p->tokens + 1) * p->width);
    return true;
}
