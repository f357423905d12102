// fold_head: unembed followed by the output projections is linear twice in a row; one matrix instead, made once at load.
#include "op.h"

rp_status rp_shape_fold_head(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(fold_head);
    EXPECT_F16(p->w_f16);
    EXPECT(0, RP_F32, p->patch_size, p->width, p->width);
    EXPECT(1, RP_F32, p->patch_size, p->width);
    EXPECT(2, RP_F32, p->outputs, p->width);
    EXPECT(3, RP_F32, p->outputs);
    out[0] = RP_SHAPE(p->w_f16 ? RP_F16 : RP_F32, p->patch_size, p->outputs, p->width);
    out[1] = RP_SHAPE(RP_F32, p->patch_size, p->outputs);
    return RP_OK;
}

void rp_launch_fold_head(const rp_node *node, rp_launch *out) {
    PARAMS(fold_head);
    launch_point(out, "fold_head_f32", (uint64_t)p->patch_size * p->outputs * (p->width + 1));
}

void rp_cost_fold_head(const rp_node *node, rp_cost *out) {
    PARAMS(fold_head);
    out->flops = 2 * (uint64_t)p->patch_size * p->outputs * (p->width + 1) * p->width;
}

void rp_ref_fold_head(const void *params, void *const *binding) {
    REF_PARAMS(fold_head);
    const double *unembed_w = binding[0], *unembed_b = binding[1], *proj_w = binding[2], *proj_b = binding[3];
    double *b = binding[5];
    const size_t D = p->width;
    for (size_t row = 0; row < (size_t)p->patch_size * p->outputs; row++) {
        const size_t part = row / p->outputs, j = row % p->outputs;
        const double *factor = proj_w + j * D, *in = unembed_w + part * D * D;
        double bias = 0;
        for (size_t i = 0; i < D; i++) {
            double sum = 0;
            for (size_t e = 0; e < D; e++) { sum += factor[e] * in[e * D + i]; }
            ref_put(binding[4], row * D + i, sum, p->w_f16);
        }
        for (size_t e = 0; e < D; e++) { bias += factor[e] * unembed_b[part * D + e]; }
        b[row] = bias + proj_b[j];
    }
}
