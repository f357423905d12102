// unpack_bits: tokens as the tokenizer's decoder takes them, every bit +-1/sqrt(bits); spec kronos.md section 3.
#include "bars.h"

rp_status rp_shape_unpack_bits(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(unpack_bits);
    EXPECT(0, RP_U32, p->batch, p->rows == RP_ROWS_PROMPT ? 1 : p->paths, p->tokens_cap, 2);
    EXPECT(1, RP_U32, p->batch);
    EXPECT(2, RP_U32, p->batch);
    EXPECT(3, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(RP_F32, p->batch, p->paths, p->tokens, p->s1_bits + p->s2_bits);
    return RP_OK;
}

static uint64_t values(const struct rp_unpack_bits_params *p) {
    return (uint64_t)p->batch * p->paths * p->tokens * (p->s1_bits + p->s2_bits);
}

void rp_launch_unpack_bits(const rp_node *node, rp_launch *out) {
    PARAMS(unpack_bits);
    launch_point(out, "unpack_bits_f32", values(p));
}

void rp_cost_unpack_bits(const rp_node *node, rp_cost *out) {
    PARAMS(unpack_bits);
    out->flops = values(p);
}

void rp_ref_unpack_bits(const void *params, void *const *binding) {
    REF_PARAMS(unpack_bits);
    const ref_u32 *tokens = binding[0], *n_tokens = binding[1], *first = binding[2];
    const struct rp_step step = ref_step(binding[3]);
    double *y = binding[4];
    const uint32_t bits = p->s1_bits + p->s2_bits;
    const double scale = (double)p->scale + p->scale_rest;
    for (uint32_t row = 0; row < p->batch * p->paths; row++) {
        const uint32_t b = row / p->paths;
        for (uint32_t i = 0; i < p->tokens; i++) {
            const ref_row r = ref_row_of(p->rows, i, n_tokens[b].value, first[b].value, step.step);
            const ref_u32 *pair = r.live ? tokens + ref_tokens_at(p->rows, r, b, row, p->tokens_cap) : NULL;
            double *to = y + ((size_t)row * p->tokens + i) * bits;
            for (uint32_t j = 0; j < bits; j++) {
                const bool in_s1 = j < p->s1_bits;
                const uint32_t bit = !r.live ? 0 : in_s1 ? pair[0].value >> j & 1 : pair[1].value >> (j - p->s1_bits) & 1;
                to[j] = !r.live ? 0 : bit ? scale : -scale;
            }
        }
    }
}
