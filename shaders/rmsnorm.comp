// kernel rmsnorm_f32
// rmsnorm: x / sqrt(mean(x^2) + eps) * scale, a workgroup for each row.
#version 460
#define PARAMS rp_rmsnorm_params
#define ROW
#include "common.glsl"

#include "norm.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

void main() {
    InFloats x = InFloats(address[0]);                   // [rows, width]
    InFloats scale = InFloats(address[1]);               // [width], or [2, width] with runs
    OutFloats y = OutFloats(address[2]);                 // [rows, width]

    uint row = group_index(), i = gl_LocalInvocationID.x;
    if (row >= p.rows) { return; }                       // the whole group
    uint of = 0;                                         // where its scale begins
    if (p.run > 0) {
        uint place = row % p.run;
        of = place >= p.queries ? p.width : 0;
        if (place >= p.queries + p.keys) {               // copied; the whole group
            for (uint j = i; j < p.width; j += RP_GROUP_ROW) { y.v[row * p.width + j] = x.v[row * p.width + j]; }
            return;
        }
    }
    float sum = 0.0;
    for (uint j = i; j < p.width; j += RP_GROUP_ROW) {
        float value = x.v[row * p.width + j];
        sum = fma(value, value, sum);
    }
    sum = row_sum(sum);
    real inverse = norm_inverse_of(sum, p.width, p.eps);
    for (uint j = i; j < p.width; j += RP_GROUP_ROW) {
        y.v[row * p.width + j] = norm_apply(x.v[row * p.width + j], scale.v[of + j], inverse);
    }
}
