// kernel block_result_f32 -DRP_REAL_F64=1
// kernel block_result_f32_pair
// block_result: from the head's output to nine quantiles in the series' own unit, and the median into the series;
// core/ops/block_result.c is its definition.
#version 460
#define PARAMS rp_block_result_params
#include "common.glsl"
#include "op_math.h"
#include "real.glsl"

#define LEVELS RP_BLOCK_QUANTILES
#define MEDIAN (LEVELS / 2)

layout(local_size_x = RP_GROUP_ROW) in;
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };

shared uint bounds[LEVELS][2];         // keys of the least and of the largest finite value of a level

// Ascends with x, by its bits: 0 and ~0 stand outside all finite numbers.
uint key_of(float x) {
    uint bits = floatBitsToUint(x);
    return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}
float of_key(uint key) { return uintBitsToFloat(key >> 31 != 0 ? key & 0x7fffffffu : ~key); }

// sinh(raw) std + mean in y; false where float32 cannot hold it. Told without making an infinity: a compiler may take it that there
// are none, and then a test for one is none. The largest argument of sinh; 2^-64, and that part of the largest number.
#define SINH_MOST 89.4159851
#define SMALL 5.42101086e-20
#define SMALL_MOST 1.84467429e19
bool unscale(float raw, real mean, real std, out float y) {
    y = 0.0;
    if (!(abs(raw) <= SINH_MOST)) { return false; }
    real turned = r_of(rp_sinh(raw)), part = r_add(r_mul(r_mul(turned, r_of(SMALL)), std), r_mul(mean, r_of(SMALL)));
    if (!(abs(r_float(part)) <= SMALL_MOST)) { return false; }
    y = r_float(r_add(r_mul(turned, std), mean));
    return true;
}

void main() {
    InFloats raw = InFloats(address[0]);                 // [B, V, count, P, 9]
    InReals state = InReals(address[1]);                 // [B, V, 5]
    InWords settings = InWords(address[2]);              // [2]
    InWords n_patches = InWords(address[3]);             // [B]
    InStep step = InStep(address[4]);
    Floats series = Floats(address[6]);                  // [2, B, V, A, P], the same place as input 5
    OutFloats result = OutFloats(address[7]);            // [B, V, 9, horizon_cap]

    uint group = group_index(), i = gl_LocalInvocationID.x, P = p.patch_size, rows = p.batch * p.variates;
    if (group >= rows * p.count) { return; }             // the whole group
    uint j = group % p.count, row = group / p.count, b = row / p.variates;
    rp_call call = rp_call_of(n_patches.v[b], step.v.step, step.v.horizon, P, p.block, p.later);
    if (b >= step.v.batch || j >= call.fresh) { return; }   // the whole group
    uint from = group * P * LEVELS, patch_i = call.start + call.given + j, states = row * RP_BLOCK_STATE;
    uint at = (row * p.series_patches + patch_i) * P, seen = rows * p.series_patches * P + at;
    uint to = row * LEVELS * p.horizon_cap + (patch_i - n_patches.v[b]) * P;
    real one = r_of(1.0), mean = state.v[states + 1];
    real std = r_max(r_sqrt(r_div(state.v[states + 2], r_max(r_sub(state.v[states], one), one))), R_LEAST_STD);
    float k = uintBitsToFloat(settings.v[1]);
    float low = r_float(r_sub(state.v[states + 3], r_mul(r_of(k), std))), high = r_float(r_add(state.v[states + 4], r_mul(r_of(k), std)));

    if (row % p.variates + step.v.exogenous >= p.variates) {   // its future is known; the whole group
        for (uint t = i; t < P; t += RP_GROUP_ROW) {
            for (uint q = 0; q < LEVELS; q++) { result.v[to + q * p.horizon_cap + t] = series.v[at + t]; }
        }
        return;
    }
    if (i < LEVELS) { bounds[i][0] = ~0u, bounds[i][1] = 0; }
    barrier();                         // the bounds are there before any widens them
    for (uint e = i; e < P * LEVELS; e += RP_GROUP_ROW) {
        float y;
        if (unscale(raw.v[from + e], mean, std, y)) {
            atomicMin(bounds[e % LEVELS][0], key_of(y));
            atomicMax(bounds[e % LEVELS][1], key_of(y));
        }
    }
    barrier();                         // every step was looked at
    for (uint t = i; t < P; t += RP_GROUP_ROW) {
        float y[LEVELS];
        for (uint q = 0; q < LEVELS; q++) {
            float value, own = raw.v[from + t * LEVELS + q];
            if (!unscale(own, mean, std, value)) { value = bounds[q][1] == 0 ? r_float(mean) : of_key(bounds[q][own > 0.0 ? 1 : 0]); }
            y[q] = k > 0.0 ? min(max(value, low), high) : value;
        }
        for (uint turn = 0; turn < LEVELS; turn++) {     // sorted by exchanging neighbours, odd and even in turn
            for (uint q = turn % 2; q + 1 < LEVELS; q += 2) {
                float a = y[q], c = y[q + 1];
                y[q] = min(a, c);
                y[q + 1] = max(a, c);
            }
        }
        for (uint q = 0; q < LEVELS; q++) { result.v[to + q * p.horizon_cap + t] = y[q]; }
        series.v[at + t] = y[MEDIAN];
        series.v[seen + t] = 1.0;
    }
}
