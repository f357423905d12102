// kernel slide_f32
// slide: which part of the context the window still holds; core/ops/slide.c is its definition.
#version 460
#define PARAMS rp_slide_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_ROW) in;

void main() {
    InWords n_bars = InWords(address[0]);                // [B]
    InStep step = InStep(address[1]);
    OutWords n_tokens = OutWords(address[2]);            // [B]
    OutWords first = OutWords(address[3]);               // [B]
    OutWords own = OutWords(address[4]);                 // [B]

    uint b = group_index() * RP_GROUP_ROW + gl_LocalInvocationID.x;
    if (b >= p.batch) { return; }
    uint at = p.at_end != 0 ? step.v.horizon : step.v.step;
    uint room = at < p.window ? p.window - at : 0;
    uint n = n_bars.v[b], kept = min(n, room);
    n_tokens.v[b] = kept;
    first.v[b] = n - kept;
    own.v[b] = at;
}
