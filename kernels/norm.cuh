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

// Of a row, by a warp: lane l has sums of squares of columns 2 l and 2 l + 1 of each 64; halving 64 -> .. -> 1.
// inverse: of the width, to nearest, so that a product and its rest make the quotient to nearest.
__device__ inline rp_inverse_root rp_row_root(float2 sum, float width, float inverse, float eps) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        sum.x += __shfl_xor_sync(0xffffffffu, sum.x, distance);
        sum.y += __shfl_xor_sync(0xffffffffu, sum.y, distance);
    }
    const float total = sum.x + sum.y, mean = total * inverse;
    return rp_inverse_root_of(__fmaf_rn(__fmaf_rn(-mean, width, total), inverse, mean) + eps);
}

__device__ inline float rp_normalised(float element, float scale, const rp_inverse_root &inverse) {
    const float product = element * scale, lost = __fmaf_rn(element, scale, -product);
    return __fmaf_rn(product, inverse.high, __fmaf_rn(product, inverse.low, lost * inverse.high));
}

#endif
