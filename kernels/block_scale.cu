// block_scale: running statistics and the tokens' inputs of one call, spec toto2.md section 3. A group for each (b, v).
#include "op_math.h"
#include "scale.cuh"

#define LEAST_STD 1e-6

struct rp_block_row {
    const float *x, *seen;      // [A, P]
    uint32_t P;
};

__device__ static double rp_std_of(const rp_moments &m) { return fmax(sqrt(m.m2 / fmax(m.n - 1.0, 1.0)), LEAST_STD); }

// Running statistics after each of 64 patches from `first` on, of those before `end`; `own`: of this invocation's patch alone.
// tile: by all for their own patch, ready to be read by all. Returns those after the last.
__device__ static rp_moments rp_block_scan(rp_moments *tile, const rp_block_row &row, uint32_t first, uint32_t end,
                                           const rp_moments &before, rp_moments &own) {
    const uint32_t local = threadIdx.x, patch = first + local;
    own = { 0, 0, 0 };
    if (patch < end) { own = rp_moments_of(row.x + (uint64_t)patch * row.P, row.seen + (uint64_t)patch * row.P, row.P); }
    __syncthreads();           // tile: read by all before it is written again
    tile[local] = own;
    __syncthreads();           // tile: written by each, read by another
#pragma unroll
    for (uint32_t stride = 1; stride < RP_GROUP_ROW; stride *= 2) {
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
    return tile[RP_GROUP_ROW - 1];
}

// The first min_obs values observed from patch `start` on, or all before `end`.
__device__ static rp_moments rp_block_first(rp_moments *tile, rp_moments *found, const rp_block_row &row, uint32_t start, uint32_t end,
                                            rp_moments now, double min_obs) {
    for (uint32_t first = start; first < end && now.n < min_obs; first += RP_GROUP_ROW) {
        rp_moments own;
        const rp_moments before = now;
        now = rp_block_scan(tile, row, first, end, before, own);
        rp_moments sum = before;
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

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) block_scale_f32(const rp_kernel_args<rp_block_scale_params> args) {
    rp_begin();
    __shared__ rp_moments tile[RP_GROUP_ROW], found;
    __shared__ rp_affine pairs[RP_GROUP_ROW];
    __shared__ float ends[2][RP_GROUP_ROW / 32];
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
    float *tokens = rp_at<float>(args, 5) + (uint64_t)index * p.tokens * 2 * P;                   // [n, 2, P]
    double *state = rp_at<double>(args, 6) + (uint64_t)index * RP_BLOCK_STATE;
    uint32_t *hidden = rp_at<uint32_t>(args, 7) + (uint64_t)index * p.patches;                    // [N]

    const rp_call call = rp_call_of(n_patches, step->step, step->horizon, P, p.block, p.later);
    const uint32_t live = min(call.given + call.fresh - 1, p.tokens);
    const uint32_t end = min(n_patches + (step->horizon + P - 1) / P, p.series_patches);
    rp_moments now = { 0, 0, 0 };
    if (p.later) { now = { before[0], before[1], before[2] }; }
    rp_moments few = now;
    if (now.n < min_obs) { few = rp_block_first(tile, &found, row, call.start, end, now, min_obs); }

    float least = RP_INFINITY, largest = -RP_INFINITY;
    for (uint32_t first = 0; first < live; first += RP_GROUP_ROW) {
        const uint32_t token = first + local, patch = call.start + token;
        rp_moments own;
        now = rp_block_scan(tile, row, call.start + first, min(call.start + live, end), now, own);
        if (token < live) {
            const rp_moments by = tile[local].n < min_obs ? few : tile[local];
            pairs[local] = { by.mean, rp_std_of(by) };
        }
        if (token + 1 == call.given) { state[0] = tile[local].n, state[1] = tile[local].mean, state[2] = tile[local].m2; }
        if (!p.later && token < call.given) {
            if (token < p.patches) { hidden[token] = own.n == 0.0; }
            for (uint32_t j = 0; j < P; j++) {
                const uint64_t at = (uint64_t)patch * P + j;
                if (row.seen[at] != 0.0f) { least = fminf(least, row.x[at]), largest = fmaxf(largest, row.x[at]); }
            }
        }
        __syncthreads();       // pairs: written by each for its patch, read by all until the scan's first barrier
        const uint32_t n = min(RP_GROUP_ROW, live - first) * P;
        for (uint32_t i = local; i < n; i += RP_GROUP_ROW) {
            const uint32_t of = i / P, j = i % P;
            const uint64_t from = (uint64_t)(call.start + first) * P + i, to = (uint64_t)(first + of) * 2 * P + j;
            const bool seen = row.seen[from] != 0.0f;
            tokens[to] = seen ? rp_asinh((float)((row.x[from] - pairs[of].loc) / pairs[of].scale)) : 0.0f;
            tokens[to + P] = seen ? 0.0f : 1.0f;
        }
    }
    for (uint32_t i = live * 2 * P + local; i < p.tokens * 2 * P; i += RP_GROUP_ROW) { tokens[i] = 0.0f; }
    if (p.later) { return; }
    for (uint32_t i = call.given + local; i < p.patches; i += RP_GROUP_ROW) { hidden[i] = 0; }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        least = fminf(least, __shfl_xor_sync(0xffffffffu, least, distance));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, distance));
    }
    if (local % 32 == 0) { ends[0][local / 32] = least, ends[1][local / 32] = largest; }
    __syncthreads();           // ends: written by each warp, read by one invocation
    if (local == 0) { state[3] = fminf(ends[0][0], ends[0][1]), state[4] = fmaxf(ends[1][0], ends[1][1]); }
}
