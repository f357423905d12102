// kernel attn_time_f32
// attn_time: causal attention over the tokens of one variate, a workgroup for each query and head.
#version 460
#define PARAMS rp_attn_time_params
#define ROW
#include "common.glsl"
#include "attention.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

void main() {
    InFloats q = InFloats(address[0]);                   // [B, S, V, n, h, d]
    // address[1]: k_prefix [B, V, N, h, d]; address[3]: k_suffix [B, S, V, R, h, d], where R > 0
    InFloats v_prefix = InFloats(address[2]);
    InFloats v_suffix = InFloats(address[4]);
    InWords n_patches = InWords(address[5]);             // [B]
    InStep step = InStep(address[6]);
    OutFloats y = OutFloats(address[7]);                 // [B, S, V, n, h, d]

    uint group = group_index(), i = gl_LocalInvocationID.x;
    uint rows = p.batch * p.paths * p.variates;
    if (group >= rows * p.tokens * p.heads) { return; }  // the whole group
    uint head = group % p.heads, token = group / p.heads % p.tokens, row = group / (p.heads * p.tokens);
    uint v = row % p.variates, b = row / (p.paths * p.variates);
    uint d = p.head_width, D = p.heads * d;
    uint at = (row * p.tokens + token) * D + head * d;
    uint n_tokens = n_patches.v[b] + p.extra;
    bool decode = p.suffix_cap > 0, own = p.own != 0;
    if (own ? token >= step.v.step : !decode && token >= n_tokens) {   // a dead token; the whole group
        for (uint j = i; j < d; j += RP_GROUP_ROW) { y.v[at + j] = 0.0; }
        return;
    }
    uint n_prefix = min(decode ? n_tokens : token + 1, p.prefix_cap);
    uint n_suffix = decode ? min(own ? token + 1 : step.v.step, p.suffix_cap) : 0;
    uint prefix = (b * p.variates + v) * p.prefix_cap * D + head * d, suffix = row * p.suffix_cap * D + head * d;

    attn_begin(q, at, d);
    // Tiles run through prefix and suffix as through one list: a tile may hold the end of one and the start of the other.
    uint n_keys = n_prefix + n_suffix;
    for (uint first = 0; first < n_keys; first += RP_ATTN_TILE) {
        uint key = first + i;
        bool in_prefix = key < n_prefix;
        uint key_at = in_prefix ? prefix + key * D : suffix + (key - n_prefix) * D;
        bool any = attn_tile(in_prefix ? address[1] : address[3], key_at, key < n_keys, d, p.scale);
        if (!any) { continue; }                          // scores that are all -infinity: nothing to weigh
        uint end = min(n_keys - first, RP_ATTN_TILE), turn = first < n_prefix ? min(n_prefix - first, end) : 0;
        attn_values(v_prefix, prefix + first * D, D, 0, turn, d);
        if (turn < end) { attn_values(v_suffix, suffix + (first + turn - n_prefix) * D, D, turn, end, d); }
        attn_join();
    }
    attn_end(y, at, d);
}
