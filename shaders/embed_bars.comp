// kernel embed_bars_f32
// embed_bars: a bar's two tokens and its time as one row of the model's width; core/ops/embed_bars.c is its definition.
#version 460
#define PARAMS rp_embed_bars_params
#include "common.glsl"
#include "bars.glsl"

layout(local_size_x = RP_GROUP_POINT) in;

const uint first_row[RP_BAR_STAMPS] = uint[](0, RP_STAMP_HOUR, RP_STAMP_WEEKDAY, RP_STAMP_DAY, RP_STAMP_MONTH);

void main() {
    InWords tokens = InWords(address[0]);                // [B, tokens_cap, 2] (PROMPT) or [B, S, tokens_cap, 2]
    InWords stamps = InWords(address[1]);                // [B, stamps_cap, 5]
    InFloats table = InFloats(address[2]);               // [table_rows, D]: s1, then s2
    InFloats times = InFloats(address[3]);               // [RP_STAMP_ROWS, D]
    InWords n_tokens = InWords(address[4]);              // [B]
    InWords first = InWords(address[5]);                 // [B]
    InStep step = InStep(address[6]);
    OutFloats x = OutFloats(address[7]);                 // [B, S, n, D]

    uint index = point_index(), D = p.width;
    if (index >= p.batch * p.paths * p.tokens * D) { return; }
    uint j = index % D, i = index / D % p.tokens, row = index / (D * p.tokens);
    uint b = row / p.paths;
    bar_row r = bar_row_of(p.rows, i, n_tokens.v[b], first.v[b], step.v.step);
    uint at = bar_tokens_at(p.rows, r, b, row, p.tokens_cap);
    float sum = 0.0;
    if (r.live && r.bar < p.stamps_cap) {
        // Rows stay inside their tables whatever a token says: a series that no draw is for may hold anything.
        uint stamp = (b * p.stamps_cap + r.bar) * RP_BAR_STAMPS;
        sum = table.v[min(tokens.v[at * 2], p.table_rows - 1) * D + j];
        if (p.s1_alone == 0) { sum += table.v[min(p.s2_row + tokens.v[at * 2 + 1], p.table_rows - 1) * D + j]; }
        for (uint k = 0; k < RP_BAR_STAMPS; k++) {
            sum += times.v[min(first_row[k] + stamps.v[stamp + k], RP_STAMP_ROWS - 1) * D + j];
        }
    }
    x.v[index] = sum;
}
