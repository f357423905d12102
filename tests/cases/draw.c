// draw: every mode, one and many distributions, dead series and paths, known futures, values out of range, past the horizon.
#include "../case.h"

#include "op_math.h"

static const struct { const char *name; struct rp_draw_params p; uint32_t exogenous; bool spice; } cases[] = {
    //                              B  S  V  P   k  mode             one H   S_cap
    { "mean, one element", { 1, 1, 1, 1, 1, RP_DRAW_MEAN, 1, 1, 1 }, 0, false },
    { "mean", { 2, 1, 3, 16, 5, RP_DRAW_MEAN, 1, 48, 1 }, 0, false },
    { "mean, out of range", { 2, 1, 2, 8, 3, RP_DRAW_MEAN, 0, 24, 1 }, 1, true },
    { "sample, one component", { 2, 7, 2, 16, 1, RP_DRAW_SAMPLE, 1, 32, 20 }, 0, false },
    { "sample", { 2, 33, 2, 8, 5, RP_DRAW_SAMPLE, 0, 40, 100 }, 0, false },
    { "sample, exogenous", { 3, 9, 3, 12, 24, RP_DRAW_SAMPLE, 0, 48, 40 }, 2, false },
    { "sample, first patch", { 1, 65, 2, 16, 24, RP_DRAW_SAMPLE, 1, 64, 130 }, 1, false },
    { "forced", { 2, 3, 3, 8, 2, RP_DRAW_FORCED, 0, 32, 12 }, 1, true },
};

enum { DIST, AFFINE, FUTURE, FORCED, IDS, STEP };

static void fill_dist(test_case *c, uint64_t rows, uint32_t k) {
    static const float dfs[] = { 2.0000002f, 2.5f, 4, 30, 1e4f, 1e12f };
    float *dist = test_f32(c, DIST, rows * 4 * k);
    for (uint64_t r = 0; r < rows; r++, dist += 4 * k) {
        double sum = 0;
        for (uint32_t i = 0; i < k; i++) {
            dist[i] = test_below(c, 2) ? dfs[test_below(c, TEST_COUNT(dfs))] : 2 + 8 * (float)test_random(c);
            dist[k + i] = 4 * (float)test_random(c) - 2;
            dist[2 * k + i] = test_below(c, 8) == 0 ? 1.1920929e-7f : 2 * (float)test_random(c);
            sum += (double)(dist[3 * k + i] = test_below(c, 6) == 0 ? 0 : (float)test_random(c));
        }
        for (uint32_t i = 0; i < k; i++) { dist[3 * k + i] = sum > 0 ? (float)((double)dist[3 * k + i] / sum) : 1 / (float)k; }
    }
}

// Values that the op must replace by 0, and the largest that it must not.
static void spoil(test_case *c, uint32_t binding, uint32_t stride) {
    static const float values[] = { INFINITY, NAN, -INFINITY, 1.7014118e38f, -1.7014120e38f, 3e38f };
    float *x = c->tensor[binding].data;
    for (uint64_t i = 0; i < TEST_COUNT(values) && (3 * i + 1) * stride < c->tensor[binding].count; i++) {
        x[(3 * i + 1) * stride] = values[i];
    }
}

bool test_case_draw(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, draw);
    const uint64_t dists = (uint64_t)p->batch * (p->one_dist ? 1 : p->paths) * p->variates * p->patch_size;
    const uint64_t series = (uint64_t)p->batch * p->variates;
    const uint32_t patches = p->horizon_cap / p->patch_size;
    fill_dist(c, dists, p->components);
    float *affine = test_uniform(c, AFFINE, dists * 2, -5, 5);
    for (uint64_t i = 0; i < dists; i++) { affine[2 * i + 1] = 0.3f + (float)test_random(c); }
    if (cases[index].spice) { spoil(c, p->mode == RP_DRAW_FORCED ? DIST : AFFINE, 2); }
    test_uniform(c, FUTURE, series * p->horizon_cap, -9, 9);
    if (p->mode == RP_DRAW_FORCED) {
        test_uniform(c, FORCED, (uint64_t)patches * p->paths_cap * series * p->patch_size, -9, 9);
        if (cases[index].spice) { spoil(c, FORCED, 1); }
    }
    uint32_t *ids = test_u32(c, IDS, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) { ids[b] = b == 0 ? 0 : test_below(c, ~0u); }
    const uint32_t v = c->variation, chunks = (p->paths_cap + p->paths - 1) / p->paths, chunk = v == 0 ? 0 : (v + 1) % chunks;
    test_step(c, STEP, (struct rp_step){
        .batch = v == 2 ? p->batch - 1 : p->batch,                                // a dead series
        .paths = p->paths_cap - (p->paths_cap > 1),                               // a path beyond in the last chunk
        .path0 = chunk * p->paths,
        .chunk = chunk + 1,
        .step = v == 0 || p->one_dist ? 0 : v % patches,
        .horizon = v == 3 ? p->patch_size / 2 + 1 : p->horizon_cap - 1,           // known values end inside a patch
        .exogenous = cases[index].exogenous,
        .seed_lo = test_below(c, ~0u),
        .seed_hi = test_below(c, ~0u),
    });
    test_output(c, 6, (uint64_t)p->batch * p->paths * p->variates * p->patch_size);
    test_output(c, 7, series * p->horizon_cap * p->paths_cap);
    return true;
}
