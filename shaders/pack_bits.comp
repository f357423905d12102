// kernel pack_bits_f32
// pack_bits: the signs of a bar's values as two tokens, lowest bit first; core/ops/pack_bits.c is its definition.
#version 460
#define PARAMS rp_pack_bits_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InFloats y = InFloats(address[0]);                   // [rows, s1_bits + s2_bits]
    OutWords tokens = OutWords(address[1]);              // [rows, 2]

    uint index = point_index();
    if (index >= 2 * p.rows) { return; }
    bool second = (index & 1u) != 0;
    uint bits = second ? p.s2_bits : p.s1_bits;
    uint at = index / 2 * (p.s1_bits + p.s2_bits) + (second ? p.s1_bits : 0), token = 0;
    for (uint j = 0; j < bits; j++) { token |= (y.v[at + j] > 0.0 ? 1u : 0u) << j; }
    tokens.v[index] = token;
}
