// linear for at most RP_LINEAR_SKINNY_M rows on matrix units: what products of float16 and of bfloat16 triples share. A group makes
// several blocks of eight columns, one group a multiprocessor where there are enough. k in chunks of 64, dealt to its warps. Weights
// come by asynchronous copies, several units (a chunk of a block) a warp ahead, and those first ones before the launch that makes x is
// done (rp_wait); then x, all of it, to shared memory (linear_skinny_x.cuh). Each unit sums from zero; then chunk sums are added in
// order. Included by linear.cu.
#ifndef RP_LINEAR_SKINNY_CUH
#define RP_LINEAR_SKINNY_CUH

#include "op_math.h"

#define SKINNY_CHUNK RP_LINEAR_SKINNY_CHUNK
static_assert(SKINNY_CHUNK == 64, "lanes and pieces below");

#include "linear_skinny_x.cuh"

// Where piece `piece` of row `row` lies: the four that two rows' lanes read at once touch all banks once.
template <uint32_t ROW_BYTES> __device__ inline uint32_t rp_skinny_place(uint32_t row, uint32_t piece) { return row * ROW_BYTES + (piece ^ row % 2 * 4) * 16; }

// Sums as rp_mma leaves them: of sixteen rows of x and eight columns ..
__device__ inline void rp_skinny_keep_rows(float *to, const float (&acc)[4], uint32_t lane) {
    *reinterpret_cast<float2 *>(to + lane * 2) = make_float2(acc[0], acc[1]);
    *reinterpret_cast<float2 *>(to + 64 + lane * 2) = make_float2(acc[2], acc[3]);
}
// .. and of eight columns of one block, or two that lie `second` apart, and eight rows of x.
__device__ inline void rp_skinny_keep_columns(float *to, uint32_t second, const float (&acc)[4], uint32_t lane) {
    float *at = to + lane % 4 * 16 + lane / 4;
    at[0] = acc[0], at[8] = acc[1];
    if (second > 0) { at[second] = acc[2], at[second + 8] = acc[3]; }
}

// Kind: how numbers come to the units.
//   rows, weight, view     8 or 16; type; addresses
//   operand, other         x of a chunk as the units take it (linear_skinny_x.cuh says how); weights of one block or two
//   weights, multiply      one unit or two from shared memory to other (the second absent: nullptr); sums += operand other
//   at_once                1 or 2
//   store                  a result, or of a and of b
// With 8 rows, x is the operand of eight and weights of two blocks are that of sixteen; else the other way round.
template <class Kind> struct rp_skinny {
    using view_type = typename Kind::view_type;
    static constexpr uint32_t ROWS = Kind::rows, AT_ONCE = Kind::at_once;
    static constexpr uint32_t w_row = SKINNY_CHUNK * sizeof(typename Kind::weight), unit_bytes = 8 * w_row;

    // Chunk sums of RESULTS results, `pitch` floats apart; the second result's lie `second` further.
    template <uint32_t RESULTS> __device__ static inline void sum(float (&total)[2], const float *from, uint32_t slots, uint32_t pitch, uint32_t second) {
        float part[8][RESULTS];
#pragma unroll
        for (uint32_t r = 0; r < RESULTS; r++) { total[r] = from[r * second]; }
        uint32_t c = 1;
        from += pitch;
#pragma unroll 1
        for (; c + 8 <= slots; c += 8, from += 8 * pitch) {
#pragma unroll
            for (uint32_t e = 0; e < 8 * RESULTS; e++) { part[e / RESULTS][e % RESULTS] = from[e / RESULTS * pitch + e % RESULTS * second]; }
#pragma unroll
            for (uint32_t e = 0; e < 8 * RESULTS; e++) { total[e % RESULTS] += part[e / RESULTS][e % RESULTS]; }
        }
#pragma unroll 1
        for (; c < slots; c += 4, from += 4 * pitch) {
#pragma unroll
            for (uint32_t e = 0; e < 4 * RESULTS; e++) {
                if (c + e / RESULTS < slots) { part[e / RESULTS][e % RESULTS] = from[e / RESULTS * pitch + e % RESULTS * second]; }
            }
#pragma unroll
            for (uint32_t e = 0; e < 4 * RESULTS; e++) {
                if (c + e / RESULTS < slots) { total[e % RESULTS] += part[e / RESULTS][e % RESULTS]; }
            }
        }
    }

    __device__ static inline void run(const rp_kernel_args<rp_linear_params> &args, char *memory) {
        const rp_linear_params p = args.p;
        const view_type view = Kind::view_of(args);
        const uint32_t warps = blockDim.x / 32, warp = threadIdx.x / 32;
        uint32_t lane = threadIdx.x % 32;
        // Warps stand lanes_k chunks wide and lanes_n blocks deep; what is left over only brings x.
        const uint32_t chunks = (p.k + SKINNY_CHUNK - 1) / SKINNY_CHUNK, each = (chunks + warps - 1) / warps, lanes_k = (chunks + each - 1) / each;
        const uint32_t lane_k = warp % lanes_k, lane_n = warp / lanes_k;
        // Blocks of this group, in turns: of one, or, where gated, of a's and b's.
        const uint32_t in_turn = p.gated ? 2 : 1, turns = (p.n + 8 * in_turn - 1) / (8 * in_turn), group = rp_group();
        const uint32_t least = turns / gridDim.x, more = turns - least * gridDim.x;
        const uint32_t block0 = (group * least + min(group, more)) * in_turn, n_blocks = (least + (group < more)) * in_turn;
        const uint32_t most = (least + (more > 0)) * in_turn, lanes_n = min(warps / lanes_k, (most + AT_ONCE - 1) / AT_ONCE), deep = (most + lanes_n - 1) / lanes_n;
        // A round is a chunk for each of lanes_k. Rounds that there is room for, of weights, x and sums; if not for all, one place of
        // sums is that of the sum so far.
        uint32_t shared_bytes;
        asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(shared_bytes));
        rp_skinny_x<Kind> x;
        char *at = x.begin(memory, p, chunks);
        const uint32_t slot_floats = most * ROWS * 8, room = shared_bytes - (uint32_t)(at - memory);
        uint32_t span = chunks, rounds = each;
        if (RP_LINEAR_SKINNY_SPAN(chunks, each, lanes_k, lanes_n * deep * unit_bytes, p.m * Kind::parts * Kind::bytes, slot_floats * 4) > room) {
            rounds = (room - slot_floats * 4) / RP_LINEAR_SKINNY_SPAN(lanes_k, 1, lanes_k, lanes_n * deep * unit_bytes, p.m * Kind::parts * Kind::bytes, slot_floats * 4);
            span = rounds * lanes_k;
        }
        at = x.room(at, p, span);
        char *own = at + warp * rounds * deep * unit_bytes;
        float *sums = reinterpret_cast<float *>(at + lanes_k * lanes_n * rounds * deep * unit_bytes);     // [slot][block][ROWS][8]
        const bool busy = lane_n < min(lanes_n, n_blocks);

        // Weights of this warp's units in chunks [begin, end), a commit each: chunk by chunk.
        uint32_t left = 0;                 // units that are on their way
        const auto fetch = [&](uint32_t begin, uint32_t end) {
            constexpr uint32_t pieces = w_row / 16, step = 32 / pieces;
            const uint32_t row_bytes = p.k * (uint32_t)sizeof(typename Kind::weight), row0 = (block0 + lane_n) * 8 + lane / pieces, piece = lane % pieces * 16;
            const char *from = reinterpret_cast<const char *>(view.w) + (uint64_t)row0 * row_bytes + piece;
            char *to = own + rp_skinny_place<w_row>(lane / pieces, lane % pieces);
#pragma unroll 1
            for (uint32_t byte = (begin + lane_k) * w_row; byte < end * w_row && busy; byte += lanes_k * w_row) {
                uint32_t row = row0;
#pragma unroll 1
                for (const char *unit = from + byte; row < (block0 + n_blocks) * 8; row += lanes_n * 8, unit += (uint64_t)(lanes_n * 8) * row_bytes, to += unit_bytes) {
#pragma unroll
                    for (uint32_t i = 0; i < 8; i += step) {             // an even number of rows further pieces lie alike
                        rp_copy16(reinterpret_cast<float *>(to + i * w_row), reinterpret_cast<const float *>(unit + i * row_bytes),
                                  byte + piece < row_bytes && row + i < p.n ? 16 : 0);
                    }
                    rp_copy_commit();
                    left++;
                }
            }
        };
        // Of a result: its bias, and the residual, or the bias of b.
        const uint32_t results = ROWS * 8;
        const auto rest_of = [&](uint32_t column, uint32_t row) {
            float2 rest = make_float2(0, 0);
            if (p.has_bias && column < p.n) { rest = make_float2(view.bias[column], p.gated ? view.bias[column + RP_LINEAR_GATE] : 0.0f); }
            if (p.has_residual && row < p.m && column < p.n) { rest.y = view.residual[(uint64_t)row * p.n + column]; }
            return rest;
        };
        fetch(0, span);
        if constexpr (Kind::turned) { x.scales(p, view.scale); }
        const void *from = rp_at<const void>(args, 0);
        for (uint32_t begin = 0; begin < chunks; begin += span) {
            const uint32_t end = min(begin + span, chunks), later = begin > 0 ? 1 : 0, slots = end - begin + later;
            if constexpr (Kind::turned) {
                x.turn(p, static_cast<const float *>(from), begin, end, chunks, warp, lane);
            } else {
                x.copy(p, from, begin, end, warp, lane);
            }
            __syncthreads();   // x: brought by all, read by all
            asm volatile("" : "+r"(lane));             // what follows is worked out now, not kept until now
            // What joins this invocation's first result, on its way meanwhile.
            float2 rest = rest_of((block0 + threadIdx.x / results * in_turn) * 8 + threadIdx.x % 8, threadIdx.x / 8 % ROWS);
            const char *unit = own;
            for (uint32_t chunk = begin + lane_k; chunk < end && busy; chunk += lanes_k) {
                typename Kind::operand operand;
                Kind::take(operand, x.at + (chunk - begin) * Kind::bytes, x.pitch, x.part, p.m, lane);
                for (uint32_t block = lane_n; block < n_blocks; block += AT_ONCE * lanes_n) {
                    const bool two = AT_ONCE > 1 && block + lanes_n < n_blocks;
                    typename Kind::other w;
                    float acc[4] = { 0 }, *to = sums + ((chunk - begin + later) * most + block) * ROWS * 8;
                    left -= 1 + two;
                    if (left >= 4) {
                        rp_copy_wait<4>();
                    } else if (left >= 2) {
                        rp_copy_wait<2>();
                    } else {
                        rp_copy_wait<0>();
                    }
                    __syncwarp();              // units: copied by all lanes, read by all
                    Kind::weights(w, unit, two ? unit + unit_bytes : nullptr, lane);
                    unit += (1 + two) * unit_bytes;
                    Kind::multiply(acc, operand, w);
                    if constexpr (ROWS > 8) {
                        rp_skinny_keep_rows(to, acc, lane);
                    } else {
                        rp_skinny_keep_columns(to, two ? lanes_n * ROWS * 8 : 0, acc, lane);
                    }
                }
            }
            __syncthreads();   // sums: written by all warps, read by all
            // A column of one row; where gated, of a and of b.
            for (uint32_t i = threadIdx.x; i < n_blocks / in_turn * results; i += blockDim.x) {
                const uint32_t turn = i / results, row = i / 8 % ROWS, column = (block0 + turn * in_turn) * 8 + i % 8;
                float *from = sums + (turn * in_turn * ROWS + row) * 8 + i % 8;
                if (row >= p.m) { continue; }
                if (i != threadIdx.x) { rest = rest_of(column, row); }
                float total[2] = { 0, 0 };
                if (p.gated) {
                    sum<2>(total, from, slots, slot_floats, ROWS * 8);
                } else {
                    sum<1>(total, from, slots, slot_floats, 0);
                }
                if (end < chunks) {
                    from[0] = total[0];
                    if (p.gated) { from[ROWS * 8] = total[1]; }
                    continue;
                }
                if (p.has_bias) { total[0] += rest.x; }
                if (p.has_bias && p.gated) { total[1] += rest.y; }
                if (p.has_residual) { total[0] += rest.y; }
                if (column < p.n) { Kind::store(p, view, row, column, total); }
            }
            if (end == chunks) { break; }
            __syncthreads();   // sums, x, weights: read by all, their places may be written
            fetch(end, min(end + span, chunks));
        }
    }
};

// registers: of an invocation. Where two groups of twelve warps have room on a multiprocessor, those of the next launch ask for their
// weights while these are at work.
#define RP_SKINNY(name, registers, ...)                                                                                               \
    extern "C" __global__ void __maxnreg__(registers) name(const rp_kernel_args<rp_linear_params> args) {                             \
        extern __shared__ __align__(128) char skinny_memory[];                                                                        \
        rp_release();                                                                                                                 \
        rp_skinny<__VA_ARGS__>::run(args, skinny_memory);                                                                             \
    }

#endif
