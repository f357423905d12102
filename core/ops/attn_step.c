// attn_step: rope_half and attn_time for one new token of each path.
#include "attend.h"

rp_status rp_shape_attn_step(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(attn_step);
    EXPECT_F16(p->y_f16 || p->mixed);
    const uint32_t D = p->heads * p->head_width;
    if (p->head_width > RP_ATTN_HEAD_MAX) {
        return rp_fail(graph->device, RP_UNSUPPORTED, "Heads are %u wide; kernels hold at most %u.", p->head_width, RP_ATTN_HEAD_MAX);
    }
    EXPECT(0, RP_F32, p->batch * p->paths, 3, D);
    EXPECT(1, RP_F32, p->positions, p->head_width / 2, 2);
    EXPECT(2, RP_F32, 2, p->batch, p->prefix_cap, D);
    EXPECT(3, RP_F32, 2, p->batch, p->paths, p->suffix_cap, D);
    EXPECT(4, RP_U32, p->batch);
    EXPECT(5, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(RP_F32, 2, p->batch, p->paths, p->suffix_cap, D);
    out[1] = RP_SHAPE(p->y_f16 ? RP_F16 : RP_F32, p->batch, p->paths, D);
    return RP_OK;
}

// On matrix units: a cluster for up to RP_ATTN_FEW paths of a head. An invocation turns one piece of a query.
void rp_launch_attn_step(const rp_node *node, rp_launch *out) {
    PARAMS(attn_step);
    const uint32_t d = p->head_width, warps = 8 * RP_ATTN_FEW_SLICES(d);
    const uint64_t sets = (uint64_t)p->batch * p->heads, clusters = sets * ceil_div(p->paths, RP_ATTN_FEW);
    if (!p->mixed || !out->clusters || d % 4 != 0 || d > 128 || clusters * RP_ATTN_SPREAD > 2ull * out->processors) {
        rp_launch_rows(out, "attn_step_f32", sets * p->paths, RP_GROUP_ROW);
        return;
    }
    rp_launch_rows(out, "attn_step_mixed", clusters * RP_ATTN_SPREAD, 32 * warps);
    out->shared_bytes = (uint32_t)RP_ATTN_STEP_BYTES(ceil_div(p->paths, clusters / sets), d, warps);
}

void rp_cost_attn_step(const rp_node *node, rp_cost *out) {
    PARAMS(attn_step);
    const uint64_t queries = (uint64_t)p->batch * p->paths * p->heads;
    out->flops = queries * p->head_width * (4 * ((uint64_t)p->prefix_cap + p->suffix_cap) + 6);   // at most
}

static void turn(const double *from, const double *angles, uint32_t half, double *to) {
    for (uint32_t i = 0; i < half; i++) {
        const double a = from[i], b = from[half + i], cosine = angles[2 * i], sine = angles[2 * i + 1];
        to[i] = a * cosine - b * sine;
        to[half + i] = b * cosine + a * sine;
    }
}

void rp_ref_attn_step(const void *params, void *const *binding) {
    REF_PARAMS(attn_step);
    const double *qkv = binding[0], *rope = binding[1], *prefix = binding[2];
    const ref_u32 *n_tokens = binding[4];
    const struct rp_step step = ref_step(binding[5]);
    double *kv = binding[6];
    const uint32_t d = p->head_width, half = d / 2, D = p->heads * d;
    const size_t prefix_values = (size_t)p->batch * p->prefix_cap * D, values = (size_t)p->batch * p->paths * p->suffix_cap * D;
    for (uint32_t row = 0; row < p->batch * p->paths; row++) {
        const uint32_t b = row / p->paths, n = n_tokens[b].value;
        const double *angles = rope + ((size_t)n + step.step - 1) * half * 2, *shared = prefix + (size_t)b * p->prefix_cap * D;
        double *own = kv + (size_t)row * p->suffix_cap * D, *slot = own + (size_t)(step.step - 1) * D;
        for (uint32_t h = 0; h < p->heads; h++) {
            const double *from = qkv + (size_t)row * 3 * D + h * d;
            double q[RP_ATTN_HEAD_MAX];
            turn(from, angles, half, q);
            turn(from + D, angles, half, slot + h * d);
            memcpy(slot + values + h * d, from + 2 * (size_t)D, d * sizeof *slot);
            const ref_run runs[2] = { { shared, shared + prefix_values, h * d, n }, { own, own + values, h * d, step.step } };
            ref_attend((double)p->scale + p->scale_rest, d, D, q, runs, false, binding[7], (size_t)row * D + h * d, p->y_f16);
        }
    }
}
