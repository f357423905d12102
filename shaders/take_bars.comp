// kernel take_bars_f32
// take_bars: bars of a caller's tensor, strided as it likes, into rows of six; volumes and amounts that it lacks are made.
#version 460
#define PARAMS rp_take_bars_params
#include "common.glsl"
#include "op_amount.h"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InWords x = InWords(address[0]);                     // [x_count], bit for bit
    OutWords y = OutWords(address[1]);                   // [bars, 6]
    OutWords bad = OutWords(address[2]);                 // [1]

    uint index = point_index();
    if (index >= p.bars * RP_BAR_COLUMNS) { return; }
    uint c = index % RP_BAR_COLUMNS, bar = index / RP_BAR_COLUMNS, value = 0;
    uint first = p.x_start + bar * p.x_row_stride;
    if (c < p.columns) {
        value = x.v[first + c * p.x_stride];
        if ((value & 0x7fffffffu) >= RP_BARS_LIMIT) {
            value = 0;
            bad.v[0] = 1;                                // whoever writes, writes the same
        }
    } else if (c == 5) {
        uint of[5];
        for (uint i = 0; i < 5; i++) {
            uint bits = 0;
            if (i < p.columns) { bits = x.v[first + i * p.x_stride]; }
            of[i] = (bits & 0x7fffffffu) >= RP_BARS_LIMIT ? 0 : bits;
        }
        value = rp_amount_bits(of[0], of[1], of[2], of[3], of[4]);
    }
    y.v[index] = value;
}
