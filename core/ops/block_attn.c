// block_attn: causal attention of a call's tokens over everything in the cache; hidden patches among themselves.
#include "attn_tiled.h"

#include "op_math.h"

rp_status rp_shape_block_attn(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(block_attn);
    EXPECT_F16(p->f16);
    const rp_dtype dtype = p->f16 ? RP_F16 : RP_F32;
    if (p->head_width > RP_ATTN_HEAD_MAX) {
        return rp_fail(graph->device, RP_UNSUPPORTED, "Heads are %u wide; kernels hold at most %u.", p->head_width, RP_ATTN_HEAD_MAX);
    }
    EXPECT(0, dtype, p->batch, p->variates, p->q_tokens, p->heads, p->head_width);
    EXPECT(1, dtype, p->batch, p->variates, p->cap, p->kv_heads, p->head_width);
    EXPECT(2, dtype, p->batch, p->variates, p->cap, p->kv_heads, p->head_width);
    EXPECT(3, RP_U32, p->batch, p->variates, p->patches);
    EXPECT(4, RP_U32, p->batch);
    EXPECT(5, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(dtype, p->batch, p->variates, p->tokens, p->heads, p->head_width);
    return RP_OK;
}

void rp_launch_block_attn(const rp_node *node, rp_launch *out) {
    PARAMS(block_attn);
    static const attn_tiled_kernels kernels = { "block_attn_f32_tiled_8", "block_attn_f32_tiled_4", "block_attn_f32_tiled_2",
                                                "block_attn_f32_tiled_wide", "block_attn_f32_tiled_widest" };
    static const char *const f16[] = { "block_attn_f16_teams_1", "block_attn_f16_teams_2", "block_attn_f16_teams_4", "block_attn_f16_teams_8" };
    const uint64_t heads = (uint64_t)p->batch * p->variates * p->heads;
    const uint32_t d = p->head_width;
    if (!p->f16) {
        if (attn_launch_tiled(out, &kernels, heads, p->tokens, p->cap, d)) { return; }
    } else if (d % 4 == 0 && d <= RP_ATTN_MIXED_HEAD) {
        if (attn_launch_teams(out, f16, heads, p->tokens, p->cap)) { return; }
    } else if (out->fast && d % 4 == 0 && d <= RP_ATTN_MIXED_HEAD_WIDE) {
        rp_launch_rows(out, "block_attn_f16_wide", heads * ceil_div(p->tokens, RP_ATTN_TEAMS_BLOCK(1)), 2 * RP_ATTN_TEAMS_BLOCK(1));
        out->shared_bytes = RP_ATTN_TEAMS_BYTES(1, RP_ATTN_MIXED_HEAD_WIDE);
        return;
    }
    rp_launch_rows(out, p->f16 ? "block_attn_f16_plain" : "block_attn_f32", heads * p->tokens, RP_GROUP_ROW);
}

void rp_cost_block_attn(const rp_node *node, rp_cost *out) {
    PARAMS(block_attn);
    const uint64_t keys = p->later || p->tail ? p->cap : (p->cap + 1) / 2;   // at most, on average
    out->flops = 4 * (uint64_t)p->batch * p->variates * p->tokens * p->heads * p->head_width * keys;
}

static bool is_hidden(const struct rp_block_attn_params *p, const ref_u32 *hidden, uint32_t slot) {
    return slot < p->patches && hidden[slot].value;
}

// The query of slot n - 1 over keys 0 .. n - 1, `stride` apart. Scores are computed twice rather than stored.
static void attend(const struct rp_block_attn_params *p, void *const *binding, size_t q, size_t cache, const ref_u32 *hidden, uint32_t n, size_t at) {
    const uint32_t d = p->head_width;
    const bool own = n > 0 && is_hidden(p, hidden, n - 1);
    const size_t stride = (size_t)p->kv_heads * d;
    double top = -INFINITY, sum = 0, value[RP_ATTN_HEAD_MAX] = { 0 };
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < n; i++) {
            double dot = 0;
            if (is_hidden(p, hidden, i) != own) { continue; }
            for (uint32_t j = 0; j < d; j++) { dot += ref_get(binding[0], q + j, p->f16) * ref_get(binding[1], cache + i * stride + j, p->f16); }
            dot *= (double)p->scale + p->scale_rest;
            if (pass == 0) {
                top = fmax(top, dot);
                continue;
            }
            const double weight = exp(dot - top);
            sum += weight;
            for (uint32_t j = 0; j < d; j++) { value[j] += weight * ref_get(binding[2], cache + i * stride + j, p->f16); }
        }
    }
    for (uint32_t j = 0; j < d; j++) { ref_put(binding[6], at + j, sum > 0 ? value[j] / sum : 0, p->f16); }
}

void rp_ref_block_attn(const void *params, void *const *binding) {
    REF_PARAMS(block_attn);
    const ref_u32 *hidden = binding[3], *n_patches = binding[4];
    const struct rp_step step = ref_step(binding[5]);
    const uint32_t d = p->head_width, h = p->heads, g = p->kv_heads;
    for (uint32_t row = 0; row < p->batch * p->variates; row++) {
        const rp_call call = rp_call_of(n_patches[row / p->variates].value, step.step, step.horizon, p->patch_size, p->block, p->later);
        const uint32_t live = call.given + call.fresh - 1, first = p->tail ? call.given - 1 : 0;
        for (uint32_t i = 0; i < p->tokens * h; i++) {
            const uint32_t token = first + i / h, head = i % h;
            const size_t at = ((size_t)row * p->tokens * h + i) * d, cache = ((size_t)row * p->cap * g + (size_t)head * g / h) * d;
            attend(p, binding, (((size_t)row * p->q_tokens + (token < live ? token : 0)) * h + head) * d, cache,
                   hidden + (size_t)row * p->patches, token < live ? call.start + token + 1 : 0, at);
        }
    }
}
