// fold_head: unembed followed by the output projections is linear twice in a row; one matrix instead, made once at load.
// One invocation for each (p, j, i), i = 0..D, where i = D is the bias; float64 sums in ascending e, rounded once.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) fold_head_f32(const rp_kernel_args<rp_fold_head_params> args) {
    rp_begin();
    const rp_fold_head_params p = args.p;
    const uint32_t D = p.width;
    uint64_t row = rp_point();
    if (row >= (uint64_t)p.patch_size * p.outputs * (D + 1)) { return; }
    const uint32_t i = rp_take(row, D + 1), part = (uint32_t)row / p.outputs, j = (uint32_t)row % p.outputs;
    const float *unembed_w = rp_at<const float>(args, 0) + (uint64_t)part * D * D;   // [D, D], row e
    const float *unembed_b = rp_at<const float>(args, 1) + (uint64_t)part * D;       // [D]
    const float *proj_w = rp_at<const float>(args, 2) + (uint64_t)j * D;             // [D]
    const float *proj_b = rp_at<const float>(args, 3);                               // [outputs]
    void *w = rp_at<void>(args, 4);                                                  // [P, outputs, D], float32 or float16
    float *b = rp_at<float>(args, 5);                                                // [P, outputs]
    double sum = 0;
    if (i < D) {
        for (uint32_t e = 0; e < D; e++) { sum = fma((double)proj_w[e], (double)unembed_w[(uint64_t)e * D + i], sum); }
        if (p.w_f16) {   // beyond its range: infinity, which loading finds
            static_cast<__half *>(w)[row * D + i] = __double2half(sum);
        } else {
            static_cast<float *>(w)[row * D + i] = (float)sum;
        }
    } else {
        for (uint32_t e = 0; e < D; e++) { sum = fma((double)proj_w[e], (double)unembed_b[e], sum); }
        b[row] = (float)(sum + proj_b[j]);
    }
}
