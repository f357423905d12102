// draw: the next patch of every path, by the mean, by chance or as prescribed; spec toto.md sections 4 to 6.
// One invocation for each (b, v, p, s), s fastest: the result's rows of paths are written whole.
#include "common.cuh"
#include "op_math.h"

#define LARGEST 1.7014117e38f   // FLT_MAX / 2
#define BLOCK 32                // components whose probabilities are asked for together

// dist: [4, k] df, loc, scale, probs
__device__ static float rp_draw_mean(const float *dist, uint32_t k) {
    float x = 0;
    for (uint32_t c = 0; c < k; c++) { x = __fmaf_rn(dist[3 * k + c], dist[k + c], x); }
    return x;
}

// The first component whose cumulated probability exceeds u, else the last. All loads of a block together.
__device__ static uint32_t rp_draw_component(const float *probs, uint32_t k, float u) {
    const bool wide = k % 4 == 0;
    float sum = 0;
    for (uint32_t base = 0; base + 1 < k; base += BLOCK) {
        float4 held[BLOCK / 4];
#pragma unroll
        for (uint32_t e = 0; e < BLOCK; e += 4) {
            const uint32_t c = base + e;
            if (wide) {
                held[e / 4] = c < k ? *reinterpret_cast<const float4 *>(probs + c) : make_float4(0, 0, 0, 0);
            } else {
                held[e / 4] = make_float4(c < k ? probs[c] : 0, c + 1 < k ? probs[c + 1] : 0, c + 2 < k ? probs[c + 2] : 0,
                                          c + 3 < k ? probs[c + 3] : 0);
            }
        }
        uint32_t found = ~0u;
        const auto add = [&](float p, uint32_t c) {
            sum += p;
            if (sum > u) { found = min(found, c); }
        };
#pragma unroll
        for (uint32_t e = 0; e < BLOCK; e += 4) {
            add(held[e / 4].x, base + e), add(held[e / 4].y, base + e + 1), add(held[e / 4].z, base + e + 2), add(held[e / 4].w, base + e + 3);
        }
        if (found < k) { return found; }
    }
    return k - 1;
}

__device__ static float rp_draw_sample(const float *dist, uint32_t k, rp_words words) {
    const uint32_t c = rp_draw_component(dist + 3 * k, k, rp_uniform(words.w0));
    const float df = dist[c], loc = dist[k + c], scale = dist[2 * k + c];
    return __fmaf_rn(scale, rp_student_t(df, rp_uniform(words.w1), rp_uniform(words.w2)), loc);
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) draw_f32(const rp_kernel_args<rp_draw_params> args) {
    rp_begin();
    const rp_draw_params p = args.p;
    const uint32_t P = p.patch_size, k = p.components, V = p.variates;
    uint64_t rest = rp_point();
    if (rest >= (uint64_t)p.batch * V * P * p.paths) { return; }
    const uint32_t s = rp_take(rest, p.paths), j = rp_take(rest, P), v = rp_take(rest, V), b = (uint32_t)rest;
    const rp_step step = *rp_at<const rp_step>(args, 5);
    const uint32_t path = step.path0 + s, t = step.step * P + j;
    const uint64_t row = ((uint64_t)b * p.paths + s) * V + v, source = p.one_dist ? (uint64_t)b * V + v : row;
    const float *dist = rp_at<const float>(args, 0) + (source * P + j) * 4 * k;   // [4, k]
    const float *affine = rp_at<const float>(args, 1) + (source * P + j) * 2;     // [2]
    const float *future = rp_at<const float>(args, 2);                            // [B, V, horizon_cap]
    const float *forced = rp_at<const float>(args, 3);                            // [horizon_cap / P, paths_cap, B, V, P]
    const uint32_t *series_ids = rp_at<const uint32_t>(args, 4);                  // [B]
    float *patch = rp_at<float>(args, 6);                                         // [B, S, V, P]
    float *result = rp_at<float>(args, 7);                                        // [B, V, horizon_cap, paths_cap]

    float y = 0;
    if (p.mode == RP_DRAW_FORCED) {
        const uint64_t at = (((uint64_t)step.step * p.paths_cap + path) * p.batch + b) * V + v;
        if (path < p.paths_cap && t < p.horizon_cap) { y = forced[at * P + j]; }
    } else if (p.mode == RP_DRAW_MEAN) {
        y = __fmaf_rn(affine[1], rp_draw_mean(dist, k), affine[0]);
    } else {
        const rp_words words = rp_philox(step.seed_lo, step.seed_hi, series_ids[b], v, path, t);
        y = __fmaf_rn(affine[1], rp_draw_sample(dist, k, words), affine[0]);
    }
    if (!(fabsf(y) < LARGEST)) { y = 0; }   // NaN too
    const uint64_t in_series = ((uint64_t)b * V + v) * p.horizon_cap + t;
    if (v + step.exogenous >= V && t < step.horizon) { y = future[in_series]; }
    patch[row * P + j] = y;
    if (b < step.batch && path < step.paths && t < p.horizon_cap && path < p.paths_cap) {
        result[in_series * p.paths_cap + path] = y;
    }
}
