// linear in float32 for at most 16 rows (linear_skinny.cuh), weights in pairs of float16 (pair.cuh, op pair_rows), on the matrix units of
// compute capability 9.0, in the order of linear_pair.cuh, so the same bits.
//   linear_pair_skinny        at most 8 rows
//   linear_pair_skinny_wide   16
// Each has a twin _norm that normalises x, and both have one _long. Included by linear.cu.
#ifndef RP_LINEAR_PAIR_SKINNY_CUH
#define RP_LINEAR_PAIR_SKINNY_CUH

#include "linear_skinny.cuh"
#include "pair_matrix.cuh"
#include "wgmma.cuh"

#ifdef RP_HAS_WGMMA

template <int ROWS, bool NORMS> struct rp_skinny_pair {
    using weight = float;                    // its bytes: a row of a unit is 64 first parts, then 64 second parts
    using x = float;
    using view_type = rp_linear_view;
    static constexpr int rows = ROWS, halves = ROWS / 8, at_once = 3 - halves;
    static constexpr bool turned = NORMS, early = !NORMS, paired = true;
    static constexpr uint32_t parts = NORMS ? 2 : 1, bytes = SKINNY_CHUNK * (NORMS ? 2 : 4), lane_bytes = NORMS ? 8 : 16;
    static constexpr uint32_t pad = RP_LINEAR_SKINNY_PAD / (NORMS ? 2 : 1);

    using units = rp_pair_units<halves>;
    using operand = typename units::operand;
    using other = typename units::other;
    using pair = rp_pair_parts;
    __device__ static rp_linear_view view_of(const rp_kernel_args<rp_linear_params> &args) { return rp_linear_view_of(args); }
    __device__ static inline void keep(char *to, uint32_t part, const pair &two) {
        *reinterpret_cast<uint32_t *>(to) = two.part[0], *reinterpret_cast<uint32_t *>(to + part) = two.part[1];
    }
    // A row's chunk, two neighbours a lane; back: for lane 0 to store.
    __device__ static inline pair pair_of(const float2 &two, float &back) { return rp_pair_parts_of(two, back); }
    // backs: of the chunk's rows, from this lane's first on, where they lie in shared memory.
    __device__ static inline void take(operand &to, const char *from, uint32_t second, uint32_t part, const float *backs) {
        if constexpr (NORMS) {
            units::take_parts(to, from, second, part, backs);
        } else {
            units::take_whole(to, from, second);
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

    __device__ static inline void multiply(float (&acc)[4], const operand &x, const other &w) { units::multiply(acc, x, w); }

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
