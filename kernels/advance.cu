// advance: the step block moves on, on the device, so that replays queue back to back without the host. One invocation.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(32) advance_f32(const rp_kernel_args<rp_advance_params> args) {
    rp_begin();
    rp_step *step = rp_at<rp_step>(args, 1);
    if (rp_point() != 0) { return; }
    if (args.p.what == RP_ADVANCE_CHUNK) {
        step->path0 = step->chunk * args.p.chunk_paths;
        step->chunk += 1;
        step->step = 0;
    } else {
        step->step += 1;
    }
}
