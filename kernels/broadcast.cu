// broadcast: rows of 32-bit words [B, V, width] repeated for every path, [B, S, V, width].
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) broadcast_f32(const rp_kernel_args<rp_broadcast_params> args) {
    rp_begin();
    const rp_broadcast_params p = args.p;
    const uint32_t *x = rp_at<const uint32_t>(args, 0);   // [B, V, width]
    uint32_t *y = rp_at<uint32_t>(args, 1);               // [B, S, V, width]
    const uint64_t index = rp_point();
    if (index >= (uint64_t)p.batch * p.paths * p.variates * p.width) { return; }
    uint64_t rest = index;
    const uint32_t i = rp_take(rest, p.width), v = rp_take(rest, p.variates), b = (uint32_t)rest / p.paths;
    y[index] = x[((uint64_t)b * p.variates + v) * p.width + i];
}
