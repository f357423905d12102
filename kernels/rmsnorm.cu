// rmsnorm: x / sqrt(mean(x^2) + eps) * scale. A group for each row; sum: each invocation every 64th element, then halving.
#include "norm.cuh"

#define HELD 16    // elements of a row that an invocation keeps

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) rmsnorm_f32(const rp_kernel_args<rp_rmsnorm_params> args) {
    rp_begin();
    __shared__ float part[RP_GROUP_ROW];
    const rp_rmsnorm_params p = args.p;
    const uint32_t row = rp_group(), local = threadIdx.x;
    if (row >= p.rows) { return; }
    const float *x = rp_at<const float>(args, 0) + (uint64_t)row * p.width;   // [width]
    const float *scale = rp_at<const float>(args, 1);                         // [width], or [2, width] with runs
    void *y = rp_at<void>(args, 2);                                           // [rows, width], float32 or float16
    if (p.run > 0) {
        const uint32_t place = row % p.run;
        if (place >= p.queries) { scale += p.width; }
        if (place >= p.queries + p.keys) {                                    // copied; the whole group
            for (uint32_t i = local; i < p.width; i += RP_GROUP_ROW) { rp_put(y, (uint64_t)row * p.width + i, x[i], p.y_f16); }
            return;
        }
    }
    // Rows of at most HELD * 64 are read once, all of it under way together.
    const bool held = p.width <= HELD * RP_GROUP_ROW;
    float own[HELD], sum = 0;
    if (held) {
#pragma unroll
        for (int e = 0; e < HELD; e++) { own[e] = local + e * RP_GROUP_ROW < p.width ? x[local + e * RP_GROUP_ROW] : 0.0f; }
#pragma unroll
        for (int e = 0; e < HELD; e++) { sum = __fmaf_rn(own[e], own[e], sum); }   // a zero adds nothing
    } else {
        for (uint32_t i = local; i < p.width; i += RP_GROUP_ROW) { sum = __fmaf_rn(x[i], x[i], sum); }
    }
    part[local] = sum;
    __syncthreads();   // part: written by each, read by both warps
    const uint32_t lane = local % 32;
    const float whole = rp_halve32(part[lane] + part[lane + 32]);   // both warps, so that none waits for the other again
    const rp_inverse_root inverse = rp_inverse_root_of(whole / (float)p.width + p.eps);
    const auto finish = [&](uint32_t i, float element) {
        rp_put(y, (uint64_t)row * p.width + i, rp_normalised(element, scale[i], inverse), p.y_f16);
    };
    if (held) {
#pragma unroll
        for (int e = 0; e < HELD; e++) {
            const uint32_t i = local + e * RP_GROUP_ROW;
            if (i < p.width) { finish(i, own[e]); }
        }
    } else {
        for (uint32_t i = local; i < p.width; i += RP_GROUP_ROW) { finish(i, x[i]); }
    }
}
