// linear for at most RP_LINEAR_SKINNY_M rows on matrix units: what products of float16 and of bfloat16 triples share. A group makes
// several blocks of eight columns, one group a multiprocessor where there are enough. k in chunks of 64, dealt to its warps. All come
// to shared memory: weights by asynchronous copies, before the launch that makes x is done (rp_wait); then x (linear_skinny_x.cuh).
// Each unit, a chunk of a block, sums from zero; then chunk sums are added in order. A launch is short, so what can be worked out
// before the wait is. Included by linear.cu.
#ifndef RP_LINEAR_SKINNY_CUH
#define RP_LINEAR_SKINNY_CUH

#include "cluster.cuh"
#include "op_math.h"

#define SKINNY_CHUNK RP_LINEAR_SKINNY_CHUNK
static_assert(SKINNY_CHUNK == 64, "lanes and pieces below");

// a / b where that is small, and a division takes longer.
__device__ inline uint32_t rp_few(uint32_t a, uint32_t b) {
    uint32_t quotient = 0;
#pragma unroll 1
    for (; a >= b; a -= b) { quotient++; }
    return quotient;
}

#include "linear_skinny_x.cuh"

// Waits until all but the latest n commits are done, or, of many, four.
__device__ inline void rp_copy_wait_some(uint32_t n) {
    if (n >= 4) {
        rp_copy_wait<4>();
    } else if (n == 3) {
        rp_copy_wait<3>();
    } else if (n == 2) {
        rp_copy_wait<2>();
    } else if (n == 1) {
        rp_copy_wait<1>();
    } else {
        rp_copy_wait<0>();
    }
}

// Where 16-byte piece `piece` of row `row` of a unit lies: the four that two rows' lanes read at once touch all banks once.
template <uint32_t ROW_BYTES> __device__ inline uint32_t rp_skinny_place(uint32_t row, uint32_t piece) {
    return row * ROW_BYTES + (piece ^ row % 2 * 4) * 16;
}
// How far on the next four pieces of this lane's row lie, lane / 4, from the first four, and so on by twos.
__device__ inline int rp_skinny_turn() { return threadIdx.x / 4 % 2 == 0 ? 64 : -64; }

// Sums as rp_mma leaves them, from this lane's place on: of sixteen rows of x and eight columns ..
__device__ inline void rp_skinny_keep_rows(float *to, const float (&acc)[4]) {
    *reinterpret_cast<float2 *>(to) = make_float2(acc[0], acc[1]);
    *reinterpret_cast<float2 *>(to + 64) = make_float2(acc[2], acc[3]);
}
// .. and of eight columns of one block, or two that lie `second` apart, and eight rows of x.
__device__ inline void rp_skinny_keep_columns(float *to, uint32_t second, const float (&acc)[4]) {
    to[0] = acc[0], to[8] = acc[1];
    if (second > 0) { to[second] = acc[2], to[second + 8] = acc[3]; }
}

// Kind: how numbers come to the units.
//   rows, weight, view     8 or 16; type; addresses
//   operand, other         x of a chunk as the units take it (linear_skinny_x.cuh says how); weights of one block or two
//   weights, multiply      one unit, or two that follow each other, from this lane's place on to other; sums += operand other
//   at_once, early         1 or 2; whether the first weights are taken before x is there
//   store                  a result, or of a and of b
// With 8 rows, x is the operand of eight and weights of two blocks are that of sixteen; else the other way round.
// LONG: for products whose weights, x and sums do not all fit, and rows of x that a warp does not hold.
// SHARED: a cluster of RP_LINEAR_SKINNY_RANKS groups makes what else one group does, each of them a part of the chunks, so that each reads
// that part of x alone. Sums of units go to the group that adds those rows': all chunks' in ascending order, so the same bits.
enum rp_skinny_way { SKINNY_WHOLE, SKINNY_LONG, SKINNY_SHARED };
template <class Kind, rp_skinny_way WAY> struct rp_skinny {
    static constexpr bool LONG = WAY == SKINNY_LONG, SHARED = WAY == SKINNY_SHARED;
    using view_type = typename Kind::view_type;
    static constexpr uint32_t ROWS = Kind::rows, AT_ONCE = Kind::at_once;
    static constexpr uint32_t RANKS = SHARED ? RP_LINEAR_SKINNY_RANKS : 1;
    static_assert(!SHARED || (ROWS == 8 && RANKS == 4), "a lane's two rows are one group's");
    static constexpr uint32_t PLACE = ROWS * 8 / RANKS, NONE = 0xffffffffu;  // sums of a unit that a group adds; no element
    static constexpr uint32_t w_row = SKINNY_CHUNK * sizeof(typename Kind::weight), unit_bytes = 8 * w_row;

    template <uint32_t N> struct number {
        static constexpr uint32_t n = N;
    };
    // Chunk sums of a result, or, `second` further, of another too, in ascending order.
    template <uint32_t RESULTS>
    __device__ static inline void sum(float (&total)[2], const float *from, uint32_t slots, uint32_t second) {
        const float *at[2] = { from, from + second };
        const auto add = [&](auto count) {
            constexpr uint32_t N = decltype(count)::n;
            float part[N][RESULTS];
#pragma unroll
            for (uint32_t e = 0; e < N * RESULTS; e++) { part[e / RESULTS][e % RESULTS] = at[e % RESULTS][e / RESULTS * PLACE]; }
#pragma unroll
            for (uint32_t e = 0; e < N * RESULTS; e++) { total[e % RESULTS] += part[e / RESULTS][e % RESULTS]; }
            at[0] += N * PLACE, at[1] += N * PLACE;
        };
#pragma unroll
        for (uint32_t r = 0; r < RESULTS; r++) { total[r] = at[r][0], at[r] += PLACE; }
        uint32_t left = slots - 1;
#pragma unroll 1
        for (; left >= 8; left -= 8) { add(number<8>()); }
        if (left & 4) { add(number<4>()); }
        if (left & 2) { add(number<2>()); }
        if (left & 1) { add(number<1>()); }
    }

    __device__ static inline void run(const rp_kernel_args<rp_linear_params> &args, char *memory) {
        const rp_linear_params p = args.p;
        const view_type view = Kind::view_of(args);
        const uint32_t warps = blockDim.x / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        // Warps stand lanes_k chunks wide and lanes_n blocks deep; what is left over only brings x.
        // Chunks: of the product, and of each group of a cluster, from `chunk0` on.
        const uint32_t all = (p.k + SKINNY_CHUNK - 1) / SKINNY_CHUNK, chunks = (all + RANKS - 1) / RANKS, rank = blockIdx.x % RANKS;
        const uint32_t chunk0 = rank * chunks, each = rp_few(chunks + warps - 1, warps);
        const uint32_t lanes_k = each > 1 ? (chunks + each - 1) / each : chunks;
        const uint32_t lane_n = rp_few(warp, lanes_k), lane_k = warp - lane_n * lanes_k;
        // Blocks of this group, in turns: of one, or, where gated, of a's and b's.
        const uint32_t in_turn = p.gated ? 2 : 1, turns = (p.n + 8 * in_turn - 1) / (8 * in_turn), group = rp_group() / RANKS;
        const uint32_t groups = gridDim.x / RANKS, least = rp_few(turns, groups), more = turns - least * groups;
        const uint32_t block0 = (group * least + min(group, more)) * in_turn, n_blocks = (least + (group < more)) * in_turn;
        const uint32_t most = (least + (more > 0)) * in_turn, lanes_n = min(rp_few(warps, lanes_k), (most + AT_ONCE - 1) / AT_ONCE);
        const uint32_t deep = rp_few(most + lanes_n - 1, lanes_n);
        // A round is a chunk for each of lanes_k. Rounds that there is room for, of weights, x and sums; if not for all, one place of
        // sums is that of the sum so far.
        rp_skinny_x<Kind> x;
        uint64_t *ready = reinterpret_cast<uint64_t *>(memory);              // SHARED: sums for this group are there
        char *at = x.begin(SHARED ? memory + RP_LINEAR_SKINNY_READY : memory, p, chunks);
        uint32_t span = chunks, rounds = each, places = all;
        if constexpr (LONG) {
            uint32_t shared_bytes;
            asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(shared_bytes));
            const uint32_t sum_bytes = most * PLACE * 4, x_bytes = p.m * Kind::parts * Kind::bytes;
            const uint32_t units_bytes = lanes_n * deep * unit_bytes, room = shared_bytes - (uint32_t)(at - memory);
            if (RP_LINEAR_SKINNY_SPAN(chunks, each, lanes_k, units_bytes, x_bytes, sum_bytes) > room) {
                rounds = (room - sum_bytes) / RP_LINEAR_SKINNY_SPAN(lanes_k, 1, lanes_k, units_bytes, x_bytes, sum_bytes);
                span = rounds * lanes_k, places = span + 1;
            }
        }
        at = x.room(at, p, span);
        char *own = at + warp * rounds * deep * unit_bytes;
        const uint32_t sums = (uint32_t)(at - memory) + lanes_k * lanes_n * deep * unit_bytes * rounds;   // [block][place][PLACE]
        const bool busy = lane_n < min(lanes_n, n_blocks);
        uint32_t second = places * PLACE, next_block = lanes_n * second;     // floats from a block's sums to the next one's, and to the same warp's next
        asm volatile("" : "+r"(second), "+r"(next_block));
        // Weights of this warp's units in chunks [begin, end), a commit each: chunk by chunk.
        uint32_t left = 0;                 // units that are on their way
        const auto fetch = [&](uint32_t begin, uint32_t end) {
            constexpr uint32_t pieces = w_row / 16, step = 32 / pieces;
            const uint32_t row_bytes = p.k * (uint32_t)sizeof(typename Kind::weight), block_bytes = lanes_n * 8 * row_bytes;
            const uint32_t row0 = (block0 + lane_n) * 8 + lane / pieces, piece = lane % pieces * 16;
            const uint32_t byte0 = chunk0 * w_row + piece;
            const char *from = reinterpret_cast<const char *>(view.w) + (uint64_t)row0 * row_bytes + byte0;
            char *to = own + rp_skinny_place<w_row>(lane / pieces, lane % pieces);
#pragma unroll 1
            for (uint32_t byte = (begin + lane_k) * w_row; byte < end * w_row && busy; byte += lanes_k * w_row) {
                const char *unit = from + byte;
#pragma unroll 1
                for (uint32_t row = row0; row < (block0 + n_blocks) * 8; row += lanes_n * 8, unit += block_bytes, to += unit_bytes) {
#pragma unroll
                    for (uint32_t i = 0; i < 8; i += step) {             // an even number of rows further, pieces lie alike
                        rp_copy16(reinterpret_cast<float *>(to + i * w_row), reinterpret_cast<const float *>(unit + i * row_bytes),
                                  byte + byte0 < row_bytes && row + i < p.n ? 16 : 0);
                    }
                    rp_copy_commit();
                    left++;
                }
            }
        };
        // Number i of this group's results: a column of one row; where gated, of a and of b.
        struct {
            uint32_t from, to;             // chunk sums, from `memory` on; element of y, or none
            float bias[2], residual;
        } result;
        const uint32_t n_results = n_blocks / in_turn * PLACE;
        const auto place = [&](uint32_t i, bool waited) {
            const uint32_t turn = i / PLACE, in = i % PLACE, row = SHARED ? rank * 2 + in % 2 : in / 8;
            const uint32_t column = (block0 + turn * in_turn) * 8 + (SHARED ? in / 2 : in % 8);
            const bool live = i < n_results && row < p.m && column < p.n;
            result.from = sums + (turn * in_turn * second + in) * 4;
            result.to = !live ? NONE : p.gated ? (uint32_t)rp_linear_gated_at(p, row, column) : row * p.n + column;
            result.bias[0] = live && p.has_bias ? view.bias[column] : 0.0f;
            result.bias[1] = live && p.has_bias && p.gated ? view.bias[column + RP_LINEAR_GATE] : 0.0f;
            if (waited) { result.residual = live && p.has_residual ? view.residual[result.to] : 0.0f; }
        };
        if constexpr (SHARED) {
            rp_cluster_begin(ready);
            if (threadIdx.x == 0) { rp_cluster_expect(ready, n_blocks * all * PLACE * 4); }
        }
        fetch(0, span);
        if constexpr (Kind::turned) { x.scales(p, view.scale); }
        // Where this lane's part of its warp's first chunk of x is, in a row that is not there as in the last one, since nobody
        // stores what comes of it; where its weights are, and where its sums go.
        const uint32_t row_a = min(lane / 4, p.m - 1), row_b = min(lane / 4 + 8, p.m - 1);
        uint32_t x_a = (uint32_t)(x.at - memory) + lane_k * Kind::bytes + row_a * x.pitch + lane % 4 * Kind::lane_bytes;
        uint32_t x_b = (row_b - row_a) * x.pitch;
        uint32_t unit = (uint32_t)(own - memory) + rp_skinny_place<w_row>(lane / 4, lane % 4);
        uint32_t to = SHARED ? sums + (lane_n * second + (chunk0 + lane_k) * PLACE + lane / 4 * 2) * 4
                             : sums + (lane_n * second + lane_k * PLACE + (ROWS > 8 ? lane * 2 : lane % 4 * 16 + lane / 4)) * 4;
        place(threadIdx.x, false);
        asm volatile("" : "+r"(x_a), "+r"(x_b), "+r"(unit), "+r"(to), "+r"(result.from), "+r"(result.to));
        const void *from = rp_at<const void>(args, 0);
        for (uint32_t begin = 0; begin < chunks; begin += span) {
            const uint32_t end = LONG ? min(begin + span, chunks) : SHARED ? min(chunks, all - min(all, chunk0)) : chunks;
            const uint32_t later = LONG && begin > 0 ? 1 : 0;
            if constexpr (SHARED) { rp_cluster_wait_begun(); }               // all groups have made their barriers
            if constexpr (Kind::turned && LONG) {
                x.turn(p, static_cast<const float *>(from), begin, end, chunks, warp, lane);
            } else if constexpr (Kind::turned) {
                if constexpr (Kind::parts == 1) {
                    x.round(p, static_cast<const float *>(from), chunks, warp, lane);
                } else {
                    x.hold(p, static_cast<const float *>(from), chunks, warp, lane);
                }
            } else {
                x.copy(p, from, chunk0 + begin, chunk0 + end, warp, lane);
            }
            result.residual = p.has_residual && result.to != NONE ? view.residual[result.to] : 0.0f;
            uint32_t x_now = x_a, unit_now = unit, to_now = to + later * PLACE * 4;
            typename Kind::other w;
            bool two, taken = false;
            const auto take = [&](uint32_t block, uint32_t after) {      // weights, but for what was asked for after them
                two = AT_ONCE > 1 && block + lanes_n < n_blocks;
                left -= 1 + two;
                rp_copy_wait_some(left + after);
                __syncwarp();              // units: copied by all lanes, read by all
                Kind::weights(w, memory + unit_now, two);
                unit_now += (1 + two) * unit_bytes;
            };
            if constexpr (!Kind::turned) {
                if (Kind::early && busy) { take(lane_n, 1), taken = true; }       // while x is on its way
                rp_copy_wait<0>();
            }
            __syncthreads();   // x: brought by all, read by all
            for (uint32_t chunk = begin + lane_k; chunk < end && busy; chunk += lanes_k) {
                typename Kind::operand operand;
                Kind::take(operand, memory + x_now, x_b, x.part);
                uint32_t sum_to = to_now;
                for (uint32_t block = lane_n; block < n_blocks; block += AT_ONCE * lanes_n) {
                    float acc[4] = { 0 };
                    if (!taken) { take(block, 0); }
                    taken = false;
                    Kind::multiply(acc, operand, w);
                    float *sum = reinterpret_cast<float *>(memory + sum_to);
                    if constexpr (SHARED) {                  // this lane's two rows of a column
                        rp_cluster_send2(sum, lane % 4, ready, acc[0], acc[1]);
                        if (two) { rp_cluster_send2(sum + next_block, lane % 4, ready, acc[2], acc[3]); }
                    } else if constexpr (ROWS > 8) {
                        rp_skinny_keep_rows(sum, acc);
                    } else {
                        rp_skinny_keep_columns(sum, two ? next_block : 0, acc);
                    }
                    sum_to += AT_ONCE * next_block * 4;
                }
                x_now += lanes_k * Kind::bytes, to_now += lanes_k * PLACE * 4;
            }
            if constexpr (SHARED) {
                rp_cluster_wait_ready(ready);
            } else {
                __syncthreads();   // sums: written by all warps, read by all
            }
            for (uint32_t i = threadIdx.x; i < n_results;) {
                if (result.to != NONE) {
                    float *own_sums = reinterpret_cast<float *>(memory + result.from), total[2] = { 0, 0 };
                    const uint32_t slots = SHARED ? all : end - begin + later;
                    if (p.gated) {
                        sum<2>(total, own_sums, slots, second);
                    } else {
                        sum<1>(total, own_sums, slots, 0);
                    }
                    if (LONG && end < chunks) {                  // the sum so far
                        own_sums[0] = total[0];
                        if (p.gated) { own_sums[second] = total[1]; }
                    } else {
                        if (p.has_bias) { total[0] += result.bias[0], total[1] += result.bias[1]; }
                        if (p.has_residual) { total[0] += result.residual; }
                        Kind::store(p, view, result.to, total);
                    }
                }
                i += blockDim.x;
                if (i < n_results) { place(i, true); }
            }
            if (!LONG || end == chunks) { break; }
            __syncthreads();   // sums, x, weights: read by all, their places may be written
            place(threadIdx.x, true);
            fetch(end, min(end + span, chunks));
        }
    }
};

// registers: of an invocation. Where two groups have room on a multiprocessor, those of the next launch ask for their weights while
// these are at work: 16 warps of 64, or 14 of 72.
#define RP_SKINNY_KERNEL(name, registers, ...)                                                                                        \
    extern "C" __global__ void __maxnreg__(registers) name(const rp_kernel_args<rp_linear_params> args) {                             \
        extern __shared__ __align__(128) char skinny_memory[];                                                                        \
        rp_release();                                                                                                                 \
        rp_skinny<__VA_ARGS__>::run(args, skinny_memory);                                                                             \
    }
#define RP_SKINNY(name, registers, ...)                                                                                               \
    RP_SKINNY_KERNEL(name, registers, __VA_ARGS__, SKINNY_WHOLE)                                                                      \
    RP_SKINNY_KERNEL(name##_long, 128, __VA_ARGS__, SKINNY_LONG)
// The same by clusters.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define RP_SKINNY_SHARED(name, registers, ...)                                                                                        \
    extern "C" __global__ void __cluster_dims__(RP_LINEAR_SKINNY_RANKS, 1, 1) __maxnreg__(registers)                                  \
        name(const rp_kernel_args<rp_linear_params> args) {                                                                           \
        extern __shared__ __align__(128) char skinny_memory[];                                                                        \
        rp_release();                                                                                                                 \
        rp_skinny<__VA_ARGS__, SKINNY_SHARED>::run(args, skinny_memory);                                                              \
    }
#else
#define RP_SKINNY_SHARED(name, registers, ...) \
    extern "C" __global__ void name(const rp_kernel_args<rp_linear_params>) {}
#endif

#endif
