// kernel rope_half_f32
// rope_half: rotary position on q and k, a head's first half paired with its second, and k and v put into their cache;
// core/ops/rope_half.c is its definition.
#version 460
#define PARAMS rp_rope_half_params
#include "common.glsl"
#include "bars.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InFloats qkv = InFloats(address[0]);                 // [B, S, n, 3, h, d]
    InFloats rope = InFloats(address[1]);                // [positions, d/2, 2]: cos, sin
    InWords n_tokens = InWords(address[2]);              // [B]
    InStep step = InStep(address[3]);
    OutFloats q = OutFloats(address[4]);                 // [B, S, n, h, d]
    OutFloats k_cache = OutFloats(address[5]);           // [B, S, cap, h, d]
    OutFloats v_cache = OutFloats(address[6]);           // [B, S, cap, h, d]

    uint index = point_index();
    uint half_d = p.head_width / 2, D = p.heads * p.head_width;
    if (index >= p.batch * p.paths * p.tokens * p.heads * half_d) { return; }
    uint i = index % half_d, head = index / half_d % p.heads;
    uint token = index / (half_d * p.heads) % p.tokens, row = index / (half_d * p.heads * p.tokens);
    bar_row r = bar_row_of(p.rows, token, n_tokens.v[row / p.paths], 0, step.v.step);
    if (!r.live || r.slot >= p.cap || r.position >= p.positions) { return; }   // the last two: a replay too many

    uint turn = (r.position * half_d + i) * 2;
    float cosine = rope.v[turn], sine = rope.v[turn + 1];
    uint at = head * p.head_width + i;
    uint from = (row * p.tokens + token) * 3 * D + at;
    uint to = (row * p.tokens + token) * D + at;
    uint cached = (row * p.cap + r.slot) * D + at;
    float a0 = qkv.v[from], a1 = qkv.v[from + half_d];
    float c0 = qkv.v[from + D], c1 = qkv.v[from + D + half_d];
    q.v[to] = a0 * cosine - a1 * sine;
    q.v[to + half_d] = a1 * cosine + a0 * sine;
    k_cache.v[cached] = c0 * cosine - c1 * sine;
    k_cache.v[cached + half_d] = c1 * cosine + c0 * sine;
    v_cache.v[cached] = qkv.v[from + 2 * D];
    v_cache.v[cached + half_d] = qkv.v[from + 2 * D + half_d];
}
