// The arithmetic of rmsnorm, for the kernel of that name and for products that normalise their rows themselves: same bits.
#ifndef RP_NORM_CUH
#define RP_NORM_CUH

#include "common.cuh"

// 1/sqrt(a) = high + low: one Newton step on what the unit gives, its residual 1 - a high^2 without rounding a high. A root
// that is half a unit off would shift a whole row the same way, which later layers do not average out.
struct rp_inverse_root {
    float high, low;
};

__device__ inline rp_inverse_root rp_inverse_root_of(float a) {
    const float high = rsqrtf(a), t = a * high, lost = __fmaf_rn(a, high, -t);
    const float residual = __fmaf_rn(-t, high, 1.0f) - lost * high;
    return { high, 0.5f * residual * high };
}

__device__ inline float rp_normalised(float element, float scale, const rp_inverse_root &inverse) {
    const float product = element * scale, lost = __fmaf_rn(element, scale, -product);
    return __fmaf_rn(product, inverse.high, __fmaf_rn(product, inverse.low, lost * inverse.high));
}

#endif
