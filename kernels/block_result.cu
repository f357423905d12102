// block_result: from the head's output to nine quantiles in the series' own unit, and the median into the series; spec toto2.md
// section 4. A group for each (b, v, patch), an invocation for each step.
#include "common.cuh"
#include "op_math.h"

#define LEVELS RP_BLOCK_QUANTILES
#define MEDIAN (LEVELS / 2)
#define LEAST_STD 1e-6
#define FLOAT_MOST 3.402823466e38f

// sinh(raw) std + mean; infinite where float32 cannot hold it.
__device__ static float rp_unscale(float raw, double mean, double std) {
    const float y = (float)((double)rp_sinh(raw) * std + mean);
    return fabsf(y) <= FLOAT_MOST ? y : raw > 0.0f ? RP_INFINITY : -RP_INFINITY;
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) block_result_f32(const rp_kernel_args<rp_block_result_params> args) {
    rp_begin();
    __shared__ float bounds[LEVELS][2];
    const rp_block_result_params p = args.p;
    const uint32_t P = p.patch_size, rows = p.batch * p.variates, local = threadIdx.x;
    uint64_t rest = rp_group();
    if (rest >= (uint64_t)rows * p.count) { return; }
    const uint32_t j = rp_take(rest, p.count), row = (uint32_t)rest, b = row / p.variates;
    const rp_step *step = rp_at<const rp_step>(args, 4);
    const uint32_t n_patches = rp_at<const uint32_t>(args, 3)[b];
    const rp_call call = rp_call_of(n_patches, step->step, step->horizon, P, p.block, p.later);
    if (b >= step->batch || j >= call.fresh) { return; }          // the whole group
    const float *raw = rp_at<const float>(args, 0) + ((uint64_t)row * p.count + j) * P * LEVELS;       // [P, 9]
    const double *state = rp_at<const double>(args, 1) + (uint64_t)row * RP_BLOCK_STATE;               // [5]
    const float k = __uint_as_float(rp_at<const uint32_t>(args, 2)[1]);
    const uint64_t first = ((uint64_t)row * p.series_patches + call.start + call.given + j) * P;
    float *series = rp_at<float>(args, 6) + first;                                                     // [P]
    float *seen = rp_at<float>(args, 6) + (uint64_t)rows * p.series_patches * P + first;
    float *result = rp_at<float>(args, 7) + (uint64_t)row * LEVELS * p.horizon_cap +
                    (uint64_t)(call.start + call.given + j - n_patches) * P;                           // [9, horizon_cap]
    const double mean = state[1], std = fmax(sqrt(state[2] / fmax(state[0] - 1.0, 1.0)), LEAST_STD);
    const float low = (float)(state[3] - k * std), high = (float)(state[4] + k * std);

    if (row % p.variates + step->exogenous >= p.variates) {       // its future is known
        for (uint32_t t = local; t < P; t += RP_GROUP_ROW) {
            for (uint32_t q = 0; q < LEVELS; q++) { result[(uint64_t)q * p.horizon_cap + t] = series[t]; }
        }
        return;
    }
    bool infinite = false;
    for (uint32_t t = local; t < P; t += RP_GROUP_ROW) {
        for (uint32_t q = 0; q < LEVELS; q++) { infinite |= isinf(rp_unscale(raw[t * LEVELS + q], mean, std)); }
    }
    if (__syncthreads_or(infinite)) {
        if (local < LEVELS) {
            float least = RP_INFINITY, largest = -RP_INFINITY;
            for (uint32_t t = 0; t < P; t++) {
                const float y = rp_unscale(raw[t * LEVELS + local], mean, std);
                if (!isinf(y)) { least = fminf(least, y), largest = fmaxf(largest, y); }
            }
            bounds[local][0] = least <= largest ? least : (float)mean, bounds[local][1] = least <= largest ? largest : (float)mean;
        }
        __syncthreads();       // bounds: written by nine, read by all
    }
    for (uint32_t t = local; t < P; t += RP_GROUP_ROW) {
        float y[LEVELS];
#pragma unroll
        for (int q = 0; q < LEVELS; q++) {
            y[q] = rp_unscale(raw[t * LEVELS + q], mean, std);
            if (isinf(y[q])) { y[q] = bounds[q][y[q] > 0.0f]; }
            if (k > 0.0f) { y[q] = fminf(fmaxf(y[q], low), high); }
        }
#pragma unroll
        for (int turn = 0; turn < LEVELS; turn++) {               // sorted by exchanging neighbours, odd and even in turn
#pragma unroll
            for (int q = turn % 2; q + 1 < LEVELS; q += 2) {
                const float a = y[q], c = y[q + 1];
                y[q] = fminf(a, c), y[q + 1] = fmaxf(a, c);
            }
        }
#pragma unroll
        for (int q = 0; q < LEVELS; q++) { result[(uint64_t)q * p.horizon_cap + t] = y[q]; }
        series[t] = y[MEDIAN];
        seen[t] = 1.0f;
    }
}
