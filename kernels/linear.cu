// linear: y[m, n] = x[m, k] w[n, k]^T (+ bias[n]) (+ residual[m, n]), in float32. On plain arithmetic units, three ways to
// split the work, one order of sums (core/op_params.h), so the same bits whichever runs:
//   linear_f32          64 x 64 results a group, 8 x 4 an invocation
//   linear_f32_narrow   32 x 32 a group, 4 x 2 an invocation: where 64 x 64 would leave most multiprocessors idle
//   linear_f32_split    at most 16 rows (linear_split.cuh)
// Tiles of x and w come to shared memory by asynchronous copies a few tiles ahead, rows as they lie in memory.
// On matrix units, with sums of their own: linear_pair.cuh.
#include "copy_async.cuh"
#include "op_math.h"

#define CHUNK RP_LINEAR_CHUNK
#define GROUP RP_GROUP_LINEAR

struct rp_linear_view {
    const float *x;          // [m, k]
    const float *w;          // [n, k], or in pairs
    const float *bias;       // [n]
    const float *residual;   // [m, n]; may be y itself
    const float *scale;      // [k]
    const float *w_scale;    // of pairs, [n]
    float *y;                // [m, n], gated [m, n / 2]
    bool wide;               // rows of x and w lie in whole 16-byte pieces
};

__device__ static rp_linear_view rp_linear_view_of(const rp_kernel_args<rp_linear_params> &args) {
    rp_linear_view view = { rp_at<const float>(args, 0), rp_at<const float>(args, 1), rp_at<const float>(args, 2),
                            rp_at<const float>(args, 3), rp_at<const float>(args, 4), rp_at<const float>(args, 5), rp_at<float>(args, 6), false };
    view.wide = args.p.k % 4 == 0 && rp_aligned16(view.x) && rp_aligned16(view.w) && rp_aligned16(view.scale);
    return view;
}

// Copies `bytes`, of 4, likewise.
__device__ inline void rp_copy4(float *to, const float *from, uint32_t bytes) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared), "l"(from), "r"(bytes) : "memory");
}

// Four floats at column `at` of one row of k, zeros past its end and where the row itself lies `outside` its matrix; `row`
// points at a row that exists in any case.
template <bool WIDE> __device__ inline void rp_stage4(float *to, const float *row, bool outside, uint32_t at, uint32_t k) {
    if constexpr (WIDE) {
        const bool live = !outside && at < k;
        rp_copy16(to, row + (live ? at : 0), live ? 16 : 0);
    } else {
#pragma unroll
        for (uint32_t e = 0; e < 4; e++) {
            const bool live = !outside && at + e < k;
            rp_copy4(to + e, row + (live ? at + e : 0), live ? 4 : 0);
        }
    }
}

// Row `row` of a [rows, k] matrix, or its last where there is none.
__device__ inline const float *rp_row(const float *matrix, uint32_t row, uint32_t rows, uint32_t k) {
    return matrix + (uint64_t)min(row, rows - 1) * k;
}

// acc[i][j] += sum over TILE_K of x row (row + 4 i) and w row (column + 8 j), ascending. Rows are `pitch` floats apart, an
// odd number of 16-byte pieces, so that the 4 rows of x, or 8 of w, that a warp reads at once lie in different banks.
template <int ROWS, int COLUMNS, int TILE_K, int PITCH>
__device__ inline void rp_tile_product(const float *x, const float *w, float (&acc)[ROWS][COLUMNS]) {
    static_assert(PITCH % 8 == 4, "an odd number of pieces");
#pragma unroll
    for (int piece = 0; piece < TILE_K / 4; piece++) {
        float4 b[COLUMNS];
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) { b[j] = *reinterpret_cast<const float4 *>(w + 8 * j * PITCH + piece * 4); }
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const float4 a = *reinterpret_cast<const float4 *>(x + 4 * i * PITCH + piece * 4);
#pragma unroll
            for (int j = 0; j < COLUMNS; j++) {
                acc[i][j] = __fmaf_rn(a.x, b[j].x, acc[i][j]);
                acc[i][j] = __fmaf_rn(a.y, b[j].y, acc[i][j]);
                acc[i][j] = __fmaf_rn(a.z, b[j].z, acc[i][j]);
                acc[i][j] = __fmaf_rn(a.w, b[j].w, acc[i][j]);
            }
        }
    }
}

// One result: chunk sums, then bias, then residual or silu.
__device__ inline void rp_linear_store(const rp_linear_params &p, const rp_linear_view &view, uint32_t row, uint32_t column,
                                       float value) {
    if (row >= p.m || column >= p.n) { return; }
    const uint64_t at = (uint64_t)row * p.n + column;
    if (p.has_bias) { value += view.bias[column]; }
    if (p.has_residual) { value += view.residual[at]; }
    view.y[at] = p.silu ? rp_silu(value) : value;
}

// Where the result of columns column (a) and column + RP_LINEAR_GATE (b) goes.
__device__ inline uint64_t rp_linear_gated_at(const rp_linear_params &p, uint32_t row, uint32_t column) {
    return (uint64_t)row * (p.n / 2) + column / (2 * RP_LINEAR_GATE) * RP_LINEAR_GATE + column % RP_LINEAR_GATE;
}

// silu(a) b of columns column and column + RP_LINEAR_GATE.
__device__ inline void rp_linear_store_gated(const rp_linear_params &p, const rp_linear_view &view, uint32_t row, uint32_t column,
                                             float a, float b) {
    if (row >= p.m || column >= p.n) { return; }
    if (p.has_bias) { a += view.bias[column], b += view.bias[column + RP_LINEAR_GATE]; }
    view.y[rp_linear_gated_at(p, row, column)] = rp_silu(a) * b;
}

// ---- 8 R x 16 C results a group, R x C an invocation ----

#define TILE_K 16                 // of k, in shared memory at a time
#define PITCH (TILE_K + 4)
static_assert(TILE_K == CHUNK && GROUP == 128, "a tile of k is a chunk; four warps stand two by two");

template <int ROWS, int COLUMNS> struct rp_linear_stage {
    float x[8 * ROWS * PITCH], w[16 * COLUMNS * PITCH];
};

// What one invocation copies of each tile: a piece of four of row threadIdx.x / 4 and every 32nd further, of x and of w.
template <int X, int W> struct rp_linear_source {
    const float *x[X], *w[W];
    bool no_x[X], no_w[W];
};

template <bool WIDE, int R, int C>
__device__ inline void rp_linear_load(rp_linear_stage<R, C> &stage, const rp_linear_source<R / 4, C / 2> &source, uint32_t tile,
                                      uint32_t k) {
    const uint32_t piece = threadIdx.x % 4 * 4, to = threadIdx.x / 4 * PITCH + piece, at = tile * TILE_K + piece;
#pragma unroll
    for (int i = 0; i < R / 4; i++) { rp_stage4<WIDE>(&stage.x[to + i * 32 * PITCH], source.x[i], source.no_x[i], at, k); }
#pragma unroll
    for (int i = 0; i < C / 2; i++) { rp_stage4<WIDE>(&stage.w[to + i * 32 * PITCH], source.w[i], source.no_w[i], at, k); }
}

template <bool WIDE, int R, int C, int STAGES>
__device__ inline void rp_linear_square(rp_linear_stage<R, C> *stages, const rp_linear_params &p, const rp_linear_view &view) {
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const uint32_t row0 = (blockIdx.z * gridDim.y + blockIdx.y) * 8 * R, column0 = blockIdx.x * 16 * C;
    // This invocation's results: from here on every 4th row and 8th column.
    const uint32_t row = warp / 2 * 4 * R + lane / 8, column = warp % 2 * 8 * C + lane % 8;
    const uint32_t n_tiles = (p.k + TILE_K - 1) / TILE_K;
    float total[R][C] = { { 0 } };
    rp_linear_source<R / 4, C / 2> source;
    if (row0 >= p.m) { return; }
#pragma unroll
    for (int i = 0; i < R / 4; i++) {
        const uint32_t r = row0 + threadIdx.x / 4 + 32 * i;
        source.x[i] = rp_row(view.x, r, p.m, p.k);
        source.no_x[i] = r >= p.m;
    }
#pragma unroll
    for (int i = 0; i < C / 2; i++) {
        const uint32_t r = column0 + threadIdx.x / 4 + 32 * i;
        source.w[i] = rp_row(view.w, r, p.n, p.k);
        source.no_w[i] = r >= p.n;
    }
#pragma unroll
    for (uint32_t tile = 0; tile < STAGES - 1; tile++) {
        if (tile < n_tiles) { rp_linear_load<WIDE, R, C>(stages[tile], source, tile, p.k); }
        rp_copy_commit();
    }
    uint32_t now = 0, next = STAGES - 1;
#pragma unroll 1
    for (uint32_t tile = 0; tile < n_tiles; tile++) {
        float acc[R][C] = { { 0 } };
        rp_copy_wait<STAGES - 2>();
        __syncthreads();   // stage `now`: copied by all, read by all. And `next`: read by all in the round before
        if (tile + STAGES - 1 < n_tiles) { rp_linear_load<WIDE, R, C>(stages[next], source, tile + STAGES - 1, p.k); }
        rp_copy_commit();
        rp_tile_product<R, C, TILE_K, PITCH>(stages[now].x + row * PITCH, stages[now].w + column * PITCH, acc);
#pragma unroll
        for (int i = 0; i < R; i++) {
#pragma unroll
            for (int j = 0; j < C; j++) { total[i][j] += acc[i][j]; }
        }
        now = now + 1 < STAGES ? now + 1 : 0;
        next = next + 1 < STAGES ? next + 1 : 0;
    }
    static_assert(RP_LINEAR_GATE == 8, "neighbours j and j + 1 are a and b");
#pragma unroll
    for (int i = 0; i < R; i++) {
#pragma unroll
        for (int j = 0; j < C; j++) {
            if (!p.gated) {
                rp_linear_store(p, view, row0 + row + 4 * i, column0 + column + 8 * j, total[i][j]);
            } else if (j % 2 == 0) {
                rp_linear_store_gated(p, view, row0 + row + 4 * i, column0 + column + 8 * j, total[i][j], total[i][j + 1]);
            }
        }
    }
}

template <int R, int C, int STAGES> __device__ inline void rp_linear(const rp_kernel_args<rp_linear_params> &args) {
    __shared__ __align__(16) rp_linear_stage<R, C> stages[STAGES];
    const rp_linear_view view = rp_linear_view_of(args);
    if (view.wide) {
        rp_linear_square<true, R, C, STAGES>(stages, args.p, view);
    } else {
        rp_linear_square<false, R, C, STAGES>(stages, args.p, view);
    }
}

static_assert(RP_LINEAR_M == 64 && RP_LINEAR_N == 64 && RP_LINEAR_NARROW == 32, "the tiles below");
// Groups that the shared memory of one multiprocessor holds: 164 KiB and more on data centre GPUs, 100 KiB on the others.
// Asking for one more would only take registers away.
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ == 800 || (__CUDA_ARCH__ >= 900 && __CUDA_ARCH__ < 1200))
#define GROUPS 4
#else
#define GROUPS 3
#endif

extern "C" __global__ void __launch_bounds__(GROUP, GROUPS) linear_f32(const rp_kernel_args<rp_linear_params> args) {
    rp_wait();
    rp_linear<8, 4, 3>(args);
}

extern "C" __global__ void __launch_bounds__(GROUP) linear_f32_narrow(const rp_kernel_args<rp_linear_params> args) {
    rp_wait();
    rp_linear<4, 2, 6>(args);
}

// ---- few rows ----

#include "linear_split.cuh"

// ---- float16 weights ----

#include "linear_mixed.cuh"
#include "linear_mixed_skinny.cuh"
#include "step_mlp.cuh"
#include "step_mlp_pair.cuh"
#include "step_mlp_wide.cuh"
#include "linear_wgmma.cuh"

// ---- float32 on matrix units ----

#include "linear_pair.cuh"
#include "linear_pair_skinny.cuh"
