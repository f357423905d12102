// slide: which part of the context the window still holds; spec kronos.md section 5. One invocation for each b.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) slide_f32(const rp_kernel_args<rp_slide_params> args) {
    rp_begin();
    const rp_slide_params p = args.p;
    const uint32_t *n_bars = rp_at<const uint32_t>(args, 0); // [B]
    const rp_step *step = rp_at<const rp_step>(args, 1);
    uint32_t *n_tokens = rp_at<uint32_t>(args, 2); // [B]
    uint32_t *first = rp_at<uint32_t>(args, 3);    // [B]
    uint32_t *own = rp_at<uint32_t>(args, 4);      // [B]
    const uint64_t b = rp_point();
    if (b >= p.batch) { return; }
    const uint32_t at = p.at_end ? step->horizon : step->step, room = at < p.window ? p.window - at : 0;
    const uint32_t n = n_bars[b], shared = min(n, room);
    n_tokens[b] = shared;
    first[b] = n - shared;
    own[b] = at;
}
