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
    static constexpr int rows = ROWS, halves = ROWS / 8;
    static constexpr bool norms = X32;

    struct raw {
        float4 x32[X32 ? 4 : 1][halves];
        uint4 x16[X32 ? 1 : 2][halves];
    };
    struct operand {
        uint4 eight[2][halves];
    };
    struct other {
        uint4 eight[2];
    };

    __device__ static rp_mixed_view view_of(const rp_kernel_args<rp_linear_params> &args) { return rp_mixed_view_of(args); }
    __device__ static uint32_t quad(uint32_t lane, uint32_t i) { return i / 2 * 32 + lane % 4 * 8 + i % 2 * 4; }

    __device__ static inline void load(raw &to, const rp_linear_params &p, const rp_mixed_view &view, uint32_t chunk, uint32_t lane) {
#pragma unroll
        for (uint32_t h = 0; h < halves; h++) {
            const uint32_t row = lane / 4 + h * 8;
            const uint64_t from = (uint64_t)row * p.k + chunk;
#pragma unroll
            for (uint32_t i = 0; i < (X32 ? 4 : 2); i++) {
                const uint32_t at = quad(lane, X32 ? i : 2 * i);
                const bool live = row < p.m && chunk + at < p.k;
                if constexpr (X32) {
                    to.x32[i][h] = live ? *reinterpret_cast<const float4 *>(view.x32 + from + at) : make_float4(0, 0, 0, 0);
                } else {
                    to.x16[i][h] = live ? *reinterpret_cast<const uint4 *>(view.x16 + from + at) : make_uint4(0, 0, 0, 0);
                }
            }
        }
    }

    __device__ static inline void turn(operand &to, const raw &from, const float4 (&scale)[4], const rp_inverse_root *inverse,
                                       const rp_linear_params &p, uint32_t lane) {
#pragma unroll
        for (uint32_t h = 0; h < halves; h++) {
            const uint32_t row = lane / 4 + h * 8;
#pragma unroll
            for (uint32_t j = 0; j < 2; j++) {
                if constexpr (X32) {
                    float4 a = from.x32[2 * j][h], b = from.x32[2 * j + 1][h];
                    if (p.norm && row < p.m) {
                        a = rp_normalised4(a, scale[2 * j], inverse[row]), b = rp_normalised4(b, scale[2 * j + 1], inverse[row]);
                    }
                    to.eight[j][h] = rp_round8(a, b);
                } else {
                    to.eight[j][h] = from.x16[j][h];
                }
            }
        }
    }

    __device__ static inline void weights(other &to, const char *unit, uint32_t lane) {
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
            to.eight[j] = *reinterpret_cast<const uint4 *>(unit + rp_skinny<rp_skinny_mixed>::place(lane / 4, j * 4 + lane % 4));
        }
    }

    __device__ static inline void product(float (&acc)[4], const operand &x, const other &w) {
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
            const uint4 a0 = x.eight[j][0], a1 = halves > 1 ? x.eight[j][halves - 1] : make_uint4(0, 0, 0, 0), b = w.eight[j];
            const uint32_t one[4] = { a0.x, a1.x, a0.y, a1.y }, two[4] = { a0.z, a1.z, a0.w, a1.w };
            rp_mma(acc, one, b.x, b.y);
            rp_mma(acc, two, b.z, b.w);
        }
    }
    __device__ static inline void product2(float (&acc)[2][4], const operand &x, const other (&w)[2]) {
        product(acc[0], x, w[0]);
        product(acc[1], x, w[1]);
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
