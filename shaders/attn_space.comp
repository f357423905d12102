// kernel attn_space_f32
// attn_space: attention over the variates at one token, inside equal group numbers; a workgroup for each query and head.
#version 460
#define PARAMS rp_attn_space_params
#define ROW
#include "common.glsl"
#include "attention.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

void main() {
    InFloats qkv = InFloats(address[0]);                 // [B, S, V, n, 3, h, d]
    InInts group_ids = InInts(address[1]);               // [B, V]
    OutFloats y = OutFloats(address[2]);                 // [B, S, V, n, h, d]

    uint group = group_index(), i = gl_LocalInvocationID.x;
    uint V = p.variates, rows = p.batch * p.paths * V;
    if (group >= rows * p.tokens * p.heads) { return; }  // the whole group
    uint head = group % p.heads, token = group / p.heads % p.tokens, row = group / (p.heads * p.tokens);
    uint v = row % V, b = row / (p.paths * V);
    uint d = p.head_width, D = p.heads * d;
    uint stride = p.tokens * 3 * D;                      // from a variate to the next, at one token
    uint first_q = ((row - v) * p.tokens + token) * 3 * D + head * d;
    int own = group_ids.v[b * V + v];

    attn_begin(qkv, first_q + v * stride, d);
    for (uint first = 0; first < V; first += RP_ATTN_TILE) {
        uint u = first + i;
        bool there = u < V && group_ids.v[b * V + min(u, V - 1)] == own;
        uint end = min(V - first, RP_ATTN_TILE);
        // Weights of other groups' variates are 0, and their values finite.
        if (attn_tile(address[0], first_q + u * stride + D, there, d, p.scale)) {
            attn_values(qkv, first_q + first * stride + 2 * D, stride, 0, end, d);
            attn_join();
        }
    }
    attn_end(y, (row * p.tokens + token) * D + head * d, d);
}
