// kernel unpack_bits_f32
// unpack_bits: every bit of a bar's tokens as +-scale; core/ops/unpack_bits.c is its definition.
#version 460
#define PARAMS rp_unpack_bits_params
#include "common.glsl"
#include "bars.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InWords tokens = InWords(address[0]);                // [B, tokens_cap, 2] (PROMPT) or [B, S, tokens_cap, 2]
    InWords n_tokens = InWords(address[1]);              // [B]
    InWords first = InWords(address[2]);                 // [B]
    InStep step = InStep(address[3]);
    OutFloats y = OutFloats(address[4]);                 // [B, S, n, s1_bits + s2_bits]

    uint index = point_index(), bits = p.s1_bits + p.s2_bits;
    if (index >= p.batch * p.paths * p.tokens * bits) { return; }
    uint j = index % bits, i = index / bits % p.tokens, row = index / (bits * p.tokens);
    uint b = row / p.paths;
    bar_row r = bar_row_of(p.rows, i, n_tokens.v[b], first.v[b], step.v.step);
    uint at = bar_tokens_at(p.rows, r, b, row, p.tokens_cap);
    float value = 0.0;
    if (r.live) {
        bool second = j >= p.s1_bits;
        uint token = tokens.v[at * 2 + (second ? 1 : 0)];
        value = ((token >> (second ? j - p.s1_bits : j)) & 1u) != 0 ? p.scale : -p.scale;
    }
    y.v[index] = value;
}
