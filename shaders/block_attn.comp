// kernel block_attn_f32
// block_attn: causal attention of a call's tokens over everything in the cache, a workgroup for each query and head;
// core/ops/block_attn.c is its definition.
#version 460
#define PARAMS rp_block_attn_params
#define ROW
#include "common.glsl"
#include "attention.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

void main() {
    InFloats q = InFloats(address[0]);                   // [B, V, q_tokens, h, d]
    // address[1]: k [B, V, cap, g, d]
    InFloats v = InFloats(address[2]);
    InWords hidden = InWords(address[3]);                // [B, V, N]
    InWords n_patches = InWords(address[4]);             // [B]
    InStep step = InStep(address[5]);
    OutFloats y = OutFloats(address[6]);                 // [B, V, n, h, d]

    uint group = group_index(), i = gl_LocalInvocationID.x;
    if (group >= p.batch * p.variates * p.tokens * p.heads) { return; }   // the whole group
    uint head = group % p.heads, line = group / p.heads % p.tokens, row = group / (p.heads * p.tokens);
    rp_call call = rp_call_of(n_patches.v[row / p.variates], step.v.step, step.v.horizon, p.patch_size, p.block, p.later);
    uint token = p.tail != 0 ? call.given - 1 + line : line, d = p.head_width, stride = p.kv_heads * d;
    if (token >= call.given + call.fresh - 1) {          // a dead token; the whole group
        for (uint j = i; j < d; j += RP_GROUP_ROW) { y.v[(row * p.tokens + line) * p.heads * d + head * d + j] = 0.0; }
        return;
    }
    uint n_keys = min(call.start + token + 1, p.cap), masks = row * p.patches;
    uint cache = row * p.cap * stride + head * p.kv_heads / p.heads * d;
    bool own = n_keys <= p.patches && hidden.v[masks + n_keys - 1] != 0;

    attn_begin(q, ((row * p.q_tokens + token) * p.heads + head) * d, d);
    for (uint first = 0; first < n_keys; first += RP_ATTN_TILE) {
        uint key = first + i;
        bool masked = key < p.patches && hidden.v[masks + min(key, p.patches - 1)] != 0;
        bool there = key < n_keys && masked == own;
        // Weights of keys that are not seen are 0, and their values finite.
        if (attn_tile(address[1], cache + key * stride, there, d, p.scale)) {
            attn_values(v, cache + first * stride, stride, 0, min(n_keys - first, RP_ATTN_TILE), d);
            attn_join();
        }
    }
    attn_end(y, (row * p.tokens + line) * p.heads * d + head * d, d);
}
