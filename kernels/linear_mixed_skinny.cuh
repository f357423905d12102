// linear with float16 weights for at most 16 rows (linear_skinny.cuh): k of a chunk in thirty-twos ascending.
//   linear_mixed_skinny        at most 8 rows
//   linear_mixed_skinny_wide   16
// Each has a twin _x32 that takes float32 x, which it can normalise, and both have one _long. Included by linear.cu.
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
    static constexpr bool turned = sizeof(X) == 4, early = false, paired = false;
    static constexpr uint32_t parts = 1, bytes = SKINNY_CHUNK * 2, pad = RP_LINEAR_SKINNY_PAD, lane_bytes = 16;

    struct operand {
        uint4 eight[2][halves];
    };
    struct other {
        uint4 eight[2][at_once];
    };
    __device__ static rp_mixed_view view_of(const rp_kernel_args<rp_linear_params> &args) { return rp_mixed_view_of(args); }

    using pair = uint32_t;
    __device__ static inline pair pair_of(const float2 &two) { return rp_pair(two.x, two.y); }
    __device__ static inline void keep(char *to, uint32_t, pair two) { *reinterpret_cast<pair *>(to) = two; }
    __device__ static inline void take(operand &to, const char *from, uint32_t second, uint32_t, const float *) {
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
#pragma unroll
            for (uint32_t h = 0; h < halves; h++) { to.eight[j][h] = *reinterpret_cast<const uint4 *>(from + h * second + j * 64); }
        }
    }

    // The four pieces that two rows' lanes read at once touch all banks once; the next four of this lane's row lie `turn` further.
    static constexpr uint32_t place_turn = 0;
    __device__ static inline uint32_t place(uint32_t row, uint32_t piece) { return row * 128 + (piece ^ row % 2 * 4) * 16; }
    __device__ static inline uint32_t lane_place(uint32_t lane) { return place(lane / 4, lane % 4); }
    __device__ static inline void weights(other &to, const char *unit, bool two) {
        const int turn = threadIdx.x / 4 % 2 == 0 ? 64 : -64, next = two ? 1024 : 0;          // of one that is not there, the first again: nobody stores what comes of it
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
            to.eight[j][0] = *reinterpret_cast<const uint4 *>(unit + (int)j * turn);
            if (at_once > 1) { to.eight[j][at_once - 1] = *reinterpret_cast<const uint4 *>(unit + next + (int)j * turn); }
        }
    }

    __device__ static inline void multiply(float (&acc)[4], const operand &x, const other &w) {
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
            const uint4 low = halves > 1 ? x.eight[j][0] : w.eight[j][0], high = halves > 1 ? x.eight[j][halves - 1] : w.eight[j][at_once - 1];
            const uint4 eight = halves > 1 ? w.eight[j][0] : x.eight[j][0];
            const uint32_t one[4] = { low.x, high.x, low.y, high.y }, two[4] = { low.z, high.z, low.w, high.w };
            rp_mma(acc, one, eight.x, eight.y);
            rp_mma(acc, two, eight.z, eight.w);
        }
    }

    __device__ static inline void store(const rp_linear_params &p, const rp_mixed_view &view, uint32_t at, const float (&total)[2]) {
        rp_put(view.y, at, p.gated ? rp_silu_mixed(total[0]) * total[1] : p.silu ? rp_silu(total[0]) : total[0], p.y_f16);
    }
};

RP_SKINNY(linear_mixed_skinny, 64, rp_skinny_mixed<8, __half>)
RP_SKINNY(linear_mixed_skinny_x32, 72, rp_skinny_mixed<8, float>)
RP_SKINNY(linear_mixed_skinny_wide, 64, rp_skinny_mixed<16, __half>)
RP_SKINNY(linear_mixed_skinny_wide_x32, 72, rp_skinny_mixed<16, float>)

#endif
