// linear in float32 on the matrix units of compute capability 9.0, weights in pairs of float16 (pair.cuh, op pair_rows): three of the four
// products of parts make a product (order: core/op_params.h). Two invocations feed parts of w, and x as it is, to shared memory by the copy
// engine, STAGES chunks of 64 columns of k ahead, w before the launch that makes x is done (rp_wait); one or two warpgroups multiply,
// 64 x N results each: they split their rows of x, whose parts stay in registers, and add up the sums of chunks. Groups stay: each takes
// tiles of y until none is left, rows first. Included by linear.cu; the host picks among the shapes of tiles (core/ops/linear.c).
#ifndef RP_LINEAR_PAIR_CUH
#define RP_LINEAR_PAIR_CUH

#include "exp.cuh"
#include "linear_wgmma.cuh"
#include "op_math.h"
#include "pair.cuh"

#ifdef RP_HAS_WGMMA

// Two neighbours of an array, of which so many are there. PAIRS: it lies in whole pairs.
template <bool PAIRS> __device__ inline float2 rp_pair_two(const float *at, int there) {
    if constexpr (PAIRS) { return there > 0 ? *reinterpret_cast<const float2 *>(at) : make_float2(0, 0); }
    return make_float2(there > 0 ? at[0] : 0, there > 1 ? at[1] : 0);
}
template <bool PAIRS> __device__ inline void rp_pair_put(float *at, int there, float a, float b) {
    if constexpr (PAIRS) {
        if (there > 0) { *reinterpret_cast<float2 *>(at) = make_float2(a, b); }
    } else {
        if (there > 0) { at[0] = a; }
        if (there > 1) { at[1] = b; }
    }
}

// Blocks of eight columns of two rows, from `row` and `column` (even) on, as a lane holds them: chunk sums times their column's scale, then
// bias, then residual, gate or silu. All that is read is asked for at once. PAIRS: rows of y and of the residual lie in whole pairs.
template <bool PAIRS, int BLOCKS>
__device__ inline void rp_pair_store(const rp_linear_params &p, const rp_linear_view &view, float (&total)[BLOCKS][4], uint32_t row, uint32_t column) {
    static_assert(RP_LINEAR_GATE == 8 && BLOCKS % 2 == 0, "neighbours j and j + 1 are a and b");
    const uint64_t at = (uint64_t)row * p.n + column;
    const int left = (int)(p.n - column);                                  // columns that there are from there on
    float2 scale[BLOCKS], bias[BLOCKS];
#pragma unroll
    for (int j = 0; j < BLOCKS; j++) {
        scale[j] = rp_pair_two<PAIRS>(view.w_scale + column + j * 8, left - j * 8);
        bias[j] = rp_pair_two<PAIRS>(view.bias + column + j * 8, p.has_bias ? left - j * 8 : 0);
    }
#pragma unroll
    for (int j = 0; j < BLOCKS; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) { total[j][e] *= e % 2 == 0 ? scale[j].x : scale[j].y; }
    }
    if (p.has_bias) {
#pragma unroll
        for (int j = 0; j < BLOCKS; j++) {
            total[j][0] += bias[j].x, total[j][1] += bias[j].y, total[j][2] += bias[j].x, total[j][3] += bias[j].y;
        }
    }
    if (p.has_residual) {
        float2 rest[BLOCKS][2];
#pragma unroll
        for (int e = 0; e < BLOCKS * 2; e++) {
            const uint32_t j = e / 2, h = e % 2 * 8;
            rest[j][e % 2] = rp_pair_two<PAIRS>(view.residual + at + (uint64_t)h * p.n + j * 8, row + h < p.m ? left - (int)j * 8 : 0);
        }
#pragma unroll
        for (int e = 0; e < BLOCKS * 2; e++) { total[e / 2][e % 2 * 2] += rest[e / 2][e % 2].x, total[e / 2][e % 2 * 2 + 1] += rest[e / 2][e % 2].y; }
    }
    if (p.gated || p.silu) {
#pragma unroll
        for (int e = 0; e < BLOCKS * 4; e++) {
            float &value = total[e / 4][e % 4];
            if (p.silu || e / 4 % 2 == 0) { value = rp_silu_flat(value); }
            asm volatile("" : "+f"(value));                                // all side by side, whichever are stored
        }
    }
    if (p.gated) {
        float *y = view.y + rp_linear_gated_at(p, row, column);
#pragma unroll
        for (int e = 0; e < BLOCKS; e++) {
            const int j = e / 2 * 2, h = e % 2;
            rp_pair_put<PAIRS>(y + (uint64_t)(h * 8) * (p.n / 2) + j * 4, row + h * 8 < p.m ? left - j * 8 : 0, total[j][h * 2] * total[j + 1][h * 2],
                                 total[j][h * 2 + 1] * total[j + 1][h * 2 + 1]);
        }
    } else {
#pragma unroll
        for (int e = 0; e < BLOCKS * 2; e++) {
            const int j = e / 2, h = e % 2;
            rp_pair_put<PAIRS>(view.y + at + (uint64_t)(h * 8) * p.n + j * 8, row + h * 8 < p.m ? left - j * 8 : 0, total[j][h * 2], total[j][h * 2 + 1]);
        }
    }
}
// Whether rows of y, of the residual, the bias and the scales lie in whole pairs.
__device__ inline bool rp_pair_pairs(const rp_linear_params &p, const rp_linear_view &view) {
    return p.n % 2 == 0 && (reinterpret_cast<uint64_t>(view.y) | reinterpret_cast<uint64_t>(view.residual) | reinterpret_cast<uint64_t>(view.bias) |
                            reinterpret_cast<uint64_t>(view.w_scale)) % 8 == 0;
}

// What an invocation that multiplies reads of a chunk of x: two rows of its warp's sixteen, of each sixteen columns four neighbours, which
// pairs call columns 2 (lane % 4), + 1, + 8, + 9. x lies in boxes of 32 columns.
struct rp_pair_x {
    float4 piece[4][2];
    float to[2], back[2];                        // scales of the rows' chunk (rp_pair_scale)

    // The first of the two rows; the other is 8 further. Rows that eight lanes read at once lie in different banks.
    __device__ static inline uint32_t row_of(uint32_t lane) { return lane / 8 + lane / 4 % 2 * 4; }
    // Where it reads first, in bytes, and how far on the next four pieces of its row lie.
    __device__ static inline uint32_t place(uint32_t lane) { return row_of(lane) * 128 + (lane % 4 ^ row_of(lane)) * 16; }
    __device__ static inline int turn(uint32_t lane) { return lane / 4 % 2 == 0 ? 64 : -64; }

    // Four lanes have a row's chunk.
    template <int BOX_BYTES> __device__ inline void read(const char *from, int turn) {
#pragma unroll
        for (int e = 0; e < 8; e++) {
            piece[e / 2][e % 2] = *reinterpret_cast<const float4 *>(from + e % 2 * 1024 + e / 4 * BOX_BYTES + e / 2 % 2 * turn);
        }
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float largest = 0;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const float4 four = piece[j][h];
                largest = fmaxf(fmaxf(largest, fmaxf(fabsf(four.x), fabsf(four.y))), fmaxf(fabsf(four.z), fabsf(four.w)));
            }
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
            const rp_pair_scale scale = rp_pair_scale_of(__float_as_uint(largest));
            to[h] = scale.to, back[h] = scale.back;
        }
    }
    // The parts of what was read, as rp_mma takes them. Not into those that the units are still to read.
    __device__ inline void split(uint32_t (&parts)[2][4][4]) const {
#pragma unroll
        for (int e = 0; e < 8; e++) {
            const int j = e / 2, h = e % 2;
            const float4 four = piece[j][h];
            uint32_t low[2], high[2];
            rp_pair_split(four.x * to[h], four.y * to[h], low);
            rp_pair_split(four.z * to[h], four.w * to[h], high);
#pragma unroll
            for (int part = 0; part < 2; part++) { parts[part][j][h] = low[part], parts[part][j][2 + h] = high[part]; }
        }
    }
};

// Tiles of WARPGROUPS x 64 rows and N columns, a warpgroup for each 64 rows, and one that feeds and gives them its registers.
template <int WARPGROUPS, int N, int STAGES> struct rp_pair_tile {
    static constexpr int multiply_threads = WARPGROUPS * 128, threads = multiply_threads + 128, bm = WARPGROUPS * 64, bn = N;
    static constexpr int w_bytes = N * 128, x_bytes = bm * 128, stage_bytes = 2 * (w_bytes + x_bytes);   // of a part of w, of half of x; of all
    static constexpr int bytes_needed = 1024 + STAGES * stage_bytes;
    static constexpr bool ahead = N <= 96;                                          // registers for the next chunk's parts
    static_assert(WARPGROUPS == 1 || WARPGROUPS == 2, "one or two multiply");

    struct tile_at {
        uint32_t row, column;
    };
    // Tile number `i`: rows first, so that groups at work at the same time share weights.
    __device__ static tile_at place(uint32_t i, uint32_t m_tiles) { return { i % m_tiles * bm, i / m_tiles * bn }; }

    // The two who feed: w, and x once it is there. Rows that are not there are zeros.
    template <bool X>
    __device__ static inline void feed(const rp_linear_map_args &args, char *memory, uint64_t *full, uint64_t *empty, uint32_t tiles,
                                       uint32_t m_tiles, uint32_t chunks) {
        constexpr uint32_t bytes = X ? x_bytes : w_bytes;                           // of a half
        const rp_tensor_map *map = X ? &args.x : &args.w;
        uint32_t stage = 0, parity = 1;
        rp_box_prefetch(map);
        if (X) { rp_wait(); }
        for (uint32_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
            const tile_at at = place(tile, m_tiles);
            for (uint32_t chunk = 0; chunk < chunks; chunk++) {
                char *to = memory + stage * stage_bytes + (X ? 2 * w_bytes : 0);
                rp_barrier_wait(&empty[stage], parity);
                rp_barrier_expect(&full[stage], 2 * bytes);
                rp_box_load(to, map, chunk * 128, X ? at.row : at.column, &full[stage]);
                rp_box_load(to + bytes, map, chunk * 128 + 64, X ? at.row : at.column, &full[stage]);
                if (++stage == STAGES) { stage = 0, parity ^= 1; }
            }
        }
    }

    // The products of one chunk: parts of x and of w, small ones first.
    __device__ static inline void products(float (&acc)[N / 8][4], const uint32_t (&x)[2][4][4], const char *w) {
        static constexpr int of_x[] = { 1, 0, 0 }, of_w[] = { 0, 1, 0 };
        rp_wgmma_begin();
#pragma unroll
        for (int i = 0; i < 3; i++) {
            const uint64_t b = rp_box_describe(w + of_w[i] * w_bytes);
#pragma unroll
            for (int j = 0; j < 4; j++) { rp_wgmma_held<N>(acc, x[of_x[i]][j], b + j * 2, i > 0 || j > 0); }
        }
        rp_wgmma_commit();
    }

    __device__ static inline void add(float (&total)[N / 8][4], const float (&acc)[N / 8][4], const float (&back)[2]) {
#pragma unroll
        for (int j = 0; j < N / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) { total[j][e] = __fmaf_rn(acc[j][e], back[e / 2], total[j][e]); }
        }
    }

    // Those who multiply.
    __device__ static inline void multiply(const rp_linear_params &p, const rp_linear_view &view, const char *memory, uint64_t *full, uint64_t *empty,
                                           uint32_t tiles, uint32_t m_tiles, uint32_t chunks) {
        const uint32_t which = threadIdx.x / 128, lane = threadIdx.x % 32, row0 = which * 64 + threadIdx.x / 32 % 4 * 16, row = row0 + rp_pair_x::row_of(lane);
        const bool pairs = rp_pair_pairs(p, view);
        const char *x_at = memory + 2 * w_bytes + row0 * 128 + rp_pair_x::place(lane);
        const int turn = rp_pair_x::turn(lane);
        rp_pair_x x;
        uint32_t parts[2][4][4], next[2][4][4], stage = 0, parity = 0, left = (tiles - blockIdx.x + gridDim.x - 1) / gridDim.x * chunks;
        float total[N / 8][4], acc[N / 8][4], back[2];
        rp_barrier_wait(&full[0], 0);
        x.read<x_bytes>(x_at, turn);
        x.split(parts);
        back[0] = x.back[0], back[1] = x.back[1];
        // A chunk, of which `now` are the parts. The next chunk's are made while the units multiply, where there are registers for them.
        const auto step = [&](uint32_t (&now)[2][4][4], uint32_t (&then)[2][4][4]) {
            const uint32_t at = stage;
            products(acc, now, memory + at * stage_bytes);
            if (++stage == STAGES) { stage = 0, parity ^= 1; }
            if (--left > 0) {
                rp_barrier_wait(&full[stage], parity);
                x.read<x_bytes>(x_at + stage * stage_bytes, turn);
                if (ahead) { x.split(then); }
            }
            rp_wgmma_wait<0>();
            if (left == 0) { rp_release(); }             // no sooner: groups of the next launch crowd where there is room
            if (lane == 0) { rp_barrier_arrive(&empty[at]); }
            add(total, acc, back);
            if (!ahead) { x.split(then); }
            back[0] = x.back[0], back[1] = x.back[1];
        };
#pragma unroll 1
        for (uint32_t i = blockIdx.x; i < tiles; i += gridDim.x) {
            const tile_at at = place(i, m_tiles);
#pragma unroll
            for (int j = 0; j < N / 8; j++) {
#pragma unroll
                for (int e = 0; e < 4; e++) { total[j][e] = -0.0f; }      // plus the first chunk: that chunk, to the sign of its zeros
            }
            uint32_t chunk = 0;
            if constexpr (ahead) {                       // parts by turns: what the units still read is not written
#pragma unroll 1
                for (; chunk + 1 < chunks; chunk += 2) { step(parts, next), step(next, parts); }
            }
#pragma unroll 1
            for (; chunk < chunks; chunk++) {
                step(parts, ahead ? next : parts);
                if (ahead) { memcpy(parts, next, sizeof parts); }
            }
            if (pairs) {
                rp_pair_store<true>(p, view, total, at.row + row, at.column + lane % 4 * 2);
            } else {
                rp_pair_store<false>(p, view, total, at.row + row, at.column + lane % 4 * 2);
            }
        }
    }

    __device__ static inline void run(const rp_linear_map_args &args, char *raw) {
        __shared__ uint64_t full[STAGES], empty[STAGES];
        char *memory = raw + (1024 - rp_shared_address(raw) % 1024) % 1024;
        const rp_linear_params &p = args.base.p;
        const uint32_t m_tiles = (p.m + bm - 1) / bm, tiles = m_tiles * ((p.n + bn - 1) / bn), chunks = p.k / 64;
        if (threadIdx.x == 0) {
            for (int i = 0; i < STAGES; i++) { rp_barrier_init(&full[i], 2), rp_barrier_init(&empty[i], WARPGROUPS * 4); }   // who feed; warps
            rp_barrier_publish();
        }
        __syncthreads();                   // barriers: made by one, used by all
        if (threadIdx.x >= multiply_threads) {
            rp_registers_fewer<40>();
            if (threadIdx.x == multiply_threads) { feed<false>(args, memory, full, empty, tiles, m_tiles, chunks); }
            if (threadIdx.x == multiply_threads + 32) { feed<true>(args, memory, full, empty, tiles, m_tiles, chunks); }
        } else {
            rp_registers_more<WARPGROUPS == 1 ? 240 : 232>();
            rp_wait();
            multiply(p, rp_linear_view_of(args.base), memory, full, empty, tiles, m_tiles, chunks);
        }
    }
};

#define RP_PAIR_KERNEL(name, bytes, ...)                                                                                      \
    extern "C" __global__ void __launch_bounds__(rp_pair_tile<__VA_ARGS__>::threads, 1)                                       \
        name(const __grid_constant__ rp_linear_map_args args) {                                                               \
        extern __shared__ __align__(128) char pair_memory[];                                                                  \
        static_assert(rp_pair_tile<__VA_ARGS__>::bytes_needed == bytes, "as the launch rule says");                           \
        rp_pair_tile<__VA_ARGS__>::run(args, pair_memory);                                                                    \
    }

RP_PAIR_KERNEL(linear_pair_128x128, RP_LINEAR_PAIR_SHARED(128, 128, 3), 2, 128, 3)
RP_PAIR_KERNEL(linear_pair_128x96, RP_LINEAR_PAIR_SHARED(128, 96, 4), 2, 96, 4)
RP_PAIR_KERNEL(linear_pair_128x64, RP_LINEAR_PAIR_SHARED(128, 64, 4), 2, 64, 4)
RP_PAIR_KERNEL(linear_pair_64x96, RP_LINEAR_PAIR_SHARED(64, 96, 5), 1, 96, 5)
RP_PAIR_KERNEL(linear_pair_64x64, RP_LINEAR_PAIR_SHARED(64, 64, 6), 1, 64, 6)
RP_PAIR_KERNEL(linear_pair_64x32, RP_LINEAR_PAIR_SHARED(64, 32, 8), 1, 32, 8)

#endif
#endif
