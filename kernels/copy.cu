// copy: 32-bit words, bit for bit.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) copy_f32(const rp_kernel_args<rp_copy_params> args) {
    rp_begin();
    const uint32_t *x = rp_at<const uint32_t>(args, 0);   // [n]
    uint32_t *y = rp_at<uint32_t>(args, 1);               // [n]
    const uint64_t index = rp_point();
    if (index < args.p.n) { y[index] = x[index]; }
}
