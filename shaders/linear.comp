// kernel linear_f32
// kernel linear_f32_cpu -DCPU=1
// kernel linear_f32_narrow -DNARROW=1
// kernel linear_f32_narrow_cpu -DNARROW=1 -DCPU=1
// kernel linear_f32_skinny -DSKINNY=1
// kernel linear_f32_skinny_cpu -DSKINNY=1 -DCPU=1
// linear: y = x w^T (+ bias) (+ residual), or gated, 64 x 64 results a workgroup through shared memory, or few rows without it.
// Sums are those of core/op_params.h in every variant: chunks of RP_LINEAR_CHUNK from 0, then the chunks, ascending.
#version 460
#define PARAMS rp_linear_params
#include "common.glsl"
#include "op_math.h"
#ifdef CPU
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#include "op_math.h"
#ifdef SKINNY
#include "norm.glsl"
#endif

#ifndef CPU
layout(local_size_x = RP_GROUP_LINEAR) in;
#endif

// Four elements of row `row` of a [rows, k] matrix from `at` on, 0 beyond its ends. `fast`: rows begin at multiples of 16
// bytes and hold whole vec4s.
vec4 load4(uvec2 base, bool fast, uint row, uint rows, uint at) {
    vec4 four = vec4(0.0);
    if (row < rows && at < p.k) {
        uint first = row * p.k + at;
        if (fast) {
            four = InVec4s(base).v[first / 4];
        } else {
            InFloats from = InFloats(base);
            four.x = from.v[first];
            if (at + 1 < p.k) { four.y = from.v[first + 1]; }
            if (at + 2 < p.k) { four.z = from.v[first + 2]; }
            if (at + 3 < p.k) { four.w = from.v[first + 3]; }
        }
    }
    return four;
}

bool is_fast(uvec2 base) { return ((base.x & 15u) | (p.k & 3u)) == 0; }

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };

// silu of a result that this invocation stored: in a loop of its own, for `finish` stands unrolled many times.
void finish_silu(uint row, uint column) {
    Floats y = Floats(address[6]);
    if (row < p.m && column < p.n) { y.v[row * p.n + column] = rp_silu(y.v[row * p.n + column]); }
}

// Adds bias and residual and stores one result.
void finish(uint row, uint column, float sum) {
    uint at = row * p.n + column;
    if (p.has_bias != 0) { sum += InFloats(address[2]).v[column]; }
    if (p.has_residual != 0) { sum += InFloats(address[3]).v[at]; }
    OutFloats(address[6]).v[at] = sum;
}

// Column of y that a and b of columns `column` and column + RP_LINEAR_GATE make together.
void finish_gated(uint row, uint column, float a, float b) {
    if (p.has_bias != 0) {
        a += InFloats(address[2]).v[column];
        b += InFloats(address[2]).v[column + RP_LINEAR_GATE];
    }
    uint at = row * (p.n / 2) + column / (2 * RP_LINEAR_GATE) * RP_LINEAR_GATE + column % RP_LINEAR_GATE;
    OutFloats(address[6]).v[at] = rp_silu(a) * b;
}

#ifdef SKINNY
// Inverse roots of the rows, for products that normalise them; sums as rmsnorm makes them: every 64th square, then halving.
shared float norm_part[RP_GROUP_ROW];
shared real norm_inverse[RP_LINEAR_SKINNY_M];

void find_norms(uint i, uint group) {
    InFloats x = InFloats(address[0]);
    for (uint row = 0; row < p.m; row++) {
        for (uint part = i; part < RP_GROUP_ROW; part += group) {
            float sum = 0.0;
            for (uint j = part; j < p.k; j += RP_GROUP_ROW) {
                float value = x.v[row * p.k + j];
                sum = fma(value, value, sum);
            }
            norm_part[part] = sum;
        }
        for (uint half_way = RP_GROUP_ROW / 2; half_way > 0; half_way /= 2) {
            barrier();                                   // the parts are there before any is read
            for (uint part = i; part < half_way; part += group) { norm_part[part] += norm_part[part + half_way]; }
        }
        barrier();
        if (i == 0) { norm_inverse[row] = norm_inverse_of(norm_part[0], p.k, p.eps); }
        barrier();                                       // read before the next row's parts are written
    }
}

// Four elements of a row of x, normalised where asked for.
float normalised(float x, uint row, uint at) {
    return at < p.k ? norm_apply(x, InFloats(address[4]).v[at], norm_inverse[row]) : 0.0;
}

vec4 normalised4(vec4 four, uint row, uint at) {
    if (p.norm == 0 || row >= p.m) { return four; }
    return vec4(normalised(four.x, row, at), normalised(four.y, row, at + 1), normalised(four.z, row, at + 2),
                normalised(four.w, row, at + 3));
}
#endif

#ifdef CPU
// For CPU devices with subgroups of 8 and float64 (llvmpipe: other CPU devices take the kernels below). A load costs as much
// as dozens of products there, since each invocation's address is followed on its own; so a subgroup loads each element of x
// once and hands it round, and two floats travel as one double. On llvmpipe that is 5 times the speed of shared memory.
#ifdef SKINNY
#define TILE_M RP_LINEAR_SKINNY_M
#define TILE_N RP_LINEAR_SKINNY_N
#define COLUMNS 1                                        // of one invocation
#elif defined(NARROW)
#define TILE_M RP_LINEAR_NARROW
#define TILE_N RP_LINEAR_NARROW
#define COLUMNS 4
#else
#define TILE_M RP_LINEAR_M
#define TILE_N RP_LINEAR_N
#define COLUMNS 8
#endif
#define LANES 8
#define ROWS 16                                          // of one subgroup, and so of one invocation
layout(local_size_x = TILE_M * TILE_N / (ROWS * COLUMNS)) in;
#ifdef SKINNY
shared float cpu_sums[ROWS][TILE_N];                     // gated only
#endif

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer InDoubles { dvec2 v[]; };

vec4 load4_cpu(uvec2 base, bool fast, uint row, uint rows, uint at) {
    if (!fast) { return load4(base, false, row, rows, at); }
    dvec2 four = InDoubles(base).v[(row * p.k + at) / 4];
    return vec4(uintBitsToFloat(unpackDouble2x32(four.x)), uintBitsToFloat(unpackDouble2x32(four.y)));
}

// A subgroup makes 16 rows of 8 COLUMNS columns; lane l has columns l, l + 8, ..
void main() {
    uint lane = gl_SubgroupInvocationID, group = gl_SubgroupID;
    uint across = TILE_N / (LANES * COLUMNS);            // subgroups side by side
    uint tile_row = (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * TILE_M;
    uint first_row = tile_row + group / across * ROWS;
    uint first_column = gl_WorkGroupID.x * TILE_N + group % across * LANES * COLUMNS + lane;
#ifdef SKINNY
    if (p.norm != 0) { find_norms(gl_LocalInvocationID.x, gl_WorkGroupSize.x); }
#endif
    if (first_row >= p.m) { return; }                    // the whole subgroup
    bool fast = is_fast(address[0]) && is_fast(address[1]);
    bool more = p.m - first_row > 8;                     // rows 8 .. 15 are not all beyond the end

    float total[ROWS][COLUMNS], acc[ROWS][COLUMNS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        [[unroll]] for (uint c = 0; c < COLUMNS; c++) { total[r][c] = 0.0; }
    }
    for (uint begin = 0; begin < p.k; begin += RP_LINEAR_CHUNK) {
        uint end = min(begin + RP_LINEAR_CHUNK, p.k);
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            [[unroll]] for (uint c = 0; c < COLUMNS; c++) { acc[r][c] = 0.0; }
        }
        for (uint at = begin; at < end; at += 4) {
            vec4 b[COLUMNS];
            // Beyond the last row or column the last one is read again, and the result not stored.
            [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
                b[c] = load4_cpu(address[1], fast, min(first_column + c * LANES, p.n - 1), p.n, at);
            }
            [[unroll]] for (uint part = 0; part < ROWS; part += LANES) {
                if (part == 0 || more) {
                    uint own_row = min(first_row + part + lane, p.m - 1);
                    vec4 own = load4_cpu(address[0], fast, own_row, p.m, at);
#ifdef SKINNY
                    own = normalised4(own, own_row, at);
#endif
                    [[unroll]] for (uint r = 0; r < LANES; r++) {
                        vec4 a = subgroupBroadcast(own, r);
                        [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
                            acc[part + r][c] = fma(a.x, b[c].x, acc[part + r][c]);
                            acc[part + r][c] = fma(a.y, b[c].y, acc[part + r][c]);
                            acc[part + r][c] = fma(a.z, b[c].z, acc[part + r][c]);
                            acc[part + r][c] = fma(a.w, b[c].w, acc[part + r][c]);
                        }
                    }
                }
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            [[unroll]] for (uint c = 0; c < COLUMNS; c++) { total[r][c] += acc[r][c]; }
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
            uint row = first_row + r, column = first_column + c * LANES;
            if (p.gated == 0) {
                if (row < p.m && column < p.n) { finish(row, column, total[r][c]); }
            } else {
#ifdef SKINNY
                cpu_sums[r][group * LANES + lane] = total[r][c];
#else
                if (c % 2 == 0 && row < p.m && column < p.n) { finish_gated(row, column, total[r][c], total[r][c + 1]); }
#endif
            }
        }
    }
    for (uint e = 0; e < (p.silu != 0 ? ROWS * COLUMNS : 0); e++) { finish_silu(first_row + e % ROWS, first_column + e / ROWS * LANES); }
#ifdef SKINNY
    if (p.gated == 0) { return; }
    barrier();                                           // every subgroup's results are there: b is the next one's
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = first_row + r, column = group * LANES + lane;
        if (group % 2 == 0 && row < p.m && first_column < p.n) {
            finish_gated(row, first_column, cpu_sums[r][column], cpu_sums[r][column + LANES]);
        }
    }
#endif
}

#elif defined(SKINNY)
#define LANES (RP_GROUP_LINEAR / RP_LINEAR_SKINNY_N)     // chunks that are summed side by side
#define QUADS (LANES * RP_LINEAR_CHUNK / 4)              // vec4s of a row that one round takes
#define X_LOADS (RP_LINEAR_SKINNY_M * QUADS / RP_GROUP_LINEAR)
#define W_LOADS (RP_LINEAR_SKINNY_N * QUADS / RP_GROUP_LINEAR)
#define EACH (RP_LINEAR_SKINNY_M / LANES)                // results of one invocation: rows lane, lane + LANES, .. of its column

shared vec4 xs[RP_LINEAR_SKINNY_M][QUADS + 1];           // [row][k]; + 1: banks
shared vec4 ws[RP_LINEAR_SKINNY_N][QUADS + 1];           // [column][k]
shared float chunk_sum[LANES][RP_LINEAR_SKINNY_M][RP_LINEAR_SKINNY_N];

// In round r invocation (lane, column) sums chunk LANES r + lane of its column for all rows; then each result's chunk sums
// are added in ascending order. The next round's operands are on their way meanwhile.
void main() {
    uint i = gl_LocalInvocationID.x;
    uint column = i % RP_LINEAR_SKINNY_N, lane = i / RP_LINEAR_SKINNY_N;
    uint first_column = group_index() * RP_LINEAR_SKINNY_N;
    if (first_column >= p.n) { return; }                 // the whole group
    bool x_fast = is_fast(address[0]), w_fast = is_fast(address[1]);
    vec4 x_next[X_LOADS], w_next[W_LOADS];
    float total[EACH];
    if (p.norm != 0) { find_norms(i, RP_GROUP_LINEAR); }
    [[unroll]] for (uint e = 0; e < EACH; e++) { total[e] = 0.0; }
    [[unroll]] for (uint l = 0; l < X_LOADS; l++) {
        uint at = l * RP_GROUP_LINEAR + i;
        x_next[l] = load4(address[0], x_fast, at / QUADS, p.m, at % QUADS * 4);
    }
    [[unroll]] for (uint l = 0; l < W_LOADS; l++) {
        uint at = l * RP_GROUP_LINEAR + i;
        w_next[l] = load4(address[1], w_fast, first_column + at / QUADS, p.n, at % QUADS * 4);
    }
    for (uint begin = 0; begin < p.k; begin += QUADS * 4) {
        barrier();                                       // the round before: operands used, sums added by all
        [[unroll]] for (uint l = 0; l < X_LOADS; l++) {
            uint at = l * RP_GROUP_LINEAR + i;
            xs[at / QUADS][at % QUADS] = x_next[l];
        }
        if (p.norm != 0) {                               // a loop of its own: the compiler forgets `precise` in what it unrolls
            [[dont_unroll]] for (uint l = 0; l < X_LOADS; l++) {
                uint at = l * RP_GROUP_LINEAR + i;       // what this invocation wrote
                xs[at / QUADS][at % QUADS] = normalised4(xs[at / QUADS][at % QUADS], at / QUADS, begin + at % QUADS * 4);
            }
        }
        [[unroll]] for (uint l = 0; l < W_LOADS; l++) {
            uint at = l * RP_GROUP_LINEAR + i;
            ws[at / QUADS][at % QUADS] = w_next[l];
        }
        barrier();                                       // this round's operands are there before any uses them
        [[unroll]] for (uint l = 0; l < X_LOADS; l++) {
            uint at = l * RP_GROUP_LINEAR + i;
            x_next[l] = load4(address[0], x_fast, at / QUADS, p.m, begin + QUADS * 4 + at % QUADS * 4);
        }
        [[unroll]] for (uint l = 0; l < W_LOADS; l++) {
            uint at = l * RP_GROUP_LINEAR + i;
            w_next[l] = load4(address[1], w_fast, first_column + at / QUADS, p.n, begin + QUADS * 4 + at % QUADS * 4);
        }
        float acc[RP_LINEAR_SKINNY_M];
        [[unroll]] for (uint r = 0; r < RP_LINEAR_SKINNY_M; r++) { acc[r] = 0.0; }
        [[unroll]] for (uint c = 0; c < RP_LINEAR_CHUNK / 4; c++) {
            vec4 b = ws[column][lane * (RP_LINEAR_CHUNK / 4) + c];
            [[unroll]] for (uint r = 0; r < RP_LINEAR_SKINNY_M; r++) {
                vec4 a = xs[r][lane * (RP_LINEAR_CHUNK / 4) + c];
                acc[r] = fma(a.x, b.x, acc[r]);
                acc[r] = fma(a.y, b.y, acc[r]);
                acc[r] = fma(a.z, b.z, acc[r]);
                acc[r] = fma(a.w, b.w, acc[r]);
            }
        }
        [[unroll]] for (uint r = 0; r < RP_LINEAR_SKINNY_M; r++) { chunk_sum[lane][r][column] = acc[r]; }
        barrier();                                       // this round's sums are there before any is added
        [[unroll]] for (uint e = 0; e < EACH; e++) {     // 0 where k has no such chunk
            [[unroll]] for (uint l = 0; l < LANES; l++) { total[e] += chunk_sum[l][lane + e * LANES][column]; }
        }
    }
    if (p.gated != 0) {                                  // a and b meet in shared memory
        barrier();                                       // all sums have been read
        [[unroll]] for (uint e = 0; e < EACH; e++) { chunk_sum[0][lane + e * LANES][column] = total[e]; }
        barrier();                                       // all results are there
    }
    if (first_column + column >= p.n) { return; }
    [[unroll]] for (uint e = 0; e < EACH; e++) {
        uint row = lane + e * LANES;
        if (row >= p.m) { continue; }
        if (p.gated == 0) {
            finish(row, first_column + column, total[e]);
        } else if (column % (2 * RP_LINEAR_GATE) < RP_LINEAR_GATE) {
            finish_gated(row, first_column + column, total[e], chunk_sum[0][row][column + RP_LINEAR_GATE]);
        }
    }
    for (uint e = 0; e < (p.silu != 0 ? EACH : 0); e++) { finish_silu(lane + e * LANES, first_column + column); }
}

#else
#define SLAB 16                                          // of k, in shared memory at a time; divides RP_LINEAR_CHUNK
#ifdef NARROW
#define TILE RP_LINEAR_NARROW                            // rows and columns of a group
#define ROWS 2                                           // of one invocation, by four columns
#else
#define TILE RP_LINEAR_M
#define ROWS 8
#endif
#define LOADS (TILE * SLAB / 4 / RP_GROUP_LINEAR)        // vec4s of each operand that one invocation brings for a slab

shared vec4 xs[SLAB][TILE / 4 + 1];                      // [k][row], turned so that one vec4 is four rows; + 1: banks
shared vec4 ws[SLAB][TILE / 4 + 1];                      // [k][column]

// Invocation (tr, tc) makes rows ROWS tr, .. and columns 4 tc .. 4 tc + 3 of the tile.
void main() {
    uint i = gl_LocalInvocationID.x;
    uint tr = i / (TILE / 4), tc = i % (TILE / 4);
    uint first_row = (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * TILE;
    uint first_column = gl_WorkGroupID.x * TILE;
    if (first_row >= p.m || first_column >= p.n) { return; }   // the whole group
    bool x_fast = is_fast(address[0]), w_fast = is_fast(address[1]);

    vec4 total[ROWS], acc[ROWS], x_next[LOADS], w_next[LOADS];       // [row] of four columns; the next slab on its way
    [[unroll]] for (uint r = 0; r < ROWS; r++) { total[r] = acc[r] = vec4(0.0); }
    [[unroll]] for (uint l = 0; l < LOADS; l++) {
        uint row = (l * RP_GROUP_LINEAR + i) / (SLAB / 4), at = i % (SLAB / 4) * 4;
        x_next[l] = load4(address[0], x_fast, first_row + row, p.m, at);
        w_next[l] = load4(address[1], w_fast, first_column + row, p.n, at);
    }
    for (uint slab = 0; slab < p.k; slab += SLAB) {
        barrier();                                       // the slab before has been used by all
        [[unroll]] for (uint l = 0; l < LOADS; l++) {
            uint row = (l * RP_GROUP_LINEAR + i) / (SLAB / 4), at = i % (SLAB / 4) * 4;
            [[unroll]] for (uint c = 0; c < 4; c++) {
                xs[at + c][row / 4][row % 4] = x_next[l][c];
                ws[at + c][row / 4][row % 4] = w_next[l][c];
            }
        }
        barrier();                                       // this slab is there before any uses it
        [[unroll]] for (uint l = 0; l < LOADS; l++) {
            uint row = (l * RP_GROUP_LINEAR + i) / (SLAB / 4), at = slab + SLAB + i % (SLAB / 4) * 4;
            x_next[l] = load4(address[0], x_fast, first_row + row, p.m, at);
            w_next[l] = load4(address[1], w_fast, first_column + row, p.n, at);
        }
        [[unroll]] for (uint kk = 0; kk < SLAB; kk++) {
            vec4 b = ws[kk][tc];
#ifdef NARROW
            vec4 four = xs[kk][tr / 2];
            vec2 a = (tr & 1u) == 0 ? four.xy : four.zw;
            acc[0] = fma(vec4(a.x), b, acc[0]);
            acc[1] = fma(vec4(a.y), b, acc[1]);
#else
            vec4 a0 = xs[kk][tr * 2], a1 = xs[kk][tr * 2 + 1];
            [[unroll]] for (uint r = 0; r < 4; r++) {
                acc[r] = fma(vec4(a0[r]), b, acc[r]);
                acc[r + 4] = fma(vec4(a1[r]), b, acc[r + 4]);
            }
#endif
        }
        if ((slab + SLAB) % RP_LINEAR_CHUNK == 0) {      // a chunk ends
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                total[r] += acc[r];
                acc[r] = vec4(0.0);
            }
        }
    }
    if (p.k % RP_LINEAR_CHUNK != 0) {                    // the last chunk is a short one
        [[unroll]] for (uint r = 0; r < ROWS; r++) { total[r] += acc[r]; }
    }
    if (p.gated != 0) {                                  // b of invocation tc is what tc + 2 made: 16 rows at a time meet in ws
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            barrier();                                   // ws has been read by all
            ws[tr][tc] = total[r];
            barrier();                                   // this row of every invocation is there
            uint row = first_row + tr * ROWS + r, column = first_column + tc * 4;
            if (tc % 4 < 2 && row < p.m && column < p.n) {
                [[unroll]] for (uint c = 0; c < 4; c++) { finish_gated(row, column + c, total[r][c], ws[tr][tc + 2][c]); }
            }
        }
        return;
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        [[unroll]] for (uint c = 0; c < 4; c++) {
            uint row = first_row + tr * ROWS + r, column = first_column + tc * 4 + c;
            if (row < p.m && column < p.n) { finish(row, column, total[r][c]); }
        }
    }
    for (uint e = 0; e < (p.silu != 0 ? ROWS * 4 : 0); e++) { finish_silu(first_row + tr * ROWS + e / 4, first_column + tc * 4 + e % 4); }
}
#endif
