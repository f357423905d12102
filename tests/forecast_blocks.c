// Whole forecasts of Toto 2.0 through the public calls, on every device: quantiles, block decode, guards, known futures; what must
// not change a bit, what must not be allocated, and what must come back as an error.
#include "case.h"

#include <unistd.h>

#include "reprise_arrow.h"
#include "reprise_dlpack.h"
#include "toto2.h"

#define TINY RP_GOLDEN_DIR "/toto2-tiny"
#define VARIATES 3u
#define HORIZON 41u     // patch 8: six patches, the last one cut
#define BLOCK 16u       // two patches: three rounds; of a horizon of 33 the last is shorter
#define LEVELS 9u
static const float nine[LEVELS] = { 0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f };

typedef struct fixture { rp_model *model; rp_forecaster *forecaster; } fixture;

// Precision f32, whose bits depend on no size; in_mixed runs what holds in precision mixed too.
static rp_precision precision = RP_PRECISION_F32;

static fixture open_with(rp_device *device, uint32_t context, uint32_t horizon, uint32_t batch, uint32_t block) {
    fixture x = { NULL, NULL };
    rp_model_config model = RP_MODEL_CONFIG_INIT;
    model.precision = precision;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = context, config.max_horizon = horizon, config.variates = VARIATES, config.max_batch = batch, config.block = block;
    test_ok(device, rp_model_load(device, TINY, &model, &x.model), "load");
    test_ok(device, rp_forecaster_create(x.model, &config, &x.forecaster), "create");
    return x;
}

static void close_it(fixture *x) {
    rp_forecaster_destroy(x->forecaster);
    rp_model_destroy(x->model);
}

static rp_status check_mirror(rp_forecaster *forecaster) {
    const toto2_forecaster *f = (const toto2_forecaster *)forecaster;
    return rp_replays_check(&f->storage.queue, f->in.step);
}

// A series that depends on `id` and no other; [VARIATES, context]. Variate 1 begins with whole patches missing.
static rp_series make_series(uint32_t id, uint32_t context) {
    rp_series s = RP_SERIES_INIT;
    float *values = malloc((size_t)VARIATES * context * sizeof *values);
    uint8_t *mask = malloc((size_t)VARIATES * context);
    assert_true(values != NULL && mask != NULL);
    for (uint32_t v = 0; v < VARIATES; v++) {
        for (uint32_t t = 0; t < context; t++) {
            values[v * context + t] = 10.0f * (float)(v + 1) + 3 * sinf(0.3f * (float)t + (float)id) + 0.01f * (float)((t * 37 + id * 11) % 23);
            mask[v * context + t] = (t + id) % 11 != 3 && (v != 1 || context < 40 || t >= 25);
        }
    }
    s.values = values, s.mask = mask, s.context = context, s.id = id;
    return s;
}

static void free_series(rp_series *s) {
    free((void *)s->values);
    free((void *)s->mask);
}

// The nine levels [LEVELS, n, VARIATES, horizon], to be freed.
static float *run_as(rp_device *device, rp_forecaster *f, const rp_series *series, uint32_t n, rp_forecast_config config) {
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    float *out = malloc((size_t)LEVELS * n * VARIATES * config.horizon * sizeof *out);
    assert_non_null(out);
    config.quantile_levels = nine, config.n_quantiles = LEVELS;
    result.quantiles = out;
    test_ok(device, rp_forecast(f, series, n, &config, &result), "forecast");
    return out;
}

static float *run(rp_device *device, rp_forecaster *f, const rp_series *series, uint32_t n, uint32_t horizon) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = horizon;
    return run_as(device, f, series, n, config);
}

static void expect(rp_device *device, rp_status got, rp_status want, const char *part) {
    char text[1024];
    rp_device_copy_error(device, text, sizeof text);
    if (got != want || strstr(text, part) == NULL) { fail_msg("%s: %s", rp_status_name(got), text); }
}

static bool all_finite(const float *x, size_t n) {
    bool finite = true;
    for (size_t i = 0; i < n; i++) { finite = finite && isfinite(x[i]); }
    return finite;
}

// Series of different lengths together give the bits of each alone, whatever the forecaster's capacity.
static void any_batch(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t contexts[] = { 96, 3, 50 };
    rp_series series[3];
    for (uint32_t i = 0; i < 3; i++) { series[i] = make_series(i, contexts[i]); }
    for (uint32_t block = 0; block <= BLOCK; block += BLOCK) {
        fixture all = open_with(device, 96, HORIZON, 4, block), one = open_with(device, 101, HORIZON, 1, block);
        float *together = run(device, all.forecaster, series, 3, HORIZON);
        const size_t each = (size_t)VARIATES * HORIZON;
        assert_true(all_finite(together, LEVELS * 3 * each));
        for (uint32_t i = 0; i < 3; i++) {
            float *alone = run(device, one.forecaster, &series[i], 1, HORIZON);
            for (uint32_t q = 0; q < LEVELS; q++) {
                assert_memory_equal(alone + q * each, together + (q * 3 + i) * each, each * sizeof *alone);
            }
            free(alone);
        }
        free(together);
        close_it(&all), close_it(&one);
    }
    for (uint32_t i = 0; i < 3; i++) { free_series(&series[i]); }
}

// A forecaster for a longer horizon gives the bits of one made for this one: its rounds have room to spare.
static void any_capacity(void **state) {
    rp_device *device = test_device_of(state);
    rp_series series = make_series(3, 70);
    static const uint32_t horizons[] = { 1, 8, 17, 24, 32, 33 };
    fixture wide = open_with(device, 70, HORIZON, 1, BLOCK);
    for (size_t i = 0; i < TEST_COUNT(horizons); i++) {
        fixture narrow = open_with(device, 70, horizons[i], 1, BLOCK);
        float *a = run(device, wide.forecaster, &series, 1, horizons[i]), *b = run(device, narrow.forecaster, &series, 1, horizons[i]);
        assert_memory_equal(a, b, (size_t)LEVELS * VARIATES * horizons[i] * sizeof *a);
        assert_true(check_mirror(wide.forecaster) == RP_OK && check_mirror(narrow.forecaster) == RP_OK);
        free(a), free(b);
        close_it(&narrow);
    }
    close_it(&wide);
    free_series(&series);
}

// Variates in parts, as many side by side as the weights' bytes leave room for, whole series or some of one, give the bits of all at once.
static void in_parts(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t contexts[] = { 96, 3, 50 }, all = 4 * VARIATES;
    const size_t bytes = (size_t)LEVELS * 3 * VARIATES * HORIZON * sizeof(float);
    rp_series series[3];
    for (uint32_t i = 0; i < 3; i++) { series[i] = make_series(i, contexts[i]); }
    for (uint32_t block = 0; block <= BLOCK; block += BLOCK) {
        fixture whole = open_with(device, 96, HORIZON, 4, block);
        const rp_forecaster_config sizes = whole.forecaster->config;
        uint64_t *weights = &whole.model->info.device_bytes, most = 0;
        const uint64_t own = *weights;
        rp_forecaster_destroy(whole.forecaster);
        *weights = 0;                                    // no parts take as little
        test_ok(device, rp_forecaster_create(whole.model, &sizes, &whole.forecaster), "create");
        assert_int_equal(((toto2_forecaster *)whole.forecaster)->side, all);
        float *want = run(device, whole.forecaster, series, 3, HORIZON);
        uint32_t last = 0, some = 0, several = 0;        // parts of variates of a series, of series
        while (last < all) {
            rp_forecaster *f;
            test_ok(device, rp_forecaster_create(whole.model, &sizes, &f), "create");
            const uint32_t side = ((toto2_forecaster *)f)->side;
            const uint64_t takes = f->info.device_bytes;
            assert_true(side == all || (side >= last && takes >= most && takes < whole.forecaster->info.device_bytes));
            if (side < all && side > last) {
                float *got = run(device, f, series, 3, HORIZON);
                assert_memory_equal(want, got, bytes);
                free(got);
            }
            some += side < VARIATES, several += side >= VARIATES && side < all;
            if (side < all) { most = takes; }
            last = side < all || some + several > 0 ? side : 0;
            *weights += own / 50;
            rp_forecaster_destroy(f);
        }
        assert_true(several > 0 && (some > 0 || block == 0));   // here a single pass' widest step is soon that of the last layers, which are whole
        *weights = own;
        free(want);
        close_it(&whole);
    }
    for (uint32_t i = 0; i < 3; i++) { free_series(&series[i]); }
}

// The first block is the beginning of the single pass: its tokens see no later ones, and what xPos centres cancels between keys and
// queries of one call. The two round differently, so they agree as the goldens' float32 does: to 1e-4 standard deviations, which
// here are 2 and more. Later blocks see medians, and differ.
static void first_block(void **state) {
    rp_device *device = test_device_of(state);
    rp_series series = make_series(9, 70);
    fixture whole = open_with(device, 70, HORIZON, 1, 0), blocks = open_with(device, 70, HORIZON, 1, BLOCK);
    float *a = run(device, whole.forecaster, &series, 1, HORIZON), *b = run(device, blocks.forecaster, &series, 1, HORIZON);
    for (uint32_t row = 0; row < LEVELS * VARIATES; row++) {
        for (uint32_t t = 0; t < BLOCK; t++) {
            const double difference = fabs((double)a[row * HORIZON + t] - b[row * HORIZON + t]);
            if (!(difference <= 2e-4)) { fail_msg("level and variate %u, step %u: %g apart", row, t, difference); }
        }
        assert_memory_not_equal(a + row * HORIZON + BLOCK, b + row * HORIZON + BLOCK, (HORIZON - BLOCK) * sizeof *a);
    }
    free(a), free(b);
    close_it(&whole), close_it(&blocks);
    free_series(&series);
}

// A context that is no whole number of patches is one that begins with missing values.
static void padding_is_missing(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t T = 43, whole = 48;
    rp_series series = make_series(2, T), padded = RP_SERIES_INIT;
    float values[VARIATES * 48] = { 0 };
    uint8_t mask[VARIATES * 48] = { 0 };
    for (uint32_t v = 0; v < VARIATES; v++) {
        memcpy(values + v * whole + whole - T, series.values + v * T, T * sizeof *values);
        memcpy(mask + v * whole + whole - T, series.mask + v * T, T);
    }
    padded.values = values, padded.mask = mask, padded.context = whole;
    fixture x = open_with(device, whole, HORIZON, 1, BLOCK);
    float *a = run(device, x.forecaster, &series, 1, HORIZON), *b = run(device, x.forecaster, &padded, 1, HORIZON);
    assert_memory_equal(a, b, (size_t)LEVELS * VARIATES * HORIZON * sizeof *a);
    free(a), free(b);
    close_it(&x);
    free_series(&series);
}

// Levels rise; one between two of the nine lies between them, linear in level; the mean is the median.
static void levels_agree(void **state) {
    rp_device *device = test_device_of(state);
    rp_series series = make_series(6, 64);
    fixture x = open_with(device, 64, HORIZON, 1, BLOCK);
    const uint32_t each = VARIATES * HORIZON;
    float between[3 * VARIATES * HORIZON], mean[VARIATES * HORIZON];
    const float levels[] = { 0.15f, 0.5f, 0.875f };
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.horizon = HORIZON, config.quantile_levels = levels, config.n_quantiles = 3;
    result.quantiles = between, result.mean = mean;
    float *own = run(device, x.forecaster, &series, 1, HORIZON);
    test_ok(device, rp_forecast(x.forecaster, &series, 1, &config, &result), "forecast");
    for (uint32_t i = 0; i < each; i++) {
        for (uint32_t q = 1; q < LEVELS; q++) { assert_true(own[q * each + i] >= own[(q - 1) * each + i]); }
        const double low = own[i] + 0.5 * ((double)own[each + i] - own[i]);
        const double high = own[7 * each + i] + 0.75 * ((double)own[8 * each + i] - own[7 * each + i]);
        assert_true(fabs(between[i] - low) <= 1e-6 * (1 + fabs(low)) && fabs(between[2 * each + i] - high) <= 1e-6 * (1 + fabs(high)));
        assert_true(between[each + i] == own[4 * each + i] && mean[i] == own[4 * each + i]);
    }
    free(own);
    close_it(&x);
    free_series(&series);
}

// A known future comes back as every level of its variate, and changes the others' forecasts.
static void known_future(void **state) {
    rp_device *device = test_device_of(state);
    rp_series series = make_series(5, 64);
    fixture x = open_with(device, 64, HORIZON, 1, BLOCK);
    float future[HORIZON];
    for (uint32_t t = 0; t < HORIZON; t++) { future[t] = 40 + (float)t; }
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = HORIZON, config.exogenous = 1;
    series.future = future;
    float *with = run_as(device, x.forecaster, &series, 1, config);
    config.exogenous = 0;
    float *without = run_as(device, x.forecaster, &series, 1, config);
    for (uint32_t q = 0; q < LEVELS; q++) { assert_memory_equal(with + (q * VARIATES + VARIATES - 1) * HORIZON, future, sizeof future); }
    assert_memory_not_equal(with, without, HORIZON * sizeof *with);
    // Alone in its group, it helps nobody.
    const int32_t apart[VARIATES] = { 0, 0, 1 };
    series.group_ids = apart;
    float *others = run_as(device, x.forecaster, &series, 1, config);
    config.exogenous = 1;
    float *still = run_as(device, x.forecaster, &series, 1, config);
    assert_memory_equal(others, still, (VARIATES - 1) * HORIZON * sizeof *others);
    free(with), free(without), free(others), free(still);
    close_it(&x);
    free_series(&series);
}

// A fallback changes how the beginning is scaled. Of a series of zeros the standard deviation counts as 1e-6, and the cap is a
// part of that from 0 either way.
static void guards(void **state) {
    rp_device *device = test_device_of(state);
    enum { N = LEVELS * VARIATES * HORIZON };
    rp_series series = make_series(7, 64);
    fixture x = open_with(device, 64, HORIZON, 1, BLOCK);
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = HORIZON;
    float *plain = run_as(device, x.forecaster, &series, 1, config);
    config.scaler_fallback_min_obs = 20;
    float *fallen = run_as(device, x.forecaster, &series, 1, config);
    assert_memory_not_equal(plain, fallen, N * sizeof *plain);
    memset((float *)series.values, 0, VARIATES * 64 * sizeof *series.values);
    float *zeros = run(device, x.forecaster, &series, 1, HORIZON);
    config.quantile_real_cap_k = 1e-3f;
    float *capped = run_as(device, x.forecaster, &series, 1, config);
    float largest = 0;
    assert_true(all_finite(zeros, N));
    for (uint32_t i = 0; i < N; i++) {
        largest = fmaxf(largest, fabsf(zeros[i]));
        assert_true(fabsf(capped[i]) <= 1.001e-9f);
    }
    assert_true(largest > 1e-8f && largest < 1e-4f);
    free(plain), free(capped), free(fallen), free(zeros);
    close_it(&x);
    free_series(&series);
}

// ---- other ways in and out ----

// Numbers that lie in the device's own memory, of V rows.
static rp_device_rows rows_on(rp_device *device, rp_buffer **owned, rp_dtype type, const void *numbers, uint32_t count, uint32_t row) {
    const uint64_t bytes = (uint64_t)count * (type == RP_U32 ? 4 : rp_dtype_size(type));
    test_ok(device, device->backend->buffer_create(device, bytes, RP_MEMORY_DEVICE, owned), "buffer");
    test_ok(device, device->backend->write(*owned, 0, type, numbers, type, count), "write");
    return (rp_device_rows){ .buffer = **owned, .row_stride = row, .stride = 1 };
}

// A series in the device's memory gives the bits of the same one on the host, masked values in its last patch included.
static void series_on_the_device(void **state) {
    rp_device *device = test_device_of(state);
    enum { LONG = 43, SHORT = 5, FORECAST = LEVELS * 2 * VARIATES * HORIZON };
    rp_series series[2] = { make_series(4, LONG), make_series(8, SHORT) };
    rp_device_series there[2] = { { .mask = { .start = 0 } }, { .mask = { .start = 0 } } };
    rp_buffer *owned[5] = { NULL };
    float future[HORIZON], *want, *got = malloc(FORECAST * sizeof *got);
    uint32_t mask[(VARIATES * LONG + 3) / 4] = { 0 };
    fixture host = open_with(device, 50, HORIZON, 3, BLOCK), own = { NULL, NULL };
    rp_forecaster_config sizes = host.forecaster->config;
    sizes.device_inputs = 1;
    test_ok(device, rp_forecaster_create(host.model, &sizes, &own.forecaster), "create");
    assert_non_null(got);
    for (uint32_t t = 0; t < HORIZON; t++) { future[t] = 7 - (float)t; }
    memcpy(mask, series[0].mask, VARIATES * LONG);
    free((void *)series[1].mask);
    series[1].mask = NULL, series[0].future = series[1].future = future;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = HORIZON, config.exogenous = 1, config.quantile_levels = nine, config.n_quantiles = LEVELS;
    want = run_as(device, host.forecaster, series, 2, config);

    rp_series bare[2] = { series[0], series[1] };
    there[0].values = rows_on(device, &owned[0], RP_F32, series[0].values, VARIATES * LONG, LONG);
    there[0].mask = rows_on(device, &owned[1], RP_U32, mask, (VARIATES * LONG + 3) / 4, LONG);
    there[0].future = rows_on(device, &owned[2], RP_F32, future, HORIZON, 0);
    there[1].values = rows_on(device, &owned[3], RP_F32, series[1].values, VARIATES * SHORT, SHORT);   // its future stays on the host
    bare[0].values = bare[1].values = NULL, bare[0].mask = NULL, bare[0].future = NULL;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    result.quantiles = got;
    for (uint32_t i = 0; i < 2; i++) {               // a second time too
        memset(got, 0, FORECAST * sizeof *got);
        test_ok(device, toto2_forecast_device(own.forecaster, bare, there, 2, &config, &result), "forecast");
        assert_memory_equal(got, want, FORECAST * sizeof *got);
    }
    // Nothing wanted on the host: nothing is read but whether all was good.
    const uint64_t reads = device->counters.reads;
    result.quantiles = NULL;
    test_ok(device, toto2_forecast_device(own.forecaster, bare, there, 2, &config, &result), "forecast");
    assert_int_equal(device->counters.reads - reads, 2);
    const float infinite = INFINITY;
    test_ok(device, device->backend->write(owned[3], 4, RP_F32, &infinite, RP_F32, 1), "write");
    assert_int_equal(toto2_forecast_device(own.forecaster, bare, there, 2, &config, &result), RP_INVALID_ARGUMENT);
    for (size_t i = 0; i < TEST_COUNT(owned); i++) { device->backend->buffer_destroy(owned[i]); }
    rp_forecaster_destroy(own.forecaster);
    close_it(&host);
    free(got), free(want);
    free_series(&series[0]), free_series(&series[1]);
}

// DLPack tensors of quantiles and median hold what rp_forecast gives; there are no samples to make or to lend.
static void as_tensors(void **state) {
    rp_device *device = test_device_of(state);
    rp_series series = make_series(3, 40);
    fixture x = open_with(device, 40, HORIZON, 1, BLOCK);
    float *want = run(device, x.forecaster, &series, 1, HORIZON);
    int64_t shape[] = { VARIATES, 40 };
    rp_dl_tensor values = { .data = (void *)series.values, .device = { RP_DL_CPU, 0 }, .ndim = 2, .dtype = { RP_DL_FLOAT, 32, 1 }, .shape = shape };
    rp_dl_tensor mask = { .data = (void *)series.mask, .device = { RP_DL_CPU, 0 }, .ndim = 2, .dtype = { RP_DL_UINT, 8, 1 }, .shape = shape };
    rp_dl_series s = RP_DL_SERIES_INIT;
    rp_dl_result result = RP_DL_RESULT_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_dl_managed_tensor *lent;
    s.values = &values, s.mask = &mask;
    config.horizon = HORIZON, config.quantile_levels = nine, config.n_quantiles = LEVELS;
    result.wanted = RP_DL_QUANTILES | RP_DL_MEAN;
    test_ok(device, rp_forecast_dlpack(x.forecaster, &s, 1, RP_DL_STREAM_NONE, &config, &result), "forecast");
    assert_int_equal(result.quantiles->dl_tensor.shape[0], LEVELS);
    assert_memory_equal(result.quantiles->dl_tensor.data, want, (size_t)LEVELS * VARIATES * HORIZON * sizeof *want);
    assert_memory_equal(result.mean->dl_tensor.data, want + 4 * VARIATES * HORIZON, (size_t)VARIATES * HORIZON * sizeof *want);
    result.quantiles->deleter(result.quantiles), result.mean->deleter(result.mean);
    result.wanted = RP_DL_SAMPLES;
    expect(device, rp_forecast_dlpack(x.forecaster, &s, 1, RP_DL_STREAM_NONE, &config, &result), RP_INVALID_ARGUMENT, "");
    expect(device, rp_forecaster_lend_samples(x.forecaster, &lent), RP_UNSUPPORTED, "sample no paths");
    free(want);
    close_it(&x);
    free_series(&series);
}

static void keep_schema(struct ArrowSchema *s) { s->release = NULL; }
static void keep_array(struct ArrowArray *a) { a->release = NULL; }

// Columns of an Arrow table, with validity bits, likewise.
static void as_columns(void **state) {
    rp_device *device = test_device_of(state);
    enum { T = 40 };
    rp_series series = make_series(3, T);
    fixture x = open_with(device, T, HORIZON, 1, BLOCK);
    float *want = run(device, x.forecaster, &series, 1, HORIZON), got[LEVELS * VARIATES * HORIZON];
    uint8_t valid[VARIATES][T / 8] = { { 0 } };
    struct ArrowSchema fields[VARIATES], *field_of[VARIATES], table = { .format = "+s", .name = "", .n_children = VARIATES, .release = keep_schema };
    struct ArrowArray columns[VARIATES], *column_of[VARIATES], rows = { .length = T, .n_buffers = 1, .n_children = VARIATES, .release = keep_array };
    const void *none[1] = { NULL }, *buffers[VARIATES][2];
    for (uint32_t v = 0; v < VARIATES; v++) {
        for (uint32_t t = 0; t < T; t++) { valid[v][t / 8] |= (uint8_t)((series.mask[v * T + t] != 0) << t % 8); }
        buffers[v][0] = valid[v], buffers[v][1] = series.values + v * T;
        fields[v] = (struct ArrowSchema){ .format = "f", .name = "x", .flags = ARROW_FLAG_NULLABLE, .release = keep_schema };
        columns[v] = (struct ArrowArray){ .length = T, .null_count = -1, .n_buffers = 2, .buffers = buffers[v], .release = keep_array };
        field_of[v] = &fields[v], column_of[v] = &columns[v];
    }
    table.children = field_of, rows.children = column_of, rows.buffers = none;
    rp_arrow_series s = RP_ARROW_SERIES_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    s.schema = &table, s.array = &rows;
    config.horizon = HORIZON, config.quantile_levels = nine, config.n_quantiles = LEVELS;
    result.quantiles = got;
    test_ok(device, rp_forecast_arrow(x.forecaster, &s, 1, &config, &result), "forecast");
    assert_true(all_finite(got, LEVELS * VARIATES * HORIZON));
    // What is null has no value, so a masked value in the last patch, which counts, is 0 there and what it is here.
    rp_series plain = series;
    float *zeroed = malloc((size_t)VARIATES * T * sizeof *zeroed);
    assert_non_null(zeroed);
    for (uint32_t i = 0; i < VARIATES * T; i++) { zeroed[i] = series.mask[i] ? series.values[i] : 0; }
    plain.values = zeroed;
    float *same = run(device, x.forecaster, &plain, 1, HORIZON);
    assert_memory_equal(got, same, sizeof got);
    free(want), free(same), free(zeroed);
    close_it(&x);
    free_series(&series);
}

// Every shape of call is recorded when the forecaster is made: the first, a round, a shorter last round where there is one, the way out.
static void recorded_once(void **state) {
    rp_device *device = test_device_of(state);
    static const struct { uint32_t horizon, block, recordings; } shapes[] = { { HORIZON, 0, 2 }, { 8, 8, 2 }, { 32, 16, 3 }, { 33, 16, 4 },
                                                                              { HORIZON, 8, 3 }, { 24, 16, 3 } };
    rp_series series = make_series(2, 30);
    for (size_t i = 0; i < TEST_COUNT(shapes); i++) {
        const uint64_t before = device->counters.recordings;
        fixture x = open_with(device, 30, shapes[i].horizon, 1, shapes[i].block);
        assert_int_equal(device->counters.recordings - before, shapes[i].recordings);
        const uint64_t replays = device->counters.replays, rounds = shapes[i].block ? (shapes[i].horizon + shapes[i].block - 1) / shapes[i].block : 1;
        free(run(device, x.forecaster, &series, 1, shapes[i].horizon));
        assert_int_equal(device->counters.recordings - before, shapes[i].recordings);
        assert_int_equal(device->counters.replays - replays, rounds + 1);
        close_it(&x);
    }
    free_series(&series);
}

// Forecasts after the first allocate no buffer, record nothing and read once, at the end; the host's step block is the device's.
static void steady(void **state) {
    rp_device *device = test_device_of(state);
    rp_series series = make_series(1, 64);
    fixture x = open_with(device, 64, HORIZON, 1, BLOCK);
    float *first = run(device, x.forecaster, &series, 1, HORIZON);
    const rp_counters before = device->counters;
    enum { FORECASTS = 50 };
    for (uint32_t i = 0; i < FORECASTS; i++) {
        float *again = run(device, x.forecaster, &series, 1, HORIZON);
        assert_memory_equal(first, again, (size_t)LEVELS * VARIATES * HORIZON * sizeof *again);
        free(again);
    }
    assert_true(device->counters.buffers == before.buffers && device->counters.buffer_bytes == before.buffer_bytes);
    assert_true(device->counters.recordings == before.recordings && device->counters.reads - before.reads == FORECASTS);
    assert_true(check_mirror(x.forecaster) == RP_OK);
    device->config.direct = 1;                     // node by node without recordings: the same bits
    float *direct = run(device, x.forecaster, &series, 1, HORIZON);
    device->config.direct = 0;
    assert_memory_equal(first, direct, (size_t)LEVELS * VARIATES * HORIZON * sizeof *direct);
    free(first), free(direct);
    close_it(&x);
    free_series(&series);
}

static void refusals(void **state) {
    rp_device *device = test_device_of(state);
    rp_series series = make_series(1, 32);
    fixture x = open_with(device, 32, 8, 1, 0);
    float out[LEVELS * VARIATES * 8], level = 0.05f;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.horizon = 8, config.paths = 3;
    result.mean = out;
    expect(device, rp_forecast(x.forecaster, &series, 1, &config, &result), RP_INVALID_ARGUMENT, "ask for quantiles");
    config.paths = 0, result.samples = out;
    expect(device, rp_forecast(x.forecaster, &series, 1, &config, &result), RP_INVALID_ARGUMENT, "ask for quantiles");
    result.samples = NULL, result.quantiles = out, config.quantile_levels = &level, config.n_quantiles = 1;
    expect(device, rp_forecast(x.forecaster, &series, 1, &config, &result), RP_INVALID_ARGUMENT, "from 0.1 to 0.9");
    level = 0.95f;
    expect(device, rp_forecast(x.forecaster, &series, 1, &config, &result), RP_INVALID_ARGUMENT, "from 0.1 to 0.9");
    level = 0.5f, config.quantile_real_cap_k = -1;
    expect(device, rp_forecast(x.forecaster, &series, 1, &config, &result), RP_INVALID_ARGUMENT, "quantile_real_cap_k");
    config.quantile_real_cap_k = 0, config.horizon = 9;
    expect(device, rp_forecast(x.forecaster, &series, 1, &config, &result), RP_INVALID_ARGUMENT, "max_horizon");
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecaster *forecaster;
    sizes.max_context = 32, sizes.max_horizon = 8, sizes.block = 12;
    expect(device, rp_forecaster_create(x.model, &sizes, &forecaster), RP_INVALID_ARGUMENT, "multiple of 8");
    sizes.block = 8, sizes.memory_bytes = 1000;
    expect(device, rp_forecaster_create(x.model, &sizes, &forecaster), RP_OUT_OF_MEMORY, "memory_bytes");
    close_it(&x);
    free_series(&series);
}

// A folder with this config.json and no weights: the config is looked at first.
static void refuse_config(rp_device *device, const char *config, rp_status want, const char *part) {
    char folder[] = "/tmp/reprise-blocks-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(config, file);
    fclose(file);
    rp_model *model;
    expect(device, rp_model_load(device, folder, NULL, &model), want, part);
    unlink(path);
    rmdir(folder);
}

#define CONFIG(rest)                                                                                                          \
    "{ \"patch_size\": 8, \"d_model\": 32, \"num_layers\": 2, \"layer_group_size\": 2, \"num_variate_layers_per_group\": 1, " \
    "\"residual_attn_ratio\": 1.5, " rest " }"

static void bad_configs(void **state) {
    rp_device *device = test_device_of(state);
    refuse_config(device, CONFIG("\"num_heads\": 4, \"num_output_patches\": 2"), RP_UNSUPPORTED, "num_output_patches is 2");
    refuse_config(device, CONFIG("\"num_heads\": 16"), RP_BAD_FILE, "multiple of 4");
    refuse_config(device, CONFIG("\"num_heads\": 4, \"num_groups\": 3"), RP_BAD_FILE, "share 3 groups");
    refuse_config(device, CONFIG("\"num_heads\": 4, \"variate_layer_first\": 7"), RP_BAD_FILE, "variate_layer_first");
    refuse_config(device, CONFIG("\"num_heads\": 4"), RP_NOT_FOUND, "model.safetensors");
}

// What holds within one recording holds in precision mixed as well.
static void in_mixed(void **state) {
    rp_device *device = test_device_of(state);
    if (!device->info.mixed) {
        printf("  %s has no precision mixed\n", device->info.spec);
        skip();
    }
    precision = RP_PRECISION_MIXED;
    steady(state), levels_agree(state), known_future(state), guards(state);
    precision = RP_PRECISION_F32;
}

int main(void) {
    static const test_named all[] = {
        { "any batch", any_batch }, { "any capacity", any_capacity }, { "in parts", in_parts }, { "first block", first_block },
        { "padding is missing", padding_is_missing },
        { "levels agree", levels_agree }, { "known future", known_future }, { "guards", guards }, { "steady", steady },
        { "recorded once", recorded_once }, { "series on the device", series_on_the_device }, { "as tensors", as_tensors },
        { "as columns", as_columns },
        { "refusals", refusals }, { "bad configs", bad_configs }, { "in precision mixed", in_mixed },
    };
    return test_on_each_device("forecast_blocks", all, TEST_COUNT(all));
}
