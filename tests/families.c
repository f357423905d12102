// Kronos through the public calls, and both families side by side on one device: what must not change a bit, and memory that
// stays flat.
#include "case.h"

#define TOTO RP_TEST_DIR "/golden/toto-tiny"
#define KRONOS RP_TEST_DIR "/golden/kronos-tiny"
#define COLUMNS 6u
#define WINDOW 64u
#define MAX_BARS 80u

// ---- bars ----

typedef struct bars { float column[COLUMNS][MAX_BARS]; int64_t times[MAX_BARS]; rp_bars given; } bars;

// Bars that depend on `id` and nothing else; `context` of them, five minutes apart.
static void make_bars(bars *b, uint32_t id, uint32_t context) {
    for (uint32_t t = 0; t < context; t++) {
        const float base = 20.0f + (float)id + sinf(0.2f * (float)t + (float)id);
        b->column[0][t] = base;
        b->column[1][t] = base + 0.5f + 0.01f * (float)(t % 7);
        b->column[2][t] = base - 0.5f;
        b->column[3][t] = base + 0.1f * (float)((t * 13 + id) % 5) - 0.2f;
        b->column[4][t] = 1000.0f + 37.0f * (float)((t * 29 + id) % 17);
        b->column[5][t] = b->column[4][t] * base;
        b->times[t] = 1718709300 + 300 * (int64_t)t;
    }
    b->given = (rp_bars)RP_BARS_INIT;
    b->given.open = b->column[0], b->given.high = b->column[1], b->given.low = b->column[2], b->given.close = b->column[3];
    b->given.volume = b->column[4], b->given.amount = b->column[5], b->given.times = b->times;
    b->given.context = context, b->given.id = id;
}

typedef struct fixture { rp_model *model; rp_forecaster *forecaster; } fixture;

static rp_forecaster_config kronos_sizes(uint32_t context, uint32_t horizon, uint32_t batch, uint32_t paths, uint64_t bytes) {
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = context, config.max_horizon = horizon, config.max_batch = batch, config.max_paths = paths;
    config.memory_bytes = bytes, config.window = WINDOW;
    return config;
}

static fixture open_kronos(rp_device *device, const rp_forecaster_config *config) {
    fixture x = { NULL, NULL };
    test_ok(device, rp_model_load(device, KRONOS, NULL, &x.model), "load");
    test_ok(device, rp_forecaster_create(x.model, config, &x.forecaster), "create");
    return x;
}

static void close_it(fixture *x) {
    rp_forecaster_destroy(x->forecaster);
    rp_model_destroy(x->model);
}

// [n, COLUMNS, horizon, paths], to be freed.
static float *run_bars(rp_device *device, rp_forecaster *f, const rp_bars *b, uint32_t n, uint32_t paths, uint32_t horizon) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    float *out = malloc((size_t)n * COLUMNS * horizon * (paths ? paths : 1) * sizeof *out);
    assert_non_null(out);
    config.horizon = horizon, config.paths = paths, config.seed = 3, config.top_p = 0.9f;
    *(paths ? &result.samples : &result.mean) = out;
    test_ok(device, rp_forecast_bars(f, b, n, &config, &result), "forecast");
    return out;
}

// Series of different lengths together, one of them sliding, give the bits of each alone.
static void any_batch(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t contexts[] = { 30, 60, 17 }, H = 9, S = 4;
    bars b[3];
    rp_bars given[3];
    for (uint32_t i = 0; i < 3; i++) {
        make_bars(&b[i], i, contexts[i]);
        given[i] = b[i].given;
    }
    const rp_forecaster_config sizes = kronos_sizes(60, H, 3, S, 0), single = kronos_sizes(70, H, 1, S, 0);
    fixture all = open_kronos(device, &sizes), one = open_kronos(device, &single);
    for (uint32_t paths = 0; paths <= S; paths += S) {
        const size_t each = (size_t)COLUMNS * H * (paths ? paths : 1);
        float *together = run_bars(device, all.forecaster, given, 3, paths, H);
        for (uint32_t i = 0; i < 3; i++) {
            float *alone = run_bars(device, one.forecaster, &given[i], 1, paths, H);
            assert_memory_equal(alone, together + i * each, each * sizeof *alone);
            free(alone);
        }
        free(together);
    }
    close_it(&all), close_it(&one);
}

// A budget that splits the paths into chunks changes no number, sliding windows included.
static void any_chunks(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t H = 12, S = 10;
    bars b;
    make_bars(&b, 1, 58);
    const rp_forecaster_config sizes = kronos_sizes(58, H, 1, S, 0), few = kronos_sizes(58, H, 1, 3, 0);
    fixture whole = open_kronos(device, &sizes);
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    test_ok(device, rp_forecaster_query(whole.model, &few, &info), "query");
    const rp_forecaster_config tight = kronos_sizes(58, H, 1, S, info.device_bytes + 8192);
    fixture split = open_kronos(device, &tight);
    test_ok(device, rp_forecaster_copy_info(split.forecaster, &info), "info");
    assert_true(info.chunks > 1);
    float *x = run_bars(device, whole.forecaster, &b.given, 1, S, H), *y = run_bars(device, split.forecaster, &b.given, 1, S, H);
    assert_memory_equal(x, y, (size_t)COLUMNS * H * S * sizeof *x);
    free(x), free(y);
    close_it(&whole), close_it(&split);
}

// ---- both families ----

static void fill_series(float *values, uint32_t n) {
    for (uint32_t t = 0; t < n; t++) { values[t] = 5 + sinf(0.4f * (float)t) + 0.05f * (float)(t % 11); }
}

static void run_toto(rp_device *device, rp_forecaster *f, float *out) {
    float values[48];
    rp_series series = RP_SERIES_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    fill_series(values, 48);
    series.values = values, series.context = 48;
    config.horizon = 20, config.paths = 2, config.seed = 9;
    result.samples = out;
    test_ok(device, rp_forecast(f, &series, 1, &config, &result), "toto");
}

// A thousand rounds of one and the other: nothing is allocated or recorded after the first, and every result is the one alone.
static void side_by_side(void **state) {
    rp_device *device = test_device_of(state);
    enum { ROUNDS = 1000, TOTO_SIZE = 20 * 2, KRONOS_SIZE = COLUMNS * 3 * 2 };
    bars b;
    float want_toto[TOTO_SIZE], toto[TOTO_SIZE];
    rp_forecaster_config toto_sizes = RP_FORECASTER_CONFIG_INIT;
    const rp_forecaster_config sizes = kronos_sizes(20, 3, 1, 2, 0);
    toto_sizes.max_context = 48, toto_sizes.max_horizon = 20, toto_sizes.max_paths = 2;
    make_bars(&b, 4, 20);

    fixture x = { NULL, NULL };                                  // each alone
    test_ok(device, rp_model_load(device, TOTO, NULL, &x.model), "load");
    test_ok(device, rp_forecaster_create(x.model, &toto_sizes, &x.forecaster), "create");
    run_toto(device, x.forecaster, want_toto);
    close_it(&x);
    fixture y = open_kronos(device, &sizes);
    float *want_kronos = run_bars(device, y.forecaster, &b.given, 1, 2, 3);
    close_it(&y);

    test_ok(device, rp_model_load(device, TOTO, NULL, &x.model), "load");
    test_ok(device, rp_forecaster_create(x.model, &toto_sizes, &x.forecaster), "create");
    y = open_kronos(device, &sizes);
    const rp_counters before = device->counters;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        run_toto(device, x.forecaster, toto);
        float *kronos = run_bars(device, y.forecaster, &b.given, 1, 2, 3);
        assert_memory_equal(toto, want_toto, sizeof toto);
        assert_memory_equal(kronos, want_kronos, KRONOS_SIZE * sizeof *kronos);
        free(kronos);
    }
    assert_true(device->counters.buffers == before.buffers && device->counters.buffer_bytes == before.buffer_bytes);
    assert_true(device->counters.recordings == before.recordings);
    assert_true(device->counters.reads - before.reads == 2 * ROUNDS);
    free(want_kronos);
    close_it(&x), close_it(&y);
}

// Weights to the host and back: memory is given up and taken again, and no number changes.
static void offload(void **state) {
    rp_device *device = test_device_of(state);
    bars b;
    rp_model_info info = RP_MODEL_INFO_INIT;
    const rp_forecaster_config sizes = kronos_sizes(20, 3, 1, 2, 0);
    make_bars(&b, 5, 20);
    fixture y = open_kronos(device, &sizes);
    float *before = run_bars(device, y.forecaster, &b.given, 1, 2, 3);
    assert_int_equal(rp_model_offload(y.model), RP_INVALID_ARGUMENT);     // the recordings hold addresses
    rp_forecaster_destroy(y.forecaster);
    test_ok(device, rp_model_copy_info(y.model, &info), "info");
    const uint64_t held = device->counters.buffer_bytes;
    test_ok(device, rp_model_offload(y.model), "offload");
    test_ok(device, rp_model_offload(y.model), "offload twice");
    assert_true(device->counters.buffer_bytes < held && held - device->counters.buffer_bytes > info.device_bytes / 2);
    assert_int_equal(rp_forecaster_create(y.model, &sizes, &y.forecaster), RP_INVALID_ARGUMENT);
    assert_null(y.forecaster);
    test_ok(device, rp_model_restore(y.model), "restore");
    test_ok(device, rp_model_restore(y.model), "restore twice");
    assert_true(device->counters.buffer_bytes == held);
    test_ok(device, rp_forecaster_create(y.model, &sizes, &y.forecaster), "create");
    float *after = run_bars(device, y.forecaster, &b.given, 1, 2, 3);
    assert_memory_equal(before, after, COLUMNS * 3 * 2 * sizeof *before);
    free(before), free(after);
    close_it(&y);
    test_ok(device, rp_model_load(device, TOTO, NULL, &y.model), "load");   // destroyed while its weights are away
    test_ok(device, rp_model_offload(y.model), "offload");
    rp_model_destroy(y.model);
}

// The wrong call for a family, and bars that cannot be.
static void bad_bars(void **state) {
    rp_device *device = test_device_of(state);
    bars b;
    char text[1024];
    float out[COLUMNS * 3];
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    const rp_forecaster_config sizes = kronos_sizes(20, 3, 1, 2, 0);
    make_bars(&b, 6, 20);
    fixture y = open_kronos(device, &sizes);
    config.horizon = 3, config.paths = 1, result.mean = out;
    rp_series series = RP_SERIES_INIT;
    series.values = b.column[0], series.context = 20;
    assert_true(rp_forecast(y.forecaster, &series, 1, &config, &result) != RP_OK);
    enum { NAN_CLOSE, DESCENDING, NO_HIGH, TEMPERATURE, TOP_P, LONG, N };
    for (int i = 0; i < N; i++) {
        bars bad = b;
        make_bars(&bad, 6, 20);
        rp_forecast_config c = config;
        switch (i) {
        case NAN_CLOSE: bad.column[3][7] = NAN; break;
        case DESCENDING: bad.times[9] = bad.times[8]; break;
        case NO_HIGH: bad.given.high = NULL; break;
        case TEMPERATURE: c.temperature = -1; break;
        case TOP_P: c.top_p = 1.5f; break;
        case LONG: bad.given.context = 21; break;
        default: break;
        }
        rp_status status = rp_forecast_bars(y.forecaster, &bad.given, 1, &c, &result);
        rp_device_copy_error(device, text, sizeof text);
        if (status != RP_INVALID_ARGUMENT || strlen(text) < 20) { fail_msg("request %d: %s, \"%s\"", i, rp_status_name(status), text); }
    }
    test_ok(device, rp_forecast_bars(y.forecaster, &b.given, 1, &config, &result), "a good one after bad ones");
    close_it(&y);
}

int main(void) {
    static const test_named all[] = {
        { "any batch", any_batch }, { "any chunks", any_chunks }, { "side by side", side_by_side }, { "offload", offload },
        { "bad bars", bad_bars },
    };
    return test_on_each_device("families", all, TEST_COUNT(all));
}
