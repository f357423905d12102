// mixture: raw head outputs -> parameters of a mixture of Student-t distributions; spec toto.md section 4.
#include "op.h"

#define EPSILON 1.1920928955078125e-07   // 2^-23, float32's own

rp_status rp_shape_mixture(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(mixture);
    EXPECT(0, RP_F32, p->rows, p->parts, p->components);
    out[0] = RP_SHAPE(RP_F32, p->rows, 4, p->components);
    return RP_OK;
}

void rp_launch_mixture(const rp_node *node, rp_launch *out) {
    PARAMS(mixture);
    if (out->fast && p->components <= 32) {
        const bool few = p->rows < RP_MIXTURE_MANY;
        rp_launch_rows(out, few ? "mixture_f32_few" : "mixture_f32_rows", ceil_div(p->rows, few ? RP_MIXTURE_FEW : RP_MIXTURE_ROWS),
                       RP_GROUP_MIXTURE);
        return;
    }
    rp_launch_rows(out, "mixture_f32", ceil_div(p->rows, RP_GROUP_ROW), RP_GROUP_ROW);
}

void rp_cost_mixture(const rp_node *node, rp_cost *out) {
    PARAMS(mixture);
    out->flops = 30 * (uint64_t)p->rows * p->components;
}

void rp_ref_mixture(const void *params, void *const *binding) {
    REF_PARAMS(mixture);
    const double *raw = binding[0];
    double *dist = binding[1];
    const uint32_t k = p->components;
    for (size_t row = 0; row < p->rows; row++) {
        const double *in = raw + row * p->parts * k;
        double *out = dist + row * 4 * k;
        for (uint32_t i = 0; i < k; i++) {
            out[i] = 2 + fmax(ref_softplus(in[i]), EPSILON);
            out[k + i] = in[k + i];
            out[2 * k + i] = fmax(ref_softplus(in[2 * k + i]), EPSILON);
            out[3 * k + i] = p->parts == 4 ? in[3 * k + i] : 0;
        }
        ref_softmax(out + 3 * k, k);
    }
}
