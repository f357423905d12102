// pad_rows: rows of a caller's tensor, strided as it likes, into padded rows and their mask; a NaN is a missing value.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) pad_rows_f32(const rp_kernel_args<rp_pad_rows_params> args) {
    rp_begin();
    const rp_pad_rows_params p = args.p;
    const uint32_t *x = rp_at<const uint32_t>(args, 0);      // [x_count], bit for bit
    const uint32_t *mask = rp_at<const uint32_t>(args, 1);   // [mask_words]
    uint32_t *y = rp_at<uint32_t>(args, 2);                  // [rows, y_stride]
    float *y_mask = rp_at<float>(args, 3);                   // [rows, y_stride]
    uint32_t *bad = rp_at<uint32_t>(args, 4);                // [1]
    const uint64_t index = rp_point();
    if (index >= (uint64_t)p.rows * p.cap) { return; }
    uint64_t rest = index;
    const uint32_t t = rp_take(rest, p.cap), row = (uint32_t)rest;
    uint32_t value = 0;
    bool real = false;
    if (t >= p.pad && t - p.pad < p.count) {
        const uint32_t i = t - p.pad, at = p.mask_start + row * p.mask_row_stride + i * p.mask_stride;
        value = x[p.x_start + row * p.x_row_stride + i * p.x_stride];
        const uint32_t size = value & 0x7fffffffu;
        real = p.mask_words == 0 || (mask[at / 4] >> at % 4 * 8 & 255u) != 0;
        real = real && (p.known != 0 || size <= 0x7f800000u);       // beyond infinity: a NaN
        if (real && size > RP_PAD_LARGEST) { *bad = 1; }            // whoever writes, writes the same
        if (!real && size >= 0x7f800000u) { value = 0; }
        if (p.count - i <= p.whole && !real) {
            if (size > RP_PAD_LARGEST) { value = 0; }
            real = true;
        }
    }
    const uint64_t to = (uint64_t)row * p.y_stride + t;
    y[to] = value;
    if (p.known == 0) { y_mask[to] = real ? 1.0f : 0.0f; }
}
