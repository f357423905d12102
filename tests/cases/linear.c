// linear: both kernels (skinny up to 16 rows, tiles above), sizes that divide nothing, k not divisible by 4, chunks of 128.
#include "../case.h"

#define PLAIN 0, 0, 0    // norm, its epsilon; silu
#define SILU 0, 0, 1
#define NONE 0, 0, 0, 0, PLAIN    // w, x, y float16; gated
static const struct { const char *name; struct rp_linear_params p; bool spice; } cases[] = {
    { "one element", { 1, 1, 1, 0, 0, NONE }, false },
    { "one row, one column", { 1, 1, 300, 1, 1, NONE }, false },
    { "skinny, m 1, k 768", { 1, 70, 768, 1, 0, NONE }, false },
    { "skinny, m 1, k 127", { 1, 33, 127, 0, 1, NONE }, false },
    { "skinny, m 3, k 2", { 3, 31, 2, 1, 1, NONE }, false },
    { "skinny, m 16, k 129", { 16, 65, 129, 1, 1, NONE }, false },
    { "skinny, m 16, k 64", { 16, 32, 64, 0, 0, NONE }, true },
    { "skinny, m 7, k 771", { 7, 100, 771, 1, 0, NONE }, true },
    { "tile, m 17, k 129", { 17, 65, 129, 1, 1, NONE }, false },
    { "tile, m 17, k 1", { 17, 1, 1, 0, 0, NONE }, false },
    { "tile, m 64, k 128", { 64, 64, 128, 1, 0, NONE }, false },
    { "tile, m 65, k 256", { 65, 63, 256, 0, 1, NONE }, false },
    { "tile, m 65, k 131", { 65, 129, 131, 1, 1, NONE }, true },
    { "tile, m 200, k 96", { 200, 192, 96, 1, 1, NONE }, false },
    { "tile, m 200, k 385", { 200, 66, 385, 0, 0, NONE }, true },
    { "gated, skinny, m 1", { 1, 32, 40, 1, 0, 0, 0, 0, 1, PLAIN }, false },
    { "gated, skinny, m 13", { 13, 144, 600, 0, 0, 0, 0, 0, 1, PLAIN }, false },
    { "gated, tile, m 65", { 65, 208, 50, 1, 0, 0, 0, 0, 1, PLAIN }, false },
    { "gated, tile, m 200", { 200, 208, 64, 0, 0, 0, 0, 0, 1, PLAIN }, false },
    { "norm, m 1, k 512", { 1, 40, 512, 1, 0, 0, 0, 0, 0, 1, 1e-5f, 0 }, false },
    { "norm, m 2, k 3", { 2, 9, 3, 0, 1, 0, 0, 0, 0, 1, 1e-8f, 0 }, false },
    { "norm, m 7, k 1030", { 7, 33, 1030, 0, 1, 0, 0, 0, 0, 1, 1e-5f, 0 }, false },
    { "norm, m 16, k 832, gated", { 16, 64, 832, 1, 0, 0, 0, 0, 1, 1, 1e-5f, 0 }, false },
    { "norm, m 11, k 100", { 11, 20, 100, 1, 1, 0, 0, 0, 0, 1, 1e-4f, 0 }, false },
    { "mixed, norm, m 1", { 1, 48, 512, 1, 0, 1, 0, 0, 0, 1, 1e-5f, 0 }, false },
    { "mixed, norm, m 10, k 832, gated", { 10, 96, 832, 0, 0, 1, 0, 1, 1, 1, 1e-5f, 0 }, false },
    { "mixed, norm, m 16, k 2056", { 16, 24, 2056, 1, 1, 1, 0, 0, 0, 1, 1e-4f, 0 }, false },
    { "mixed, skinny, m 5, k 5464, float32 x", { 5, 40, 5464, 0, 1, 1, 0, 0, 0, PLAIN }, false },
    { "skinny, silu", { 5, 40, 131, 1, 0, 0, 0, 0, 0, SILU }, false },
    { "narrow, silu", { 37, 65, 64, 1, 0, 0, 0, 0, 0, SILU }, false },
    { "tile, silu, no bias", { 200, 300, 64, 0, 0, 0, 0, 0, 0, SILU }, false },
    { "mixed, skinny, silu", { 5, 96, 264, 1, 0, 1, 1, 1, 0, SILU }, false },
    { "mixed, narrow, silu, float32 x", { 100, 131, 96, 1, 0, 1, 0, 0, 0, SILU }, false },
    { "mixed, one row, one column", { 1, 1, 8, 0, 0, 1, 0, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 8", { 8, 70, 768, 1, 0, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 16, k 40, float32 x", { 16, 65, 40, 1, 1, 1, 0, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 3, k 1000", { 3, 33, 1000, 1, 1, 1, 1, 1, 0, PLAIN }, false },
    { "mixed, skinny, m 11, k 2072", { 11, 40, 2072, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 2, k 2048, float32 x", { 2, 16, 2048, 0, 0, 1, 0, 0, 0, PLAIN }, false },
    { "mixed, skinny, gated", { 5, 96, 264, 1, 0, 1, 1, 1, 1, PLAIN }, false },
    { "mixed, skinny, gated, float32", { 16, 16, 32, 0, 0, 1, 0, 0, 1, PLAIN }, false },
    { "mixed, narrow, m 17, k 8", { 17, 65, 8, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, narrow, m 100, k 136, float32 x", { 100, 130, 136, 1, 1, 1, 0, 1, 0, PLAIN }, false },
    { "mixed, narrow, gated", { 100, 192, 96, 1, 0, 1, 1, 1, 1, PLAIN }, false },
    { "mixed, medium, m 200", { 200, 1700, 72, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, medium, m 640, gated", { 640, 640, 64, 1, 0, 1, 1, 1, 1, PLAIN }, false },
    { "mixed, medium, float32 x", { 333, 1234, 40, 0, 1, 1, 0, 0, 0, PLAIN }, false },
    { "mixed, large", { 1300, 1250, 72, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, large, float32 x", { 1300, 1251, 40, 1, 0, 1, 0, 1, 0, PLAIN }, false },
    { "mixed, large, m 2600", { 2600, 1250, 40, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, large, m 2561, float32 x", { 2561, 1240, 40, 1, 0, 1, 0, 1, 0, PLAIN }, false },
    { "mixed, large, gated", { 1281, 1296, 136, 1, 0, 1, 1, 1, 1, PLAIN }, false },
};

// A sum of n products in chunks: each term meets at most one rounding of its product (none when fused), one for each later
// addition of its chunk, of the chunk sums, and those of bias and residual (Higham, "Accuracy and stability of numerical
// algorithms", 3.1 and 4.2): gamma times the sum of |terms|, which `magnitude` is.
// Products of float16 numbers are exact in float32; matrix units may cut their sums instead of rounding them: one unit in the
// last place a term. x rounded to float16: half a unit in its last place, 2^-11 of each term, or 2^-25 where it is
// subnormal, times w, at most 1. A gate silu(a) b with errors e A and e B, where A and B bound |a| and |b|: silu has a slope of
// at most 1.1, so (1.1 + 1) e A B, and A <= 2 silu(A): 4.2 e times what `magnitude` is then.
// A row normalised first: its relative error is half that of the sum of squares (the longest run of additions: k / 32 in a lane,
// and those of lanes and warps), then as in rmsnorm; it adds to that of each term. Float32 gates: the same bound of the gate.
static double norm_error(const struct rp_linear_params *p) { return p->norm ? ((ceil(p->k / 32.0) + 20) / 2 + 12) * U32ROUND : 0; }

static double mixed_tolerance(const struct rp_linear_params *p, double ref, double magnitude) {
    const double x = (p->x_f16 ? 0 : U16ROUND) + norm_error(p), subnormal = p->x_f16 ? 0 : p->k * 0x1p-25;
    double error = ((p->k + 4.0) * 2 * U32ROUND + x) * magnitude + subnormal;
    if (p->gated) { error = 4.2 * error + 2.1 * subnormal * (p->k + 1.0) + 8 * U32ROUND * magnitude; }
    if (p->silu) { error = 1.1 * error + 8 * U32ROUND * fabs(ref) + FLUSH * 105; }
    return p->y_f16 ? error * (1 + U16ROUND) + U16ROUND * fabs(ref) + 0x1p-25 : error;
}

static double tolerance(const test_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)index;
    TEST_PARAMS(c, linear);
    if (p->silu) { magnitude = 2 * magnitude; }     // silu(a) >= a / 2 for the a >= 0 that `absolute` leaves
    if (p->w_f16) { return mixed_tolerance(p, ref, magnitude); }
    const double chunk = p->k < RP_LINEAR_CHUNK ? p->k : RP_LINEAR_CHUNK, chunks = ceil((double)p->k / RP_LINEAR_CHUNK);
    const double error = ((chunk + chunks + 2) * U32ROUND + norm_error(p)) * magnitude;
    if (p->silu) { return 1.1 * error + 16 * U32ROUND * fabs(ref) + (p->k + 105) * FLUSH; }   // its slope, and its own error
    return (p->gated ? 4.2 * error + 8 * U32ROUND * magnitude : error) + p->k * FLUSH;
}

static void absolute(test_case *c) {
    for (uint32_t i = 0; i < 5; i++) { test_make_absolute(c, i); }
}

static void numbers(test_case *c, uint32_t binding, bool f16, uint64_t count) {
    if (f16) {
        test_uniform_f16(c, binding, count, -1, 1);
    } else {
        test_uniform(c, binding, count, -1, 1);
    }
}

bool test_case_linear(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, linear);
    numbers(c, 0, p->x_f16, (uint64_t)p->m * p->k);
    numbers(c, 1, p->w_f16, (uint64_t)p->n * p->k);
    if (cases[index].spice) { test_spice(c, 0), test_spice(c, 1); }
    if (p->has_bias) { test_uniform(c, 2, p->n, -1, 1); }
    if (p->has_residual) { test_uniform(c, 3, (uint64_t)p->m * p->n, -1, 1); }
    if (p->norm) { test_uniform(c, 4, p->k, -1.5f, 1.5f); }
    (p->y_f16 ? test_output_f16 : test_output)(c, 5, (uint64_t)p->m * (p->gated ? p->n / 2 : p->n));
    c->needs_mixed = p->w_f16 != 0;
    c->tolerance = tolerance;
    c->absolute = absolute;
    return true;
}
