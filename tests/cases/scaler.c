// scaler: every kind, clamped and not, masked values, nothing unmasked, patches beyond n_patches, a far offset, outliers.
#include "../case.h"

enum { NOISE, SPICE, OFFSET, CONSTANT, MASKED };
static const struct { const char *name; struct rp_scaler_params p; int what; } cases[] = {
    { "one element", { 1, 1, 1, 1, RP_SCALER_CAUSAL_PATCH, 0, 10 }, NOISE },
    { "patch", { 2, 3, 5, 16, RP_SCALER_CAUSAL_PATCH, 0, 10 }, NOISE },
    { "patch, clamped", { 2, 2, 6, 8, RP_SCALER_CAUSAL_PATCH, 1, 1.5f }, SPICE },
    { "patch, outliers", { 2, 3, 7, 33, RP_SCALER_CAUSAL_PATCH, 0, 10 }, SPICE },
    { "patch, far offset", { 1, 2, 70, 16, RP_SCALER_CAUSAL_PATCH, 1, 10 }, OFFSET },
    { "patch, masked", { 3, 2, 9, 12, RP_SCALER_CAUSAL_PATCH, 1, 10 }, MASKED },
    { "causal", { 2, 2, 5, 7, RP_SCALER_CAUSAL, 0, 10 }, NOISE },
    { "causal, clamped", { 2, 2, 5, 16, RP_SCALER_CAUSAL, 1, 1.2f }, SPICE },
    { "causal, masked", { 2, 2, 66, 4, RP_SCALER_CAUSAL, 0, 10 }, MASKED },
    { "causal, constant", { 1, 2, 3, 64, RP_SCALER_CAUSAL, 1, 10 }, CONSTANT },
    { "global", { 2, 2, 5, 16, RP_SCALER_GLOBAL, 0, 10 }, NOISE },
    { "global, constant", { 2, 1, 4, 8, RP_SCALER_GLOBAL, 1, 10 }, CONSTANT },
    { "global, masked", { 3, 1, 8, 9, RP_SCALER_GLOBAL, 0, 10 }, MASKED },
};

static void fill(test_case *c, int what, uint64_t n) {
    float *x = test_uniform(c, 0, n, -3, 3), *mask = test_f32(c, 1, n);
    for (uint64_t i = 0; i < n; i++) {
        mask[i] = 1;
        if (what == OFFSET) { x[i] += 1e6f; }
        if (what == CONSTANT) { x[i] = 4.25f; }
        if (what == MASKED && (test_below(c, 3) == 0 || i < n / 2)) {   // the first series has nothing unmasked at all
            mask[i] = 0;
            if (test_below(c, 2) == 0) { x[i] = -0.0f; }
        }
    }
    if (what == SPICE) { test_spice(c, 0); }
}

bool test_case_scaler(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, scaler);
    const uint64_t rows = (uint64_t)p->batch * p->variates, N = p->patches, P = p->patch_size;
    fill(c, cases[index].what, rows * N * P);
    uint32_t *n_patches = test_u32(c, 2, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) { n_patches[b] = b == 0 ? p->patches : 1 + test_below(c, p->patches); }
    if (p->batch == 3) { n_patches[2] = 0; }                            // a dead series
    test_output(c, 3, rows * N * P);
    test_output(c, 4, rows * P * 2);
    test_output_f64(c, 5, rows * N * 4);
    test_output_f64(c, 6, rows * 4);
    test_output_f64(c, 7, rows * 2);
    return true;
}
