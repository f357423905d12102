// pack_bits: what the tokenizer's encoder says of a bar, as two tokens; spec kronos.md section 3. The L2 norm that stands before
// it in the original changes no sign, so it is left out.
#include "op.h"

rp_status rp_shape_pack_bits(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(pack_bits);
    EXPECT(0, RP_F32, p->rows, p->s1_bits + p->s2_bits);
    out[0] = RP_SHAPE(RP_U32, p->rows, 2);
    return RP_OK;
}

void rp_launch_pack_bits(const rp_node *node, rp_launch *out) {
    PARAMS(pack_bits);
    launch_point(out, "pack_bits_f32", 2 * (uint64_t)p->rows);
}

void rp_cost_pack_bits(const rp_node *node, rp_cost *out) {
    (void)node;
    out->flops = 0;
}

static uint32_t packed(const double *y, uint32_t bits) {
    uint32_t token = 0;
    for (uint32_t j = 0; j < bits; j++) { token |= (uint32_t)(y[j] > 0) << j; }
    return token;
}

void rp_ref_pack_bits(const void *params, void *const *binding) {
    REF_PARAMS(pack_bits);
    const double *y = binding[0];              // [rows, s1_bits + s2_bits]
    ref_u32 *tokens = binding[1];              // [rows, 2]
    for (size_t row = 0; row < p->rows; row++) {
        const double *at = y + row * (p->s1_bits + p->s2_bits);
        tokens[row * 2].value = packed(at, p->s1_bits);
        tokens[row * 2 + 1].value = packed(at + p->s1_bits, p->s2_bits);
    }
}
