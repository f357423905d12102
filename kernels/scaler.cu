// scaler: the prompt's statistics and scaled values, spec toto.md section 1. A group for each (b, v). scaler_f32: an invocation
// for each patch; scaler_f32_warps: a warp for each.
#include "scale.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) scaler_f32(const rp_kernel_args<rp_scaler_params> args) {
    rp_begin();
    __shared__ rp_moments tile[RP_GROUP_ROW];
    __shared__ rp_affine pairs[RP_GROUP_ROW];
    __shared__ double whole[2];
    const rp_scaler_params p = args.p;
    const uint32_t row = rp_group(), local = threadIdx.x, P = p.patch_size;
    if (row >= p.batch * p.variates) { return; }
    const uint64_t base = (uint64_t)row * p.patches * P;
    const float *series = rp_at<const float>(args, 0) + base;                             // [N P]
    const float *mask = rp_at<const float>(args, 1) + base;                               // [N P]
    const uint32_t n_patches = rp_at<const uint32_t>(args, 2)[row / p.variates];
    const uint32_t live = n_patches < p.patches ? n_patches : p.patches;
    float *z = rp_at<float>(args, 3) + base;                                              // [N P]
    float *affine = rp_at<float>(args, 4) + (uint64_t)row * P * 2;                        // [P, 2]
    double *patch_state = rp_at<double>(args, 5) + (uint64_t)row * p.patches * 4;         // [N, 4]
    double *state = rp_at<double>(args, 6) + (uint64_t)row * 4;                           // [4]
    double *global = rp_at<double>(args, 7) + (uint64_t)row * 2;                          // [2]

    // Statistics: 64 patches at a time on their own, merged in ascending order by one invocation.
    rp_moments running = { 0, 0, 0 };
    for (uint32_t first = 0; first < p.patches; first += RP_GROUP_ROW) {
        const uint32_t patch = first + local;
        if (patch < live) { tile[local] = rp_moments_of(series + (uint64_t)patch * P, mask + (uint64_t)patch * P, P); }
        __syncthreads();   // tile: written by each for its patch, read by the first
        if (local == 0) {
            for (uint32_t i = 0; i < RP_GROUP_ROW && first + i < live; i++) {
                rp_moments_merge(running, tile[i]);
                tile[i] = running;
            }
        }
        __syncthreads();   // tile: written by the first, read by each for its patch
        if (patch < p.patches) {
            const rp_moments now = patch < live ? tile[local] : rp_moments{ 0, 0, 0 };
            patch_state[patch * 4] = now.n;
            patch_state[patch * 4 + 1] = now.mean;
            patch_state[patch * 4 + 2] = now.m2;
            patch_state[patch * 4 + 3] = 0;
        }
    }
    if (local == 0) {
        state[0] = running.n;
        state[1] = running.mean;
        state[2] = running.m2;
        state[3] = 0;
        global[0] = whole[0] = running.mean;
        global[1] = whole[1] = running.m2 / fmax(running.n, 1.0);
    }
    for (uint32_t i = local; i < 2 * P && live == 0; i += RP_GROUP_ROW) { affine[i] = 0; }
    __syncthreads();       // whole, and patch_state of the patch before, which another invocation wrote

    // Scaling, each step by its own statistics.
    if (p.kind == RP_SCALER_CAUSAL) {
        for (uint32_t patch = local; patch < p.patches; patch += RP_GROUP_ROW) {
            rp_moments now = { 0, 0, 0 };
            if (patch > 0) { now = { patch_state[patch * 4 - 4], patch_state[patch * 4 - 3], patch_state[patch * 4 - 2] }; }
            for (uint32_t j = 0; j < P; j++) {
                const uint64_t at = (uint64_t)patch * P + j;
                if (patch >= live) {
                    z[at] = 0;
                    continue;
                }
                rp_moments_push(now, series[at], mask[at]);
                const rp_affine pair = rp_scale_of(p.kind, p.clamp, p.factor, now, whole[0], whole[1]);
                z[at] = (float)((series[at] - pair.loc) / pair.scale);
                if (patch + 1 == live) {
                    affine[j * 2] = (float)pair.loc;
                    affine[j * 2 + 1] = (float)pair.scale;
                }
            }
        }
        return;
    }

    // Scaling, each patch by the statistics of its last step.
    for (uint32_t first = 0; first < p.patches; first += RP_GROUP_ROW) {
        const uint32_t patch = first + local;
        if (patch < live) {
            const rp_moments now = { patch_state[patch * 4], patch_state[patch * 4 + 1], patch_state[patch * 4 + 2] };
            pairs[local] = rp_scale_of(p.kind, p.clamp, p.factor, now, whole[0], whole[1]);
        }
        __syncthreads();   // pairs: written by each for its patch, read by all
        const uint32_t n = min(RP_GROUP_ROW, p.patches - first) * P;
        for (uint32_t i = local; i < n; i += RP_GROUP_ROW) {
            const uint32_t of = i / P;
            const uint64_t at = (uint64_t)first * P + i;
            z[at] = first + of < live ? (float)((series[at] - pairs[of].loc) / pairs[of].scale) : 0.0f;
        }
        for (uint32_t j = local; j < P && live > first && live - first <= RP_GROUP_ROW; j += RP_GROUP_ROW) {
            affine[j * 2] = (float)pairs[live - 1 - first].loc;
            affine[j * 2 + 1] = (float)pairs[live - 1 - first].scale;
        }
        __syncthreads();   // pairs: read by all, written again in the next round
    }
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_SCALER) scaler_f32_warps(const rp_kernel_args<rp_scaler_params> args) {
    rp_begin();
    __shared__ double whole[2];
    const rp_scaler_params p = args.p;
    const uint32_t row = rp_group(), local = threadIdx.x, warp = local / 32, lane = local % 32, warps = RP_GROUP_SCALER / 32, P = p.patch_size;
    if (row >= p.batch * p.variates) { return; }
    const uint64_t base = (uint64_t)row * p.patches * P;
    const float *series = rp_at<const float>(args, 0) + base;                             // [N P]
    const float *mask = rp_at<const float>(args, 1) + base;                               // [N P]
    const uint32_t n_patches = rp_at<const uint32_t>(args, 2)[row / p.variates];
    const uint32_t live = n_patches < p.patches ? n_patches : p.patches;
    float *z = rp_at<float>(args, 3) + base;                                              // [N P]
    float *affine = rp_at<float>(args, 4) + (uint64_t)row * P * 2;                        // [P, 2]
    double *patch_state = rp_at<double>(args, 5) + (uint64_t)row * p.patches * 4;         // [N, 4]

    // Statistics of each patch on its own ..
    for (uint32_t patch = warp; patch < p.patches; patch += warps) {
        rp_moments own = { 0, 0, 0 };
        if (patch < live) { own = rp_moments_of_warp(series + (uint64_t)patch * P, mask + (uint64_t)patch * P, P); }
        if (lane < 4) { patch_state[patch * 4 + lane] = lane == 0 ? own.n : lane == 1 ? own.mean : lane == 2 ? own.m2 : 0.0; }
    }
    __syncthreads();       // patch_state: written by each warp for its patches, read by the first
    // .. and with those before, 32 at a time.
    if (warp == 0) {
        rp_moments running = { 0, 0, 0 };
        for (uint32_t first = 0; first < live; first += 32) {
            double *of = patch_state + (first + lane) * 4;
            const bool there = first + lane < live;
            const rp_moments run = rp_moments_scan(there ? rp_moments{ of[0], of[1], of[2] } : rp_moments{ 0, 0, 0 });
            rp_moments now = running;
            rp_moments_merge(now, run);
            if (there) { of[0] = now.n, of[1] = now.mean, of[2] = now.m2; }
            running = rp_moments_from(now, 31);
        }
        if (lane == 0) {
            double *state = rp_at<double>(args, 6) + (uint64_t)row * 4;                   // [4]
            double *global = rp_at<double>(args, 7) + (uint64_t)row * 2;                  // [2]
            state[0] = running.n, state[1] = running.mean, state[2] = running.m2, state[3] = 0;
            global[0] = whole[0] = running.mean;
            global[1] = whole[1] = running.m2 / fmax(running.n, 1.0);
        }
    }
    for (uint32_t i = local; i < 2 * P && live == 0; i += RP_GROUP_SCALER) { affine[i] = 0; }
    __syncthreads();       // whole, patch_state: written by the first warp, read by all

    for (uint32_t patch = warp; patch < p.patches; patch += warps) {
        const uint64_t at = (uint64_t)patch * P;
        if (patch >= live) {
            for (uint32_t j = lane; j < P; j += 32) { z[at + j] = 0; }
            continue;
        }
        const double *of = patch_state + patch * 4;
        const rp_moments end = { of[0], of[1], of[2] };
        const rp_moments before = patch > 0 ? rp_moments{ of[-4], of[-3], of[-2] } : rp_moments{ 0, 0, 0 };
        rp_scale_patch(p, before, end, whole[0], whole[1], series + at, mask + at, z + at, patch + 1 == live ? affine : nullptr);
    }
}
