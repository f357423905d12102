#include "product.h"

rp_tensor *rp_product_add(rp_graph *graph, const char *label, const char *norm_label, const rp_product *product) {
    const rp_product *o = product;
    rp_tensor *w_scale = o->w != NULL ? o->w->row_scale : NULL;
    const bool f16 = rp_is_mixed(o->w), fused = o->norm != NULL && o->m <= RP_LINEAR_SKINNY_M;
    const bool turns = o->gated && rp_gate_turns(o->n / 2);
    rp_tensor *x = o->x;
    if (o->norm != NULL && !fused) {
        const struct rp_rmsnorm_params p = { .rows = o->m, .width = o->k, .eps = o->eps, .y_f16 = f16 };
        rp_tensor *in[] = { x, o->norm }, *out[] = { NULL };
        rp_graph_add(graph, RP_OP_RMSNORM, norm_label, &p, sizeof p, in, out);
        x = out[0];
    }
    const struct rp_linear_params p = { .m = o->m, .n = o->n, .k = o->k, .has_bias = o->bias != NULL, .has_residual = o->residual != NULL,
                                        .w_f16 = f16, .x_f16 = rp_is_mixed(x), .y_f16 = o->y_f16, .gated = turns, .norm = fused,
                                        .eps = fused ? o->eps : 0, .silu = o->silu, .w_pairs = w_scale != NULL };
    rp_tensor *in[] = { x, o->w, o->bias, o->residual, fused ? o->norm : NULL, w_scale }, *out[] = { o->gated && !turns ? NULL : o->y };
    rp_graph_add(graph, RP_OP_LINEAR, label, &p, sizeof p, in, out);
    if (!o->gated || turns) { return out[0]; }
    const struct rp_silu_mul_params gate = { o->m, o->n / 2 };
    rp_tensor *gate_in[] = { out[0] }, *gate_out[] = { o->y };
    rp_graph_add(graph, RP_OP_SILU_MUL, label, &gate, sizeof gate, gate_in, gate_out);
    return gate_out[0];
}

// Rows `first` and on of a tensor of so many.
static rp_tensor *rows_of(rp_arena *arena, const char *name, rp_tensor *all, uint32_t first, uint32_t rows) {
    rp_shape shape = rp_shape_of(all->dtype, all->n_dims, all->shape);
    shape.dims[0] = rows;
    return rp_tensor_part(arena, name, shape, all, rp_tensor_bytes(all) / all->shape[0] * first);
}

rp_tensor *rp_product_rows(rp_arena *arena, const char *name, rp_tensor *w, uint32_t first, uint32_t rows) {
    rp_tensor *some = rows_of(arena, name, w, first, rows);
    if (some == NULL || w->row_scale == NULL) { return some; }
    some->row_scale = rows_of(arena, name, w->row_scale, first, rows);
    return some->row_scale != NULL ? some : NULL;
}
