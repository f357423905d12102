// Float32 numbers as two of float16, for products in float32 on matrix units (core/op_params.h, linear): scaled by a power of two, which a
// chunk of a row, or a row of weights, has in common, so that its largest lies at 2^14 or above; then the number rounded, and what is missing.
#ifndef RP_PAIR_CUH
#define RP_PAIR_CUH

#include "common.cuh"

struct rp_pair_scale {
    float to, back;          // 2^(14 - E) of a chunk whose largest number has exponent E; and 2^(E - 28), for sums with weights scaled likewise
};
// Of the bits of the largest magnitude. E is -98 at least, so that both are normal numbers.
__device__ inline rp_pair_scale rp_pair_scale_of(uint32_t largest) {
    const uint32_t exponent = max(largest & 0x7f800000u, 29u << 23);
    return { __uint_as_float((268u << 23) - exponent), __uint_as_float(exponent - (28u << 23)) };
}

// The parts of two neighbours that are scaled already, first parts in out[0]; a in the low half.
__device__ inline void rp_pair_split(float a, float b, uint32_t (&out)[2]) {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out[0]) : "f"(b), "f"(a));
    const float2 first = __half22float2(*reinterpret_cast<const __half2 *>(&out[0]));
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out[1]) : "f"(b - first.y), "f"(a - first.x));
}

#endif
