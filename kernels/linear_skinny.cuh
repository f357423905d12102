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
//   quad(lane, i)          where in a chunk the i-th four numbers of a lane begin
//   raw, operand           x of a chunk as it is read, and as the units take it; likewise weights: other
//   load, turn             x from memory to raw (row lane / 4, and + 8); raw to operand, normalised by scale if the product norms
//   weights, product       a unit from shared memory to other; sums += operand other, all of a chunk
//   store                  a result of two columns, or of two of a and two of b
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

    __device__ static inline void run(const rp_kernel_args<rp_linear_params> &args, char *memory, rp_inverse_root *inverse) {
        constexpr uint32_t ROWS = Kind::rows;
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
        typename Kind::raw raw;
        float4 scale[4];
        const auto load_scale = [&](uint32_t chunk) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const uint32_t at = chunk * SKINNY_CHUNK + Kind::quad(lane, i);
                scale[i] = p.norm && at < p.k ? *reinterpret_cast<const float4 *>(view.scale + at) : make_float4(0, 0, 0, 0);
            }
        };
#pragma unroll
        for (int i = 0; i < SLOTS; i++) { fetch(); }
        load_scale(lane_k);
        rp_wait();
        Kind::load(raw, p, view, lane_k * SKINNY_CHUNK, lane);
        if constexpr (Kind::norms) {
            if (p.norm) { rp_skinny_norms(sums, inverse, p, view.x32); }
        }
        for (uint32_t begin = 0; begin < chunks; begin += span) {
            const uint32_t end = min(begin + span, chunks), later = begin > 0 ? 1 : 0;
            for (uint32_t chunk = begin + lane_k; chunk < end && lane_n < n_blocks; chunk += lanes_k) {
                typename Kind::operand x;
                if (chunk != lane_k) { Kind::load(raw, p, view, chunk * SKINNY_CHUNK, lane), load_scale(chunk); }
                Kind::turn(x, raw, scale, inverse, p, lane);
                float *to = sums + (chunk - begin + later) * slot_floats + lane * 2;
                for (uint32_t block = lane_n; block < n_blocks; block += 2 * lanes_n) {
                    const bool two = block + lanes_n < n_blocks;
                    const char *from[2] = { own + slot * unit_bytes, own };
                    slot = slot + 1 < ring ? slot + 1 : 0;
                    if (two) {
                        from[1] = own + slot * unit_bytes;
                        slot = slot + 1 < ring ? slot + 1 : 0;
                    }
                    rp_copy_wait<SLOTS - 2>();
                    __syncwarp();          // units: copied by all lanes, read by all
                    float acc[2][4] = { { 0 } };
                    typename Kind::other w[2];
                    Kind::weights(w[0], from[0], lane);
                    if (two) {
                        Kind::weights(w[1], from[1], lane);
                        __syncwarp();      // units: read by all lanes, their places may be written
                        fetch(), fetch();
                        Kind::product2(acc, x, w);
                    } else {
                        __syncwarp();
                        fetch();
                        Kind::product(acc[0], x, w[0]);
                    }
#pragma unroll
                    for (uint32_t j = 0; j < 2; j++) {
                        if (j == 1 && !two) { break; }
                        float *at = to + (block + j * lanes_n) * ROWS * 8;
                        *reinterpret_cast<float2 *>(at) = make_float2(acc[j][0], acc[j][1]);
                        if (ROWS > 8) { *reinterpret_cast<float2 *>(at + 64) = make_float2(acc[j][2], acc[j][3]); }
                    }
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
#pragma unroll 12
                    for (uint32_t c = 1; c < end - begin + later; c++) {
                        const float2 chunk = *reinterpret_cast<const float2 *>(from + c * slot_floats);
                        total[j].x += chunk.x, total[j].y += chunk.y;
                    }
                    if (end < chunks) { *reinterpret_cast<float2 *>(from) = total[j]; }
                }
                if (end == chunks) { Kind::store(p, view, row, (block0 + turn * in_turn) * 8 + column, total); }
            }
            if (end < chunks) { __syncthreads(); }   // sums: read by all, their places may be written
        }
    }
};

#define RP_SKINNY(name, ...)                                                                                                          \
    extern "C" __global__ void __launch_bounds__(32 * RP_LINEAR_SKINNY_WARPS) name(const rp_kernel_args<rp_linear_params> args) {      \
        extern __shared__ __align__(128) char skinny_memory[];                                                                        \
        __shared__ rp_inverse_root inverse[RP_LINEAR_SKINNY_M];                                                                       \
        rp_release();                                                                                                                 \
        rp_skinny<__VA_ARGS__>::run(args, skinny_memory, inverse);                                                                    \
    }

#endif
