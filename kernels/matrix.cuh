// The matrix units as mma.sync uses them (sm_80 and later), and float16 numbers on their way there.
#ifndef RP_MATRIX_CUH
#define RP_MATRIX_CUH

#include "common.cuh"

// Four 8 x 8 blocks of float16; lane i of 8 j .. 8 j + 7 gives the address of row i % 8 of block j.
__device__ inline void rp_load_blocks(uint32_t (&to)[4], const __half *row) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared)
                 : "memory");
}

// The same, each block turned: rows become columns.
__device__ inline void rp_load_turned(uint32_t (&to)[4], const __half *row) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared)
                 : "memory");
}

// acc[16, 8] += a[16, 16] b[8, 16]^T. Lane l holds rows l / 4 (acc 0, 1) and l / 4 + 8 (acc 2, 3), columns l % 4 * 2 and + 1.
__device__ inline void rp_mma(float (&acc)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline uint32_t rp_pair(float a, float b) {
    const __half2 pair = rp_half2(a, b);
    return *reinterpret_cast<const uint32_t *>(&pair);
}

// Four numbers of float32 or float16 as they lie in memory, and as the other.
template <class T> struct rp_four_of;
template <> struct rp_four_of<float> { using raw = float4; };
template <> struct rp_four_of<__half> { using raw = uint2; };
__device__ inline float4 rp_wide4(const float4 &x) { return x; }
__device__ inline float4 rp_wide4(const uint2 &x) {
    const float2 a = __half22float2(*reinterpret_cast<const __half2 *>(&x.x)), b = __half22float2(*reinterpret_cast<const __half2 *>(&x.y));
    return make_float4(a.x, a.y, b.x, b.y);
}
__device__ inline uint2 rp_narrow4(const float4 &x) { return make_uint2(rp_pair(x.x, x.y), rp_pair(x.z, x.w)); }
__device__ inline uint2 rp_narrow4(const uint2 &x) { return x; }
__device__ inline void rp_zero4(float4 &x) { x = make_float4(0, 0, 0, 0); }
__device__ inline void rp_zero4(uint2 &x) { x = make_uint2(0, 0); }

#endif
