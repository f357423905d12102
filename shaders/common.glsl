// What every shader includes, after defining PARAMS as its op's parameter struct: arguments, memory by address, sums over
// a workgroup. The counterpart of kernels/common.cuh.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require       // addresses as two words, so that no 64-bit integers are needed
#extension GL_EXT_control_flow_attributes : require      // [[unroll]]

#include "op_params.h"

// core/args.h: eight addresses, the bindings in the order of core/ops.def (0 where absent), then the op's parameters.
layout(push_constant) uniform rp_push {
    uvec2 address[8];
    PARAMS p;
};

// Tensors by address, e.g. `InFloats x = InFloats(address[0]);   // [m, k]`.
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer InFloats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer InVec4s { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer InWords { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer InInts { int v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer InStep { rp_step v; };
layout(buffer_reference, std430, buffer_reference_align = 4) writeonly buffer OutFloats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) writeonly buffer OutWords { uint v[]; };

#define NEG_INFINITY uintBitsToFloat(0xff800000u)

// The number of this workgroup; rp_launch_rows folds long rows of groups into x and y.
uint group_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

// The number of this invocation in a launch of one for each element.
uint point_index() { return group_index() * RP_GROUP_POINT + gl_LocalInvocationID.x; }

#ifdef ROW
// Sums and maxima over the RP_GROUP_ROW = 64 invocations of a group, every one of which must call and receives the result.
// The sum is the halving 64 -> 32 -> .. -> 1, in two rounds instead of six: the tree of additions is the same.
shared float row_value[RP_GROUP_ROW];
shared float row_part[8];

float row_sum(float value) {
    uint i = gl_LocalInvocationID.x;
    row_value[i] = value;
    barrier();                         // every value is there before eight invocations read them all
    if (i < 8) {
        row_part[i] = ((row_value[i] + row_value[i + 32]) + (row_value[i + 16] + row_value[i + 48])) +
                      ((row_value[i + 8] + row_value[i + 40]) + (row_value[i + 24] + row_value[i + 56]));
    }
    barrier();                         // the eight parts are there before all read them
    float sum = ((row_part[0] + row_part[4]) + (row_part[2] + row_part[6])) +
                ((row_part[1] + row_part[5]) + (row_part[3] + row_part[7]));
    // A next call writes row_value while others still read row_part, and row_part only behind its own first barrier.
    return sum;
}

float row_max(float value) {
    uint i = gl_LocalInvocationID.x;
    row_value[i] = value;
    barrier();                         // as in row_sum
    if (i < 8) {
        row_part[i] = max(max(max(row_value[i], row_value[i + 32]), max(row_value[i + 16], row_value[i + 48])),
                          max(max(row_value[i + 8], row_value[i + 40]), max(row_value[i + 24], row_value[i + 56])));
    }
    barrier();                         // as in row_sum
    return max(max(max(row_part[0], row_part[4]), max(row_part[2], row_part[6])),
               max(max(row_part[1], row_part[5]), max(row_part[3], row_part[7])));
}
#endif
