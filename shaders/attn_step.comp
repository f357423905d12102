// kernel attn_step_f32
// attn_step: rotary position on q and k of one new token of each path, k and v put into their cache, then attention, a workgroup
// for each path and head. What the group has just put there it keeps, and does not read back. Cross-attention (positions 0): nothing turns.
#version 460
#define PARAMS rp_attn_step_params
#define ROW
#include "common.glsl"
#include "attention.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

shared float fresh_k[MAX_HEAD_WIDTH], fresh_v[MAX_HEAD_WIDTH];

void main() {
    InFloats qkv = InFloats(address[0]);                 // [B, S, 3, h, d], or [B, S, 2, h, d]: k, v
    InFloats rope = InFloats(address[1]);                // [positions, d/2, 2]: cos, sin; or q [B, S, h, d]
    InFloats prefix = InFloats(address[2]);              // [2, B, N, h, d]
    InFloats own = InFloats(address[3]);                 // [2, B, S, R, h, d]
    InWords n_tokens = InWords(address[4]);              // [B]
    InStep step = InStep(address[5]);
    OutFloats cache = OutFloats(address[6]);             // `own`
    OutFloats y = OutFloats(address[7]);                 // [B, S, h, d]

    uint group = group_index(), i = gl_LocalInvocationID.x;
    uint head = group % p.heads, row = group / p.heads, b = row / p.paths;
    if (row >= p.batch * p.paths) { return; }            // the whole group
    uint d = p.head_width, half_d = d / 2, D = p.heads * d;
    uint slot = step.v.step - 1, n_prefix = min(n_tokens.v[b], p.prefix_cap), n_own = min(step.v.step, p.suffix_cap);
    bool live = slot < p.suffix_cap;                     // not at step 0, nor in a replay too many
    bool turns = p.positions > 0;
    uint position = turns ? min(n_tokens.v[b] + slot, p.positions - 1) : 0;
    uint q_at = row * (turns ? 3 : 1) * D + head * d, k_at = turns ? q_at + D : row * 2 * D + head * d, v_at = k_at + D;
    uint shared_at = b * p.prefix_cap * D + head * d, own_at = row * p.suffix_cap * D + head * d;
    uint shared_values = p.batch * p.prefix_cap * D, own_values = p.batch * p.paths * p.suffix_cap * D;
    for (uint j = i; j < half_d; j += RP_GROUP_ROW) {
        float c0 = qkv.v[k_at + j], c1 = qkv.v[k_at + half_d + j];
        if (turns) {
            uint turn = (position * half_d + j) * 2;
            float cosine = rope.v[turn], sine = rope.v[turn + 1];
            float a0 = qkv.v[q_at + j], a1 = qkv.v[q_at + half_d + j];
            attn_q[j] = a0 * cosine - a1 * sine;
            attn_q[half_d + j] = a1 * cosine + a0 * sine;
            fresh_k[j] = c0 * cosine - c1 * sine;
            fresh_k[half_d + j] = c1 * cosine + c0 * sine;
        } else {
            attn_q[j] = rope.v[q_at + j];
            attn_q[half_d + j] = rope.v[q_at + half_d + j];
            fresh_k[j] = c0;
            fresh_k[half_d + j] = c1;
        }
        fresh_v[j] = qkv.v[v_at + j];
        fresh_v[half_d + j] = qkv.v[v_at + half_d + j];
        if (live) {
            uint to = own_at + slot * D + j;
            cache.v[to] = fresh_k[j];
            cache.v[to + half_d] = fresh_k[half_d + j];
            cache.v[own_values + to] = fresh_v[j];
            cache.v[own_values + to + half_d] = fresh_v[half_d + j];
        }
    }
    attn_begin_with_q();                                 // k and v too are there behind its barrier
    uint n_keys = n_prefix + n_own, fresh = live ? n_keys - 1 : n_keys;
    for (uint first = 0; first < n_keys; first += RP_ATTN_TILE) {
        uint key = first + i;
        bool in_prefix = key < n_prefix;
        float score = NEG_INFINITY;
        if (key < fresh) {
            score = attn_dot(in_prefix ? address[2] : address[3], in_prefix ? shared_at + key * D : own_at + (key - n_prefix) * D, d) * p.scale;
        } else if (key < n_keys) {
            float dot = 0.0;
            for (uint j = 0; j < d; j++) { dot = fma(attn_q[j], fresh_k[j], dot); }
            score = dot * p.scale;
        }
        if (!attn_weigh(score, key < n_keys)) { continue; }
        uint end = min(fresh - min(fresh, first), RP_ATTN_TILE), turn = first < n_prefix ? min(n_prefix - first, end) : 0;
        attn_values(prefix, shared_values + shared_at + first * D, D, 0, turn, d);
        if (turn < end) { attn_values(own, own_values + own_at + (first + turn - n_prefix) * D, D, turn, end, d); }
        if (fresh < n_keys && fresh >= first && fresh < first + RP_ATTN_TILE) {
            [[unroll]] for (uint c = 0; c < VALUES; c++) {
                uint j = c * RP_GROUP_ROW + i;
                if (j < d) { attn_own[c] = fma(attn_weight[fresh - first], fresh_v[j], attn_own[c]); }
            }
        }
        attn_join();
    }
    attn_end(y, row * D + head * d, d);
}
