// kernel scale_step_f32 -DRP_REAL_F64=1
// kernel scale_step_f32_pair
// scale_step: statistics moved on by one appended patch, and that patch scaled; core/ops/scale_step.c is its definition.
#version 460
#define PARAMS rp_scale_step_params
#include "common.glsl"
#include "real.glsl"
#include "scale.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

void main() {
    InFloats patch_in = InFloats(address[0]);            // [B, S, V, P]
    InReals old = InReals(address[1]);                   // [B, S, V, 4]
    InReals whole = InReals(address[2]);                 // [B, V, 2]
    OutFloats z = OutFloats(address[3]);                 // [B, S, V, P]
    OutFloats affine = OutFloats(address[4]);            // [B, S, V, P, 2]
    OutReals state = OutReals(address[5]);               // [B, S, V, 4], may be `old` itself

    uint row = group_index() * RP_GROUP_ROW + gl_LocalInvocationID.x;
    if (row >= p.batch * p.paths * p.variates) { return; }
    uint P = p.patch_size;
    uint b = row / (p.paths * p.variates), v = row % p.variates;
    real prompt_mean = whole.v[(b * p.variates + v) * 2];
    real prompt_var = whole.v[(b * p.variates + v) * 2 + 1];

    scale_state s = scale_state(old.v[row * 4], old.v[row * 4 + 1], old.v[row * 4 + 2]);
    scale_state end = s;
    for (uint j = 0; j < P; j++) { end = scale_push(end, patch_in.v[row * P + j], 1.0); }
    bool each = p.kind == RP_SCALER_CAUSAL;
    real loc, scale;
    if (!each) { scale_of(p.kind, p.clamp, p.factor, end, prompt_mean, prompt_var, loc, scale); }
    for (uint j = 0; j < P; j++) {
        float x = patch_in.v[row * P + j];
        if (each) {
            s = scale_push(s, x, 1.0);
            scale_of(p.kind, p.clamp, p.factor, s, prompt_mean, prompt_var, loc, scale);
        }
        z.v[row * P + j] = r_float(r_div(r_sub(r_of(x), loc), scale));
        affine.v[(row * P + j) * 2] = r_float(loc);
        affine.v[(row * P + j) * 2 + 1] = r_float(scale);
    }
    state.v[row * 4] = end.n;
    state.v[row * 4 + 1] = end.mean;
    state.v[row * 4 + 2] = end.m2;
    state.v[row * 4 + 3] = r_of(0.0);
}
