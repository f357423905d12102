// attn_space: attention over the variates at one token, inside equal group numbers.
#include "op.h"

rp_status rp_shape_attn_space(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(attn_space);
    EXPECT_F16(p->y_f16);
    const uint32_t rows = p->batch * p->paths * p->variates;
    if (p->head_width > RP_ATTN_HEAD_MAX) {
        return rp_fail(graph->device, RP_UNSUPPORTED, "Heads are %u wide; kernels hold at most %u.", p->head_width, RP_ATTN_HEAD_MAX);
    }
    EXPECT(0, RP_F32, rows, p->tokens, p->heads + 2 * p->kv_heads, p->head_width);
    EXPECT(1, RP_I32, p->batch, p->variates);
    if (p->patches > 0) { EXPECT(2, RP_U32, p->batch, p->variates, p->patches); }
    out[0] = RP_SHAPE(p->y_f16 ? RP_F16 : RP_F32, p->batch, p->paths, p->variates, p->tokens, p->heads * p->head_width);
    return RP_OK;
}

void rp_launch_attn_space(const rp_node *node, rp_launch *out) {
    PARAMS(attn_space);
    const uint64_t queries = (uint64_t)p->batch * p->paths * p->tokens * p->heads;   // of each variate
    const uint32_t bytes = p->variates <= RP_SPACE_MOST ? RP_SPACE_BYTES(p->variates, p->head_width) : ~0u;
    if (out->fast && p->head_width % 4 == 0 && p->variates == 1) {
        launch_point(out, "attn_space_f32_one", queries * p->head_width / 4);
        return;
    }
    if (out->fast && p->head_width % 4 == 0 && bytes <= RP_SPACE_SHARED) {
        if (p->variates <= RP_SPACE_FEW) {
            rp_launch_rows(out, "attn_space_f32_few", queries, RP_SPACE_FEW * RP_SPACE_FEW);
        } else {
            rp_launch_rows(out, "attn_space_f32_all", queries, RP_SPACE_SIDE * RP_SPACE_SIDE);
        }
        out->shared_bytes = bytes;
        return;
    }
    rp_launch_rows(out, "attn_space_f32", queries * p->variates, RP_GROUP_ROW);
}

void rp_cost_attn_space(const rp_node *node, rp_cost *out) {
    PARAMS(attn_space);
    out->flops = 4 * (uint64_t)p->batch * p->paths * p->variates * p->variates * p->tokens * p->heads * p->head_width;
}

// Whether the query's variate v sees variate u at token i.
static bool sees(const struct rp_attn_space_params *p, const ref_i32 *ids, const ref_u32 *hidden, uint32_t v, uint32_t u, uint32_t i) {
    const bool there = p->patches > 0 && p->first + i < p->patches;
    const bool own = there && hidden[(size_t)v * p->patches + p->first + i].value;
    const bool other = there && hidden[(size_t)u * p->patches + p->first + i].value;
    return own || other ? own && other : ids[u].value == ids[v].value;
}

void rp_ref_attn_space(const void *params, void *const *binding) {
    REF_PARAMS(attn_space);
    const double *qkv = binding[0];          // [B, S, V, n, h + 2 g, d]
    const ref_i32 *ids = binding[1];         // [B, V]
    const ref_u32 *hidden = binding[2];      // [B, V, patches]
    const uint32_t d = p->head_width, D = p->heads * d, V = p->variates, G = p->kv_heads * d, width = D + 2 * G;
    for (uint32_t row = 0; row < p->batch * p->paths * V; row++) {
        const uint32_t v = row % V, b = row / (p->paths * V), first = row - v;
        for (uint32_t th = 0; th < p->tokens * p->heads; th++) {
            const uint32_t token = th / p->heads, h = th % p->heads;
            const double *q = qkv + ((size_t)row * p->tokens + token) * width + (size_t)h * d;
            const size_t at = ((size_t)row * p->tokens + token) * D + (size_t)h * d;   // of y [B, S, V, n, h, d]
            double out[RP_ATTN_HEAD_MAX] = { 0 }, top = -INFINITY, sum = 0;
            for (uint32_t pass = 0; pass < 2; pass++) {   // the largest score, then the weights; nothing is stored
                for (uint32_t u = 0; u < V; u++) {
                    if (!sees(p, ids + b * V, hidden + (size_t)b * V * p->patches, v, u, token)) { continue; }
                    const double *k = qkv + ((size_t)(first + u) * p->tokens + token) * width + D + (size_t)(h * p->kv_heads / p->heads) * d;
                    double dot = 0;
                    for (uint32_t j = 0; j < d; j++) { dot += q[j] * k[j]; }
                    dot *= (double)p->scale + p->scale_rest;
                    if (pass == 0) {
                        top = fmax(top, dot);
                        continue;
                    }
                    const double weight = exp(dot - top);
                    sum += weight;
                    for (uint32_t j = 0; j < d; j++) { out[j] += weight * k[G + j]; }
                }
            }
            for (uint32_t j = 0; j < d; j++) { ref_put(binding[3], at + j, out[j] / sum, p->y_f16); }
        }
    }
}
