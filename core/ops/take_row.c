// take_row: a row of a table for each path, by the first token that it just drew.
#include "op.h"

rp_status rp_shape_take_row(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(take_row);
    EXPECT_F16(p->y_f16);
    EXPECT(0, RP_F32, p->table_rows, p->width);
    EXPECT(1, RP_U32, p->rows, p->tokens_cap, 2);
    EXPECT(2, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(p->y_f16 ? RP_F16 : RP_F32, p->rows, p->width);
    return RP_OK;
}

void rp_launch_take_row(const rp_node *node, rp_launch *out) {
    PARAMS(take_row);
    launch_point(out, p->y_f16 ? "take_row_f16" : "take_row_f32", (uint64_t)p->rows * p->width);
}

void rp_cost_take_row(const rp_node *node, rp_cost *out) {
    PARAMS(take_row);
    out->flops = 0;
    out->bytes = (p->y_f16 ? 6 : 8) * (uint64_t)p->rows * p->width;
}

void rp_ref_take_row(const void *params, void *const *binding) {
    REF_PARAMS(take_row);
    const double *table = binding[0];                 // [table_rows, D]
    const ref_u32 *tokens = binding[1];               // [rows, tokens_cap, 2]
    const struct rp_step step = ref_step(binding[2]);
    for (size_t row = 0; row < p->rows; row++) {
        const size_t slot = step.step < p->tokens_cap ? step.step : p->tokens_cap - 1;
        const uint32_t token = tokens[(row * p->tokens_cap + slot) * 2].value;
        const size_t from = token < p->table_rows ? token : p->table_rows - 1;
        for (size_t i = 0; i < p->width; i++) { ref_put(binding[3], row * p->width + i, table[from * p->width + i], p->y_f16); }
    }
}
