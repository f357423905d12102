// linear in float32 on the matrix units of compute capability 9.0: each number is three of bfloat16 (triple.cuh), and the six
// larger of the nine products of parts make a product (order: core/op_params.h). Warpgroups that feed read w, split it and store the
// parts in shared memory, STAGES chunks of 64 columns of k ahead; one or two warpgroups multiply, 64 x N results each, read and split
// their rows of x, which stay in registers, and add up the sums of chunks. Two take turns, chunk by chunk, so that one multiplies while
// the other adds and splits; one alone splits the next chunk while the units multiply. Groups stay: each takes tiles
// of y until none is left, rows first. Weights are asked for before the launch that makes x is done (rp_wait). Included by linear.cu;
// the host picks among the shapes of tiles (core/ops/linear.c).
#ifndef RP_LINEAR_TRIPLE_CUH
#define RP_LINEAR_TRIPLE_CUH

#include "exp.cuh"
#include "op_math.h"
#include "triple.cuh"
#include "wgmma.cuh"

#ifdef RP_HAS_WGMMA

// Two neighbours of an array, of which so many are there. PAIRS: it lies in whole pairs.
template <bool PAIRS> __device__ inline float2 rp_triple_two(const float *at, int there) {
    if constexpr (PAIRS) { return there > 0 ? *reinterpret_cast<const float2 *>(at) : make_float2(0, 0); }
    return make_float2(there > 0 ? at[0] : 0, there > 1 ? at[1] : 0);
}
template <bool PAIRS> __device__ inline void rp_triple_put(float *at, int there, float a, float b) {
    if constexpr (PAIRS) {
        if (there > 0) { *reinterpret_cast<float2 *>(at) = make_float2(a, b); }
    } else {
        if (there > 0) { at[0] = a; }
        if (there > 1) { at[1] = b; }
    }
}

// Blocks of eight columns of two rows, from `row` and `column` (even) on, as a lane holds them: chunk sums, then bias, then residual, gate
// or silu. All that is read is asked for at once. PAIRS: rows of y and of the residual lie in whole pairs.
template <bool PAIRS, int BLOCKS>
__device__ inline void rp_triple_store(const rp_linear_params &p, const rp_linear_view &view, float (&total)[BLOCKS][4], uint32_t row, uint32_t column) {
    static_assert(RP_LINEAR_GATE == 8 && BLOCKS % 2 == 0, "neighbours j and j + 1 are a and b");
    const uint64_t at = (uint64_t)row * p.n + column;
    const int left = (int)(p.n - column);                                  // columns that there are from there on
    if (p.has_bias) {
        float2 bias[BLOCKS];
#pragma unroll
        for (int j = 0; j < BLOCKS; j++) { bias[j] = rp_triple_two<PAIRS>(view.bias + column + j * 8, left - j * 8); }
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
            rest[j][e % 2] = rp_triple_two<PAIRS>(view.residual + at + (uint64_t)h * p.n + j * 8, row + h < p.m ? left - (int)j * 8 : 0);
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
            rp_triple_put<PAIRS>(y + (uint64_t)(h * 8) * (p.n / 2) + j * 4, row + h * 8 < p.m ? left - j * 8 : 0, total[j][h * 2] * total[j + 1][h * 2],
                                 total[j][h * 2 + 1] * total[j + 1][h * 2 + 1]);
        }
    } else {
#pragma unroll
        for (int e = 0; e < BLOCKS * 2; e++) {
            const int j = e / 2, h = e % 2;
            rp_triple_put<PAIRS>(view.y + at + (uint64_t)(h * 8) * p.n + j * 8, row + h * 8 < p.m ? left - j * 8 : 0, total[j][h * 2], total[j][h * 2 + 1]);
        }
    }
}
// Whether rows of y, of the residual and the bias lie in whole pairs.
__device__ inline bool rp_triple_pairs(const rp_linear_params &p, const rp_linear_view &view) {
    return p.n % 2 == 0 && (reinterpret_cast<uint64_t>(view.y) | reinterpret_cast<uint64_t>(view.residual) | reinterpret_cast<uint64_t>(view.bias)) % 8 == 0;
}

// What an invocation that multiplies reads of x: two rows of its warp's sixteen, of each sixteen columns four neighbours, which it calls
// columns 2 (lane % 4), + 1, + 8, + 9 (any order of k inside a sixteen will do while x and w agree). Asked for a chunk ahead.
struct rp_triple_x {
    const rp_linear_params &p;
    const rp_linear_view &view;
    uint32_t rows, m_tiles, tiles, tile_step;    // rows of a tile
    uint32_t row, lane_column, step;             // this invocation's first row in a tile, its first column in a chunk; columns from chunk to chunk
    uint32_t first, tile, column;                // where each tile begins; the chunk to be asked for next
    const float *from[2];
    float4 piece[4][2];

    // Rows that are not there: the last one, for results that nobody stores. Behind the last chunk: another one that nobody multiplies.
    __device__ inline void begin() {
        if (column >= p.k && tile + tile_step < tiles) { tile += tile_step, column = first; }
        if (column >= p.k) { column = 0; }
        const uint32_t at = tile % m_tiles * rows + row;
#pragma unroll
        for (int h = 0; h < 2; h++) { from[h] = view.x + (uint64_t)min(at + h * 8, p.m - 1) * p.k + column + lane_column; }
    }
    __device__ inline void ask() {
        if (view.wide) {
#pragma unroll
            for (int e = 0; e < 8; e++) { piece[e / 2][e % 2] = *reinterpret_cast<const float4 *>(from[e % 2] + e / 2 * 16); }
        } else {                                 // a loop, as loads that are only masked cost a sixth of all the time
#pragma unroll 1
            for (int i = 0; i < 4; i++) {
#pragma unroll
                for (int e = 0; e < 8; e++) {
                    float4 &four = piece[e / 2][e % 2];
                    const float one = from[e % 2][e / 2 * 16 + i];
                    four.x = i == 0 ? one : four.x, four.y = i == 1 ? one : four.y, four.z = i == 2 ? one : four.z, four.w = i == 3 ? one : four.w;
                }
            }
        }
        column += step;
        if (column < p.k) {
            from[0] += step, from[1] += step;
        } else {
            begin();
        }
    }
    // The parts of what was asked for, as rp_mma takes them. Not into those that the units are still to read.
    __device__ inline void split(uint32_t (&parts)[3][4][4]) {
#pragma unroll
        for (int e = 0; e < 8; e++) {
            float4 &four = piece[e / 2][e % 2];
            asm volatile("" : "+f"(four.x), "+f"(four.y), "+f"(four.z), "+f"(four.w));     // not before what stands before
            uint32_t low[3], high[3];
            rp_triple_split(four.x, four.y, low);
            rp_triple_split(four.z, four.w, high);
#pragma unroll
            for (int part = 0; part < 3; part++) { parts[part][e / 2][e % 2] = low[part], parts[part][e / 2][2 + e % 2] = high[part]; }
        }
    }
    // Parts that were split while the units multiplied, which may be given to them now. The compiler has the units wait for each product
    // where registers that they read are set while they multiply, and sees through a copy: nothing is added, but it cannot know.
    __device__ inline void take(uint32_t (&parts)[3][4][4], const uint32_t (&from)[3][4][4]) {
#pragma unroll
        for (int e = 0; e < 48; e++) { parts[e / 16][e / 4 % 4][e % 4] = from[e / 16][e / 4 % 4][e % 4] + p.norm; }   // 0: few rows alone
    }
};

#include "linear_triple_shared.cuh"

// Tiles of WARPGROUPS x 64 rows and N columns, a warpgroup for each 64 rows. SETS: so many sets of 128 feed, each with a chunk of its own on
// its way. REGISTERS: of those who multiply; those who feed give them theirs. CLUSTER: so many groups share a tile, group r with chunks
// r, r + CLUSTER, .. (linear_triple_shared.cuh).
template <int WARPGROUPS, int N, int STAGES, int SETS, int REGISTERS, int CLUSTER = 1> struct rp_triple_tile {
    static constexpr int groups = WARPGROUPS, threads = (WARPGROUPS + SETS) * 128;
    static constexpr int raw_floats = N * 64, ahead = N <= 64 ? 2 : 1;              // of w as it is; chunks of it that each set has on their way
    static constexpr int bm = WARPGROUPS * 64, bn = N;
    static constexpr int w_halves = N * 64, stage_halves = 3 * w_halves;            // of one part, of all
    static constexpr int sent_bytes = CLUSTER > 1 ? bm / CLUSTER * bn * 4 : 0;      // of a chunk's sums, to one group
    static constexpr int bytes_needed = 1024 + STAGES * stage_halves * 2 + SETS * ahead * raw_floats * 4 + 2 * CLUSTER * sent_bytes;
    static constexpr int sums_at = STAGES * stage_halves + SETS * ahead * raw_floats * 2;   // halves
    static constexpr int width = N, stages = STAGES, cluster = CLUSTER;
    static constexpr int step = 8, ws = N / step;                                   // sixteen invocations a row; pieces of four that one splits
    static constexpr int feed_registers = (65536 / threads / 8 * 8 * (WARPGROUPS + SETS) - WARPGROUPS * REGISTERS) / SETS / 8 * 8;
    static_assert(SETS <= STAGES && (WARPGROUPS == 1 || WARPGROUPS == 2), "");

    struct tile_at {
        uint32_t row, column;
    };
    // Tile number `i`: rows first, so that groups at work at the same time share weights.
    __device__ static tile_at place(uint32_t i, uint32_t m_tiles) { return { i % m_tiles * bm, i / m_tiles * bn }; }

    // Those who feed. What an invocation splits it has had copied to memory of its own: loads would be waited for at each fence. Rows that are
    // not there are zeros.
    template <bool WIDE>
    __device__ static inline void feed(const rp_linear_params &p, const rp_linear_view &view, __nv_bfloat16 *memory, uint64_t *full, uint64_t *empty,
                                       uint32_t tiles, uint32_t m_tiles, uint32_t chunks) {
        const uint32_t thread = threadIdx.x - groups * 128, set = thread / 128, first = thread % 128 / 16, piece = thread % 16;
        const uint32_t to = first * 64 + (piece / 4 * 2 ^ first) * 8 + piece % 4 * 2;                // its first two numbers; and eight columns on
        const uint32_t rank = blockIdx.x % CLUSTER, own = CLUSTER > 1 ? (chunks - rank + CLUSTER - 1) / CLUSTER : chunks, apart = gridDim.x / CLUSTER;
        float *raw = reinterpret_cast<float *>(memory + STAGES * stage_halves) + set * ahead * raw_floats + first * 64 + piece * 4;
        uint32_t tile = blockIdx.x / CLUSTER, chunk = set, stage = set, parity = 1;
        const uint32_t all = (tiles - tile + apart - 1) / apart * own, count = all > set ? (all - set + SETS - 1) / SETS : 0;
        const auto ask = [&](uint32_t slot) {                              // the chunk may lie in a later tile, or behind the last
            while (own > 0 && chunk >= own && tile < tiles) { chunk -= own, tile += apart; }
            if (own > 0 && tile < tiles) {
                const uint32_t row = place(tile, m_tiles).column + first;
                const float *from = view.w + (uint64_t)row * p.k + (uint64_t)(chunk * CLUSTER + rank) * 64 + piece * 4;
#pragma unroll
                for (int i = 0; i < ws; i++) {
                    const bool there = row + i * step < p.n;
                    rp_stage4<WIDE>(raw + slot * raw_floats + i * step * 64, there ? from + (uint64_t)(i * step) * p.k : view.w, !there, 0, 4);
                }
            }
            rp_copy_commit();
            chunk += SETS;
        };
#pragma unroll
        for (int i = 0; i < ahead; i++) { ask(i); }
#pragma unroll 1
        for (uint32_t n = 0; n < count; n++) {
            const float *from = raw + n % ahead * raw_floats;
            __nv_bfloat16 *low_part = memory + stage * stage_halves + to, *high_part = memory + stage * stage_halves + (to ^ 8);
            rp_copy_wait<ahead - 1>();
            rp_barrier_wait(&empty[stage], parity);
            float4 four[3];                // two on their way
#pragma unroll
            for (int i = 0; i < 2; i++) { four[i] = *reinterpret_cast<const float4 *>(from + i * step * 64); }
#pragma unroll
            for (int i = 0; i < ws; i++) {
                if (i + 2 < ws) { four[(i + 2) % 3] = *reinterpret_cast<const float4 *>(from + (i + 2) * step * 64); }
                uint32_t low[3], high[3];
                rp_triple_split(four[i % 3].x, four[i % 3].y, low);
                rp_triple_split(four[i % 3].z, four[i % 3].w, high);
#pragma unroll
                for (int e = 0; e < 3; e++) {
                    *reinterpret_cast<uint32_t *>(low_part + e * w_halves + i * step * 64) = low[e];
                    *reinterpret_cast<uint32_t *>(high_part + e * w_halves + i * step * 64) = high[e];
                }
            }
            rp_wgmma_publish();
            __syncwarp();                  // parts: stored by all, published by each
            if (threadIdx.x % 32 == 0) { rp_barrier_arrive(&full[stage]); }
            stage += SETS;
            if (stage >= STAGES) { stage -= STAGES, parity ^= 1; }
            ask(n % ahead);
        }
    }

    // The products of one chunk: parts of x and of w, small ones first.
    __device__ static inline void products(float (&acc)[N / 8][4], const uint32_t (&x)[3][4][4], const __nv_bfloat16 *w) {
        static constexpr int of_x[] = { 2, 1, 0, 1, 0, 0 }, of_w[] = { 0, 1, 2, 0, 1, 0 };
        rp_wgmma_begin();
#pragma unroll
        for (int i = 0; i < 6; i++) {
            const uint64_t b = rp_box_describe(w + of_w[i] * w_halves);
#pragma unroll
            for (int j = 0; j < 4; j++) { rp_wgmma_held<N>(acc, x[of_x[i]][j], b + j * 2, i > 0 || j > 0); }
        }
        rp_wgmma_commit();
    }

    __device__ static inline void add(float (&total)[N / 8][4], const float (&acc)[N / 8][4]) {
#pragma unroll
        for (int j = 0; j < N / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) { total[j][e] += acc[j][e]; }
        }
    }

    // Those who multiply.
    __device__ static inline void multiply(const rp_linear_params &p, const rp_linear_view &view, const __nv_bfloat16 *memory, uint64_t *full, uint64_t *empty,
                                           uint32_t tiles, uint32_t m_tiles, uint32_t chunks) {
        const uint32_t which = threadIdx.x / 128, lane = threadIdx.x % 32, row = which * 64 + threadIdx.x / 32 % 4 * 16 + lane / 4;
        const bool pairs = rp_triple_pairs(p, view);
        rp_triple_x x = { p, view, bm, m_tiles, tiles, gridDim.x, row, lane % 4 * 4, 64, 0, blockIdx.x, 0 };
        uint32_t parts[3][4][4], next[3][4][4], stage = 0, parity = 0;
        float total[N / 8][4], acc[N / 8][4];
        const auto end = [&]() {
            rp_wgmma_wait<0>();
            if (lane == 0) { rp_barrier_arrive(&empty[stage]); }
            if (++stage == STAGES) { stage = 0, parity ^= 1; }
            add(total, acc);
        };
        x.begin();
        x.ask();
        x.split(parts);
        x.ask();
        if (groups == 2 && which == 1) { asm volatile("bar.arrive 1, 256;" ::: "memory"); }   // the first turn is the other's
#pragma unroll 1
        for (uint32_t i = blockIdx.x; i < tiles; i += gridDim.x) {
            const tile_at at = place(i, m_tiles);
#pragma unroll
            for (int j = 0; j < N / 8; j++) {
#pragma unroll
                for (int e = 0; e < 4; e++) { total[j][e] = -0.0f; }      // plus the first chunk: that chunk, to the sign of its zeros
            }
            if constexpr (groups == 2) {
#pragma unroll 1
                for (uint32_t chunk = 0; chunk < chunks; chunk++) {
                    rp_barrier_wait(&full[stage], parity);
                    asm volatile("bar.sync %0, 256;" ::"r"(which + 1) : "memory");     // the other's chunk is with the units
                    products(acc, parts, memory + stage * stage_halves);
                    asm volatile("bar.arrive %0, 256;" ::"r"(2 - which) : "memory");
                    end();
                    x.split(parts);
                    x.ask();
                }
            } else {
#pragma unroll 1
                for (uint32_t chunk = 0; chunk < chunks; chunk++) {
                    rp_barrier_wait(&full[stage], parity);
                    products(acc, parts, memory + stage * stage_halves);
                    x.split(next);
                    x.ask();
                    end();
                    x.take(parts, next);
                }
            }
            if (pairs) {
                rp_triple_store<true>(p, view, total, at.row + row, at.column + lane % 4 * 2);
            } else {
                rp_triple_store<false>(p, view, total, at.row + row, at.column + lane % 4 * 2);
            }
        }
    }

    __device__ static inline void run(const rp_kernel_args<rp_linear_params> &args, char *raw) {
        __shared__ uint64_t full[STAGES], empty[STAGES], come[2], room[2];
        __nv_bfloat16 *memory = reinterpret_cast<__nv_bfloat16 *>(raw + (1024 - rp_shared(raw) % 1024) % 1024);
        const rp_linear_params &p = args.p;
        const rp_linear_view view = rp_linear_view_of(args);
        const uint32_t m_tiles = (p.m + bm - 1) / bm, tiles = m_tiles * ((p.n + bn - 1) / bn), chunks = p.k / 64;
        if (threadIdx.x == 0) {
            for (int i = 0; i < STAGES; i++) { rp_barrier_init(&full[i], 4), rp_barrier_init(&empty[i], groups * 4); }   // warps
            for (int i = 0; i < 2 && CLUSTER > 1; i++) { rp_barrier_init(&come[i], 1), rp_barrier_init(&room[i], groups * 4 * CLUSTER); }
            rp_barrier_publish();
        }
        __syncthreads();                   // barriers: made by one, used by all
        if constexpr (CLUSTER > 1) { rp_cluster_sync(); }
        rp_release();
        if (threadIdx.x >= groups * 128) {
            rp_registers_fewer<feed_registers>();
            if (view.wide) {
                feed<true>(p, view, memory, full, empty, tiles, m_tiles, chunks);
            } else {
                feed<false>(p, view, memory, full, empty, tiles, m_tiles, chunks);
            }
        } else {
            rp_registers_more<REGISTERS>();
            rp_wait();
            if constexpr (CLUSTER > 1) {
                rp_triple_multiply_shared<rp_triple_tile>(p, view, memory, full, empty, come, room, tiles, m_tiles, chunks);
            } else {
                multiply(p, view, memory, full, empty, tiles, m_tiles, chunks);
            }
        }
        if constexpr (CLUSTER > 1) {
            __syncwarp();
            rp_cluster_sync();             // a group stays until nothing more is sent to it
        }
    }
};

#define RP_TRIPLE_KERNEL(name, bytes, ...) RP_TRIPLE_SHARED_KERNEL(name, , bytes, __VA_ARGS__)
#define RP_TRIPLE_SHARED_KERNEL(name, cluster, bytes, ...)                                                                    \
    extern "C" __global__ void cluster __launch_bounds__(rp_triple_tile<__VA_ARGS__>::threads, 1)                             \
        name(const __grid_constant__ rp_kernel_args<rp_linear_params> args) {                                                 \
        extern __shared__ __align__(128) char triple_memory[];                                                                \
        static_assert(rp_triple_tile<__VA_ARGS__>::bytes_needed == bytes, "as the launch rule says");                         \
        rp_triple_tile<__VA_ARGS__>::run(args, triple_memory);                                                                \
    }

RP_TRIPLE_KERNEL(linear_triple_128x128, RP_LINEAR_TRIPLE_SHARED(128, 3), 2, 128, 3, 2, 216)
RP_TRIPLE_KERNEL(linear_triple_128x96, RP_LINEAR_TRIPLE_SHARED(96, 4), 2, 96, 4, 2, 192)
RP_TRIPLE_KERNEL(linear_triple_128x64, RP_LINEAR_TRIPLE_SHARED(64, 5), 2, 64, 5, 2, 176)
RP_TRIPLE_KERNEL(linear_triple_64x96, RP_LINEAR_TRIPLE_SHARED(96, 4), 1, 96, 4, 2, 240)
RP_TRIPLE_KERNEL(linear_triple_64x64, RP_LINEAR_TRIPLE_SHARED(64, 5), 1, 64, 5, 2, 216)
RP_TRIPLE_KERNEL(linear_triple_64x32, RP_LINEAR_TRIPLE_SHARED(32, 8), 1, 32, 8, 2, 216)
#define CLUSTER_OF(n) __cluster_dims__(n, 1, 1)
RP_TRIPLE_SHARED_KERNEL(linear_triple_shared_128x64_4, CLUSTER_OF(4), RP_LINEAR_TRIPLE_CLUSTER(128, 64, 4), 2, 64, 4, 2, 200, 4)
RP_TRIPLE_SHARED_KERNEL(linear_triple_shared_128x64_2, CLUSTER_OF(2), RP_LINEAR_TRIPLE_CLUSTER(128, 64, 4), 2, 64, 4, 2, 200, 2)
RP_TRIPLE_SHARED_KERNEL(linear_triple_shared_64x64_4, CLUSTER_OF(4), RP_LINEAR_TRIPLE_CLUSTER(64, 64, 4), 1, 64, 4, 2, 240, 4)
RP_TRIPLE_SHARED_KERNEL(linear_triple_shared_64x64_2, CLUSTER_OF(2), RP_LINEAR_TRIPLE_CLUSTER(64, 64, 4), 1, 64, 4, 2, 240, 2)

#endif
#endif
