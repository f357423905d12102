// kernel pair_rows_f32
// pair_rows: each number of a matrix as two of float16 with one scale for each row; core/ops/pair_rows.c is its definition. A group for
// each row, a chunk at a time: what is read goes before what any writes, so that out may be w itself.
#version 460
#define PARAMS rp_pair_rows_params
#define ROW
#include "common.glsl"

layout(local_size_x = RP_GROUP_ROW) in;                  // invocations i < 32 write two hi each, the others two lo

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint v[]; };

shared float scaled[RP_LINEAR_PAIR_CHUNK];

// To float16, to nearest even, and as that; |x| is below 65520. From 2^-14 on, by the bits; below, where float16 counts in steps of 2^-24,
// by an addition to 0.5, near which floats lie as far apart.
uint half_bits(float x) {
    uint bits = floatBitsToUint(x), rest = bits & 0x7fffffffu, small;
    precise float sum = uintBitsToFloat(rest) + 0.5;
    small = floatBitsToUint(sum) - 0x3f000000u;
    return (bits >> 16 & 0x8000u) | (rest < 0x38800000u ? small : (rest - 0x38000000u + 0xfffu + (rest >> 13 & 1u)) >> 13);
}
// Its value; unpackHalf2x16 may take what is below 2^-14 for 0.
float of_half(uint bits) {
    uint rest = bits & 0x7fffu;
    float value = rest < 0x400u ? float(rest) * uintBitsToFloat(0x33800000u) : uintBitsToFloat((rest << 13) + 0x38000000u);
    return (bits & 0x8000u) != 0u ? -value : value;
}

void main() {
    Words w = Words(address[0]);                         // [rows, k], as bits
    Words pairs = Words(address[1]);                     // [rows, k / 64, 2, 32]: two float16 each
    OutFloats scale = OutFloats(address[2]);             // [rows]

    uint row = group_index(), i = gl_LocalInvocationID.x;
    if (row >= p.rows) { return; }                       // the whole group
    uint first = row * p.k;
    float own = 0.0;
    for (uint at = i; at < p.k; at += RP_GROUP_ROW) { own = max(own, uintBitsToFloat(w.v[first + at] & 0x7fffffffu)); }
    uint biased = max(floatBitsToUint(row_max(own)) >> 23, 15u);     // E + 127, and E is -112 at least
    float up = uintBitsToFloat((268u - biased) << 23);               // 2^(14 - E)
    if (i == 0) { scale.v[row] = uintBitsToFloat(biased << 23); }
    for (uint chunk = first; chunk < first + p.k; chunk += RP_LINEAR_PAIR_CHUNK) {
        scaled[i] = uintBitsToFloat(w.v[chunk + i]) * up;
        barrier();                                       // the chunk has been read before any of it is written
        uint column = RP_PAIR_COLUMN(i % 32 * 2);
        vec2 two = vec2(scaled[column], scaled[column + 1]);
        uvec2 bits = uvec2(half_bits(two.x), half_bits(two.y));
        if (i >= 32) { bits = uvec2(half_bits(two.x - of_half(bits.x)), half_bits(two.y - of_half(bits.y))); }
        pairs.v[chunk + i] = bits.x | bits.y << 16;
        barrier();                                       // `scaled` has been read by all
    }
}
