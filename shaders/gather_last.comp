// kernel gather_last_f32
// gather_last: the last live token of each variate.
#version 460
#define PARAMS rp_gather_last_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InWords x = InWords(address[0]);                     // [B, V, n, D], bit for bit
    InWords n_patches = InWords(address[1]);             // [B]
    OutWords y = OutWords(address[2]);                   // [B, V, D]

    uint index = point_index(), D = p.width;
    if (index >= p.batch * p.variates * D) { return; }
    uint i = index % D, row = index / D;
    uint token = n_patches.v[row / p.variates] + p.extra - 1;
    y.v[index] = token < p.tokens ? x.v[(row * p.tokens + token) * D + i] : 0;   // 0: a series of no patches
}
