// prepend_label: one token, the variate's label, before its patches.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT)
prepend_label_f32(const rp_kernel_args<rp_prepend_label_params> args) {
    rp_begin();
    const rp_prepend_label_params p = args.p;
    const float *x = rp_at<const float>(args, 0);        // [B, V, n, D]
    const float *labels = rp_at<const float>(args, 1);   // [2, D]: target, exogenous
    const rp_step *step = rp_at<const rp_step>(args, 2);
    float *y = rp_at<float>(args, 3);                    // [B, V, 1 + n, D]
    const uint64_t index = rp_point();
    if (index >= (uint64_t)p.batch * p.variates * (p.tokens + 1) * p.width) { return; }
    uint64_t row = index;
    const uint32_t i = rp_take(row, p.width), token = rp_take(row, p.tokens + 1);
    if (token > 0) {
        y[index] = x[(row * p.tokens + token - 1) * p.width + i];
    } else {
        const uint32_t v = (uint32_t)(row % p.variates);
        y[index] = labels[(v + step->exogenous >= p.variates ? p.width : 0) + i];
    }
}
