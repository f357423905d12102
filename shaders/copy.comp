// kernel copy_f32
// copy: 32-bit words, bit for bit.
#version 460
#define PARAMS rp_copy_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InWords x = InWords(address[0]);                     // [n]
    OutWords y = OutWords(address[1]);                   // [n]

    uint i = point_index();
    if (i < p.n) { y.v[i] = x.v[i]; }
}
