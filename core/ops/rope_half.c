// rope_half: rotary position on q and k, a head's first half paired with its second, and k and v put into their cache; spec
// kronos.md section 2.
#include "bars.h"
#include "turn.h"

rp_status rp_shape_rope_half(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(rope_half);
    const uint32_t rows = p->batch * p->paths, D = p->heads * p->head_width;
    const rp_dtype dtype = p->f16 ? RP_F16 : RP_F32;
    EXPECT_F16(p->f16);
    EXPECT(0, dtype, rows, p->tokens, 3, D);
    EXPECT(1, RP_F32, p->positions, p->head_width / 2, 2);
    EXPECT(2, RP_U32, p->batch);
    EXPECT(3, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(dtype, p->batch, p->paths, p->tokens, D);
    out[1] = RP_SHAPE(dtype, p->batch, p->paths, p->cap, D);
    out[2] = RP_SHAPE(dtype, p->batch, p->paths, p->cap, D);
    return RP_OK;
}

static uint64_t pairs(const struct rp_rope_half_params *p) {
    return (uint64_t)p->batch * p->paths * p->tokens * p->heads * (p->head_width / 2);
}

void rp_launch_rope_half(const rp_node *node, rp_launch *out) {
    PARAMS(rope_half);
    if (p->f16 || (out->fast && p->head_width % 4 == 0)) {               // two pairs an invocation
        launch_point(out, p->f16 ? "rope_half_f16" : "rope_half_f32_wide", pairs(p) / 2);
        return;
    }
    launch_point(out, "rope_half_f32", pairs(p));
}

void rp_cost_rope_half(const rp_node *node, rp_cost *out) {
    PARAMS(rope_half);
    out->flops = 12 * pairs(p);
}

void rp_ref_rope_half(const void *params, void *const *binding) {
    REF_PARAMS(rope_half);
    const double *rope = binding[1];
    const ref_u32 *n_tokens = binding[2];
    const struct rp_step step = ref_step(binding[3]);
    const uint32_t d = p->head_width, half = d / 2, D = p->heads * d;
    for (uint32_t row = 0; row < p->batch * p->paths; row++) {
        for (uint32_t i = 0; i < p->tokens; i++) {
            const ref_row r = ref_row_of(p->rows, i, n_tokens[row / p->paths].value, 0, step.step);
            if (!r.live) { continue; }
            const double *angles = rope + (size_t)r.position * half * 2;
            const size_t from = ((size_t)row * p->tokens + i) * 3 * D;
            const size_t to = ((size_t)row * p->tokens + i) * D, cached = ((size_t)row * p->cap + r.slot) * D;
            for (uint32_t h = 0; h < p->heads; h++) {
                ref_turn(binding[0], from + h * d, angles, half, binding[4], to + h * d, p->f16);
                ref_turn(binding[0], from + D + h * d, angles, half, binding[5], cached + h * d, p->f16);
            }
            for (uint32_t j = 0; j < D; j++) { ref_put(binding[6], cached + j, ref_get(binding[0], from + 2 * (size_t)D + j, p->f16), p->f16); }
        }
    }
}
