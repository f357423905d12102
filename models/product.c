#include "product.h"

static bool is_f16(const rp_tensor *tensor) { return tensor != NULL && tensor->dtype == RP_F16; }

rp_tensor *rp_product_add(rp_graph *graph, const char *label, const char *norm_label, const rp_product *product) {
    const rp_product *o = product;
    const bool f16 = is_f16(o->w), fused = o->norm != NULL && o->m <= RP_LINEAR_SKINNY_M;
    const bool turns = o->gated && rp_gate_turns(o->n / 2);
    rp_tensor *x = o->x;
    if (o->norm != NULL && !fused) {
        const struct rp_rmsnorm_params p = { .rows = o->m, .width = o->k, .eps = o->eps, .y_f16 = f16 };
        rp_tensor *in[] = { x, o->norm }, *out[] = { NULL };
        rp_graph_add(graph, RP_OP_RMSNORM, norm_label, &p, sizeof p, in, out);
        x = out[0];
    }
    const struct rp_linear_params p = { .m = o->m, .n = o->n, .k = o->k, .has_bias = o->bias != NULL, .has_residual = o->residual != NULL,
                                        .w_f16 = f16, .x_f16 = is_f16(x), .y_f16 = o->y_f16, .gated = turns, .norm = fused,
                                        .eps = fused ? o->eps : 0, .silu = o->silu };
    rp_tensor *in[] = { x, o->w, o->bias, o->residual, fused ? o->norm : NULL }, *out[] = { o->gated && !turns ? NULL : o->y };
    rp_graph_add(graph, RP_OP_LINEAR, label, &p, sizeof p, in, out);
    if (!o->gated || turns) { return out[0]; }
    const struct rp_silu_mul_params gate = { o->m, o->n / 2 };
    rp_tensor *gate_in[] = { out[0] }, *gate_out[] = { o->y };
    rp_graph_add(graph, RP_OP_SILU_MUL, label, &gate, sizeof gate, gate_in, gate_out);
    return gate_out[0];
}
