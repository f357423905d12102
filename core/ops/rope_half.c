// rope_half: rotary position on q and k, a head's first half paired with its second, and k and v put into their cache; spec
// kronos.md section 2.
#include "bars.h"

rp_status rp_shape_rope_half(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(rope_half);
    const uint32_t rows = p->batch * p->paths, D = p->heads * p->head_width;
    EXPECT(0, RP_F32, rows, p->tokens, 3, D);
    EXPECT(1, RP_F32, p->positions, p->head_width / 2, 2);
    EXPECT(2, RP_U32, p->batch);
    EXPECT(3, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(RP_F32, p->batch, p->paths, p->tokens, D);
    out[1] = RP_SHAPE(RP_F32, p->batch, p->paths, p->cap, D);
    out[2] = RP_SHAPE(RP_F32, p->batch, p->paths, p->cap, D);
    return RP_OK;
}

static uint64_t pairs(const struct rp_rope_half_params *p) {
    return (uint64_t)p->batch * p->paths * p->tokens * p->heads * (p->head_width / 2);
}

void rp_launch_rope_half(const rp_node *node, rp_launch *out) {
    PARAMS(rope_half);
    launch_point(out, "rope_half_f32", pairs(p));
}

void rp_cost_rope_half(const rp_node *node, rp_cost *out) {
    PARAMS(rope_half);
    out->flops = 12 * pairs(p);
}

static void turn(const double *from, const double *rope, uint32_t half, double *to) {
    for (uint32_t i = 0; i < half; i++) {
        const double a = from[i], b = from[half + i], cosine = rope[2 * i], sine = rope[2 * i + 1];
        to[i] = a * cosine - b * sine;
        to[half + i] = b * cosine + a * sine;
    }
}

void rp_ref_rope_half(const void *params, void *const *binding) {
    REF_PARAMS(rope_half);
    const double *qkv = binding[0], *rope = binding[1];
    const ref_u32 *n_tokens = binding[2];
    const struct rp_step step = ref_step(binding[3]);
    double *q = binding[4], *k_cache = binding[5], *v_cache = binding[6];
    const uint32_t d = p->head_width, half = d / 2, D = p->heads * d;
    for (uint32_t row = 0; row < p->batch * p->paths; row++) {
        for (uint32_t i = 0; i < p->tokens; i++) {
            const ref_row r = ref_row_of(p->rows, i, n_tokens[row / p->paths].value, 0, step.step);
            if (!r.live) { continue; }
            const double *angles = rope + (size_t)r.position * half * 2, *from = qkv + ((size_t)row * p->tokens + i) * 3 * D;
            const size_t to = ((size_t)row * p->tokens + i) * D, cached = ((size_t)row * p->cap + r.slot) * D;
            for (uint32_t h = 0; h < p->heads; h++) {
                turn(from + h * d, angles, half, q + to + h * d);
                turn(from + D + h * d, angles, half, k_cache + cached + h * d);
            }
            memcpy(v_cache + cached, from + 2 * D, D * sizeof *v_cache);
        }
    }
}
