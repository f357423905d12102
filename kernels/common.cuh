// What every kernel shares: the argument block, the number of its group, and axes taken from a flat index.
#ifndef RP_COMMON_CUH
#define RP_COMMON_CUH

#include <cuda_fp16.h>
#include <stdint.h>

#include "op_params.h"

// One by-value argument, laid out as core/args.h fills it: addresses of the bindings, then the op's frozen parameters.
template <class P> struct rp_kernel_args {
    uint64_t address[8];
    union {
        P p;
        uint32_t words[16];
    };
};
static_assert(sizeof(rp_kernel_args<rp_draw_params>) == 128, "core/args.h: 128 bytes");

// Launches of a recording may overlap those that they depend on (backend_cuda/record.c): a kernel starts when all groups of those
// before have called rp_release, or ended, and rp_wait returns when they are done and what they wrote can be read. Every group that has
// work calls rp_wait before it writes anything, or reads more than weights and what its op calls as good as weights (core/op_params.h);
// rp_begin is both.
__device__ inline void rp_release() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
__device__ inline void rp_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
// The same where groups may be many, each with little to do: then saying so would take as long as the work (copies of 1 KB groups lost
// two fifths of their rate). So many fit on a large GPU in one to two rounds.
__device__ inline void rp_release_few() {
    if (gridDim.x * gridDim.y <= 2048) { rp_release(); }
}
__device__ inline void rp_begin() {
    rp_release_few();
    rp_wait();
}

// Binding i as an array of T; address 0: absent.
template <class T, class P> __device__ inline T *rp_at(const rp_kernel_args<P> &args, uint32_t i) {
    return reinterpret_cast<T *>(args.address[i]);
}

// Groups lie in a row that is folded at grid.x (rp_launch_rows); surplus ones find nothing to do.
__device__ inline uint32_t rp_group() { return blockIdx.y * gridDim.x + blockIdx.x; }

// The number of this invocation in the whole row of groups.
__device__ inline uint64_t rp_point() { return (uint64_t)rp_group() * blockDim.x + threadIdx.x; }

// Takes the fastest axis, of length n, off a flat index. Division in 32 bits where the index allows: it costs a fifth.
__device__ inline uint32_t rp_take(uint64_t &index, uint32_t n) {
    if (index >> 32 == 0) {
        const uint32_t low = (uint32_t)index, quotient = low / n;
        index = quotient;
        return low - quotient * n;
    }
    const uint64_t quotient = index / n;
    const uint32_t rest = (uint32_t)(index - quotient * n);
    index = quotient;
    return rest;
}

// x / by of numbers below 2^20, where a division would take longer.
__device__ inline uint32_t rp_quotient(uint32_t x, uint32_t by) { return (uint32_t)__fdividef((float)x + 0.5f, (float)by); }

// True when all of a pointer's 16-byte pieces are aligned.
__device__ inline bool rp_aligned16(const void *pointer) { return (reinterpret_cast<uint64_t>(pointer) & 15) == 0; }

// To float16, to nearest; what lies beyond its range becomes its largest number, since an infinity would spread as NaN.
__device__ inline __half rp_half(float value) {
    const float most = 65504.0f;
    return __float2half_rn(value > most ? most : value < -most ? -most : value);
}
__device__ inline __half2 rp_half2(float a, float b) {
    uint32_t both;
    asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(b), "f"(a));
    return *reinterpret_cast<const __half2 *>(&both);
}

// Element `at` of an output that is float16 or float32.
__device__ inline void rp_put(void *y, uint64_t at, float value, bool f16) {
    if (f16) {
        static_cast<__half *>(y)[at] = rp_half(value);
    } else {
        static_cast<float *>(y)[at] = value;
    }
}

// Sums that no product is fused into.
__device__ inline float rp_sum(float a, float b) { return __fadd_rn(a, b); }
__device__ inline float4 rp_sum(float4 a, float4 b) {
    return make_float4(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y), __fadd_rn(a.z, b.z), __fadd_rn(a.w, b.w));
}

// Sum over 32 lanes by halving: 16, 8, 4, 2, 1. Every lane gets the same bits, since each pair's sum commutes.
__device__ inline float rp_halve32(float value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) { value += __shfl_xor_sync(0xffffffffu, value, distance); }
    return value;
}

#endif
