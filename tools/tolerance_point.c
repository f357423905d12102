// Tolerances of ops with a few roundings an element.
#include <math.h>

#include "tolerance.h"

// extra[0]: the largest factor or its inverse.
void tolerance_begin_rope_kv(tolerance_case *c) {
    const float *xpos = c->tensor[2].data;
    for (uint64_t i = 0; i < c->tensor[2].count; i++) { c->extra[0] = fmax(c->extra[0], fmax((double)xpos[i], 1 / (double)xpos[i])); }
}

// a cos - b sin, times or over a factor: two products, a sum, a quotient (2.5 ulp): 10 roundings of (|a| + |b|) |factor|; one of float16
// where that is what comes out. The values themselves and all that is not written: none.
double tolerance_rope_kv(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)magnitude;
    TOLERANCE_PARAMS(c, rope_kv);
    const uint64_t D = (uint64_t)p->heads * p->head_width, slots = output == 0 ? p->tokens : p->cap;
    const uint64_t row = index / (slots * D), slot = index / D % slots, pair = index % D / 2 * 2;
    const uint32_t step = ((const uint32_t *)c->tensor[4].data)[4], batch = (uint32_t)(row / (p->paths * p->variates));
    const uint64_t n_tokens = ((const uint32_t *)c->tensor[3].data)[batch] + (uint64_t)p->extra;
    const bool live = p->decode ? output == 0 || slot + 1 == step : slot < n_tokens;
    if (output == 2 || !live) { return 0; }
    const uint64_t from = (row * p->tokens + (p->decode ? 0 : slot)) * 3 * D + output * D + pair;
    const double both = fabs(tolerance_at(&c->tensor[0], from)) + fabs(tolerance_at(&c->tensor[0], from + 1));
    return 10 * U32ROUND * both * c->extra[0] + 2 * FLUSH + (p->f16 ? U16ROUND * (1 + U16ROUND) * fabs(ref) + 0x1p-25 : 0);
}

// a cos - b sin: two products and a sum, each a rounding of at most |a| + |b|, and two products that may be flushed; one of float16 where
// that is what comes out. The values themselves and all that is not written: none.
double tolerance_rope_half(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)magnitude;
    TOLERANCE_PARAMS(c, rope_half);
    const uint32_t d = p->head_width, half = d / 2, D = p->heads * d;
    const uint64_t slots = output == 0 ? p->tokens : p->cap, row = index / (slots * D), slot = index / D % slots;
    const uint32_t step = ((const uint32_t *)c->tensor[3].data)[4], n_tokens = ((const uint32_t *)c->tensor[2].data)[row / p->paths];
    const bool live = p->rows == RP_ROWS_STEP ? output == 0 || slot + 1 == step : slot < (p->rows == RP_ROWS_OWN ? step : n_tokens);
    if (output == 2 || !live) { return 0; }
    const uint64_t from = (row * p->tokens + (p->rows == RP_ROWS_STEP ? 0 : slot)) * 3 * D + (uint64_t)output * D + index % D / d * d + index % d % half;
    const double both = fabs(tolerance_at(&c->tensor[0], from)) + fabs(tolerance_at(&c->tensor[0], from + half));
    return 3 * U32ROUND * both + 2 * FLUSH + (p->f16 ? U16ROUND * (1 + U16ROUND) * fabs(ref) + 0x1p-25 : 0);
}

// silu: 4 ulp (core/op_math.h) and at most 2.5 for a quotient; one product. Below -87 exp(x) may be flushed: |x| FLUSH.
double tolerance_silu_mul(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)magnitude;
    TOLERANCE_PARAMS(c, silu_mul);
    const float *x = (const float *)c->tensor[0].data + index / p->width * 2 * p->width;
    const double b = (double)x[p->width + index % p->width];
    return 16 * U32ROUND * fabs(ref) + FLUSH * (105 * fabs(b) + 1);
}

// The scale rounded once, and nothing else; a dead row is 0.
double tolerance_unpack_bits(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)c, (void)output, (void)index, (void)magnitude;
    return U32ROUND * fabs(ref);
}

// Six additions, each one rounding of at most the sum of the |terms|.
double tolerance_embed_bars(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)c, (void)output, (void)index, (void)ref;
    return 6 * U32ROUND * magnitude;
}

void tolerance_absolute_embed_bars(tolerance_case *c) {
    tolerance_make_absolute(&c->tensor[2]);
    tolerance_make_absolute(&c->tensor[3]);
}

// y (std + 1e-5) + mean: the constant, its sum, the product, the sum: four roundings of |y (std + 1e-5)| and one of |mean|.
double tolerance_bars_result(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)ref;
    TOLERANCE_PARAMS(c, bars_result);
    const uint32_t *step = c->tensor[2].data;
    const uint32_t path = (uint32_t)(index % p->paths_cap), t = (uint32_t)(index / p->paths_cap % p->horizon_cap);
    const uint64_t b = index / p->paths_cap / p->horizon_cap / RP_BAR_COLUMNS;
    if (b >= step[0] || path >= step[1] || path < step[2] || path - step[2] >= p->paths || t >= step[5]) { return 0; }
    return 4 * U32ROUND * magnitude + FLUSH;
}

void tolerance_absolute_bars_result(tolerance_case *c) {
    tolerance_make_absolute(&c->tensor[0]);
    tolerance_make_absolute(&c->tensor[1]);
}
