// kernel take_row_f32
// take_row: a row of a table for each path, by the first token that it just drew.
#version 460
#define PARAMS rp_take_row_params
#include "common.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

void main() {
    InWords table = InWords(address[0]);                 // [table_rows, D], bit for bit
    InWords tokens = InWords(address[1]);                // [rows, tokens_cap, 2]
    InStep step = InStep(address[2]);
    OutWords y = OutWords(address[3]);                   // [rows, D]

    uint index = point_index(), D = p.width;
    if (index >= p.rows * D) { return; }
    uint j = index % D, row = index / D, slot = min(step.v.step, p.tokens_cap - 1);
    uint from = min(tokens.v[(row * p.tokens_cap + slot) * 2], p.table_rows - 1);
    y.v[index] = table.v[from * D + j];
}
