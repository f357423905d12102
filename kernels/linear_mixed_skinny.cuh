// linear with float16 weights for at most 16 rows (linear_skinny.cuh): k of a chunk in thirty-twos ascending.
//   linear_mixed_skinny        at most 8 rows
//   linear_mixed_skinny_wide   16
// Each has a twin _x32 that takes float32 x. Included by linear.cu.
#ifndef RP_LINEAR_MIXED_SKINNY_CUH
#define RP_LINEAR_MIXED_SKINNY_CUH

#include "linear_mixed.cuh"
#include "linear_skinny.cuh"

// The unit multiplies in sixteens, but any order of k inside a thirty-two will do while x and w agree: lane l takes eight
// neighbours of each row, in one 16-byte load, and calls them columns 2 (l % 4), + 1, + 8, + 9 of two sixteens.
template <int ROWS, class X> struct rp_skinny_mixed {
    using weight = __half;
    using x = X;
    using view_type = rp_mixed_view;
    static constexpr int rows = ROWS, halves = ROWS / 8, at_once = 3 - halves;
    static constexpr bool norms = sizeof(X) == 4;

    struct operand {
        uint4 eight[2][halves];
    };
    __device__ static rp_mixed_view view_of(const rp_kernel_args<rp_linear_params> &args) { return rp_mixed_view_of(args); }

    __device__ static inline void load(operand &to, const rp_linear_params &p, const rp_skinny_rows &rows, uint32_t rest, const float *scale,
                                       const rp_inverse_root *inverse, uint32_t lane) {
        const uint32_t piece = lane % 4 * 8;
        float4 four[2][halves][2];
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
#pragma unroll
            for (uint32_t h = 0; h < halves; h++) {
                const uint32_t row = lane / 4 + h * 8;
                const bool live = row < p.m && j * 32 + piece < rest;
                if constexpr (norms) {
                    const float4 zero = make_float4(0, 0, 0, 0);
                    four[j][h][0] = live ? *reinterpret_cast<const float4 *>(rows(row, j * 8 + piece / 4)) : zero;
                    four[j][h][1] = live ? *reinterpret_cast<const float4 *>(rows(row, j * 8 + piece / 4 + 1)) : zero;
                } else {
                    to.eight[j][h] = live ? *reinterpret_cast<const uint4 *>(rows(row, j * 4 + lane % 4)) : make_uint4(0, 0, 0, 0);
                }
            }
        }
        if constexpr (norms) {
#pragma unroll
            for (uint32_t j = 0; j < 2; j++) {
                const bool normed = p.norm && j * 32 + piece < rest;
                float4 factor[2];
                if (normed) {
                    const float4 *factors = reinterpret_cast<const float4 *>(scale + j * 32 + piece);
                    factor[0] = factors[0], factor[1] = factors[1];
                }
#pragma unroll
                for (uint32_t h = 0; h < halves; h++) {
                    const uint32_t row = lane / 4 + h * 8;
                    if (normed && row < p.m) {
                        four[j][h][0] = rp_normalised4(four[j][h][0], factor[0], inverse[row]);
                        four[j][h][1] = rp_normalised4(four[j][h][1], factor[1], inverse[row]);
                    }
                    to.eight[j][h] = rp_round8(four[j][h][0], four[j][h][1]);
                }
            }
        }
    }

    __device__ static inline void multiply(float (&acc)[4], const operand &x, const char *unit, const char *second, uint32_t lane) {
        const uint32_t place = rp_skinny_place<128>(lane / 4, lane % 4);
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
            const uint4 zero = make_uint4(0, 0, 0, 0), w0 = *reinterpret_cast<const uint4 *>(unit + (place ^ j * 64));
            const uint4 w1 = second != nullptr ? *reinterpret_cast<const uint4 *>(second + (place ^ j * 64)) : zero;
            const uint4 x0 = x.eight[j][0], low = halves > 1 ? x0 : w0, high = halves > 1 ? x.eight[j][halves - 1] : w1, eight = halves > 1 ? w0 : x0;
            const uint32_t one[4] = { low.x, high.x, low.y, high.y }, two[4] = { low.z, high.z, low.w, high.w };
            rp_mma(acc, one, eight.x, eight.y);
            rp_mma(acc, two, eight.z, eight.w);
        }
    }

    __device__ static inline void store(const rp_linear_params &p, const rp_mixed_view &view, uint32_t row, uint32_t column,
                                        const float2 (&total)[2]) {
        if (p.gated) {
            rp_mixed_store_gated(p, view, row, column, total[0], total[1]);
        } else {
            rp_mixed_store(p, view, row, column, total[0].x, total[0].y);
        }
    }
};

RP_SKINNY(linear_mixed_skinny, 72, rp_skinny_mixed<8, __half>)
RP_SKINNY(linear_mixed_skinny_x32, 72, rp_skinny_mixed<8, float>)
RP_SKINNY(linear_mixed_skinny_wide, 72, rp_skinny_mixed<16, __half>)
RP_SKINNY(linear_mixed_skinny_wide_x32, 72, rp_skinny_mixed<16, float>)

#endif
