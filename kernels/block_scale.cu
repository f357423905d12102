// block_scale: running statistics and the tokens' inputs of one call, spec toto2.md section 3. A group for each (b, v).
// block_scale_f32: 64 patches at a time, an invocation for each; block_scale_f32_warps: 256, eight lanes for each.
#include "op_math.h"
#include "scale.cuh"

#define LEAST_STD 1e-6

struct rp_block_row {
    const float *x, *seen;      // [A, P]
    uint32_t P;
};

__device__ static double rp_std_of(const rp_moments &m) { return fmax(sqrt(m.m2 / fmax(m.n - 1.0, 1.0)), LEAST_STD); }

#define LANES 8                 // of a patch in the larger group
#define TURN (RP_GROUP_SCALER / LANES)         // patches whose statistics it makes side by side

// Patches at a time; invocations below that stand for one each.
template <uint32_t GROUP> constexpr uint32_t rp_patches = GROUP == RP_GROUP_ROW ? GROUP : 4 * TURN;
static_assert(rp_patches<RP_GROUP_SCALER> <= RP_GROUP_SCALER, "an invocation for each");

// rp_moments_of in all eight lanes of a patch; sums of lanes, then by halving. Called by all lanes of a warp; patch_size 0: no patch.
__device__ static rp_moments rp_moments_of_lanes(const float *x, const float *seen, uint32_t patch_size) {
    double n = 0, sum = 0, m2 = 0;
#pragma unroll 4
    for (uint32_t j = threadIdx.x % LANES; j < patch_size; j += LANES) {
        const double w = seen[j], value = x[j];
        n += w;
        sum += w != 0 ? value : 0.0;
    }
#pragma unroll
    for (uint32_t distance = LANES / 2; distance > 0; distance /= 2) {
        n += __shfl_xor_sync(0xffffffffu, n, distance);
        sum += __shfl_xor_sync(0xffffffffu, sum, distance);
    }
    const double mean = n > 0 ? sum / n : 0.0;
#pragma unroll 4
    for (uint32_t j = threadIdx.x % LANES; j < patch_size; j += LANES) {
        const double away = x[j] - mean;
        m2 += seen[j] != 0.0f ? away * away : 0.0;
    }
#pragma unroll
    for (uint32_t distance = LANES / 2; distance > 0; distance /= 2) { m2 += __shfl_xor_sync(0xffffffffu, m2, distance); }
    return { n, mean, m2 };
}

// Running statistics after each patch of a round from `first` on, of those before `end`; `own`: of this invocation's patch alone.
// tile: by all for their own patch, ready to be read by all. Returns those after the last.
template <uint32_t GROUP>
__device__ static rp_moments rp_block_scan(rp_moments *tile, const rp_block_row &row, uint32_t first, uint32_t end,
                                           const rp_moments &before, rp_moments &own) {
    constexpr uint32_t PATCHES = rp_patches<GROUP>;
    const uint32_t local = threadIdx.x, patch = first + local;
    if constexpr (GROUP > RP_GROUP_ROW) {
        __syncthreads();       // tile: read by all before it is written again
        for (uint32_t turn = 0; turn < PATCHES; turn += TURN) {
            const uint32_t at = turn + local / LANES, of = first + at;
            rp_moments moments = { 0, 0, 0 };
            if (first + turn < end) {
                moments = rp_moments_of_lanes(row.x + (uint64_t)of * row.P, row.seen + (uint64_t)of * row.P, of < end ? row.P : 0);
            }
            if (local % LANES == 0) { tile[at] = moments; }
        }
        __syncthreads();       // tile: written by one of each eight lanes, read by all
        rp_moments run = { 0, 0, 0 };
        if (local < PATCHES) {
            own = tile[local];
            run = rp_moments_scan(own);        // whole warps
            __syncwarp();
            tile[local] = run;
        }
        __syncthreads();       // tile: written by its warps, whose last ones those behind read
        rp_moments now = before;
        if (local < PATCHES) {
            for (uint32_t last = 31; last < local; last += 32) { rp_moments_merge(now, tile[last]); }
            rp_moments_merge(now, run);
        }
        __syncthreads();       // tile: read before it is written again
        if (local < PATCHES) { tile[local] = now; }
        __syncthreads();       // tile: written by each, read by all
        return tile[PATCHES - 1];
    }
    own = { 0, 0, 0 };
    if (patch < end) { own = rp_moments_of(row.x + (uint64_t)patch * row.P, row.seen + (uint64_t)patch * row.P, row.P); }
    __syncthreads();           // tile: read by all before it is written again
    tile[local] = own;
    __syncthreads();           // tile: written by each, read by another
#pragma unroll
    for (uint32_t stride = 1; stride < PATCHES; stride *= 2) {
        rp_moments sum = { 0, 0, 0 };
        if (local >= stride) { sum = tile[local - stride]; }
        __syncthreads();       // tile: read by all before it is written again
        if (local >= stride) {
            rp_moments_merge(sum, tile[local]);
            tile[local] = sum;
        }
        __syncthreads();       // tile: written by each, read by another
    }
    rp_moments now = before;
    rp_moments_merge(now, tile[local]);
    tile[local] = now;
    __syncthreads();           // tile: written by each, read by all
    return tile[PATCHES - 1];
}

// The first min_obs values observed from patch `start` on, or all before `end`.
template <uint32_t GROUP>
__device__ static rp_moments rp_block_first(rp_moments *tile, rp_moments *found, const rp_block_row &row, uint32_t start, uint32_t end,
                                            rp_moments now, double min_obs) {
    constexpr uint32_t PATCHES = rp_patches<GROUP>;
    for (uint32_t first = start; first < end && now.n < min_obs; first += PATCHES) {
        rp_moments own;
        const rp_moments before = now;
        now = rp_block_scan<GROUP>(tile, row, first, end, before, own);
        rp_moments sum = before;
        if (threadIdx.x >= PATCHES) { continue; }
        if (threadIdx.x > 0) { sum = tile[threadIdx.x - 1]; }
        if (sum.n < min_obs && tile[threadIdx.x].n >= min_obs) {
            const uint64_t from = (uint64_t)(first + threadIdx.x) * row.P;
            for (uint32_t j = 0; j < row.P && sum.n < min_obs; j++) { rp_moments_push(sum, row.x[from + j], row.seen[from + j]); }
            *found = sum;
        }
    }
    __syncthreads();           // found: written by one, read by all
    return now.n < min_obs ? now : *found;
}

template <uint32_t GROUP> __device__ static inline void rp_block_scale(const rp_kernel_args<rp_block_scale_params> &args) {
    constexpr uint32_t PATCHES = rp_patches<GROUP>;
    __shared__ rp_moments tile[PATCHES], found;
    __shared__ rp_affine pairs[PATCHES];        // means, and inverses of the standard deviations
    __shared__ float ends[2][GROUP / 32];
    const rp_block_scale_params p = args.p;
    const uint32_t index = rp_group(), local = threadIdx.x, P = p.patch_size, rows = p.batch * p.variates;
    if (index >= rows) { return; }
    const uint64_t length = (uint64_t)p.series_patches * P;
    const float *series = rp_at<const float>(args, 0);                                            // [2, B, V, A, P]
    const rp_block_row row = { series + index * length, series + (rows + index) * length, P };
    const double min_obs = rp_at<const uint32_t>(args, 1)[0];
    const uint32_t n_patches = rp_at<const uint32_t>(args, 2)[index / p.variates];
    const rp_step *step = rp_at<const rp_step>(args, 3);
    const double *before = rp_at<const double>(args, 4) + (uint64_t)index * RP_BLOCK_STATE;       // [5]
    void *tokens = rp_at<void>(args, 5);                                                          // [B, V, n, 2, P]
    const uint64_t tokens0 = (uint64_t)index * p.tokens * 2 * P;                                  // of this row
    double *state = rp_at<double>(args, 6) + (uint64_t)index * RP_BLOCK_STATE;
    uint32_t *hidden = rp_at<uint32_t>(args, 7) + (uint64_t)index * p.patches;                    // [N]

    const rp_call call = rp_call_of(n_patches, step->step, step->horizon, P, p.block, p.later);
    const uint32_t live = min(call.given + call.fresh - 1, p.tokens);
    const uint32_t end = min(n_patches + (step->horizon + P - 1) / P, p.series_patches);
    rp_moments now = { 0, 0, 0 };
    if (p.later) { now = { before[0], before[1], before[2] }; }
    rp_moments few = now;
    if (now.n < min_obs) { few = rp_block_first<GROUP>(tile, &found, row, call.start, end, now, min_obs); }

    float least = RP_INFINITY, largest = -RP_INFINITY;
    for (uint32_t first = 0; first < live; first += PATCHES) {
        const uint32_t token = local < PATCHES ? first + local : UINT32_MAX - 1;
        rp_moments own;
        now = rp_block_scan<GROUP>(tile, row, call.start + first, min(call.start + live, end), now, own);
        if (token < live) {
            const rp_moments by = tile[local].n < min_obs ? few : tile[local];
            pairs[local] = { by.mean, 1 / rp_std_of(by) };
        }
        if (token + 1 == call.given) { state[0] = tile[local].n, state[1] = tile[local].mean, state[2] = tile[local].m2; }
        if (!p.later && token < call.given && token < p.patches) { hidden[token] = own.n == 0.0; }
        __syncthreads();       // pairs: written by each for its patch, read by all until the scan's first barrier
        const uint32_t n = min(PATCHES, live - first) * P;
#pragma unroll 4
        for (uint32_t i = local; i < n; i += GROUP) {
            const uint32_t of = i / P, j = i % P;
            const uint64_t from = (uint64_t)(call.start + first) * P + i, to = tokens0 + (uint64_t)(first + of) * 2 * P + j;
            const bool seen = row.seen[from] != 0.0f;
            const float x = row.x[from];
            if (seen && first + of < call.given) { least = fminf(least, x), largest = fmaxf(largest, x); }
            rp_put(tokens, to, seen ? rp_asinh((float)((x - pairs[of].loc) * pairs[of].scale)) : 0.0f, p.x_f16);
            rp_put(tokens, to + P, seen ? 0.0f : 1.0f, p.x_f16);
        }
    }
    for (uint32_t i = live * 2 * P + local; i < p.tokens * 2 * P; i += GROUP) { rp_put(tokens, tokens0 + i, 0.0f, p.x_f16); }
    if (p.later) { return; }
    for (uint32_t i = call.given + local; i < p.patches; i += GROUP) { hidden[i] = 0; }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        least = fminf(least, __shfl_xor_sync(0xffffffffu, least, distance));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, distance));
    }
    if (local % 32 == 0) { ends[0][local / 32] = least, ends[1][local / 32] = largest; }
    __syncthreads();           // ends: written by each warp, read by one invocation
    if (local > 0) { return; }
    for (uint32_t i = 1; i < GROUP / 32; i++) { least = fminf(least, ends[0][i]), largest = fmaxf(largest, ends[1][i]); }
    state[3] = least, state[4] = largest;
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) block_scale_f32(const rp_kernel_args<rp_block_scale_params> args) {
    rp_begin();
    rp_block_scale<RP_GROUP_ROW>(args);
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_SCALER) block_scale_f32_warps(const rp_kernel_args<rp_block_scale_params> args) {
    rp_begin();
    rp_block_scale<RP_GROUP_SCALER>(args);
}
