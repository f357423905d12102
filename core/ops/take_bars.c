// take_bars: bars of a caller's tensor, strided as it likes, into rows of six; volumes and amounts that it lacks are made.
#include "op.h"

#include "../op_amount.h"

rp_status rp_shape_take_bars(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(take_bars);
    EXPECT(0, RP_F32, p->x_count);
    out[0] = RP_SHAPE(RP_F32, p->bars, RP_BAR_COLUMNS);
    out[1] = RP_SHAPE(RP_U32, 1);
    return RP_OK;
}

void rp_launch_take_bars(const rp_node *node, rp_launch *out) {
    PARAMS(take_bars);
    launch_point(out, "take_bars_f32", (uint64_t)p->bars * RP_BAR_COLUMNS);
}

void rp_cost_take_bars(const rp_node *node, rp_cost *out) {
    PARAMS(take_bars);
    out->flops = p->columns < RP_BAR_COLUMNS ? 5 * (uint64_t)p->bars : 0;
    out->bytes = (uint64_t)p->bars * (p->columns + RP_BAR_COLUMNS) * 4;
}

void rp_ref_take_bars(const void *params, void *const *binding) {
    REF_PARAMS(take_bars);
    const double *x = binding[0];
    double *y = binding[1];
    ref_u32 *bad = binding[2];
    for (uint32_t bar = 0; bar < p->bars; bar++) {
        float v[RP_BAR_COLUMNS] = { 0 };
        for (uint32_t c = 0; c < p->columns; c++) {
            v[c] = (float)x[p->x_start + bar * p->x_row_stride + c * p->x_stride];
            if (!(fabsf(v[c]) < rp_bits_float(RP_BARS_LIMIT))) { v[c] = 0, bad->value = 1; }
        }
        if (p->columns < RP_BAR_COLUMNS) { v[5] = rp_amount(v[0], v[1], v[2], v[3], v[4]); }
        for (uint32_t c = 0; c < RP_BAR_COLUMNS; c++) { y[(size_t)bar * RP_BAR_COLUMNS + c] = (double)v[c]; }
    }
}
