// gather_last: the last live token of each variate.
#include "op.h"

rp_status rp_shape_gather_last(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(gather_last);
    EXPECT(0, RP_F32, p->batch, p->variates, p->tokens, p->width);
    EXPECT(1, RP_U32, p->batch);
    out[0] = RP_SHAPE(RP_F32, p->batch, p->variates, p->width);
    return RP_OK;
}

void rp_launch_gather_last(const rp_node *node, rp_launch *out) {
    PARAMS(gather_last);
    launch_point(out, "gather_last_f32", (uint64_t)p->batch * p->variates * p->width);
}

void rp_cost_gather_last(const rp_node *node, rp_cost *out) {
    PARAMS(gather_last);
    out->flops = 0;
    out->bytes = 8 * (uint64_t)p->batch * p->variates * p->width;   // one token of each variate in, one out
}

void rp_ref_gather_last(const void *params, void *const *binding) {
    REF_PARAMS(gather_last);
    const double *x = binding[0];
    const ref_u32 *n_patches = binding[1];
    double *y = binding[2];
    for (size_t row = 0; row < (size_t)p->batch * p->variates; row++) {
        const size_t token = n_patches[row / p->variates].value + p->extra - 1;
        memcpy(y + row * p->width, x + (row * p->tokens + token) * p->width, p->width * sizeof *y);
    }
}
