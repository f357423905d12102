// linear: both kernels (skinny up to 16 rows, tiles above), sizes that divide nothing, k not divisible by 4, chunks of 128.
#include "../case.h"

static const struct { const char *name; struct rp_linear_params p; bool spice; } cases[] = {
    { "one element", { 1, 1, 1, 0, 0 }, false },
    { "one row, one column", { 1, 1, 300, 1, 1 }, false },
    { "skinny, m 1, k 768", { 1, 70, 768, 1, 0 }, false },
    { "skinny, m 1, k 127", { 1, 33, 127, 0, 1 }, false },
    { "skinny, m 3, k 2", { 3, 31, 2, 1, 1 }, false },
    { "skinny, m 16, k 129", { 16, 65, 129, 1, 1 }, false },
    { "skinny, m 16, k 64", { 16, 32, 64, 0, 0 }, true },
    { "skinny, m 7, k 771", { 7, 100, 771, 1, 0 }, true },
    { "tile, m 17, k 129", { 17, 65, 129, 1, 1 }, false },
    { "tile, m 17, k 1", { 17, 1, 1, 0, 0 }, false },
    { "tile, m 64, k 128", { 64, 64, 128, 1, 0 }, false },
    { "tile, m 65, k 256", { 65, 63, 256, 0, 1 }, false },
    { "tile, m 65, k 131", { 65, 129, 131, 1, 1 }, true },
    { "tile, m 200, k 96", { 200, 192, 96, 1, 1 }, false },
    { "tile, m 200, k 385", { 200, 66, 385, 0, 0 }, true },
};

// A sum of n products in chunks: each term meets at most one rounding of its product (none when fused), one for each later
// addition of its chunk, of the chunk sums, and those of bias and residual (Higham, "Accuracy and stability of numerical
// algorithms", 3.1 and 4.2): gamma times the sum of |terms|, which `magnitude` is.
static double tolerance(const test_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)index, (void)ref;
    TEST_PARAMS(c, linear);
    const double chunk = p->k < RP_LINEAR_CHUNK ? p->k : RP_LINEAR_CHUNK, chunks = ceil((double)p->k / RP_LINEAR_CHUNK);
    return (chunk + chunks + 2) * U32ROUND * magnitude + p->k * FLUSH;
}

static void absolute(test_case *c) {
    for (uint32_t i = 0; i < 4; i++) { test_make_absolute(c, i); }
}

bool test_case_linear(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, linear);
    test_uniform(c, 0, (uint64_t)p->m * p->k, -1, 1);
    test_uniform(c, 1, (uint64_t)p->n * p->k, -1, 1);
    if (cases[index].spice) { test_spice(c, 0), test_spice(c, 1); }
    if (p->has_bias) { test_uniform(c, 2, p->n, -1, 1); }
    if (p->has_residual) { test_uniform(c, 3, (uint64_t)p->m * p->n, -1, 1); }
    test_output(c, 4, (uint64_t)p->m * p->n);
    c->tolerance = tolerance;
    c->absolute = absolute;
    return true;
}
