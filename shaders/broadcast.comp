// kernel broadcast_f32
// broadcast: rows repeated for every path, bit for bit.
#version 460
#define PARAMS rp_broadcast_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InWords x = InWords(address[0]);                     // [B, V, width]
    OutWords y = OutWords(address[1]);                   // [B, S, V, width]

    uint index = point_index(), plane = p.variates * p.width;
    if (index >= p.batch * p.paths * plane) { return; }
    uint b = index / (p.paths * plane);
    y.v[index] = x.v[b * plane + index % plane];
}
