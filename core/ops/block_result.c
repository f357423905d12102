// block_result: from the head's output to nine quantiles in the series' own unit, and the median into the series; spec toto2.md
// section 4.
#include "op.h"

#include <stdlib.h>

#include "op_math.h"

#define LEVELS RP_BLOCK_QUANTILES
#define MEDIAN (LEVELS / 2)
#define LEAST_STD 1e-6

rp_status rp_shape_block_result(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(block_result);
    EXPECT(0, RP_F32, p->batch, p->variates, p->count, p->patch_size, LEVELS);
    EXPECT(1, RP_F64, p->batch, p->variates, RP_BLOCK_STATE);
    EXPECT(2, RP_U32, 2);
    EXPECT(3, RP_U32, p->batch);
    EXPECT(4, RP_U32, RP_STEP_WORDS);
    EXPECT(5, RP_F32, 2, p->batch, p->variates, p->series_patches, p->patch_size);
    out[0] = RP_SHAPE(RP_F32, 2, p->batch, p->variates, p->series_patches, p->patch_size);
    out[1] = RP_SHAPE(RP_F32, p->batch, p->variates, LEVELS, p->horizon_cap);
    return RP_OK;
}

void rp_launch_block_result(const rp_node *node, rp_launch *out) {
    PARAMS(block_result);
    rp_launch_rows(out, "block_result_f32", (uint64_t)p->batch * p->variates * p->count, RP_GROUP_ROW);
}

void rp_cost_block_result(const rp_node *node, rp_cost *out) {
    PARAMS(block_result);
    const uint64_t steps = (uint64_t)p->batch * p->variates * p->count * p->patch_size;
    out->flops = 20 * LEVELS * steps;
    out->bytes = 4 * (2 * LEVELS + 2) * steps;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// What the nine levels of a step, raw [9], are; bounds: the least and largest finite y of each level in the patch.
static void quantiles(const double *raw, const double (*bounds)[2], double mean, double std, const double *cap, double *out) {
    for (uint32_t q = 0; q < LEVELS; q++) {
        double y = sinh(raw[q]) * std + mean;
        if (!isfinite(y)) { y = bounds[q][0] > bounds[q][1] ? mean : bounds[q][raw[q] > 0]; }
        out[q] = cap != NULL ? fmin(fmax(y, cap[0]), cap[1]) : y;
    }
    qsort(out, LEVELS, sizeof *out, ascending);
}

void rp_ref_block_result(const void *params, void *const *binding) {
    REF_PARAMS(block_result);
    const double *raw = binding[0];
    const ref_f64 *state = binding[1];
    const ref_u32 *settings = binding[2], *n_patches = binding[3];
    const struct rp_step step = ref_step(binding[4]);
    double *series = binding[6], *result = binding[7];       // series is read and written
    const uint32_t P = p->patch_size, rows = p->batch * p->variates;
    const size_t length = (size_t)p->series_patches * P;
    const double k = (double)rp_bits_float(settings[1].value);
    for (uint32_t i = 0; i < rows * p->count; i++) {
        const uint32_t row = i / p->count, j = i % p->count, b = row / p->variates;
        const rp_call call = rp_call_of(n_patches[b].value, step.step, step.horizon, P, p->block, p->later);
        if (b >= step.batch || j >= call.fresh) { continue; }
        const ref_f64 *s = state + (size_t)row * RP_BLOCK_STATE;
        const double mean = s[1].value, std = fmax(sqrt(s[2].value / fmax(s[0].value - 1, 1)), LEAST_STD);
        const double cap[2] = { s[3].value - k * std, s[4].value + k * std };
        const bool known = row % p->variates + step.exogenous >= p->variates;
        const double *from = raw + (size_t)i * P * LEVELS;
        const uint32_t patch = call.start + call.given + j;
        double bounds[LEVELS][2];
        for (uint32_t q = 0; q < LEVELS; q++) {
            bounds[q][0] = INFINITY, bounds[q][1] = -INFINITY;
            for (uint32_t t = 0; t < P; t++) {
                const double y = sinh(from[t * LEVELS + q]) * std + mean;
                if (isfinite(y)) { bounds[q][0] = fmin(bounds[q][0], y), bounds[q][1] = fmax(bounds[q][1], y); }
            }
        }
        for (uint32_t t = 0; t < P; t++) {
            const size_t at = row * length + (size_t)patch * P + t, ahead = (size_t)(patch - n_patches[b].value) * P + t;
            double y[LEVELS];
            quantiles(from + t * LEVELS, bounds, mean, std, k > 0 ? cap : NULL, y);
            for (uint32_t q = 0; q < LEVELS; q++) {
                result[((size_t)row * LEVELS + q) * p->horizon_cap + ahead] = known ? series[at] : y[q];
            }
            if (known) { continue; }
            series[at] = y[MEDIAN];
            series[rows * length + at] = 1;
        }
    }
}
