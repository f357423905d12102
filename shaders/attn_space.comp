// kernel attn_space_f32
// attn_space: attention over the variates at one token, inside equal group numbers; a workgroup for each query and head.
#version 460
#define PARAMS rp_attn_space_params
#define ROW
#include "common.glsl"
#include "attention.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

void main() {
    InFloats qkv = InFloats(address[0]);                 // [B, S, V, n, h + 2 g, d]
    InInts group_ids = InInts(address[1]);               // [B, V]
    InWords hidden = InWords(address[2]);                // [B, V, patches], where patches > 0
    OutFloats y = OutFloats(address[3]);                 // [B, S, V, n, h, d]

    uint group = group_index(), i = gl_LocalInvocationID.x;
    uint V = p.variates, rows = p.batch * p.paths * V;
    if (group >= rows * p.tokens * p.heads) { return; }  // the whole group
    uint head = group % p.heads, token = group / p.heads % p.tokens, row = group / (p.heads * p.tokens);
    uint v = row % V, b = row / (p.paths * V);
    uint d = p.head_width, D = p.heads * d;
    uint G = p.kv_heads * d, stride = p.tokens * (D + 2 * G);   // from a variate to the next, at one token
    uint first_at = ((row - v) * p.tokens + token) * (D + 2 * G);
    uint first_k = first_at + D + head * p.kv_heads / p.heads * d;
    int own = group_ids.v[b * V + v];
    bool masks = p.first + token < p.patches;
    uint mask_at = b * V * p.patches + p.first + token;
    bool masked = masks && hidden.v[mask_at + v * p.patches] != 0;

    attn_begin(qkv, first_at + v * stride + head * d, d);
    for (uint first = 0; first < V; first += RP_ATTN_TILE) {
        uint u = first + i;
        uint other = min(u, V - 1);
        bool other_masked = masks && hidden.v[mask_at + other * p.patches] != 0;
        bool there = u < V && other_masked == masked && (masked || group_ids.v[b * V + other] == own);
        uint end = min(V - first, RP_ATTN_TILE);
        // Weights of other groups' variates are 0, and their values finite.
        if (attn_tile(address[0], first_k + u * stride, there, d, p.scale)) {
            attn_values(qkv, first_k + first * stride + G, stride, 0, end, d);
            attn_join();
        }
    }
    attn_end(y, (row * p.tokens + token) * D + head * d, d);
}
