// kernel prepend_label_f32
// prepend_label: one token, the variate's label, before its patches.
#version 460
#define PARAMS rp_prepend_label_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InWords x = InWords(address[0]);                     // [B, V, n, D], bit for bit
    InWords labels = InWords(address[1]);                // [2, D]: target, exogenous
    InStep step = InStep(address[2]);
    OutWords y = OutWords(address[3]);                   // [B, V, 1 + n, D]

    uint index = point_index(), D = p.width;
    if (index >= p.batch * p.variates * (p.tokens + 1) * D) { return; }
    uint i = index % D, token = index / D % (p.tokens + 1), row = index / (D * (p.tokens + 1));
    bool exogenous = row % p.variates + step.v.exogenous >= p.variates;
    y.v[index] = token == 0 ? labels.v[(exogenous ? D : 0) + i] : x.v[(row * p.tokens + token - 1) * D + i];
}
