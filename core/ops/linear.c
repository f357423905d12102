// linear: y = x w^T (+ bias) (+ residual).
#include "op.h"

rp_status rp_shape_linear(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(linear);
    EXPECT(0, RP_F32, p->m, p->k);
    EXPECT(1, RP_F32, p->n, p->k);
    if (p->has_bias) { EXPECT(2, RP_F32, p->n); }
    if (p->has_residual) { EXPECT(3, RP_F32, p->m, p->n); }
    out[0] = RP_SHAPE(RP_F32, p->m, p->n);
    return RP_OK;
}

void rp_launch_linear(const rp_node *node, rp_launch *out) {
    PARAMS(linear);
    out->group = RP_GROUP_LINEAR;
    if (p->m <= RP_LINEAR_SKINNY_M) {
        out->kernel = "linear_f32_skinny";
        out->grid[0] = (uint32_t)ceil_div(p->n, RP_LINEAR_SKINNY_N);
        out->grid[1] = out->grid[2] = 1;
        return;
    }
    // Small tiles where large ones would leave processors idle.
    const bool narrow = ceil_div(p->m, RP_LINEAR_M) * ceil_div(p->n, RP_LINEAR_N) < 2ull * out->processors;
    const uint64_t rows = ceil_div(p->m, narrow ? RP_LINEAR_NARROW : RP_LINEAR_M);
    out->kernel = narrow ? "linear_f32_narrow" : "linear_f32";
    out->grid[0] = (uint32_t)ceil_div(p->n, narrow ? RP_LINEAR_NARROW : RP_LINEAR_N);
    out->grid[1] = (uint32_t)(rows < 65535 ? rows : 65535);
    out->grid[2] = (uint32_t)ceil_div(rows, 65535);
}

void rp_cost_linear(const rp_node *node, rp_cost *out) {
    PARAMS(linear);
    out->flops = 2 * (uint64_t)p->m * p->n * p->k;
}

void rp_ref_linear(const void *params, void *const *binding) {
    REF_PARAMS(linear);
    const double *x = binding[0], *w = binding[1], *bias = binding[2], *residual = binding[3];
    double *y = binding[4];
    for (size_t i = 0; i < p->m; i++) {
        for (size_t j = 0; j < p->n; j++) {
            const double *a = x + i * p->k, *b = w + j * p->k;
            double sum[4] = { 0 };               // four sums: the loop is bound by the latency of one
            size_t l = 0;
            for (; l + 4 <= p->k; l += 4) {
                for (size_t u = 0; u < 4; u++) { sum[u] += a[l + u] * b[l + u]; }
            }
            for (; l < p->k; l++) { sum[0] += a[l] * b[l]; }
            double value = (sum[0] + sum[1]) + (sum[2] + sum[3]);
            if (p->has_bias) { value += bias[j]; }
            if (p->has_residual) { value += residual[i * p->n + j]; }
            y[i * p->n + j] = value;
        }
    }
}
