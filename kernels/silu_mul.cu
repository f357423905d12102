// silu_mul: x [rows, 2 width] = (a, b) -> silu(a) * b [rows, width].
#include "common.cuh"
#include "op_math.h"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) silu_mul_f32(const rp_kernel_args<rp_silu_mul_params> args) {
    rp_begin();
    const rp_silu_mul_params p = args.p;
    const float *x = rp_at<const float>(args, 0);   // [rows, 2 width]
    float *y = rp_at<float>(args, 1);               // [rows, width]
    const uint64_t index = rp_point();
    if (index >= (uint64_t)p.rows * p.width) { return; }
    uint64_t row = index;
    const uint32_t i = rp_take(row, p.width);
    const float *from = x + row * 2 * p.width + i;
    y[index] = rp_silu(from[0]) * from[p.width];
}
