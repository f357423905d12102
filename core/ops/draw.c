// draw: the next patch of every path, by the mean, by chance or as prescribed; spec toto.md sections 4 to 6.
#include <float.h>

#include "op.h"

#include "../op_math.h"

rp_status rp_shape_draw(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(draw);
    const uint32_t dists = p->one_dist ? p->batch * p->variates : p->batch * p->paths * p->variates, P = p->patch_size;
    EXPECT(0, RP_F32, dists, P, 4, p->components);
    EXPECT(1, RP_F32, dists, P, 2);
    EXPECT(2, RP_F32, p->batch, p->variates, p->horizon_cap);
    if (p->mode == RP_DRAW_FORCED) { EXPECT(3, RP_F32, p->horizon_cap / P, p->paths_cap, p->batch, p->variates, P); }
    EXPECT(4, RP_U32, p->batch);
    EXPECT(5, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(RP_F32, p->batch, p->paths, p->variates, P);
    out[1] = RP_SHAPE(RP_F32, p->batch, p->variates, p->horizon_cap, p->paths_cap);
    return RP_OK;
}

void rp_launch_draw(const rp_node *node, rp_launch *out) {
    PARAMS(draw);
    const uint64_t values = (uint64_t)p->batch * p->variates * p->patch_size * p->paths;
    const uint32_t group = out->fast && values < RP_DRAW_MANY ? RP_GROUP_ROW : RP_GROUP_POINT;
    rp_launch_rows(out, "draw_f32", ceil_div(values, group), group);
}

void rp_cost_draw(const rp_node *node, rp_cost *out) {
    PARAMS(draw);
    const uint64_t values = (uint64_t)p->batch * p->variates * p->patch_size * p->paths;
    out->flops = values * (2 * p->components + 60);
    out->bytes -= 4 * (uint64_t)p->batch * p->variates * p->horizon_cap * p->paths_cap;   // the result: one patch of it
    out->bytes += 4 * values;
}

static double sampled(const double *dist, uint32_t k, struct rp_words words) {
    const double u = rp_uniform(words.w0);
    double sum = 0;
    uint32_t c = 0;
    for (; c + 1 < k; c++) {
        sum += dist[3 * k + c];
        if (sum > u) { break; }
    }
    const double df = dist[c], a = rp_uniform(words.w1), b = rp_uniform(words.w2);
    const double t = sqrt(df * expm1(-2 / df * log(a))) * cos(2 * 3.14159265358979323846 * b);
    return dist[k + c] + dist[2 * k + c] * t;
}

void rp_ref_draw(const void *params, void *const *binding) {
    REF_PARAMS(draw);
    const double *dists = binding[0], *affine = binding[1], *future = binding[2], *forced = binding[3];
    const ref_u32 *ids = binding[4];
    const struct rp_step step = ref_step(binding[5]);
    double *patch = binding[6], *result = binding[7];
    const uint32_t P = p->patch_size, k = p->components, V = p->variates;
    for (uint32_t row = 0; row < p->batch * p->paths * V; row++) {
        const uint32_t v = row % V, s = row / V % p->paths, b = row / (V * p->paths), path = step.path0 + s;
        const size_t source = p->one_dist ? (size_t)b * V + v : row;
        for (uint32_t j = 0; j < P; j++) {
            const double *dist = dists + (source * P + j) * 4 * k, *at = affine + (source * P + j) * 2;
            const uint32_t t = step.step * P + j;
            double x = 0, y;
            if (p->mode == RP_DRAW_FORCED) {
                const size_t row_of_path = ((size_t)step.step * p->paths_cap + path) * p->batch + b;
                y = path < p->paths_cap ? forced[(row_of_path * V + v) * P + j] : 0;
            } else {
                if (p->mode == RP_DRAW_MEAN) {
                    for (uint32_t c = 0; c < k; c++) { x += dist[3 * k + c] * dist[k + c]; }
                } else {
                    x = sampled(dist, k, rp_philox(step.seed_lo, step.seed_hi, ids[b].value, v, path, t));
                }
                y = at[0] + at[1] * x;
            }
            if (!(fabs(y) < FLT_MAX / 2)) { y = 0; }
            if (v + step.exogenous >= V && t < step.horizon) { y = future[((size_t)b * V + v) * p->horizon_cap + t]; }
            patch[(size_t)row * P + j] = y;
            if (b < step.batch && path < step.paths && t < p->horizon_cap && path < p->paths_cap) {
                result[(((size_t)b * V + v) * p->horizon_cap + t) * p->paths_cap + path] = y;
            }
        }
    }
}
