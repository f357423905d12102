// broadcast: rows of 32-bit words [B, V, width] repeated for every path, [B, S, V, width].
#include "op.h"

rp_status rp_shape_broadcast(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(broadcast);
    rp_dtype dtype = node->in[0] ? node->in[0]->dtype : RP_F32;
    uint32_t width = p->width * 4 / rp_dtype_size(dtype);
    EXPECT(0, dtype, p->batch, p->variates, width);
    out[0] = RP_SHAPE(dtype, p->batch, p->paths, p->variates, width);
    return RP_OK;
}

void rp_launch_broadcast(const rp_node *node, rp_launch *out) {
    PARAMS(broadcast);
    launch_point(out, "broadcast_f32", (uint64_t)p->batch * p->paths * p->variates * p->width);
}

void rp_cost_broadcast(const rp_node *node, rp_cost *out) {
    (void)node;
    out->flops = 0;
}

void rp_ref_broadcast(const void *params, void *const *binding) {
    REF_PARAMS(broadcast);
    const size_t row = (size_t)p->variates * p->width * 8;
    for (uint32_t b = 0; b < p->batch; b++) {
        for (uint32_t s = 0; s < p->paths; s++) {
            memcpy((char *)binding[1] + (b * p->paths + s) * row, (const char *)binding[0] + b * row, row);
        }
    }
}
