// scale_step: every kind, clamped and not, from a state of many values and from an empty one; the state in place.
#include "../case.h"

static const struct { const char *name; struct rp_scale_step_params p; bool spice; } cases[] = {
    { "one element", { 1, 1, 1, 1, RP_SCALER_CAUSAL_PATCH, 0, 10 }, false },
    { "patch", { 2, 35, 2, 16, RP_SCALER_CAUSAL_PATCH, 0, 10 }, false },
    { "patch, clamped", { 2, 3, 3, 64, RP_SCALER_CAUSAL_PATCH, 1, 1.1f }, true },
    { "causal", { 1, 7, 2, 12, RP_SCALER_CAUSAL, 0, 10 }, true },
    { "causal, clamped", { 2, 33, 1, 8, RP_SCALER_CAUSAL, 1, 1.1f }, false },
    { "global", { 2, 3, 2, 5, RP_SCALER_GLOBAL, 0, 10 }, false },
    { "global, clamp without effect", { 1, 2, 2, 5, RP_SCALER_GLOBAL, 1, 1.1f }, true },
};

bool test_case_scale_step(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, scale_step);
    const uint64_t rows = (uint64_t)p->batch * p->paths * p->variates, P = p->patch_size;
    test_uniform(c, 0, rows * P, -3, 5);
    if (cases[index].spice) { test_spice(c, 0); }
    double *state = test_f64(c, 1, rows * 4), *whole = test_f64(c, 2, (uint64_t)p->batch * p->variates * 2);
    for (uint64_t i = 0; i < rows; i++) {
        state[4 * i] = i % 5 == 4 ? 0 : 1 + test_below(c, 200);         // every fifth: a prompt with nothing unmasked
        state[4 * i + 1] = state[4 * i] > 0 ? test_random(c) * 2 : 0;
        state[4 * i + 2] = state[4 * i] > 1 ? state[4 * i] * test_random(c) * 4 : 0;
    }
    for (uint64_t i = 0; i < (uint64_t)p->batch * p->variates; i++) {
        whole[2 * i] = test_random(c) * 2;
        whole[2 * i + 1] = i % 3 == 2 ? 0 : test_random(c) * 4;
    }
    test_output(c, 3, rows * P);
    test_output(c, 4, rows * P * 2);
    test_alias(c, 5, 1);
    return true;
}
