// Tolerances of sums over a row: products, norms, the folded head, the mixture's weights.
#include <math.h>

#include "tolerance.h"

// A sum of n products in chunks: each term meets at most one rounding of its product (none when fused), one for each later
// addition of its chunk, of the chunk sums, and those of bias and residual (Higham, "Accuracy and stability of numerical
// algorithms", 3.1 and 4.2): gamma times the sum of |terms|, which `magnitude` is.
// Products of float16 numbers are exact in float32; matrix units may cut their sums instead of rounding them: one unit in the
// last place a term. x rounded to float16: half a unit in its last place, 2^-11 of each term, or 2^-25 where it is
// subnormal, times |w|, at most extra[0]. A gate silu(a) b with errors e A and e B, where A and B bound |a| and |b|: silu has a slope of
// at most 1.1, so (1.1 + 1) e A B, and A <= 2 silu(A): 4.2 e times what `magnitude` is then. The gate itself: 8 roundings in
// float32, 12 where weights are float16 (rp_silu_mixed and a product).
// w in pairs of float16, which are exact as they are given; x is split so on its way, by the largest number of its row's chunk: float16 keeps
// 11 bits, so lo is at most 2^-11 of the number, and what lo leaves 2^-23: two roundings. Products of two lo, left out, are at most 2^-22 of
// a term: four more. Products of parts are exact, and units may cut their sums, as above: a unit in the last place, two roundings, for each
// of a chunk's 64 terms; the two smaller products are 128 terms of sums that come to at most 2^-10 of that (one term more). Then a rounding
// for each chunk; scales are powers of two, so exact; bias and residual. What is far below the largest number of its chunk or row is good to
// 2^-39 of that: of a term, 2^-38 of the largest |x| times the largest |w|.
// A row normalised first: its relative error is half that of the sum of squares (the longest run of additions: k / 32 in a lane,
// and those of lanes and warps), then as in rmsnorm; it adds to that of each term. Float32 gates: the same bound of the gate.
static double norm_error(const struct rp_linear_params *p) { return p->norm ? ((ceil(p->k / 32.0) + 20) / 2 + 12) * U32ROUND : 0; }

static double mixed(const struct rp_linear_params *p, double largest, double ref, double magnitude) {
    const double x = (p->x_f16 ? 0 : U16ROUND) + norm_error(p), subnormal = p->x_f16 ? 0 : p->k * 0x1p-25 * largest;
    double error = ((p->k + 4.0) * 2 * U32ROUND + x) * magnitude + subnormal;
    if (p->silu) { error = 1.1 * error + 8 * U32ROUND * fabs(ref) + 105 * FLUSH; }
    if (p->gated) { error = 4.2 * error + 2.1 * subnormal * (p->k + 1.0) + 12 * U32ROUND * magnitude; }
    return p->y_f16 ? error * (1 + U16ROUND) + U16ROUND * fabs(ref) + 0x1p-25 : error;
}

// extra[0]: the largest |w|, float16 ones 1 at least, pairs by their rows' scales; extra[1]: the largest |x|, of float32 ones as they are
// multiplied; extra[2]: the largest |bias|.
void tolerance_begin_linear(tolerance_case *c) {
    TOLERANCE_PARAMS(c, linear);
    c->extra[0] = p->w_pairs ? 2 * tolerance_largest(&c->tensor[5]) : fmax(p->w_f16 ? 1 : 0, tolerance_largest(&c->tensor[1]));
    c->extra[2] = tolerance_largest(&c->tensor[2]);
    c->extra[1] = p->norm ? sqrt(p->k) * tolerance_largest(&c->tensor[4]) : tolerance_largest(&c->tensor[0]);
}

// Roundings of a float32 product, in units of the sum of its |terms|.
static double roundings(const struct rp_linear_params *p) {
    if (p->w_pairs) { return 2 + 4 + 2 * (RP_LINEAR_PAIR_CHUNK + 1) + (double)p->k / RP_LINEAR_PAIR_CHUNK + 2; }
    const double chunk = p->k < RP_LINEAR_CHUNK ? p->k : RP_LINEAR_CHUNK, chunks = ceil((double)p->k / RP_LINEAR_CHUNK);
    return chunk + chunks + 2;
}

double tolerance_linear(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)index;
    TOLERANCE_PARAMS(c, linear);
    if (p->silu) { magnitude = 2 * magnitude; }     // silu(A) >= A / 2 for what `absolute` makes of the sum
    if (p->w_f16) { return mixed(p, c->extra[0], ref, magnitude); }
    const double most = p->k * c->extra[0] * c->extra[1];
    double tiny = p->k * 6 * FLUSH + 0x1p-134 * p->k * (c->extra[0] + c->extra[1]);   // products, and what is multiplied
    if (p->w_pairs) { tiny += 0x1p-38 * most; }
    const double error = (roundings(p) * U32ROUND + norm_error(p)) * magnitude;
    if (p->silu) { return 1.1 * (error + tiny) + 16 * U32ROUND * fabs(ref) + 105 * FLUSH; }   // the slope of silu, and its own error
    if (p->gated) { return 4.2 * error + 8 * U32ROUND * magnitude + tiny * (p->w_pairs ? 1 + 2.1 * (most + c->extra[2]) : 1); }
    return error + tiny;
}

// The scale is exact. The reference does not round hi: float16 is within half a unit in its last place, 2^-11 of the scaled number or 2^-25
// where it is subnormal. lo is what that leaves, rounded likewise: as much, and 2^-11 of it or 2^-25 once more. Subnormal w may be 0.
double tolerance_pair_rows(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)ref, (void)magnitude;
    TOLERANCE_PARAMS(c, pair_rows);
    if (output == 1) { return 0; }
    const uint64_t row = index / (2 * (uint64_t)p->k), pair = index % (2 * (uint64_t)p->k), chunk = RP_LINEAR_PAIR_CHUNK;
    const float *w = (const float *)c->tensor[0].data + row * p->k;
    const double largest = tolerance_largest(&(tolerance_tensor){ RP_F32, p->k, (void *)(uintptr_t)w });
    const double up = ldexp(1, 14 - (largest > 0x1p-112 ? ilogb(largest) : -112));
    const double scaled = fabs((double)w[pair / (2 * chunk) * chunk + RP_PAIR_COLUMN(pair % chunk)]) * up;
    const double error = U16ROUND * scaled + 0x1p-25 + FLUSH * up;
    return pair / chunk % 2 == 0 ? error : error * (1 + U16ROUND) + 0x1p-25;
}

// Products and what is added to them: linear and fold_head.
void tolerance_absolute_products(tolerance_case *c) {
    for (uint32_t i = 0; i < rp_op_table[c->op].n_in; i++) { tolerance_make_absolute(&c->tensor[i]); }
}

// All terms are positive: the mean's relative error is one rounding for each addition of a lane (width / 64), six of the
// halving and one of the square, halved by the root; then eps, root, quotient (at most 2.5 ulp each) and two products.
double tolerance_rmsnorm(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)index, (void)magnitude;
    TOLERANCE_PARAMS(c, rmsnorm);
    const double error = ((ceil(p->width / 64.0) + 9) / 2 + 12) * U32ROUND * fabs(ref) + FLUSH;
    return p->y_f16 ? error + U16ROUND * fabs(ref) + 0x1p-25 : error;
}

// One rounding to float32 (one ulp where a device emulates float64 by pairs) and sums good to 1e-12 of their |terms|.
double tolerance_fold_head(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)index;
    TOLERANCE_PARAMS(c, fold_head);
    const bool f16 = p->w_f16 && output == 0;
    return (f16 ? 1.001 * U16ROUND : 2 * U32ROUND) * fabs(ref) + (f16 ? 0x1p-25 : 0) + 1e-12 * magnitude;
}

// extra[0]: the largest |raw|.
void tolerance_begin_mixture(tolerance_case *c) { c->extra[0] = tolerance_largest(&c->tensor[0]); }

// df, scale: softplus 2.5 ulp, a maximum, a sum: 8 roundings. loc: none. probs: exp of a difference that carries one rounding
// of its size (up to twice the largest |raw|) and exp's 3, in numerator and denominator; k additions, a quotient of 2.5 ulp.
double tolerance_mixture(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)magnitude;
    TOLERANCE_PARAMS(c, mixture);
    switch (index / p->components % 4) {
    case 1: return 0;
    case 3: return (2 * (2 * c->extra[0] + 3) + p->components + 5) * U32ROUND * fabs(ref) + 2 * FLUSH;
    default: return 8 * U32ROUND * fabs(ref);
    }
}
