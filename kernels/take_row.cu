// take_row: a row of a table for each path, by the first token that it just drew.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) take_row_f32(const rp_kernel_args<rp_take_row_params> args) {
    rp_begin();
    const rp_take_row_params p = args.p;
    const uint64_t index = rp_point();
    if (index >= (uint64_t)p.rows * p.width) { return; }
    uint64_t row = index;
    const uint32_t i = rp_take(row, p.width);
    const float *table = rp_at<const float>(args, 0);        // [table_rows, D]
    const uint32_t *tokens = rp_at<const uint32_t>(args, 1); // [rows, tokens_cap, 2]
    const rp_step *step = rp_at<const rp_step>(args, 2);
    float *y = rp_at<float>(args, 3); // [rows, D]
    const uint32_t slot = min(step->step, p.tokens_cap - 1);
    const uint64_t from = min(tokens[(row * p.tokens_cap + slot) * 2], p.table_rows - 1);
    y[index] = table[from * p.width + i];
}
