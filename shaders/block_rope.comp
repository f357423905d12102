// kernel block_rope_f32
// block_rope: rotary position on the first half of each head of q and k, with xPos, and k and v put into their cache;
// core/ops/block_rope.c is its definition.
#version 460
#define PARAMS rp_block_rope_params
#include "common.glsl"
#include "op_math.h"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InFloats qkv = InFloats(address[0]);                 // [B, V, n, h + 2 g, d]
    InFloats rope = InFloats(address[1]);                // [positions, d/4, 2]: cos, sin
    InFloats powers = InFloats(address[2]);              // [2 zero + 1, d/4]
    InWords n_patches = InWords(address[3]);             // [B]
    InStep step = InStep(address[4]);
    OutFloats q = OutFloats(address[5]);                 // [B, V, n, h, d]
    OutFloats k_cache = OutFloats(address[6]);           // [B, V, cap, g, d]
    OutFloats v_cache = OutFloats(address[7]);           // [B, V, cap, g, d]

    uint index = point_index(), d = p.head_width, turning = d / 4, heads = p.heads + 2 * p.kv_heads;
    if (index >= p.batch * p.variates * p.tokens * heads * (d / 2)) { return; }
    uint pair = index % (d / 2), head = index / (d / 2) % heads;
    uint token = index / (d / 2 * heads) % p.tokens, row = index / (d / 2 * heads * p.tokens);
    rp_call call = rp_call_of(n_patches.v[row / p.variates], step.v.step, step.v.horizon, p.patch_size, p.block, p.later);
    uint position = call.start + token, centre = (call.start + call.given + call.fresh) / 2;
    if (token >= call.given + call.fresh - 1 || position >= p.cap) { return; }
    bool is_q = head < p.heads, is_k = !is_q && head < p.heads + p.kv_heads;
    uint from = ((row * p.tokens + token) * heads + head) * d + 2 * pair;
    float a = qkv.v[from], b = qkv.v[from + 1];
    if ((is_q || is_k) && pair < turning) {
        uint turn = (position * turning + pair) * 2;
        uint e = is_q ? p.zero + position - centre : p.zero + centre - position;
        float power = powers.v[e * turning + pair], cosine = rope.v[turn], sine = rope.v[turn + 1];
        float first = (a * cosine - b * sine) * power;
        b = (b * cosine + a * sine) * power;
        a = first;
    }
    if (is_q) {
        uint to = ((row * p.tokens + token) * p.heads + head) * d + 2 * pair;
        q.v[to] = a;
        q.v[to + 1] = b;
        return;
    }
    uint kv = is_k ? head - p.heads : head - p.heads - p.kv_heads;
    uint to = ((row * p.cap + position) * p.kv_heads + kv) * d + 2 * pair;
    if (is_k) {
        k_cache.v[to] = a;
        k_cache.v[to + 1] = b;
    } else {
        v_cache.v[to] = a;
        v_cache.v[to + 1] = b;
    }
}
