// kernel gather_last_f32
// gather_last: the last live token of each variate, and those behind it.
#version 460
#define PARAMS rp_gather_last_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InWords x = InWords(address[0]);                     // [B, V, n, D], bit for bit
    InWords n_patches = InWords(address[1]);             // [B]
    OutWords y = OutWords(address[2]);                   // [B, V, count, D]

    uint index = point_index(), D = p.width;
    if (index >= p.batch * p.variates * p.count * D) { return; }
    uint i = index % D, j = index / D % p.count, row = index / (D * p.count);
    uint token = (p.from_start != 0 ? p.extra : n_patches.v[row / p.variates] + p.extra - 1) + j;
    y.v[index] = token < p.tokens ? x.v[(row * p.tokens + token) * D + i] : 0;   // 0: a series of no patches
}
