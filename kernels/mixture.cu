// mixture: raw head outputs -> parameters of a mixture of Student-t distributions; spec toto.md section 4.
// One invocation for each row.
#include "common.cuh"
#include "op_math.h"

#define EPSILON 1.1920929e-7f   // 2^-23, float32's own

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) mixture_f32(const rp_kernel_args<rp_mixture_params> args) {
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
