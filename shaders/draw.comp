// kernel draw_f32
// draw: the next patch of every path, by the mean, by chance or as prescribed; core/ops/draw.c is its definition.
#version 460
#define PARAMS rp_draw_params
#include "common.glsl"
#include "op_math.h"

layout(local_size_x = RP_GROUP_POINT) in;

#define HALF_FLOAT_MAX_BITS 0x7effffffu                  // FLT_MAX / 2

// x of the component that words.w0 picks.
float sampled(InFloats dist, uint at, uint k, rp_words words) {
    float u = rp_uniform(words.w0), sum = 0.0;
    uint c = 0;
    for (; c + 1 < k; c++) {
        sum += dist.v[at + 3 * k + c];
        if (sum > u) { break; }
    }
    float t = rp_student_t(dist.v[at + c], rp_uniform(words.w1), rp_uniform(words.w2));
    return fma(dist.v[at + 2 * k + c], t, dist.v[at + k + c]);
}

void main() {
    InFloats dist = InFloats(address[0]);                // [B, S or 1, V, P, 4, k]
    InFloats affine = InFloats(address[1]);              // [B, S or 1, V, P, 2]
    InFloats future = InFloats(address[2]);              // [B, V, horizon_cap]
    InFloats forced = InFloats(address[3]);              // [horizon_cap / P, paths_cap, B, V, P], mode FORCED only
    InWords series_ids = InWords(address[4]);            // [B]
    InStep block = InStep(address[5]);
    OutFloats patch_out = OutFloats(address[6]);         // [B, S, V, P]
    OutFloats result = OutFloats(address[7]);            // [B, V, horizon_cap, paths_cap]

    uint index = point_index(), P = p.patch_size, k = p.components;
    if (index >= p.batch * p.variates * P * p.paths) { return; }
    uint s = index % p.paths, j = index / p.paths % P, v = index / (p.paths * P) % p.variates;
    uint b = index / (p.paths * P * p.variates);
    rp_step step = block.v;
    uint path = step.path0 + s, t = step.step * P + j;
    uint row = (b * p.paths + s) * p.variates + v;
    uint source = (p.one_dist != 0 ? b * p.variates + v : row) * P + j;
    float y = 0.0;
    if (p.mode == RP_DRAW_FORCED) {
        if (path < p.paths_cap && t < p.horizon_cap) {
            y = forced.v[(((step.step * p.paths_cap + path) * p.batch + b) * p.variates + v) * P + j];
        }
    } else {
        float x = 0.0;
        uint at = source * 4 * k;
        if (p.mode == RP_DRAW_MEAN) {
            for (uint c = 0; c < k; c++) { x = fma(dist.v[at + 3 * k + c], dist.v[at + k + c], x); }
        } else {
            x = sampled(dist, at, k, rp_philox(step.seed_lo, step.seed_hi, series_ids.v[b], v, path, t));
        }
        y = fma(affine.v[source * 2 + 1], x, affine.v[source * 2]);
    }
    // Not finite or too large; by its bits, since a shader compiler may take NaN for impossible.
    if ((floatBitsToUint(y) & 0x7fffffffu) >= HALF_FLOAT_MAX_BITS) { y = 0.0; }
    if (v + step.exogenous >= p.variates && t < step.horizon && t < p.horizon_cap) {
        y = future.v[(b * p.variates + v) * p.horizon_cap + t];
    }
    patch_out.v[row * P + j] = y;
    if (b < step.batch && path < step.paths && t < p.horizon_cap && path < p.paths_cap) {
        result.v[((b * p.variates + v) * p.horizon_cap + t) * p.paths_cap + path] = y;
    }
}
