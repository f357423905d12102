// Attention of one query by a workgroup of RP_GROUP_ROW, keys in tiles of RP_ATTN_TILE with an online softmax, as
// core/op_params.h lays down. attn_time.comp and attn_space.comp bring the keys in order, tile by tile: attn_begin, then for
// each tile attn_tile, attn_values and attn_join, then attn_end; the whole group calls each.
#include "op_math.h"

#define MAX_HEAD_WIDTH 256                               // the shape rules keep to it
#define VALUES (MAX_HEAD_WIDTH / RP_GROUP_ROW)           // elements of the output that one invocation holds

shared float attn_q[MAX_HEAD_WIDTH];
shared float attn_weight[RP_ATTN_TILE];

float attn_top = NEG_INFINITY;                           // running maximum of the scores
float attn_total = 0.0;                                  // running sum of the weights
float attn_y[VALUES];                                    // running weighted values: elements i, i + 64, ..
float attn_own[VALUES];                                  // those of the tile
float attn_kept, attn_taken;                             // factors of what came before and of the tile

void attn_begin_with_q() {
    [[unroll]] for (uint c = 0; c < VALUES; c++) { attn_y[c] = 0.0; }
    barrier();                                           // q is there before any score is made from it
}

void attn_begin(InFloats q, uint at, uint d) {
    for (uint j = gl_LocalInvocationID.x; j < d; j += RP_GROUP_ROW) { attn_q[j] = q.v[at + j]; }
    attn_begin_with_q();
}

// q k of the key at float `at` of `base`; ascending either way.
float attn_dot(uvec2 base, uint at, uint d) {
    float dot = 0.0;
    if (((base.x & 15u) | (d & 3u)) == 0) {              // heads begin at multiples of d
        InVec4s k = InVec4s(base);
        for (uint j = 0; j < d; j += 4) {
            vec4 four = k.v[(at + j) / 4];
            dot = fma(attn_q[j], four.x, dot);
            dot = fma(attn_q[j + 1], four.y, dot);
            dot = fma(attn_q[j + 2], four.z, dot);
            dot = fma(attn_q[j + 3], four.w, dot);
        }
        return dot;
    }
    InFloats k = InFloats(base);
    for (uint j = 0; j < d; j++) { dot = fma(attn_q[j], k.v[at + j], dot); }
    return dot;
}

// A tile's weights from its scores, one an invocation. False: as attn_tile.
bool attn_weigh(float score, bool there) {
    float tile_top = row_max(score);
    if (tile_top == NEG_INFINITY) { return false; }
    float weight = there ? rp_exp(score - tile_top) : 0.0;
    float top = max(attn_top, tile_top);
    attn_kept = rp_exp(attn_top - top);                  // 0 at the first key
    attn_taken = rp_exp(tile_top - top);
    attn_weight[gl_LocalInvocationID.x] = weight;        // the tile before was read by all before row_max's barriers
    attn_total = fma(row_sum(weight), attn_taken, attn_total * attn_kept);   // behind row_sum's barriers all weights are there
    attn_top = top;
    [[unroll]] for (uint c = 0; c < VALUES; c++) { attn_own[c] = 0.0; }
    return true;
}

// A tile's weights: invocation i brings the key i, at float `at` of `base`, unless `there` is false. False: the tile has no
// key, the same for the whole group.
bool attn_tile(uvec2 base, uint at, bool there, uint d, float scale) {
    return attn_weigh(there ? attn_dot(base, at, d) * scale : NEG_INFINITY, there);
}

// Adds the values of keys [first, end) of the tile, which lie at v_at, v_at + stride, ..
void attn_values(InFloats v, uint v_at, uint stride, uint first, uint end, uint d) {
    [[unroll]] for (uint c = 0; c < VALUES; c++) {
        uint j = c * RP_GROUP_ROW + gl_LocalInvocationID.x;
        if (j < d) {
            float sum = attn_own[c];
            uint at = v_at + j;
            for (uint key = first; key < end; key++, at += stride) { sum = fma(attn_weight[key], v.v[at], sum); }
            attn_own[c] = sum;
        }
    }
}

// The tile, all of its values added, joins those before.
void attn_join() {
    [[unroll]] for (uint c = 0; c < VALUES; c++) { attn_y[c] = fma(attn_own[c], attn_taken, attn_y[c] * attn_kept); }
}

void attn_end(OutFloats y, uint at, uint d) {
    [[unroll]] for (uint c = 0; c < VALUES; c++) {
        uint j = c * RP_GROUP_ROW + gl_LocalInvocationID.x;
        if (j < d) { y.v[at + j] = attn_y[c] / attn_total; }
    }
}
