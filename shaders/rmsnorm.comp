// kernel rmsnorm_f32
// rmsnorm: x / sqrt(mean(x^2) + eps) * scale, a workgroup for each row.
#version 460
#define PARAMS rp_rmsnorm_params
#define ROW
#include "common.glsl"

// 1/sqrt(a) = high + low: one Newton step on the float32 value, its residual 1 - a high^2 without rounding a high. A root
// that is half a unit off would shift a whole row the same way, which later layers do not average out.
void inverse_root_of(float a, out float high, out float low) {
    high = 1.0 / sqrt(a);
    precise float t = a * high;
    float lost = fma(a, high, -t);
    float residual = fma(-t, high, 1.0) - lost * high;
    low = 0.5 * residual * high;
}

layout(local_size_x = RP_GROUP_ROW) in;

void main() {
    InFloats x = InFloats(address[0]);                   // [rows, width]
    InFloats scale = InFloats(address[1]);               // [width]
    OutFloats y = OutFloats(address[2]);                 // [rows, width]

    uint row = group_index(), i = gl_LocalInvocationID.x;
    if (row >= p.rows) { return; }                       // the whole group
    float sum = 0.0;
    for (uint j = i; j < p.width; j += RP_GROUP_ROW) {
        float value = x.v[row * p.width + j];
        sum = fma(value, value, sum);
    }
    sum = row_sum(sum);
    float high, low;
    inverse_root_of(sum / float(p.width) + p.eps, high, low);
    for (uint j = i; j < p.width; j += RP_GROUP_ROW) {
        float value = x.v[row * p.width + j];
        precise float product = value * scale.v[j];
        float lost = fma(value, scale.v[j], -product);
        y.v[row * p.width + j] = fma(product, high, fma(product, low, lost * high));
    }
}
