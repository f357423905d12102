// One struct of frozen parameters for each op, read by C, CUDA and GLSL alike: 32-bit scalars only, at most 64 bytes,
// so that eight addresses and one of these fit the 128 bytes of push constants that every Vulkan device offers.
// Letters as in core/graph.h: B series, S paths, V variates, n tokens of this call, N prompt capacity in tokens,
// R suffix capacity in tokens, T = time steps, P patch, D width, h heads, d = D/h, k components.
//
// Beside each struct: how the work is split, the same in kernels/ and shaders/ ("point": one invocation for each element,
// RP_GROUP_POINT in a group), and the order of every sum, so that no number depends on batch, path count or backend tile.
#ifndef RP_OP_PARAMS_H
#define RP_OP_PARAMS_H

// Invocations of one workgroup.
#define RP_GROUP_POINT 256
#define RP_GROUP_ROW 64       // rmsnorm, attention, scaler: a group for each row
#define RP_GROUP_SCALER 512   // scaler on fast devices: a warp for each patch; block_scale: eight lanes
#define RP_GROUP_SCALE_STEP 64   // scale_step on fast devices: a warp for each row
#define RP_GROUP_ROPE 128     // block_rope on fast devices: a group for each token
#define RP_GROUP_LINEAR 128

// linear: x and w tiles of RP_LINEAR_M rows and RP_LINEAR_N columns, 8 x 4 results an invocation. Sums over k: ascending
// fused multiply-adds from 0 inside chunks of RP_LINEAR_CHUNK, chunk sums added in ascending order, then bias, then residual.
#define RP_LINEAR_M 64
#define RP_LINEAR_N 64
#define RP_LINEAR_CHUNK 16
// The narrow kernel, for few tiles: RP_LINEAR_NARROW rows and columns a group. Same sums.
#define RP_LINEAR_NARROW 32
// The skinny kernel, for at most RP_LINEAR_SKINNY_M rows: a group makes RP_LINEAR_SKINNY_N columns of all rows. Same sums.
#define RP_LINEAR_SKINNY_M 16
#define RP_LINEAR_SKINNY_N 32
// The same on fast devices: an invocation for each chunk and column, RP_LINEAR_SPLIT_N columns and 32 chunks a group, or, for
// at most RP_LINEAR_DEEP_M rows, 64. Same sums.
#define RP_LINEAR_SPLIT_N 8
#define RP_LINEAR_DEEP_M 8

// linear with float16 weights, on matrix units: products of float16 numbers, sums in float32. Tiles: ascending over k in
// sixteens, each sixteen in the unit's own order, from 0. Skinny: so in chunks of RP_LINEAR_SKINNY_CHUNK, whose sums are added in
// ascending order. Then bias, then residual or gate. So a number depends on which of the two kinds ran, which the number of rows
// decides, and on nothing else.
#define RP_LINEAR_MIXED_STEP 8          // k is a multiple: whole 16-byte pieces of float16
// Skinny kernels on matrix units: at most so many warps a group, `lanes_k` chunks wide and `lanes_n` pairs of blocks of eight columns
// deep (more than 8 rows: blocks); a chunk of a block is a unit. A group has in shared memory what it takes for a number of `rounds` of
// `chunks` in all: its units, x, and sums of so many bytes at most in all, or those of one block (gated: two) of a few chunks.
#define RP_LINEAR_SKINNY_CHUNK 64
#define RP_LINEAR_SKINNY_WARPS 16
#define RP_LINEAR_SKINNY_SUMS 32768
#define RP_LINEAR_SKINNY_SHARED 98304   // in all, on every device with these units,
#define RP_LINEAR_SKINNY_LARGE 229376   // and on compute capability 9.0
#define RP_LINEAR_SKINNY_PAD 64         // bytes between rows of x
#define RP_LINEAR_SKINNY_HELD 13        // chunks of a row that a warp holds
#define RP_LINEAR_SKINNY_SPAN(chunks, rounds, lanes_k, unit_bytes, x_bytes, sum_bytes) \
    ((rounds) * (lanes_k) * (unit_bytes) + (chunks) * ((x_bytes) + (sum_bytes)))   // unit_bytes: of all a chunk's; the rest: of a chunk
// Shared memory of the tile kernels, in bytes: within the 99 KiB that a group can have on every device with these units.
#define RP_LINEAR_LARGE_SHARED 98304    // 3 stages of (128 + 128) x 64
#define RP_LINEAR_MEDIUM_SHARED 65536   // 4 of (64 + 64) x 64
#define RP_LINEAR_NARROW_SHARED 73728   // 6 of (32 + 64) x 64
// Compute capability 9.0 alone, from RP_LINEAR_WGMMA_M rows on: the same sums in tiles of RP_LINEAR_WGMMA_SHAPES shapes, in shared
// memory of stages of (rows + columns) x 64 at multiples of 1024, and for each warp that multiplies 16 x 40 results and a tile's bias.
#define RP_LINEAR_WGMMA_M 65
#define RP_LINEAR_WGMMA_SHAPES 12
#define RP_LINEAR_WGMMA_GROUP 384        // two warpgroups that multiply, and one of which two warps feed them
#define RP_LINEAR_WGMMA_ALONE 192        // of a cluster: one that multiplies, and two warps that feed it
#define RP_LINEAR_WGMMA_SHARED(rows, columns, stages, warps) (1024 + 128 * (stages) * ((rows) + (columns)) + 4 * (warps) * (640 + (columns)))
// linear in float32 on matrix units, of compute capability 9.0 alone, where weights are in pairs of float16 (op pair_rows), and so k a multiple
// of RP_LINEAR_PAIR_CHUNK. Each chunk of a row of x becomes pairs too (kernels/pair.cuh): with E the exponent of its largest magnitude, -98 at
// least, x 2^(14 - E) = x0 + x1, x0 to nearest, x1 what is missing, to nearest. A chunk of k is summed from 0 by the units: products (x1 w0),
// (x0 w1), (x0 w0), small ones first, each over the chunk's sixteens ascending. Chunk sums times 2^(E - 28) are added in ascending order; that
// times the column's scale, then bias, then residual or gate. Whatever the number of rows, so no number depends on it. Tiles of
// RP_LINEAR_PAIR_SHAPES shapes, in shared memory of stages of both parts of w, columns x 64, and of x, at multiples of 1024.
#define RP_LINEAR_PAIR_CHUNK 64
#define RP_LINEAR_PAIR_SHAPES 6
#define RP_LINEAR_PAIR_SHARED(rows, columns, stages) (1024 + 256 * (stages) * ((rows) + (columns)))
#define RP_LINEAR_GATE 8                // gated columns lie in blocks of so many: a, b, a, b, ..

// attention: keys in tiles of RP_ATTN_TILE in ascending order (prefix, then suffix). Each tile on its own: its maximum, p =
// exp(score - maximum), sum of p by halving (64 -> 32 -> .. -> 1, absent keys 0), sum of p values in ascending key order from 0.
// Then tiles join the running maximum, sum and values in ascending order: with m the larger maximum, running = running
// exp(running maximum - m) + tile exp(tile maximum - m), the last product fused. So tiles can be computed anywhere.
#define RP_ATTN_TILE 64
#define RP_ATTN_PITCH(d) (((d) / 4 | 1) * 4)   // floats from one key to the next in shared memory: eight lie in different banks
#define RP_ATTN_HEAD_MAX 256  // widest head
// The shared kernel: so many paths of one series, variate and head a group, for heads of at most RP_ATTN_SHARED_HEAD. Same sums.
#define RP_ATTN_SHARED 16
#define RP_ATTN_SHARED_HEAD 64
// The short kernels, where a query can see RP_ATTN_SHORT_KEYS at most and a head is at most RP_ATTN_SHORT_HEAD wide, in pieces of four: so
// many queries a group at most, with so many lanes each, fewer where that takes more than RP_ATTN_SHORT_ROOM bytes. Same sums, of one
// tile. Shared memory: queries, keys and values, rows of an odd number of pieces, so that those which are read at once lie in different
// banks; keys: of all the group's queries; bytes: of a number.
#define RP_ATTN_SHORT 16
#define RP_ATTN_SHORT_LANES 16
#define RP_ATTN_SHORT_KEYS 32
#define RP_ATTN_SHORT_HEAD 64
#define RP_ATTN_SHORT_ROOM 49152
#define RP_ATTN_SHORT_TAKES(keys, d) ((keys) <= RP_ATTN_SHORT_KEYS && (d) % 4 == 0 && (d) <= RP_ATTN_SHORT_HEAD)
#define RP_ATTN_SHORT_BYTES(queries, keys, d, bytes) (4 * ((d) / 4 | 1) * (4 * (queries) + 2 * (bytes) * (keys)))
// The tiled kernels, for prompts, own windows and calls of block decode: blocks of RP_ATTN_TILED_SETS x 8, 4 or 2 queries of one path
// and head, heads in pieces of four. Same sums. Shared memory: keys, values (where heads are wide, in the place of the keys), queries, weights.
#define RP_ATTN_TILED_LEAST 9            // tokens, from which on attn_time takes them
#define RP_ATTN_TILED_SETS 8
#define RP_ATTN_TILED_TEAMS 4            // at most, and two at least, of 128 invocations, that take tiles of a block of 16 queries side by side
#define RP_ATTN_TILED_WEIGHTS 80         // floats from one query's weights to the next's: two that a warp writes lie in different banks
#define RP_ATTN_TILED_APART(d) ((d) <= 128)
#define RP_ATTN_TILED_BYTES(rows, teams, d) \
    (4 * (RP_ATTN_TILED_SETS * (rows) * RP_ATTN_PITCH(d) + (teams) * (RP_ATTN_TILE * (RP_ATTN_PITCH(d) + (RP_ATTN_TILED_APART(d) ? (d) : 0)) + \
                                                                      RP_ATTN_TILED_SETS * (rows) * RP_ATTN_TILED_WEIGHTS)))
// The kernel for few queries: a cluster of RP_ATTN_SPREAD groups for at most RP_ATTN_SHARED paths of one series, variate and head.
// Tiles that are all prompt are made for the paths together, others for each path alone, each by a team of four warps; path i's
// are joined by group i % RP_ATTN_SPREAD. Same sums. Shared memory: a barrier, queries, tiles to join, and for each team keys, values and weights.
#define RP_ATTN_SPREAD 8
#define RP_ATTN_SPREAD_TEAM 128
#define RP_ATTN_SPREAD_JOINED(paths, tiles, d) (((paths) + RP_ATTN_SPREAD - 1) / RP_ATTN_SPREAD * (tiles) * ((d) + 4))
#define RP_ATTN_SPREAD_OWN(paths, d) (RP_ATTN_TILE * (RP_ATTN_PITCH(d) + (d)) + (paths) * (RP_ATTN_TILE + 4))
#define RP_ATTN_SPREAD_BYTES(paths, tiles, d, teams) \
    (16 + 4 * ((paths) * (d) + RP_ATTN_SPREAD_JOINED(paths, tiles, d) + (teams) * RP_ATTN_SPREAD_OWN(paths, d)))
// attn_step's likewise, whose warps take a tile each. Shared memory: a barrier, queries, tiles to join, weights of tiles that are all prompt, and
// so many places for tiles: keys, values, weights of one path.
#define RP_ATTN_STEP_WEIGHTS(paths, prefix_cap) \
    ((paths) > 1 ? ((prefix_cap) / RP_ATTN_TILE + RP_ATTN_SPREAD - 1) / RP_ATTN_SPREAD * (paths) * RP_ATTN_TILE : 0)
#define RP_ATTN_STEP_PLACE(d) (RP_ATTN_TILE * (RP_ATTN_PITCH(d) + (d) + 1))
#define RP_ATTN_STEP_SPREAD_BYTES(paths, tiles, prefix_cap, d, places) \
    (16 + 4 * ((paths) * (d) + RP_ATTN_SPREAD_JOINED(paths, tiles, d) + RP_ATTN_STEP_WEIGHTS(paths, prefix_cap) + (places) * RP_ATTN_STEP_PLACE(d)))
#define RP_ATTN_STEP_GROUP(places, d) ((places) == 1 && (d) <= 128 ? 128 : (places) < 3 ? 256 : 512)
#define RP_ATTN_SPREAD_MOST 101376       // the 99 KiB that a group can have on every device with clusters
#define RP_ATTN_SPREAD_MOST_90 232448    // and on those of compute capability 9.0
// On matrix units, for mixed nodes: so many queries a group, from so many on, heads in pieces of four. Sums in the units' own order.
#define RP_ATTN_MIXED_ROWS 64
#define RP_ATTN_MIXED_LEAST 16
#define RP_ATTN_MIXED_HEAD 64
#define RP_ATTN_MIXED_HEAD_WIDE 128
// The same for queries, keys and values in float16, of prompts, own windows and calls of block decode: so many teams share the keys of a
// block of so many queries. Shared memory: two tiles of keys and values for each team.
#define RP_ATTN_TEAMS_MOST 8
#define RP_ATTN_TEAMS_BLOCK(teams) ((teams) == 1 ? 64 : 128 / (teams))
#define RP_ATTN_TEAMS_TILE(teams) ((teams) == 8 ? RP_ATTN_TILE / 2 : RP_ATTN_TILE)
#define RP_ATTN_PATHS_RING 4             // for decode steps of many paths: so many tiles, or keys and values of a step of RP_ATTN_MIXED_ROWS paths
#define RP_ATTN_PATHS_BYTES (4 * RP_ATTN_PATHS_RING * RP_ATTN_MIXED_ROWS * (RP_ATTN_MIXED_HEAD + 8))
#define RP_ATTN_TEAMS_BYTES(teams, head) (8 * (teams) * RP_ATTN_TEAMS_TILE(teams) * ((head) + 8))
// The same on devices of compute capability 9.0, tiles by the copy engine: blocks of 64 queries, so many tiles in shared memory behind barriers. Whole
// 1024s of it, and none but these: boxes must begin at such multiples where several groups share a multiprocessor too.
#define RP_ATTN_WGMMA_GROUP 128
#define RP_ATTN_WGMMA_RING 3
#define RP_ATTN_WGMMA_BYTES (1024 + 4 * RP_ATTN_WGMMA_RING * RP_ATTN_TILE * RP_ATTN_MIXED_HEAD)
// Decode steps of few paths, on devices with clusters: at most RP_ATTN_FEW paths a cluster, a warp for each slice of at most 64 columns
// of a unit of sixteen keys. Shared memory in floats: each warp's values of each path, what the group's paths are joined from,
// maxima and sums, and, where there are several slices, twice their scores.
#define RP_ATTN_FEW 16
#define RP_ATTN_STEP_MOST 512             // paths in all, up to which attn_step takes them
#define RP_ATTN_FEW_GROUP 512
#define RP_ATTN_FEW_PITCH 68
#define RP_ATTN_FEW_SCORES 256           // of a unit: 16 x 16
#define RP_ATTN_FEW_SLICES(d) ((d) <= 64 ? 1 : (d) <= 128 ? 2 : 4)
#define RP_ATTN_FEW_SLICE(d) (((d) / 4 + RP_ATTN_FEW_SLICES(d) - 1) / RP_ATTN_FEW_SLICES(d) * 4)
#define RP_ATTN_FEW_INBOX(paths, d) (RP_ATTN_SPREAD * (((paths) + RP_ATTN_SPREAD - 1) / RP_ATTN_SPREAD) * ((d) + 4))
#define RP_ATTN_FEW_QUERY(slices) (64 * (slices) + 8)   // float16 from one query to the next
#define RP_ATTN_FEW_BYTES(paths, d, warps) \
    (16 + 4 * ((warps) * ((paths) * RP_ATTN_FEW_PITCH + 2 * RP_ATTN_FEW + (RP_ATTN_FEW_SLICES(d) > 1 ? 2 * RP_ATTN_FEW_SCORES : 0)) + \
               RP_ATTN_FEW_INBOX(paths, d) + RP_ATTN_FEW / 2 * RP_ATTN_FEW_QUERY(RP_ATTN_FEW_SLICES(d))))
#define RP_ATTN_STEP_BYTES(paths, d, warps) (RP_ATTN_FEW_BYTES(paths, d, warps) + 4 * (paths) * (d))   // and the new keys and values

#ifdef RP_GLSL
#define RP_UINT uint
#else
#include <stdint.h>
#define RP_UINT uint32_t
#endif

// Step values (see core/graph.h): the only data of a replay that changes from one replay to the next. Lives in device
// memory at a fixed address; the op `advance` moves it on, the host writes it once for each forecast.
struct rp_step {
    RP_UINT batch;       // live series, <= B
    RP_UINT paths;       // paths wanted in all, over every chunk
    RP_UINT path0;       // first path of this chunk
    RP_UINT chunk;       // chunks begun
    RP_UINT step;        // patches drawn so far in this chunk; decode step i (1..) reads i and writes suffix slot i - 1
    RP_UINT horizon;     // time steps wanted
    RP_UINT exogenous;   // the last so many variates have known futures
    RP_UINT seed_lo;     // Philox key, low word first
    RP_UINT seed_hi;
};
#define RP_STEP_WORDS 9

// Which bars of a series the rows of a call stand for (Kronos; see the op `slide` for first and n_tokens).
#define RP_ROWS_PROMPT 0      // row i is bar first[b] + i at position i; live while i < n_tokens[b]. One path
#define RP_ROWS_STEP 1        // one row: bar first[b] + n_tokens[b] + step - 1 at position n_tokens[b] + step - 1, slot step - 1
#define RP_ROWS_OWN 2         // row i is bar first[b] + n_tokens[b] + i at position n_tokens[b] + i, slot i; live while i < step

// Scaler kinds of Toto 1.0, spec section 1.
#define RP_SCALER_CAUSAL_PATCH 0
#define RP_SCALER_CAUSAL 1
#define RP_SCALER_GLOBAL 2

// What `draw` puts out.
#define RP_DRAW_MEAN 0
#define RP_DRAW_SAMPLE 1
#define RP_DRAW_FORCED 2

// What `advance` does.
#define RP_ADVANCE_STEP 0     // step += 1
#define RP_ADVANCE_CHUNK 1    // path0 = chunk * chunk_paths, chunk += 1, step = 0

// point
struct rp_copy_params {
    RP_UINT n;                // 32-bit words
};

// point over the output
struct rp_broadcast_params {  // [B, V, width] -> [B, S, V, width]
    RP_UINT batch, paths, variates;
    RP_UINT width;            // 32-bit words of one row
};

// A group for each (b, v); RP_GROUP_ROW invocations take patches i, i + 64, ..: (n, mean, M2) of each patch on its own (mean
// first, then squares around it, ascending), one invocation merges them in ascending order (Chan, Golub, LeVeque 1979) into
// the running state after each patch, then each patch is scaled. On fast devices a warp takes a patch: sums of lanes by halving,
// and patches, or steps of a patch, merge by twice as many at a time. Outputs:
//   z [B, V, N P]; affine [B, V, P, 2] (loc, scale) of each step of the last live patch; patch_state [B, V, N, 4] f64, the
//   running (n, mean, M2, 0) after each patch; state [B, V, 4] f64, after the last live patch; global [B, V, 2] f64: (mean,
//   M2 / max(n, 1)) over the prompt. Patches at or past n_patches[b] leave z = 0.
struct rp_scaler_params {
    RP_UINT batch, variates;
    RP_UINT patches;          // capacity N
    RP_UINT patch_size;       // P
    RP_UINT kind;             // RP_SCALER_*
    RP_UINT clamp;            // 1: clamp to the global scale times or over `factor`
    float factor;             // 10^scale_factor_exponent; infinity and 0 never reach here
};

// One invocation for each (b, s, v), RP_GROUP_ROW in a group (fast devices: a warp, as in scaler); the appended patch [B, S, V, P]
// counts with weight 1 throughout. state [B, S, V, 4] f64 is read and written in place; global [B, V, 2]; z [B, S, V, P]; affine
// [B, S, V, P, 2].
struct rp_scale_step_params {
    RP_UINT batch, paths, variates;
    RP_UINT patch_size;
    RP_UINT kind;
    RP_UINT clamp;
    float factor;
};

// RP_GROUP_LINEAR invocations a tile; grid (column tiles, row tiles). w, bias and scale are weights: no launch of the same
// graph writes them, so that they may be read before the launches in front are done.
struct rp_linear_params {     // y[m, n] = x[m, k] w[n, k]^T (+ bias[n]) (+ residual[m, n])
    RP_UINT m, n, k;
    RP_UINT has_bias, has_residual;
    RP_UINT w_f16;            // 1: w is float16, and x is rounded to it (what lies beyond its range, to its largest number)
    RP_UINT x_f16, y_f16;     // 1: x, or y, is float16; only with w_f16
    RP_UINT gated;            // 1: of every 16 columns, 8 are a and 8 are b; y[m, n / 2] = silu(a) * b; no residual
    RP_UINT norm;             // 1: rows of x are normalised first, as rmsnorm does with scale [k] and eps; float32 x, m <= SKINNY_M
    float eps;
    RP_UINT silu;             // 1: y = silu(x w^T + bias); neither gated nor with a residual
    RP_UINT w_pairs;          // 1: w is in pairs of float16 with w_scale [n], as pair_rows makes them; x and y are float32. Devices with wgmma
};

// A warp for each row, RP_PAIR_WARPS in a group; out may be w itself. With W the largest magnitude of a row: w_scale = 2^E, E =
// floor(log2 W) or -112, whichever is larger; hi = float16(w 2^(14-E)), lo = float16(w 2^(14-E) - hi), each to nearest even, and of every
// RP_LINEAR_PAIR_CHUNK columns first all hi, then all lo, at RP_PAIR_AT(column). So w = (hi + lo) 2^-14 w_scale, to 2^-23 of |w| and 2^-39
// of W. Four neighbours of a sixteen lie where a lane of the matrix units has its columns of x: two, and two 8 further on.
#define RP_PAIR_WARPS 8
#define RP_PAIR_AT(column) ((column) / 16 * 16 + (column) % 4 / 2 * 8 + (column) % 16 / 4 * 2 + (column) % 2)
#define RP_PAIR_COLUMN(at) ((at) / 16 * 16 + (at) % 8 / 2 * 4 + (at) % 16 / 8 * 2 + (at) % 2)          // which lies there
struct rp_pair_rows_params {  // w [rows, k] -> float16 [rows, 2 k], w_scale [rows]; k is a multiple of RP_LINEAR_PAIR_CHUNK
    RP_UINT rows, k;
};

// A group for each row; invocation i sums elements i, i + 64, .. ascending; then halving 64 -> 32 -> .. -> 1. On fast devices, where
// width is even and at most 2048, a warp for each row and up to RP_NORM_WARPS in a group; same sums.
#define RP_NORM_WARPS 8
struct rp_rmsnorm_params {    // y = x / sqrt(mean(x^2) + eps) * scale, rows of width
    RP_UINT rows, width;
    float eps;
    RP_UINT y_f16;            // 1: y is float16, rounded once more
    RP_UINT run;              // above 0: of every so many rows (the heads of q, k and v) the first `queries` take scale [2, width]'s
    RP_UINT queries, keys;    // row 0, the next `keys` take row 1, the rest are copied. 0: all rows take scale [width]
};

// point over pairs (b, s, v, token, head, pair): adjacent pairs (2i, 2i + 1). rope [positions, d/2, 2] (cos, sin) f32;
// xpos [exponents, d/2] f32: s_i^(e/512), row xpos_zero + e, e = position - floor(t_max / 2), t_max = n_tokens[b] - 1 in the
// prompt and the position itself in a decode step; q is multiplied by it and k divided. Element j of a head takes factor
// j mod d/2 (so the two of a pair differ). Tokens at or past n_tokens[b] are dead: skip them.
struct rp_rope_kv_params {    // qkv [B, S, V, n, 3, h, d] -> q [B, S, V, n, h, d], k and v into caches [B, S, V, cap, h, d]
    RP_UINT batch, paths, variates;
    RP_UINT tokens;           // n
    RP_UINT heads, head_width;
    RP_UINT cap;              // slots of the cache
    RP_UINT decode;           // 0: token i sits at position i, slot i; 1: n = 1, position n_tokens[b] + step - 1, slot step - 1
    RP_UINT extra;            // tokens before the patches (variate labels): n_tokens[b] = n_patches[b] + extra
    RP_UINT xpos_zero;        // row of the xpos table that holds exponent 0
    RP_UINT f16;              // 1: qkv, q, k and v are float16; head_width is a multiple of 4
};

// A group of RP_GROUP_ROW for each (b, s, v, token, head). Prompt (suffix_cap 0): query i sees keys 0..i; dead tokens write 0.
// Decode: all n_patches[b] + extra prefix keys, then suffix slots 0..step-1. Own (own = 1): the queries are the suffix; query i
// < step sees all prefix keys, then suffix slots 0..i; dead ones (i >= step) write 0. y [B, S, V, n, h, d]
struct rp_attn_time_params {  // causal over the tokens of one variate; keys: a shared prefix, then a suffix of each path
    RP_UINT batch, paths, variates;
    RP_UINT tokens;           // n queries for each (series, path, variate)
    RP_UINT heads, head_width;
    RP_UINT prefix_cap;       // N, slots of the prefix cache [B, V, N, h, d]
    RP_UINT suffix_cap;       // R, slots of the suffix cache [B, S, V, R, h, d]; 0: none, the queries are the prefix (prompt)
    RP_UINT extra;
    float scale, scale_rest;  // of the scores, 1/sqrt(d); the rest is what float32 leaves of it, which float64 adds
    RP_UINT own;              // 1: n = R queries of each path, causal over its suffix; only with suffix_cap > 0
    RP_UINT y_f16;            // 1: y is float16
    RP_UINT mixed;            // 1: queries, keys, values and weights may be rounded to float16 on their way to matrix units
    RP_UINT x_f16;            // 1: queries, keys and values are float16; head_width is a multiple of 4; only with mixed
};

// What rope_kv and attn_time do, in one launch, for short contexts: RP_ATTN_SHORT_KEYS keys at most, heads of RP_ATTN_SHORT_HEAD at most in
// whole pieces of four. Prompt (suffix_cap 0): one path; kv is the prompt's, and kv_prefix is absent. Decode: n = 1; kv is each path's, of which
// slot step - 1 is written; n_patches, step, kv_prefix and the slots before are as weights: no launch of the same graph writes them in
// front of this one. Scores and sums as above. A group of RP_GROUP_ROW for each (b, s, v, token, head), which turns the keys that it sees.
struct rp_attn_rope_params {  // qkv [B, S, V, n, 3, h, d], tables [positions d + exponents d/2], kv_prefix [2, B, V, N, h, d],
    RP_UINT batch, paths, variates;      // kv [2, B, S, V, R or N, h, d], n_patches [B], step -> kv, y [B, S, V, n, h, d]
    RP_UINT tokens;
    RP_UINT heads, head_width;
    RP_UINT prefix_cap, suffix_cap;      // N, R
    RP_UINT extra;
    RP_UINT positions;        // of the angles [positions, d/2, 2], with which the tables begin; powers [exponents, d/2] follow
    RP_UINT xpos_zero;        // row of the powers that holds exponent 0; there are 2 xpos_zero + 1
    float scale, scale_rest;
    RP_UINT f16;              // 1: qkv, keys, values and y are float16, and what turned is rounded to it
};

// A group of RP_GROUP_ROW for each (b, s, v, token, head); keys are the variates u with equal group id. y [B, S, V, n, h, d]. On fast
// devices a group takes all variates, of which there are at most RP_SPACE_MOST, with q, k, v and scores in shared memory; same sums.
// It has RP_SPACE_SIDE squared invocations, 2 x 2 scores each at most, or, for at most RP_SPACE_FEW variates, that squared. One variate:
// point over pieces of four elements.
#define RP_SPACE_FEW 8
#define RP_SPACE_SIDE 16
// With hidden [B, V, patches]: token i is that of patch first + i, shown where patches ends before; a hidden variate sees the
// hidden ones at that token, whatever their group, and no other sees it.
#define RP_SPACE_MOST 32
#define RP_SPACE_BYTES(variates, d) (4u * (variates) * (3u * (d) + 8u + RP_SPACE_MOST + 1u) + 8u * RP_SPACE_MOST)
#define RP_SPACE_SHARED 49152u
struct rp_attn_space_params { // over the variates at one token, inside equal group numbers; qkv [B, S, V, n, h + 2 g, d]
    RP_UINT batch, paths, variates;
    RP_UINT tokens;
    RP_UINT heads, head_width;
    float scale, scale_rest;
    RP_UINT y_f16;
    RP_UINT kv_heads;         // g: query head j reads key head j g / h, rounded down
    RP_UINT patches;          // 0: no hidden
    RP_UINT first;
};

// point
struct rp_silu_mul_params {   // x [rows, 2 width] = (a, b) -> silu(a) * b [rows, width]
    RP_UINT rows, width;
};

// point over the output; variate v takes the exogenous label when v >= V - step.exogenous
struct rp_prepend_label_params { // x [B, V, n, D] -> [B, V, 1 + n, D]; labels [2, D]: target, exogenous
    RP_UINT batch, variates, tokens, width;
};

// point over the output; a token that is not there is 0
struct rp_gather_last_params { // x [B, V, n, D] -> [B, V, count, D]: the tokens from n_patches[b] + extra - 1 on
    RP_UINT batch, variates, tokens, width;
    RP_UINT extra;
    RP_UINT count;
    RP_UINT from_start;       // 1: from token `extra` on, whatever n_patches
};

// One invocation for each row, RP_GROUP_ROW in a group; on fast devices, for at most 32 components, RP_GROUP_MIXTURE of them for
// RP_MIXTURE_ROWS rows, or, below RP_MIXTURE_MANY, for RP_MIXTURE_FEW. df = 2 + max(softplus, eps), scale = max(softplus, eps), probs =
// softmax (sum ascending), eps = 1.1920929e-7
#define RP_GROUP_MIXTURE 128
#define RP_MIXTURE_ROWS 32
#define RP_MIXTURE_FEW 8
#define RP_MIXTURE_MANY 8192
struct rp_mixture_params {    // raw [rows, parts, k] -> [rows, 4, k]: df, loc, scale, probs
    RP_UINT rows;             // one for each (token, step of the patch)
    RP_UINT components;       // k
    RP_UINT parts;            // 4, or 3: no mixture weights, probs = 1
};

// point over (b, v, p, s), s fastest. Dead paths (path0 + s >= paths) and series (b >= batch) write nothing to result. On fast
// devices in groups of RP_GROUP_ROW where there are fewer than RP_DRAW_MANY points.
//   dist [B, S or 1, V, P, 4, k]; affine [B, S or 1, V, P, 2]; future [B, V, horizon_cap] (rows of the known variates are
//   filled); forced [horizon_cap / P, paths_cap, B, V, P], only in mode FORCED; series_ids [B]; patch [B, S, V, P]; result [B, V,
//   horizon_cap, paths_cap]. Random words: Philox(key = seed, counter = (series id, v, path0 + s, step P + p)): words 0, 1, 2
//   are component, u, v of rp_student_t. Component: the first whose cumulated probability exceeds u, else the last.
//   y = loc + scale x; not finite or |y| >= FLT_MAX/2: 0. A known future value replaces what was drawn, in patch and result.
#define RP_DRAW_MANY 65536
struct rp_draw_params {
    RP_UINT batch, paths, variates;
    RP_UINT patch_size;
    RP_UINT components;
    RP_UINT mode;             // RP_DRAW_*
    RP_UINT one_dist;            // 1: dist and affine have no path axis (first patch, straight from the prompt)
    RP_UINT horizon_cap;      // H slots of result [B, V, H, paths_cap], a multiple of P
    RP_UINT paths_cap;
};

// one invocation
struct rp_advance_params {
    RP_UINT what;             // RP_ADVANCE_*
    RP_UINT chunk_paths;
};

// point over (p, j, i), i = 0..D, where i = D is the bias; float64 sums in ascending e, rounded once
struct rp_fold_head_params {  // w[p, j, i] = sum_e proj[j, e] unembed[p, e, i]; b[p, j] likewise, + proj_b[j]; float64 sums
    RP_UINT patch_size;       // P
    RP_UINT width;            // D
    RP_UINT outputs;          // parts * k
    RP_UINT w_f16;            // 1: w is float16, rounded once from float64; b stays float32
};

// ---- Kronos. Letters: B series, S paths, L bars of context (capacity), N tokens of the window's shared part (capacity, <= C),
// C bars of the whole window, H horizon (capacity), R suffix capacity. A bar has 6 numbers. Numbers of tokens are U32. ----

#define RP_BAR_COLUMNS 6
#define RP_BAR_STAMPS 5       // minute, hour, weekday (Monday 0), day of month, month
// First row of each in the stacked time tables, 60 + 24 + 7 + 32 + 13 rows.
#define RP_STAMP_HOUR 60
#define RP_STAMP_WEEKDAY 84
#define RP_STAMP_DAY 91
#define RP_STAMP_MONTH 123
#define RP_STAMP_ROWS 136

// A group of RP_GROUP_ROW for each (b, column). Float32 throughout, each operation rounded once to nearest (so bit for bit the
// same everywhere, and in the reference; shaders: rp_div_rn and rp_sqrt_rn of op_math.h). n = n_bars[b];
//   mean = sum(v) / n; std = sqrt(sum((v - mean) (v - mean)) / n), product rounded before it is added;
//   x = clip((v - mean) / (std + 1e-5), -5, 5).
// Sums pairwise as numpy's: n < 8: ascending from the first; n <= 128: eight sums r_j of elements j, j + 8, .. ascending, joined
// ((r0+r1)+(r2+r3))+((r4+r5)+(r6+r7)), then the last n mod 8 elements added ascending; else the sum of the two such sums of
// the first m and the other n - m elements, m = n/2 rounded down to a multiple of 8. Any split of work gives the same bits.
//   bars [B, L, 6], n_bars [B] -> x [B, L, 6], 0 past n; affine [B, 6, 2]: mean, std
struct rp_bars_scale_params {
    RP_UINT batch;
    RP_UINT bars;             // L
};

// One invocation for each b, RP_GROUP_ROW in a group. The window holds the last C bars: with `at` bars that each path has of its
// own, the last n_tokens = min(n_bars, C - at) of the context, from bar first = n_bars - n_tokens on.
struct rp_slide_params {      // n_bars [B], step -> n_tokens, first, own [B]; own = at
    RP_UINT batch;
    RP_UINT window;           // C
    RP_UINT at_end;           // 0: at = step.step; 1: at = step.horizon
};

// point over (row, part): token = sum of 2^j over the part's values above 0, lowest bit first
struct rp_pack_bits_params {  // y [rows, s1_bits + s2_bits] -> tokens [rows, 2]
    RP_UINT rows;
    RP_UINT s1_bits, s2_bits;
};

// point over the output; a dead row is 0. Where tokens stand: PROMPT: tokens [B, tokens_cap, 2] at the row's bar; STEP and OWN:
// [B, S, tokens_cap, 2] at the row's slot.
struct rp_unpack_bits_params { // tokens, n_tokens [B], first [B], step -> y [B, S, n, bits]: scale for a 1, -scale for a 0
    RP_UINT batch, paths;
    RP_UINT tokens;           // n
    RP_UINT tokens_cap;
    RP_UINT rows;             // RP_ROWS_*
    RP_UINT s1_bits, s2_bits;
    float scale, scale_rest;  // 1/sqrt(s1_bits + s2_bits); the rest is what float32 leaves of it, which float64 adds
};

// point over the output; a dead row is 0. Tokens stand as in unpack_bits; stamps [B, stamps_cap, 5] by bar; table [2^s1_bits +
// 2^s2_bits, D]: s1's rows, then s2's; times [RP_STAMP_ROWS, D]. Sum: s1 + s2, then + minute, hour, weekday, day, month. With
// s1_alone that of s2, which is not drawn yet, is left out.
struct rp_embed_bars_params { // tokens, stamps, table, times, n_tokens [B], first [B], step -> x [B, S, n, D]
    RP_UINT batch, paths;
    RP_UINT tokens;           // n
    RP_UINT tokens_cap;
    RP_UINT stamps_cap;       // L + H
    RP_UINT rows;             // RP_ROWS_*
    RP_UINT s2_row;           // first row of s2 in table: 2^s1_bits
    RP_UINT table_rows;
    RP_UINT width;            // D
    RP_UINT s1_alone;
};

// point over pairs (b, s, token, head, i): element i < d/2 of a head turns with element i + d/2 by the angle whose (cos, sin) is
// rope[position, i]: a cos - b sin, b cos + a sin. k and v go to the row's slot (PROMPT: slot = position). Dead rows are skipped.
struct rp_rope_half_params {  // qkv [B, S, n, 3, h, d], rope [positions, d/2, 2], n_tokens [B], step -> q [B, S, n, h, d], k, v [B, S, cap, h, d]
    RP_UINT batch, paths;
    RP_UINT tokens;           // n
    RP_UINT heads, head_width;
    RP_UINT cap;              // slots of the caches
    RP_UINT positions;        // rows of rope
    RP_UINT rows;             // RP_ROWS_*
    RP_UINT f16;              // 1: qkv, q, k and v are float16; head_width is a multiple of 4
};

// What rope_half and attn_time do for one new token of each path, RP_ROWS_STEP, in one launch: q and k turn, k and v go to slot
// step - 1, and q sees the prefix keys and slots 0 .. step - 1. n_tokens, step, the prefix and the slots before step - 1 are as weights:
// no launch of the same graph writes them in front of this one, so that they may be read before those are done. So one graph may not
// hold two steps. A group of RP_GROUP_ROW for each (b, s, head); scores and sums as above.
// Cross-attention (positions 0): nothing turns; kv [B, S, 2, h, d] in place of qkv, q [B, S, h, d] in place of rope.
struct rp_attn_step_params {  // qkv [B, S, 3, h, d], rope [positions, d/2, 2], kv_prefix [2, B, N, h, d], kv [2, B, S, R, h, d],
    RP_UINT batch, paths;     // n_tokens [B], step -> kv, y [B, S, h, d]
    RP_UINT heads, head_width;
    RP_UINT prefix_cap, suffix_cap;      // N, R
    RP_UINT positions;        // 0: cross-attention
    float scale, scale_rest;
    RP_UINT f16;              // 1: qkv, q, keys, values and y are float16, head_width is a multiple of 4, and what turned, and weights, may be
};                            // rounded to float16 on their way to matrix units

// point over (row, element of D); slot step - 1
struct rp_cache_kv_params {   // kv [rows, 2, D], step -> k, v [rows, cap, D]
    RP_UINT rows;             // B S
    RP_UINT cap;
    RP_UINT width;            // D
    RP_UINT f16;              // 1: kv, k and v are float16
};

// Which series a draw is for; the others' tokens stay as they are.
#define RP_DRAW_ALL 0
#define RP_DRAW_GROWING 1     // n_bars[b] + step <= C
#define RP_DRAW_SLIDING 2     // n_bars[b] + step > C

// A group of RP_GROUP_DRAW for each (b, s).
// settings [3] U32: the bits of temperature (float, > 0), top_k, the bits of top_p.
//   z = logit / temperature, m = the largest z, e = exp(z - m) in multiples of 2^-40, rounded down, so that sums are exact and may be
//   taken in any order; kept: all;
//   if top_k > 0: those with z >= the min(top_k, n)-th largest, equal ones counted each (so top_k = 1 is greedy);
//   else if top_p < 1: in falling order of z, the lower number first among equals, the first, and those before which the sum of
//   e is <= top_p (in multiples of 2^-32, rounded down) times the sum of all e.
//   u = (word 0 of Philox(key = seed, counter = (series id, path0 + s, step, which)) + 1/2) / 2^32; the token is the first, in
//   order of number, at which the sum of e of the kept exceeds u times the sum over all kept. Logits that are no numbers: token 0.
// Then, where D > 0, y[b, s] is the token's row of table, or, with `adds`, that is added to what y holds (which has no binding of its own among
// the inputs: there are eight, and who wrote y comes first all the same). Zeros where series, or the step, is not this draw's.
#define RP_GROUP_DRAW 256
#define RP_DRAW_MAX 2048      // the largest n: what is kept of it in shared memory is 16 KiB (shader)
struct rp_draw_token_params { // logits [B, S or 1, n], settings, n_bars [B], series_ids [B], step, table [n, D] -> tokens [B, S, tokens_cap, 2],
    RP_UINT batch, paths;     // y [B S, D]
    RP_UINT n;                // 2^bits
    RP_UINT which;            // 0: s1, 1: s2; written at tokens[b, s, step, which]
    RP_UINT one_row;          // 1: logits have no path axis
    RP_UINT tokens_cap;       // H
    RP_UINT window;           // C
    RP_UINT series;           // RP_DRAW_ALL, GROWING or SLIDING
    RP_UINT width;            // D; 0: neither table nor y
    RP_UINT y_f16;            // 1: y is float16; not with adds
    RP_UINT adds;
    RP_UINT moved;            // 1: the step block has moved on already: the step is one less than it says. It is the step's last launch then
};

// point over (row, t), t fastest: rows of a caller's tensor, padded. y[row, t] is x[x_start + row row_stride + (t - pad) stride]
// where pad <= t < pad + count, else 0; y_mask there is 1 where mask's byte at mask_start + row mask_row_stride + (t - pad)
// mask_stride is not 0 (no mask: everywhere) and the number is no NaN. Numbers that are not finite become 0 where y_mask is 0,
// so that no sum meets them. bad[0] becomes 1 where y_mask is 1 and the number is beyond RP_PAD_LARGEST; else it stays.
// Indices are taken modulo 2^32, so that strides may be negative. known: y_mask is not written, and a NaN is bad. Of the last `whole`
// numbers of a row y_mask is 1 whatever they are: those that it would be 0 for keep their value, or are 0 beyond RP_PAD_LARGEST.
// x [x_count], mask [mask_words] bytes in words -> y [rows, y_stride], of which [rows, cap]; y_mask the same, 0 or 1; bad [1] u32
struct rp_pad_rows_params {
    RP_UINT rows;             // V
    RP_UINT count;            // numbers of a row
    RP_UINT pad;              // zeros before them; pad + count <= cap
    RP_UINT cap;              // T of y
    RP_UINT y_stride;         // from one row of y to the next, at least cap
    RP_UINT whole;            // at most count
    RP_UINT x_count, x_start, x_row_stride, x_stride;               // in numbers
    RP_UINT mask_words, mask_start, mask_row_stride, mask_stride;   // in words, and the rest in bytes; mask_words 0: no mask
    RP_UINT known;
};
#define RP_PAD_LARGEST 0x7149f2cau   // 1e30 in float32: the largest value that a series may have

// point over (bar, column), column fastest: bars of a caller's tensor. y[bar, c] is x[x_start + bar x_row_stride + c x_stride], its
// index modulo 2^32, where c < columns; else a volume is 0 and an amount that of core/op_amount.h. A number at or beyond
// RP_BARS_LIMIT, or a NaN, counts as 0, and bad[0] becomes 1; else it stays.
struct rp_take_bars_params {  // x [x_count] -> y [bars, 6], bad [1] u32
    RP_UINT bars;
    RP_UINT columns;          // 4, 5 or 6
    RP_UINT x_count, x_start, x_row_stride, x_stride;
};
#define RP_BARS_LIMIT 0x5bb1a2bcu    // 1e17 in float32, which a bar's numbers are below: their squares, summed, are still float32

// point over (b, column, t, s), s fastest: y (std + 1e-5) + mean. Only live ones: b < step.batch, path0 + s < step.paths,
// t < step.horizon.
struct rp_bars_result_params { // y [B, S, H, 6], affine [B, 6, 2], step -> result [B, 6, H, paths_cap] at path0 + s
    RP_UINT batch, paths;
    RP_UINT horizon_cap;      // H
    RP_UINT paths_cap;
};

// ---- Toto 2.0: block decode. A call forwards tokens that are given (the context, or the K patches predicted last) and, behind
// them, the future ones but the last, whose output nobody reads. What tokens a call has follows from n_patches[b], the step block
// and three parameters, see rp_call_of in core/op_math.h:
//   block       K: patches predicted in one call
//   patch_size  P
//   later       0: the first call, from the context; 1: call number step.step, from the K patches before
// A token sits at the patch, position and cache slot start + i. Tokens at or past the live ones are dead.

// What the reader of the scaler must know of a variate: [B, V, RP_BLOCK_STATE] f64.
#define RP_BLOCK_STATE 5      // n, mean, M2 of the values observed so far; least and largest of the context's
#define RP_BLOCK_QUANTILES 9  // levels 0.1 .. 0.9

// A group for each (b, v). In the order of time, 64 patches together: (n, mean, M2) of each patch on its own (mean first, then
// squares around it, ascending), an inclusive scan by doubling (for stride 1, 2, .. 32: x_i = merge(x_{i - stride}, x_i); Chan,
// Golub, LeVeque 1979), the state so far merged into each. A patch whose running count is below settings[0] takes the statistics
// of the first so many values observed in series (one by one in the patch where they end), or of all where there are fewer.
// On fast devices eight lanes take a patch: sums of lanes by halving; scans of 32 patches by a warp each, whose results are merged in
// order.
//   series [2, B, V, A, P]: values, then 1 where observed; n_patches [B] of context, then the future ones up to step.horizon
//   settings [2] U32: scaler_fallback_min_obs, 0 for none; the bits of quantile_real_cap_k, 0 for none
//   x [B, V, n, 2, P]: asinh((value - mean) / std), 0 where not observed; 1 where not observed. Dead tokens are 0
//   state: after the given patches; read where later. hidden [B, V, N] U32: 1 for patches of context with nothing observed, 0
//   for those past it; written in the first call. std = max(sqrt(M2 / max(n - 1, 1)), 1e-6)
struct rp_block_scale_params { // series, settings, n_patches, step, state -> x, state, hidden
    RP_UINT batch, variates;
    RP_UINT tokens;           // n
    RP_UINT patches;          // N
    RP_UINT series_patches;   // A
    RP_UINT patch_size, block, later;
    RP_UINT x_f16;            // 1: x is float16
};

// point over (b, v, token, head of q, k and v, pair (2i, 2i + 1)). The first w = d/2 elements of each head of q and k turn: angle
// rope[position, i], i < w/2; then q times powers[zero + e, i], k times powers[zero - e, i], e = position - c, c = (start + given +
// fresh) / 2 rounded down. k and v go to slot start + token. Dead tokens are skipped. On fast devices a group of RP_GROUP_ROPE takes a
// token, where heads are in whole pieces of eight. Same bits.
struct rp_block_rope_params { // qkv [B, V, n, h + 2 g, d], rope [positions, w/2, 2], powers [2 zero + 1, w/2], n_patches, step ->
    RP_UINT batch, variates;  // q [B, V, n, h, d], k, v [B, V, cap, g, d]
    RP_UINT tokens;           // n
    RP_UINT heads, kv_heads, head_width;
    RP_UINT cap, zero;
    RP_UINT patch_size, block, later;
    RP_UINT x_f16;            // 1: qkv is float16; only with y_f16
    RP_UINT y_f16;            // 1: q, k and v are float16
};

// A group of RP_GROUP_ROW for each (b, v, row of y, head), or one for a block of rows: token t sees the keys of slots 0 ..
// start + t that are hidden as it is, or shown as it is. Dead rows are 0. Scores and sums as above; on matrix units in their own order.
struct rp_block_attn_params { // q [B, V, q_tokens, h, d], k, v [B, V, cap, g, d], hidden [B, V, N], n_patches, step -> y [B, V, n, h, d]
    RP_UINT batch, variates;
    RP_UINT tokens, q_tokens; // n
    RP_UINT tail;             // 1: row i of y is the query given - 1 + i, those that predict; 0: query i
    RP_UINT heads, kv_heads, head_width;
    RP_UINT cap, patches;     // N
    RP_UINT patch_size, block, later;
    float scale, scale_rest;
    RP_UINT f16;              // 1: q, k, v and y are float16, and weights may be rounded to it on their way to matrix units
};

// A group for each (b, v, j < count): y = sinh(raw) std + mean by the state; what is not finite becomes the largest or least finite
// y of its level in the patch (the mean where there is none); with a cap k clipped to [least - k std, largest + k std]; the nine
// sorted. They are result's, the fifth is the series' next value, observed. Of the last step.exogenous variates the series' own
// future goes to result. Only j < fresh and b < step.batch.
struct rp_block_result_params { // raw [B, V, count, P, 9], state, settings, n_patches, step, series -> series, result [B, V, 9, horizon_cap]
    RP_UINT batch, variates;
    RP_UINT count;            // of patches; at least fresh
    RP_UINT series_patches;   // A
    RP_UINT horizon_cap;      // a multiple of P
    RP_UINT patch_size, block, later;
};

#endif
