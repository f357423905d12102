// pair_rows: each number of a matrix as two of float16 with one scale for each row, for products of float32 on matrix units.
#include "op.h"

rp_status rp_shape_pair_rows(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(pair_rows);
    if (p->k % RP_LINEAR_PAIR_CHUNK != 0) {
        return rp_fail(graph->device, RP_INTERNAL, "'%s' asks for pairs of rows of %u, which are no whole chunks.", node->label, p->k);
    }
    EXPECT(0, RP_F32, p->rows, p->k);
    out[0] = RP_SHAPE(RP_F16, p->rows, 2 * p->k);
    out[1] = RP_SHAPE(RP_F32, p->rows);
    return RP_OK;
}

void rp_launch_pair_rows(const rp_node *node, rp_launch *out) {
    PARAMS(pair_rows);
    rp_launch_rows(out, "pair_rows_f32", out->fast ? ceil_div(p->rows, RP_PAIR_WARPS) : p->rows, out->fast ? 32 * RP_PAIR_WARPS : RP_GROUP_ROW);
}

void rp_cost_pair_rows(const rp_node *node, rp_cost *out) {
    PARAMS(pair_rows);
    out->flops = 3 * (uint64_t)p->rows * p->k;
}

// Nothing is rounded to float16: hi is the scaled number as a float, lo what that leaves.
void rp_ref_pair_rows(const void *params, void *const *binding) {
    REF_PARAMS(pair_rows);
    double *scale = binding[2];
    double scaled[RP_LINEAR_PAIR_CHUNK];
    for (size_t row = 0; row < p->rows; row++) {
        const double *w = (const double *)binding[0] + row * p->k;
        float *out = (float *)binding[1] + row * 2 * p->k;       // may be w itself: a chunk is read before it is written
        double most = 0;
        for (size_t i = 0; i < p->k; i++) { most = fmax(most, fabs(w[i])); }
        const int exponent = most > 0x1p-112 ? ilogb(most) : -112;
        scale[row] = ldexp(1, exponent);
        for (size_t i = 0; i < p->k; i += RP_LINEAR_PAIR_CHUNK) {
            for (size_t j = 0; j < RP_LINEAR_PAIR_CHUNK; j++) { scaled[j] = ldexp(w[i + j], 14 - exponent); }
            for (size_t j = 0; j < RP_LINEAR_PAIR_CHUNK; j++) {
                const float hi = (float)scaled[j];
                float *to = out + 2 * i + RP_PAIR_AT(j);
                to[0] = hi, to[RP_LINEAR_PAIR_CHUNK] = (float)(scaled[j] - (double)hi);
            }
        }
    }
}
