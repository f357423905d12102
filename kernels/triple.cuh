// Float32 numbers as three of bfloat16, for products in float32 on matrix units (core/op_params.h, linear): the first is the
// number rounded to nearest even, each further one what is then missing, rounded likewise. They add up to the number, down to 2^-133.
// A number that rounds beyond bfloat16 (3.39e38) becomes NaN.
#ifndef RP_TRIPLE_CUH
#define RP_TRIPLE_CUH

#include <cuda_bf16.h>

#include "common.cuh"

// The parts of two neighbours, first parts in out[0]; a in the low half.
__device__ inline void rp_triple_split(float a, float b, uint32_t (&out)[3]) {
#pragma unroll
    for (int i = 0; i < 3; i++) {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out[i]) : "f"(b), "f"(a));
        a -= __uint_as_float(out[i] << 16);
        b -= __uint_as_float(out[i] & 0xffff0000u);
    }
}

// acc[16, 8] += a[16, 16] b[8, 16]^T, as rp_mma (matrix.cuh), of bfloat16 numbers.
__device__ inline void rp_mma_bf16(float (&acc)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif
