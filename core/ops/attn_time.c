// attn_time: causal attention over the tokens of one variate. Keys of the prompt are stored once for all paths.
#include "attn_tiled.h"

rp_status rp_shape_attn_time(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(attn_time);
    EXPECT_F16(p->y_f16 || p->mixed);
    const uint32_t rows = p->batch * p->paths * p->variates, D = p->heads * p->head_width;
    if (p->head_width > RP_ATTN_HEAD_MAX) {
        return rp_fail(graph->device, RP_UNSUPPORTED, "Heads are %u wide; kernels hold at most %u.", p->head_width, RP_ATTN_HEAD_MAX);
    }
    EXPECT(0, RP_F32, rows, p->tokens, D);
    EXPECT(1, RP_F32, p->batch, p->variates, p->prefix_cap, D);
    EXPECT(2, RP_F32, p->batch, p->variates, p->prefix_cap, D);
    if (p->suffix_cap > 0) {
        EXPECT(3, RP_F32, rows, p->suffix_cap, D);
        EXPECT(4, RP_F32, rows, p->suffix_cap, D);
    }
    EXPECT(5, RP_U32, p->batch);
    EXPECT(6, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(p->y_f16 ? RP_F16 : RP_F32, p->batch, p->paths, p->variates, p->tokens, D);
    return RP_OK;
}

// On matrix units: many paths of a decode step, or many tokens. Where few warps would be at work, a group for each query is faster.
static bool launch_mixed(const struct rp_attn_time_params *p, rp_launch *out) {
    const bool decode = p->suffix_cap > 0 && !p->own;
    const uint32_t rows = decode ? p->paths : p->tokens, d = p->head_width;
    const uint64_t sets = (uint64_t)p->batch * (decode ? 1 : p->paths) * p->variates * p->heads;   // of queries that share keys
    if (!p->mixed || !out->fast || (decode && p->tokens != 1) || rows < RP_ATTN_MIXED_LEAST || d % 4 != 0 || d > RP_ATTN_MIXED_HEAD_WIDE ||
        (decode && sets * ceil_div(rows, 16) < out->processors)) {
        return false;
    }
    rp_launch_rows(out, d <= RP_ATTN_MIXED_HEAD ? "attn_time_mixed" : "attn_time_mixed_wide", sets * ceil_div(rows, RP_ATTN_MIXED_ROWS),
                   2 * RP_ATTN_MIXED_ROWS);
    return true;
}

// Prompts and own windows.
static bool launch_tiled(const struct rp_attn_time_params *p, rp_launch *out) {
    static const attn_tiled_kernels kernels = { "attn_time_f32_tiled_8", "attn_time_f32_tiled_4", "attn_time_f32_tiled_2",
                                                "attn_time_f32_tiled_wide", "attn_time_f32_tiled_widest" };
    return (p->suffix_cap == 0 || p->own) && p->tokens >= RP_ATTN_TILED_LEAST &&
           attn_launch_tiled(out, &kernels, (uint64_t)p->batch * p->paths * p->variates * p->heads, p->tokens, p->head_width);
}

// Decode steps: where the clusters' teams are not many more than processors can hold. Few heads: fewer paths a cluster, so that three
// quarters of the processors have a group; on all of them, clusters would wait for places side by side.
static bool launch_spread(const struct rp_attn_time_params *p, rp_launch *out) {
    if (!out->clusters || p->suffix_cap == 0 || p->own || p->tokens != 1 || p->head_width % 4 != 0) { return false; }
    const uint64_t d = p->head_width, sets = (uint64_t)p->batch * p->variates * p->heads, places = out->processors * 3 / 4 / (RP_ATTN_SPREAD * sets);
    const uint64_t least = ceil_div(p->paths, RP_ATTN_SHARED), wanted = places < least ? least : places > p->paths ? p->paths : places;
    const uint64_t paths = ceil_div(p->paths, wanted), clusters = sets * ceil_div(p->paths, paths);
    const uint64_t tiles = ceil_div((uint64_t)p->prefix_cap + p->suffix_cap, RP_ATTN_TILE), shared = paths > 1 ? p->prefix_cap / RP_ATTN_TILE : 0;
    const uint64_t works = shared + paths * (tiles - shared), room = out->wgmma ? RP_ATTN_SPREAD_MOST_90 : RP_ATTN_SPREAD_MOST;
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
    if (launch_mixed(p, out) || launch_tiled(p, out) || launch_spread(p, out)) { return; }
    if (out->fast && p->suffix_cap > 0 && !p->own && p->tokens == 1 && p->paths >= RP_ATTN_SHARED && p->head_width % 4 == 0 &&
        p->head_width <= RP_ATTN_SHARED_HEAD) {
        rp_launch_rows(out, "attn_time_f32_shared", p->batch * ceil_div(p->paths, RP_ATTN_SHARED) * p->variates * p->heads, 128);
        return;
    }
    rp_launch_rows(out, "attn_time_f32", (uint64_t)p->batch * p->paths * p->variates * p->tokens * p->heads, RP_GROUP_ROW);
}

void rp_cost_attn_time(const rp_node *node, rp_cost *out) {
    PARAMS(attn_time);
    const uint64_t keys = p->suffix_cap > 0 ? p->prefix_cap + p->suffix_cap : (p->prefix_cap + 1) / 2;   // at most, on average
    out->flops = 4 * (uint64_t)p->batch * p->paths * p->variates * p->tokens * p->heads * p->head_width * keys;
}

// One query over two runs of keys, the prefix and the suffix. Scores are computed twice rather than stored: the reference
// allocates nothing while it runs.
typedef struct run { const double *k, *v; uint32_t n; } run;

static double score(const struct rp_attn_time_params *p, const double *q, const double *k) {
    double dot = 0;
    for (uint32_t j = 0; j < p->head_width; j++) { dot += q[j] * k[j]; }
    return dot * ((double)p->scale + p->scale_rest);
}

static void attend(const struct rp_attn_time_params *p, const double *q, const run *runs, void *y, size_t at) {
    const uint32_t d = p->head_width;
    const size_t D = (size_t)p->heads * d;
    double top = -INFINITY, sum = 0, value[RP_ATTN_HEAD_MAX] = { 0 };
    for (uint32_t r = 0; r < 2; r++) {
        for (uint32_t i = 0; i < runs[r].n; i++) { top = fmax(top, score(p, q, runs[r].k + i * D)); }
    }
    for (uint32_t r = 0; r < 2; r++) {
        for (uint32_t i = 0; i < runs[r].n; i++) {
            const double weight = exp(score(p, q, runs[r].k + i * D) - top);
            sum += weight;
            for (uint32_t j = 0; j < d; j++) { value[j] += weight * runs[r].v[i * D + j]; }
        }
    }
    for (uint32_t j = 0; j < d; j++) { ref_put(y, at + j, value[j] / sum, p->y_f16); }
}

void rp_ref_attn_time(const void *params, void *const *binding) {
    REF_PARAMS(attn_time);
    const double *q = binding[0], *kp = binding[1], *vp = binding[2], *ks = binding[3], *vs = binding[4];
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
                const run runs[2] = { { kp + prefix + head, vp + prefix + head, decode ? n_tokens : token + 1 },
                                      { decode ? ks + suffix + head : NULL, decode ? vs + suffix + head : NULL,
                                        !decode ? 0 : p->own ? token + 1 : step.step } };
                attend(p, q + at + head, runs, binding[7], at + head);
            }
        }
    }
}
