// scale_step: statistics moved on by one appended patch, and that patch scaled. Each path has its own.
#include "op.h"

#include "scale.h"

rp_status rp_shape_scale_step(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(scale_step);
    EXPECT(0, RP_F32, p->batch, p->paths, p->variates, p->patch_size);
    EXPECT(1, RP_F64, p->batch, p->paths, p->variates, 4);
    EXPECT(2, RP_F64, p->batch, p->variates, 2);
    out[0] = RP_SHAPE(RP_F32, p->batch, p->paths, p->variates, p->patch_size);
    out[1] = RP_SHAPE(RP_F32, p->batch, p->paths, p->variates, p->patch_size, 2);
    out[2] = RP_SHAPE(RP_F64, p->batch, p->paths, p->variates, 4);
    return RP_OK;
}

void rp_launch_scale_step(const rp_node *node, rp_launch *out) {
    PARAMS(scale_step);
    const uint64_t rows = (uint64_t)p->batch * p->paths * p->variates;
    if (out->fast) {
        rp_launch_rows(out, "scale_step_f32_warp", ceil_div(32 * rows, RP_GROUP_SCALE_STEP), RP_GROUP_SCALE_STEP);
        return;
    }
    rp_launch_rows(out, "scale_step_f32", ceil_div(rows, RP_GROUP_ROW), RP_GROUP_ROW);
}

void rp_cost_scale_step(const rp_node *node, rp_cost *out) {
    PARAMS(scale_step);
    out->flops = 12 * (uint64_t)p->batch * p->paths * p->variates * p->patch_size;
}

void rp_ref_scale_step(const void *params, void *const *binding) {
    REF_PARAMS(scale_step);
    const double *patch = binding[0];                          // [B, S, V, P]
    const ref_f64 *old = binding[1], *global = binding[2];     // [B, S, V, 4], [B, V, 2]
    double *z = binding[3], *affine = binding[4];              // [B, S, V, P], [B, S, V, P, 2]
    ref_f64 *state = binding[5];                               // [B, S, V, 4]
    const uint32_t P = p->patch_size;
    for (uint32_t row = 0; row < p->batch * p->paths * p->variates; row++) {
        const uint32_t b = row / (p->paths * p->variates), v = row % p->variates;
        const ref_f64 *whole = global + ((size_t)b * p->variates + v) * 2;
        const double *x = patch + (size_t)row * P;
        double n = old[row * 4].value, mean = old[row * 4 + 1].value, m2 = old[row * 4 + 2].value;
        double end_n = n, end_mean = mean, end_m2 = m2;
        for (uint32_t j = 0; j < P; j++) { rp_scale_push(&end_n, &end_mean, &end_m2, x[j], 1); }
        for (uint32_t j = 0; j < P; j++) {
            double loc, scale;
            rp_scale_push(&n, &mean, &m2, x[j], 1);
            bool each = p->kind == RP_SCALER_CAUSAL;
            rp_scale_of(p->kind, p->clamp, p->factor, each ? n : end_n, each ? mean : end_mean, each ? m2 : end_m2,
                        whole[0].value, whole[1].value, &loc, &scale);
            z[(size_t)row * P + j] = (x[j] - loc) / scale;
            affine[((size_t)row * P + j) * 2] = loc;
            affine[((size_t)row * P + j) * 2 + 1] = scale;
        }
        state[row * 4].value = end_n, state[row * 4 + 1].value = end_mean, state[row * 4 + 2].value = end_m2;
        state[row * 4 + 3].value = 0;
    }
}
