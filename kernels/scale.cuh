// The scaler's arithmetic that scaler.cu and scale_step.cu share; float64, as core/ops/scale.h has it.
#ifndef RP_SCALE_CUH
#define RP_SCALE_CUH

#include "common.cuh"

#define MINIMUM_SCALE 0.1      // of the causal scalers
#define GLOBAL_EPSILON 1e-3    // of StdMeanScaler

// Running statistics of the values seen: how many, their mean, and the squares around it.
struct rp_moments {
    double n, mean, m2;
};

// Takes one more value, weight 0 or 1.
__device__ inline void rp_moments_push(rp_moments &a, double x, double w) {
    if (w == 0) { return; }
    const double before = a.mean;
    a.n += w;
    a.mean += (x - before) * w / a.n;
    a.m2 += w * (x - before) * (x - a.mean);
}

// Takes a block of values (Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
// variances", eq. 2.1).
__device__ inline void rp_moments_merge(rp_moments &a, const rp_moments &block) {
    if (block.n == 0) { return; }
    const double n = a.n + block.n, delta = block.mean - a.mean, share = block.n / n;
    a.m2 += block.m2 + delta * delta * (a.n * share);
    a.mean += delta * share;
    a.n = n;
}

// Statistics of one patch on its own: the mean first, then the squares around it. mask NULL: all of weight 1.
__device__ inline rp_moments rp_moments_of(const float *x, const float *mask, uint32_t patch_size) {
    double n = 0, sum = 0, m2 = 0;
    for (uint32_t j = 0; j < patch_size; j++) {
        const double w = mask != nullptr ? mask[j] : 1.0f;
        n += w;
        sum += w != 0 ? (double)x[j] : 0.0;
    }
    const double mean = n > 0 ? sum / n : 0.0;
    for (uint32_t j = 0; j < patch_size; j++) {
        const double w = mask != nullptr ? mask[j] : 1.0f, away = x[j] - mean;
        m2 += w != 0 ? away * away : 0.0;
    }
    return { n, mean, m2 };
}

struct rp_affine {
    double loc, scale;
};

// (loc, scale) from the running statistics and the prompt's mean and population variance.
__device__ inline rp_affine rp_scale_of(uint32_t kind, uint32_t clamp, double factor, const rp_moments &now,
                                        double prompt_mean, double prompt_var) {
    if (kind == RP_SCALER_GLOBAL) { return { prompt_mean, sqrt(prompt_var + GLOBAL_EPSILON) }; }
    double scale = sqrt(now.m2 / fmax(fmax(now.n, 1.0) - 1.0, 1.0) + MINIMUM_SCALE);
    if (clamp) {
        const double sigma = sqrt(prompt_var + MINIMUM_SCALE);
        scale = fmin(fmax(scale, fmax(MINIMUM_SCALE, sigma / factor)), sigma * factor);
    }
    return { now.mean, scale };
}

#endif
