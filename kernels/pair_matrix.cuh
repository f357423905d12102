// Products in pairs of float16 (pair.cuh) by mma.sync, one chunk of 64 columns at a time: x of 8 or 16 rows, weights of 16 or 8 columns. Every
// kernel that multiplies so has the same bits: small products first, then to what the numbers are.
#ifndef RP_PAIR_MATRIX_CUH
#define RP_PAIR_MATRIX_CUH

#include "matrix.cuh"
#include "pair.cuh"

// A pair's parts of sixteen columns lie so that lane l, which takes four neighbours of x, 4 (l % 4) and on, finds those columns of w where
// the units have 2 (l % 4), + 1, + 8, + 9. HALVES: eights of rows of x; of eight rows, two blocks of eight columns of w at once.
template <int HALVES> struct rp_pair_units {
    static constexpr int at_once = 3 - HALVES;

    struct operand {
        uint32_t part[2][4][2 * HALVES];     // of each sixteen: neighbours 0 and 1 of row lane / 4 (and + 8), then 2 and 3
        float back[2];                       // what sums of the rows that acc has are to be multiplied by
    };
    struct other {
        uint32_t part[2][4][2 * at_once];    // likewise of a column
    };

    // x that is split already, float16 in two matrices `part` bytes apart, eights of rows `second` apart, from this lane's four neighbours on;
    // backs: of the chunk's rows, from this lane's first on.
    __device__ static inline void take_parts(operand &to, const char *from, uint32_t second, uint32_t part, const float *backs) {
#pragma unroll
        for (uint32_t e = 0; e < 8 * HALVES; e++) {
            const uint32_t h = e / 8, i = e / 2 % 4, which = e % 2;
            const uint2 four = *reinterpret_cast<const uint2 *>(from + h * second + which * part + i * 32);
            to.part[which][i][h] = four.x, to.part[which][i][HALVES + h] = four.y;
        }
        to.back[0] = backs[0], to.back[1] = backs[HALVES > 1 ? 8 : 1];
    }
    // x as float32, to be split here.
    __device__ static inline void take_whole(operand &to, const char *from, uint32_t second) {
        float back[HALVES];
#pragma unroll
        for (uint32_t h = 0; h < HALVES; h++) {
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
                for (uint32_t e = 0; e < 2; e++) { to.part[e][i][h] = low[e], to.part[e][i][HALVES + h] = high[e]; }
            }
        }
        if constexpr (HALVES > 1) {
            to.back[0] = back[0], to.back[1] = back[1];
        } else {                             // rows 2 (lane % 4) and + 1, which other lanes have
#pragma unroll
            for (uint32_t e = 0; e < 2; e++) { to.back[e] = __shfl_sync(0xffffffffu, back[0], threadIdx.x % 4 * 8 + e * 4); }
        }
    }

    __device__ static inline void join(float (&acc)[4], const uint32_t (&x)[2 * HALVES], const uint32_t (&w)[2 * at_once]) {
        if constexpr (HALVES > 1) {
            rp_mma(acc, x, w[0], w[1]);
        } else {
            rp_mma(acc, w, x[0], x[1]);
        }
    }
    __device__ static inline void multiply(float (&acc)[4], const operand &x, const other &w) {
        constexpr int of_x[3] = { 1, 0, 0 }, of_w[3] = { 0, 1, 0 };
#pragma unroll
        for (int e = 0; e < 3; e++) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) { join(acc, x.part[of_x[e]][i], w.part[of_w[e]][i]); }
        }
#pragma unroll
        for (int e = 0; e < 4; e++) { acc[e] *= x.back[HALVES > 1 ? e / 2 : e % 2]; }
    }
};

// Two neighbours of a row's chunk, one pair a lane, both parts; back: what the chunk's sums are to be multiplied by.
struct rp_pair_parts {
    uint32_t part[2];
};
__device__ inline rp_pair_parts rp_pair_parts_of(const float2 &two, float &back) {
    const rp_pair_scale scale = rp_pair_scale_of(__reduce_max_sync(0xffffffffu, max(__float_as_uint(fabsf(two.x)), __float_as_uint(fabsf(two.y)))));
    rp_pair_parts out;
    rp_pair_split(two.x * scale.to, two.y * scale.to, out.part);
    back = scale.back;
    return out;
}

#endif
