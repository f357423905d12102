// Whole forecasts of bars through the public calls, on every device: what must not change a bit, what must not be allocated, what
// must come back as an error, and both model families on one device.
#include "case.h"

#include "kronos.h"

#define KRONOS RP_GOLDEN_DIR "/kronos-tiny"
#define TOTO RP_GOLDEN_DIR "/toto-tiny"
#define WINDOW 24u
#define HORIZON 9u
#define COLUMNS 6u

typedef struct fixture { rp_model *model; rp_forecaster *forecaster; } fixture;

// Precision f32, whose bits depend on no size; in_mixed runs what holds in precision mixed too.
static rp_precision precision = RP_PRECISION_F32;

static fixture open_with(rp_device *device, uint32_t context, uint32_t batch, uint32_t paths, uint64_t bytes) {
    fixture x = { NULL, NULL };
    rp_model_config model = RP_MODEL_CONFIG_INIT;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    model.precision = precision;
    config.max_context = context, config.max_horizon = HORIZON, config.max_batch = batch, config.max_paths = paths;
    config.memory_bytes = bytes, config.window = WINDOW;
    test_ok(device, rp_model_load(device, KRONOS, &model, &x.model), "load");
    test_ok(device, rp_forecaster_create(x.model, &config, &x.forecaster), "create");
    return x;
}

static rp_status check_mirror(rp_forecaster *forecaster) {
    const kronos_forecaster *f = (const kronos_forecaster *)forecaster;
    return rp_replays_check(&f->storage.queue, f->in.step);
}

static void close_it(fixture *x) {
    rp_forecaster_destroy(x->forecaster);
    rp_model_destroy(x->model);
}

// Bars that depend on `id` and no other, five minutes apart.
static rp_bars make_bars(uint32_t id, uint32_t context) {
    rp_bars s = RP_BARS_INIT;
    float *values = malloc((size_t)COLUMNS * context * sizeof *values);
    int64_t *times = malloc(context * sizeof *times);
    assert_true(values != NULL && times != NULL);
    for (uint32_t t = 0; t < context; t++) {
        const float close = 20 + 2 * sinf(0.2f * (float)t + (float)id) + 0.01f * (float)((t * 37 + id * 11) % 23);
        values[t] = close - 0.1f, values[context + t] = close + 0.3f, values[2 * context + t] = close - 0.4f;
        values[3 * context + t] = close, values[4 * context + t] = 1000 + (float)((t * 7 + id) % 90);
        times[t] = 1700000100 + 300 * (int64_t)t;
    }
    s.open = values, s.high = values + context, s.low = values + 2 * context, s.close = values + 3 * context;
    s.volume = values + 4 * context, s.times = times, s.context = context, s.id = id;
    return s;
}

static void free_bars(rp_bars *s) {
    free((void *)s->open);
    free((void *)s->times);
}

// [n, COLUMNS, horizon, paths], to be freed.
static float *run(rp_device *device, rp_forecaster *f, const rp_bars *bars, uint32_t n, uint32_t paths, uint32_t horizon) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    float *out = malloc((size_t)n * COLUMNS * horizon * (paths ? paths : 1) * sizeof *out);
    assert_non_null(out);
    config.horizon = horizon, config.paths = paths, config.seed = 7, config.top_p = 0.9f;
    *(paths ? &result.samples : &result.mean) = out;
    test_ok(device, rp_forecast_bars(f, bars, n, &config, &result), "forecast");
    return out;
}

// Series of different lengths together give the bits of each alone: one whose window never slides, one whose window begins to,
// one that is longer than the window from the start, and one that is very short.
static void any_batch(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t contexts[] = { 15, 20, 40, 3 }, S = 5;
    rp_bars bars[4];
    for (uint32_t i = 0; i < 4; i++) { bars[i] = make_bars(i, contexts[i]); }
    fixture all = open_with(device, 40, 5, S, 0), one = open_with(device, 44, 1, S, 0);
    const size_t size = (size_t)COLUMNS * HORIZON * S;
    for (uint32_t paths = 0; paths <= S; paths += S) {
        const size_t each = paths ? size : size / S;
        float *together = run(device, all.forecaster, bars, 4, paths, HORIZON);
        for (uint32_t i = 0; i < 4; i++) {
            float *alone = run(device, one.forecaster, &bars[i], 1, paths, HORIZON);
            assert_memory_equal(alone, together + i * each, each * sizeof *alone);
            free(alone);
        }
        free(together);
    }
    close_it(&all), close_it(&one);
    for (uint32_t i = 0; i < 4; i++) { free_bars(&bars[i]); }
}

// A budget that splits the paths into chunks changes no number, and more paths only add to fewer. The window slides.
static void any_chunks(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t S = 21, few = 10;
    rp_bars bars = make_bars(2, 20);
    fixture whole = open_with(device, 20, 1, S, 0);
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = 20, config.max_horizon = HORIZON, config.max_paths = 6, config.window = WINDOW;
    test_ok(device, rp_forecaster_query(whole.model, &config, &info), "query");
    fixture split = open_with(device, 20, 1, S, info.device_bytes + 40000);   // a little over what 6 paths at once take
    test_ok(device, rp_forecaster_copy_info(split.forecaster, &info), "info");
    assert_true(info.chunks > 1);
    float *a = run(device, whole.forecaster, &bars, 1, S, HORIZON), *b = run(device, split.forecaster, &bars, 1, S, HORIZON);
    assert_memory_equal(a, b, (size_t)COLUMNS * HORIZON * S * sizeof *a);
    float *c = run(device, split.forecaster, &bars, 1, few, HORIZON);
    for (uint32_t row = 0; row < COLUMNS * HORIZON; row++) {
        assert_memory_equal(c + (size_t)row * few, a + (size_t)row * S, few * sizeof *a);
    }
    assert_true(check_mirror(split.forecaster) == RP_OK);
    free(a), free(b), free(c);
    close_it(&whole), close_it(&split);
    free_bars(&bars);
}

// Kernels count in 32 bits. A window that slides is one pass of what paths share and of their own, neither of which is too many elements here.
static void windows_are_counted(void **state) {
    rp_device *device = test_device_of(state);
    fixture x = open_with(device, 20, 1, 1, 0);
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = config.window = 100, config.max_horizon = 3, config.max_batch = 60000, config.max_paths = 50;
    const kronos_part *part = &((const kronos_model *)x.model)->config.model;
    const uint64_t widest = 2 * part->mlp > 3 * part->width ? 2 * part->mlp : 3 * part->width, most = UINT64_C(1) << 31;
    const uint64_t shared = (uint64_t)config.max_batch * config.max_context, of_path = (uint64_t)config.max_batch * (config.max_horizon - 1);
    assert_true(shared * widest < most && config.max_paths * of_path * widest < most && (shared + config.max_paths * of_path) * widest > most);
    test_ok(device, rp_forecaster_query(x.model, &config, &info), "query");
    assert_true((shared + info.chunk_paths * of_path) * widest < most);
    close_it(&x);
}

// While the window grows, a shorter horizon is the start of a longer one.
static void any_horizon(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t S = 4, H = 5;
    rp_bars bars = make_bars(3, 12);
    fixture x = open_with(device, 12, 1, S, 0);
    float *a = run(device, x.forecaster, &bars, 1, S, HORIZON), *b = run(device, x.forecaster, &bars, 1, S, H);
    for (uint32_t c = 0; c < COLUMNS; c++) { assert_memory_equal(b + (size_t)c * H * S, a + (size_t)c * HORIZON * S, (size_t)H * S * sizeof *a); }
    free(a), free(b);
    close_it(&x);
    free_bars(&bars);
}

// Node by node without recordings: the same bits.
static void direct_is_replayed(void **state) {
    rp_device *device = test_device_of(state);
    rp_bars bars = make_bars(4, 20);
    fixture x = open_with(device, 20, 1, 3, 0);
    float *replayed = run(device, x.forecaster, &bars, 1, 3, HORIZON);
    device->config.direct = 1;
    float *direct = run(device, x.forecaster, &bars, 1, 3, HORIZON);
    device->config.direct = 0;
    assert_memory_equal(replayed, direct, (size_t)COLUMNS * HORIZON * 3 * sizeof *direct);
    free(replayed), free(direct);
    close_it(&x);
    free_bars(&bars);
}

// Sampled paths follow the reference's. A draw near a boundary may go the other way, and then its path does.
static void same_paths_as_reference(void **state) {
    rp_device *device = test_device_of(state), *ref = test_ref();
    const uint32_t S = 50;
    rp_bars bars = make_bars(5, 20);
    fixture a = open_with(device, 20, 1, S, 0), b = open_with(ref, 20, 1, S, 0);
    float *mine = run(device, a.forecaster, &bars, 1, S, HORIZON), *theirs = run(ref, b.forecaster, &bars, 1, S, HORIZON);
    uint32_t parted = 0;
    for (uint32_t s = 0; s < S; s++) {
        bool same = true;
        for (uint32_t row = 0; row < COLUMNS * HORIZON; row++) {
            const size_t i = (size_t)row * S + s;
            if (!(fabsf(mine[i] - theirs[i]) <= 1e-3f * fmaxf(1, fabsf(theirs[i])))) { same = false; }
        }
        parted += !same;
    }
    // 18 draws a path, each among some 30 boundaries that float32 moves by 1e-6.
    if (parted > 1) { fail_msg("%u of %u paths left the reference's", parted, S); }
    free(mine), free(theirs);
    close_it(&a), close_it(&b);
    free_bars(&bars);
}

// top_k = 1 is greedy whatever the seed, and so is mean mode; stamps say what times say; an amount is what it is taken to be.
static void the_same_in_other_words(void **state) {
    rp_device *device = test_device_of(state);
    rp_bars bars = make_bars(1, 20), other = bars;
    fixture x = open_with(device, 20, 1, 2, 0);
    uint8_t stamps[(20 + HORIZON) * 5];
    float amount[20], samples[COLUMNS * HORIZON * 2];
    for (uint32_t t = 0; t < 20 + HORIZON; t++) {
        uint32_t stamp[5];
        kronos_stamp(1700000100 + 300 * (int64_t)t, stamp);
        for (uint32_t i = 0; i < 5; i++) { stamps[t * 5 + i] = (uint8_t)stamp[i]; }
    }
    for (uint32_t t = 0; t < 20; t++) {
        const double price = ((double)bars.open[t] + bars.high[t] + bars.low[t] + bars.close[t]) / 4;
        amount[t] = (float)(bars.volume[t] * price);
    }
    other.times = NULL, other.stamps = stamps, other.amount = amount;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.horizon = HORIZON, config.paths = 2, config.seed = 99, config.top_k = 1;
    result.samples = samples;
    float *greedy = run(device, x.forecaster, &bars, 1, 0, HORIZON);
    test_ok(device, rp_forecast_bars(x.forecaster, &other, 1, &config, &result), "forecast");
    for (uint32_t i = 0; i < COLUMNS * HORIZON; i++) { assert_true(samples[2 * i] == greedy[i] && samples[2 * i + 1] == greedy[i]); }
    free(greedy);
    close_it(&x);
    free_bars(&bars);
}

static void calendar(void **state) {
    (void)state;
    static const struct { int64_t time; uint32_t stamp[5]; } days[] = {
        { 0, { 0, 0, 3, 1, 1 } }, { -1, { 59, 23, 2, 31, 12 } }, { 951782399, { 59, 23, 0, 28, 2 } }, { 951782400, { 0, 0, 1, 29, 2 } },
        { 951868800, { 0, 0, 2, 1, 3 } }, { 1719324300, { 5, 14, 1, 25, 6 } }, { 4107542399, { 59, 23, 6, 28, 2 } },
        { 4107542400, { 0, 0, 0, 1, 3 } },   // 2100 has no leap day
    };
    for (size_t i = 0; i < TEST_COUNT(days); i++) {
        uint32_t stamp[5];
        kronos_stamp(days[i].time, stamp);
        assert_memory_equal(stamp, days[i].stamp, sizeof stamp);
    }
}

// Toto and Kronos in one process on one device, in turn: memory flat, results those of each alone. Weights away and back: too.
static void side_by_side(void **state) {
    rp_device *device = test_device_of(state);
    rp_bars bars = make_bars(6, 15);
    fixture kronos = open_with(device, 15, 1, 2, 0);
    float *alone = run(device, kronos.forecaster, &bars, 1, 2, 2), values[32], want[16], got[16];
    rp_model *toto;
    rp_forecaster *forecaster;
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    rp_series series = RP_SERIES_INIT;
    for (uint32_t i = 0; i < 32; i++) { values[i] = (float)(i % 5); }
    sizes.max_context = 32, sizes.max_horizon = config.horizon = 16;
    series.values = values, series.context = 32, result.mean = want;
    test_ok(device, rp_model_load(device, TOTO, NULL, &toto), "load Toto");
    test_ok(device, rp_forecaster_create(toto, &sizes, &forecaster), "create Toto");
    test_ok(device, rp_forecast(forecaster, &series, 1, &config, &result), "forecast");
    result.mean = got;
    const rp_counters before = device->counters;
    for (uint32_t round = 0; round < 1000; round++) {
        test_ok(device, rp_forecast(forecaster, &series, 1, &config, &result), "forecast");
        float *again = run(device, kronos.forecaster, &bars, 1, 2, 2);
        assert_memory_equal(again, alone, (size_t)COLUMNS * 2 * 2 * sizeof *again);
        assert_memory_equal(got, want, sizeof want);
        free(again);
    }
    assert_true(device->counters.buffers == before.buffers && device->counters.buffer_bytes == before.buffer_bytes);
    assert_true(device->counters.recordings == before.recordings && device->counters.reads - before.reads == 2000);

    assert_int_equal(rp_model_offload(kronos.model), RP_INVALID_ARGUMENT);   // it has a forecaster
    rp_forecaster_destroy(kronos.forecaster);
    for (uint32_t i = 0; i < 2; i++) { test_ok(device, rp_model_offload(kronos.model), "offload"); }
    rp_forecaster_config again = RP_FORECASTER_CONFIG_INIT;
    again.max_context = 15, again.max_horizon = HORIZON, again.max_paths = 2, again.window = WINDOW;
    assert_int_equal(rp_forecaster_create(kronos.model, &again, &kronos.forecaster), RP_INVALID_ARGUMENT);
    test_ok(device, rp_forecast(forecaster, &series, 1, &config, &result), "forecast");
    assert_memory_equal(got, want, sizeof want);
    for (uint32_t i = 0; i < 2; i++) { test_ok(device, rp_model_restore(kronos.model), "restore"); }
    test_ok(device, rp_forecaster_create(kronos.model, &again, &kronos.forecaster), "create again");
    float *back = run(device, kronos.forecaster, &bars, 1, 2, 2);
    assert_memory_equal(back, alone, (size_t)COLUMNS * 2 * 2 * sizeof *back);
    rp_forecaster_destroy(forecaster);
    test_ok(device, rp_model_offload(toto), "offload Toto");
    test_ok(device, rp_model_restore(toto), "restore Toto");
    test_ok(device, rp_forecaster_create(toto, &sizes, &forecaster), "create Toto again");
    test_ok(device, rp_forecast(forecaster, &series, 1, &config, &result), "forecast");
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(rp_forecast(kronos.forecaster, &series, 1, &config, &result), RP_INVALID_ARGUMENT);
    assert_int_equal(rp_forecast_bars(forecaster, &bars, 1, &config, &result), RP_INVALID_ARGUMENT);
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(toto);
    free(alone), free(back);
    close_it(&kronos);
    free_bars(&bars);
}

// A wrong argument is named, and the forecaster can be used afterwards.
static void refused(void **state) {
    rp_device *device = test_device_of(state);
    rp_bars good = make_bars(1, 20), bad;
    fixture x = open_with(device, 20, 1, 2, 0);
    float out[COLUMNS * HORIZON], values[20];
    int64_t times[20];
    const uint8_t stamps[(20 + HORIZON) * 5] = { 60 };
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT, other;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.horizon = HORIZON, result.mean = out;
#define REFUSED(word)                                                                                     \
    do {                                                                                                  \
        char text[1024] = "";                                                                             \
        assert_int_equal(rp_forecast_bars(x.forecaster, &bad, 1, &other, &result), RP_INVALID_ARGUMENT);  \
        rp_device_copy_error(device, text, sizeof text);                                                  \
        if (strstr(text, word) == NULL) { fail_msg("\"%s\" should hold \"%s\"", text, word); }            \
        bad = good, other = config;                                                                       \
    } while (0)
    bad = good, other = config;
    memcpy(values, good.close, sizeof values), values[7] = NAN, bad.close = values;
    REFUSED("bar 7: close");
    bad.volume = NULL, bad.amount = values;
    REFUSED("volumes");
    memcpy(times, good.times, sizeof times), times[5] = times[4], bad.times = times;
    REFUSED("bar 5");
    bad.future_times = good.times;
    REFUSED("future bar 0");
    bad.context = 1;
    REFUSED("future_times");
    bad.stamps = stamps;
    REFUSED("one of the two");
    bad.times = NULL, bad.stamps = stamps;
    REFUSED("minute is 60");
    bad.context = 21;
    REFUSED("max_context");
    other.horizon = HORIZON + 1;
    REFUSED("max_horizon");
    other.top_p = 1.5f;
    REFUSED("top_p");
    other.temperature = -1;
    REFUSED("temperature");
    other.exogenous = 1;
    REFUSED("exogenous");
#undef REFUSED
    test_ok(device, rp_forecast_bars(x.forecaster, &good, 1, &config, &result), "forecast after refusals");
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecaster *none;
    sizes.max_context = 20, sizes.max_horizon = 40, sizes.window = WINDOW;
    assert_int_equal(rp_forecaster_create(x.model, &sizes, &none), RP_INVALID_ARGUMENT);   // longer than the window
    close_it(&x);
    free_bars(&good);
}

// The two folders may lie apart, and must belong together.
static void tokenizers(void **state) {
    rp_device *device = test_device_of(state);
    rp_model_config config = RP_MODEL_CONFIG_INIT;
    rp_model *model = NULL;
    test_ok(device, rp_model_load(device, KRONOS "/model", NULL, &model), "the tokenizer beside the model");
    rp_model_destroy(model);
    config.tokenizer = KRONOS "-overflow/tokenizer";
    test_ok(device, rp_model_load(device, KRONOS "/model", &config, &model), "a tokenizer that is named");
    rp_model_destroy(model);
    config.tokenizer = KRONOS "-fixedte/tokenizer";
    assert_int_equal(rp_model_load(device, KRONOS "/model", &config, &model), RP_BAD_FILE);
    config.tokenizer = KRONOS "/nowhere";
    assert_int_equal(rp_model_load(device, KRONOS "/model", &config, &model), RP_NOT_FOUND);
    assert_int_equal(rp_model_load(device, KRONOS "/tokenizer", NULL, &model), RP_UNSUPPORTED);
    assert_null(model);
}

// What holds within one recording holds in precision mixed as well.
static void in_mixed(void **state) {
    rp_device *device = test_device_of(state);
    const uint32_t S = 20;
    if (!device->info.mixed) {
        printf("  %s has no precision mixed\n", device->info.spec);
        skip();
    }
    precision = RP_PRECISION_MIXED;
    any_horizon(state), direct_is_replayed(state);
    rp_bars bars[2] = { make_bars(1, 20), make_bars(2, 15) };
    fixture x = open_with(device, 20, 2, S, 0);
    precision = RP_PRECISION_F32;
    const size_t each = (size_t)COLUMNS * HORIZON * S;
    float *together = run(device, x.forecaster, bars, 2, S, HORIZON), *alone = run(device, x.forecaster, bars, 1, S, HORIZON);
    assert_memory_equal(alone, together, each * sizeof *alone);   // the other series of a batch change no bit
    free(together), free(alone);
    close_it(&x);
    free_bars(&bars[0]), free_bars(&bars[1]);
}

int main(void) {
    static const test_named all[] = {
        { "any batch", any_batch }, { "any chunks", any_chunks }, { "windows are counted", windows_are_counted }, { "any horizon", any_horizon },
        { "direct is replayed", direct_is_replayed }, { "same paths as the reference", same_paths_as_reference },
        { "the same in other words", the_same_in_other_words }, { "calendar", calendar }, { "side by side", side_by_side },
        { "refused", refused }, { "tokenizers", tokenizers }, { "in precision mixed", in_mixed },
    };
    return test_on_each_device("forecast of bars", all, TEST_COUNT(all));
}
