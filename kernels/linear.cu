// linear: y[m, n] = x[m, k] w[n, k]^T (+ bias[n]) (+ residual[m, n]), in float32 on plain arithmetic units. Three ways to
// split the work, one order of sums (core/op_params.h), so the same bits whichever runs:
//   linear_f32          64 x 64 results a group, 8 x 4 an invocation
//   linear_f32_narrow   32 x 32 a group; its four warps take different chunks of k: for few tiles
//   linear_f32_skinny   all of at most 16 rows, RP_LINEAR_SKINNY_N columns a group, chunks as above: for reading w once
// Tiles of x and w come to shared memory by asynchronous copies a few tiles ahead, rows as they lie in memory.
#include "common.cuh"

#define CHUNK RP_LINEAR_CHUNK
static_assert(CHUNK % 16 == 0, "whole tiles of 16 make a chunk");
#define GROUP RP_GROUP_LINEAR
#define WARPS (GROUP / 32)

struct rp_linear_view {
    const float *x;          // [m, k]
    const float *w;          // [n, k]
    const float *bias;       // [n]
    const float *residual;   // [m, n]; may be y itself
    float *y;                // [m, n]
    bool wide;               // rows of x and w lie in whole 16-byte pieces
};

__device__ static rp_linear_view rp_linear_view_of(const rp_kernel_args<rp_linear_params> &args) {
    rp_linear_view view = { rp_at<const float>(args, 0), rp_at<const float>(args, 1), rp_at<const float>(args, 2),
                            rp_at<const float>(args, 3), rp_at<float>(args, 4), false };
    view.wide = args.p.k % 4 == 0 && rp_aligned16(view.x) && rp_aligned16(view.w);
    return view;
}

// Copies `bytes` (the rest is filled with zeros) to shared memory; done after wait<>() and a barrier.
__device__ inline void rp_copy16(float *to, const float *from, uint32_t bytes) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from), "r"(bytes) : "memory");
}
__device__ inline void rp_copy4(float *to, const float *from, uint32_t bytes) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared), "l"(from), "r"(bytes) : "memory");
}
__device__ inline void rp_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until all but the latest N of this invocation's commits are done.
template <int N> __device__ inline void rp_copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

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

// One result: chunk sums, then bias, then residual.
__device__ inline void rp_linear_store(const rp_linear_params &p, const rp_linear_view &view, uint32_t row, uint32_t column,
                                       float value) {
    if (row >= p.m || column >= p.n) { return; }
    const uint64_t at = (uint64_t)row * p.n + column;
    if (p.has_bias) { value += view.bias[column]; }
    if (p.has_residual) { value += view.residual[at]; }
    view.y[at] = value;
}

// ---- 64 x 64 results a group ----

#define TILE_K 16
#define PITCH (TILE_K + 4)
#define STAGES 3
#define TILES_A_CHUNK (CHUNK / TILE_K)

struct rp_linear_stage {
    float x[RP_LINEAR_M * PITCH], w[RP_LINEAR_N * PITCH];
};

// What one invocation copies of each tile: a piece of four of rows threadIdx.x / 4 and 32 further, of x and of w.
struct rp_linear_source {
    const float *x[2], *w[2];
    bool no_x[2], no_w[2];
};

template <bool WIDE>
__device__ inline void rp_linear_load(rp_linear_stage &stage, const rp_linear_source &source, uint32_t tile, uint32_t k) {
    const uint32_t piece = threadIdx.x % 4 * 4, to = threadIdx.x / 4 * PITCH + piece, at = tile * TILE_K + piece;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        rp_stage4<WIDE>(&stage.x[to + i * 32 * PITCH], source.x[i], source.no_x[i], at, k);
        rp_stage4<WIDE>(&stage.w[to + i * 32 * PITCH], source.w[i], source.no_w[i], at, k);
    }
}

template <bool WIDE>
__device__ inline void rp_linear_square(rp_linear_stage *stages, const rp_linear_params &p, const rp_linear_view &view) {
    static_assert(GROUP == 128 && RP_LINEAR_M == 64 && RP_LINEAR_N == 64 && TILE_K == 16, "the split below");
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const uint32_t row0 = (blockIdx.z * gridDim.y + blockIdx.y) * RP_LINEAR_M, column0 = blockIdx.x * RP_LINEAR_N;
    const uint32_t row = warp / 2 * 32 + lane / 8, column = warp % 2 * 32 + lane % 8;   // and every 4th row, 8th column on
    const uint32_t n_tiles = (p.k + TILE_K - 1) / TILE_K;
    float total[8][4] = { { 0 } }, acc[8][4] = { { 0 } };
    rp_linear_source source;
    if (row0 >= p.m) { return; }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const uint32_t r = threadIdx.x / 4 + 32 * i;
        source.x[i] = rp_row(view.x, row0 + r, p.m, p.k);
        source.w[i] = rp_row(view.w, column0 + r, p.n, p.k);
        source.no_x[i] = row0 + r >= p.m;
        source.no_w[i] = column0 + r >= p.n;
    }
#pragma unroll
    for (uint32_t tile = 0; tile < STAGES - 1; tile++) {
        if (tile < n_tiles) { rp_linear_load<WIDE>(stages[tile], source, tile, p.k); }
        rp_copy_commit();
    }
    uint32_t now = 0, next = STAGES - 1;
#pragma unroll 1
    for (uint32_t tile = 0; tile < n_tiles; tile++) {
        rp_copy_wait<STAGES - 2>();
        __syncthreads();   // stage `now`: copied by all, read by all. And `next`: read by all in the round before
        if (tile + STAGES - 1 < n_tiles) { rp_linear_load<WIDE>(stages[next], source, tile + STAGES - 1, p.k); }
        rp_copy_commit();
        rp_tile_product<8, 4, TILE_K, PITCH>(stages[now].x + row * PITCH, stages[now].w + column * PITCH, acc);
        if (tile % TILES_A_CHUNK == TILES_A_CHUNK - 1 || tile == n_tiles - 1) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    total[i][j] += acc[i][j];
                    acc[i][j] = 0;
                }
            }
        }
        now = now + 1 < STAGES ? now + 1 : 0;
        next = next + 1 < STAGES ? next + 1 : 0;
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            rp_linear_store(p, view, row0 + row + 4 * i, column0 + column + 8 * j, total[i][j]);
        }
    }
}

// Groups that the shared memory of one multiprocessor holds: 164 KiB and more on data centre GPUs, 100 KiB on the others.
// Asking for one more would only take registers away.
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ == 800 || (__CUDA_ARCH__ >= 900 && __CUDA_ARCH__ < 1200))
#define GROUPS 4
#else
#define GROUPS 3
#endif

extern "C" __global__ void __launch_bounds__(GROUP, GROUPS) linear_f32(const rp_kernel_args<rp_linear_params> args) {
    __shared__ __align__(16) rp_linear_stage stages[STAGES];
    const rp_linear_params p = args.p;
    const rp_linear_view view = rp_linear_view_of(args);
    if (view.wide) {
        rp_linear_square<true>(stages, p, view);
    } else {
        rp_linear_square<false>(stages, p, view);
    }
}

#undef TILE_K
#undef PITCH
#undef STAGES
#undef TILES_A_CHUNK

// ---- ROWS x COLUMNS results a group, the chunks of k dealt to its warps ----

#define MEMORY_BYTES 49152   // static shared memory of one group, on every device

template <int ROWS, int COLUMNS> struct rp_split {
    static constexpr int tile_k = ROWS + COLUMNS <= 24 && CHUNK % 32 == 0 ? 32 : 16;
    static constexpr int pitch = tile_k + 4;
    static constexpr int stage_floats = (ROWS + COLUMNS) * pitch;                  // of one warp: w, then x
    static constexpr int fit = (MEMORY_BYTES / 4 - ROWS * COLUMNS) / (WARPS * stage_floats);
    static constexpr int stages = fit < 6 ? fit : 6;
    static constexpr int tiles = CHUNK / tile_k;                                   // of one chunk
    static constexpr int sums = ROWS / 4 * (COLUMNS / 8);                          // of one chunk, of one lane
    static constexpr int most = 128 / CHUNK > 0 ? 128 / CHUNK : 1;
    static constexpr int span = 64 / sums < most ? 64 / sums : most;               // chunks a warp takes at a time
    static constexpr int floats = ROWS * COLUMNS + WARPS * stages * stage_floats;
    static_assert(stages >= 2, "copying ahead takes two stages");
};

template <int ROWS, int COLUMNS, bool WIDE>
__device__ inline void rp_split_load(float *stage, const rp_linear_params &p, const rp_linear_view &view, uint32_t row0,
                                     uint32_t column0, uint32_t at) {
    using S = rp_split<ROWS, COLUMNS>;
    constexpr int pieces = S::tile_k / 4, step = 32 / pieces;
    const uint32_t lane = threadIdx.x % 32, piece = lane % pieces * 4, first = lane / pieces;
    float *x = stage + COLUMNS * S::pitch;
#pragma unroll
    for (int i = 0; i < COLUMNS; i += step) {
        const uint32_t r = i + first;
        if (r < COLUMNS) {
            rp_stage4<WIDE>(stage + r * S::pitch + piece, rp_row(view.w, column0 + r, p.n, p.k), column0 + r >= p.n, at + piece, p.k);
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS; i += step) {
        const uint32_t r = i + first;
        if (r < ROWS) {
            rp_stage4<WIDE>(x + r * S::pitch + piece, rp_row(view.x, row0 + r, p.m, p.k), row0 + r >= p.m, at + piece, p.k);
        }
    }
}

// In round r warp i takes span 4 r + i, a few chunks in a row, and keeps the sum of each; after each round the warps add
// theirs to `total` in turn.
template <int ROWS, int COLUMNS, bool WIDE>
__device__ inline void rp_linear_split(float *memory, const rp_linear_params &p, const rp_linear_view &view, uint32_t row0,
                                       uint32_t column0) {
    using S = rp_split<ROWS, COLUMNS>;
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = lane / 8, column = lane % 8;
    float *total = memory;                                                         // [ROWS, COLUMNS]
    float *stages = memory + ROWS * COLUMNS + warp * S::stages * S::stage_floats;  // this warp's own
    constexpr uint32_t span_k = S::span * CHUNK, span_tiles = S::span * S::tiles;
    const uint32_t n_rounds = (p.k + WARPS * span_k - 1) / (WARPS * span_k), n_tiles = n_rounds * span_tiles;

    for (uint32_t i = threadIdx.x; i < ROWS * COLUMNS; i += GROUP) { total[i] = 0; }
    const auto column_of = [&](uint32_t tile) {   // of x and w where this warp's tile begins
        return (tile / span_tiles * WARPS + warp) * span_k + tile % span_tiles * S::tile_k;
    };
#pragma unroll
    for (int tile = 0; tile < S::stages - 1; tile++) {
        if (tile < n_tiles && column_of(tile) < p.k) {
            rp_split_load<ROWS, COLUMNS, WIDE>(stages + tile * S::stage_floats, p, view, row0, column0, column_of(tile));
        }
        rp_copy_commit();
    }
    uint32_t now = 0, next = S::stages - 1, tile = 0;
#pragma unroll 1
    for (uint32_t round = 0; round < n_rounds; round++) {
        float acc[S::span][ROWS / 4][COLUMNS / 8] = { { { 0 } } };   // 0 where k has no such chunk
#pragma unroll
        for (int chunk = 0; chunk < S::span; chunk++) {
#pragma unroll 1
            for (int i = 0; i < S::tiles; i++, tile++) {
                rp_copy_wait<S::stages - 2>();
                __syncwarp();   // stage `now`: copied by all lanes, read by all. And `next`: read by all one tile before
                const uint32_t ahead = tile + S::stages - 1;
                if (ahead < n_tiles && column_of(ahead) < p.k) {
                    rp_split_load<ROWS, COLUMNS, WIDE>(stages + next * S::stage_floats, p, view, row0, column0, column_of(ahead));
                }
                rp_copy_commit();
                if (column_of(tile) < p.k) {
                    const float *stage = stages + now * S::stage_floats;
                    rp_tile_product<ROWS / 4, COLUMNS / 8, S::tile_k, S::pitch>(stage + (COLUMNS + row) * S::pitch,
                                                                               stage + column * S::pitch, acc[chunk]);
                }
                now = now + 1 < S::stages ? now + 1 : 0;
                next = next + 1 < S::stages ? next + 1 : 0;
            }
        }
        for (uint32_t turn = 0; turn < WARPS; turn++) {
            __syncthreads();    // total: written by the warp before, read by this one
            if (turn != warp) { continue; }
#pragma unroll
            for (int i = 0; i < ROWS / 4; i++) {
#pragma unroll
                for (int j = 0; j < COLUMNS / 8; j++) {
                    float *sum = &total[(row + 4 * i) * COLUMNS + column + 8 * j], value = *sum;
#pragma unroll
                    for (int chunk = 0; chunk < S::span; chunk++) { value += acc[chunk][i][j]; }
                    *sum = value;
                }
            }
        }
    }
    __syncthreads();       // total: written by the last warp, read by all
    for (uint32_t i = threadIdx.x; i < ROWS * COLUMNS; i += GROUP) {
        rp_linear_store(p, view, row0 + i / COLUMNS, column0 + i % COLUMNS, total[i]);
    }
}

extern "C" __global__ void __launch_bounds__(GROUP) linear_f32_narrow(const rp_kernel_args<rp_linear_params> args) {
    __shared__ __align__(16) float memory[rp_split<32, 32>::floats];
    const rp_linear_params p = args.p;
    const rp_linear_view view = rp_linear_view_of(args);
    const uint32_t row0 = (blockIdx.z * gridDim.y + blockIdx.y) * 32, column0 = blockIdx.x * 32;
    if (row0 >= p.m) { return; }
    if (view.wide) {
        rp_linear_split<32, 32, true>(memory, p, view, row0, column0);
    } else {
        rp_linear_split<32, 32, false>(memory, p, view, row0, column0);
    }
}

extern "C" __global__ void __launch_bounds__(GROUP) linear_f32_skinny(const rp_kernel_args<rp_linear_params> args) {
    __shared__ __align__(16) float memory[MEMORY_BYTES / 4];
    constexpr int N = RP_LINEAR_SKINNY_N;
    const rp_linear_params p = args.p;
    const rp_linear_view view = rp_linear_view_of(args);
    const uint32_t column0 = rp_group() * N;
    if (column0 >= p.n) { return; }
    if (!view.wide) {
        rp_linear_split<16, N, false>(memory, p, view, 0, column0);
    } else if (p.m <= 4) {
        rp_linear_split<4, N, true>(memory, p, view, 0, column0);
    } else if (p.m <= 8) {
        rp_linear_split<8, N, true>(memory, p, view, 0, column0);
    } else {
        rp_linear_split<RP_LINEAR_SKINNY_M, N, true>(memory, p, view, 0, column0);
    }
}
