// kernel rope_kv_f32
// rope_kv: rotary position with xPos on q and k, and k and v put into their cache; core/ops/rope_kv.c is its definition.
#version 460
#define PARAMS rp_rope_kv_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InFloats qkv = InFloats(address[0]);                 // [B, S, V, n, 3, h, d]
    InFloats rope = InFloats(address[1]);                // [positions, d/2, 2]: cos, sin
    InFloats xpos = InFloats(address[2]);                // [exponents, d/2]
    InWords n_patches = InWords(address[3]);             // [B]
    InStep step = InStep(address[4]);
    OutFloats q = OutFloats(address[5]);                 // [B, S, V, n, h, d]
    OutFloats k_cache = OutFloats(address[6]);           // [B, S, V, cap, h, d]
    OutFloats v_cache = OutFloats(address[7]);           // [B, S, V, cap, h, d]

    uint index = point_index();
    uint half_d = p.head_width / 2, D = p.heads * p.head_width;
    uint rows = p.batch * p.paths * p.variates;
    if (index >= rows * p.tokens * p.heads * half_d) { return; }
    uint pair = index % half_d, head = index / half_d % p.heads;
    uint token = index / (half_d * p.heads) % p.tokens, row = index / (half_d * p.heads * p.tokens);
    uint b = row / (p.paths * p.variates);
    uint n_tokens = n_patches.v[b] + p.extra;
    bool decode = p.decode != 0;
    if (!decode && token >= n_tokens) { return; }
    uint slot = decode ? step.v.step - 1 : token;
    uint position = decode ? n_tokens + step.v.step - 1 : token;
    uint last = decode ? position : n_tokens - 1;        // t_max
    if (slot >= p.cap) { return; }                       // a replay too many, or one before the first draw

    uint turn = (position * half_d + pair) * 2;
    float cosine = rope.v[turn], sine = rope.v[turn + 1];
    uint power = (p.xpos_zero + position - last / 2) * half_d;
    uint j = 2 * pair;                                   // first element of the pair; factors repeat after d/2
    float f0 = xpos.v[power + j % half_d], f1 = xpos.v[power + (j + 1) % half_d];
    uint at = head * p.head_width + j;
    uint from = (row * p.tokens + token) * 3 * D + at;
    uint to = (row * p.tokens + token) * D + at;
    uint cached = (row * p.cap + slot) * D + at;
    float a0 = qkv.v[from], a1 = qkv.v[from + 1];
    float c0 = qkv.v[from + D], c1 = qkv.v[from + D + 1];
    q.v[to] = (a0 * cosine - a1 * sine) * f0;
    q.v[to + 1] = (a1 * cosine + a0 * sine) * f1;
    k_cache.v[cached] = (c0 * cosine - c1 * sine) / f0;
    k_cache.v[cached + 1] = (c1 * cosine + c0 * sine) / f1;
    v_cache.v[cached] = qkv.v[from + 2 * D];
    v_cache.v[cached + 1] = qkv.v[from + 2 * D + 1];
}
