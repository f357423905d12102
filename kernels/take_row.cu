// take_row: a row of a table for each path, by the first token that it just drew.
#include "common.cuh"

__device__ inline void rp_row_put(float &to, float x) { to = x; }
__device__ inline void rp_row_put(__half &to, float x) { to = rp_half(x); }

template <class T> __device__ inline void rp_take_row(const rp_kernel_args<rp_take_row_params> &args) {
    rp_begin();
    const rp_take_row_params p = args.p;
    const uint64_t index = rp_point();
    if (index >= (uint64_t)p.rows * p.width) { return; }
    uint64_t row = index;
    const uint32_t i = rp_take(row, p.width);
    const float *table = rp_at<const float>(args, 0);        // [table_rows, D]
    const uint32_t *tokens = rp_at<const uint32_t>(args, 1); // [rows, tokens_cap, 2]
    const rp_step *step = rp_at<const rp_step>(args, 2);
    T *y = rp_at<T>(args, 3);                                // [rows, D]
    const uint32_t slot = min(step->step, p.tokens_cap - 1);
    const uint64_t from = min(tokens[(row * p.tokens_cap + slot) * 2], p.table_rows - 1);
    rp_row_put(y[index], table[from * p.width + i]);
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) take_row_f32(const rp_kernel_args<rp_take_row_params> args) {
    rp_take_row<float>(args);
}
extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) take_row_f16(const rp_kernel_args<rp_take_row_params> args) {
    rp_take_row<__half>(args);
}
