// linear in float32 for at most 16 rows (linear_skinny.cuh), weights in pairs of float16 (pair.cuh, op pair_rows), on the matrix units of
// compute capability 9.0, in the order of linear_pair.cuh, so the same bits.
//   linear_pair_skinny        at most 8 rows
//   linear_pair_skinny_wide   16
// Each has a twin _norm that normalises x, and both have one _long. Included by linear.cu.
#ifndef RP_LINEAR_PAIR_SKINNY_CUH
#define RP_LINEAR_PAIR_SKINNY_CUH

#include "linear_skinny.cuh"
#include "matrix.cuh"
#include "pair.cuh"
#include "wgmma.cuh"

#ifdef RP_HAS_WGMMA

// A pair's parts of sixteen columns lie so that lane l, which takes four neighbours of x, 4 (l % 4) and on, finds those columns of w where
// the units have 2 (l % 4), + 1, + 8, + 9.
template <int ROWS, bool NORMS> struct rp_skinny_pair {
    using weight = float;                    // its bytes: a row of a unit is 64 first parts, then 64 second parts
    using x = float;
    using view_type = rp_linear_view;
    static constexpr int rows = ROWS, halves = ROWS / 8, at_once = 3 - halves;
    static constexpr bool turned = NORMS, early = !NORMS, paired = true;
    static constexpr uint32_t parts = NORMS ? 2 : 1, bytes = SKINNY_CHUNK * (NORMS ? 2 : 4), lane_bytes = NORMS ? 8 : 16;
    static constexpr uint32_t pad = RP_LINEAR_SKINNY_PAD / (NORMS ? 2 : 1);

    struct operand {
        uint32_t part[2][4][2 * halves];     // of each sixteen: neighbours 0 and 1 of row lane / 4 (and + 8), then 2 and 3
        float back[2];                       // what sums of the rows that acc has are to be multiplied by
    };
    struct other {
        uint32_t part[2][4][2 * at_once];    // likewise of a column
    };
    __device__ static rp_linear_view view_of(const rp_kernel_args<rp_linear_params> &args) { return rp_linear_view_of(args); }

    struct pair {
        uint32_t part[2];
    };
    __device__ static inline void keep(char *to, uint32_t part, const pair &two) {
        *reinterpret_cast<uint32_t *>(to) = two.part[0], *reinterpret_cast<uint32_t *>(to + part) = two.part[1];
    }
    // A row's chunk, two neighbours a lane; back: for lane 0 to store.
    __device__ static inline pair pair_of(const float2 &two, float &back) {
        const rp_pair_scale scale = rp_pair_scale_of(__reduce_max_sync(0xffffffffu, max(__float_as_uint(fabsf(two.x)), __float_as_uint(fabsf(two.y)))));
        pair out;
        rp_pair_split(two.x * scale.to, two.y * scale.to, out.part);
        back = scale.back;
        return out;
    }
    // backs: of the chunk's rows, from this lane's first on, where they lie in shared memory.
    __device__ static inline void take(operand &to, const char *from, uint32_t second, uint32_t part, const float *backs) {
        if constexpr (NORMS) {
#pragma unroll
            for (uint32_t e = 0; e < 8 * halves; e++) {
                const uint32_t h = e / 8, i = e / 2 % 4, which = e % 2;
                const uint2 four = *reinterpret_cast<const uint2 *>(from + h * second + which * part + i * 32);
                to.part[which][i][h] = four.x, to.part[which][i][halves + h] = four.y;
            }
            to.back[0] = backs[0], to.back[1] = backs[halves > 1 ? 8 : 1];
        } else {
            float back[halves];
#pragma unroll
            for (uint32_t h = 0; h < halves; h++) {
                float4 four[4];
                float largest = 0;
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) { four[i] = *reinterpret_cast<const float4 *>(from + h * second + i * 64); }
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) {
                    largest = fmaxf(fmaxf(largest, fmaxf(fabsf(four[i].x), fabsf(four[i].y))), fmaxf(fabsf(four[i].z), fabsf(four[i].w)));
                }
                largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
                largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
                const rp_pair_scale scale = rp_pair_scale_of(__float_as_uint(largest));
                back[h] = scale.back;
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) {
                    uint32_t low[2], high[2];
                    rp_pair_split(four[i].x * scale.to, four[i].y * scale.to, low);
                    rp_pair_split(four[i].z * scale.to, four[i].w * scale.to, high);
#pragma unroll
                    for (uint32_t e = 0; e < 2; e++) { to.part[e][i][h] = low[e], to.part[e][i][halves + h] = high[e]; }
                }
            }
            if constexpr (halves > 1) {
                to.back[0] = back[0], to.back[1] = back[1];
            } else {                             // rows 2 (lane % 4) and + 1, which other lanes have
#pragma unroll
                for (uint32_t e = 0; e < 2; e++) { to.back[e] = __shfl_sync(0xffffffffu, back[0], threadIdx.x % 4 * 8 + e * 4); }
            }
        }
    }

    // Blocks of 8 x 8: eight rows of the unit, eight columns each.
    static constexpr uint32_t place_turn = 16;
    __device__ static inline uint32_t place(uint32_t row, uint32_t piece) { return row * 256 + (piece ^ row) * 16; }
    __device__ static inline uint32_t lane_place(uint32_t lane) { return place(lane % 8, lane / 8); }
    __device__ static inline void block(other &to, const char *unit, int turn, uint32_t h) {
#pragma unroll
        for (uint32_t e = 0; e < 4; e++) {
            uint32_t four[4];
            rp_load_blocks(four, reinterpret_cast<const __half *>(unit + e / 2 * 128 + (int)(e % 2) * turn));
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) { to.part[e / 2][e % 2 * 2 + i / 2][i % 2 * at_once + h] = four[i]; }
        }
    }
    // Of a second that is not there, anything: nobody stores what comes of it.
    __device__ static inline void weights(other &to, const char *unit, bool two) {
        const int turn = threadIdx.x % 8 / 4 == 0 ? 64 : -64;
        block(to, unit, turn, 0);
        if (at_once == 1) { return; }
        if (two) {
            block(to, unit + 2048, turn, at_once - 1);
        } else {
#pragma unroll
            for (uint32_t e = 0; e < 8; e++) {
                asm("" : "=r"(to.part[e / 4][e % 4][at_once - 1]), "=r"(to.part[e / 4][e % 4][2 * at_once - 1]));
            }
        }
    }

    __device__ static inline void join(float (&acc)[4], const uint32_t (&x)[2 * halves], const uint32_t (&w)[2 * at_once]) {
        if constexpr (halves > 1) {
            rp_mma(acc, x, w[0], w[1]);
        } else {
            rp_mma(acc, w, x[0], x[1]);
        }
    }

    // Small products first; then to what the numbers are.
    __device__ static inline void multiply(float (&acc)[4], const operand &x, const other &w) {
        constexpr int of_x[3] = { 1, 0, 0 }, of_w[3] = { 0, 1, 0 };
#pragma unroll
        for (int e = 0; e < 3; e++) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) { join(acc, x.part[of_x[e]][i], w.part[of_w[e]][i]); }
        }
#pragma unroll
        for (int e = 0; e < 4; e++) { acc[e] *= x.back[halves > 1 ? e / 2 : e % 2]; }
    }

    __device__ static inline void store(const rp_linear_params &p, const rp_linear_view &view, uint32_t at, const float (&total)[2]) {
        view.y[at] = p.gated ? rp_silu(total[0]) * total[1] : p.silu ? rp_silu(total[0]) : total[0];
    }
};

RP_SKINNY(linear_pair_skinny, 128, rp_skinny_pair<8, false>)
RP_SKINNY(linear_pair_skinny_norm, 128, rp_skinny_pair<8, true>)
RP_SKINNY(linear_pair_skinny_wide, 128, rp_skinny_pair<16, false>)
RP_SKINNY(linear_pair_skinny_wide_norm, 128, rp_skinny_pair<16, true>)

#endif
#endif
