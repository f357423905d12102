// Models whose products take matrices in pairs of float16: loaded so, by the reference device, each family forecasts what it does without;
// which matrices are pairs, and that they survive being offloaded.
#include "case.h"

#include "../tools/sample.h"
#include "family.h"

// all: every product of a forecast's plans takes pairs; else more than half: those whose columns are no whole chunks do not.
static const struct { const char *folder; uint32_t horizon; bool all; } models[] = {
    { RP_WIDE_DIR "/toto", 80, true }, { RP_WIDE_DIR "/toto2", 70, true }, { RP_SOURCE_DIR "/models/demo-kronos", 3, false },
};

static void expect_ok(rp_device *device, rp_status status, const char *what) {
    char text[512];
    rp_device_copy_error(device, text, sizeof text);
    if (status != RP_OK) { fail_msg("%s: %s", what, text); }
}

static void count(const rp_model *model, const rp_forecaster *forecaster, uint32_t *products, uint32_t *pairs) {
    const rp_plan *plans[16];
    const uint32_t n = model->family->plans(forecaster, plans, TEST_COUNT(plans));
    assert_true(n <= TEST_COUNT(plans));
    *products = *pairs = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < plans[i]->n_launches; j++) {
            if (plans[i]->launches[j].op != RP_OP_LINEAR) { continue; }
            const struct rp_linear_params *p = (const void *)plans[i]->launches[j].params;
            *products += 1, *pairs += p->w_pairs;
            assert_true(p->w_pairs == 0 || p->k % RP_LINEAR_PAIR_CHUNK == 0);
        }
    }
}

// One forecast of a model on a device that multiplies pairs, or does not; to be freed.
static float *forecast(uint32_t m, uint32_t wgmma, size_t *n, uint32_t *products, uint32_t *pairs) {
    rp_device *device;
    rp_model *model;
    rp_forecaster *forecaster;
    sample s;
    assert_int_equal(rp_device_create("ref", NULL, &device), RP_OK);
    device->wgmma = wgmma;
    expect_ok(device, rp_model_load(device, models[m].folder, NULL, &model), models[m].folder);
    assert_int_equal(model->info.device_bytes, model->weights->bytes);
    expect_ok(device, rp_model_offload(model), "offload");
    expect_ok(device, rp_model_restore(model), "restore");
    sample_make(model, (sample_sizes){ .context = 100, .horizon = models[m].horizon, .paths = 3, .seed = 5 }, &s);
    expect_ok(device, sample_forecaster(&s, model, &forecaster), "forecaster");
    expect_ok(device, sample_forecast(&s, forecaster), "forecast");
    count(model, forecaster, products, pairs);
    float *mean = s.mean;
    s.mean = NULL;
    *n = (size_t)s.sizes.variates * s.sizes.horizon;
    sample_free(&s);
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    assert_int_equal(device->counters.buffer_bytes, 0);
    rp_device_destroy(device);
    return mean;
}

static void forecasts_agree(void **state) {
    (void)state;
    for (uint32_t m = 0; m < TEST_COUNT(models); m++) {
        size_t n;
        uint32_t products, pairs;
        float *plain = forecast(m, 0, &n, &products, &pairs);
        assert_int_equal(pairs, 0);
        float *of_pairs = forecast(m, 1, &n, &products, &pairs);
        if (models[m].all ? pairs != products : pairs <= products / 2) { fail_msg("%s: %u of %u products take pairs", models[m].folder, pairs, products); }
        for (size_t i = 0; i < n; i++) {     // the reference keeps 48 bits of each number
            if (!(fabsf(plain[i] - of_pairs[i]) <= 1e-6f * fabsf(plain[i]))) {
                fail_msg("%s, number %zu: %.9g, of pairs %.9g", models[m].folder, i, (double)plain[i], (double)of_pairs[i]);
            }
        }
        free(plain), free(of_pairs);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(forecasts_agree) };
    return cmocka_run_group_tests_name("pairs", tests, NULL, NULL);
}
