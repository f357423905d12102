// linear for at most RP_LINEAR_SKINNY_M rows on matrix units: what products of float16 and of pairs of it share. A group makes
// several blocks of eight columns, a group for each multiprocessor or every other one where there are enough. k in chunks of 64, dealt to its warps. All come
// to shared memory: weights by asynchronous copies, before the launch that makes x is done (rp_wait); then x (linear_skinny_x.cuh).
// Each unit, a chunk of a block, sums from zero; then chunk sums are added in order. A launch is short, so what can be worked out
// before the wait is. Included by linear.cu.
#ifndef RP_LINEAR_SKINNY_CUH
#define RP_LINEAR_SKINNY_CUH

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
//   place, place_turn      where 16-byte piece `piece` of row `row` of a unit lies, so that lanes read from different banks; i rows on, i even,
//   lane_place             that is i rows and, xor, i place_turn bytes further. Where this lane begins to read
//   paired                 numbers are pairs (pair.cuh): sums are scaled back by rows' chunks, then by columns
//   at_once, early         1 or 2; whether the first weights are taken before x is there
//   store                  a result, or of a and of b
// With 8 rows, x is the operand of eight and weights of two blocks are that of sixteen; else the other way round.
// LONG: for products whose weights, x and sums do not all fit, and rows of x that a warp does not hold.
enum rp_skinny_way { SKINNY_WHOLE, SKINNY_LONG };
template <class Kind, rp_skinny_way WAY> struct rp_skinny {
    static constexpr bool LONG = WAY == SKINNY_LONG;
    using view_type = typename Kind::view_type;
    static constexpr uint32_t ROWS = Kind::rows, AT_ONCE = Kind::at_once;
    static constexpr uint32_t PLACE = ROWS * 8, NONE = 0xffffffffu;          // sums of a unit; no element
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
        const uint32_t chunks = (p.k + SKINNY_CHUNK - 1) / SKINNY_CHUNK, each = rp_few(chunks + warps - 1, warps);
        const uint32_t lanes_k = each > 1 ? (chunks + each - 1) / each : chunks;
        const uint32_t lane_n = rp_few(warp, lanes_k), lane_k = warp - lane_n * lanes_k;
        // Blocks of this group, in turns: of one, or, where gated, of a's and b's.
        const uint32_t in_turn = p.gated ? 2 : 1, turns = (p.n + 8 * in_turn - 1) / (8 * in_turn), group = rp_group();
        const uint32_t groups = gridDim.x, least = rp_few(turns, groups), more = turns - least * groups;
        const uint32_t block0 = (group * least + min(group, more)) * in_turn, n_blocks = (least + (group < more)) * in_turn;
        const uint32_t most = (least + (more > 0)) * in_turn, lanes_n = min(rp_few(warps, lanes_k), (most + AT_ONCE - 1) / AT_ONCE);
        const uint32_t deep = rp_few(most + lanes_n - 1, lanes_n);
        // A round is a chunk for each of lanes_k. Rounds that there is room for, of weights, x and sums; if not for all, one place of
        // sums is that of the sum so far.
        rp_skinny_x<Kind> x;
        char *at = x.begin(memory, p, chunks);
        uint32_t span = chunks, rounds = each, places = chunks;
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
            const char *from = reinterpret_cast<const char *>(view.w) + (uint64_t)row0 * row_bytes + piece;
            const uint32_t place = Kind::place(lane / pieces, lane % pieces);
            char *to = own;
#pragma unroll 1
            for (uint32_t byte = (begin + lane_k) * w_row; byte < end * w_row && busy; byte += lanes_k * w_row) {
                const char *unit = from + byte;
#pragma unroll 1
                for (uint32_t row = row0; row < (block0 + n_blocks) * 8; row += lanes_n * 8, unit += block_bytes, to += unit_bytes) {
#pragma unroll
                    for (uint32_t i = 0; i < 8; i += step) {
                        rp_copy16(reinterpret_cast<float *>(to + i * w_row + (place ^ i * Kind::place_turn)),
                                  reinterpret_cast<const float *>(unit + i * row_bytes), byte + piece < row_bytes && row + i < p.n ? 16 : 0);
                    }
                    rp_copy_commit();
                    left++;
                }
            }
        };
        // Number i of this group's results: a column of one row; where gated, of a and of b.
        struct {
            uint32_t from, to;             // chunk sums, from `memory` on; element of y, or none
            float scale[2], bias[2], residual;
        } result;
        const uint32_t n_results = n_blocks / in_turn * PLACE;
        const auto place = [&](uint32_t i, bool waited) {
            const uint32_t turn = i / PLACE, in = i % PLACE, row = in / 8;
            const uint32_t column = (block0 + turn * in_turn) * 8 + in % 8;
            const bool live = i < n_results && row < p.m && column < p.n;
            result.from = sums + (turn * in_turn * second + in) * 4;
            result.to = !live ? NONE : p.gated ? (uint32_t)rp_linear_gated_at(p, row, column) : row * p.n + column;
            if constexpr (Kind::paired) {
                result.scale[0] = live ? view.w_scale[column] : 0.0f;
                result.scale[1] = live && p.gated ? view.w_scale[column + RP_LINEAR_GATE] : 0.0f;
            }
            result.bias[0] = live && p.has_bias ? view.bias[column] : 0.0f;
            result.bias[1] = live && p.has_bias && p.gated ? view.bias[column + RP_LINEAR_GATE] : 0.0f;
            if (waited) { result.residual = live && p.has_residual ? view.residual[result.to] : 0.0f; }
        };
        fetch(0, span);
        if constexpr (Kind::turned) { x.scales(p, view.scale); }
        // Where this lane's part of its warp's first chunk of x is, in a row that is not there as in the last one, since nobody
        // stores what comes of it; where its weights are, and where its sums go.
        const uint32_t row_a = min(lane / 4, p.m - 1), row_b = min(lane / 4 + 8, p.m - 1);
        uint32_t x_a = (uint32_t)(x.at - memory) + lane_k * Kind::bytes + row_a * x.pitch + lane % 4 * Kind::lane_bytes;
        uint32_t x_b = (row_b - row_a) * x.pitch;
        uint32_t back = x.backs_at(memory) + (lane_k * RP_LINEAR_SKINNY_M + (ROWS > 8 ? lane / 4 : lane % 4 * 2)) * 4;
        uint32_t unit = (uint32_t)(own - memory) + Kind::lane_place(lane);
        uint32_t to = sums + (lane_n * second + lane_k * PLACE + (ROWS > 8 ? lane * 2 : lane % 4 * 16 + lane / 4)) * 4;
        place(threadIdx.x, false);
        asm volatile("" : "+r"(x_a), "+r"(x_b), "+r"(unit), "+r"(to), "+r"(result.from), "+r"(result.to));
        if constexpr (Kind::paired) { asm volatile("" : "+r"(back), "+f"(result.scale[0]), "+f"(result.scale[1])); }
        const void *from = rp_at<const void>(args, 0);
        for (uint32_t begin = 0; begin < chunks; begin += span) {
            const uint32_t end = LONG ? min(begin + span, chunks) : chunks;
            const uint32_t later = LONG && begin > 0 ? 1 : 0;
            if constexpr (Kind::turned && LONG) {
                x.turn(p, static_cast<const float *>(from), begin, end, chunks, warp, lane);
            } else if constexpr (Kind::turned) {
                if constexpr (!Kind::paired) {
                    x.round(p, static_cast<const float *>(from), chunks, warp, lane);
                } else {
                    x.hold(p, static_cast<const float *>(from), chunks, warp, lane);
                }
            } else {
                x.copy(p, from, begin, end, warp, lane);
            }
            result.residual = p.has_residual && result.to != NONE ? view.residual[result.to] : 0.0f;
            uint32_t x_now = x_a, back_now = back, unit_now = unit, to_now = to + later * PLACE * 4;
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
                Kind::take(operand, memory + x_now, x_b, x.part, reinterpret_cast<const float *>(memory + back_now));
                uint32_t sum_to = to_now;
                for (uint32_t block = lane_n; block < n_blocks; block += AT_ONCE * lanes_n) {
                    float acc[4] = { 0 };
                    if (!taken) { take(block, 0); }
                    taken = false;
                    Kind::multiply(acc, operand, w);
                    float *sum = reinterpret_cast<float *>(memory + sum_to);
                    if constexpr (ROWS > 8) {
                        rp_skinny_keep_rows(sum, acc);
                    } else {
                        rp_skinny_keep_columns(sum, two ? next_block : 0, acc);
                    }
                    sum_to += AT_ONCE * next_block * 4;
                }
                x_now += lanes_k * Kind::bytes, back_now += lanes_k * RP_LINEAR_SKINNY_M * 4, to_now += lanes_k * PLACE * 4;
            }
            __syncthreads();   // sums: written by all warps, read by all
            for (uint32_t i = threadIdx.x; i < n_results;) {
                if (result.to != NONE) {
                    float *own_sums = reinterpret_cast<float *>(memory + result.from), total[2] = { 0, 0 };
                    const uint32_t slots = end - begin + later;
                    if (p.gated) {
                        sum<2>(total, own_sums, slots, second);
                    } else {
                        sum<1>(total, own_sums, slots, 0);
                    }
                    if (LONG && end < chunks) {                  // the sum so far
                        own_sums[0] = total[0];
                        if (p.gated) { own_sums[second] = total[1]; }
                    } else {
                        if constexpr (Kind::paired) { total[0] *= result.scale[0], total[1] *= result.scale[1]; }
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

#endif
