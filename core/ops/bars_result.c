// bars_result: decoded bars back in the units of their series, each path in its place of the result; spec kronos.md section 6.
#include "op.h"

rp_status rp_shape_bars_result(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(bars_result);
    EXPECT(0, RP_F32, p->batch, p->paths, p->horizon_cap, RP_BAR_COLUMNS);
    EXPECT(1, RP_F32, p->batch, RP_BAR_COLUMNS, 2);
    EXPECT(2, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(RP_F32, p->batch, RP_BAR_COLUMNS, p->horizon_cap, p->paths_cap);
    return RP_OK;
}

static uint64_t values(const struct rp_bars_result_params *p) {
    return (uint64_t)p->batch * p->paths * p->horizon_cap * RP_BAR_COLUMNS;
}

void rp_launch_bars_result(const rp_node *node, rp_launch *out) {
    PARAMS(bars_result);
    launch_point(out, "bars_result_f32", values(p));
}

void rp_cost_bars_result(const rp_node *node, rp_cost *out) {
    PARAMS(bars_result);
    out->flops = 2 * values(p);
    out->bytes = 8 * values(p);
}

void rp_ref_bars_result(const void *params, void *const *binding) {
    REF_PARAMS(bars_result);
    const double *y = binding[0], *affine = binding[1];   // [B, S, H, 6], [B, 6, 2]
    const struct rp_step step = ref_step(binding[2]);
    double *result = binding[3];                          // [B, 6, H, paths_cap]
    const uint32_t H = p->horizon_cap;
    for (uint32_t row = 0; row < p->batch * p->paths; row++) {
        const uint32_t b = row / p->paths, path = step.path0 + row % p->paths;
        if (b >= step.batch || path >= step.paths || path >= p->paths_cap) { continue; }
        for (uint32_t t = 0; t < H && t < step.horizon; t++) {
            for (uint32_t c = 0; c < RP_BAR_COLUMNS; c++) {
                const double *at = affine + ((size_t)b * RP_BAR_COLUMNS + c) * 2;
                result[(((size_t)b * RP_BAR_COLUMNS + c) * H + t) * p->paths_cap + path] =
                    y[((size_t)row * H + t) * RP_BAR_COLUMNS + c] * (at[1] + 1e-5) + at[0];
            }
        }
    }
}
