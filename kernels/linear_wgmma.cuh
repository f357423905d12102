// linear with float16 weights and float16 x on the matrix units of compute capability 9.0: the sums of linear_mixed.cuh, in the same
// order, so the same bits. Two warps feed tiles of w and of x to shared memory by the copy engine, STAGES of 64 columns of k ahead; one or two
// warpgroups multiply. Small tiles are made by clusters, whose groups share what they read. Groups stay: each takes tiles of y until none is left,
// rows first, and is fed the next tile while it stores one. Weights are asked for before the launch that makes x is done (rp_wait). Included by
// linear.cu; the host picks among the shapes of tiles (core/ops/linear.c).
#ifndef RP_LINEAR_WGMMA_CUH
#define RP_LINEAR_WGMMA_CUH

#include "linear_mixed.cuh"
#include "wgmma.cuh"

struct rp_linear_map_args {
    rp_kernel_args<rp_linear_params> base;
    rp_tensor_map x, w;      // boxes of 64 columns and as many rows as a tile has of each, or a group of a cluster copies of it
};

#ifdef RP_HAS_WGMMA

#define OWN_PITCH 40         // of a row on its way to y: what a half-warp writes at once lies in different banks
#define OWN_HALVES 72        // of one as float16: and so do blocks of eight rows
#define OWN (16 * OWN_PITCH) // then the bias
__device__ inline float4 rp_add4(const float4 &a, const float4 &b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
__device__ inline float4 rp_silu4(const float4 &x) { return make_float4(rp_silu_mixed(x.x), rp_silu_mixed(x.y), rp_silu_mixed(x.z), rp_silu_mixed(x.w)); }

// Copies `bytes` of 16 to shared memory and fills the rest with zeros.
__device__ inline void rp_copy_part(float *to, const float *from, uint32_t bytes) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(rp_shared_address(to)), "l"(from), "r"(bytes) : "memory");
}

// Tiles of BM x BN; each warpgroup makes FM x 64 rows of one. Two share one, or take turns with a whole tile each, so that one multiplies while the
// other stores; or there is one alone. A cluster of CM x CN groups makes as many tiles, side by side: each of its rows shares x, each column w.
enum rp_tile_way { RP_TILE_SHARED, RP_TILE_TURNS, RP_TILE_ALONE };
template <int FM, int BN, int STAGES, rp_tile_way WAY, int CM = 1, int CN = 1> struct rp_wgmma_tile {
    static constexpr int cluster = CM * CN;                                // rank r: row r % CM, column r / CM
    static constexpr int bm = WAY == RP_TILE_SHARED ? FM * 128 : FM * 64;
    static constexpr int warps = WAY == RP_TILE_ALONE ? 4 : 8;             // that multiply
    static constexpr int threads = WAY == RP_TILE_ALONE ? RP_LINEAR_WGMMA_ALONE : RP_LINEAR_WGMMA_GROUP;
    static constexpr int stage_halves = (bm + BN) * 64;
    static constexpr int own_floats = OWN + BN;                            // of a warp: sixteen rows of 64 float16, then the bias
    static constexpr int bytes_needed = 1024 + STAGES * stage_halves * 2 + warps * own_floats * 4;   // boxes begin at multiples of 1024
    static constexpr bool early = FM * BN <= 128;                          // registers for a warp's whole residual, and for silu

    struct tile_at {
        uint32_t row, column;
    };
    // Tile number `i`, or this group's of the cluster's tiles number `i`: rows first, so that groups at work at the same time share weights.
    __device__ static tile_at place(uint32_t i, uint32_t m_tiles) {
        const uint32_t rank = blockIdx.x % cluster;
        return { (i % m_tiles * CM + rank % CM) * bm, (i / m_tiles * CN + rank / CM) * BN };
    }
    // A stage's part of w, or of x: from each of the groups that share it a slice.
    __device__ static inline void load_w(const rp_linear_map_args &args, __half *stage, uint32_t k, const tile_at &at, uint64_t *full) {
        if constexpr (CM == 1) {
            rp_box_load(stage + bm * 64, &args.w, k * 64, at.column, full);
        } else {
            const uint32_t rank = blockIdx.x % cluster, slice = rank % CM * (BN / CM);
            rp_box_share(stage + (bm + slice) * 64, &args.w, k * 64, at.column + slice, full, ((1u << CM) - 1) << (rank / CM * CM));
        }
    }
    __device__ static inline void load_x(const rp_linear_map_args &args, __half *stage, uint32_t k, const tile_at &at, uint64_t *full) {
        if constexpr (CN == 1) {
            rp_box_load(stage, &args.x, k * 64, at.row, full);
        } else {
            const uint32_t rank = blockIdx.x % cluster, slice = rank / CM * (bm / CN);
            uint32_t row = 0;                                              // of the cluster: its first, CM apart
            for (int i = 0; i < CN; i++) { row |= 1u << (i * CM); }
            rp_box_share(stage + slice * 64, &args.x, k * 64, at.row + slice, full, row << rank % CM);
        }
    }
    // A stage has been read: by a lane of each warp that multiplies, or one for each group that sends to it.
    __device__ static inline void leave(uint64_t *empty, uint32_t lane) {
        if (cluster == 1) {
            if (lane == 0) { rp_barrier_arrive(empty); }
        } else if (lane < cluster) {
            rp_cluster_arrive_at(empty, lane);
        }
    }

    // Sixteen rows of a warp as float16, from row0 on: bias, then gate or silu where results are, then by way of `own` to y in
    // pieces of eight, 64 columns of y at a time.
    template <bool GATED>
    __device__ static inline void store_rounded(const rp_linear_params &p, const rp_mixed_view &view, const float (&acc)[BN / 8][4], float *own,
                                                uint32_t row0, uint32_t column0, uint32_t lane) {
        constexpr int blocks = GATED ? BN / 16 : BN / 8;       // of y, eight columns each
        const float *bias = own + OWN + lane % 4 * 2;
        __half *half = reinterpret_cast<__half *>(own), *to = half + lane % 16 * OWN_HALVES + lane / 16 * 8;
        const uint32_t width = GATED ? p.n / 2 : p.n, y0 = GATED ? column0 / 2 : column0;
#pragma unroll
        for (int c = 0; c < blocks; c += 8) {
            float2 rest[8][2];
            if (!GATED && p.has_residual) {
                const uint32_t row = row0 + lane / 4, column = column0 + c * 8 + lane % 4 * 2;
#pragma unroll
                for (int j = 0; j < 16; j++) {
                    const uint32_t at_row = row + j % 2 * 8, at_column = column + j / 2 * 8;
                    rest[j / 2][j % 2] = make_float2(0, 0);
                    if (at_row >= p.m || at_column >= p.n) { continue; }
                    rest[j / 2][j % 2] = *reinterpret_cast<const float2 *>(view.residual + (uint64_t)at_row * p.n + at_column);
                }
            }
            __syncwarp();      // own: read by all before it is written again
#pragma unroll
            for (int j = c; j < (c + 8 < blocks ? c + 8 : blocks); j += 2) {
                uint32_t rounded[4];
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    const int at = (j + i < blocks ? j + i : j) * (GATED ? 2 : 1);
                    const float2 ca = *reinterpret_cast<const float2 *>(bias + at * 8);
                    const float2 cb = GATED ? *reinterpret_cast<const float2 *>(bias + at * 8 + 8) : ca;
                    float y[4];
#pragma unroll
                    for (int e = 0; e < 4; e++) {
                        y[e] = acc[at][e] + (e % 2 == 0 ? ca.x : ca.y);
                        if (GATED) {
                            y[e] = rp_silu_mixed(y[e]) * (acc[GATED ? at + 1 : at][e] + (e % 2 == 0 ? cb.x : cb.y));
                        } else if (p.has_residual) {
                            const float2 r = rest[GATED ? 0 : j - c + i][e / 2];
                            y[e] += e % 2 == 0 ? r.x : r.y;
                        } else if (p.silu) {
                            y[e] = rp_silu_mixed(y[e]);
                        }
                    }
                    rounded[2 * i] = rp_pair(y[0], y[1]), rounded[2 * i + 1] = rp_pair(y[2], y[3]);
                }
                rp_store_blocks(to + (j - c) * 8, rounded);
            }
            __syncwarp();      // own: written by all, read by all
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const uint32_t row = row0 + i * 4 + lane / 8, column = y0 + c * 8 + lane % 8 * 8;
                if (c + (int)(lane % 8) < blocks && row < p.m && column < width) {
                    *reinterpret_cast<uint4 *>(static_cast<__half *>(view.y) + (uint64_t)row * width + column) =
                        *reinterpret_cast<const uint4 *>(half + (i * 4 + lane / 8) * OWN_HALVES + lane % 8 * 8);
                }
            }
        }
    }
    static constexpr int held_n = early ? BN / 32 : 1;
    // Asks for four rows' pieces of the residual, 32 columns further for each c; zeros outside.
    __device__ static inline void ask(const rp_linear_params &p, const float *residual, uint32_t row, int left, int c, float4 (&to)[4]) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            to[i] = make_float4(0, 0, 0, 0);
            if (row + i * 4 < p.m && c * 32 < left) { to[i] = *reinterpret_cast<const float4 *>(residual + i * 4 * (uint64_t)p.n + c * 32); }
        }
    }
    // The same as float32, 32 columns at a time: bias, then residual or silu. held: the residual, where there were registers for it.
    template <bool RESIDUAL, bool SILU>
    __device__ static inline void store_fours(const rp_linear_params &p, const rp_mixed_view &view, const float (&acc)[BN / 8][4], float *own,
                                              const float4 (&held)[held_n][4], uint32_t row0, uint32_t column0, uint32_t lane) {
        const uint32_t row = row0 + lane / 8, column = column0 + lane % 8 * 4;
        const uint64_t at = (uint64_t)row * p.n + column;
        const int left = (int)p.n - (int)column;
        const float *bias = own + OWN + lane % 8 * 4, *from = own + lane / 8 * OWN_PITCH + lane % 8 * 4;
        float *to = own + lane / 4 * OWN_PITCH + lane % 4 * 2, *y[4];
        float4 rest[2][4];
#pragma unroll
        for (int i = 0; i < 4; i++) { y[i] = static_cast<float *>(view.y) + at + i * 4 * (uint64_t)p.n; }
        if (RESIDUAL && !early) { ask(p, view.residual + at, row, left, 0, rest[0]); }
#pragma unroll
        for (int c = 0; c < BN / 32; c++) {
            if (RESIDUAL && !early && c + 1 < BN / 32) { ask(p, view.residual + at, row, left, c + 1, rest[(c + 1) % 2]); }
            __syncwarp();      // own: read by all before it is written again
#pragma unroll
            for (int j = 0; j < 4; j++) {
                *reinterpret_cast<float2 *>(to + j * 8) = make_float2(acc[c * 4 + j][0], acc[c * 4 + j][1]);
                *reinterpret_cast<float2 *>(to + j * 8 + 8 * OWN_PITCH) = make_float2(acc[c * 4 + j][2], acc[c * 4 + j][3]);
            }
            __syncwarp();      // own, bias: written by all, read by all
            const float4 b = *reinterpret_cast<const float4 *>(bias + c * 32);
            float4 out[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                out[i] = rp_add4(*reinterpret_cast<const float4 *>(from + i * 4 * OWN_PITCH), b);
                if (RESIDUAL) { out[i] = rp_add4(out[i], early ? held[early ? c : 0][i] : rest[c % 2][i]); }
                if (SILU) { out[i] = rp_silu4(out[i]); }
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                if (row + i * 4 < p.m && c * 32 < left) { *reinterpret_cast<float4 *>(y[i] + c * 32) = out[i]; }
            }
        }
    }

    // .. and one by one, where rows of y are no whole pieces.
    __device__ static inline void store_each(const rp_linear_params &p, const rp_mixed_view &view, const float (&acc)[BN / 8][4], const float *bias,
                                             uint32_t row0, uint32_t column0, uint32_t lane) {
#pragma unroll
        for (int e = 0; e < BN / 2; e++) {
            const int j = e / 4, i = e % 4;
            const uint32_t row = row0 + lane / 4 + i / 2 * 8, column = column0 + j * 8 + lane % 4 * 2 + i % 2;
            if (row >= p.m || column >= p.n || (p.gated && j % 2 != 0)) { continue; }
            float y = acc[j][i] + bias[j * 8 + i % 2];
            if (p.gated) {
                y = rp_silu_mixed(y) * (acc[j + (j % 2 == 0)][i] + bias[j * 8 + 8 + i % 2]);
                rp_put(view.y, (uint64_t)row * (p.n / 2) + column0 / 2 + j * 4 + lane % 4 * 2 + i % 2, y, p.y_f16);
                continue;
            }
            const uint64_t at = (uint64_t)row * p.n + column;
            rp_put(view.y, at, p.has_residual ? y + view.residual[at] : p.silu ? rp_silu_mixed(y) : y, p.y_f16);
        }
    }

    // Sixteen rows of a warp, from row0 on.
    __device__ static inline void store(const rp_linear_params &p, const rp_mixed_view &view, const float (&acc)[BN / 8][4], float *own,
                                        const float4 (&held)[held_n][4], uint32_t row0, uint32_t column0, uint32_t lane) {
        if (p.y_f16 && p.gated) {
            store_rounded<true>(p, view, acc, own, row0, column0, lane);
        } else if (p.y_f16 && p.n % 8 == 0) {
            store_rounded<false>(p, view, acc, own, row0, column0, lane);
        } else if (p.y_f16 || p.gated || p.n % 4 != 0) {
            store_each(p, view, acc, own + OWN + lane % 4 * 2, row0, column0, lane);
        } else if (p.silu) {
            store_fours<false, true>(p, view, acc, own, held, row0, column0, lane);
        } else if (p.has_residual) {
            store_fours<true, false>(p, view, acc, own, held, row0, column0, lane);
        } else {
            store_fours<false, false>(p, view, acc, own, held, row0, column0, lane);
        }
    }

    // The two warps that copy, one lane of each: w, and x once it is there. Asking for a box takes a lane some hundred cycles.
    template <bool X>
    __device__ static inline void feed(const rp_linear_map_args &args, __half *memory, uint64_t *full, uint64_t *empty, uint32_t tiles,
                                       uint32_t m_tiles, uint32_t k_tiles) {
        uint32_t stage = 0, parity = 1;
        rp_box_prefetch(X ? &args.x : &args.w);
        if (X) { rp_wait(); }
        for (uint32_t i = blockIdx.x / cluster; i < tiles; i += gridDim.x / cluster) {
            const tile_at at = place(i, m_tiles);
            for (uint32_t k = 0; k < k_tiles; k++) {
                __half *to = memory + stage * stage_halves;
                rp_barrier_wait(&empty[stage], parity);
                rp_barrier_expect(&full[stage], (X ? bm : BN) * 128);
                if (X) {
                    load_x(args, to, k, at, &full[stage]);
                } else {
                    load_w(args, to, k, at, &full[stage]);
                }
                if (++stage == STAGES) { stage = 0, parity ^= 1; }
            }
        }
    }

    // A warpgroup that multiplies.
    __device__ static inline void multiply(const rp_linear_map_args &args, __half *memory, uint64_t *full, uint64_t *empty, uint32_t tiles,
                                           uint32_t m_tiles, uint32_t k_tiles) {
        const rp_linear_params &p = args.base.p;
        const rp_mixed_view view = rp_mixed_view_of(args.base);
        const uint32_t which = threadIdx.x / 128, lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
        const uint32_t below = WAY == RP_TILE_SHARED ? which * FM * 64 : 0;      // first row of this warpgroup in a tile
        float *own = reinterpret_cast<float *>(memory + STAGES * stage_halves) + threadIdx.x / 32 * own_floats;
        uint32_t stage = 0, parity = 0;
        float acc[FM][BN / 8][4];
        const auto skip = [&]() {                                          // the other's tile
            stage += k_tiles;
            parity ^= stage / STAGES & 1;
            stage %= STAGES;
        };
        if (WAY == RP_TILE_TURNS && which == 1) {
            skip();
            asm volatile("bar.arrive 1, 256;" ::: "memory");               // the first turn is the other's
        }
        for (uint32_t i = blockIdx.x / cluster + (WAY == RP_TILE_TURNS ? which * gridDim.x : 0); i < tiles;
             i += gridDim.x / cluster * (WAY == RP_TILE_TURNS ? 2 : 1)) {
            const tile_at at = place(i, m_tiles);
            const uint32_t row0 = at.row + below + warp * 16;
            __syncwarp();                  // own: read by all, for the tile before
#pragma unroll
            for (int j = 0; j < BN; j += 128) {                            // the bias, zeros past its end
                const uint32_t part = j + lane * 4, column = at.column + part, there = p.has_bias && column < p.n ? min(4u, p.n - column) : 0;
                if (part < BN) { rp_copy_part(own + OWN + part, there > 0 ? view.bias + column : reinterpret_cast<const float *>(view.w), there * 4); }
            }
            rp_copy_commit();
            float4 held[held_n][4];                                        // the residual, on its way while the units multiply
            if (early && p.has_residual && p.n % 4 == 0 && !p.y_f16) {
                const uint32_t row = row0 + lane / 8, column = at.column + lane % 8 * 4;
#pragma unroll
                for (int c = 0; c < held_n; c++) { ask(p, view.residual + (uint64_t)row * p.n + column, row, (int)p.n - (int)column, c, held[c]); }
            }
            uint32_t last = 0;
            if (WAY == RP_TILE_TURNS) { asm volatile("bar.sync %0, 256;" ::"r"(which + 1) : "memory"); }   // the other has all of its tile multiplied
#pragma unroll 1
            for (uint32_t k = 0; k < k_tiles; k++) {
                const __half *x = memory + stage * stage_halves;
                const uint64_t a = rp_box_describe(x + below * 64), b = rp_box_describe(x + bm * 64);
                rp_barrier_wait(&full[stage], parity);
                rp_wgmma_begin();
#pragma unroll
                for (int j = 0; j < 4; j++) {
#pragma unroll
                    for (int f = 0; f < FM; f++) { rp_wgmma<BN>(acc[f], a + f * 512 + j * 2, b + j * 2, k > 0 || j > 0); }
                }
                rp_wgmma_commit();
                rp_wgmma_wait<1>();
                if (k > 0) { leave(&empty[last], lane); }
                last = stage;
                if (++stage == STAGES) { stage = 0, parity ^= 1; }
            }
            if (WAY == RP_TILE_TURNS) { asm volatile("bar.arrive %0, 256;" ::"r"(2 - which) : "memory"); }
            rp_wgmma_wait<0>();
            if (i + gridDim.x / cluster >= tiles) { rp_release(); }        // no sooner: groups of the next launch crowd where there is room
            leave(&empty[last], lane);
            if (WAY == RP_TILE_TURNS) { skip(); }
            rp_copy_wait<0>();
            __syncwarp();                  // bias: copied by each, read by all
#pragma unroll
            for (int f = 0; f < FM; f++) { store(p, view, acc[f], own, held, row0 + f * 64, at.column, lane); }
        }
    }

    __device__ static inline void run(const rp_linear_map_args &args, char *raw) {
        __shared__ uint64_t full[STAGES], empty[STAGES];
        __half *memory = reinterpret_cast<__half *>(raw + (1024 - rp_shared_address(raw) % 1024) % 1024);
        const rp_linear_params &p = args.base.p;
        const uint32_t m_tiles = (p.m + CM * bm - 1) / (CM * bm), tiles = m_tiles * ((p.n + CN * BN - 1) / (CN * BN)), k_tiles = (p.k + 63) / 64;
        if (threadIdx.x == 0) {
            for (int i = 0; i < STAGES; i++) {                             // those who feed; warps that multiply the same tile
                rp_barrier_init(&full[i], 2), rp_barrier_init(&empty[i], (WAY == RP_TILE_SHARED ? 8 : 4) * cluster);
            }
            rp_barrier_publish();
        }
        if (cluster > 1) { rp_cluster_meet(); }
        __syncthreads();                   // barriers: made by one, used by all
        if (threadIdx.x >= warps * 32) {
            if (WAY != RP_TILE_ALONE) { rp_registers_fewer<40>(); }
            if (threadIdx.x == warps * 32) { feed<false>(args, memory, full, empty, tiles, m_tiles, k_tiles); }
            if (threadIdx.x == warps * 32 + 32) { feed<true>(args, memory, full, empty, tiles, m_tiles, k_tiles); }
        } else {
            if (WAY != RP_TILE_ALONE) { rp_registers_more<232>(); }
            rp_wait();
            multiply(args, memory, full, empty, tiles, m_tiles, k_tiles);
        }
        __syncwarp();
        if (cluster > 1) { rp_cluster_meet(); }                            // the others send here, and arrive here, no more
    }
};

#define RP_WGMMA_KERNEL(name, bytes, ...)                                                                                     \
    extern "C" __global__ void __cluster_dims__(rp_wgmma_tile<__VA_ARGS__>::cluster, 1, 1)                                     \
        __launch_bounds__(rp_wgmma_tile<__VA_ARGS__>::threads, 1) name(const __grid_constant__ rp_linear_map_args args) {      \
        extern __shared__ __align__(128) char wgmma_memory[];                                                                 \
        static_assert(rp_wgmma_tile<__VA_ARGS__>::bytes_needed == bytes, "as the launch rule says");                          \
        rp_wgmma_tile<__VA_ARGS__>::run(args, wgmma_memory);                                                                  \
    }

RP_WGMMA_KERNEL(linear_wgmma_turns_128x128, RP_LINEAR_WGMMA_SHARED(128, 128, 6, 8), 2, 128, 6, RP_TILE_TURNS)
RP_WGMMA_KERNEL(linear_wgmma_turns_64x128, RP_LINEAR_WGMMA_SHARED(64, 128, 8, 8), 1, 128, 8, RP_TILE_TURNS)
RP_WGMMA_KERNEL(linear_wgmma_128x256, RP_LINEAR_WGMMA_SHARED(128, 256, 4, 8), 1, 256, 4, RP_TILE_SHARED)
RP_WGMMA_KERNEL(linear_wgmma_128x224, RP_LINEAR_WGMMA_SHARED(128, 224, 4, 8), 1, 224, 4, RP_TILE_SHARED)
RP_WGMMA_KERNEL(linear_wgmma_128x192, RP_LINEAR_WGMMA_SHARED(128, 192, 4, 8), 1, 192, 4, RP_TILE_SHARED)
RP_WGMMA_KERNEL(linear_wgmma_128x128, RP_LINEAR_WGMMA_SHARED(128, 128, 6, 8), 1, 128, 6, RP_TILE_SHARED)
RP_WGMMA_KERNEL(linear_wgmma_128x96, RP_LINEAR_WGMMA_SHARED(128, 96, 7, 8), 1, 96, 7, RP_TILE_SHARED)
RP_WGMMA_KERNEL(linear_wgmma_128x64, RP_LINEAR_WGMMA_SHARED(128, 64, 8, 8), 1, 64, 8, RP_TILE_SHARED)
RP_WGMMA_KERNEL(linear_wgmma_cluster_64x128, RP_LINEAR_WGMMA_SHARED(64, 128, 8, 4), 1, 128, 8, RP_TILE_ALONE, 1, 2)
RP_WGMMA_KERNEL(linear_wgmma_cluster_64x96, RP_LINEAR_WGMMA_SHARED(64, 96, 9, 4), 1, 96, 9, RP_TILE_ALONE, 2, 1)
RP_WGMMA_KERNEL(linear_wgmma_cluster_64x64, RP_LINEAR_WGMMA_SHARED(64, 64, 12, 4), 1, 64, 12, RP_TILE_ALONE, 1, 2)
RP_WGMMA_KERNEL(linear_wgmma_cluster_64x32, RP_LINEAR_WGMMA_SHARED(64, 32, 14, 4), 1, 32, 14, RP_TILE_ALONE, 1, 4)

#endif
#endif
