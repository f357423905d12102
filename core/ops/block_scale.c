// block_scale: running statistics and the tokens' inputs of one call, spec toto2.md section 3.
#include "op.h"

#include "op_math.h"
#include "scale.h"

rp_status rp_shape_block_scale(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(block_scale);
    EXPECT_F16(p->x_f16);
    EXPECT(0, RP_F32, 2, p->batch, p->variates, p->series_patches, p->patch_size);
    EXPECT(1, RP_U32, 2);
    EXPECT(2, RP_U32, p->batch);
    EXPECT(3, RP_U32, RP_STEP_WORDS);
    EXPECT(4, RP_F64, p->batch, p->variates, RP_BLOCK_STATE);
    out[0] = RP_SHAPE(p->x_f16 ? RP_F16 : RP_F32, p->batch, p->variates, p->tokens, 2, p->patch_size);
    out[1] = RP_SHAPE(RP_F64, p->batch, p->variates, RP_BLOCK_STATE);
    out[2] = RP_SHAPE(RP_U32, p->batch, p->variates, p->patches);
    return RP_OK;
}

void rp_launch_block_scale(const rp_node *node, rp_launch *out) {
    PARAMS(block_scale);
    rp_launch_rows(out, out->fast ? "block_scale_f32_warps" : "block_scale_f32", (uint64_t)p->batch * p->variates,
                   out->fast ? RP_GROUP_SCALER : RP_GROUP_ROW);
}

void rp_cost_block_scale(const rp_node *node, rp_cost *out) {
    PARAMS(block_scale);
    out->flops = 20 * (uint64_t)p->batch * p->variates * p->tokens * p->patch_size;
}

#define LEAST_STD 1e-6

typedef struct moments { double n, mean, m2; } moments;

static void push(moments *m, double x, double w) { rp_scale_push(&m->n, &m->mean, &m->m2, x, w); }
static double std_of(const moments *m) { return fmax(sqrt(m->m2 / fmax(m->n - 1, 1)), LEAST_STD); }

// One variate: x and seen [A P].
typedef struct row { const double *x, *seen; void *tokens; size_t at; ref_f64 *state; ref_u32 *hidden; } row;   // its tokens from element `at` on

static void scale_row(const struct rp_block_scale_params *p, const row *r, const rp_call *call, uint32_t last, uint32_t min_obs) {
    const uint32_t P = p->patch_size, live = call->given + call->fresh - 1;
    moments now = { 0, 0, 0 }, few = { 0, 0, 0 };
    if (p->later) { now = few = (moments){ r->state[0].value, r->state[1].value, r->state[2].value }; }
    const moments begin = now;
    // The first min_obs values observed, which may end behind this call's tokens. Where the state holds as many, none is few.
    for (uint32_t t = call->start * P; t < last * P && few.n < min_obs; t++) { push(&few, r->x[t], r->seen[t]); }
    for (size_t i = 0; i < (size_t)p->tokens * 2 * P; i++) { ref_put(r->tokens, r->at + i, 0, p->x_f16); }
    for (uint32_t i = 0; i < live; i++) {
        const size_t from = (size_t)(call->start + i) * P;
        for (uint32_t j = 0; j < P; j++) { push(&now, r->x[from + j], r->seen[from + j]); }
        const moments *by = now.n < min_obs ? &few : &now;
        for (uint32_t j = 0; j < P; j++) {
            const bool seen = r->seen[from + j] != 0;
            const size_t to = r->at + (size_t)i * 2 * P + j;
            ref_put(r->tokens, to, seen ? asinh((r->x[from + j] - by->mean) / std_of(by)) : 0, p->x_f16);
            ref_put(r->tokens, to + P, !seen, p->x_f16);
        }
    }
    now = begin;
    for (uint32_t t = call->start * P; t < (call->start + call->given) * P; t++) { push(&now, r->x[t], r->seen[t]); }
    r->state[0].value = now.n, r->state[1].value = now.mean, r->state[2].value = now.m2;
    if (p->later) { return; }
    double least = INFINITY, largest = -INFINITY;
    for (uint32_t i = 0; i < p->patches; i++) {
        bool seen = i >= call->given;
        for (uint32_t j = 0; j < P && i < call->given; j++) {
            if (r->seen[(size_t)i * P + j] == 0) { continue; }
            seen = true;
            least = fmin(least, r->x[(size_t)i * P + j]), largest = fmax(largest, r->x[(size_t)i * P + j]);
        }
        r->hidden[i].value = !seen;
    }
    r->state[3].value = least, r->state[4].value = largest;
}

void rp_ref_block_scale(const void *params, void *const *binding) {
    REF_PARAMS(block_scale);
    const double *series = binding[0];                       // [2, B, V, A, P]
    const ref_u32 *settings = binding[1], *n_patches = binding[2];
    const struct rp_step step = ref_step(binding[3]);
    const ref_f64 *before = binding[4];                      // [B, V, 5]
    ref_f64 *state = binding[6];
    ref_u32 *hidden = binding[7];                            // [B, V, N]
    const uint32_t rows = p->batch * p->variates, P = p->patch_size;
    const size_t length = (size_t)p->series_patches * P;
    for (uint32_t i = 0; i < rows; i++) {
        const uint32_t n = n_patches[i / p->variates].value;
        const rp_call call = rp_call_of(n, step.step, step.horizon, P, p->block, p->later);
        const row r = { series + i * length, series + (rows + i) * length, binding[5], (size_t)i * p->tokens * 2 * P,   // of [B, V, n, 2, P]
                        state + (size_t)i * RP_BLOCK_STATE, hidden + (size_t)i * p->patches };
        for (uint32_t j = 0; j < RP_BLOCK_STATE && p->later; j++) { r.state[j].value = before[(size_t)i * RP_BLOCK_STATE + j].value; }
        scale_row(p, &r, &call, n + (uint32_t)ceil_div(step.horizon, P), settings[0].value);
    }
}
