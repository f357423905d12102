// kernel fold_head_f32 -DRP_REAL_F64=1
// kernel fold_head_f32_pair
// fold_head: unembed and the output projections, linear twice in a row, as one matrix; core/ops/fold_head.c is its definition.
#version 460
#define PARAMS rp_fold_head_params
#include "common.glsl"
#include "real.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InFloats unembed_w = InFloats(address[0]);           // [P, D, D]
    InFloats unembed_b = InFloats(address[1]);           // [P, D]
    InFloats proj_w = InFloats(address[2]);              // [outputs, D]
    InFloats proj_b = InFloats(address[3]);              // [outputs]
    OutFloats w = OutFloats(address[4]);                 // [P, outputs, D]
    OutFloats b = OutFloats(address[5]);                 // [P, outputs]

    uint index = point_index();
    uint D = p.width;
    if (index >= p.patch_size * p.outputs * (D + 1)) { return; }
    uint i = index % (D + 1), row = index / (D + 1);     // i = D: the bias
    uint part = row / p.outputs, j = row % p.outputs;
    real sum = r_of(0.0);
    if (i < D) {
        for (uint e = 0; e < D; e++) { sum = r_fma(proj_w.v[j * D + e], unembed_w.v[(part * D + e) * D + i], sum); }
        w.v[row * D + i] = r_float(sum);
    } else {
        for (uint e = 0; e < D; e++) { sum = r_fma(proj_w.v[j * D + e], unembed_b.v[part * D + e], sum); }
        b.v[row] = r_float(r_add(sum, r_of(proj_b.v[j])));
    }
}
