// pair_rows: each number of a matrix as two of float16 with one scale for each row; core/ops/pair_rows.c is its definition. A warp for each
// row, two numbers a lane, a chunk at a time: what all lanes read goes before what any writes, so that out may be w itself.
#include "common.cuh"

static_assert(RP_LINEAR_PAIR_CHUNK == 64, "two numbers a lane");

extern "C" __global__ void __launch_bounds__(32 * RP_PAIR_WARPS) pair_rows_f32(const rp_kernel_args<rp_pair_rows_params> args) {
    rp_begin();
    const rp_pair_rows_params p = args.p;
    const uint32_t lane = threadIdx.x % 32;
    const uint64_t row = (uint64_t)rp_group() * RP_PAIR_WARPS + threadIdx.x / 32;
    if (row >= p.rows) { return; }
    const float2 *w = reinterpret_cast<const float2 *>(rp_at<const float>(args, 0) + row * p.k);   // [k / 2]
    __half2 *out = reinterpret_cast<__half2 *>(rp_at<__half>(args, 1) + row * 2 * p.k);            // [k / 64, 2, 32]
    float *scale = rp_at<float>(args, 2);                                                          // [rows]
    uint32_t most = 0;                                       // bits of magnitudes are ordered as these are
    for (uint32_t i = lane; i < p.k / 2; i += 32) {
        const float2 two = w[i];
        most = max(most, max(__float_as_uint(two.x) & 0x7fffffffu, __float_as_uint(two.y) & 0x7fffffffu));
    }
    most = __reduce_max_sync(0xffffffffu, most);
    const uint32_t biased = max(most >> 23, 15u);            // E + 127, and E is -112 at least
    const float up = __uint_as_float((268 - biased) << 23);  // 2^(14 - E)
    if (lane == 0) { scale[row] = __uint_as_float(biased << 23); }
    for (uint32_t i = lane; i < p.k / 2; i += 32) {
        const float2 two = w[i];
        const float x = two.x * up, y = two.y * up;
        const __half2 hi = __floats2half2_rn(x, y);
        __syncwarp();
        __half2 *chunk = out + i / 32 * 64 + RP_PAIR_AT(lane * 2) / 2;
        chunk[0] = hi;
        chunk[32] = __floats2half2_rn(x - __low2float(hi), y - __high2float(hi));
    }
}
