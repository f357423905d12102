// Bars as DLPack tensors, on every device: the bits of the plain call from host and device memory, whatever the layout and the
// columns that are there; numbers that no bar may have; and tensors that say their version.
#include "numbers.h"
#include "tensors.h"

#define KRONOS RP_GOLDEN_DIR "/kronos-tiny"
#define BARS 25u
#define WINDOW 20u       // bars seen at once: fewer than there are, so that it slides from the first step on
#define C 6u
#define H 4u
#define S 3u

static fixture open_model(rp_device *device, bool device_inputs) {
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = 28, config.max_horizon = H, config.max_batch = 3, config.max_paths = S, config.window = WINDOW;
    config.device_inputs = device_inputs;
    return fixture_open(device, KRONOS, &config);
}

static rp_forecast_config config_of(uint32_t paths) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = H, config.paths = paths, config.seed = 7;
    return config;
}

// Numbers that no amount is exact of, one after the other in time.
typedef struct numbers { float of[C][BARS]; int64_t times[BARS], ahead[H]; } numbers;

static void fill(numbers *n, uint32_t id) {
    for (uint32_t t = 0; t < BARS; t++) {
        const float close = 11.27f + (float)((t * 7 + id) % 11) / 3;
        const float volume = (float)(1000 + (t * 37 + id) % 900) / 7, amount = (float)(20000 + 8 * t) / 3;
        const float bar[] = { close - 0.23f, close + 0.51f, close - 0.49f, close, volume, amount };
        for (uint32_t c = 0; c < C; c++) { n->of[c][t] = bar[c]; }
        n->times[t] = 1700000100 + 300 * (int64_t)t;
    }
    for (uint32_t t = 0; t < H; t++) { n->ahead[t] = n->times[BARS - 1] + 900 * ((int64_t)t + 1); }
}

// The last `bars` of them, for the plain call.
static rp_bars plain_of(const numbers *n, uint32_t bars, uint32_t columns, uint32_t id) {
    rp_bars b = RP_BARS_INIT;
    const uint32_t first = BARS - bars;
    b.open = n->of[0] + first, b.high = n->of[1] + first, b.low = n->of[2] + first, b.close = n->of[3] + first;
    b.volume = columns > 4 ? n->of[4] + first : NULL, b.amount = columns > 5 ? n->of[5] + first : NULL;
    b.times = n->times + first, b.context = bars, b.id = id;
    return b;
}

// ---- from the host ----

static void bars(void **state) {
    fixture x = open_model(test_device_of(state), false);
    static numbers n;
    static float want[C * H * S];
    static double table[BARS][C];
    fill(&n, 1);
    for (uint32_t t = 0; t < BARS; t++) {
        for (uint32_t c = 0; c < C; c++) { table[t][c] = (double)n.of[c][t]; }
    }
    rp_bars plain = plain_of(&n, BARS, C, 0);
    tensor b, t, f;
    rp_forecast_config config = config_of(S);
    rp_forecast_result plain_result = RP_FORECAST_RESULT_INIT;
    plain_result.samples = want;
    rp_dl_bars d = RP_DL_BARS_INIT;
    d.bars = describe(&b, table, RP_DL_FLOAT, 64, BARS, C, C, 1);
    d.times = describe(&t, n.times, RP_DL_INT, 64, 1, BARS, BARS, 1);
    for (int way = 0; way < 4; way++) {
        if (way == 1) { describe(&b, n.of, RP_DL_FLOAT, 32, BARS, C, 1, BARS); }             // columns, read in place
        if (way == 2) { b.shape[1] = 4, plain.volume = plain.amount = NULL; }
        if (way == 3) { plain.future_times = n.ahead, d.future_times = describe(&f, n.ahead, RP_DL_INT, 64, 1, H, H, 1); }
        rp_dl_result result = RP_DL_RESULT_INIT;
        result.wanted = RP_DL_SAMPLES;
        test_ok(x.device, rp_forecast_bars(x.forecaster, &plain, 1, &config, &plain_result), "plain");
        test_ok(x.device, rp_forecast_bars_dlpack(x.forecaster, &d, 1, 0, &config, &result), "tensors");
        assert_memory_equal(result.samples->dl_tensor.data, want, sizeof want);
        assert_int_equal(result.samples->dl_tensor.shape[1], C);
        drop_all(&result);
    }
    close_it(&x);
}

// ---- what is refused ----

typedef struct attempt { tensor bars, times, ahead; rp_dl_bars s; } attempt;
static void no_bars(attempt *a) { a->s.bars = NULL; }
static void narrow(attempt *a) { a->bars.shape[1] = 3; }
static void wide(attempt *a) { a->bars.shape[1] = 7; }
static void flat(attempt *a) { a->bars.t.ndim = 1; }
static void too_long(attempt *a) { a->bars.shape[0] = 29; }
static void unsigned_times(attempt *a) { a->times.t.dtype.code = RP_DL_UINT; }
static void short_times(attempt *a) { a->times.shape[1]--; }
static void no_times(attempt *a) { a->s.times = NULL; }
static void long_future(attempt *a) { a->ahead.shape[1]++; }
static void old_bars(attempt *a) { a->s.struct_size--; }
static void times_on_cuda(attempt *a) { a->times.t.device.device_type = RP_DL_CUDA; }
static void future_on_cuda(attempt *a) { a->ahead.t.device.device_type = RP_DL_CUDA; }
static void double_on_cuda(attempt *a) { a->bars.t.device.device_type = RP_DL_CUDA, a->bars.t.dtype.bits = 64; }
static void on_cuda(attempt *a) { a->bars.t.device.device_type = RP_DL_CUDA; }
static void infinite(attempt *a) { *(float *)a->bars.t.data = INFINITY; }
static void missing(attempt *a) { *(float *)a->bars.t.data = NAN; }

static const struct { const char *name; void (*spoil)(attempt *); rp_status status; const char *says; } refusals[] = {
    { "no bars", no_bars, RP_INVALID_ARGUMENT, "bars is NULL" },
    { "three columns", narrow, RP_INVALID_ARGUMENT, "[25, 3]" },
    { "seven columns", wide, RP_INVALID_ARGUMENT, "[25, 7]" },
    { "one dimension", flat, RP_INVALID_ARGUMENT, "[T, 4]" },
    { "too long", too_long, RP_INVALID_ARGUMENT, "at most 28 bars" },
    { "unsigned times", unsigned_times, RP_UNSUPPORTED, "times are not int64" },
    { "fewer times", short_times, RP_INVALID_ARGUMENT, "times is [1, 24]" },
    { "no times", no_times, RP_INVALID_ARGUMENT, "times or stamps" },
    { "more future times", long_future, RP_INVALID_ARGUMENT, "future_times is [1, 5]" },
    { "bars of another version", old_bars, RP_INVALID_ARGUMENT, "rp_dl_bars" },
    { "times on CUDA", times_on_cuda, RP_UNSUPPORTED, "Series 0: times lie on a CUDA device" },
    { "future times on CUDA", future_on_cuda, RP_UNSUPPORTED, "Series 0: future_times lie on a CUDA device" },
    { "float64 on CUDA", double_on_cuda, RP_UNSUPPORTED, "must be float32" },
    { "a CUDA tensor without device_inputs", on_cuda, RP_OK, "CUDA" },
    { "an infinity", infinite, RP_INVALID_ARGUMENT, "open is inf" },
    { "a missing price", missing, RP_INVALID_ARGUMENT, "open is nan" },
};

static void hostile_bars(void **state) {
    fixture x = open_model(test_device_of(state), false);
    static numbers n;
    rp_forecast_config config = config_of(S);
    for (size_t i = 0; i < TEST_COUNT(refusals); i++) {
        attempt a;
        rp_dl_result result = RP_DL_RESULT_INIT;
        fill(&n, 2);
        a.s = (rp_dl_bars)RP_DL_BARS_INIT;
        a.s.bars = describe(&a.bars, n.of, RP_DL_FLOAT, 32, BARS, C, 1, BARS);
        a.s.times = describe(&a.times, n.times, RP_DL_INT, 64, 1, BARS, BARS, 1);
        a.s.future_times = describe(&a.ahead, n.ahead, RP_DL_INT, 64, 1, H, H, 1);
        result.wanted = RP_DL_SAMPLES | RP_DL_MEAN;
        refusals[i].spoil(&a);
        const bool cuda = strncmp(x.device->info.spec, "cuda", 4) == 0;   // there it is the forecaster that takes none
        const rp_status want = refusals[i].status != RP_OK ? refusals[i].status : cuda ? RP_INVALID_ARGUMENT : RP_UNSUPPORTED;
        const rp_status status = rp_forecast_bars_dlpack(x.forecaster, &a.s, 1, 0, &config, &result);
        if (status != want || strstr(x.device->error.text, refusals[i].says) == NULL) {
            fail_msg("%s: %s, \"%s\"", refusals[i].name, rp_status_name(status), x.device->error.text);
        }
        assert_true(result.samples == NULL && result.mean == NULL);
    }
    rp_dl_series series = RP_DL_SERIES_INIT;
    rp_dl_bars four[4] = { RP_DL_BARS_INIT };
    rp_dl_result none = RP_DL_RESULT_INIT;
    assert_int_equal(rp_forecast_dlpack(x.forecaster, &series, 1, 0, &config, &none), RP_INVALID_ARGUMENT);
    assert_non_null(strstr(x.device->error.text, "rp_forecast_bars_dlpack"));
    assert_int_equal(rp_forecast_bars_dlpack(NULL, four, 1, 0, &config, &none), RP_INVALID_ARGUMENT);
    assert_int_equal(rp_forecast_bars_dlpack(x.forecaster, four, 4, 0, &config, &none), RP_INVALID_ARGUMENT);
    close_it(&x);
    // And a model of series takes no bars.
    rp_model_config f32 = RP_MODEL_CONFIG_INIT;
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    f32.precision = RP_PRECISION_F32, sizes.max_context = 48, sizes.max_horizon = H;
    test_ok(x.device, rp_model_load(x.device, RP_GOLDEN_DIR "/toto-tiny", &f32, &x.model), "load");
    test_ok(x.device, rp_forecaster_create(x.model, &sizes, &x.forecaster), "create");
    assert_int_equal(rp_forecast_bars_dlpack(x.forecaster, four, 1, 0, &config, &none), RP_INVALID_ARGUMENT);
    assert_non_null(strstr(x.device->error.text, "call rp_forecast_dlpack"));
    close_it(&x);
}

// ---- on the device ----

// The layouts of [bars, 6]: packed, columns, backwards, bars and columns apart. `start` is where the first price stands.
static const struct layout { int64_t start, row, col; } layouts[] = {
    { 0, C, 1 }, { 0, 1, BARS }, { BARS * C - 1, -(int64_t)C, -1 }, { 5, 3 * C + 2, 3 },
};
#define ELEMENTS (BARS * (3 * C + 2) + 8)

// The last `count` bars in that layout; everything between them is NaN.
static void lay(const numbers *n, const struct layout *l, uint32_t count, uint32_t columns, float *out) {
    for (uint32_t i = 0; i < ELEMENTS; i++) { out[i] = NAN; }
    for (uint32_t t = 0; t < count; t++) {
        for (uint32_t c = 0; c < columns; c++) { out[l->start + t * l->row + c * l->col] = n->of[c][BARS - count + t]; }
    }
}

static void mean_of(fixture *x, const rp_bars *bars, const rp_device_bars *there, uint32_t n_series, uint32_t paths, float *out,
                    rp_status want) {
    rp_forecast_config config = config_of(paths);
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    result.mean = out;
    const rp_status status = rp_forecast_bars_there(x->forecaster, bars, there, n_series, &config, &result);
    if (status != want) { fail_msg("%s: %s", rp_status_name(status), x->device->error.text); }
}

// Bars that are on the device give the bits of those from the host: all layouts and columns, alone, and beside others of other
// lengths, of which the second comes from the host.
static void bars_from_the_device(void **state) {
    rp_device *device = test_device_of(state);
    fixture x = open_model(device, true);
    static numbers n[3];
    static float laid[ELEMENTS], want[3 * C * H], got[3 * C * H];
    static const uint32_t counts[] = { BARS, BARS - 4, 11 };   // longer than the window, and shorter
    rp_buffer *owners[2];
    for (uint32_t i = 0; i < 3; i++) { fill(&n[i], i); }
    for (size_t l = 0; l < TEST_COUNT(layouts); l++) {
        for (uint32_t columns = 4; columns <= C; columns++) {
            rp_bars host[3], rest[3];
            rp_device_bars there[3] = { { .columns = 0 } };
            for (uint32_t i = 0; i < 3; i++) {
                host[i] = rest[i] = plain_of(&n[i], counts[i], columns, i);
                if (i == 1) { continue; }
                lay(&n[i], &layouts[l], counts[i], columns, laid);
                there[i].rows = upload(device, laid, sizeof laid, (uint32_t)layouts[l].start, (uint32_t)layouts[l].row, (uint32_t)layouts[l].col,
                                       RP_F32, &owners[i / 2]);
                there[i].columns = columns;
                rest[i].open = rest[i].high = rest[i].low = rest[i].close = rest[i].volume = rest[i].amount = NULL;
            }
            const uint32_t together = columns == C ? 3 : 1, paths = columns == 5 ? 0 : S;
            mean_of(&x, host, NULL, together, paths, want, RP_OK);
            mean_of(&x, rest, there, together, paths, got, RP_OK);
            assert_memory_equal(got, want, together * C * H * sizeof(float));
            mean_of(&x, host, NULL, together, paths, got, RP_OK);           // and the host's again, where the device's were
            assert_memory_equal(got, want, together * C * H * sizeof(float));
            for (uint32_t i = 0; i < 2; i++) { device->backend->buffer_destroy(owners[i]); }
        }
    }
    close_it(&x);
}

// What cannot be used is found at the end, in any column that is there, and the forecaster can go on.
static void unusable_bars(void **state) {
    rp_device *device = test_device_of(state);
    fixture x = open_model(device, true);
    static numbers n;
    static float laid[ELEMENTS], want[C * H], got[2 * C * H], before[2 * C * H];
    const float bad[] = { INFINITY, -INFINITY, NAN, 1e17f, -3e38f }, good = 9.9e16f;
    rp_buffer *owner;
    fill(&n, 5);
    for (uint32_t columns = 4; columns <= C; columns++) {
        rp_bars host = plain_of(&n, BARS, columns, 0), rest[2] = { host, host };
        rp_device_bars there[2] = { { .columns = 0 }, { .columns = columns } };
        lay(&n, &layouts[0], BARS, C, laid);
        there[1].rows = upload(device, laid, sizeof laid, 0, C, 1, RP_F32, &owner);
        rest[1].open = rest[1].high = rest[1].low = rest[1].close = rest[1].volume = rest[1].amount = NULL;
        mean_of(&x, &host, NULL, 1, S, want, RP_OK);
        memset(before, 0x5a, sizeof before);
        for (uint32_t c = 0; c < C; c++) {
            const uint64_t at = ((uint64_t)(c * 7 % BARS) * C + c) * 4;
            const float was = laid[at / 4];
            memcpy(got, before, sizeof got);
            test_ok(device, device->backend->write(owner, at, RP_F32, &bad[(c + columns) % TEST_COUNT(bad)], RP_F32, 1), "write");
            mean_of(&x, rest, there, 2, S, got, c < columns ? RP_INVALID_ARGUMENT : RP_OK);   // of other columns nobody looks
            if (c < columns) {
                assert_non_null(strstr(device->error.text, "Series 1, which came as a CUDA tensor, has a price"));
                assert_memory_equal(got, before, sizeof got);                                 // nothing was written
            }
            test_ok(device, device->backend->write(owner, at, RP_F32, &was, RP_F32, 1), "write");
        }
        mean_of(&x, rest + 1, there + 1, 1, S, got, RP_OK);
        assert_memory_equal(got, want, sizeof want);
        test_ok(device, device->backend->write(owner, 0, RP_F32, &good, RP_F32, 1), "write");
        mean_of(&x, rest + 1, there + 1, 1, S, got, RP_OK);                                   // large, but it may be
        device->backend->buffer_destroy(owner);
    }
    close_it(&x);
}

// ---- versions ----

static int deleted;
static void count_deleted(rp_dl_managed_tensor *self) {
    assert_non_null(self);
    deleted++;
}

static void versioned_tensors(void **state) {
    fixture x = open_model(test_device_of(state), false);
    static numbers n;
    static float want[C * H];
    tensor b, t;
    fill(&n, 3);
    // In: what says 1.x is taken, whatever its x; of another major version nothing but the deleter may be used.
    rp_dl_managed_tensor_versioned in;
    const rp_dl_tensor *inside = NULL;
    memset(&in, 0, sizeof in);
    in.dl_tensor = *describe(&b, n.of, RP_DL_FLOAT, 32, BARS, C, 1, BARS);
    for (uint32_t major = 0; major < 4; major++) {
        in.version.major = major, in.version.minor = 9, in.flags = 1;
        assert_int_equal(rp_dl_from_versioned(&in, &inside), major == 1 ? RP_OK : RP_UNSUPPORTED);
        assert_ptr_equal(inside, major == 1 ? &in.dl_tensor : NULL);
    }
    in.version.major = 1;
    assert_int_equal(rp_dl_from_versioned(NULL, &inside), RP_INVALID_ARGUMENT);
    assert_int_equal(rp_dl_from_versioned(&in, NULL), RP_INVALID_ARGUMENT);
    assert_int_equal(rp_dl_from_versioned(&in, &inside), RP_OK);
    const rp_bars plain = plain_of(&n, BARS, C, 0);
    rp_dl_bars d = RP_DL_BARS_INIT;
    rp_dl_result result = RP_DL_RESULT_INIT;
    rp_forecast_config config = config_of(S);
    d.bars = inside, d.times = describe(&t, n.times, RP_DL_INT, 64, 1, BARS, BARS, 1);
    result.wanted = RP_DL_MEAN;
    mean_of(&x, &plain, NULL, 1, S, want, RP_OK);
    test_ok(x.device, rp_forecast_bars_dlpack(x.forecaster, &d, 1, 0, &config, &result), "tensors");
    // Out: the same tensor, which goes with the versioned one.
    rp_dl_managed_tensor_versioned *out;
    const rp_dl_tensor was = result.mean->dl_tensor;
    assert_int_equal(rp_dl_to_versioned(result.mean, &out), RP_OK);
    close_it(&x);
    assert_true(out->version.major == 1 && out->version.minor == 0 && out->flags == 0);
    assert_memory_equal(&out->dl_tensor, &was, sizeof was);
    assert_memory_equal(out->dl_tensor.data, want, sizeof want);
    assert_int_equal(rp_dl_from_versioned(out, &inside), RP_OK);
    out->deleter(out);
    // Deleted once, or not at all: the failed call leaves it to the caller; and DLPack allows a tensor without a deleter.
    rp_dl_managed_tensor own = { .dl_tensor = b.t, .deleter = count_deleted };
    assert_int_equal(rp_dl_to_versioned(NULL, &out), RP_INVALID_ARGUMENT);
    assert_null(out);
    assert_int_equal(rp_dl_to_versioned(&own, NULL), RP_INVALID_ARGUMENT);
    assert_int_equal(deleted, 0);
    assert_int_equal(rp_dl_to_versioned(&own, &out), RP_OK);
    out->deleter(out);
    assert_int_equal(deleted, 1);
    own.deleter = NULL;
    assert_int_equal(rp_dl_to_versioned(&own, &out), RP_OK);
    out->deleter(out);
    deleted = 0;
}

// ---- CUDA ----

// From CUDA memory to CUDA memory, in every layout; lent samples, versioned too.
static void cuda_bars(void **state) {
    rp_device *device = cuda_of(state);
    fixture x = open_model(device, true);
    static numbers n;
    static float laid[ELEMENTS], want[C * H * S], got[C * H * S];
    fill(&n, 4);
    for (size_t l = 0; l < TEST_COUNT(layouts); l++) {
        for (uint32_t columns = 4; columns <= C; columns++) {
            const uint32_t paths = columns == 5 ? 0 : S;
            const rp_bars plain = plain_of(&n, BARS, columns, 0);
            rp_forecast_config config = config_of(paths);
            rp_forecast_result host = RP_FORECAST_RESULT_INIT;
            *(paths ? &host.samples : &host.mean) = want;
            test_ok(device, rp_forecast_bars(x.forecaster, &plain, 1, &config, &host), "plain");
            rp_buffer *owner;
            tensor b, t;
            rp_dl_result none = RP_DL_RESULT_INIT;
            rp_dl_managed_tensor *lent;
            rp_dl_managed_tensor_versioned *versioned;
            lay(&n, &layouts[l], BARS, columns, laid);
            (void)upload(device, laid, sizeof laid, 0, 0, 0, RP_F32, &owner);
            describe(&b, NULL, RP_DL_FLOAT, 32, BARS, columns, layouts[l].row, layouts[l].col);
            b.t.byte_offset = (uint64_t)layouts[l].start * 4;
            rp_dl_bars d = RP_DL_BARS_INIT;
            d.bars = put_on(device, &b, owner), d.times = describe(&t, n.times, RP_DL_INT, 64, 1, BARS, BARS, 1);
            const rp_counters before = device->counters;
            test_ok(device, rp_forecast_bars_dlpack(x.forecaster, &d, 1, RP_DL_STREAM_DEFAULT, &config, &none), "nothing to the host");
            assert_true(device->counters.buffers == before.buffers && device->counters.recordings == before.recordings);
            test_ok(device, rp_forecaster_lend_samples(x.forecaster, &lent), "lend");
            lent_samples(device, lent, got);
            assert_memory_equal(got, want, C * H * (paths ? paths : 1) * sizeof(float));
            assert_int_equal(rp_forecast_bars_dlpack(x.forecaster, &d, 1, 0, &config, &none), RP_INVALID_ARGUMENT);
            assert_int_equal(rp_dl_to_versioned(lent, &versioned), RP_OK);
            assert_int_equal((int)versioned->dl_tensor.device.device_type, RP_DL_CUDA);
            versioned->deleter(versioned);
            test_ok(device, rp_forecast_bars_dlpack(x.forecaster, &d, 1, 0, &config, &none), "the loan is over");
            b.t.device.device_id++;
            assert_int_equal(rp_forecast_bars_dlpack(x.forecaster, &d, 1, 0, &config, &none), RP_INVALID_ARGUMENT);
            device->backend->buffer_destroy(owner);
        }
    }
    close_it(&x);
}

int main(void) {
    static const test_named all[] = {
        { "bars", bars },
        { "hostile bars", hostile_bars },
        { "bars from the device", bars_from_the_device },
        { "unusable bars", unusable_bars },
        { "versioned tensors", versioned_tensors },
        { "CUDA bars", cuda_bars },
    };
    return test_on_each_device("dlpack_bars", all, TEST_COUNT(all));
}
