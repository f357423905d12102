// linear with float16 weights and float16 x on the matrix units of compute capability 9.0: the sums of linear_mixed.cuh, in the
// same order, so the same bits. One warp feeds tiles of x and w to shared memory by the copy engine, STAGES of 64 columns of k
// ahead; two warpgroups multiply. Groups stay: each takes tiles of y until none is left, rows first, and is fed the next tile
// while it stores one. Weights are asked for before the launch that makes x is done (rp_wait). Included by linear.cu; the host
// picks among the shapes of tiles (core/ops/linear.c).
#ifndef RP_LINEAR_WGMMA_CUH
#define RP_LINEAR_WGMMA_CUH

#include "linear_mixed.cuh"
#include "wgmma.cuh"

struct rp_linear_map_args {
    rp_kernel_args<rp_linear_params> base;
    rp_tensor_map x, w;      // boxes of 64 columns and as many rows as a tile has of each
};

#ifdef RP_HAS_WGMMA

#define OWN_PITCH 40         // of a row on its way to y: what a half-warp writes at once lies in different banks

__device__ inline float4 rp_add4(const float4 &a, const float4 &b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }

// Copies `bytes` of 16 to shared memory and fills the rest with zeros.
__device__ inline void rp_copy_part(float *to, const float *from, uint32_t bytes) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(rp_shared(to)), "l"(from), "r"(bytes) : "memory");
}

// Tiles of BM x BN; each warpgroup makes FM x 64 rows of one. TURNS: a whole tile each, in turns, so that one multiplies while the
// other stores; else they share a tile.
template <int FM, int BN, int STAGES, bool TURNS> struct rp_wgmma_tile {
    static constexpr int bm = TURNS ? FM * 64 : FM * 128;
    static constexpr int threads = RP_LINEAR_WGMMA_GROUP;
    static constexpr int stage_halves = (bm + BN) * 64;
    static constexpr int own_floats = 16 * OWN_PITCH + BN;                 // of a warp: sixteen rows of 32 results, then the bias
    static constexpr int bytes_needed = 1024 + STAGES * stage_halves * 2 + 8 * own_floats * 4;   // boxes begin at multiples of 1024
    static constexpr bool early = FM * BN <= 128;                          // registers for a warp's whole residual, and for silu

    struct tile_at {
        uint32_t row, column;
    };
    // Tile number `i`: rows first, so that groups at work at the same time share weights.
    __device__ static tile_at place(uint32_t i, uint32_t m_tiles) { return { i % m_tiles * bm, i / m_tiles * BN }; }

    __device__ static inline float4 residual_of(const rp_linear_params &p, const rp_mixed_view &view, uint32_t row, uint32_t column) {
        if (row >= p.m || column >= p.n) { return make_float4(0, 0, 0, 0); }
        return *reinterpret_cast<const float4 *>(view.residual + (uint64_t)row * p.n + column);
    }

    // Thirty-two columns of a warp's sixteen rows, from `own` to y: with the gate ..
    __device__ static inline void store_gated(const rp_linear_params &p, const rp_mixed_view &view, const float *own, const float *bias,
                                              uint32_t row0, uint32_t column0, uint32_t lane) {
        const uint32_t row = row0 + lane / 2, at = lane % 2 * 2 * RP_LINEAR_GATE, column = column0 + at;
        const float *from = own + lane / 2 * OWN_PITCH + at;
        if (row >= p.m || column >= p.n) { return; }
        float y[8];
#pragma unroll
        for (int e = 0; e < 8; e += 4) {
            const float4 *a_at = reinterpret_cast<const float4 *>(from + e), *c_at = reinterpret_cast<const float4 *>(bias + at + e);
            const float4 a = rp_add4(a_at[0], c_at[0]), b = rp_add4(a_at[RP_LINEAR_GATE / 4], c_at[RP_LINEAR_GATE / 4]);
            y[e] = rp_silu_mixed(a.x) * b.x, y[e + 1] = rp_silu_mixed(a.y) * b.y;
            y[e + 2] = rp_silu_mixed(a.z) * b.z, y[e + 3] = rp_silu_mixed(a.w) * b.w;
        }
        const uint64_t to = (uint64_t)row * (p.n / 2) + column / 2;
        if (p.y_f16) {
            *reinterpret_cast<uint4 *>(static_cast<__half *>(view.y) + to) =
                make_uint4(rp_pair(y[0], y[1]), rp_pair(y[2], y[3]), rp_pair(y[4], y[5]), rp_pair(y[6], y[7]));
        } else {
            float4 *out = reinterpret_cast<float4 *>(static_cast<float *>(view.y) + to);
            out[0] = make_float4(y[0], y[1], y[2], y[3]), out[1] = make_float4(y[4], y[5], y[6], y[7]);
        }
    }
    // .. and without, in pieces of four, through silu where that is asked for; rest: their residual, or zeros.
    __device__ static inline void store_four(const rp_linear_params &p, const rp_mixed_view &view, const float *own, const float *bias,
                                             const float4 (&rest)[4], uint32_t row0, uint32_t column0, uint32_t lane) {
        const uint32_t part = lane % 8 * 4, column = column0 + part;
        if (column >= p.n) { return; }
        const float4 c = *reinterpret_cast<const float4 *>(bias + part);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t row = row0 + i * 4 + lane / 8;
            if (row >= p.m) { break; }
            const float4 sum = *reinterpret_cast<const float4 *>(own + (i * 4 + lane / 8) * OWN_PITCH + part);
            float4 y = rp_add4(rp_add4(sum, c), rest[i]);
            if (early && p.silu) { y = make_float4(rp_silu(y.x), rp_silu(y.y), rp_silu(y.z), rp_silu(y.w)); }
            const uint64_t to = (uint64_t)row * p.n + column;
            if (p.y_f16) {
                *reinterpret_cast<uint2 *>(static_cast<__half *>(view.y) + to) = make_uint2(rp_pair(y.x, y.y), rp_pair(y.z, y.w));
            } else {
                *reinterpret_cast<float4 *>(static_cast<float *>(view.y) + to) = y;
            }
        }
    }
    // .. and one by one, where rows of y do not begin at whole pieces.
    __device__ static inline void store_one(const rp_linear_params &p, const rp_mixed_view &view, const float *own, const float *bias,
                                            uint32_t row0, uint32_t column0, uint32_t lane) {
        const uint32_t column = column0 + lane;
        if (column >= p.n) { return; }
#pragma unroll 1
        for (uint32_t i = 0; i < 16 && row0 + i < p.m; i++) {
            const uint64_t to = (uint64_t)(row0 + i) * p.n + column;
            const float y = own[i * OWN_PITCH + lane] + bias[lane];
            rp_put(view.y, to, p.has_residual ? y + view.residual[to] : early && p.silu ? rp_silu(y) : y, p.y_f16);
        }
    }

    // Sixteen rows of a warp, from row0 on, by way of `own`.
    __device__ static inline void store(const rp_linear_params &p, const rp_mixed_view &view, const float (&acc)[BN / 8][4], float *own,
                                        const float4 (&held)[early ? BN / 32 : 1][4], uint32_t row0, uint32_t column0, uint32_t lane) {
        const float *bias = own + 16 * OWN_PITCH;
#pragma unroll
        for (int c = 0; c < BN / 32; c++) {
            const uint32_t column = column0 + c * 32;
            if (column >= p.n) { break; }
            float4 rest[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                rest[i] = early ? held[early ? c : 0][i] : make_float4(0, 0, 0, 0);
                if (!early && p.has_residual && p.n % 4 == 0) { rest[i] = residual_of(p, view, row0 + i * 4 + lane / 8, column + lane % 8 * 4); }
            }
            __syncwarp();      // own: read by all before it is written again
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float *to = own + lane / 4 * OWN_PITCH + j * 8 + lane % 4 * 2;
                *reinterpret_cast<float2 *>(to) = make_float2(acc[c * 4 + j][0], acc[c * 4 + j][1]);
                *reinterpret_cast<float2 *>(to + 8 * OWN_PITCH) = make_float2(acc[c * 4 + j][2], acc[c * 4 + j][3]);
            }
            __syncwarp();      // own, bias: written by all, read by all
            if (p.gated) {
                store_gated(p, view, own, bias + c * 32, row0, column, lane);
            } else if (p.n % 4 == 0) {
                store_four(p, view, own, bias + c * 32, rest, row0, column, lane);
            } else {
                store_one(p, view, own, bias + c * 32, row0, column, lane);
            }
        }
    }

    // The warp that copies; one lane does.
    __device__ static inline void feed(const rp_linear_map_args &args, __half *memory, uint64_t *full, uint64_t *empty, uint32_t tiles,
                                       uint32_t m_tiles, uint32_t k_tiles) {
        uint32_t stage = 0, parity = 1;
        const uint32_t early = min(STAGES, k_tiles);                       // weights that come before x is there
        const tile_at first = place(blockIdx.x, m_tiles);
        rp_box_prefetch(&args.x), rp_box_prefetch(&args.w);
        for (uint32_t k = 0; k < early; k++) {
            rp_barrier_expect(&full[k], stage_halves * 2);
            rp_box_load(memory + k * stage_halves + bm * 64, &args.w, k * 64, first.column, &full[k]);
        }
        rp_wait();
        for (uint32_t i = blockIdx.x; i < tiles; i += gridDim.x) {
            const tile_at at = place(i, m_tiles);
            for (uint32_t k = 0; k < k_tiles; k++) {
                __half *x = memory + stage * stage_halves;
                if (i != blockIdx.x || k >= early) {
                    rp_barrier_wait(&empty[stage], parity);
                    rp_barrier_expect(&full[stage], stage_halves * 2);
                    rp_box_load(x + bm * 64, &args.w, k * 64, at.column, &full[stage]);
                }
                rp_box_load(x, &args.x, k * 64, at.row, &full[stage]);
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
        const uint32_t below = TURNS ? 0 : which * FM * 64;                // first row of this warpgroup in a tile
        float *own = reinterpret_cast<float *>(memory + STAGES * stage_halves) + threadIdx.x / 32 * own_floats;
        uint32_t stage = 0, parity = 0;
        float acc[FM][BN / 8][4];
        const auto skip = [&]() {                                          // the other's tile
            stage += k_tiles;
            parity ^= stage / STAGES & 1;
            stage %= STAGES;
        };
        if (TURNS && which == 1) {
            skip();
            asm volatile("bar.arrive 1, 256;" ::: "memory");               // the first turn is the other's
        }
        for (uint32_t i = blockIdx.x + (TURNS ? which * gridDim.x : 0); i < tiles; i += gridDim.x * (TURNS ? 2 : 1)) {
            const tile_at at = place(i, m_tiles);
            const uint32_t row0 = at.row + below + warp * 16;
            __syncwarp();                  // own: read by all, for the tile before
#pragma unroll
            for (int j = 0; j < BN; j += 128) {                            // the bias, zeros past its end
                const uint32_t part = j + lane * 4, column = at.column + part, there = p.has_bias && column < p.n ? min(4u, p.n - column) : 0;
                if (part < BN) { rp_copy_part(own + 16 * OWN_PITCH + part, there > 0 ? view.bias + column : reinterpret_cast<const float *>(view.w), there * 4); }
            }
            rp_copy_commit();
            float4 held[early ? BN / 32 : 1][4];                           // on its way while the units multiply
#pragma unroll
            for (int c = 0; c < (early ? BN / 32 : 1); c++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    held[c][e] = make_float4(0, 0, 0, 0);
                    if (early && p.has_residual && p.n % 4 == 0) { held[c][e] = residual_of(p, view, row0 + e * 4 + lane / 8, at.column + c * 32 + lane % 8 * 4); }
                }
            }
            uint32_t last = 0;
            if (TURNS) { asm volatile("bar.sync %0, 256;" ::"r"(which + 1) : "memory"); }   // the other has all of its tile multiplied
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
                if (k > 0 && lane == 0) { rp_barrier_arrive(&empty[last]); }
                last = stage;
                if (++stage == STAGES) { stage = 0, parity ^= 1; }
            }
            if (TURNS) { asm volatile("bar.arrive %0, 256;" ::"r"(2 - which) : "memory"); }
            rp_wgmma_wait<0>();
            if (lane == 0) { rp_barrier_arrive(&empty[last]); }
            if (TURNS) { skip(); }
            rp_copy_wait<0>();             // bias: copied by each, read by all after a barrier of the warp
#pragma unroll
            for (int f = 0; f < FM; f++) { store(p, view, acc[f], own, held, row0 + f * 64, at.column, lane); }
        }
    }

    __device__ static inline void run(const rp_linear_map_args &args, char *raw) {
        __shared__ uint64_t full[STAGES], empty[STAGES];
        __half *memory = reinterpret_cast<__half *>(raw + (1024 - rp_shared(raw) % 1024) % 1024);
        const rp_linear_params &p = args.base.p;
        const uint32_t m_tiles = (p.m + bm - 1) / bm, tiles = m_tiles * ((p.n + BN - 1) / BN), k_tiles = (p.k + 63) / 64;
        if (threadIdx.x == 0) {
            for (int i = 0; i < STAGES; i++) { rp_barrier_init(&full[i], 1), rp_barrier_init(&empty[i], TURNS ? 4 : 8); }   // warps
            rp_barrier_publish();
        }
        __syncthreads();                   // barriers: made by one, used by all
        rp_release();
        if (threadIdx.x / 128 == 2) {
            if (threadIdx.x % 32 == 0) { feed(args, memory, full, empty, tiles, m_tiles, k_tiles); }
        } else {
            rp_wait();
            multiply(args, memory, full, empty, tiles, m_tiles, k_tiles);
        }
    }
};

#define RP_WGMMA_KERNEL(name, bytes, ...)                                                                                     \
    extern "C" __global__ void __launch_bounds__(rp_wgmma_tile<__VA_ARGS__>::threads, 1)                                      \
        name(const __grid_constant__ rp_linear_map_args args) {                                                               \
        extern __shared__ __align__(128) char wgmma_memory[];                                                                 \
        static_assert(rp_wgmma_tile<__VA_ARGS__>::bytes_needed == bytes, "as the launch rule says");                          \
        rp_wgmma_tile<__VA_ARGS__>::run(args, wgmma_memory);                                                                  \
    }

RP_WGMMA_KERNEL(linear_wgmma_turns_128x128, RP_LINEAR_WGMMA_SHARED(128, 128, 6), 2, 128, 6, true)
RP_WGMMA_KERNEL(linear_wgmma_128x256, RP_LINEAR_WGMMA_SHARED(128, 256, 4), 1, 256, 4, false)
RP_WGMMA_KERNEL(linear_wgmma_128x96, RP_LINEAR_WGMMA_SHARED(128, 96, 7), 1, 96, 7, false)
RP_WGMMA_KERNEL(linear_wgmma_turns_64x128, RP_LINEAR_WGMMA_SHARED(64, 128, 8), 1, 128, 8, true)
RP_WGMMA_KERNEL(linear_wgmma_turns_64x64, RP_LINEAR_WGMMA_SHARED(64, 64, 12), 1, 64, 12, true)

#endif
#endif
