// attn_time: causal attention over the tokens of one variate. Keys of the prompt are stored once for all paths.
#include "attend.h"
#include "attn_tiled.h"

rp_status rp_shape_attn_time(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(attn_time);
    EXPECT_F16(p->y_f16 || p->mixed || p->x_f16);
    const rp_dtype dtype = p->x_f16 ? RP_F16 : RP_F32;
    const uint32_t rows = p->batch * p->paths * p->variates, D = p->heads * p->head_width;
    if (p->head_width > RP_ATTN_HEAD_MAX) {
        return rp_fail(graph->device, RP_UNSUPPORTED, "Heads are %u wide; kernels hold at most %u.", p->head_width, RP_ATTN_HEAD_MAX);
    }
    EXPECT(0, dtype, rows, p->tokens, D);
    EXPECT(1, dtype, p->batch, p->variates, p->prefix_cap, D);
    EXPECT(2, dtype, p->batch, p->variates, p->prefix_cap, D);
    if (p->suffix_cap > 0) {
        EXPECT(3, dtype, rows, p->suffix_cap, D);
        EXPECT(4, dtype, rows, p->suffix_cap, D);
    }
    EXPECT(5, RP_U32, p->batch);
    EXPECT(6, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(p->y_f16 ? RP_F16 : RP_F32, p->batch, p->paths, p->variates, p->tokens, D);
    return RP_OK;
}

// On matrix units: many paths of a decode step, or many tokens. Where few warps would be at work, other kernels are faster; `any`: but even then.
static bool launch_mixed(const struct rp_attn_time_params *p, rp_launch *out, bool any) {
    const bool decode = p->suffix_cap > 0 && !p->own;
    const uint32_t rows = decode ? p->paths : p->tokens, d = p->head_width;
    const uint64_t sets = (uint64_t)p->batch * (decode ? 1 : p->paths) * p->variates * p->heads;   // of queries that share keys
    if (!p->mixed || !out->fast || (decode && p->tokens != 1) || rows < RP_ATTN_MIXED_LEAST || d % 4 != 0 || d > RP_ATTN_MIXED_HEAD_WIDE ||
        (decode && !any && sets * ceil_div(rows, 16) < out->processors)) {
        return false;
    }
    static const char *const kernels[2][2] = { { "attn_time_mixed", "attn_time_mixed_wide" }, { "attn_time_f16_paths", "attn_time_f16_wide" } };
    rp_launch_rows(out, kernels[p->x_f16][d > RP_ATTN_MIXED_HEAD], sets * ceil_div(rows, RP_ATTN_MIXED_ROWS),
                   2 * RP_ATTN_MIXED_ROWS);
    if (p->x_f16 && d <= RP_ATTN_MIXED_HEAD) { out->shared_bytes = RP_ATTN_PATHS_BYTES; }
    return true;
}

// Prompts and own windows in float16, on the matrix units of compute capability 9.0, where there are blocks for most processors; of fewer, those
// below share out each one's keys. From three quarters on: by itself a prompt of kronos-base is a quarter slower so than by two teams, but what
// paths share of a window, of the same size, is faster beside what they own (an H200).
static bool launch_wgmma(const struct rp_attn_time_params *p, rp_launch *out) {
    const uint32_t sequences = p->batch * p->paths * p->variates, width = p->heads * p->head_width;
    const uint64_t blocks = (uint64_t)sequences * p->heads * ceil_div(p->tokens, 64);
    if (!out->wgmma || !p->x_f16 || (p->suffix_cap > 0 && !p->own) || p->tokens < RP_ATTN_MIXED_LEAST || p->head_width > RP_ATTN_MIXED_HEAD ||
        width % 8 != 0 || 4 * blocks < 3ull * out->processors) {
        return false;
    }
    rp_launch_rows(out, "attn_time_f16_wgmma", blocks, RP_ATTN_WGMMA_GROUP);
    out->shared_bytes = RP_ATTN_WGMMA_BYTES;
    const uint32_t rows[] = { p->batch * p->variates * p->prefix_cap, sequences * p->suffix_cap };
    out->n_maps = p->own ? 4 : 2;
    for (uint32_t i = 0; i < out->n_maps; i++) { out->map[i] = (rp_launch_map){ 1 + i, rows[i / 2], width, RP_ATTN_TILE }; }
    return true;
}

// Prompts and own windows in float16, on matrix units.
static bool launch_teams(const struct rp_attn_time_params *p, rp_launch *out) {
    static const char *const kernels[] = { "attn_time_f16_teams_1", "attn_time_f16_teams_2", "attn_time_f16_teams_4", "attn_time_f16_teams_8" };
    return p->x_f16 && (p->suffix_cap == 0 || p->own) && p->tokens >= RP_ATTN_MIXED_LEAST && p->head_width <= RP_ATTN_MIXED_HEAD &&
           attn_launch_teams(out, kernels, (uint64_t)p->batch * p->paths * p->variates * p->heads, p->tokens, p->prefix_cap + p->suffix_cap);
}

// Decode steps of few paths on matrix units.
static bool launch_few(const struct rp_attn_time_params *p, rp_launch *out) {
    if (!p->mixed || !out->clusters || p->suffix_cap == 0 || p->own || p->tokens != 1 || p->head_width % 4 != 0) { return false; }
    const uint64_t sets = (uint64_t)p->batch * p->variates * p->heads;
    const uint32_t warps = p->head_width <= 128 ? 8 : 16;
    uint64_t paths = paths_of_cluster(out->processors, sets, p->paths, RP_ATTN_FEW);
    while (paths > 1 && RP_ATTN_FEW_BYTES(paths, p->head_width, warps) > room_of_cluster(out)) { paths = ceil_div(paths, 2); }
    const uint64_t groups = sets * ceil_div(p->paths, paths) * RP_ATTN_SPREAD;
    if (groups > 16ull * out->processors) { return false; }
    rp_launch_rows(out, p->x_f16 ? "attn_time_f16_spread" : "attn_time_mixed_spread", groups, 32 * warps);
    out->shared_bytes = (uint32_t)RP_ATTN_FEW_BYTES(paths, p->head_width, warps);
    return true;
}

// Short contexts.
static bool launch_short(const struct rp_attn_time_params *p, rp_launch *out) {
    const bool decode = p->suffix_cap > 0 && !p->own;
    const uint64_t keys = (uint64_t)p->prefix_cap + p->suffix_cap, sets = (uint64_t)p->batch * (decode ? 1 : p->paths) * p->variates * p->heads;
    static const char *const kernels[2][2] = { { "attn_time_f32_short", "attn_time_f32_short_2" },
                                               { "attn_time_f16_short", "attn_time_f16_short_2" } };
    if (!out->fast || !RP_ATTN_SHORT_TAKES(keys, p->head_width) || (decode && p->tokens != 1)) { return false; }
    launch_queries(out, kernels[p->x_f16][keys > RP_ATTN_SHORT_LANES], sets, decode ? p->paths : p->tokens,
                   p->prefix_cap + (decode ? 0 : p->suffix_cap), decode ? p->suffix_cap : 0, p->head_width, p->x_f16 ? 2 : 4);
    return true;
}

// Prompts and own windows.
static bool launch_tiled(const struct rp_attn_time_params *p, rp_launch *out) {
    static const attn_tiled_kernels kernels = { "attn_time_f32_tiled_8", "attn_time_f32_tiled_4", "attn_time_f32_tiled_2",
                                                "attn_time_f32_tiled_wide", "attn_time_f32_tiled_widest" };
    return !p->x_f16 && (p->suffix_cap == 0 || p->own) && p->tokens >= RP_ATTN_TILED_LEAST &&
           attn_launch_tiled(out, &kernels, (uint64_t)p->batch * p->paths * p->variates * p->heads, p->tokens, p->prefix_cap + p->suffix_cap,
                             p->head_width);
}

// Decode steps: where the clusters' teams are not many more than processors can hold.
static bool launch_spread(const struct rp_attn_time_params *p, rp_launch *out) {
    if (!out->clusters || p->x_f16 || p->suffix_cap == 0 || p->own || p->tokens != 1 || p->head_width % 4 != 0) { return false; }
    const uint64_t d = p->head_width, sets = (uint64_t)p->batch * p->variates * p->heads;
    const uint64_t paths = paths_of_cluster(out->processors, sets, p->paths, RP_ATTN_SHARED), clusters = sets * ceil_div(p->paths, paths);
    const uint64_t tiles = ceil_div((uint64_t)p->prefix_cap + p->suffix_cap, RP_ATTN_TILE), shared = paths > 1 ? p->prefix_cap / RP_ATTN_TILE : 0;
    const uint64_t works = shared + paths * (tiles - shared), room = room_of_cluster(out);
    uint32_t teams = works > RP_ATTN_SPREAD ? 2 : 1;
    if (RP_ATTN_SPREAD_BYTES(paths, tiles, d, teams) > RP_ATTN_SPREAD_MOST) { teams = 1; }
    const uint64_t bytes = RP_ATTN_SPREAD_BYTES(paths, tiles, d, teams);
    if (bytes > room || clusters * RP_ATTN_SPREAD * teams > 16ull * out->processors) { return false; }
    rp_launch_rows(out, "attn_time_f32_spread", clusters * RP_ATTN_SPREAD, RP_ATTN_SPREAD_TEAM * teams);
    out->shared_bytes = (uint32_t)bytes;
    return true;
}

void rp_launch_attn_time(const rp_node *node, rp_launch *out) {
    PARAMS(attn_time);
    if (launch_short(p, out) || launch_wgmma(p, out) || launch_teams(p, out) || launch_mixed(p, out, false) || launch_few(p, out) ||
        launch_tiled(p, out) || launch_spread(p, out)) {
        return;
    }
    if (p->x_f16 && launch_mixed(p, out, true)) { return; }
    if (out->fast && !p->x_f16 && p->suffix_cap > 0 && !p->own && p->tokens == 1 && p->paths >= RP_ATTN_SHARED && p->head_width % 4 == 0 &&
        p->head_width <= RP_ATTN_SHARED_HEAD) {
        rp_launch_rows(out, "attn_time_f32_shared", p->batch * ceil_div(p->paths, RP_ATTN_SHARED) * p->variates * p->heads, 128);
        return;
    }
    rp_launch_rows(out, p->x_f16 ? "attn_time_f16_plain" : "attn_time_f32",
                   (uint64_t)p->batch * p->paths * p->variates * p->tokens * p->heads, RP_GROUP_ROW);
}

void rp_cost_attn_time(const rp_node *node, rp_cost *out) {
    PARAMS(attn_time);
    const uint64_t keys = p->suffix_cap > 0 ? p->prefix_cap + p->suffix_cap : (p->prefix_cap + 1) / 2;   // at most, on average
    out->flops = 4 * (uint64_t)p->batch * p->paths * p->variates * p->tokens * p->heads * p->head_width * keys;
}

void rp_ref_attn_time(const void *params, void *const *binding) {
    REF_PARAMS(attn_time);
    const ref_u32 *n_patches = binding[5];
    const struct rp_step step = ref_step(binding[6]);
    const uint32_t d = p->head_width, D = p->heads * d;
    for (uint32_t row = 0; row < p->batch * p->paths * p->variates; row++) {
        const uint32_t v = row % p->variates, b = row / (p->paths * p->variates);
        const uint32_t n_tokens = n_patches[b].value + p->extra;
        const size_t prefix = ((size_t)b * p->variates + v) * p->prefix_cap * D, suffix = (size_t)row * p->suffix_cap * D;
        for (uint32_t token = 0; token < p->tokens; token++) {
            const size_t at = ((size_t)row * p->tokens + token) * D;
            const bool decode = p->suffix_cap > 0, dead = p->own ? token >= step.step : !decode && token >= n_tokens;
            for (uint32_t h = 0; h < p->heads; h++) {
                const size_t head = (size_t)h * d;
                if (dead) {
                    for (uint32_t j = 0; j < d; j++) { ref_put(binding[7], at + head + j, 0, p->y_f16); }
                    continue;
                }
                const ref_run runs[2] = { { binding[1], binding[2], prefix + head, prefix + head, decode ? n_tokens : token + 1 },
                                          { binding[3], binding[4], suffix + head, suffix + head, !decode ? 0 : p->own ? token + 1 : step.step } };
                double q[RP_ATTN_HEAD_MAX];
                for (uint32_t j = 0; j < d; j++) { q[j] = ref_get(binding[0], at + head + j, p->x_f16); }
                ref_attend((double)p->scale + p->scale_rest, d, D, q, runs, p->x_f16, binding[7], at + head, p->y_f16);
            }
        }
    }
}
