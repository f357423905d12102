// draw_token: one of n tokens by its logit, by temperature, top-k and top-p, and its row of a table; spec kronos.md section 4, "Drawing".
#include <stdlib.h>

#include "op.h"

#include "../op_math.h"

rp_status rp_shape_draw_token(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(draw_token);
    EXPECT_F16(p->y_f16);
    if (p->adds && p->y_f16) {
        return rp_fail(graph->device, RP_INTERNAL, "'%s' adds to float16, which no kernel does (op_params.h, draw_token).", node->label);
    }
    EXPECT(0, RP_F32, p->batch, p->one_row ? 1 : p->paths, p->n);
    EXPECT(1, RP_U32, 3);
    EXPECT(2, RP_U32, p->batch);
    EXPECT(3, RP_U32, p->batch);
    EXPECT(4, RP_U32, RP_STEP_WORDS);
    if (p->width > 0) { EXPECT(5, RP_F32, p->n, p->width); }
    out[0] = RP_SHAPE(RP_U32, p->batch, p->paths, p->tokens_cap, 2);
    out[1] = RP_SHAPE(p->y_f16 ? RP_F16 : RP_F32, p->batch * p->paths, p->width);
    return RP_OK;
}

void rp_launch_draw_token(const rp_node *node, rp_launch *out) {
    PARAMS(draw_token);
    rp_launch_rows(out, "draw_token_f32", (uint64_t)p->batch * p->paths, RP_GROUP_DRAW);
    out->closes = p->moved;
}

void rp_cost_draw_token(const rp_node *node, rp_cost *out) {
    PARAMS(draw_token);
    const uint64_t rows = (uint64_t)p->batch * p->paths;
    out->flops = 10 * rows * p->n;
    out->bytes = rows * (4 * ((p->one_row ? 0 : p->n) + 1) + (p->y_f16 ? 6 : 8) * p->width);
}

// A logit and its number; falling, the lower number first among equals.
typedef struct ranked { double z; uint32_t token; } ranked;

static int falling(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->z != y->z) { return x->z < y->z ? 1 : -1; }
    return x->token < y->token ? -1 : 1;
}

// Sets e to 0 for what may not be drawn.
static void keep(const ranked *order, double *e, uint32_t n, uint32_t top_k, double top_p) {
    uint32_t kept = n;
    if (top_k > 0) {
        kept = top_k < n ? top_k : n;
        while (kept < n && order[kept].z == order[kept - 1].z) { kept++; }
    } else if (top_p < 1) {
        double sum = 0, before = e[order[0].token];
        for (uint32_t i = 0; i < n; i++) { sum += e[order[i].token]; }
        for (kept = 1; kept < n && before <= top_p * sum; kept++) { before += e[order[kept].token]; }
    }
    for (uint32_t i = kept; i < n; i++) { e[order[i].token] = 0; }
}

static uint32_t draw(const double *logits, uint32_t n, double temperature, uint32_t top_k, double top_p, double u) {
    ranked order[RP_DRAW_MAX];
    double e[RP_DRAW_MAX], sum = 0, below = 0;
    for (uint32_t i = 0; i < n; i++) { order[i] = (ranked){ logits[i] / temperature, i }; }
    qsort(order, n, sizeof *order, falling);
    for (uint32_t i = 0; i < n; i++) { e[order[i].token] = exp(order[i].z - order[0].z); }
    keep(order, e, n, top_k, top_p);
    uint32_t last = order[0].token;
    for (uint32_t i = 0; i < n; i++) { sum += e[i]; }
    for (uint32_t i = 0; i < n; i++) {
        if (e[i] > 0) { last = i; }
        below += e[i];
        if (below > u * sum) { return i; }
    }
    return last;
}

static float as_float(ref_u32 bits) { return rp_bits_float(bits.value); }

void rp_ref_draw_token(const void *params, void *const *binding) {
    REF_PARAMS(draw_token);
    const double *logits = binding[0];
    const ref_u32 *settings = binding[1], *n_bars = binding[2], *ids = binding[3];
    struct rp_step step = ref_step(binding[4]);
    step.step -= p->moved;
    const double *table = binding[5];                 // [n, D]
    ref_u32 *tokens = binding[6];                     // [B, S, tokens_cap, 2]
    for (uint32_t row = 0; row < p->batch * p->paths; row++) {
        const uint32_t b = row / p->paths, s = row % p->paths;
        const bool slides = n_bars[b].value + step.step > p->window;
        if (step.step >= p->tokens_cap || (p->series == RP_DRAW_GROWING && slides) || (p->series == RP_DRAW_SLIDING && !slides)) {
            for (uint32_t i = 0; i < p->width; i++) { ref_put(binding[7], (size_t)row * p->width + i, 0, p->y_f16); }
            continue;
        }
        const struct rp_words words = rp_philox(step.seed_lo, step.seed_hi, ids[b].value, step.path0 + s, step.step, p->which);
        const double *from = logits + (size_t)(p->one_row ? b : row) * p->n;
        const uint32_t token = draw(from, p->n, as_float(settings[0]), settings[1].value, as_float(settings[2]), (words.w0 + 0.5) / 4294967296.0);
        tokens[((size_t)row * p->tokens_cap + step.step) * 2 + p->which].value = token;
        for (uint32_t i = 0; i < p->width; i++) {
            const size_t at = (size_t)row * p->width + i;
            const double value = table[(size_t)token * p->width + i];
            ref_put(binding[7], at, p->adds ? ref_get(binding[7], at, p->y_f16) + value : value, p->y_f16);
        }
    }
}
