// Whole forecasts through the public calls, on every device: what must not change a bit, what must not be allocated, and
// what must come back as an error.
#include "case.h"

#include "toto.h"

#define TINY RP_GOLDEN_DIR "/toto-tiny"
#define VARIATES 3u
#define HORIZON 40u     // patch 16: three patches, the last one cut

typedef struct fixture { rp_model *model; rp_forecaster *forecaster; } fixture;

// Precision f32, whose bits depend on no size; in_mixed runs what holds in precision mixed too.
static rp_precision precision = RP_PRECISION_F32;

static fixture open_with(rp_device *device, uint32_t context, uint32_t batch, uint32_t paths, uint64_t bytes) {
    fixture x = { NULL, NULL };
    rp_model_config model = RP_MODEL_CONFIG_INIT;
    model.precision = precision;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = context, config.max_horizon = HORIZON, config.variates = VARIATES;
    config.max_batch = batch, config.max_paths = paths, config.memory_bytes = bytes;
    test_ok(device, rp_model_load(device, TINY, &model, &x.model), "load");
    test_ok(device, rp_forecaster_create(x.model, &config, &x.forecaster), "create");
    return x;
}

static rp_status check_mirror(rp_forecaster *forecaster) {
    const toto_forecaster *f = (const toto_forecaster *)forecaster;
    return rp_replays_check(&f->storage.queue, f->in.step);
}

static void close_it(fixture *x) {
    rp_forecaster_destroy(x->forecaster);
    rp_model_destroy(x->model);
}

// A series that depends on `id` and no other; [VARIATES, context].
static rp_series make_series(uint32_t id, uint32_t context) {
    rp_series s = RP_SERIES_INIT;
    float *values = malloc((size_t)VARIATES * context * sizeof *values);
    uint8_t *mask = malloc((size_t)VARIATES * context);
    assert_true(values != NULL && mask != NULL);
    for (uint32_t v = 0; v < VARIATES; v++) {
        for (uint32_t t = 0; t < context; t++) {
            values[v * context + t] = 10.0f * (float)(v + 1) + 3 * sinf(0.3f * (float)t + (float)id) + 0.01f * (float)((t * 37 + id * 11) % 23);
            mask[v * context + t] = (t + id) % 11 != 3;
        }
    }
    s.values = values, s.mask = mask, s.context = context, s.id = id;
    return s;
}

static void free_series(rp_series *s) {
    free((void *)s->values);
    free((void *)s->mask);
}

// [n, VARIATES, HORIZON, paths], to be freed.
static float *run(rp_device *device, rp_forecaster *f, const rp_series *series, uint32_t n, uint32_t paths, uint32_t horizon) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    float *out = malloc((size_t)n * VARIATES * horizon * (paths ? paths : 1) * sizeof *out);
    assert_non_null(out);
    config.horizon = horizon, config.paths = paths, config.seed = 7;
    *(paths ? &result.samples : &result.mean) = out;
    test_ok(device, rp_forecast(f, series, n, &config, &result), "forecast");
    return out;
}

// Series of different lengths together give the bits of each alone, whatever the forecaster's capacity.
static void any_batch(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t contexts[] = { 96, 17, 50 }, S = 5;
    rp_series series[3];
    for (uint32_t i = 0; i < 3; i++) { series[i] = make_series(i, contexts[i]); }
    fixture all = open_with(device, 96, 4, S, 0), one = open_with(device, 100, 1, S, 0);
    const size_t size = (size_t)VARIATES * HORIZON * S;
    for (uint32_t paths = 0; paths <= S; paths += S) {
        const size_t each = paths ? size : size / S;
        float *together = run(device, all.forecaster, series, 3, paths, HORIZON);
        for (uint32_t i = 0; i < 3; i++) {
            float *alone = run(device, one.forecaster, &series[i], 1, paths, HORIZON);
            assert_memory_equal(alone, together + i * each, each * sizeof *alone);
            free(alone);
        }
        free(together);
    }
    close_it(&all), close_it(&one);
    for (uint32_t i = 0; i < 3; i++) { free_series(&series[i]); }
}

// A budget that splits the paths into chunks changes no number, and more paths only add to fewer.
static void any_chunks(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t S = 37, few = 10;
    rp_series series = make_series(2, 80);
    fixture whole = open_with(device, 80, 1, S, 0);
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = 80, config.max_horizon = HORIZON, config.variates = VARIATES, config.max_paths = 8;
    test_ok(device, rp_forecaster_query(whole.model, &config, &info), "query");
    fixture split = open_with(device, 80, 1, S, info.device_bytes + 40000);   // a little over what 8 paths at once take
    test_ok(device, rp_forecaster_copy_info(split.forecaster, &info), "info");
    assert_true(info.chunks > 1);
    float *a = run(device, whole.forecaster, &series, 1, S, HORIZON), *b = run(device, split.forecaster, &series, 1, S, HORIZON);
    assert_memory_equal(a, b, (size_t)VARIATES * HORIZON * S * sizeof *a);
    float *c = run(device, split.forecaster, &series, 1, few, HORIZON);
    for (uint32_t row = 0; row < VARIATES * HORIZON; row++) {
        assert_memory_equal(c + (size_t)row * few, a + (size_t)row * S, few * sizeof *a);
    }
    assert_true(check_mirror(split.forecaster) == RP_OK);
    free(a), free(b), free(c);
    close_it(&whole), close_it(&split);
    free_series(&series);
}

// A shorter horizon is the start of a longer one.
static void any_horizon(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t S = 4, H = 5;
    rp_series series = make_series(3, 33);
    fixture x = open_with(device, 33, 1, S, 0);
    float *a = run(device, x.forecaster, &series, 1, S, HORIZON), *b = run(device, x.forecaster, &series, 1, S, H);
    for (uint32_t v = 0; v < VARIATES; v++) { assert_memory_equal(b + (size_t)v * H * S, a + (size_t)v * HORIZON * S, (size_t)H * S * sizeof *a); }
    free(a), free(b);
    close_it(&x);
    free_series(&series);
}

// Forecasts after the first allocate no buffer, record nothing and read once, at the end; the host's step block is the device's.
static void steady(void **state) {
    rp_device *device = test_device_of(state);
    rp_series series = make_series(1, 64);
    fixture x = open_with(device, 64, 1, 3, 0);
    float *first = run(device, x.forecaster, &series, 1, 3, HORIZON);
    const rp_counters before = device->counters;
    uint32_t forecasts = 0;
    for (; device->counters.replays - before.replays < 1000; forecasts++) {
        float *again = run(device, x.forecaster, &series, 1, 3, HORIZON);
        assert_memory_equal(first, again, (size_t)VARIATES * HORIZON * 3 * sizeof *again);
        free(again);
    }
    assert_true(device->counters.buffers == before.buffers && device->counters.buffer_bytes == before.buffer_bytes);
    assert_true(device->counters.recordings == before.recordings);
    assert_true(device->counters.reads - before.reads == forecasts);
    assert_true(check_mirror(x.forecaster) == RP_OK);
    free(first);
    close_it(&x);
    free_series(&series);
}

// Node by node without recordings: the same bits.
static void direct_is_replayed(void **state) {
    rp_device *device = test_device_of(state);
    rp_series series = make_series(4, 48);
    fixture x = open_with(device, 48, 1, 6, 0);
    float *replayed = run(device, x.forecaster, &series, 1, 6, HORIZON);
    device->config.direct = 1;
    float *direct = run(device, x.forecaster, &series, 1, 6, HORIZON);
    device->config.direct = 0;
    assert_memory_equal(replayed, direct, (size_t)VARIATES * HORIZON * 6 * sizeof *direct);
    free(replayed), free(direct);
    close_it(&x);
    free_series(&series);
}

// Sampled paths follow the reference's. A draw near a component boundary may go the other way, and then its path does.
static void same_paths_as_reference(void **state) {
    rp_device *device = test_device_of(state), *ref = test_ref();
    const uint32_t S = 50;
    rp_series series = make_series(5, 70);
    fixture a = open_with(device, 70, 1, S, 0), b = open_with(ref, 70, 1, S, 0);
    float *mine = run(device, a.forecaster, &series, 1, S, HORIZON), *theirs = run(ref, b.forecaster, &series, 1, S, HORIZON);
    uint32_t parted = 0;
    for (uint32_t s = 0; s < S; s++) {
        bool same = true;
        for (uint32_t row = 0; row < VARIATES * HORIZON; row++) {
            const size_t i = (size_t)row * S + s;
            if (!(fabsf(mine[i] - theirs[i]) <= 2e-3f * fmaxf(1, fabsf(theirs[i])))) { same = false; }
        }
        parted += !same;
    }
    // 120 draws a path, each within 1e-5 of one of 4 boundaries with probability 1e-4: about one path in a hundred.
    if (parted > 5) { fail_msg("%u of %u paths left the reference's", parted, S); }
    free(mine), free(theirs);
    close_it(&a), close_it(&b);
    free_series(&series);
}

static int stop_at_once(void *user, uint32_t done, uint32_t total) {
    (void)total;
    *(uint32_t *)user = done;
    return 1;
}

static int count_only(void *user, uint32_t done, uint32_t total) {
    assert_true(done <= total);
    *(uint32_t *)user = done;
    return 0;
}

static void cancelled(void **state) {
    rp_device *device = test_device_of(state);
    rp_series series = make_series(1, 40);
    fixture x = open_with(device, 40, 1, 3, 0);
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    float untouched = -1, mean[VARIATES * HORIZON];
    uint32_t done = 0;
    config.horizon = HORIZON, config.paths = 3, config.progress = stop_at_once, config.progress_user = &done;
    result.mean = mean;
    mean[0] = untouched;
    assert_int_equal(rp_forecast(x.forecaster, &series, 1, &config, &result), RP_CANCELLED);
    assert_true(done > 0 && mean[0] == untouched);
    config.progress = count_only;
    test_ok(device, rp_forecast(x.forecaster, &series, 1, &config, &result), "forecast after a cancelled one");
    assert_true(mean[0] != untouched);
    close_it(&x);
    free_series(&series);
}

// Mean and quantiles are those of the samples.
static void results_agree(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t S = 11;
    rp_series series = make_series(6, 40);
    fixture x = open_with(device, 40, 1, S, 0);
    float samples[VARIATES * HORIZON * 11], mean[VARIATES * HORIZON], quantiles[3 * VARIATES * HORIZON];
    const float levels[] = { 0, 0.5f, 1 };
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.horizon = HORIZON, config.paths = S, config.quantile_levels = levels, config.n_quantiles = 3;
    result.samples = samples, result.mean = mean, result.quantiles = quantiles;
    test_ok(device, rp_forecast(x.forecaster, &series, 1, &config, &result), "forecast");
    for (uint32_t row = 0; row < VARIATES * HORIZON; row++) {
        const float *s = samples + row * S;
        double sum = 0;
        float low = s[0], high = s[0], median = quantiles[VARIATES * HORIZON + row];
        uint32_t below = 0, above = 0;
        for (uint32_t i = 0; i < S; i++) {
            sum += s[i], low = fminf(low, s[i]), high = fmaxf(high, s[i]);
            below += s[i] < median, above += s[i] > median;
        }
        assert_true(mean[row] == (float)(sum / S) && quantiles[row] == low && quantiles[2 * VARIATES * HORIZON + row] == high);
        assert_true(below <= S / 2 && above <= S / 2);
    }
    close_it(&x);
    free_series(&series);
}

// What holds within one recording holds in precision mixed as well.
static void in_mixed(void **state) {
    rp_device *device = test_device_of(state);
    if (!device->info.mixed) {
        printf("  %s has no precision mixed\n", device->info.spec);
        skip();
    }
    precision = RP_PRECISION_MIXED;
    any_horizon(state), steady(state), cancelled(state), results_agree(state);
    rp_series series[2] = { make_series(1, 96), make_series(2, 50) };
    fixture x = open_with(device, 96, 2, 5, 0);
    precision = RP_PRECISION_F32;
    const size_t each = (size_t)VARIATES * HORIZON * 5;
    float *together = run(device, x.forecaster, series, 2, 5, HORIZON), *alone = run(device, x.forecaster, series, 1, 5, HORIZON);
    assert_memory_equal(alone, together, each * sizeof *alone);   // the other series of a batch change no bit
    free(together), free(alone);
    close_it(&x);
    free_series(&series[0]), free_series(&series[1]);
}

int main(void) {
    static const test_named all[] = {
        { "any batch", any_batch }, { "any chunks", any_chunks }, { "any horizon", any_horizon }, { "steady", steady },
        { "direct is replayed", direct_is_replayed }, { "same paths as the reference", same_paths_as_reference },
        { "cancelled", cancelled }, { "results agree", results_agree }, { "in precision mixed", in_mixed },
    };
    return test_on_each_device("forecast", all, TEST_COUNT(all));
}
