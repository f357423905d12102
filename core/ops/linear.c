// linear: y = x w^T (+ bias) (+ residual), or gated, or through silu; w in float32, or, for matrix units, in float16 or in pairs of it.
#include "../step_block.h"
#include "op.h"

rp_status rp_shape_linear(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(linear);
    EXPECT_F16(p->w_f16);
    const bool pairs = graph->device->wgmma || graph->device->info.kind == RP_DEVICE_REFERENCE;
    if ((p->w_pairs && (!pairs || p->w_f16 || p->k % RP_LINEAR_PAIR_CHUNK != 0)) ||
        (!p->w_f16 && (p->x_f16 || p->y_f16)) || (p->w_f16 && p->k % RP_LINEAR_MIXED_STEP != 0) ||
        (p->gated && (p->has_residual || p->n % (2 * RP_LINEAR_GATE) != 0)) ||
        (p->norm && (p->x_f16 || p->m > RP_LINEAR_SKINNY_M)) || (p->silu && (p->gated || p->has_residual))) {
        return rp_fail(graph->device, RP_INTERNAL, "'%s' asks for a product that no kernel makes (op_params.h, linear).", node->label);
    }
    EXPECT(0, p->x_f16 ? RP_F16 : RP_F32, p->m, p->k);
    EXPECT(1, p->w_f16 || p->w_pairs ? RP_F16 : RP_F32, p->n, p->w_pairs ? 2 * p->k : p->k);
    if (p->has_bias) { EXPECT(2, RP_F32, p->n); }
    if (p->has_residual) { EXPECT(3, RP_F32, p->m, p->n); }
    if (p->norm) { EXPECT(4, RP_F32, p->k); }
    if (p->w_pairs) { EXPECT(5, RP_F32, p->n); }
    out[0] = RP_SHAPE(p->y_f16 ? RP_F16 : RP_F32, p->m, p->gated ? p->n / 2 : p->n);
    return RP_OK;
}

// Compute capability 9.0: the tiles that are done soonest, by cycles of a multiprocessor as fits what an H200 took for 32 shapes (within a
// sixth; what is picked is 1.6 % above the fastest in the mean): `chunk` for 64 columns of k, or what the L2 cache takes for all that is
// read; `store` for what a tile takes besides, `begin` for the launch. Of kernels whose warpgroups take turns, one stores while the other
// multiplies. A cluster of m x n groups, in each of which one warpgroup multiplies, makes as many tiles and reads each row's x and each column's w
// once. The L2 cache gives 7000 bytes a cycle in all.
static void launch_wgmma(const struct rp_linear_params *p, rp_launch *out) {
    static const struct { const char *kernel; uint32_t rows, columns, bytes; bool turns; uint32_t m, n, chunk, store, begin; } tiles[RP_LINEAR_WGMMA_SHAPES] = {
        { "linear_wgmma_turns_128x128", 128, 128, RP_LINEAR_WGMMA_SHARED(128, 128, 6, 8), true, 1, 1, 775, 2300, 2500 },
        { "linear_wgmma_turns_64x128", 64, 128, RP_LINEAR_WGMMA_SHARED(64, 128, 8, 8), true, 1, 1, 325, 1900, 3000 },
        { "linear_wgmma_128x256", 128, 256, RP_LINEAR_WGMMA_SHARED(128, 256, 4, 8), false, 1, 1, 975, 7900, 600 },
        { "linear_wgmma_128x224", 128, 224, RP_LINEAR_WGMMA_SHARED(128, 224, 4, 8), false, 1, 1, 975, 5500, 1000 },
        { "linear_wgmma_128x192", 128, 192, RP_LINEAR_WGMMA_SHARED(128, 192, 4, 8), false, 1, 1, 975, 2700, 2500 },
        { "linear_wgmma_128x128", 128, 128, RP_LINEAR_WGMMA_SHARED(128, 128, 6, 8), false, 1, 1, 775, 300, 4000 },
        { "linear_wgmma_128x96", 128, 96, RP_LINEAR_WGMMA_SHARED(128, 96, 7, 8), false, 1, 1, 500, 2700, 2000 },
        { "linear_wgmma_128x64", 128, 64, RP_LINEAR_WGMMA_SHARED(128, 64, 8, 8), false, 1, 1, 325, 1100, 3500 },
        { "linear_wgmma_cluster_64x128", 64, 128, RP_LINEAR_WGMMA_SHARED(64, 128, 8, 4), false, 1, 2, 300, 1500, 3500 },
        { "linear_wgmma_cluster_64x96", 64, 96, RP_LINEAR_WGMMA_SHARED(64, 96, 9, 4), false, 2, 1, 325, 1900, 2000 },
        { "linear_wgmma_cluster_64x64", 64, 64, RP_LINEAR_WGMMA_SHARED(64, 64, 12, 4), false, 1, 2, 225, 1900, 2000 },
        { "linear_wgmma_cluster_64x32", 64, 32, RP_LINEAR_WGMMA_SHARED(64, 32, 14, 4), false, 1, 4, 225, 2300, 600 },
    };
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < RP_LINEAR_WGMMA_SHAPES; i++) {
        const uint64_t rows = tiles[i].rows, columns = tiles[i].columns, together = tiles[i].m * tiles[i].n;
        const uint64_t n = ceil_div(p->m, rows * tiles[i].m) * ceil_div(p->n, columns * tiles[i].n);       // clusters' worth of tiles
        const uint64_t places = out->processors > together ? out->processors / together : 1, busy = n < places ? n : places, rounds = ceil_div(n, places);
        const uint64_t lines = p->k > 64 && p->k % 64 != 0 ? 2 : 1;           // rows that do not begin at cache lines cost it twice
        const uint64_t cache = lines * 128 * (rows / tiles[i].n + columns / tiles[i].m) * busy * together / 7000;
        const uint64_t main = ceil_div(p->k, 64) * (tiles[i].chunk > cache ? tiles[i].chunk : cache), store = tiles[i].store;
        const uint64_t apart = (main + store) / 2 > main ? (main + store) / 2 : main;         // from one tile's end to the next's, in turns
        const uint64_t cycles = tiles[i].begin + (tiles[i].turns ? (rounds - 1) * apart + main + store : rounds * (main + store));
        if (out->wgmma > 1 ? i != out->wgmma - 2 : cycles >= least) { continue; }
        least = cycles;
        out->kernel = tiles[i].kernel;
        out->group = together > 1 ? RP_LINEAR_WGMMA_ALONE : RP_LINEAR_WGMMA_GROUP;
        out->shared_bytes = tiles[i].bytes;
        out->grid[0] = (uint32_t)(busy * together);
        out->map[0] = (rp_launch_map){ 0, p->m, p->k, (uint32_t)rows / tiles[i].n };
        out->map[1] = (rp_launch_map){ 1, p->n, p->k, (uint32_t)columns / tiles[i].m };
    }
    out->grid[1] = out->grid[2] = 1;
    out->n_maps = 2;
}

// Blocks, or where gated pairs of them, of a group, chunk sums permitting: one group a multiprocessor; or, where a group's weights are at most so
// many bytes, half as many groups, so that the next launch's weights come to the other multiprocessors meanwhile. With float16 weights that pays
// for float16 x up to 8 rows alone; all by an H200.
#define SKINNY_FEW 98304
static uint64_t skinny_turns(const struct rp_linear_params *p, uint64_t turns, uint64_t processors) {
    const uint64_t all = processors > 0 ? processors : 1, half = ceil_div(turns, ceil_div(all, 2));
    const uint64_t bytes = half * (p->gated ? 16 : 8) * p->k * (p->w_f16 ? 2 : 4);
    const bool pays = p->w_f16 ? p->x_f16 && p->m <= 8 : p->w_pairs;
    return pays && bytes <= SKINNY_FEW ? half : ceil_div(turns, all);
}

// At most RP_LINEAR_SKINNY_M rows on matrix units.
static void launch_skinny(const struct rp_linear_params *p, const char *const kernels[2], rp_launch *out) {
    const uint64_t chunks = ceil_div(p->k, RP_LINEAR_SKINNY_CHUNK), in_turn = p->gated ? 2 : 1, turns = ceil_div(p->n, 8 * in_turn);
    const uint64_t rows = p->m > 8 ? 16 : 8, turn_bytes = in_turn * rows * 32, fit = RP_LINEAR_SKINNY_SUMS / (chunks * turn_bytes);
    const uint64_t even = skinny_turns(p, turns, out->processors), each = even < fit ? even : fit > 0 ? fit : 1;
    const uint64_t groups = ceil_div(turns, each), blocks = ceil_div(turns, groups) * in_turn;
    const uint64_t limit = out->wgmma ? RP_LINEAR_SKINNY_LARGE : RP_LINEAR_SKINNY_SHARED;
    const uint64_t deepest = rows > 8 ? blocks : ceil_div(blocks, 2), unit = 8 * RP_LINEAR_SKINNY_CHUNK * (p->w_f16 ? 2 : 4), sums = blocks / in_turn * turn_bytes;
    // x: turned by a warp a row, or copied; bytes of a chunk of it, and what there is besides: bytes between rows; roots and scales.
    const bool turned = p->w_f16 ? !p->x_f16 : p->norm != 0;
    const uint64_t x = p->m * RP_LINEAR_SKINNY_CHUNK * (p->w_f16 ? 2 : 4), pads = p->m * RP_LINEAR_SKINNY_PAD;
    const uint64_t norm = p->norm ? RP_LINEAR_SKINNY_M * (8 + (p->w_pairs ? chunks * 4 : 0)) + ceil_div(chunks, 4) * 4 * RP_LINEAR_SKINNY_CHUNK * 4 : 0;
    for (uint64_t warps = RP_LINEAR_SKINNY_WARPS; warps > 0; warps--) {
        const uint64_t each_warp = ceil_div(chunks, warps), lanes_k = ceil_div(chunks, each_warp);
        const uint64_t lanes_n = deepest < warps / lanes_k ? deepest : warps / lanes_k, busy = lanes_k * lanes_n;
        const uint64_t units = lanes_n * ceil_div(blocks, lanes_n) * unit, rows_at_once = p->m < warps ? p->m : warps;
        const bool held = !turned || (chunks <= RP_LINEAR_SKINNY_HELD && rows_at_once == p->m);       // rows of x, by a warp each
        // All chunks, or as many as sums may be of, in whole rounds.
        uint64_t rounds = each_warp, bytes = RP_LINEAR_SKINNY_SPAN(chunks, rounds, lanes_k, units, x, sums);
        while (rounds > 1 && (norm + pads + bytes > limit || (fit == 0 && rounds * lanes_k * sums > RP_LINEAR_SKINNY_SUMS))) {
            rounds--;
            bytes = RP_LINEAR_SKINNY_SPAN(rounds * lanes_k, rounds, lanes_k, units, x, sums) + sums;
        }
        out->group = (uint32_t)(32 * (turned && busy < rows_at_once ? rows_at_once : busy));
        out->shared_bytes = (uint32_t)(norm + pads + bytes);
        out->kernel = kernels[rounds < each_warp || !held];
        if (out->shared_bytes <= limit) { break; }
    }
    out->grid[0] = (uint32_t)groups;
    out->grid[1] = out->grid[2] = 1;
}

// The largest tiles that keep most multiprocessors busy. All but the skinny kernel give the same bits.
static void launch_mixed(const struct rp_linear_params *p, rp_launch *out) {
    static const struct { const char *kernel[2]; uint32_t rows, columns, group, bytes; } tiles[] = {
        { { "linear_mixed", "linear_mixed_x32" }, 128, 128, 256, RP_LINEAR_LARGE_SHARED },
        { { "linear_mixed_medium", "linear_mixed_medium_x32" }, 64, 64, 128, RP_LINEAR_MEDIUM_SHARED },
        { { "linear_mixed_narrow", "linear_mixed_narrow_x32" }, 32, 64, 128, RP_LINEAR_NARROW_SHARED },
    };
    if (p->m <= RP_LINEAR_SKINNY_M) {
        static const char *const kernels[2][2][2] = {
            { { "linear_mixed_skinny_x32", "linear_mixed_skinny_x32_long" }, { "linear_mixed_skinny", "linear_mixed_skinny_long" } },
            { { "linear_mixed_skinny_wide_x32", "linear_mixed_skinny_wide_x32_long" }, { "linear_mixed_skinny_wide", "linear_mixed_skinny_wide_long" } },
        };
        launch_skinny(p, kernels[p->m > 8][p->x_f16 ? 1 : 0], out);
        return;
    }
    if (out->wgmma && p->x_f16 && p->m >= RP_LINEAR_WGMMA_M) {
        launch_wgmma(p, out);
        return;
    }
    uint32_t i = 0;
    while (i < 2 && 4 * ceil_div(p->m, tiles[i].rows) * ceil_div(p->n, tiles[i].columns) < 3ull * out->processors) { i++; }
    const uint64_t rows = ceil_div(p->m, tiles[i].rows);
    out->kernel = tiles[i].kernel[p->x_f16 ? 0 : 1];
    out->group = tiles[i].group;
    out->shared_bytes = tiles[i].bytes;
    out->grid[0] = (uint32_t)ceil_div(p->n, tiles[i].columns);
    out->grid[1] = (uint32_t)(rows < 65535 ? rows : 65535);
    out->grid[2] = (uint32_t)ceil_div(rows, 65535);
}

// The tiles that are done soonest, by cycles of a multiprocessor as fits what an H200 took for 15 shapes: `chunk` for one of k,
// `store` for what a tile takes besides, `begin` for the launch, its first weights and its last results.
static void launch_pair(const struct rp_linear_params *p, rp_launch *out) {
    static const struct { const char *kernel; uint32_t rows, columns, group, bytes, chunk, store, begin; } tiles[RP_LINEAR_PAIR_SHAPES] = {
        { "linear_pair_128x128", 128, 128, 384, RP_LINEAR_PAIR_SHARED(128, 128, 3), 2110, 10600, 2400 },
        { "linear_pair_128x96", 128, 96, 384, RP_LINEAR_PAIR_SHARED(128, 96, 4), 1950, 7900, 3400 },
        { "linear_pair_128x64", 128, 64, 384, RP_LINEAR_PAIR_SHARED(128, 64, 4), 1610, 5800, 3200 },
        { "linear_pair_64x96", 64, 96, 256, RP_LINEAR_PAIR_SHARED(64, 96, 5), 1280, 5100, 2600 },
        { "linear_pair_64x64", 64, 64, 256, RP_LINEAR_PAIR_SHARED(64, 64, 6), 1070, 3100, 3400 },
        { "linear_pair_64x32", 64, 32, 256, RP_LINEAR_PAIR_SHARED(64, 32, 8), 860, 1500, 4000 },
    };
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < RP_LINEAR_PAIR_SHAPES; i++) {
        const uint64_t n = ceil_div(p->m, tiles[i].rows) * ceil_div(p->n, tiles[i].columns), places = out->processors > 0 ? out->processors : 1;
        const uint64_t chunks = p->k / RP_LINEAR_PAIR_CHUNK, cycles = tiles[i].begin + ceil_div(n, places) * (chunks * tiles[i].chunk + tiles[i].store);
        if (out->wgmma > 1 ? i != out->wgmma - 2 : cycles >= least) { continue; }
        least = cycles;
        out->kernel = tiles[i].kernel;
        out->group = tiles[i].group;
        out->shared_bytes = tiles[i].bytes;
        out->grid[0] = (uint32_t)(n < places ? n : places);
        out->map[0] = (rp_launch_map){ 0, p->m, 2 * p->k, tiles[i].rows };       // bits of float32, 32 a box
        out->map[1] = (rp_launch_map){ 1, p->n, 2 * p->k, tiles[i].columns };
    }
    out->grid[1] = out->grid[2] = 1;
    out->n_maps = 2;
}

// What of a decode step's block a product can be (core/step_block.h).
static rp_step_part step_part_of(const struct rp_linear_params *p) {
    const bool pairs = p->w_pairs;
    if ((!p->w_f16 && !pairs) || p->m > RP_STEP_ROWS || p->silu) { return RP_STEP_NONE; }
    if (!p->norm) { return (p->x_f16 || pairs) && p->has_residual && !p->y_f16 ? RP_STEP_ADD : RP_STEP_NONE; }
    return (p->y_f16 || pairs) && !p->has_residual ? (p->gated ? RP_STEP_GATE : RP_STEP_PROJECT) : RP_STEP_NONE;
}

void rp_launch_linear(const rp_node *node, rp_launch *out) {
    PARAMS(linear);
    out->step_part = step_part_of(p);
    if (p->w_f16) {
        launch_mixed(p, out);
        return;
    }
    if (p->w_pairs) {
        static const char *const kernels[2][2][2] = {
            { { "linear_pair_skinny", "linear_pair_skinny_long" }, { "linear_pair_skinny_norm", "linear_pair_skinny_norm_long" } },
            { { "linear_pair_skinny_wide", "linear_pair_skinny_wide_long" }, { "linear_pair_skinny_wide_norm", "linear_pair_skinny_wide_norm_long" } },
        };
        if (p->m > RP_LINEAR_SKINNY_M) {
            launch_pair(p, out);
        } else {
            launch_skinny(p, kernels[p->m > 8][p->norm ? 1 : 0], out);
        }
        return;
    }
    out->group = RP_GROUP_LINEAR;
    if (p->m <= RP_LINEAR_SKINNY_M && out->fast) {
        const bool deep = p->m <= RP_LINEAR_DEEP_M && p->k > 32 * RP_LINEAR_CHUNK;
        out->kernel = deep ? "linear_f32_split_deep" : "linear_f32_split";
        out->group = (deep ? 64 : 32) * RP_LINEAR_SPLIT_N;
        out->grid[0] = (uint32_t)ceil_div(p->n, RP_LINEAR_SPLIT_N);
        out->grid[1] = out->grid[2] = 1;
        return;
    }
    if (p->m <= RP_LINEAR_SKINNY_M) {
        out->kernel = "linear_f32_skinny";
        out->grid[0] = (uint32_t)ceil_div(p->n, RP_LINEAR_SKINNY_N);
        out->grid[1] = out->grid[2] = 1;
        return;
    }
    // Small tiles where large ones would leave processors idle.
    const bool narrow = ceil_div(p->m, RP_LINEAR_M) * ceil_div(p->n, RP_LINEAR_N) < 2ull * out->processors;
    const uint64_t rows = ceil_div(p->m, narrow ? RP_LINEAR_NARROW : RP_LINEAR_M);
    out->kernel = narrow ? "linear_f32_narrow" : "linear_f32";
    out->grid[0] = (uint32_t)ceil_div(p->n, narrow ? RP_LINEAR_NARROW : RP_LINEAR_N);
    out->grid[1] = (uint32_t)(rows < 65535 ? rows : 65535);
    out->grid[2] = (uint32_t)ceil_div(rows, 65535);
}

void rp_cost_linear(const rp_node *node, rp_cost *out) {
    PARAMS(linear);
    out->flops = 2 * (uint64_t)p->m * p->n * p->k;
}

// 1 / the root of a row's mean square where rows are normalised, else 1.
static double ref_inverse(const struct rp_linear_params *p, const double *x) {
    double squares = 0;
    if (!p->norm) { return 1; }
    for (size_t i = 0; i < p->k; i++) { squares += x[i] * x[i]; }
    return 1 / sqrt(squares / p->k + (double)p->eps);
}

// Float16 tensors are kept as floats. x is not rounded to it: that is an error of the product, which the tests allow for.
static double ref_dot(const struct rp_linear_params *p, void *const *binding, size_t x_row, size_t w_row) {
    const double *x = (const double *)binding[0] + x_row * p->k, *w = (const double *)binding[1] + w_row * p->k, *scale = binding[4];
    double sum[4] = { 0 };                   // four sums: the loop is bound by the latency of one
    size_t l = 0;
    if (p->w_f16 || p->norm) {
        for (; l < p->k; l++) {
            sum[0] += ref_get(binding[0], x_row * p->k + l, p->x_f16) * (p->norm ? scale[l] : 1) * ref_get(binding[1], w_row * p->k + l, p->w_f16);
        }
        return sum[0];
    }
    for (; l + 4 <= p->k; l += 4) {
        for (size_t u = 0; u < 4; u++) { sum[u] += x[l + u] * w[l + u]; }
    }
    for (; l < p->k; l++) { sum[0] += x[l] * w[l]; }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// Of float32 x with a row in pairs.
static double ref_dot_pairs(const struct rp_linear_params *p, void *const *binding, size_t x_row, size_t w_row) {
    const double *x = (const double *)binding[0] + x_row * p->k, *scale = binding[4], *w_scale = binding[5];
    const float *hi = (const float *)binding[1] + w_row * 2 * p->k;
    double sum[2] = { 0 };
    for (size_t l = 0; l < p->k; l += RP_LINEAR_PAIR_CHUNK, hi += 2 * RP_LINEAR_PAIR_CHUNK) {
        for (size_t j = 0; j < RP_LINEAR_PAIR_CHUNK; j += 2) {
            const float *at = hi + RP_PAIR_AT(j), *lo = at + RP_LINEAR_PAIR_CHUNK;      // columns j and j + 1 are neighbours
            const double even = x[l + j] * ((double)at[0] + (double)lo[0]), odd = x[l + j + 1] * ((double)at[1] + (double)lo[1]);
            sum[0] += p->norm ? even * scale[l + j] : even;
            sum[1] += p->norm ? odd * scale[l + j + 1] : odd;
        }
    }
    return (sum[0] + sum[1]) * 0x1p-14 * w_scale[w_row];
}

void rp_ref_linear(const void *params, void *const *binding) {
    REF_PARAMS(linear);
    const double *bias = binding[2], *residual = binding[3];
    const size_t block = 2 * RP_LINEAR_GATE, width = p->gated ? p->n / 2 : p->n;
    for (size_t i = 0; i < p->m; i++) {
        const double inverse = ref_inverse(p, (const double *)binding[0] + i * p->k);   // norm: x is float32, kept as doubles
        for (size_t j = 0; j < width; j++) {
            double value[2] = { 0 };
            for (size_t part = 0; part < (p->gated ? 2u : 1u); part++) {
                const size_t row = p->gated ? j / RP_LINEAR_GATE * block + part * RP_LINEAR_GATE + j % RP_LINEAR_GATE : j;
                value[part] = (p->w_pairs ? ref_dot_pairs(p, binding, i, row) : ref_dot(p, binding, i, row)) * inverse;
                if (p->has_bias) { value[part] += bias[row]; }
            }
            if (p->gated) { value[0] *= value[1] / (1 + exp(-value[0])); }
            if (p->silu) { value[0] /= 1 + exp(-value[0]); }
            if (p->has_residual) { value[0] += residual[i * width + j]; }
            ref_put(binding[6], i * width + j, value[0], p->y_f16);
        }
    }
}
