// scaler: the prompt's statistics and scaled values, spec toto.md section 1.
#include "op.h"

#include "scale.h"

rp_status rp_shape_scaler(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(scaler);
    const uint32_t steps = p->patches * p->patch_size;
    EXPECT(0, RP_F32, p->batch, p->variates, steps);
    EXPECT(1, RP_F32, p->batch, p->variates, steps);
    EXPECT(2, RP_U32, p->batch);
    out[0] = RP_SHAPE(RP_F32, p->batch, p->variates, steps);
    out[1] = RP_SHAPE(RP_F32, p->batch, p->variates, p->patch_size, 2);
    out[2] = RP_SHAPE(RP_F64, p->batch, p->variates, p->patches, 4);
    out[3] = RP_SHAPE(RP_F64, p->batch, p->variates, 4);
    out[4] = RP_SHAPE(RP_F64, p->batch, p->variates, 2);
    return RP_OK;
}

void rp_launch_scaler(const rp_node *node, rp_launch *out) {
    PARAMS(scaler);
    const uint64_t rows = (uint64_t)p->batch * p->variates;
    if (out->fast) {
        rp_launch_rows(out, "scaler_f32_warps", rows, RP_GROUP_SCALER);
        return;
    }
    rp_launch_rows(out, "scaler_f32", rows, RP_GROUP_ROW);
}

void rp_cost_scaler(const rp_node *node, rp_cost *out) {
    PARAMS(scaler);
    out->flops = 12 * (uint64_t)p->batch * p->variates * p->patches * p->patch_size;
}

#define MINIMUM_SCALE 0.1        // of the causal scalers
#define GLOBAL_EPSILON 1e-3      // of StdMeanScaler

// (loc, scale) from the running statistics and the prompt's (mean, population variance).
void rp_scale_of(uint32_t kind, uint32_t clamp, double factor, double n, double mean, double m2, double prompt_mean,
                 double prompt_var, double *loc, double *scale) {
    if (kind == RP_SCALER_GLOBAL) {
        *loc = prompt_mean;
        *scale = sqrt(prompt_var + GLOBAL_EPSILON);
        return;
    }
    *loc = mean;
    *scale = sqrt(m2 / fmax(fmax(n, 1) - 1, 1) + MINIMUM_SCALE);
    if (clamp) {
        double sigma = sqrt(prompt_var + MINIMUM_SCALE);
        *scale = fmin(fmax(*scale, fmax(MINIMUM_SCALE, sigma / factor)), sigma * factor);
    }
}

// One more value into the running (n, mean, M2), weight 0 or 1.
void rp_scale_push(double *n, double *mean, double *m2, double x, double w) {
    if (w == 0) { return; }
    double before = *mean;
    *n += w;
    *mean += (x - before) * w / *n;
    *m2 += w * (x - before) * (x - *mean);
}

void rp_ref_scaler(const void *params, void *const *binding) {
    REF_PARAMS(scaler);
    const double *series = binding[0], *mask = binding[1];   // [B, V, N P]
    const ref_u32 *n_patches = binding[2];                   // [B]
    double *z = binding[3], *affine = binding[4];            // [B, V, N P], [B, V, P, 2]
    ref_f64 *patch_state = binding[5], *state = binding[6], *global = binding[7];
    const uint32_t P = p->patch_size;
    for (uint32_t row = 0; row < p->batch * p->variates; row++) {
        const size_t base = (size_t)row * p->patches * P;
        const uint32_t live = n_patches[row / p->variates].value;
        memset(z + base, 0, (size_t)p->patches * P * sizeof *z);
        memset(affine + (size_t)row * P * 2, 0, (size_t)P * 2 * sizeof *affine);
        memset(patch_state + (size_t)row * p->patches * 4, 0, (size_t)p->patches * 4 * sizeof *patch_state);
        double n = 0, mean = 0, m2 = 0;
        for (uint32_t i = 0; i < live; i++) {
            for (uint32_t j = 0; j < P; j++) {
                rp_scale_push(&n, &mean, &m2, series[base + i * P + j], mask[base + i * P + j]);
            }
            ref_f64 *now = patch_state + ((size_t)row * p->patches + i) * 4;
            now[0].value = n, now[1].value = mean, now[2].value = m2, now[3].value = 0;
        }
        ref_f64 *last = state + (size_t)row * 4, *whole = global + (size_t)row * 2;
        last[0].value = n, last[1].value = mean, last[2].value = m2, last[3].value = 0;
        whole[0].value = mean, whole[1].value = m2 / fmax(n, 1);
        n = mean = m2 = 0;
        for (uint32_t i = 0; i < live; i++) {
            const ref_f64 *now = patch_state + ((size_t)row * p->patches + i) * 4;
            for (uint32_t j = 0; j < P; j++) {
                const size_t at = base + i * P + j;
                double loc, scale;
                if (p->kind == RP_SCALER_CAUSAL) {
                    rp_scale_push(&n, &mean, &m2, series[at], mask[at]);
                } else {
                    n = now[0].value, mean = now[1].value, m2 = now[2].value;
                }
                rp_scale_of(p->kind, p->clamp, p->factor, n, mean, m2, whole[0].value, whole[1].value, &loc, &scale);
                z[at] = (series[at] - loc) / scale;
                if (i + 1 == live) {
                    affine[((size_t)row * P + j) * 2] = loc;
                    affine[((size_t)row * P + j) * 2 + 1] = scale;
                }
            }
        }
    }
}
