// Tolerances of scaled values and of the statistics behind them: scaler and scale_step.
#include <math.h>

#include "tolerance.h"

// Statistics are float64, or pairs of float32 with the same result to 1e-12 relative; relative to the largest |x| where sums
// cancel. The standard deviation is at least sqrt(1e-3) > 1/32, so an error e of the mean or of the root of the variance moves
// z = (x - loc) / scale by at most 32 e (1 + |z|).
#define STATISTICS 1e-12

static double scaled(double ref, double largest) { return 4 * U32ROUND * fabs(ref) + STATISTICS * 32 * largest * (1 + fabs(ref)); }

// affine: loc and scale in turn, rounded to float32 (2 roundings for a pair of float32).
static double affine(double ref, double largest) { return 2 * U32ROUND * fabs(ref) + STATISTICS * (largest + 32 * largest * fabs(ref)); }

// Element `part` of a state (n, mean, M2, 0), or of global as (mean, M2 / n) with n 1. M2's error: 2 sum |x - mean| times the
// mean's error, at most 2 n largest times it.
static double state(uint64_t part, double ref, double largest, double n) {
    switch (part) {
    case 1: return STATISTICS * largest;
    case 2: return STATISTICS * (fabs(ref) + 2 * sqrt(n * fabs(ref)) * largest + n * largest * largest * STATISTICS);
    default: return 0;
    }
}

// extra[0]: the largest |x|.
void tolerance_begin_scaler(tolerance_case *c) { c->extra[0] = tolerance_largest(&c->tensor[0]); }

double tolerance_scaler(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)magnitude;
    TOLERANCE_PARAMS(c, scaler);
    const double largest = c->extra[0], n = (double)p->patches * p->patch_size;
    switch (output) {
    case 0: return scaled(ref, largest);
    case 1: return affine(ref, largest);
    case 4: return state(index % 2 + 1, ref, largest, 1);
    default: return state(index % 4, ref, largest, n);
    }
}

// extra[0]: the largest |x|, or what the state (n, mean, M2, 0) and the global (mean, variance) say of it: no value is further
// from its mean than the root of the sum of squares. extra[1]: the most values that a state will have seen.
void tolerance_begin_scale_step(tolerance_case *c) {
    TOLERANCE_PARAMS(c, scale_step);
    const double *s = c->tensor[1].data, *whole = c->tensor[2].data;
    c->extra[0] = tolerance_largest(&c->tensor[0]);
    for (uint64_t i = 0; i + 3 < c->tensor[1].count; i += 4) {
        c->extra[0] = fmax(c->extra[0], fabs(s[i + 1]) + sqrt(s[i + 2]));
        c->extra[1] = fmax(c->extra[1], s[i] + p->patch_size);
    }
    for (uint64_t i = 0; i + 1 < c->tensor[2].count; i += 2) { c->extra[0] = fmax(c->extra[0], fabs(whole[i])); }
}

double tolerance_scale_step(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)magnitude;
    switch (output) {
    case 0: return scaled(ref, c->extra[0]);
    case 1: return affine(ref, c->extra[0]);
    default: return state(index % 4, ref, c->extra[0], c->extra[1]);
    }
}
