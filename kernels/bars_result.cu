// bars_result: decoded bars back in the units of their series, each path in its place of the result; spec kronos.md
// section 6. One invocation for each (b, column, t, s), s fastest: the result's rows of paths are written whole.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT)
    bars_result_f32(const rp_kernel_args<rp_bars_result_params> args) {
    rp_begin();
    const rp_bars_result_params p = args.p;
    const uint32_t H = p.horizon_cap;
    uint64_t rest = rp_point();
    if (rest >= (uint64_t)p.batch * RP_BAR_COLUMNS * H * p.paths) { return; }
    const uint32_t s = rp_take(rest, p.paths), t = rp_take(rest, H), c = rp_take(rest, RP_BAR_COLUMNS), b = (uint32_t)rest;
    const rp_step *step = rp_at<const rp_step>(args, 2);
    const uint32_t path = step->path0 + s;
    if (b >= step->batch || path >= step->paths || path >= p.paths_cap || t >= step->horizon) { return; }
    const float *y = rp_at<const float>(args, 0); // [B, S, H, 6]
    const float *affine =
        rp_at<const float>(args, 1) + ((uint64_t)b * RP_BAR_COLUMNS + c) * 2; // [2] of [B, 6, 2]: mean, std
    float *result = rp_at<float>(args, 3);                                    // [B, 6, H, paths_cap]
    const float from = y[(((uint64_t)b * p.paths + s) * H + t) * RP_BAR_COLUMNS + c];
    const uint64_t at = ((uint64_t)b * RP_BAR_COLUMNS + c) * H + t;
    result[at * p.paths_cap + path] = __fmaf_rn(from, affine[1] + 1e-5f, affine[0]);
}
