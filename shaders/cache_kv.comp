// kernel cache_kv_f32
// cache_kv: keys and values of one bar put into their cache as they are.
#version 460
#define PARAMS rp_cache_kv_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InWords kv = InWords(address[0]);                    // [rows, 2, D], bit for bit
    InStep step = InStep(address[1]);
    OutWords k = OutWords(address[2]);                   // [rows, cap, D]
    OutWords v = OutWords(address[3]);                   // [rows, cap, D]

    uint index = point_index(), D = p.width;
    if (index >= p.rows * D) { return; }
    uint j = index % D, row = index / D, slot = step.v.step - 1;
    if (slot >= p.cap) { return; }                       // a replay too many, or one before the first draw
    uint to = (row * p.cap + slot) * D + j;
    k.v[to] = kv.v[row * 2 * D + j];
    v.v[to] = kv.v[(row * 2 + 1) * D + j];
}
