// Exponentials without branches or conversions, so that several run side by side: the bits of core/op_math.h.
#ifndef RP_EXP_CUH
#define RP_EXP_CUH

#include "common.cuh"
#include "op_math.h"

// rp_exp for x <= 0. Adding 1.5 2^23 and rounding down leaves the whole number in the low bits. 2^(n + 64) is normal for every n here.
__device__ inline float rp_exp_below(float x) {
    const float big = 12582912.0f + 64.0f, from = x < -104.0f ? -104.0f : x;     // exp(-104) = 0
    const float shifted = __fadd_rd(__fmaf_rn(from, RP_LOG2_E, 0.5f), big), n = shifted - big;
    const float p = 1.0f + rp_expm1_small(rp_reduce_ln2(from, n));
    return __fmul_rn(__uint_as_float(__float_as_uint(p) + (__float_as_uint(shifted) << 23)), 0x1p-64f);
}

// The same; NaN where x is, which rp_exp_below makes a number of.
__device__ inline float rp_exp_or_nan(float x) { return rp_exp_below(x) + (x == x ? 0.0f : x); }

// rp_silu. The quotient is of 1 + t, at most 2, and one Newton step, then one of the quotient, round it to nearest; where t is so small
// that what is left would be subnormal, 1 + t = 1.
__device__ inline float rp_silu_flat(float x) {
    const float t = rp_exp_below(x > 0.0f ? -x : x), over = x < 0.0f ? t : 1.0f, under = 1.0f + t;
    float inverse;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(under));
    inverse = __fmaf_rn(inverse, __fmaf_rn(-under, inverse, 1.0f), inverse);
    float quotient = __fmul_rn(over, inverse);
    quotient = __fmaf_rn(__fmaf_rn(-under, quotient, over), inverse, quotient);
    quotient = __fmaf_rn(__fmaf_rn(-under, quotient, over), inverse, quotient);
    return x < -105.0f ? -0.0f : __fmul_rn(x, quotient);
}

// rp_log1p for 0 <= x <= 1: both of its ways, which share their polynomial. What rounding took from 1 + x is a power of two or 0, so
// its quotient is a product with 1 / (1 + x), which one Newton step rounds to nearest.
__device__ inline float rp_log1p_unit(float x) {
    const float u = __fadd_rn(1.0f, x), lost = x - (u - 1.0f);
    float inverse;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(u));
    inverse = __fmaf_rn(inverse, __fmaf_rn(-u, inverse, 1.0f), inverse);
    const bool little = x < 0.4142f, upper = __float_as_uint(u) >= 0x3fb504f3u;     // at least sqrt(2)
    const float f = little ? x : (upper ? 0.5f * u : u) - 1.0f, e = upper ? 1.0f : 0.0f;
    const float square = f * f, tail = rp_log1p_tail(f);
    const float low = __fmaf_rn(square, tail, __fmaf_rn(e, RP_LN2_LO, lost * inverse));
    return little ? __fmaf_rn(square, tail, f) : __fmaf_rn(e, RP_LN2_HI, f + low);
}

// rp_softplus.
__device__ inline float rp_softplus_flat(float x) {
    return (x > 0.0f ? x : 0.0f) + rp_log1p_unit(rp_exp_below(x > 0.0f ? -x : x)) + (x == x ? 0.0f : x);
}

#endif
