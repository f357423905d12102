// linear for at most RP_LINEAR_SKINNY_M rows in float32: a group makes eight columns of all rows, a chunk of k for each
// invocation and column, so that nearly all of its weights are on their way at once; then each result adds its chunk sums in
// order. Weights are asked for before the launch that makes x is done (rp_wait). Rows can be normalised on the way in.
//   linear_f32_split        32 chunks at a time
//   linear_f32_split_deep   64, for at most RP_LINEAR_DEEP_M rows and more than 32 chunks
// Included by linear.cu.
#ifndef RP_LINEAR_SPLIT_CUH
#define RP_LINEAR_SPLIT_CUH

#include "norm.cuh"
#include "op_math.h"

#define SPLIT_COLUMNS RP_LINEAR_SPLIT_N
#define SPLIT_PITCH (CHUNK + 4)               // of a chunk of x: the four that a warp reads at once lie in different banks
static_assert(SPLIT_COLUMNS == 8 && CHUNK == 16, "a warp reads four chunks of eight columns");

// Shared memory in floats: rows of x, then in their place the chunk sums; before both the parts of the squares.
template <int ROWS, int LANES> struct rp_split {
    static constexpr int row = LANES * SPLIT_PITCH;                                   // of x
    static constexpr int sums = ROWS == 1 ? SPLIT_COLUMNS : (ROWS + 1) * SPLIT_COLUMNS;   // of one chunk, all rows
    static constexpr int floats = (ROWS * row > LANES * sums ? ROWS * row : LANES * sums) > ROWS * RP_GROUP_ROW
                                      ? (ROWS * row > LANES * sums ? ROWS * row : LANES * sums)
                                      : ROWS * RP_GROUP_ROW;
    static constexpr int group = LANES * SPLIT_COLUMNS;
};

// Four numbers of row `row` from `at` on; zeros past k and where the row is none.
template <bool WIDE> __device__ inline float4 rp_four(const float *row, bool live, uint32_t at, uint32_t k) {
    float4 four = make_float4(0, 0, 0, 0);
    if (!live || at >= k) { return four; }
    if constexpr (WIDE) { return *reinterpret_cast<const float4 *>(row + at); }
    four.x = row[at];
    if (at + 1 < k) { four.y = row[at + 1]; }
    if (at + 2 < k) { four.z = row[at + 2]; }
    if (at + 3 < k) { four.w = row[at + 3]; }
    return four;
}

__device__ inline float rp_dot_chunk(const float4 (&w)[4], const float *x) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float4 a = *reinterpret_cast<const float4 *>(x + i * 4);
        sum = __fmaf_rn(a.x, w[i].x, sum);
        sum = __fmaf_rn(a.y, w[i].y, sum);
        sum = __fmaf_rn(a.z, w[i].z, sum);
        sum = __fmaf_rn(a.w, w[i].w, sum);
    }
    return sum;
}

// The inverse roots of all rows, as rmsnorm makes them: 64 sums of every 64th square a row, then halving.
template <int ROWS, int LANES>
__device__ inline void rp_split_norms(float *part, rp_inverse_root *inverse, const rp_linear_params &p, const float *x) {
    constexpr int HELD = 8;
    const uint32_t local = threadIdx.x % RP_GROUP_ROW;
    for (uint32_t row = threadIdx.x / RP_GROUP_ROW; row < ROWS; row += rp_split<ROWS, LANES>::group / RP_GROUP_ROW) {
        float sum = 0;
        for (uint32_t first = local; first < p.k && row < p.m; first += HELD * RP_GROUP_ROW) {
            float own[HELD];
#pragma unroll
            for (int e = 0; e < HELD; e++) {
                const uint32_t i = first + e * RP_GROUP_ROW;
                own[e] = i < p.k ? x[(uint64_t)row * p.k + i] : 0.0f;
            }
#pragma unroll
            for (int e = 0; e < HELD; e++) { sum = __fmaf_rn(own[e], own[e], sum); }   // a zero adds nothing
        }
        part[row * RP_GROUP_ROW + local] = sum;
    }
    __syncthreads();           // part: written by each, read by the warp of the row
    const uint32_t lane = threadIdx.x % 32;
    for (uint32_t row = threadIdx.x / 32; row < ROWS; row += rp_split<ROWS, LANES>::group / 32) {
        const float whole = rp_halve32(part[row * RP_GROUP_ROW + lane] + part[row * RP_GROUP_ROW + lane + 32]);
        if (lane == 0) { inverse[row] = rp_inverse_root_of(whole / (float)p.k + p.eps); }
    }
    __syncthreads();           // inverse: written by one lane a row, read by all; part: read, so its place may be written
}

template <int ROWS, int LANES, bool WIDE>
__device__ inline void rp_linear_split(float *memory, rp_inverse_root *inverse, const rp_linear_params &p, const rp_linear_view &view) {
    using S = rp_split<ROWS, LANES>;
    constexpr int X = ROWS > 1 ? ROWS / 2 : 1;            // pieces of four of x that an invocation brings
    constexpr int SEGMENT = LANES * CHUNK;
    const uint32_t column = threadIdx.x % SPLIT_COLUMNS, lane = threadIdx.x / SPLIT_COLUMNS;
    // Row of w that this invocation reads. Gated: four columns of a and their four of b.
    const uint32_t block = rp_group();
    uint32_t from = block * SPLIT_COLUMNS + column;
    if (p.gated) { from = block / 2 * 2 * RP_LINEAR_GATE + column / 4 * RP_LINEAR_GATE + block % 2 * 4 + column % 4; }
    const bool live = from < p.n;
    const float *w_row = view.w + (uint64_t)(live ? from : 0) * p.k;
    // x: piece threadIdx.x % (SEGMENT / 4) of every second row, since a group has SEGMENT / 2 invocations.
    const uint32_t piece = threadIdx.x % (SEGMENT / 4), x_row = threadIdx.x / (SEGMENT / 4);
    float4 w[4], x[X], scale;
    const auto load_w = [&](uint32_t at) {
#pragma unroll
        for (int i = 0; i < 4; i++) { w[i] = rp_four<WIDE>(w_row, live, at + lane * CHUNK + i * 4, p.k); }
        if (p.norm) { scale = rp_four<WIDE>(view.scale, true, at + piece * 4, p.k); }
    };
    const auto load_x = [&](uint32_t at) {
#pragma unroll
        for (int i = 0; i < X; i++) {
            const uint32_t row = x_row + 2 * i;
            x[i] = rp_four<WIDE>(view.x + (uint64_t)row * p.k, row < p.m, at + piece * 4, p.k);
        }
    };
    load_w(0);
    rp_wait();
    load_x(0);
    if (p.norm) { rp_split_norms<ROWS, LANES>(memory, inverse, p, view.x); }
    float total = 0;                                      // of row threadIdx.x / 8, where there is one
    for (uint32_t at = 0; at < p.k; at += SEGMENT) {
#pragma unroll
        for (int i = 0; i < X; i++) {
            const uint32_t row = x_row + 2 * i;
            if (ROWS == 1 && row > 0) { break; }
            float4 four = x[i];
            if (p.norm) {
                const rp_inverse_root root = inverse[row];
                four = make_float4(rp_normalised(four.x, scale.x, root), rp_normalised(four.y, scale.y, root),
                                   rp_normalised(four.z, scale.z, root), rp_normalised(four.w, scale.w, root));
            }
            *reinterpret_cast<float4 *>(&memory[row * S::row + piece / 4 * SPLIT_PITCH + piece % 4 * 4]) = four;
        }
        __syncthreads();       // x: written by all, read by all
        float acc[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++) { acc[r] = rp_dot_chunk(w, &memory[r * S::row + lane * SPLIT_PITCH]); }
        if (at + SEGMENT < p.k) { load_w(at + SEGMENT), load_x(at + SEGMENT); }
        __syncthreads();       // x: read by all, its place may be written
#pragma unroll
        for (int r = 0; r < ROWS; r++) { memory[lane * S::sums + r * SPLIT_COLUMNS + column] = acc[r]; }
        __syncthreads();       // sums: written by all, read by those that add
        if (threadIdx.x < ROWS * SPLIT_COLUMNS) {
            const uint32_t n_lanes = min(LANES, (p.k - at + CHUNK - 1) / CHUNK);
#pragma unroll 16
            for (uint32_t i = 0; i < n_lanes; i++) { total += memory[i * S::sums + threadIdx.x]; }
        }
        if (at + SEGMENT < p.k) { __syncthreads(); }       // sums: read by all, their place may be written
    }
    const uint32_t row = threadIdx.x / SPLIT_COLUMNS;
    if (threadIdx.x >= (ROWS > 4 ? ROWS * SPLIT_COLUMNS : 32)) { return; }   // whole warps go on
    if (p.gated) {
        if (live && p.has_bias) { total += view.bias[from]; }
        const float b = __shfl_down_sync(0xffffffffu, total, 4);
        const uint64_t at = (uint64_t)row * (p.n / 2) + block * 4 + column;
        if (row < p.m && column < 4 && live) { view.y[at] = rp_silu(total) * b; }
    } else if (row < ROWS && live) {
        rp_linear_store(p, view, row, from, total);
    }
}

template <int ROWS, int LANES>
__device__ inline void rp_linear_split_run(float *memory, rp_inverse_root *inverse, const rp_linear_params &p, const rp_linear_view &view) {
    if (view.wide) {
        rp_linear_split<ROWS, LANES, true>(memory, inverse, p, view);
    } else {
        rp_linear_split<ROWS, LANES, false>(memory, inverse, p, view);
    }
}

extern "C" __global__ void __launch_bounds__(32 * SPLIT_COLUMNS) linear_f32_split(const rp_kernel_args<rp_linear_params> args) {
    __shared__ __align__(16) float memory[rp_split<RP_LINEAR_SKINNY_M, 32>::floats];
    __shared__ rp_inverse_root inverse[RP_LINEAR_SKINNY_M];
    rp_release();
    const rp_linear_params p = args.p;
    const rp_linear_view view = rp_linear_view_of(args);
    if (p.m <= 1) {
        rp_linear_split_run<1, 32>(memory, inverse, p, view);
    } else if (p.m <= 4) {
        rp_linear_split_run<4, 32>(memory, inverse, p, view);
    } else if (p.m <= 8) {
        rp_linear_split_run<8, 32>(memory, inverse, p, view);
    } else if (p.m <= 12) {
        rp_linear_split_run<12, 32>(memory, inverse, p, view);
    } else {
        rp_linear_split_run<RP_LINEAR_SKINNY_M, 32>(memory, inverse, p, view);
    }
}

extern "C" __global__ void __launch_bounds__(64 * SPLIT_COLUMNS) linear_f32_split_deep(const rp_kernel_args<rp_linear_params> args) {
    __shared__ __align__(16) float memory[rp_split<RP_LINEAR_DEEP_M, 64>::floats];
    __shared__ rp_inverse_root inverse[RP_LINEAR_DEEP_M];
    rp_release();
    const rp_linear_params p = args.p;
    const rp_linear_view view = rp_linear_view_of(args);
    if (p.m <= 1) {
        rp_linear_split_run<1, 64>(memory, inverse, p, view);
    } else if (p.m <= 4) {
        rp_linear_split_run<4, 64>(memory, inverse, p, view);
    } else {
        rp_linear_split_run<RP_LINEAR_DEEP_M, 64>(memory, inverse, p, view);
    }
}

#endif
