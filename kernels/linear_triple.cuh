// linear in float32 on the matrix units of compute capability 9.0: each number is three of bfloat16 (triple.cuh), and the six
// larger of the nine products of parts make a product (order: core/op_params.h). Warpgroups that feed read x and w, split them and store the
// parts in shared memory, STAGES chunks of 64 columns of k ahead; one or two warpgroups multiply, 64 x N results each, and add
// up the sums of chunks. Two take turns, chunk by chunk, so that one multiplies while the other adds. Groups stay: each takes tiles of y
// until none is left, rows first. Weights are asked for before the launch that makes x is done (rp_wait). Included by linear.cu;
// the host picks among the shapes of tiles (core/ops/linear.c).
#ifndef RP_LINEAR_TRIPLE_CUH
#define RP_LINEAR_TRIPLE_CUH

#include "matrix.cuh"
#include "op_math.h"
#include "triple.cuh"
#include "wgmma.cuh"

#ifdef RP_HAS_WGMMA

// Two neighbouring results, from column `column` (even) on: chunk sums, then bias, then residual or silu. pairs:
// rows of y and of the residual lie in whole pairs.
__device__ inline void rp_triple_store(const rp_linear_params &p, const rp_linear_view &view, bool pairs, uint32_t row, uint32_t column,
                                       float2 value) {
    if (!pairs) {
        rp_linear_store(p, view, row, column, value.x);
        rp_linear_store(p, view, row, column + 1, value.y);
        return;
    }
    if (row >= p.m || column >= p.n) { return; }
    const uint64_t at = (uint64_t)row * p.n + column;
    if (p.has_bias) { value.x += view.bias[column], value.y += view.bias[column + 1]; }
    if (p.has_residual) {
        const float2 rest = *reinterpret_cast<const float2 *>(view.residual + at);
        value.x += rest.x, value.y += rest.y;
    }
    if (p.silu) { value = make_float2(rp_silu(value.x), rp_silu(value.y)); }
    *reinterpret_cast<float2 *>(view.y + at) = value;
}

#include "linear_triple_shared.cuh"

// Tiles of BM_GROUPS x 64 rows and BN_GROUPS x N columns, a warpgroup for each 64 x N. SETS: the 256 that feed form so many sets, each
// with a chunk of its own on its way. HELD: of the parts of x, so many are read once a chunk by those who multiply, and stay in registers.
// CLUSTER: so many groups share a tile, group r with chunks r, r + CLUSTER, .. (linear_triple_shared.cuh).
template <int BM_GROUPS, int BN_GROUPS, int N, int STAGES, int SETS, int HELD, int REGISTERS, int CLUSTER = 1>
struct rp_triple_tile {
    static constexpr int groups = BM_GROUPS * BN_GROUPS, feeders = 256;
    static constexpr int threads = groups * 128 + feeders;
    static constexpr int bm = BM_GROUPS * 64, bn = BN_GROUPS * N;
    static constexpr int x_halves = bm * 64, w_halves = bn * 64;                   // of one part
    static constexpr int stage_halves = 3 * (x_halves + w_halves);
    static constexpr int sent_bytes = CLUSTER > 1 ? bm / CLUSTER * bn * 4 : 0;      // of a chunk's sums, to one group
    static constexpr int bytes_needed = 1024 + STAGES * stage_halves * 2 + 2 * CLUSTER * sent_bytes;
    static constexpr int width = N, stages = STAGES, cluster = CLUSTER;
    static constexpr int set_threads = feeders / SETS, step = set_threads / 16;    // sixteen invocations a row
    static constexpr int xs = bm / step, ws = bn / step;                           // pieces of four that one invocation brings
    // REGISTERS: of those who multiply; those who feed give them theirs.
    static constexpr int feed_registers = groups == 2 ? 256 - REGISTERS : (504 - REGISTERS) / 2;
    static_assert(step % 8 == 0 && bm % step == 0 && bn % step == 0, "all pieces of an invocation turn alike");
    static_assert(SETS <= STAGES && (groups == 1 || groups == 2), "");

    struct tile_at {
        uint32_t row, column;
    };
    // Tile number `i`: rows first, so that groups at work at the same time share weights.
    __device__ static tile_at place(uint32_t i, uint32_t m_tiles) { return { i % m_tiles * bm, i / m_tiles * bn }; }

    template <bool WIDE> __device__ static inline float4 four(const float *at) {
        if constexpr (WIDE) { return *reinterpret_cast<const float4 *>(at); }
        return make_float4(at[0], at[1], at[2], at[3]);
    }

    // Those who feed. Rows that are not there keep what was: they make results that nobody stores.
    template <bool WIDE>
    __device__ static inline void feed(const rp_linear_params &p, const rp_linear_view &view, __nv_bfloat16 *memory, uint64_t *full, uint64_t *empty,
                                       uint32_t tiles, uint32_t m_tiles, uint32_t chunks) {
        const uint32_t thread = threadIdx.x - groups * 128, set = thread / set_threads, local = thread % set_threads;
        const uint32_t first = local / 16, piece = local % 16;
        const uint32_t to = first * 64 + (piece / 2 ^ first % 8) * 8 + piece % 2 * 4;
        const uint32_t rank = blockIdx.x % CLUSTER, own = CLUSTER > 1 ? (chunks - rank + CLUSTER - 1) / CLUSTER : chunks;
        uint32_t stage = set, parity = 1, tile = blockIdx.x / CLUSTER, chunk = set;
        const float *from_x, *from_w;                                      // this invocation's first pieces,
        int x_rows, w_rows;                                                // and the rows that there are from there on
        float4 x[xs] = {}, w[ws] = {};
        const auto settle = [&]() {                                        // the chunk may lie in a later tile
            if (CLUSTER > 1 && own == 0) { tile = tiles; }
            while (chunk >= own && tile < tiles) { chunk -= own, tile += gridDim.x / CLUSTER; }
            const tile_at at = place(tile, m_tiles);
            const uint64_t column = (uint64_t)(chunk * CLUSTER + rank) * 64 + piece * 4;
            x_rows = (int)(p.m - at.row - first), w_rows = (int)(p.n - at.column - first);
            from_x = view.x + (uint64_t)(at.row + first) * p.k + column, from_w = view.w + (uint64_t)(at.column + first) * p.k + column;
        };
        const auto load_x = [&](int i) {
            if (i * step < x_rows) { x[i] = four<WIDE>(from_x + (uint64_t)(i * step) * p.k); }
        };
        const auto load_w = [&](int i) {
            if (i * step < w_rows) { w[i] = four<WIDE>(from_w + (uint64_t)(i * step) * p.k); }
        };
        const auto keep = [&](__nv_bfloat16 *part, int distance, const float4 &value) {
            uint32_t low[3], high[3];
            rp_triple_split(value.x, value.y, low);
            rp_triple_split(value.z, value.w, high);
#pragma unroll
            for (int e = 0; e < 3; e++) { *reinterpret_cast<uint2 *>(part + e * distance) = make_uint2(low[e], high[e]); }
        };
        settle();
        if (tile < tiles) {
#pragma unroll
            for (int i = 0; i < ws; i++) { load_w(i); }
        }
        rp_wait();
        if (tile < tiles) {
#pragma unroll
            for (int i = 0; i < xs; i++) { load_x(i); }
        }
#pragma unroll 1
        while (tile < tiles) {
            __nv_bfloat16 *part = memory + stage * stage_halves + to;
            chunk += SETS;
            settle();
            if (tile >= tiles) { x_rows = w_rows = 0; }
            rp_barrier_wait(&empty[stage], parity);
#pragma unroll
            for (int i = 0; i < ws; i++) {
                keep(part + 3 * x_halves + i * step * 64, w_halves, w[i]);
                load_w(i);
            }
#pragma unroll
            for (int i = 0; i < xs; i++) {
                keep(part + i * step * 64, x_halves, x[i]);
                load_x(i);
            }
            rp_wgmma_publish();
            __syncwarp();                  // parts: stored by all, published by each
            if (threadIdx.x % 32 == 0) { rp_barrier_arrive(&full[stage]); }
            stage += SETS;
            if (stage >= STAGES) { stage -= STAGES, parity ^= 1; }
        }
    }

    // The products of one chunk: parts of x and of w, small ones first.
    __device__ static inline void products(float (&acc)[N / 8][4], const __nv_bfloat16 *x, const __nv_bfloat16 *w, uint32_t lane, uint32_t warp) {
        static constexpr int of_x[] = { 2, 1, 0, 1, 0, 0 }, of_w[] = { 0, 1, 2, 0, 1, 0 };
        uint32_t held[HELD > 0 ? HELD : 1][4][4];
        if constexpr (HELD > 0) {
#pragma unroll
            for (int e = 0; e < HELD; e++) {
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    const uint32_t row = warp * 16 + lane % 16;
                    rp_load_blocks(held[e][j], reinterpret_cast<const __half *>(x + e * x_halves + row * 64 + ((2 * j + lane / 16) ^ row % 8) * 8));
                }
            }
        }
        rp_wgmma_begin();
#pragma unroll
        for (int i = 0; i < 6; i++) {
            const uint64_t a = rp_box_describe(x + of_x[i] * x_halves), b = rp_box_describe(w + of_w[i] * w_halves);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                if (of_x[i] < HELD) {
                    rp_wgmma_held<N>(acc, held[of_x[i] < HELD ? of_x[i] : 0][j], b + j * 2, i > 0 || j > 0);
                } else {
                    rp_wgmma<N, true>(acc, a + j * 2, b + j * 2, i > 0 || j > 0);
                }
            }
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

    // Sixteen columns of two rows, `first` those of blocks j and `second` of j + 1.
    __device__ static inline void store_pair(const rp_linear_params &p, const rp_linear_view &view, bool pairs, const float (&first)[4],
                                             const float (&second)[4], uint32_t row0, uint32_t column) {
        static_assert(RP_LINEAR_GATE == 8, "neighbours j and j + 1 are a and b");
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const float *a = first + half * 2, *b = second + half * 2;
            const uint32_t row = row0 + half * 8;
            if (p.gated) {
                rp_linear_store_gated(p, view, row, column, a[0], b[0]);
                rp_linear_store_gated(p, view, row, column + 1, a[1], b[1]);
            } else {
                rp_triple_store(p, view, pairs, row, column, make_float2(a[0], a[1]));
                rp_triple_store(p, view, pairs, row, column + 8, make_float2(b[0], b[1]));
            }
        }
    }

    // Those who multiply.
    __device__ static inline void multiply(const rp_linear_params &p, const rp_linear_view &view, const __nv_bfloat16 *memory, uint64_t *full, uint64_t *empty,
                                           uint32_t tiles, uint32_t m_tiles, uint32_t chunks) {
        const uint32_t which = threadIdx.x / 128, lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
        const uint32_t below = BM_GROUPS == 2 ? which * 64 : 0, beside = BN_GROUPS == 2 ? which * N : 0;   // this warpgroup's part of a tile
        const bool pairs = p.n % 2 == 0 && (reinterpret_cast<uint64_t>(view.y) | reinterpret_cast<uint64_t>(view.residual)) % 8 == 0;
        uint32_t stage = 0, parity = 0;
        float total[N / 8][4], acc[groups == 1 ? 2 : 1][N / 8][4];
        const auto begin = [&](float (&to)[N / 8][4]) {                    // the next chunk
            const __nv_bfloat16 *x = memory + stage * stage_halves;
            rp_barrier_wait(&full[stage], parity);
            products(to, x + below * 64, x + 3 * x_halves + beside * 64, lane, warp);
        };
        const auto end = [&](uint32_t of) {
            if (lane == 0) { rp_barrier_arrive(&empty[of]); }
        };
        const auto advance = [&]() {
            if (++stage == STAGES) { stage = 0, parity ^= 1; }
        };
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
                    asm volatile("bar.sync %0, 256;" ::"r"(which + 1) : "memory");     // the other's chunk is with the units
                    begin(acc[0]);
                    asm volatile("bar.arrive %0, 256;" ::"r"(2 - which) : "memory");
                    rp_wgmma_wait<0>();
                    end(stage);
                    advance();
                    add(total, acc[0]);
                }
            } else {                       // the next chunk multiplies while one is added
                uint32_t last = stage;
                begin(acc[0]);
                advance();
                uint32_t chunk = 1;
#pragma unroll 1
                for (; chunk + 1 < chunks; chunk += 2) {
                    begin(acc[groups == 1]);
                    rp_wgmma_wait<1>();
                    end(last);
                    add(total, acc[0]);
                    last = stage;
                    advance();
                    begin(acc[0]);
                    rp_wgmma_wait<1>();
                    end(last);
                    add(total, acc[groups == 1]);
                    last = stage;
                    advance();
                }
                if (chunk < chunks) {
                    begin(acc[groups == 1]);
                    rp_wgmma_wait<1>();
                    end(last);
                    add(total, acc[0]);
                    rp_wgmma_wait<0>();
                    end(stage);
                    advance();
                    add(total, acc[groups == 1]);
                } else {
                    rp_wgmma_wait<0>();
                    end(last);
                    add(total, acc[0]);
                }
            }
#pragma unroll
            for (int j = 0; j < N / 8; j += 2) {
                store_pair(p, view, pairs, total[j], total[j + 1], at.row + below + warp * 16 + lane / 4, at.column + beside + lane % 4 * 2 + j * 8);
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
            for (int i = 0; i < STAGES; i++) { rp_barrier_init(&full[i], set_threads / 32), rp_barrier_init(&empty[i], groups * 4); }   // warps
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

RP_TRIPLE_KERNEL(linear_triple_128x128, RP_LINEAR_TRIPLE_SHARED(128, 128, 2), 2, 1, 128, 2, 1, 0, 152)
RP_TRIPLE_KERNEL(linear_triple_128x96, RP_LINEAR_TRIPLE_SHARED(128, 96, 2), 2, 1, 96, 2, 1, 2, 152)
RP_TRIPLE_KERNEL(linear_triple_128x64, RP_LINEAR_TRIPLE_SHARED(128, 64, 3), 2, 1, 64, 3, 1, 2, 144)
RP_TRIPLE_KERNEL(linear_triple_64x128, RP_LINEAR_TRIPLE_SHARED(64, 128, 3), 1, 2, 64, 3, 1, 2, 144)
RP_TRIPLE_KERNEL(linear_triple_64x96, RP_LINEAR_TRIPLE_SHARED(64, 96, 3), 1, 1, 96, 3, 2, 0, 216)
RP_TRIPLE_KERNEL(linear_triple_64x64, RP_LINEAR_TRIPLE_SHARED(64, 64, 4), 1, 1, 64, 4, 2, 0, 168)
#define CLUSTER_OF(n) __cluster_dims__(n, 1, 1)
RP_TRIPLE_SHARED_KERNEL(linear_triple_shared_128x64_4, CLUSTER_OF(4), RP_LINEAR_TRIPLE_CLUSTER(128, 64, 2), 2, 1, 64, 2, 1, 2, 144, 4)
RP_TRIPLE_SHARED_KERNEL(linear_triple_shared_128x64_2, CLUSTER_OF(2), RP_LINEAR_TRIPLE_CLUSTER(128, 64, 2), 2, 1, 64, 2, 1, 2, 144, 2)
RP_TRIPLE_SHARED_KERNEL(linear_triple_shared_64x64_4, CLUSTER_OF(4), RP_LINEAR_TRIPLE_CLUSTER(64, 64, 3), 1, 1, 64, 3, 2, 0, 168, 4)
RP_TRIPLE_SHARED_KERNEL(linear_triple_shared_64x64_2, CLUSTER_OF(2), RP_LINEAR_TRIPLE_CLUSTER(64, 64, 3), 1, 1, 64, 3, 2, 0, 168, 2)

#endif
#endif
