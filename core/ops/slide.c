// slide: which part of the context the window still holds; spec kronos.md section 5.
#include "op.h"

rp_status rp_shape_slide(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(slide);
    EXPECT(0, RP_U32, p->batch);
    EXPECT(1, RP_U32, RP_STEP_WORDS);
    for (uint32_t i = 0; i < 3; i++) { out[i] = RP_SHAPE(RP_U32, p->batch); }
    return RP_OK;
}

void rp_launch_slide(const rp_node *node, rp_launch *out) {
    PARAMS(slide);
    rp_launch_rows(out, "slide_f32", ceil_div(p->batch, RP_GROUP_ROW), RP_GROUP_ROW);
}

void rp_cost_slide(const rp_node *node, rp_cost *out) {
    (void)node;
    out->flops = 0;
}

void rp_ref_slide(const void *params, void *const *binding) {
    REF_PARAMS(slide);
    const ref_u32 *n_bars = binding[0];
    const struct rp_step step = ref_step(binding[1]);
    ref_u32 *n_tokens = binding[2], *first = binding[3], *own = binding[4];
    const uint32_t at = p->at_end ? step.horizon : step.step, room = at < p->window ? p->window - at : 0;
    for (uint32_t b = 0; b < p->batch; b++) {
        n_tokens[b].value = n_bars[b].value < room ? n_bars[b].value : room;
        first[b].value = n_bars[b].value - n_tokens[b].value;
        own[b].value = at;
    }
}
