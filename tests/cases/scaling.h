// The error of scaled values and statistics that the cases of scaler and scale_step share.
#ifndef RP_TESTS_SCALING_H
#define RP_TESTS_SCALING_H

#include "../case.h"

// Statistics are float64, or pairs of float32 with the same result to 1e-12 relative (design, decision 6); relative to the
// largest |x| where sums cancel. The standard deviation is at least sqrt(1e-3) > 1/32, so an error e of the mean or of the
// root of the variance moves z = (x - loc) / scale by at most 32 e (1 + |z|).
#define STATISTICS 1e-12

static inline double scaled_tolerance(double ref, double largest) {
    return 4 * U32ROUND * fabs(ref) + STATISTICS * 32 * largest * (1 + fabs(ref));
}

// affine: loc and scale in turn, rounded to float32 (2 roundings for a pair of float32).
static inline double affine_tolerance(double ref, double largest) {
    return 2 * U32ROUND * fabs(ref) + STATISTICS * (largest + 32 * largest * fabs(ref));
}

// Element `part` of a state (n, mean, M2, 0), or of global as (mean, M2 / n) with n 1. M2's error: 2 sum |x - mean| times the
// mean's error, at most 2 n largest times it.
static inline double state_tolerance(uint64_t part, double ref, double largest, double n) {
    switch (part) {
    case 1: return STATISTICS * largest;
    case 2: return STATISTICS * (fabs(ref) + 2 * sqrt(n * fabs(ref)) * largest + n * largest * largest * STATISTICS);
    default: return 0;
    }
}

#endif
