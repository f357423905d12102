// kernel silu_mul_f32
// silu_mul: (a, b) -> silu(a) * b, the gate of the MLP.
#version 460
#define PARAMS rp_silu_mul_params
#include "common.glsl"
#include "op_math.h"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InFloats x = InFloats(address[0]);                   // [rows, 2, width]
    OutFloats y = OutFloats(address[1]);                 // [rows, width]

    uint index = point_index();
    if (index >= p.rows * p.width) { return; }
    uint row = index / p.width, i = index % p.width;
    uint at = row * 2 * p.width + i;
    y.v[index] = rp_silu(x.v[at]) * x.v[at + p.width];
}
