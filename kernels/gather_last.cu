// gather_last: the last live token of each variate, and those behind it.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) gather_last_f32(const rp_kernel_args<rp_gather_last_params> args) {
    rp_begin();
    const rp_gather_last_params p = args.p;
    const float *x = rp_at<const float>(args, 0);        // [B, V, n, D]
    const uint32_t *n_patches = rp_at<const uint32_t>(args, 1);   // [B]
    float *y = rp_at<float>(args, 2);                    // [B, V, count, D]
    const uint64_t index = rp_point();
    if (index >= (uint64_t)p.batch * p.variates * p.count * p.width) { return; }
    uint64_t row = index;
    const uint32_t i = rp_take(row, p.width), j = rp_take(row, p.count);
    const uint32_t token = (p.from_start ? p.extra : n_patches[row / p.variates] + p.extra - 1) + j;
    y[index] = token < p.tokens ? x[(row * p.tokens + token) * p.width + i] : 0.0f;   // a series without patches has none
}
