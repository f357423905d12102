// attn_step: rope_half and attn_time for one new token of each path; or cache_kv and attn_time.
#include "../step_block.h"
#include "attend.h"
#include "turn.h"

rp_status rp_shape_attn_step(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(attn_step);
    EXPECT_F16(p->f16);
    const rp_dtype dtype = p->f16 ? RP_F16 : RP_F32;
    const uint32_t D = p->heads * p->head_width;
    if (p->head_width > RP_ATTN_HEAD_MAX) {
        return rp_fail(graph->device, RP_UNSUPPORTED, "Heads are %u wide; kernels hold at most %u.", p->head_width, RP_ATTN_HEAD_MAX);
    }
    if (p->positions > 0) {
        EXPECT(0, dtype, p->batch * p->paths, 3, D);
        EXPECT(1, RP_F32, p->positions, p->head_width / 2, 2);
    } else {
        EXPECT(0, dtype, p->batch * p->paths, 2, D);
        EXPECT(1, dtype, p->batch * p->paths, D);
    }
    EXPECT(2, dtype, 2, p->batch, p->prefix_cap, D);
    EXPECT(3, dtype, 2, p->batch, p->paths, p->suffix_cap, D);
    EXPECT(4, RP_U32, p->batch);
    EXPECT(5, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(dtype, 2, p->batch, p->paths, p->suffix_cap, D);
    out[1] = RP_SHAPE(dtype, p->batch, p->paths, D);
    return RP_OK;
}

// In float32: so many places for tiles that a cluster's groups need no second round, as long as two groups fit a multiprocessor; one at
// least. A launch begins early only where it finds room beside the product in front of it, so groups are small. What is in front of a
// cross-attention is: on compute capability 9.0 it takes more where that saves a round, and all where each group has a multiprocessor.
static bool launch_spread(const struct rp_attn_step_params *p, rp_launch *out) {
    const uint64_t d = p->head_width, sets = (uint64_t)p->batch * p->heads, tiles = ceil_div((uint64_t)p->prefix_cap + p->suffix_cap, RP_ATTN_TILE);
    if (p->f16 || !out->clusters || d % 4 != 0 || p->heads > UINT16_MAX || p->batch > UINT16_MAX) { return false; }
    const uint64_t paths = paths_of_cluster(out->processors, sets, p->paths, RP_ATTN_SHARED);
    const uint64_t shared = paths > 1 ? p->prefix_cap / RP_ATTN_TILE : 0, works = shared + paths * (tiles - shared);
    const uint64_t each = ceil_div(works, RP_ATTN_SPREAD), groups = sets * ceil_div(p->paths, paths) * RP_ATTN_SPREAD;
    const uint64_t limits[] = { RP_ATTN_SPREAD_MOST, RP_STEP_BYTES, room_of_cluster(out) };
    const uint32_t n_limits = !out->wgmma || p->positions > 0 ? 1 : groups > out->processors ? 2 : 3;
    uint64_t places = 1;
    for (uint32_t i = 0; i < n_limits; i++) {
        uint64_t fit = each;
        while (fit > 1 && RP_ATTN_STEP_SPREAD_BYTES(paths, tiles, p->prefix_cap, d, fit) > limits[i]) { fit--; }
        if (i == 0 || ceil_div(each, fit) < ceil_div(each, places)) { places = fit; }
    }
    const uint64_t bytes = RP_ATTN_STEP_SPREAD_BYTES(paths, tiles, p->prefix_cap, d, places);
    if (bytes > room_of_cluster(out)) { return false; }
    out->kernel = "attn_step_f32_spread";
    out->grid[0] = (uint32_t)(ceil_div(p->paths, paths) * RP_ATTN_SPREAD), out->grid[1] = p->heads, out->grid[2] = p->batch;
    out->group = RP_ATTN_STEP_GROUP(places, d);
    out->shared_bytes = (uint32_t)bytes;
    return true;
}

// On matrix units: a cluster for up to RP_ATTN_FEW paths of a head. An invocation turns one piece of a query, or takes two, so that eight
// warps a slice, or four, are the least. Where groups come in several rounds, ten bring more keys at once, and two groups still fit a
// multiprocessor.
void rp_launch_attn_step(const rp_node *node, rp_launch *out) {
    PARAMS(attn_step);
    const uint32_t d = p->head_width;
    const uint64_t sets = (uint64_t)p->batch * p->heads;
    const bool turns = p->positions > 0;
    out->step_part = turns ? RP_STEP_ATTEND : RP_STEP_NONE;
    uint64_t paths = paths_of_cluster(out->processors, sets, p->paths, RP_ATTN_FEW);
    while (paths > 1 && RP_ATTN_STEP_BYTES(paths, d, RP_ATTN_FEW_GROUP / 32) > room_of_cluster(out)) { paths = ceil_div(paths, 2); }
    const uint64_t groups = sets * ceil_div(p->paths, paths) * RP_ATTN_SPREAD;
    const uint64_t units = ceil_div(p->prefix_cap, 16) + paths * ceil_div(p->suffix_cap, 16);   // of sixteen keys, of a cluster
    const uint32_t warps = d > 64 ? 16 : units > 8 * RP_ATTN_SPREAD && groups > out->processors ? 10 : 8;
    if (launch_spread(p, out)) { return; }
    if (!p->f16 || !out->clusters || (turns && d > 128)) {
        rp_launch_rows(out, p->f16 ? "attn_step_f16" : "attn_step_f32", sets * p->paths, RP_GROUP_ROW);
        return;
    }
    rp_launch_rows(out, !turns ? "attn_step_f16_cross" : warps > 8 ? "attn_step_f16_spread_more" : "attn_step_f16_spread", groups, 32 * warps);
    out->shared_bytes = (uint32_t)RP_ATTN_STEP_BYTES(paths, d, warps);
}

void rp_cost_attn_step(const rp_node *node, rp_cost *out) {
    PARAMS(attn_step);
    const uint64_t queries = (uint64_t)p->batch * p->paths * p->heads;
    out->flops = queries * p->head_width * (4 * ((uint64_t)p->prefix_cap + p->suffix_cap) + (p->positions > 0 ? 6 : 0));   // at most
}

void rp_ref_attn_step(const void *params, void *const *binding) {
    REF_PARAMS(attn_step);
    const double *rope = p->positions > 0 ? binding[1] : NULL;
    const ref_u32 *n_tokens = binding[4];
    const struct rp_step step = ref_step(binding[5]);
    const uint32_t d = p->head_width, half = d / 2, D = p->heads * d, runs_of = rope ? 3 : 2;
    for (uint32_t row = 0; row < p->batch * p->paths; row++) {
        const uint32_t b = row / p->paths, n = n_tokens[b].value;
        const double *angles = rope ? rope + ((size_t)n + step.step - 1) * half * 2 : NULL;
        const size_t own = (size_t)row * p->suffix_cap * D, own_values = (size_t)p->batch * p->paths * p->suffix_cap * D + own;
        const size_t shared = (size_t)b * p->prefix_cap * D, shared_values = (size_t)p->batch * p->prefix_cap * D + shared;
        const size_t slot = (size_t)(step.step - 1) * D;
        for (uint32_t h = 0; h < p->heads; h++) {
            const size_t value = ((size_t)row * runs_of + runs_of - 1) * D + h * d, key = value - D, to = slot + h * d;
            double q[RP_ATTN_HEAD_MAX], head[RP_ATTN_HEAD_MAX];
            if (rope != NULL) {
                for (uint32_t j = 0; j < d; j++) { head[j] = ref_get(binding[0], key - D + j, p->f16); }
                ref_turn(head, 0, angles, half, q, 0, false);
                ref_turn(binding[0], key, angles, half, binding[6], own + to, p->f16);
            }
            for (uint32_t j = 0; j < d; j++) {
                if (rope == NULL) {
                    q[j] = ref_get(binding[1], (size_t)row * D + h * d + j, p->f16);
                    ref_put(binding[6], own + to + j, ref_get(binding[0], key + j, p->f16), p->f16);
                }
                ref_put(binding[6], own_values + to + j, ref_get(binding[0], value + j, p->f16), p->f16);
            }
            const ref_run runs[2] = { { binding[2], binding[2], shared + h * d, shared_values + h * d, n },
                                      { binding[6], binding[6], own + h * d, own_values + h * d, step.step } };
            ref_attend((double)p->scale + p->scale_rest, d, D, q, runs, p->f16, binding[7], (size_t)row * D + h * d, p->f16);
        }
    }
}
