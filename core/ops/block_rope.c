// block_rope: rotary position on the first half of each head of q and k, with xPos, and k and v put into their cache; spec
// toto2.md section 2.
#include "op.h"

#include "op_math.h"

rp_status rp_shape_block_rope(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(block_rope);
    const uint32_t rows = p->batch * p->variates, d = p->head_width;
    EXPECT_F16(p->x_f16 || p->y_f16);
    const rp_dtype dtype = p->y_f16 ? RP_F16 : RP_F32;
    EXPECT(0, p->x_f16 ? RP_F16 : RP_F32, rows, p->tokens, p->heads + 2 * p->kv_heads, d);
    EXPECT(2, RP_F32, 2 * p->zero + 1, d / 4);
    EXPECT(3, RP_U32, p->batch);
    EXPECT(4, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(dtype, p->batch, p->variates, p->tokens, p->heads, d);
    out[1] = out[2] = RP_SHAPE(dtype, p->batch, p->variates, p->cap, p->kv_heads, d);
    return RP_OK;
}

static uint64_t pairs(const struct rp_block_rope_params *p) {
    return (uint64_t)p->batch * p->variates * p->tokens * (p->heads + 2 * p->kv_heads) * (p->head_width / 2);
}

void rp_launch_block_rope(const rp_node *node, rp_launch *out) {
    PARAMS(block_rope);
    const bool by_token = out->fast && p->head_width % 8 == 0 && p->head_width / 4 <= RP_GROUP_ROPE;
    static const char *const kernels[3][2] = { { "block_rope_f32", "block_rope_f32_tokens" }, { "block_rope_f32_to_f16", "block_rope_f32_to_f16_tokens" },
                                               { "block_rope_f16", "block_rope_f16_tokens" } };
    const char *kernel = kernels[p->x_f16 ? 2 : p->y_f16][by_token];
    if (by_token) {
        rp_launch_rows(out, kernel, (uint64_t)p->batch * p->variates * p->tokens, RP_GROUP_ROPE);
        return;
    }
    launch_point(out, kernel, pairs(p));
}

void rp_cost_block_rope(const rp_node *node, rp_cost *out) {
    PARAMS(block_rope);
    out->flops = 8 * pairs(p);
}

void rp_ref_block_rope(const void *params, void *const *binding) {
    REF_PARAMS(block_rope);
    const double *rope = binding[1], *powers = binding[2];
    const ref_u32 *n_patches = binding[3];
    const struct rp_step step = ref_step(binding[4]);
    const uint32_t d = p->head_width, w = d / 2, h = p->heads, g = p->kv_heads;
    for (uint32_t row = 0; row < p->batch * p->variates; row++) {
        const rp_call call = rp_call_of(n_patches[row / p->variates].value, step.step, step.horizon, p->patch_size, p->block, p->later);
        const uint32_t centre = (call.start + call.given + call.fresh) / 2;
        for (uint32_t token = 0; token < call.given + call.fresh - 1; token++) {
            const uint32_t position = call.start + token;
            for (uint32_t head = 0; head < h + 2 * g; head++) {
                const size_t from = (((size_t)row * p->tokens + token) * (h + 2 * g) + head) * d;
                const uint32_t kv = head < h ? 0 : (head - h) % g;
                void *to = binding[head < h ? 5 : 6 + (head - h) / g];
                const size_t at = (head < h ? ((size_t)row * p->tokens + token) * h + head : ((size_t)row * p->cap + position) * g + kv) * d;
                const bool turns = head < h + g;
                for (uint32_t i = turns ? d / 2 : 0; i < d; i++) { ref_put(to, at + i, ref_get(binding[0], from + i, p->x_f16), p->y_f16); }
                for (uint32_t i = 0; i < w / 2 && turns; i++) {
                    const double *turn = rope + ((size_t)position * (w / 2) + i) * 2;
                    const uint32_t e = head < h ? p->zero + position - centre : p->zero + centre - position;
                    const double power = powers[(size_t)e * (w / 2) + i];
                    const double a = ref_get(binding[0], from + 2 * i, p->x_f16), b = ref_get(binding[0], from + 2 * i + 1, p->x_f16);
                    ref_put(to, at + 2 * i, (a * turn[0] - b * turn[1]) * power, p->y_f16);
                    ref_put(to, at + 2 * i + 1, (b * turn[0] + a * turn[1]) * power, p->y_f16);
                }
            }
        }
    }
}
