// advance: the step block moves on, on the device, so that replays queue back to back without the host.
#include "op.h"

rp_status rp_shape_advance(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    EXPECT(0, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(RP_U32, RP_STEP_WORDS);
    return RP_OK;
}

void rp_launch_advance(const rp_node *node, rp_launch *out) {
    (void)node;
    rp_launch_rows(out, "advance_f32", 1, 1);
}

void rp_cost_advance(const rp_node *node, rp_cost *out) {
    (void)node;
    out->flops = 0;
}

void rp_ref_advance(const void *params, void *const *binding) {
    REF_PARAMS(advance);
    ref_u32 *step = binding[1];   // path0, chunk, step are words 2, 3, 4
    if (p->what == RP_ADVANCE_CHUNK) {
        step[2].value = step[3].value * p->chunk_paths;
        step[3].value += 1;
        step[4].value = 0;
    } else {
        step[4].value += 1;
    }
}
