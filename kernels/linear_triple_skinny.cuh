// linear in float32 for at most 16 rows (linear_skinny.cuh) on the matrix units of compute capability 9.0: three bfloat16 parts of
// each number (triple.cuh), the six larger products of parts, in the order of linear_triple.cuh, so the same bits. Each invocation
// splits the weights that it hands to the units.
//   linear_triple_skinny        at most 8 rows
//   linear_triple_skinny_shared at most 8, by clusters
//   linear_triple_skinny_wide   16
// Each has a twin _norm that normalises x, and both have one _long.
// Included by linear.cu.
#ifndef RP_LINEAR_TRIPLE_SKINNY_CUH
#define RP_LINEAR_TRIPLE_SKINNY_CUH

#include "linear_skinny.cuh"
#include "triple.cuh"
#include "wgmma.cuh"

#ifdef RP_HAS_WGMMA

// Any order of k inside a sixteen will do while x and w agree: lane l takes four neighbours of each row and calls them columns
// 2 (l % 4), + 1, + 8, + 9.
template <int ROWS, bool NORMS> struct rp_skinny_triple {
    using weight = float;
    using x = float;
    using view_type = rp_linear_view;
    static constexpr int rows = ROWS, halves = ROWS / 8, at_once = 3 - halves;
    static constexpr bool turned = NORMS, early = !NORMS;
    static constexpr uint32_t parts = NORMS ? 3 : 1, bytes = SKINNY_CHUNK * (NORMS ? 2 : 4), lane_bytes = NORMS ? 8 : 16;
    static constexpr uint32_t pad = RP_LINEAR_SKINNY_PAD / (NORMS ? 2 : 1);

    struct operand {
        uint32_t part[3][4][2 * halves];     // of each sixteen: neighbours 0 and 1 of row lane / 4 (and + 8), then 2 and 3
    };
    struct other {
        uint32_t part[3][4][2 * at_once];    // likewise of a column
    };
    __device__ static rp_linear_view view_of(const rp_kernel_args<rp_linear_params> &args) { return rp_linear_view_of(args); }

    __device__ static inline void split(uint32_t (&low)[3], uint32_t (&high)[3], const float4 &from) {
        rp_triple_split(from.x, from.y, low);
        rp_triple_split(from.z, from.w, high);
    }

    struct pair {
        uint32_t part[3];
    };
    __device__ static inline pair pair_of(const float2 &two) {
        pair out;
        rp_triple_split(two.x, two.y, out.part);
        return out;
    }
    __device__ static inline void keep(char *to, uint32_t part, const pair &two) {
#pragma unroll
        for (uint32_t i = 0; i < 3; i++) { *reinterpret_cast<uint32_t *>(to + i * part) = two.part[i]; }
    }
    __device__ static inline void take(operand &to, const char *from, uint32_t second, uint32_t part) {
#pragma unroll
        for (uint32_t h = 0; h < halves; h++) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                uint32_t low[3], high[3];
                if constexpr (NORMS) {
#pragma unroll
                    for (uint32_t e = 0; e < 3; e++) {
                        const uint2 four = *reinterpret_cast<const uint2 *>(from + h * second + e * part + i * 32);
                        low[e] = four.x, high[e] = four.y;
                    }
                } else {
                    split(low, high, *reinterpret_cast<const float4 *>(from + h * second + i * 64));
                }
#pragma unroll
                for (uint32_t e = 0; e < 3; e++) { to.part[e][i][h] = low[e], to.part[e][i][halves + h] = high[e]; }
            }
        }
    }

    __device__ static inline void block(other &to, const char *unit, int turn, uint32_t h) {
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t low[3], high[3];
            split(low, high, *reinterpret_cast<const float4 *>(unit + i / 2 * 128 + (int)(i % 2) * turn));
#pragma unroll
            for (uint32_t part = 0; part < 3; part++) { to.part[part][i][h] = low[part], to.part[part][i][at_once + h] = high[part]; }
        }
    }
    // Of a second that is not there, anything: nobody stores what comes of it.
    __device__ static inline void weights(other &to, const char *unit, bool two) {
        const int turn = rp_skinny_turn();
        block(to, unit, turn, 0);
        if (at_once == 1) { return; }
        if (two) {
            block(to, unit + 2048, turn, at_once - 1);
        } else {
#pragma unroll
            for (uint32_t e = 0; e < 12; e++) {
                asm("" : "=r"(to.part[e / 4][e % 4][at_once - 1]), "=r"(to.part[e / 4][e % 4][2 * at_once - 1]));
            }
        }
    }

    __device__ static inline void join(float (&acc)[4], const uint32_t (&x)[2 * halves], const uint32_t (&w)[2 * at_once]) {
        if constexpr (halves > 1) {
            rp_mma_bf16(acc, x, w[0], w[1]);
        } else {
            rp_mma_bf16(acc, w, x[0], x[1]);
        }
    }

    // Small products first.
    __device__ static inline void multiply(float (&acc)[4], const operand &x, const other &w) {
        constexpr int of_x[6] = { 2, 1, 0, 1, 0, 0 }, of_w[6] = { 0, 1, 2, 0, 1, 0 };
#pragma unroll
        for (int e = 0; e < 6; e++) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) { join(acc, x.part[of_x[e]][i], w.part[of_w[e]][i]); }
        }
    }

    __device__ static inline void store(const rp_linear_params &p, const rp_linear_view &view, uint32_t at, const float (&total)[2]) {
        view.y[at] = p.gated ? rp_silu(total[0]) * total[1] : p.silu ? rp_silu(total[0]) : total[0];
    }
};

RP_SKINNY(linear_triple_skinny, 128, rp_skinny_triple<8, false>)
RP_SKINNY_SHARED(linear_triple_skinny_shared, 128, rp_skinny_triple<8, false>)
RP_SKINNY(linear_triple_skinny_norm, 128, rp_skinny_triple<8, true>)
RP_SKINNY(linear_triple_skinny_wide, 128, rp_skinny_triple<16, false>)
RP_SKINNY(linear_triple_skinny_wide_norm, 128, rp_skinny_triple<16, true>)

#endif
#endif
