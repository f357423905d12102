// gather_last: the last live token of each variate, and those behind it.
#include "op.h"

rp_status rp_shape_gather_last(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(gather_last);
    EXPECT(0, RP_F32, p->batch, p->variates, p->tokens, p->width);
    EXPECT(1, RP_U32, p->batch);
    out[0] = RP_SHAPE(RP_F32, p->batch, p->variates, p->count, p->width);
    return RP_OK;
}

void rp_launch_gather_last(const rp_node *node, rp_launch *out) {
    PARAMS(gather_last);
    launch_point(out, "gather_last_f32", (uint64_t)p->batch * p->variates * p->count * p->width);
}

void rp_cost_gather_last(const rp_node *node, rp_cost *out) {
    PARAMS(gather_last);
    out->flops = 0;
    out->bytes = 8 * (uint64_t)p->batch * p->variates * p->count * p->width;   // as many in as out
}

void rp_ref_gather_last(const void *params, void *const *binding) {
    REF_PARAMS(gather_last);
    const double *x = binding[0];
    const ref_u32 *n_patches = binding[1];
    double *y = binding[2];
    for (size_t row = 0; row < (size_t)p->batch * p->variates * p->count; row++) {
        const size_t v = row / p->count, first = p->from_start ? p->extra : n_patches[v / p->variates].value + p->extra - 1;
        const size_t token = first + row % p->count;
        if (token < p->tokens) {
            memcpy(y + row * p->width, x + (v * p->tokens + token) * p->width, p->width * sizeof *y);
        } else {
            memset(y + row * p->width, 0, p->width * sizeof *y);
        }
    }
}
