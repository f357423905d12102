// scale_step: statistics moved on by one appended patch, and that patch scaled. scale_step_f32: one invocation for each (b, s, v);
// scale_step_f32_warp: a warp for each.
#include "scale.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) scale_step_f32(const rp_kernel_args<rp_scale_step_params> args) {
    rp_begin();
    const rp_scale_step_params p = args.p;
    const uint64_t row = rp_point();
    if (row >= (uint64_t)p.batch * p.paths * p.variates) { return; }
    uint64_t rest = row;
    const uint32_t v = rp_take(rest, p.variates), b = (uint32_t)rest / p.paths, P = p.patch_size;
    const float *x = rp_at<const float>(args, 0) + row * P;                                         // [P]
    const double *old = rp_at<const double>(args, 1) + row * 4;                                     // [4]
    const double *global = rp_at<const double>(args, 2) + ((uint64_t)b * p.variates + v) * 2;       // [2]
    float *z = rp_at<float>(args, 3) + row * P;                                                     // [P]
    float *affine = rp_at<float>(args, 4) + row * P * 2;                                            // [P, 2]
    double *state = rp_at<double>(args, 5) + row * 4;                                               // [4]
    rp_moments now = { old[0], old[1], old[2] }, end = now;
    const double mean = global[0], var = global[1];
    rp_moments_merge(end, rp_moments_of(x, nullptr, P));
    rp_affine pair = rp_scale_of(p.kind, p.clamp, p.factor, end, mean, var);
    for (uint32_t j = 0; j < P; j++) {
        if (p.kind == RP_SCALER_CAUSAL) {
            rp_moments_push(now, x[j], 1);
            pair = rp_scale_of(p.kind, p.clamp, p.factor, now, mean, var);
        }
        z[j] = (float)((x[j] - pair.loc) / pair.scale);
        affine[j * 2] = (float)pair.loc;
        affine[j * 2 + 1] = (float)pair.scale;
    }
    state[0] = end.n;
    state[1] = end.mean;
    state[2] = end.m2;
    state[3] = 0;
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_SCALE_STEP) scale_step_f32_warp(const rp_kernel_args<rp_scale_step_params> args) {
    rp_begin();
    const rp_scale_step_params p = args.p;
    const uint64_t row = rp_point() / 32;
    if (row >= (uint64_t)p.batch * p.paths * p.variates) { return; }
    uint64_t rest = row;
    const uint32_t v = rp_take(rest, p.variates), b = (uint32_t)rest / p.paths, P = p.patch_size;
    const float *x = rp_at<const float>(args, 0) + row * P;                                         // [P]
    const double *old = rp_at<const double>(args, 1) + row * 4;                                     // [4]
    const double *global = rp_at<const double>(args, 2) + ((uint64_t)b * p.variates + v) * 2;       // [2]
    double *state = rp_at<double>(args, 5) + row * 4;                                               // [4]; may be `old`
    const rp_moments before = { old[0], old[1], old[2] };
    rp_moments end = before;
    rp_moments_merge(end, rp_moments_of_warp(x, nullptr, P));
    rp_scale_patch(p, before, end, global[0], global[1], x, nullptr, rp_at<float>(args, 3) + row * P, rp_at<float>(args, 4) + row * P * 2);
    __syncwarp();          // state: read by all before it is written
    if (threadIdx.x % 32 == 0) { state[0] = end.n, state[1] = end.mean, state[2] = end.m2, state[3] = 0; }
}
