// mixture: with and without weights, softplus at both ends (the floor eps reached), one component, weights far apart.
#include "../case.h"

static const struct { const char *name; struct rp_mixture_params p; float range; } cases[] = {
    { "one element", { 1, 1, 4 }, 3 },
    { "no rows", { 0, 5, 4 }, 3 },
    { "one component, no weights", { 70, 1, 3 }, 3 },
    { "five components", { 65, 5, 4 }, 3 },
    { "24 components, no group full", { 130, 24, 4 }, 5 },
    { "saturated", { 33, 7, 4 }, 60 },
};

// df, scale: softplus 2.5 ulp, a maximum, a sum: 8 roundings. loc: none. probs: exp of a difference that carries one rounding
// of its size (up to 2 range) and exp's 3, in numerator and denominator; k additions, a quotient of 2.5 ulp.
static double tolerance(const test_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)magnitude;
    TEST_PARAMS(c, mixture);
    switch (index / p->components % 4) {
    case 1: return 0;
    case 3: return (2 * (2 * c->extra[0] + 3) + p->components + 5) * U32ROUND * fabs(ref) + 2 * FLUSH;
    default: return 8 * U32ROUND * fabs(ref);
    }
}

bool test_case_mixture(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, mixture);
    test_uniform(c, 0, (uint64_t)p->rows * p->parts * p->components, -cases[index].range, cases[index].range);
    test_output(c, 1, (uint64_t)p->rows * 4 * p->components);
    c->extra[0] = (double)cases[index].range;
    c->tolerance = tolerance;
    return true;
}
