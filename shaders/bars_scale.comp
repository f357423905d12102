// kernel bars_scale_f32
// bars_scale: mean, standard deviation and scaled values of each column of a series' bars, a workgroup for each column;
// core/ops/bars_scale.c is its definition, which this meets bit for bit.
#version 460
#define PARAMS rp_bars_scale_params
#include "common.glsl"
#include "op_math.h"

layout(local_size_x = RP_GROUP_ROW) in;

#define LANES 8                                          // sums of one leaf, an invocation for each
#define LEAVES (RP_GROUP_ROW / LANES)                    // leaves at a time
#define DEPTH 32                                         // of the tree of sums: n < 2^32

shared float lane_sum[RP_GROUP_ROW];
shared float leaf_sum[LEAVES];

// Element i of the column that starts at float `at`; with `squares`, its squared distance from mean.
float element(InFloats bars, uint at, uint i, bool squares, float mean) {
    float v = bars.v[at + i * RP_BAR_COLUMNS];
    precise float away = v - mean;
    precise float square = away * away;                  // rounded before it is added
    return squares ? square : v;
}

// The sum of n elements in numpy's order. The tree is walked depth first: what has more than 128 elements is cut in two,
// what has not is a leaf, whose sum goes onto a stack; `joins` says how often the two on top become their sum after it. All
// invocations walk alike and each holds the stack; of LEAVES leaves in a row each takes one lane of one.
float pairwise(InFloats bars, uint at, uint n, bool squares, float mean) {
    uint lane = gl_LocalInvocationID.x % LANES, mine = gl_LocalInvocationID.x / LANES;
    uint part_at[DEPTH], part_n[DEPTH], part_joins[DEPTH], parts = 1;   // what is still to be added, the next on top
    float sum[DEPTH];                                                   // finished sums, the latest on top
    uint sums = 0;
    part_at[0] = 0, part_n[0] = n, part_joins[0] = 0;
    while (parts > 0) {
        uint leaf_joins[LEAVES], leaves = 0, first = 0, count = 0;
        while (parts > 0 && leaves < LEAVES) {
            parts--;
            uint a = part_at[parts], m = part_n[parts], joins = part_joins[parts];
            if (m > 128) {
                uint left = m / 2 - m / 2 % 8;
                part_at[parts] = a + left, part_n[parts] = m - left, part_joins[parts] = joins + 1;
                parts++;
                part_at[parts] = a, part_n[parts] = left, part_joins[parts] = 0;
                parts++;
                continue;
            }
            if (leaves == mine) { first = a, count = m; }
            leaf_joins[leaves] = joins;
            leaves++;
        }
        uint whole = count - count % LANES;              // 0 where the leaf has fewer than eight, or this lane has no leaf
        precise float r = 0.0;
        if (whole > 0) { r = element(bars, at, first + lane, squares, mean); }
        for (uint i = lane + LANES; i < whole; i += LANES) { r = r + element(bars, at, first + i, squares, mean); }
        lane_sum[gl_LocalInvocationID.x] = r;
        barrier();                                       // all lanes' sums are there before one invocation of each leaf joins them
        if (lane == 0) {
            uint l = gl_LocalInvocationID.x;
            precise float s = ((lane_sum[l] + lane_sum[l + 1]) + (lane_sum[l + 2] + lane_sum[l + 3])) +
                              ((lane_sum[l + 4] + lane_sum[l + 5]) + (lane_sum[l + 6] + lane_sum[l + 7]));
            uint i = whole;
            if (whole == 0 && count > 0) {
                s = element(bars, at, first, squares, mean);
                i = 1;
            }
            for (; i < count; i++) { s = s + element(bars, at, first + i, squares, mean); }
            leaf_sum[mine] = s;
        }
        barrier();                                       // the leaves' sums are there before all read them
        // A next round writes lane_sum, which nobody reads now, and leaf_sum only behind its own first barrier.
        for (uint leaf = 0; leaf < leaves; leaf++) {
            sum[sums] = leaf_sum[leaf];
            sums++;
            for (uint join = 0; join < leaf_joins[leaf]; join++) {
                sums--;
                precise float both = sum[sums - 1] + sum[sums];
                sum[sums - 1] = both;
            }
        }
    }
    return sum[0];
}

void main() {
    InFloats bars = InFloats(address[0]);                // [B, L, 6]
    InWords n_bars = InWords(address[1]);                // [B]
    OutFloats x = OutFloats(address[2]);                 // [B, L, 6]
    OutFloats affine = OutFloats(address[3]);            // [B, 6, 2]

    uint row = group_index(), i = gl_LocalInvocationID.x;
    if (row >= p.batch * RP_BAR_COLUMNS) { return; }     // the whole group
    uint b = row / RP_BAR_COLUMNS, n = min(n_bars.v[b], p.bars);
    uint at = b * p.bars * RP_BAR_COLUMNS + row % RP_BAR_COLUMNS;
    float mean = rp_div_rn(pairwise(bars, at, n, false, 0.0), float(n));
    float std = rp_sqrt_rn(rp_div_rn(pairwise(bars, at, n, true, mean), float(n)));
    precise float unit = std + 1e-5;
    for (uint j = i; j < p.bars; j += RP_GROUP_ROW) {
        float scaled = 0.0;
        if (j < n) {
            precise float away = bars.v[at + j * RP_BAR_COLUMNS] - mean;
            scaled = clamp(rp_div_rn(away, unit), -5.0, 5.0);
        }
        x.v[at + j * RP_BAR_COLUMNS] = scaled;
    }
    if (i == 0) {
        affine.v[row * 2] = mean;
        affine.v[row * 2 + 1] = std;
    }
}
