// kernel advance_f32
// advance: the step block moves on, on the device, so that replays queue back to back without the host.
#version 460
#define PARAMS rp_advance_params
#include "common.glsl"

layout(local_size_x = 1) in;

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Step { rp_step v; };

void main() {
    Step step = Step(address[1]);      // the same place as input 0

    if (group_index() > 0) { return; }
    if (p.what == RP_ADVANCE_CHUNK) {
        step.v.path0 = step.v.chunk * p.chunk_paths;
        step.v.chunk += 1;
        step.v.step = 0;
    } else {
        step.v.step += 1;
    }
}
