// linear with float16 weights for at most 16 rows, on the matrix units: 16 columns a group, k in thirty-twos dealt to its warps.
// Weights are asked for before the launch that makes x is done (rp_wait). Rows can be normalised on the way in.
//   linear_mixed_skinny        8 warps
//   linear_mixed_skinny_deep   16, for long k
// Each has a twin _x32 that takes float32 x. Included by linear.cu.
#ifndef RP_LINEAR_MIXED_SKINNY_CUH
#define RP_LINEAR_MIXED_SKINNY_CUH

#include "linear_mixed.cuh"
#include "norm.cuh"

#define SKINNY_PITCH 18                    // of a row of sums: the pairs that a warp writes at once lie in different banks
#define SKINNY_UNITS 4                     // thirty-twos whose weights a warp has under way at once

// Eight float32 numbers of row `row` of x from `at` on; zeros outside.
struct rp_eight {
    float4 low, high;
};
__device__ inline rp_eight rp_eight_of(const float *x, uint32_t row, uint32_t at, const rp_linear_params &p) {
    const float4 zero = make_float4(0, 0, 0, 0);
    if (row >= p.m || at >= p.k) { return { zero, zero }; }
    const float4 *from = reinterpret_cast<const float4 *>(x + (uint64_t)row * p.k + at);
    return { from[0], from[1] };
}

__device__ inline float rp_square(const float4 &a, float sum) {
    return __fmaf_rn(a.w, a.w, __fmaf_rn(a.z, a.z, __fmaf_rn(a.y, a.y, __fmaf_rn(a.x, a.x, sum))));
}

// The inverse roots of rows l / 4 and l / 4 + 8 of lane l: each warp takes the squares of its thirty-twos.
template <int WARPS_K>
__device__ inline void rp_skinny_norms(float *squares, rp_inverse_root (&inverse)[2], const rp_linear_params &p, const float *x) {
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, r = lane / 4, piece = lane % 4 * 8;
    float sum[2] = { 0, 0 };
#pragma unroll 4
    for (uint32_t at = warp * 32 + piece; at < p.k; at += WARPS_K * 32) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const rp_eight eight = rp_eight_of(x, r + 8 * i, at, p);
            sum[i] = rp_square(eight.high, rp_square(eight.low, sum[i]));
        }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], 1);
        sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], 2);
        if (lane % 4 == 0) { squares[warp * 16 + r + 8 * i] = sum[i]; }
    }
    __syncthreads();           // squares: written by all warps, read by all
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float whole = 0;
#pragma unroll
        for (int w = 0; w < WARPS_K; w++) { whole += squares[w * 16 + r + 8 * i]; }
        inverse[i] = rp_inverse_root_of(whole / (float)p.k + p.eps);
    }
}

__device__ inline float4 rp_normalised4(const float4 &x, const float4 &scale, const rp_inverse_root &inverse) {
    return make_float4(rp_normalised(x.x, scale.x, inverse), rp_normalised(x.y, scale.y, inverse),
                       rp_normalised(x.z, scale.z, inverse), rp_normalised(x.w, scale.w, inverse));
}

// The unit multiplies in sixteens, but any order of k inside a thirty-two will do while x and w agree: lane l takes eight
// neighbours of each row, in one 16-byte load, and calls them columns 2 (l % 4), + 1, + 8, + 9 of two sixteens.
template <int WARPS_K, bool X32>
__device__ inline void rp_mixed_skinny(const rp_kernel_args<rp_linear_params> &args, float *sums, float *squares) {
    const rp_linear_params p = args.p;
    const rp_mixed_view view = rp_mixed_view_of(args);
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, column0 = rp_group() * 16;
    const uint32_t r = lane / 4, piece = lane % 4 * 8, n_units = (p.k + 31) / 32;
    const bool low = column0 + r < p.n, high = column0 + 8 + r < p.n;
    const __half *w0 = view.w + (uint64_t)(low ? column0 + r : 0) * p.k, *w1 = view.w + (uint64_t)(high ? column0 + 8 + r : 0) * p.k;
    const uint4 zero = make_uint4(0, 0, 0, 0);
    uint4 b0[SKINNY_UNITS], b1[SKINNY_UNITS];
    rp_inverse_root inverse[2];
    float acc[2][4] = { { 0 } };
    const auto load_w = [&](uint32_t first) {
#pragma unroll
        for (uint32_t j = 0; j < SKINNY_UNITS; j++) {
            const uint32_t at = (first + j * WARPS_K) * 32 + piece;
            b0[j] = low && at < p.k ? *reinterpret_cast<const uint4 *>(w0 + at) : zero;
            b1[j] = high && at < p.k ? *reinterpret_cast<const uint4 *>(w1 + at) : zero;
        }
    };
    // Eight numbers of row r or r + 8 as float16.
    const auto load_x = [&](uint32_t i, uint32_t at) -> uint4 {
        const uint32_t row = r + 8 * i;
        if constexpr (X32) {
            rp_eight eight = rp_eight_of(view.x32, row, at, p);
            if (p.norm && at < p.k) {
                const float4 *scale = reinterpret_cast<const float4 *>(view.scale + at);
                eight = { rp_normalised4(eight.low, scale[0], inverse[i]), rp_normalised4(eight.high, scale[1], inverse[i]) };
            }
            return rp_round8(eight.low, eight.high);
        } else {
            return row < p.m && at < p.k ? *reinterpret_cast<const uint4 *>(view.x16 + (uint64_t)row * p.k + at) : zero;
        }
    };
    load_w(warp);
    rp_wait();
    if constexpr (X32) {
        if (p.norm) { rp_skinny_norms<WARPS_K>(squares, inverse, p, view.x32); }
    }
    for (uint32_t first = warp; first < n_units; first += SKINNY_UNITS * WARPS_K) {
#pragma unroll
        for (uint32_t j = 0; j < SKINNY_UNITS; j++) {
            const uint32_t at = (first + j * WARPS_K) * 32 + piece;
            if (first + j * WARPS_K >= n_units) { break; }
            const uint4 a0 = load_x(0, at), a1 = load_x(1, at);
            const uint32_t one[4] = { a0.x, a1.x, a0.y, a1.y }, two[4] = { a0.z, a1.z, a0.w, a1.w };
            rp_mma(acc[0], one, b0[j].x, b0[j].y);
            rp_mma(acc[1], one, b1[j].x, b1[j].y);
            rp_mma(acc[0], two, b0[j].z, b0[j].w);
            rp_mma(acc[1], two, b1[j].z, b1[j].w);
        }
        load_w(first + SKINNY_UNITS * WARPS_K);          // zeros past the end
    }
    float *own = sums + warp * 16 * SKINNY_PITCH;
#pragma unroll
    for (int j = 0; j < 2; j++) {
        *reinterpret_cast<float2 *>(own + r * SKINNY_PITCH + j * 8 + lane % 4 * 2) = make_float2(acc[j][0], acc[j][1]);
        *reinterpret_cast<float2 *>(own + (r + 8) * SKINNY_PITCH + j * 8 + lane % 4 * 2) = make_float2(acc[j][2], acc[j][3]);
    }
    __syncthreads();           // sums: written by all warps, read by all
    if (threadIdx.x >= 128) { return; }
    // Two neighbouring columns of one row; where gated, of a and of b.
    const uint32_t row = threadIdx.x / 8, column = threadIdx.x % 8 * 2;
    if (p.gated && column >= RP_LINEAR_GATE) { return; }
    float2 total[2] = { { 0, 0 }, { 0, 0 } };
#pragma unroll
    for (int i = 0; i < WARPS_K; i++) {
        const float *from = sums + (i * 16 + row) * SKINNY_PITCH + column;
        total[0].x += from[0], total[0].y += from[1];
        if (p.gated) { total[1].x += from[RP_LINEAR_GATE], total[1].y += from[RP_LINEAR_GATE + 1]; }
    }
    if (p.gated) {
        rp_mixed_store_gated(p, view, row, column0 + column, total[0], total[1]);
    } else {
        rp_mixed_store(p, view, row, column0 + column, total[0].x, total[0].y);
    }
}

#define RP_MIXED_SKINNY(name, warps, x32)                                                                             \
    extern "C" __global__ void __launch_bounds__(32 * warps) name(const rp_kernel_args<rp_linear_params> args) {      \
        __shared__ __align__(16) float sums[warps * 16 * SKINNY_PITCH];                                               \
        __shared__ float squares[warps * 16];                                                                         \
        rp_release();                                                                                                 \
        rp_mixed_skinny<warps, x32>(args, sums, squares);                                                             \
    }
RP_MIXED_SKINNY(linear_mixed_skinny, RP_LINEAR_MIXED_WARPS, false)
RP_MIXED_SKINNY(linear_mixed_skinny_x32, RP_LINEAR_MIXED_WARPS, true)
RP_MIXED_SKINNY(linear_mixed_skinny_deep, RP_LINEAR_MIXED_WARPS_DEEP, false)
RP_MIXED_SKINNY(linear_mixed_skinny_deep_x32, RP_LINEAR_MIXED_WARPS_DEEP, true)

#endif
