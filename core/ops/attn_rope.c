// attn_rope: rope_kv and attn_time in one launch, for short contexts.
#include "attend.h"
#include "xpos.h"

rp_status rp_shape_attn_rope(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(attn_rope);
    EXPECT_F16(p->f16);
    const rp_dtype dtype = p->f16 ? RP_F16 : RP_F32;
    const bool decode = p->suffix_cap > 0;
    const uint32_t d = p->head_width, D = p->heads * d, slots = decode ? p->suffix_cap : p->prefix_cap;
    const bool whole = decode ? p->tokens == 1 : p->paths == 1 && p->tokens == p->prefix_cap;
    if (!RP_ATTN_SHORT_TAKES((uint64_t)p->prefix_cap + p->suffix_cap, d) || !whole) {
        return rp_fail(graph->device, RP_INTERNAL, "'%s' asks for attention that no kernel makes (op_params.h, attn_rope).", node->label);
    }
    EXPECT(0, dtype, p->batch * p->paths * p->variates, p->tokens, 3, D);
    EXPECT(1, RP_F32, p->positions * d + (2 * p->xpos_zero + 1) * (d / 2));
    if (decode) { EXPECT(2, dtype, 2, p->batch, p->variates, p->prefix_cap, D); }
    EXPECT(3, dtype, 2, p->batch * p->paths * p->variates, slots, D);
    EXPECT(4, RP_U32, p->batch);
    EXPECT(5, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(dtype, 2, p->batch, p->paths, p->variates, slots, D);
    out[1] = RP_SHAPE(dtype, p->batch, p->paths, p->variates, p->tokens, D);
    return RP_OK;
}

void rp_launch_attn_rope(const rp_node *node, rp_launch *out) {
    PARAMS(attn_rope);
    const bool decode = p->suffix_cap > 0, many = p->prefix_cap + p->suffix_cap > RP_ATTN_SHORT_LANES;
    static const char *const kernels[2][2] = { { "attn_rope_f32_short", "attn_rope_f32_short_2" },
                                               { "attn_rope_f16_short", "attn_rope_f16_short_2" } };
    if (!out->fast) {
        rp_launch_rows(out, "attn_rope_f32", (uint64_t)p->batch * p->paths * p->variates * p->tokens * p->heads, RP_GROUP_ROW);
        return;
    }
    launch_queries(out, kernels[p->f16][many], (uint64_t)p->batch * p->variates * p->heads, decode ? p->paths : p->tokens, p->prefix_cap,
                   p->suffix_cap, p->head_width, p->f16 ? 2 : 4);
}

void rp_cost_attn_rope(const rp_node *node, rp_cost *out) {
    PARAMS(attn_rope);
    const uint64_t queries = (uint64_t)p->batch * p->paths * p->variates * p->tokens * p->heads;
    const uint64_t keys = p->suffix_cap > 0 ? p->prefix_cap + p->suffix_cap : (p->prefix_cap + 1) / 2;   // at most, on average
    out->flops = queries * p->head_width * (4 * keys + 8);
}

void rp_ref_attn_rope(const void *params, void *const *binding) {
    REF_PARAMS(attn_rope);
    const ref_u32 *n_patches = binding[4];
    const struct rp_step step = ref_step(binding[5]);
    void *kv = binding[6];
    const bool decode = p->suffix_cap > 0;
    const uint32_t d = p->head_width, D = p->heads * d, slots = decode ? p->suffix_cap : p->prefix_cap, rows = p->batch * p->paths * p->variates;
    const double *angles = binding[1], *powers = angles + (size_t)p->positions * d;
    const size_t values = (size_t)rows * slots * D, prefix_values = (size_t)p->batch * p->variates * p->prefix_cap * D;
    for (uint32_t row = 0; row < rows; row++) {
        const uint32_t v = row % p->variates, b = row / (p->paths * p->variates), n_tokens = n_patches[b].value + p->extra;
        const size_t prefix = ((size_t)b * p->variates + v) * p->prefix_cap * D, own = (size_t)row * slots * D;
        for (uint32_t token = 0; token < p->tokens; token++) {
            const size_t from = ((size_t)row * p->tokens + token) * 3 * D, at = ((size_t)row * p->tokens + token) * D;
            const uint32_t slot = decode ? step.step - 1 : token, position = decode ? n_tokens + slot : token;
            if (!decode && token >= n_tokens) {
                for (uint32_t i = 0; i < D; i++) { ref_put(binding[7], at + i, 0, p->f16); }
                continue;
            }
            const uint32_t last = decode ? position : n_tokens - 1;
            const ref_xpos by = ref_xpos_of(angles, powers, position, p->xpos_zero + position - last / 2, d);
            for (size_t head = 0; head < D; head += d) {
                double q[RP_ATTN_SHORT_HEAD], x[RP_ATTN_SHORT_HEAD];
                for (uint32_t j = 0; j < d; j++) { x[j] = ref_get(binding[0], from + head + j, p->f16); }
                ref_xpos_turn(&by, x, 0, q, 0, true, false);
                ref_xpos_turn(&by, binding[0], from + D + head, kv, own + (size_t)slot * D + head, false, p->f16);
                for (uint32_t j = 0; j < d; j++) {
                    ref_put(kv, values + own + (size_t)slot * D + head + j, ref_get(binding[0], from + 2 * (size_t)D + head + j, p->f16), p->f16);
                }
                const ref_run runs[2] = { { decode ? binding[2] : kv, decode ? binding[2] : kv, decode ? prefix + head : own + head,
                                            (decode ? prefix_values + prefix : values + own) + head, decode ? n_tokens : token + 1 },
                                          { kv, kv, own + head, values + own + head, decode ? step.step : 0 } };
                ref_attend((double)p->scale + p->scale_rest, d, D, q, runs, p->f16, binding[7], at + head, p->f16);
            }
        }
    }
}
