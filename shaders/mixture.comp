// kernel mixture_f32
// mixture: raw head outputs -> parameters of a mixture of Student-t distributions, an invocation for each row.
#version 460
#define PARAMS rp_mixture_params
#include "common.glsl"
#include "op_math.h"

layout(local_size_x = RP_GROUP_ROW) in;

#define EPSILON 1.1920928955078125e-07                   // 2^-23, float32's own

void main() {
    InFloats raw = InFloats(address[0]);                 // [rows, parts, k]: df, loc, scale, weights
    OutFloats dist = OutFloats(address[1]);              // [rows, 4, k]: df, loc, scale, probs

    uint row = group_index() * RP_GROUP_ROW + gl_LocalInvocationID.x, k = p.components;
    if (row >= p.rows) { return; }
    uint from = row * p.parts * k, to = row * 4 * k;
    for (uint i = 0; i < k; i++) {
        dist.v[to + i] = 2.0 + max(rp_softplus(raw.v[from + i]), EPSILON);
        dist.v[to + k + i] = raw.v[from + k + i];
        dist.v[to + 2 * k + i] = max(rp_softplus(raw.v[from + 2 * k + i]), EPSILON);
    }
    if (p.parts < 4) {
        for (uint i = 0; i < k; i++) { dist.v[to + 3 * k + i] = 1.0 / float(k); }
        return;
    }
    float top = NEG_INFINITY, sum = 0.0;
    for (uint i = 0; i < k; i++) { top = max(top, raw.v[from + 3 * k + i]); }
    for (uint i = 0; i < k; i++) { sum += rp_exp(raw.v[from + 3 * k + i] - top); }
    for (uint i = 0; i < k; i++) { dist.v[to + 3 * k + i] = rp_exp(raw.v[from + 3 * k + i] - top) / sum; }
}
