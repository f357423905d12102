// kernel scaler_f32 -DRP_REAL_F64=1
// kernel scaler_f32_pair
// scaler: the prompt's statistics and scaled values; core/ops/scaler.c is its definition.
#version 460
#define PARAMS rp_scaler_params
#include "common.glsl"
#include "real.glsl"
#include "scale.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

void main() {
    InFloats series = InFloats(address[0]);              // [B, V, N P]
    InFloats mask = InFloats(address[1]);                // [B, V, N P]
    InWords n_patches = InWords(address[2]);             // [B]
    OutFloats z = OutFloats(address[3]);                 // [B, V, N P]
    OutFloats affine = OutFloats(address[4]);            // [B, V, P, 2]
    SharedReals patch_state = SharedReals(address[5]);   // [B, V, N, 4]
    OutReals state = OutReals(address[6]);               // [B, V, 4]
    SharedReals whole = SharedReals(address[7]);         // [B, V, 2]

    uint row = group_index(), i = gl_LocalInvocationID.x;
    if (row >= p.batch * p.variates) { return; }         // the whole group
    uint P = p.patch_size;
    uint live = min(n_patches.v[row / p.variates], p.patches);
    uint base = row * p.patches * P;
    uint states = row * p.patches * 4;

    // Each patch on its own: mean first, then squares around it.
    for (uint patch_i = i; patch_i < live; patch_i += RP_GROUP_ROW) {
        uint at = base + patch_i * P;
        scale_state s = scale_zero();
        real sum = r_of(0.0);
        for (uint j = 0; j < P; j++) {
            float w = mask.v[at + j];
            s.n = r_add(s.n, r_of(w));
            sum = r_fma(w, series.v[at + j], sum);
        }
        s.mean = r_div(sum, r_max(s.n, r_of(1.0)));
        for (uint j = 0; j < P; j++) {
            real away = r_sub(r_of(series.v[at + j]), s.mean);
            if (mask.v[at + j] != 0.0) { s.m2 = r_add(s.m2, r_mul(away, away)); }
        }
        uint to = states + patch_i * 4;
        patch_state.v[to] = s.n;
        patch_state.v[to + 1] = s.mean;
        patch_state.v[to + 2] = s.m2;
        patch_state.v[to + 3] = r_of(0.0);
    }
    for (uint word = live * 4 + i; word < p.patches * 4; word += RP_GROUP_ROW) { patch_state.v[states + word] = r_of(0.0); }
    memoryBarrierBuffer();
    barrier();                         // each patch's own statistics are there before invocation 0 merges them

    if (i == 0) {
        scale_state s = scale_zero();
        for (uint patch_i = 0; patch_i < live; patch_i++) {
            uint at = states + patch_i * 4;
            s = scale_merge(s, scale_state(patch_state.v[at], patch_state.v[at + 1], patch_state.v[at + 2]));
            patch_state.v[at] = s.n;
            patch_state.v[at + 1] = s.mean;
            patch_state.v[at + 2] = s.m2;
        }
        state.v[row * 4] = s.n;
        state.v[row * 4 + 1] = s.mean;
        state.v[row * 4 + 2] = s.m2;
        state.v[row * 4 + 3] = r_of(0.0);
        whole.v[row * 2] = s.mean;
        whole.v[row * 2 + 1] = r_div(s.m2, r_max(s.n, r_of(1.0)));
    }
    memoryBarrierBuffer();
    barrier();                         // the running and the prompt's statistics are there before all scale with them

    real prompt_mean = whole.v[row * 2];
    real prompt_var = whole.v[row * 2 + 1];
    for (uint patch_i = i; patch_i < live; patch_i += RP_GROUP_ROW) {
        // CAUSAL goes on step by step from the patch before; the others use the end of this patch throughout.
        bool each = p.kind == RP_SCALER_CAUSAL;
        scale_state s = scale_zero();
        if (!each || patch_i > 0) {
            uint from = states + (each ? patch_i - 1 : patch_i) * 4;
            s = scale_state(patch_state.v[from], patch_state.v[from + 1], patch_state.v[from + 2]);
        }
        real loc, scale;
        if (!each) { scale_of(p.kind, p.clamp, p.factor, s, prompt_mean, prompt_var, loc, scale); }
        for (uint j = 0; j < P; j++) {
            uint at = base + patch_i * P + j;
            float x = series.v[at];
            if (each) {
                s = scale_push(s, x, mask.v[at]);
                scale_of(p.kind, p.clamp, p.factor, s, prompt_mean, prompt_var, loc, scale);
            }
            z.v[at] = r_float(r_div(r_sub(r_of(x), loc), scale));
            if (patch_i + 1 == live) {
                affine.v[(row * P + j) * 2] = r_float(loc);
                affine.v[(row * P + j) * 2 + 1] = r_float(scale);
            }
        }
    }
    for (uint j = live * P + i; j < p.patches * P; j += RP_GROUP_ROW) { z.v[base + j] = 0.0; }
    if (live == 0) {
        for (uint j = i; j < P * 2; j += RP_GROUP_ROW) { affine.v[row * P * 2 + j] = 0.0; }
    }
}
