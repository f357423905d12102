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
template <int ROWS, bool X32> struct rp_skinny_mixed {
    using weight = __half;
    using view_type = rp_mixed_view;
    static constexpr int rows = ROWS, halves = ROWS / 8, at_once = 3 - halves, groups = 2;
    static constexpr bool norms = X32;

    struct operand {
        uint4 eight[2][halves];
    };
    struct other {
        uint4 eight[2][at_once];
    };

    __device__ static rp_mixed_view view_of(const rp_kernel_args<rp_linear_params> &args) { return rp_mixed_view_of(args); }

    __device__ static inline void load(operand &to, const rp_linear_params &p, const rp_mixed_view &view, uint32_t chunk, const float *scale,
                                       const rp_inverse_root *inverse, uint32_t lane) {
        const uint32_t piece = lane % 4 * 8;
        float4 four[2][halves][X32 ? 2 : 1];
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
#pragma unroll
            for (uint32_t h = 0; h < halves; h++) {
                const uint32_t row = lane / 4 + h * 8, at = chunk + j * 32 + piece;
                const uint64_t from = (uint64_t)row * p.k + at;
                const bool live = row < p.m && at < p.k;
                if constexpr (X32) {
                    const float4 *x = reinterpret_cast<const float4 *>(view.x32 + from);
                    const float4 zero = make_float4(0, 0, 0, 0);
                    four[j][h][0] = live ? x[0] : zero, four[j][h][1] = live ? x[1] : zero;
                } else {
                    to.eight[j][h] = live ? *reinterpret_cast<const uint4 *>(view.x16 + from) : make_uint4(0, 0, 0, 0);
                }
            }
        }
        if constexpr (X32) {
#pragma unroll
            for (uint32_t j = 0; j < 2; j++) {
                const bool normed = p.norm && chunk + j * 32 + piece < p.k;
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

    __device__ static inline void weights(other &to, const char *unit, const char *second, uint32_t lane) {
        const uint32_t place = rp_skinny<rp_skinny_mixed>::place(lane / 4, lane % 4);
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
            to.eight[j][0] = *reinterpret_cast<const uint4 *>(unit + (place ^ j * 64));
            if (at_once > 1) {
                to.eight[j][at_once - 1] = second != nullptr ? *reinterpret_cast<const uint4 *>(second + (place ^ j * 64)) : make_uint4(0, 0, 0, 0);
            }
        }
    }

    __device__ static inline void multiply(float (&acc)[4], const operand &x, const other &w) {
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
            const auto &sixteen = [&]() -> const uint4(&)[2] { if constexpr (halves > 1) { return x.eight[j]; } else { return w.eight[j]; } }();
            const uint4 eight = halves > 1 ? w.eight[j][0] : x.eight[j][0];
            const uint32_t one[4] = { sixteen[0].x, sixteen[1].x, sixteen[0].y, sixteen[1].y };
            const uint32_t two[4] = { sixteen[0].z, sixteen[1].z, sixteen[0].w, sixteen[1].w };
            rp_mma(acc, one, eight.x, eight.y);
            rp_mma(acc, two, eight.z, eight.w);
        }
    }

    __device__ static inline void keep(float *to, uint32_t second, const float (&acc)[4], uint32_t lane) {
        if constexpr (halves > 1) {
            rp_skinny_keep_rows(to, acc, lane);
        } else {
            rp_skinny_keep_columns(to, second, acc, lane);
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

RP_SKINNY(linear_mixed_skinny, rp_skinny_mixed<8, false>)
RP_SKINNY(linear_mixed_skinny_x32, rp_skinny_mixed<8, true>)
RP_SKINNY(linear_mixed_skinny_wide, rp_skinny_mixed<16, false>)
RP_SKINNY(linear_mixed_skinny_wide_x32, rp_skinny_mixed<16, true>)

#endif
