// kernel block_scale_f32 -DRP_REAL_F64=1
// kernel block_scale_f32_pair
// block_scale: running statistics and the tokens' inputs of one call; core/ops/block_scale.c is its definition.
#version 460
#define PARAMS rp_block_scale_params
#define ROW
#include "common.glsl"
#include "op_math.h"
#include "real.glsl"
#include "scale.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

shared real tile_n[RP_GROUP_ROW], tile_mean[RP_GROUP_ROW], tile_m2[RP_GROUP_ROW];   // running statistics of 64 patches
shared real pair_mean[RP_GROUP_ROW], pair_std[RP_GROUP_ROW];
shared real found_n, found_mean, found_m2;

InFloats series;
uint values_at, seen_at;               // of this variate, in series
uint P;

scale_state tile_get(uint i) { return scale_state(tile_n[i], tile_mean[i], tile_m2[i]); }
void tile_put(uint i, scale_state s) { tile_n[i] = s.n, tile_mean[i] = s.mean, tile_m2[i] = s.m2; }

real std_of(scale_state s) {
    real one = r_of(1.0);
    return r_max(r_sqrt(r_div(s.m2, r_max(r_sub(s.n, one), one))), R_LEAST_STD);
}

// One patch on its own: mean first, then squares around it.
scale_state moments_of(uint patch_i) {
    scale_state s = scale_zero();
    real sum = r_of(0.0);
    for (uint j = 0; j < P; j++) {
        float w = series.v[seen_at + patch_i * P + j];
        s.n = r_add(s.n, r_of(w));
        sum = r_fma(w, series.v[values_at + patch_i * P + j], sum);
    }
    s.mean = r_div(sum, r_max(s.n, r_of(1.0)));
    for (uint j = 0; j < P; j++) {
        real away = r_sub(r_of(series.v[values_at + patch_i * P + j]), s.mean);
        if (series.v[seen_at + patch_i * P + j] != 0.0) { s.m2 = r_add(s.m2, r_mul(away, away)); }
    }
    return s;
}

// Running statistics after each of 64 patches from `first` on, of those before `end`, into tile; `own`: of this invocation's patch
// alone. Returns those after the last.
scale_state scan(uint first, uint end, scale_state before, out scale_state own) {
    uint i = gl_LocalInvocationID.x;
    own = scale_zero();
    if (first + i < end) { own = moments_of(first + i); }
    barrier();                         // tile is read by all before it is written again
    tile_put(i, own);
    barrier();                         // every patch's own statistics are there
    for (uint stride = 1; stride < RP_GROUP_ROW; stride *= 2) {
        scale_state sum = scale_zero();
        if (i >= stride) { sum = tile_get(i - stride); }
        barrier();                     // tile is read by all before it is written again
        if (i >= stride) { tile_put(i, scale_merge(sum, tile_get(i))); }
        barrier();                     // this stride's sums are there
    }
    tile_put(i, scale_merge(before, tile_get(i)));
    barrier();                         // the running statistics are there before any reads them
    return tile_get(RP_GROUP_ROW - 1);
}

// The first min_obs values observed from patch `start` on, or all before `end`.
scale_state first_values(uint start, uint end, scale_state now, float min_obs) {
    uint i = gl_LocalInvocationID.x;
    for (uint first = start; first < end && r_float(now.n) < min_obs; first += RP_GROUP_ROW) {
        scale_state own, before = now;
        now = scan(first, end, before, own);
        scale_state sum = before;
        if (i > 0) { sum = tile_get(i - 1); }
        if (r_float(sum.n) < min_obs && r_float(tile_n[i]) >= min_obs) {
            uint from = (first + i) * P;
            for (uint j = 0; j < P && r_float(sum.n) < min_obs; j++) {
                sum = scale_push(sum, series.v[values_at + from + j], series.v[seen_at + from + j]);
            }
            found_n = sum.n, found_mean = sum.mean, found_m2 = sum.m2;
        }
    }
    barrier();                         // what one invocation found is there before all read it
    if (r_float(now.n) < min_obs) { return now; }
    return scale_state(found_n, found_mean, found_m2);
}

void main() {
    series = InFloats(address[0]);                       // [2, B, V, A, P]
    InWords settings = InWords(address[1]);              // [2]
    InWords n_patches = InWords(address[2]);             // [B]
    InStep step = InStep(address[3]);
    InReals before = InReals(address[4]);                // [B, V, 5]
    OutFloats tokens = OutFloats(address[5]);            // [B, V, n, 2, P]
    OutReals state = OutReals(address[6]);               // [B, V, 5]
    OutWords hidden = OutWords(address[7]);              // [B, V, N]

    uint row = group_index(), i = gl_LocalInvocationID.x, rows = p.batch * p.variates;
    if (row >= rows) { return; }                         // the whole group
    P = p.patch_size;
    values_at = row * p.series_patches * P;
    seen_at = (rows + row) * p.series_patches * P;
    uint n = n_patches.v[row / p.variates], states = row * RP_BLOCK_STATE;
    rp_call call = rp_call_of(n, step.v.step, step.v.horizon, P, p.block, p.later);
    uint live = min(call.given + call.fresh - 1, p.tokens);
    uint end = min(n + (step.v.horizon + P - 1) / P, p.series_patches);
    float min_obs = float(settings.v[0]);
    scale_state now = scale_zero();
    if (p.later != 0) { now = scale_state(before.v[states], before.v[states + 1], before.v[states + 2]); }
    scale_state few = now;
    if (r_float(now.n) < min_obs) { few = first_values(call.start, end, now, min_obs); }

    float least = -NEG_INFINITY, largest = NEG_INFINITY;
    for (uint first = 0; first < live; first += RP_GROUP_ROW) {
        uint token = first + i;
        scale_state own;
        now = scan(call.start + first, min(call.start + live, end), now, own);
        if (token < live) {
            scale_state by = tile_get(i);
            if (r_float(by.n) < min_obs) { by = few; }
            pair_mean[i] = by.mean;
            pair_std[i] = std_of(by);
        }
        if (token + 1 == call.given) { state.v[states] = tile_n[i], state.v[states + 1] = tile_mean[i], state.v[states + 2] = tile_m2[i]; }
        if (p.later == 0 && token < call.given) {
            if (token < p.patches) { hidden.v[row * p.patches + token] = r_float(own.n) == 0.0 ? 1 : 0; }
            for (uint j = 0; j < P; j++) {
                float x = series.v[values_at + token * P + j];
                if (series.v[seen_at + token * P + j] != 0.0) {
                    least = min(least, x);
                    largest = max(largest, x);
                }
            }
        }
        barrier();                     // the pairs are there before all scale with them
        uint count = min(RP_GROUP_ROW, live - first) * P;
        for (uint e = i; e < count; e += RP_GROUP_ROW) {
            uint of = e / P, from = (call.start + first) * P + e, to = (row * p.tokens + first + of) * 2 * P + e % P;
            bool seen = series.v[seen_at + from] != 0.0;
            float z = 0.0;
            if (seen) { z = rp_asinh(r_float(r_div(r_sub(r_of(series.v[values_at + from]), pair_mean[of]), pair_std[of]))); }
            tokens.v[to] = z;
            tokens.v[to + P] = seen ? 0.0 : 1.0;
        }
    }
    for (uint e = live * 2 * P + i; e < p.tokens * 2 * P; e += RP_GROUP_ROW) { tokens.v[row * p.tokens * 2 * P + e] = 0.0; }
    if (p.later != 0) { return; }
    for (uint e = call.given + i; e < p.patches; e += RP_GROUP_ROW) { hidden.v[row * p.patches + e] = 0; }
    least = -row_max(-least);
    largest = row_max(largest);
    if (i == 0) { state.v[states + 3] = r_of(least), state.v[states + 4] = r_of(largest); }
}
