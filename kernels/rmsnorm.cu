// rmsnorm: x / sqrt(mean(x^2) + eps) * scale. Sum: 64 numbers, each of every 64th element, then halving.
// rmsnorm_f32: a group for each row, one of those numbers an invocation. rmsnorm_f32_256, .. _2048: a warp for each row of at most
// so many elements, an even number, all of it under way at once; the scale, a weight, comes before the wait. Same sums.
#include "norm.cuh"

// The scale of a row; NULL where the row is copied.
__device__ static const float *rp_scale_of(const rp_rmsnorm_params &p, const float *scale, uint32_t row) {
    const uint32_t place = p.run > 0 ? row % p.run : 0;
    if (p.run > 0 && place >= p.queries + p.keys) { return nullptr; }
    return p.run > 0 && place >= p.queries ? scale + p.width : scale;
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) rmsnorm_f32(const rp_kernel_args<rp_rmsnorm_params> args) {
    rp_begin();
    __shared__ float part[RP_GROUP_ROW];
    const rp_rmsnorm_params p = args.p;
    const uint32_t row = rp_group(), local = threadIdx.x, lane = local % 32;
    if (row >= p.rows) { return; }
    const float *x = rp_at<const float>(args, 0) + (uint64_t)row * p.width;            // [width]
    const float *scale = rp_scale_of(p, rp_at<const float>(args, 1), row);             // [width] of [width], or [2, width] with runs
    void *y = rp_at<void>(args, 2);                                                    // [rows, width], float32 or float16
    if (scale == nullptr) {                                                            // the whole group
        for (uint32_t i = local; i < p.width; i += RP_GROUP_ROW) { rp_put(y, (uint64_t)row * p.width + i, x[i], p.y_f16); }
        return;
    }
    float sum = 0;
#pragma unroll 8
    for (uint32_t i = local; i < p.width; i += RP_GROUP_ROW) { sum = __fmaf_rn(x[i], x[i], sum); }
    part[local] = sum;
    __syncthreads();   // part: written by each, read by both warps
    const float whole = rp_halve32(part[lane] + part[lane + 32]);   // both warps, so that none waits for the other again
    const rp_inverse_root inverse = rp_inverse_root_of(whole / (float)p.width + p.eps);
#pragma unroll 8
    for (uint32_t i = local; i < p.width; i += RP_GROUP_ROW) {
        rp_put(y, (uint64_t)row * p.width + i, rp_normalised(x[i], scale[i], inverse), p.y_f16);
    }
}

// The sum over 64 numbers by halving: lane l has those of numbers 2 l and 2 l + 1. Every lane gets the same bits.
__device__ static float rp_halve64(float even, float odd) {
    const bool low = threadIdx.x % 32 < 16;                  // goes on with the even numbers; the others with the odd ones
    float sum = low ? even : odd;
    sum += __shfl_xor_sync(0xffffffffu, low ? odd : even, 16);
#pragma unroll
    for (int distance = 8; distance > 0; distance /= 2) { sum += __shfl_xor_sync(0xffffffffu, sum, distance); }
    return sum + __shfl_xor_sync(0xffffffffu, sum, 16);
}

// PAIRS: of neighbouring elements that a lane keeps.
template <int PAIRS> __device__ static void rp_norm_rows(const rp_kernel_args<rp_rmsnorm_params> &args) {
    const rp_rmsnorm_params p = args.p;
    const uint32_t row = rp_group() * (blockDim.x / 32) + threadIdx.x / 32, first = threadIdx.x % 32 * 2;
    const bool live = row < p.rows;
    const float *scale = live ? rp_scale_of(p, rp_at<const float>(args, 1), row) : nullptr;
    float2 factor[PAIRS], own[PAIRS];
#pragma unroll
    for (int e = 0; e < PAIRS; e++) {
        const uint32_t i = first + e * 64;
        factor[e] = scale != nullptr && i < p.width ? *reinterpret_cast<const float2 *>(scale + i) : make_float2(0, 0);
    }
    rp_begin();
    if (!live) { return; }
    const float *x = rp_at<const float>(args, 0) + (uint64_t)row * p.width;
#pragma unroll
    for (int e = 0; e < PAIRS; e++) {
        const uint32_t i = first + e * 64;
        own[e] = i < p.width ? *reinterpret_cast<const float2 *>(x + i) : make_float2(0, 0);
    }
    float even = 0, odd = 0;
#pragma unroll
    for (int e = 0; e < PAIRS; e++) {                        // a zero adds nothing
        even = __fmaf_rn(own[e].x, own[e].x, even);
        odd = __fmaf_rn(own[e].y, own[e].y, odd);
    }
    const rp_inverse_root inverse = rp_inverse_root_of(rp_halve64(even, odd) / (float)p.width + p.eps);
    const uint64_t at = (uint64_t)row * p.width + first;
#pragma unroll
    for (int e = 0; e < PAIRS; e++) {
        float2 y = own[e];
        if (scale != nullptr) { y = make_float2(rp_normalised(y.x, factor[e].x, inverse), rp_normalised(y.y, factor[e].y, inverse)); }
        if (first + e * 64 >= p.width) { break; }
        if (p.y_f16) {
            *reinterpret_cast<__half2 *>(rp_at<__half>(args, 2) + at + e * 64) = rp_half2(y.x, y.y);
        } else {
            *reinterpret_cast<float2 *>(rp_at<float>(args, 2) + at + e * 64) = y;
        }
    }
}

#define WARPS(widest)                                                                                                     \
    extern "C" __global__ void __launch_bounds__(32 * RP_NORM_WARPS)                                                      \
        rmsnorm_f32_##widest(const rp_kernel_args<rp_rmsnorm_params> args) {                                              \
        rp_norm_rows<widest / 64>(args);                                                                                  \
    }
WARPS(256)
WARPS(512)
WARPS(1024)
WARPS(2048)
