// take_bars: bars of a caller's tensor, strided as it likes, into rows of six; volumes and amounts that it lacks are made.
#include "common.cuh"
#include "op_amount.h"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) take_bars_f32(const rp_kernel_args<rp_take_bars_params> args) {
    rp_begin();
    const rp_take_bars_params p = args.p;
    const uint32_t *x = rp_at<const uint32_t>(args, 0); // [x_count], bit for bit
    uint32_t *y = rp_at<uint32_t>(args, 1);             // [bars, 6]
    uint32_t *bad = rp_at<uint32_t>(args, 2);           // [1]
    const uint64_t index = rp_point();
    if (index >= (uint64_t)p.bars * RP_BAR_COLUMNS) { return; }
    uint64_t rest = index;
    const uint32_t c = rp_take(rest, RP_BAR_COLUMNS), bar = (uint32_t)rest;
    const uint32_t first = p.x_start + bar * p.x_row_stride;
    uint32_t value = 0;
    if (c < p.columns) {
        value = x[first + c * p.x_stride];
        if ((value & 0x7fffffffu) >= RP_BARS_LIMIT) {
            value = 0;
            *bad = 1;                                   // whoever writes, writes the same
        }
    } else if (c == 5) {
        float of[5] = { 0, 0, 0, 0, 0 };
#pragma unroll
        for (uint32_t i = 0; i < 5; i++) {
            const uint32_t bits = i < p.columns ? x[first + i * p.x_stride] : 0;
            of[i] = (bits & 0x7fffffffu) >= RP_BARS_LIMIT ? 0.0f : __uint_as_float(bits);
        }
        value = __float_as_uint(rp_amount(of[0], of[1], of[2], of[3], of[4]));
    }
    y[index] = value;
}
