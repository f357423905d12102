// linear for at most RP_LINEAR_SKINNY_M rows on matrix units: what products of float16 and of bfloat16 triples share. A group makes
// several blocks of eight columns, one group a multiprocessor where there are enough. k in chunks of 64, dealt to its warps, which
// keep x of a chunk in registers, as the units want it; weights come by asynchronous copies, RP_LINEAR_SKINNY_SLOTS units (a chunk of
// a block) a warp ahead, and those first ones before the launch that makes x is done (rp_wait). Each unit sums from zero; then chunk
// sums are added in order. Rows can be normalised on the way in. Included by linear.cu.
#ifndef RP_LINEAR_SKINNY_CUH
#define RP_LINEAR_SKINNY_CUH

#include "norm.cuh"
#include "op_math.h"

#define SKINNY_CHUNK RP_LINEAR_SKINNY_CHUNK
#define SLOTS RP_LINEAR_SKINNY_SLOTS
static_assert(SKINNY_CHUNK == 64 && SLOTS >= 2, "lanes and pieces below; two units at a time");

// The inverse roots of all rows, as rmsnorm makes them: 64 sums of every 64th square a row, then halving.
__device__ inline void rp_skinny_norms(float *part, rp_inverse_root *inverse, const rp_linear_params &p, const float *x) {
    constexpr int HELD = 16, SUMS = 2;       // numbers of a row, and sums, that an invocation asks for at once
    const uint32_t n_sums = p.m * RP_GROUP_ROW;
    for (uint32_t first = threadIdx.x; first < n_sums; first += SUMS * blockDim.x) {
        float sum[SUMS] = { 0 };
        for (uint32_t at = 0; at < p.k; at += HELD * RP_GROUP_ROW) {
            float own[SUMS][HELD];
#pragma unroll
            for (int s = 0; s < SUMS; s++) {
                const uint32_t i = first + s * blockDim.x, column = at + i % RP_GROUP_ROW;
                const float *from = x + (uint64_t)(i / RP_GROUP_ROW) * p.k + column;
#pragma unroll
                for (int e = 0; e < HELD; e++) {
                    own[s][e] = i < n_sums && column + e * RP_GROUP_ROW < p.k ? from[e * RP_GROUP_ROW] : 0.0f;
                }
            }
#pragma unroll
            for (int s = 0; s < SUMS; s++) {
#pragma unroll
                for (int e = 0; e < HELD; e++) { sum[s] = __fmaf_rn(own[s][e], own[s][e], sum[s]); }   // a zero adds nothing
            }
        }
#pragma unroll
        for (int s = 0; s < SUMS; s++) {
            if (first + s * blockDim.x < n_sums) { part[first + s * blockDim.x] = sum[s]; }
        }
    }
    __syncthreads();           // part: written by each, read by the warp of the row
    const uint32_t lane = threadIdx.x % 32;
    for (uint32_t row = threadIdx.x / 32; row < p.m; row += blockDim.x / 32) {
        const float whole = rp_halve32(part[row * RP_GROUP_ROW + lane] + part[row * RP_GROUP_ROW + lane + 32]);
        if (lane == 0) { inverse[row] = rp_inverse_root_of(whole / (float)p.k + p.eps); }
    }
    __syncthreads();           // inverse: written by one lane a row, read by all; part: read, so its place may be written
}

__device__ inline float4 rp_normalised4(const float4 &x, const float4 &scale, const rp_inverse_root &inverse) {
    return make_float4(rp_normalised(x.x, scale.x, inverse), rp_normalised(x.y, scale.y, inverse),
                       rp_normalised(x.z, scale.z, inverse), rp_normalised(x.w, scale.w, inverse));
}

// Kind: how numbers come to the units.
//   rows, weight, view     8 or 16; the type of weights; addresses
//   operand, other         x of a chunk as the units take it; likewise weights
//   load                   x from memory to operand (row lane / 4, and + 8), normalised by the chunk's scale if the product norms
//   weights, multiply      one unit or two from shared memory to other (the second absent: nullptr); sums += operand other, all of a chunk
//   keep                   sums of one unit, or of two that lie `second` further, to shared memory, [rows][8]
//   at_once, groups        1 or 2; groups whose registers a multiprocessor should have room for, so that those of the next launch ask for
//                          their weights while these are at work
//   store                  a result of two columns, or of two of a and two of b
// With 8 rows, x is the operand of eight and weights of two blocks are that of sixteen; else the other way round.
template <class Kind> struct rp_skinny {
    using view_type = typename Kind::view_type;
    static constexpr uint32_t row_bytes = SKINNY_CHUNK * sizeof(typename Kind::weight), pieces = row_bytes / 16;   // of a unit's row
    static constexpr uint32_t unit_bytes = 8 * row_bytes;

    // Where piece `piece` of a unit's row lies: the four that two rows' lanes read at once touch all banks once.
    __device__ static uint32_t place(uint32_t row, uint32_t piece) { return row * row_bytes + (piece ^ row % 2 * 4) * 16; }

    __device__ static inline void copy(char *to, const typename Kind::weight *w, uint32_t column0, uint32_t at, const rp_linear_params &p,
                                       uint32_t lane) {
        constexpr uint32_t in_piece = 16 / sizeof(typename Kind::weight), step = 32 / pieces;
        const uint32_t piece = lane % pieces, column = at + piece * in_piece;
#pragma unroll
        for (uint32_t row = lane / pieces; row < 8; row += step) {
            const bool live = column0 + row < p.n && column < p.k;
            const typename Kind::weight *from = live ? w + (uint64_t)(column0 + row) * p.k + column : w;
            rp_copy16(reinterpret_cast<float *>(to + place(row, piece)), reinterpret_cast<const float *>(from), live ? 16 : 0);
        }
    }

    __device__ static inline void run(const rp_kernel_args<rp_linear_params> &args, char *memory, float *scales,
                                      rp_inverse_root *inverse) {
        constexpr uint32_t ROWS = Kind::rows;
        constexpr int AT_ONCE = Kind::at_once;
        const rp_linear_params p = args.p;
        const view_type view = Kind::view_of(args);
        const uint32_t warps = blockDim.x / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        // Warps stand lanes_k chunks wide and lanes_n blocks deep; the host sees to it that they come out even.
        const uint32_t chunks = (p.k + SKINNY_CHUNK - 1) / SKINNY_CHUNK, lanes_k = min(chunks, warps), lanes_n = warps / lanes_k;
        const uint32_t lane_k = warp % lanes_k, lane_n = warp / lanes_k;
        // Blocks of this group, in turns: of one, or, where gated, of a's and b's.
        const uint32_t in_turn = p.gated ? 2 : 1, turns = (p.n + 8 * in_turn - 1) / (8 * in_turn), group = rp_group();
        const uint32_t least = turns / gridDim.x, more = turns % gridDim.x;
        const uint32_t block0 = (group * least + min(group, more)) * in_turn, n_blocks = (least + (group < more)) * in_turn;
        const uint32_t most = (least + (more > 0)) * in_turn, units = RP_LINEAR_SKINNY_UNITS(chunks, lanes_k, most, lanes_n);
        const uint32_t ring = min(units, SLOTS);
        char *own = memory + warp * ring * unit_bytes;
        float *sums = reinterpret_cast<float *>(memory + warps * ring * unit_bytes);   // [slot][block][ROWS][8]
        // Chunk sums that there is room for; if not for all, the first place is that of the sum so far.
        uint32_t shared_bytes;
        asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(shared_bytes));
        const uint32_t slot_floats = most * ROWS * 8, room = (shared_bytes - warps * ring * unit_bytes) / (slot_floats * 4);
        const uint32_t span = room >= chunks ? chunks : (room - 1) / lanes_k * lanes_k;

        uint32_t next_chunk = lane_n < n_blocks ? lane_k : chunks, next_block = lane_n, next_slot = 0, slot = 0;
        const auto fetch = [&]() {
            if (next_chunk < chunks) {
                copy(own + next_slot * unit_bytes, view.w, (block0 + next_block) * 8, next_chunk * SKINNY_CHUNK, p, lane);
                next_block += lanes_n;
                if (next_block >= n_blocks) { next_block = lane_n, next_chunk += lanes_k; }
                next_slot = next_slot + 1 < ring ? next_slot + 1 : 0;
            }
            rp_copy_commit();              // of nothing, at the end: the count below goes on
        };
        if (p.norm) {                      // the scale of the first chunk, of a lane's pieces
            if (lane < 16 && lane_k * SKINNY_CHUNK + lane * 4 < p.k) { rp_copy16(scales + warp * SKINNY_CHUNK + lane * 4, view.scale + lane_k * SKINNY_CHUNK + lane * 4, 16); }
        }
        rp_copy_commit();
#pragma unroll 1
        for (int i = 0; i < SLOTS; i++) { fetch(); }
        rp_wait();
        if constexpr (Kind::norms) {
            if (p.norm) {
                rp_skinny_norms(sums, inverse, p, rp_at<const float>(args, 0));
                rp_copy_wait<SLOTS>();
                __syncwarp();              // scales: copied by half the lanes, read by all
            }
        }
        for (uint32_t begin = 0; begin < chunks; begin += span) {
            const uint32_t end = min(begin + span, chunks), later = begin > 0 ? 1 : 0, slots = end - begin + later;
            for (uint32_t chunk = begin + lane_k; chunk < end && lane_n < n_blocks; chunk += lanes_k) {
                typename Kind::operand x;
                Kind::load(x, p, view, chunk * SKINNY_CHUNK, chunk == lane_k ? scales + warp * SKINNY_CHUNK : view.scale + chunk * SKINNY_CHUNK, inverse, lane);
                for (uint32_t block = lane_n; block < n_blocks; block += AT_ONCE * lanes_n) {
                    typename Kind::other w;
                    float acc[4] = { 0 };
                    const bool two = AT_ONCE > 1 && block + lanes_n < n_blocks;
                    rp_copy_wait<SLOTS - AT_ONCE>();
                    __syncwarp();          // units: copied by all lanes, read by all
                    const char *first = own + slot * unit_bytes;
                    slot = slot + 1 < ring ? slot + 1 : 0;
                    Kind::weights(w, first, two ? own + slot * unit_bytes : nullptr, lane);
                    if (two) { slot = slot + 1 < ring ? slot + 1 : 0; }
                    __syncwarp();          // units: read by all lanes, their places may be written
                    fetch();
                    if (two) { fetch(); }
                    Kind::multiply(acc, x, w);
                    Kind::keep(sums + ((chunk - begin + later) * most + block) * ROWS * 8, two ? lanes_n * ROWS * 8 : 0, acc, lane);
                }
            }
            __syncthreads();   // sums: written by all warps, read by all
            // Two neighbouring columns of one row; where gated, of a and of b.
            for (uint32_t i = threadIdx.x; i < n_blocks / in_turn * ROWS * 4; i += blockDim.x) {
                const uint32_t turn = i / (ROWS * 4), row = i / 4 % ROWS, column = i % 4 * 2;
                float2 total[2] = { { 0, 0 }, { 0, 0 } };
                if (row >= p.m) { continue; }
#pragma unroll
                for (uint32_t j = 0; j < 2; j++) {
                    if (j >= in_turn) { break; }
                    float *from = sums + ((turn * in_turn + j) * ROWS + row) * 8 + column;
                    total[j] = *reinterpret_cast<const float2 *>(from);
                    for (uint32_t c = 1; c < slots; c += 8) {
                        float2 chunk[8];
#pragma unroll
                        for (uint32_t e = 0; e < 8; e++) { chunk[e] = *reinterpret_cast<const float2 *>(from + min(c + e, slots - 1) * slot_floats); }
#pragma unroll
                        for (uint32_t e = 0; e < 8; e++) {
                            if (c + e < slots) { total[j].x += chunk[e].x, total[j].y += chunk[e].y; }
                        }
                    }
                    if (end < chunks) { *reinterpret_cast<float2 *>(from) = total[j]; }
                }
                if (end == chunks) { Kind::store(p, view, row, (block0 + turn * in_turn) * 8 + column, total); }
            }
            if (end < chunks) { __syncthreads(); }   // sums: read by all, their places may be written
        }
    }
};

// Sums as rp_mma leaves them: of sixteen rows of x and eight columns ..
__device__ inline void rp_skinny_keep_rows(float *to, const float (&acc)[4], uint32_t lane) {
    *reinterpret_cast<float2 *>(to + lane * 2) = make_float2(acc[0], acc[1]);
    *reinterpret_cast<float2 *>(to + 64 + lane * 2) = make_float2(acc[2], acc[3]);
}
// .. and of eight columns of one or two blocks and eight rows of x.
__device__ inline void rp_skinny_keep_columns(float *to, uint32_t second, const float (&acc)[4], uint32_t lane) {
    float *at = to + lane % 4 * 16 + lane / 4;
    at[0] = acc[0], at[8] = acc[1];
    if (second > 0) { at[second] = acc[2], at[second + 8] = acc[3]; }
}

#define RP_SKINNY(name, ...)                                                                                                          \
    extern "C" __global__ void __launch_bounds__(32 * RP_LINEAR_SKINNY_WARPS, __VA_ARGS__::groups) name(const rp_kernel_args<rp_linear_params> args) {      \
        extern __shared__ __align__(128) char skinny_memory[];                                                                        \
        __shared__ __align__(16) float scales[RP_LINEAR_SKINNY_WARPS * SKINNY_CHUNK];                                                 \
        __shared__ rp_inverse_root inverse[RP_LINEAR_SKINNY_M];                                                                       \
        rp_release();                                                                                                                 \
        rp_skinny<__VA_ARGS__>::run(args, skinny_memory, scales, inverse);                                                                    \
    }

#endif
