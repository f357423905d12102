// cache_kv: keys and values of one bar put into their cache as they are.
#include "common.cuh"

template <class T> __device__ inline void rp_cache_kv(const rp_kernel_args<rp_cache_kv_params> &args) {
    rp_begin();
    const rp_cache_kv_params p = args.p;
    uint64_t row = rp_point();
    if (row >= (uint64_t)p.rows * p.width) { return; }
    const uint32_t i = rp_take(row, p.width);
    const T *kv = rp_at<const T>(args, 0) + row * 2 * p.width + i;         // [rows, 2, D]
    const uint32_t slot = rp_at<const rp_step>(args, 1)->step - 1;         // step 0 has no bar: the slot is then past cap
    T *k = rp_at<T>(args, 2);                                              // [rows, cap, D]
    T *v = rp_at<T>(args, 3);                                              // [rows, cap, D]
    if (slot >= p.cap) { return; }
    const uint64_t to = (row * p.cap + slot) * p.width + i;
    k[to] = kv[0];
    v[to] = kv[p.width];
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) cache_kv_f32(const rp_kernel_args<rp_cache_kv_params> args) {
    rp_cache_kv<float>(args);
}
extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) cache_kv_f16(const rp_kernel_args<rp_cache_kv_params> args) {
    rp_cache_kv<__half>(args);
}
