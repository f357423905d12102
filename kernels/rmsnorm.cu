// rmsnorm: x / sqrt(mean(x^2) + eps) * scale. A group for each row; sum: each invocation every 64th element, then halving.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) rmsnorm_f32(const rp_kernel_args<rp_rmsnorm_params> args) {
    __shared__ float part[RP_GROUP_ROW];
    const rp_rmsnorm_params p = args.p;
    const uint32_t row = rp_group(), local = threadIdx.x;
    if (row >= p.rows) { return; }
    const float *x = rp_at<const float>(args, 0) + (uint64_t)row * p.width;   // [width]
    const float *scale = rp_at<const float>(args, 1);                         // [width]
    float *y = rp_at<float>(args, 2) + (uint64_t)row * p.width;               // [width]
    float sum = 0;
    for (uint32_t i = local; i < p.width; i += RP_GROUP_ROW) { sum = __fmaf_rn(x[i], x[i], sum); }
    part[local] = sum;
    __syncthreads();   // part: written by each, read by both warps
    const uint32_t lane = local % 32;
    const float whole = rp_halve32(part[lane] + part[lane + 32]);   // both warps, so that none waits for the other again
    const float root = sqrtf(whole / (float)p.width + p.eps);
    for (uint32_t i = local; i < p.width; i += RP_GROUP_ROW) { y[i] = x[i] / root * scale[i]; }
}
