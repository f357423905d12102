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

// ---- by a warp ----

__device__ inline rp_moments rp_moments_from(const rp_moments &a, uint32_t lane) {
    return { __shfl_sync(0xffffffffu, a.n, lane), __shfl_sync(0xffffffffu, a.mean, lane), __shfl_sync(0xffffffffu, a.m2, lane) };
}

// Each lane's own, merged with those of all lanes below.
__device__ inline rp_moments rp_moments_scan(rp_moments own) {
#pragma unroll
    for (uint32_t distance = 1; distance < 32; distance *= 2) {
        rp_moments below = { __shfl_up_sync(0xffffffffu, own.n, distance), __shfl_up_sync(0xffffffffu, own.mean, distance),
                             __shfl_up_sync(0xffffffffu, own.m2, distance) };
        rp_moments_merge(below, own);
        if (threadIdx.x % 32 >= distance) { own = below; }
    }
    return own;
}

// rp_moments_of, in every lane; sums of lanes, then by halving.
__device__ inline rp_moments rp_moments_of_warp(const float *x, const float *mask, uint32_t patch_size) {
    double n = 0, sum = 0, m2 = 0;
    for (uint32_t j = threadIdx.x % 32; j < patch_size; j += 32) {
        const double w = mask != nullptr ? mask[j] : 1.0f;
        n += w;
        sum += w != 0 ? (double)x[j] : 0.0;
    }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        n += __shfl_xor_sync(0xffffffffu, n, distance);
        sum += __shfl_xor_sync(0xffffffffu, sum, distance);
    }
    const double mean = n > 0 ? sum / n : 0.0;
    for (uint32_t j = threadIdx.x % 32; j < patch_size; j += 32) {
        const double w = mask != nullptr ? mask[j] : 1.0f, away = x[j] - mean;
        m2 += w != 0 ? away * away : 0.0;
    }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) { m2 += __shfl_xor_sync(0xffffffffu, m2, distance); }
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

// A warp scales one patch that comes after `before`: each step by the statistics up to it (RP_SCALER_CAUSAL), or all by `end`,
// those after the patch. mask NULL: all of weight 1; affine [patch_size, 2] or NULL.
template <class P>
__device__ inline void rp_scale_patch(const P &p, rp_moments before, const rp_moments &end, double prompt_mean, double prompt_var,
                                      const float *x, const float *mask, float *z, float *affine) {
    const uint32_t lane = threadIdx.x % 32;
    rp_affine pair = rp_scale_of(p.kind, p.clamp, p.factor, end, prompt_mean, prompt_var);
    for (uint32_t first = 0; first < p.patch_size; first += 32) {
        const uint32_t j = first + lane;
        const bool live = j < p.patch_size, counts = live && (mask == nullptr || mask[j] != 0);
        const double value = live ? x[j] : 0.0;
        if (p.kind == RP_SCALER_CAUSAL) {
            const rp_moments chunk = rp_moments_scan(counts ? rp_moments{ 1, value, 0 } : rp_moments{ 0, 0, 0 });
            rp_moments now = before;
            rp_moments_merge(now, chunk);
            pair = rp_scale_of(p.kind, p.clamp, p.factor, now, prompt_mean, prompt_var);
            before = rp_moments_from(now, 31);
        }
        if (!live) { continue; }
        z[j] = (float)((value - pair.loc) / pair.scale);
        if (affine != nullptr) { affine[j * 2] = (float)pair.loc, affine[j * 2 + 1] = (float)pair.scale; }
    }
}

#endif
