// kernel attn_rope_f32
// attn_rope: rotary position with xPos on q and k, k and v put into their cache, then attention, a workgroup for each query and head. A
// prompt's group turns all keys that its query sees, and puts its own there; a step's turns the path's new one.
#version 460
#define PARAMS rp_attn_rope_params
#define ROW
#include "common.glsl"
#include "attention.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

shared float turned_k[RP_ATTN_SHORT_KEYS * (RP_ATTN_SHORT_HEAD + 1)];

void main() {
    InFloats qkv = InFloats(address[0]);                 // [B, S, V, n, 3, h, d]
    InFloats tables = InFloats(address[1]);              // angles [positions, d/2, 2]: cos, sin; powers [exponents, d/2]
    InFloats prefix = InFloats(address[2]);              // [2, B, V, N, h, d]; decode alone
    InFloats own = InFloats(address[3]);                 // [2, B, S, V, R or N, h, d]
    InWords n_patches = InWords(address[4]);             // [B]
    InStep step = InStep(address[5]);
    OutFloats cache = OutFloats(address[6]);             // `own`
    OutFloats y = OutFloats(address[7]);                 // [B, S, V, n, h, d]

    uint group = group_index(), i = gl_LocalInvocationID.x;
    uint rows = p.batch * p.paths * p.variates;
    if (group >= rows * p.tokens * p.heads) { return; }  // the whole group
    uint head = group % p.heads, token = group / p.heads % p.tokens, row = group / (p.heads * p.tokens);
    uint v = row % p.variates, b = row / (p.paths * p.variates);
    uint d = p.head_width, half_d = d / 2, D = p.heads * d;
    bool decode = p.suffix_cap > 0;
    uint at = (row * p.tokens + token) * D + head * d, from0 = row * p.tokens * 3 * D + head * d;
    uint n_tokens = n_patches.v[b] + p.extra;
    if (!decode && token >= n_tokens) {                  // a dead token; the whole group
        for (uint j = i; j < d; j += RP_GROUP_ROW) { y.v[at + j] = 0.0; }
        return;
    }
    uint slots = decode ? p.suffix_cap : p.prefix_cap, slot = decode ? step.v.step - 1 : token;
    bool live = slot < slots;                            // a step not at step 0, nor in a replay too many
    uint position = decode ? min(n_tokens + slot, p.positions - 1) : token, last = decode ? position : n_tokens - 1;
    uint cached = (row * slots + slot) * D + head * d, values = rows * slots * D;

    // Turned: keys 0 .. token of a prompt, or the one new key.
    uint n_turned = decode ? 1 : token + 1;
    for (uint e = i; e < n_turned * half_d; e += RP_GROUP_ROW) {
        uint key = e / half_d, pair = e % half_d, at_position = decode ? position : key, j = 2 * pair;
        uint turn = at_position * d + j, power = p.positions * d + (p.xpos_zero + at_position - last / 2) * half_d;
        float cosine = tables.v[turn], sine = tables.v[turn + 1];
        float f0 = tables.v[power + j % half_d], f1 = tables.v[power + (j + 1) % half_d];   // factors repeat after d/2
        uint from = from0 + key * 3 * D + j;
        float c0 = qkv.v[from + D], c1 = qkv.v[from + D + 1];
        float k0 = (c0 * cosine - c1 * sine) / f0, k1 = (c1 * cosine + c0 * sine) / f1;
        turned_k[key * (d + 1) + j] = k0;
        turned_k[key * (d + 1) + j + 1] = k1;
        if (key + 1 == n_turned) {                       // the query's own
            float a0 = qkv.v[from], a1 = qkv.v[from + 1];
            attn_q[j] = (a0 * cosine - a1 * sine) * f0;
            attn_q[j + 1] = (a1 * cosine + a0 * sine) * f1;
            if (live) {
                cache.v[cached + j] = k0;
                cache.v[cached + j + 1] = k1;
                cache.v[values + cached + j] = qkv.v[from + 2 * D];
                cache.v[values + cached + j + 1] = qkv.v[from + 2 * D + 1];
            }
        }
    }
    attn_begin_with_q();                                 // the turned keys too are there behind its barrier

    // One tile: the prefix in memory, the path's before this one, the turned.
    uint n_prefix = decode ? min(n_tokens, p.prefix_cap) : 0, n_own = decode ? min(step.v.step, slots) - (live ? 1 : 0) : 0;
    uint fresh = n_prefix + n_own, n_keys = fresh + (live ? n_turned : 0);
    uint shared_at = (b * p.variates + v) * p.prefix_cap * D + head * d, own_at = row * slots * D + head * d;
    float score = NEG_INFINITY;
    if (i < fresh) {
        bool in_prefix = i < n_prefix;
        score = attn_dot(in_prefix ? address[2] : address[3], in_prefix ? shared_at + i * D : own_at + (i - n_prefix) * D, d) * p.scale;
    } else if (i < n_keys) {
        float dot = 0.0;
        for (uint j = 0; j < d; j++) { dot = fma(attn_q[j], turned_k[(i - fresh) * (d + 1) + j], dot); }
        score = dot * p.scale;
    }
    if (attn_weigh(score, i < n_keys)) {
        if (n_prefix > 0) { attn_values(prefix, p.batch * p.variates * p.prefix_cap * D + shared_at, D, 0, n_prefix, d); }
        attn_values(own, values + own_at, D, n_prefix, fresh, d);
        attn_values(qkv, from0 + 2 * D, 3 * D, fresh, n_keys, d);
        attn_join();
    }
    attn_end(y, at, d);
}
