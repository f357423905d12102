// prepend_label: one token, the variate's label, before its patches.
#include "op.h"

rp_status rp_shape_prepend_label(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(prepend_label);
    EXPECT(0, RP_F32, p->batch, p->variates, p->tokens, p->width);
    EXPECT(1, RP_F32, 2, p->width);
    EXPECT(2, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(RP_F32, p->batch, p->variates, p->tokens + 1, p->width);
    return RP_OK;
}

void rp_launch_prepend_label(const rp_node *node, rp_launch *out) {
    PARAMS(prepend_label);
    launch_point(out, "prepend_label_f32", (uint64_t)p->batch * p->variates * (p->tokens + 1) * p->width);
}

void rp_cost_prepend_label(const rp_node *node, rp_cost *out) {
    (void)node;
    out->flops = 0;
}

void rp_ref_prepend_label(const void *params, void *const *binding) {
    REF_PARAMS(prepend_label);
    const double *x = binding[0], *labels = binding[1];
    const struct rp_step step = ref_step(binding[2]);
    double *y = binding[3];
    const size_t row_bytes = p->width * sizeof(double);
    for (size_t row = 0; row < (size_t)p->batch * p->variates; row++) {
        const uint32_t v = (uint32_t)(row % p->variates);
        double *to = y + row * (p->tokens + 1) * p->width;
        memcpy(to, labels + (v + step.exogenous >= p->variates ? p->width : 0), row_bytes);
        memcpy(to + p->width, x + row * p->tokens * p->width, p->tokens * row_bytes);
    }
}
