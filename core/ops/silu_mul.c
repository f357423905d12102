// silu_mul: (a, b) -> silu(a) * b, the gate of the MLP.
#include "op.h"

rp_status rp_shape_silu_mul(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(silu_mul);
    EXPECT(0, RP_F32, p->rows, 2, p->width);
    out[0] = RP_SHAPE(RP_F32, p->rows, p->width);
    return RP_OK;
}

void rp_launch_silu_mul(const rp_node *node, rp_launch *out) {
    PARAMS(silu_mul);
    launch_point(out, "silu_mul_f32", (uint64_t)p->rows * p->width);
}

void rp_cost_silu_mul(const rp_node *node, rp_cost *out) {
    PARAMS(silu_mul);
    out->flops = 5 * (uint64_t)p->rows * p->width;
}

void rp_ref_silu_mul(const void *params, void *const *binding) {
    REF_PARAMS(silu_mul);
    const double *x = binding[0];
    double *y = binding[1];
    for (size_t row = 0; row < p->rows; row++) {
        for (size_t i = 0; i < p->width; i++) {
            const double a = x[row * 2 * p->width + i], b = x[(row * 2 + 1) * p->width + i];
            y[row * p->width + i] = a / (1 + exp(-a)) * b;
        }
    }
}
