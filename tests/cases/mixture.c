// mixture: with and without weights, softplus at both ends (the floor eps reached), one component, weights far apart.
#include "../case.h"

static const struct { const char *name; struct rp_mixture_params p; float range; } cases[] = {
    { "one element", { 1, 1, 4 }, 3 },
    { "no rows", { 0, 5, 4 }, 3 },
    { "one component, no weights", { 70, 1, 3 }, 3 },
    { "five components", { 65, 5, 4 }, 3 },
    { "24 components, no group full", { 130, 24, 4 }, 5 },
    { "saturated", { 33, 7, 4 }, 60 },
    { "32 components", { 45, 32, 4 }, 9 },
    { "33 components", { 40, 33, 4 }, 9 },
};

bool test_case_mixture(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, mixture);
    test_uniform(c, 0, (uint64_t)p->rows * p->parts * p->components, -cases[index].range, cases[index].range);
    test_output(c, 1, (uint64_t)p->rows * 4 * p->components);
    return true;
}
