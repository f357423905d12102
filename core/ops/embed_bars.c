// embed_bars: a bar's two tokens and its time as one row of the model's width; spec kronos.md section 4. The tables of the
// tokens already hold fusion_proj, which is linear: models/kronos_weights.c.
#include "bars.h"

rp_status rp_shape_embed_bars(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(embed_bars);
    EXPECT(0, RP_U32, p->batch, p->rows == RP_ROWS_PROMPT ? 1 : p->paths, p->tokens_cap, 2);
    EXPECT(1, RP_U32, p->batch, p->stamps_cap, RP_BAR_STAMPS);
    EXPECT(2, RP_F32, p->table_rows, p->width);
    EXPECT(3, RP_F32, RP_STAMP_ROWS, p->width);
    EXPECT(4, RP_U32, p->batch);
    EXPECT(5, RP_U32, p->batch);
    EXPECT(6, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(RP_F32, p->batch, p->paths, p->tokens, p->width);
    return RP_OK;
}

static uint64_t values(const struct rp_embed_bars_params *p) {
    return (uint64_t)p->batch * p->paths * p->tokens * p->width;
}

void rp_launch_embed_bars(const rp_node *node, rp_launch *out) {
    PARAMS(embed_bars);
    const bool wide = out->fast && p->width % 4 == 0;
    launch_point(out, wide ? "embed_bars_f32_wide" : "embed_bars_f32", wide ? values(p) / 4 : values(p));
}

void rp_cost_embed_bars(const rp_node *node, rp_cost *out) {
    PARAMS(embed_bars);
    out->flops = 6 * values(p);
    out->bytes = 8 * 4 * values(p);            // seven rows of tables in, one out
}

void rp_ref_embed_bars(const void *params, void *const *binding) {
    REF_PARAMS(embed_bars);
    static const uint32_t first_row[RP_BAR_STAMPS] = { 0, RP_STAMP_HOUR, RP_STAMP_WEEKDAY, RP_STAMP_DAY, RP_STAMP_MONTH };
    const ref_u32 *tokens = binding[0], *stamps = binding[1];
    const double *table = binding[2], *times = binding[3];
    const ref_u32 *n_tokens = binding[4], *first = binding[5];
    const struct rp_step step = ref_step(binding[6]);
    double *x = binding[7];
    const size_t D = p->width;
    for (uint32_t row = 0; row < p->batch * p->paths; row++) {
        const uint32_t b = row / p->paths;
        for (uint32_t i = 0; i < p->tokens; i++) {
            const ref_row r = ref_row_of(p->rows, i, n_tokens[b].value, first[b].value, step.step);
            double *to = x + ((size_t)row * p->tokens + i) * D;
            if (!r.live) {
                memset(to, 0, D * sizeof *to);
                continue;
            }
            const ref_u32 *pair = tokens + ref_tokens_at(p->rows, r, b, row, p->tokens_cap);
            const ref_u32 *stamp = stamps + ((size_t)b * p->stamps_cap + r.bar) * RP_BAR_STAMPS;
            const double *s1 = table + pair[0].value * D, *s2 = p->s1_alone ? NULL : table + (p->s2_row + pair[1].value) * D;
            for (size_t j = 0; j < D; j++) {
                double sum = s1[j] + (s2 != NULL ? s2[j] : 0);
                for (uint32_t k = 0; k < RP_BAR_STAMPS; k++) { sum += times[(first_row[k] + stamp[k].value) * D + j]; }
                to[j] = sum;
            }
        }
    }
}
