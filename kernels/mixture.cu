// mixture: raw head outputs -> parameters of a mixture of Student-t distributions; spec toto.md section 4.
// mixture_f32: one invocation for each row. mixture_f32_row: a warp for each row of at most 32 components, a lane for each, so
// that a row is read in whole lines. Same sums.
#include "common.cuh"
#include "op_math.h"

#define EPSILON 1.1920929e-7f   // 2^-23, float32's own

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) mixture_f32(const rp_kernel_args<rp_mixture_params> args) {
    rp_begin();
    const rp_mixture_params p = args.p;
    const uint64_t row = rp_point();
    const uint32_t k = p.components;
    if (row >= p.rows) { return; }
    const float *raw = rp_at<const float>(args, 0) + row * p.parts * k;   // [parts, k]
    float *dist = rp_at<float>(args, 1) + row * 4 * k;                    // [4, k]: df, loc, scale, probs
    for (uint32_t i = 0; i < k; i++) {
        dist[i] = 2.0f + fmaxf(rp_softplus(raw[i]), EPSILON);
        dist[k + i] = raw[k + i];
        dist[2 * k + i] = fmaxf(rp_softplus(raw[2 * k + i]), EPSILON);
    }
    float *probs = dist + 3 * k;
    if (p.parts < 4) {
        for (uint32_t i = 0; i < k; i++) { probs[i] = 1.0f / (float)k; }   // one component, so 1
        return;
    }
    const float *weights = raw + 3 * k;
    float top = -RP_INFINITY, sum = 0;
    for (uint32_t i = 0; i < k; i++) { top = fmaxf(top, weights[i]); }
    for (uint32_t i = 0; i < k; i++) {
        probs[i] = rp_exp(weights[i] - top);
        sum += probs[i];
    }
    for (uint32_t i = 0; i < k; i++) { probs[i] /= sum; }
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) mixture_f32_row(const rp_kernel_args<rp_mixture_params> args) {
    rp_begin();
    const rp_mixture_params p = args.p;
    const uint64_t row = rp_point() / 32;
    const uint32_t k = p.components, i = threadIdx.x % 32;
    if (row >= p.rows) { return; }
    const float *raw = rp_at<const float>(args, 0) + row * p.parts * k;   // [parts, k]
    float *dist = rp_at<float>(args, 1) + row * 4 * k;                    // [4, k]: df, loc, scale, probs
    const bool live = i < k;
    const float df = live ? raw[i] : 0, loc = live ? raw[k + i] : 0, scale = live ? raw[2 * k + i] : 0;
    const float weight = live && p.parts == 4 ? raw[3 * k + i] : p.parts == 4 ? -RP_INFINITY : 0;
    float top = weight, sum = 0;
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) { top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, distance)); }
    const float own = rp_exp(weight - top);
    for (uint32_t j = 0; j < k; j++) { sum += __shfl_sync(0xffffffffu, own, j); }   // ascending, in every lane
    if (!live) { return; }
    dist[i] = 2.0f + fmaxf(rp_softplus(df), EPSILON);
    dist[k + i] = loc;
    dist[2 * k + i] = fmaxf(rp_softplus(scale), EPSILON);
    dist[3 * k + i] = p.parts == 4 ? own / sum : 1.0f / (float)k;         // three parts: one component, so 1
}
