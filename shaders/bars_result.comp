// kernel bars_result_f32
// bars_result: decoded bars back in the units of their series, each path in its place of the result.
#version 460
#define PARAMS rp_bars_result_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InFloats y = InFloats(address[0]);                   // [B, S, H, 6]
    InFloats affine = InFloats(address[1]);              // [B, 6, 2]: mean, std
    InStep step = InStep(address[2]);
    OutFloats result = OutFloats(address[3]);            // [B, 6, H, paths_cap]

    uint index = point_index(), H = p.horizon_cap;
    if (index >= p.batch * RP_BAR_COLUMNS * H * p.paths) { return; }
    uint s = index % p.paths, t = index / p.paths % H, column = index / (p.paths * H) % RP_BAR_COLUMNS;
    uint b = index / (p.paths * H * RP_BAR_COLUMNS), path = step.v.path0 + s;
    if (b >= step.v.batch || path >= step.v.paths || path >= p.paths_cap || t >= step.v.horizon) { return; }
    uint series = b * RP_BAR_COLUMNS + column;
    float value = y.v[((b * p.paths + s) * H + t) * RP_BAR_COLUMNS + column];
    result.v[(series * H + t) * p.paths_cap + path] = fma(value, affine.v[series * 2 + 1] + 1e-5, affine.v[series * 2]);
}
