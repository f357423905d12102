// The error of attention that the cases of attn_time and attn_space share.
#ifndef RP_TESTS_ATTENTION_H
#define RP_TESTS_ATTENTION_H

#include "../case.h"

// y = sum p v / sum p. A score carries d + 3 roundings of its sum of |products| (at most `score`), its difference to the
// maximum one more of at most 2 score, exp 3 roundings (1.5 ulp): each weight is off by (d + 5) score + 3, numerator and
// denominator alike. Sums over `keys` in tiles of 64: one rounding a key, three for each tile's rescaling (exp, product, sum);
// a quotient of 2.5 ulp. All of it times the weighted sum of |v|, which `magnitude` is.
static inline double attention_tolerance(double d, double score, double keys, double magnitude) {
    const double weight = (d + 5) * score + 3, sums = keys + 5 * ceil(keys / RP_ATTN_TILE) + 6;
    return (2 * weight + sums + 5) * U32ROUND * magnitude + keys * 1e4 * FLUSH;
}

// The same with q, k, weights and v rounded to float16, 2^-11 of each, or 2^-25 where it is subnormal, and sums on matrix units,
// which may cut instead of rounding: twice the roundings. |q|, |k| <= 4 and |v| <= 1 in the cases; the largest weight is 1, so
// that the sum of weights is 1 at least.
static inline double attention_mixed_tolerance(double d, double score, double keys, double magnitude) {
    const double off = (2 * U16ROUND * (1 + U16ROUND) + 2 * (d + 8) * U32ROUND) * score + sqrt(d) * 8 * 0x1p-25;   // of a score
    const double weight = expm1(off) + 4 * U32ROUND, sums = 2 * (keys + 5 * ceil(keys / RP_ATTN_TILE) + 6) * U32ROUND;
    return (2 * weight + 2 * U16ROUND + sums) * (1 + weight) * magnitude + (keys + 1) * 0x1p-25;
}

static inline void attention_scale(uint32_t head_width, float *scale, float *rest) {
    const double exact = 1 / sqrt((double)head_width);
    *scale = (float)exact;
    *rest = (float)(exact - (double)*scale);
}

// The largest sum of |q k| that any pair of rows of `width` numbers may give.
static inline double score_bound(const float *q, uint64_t q_count, const float *k, uint64_t k_count, uint32_t width, double scale) {
    double sum = 0, largest = 0;
    for (uint64_t i = 0; i < q_count; i += width) {
        double row = 0;
        for (uint32_t j = 0; j < width; j++) { row += fabs((double)q[i + j]); }
        sum = fmax(sum, row);
    }
    for (uint64_t i = 0; i < k_count; i++) { largest = fmax(largest, fabs((double)k[i])); }
    return sum * largest * scale;
}

#endif
