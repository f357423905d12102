// copy: 32-bit words, as they are. Moves inputs from host memory to the device and results back, inside a recording.
#include "op.h"

rp_status rp_shape_copy(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(copy);
    EXPECT(0, node->in[0] ? node->in[0]->dtype : RP_F32, p->n);
    out[0] = rp_shape_of(node->in[0]->dtype, node->in[0]->n_dims, node->in[0]->shape);
    return RP_OK;
}

void rp_launch_copy(const rp_node *node, rp_launch *out) {
    PARAMS(copy);
    launch_point(out, "copy_f32", p->n);
}

void rp_cost_copy(const rp_node *node, rp_cost *out) {
    (void)node;
    out->flops = 0;
}

void rp_ref_copy(const void *params, void *const *binding) {
    REF_PARAMS(copy);
    memmove(binding[1], binding[0], (size_t)p->n * 8);
}
