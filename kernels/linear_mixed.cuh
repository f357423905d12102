// linear with float16 weights, on the matrix units by mma.sync (sm_80 and later): products of float16 numbers, float32 sums in
// the order of core/op_params.h. Included by linear.cu. Each has a twin _x32 that takes float32 x and rounds it on its way:
//   linear_mixed          128 x 128 results a group of 256
//   linear_mixed_medium    64 x  64 a group of 128: where the large ones would leave multiprocessors idle
//   linear_mixed_narrow    32 x  64 a group of 128: fewer still
// All give the same bits. Few rows: linear_mixed_skinny.cuh.
#ifndef RP_LINEAR_MIXED_CUH
#define RP_LINEAR_MIXED_CUH

#include "common.cuh"
#include "matrix.cuh"
#include "op_math.h"

struct rp_mixed_view {
    const __half *x16;       // [m, k]; or
    const float *x32;        // the same, to be rounded
    const __half *w;         // [n, k]
    const float *bias;       // [n]
    const float *residual;   // [m, n]; may be y itself
    const float *scale;      // [k]
    void *y;                 // [m, n], or [m, n / 2] where gated
};

__device__ static rp_mixed_view rp_mixed_view_of(const rp_kernel_args<rp_linear_params> &args) {
    return { rp_at<const __half>(args, 0), rp_at<const float>(args, 0), rp_at<const __half>(args, 1), rp_at<const float>(args, 2),
             rp_at<const float>(args, 3), rp_at<const float>(args, 4), rp_at<void>(args, 6) };
}

// Eight float32 numbers as float16, in 16 bytes.
__device__ inline uint4 rp_round8(const float4 &a, const float4 &b) {
    return make_uint4(rp_pair(a.x, a.y), rp_pair(a.z, a.w), rp_pair(b.x, b.y), rp_pair(b.z, b.w));
}

// x / (1 + exp(-x)) by the fast units. Error in units of 2^-24: 2 of 1 / (1 + t), 4 of t = exp(-|x|) and 0.5 of its rounded
// argument (|x| exp(-|x|)), 3 of sum and products.
__device__ inline float rp_silu_mixed(float x) {
    float t, inverse;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(t) : "f"(fabsf(x) * -1.44269504f));
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(1.0f + t));
    return x * ((x < 0.0f ? t : 1.0f) * inverse);
}

// Two neighbouring results, columns `column` (even) and the next: sums, then bias, then residual or silu.
__device__ inline void rp_mixed_store(const rp_linear_params &p, const rp_mixed_view &view, uint32_t row, uint32_t column, float a,
                                      float b) {
    if (row >= p.m || column >= p.n) { return; }
    const uint64_t at = (uint64_t)row * p.n + column;
    const bool both = column + 1 < p.n;
    if (p.has_bias) {
        a += view.bias[column];
        if (both) { b += view.bias[column + 1]; }
    }
    if (p.silu) { a = rp_silu_mixed(a), b = rp_silu_mixed(b); }
    if (p.n % 2 != 0) {      // pairs are not aligned
        if (p.has_residual) { a += view.residual[at], b += both ? view.residual[at + 1] : 0.0f; }
        rp_put(view.y, at, a, p.y_f16);
        if (both) { rp_put(view.y, at + 1, b, p.y_f16); }
        return;
    }
    if (p.has_residual) {
        const float2 r = *reinterpret_cast<const float2 *>(view.residual + at);
        a += r.x, b += r.y;
    }
    if (p.y_f16) {
        *reinterpret_cast<__half2 *>(static_cast<__half *>(view.y) + at) = rp_half2(a, b);
    } else {
        *reinterpret_cast<float2 *>(static_cast<float *>(view.y) + at) = make_float2(a, b);
    }
}

// The gate of columns column.. (a) and column + RP_LINEAR_GATE.. (b), two neighbours each.
__device__ inline void rp_mixed_store_gated(const rp_linear_params &p, const rp_mixed_view &view, uint32_t row, uint32_t column,
                                            float2 a, float2 b) {
    if (row >= p.m || column >= p.n) { return; }
    const uint64_t at = (uint64_t)row * (p.n / 2) + column / (2 * RP_LINEAR_GATE) * RP_LINEAR_GATE + column % RP_LINEAR_GATE;
    if (p.has_bias) {
        const float *bias = view.bias + column;
        a.x += bias[0], a.y += bias[1], b.x += bias[RP_LINEAR_GATE], b.y += bias[RP_LINEAR_GATE + 1];
    }
    const float first = rp_silu_mixed(a.x) * b.x, second = rp_silu_mixed(a.y) * b.y;
    if (p.y_f16) {
        *reinterpret_cast<__half2 *>(static_cast<__half *>(view.y) + at) = rp_half2(first, second);
    } else {
        *reinterpret_cast<float2 *>(static_cast<float *>(view.y) + at) = make_float2(first, second);
    }
}

// ---- tiles: BM x BN results a group of WARPS_M x WARPS_N warps, BK of k in shared memory at a time, STAGES of them ----

template <int BM, int BN, int WARPS_M, int WARPS_N, int BK, int STAGES> struct rp_mixed_tile {
    static constexpr int threads = 32 * WARPS_M * WARPS_N;
    static constexpr int pieces = BK / 8;                       // of 16 bytes, in a row
    static constexpr int xs = BM * pieces / threads, ws = BN * pieces / threads;   // pieces an invocation copies
    static constexpr int fm = BM / WARPS_M / 16, fn = BN / WARPS_N / 8;            // blocks of 16 x 8 a warp
    static constexpr int stage_halves = (BM + BN) * BK;
    static_assert(fn % 2 == 0 && BM * pieces % threads == 0 && BN * pieces % threads == 0 && (BK == 32 || BK == 64), "");
    static constexpr int bytes_needed = STAGES * stage_halves * 2;

    // Where piece `piece` of row `row` lies: eight rows at one piece touch all 32 banks once.
    __device__ static int place(int row, int piece) {
        const int turn = BK == 64 ? row & 7 : row >> 1 & 3;
        return row * BK + (piece ^ turn) * 8;
    }

    template <bool X32> __device__ static inline void run(const rp_kernel_args<rp_linear_params> &args, __half *memory) {
        const rp_linear_params p = args.p;
        const rp_mixed_view view = rp_mixed_view_of(args);
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        const uint32_t row0 = (blockIdx.z * gridDim.y + blockIdx.y) * BM, column0 = blockIdx.x * BN;
        const int wm = warp / WARPS_N * (BM / WARPS_M), wn = warp % WARPS_N * (BN / WARPS_N);
        const uint32_t n_tiles = (p.k + BK - 1) / BK;
        if (row0 >= p.m) { return; }
        float acc[fm][fn][4] = { { { 0 } } };
        float4 held[X32 ? xs : 1][2];                           // float32 x on its way to shared memory

        // What this invocation copies of each tile: piece `piece` of row `first` and every `step`th further, of x and of w. Rows
        // that are not there are read as the last one: they make results that nobody stores.
        constexpr int step = threads / pieces;
        const int piece = threadIdx.x % pieces, first = threadIdx.x / pieces, to = place(first, piece);
        static_assert(threads % pieces == 0 && step % 8 == 0, "all these pieces turn alike");
        uint64_t from_x[xs], from_w[ws];
#pragma unroll
        for (int i = 0; i < xs; i++) { from_x[i] = (uint64_t)min(row0 + first + i * step, p.m - 1) * p.k + piece * 8; }
#pragma unroll
        for (int i = 0; i < ws; i++) { from_w[i] = (uint64_t)min(column0 + first + i * step, p.n - 1) * p.k + piece * 8; }

        const auto load_w = [&](uint32_t stage, uint32_t tile) {
            const bool live = tile * BK + piece * 8 < p.k;
#pragma unroll
            for (int i = 0; i < ws; i++) {
                rp_copy16(memory + stage * stage_halves + BM * BK + to + i * step * BK, view.w + (live ? from_w[i] + tile * BK : 0), live ? 16 : 0);
            }
        };
        const auto load_x = [&](uint32_t stage, uint32_t tile) {
            const bool live = tile * BK + piece * 8 < p.k;
#pragma unroll
            for (int i = 0; i < xs; i++) {
                const uint64_t from = live ? from_x[i] + tile * BK : 0;
                if constexpr (X32) {
                    const float4 zero = make_float4(0, 0, 0, 0);
                    const float4 *x = reinterpret_cast<const float4 *>(view.x32 + from);
                    held[i][0] = live ? x[0] : zero, held[i][1] = live ? x[1] : zero;
                } else {
                    rp_copy16(memory + stage * stage_halves + to + i * step * BK, view.x16 + from, live ? 16 : 0);
                }
            }
        };
        const auto keep_x = [&](uint32_t stage) {               // float32 x only
            if constexpr (X32) {
#pragma unroll
                for (int i = 0; i < xs; i++) {
                    *reinterpret_cast<uint4 *>(memory + stage * stage_halves + to + i * step * BK) = rp_round8(held[i][0], held[i][1]);
                }
            }
        };
#pragma unroll
        for (uint32_t tile = 0; tile < STAGES - 1; tile++) {
            if (tile < n_tiles) { load_w(tile, tile), load_x(tile, tile), keep_x(tile); }
            rp_copy_commit();
        }
        uint32_t now = 0, next = STAGES - 1;
#pragma unroll 1
        for (uint32_t tile = 0; tile < n_tiles; tile++) {
            const bool more = tile + STAGES - 1 < n_tiles;
            rp_copy_wait<STAGES - 2>();
            __syncthreads();   // stage `now`: copied by all, read by all. And `next`: read by all in the round before
            if (more) { load_w(next, tile + STAGES - 1), load_x(next, tile + STAGES - 1); }
            rp_copy_commit();
            const __half *x = memory + now * stage_halves, *w = x + BM * BK;
#pragma unroll
            for (int k = 0; k < BK / 16; k++) {
                uint32_t a[fm][4], b[fn / 2][4];
#pragma unroll
                for (int i = 0; i < fm; i++) {                  // blocks: rows 0-7, rows 8-15, then the same at k + 8
                    rp_load_blocks(a[i], x + place(wm + i * 16 + lane % 16, 2 * k + lane / 16));
                }
#pragma unroll
                for (int j = 0; j < fn / 2; j++) {              // blocks: columns 0-7 at k and k + 8, then columns 8-15
                    rp_load_blocks(b[j], w + place(wn + j * 16 + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
                }
#pragma unroll
                for (int i = 0; i < fm; i++) {
#pragma unroll
                    for (int j = 0; j < fn; j++) { rp_mma(acc[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]); }
                }
            }
            if (more) { keep_x(next); }                         // read by none until the barrier of the round before its own
            now = now + 1 < STAGES ? now + 1 : 0;
            next = next + 1 < STAGES ? next + 1 : 0;
        }
#pragma unroll
        for (int i = 0; i < fm; i++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const uint32_t row = row0 + wm + i * 16 + half * 8 + lane / 4;
#pragma unroll
                for (int j = 0; j < fn; j += 2) {
                    const uint32_t column = column0 + wn + j * 8 + lane % 4 * 2;
                    const float *c = acc[i][j] + half * 2, *d = acc[i][j + 1] + half * 2;
                    if (p.gated) {
                        rp_mixed_store_gated(p, view, row, column, make_float2(c[0], c[1]), make_float2(d[0], d[1]));
                    } else {
                        rp_mixed_store(p, view, row, column, c[0], c[1]);
                        rp_mixed_store(p, view, row, column + 8, d[0], d[1]);
                    }
                }
            }
        }
    }
};

#define RP_MIXED_KERNEL(name, x32, groups, bytes, ...)                                                                        \
    extern "C" __global__ void __launch_bounds__(rp_mixed_tile<__VA_ARGS__>::threads, groups)                                 \
        name(const rp_kernel_args<rp_linear_params> args) {                                                                   \
        extern __shared__ __align__(128) __half memory[];                                                                     \
        rp_wait();                                                                                                            \
        static_assert(rp_mixed_tile<__VA_ARGS__>::bytes_needed == bytes, "as the launch rule says");                          \
        rp_mixed_tile<__VA_ARGS__>::run<x32>(args, memory);                                                                   \
    }
#define RP_MIXED_TILE(name, ...)                                                                                              \
    RP_MIXED_KERNEL(name, false, __VA_ARGS__)                                                                                 \
    RP_MIXED_KERNEL(name##_x32, true, __VA_ARGS__)
RP_MIXED_KERNEL(linear_mixed, false, 2, RP_LINEAR_LARGE_SHARED, 128, 128, 2, 4, 64, 3)
RP_MIXED_KERNEL(linear_mixed_x32, true, 1, RP_LINEAR_LARGE_SHARED, 128, 128, 2, 4, 64, 3)   // what it holds of x takes registers
RP_MIXED_TILE(linear_mixed_medium, 3, RP_LINEAR_MEDIUM_SHARED, 64, 64, 2, 2, 64, 4)
RP_MIXED_TILE(linear_mixed_narrow, 3, RP_LINEAR_NARROW_SHARED, 32, 64, 1, 4, 64, 6)

#endif
