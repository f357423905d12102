// bars_scale: mean, standard deviation and scaled values of each column of a series' bars; spec kronos.md section 1.
#include "op.h"

#include "../op_math.h"

rp_status rp_shape_bars_scale(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(bars_scale);
    EXPECT(0, RP_F32, p->batch, p->bars, RP_BAR_COLUMNS);
    EXPECT(1, RP_U32, p->batch);
    out[0] = RP_SHAPE(RP_F32, p->batch, p->bars, RP_BAR_COLUMNS);
    out[1] = RP_SHAPE(RP_F32, p->batch, RP_BAR_COLUMNS, 2);
    return RP_OK;
}

void rp_launch_bars_scale(const rp_node *node, rp_launch *out) {
    PARAMS(bars_scale);
    rp_launch_rows(out, "bars_scale_f32", (uint64_t)p->batch * RP_BAR_COLUMNS, RP_GROUP_ROW);
}

void rp_cost_bars_scale(const rp_node *node, rp_cost *out) {
    PARAMS(bars_scale);
    out->flops = 7 * (uint64_t)p->batch * p->bars * RP_BAR_COLUMNS;
}

// One column: element i is v[6 i]; with `squares`, its squared distance from mean. The reference, too, counts in float32 here:
// the result is defined by its roundings. Each goes through a float, so no compiler keeps more.
typedef struct column { const double *v; bool squares; float mean; } column;

static float element(const column *c, uint32_t i) {
    const float v = (float)c->v[(size_t)i * RP_BAR_COLUMNS];
    if (!c->squares) { return v; }
    const float away = v - c->mean;
    return away * away;
}

// Elements at .. at + n, in numpy's order.
static float pairwise(const column *c, uint32_t at, uint32_t n) {
    if (n < 8) {
        float sum = n > 0 ? element(c, at) : 0;
        for (uint32_t i = 1; i < n; i++) { sum += element(c, at + i); }
        return sum;
    }
    if (n > 128) {
        const uint32_t m = n / 2 - n / 2 % 8;
        const float first = pairwise(c, at, m), second = pairwise(c, at + m, n - m);
        return first + second;
    }
    float r[8];
    for (uint32_t j = 0; j < 8; j++) { r[j] = element(c, at + j); }
    uint32_t i = 8;
    for (; i + 8 <= n; i += 8) {
        for (uint32_t j = 0; j < 8; j++) { r[j] += element(c, at + i + j); }
    }
    float sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    for (; i < n; i++) { sum += element(c, at + i); }
    return sum;
}

void rp_ref_bars_scale(const void *params, void *const *binding) {
    REF_PARAMS(bars_scale);
    const double *bars = binding[0];           // [B, L, 6]
    const ref_u32 *n_bars = binding[1];
    double *x = binding[2], *affine = binding[3];
    for (uint32_t row = 0; row < p->batch * RP_BAR_COLUMNS; row++) {
        const uint32_t b = row / RP_BAR_COLUMNS, n = n_bars[b].value;
        const size_t first = (size_t)b * p->bars * RP_BAR_COLUMNS + row % RP_BAR_COLUMNS;
        column c = { bars + first, false, 0 };
        c.mean = rp_div_rn(pairwise(&c, 0, n), (float)n);
        c.squares = true;
        const float std = rp_sqrt_rn(rp_div_rn(pairwise(&c, 0, n), (float)n)), unit = std + 1e-5f;
        for (uint32_t i = 0; i < p->bars; i++) {
            const size_t at = first + (size_t)i * RP_BAR_COLUMNS;
            const float scaled = i < n ? rp_div_rn((float)bars[at] - c.mean, unit) : 0;
            x[at] = scaled < -5 ? -5 : scaled > 5 ? 5 : scaled;
        }
        affine[row * 2] = c.mean, affine[row * 2 + 1] = std;
    }
}
