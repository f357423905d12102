// rope_kv: rotary position with xPos on q and k, and k and v put into their cache; spec toto.md section 3.
#include "xpos.h"

rp_status rp_shape_rope_kv(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(rope_kv);
    const uint32_t rows = p->batch * p->paths * p->variates, D = p->heads * p->head_width;
    const rp_dtype dtype = p->f16 ? RP_F16 : RP_F32;
    EXPECT_F16(p->f16);
    EXPECT(0, dtype, rows, p->tokens, 3, D);
    EXPECT(3, RP_U32, p->batch);
    EXPECT(4, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(dtype, p->batch, p->paths, p->variates, p->tokens, D);
    out[1] = RP_SHAPE(dtype, p->batch, p->paths, p->variates, p->cap, D);
    out[2] = RP_SHAPE(dtype, p->batch, p->paths, p->variates, p->cap, D);
    return RP_OK;
}

static uint64_t pairs(const struct rp_rope_kv_params *p) {
    return (uint64_t)p->batch * p->paths * p->variates * p->tokens * p->heads * (p->head_width / 2);
}

void rp_launch_rope_kv(const rp_node *node, rp_launch *out) {
    PARAMS(rope_kv);
    if (p->f16 || (out->fast && p->head_width % 4 == 0)) {               // two pairs an invocation
        launch_point(out, p->f16 ? "rope_kv_f16" : "rope_kv_f32_wide", pairs(p) / 2);
        return;
    }
    launch_point(out, "rope_kv_f32", pairs(p));
}

void rp_cost_rope_kv(const rp_node *node, rp_cost *out) {
    PARAMS(rope_kv);
    out->flops = 16 * pairs(p);
}

void rp_ref_rope_kv(const void *params, void *const *binding) {
    REF_PARAMS(rope_kv);
    const double *rope = binding[1], *xpos = binding[2];
    const ref_u32 *n_patches = binding[3];
    const struct rp_step step = ref_step(binding[4]);
    void *q = binding[5], *k_cache = binding[6], *v_cache = binding[7];
    const uint32_t d = p->head_width, D = p->heads * d;
    for (uint32_t row = 0; row < p->batch * p->paths * p->variates; row++) {
        const uint32_t b = row / (p->paths * p->variates), n_tokens = n_patches[b].value + p->extra;
        for (uint32_t token = 0; token < p->tokens; token++) {
            if (!p->decode && token >= n_tokens) { continue; }
            const uint32_t position = p->decode ? n_tokens + step.step - 1 : token;
            const uint32_t slot = p->decode ? step.step - 1 : token;
            const uint32_t last = p->decode ? position : n_tokens - 1;
            const ref_xpos by = ref_xpos_of(rope, xpos, position, p->xpos_zero + position - last / 2, d);
            const size_t from = ((size_t)row * p->tokens + token) * 3 * D;
            const size_t to = ((size_t)row * p->tokens + token) * D, cached = ((size_t)row * p->cap + slot) * D;
            for (uint32_t h = 0; h < D; h += d) {
                ref_xpos_turn(&by, binding[0], from + h, q, to + h, true, p->f16);
                ref_xpos_turn(&by, binding[0], from + D + h, k_cache, cached + h, false, p->f16);
            }
            for (uint32_t i = 0; i < D; i++) { ref_put(v_cache, cached + i, ref_get(binding[0], from + 2 * (size_t)D + i, p->f16), p->f16); }
        }
    }
}
