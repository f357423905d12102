// Rotary position with xPos of pairs of neighbours, shared by rope_kv.cu and attn_rope.cu.
#ifndef RP_ROPE_PAIRS_CUH
#define RP_ROPE_PAIRS_CUH

#include "matrix.cuh"

// Cosines and sines of two pairs, and the factors of four columns.
struct rp_rope_turn {
    float4 angles;
    float f[4];
};
__device__ inline void rp_rope_powers(rp_rope_turn &t, const float *power, uint32_t column, uint32_t half) {
    if (half % 4 == 0) {
        const float4 f = *reinterpret_cast<const float4 *>(power + (column < half ? column : column - half));
        t.f[0] = f.x, t.f[1] = f.y, t.f[2] = f.z, t.f[3] = f.w;
        return;
    }
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) { t.f[i] = power[column + i < half ? column + i : column + i - half]; }
}

// Two pairs: turned, q times and k over its factors. The same bits wherever it is.
__device__ inline float4 rp_rope_turned(const float4 &x, const float4 &t) {
    return make_float4(__fmaf_rn(x.x, t.x, -__fmul_rn(x.y, t.y)), __fmaf_rn(x.y, t.x, __fmul_rn(x.x, t.y)),
                       __fmaf_rn(x.z, t.z, -__fmul_rn(x.w, t.w)), __fmaf_rn(x.w, t.z, __fmul_rn(x.z, t.w)));
}
template <class Raw> __device__ inline float4 rp_rope_query(const Raw &x, const rp_rope_turn &by) {
    const float4 y = rp_rope_turned(rp_wide4(x), by.angles);
    return make_float4(__fmul_rn(y.x, by.f[0]), __fmul_rn(y.y, by.f[1]), __fmul_rn(y.z, by.f[2]), __fmul_rn(y.w, by.f[3]));
}
template <class Raw> __device__ inline float4 rp_rope_key(const Raw &x, const rp_rope_turn &by) {
    const float4 y = rp_rope_turned(rp_wide4(x), by.angles);
    return make_float4(__fdividef(y.x, by.f[0]), __fdividef(y.y, by.f[1]), __fdividef(y.z, by.f[2]), __fdividef(y.w, by.f[3]));   // 2 ulp
}

__device__ inline void rp_rope_put(float *to, const float4 &x) { __stwb(reinterpret_cast<float4 *>(to), x); }
__device__ inline void rp_rope_put(__half *to, const float4 &x) { __stwb(reinterpret_cast<uint2 *>(to), rp_narrow4(x)); }
__device__ inline void rp_rope_put(__half *to, const uint2 &x) { __stwb(reinterpret_cast<uint2 *>(to), x); }

#endif
