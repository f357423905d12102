// Forecasts from and to DLPack tensors, on every device: the bits of the plain call whatever the tensors' type and layout, results
// that outlive what made them, descriptors that are refused, and series that are on the device already.
#include "case.h"

#include "numbers.h"
#include "tensors.h"

#define TINY RP_GOLDEN_DIR "/toto-tiny"
#define V 3u
#define T 37u
#define H 20u
#define S 4u

static fixture open_model(rp_device *device, bool device_inputs) {
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = 48, config.max_horizon = H, config.max_batch = 3, config.max_paths = S, config.device_inputs = device_inputs;
    config.variates = V;
    return fixture_open(device, TINY, &config);
}

// Small integers and halves, which every type of 16 bits and more holds.
static float number(uint32_t v, uint32_t t, uint32_t id) { return (float)((t * 7 + v * 5 + id * 3) % 23) + 8 * (float)v; }

static void fill(float *out, uint32_t id) {
    for (uint32_t v = 0; v < V; v++) {
        for (uint32_t t = 0; t < T; t++) { out[v * T + t] = number(v, t, id); }
    }
}

static rp_forecast_config config_of(uint32_t paths) {
    static const float levels[] = { 0.1f, 0.5f };
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = H, config.paths = paths, config.seed = 7;
    if (paths) { config.quantile_levels = levels, config.n_quantiles = 2; }
    return config;
}

typedef struct outcome { float samples[V * H * S], mean[V * H], quantiles[2 * V * H]; } outcome;

// The plain call, for one series.
static void plain(const fixture *x, const float *values, const uint8_t *mask, const float *future, uint32_t exogenous, outcome *out) {
    rp_series s = RP_SERIES_INIT;
    rp_forecast_config config = config_of(S);
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    s.values = values, s.mask = mask, s.future = future, s.context = T, s.id = 1, config.exogenous = exogenous;
    result.samples = out->samples, result.mean = out->mean, result.quantiles = out->quantiles;
    test_ok(x->device, rp_forecast(x->forecaster, &s, 1, &config, &result), "plain");
}

static rp_dl_series series_of(const rp_dl_tensor *values, const rp_dl_tensor *mask, const rp_dl_tensor *future) {
    rp_dl_series s = RP_DL_SERIES_INIT;
    s.values = values, s.mask = mask, s.future = future, s.id = 1;
    return s;
}

// The call with tensors gives the bits of the plain one.
static void same(const fixture *x, const rp_dl_series *s, uint32_t exogenous, const outcome *want) {
    rp_forecast_config config = config_of(S);
    rp_dl_result result = RP_DL_RESULT_INIT;
    result.wanted = RP_DL_SAMPLES | RP_DL_MEAN | RP_DL_QUANTILES, config.exogenous = exogenous;
    test_ok(x->device, rp_forecast_dlpack(x->forecaster, s, 1, RP_DL_STREAM_DEFAULT, &config, &result), "tensors");
    assert_memory_equal(result.samples->dl_tensor.data, want->samples, sizeof want->samples);
    assert_memory_equal(result.mean->dl_tensor.data, want->mean, sizeof want->mean);
    assert_memory_equal(result.quantiles->dl_tensor.data, want->quantiles, sizeof want->quantiles);
    drop_all(&result);
}

// Every type and layout of the host.
static void any_layout(void **state) {
    static const struct { uint8_t code, bits; rp_dtype dtype; } types[] = {
        { RP_DL_FLOAT, 32, RP_F32 }, { RP_DL_FLOAT, 64, RP_F64 }, { RP_DL_FLOAT, 16, RP_F16 },
        { RP_DL_BFLOAT, 16, RP_BF16 }, { RP_DL_INT, 8, RP_U8 }, { RP_DL_UINT, 8, RP_U8 }, { RP_DL_INT, 32, RP_I32 },
        { RP_DL_UINT, 32, RP_U32 }, { RP_DL_INT, 64, RP_I64 }, { RP_DL_UINT, 64, RP_I64 }, { RP_DL_INT, 16, RP_U8 }, { RP_DL_UINT, 16, RP_U8 },
    };
    // rows and columns: packed, apart, transposed, backwards, both backwards
    static const struct { int64_t row, col; } layouts[] = { { T, 1 }, { 2 * T + 3, 2 }, { 1, V }, { T, -1 }, { -(int64_t)T, -1 } };
    fixture x = open_model(test_device_of(state), false);
    static float values[V * T];
    static outcome want;
    fill(values, 1);
    plain(&x, values, NULL, NULL, 0, &want);
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        for (size_t j = 0; j < TEST_COUNT(layouts); j++) {
            const size_t size = types[i].bits / 8, elements = 8 * V * T;
            char *memory = calloc(elements, size);
            assert_non_null(memory);
            for (int64_t v = 0; v < V; v++) {
                for (int64_t t = 0; t < T; t++) {
                    char *at = memory + ((int64_t)elements / 2 + v * layouts[j].row + t * layouts[j].col) * (int64_t)size;
                    const float value = values[v * T + t];
                    const int64_t whole = (int64_t)value;
                    if (types[i].code == RP_DL_INT || types[i].code == RP_DL_UINT) {
                        memcpy(at, &whole, size);          // little-endian, as the rest of this library
                    } else {
                        rp_convert(at, types[i].dtype, &value, RP_F32, 1);
                    }
                }
            }
            tensor d;
            describe(&d, memory, types[i].code, types[i].bits, V, T, layouts[j].row, layouts[j].col);
            d.t.byte_offset = elements / 2 * size;
            const rp_dl_series s = series_of(&d.t, NULL, NULL);
            same(&x, &s, 0, &want);
            free(memory);
        }
    }
    close_it(&x);
}

// NaN and mask together; masks of any layout; values that no element is aligned in.
static void missing_values(void **state) {
    fixture x = open_model(test_device_of(state), false);
    static float values[V * T], holes[V * T];
    static uint8_t mask[V * T], half[V * T], across[V * T];
    static outcome want, none;
    fill(values, 2), fill(holes, 2);
    for (uint32_t i = 0; i < V * T; i++) {
        mask[i] = i % 5 != 2 && i % 7 != 3;
        half[i] = i % 5 != 2 ? 255 : 0;
        across[i % T * V + i / T] = half[i];
        if (i % 7 == 3) { holes[i] = NAN; }
        if (!mask[i]) { values[i] = i % 7 == 3 ? 0 : values[i]; }
    }
    plain(&x, values, mask, NULL, 0, &want);
    plain(&x, values, NULL, NULL, 0, &none);
    assert_memory_not_equal(&want, &none, sizeof want);    // the mask makes a difference
    tensor v, m, plain_mask;
    describe_f32(&v, holes, V, T);
    rp_dl_series s = series_of(&v.t, describe(&m, half, RP_DL_BOOL, 8, V, T, T, 1), NULL);
    same(&x, &s, 0, &want);
    s.mask = describe(&m, across, RP_DL_UINT, 8, V, T, 1, V);
    same(&x, &s, 0, &want);
    describe_f32(&v, values, V, T);
    s.mask = describe(&plain_mask, mask, RP_DL_INT, 8, V, T, T, 1);
    same(&x, &s, 0, &want);
    char *odd = malloc(sizeof holes + 1);
    assert_non_null(odd);
    memcpy(odd + 1, holes, sizeof holes);
    s.values = describe(&v, odd, RP_DL_FLOAT, 32, V, T, T, 1);
    v.t.byte_offset = 1;
    s.mask = &m.t;
    same(&x, &s, 0, &want);
    free(odd);
    close_it(&x);
}

static void known_future(void **state) {
    fixture x = open_model(test_device_of(state), false);
    static float values[V * T], future[2 * H];
    static double wide[H * 2];
    static outcome want;
    fill(values, 3);
    for (uint32_t i = 0; i < 2 * H; i++) {
        future[i] = (float)(i % 9);
        wide[i % H * 2 + i / H] = future[i];
    }
    plain(&x, values, NULL, future, 2, &want);
    tensor v, f;
    rp_dl_series s = series_of(describe_f32(&v, values, V, T), NULL, describe(&f, wide, RP_DL_FLOAT, 64, 2, H, 1, 2));
    same(&x, &s, 2, &want);
    plain(&x, values, NULL, future, 1, &want);
    describe_f32(&f, future, 1, H);
    f.t.ndim = 1, f.t.shape = f.shape + 1;
    same(&x, &s, 1, &want);
    close_it(&x);
}

// Sizes, strides, alignment, and a life beyond forecaster, model and device.
static void results_are_tensors(void **state) {
    rp_device *shared = test_device_of(state), *device;
    test_ok(shared, rp_device_create(shared->info.spec, NULL, &device), "a second device");
    fixture x = open_model(device, false);
    static float values[V * T];
    tensor v;
    fill(values, 4);
    rp_dl_series s[2] = { series_of(describe_f32(&v, values, V, T), NULL, NULL), series_of(&v.t, NULL, NULL) };
    rp_forecast_config config = config_of(S);
    rp_dl_result result = RP_DL_RESULT_INIT, mean = RP_DL_RESULT_INIT;
    result.wanted = RP_DL_SAMPLES | RP_DL_MEAN | RP_DL_QUANTILES;
    test_ok(device, rp_forecast_dlpack(x.forecaster, s, 2, RP_DL_STREAM_NONE, &config, &result), "samples");
    config = config_of(0);
    mean.wanted = RP_DL_MEAN;
    test_ok(device, rp_forecast_dlpack(x.forecaster, s, 2, 0, &config, &mean), "mean");
    mean.wanted = RP_DL_SAMPLES;
    drop_all(&mean);
    assert_int_equal(rp_forecast_dlpack(x.forecaster, s, 2, 0, &config, &mean), RP_INVALID_ARGUMENT);
    assert_true(mean.samples == NULL && mean.mean == NULL && mean.quantiles == NULL);
    close_it(&x);
    rp_device_destroy(device);
    const struct { const rp_dl_managed_tensor *m; int32_t ndim; int64_t shape[4]; } want[] = {
        { result.samples, 4, { 2, V, H, S } }, { result.mean, 3, { 2, V, H } }, { result.quantiles, 4, { 2, 2, V, H } },
    };
    for (size_t i = 0; i < TEST_COUNT(want); i++) {
        const rp_dl_tensor *t = &want[i].m->dl_tensor;
        int64_t stride = 1;
        assert_true((int)t->device.device_type == RP_DL_CPU && t->device.device_id == 0 && t->byte_offset == 0 && (uintptr_t)t->data % 256 == 0);
        assert_true(t->dtype.code == RP_DL_FLOAT && t->dtype.bits == 32 && t->dtype.lanes == 1);
        assert_int_equal(t->ndim, want[i].ndim);
        for (int32_t d = t->ndim; d-- > 0;) {
            assert_true(t->shape[d] == want[i].shape[d] && t->strides[d] == stride);
            stride *= t->shape[d];
        }
        for (int64_t k = 0; k < stride; k++) { assert_true(isfinite(((const float *)t->data)[k])); }
    }
    drop_all(&result);
}

// ---- what is refused ----

typedef struct attempt { tensor values, mask, future; rp_dl_series s; rp_forecast_config config; rp_dl_result result; int64_t stream; } attempt;
static int64_t minus[2] = { -1, T }, wide_shape[2] = { V, INT64_MAX }, empty[2] = { V, 0 }, far_strides[2] = { INT64_MAX / 2, 1 },
               below[2] = { -((int64_t)1 << 58), 1 }, long_shape[2] = { V, 49 }, four[2] = { 4, T };

static void no_data(attempt *a) { a->values.t.data = NULL; }
static void no_shape(attempt *a) { a->values.t.shape = NULL; }
static void no_values(attempt *a) { a->s.values = NULL; }
static void no_dims(attempt *a) { a->values.t.ndim = 0; }
static void many_dims(attempt *a) { a->values.t.ndim = INT32_MAX; }
static void fewer_dims(attempt *a) { a->values.t.ndim = -2; }
static void negative(attempt *a) { a->values.t.shape = minus; }
static void huge(attempt *a) { a->values.t.shape = wide_shape; }
static void no_rows(attempt *a) { a->values.t.shape = empty; }
static void too_long(attempt *a) { a->values.t.shape = long_shape; }
static void too_wide(attempt *a) { a->values.t.shape = four; }
static void overflow(attempt *a) { a->values.t.strides = far_strides; }
static void wraps(attempt *a) { a->values.t.strides = below; }
static void behind_all(attempt *a) { a->values.t.byte_offset = UINT64_MAX - 64; }
static void complex_type(attempt *a) { a->values.t.dtype.code = 5; }
static void odd_bits(attempt *a) { a->values.t.dtype.bits = 24; }
static void float128(attempt *a) { a->values.t.dtype.bits = 128; }
static void vectors(attempt *a) { a->values.t.dtype.lanes = 4; }
static void no_lanes(attempt *a) { a->values.t.dtype.lanes = 0; }
static void metal(attempt *a) { a->values.t.device.device_type = 8; }
static void float_mask(attempt *a) { a->mask.t.dtype.code = RP_DL_FLOAT, a->mask.t.dtype.bits = 32; }
static void other_mask(attempt *a) { a->mask.shape[1] = T - 1; }
static void other_future(attempt *a) { a->future.shape[1] = H + 1; }
static void no_future(attempt *a) { a->s.future = NULL; }
static void old_series(attempt *a) { a->s.struct_size--; }
static void old_result(attempt *a) { a->result.struct_size++; }
static void unknown_result(attempt *a) { a->result.wanted = 8; }
static void far_horizon(attempt *a) { a->config.horizon = UINT32_MAX; }
static void many_levels(attempt *a) { a->config.n_quantiles = 3, a->config.quantile_levels = NULL; }
static void infinite(attempt *a) { *(float *)a->values.t.data = INFINITY; }
static void on_cuda(attempt *a) { a->values.t.device.device_type = RP_DL_CUDA, a->s.mask = NULL; }
static void half_on_cuda(attempt *a) { a->values.t.device.device_type = RP_DL_CUDA; }
static void double_on_cuda(attempt *a) { a->values.t.device.device_type = RP_DL_CUDA, a->values.t.dtype.bits = 64; }

static const struct { const char *name; void (*spoil)(attempt *); rp_status status; const char *says; } refusals[] = {
    { "no data", no_data, RP_INVALID_ARGUMENT, "values: data is NULL" },
    { "no shape", no_shape, RP_INVALID_ARGUMENT, "shape is NULL" },
    { "no values", no_values, RP_INVALID_ARGUMENT, "values is NULL" },
    { "no dimensions", no_dims, RP_INVALID_ARGUMENT, "0 dimensions" },
    { "many dimensions", many_dims, RP_INVALID_ARGUMENT, "2147483647 dimensions" },
    { "negative dimensions", fewer_dims, RP_INVALID_ARGUMENT, "-2 dimensions" },
    { "a negative size", negative, RP_INVALID_ARGUMENT, "negative size" },
    { "a huge size", huge, RP_INVALID_ARGUMENT, "address space" },
    { "no rows", no_rows, RP_INVALID_ARGUMENT, "empty" },
    { "too long", too_long, RP_INVALID_ARGUMENT, "49 time steps" },
    { "too wide", too_wide, RP_INVALID_ARGUMENT, "[3, 37] is asked for" },
    { "a stride that overflows", overflow, RP_INVALID_ARGUMENT, "address space" },
    { "a stride below 0", wraps, RP_INVALID_ARGUMENT, "address space" },
    { "an offset behind all memory", behind_all, RP_INVALID_ARGUMENT, "address space" },
    { "complex numbers", complex_type, RP_UNSUPPORTED, "type code 5" },
    { "24 bits", odd_bits, RP_UNSUPPORTED, "24 bits" },
    { "128 bits", float128, RP_UNSUPPORTED, "128 bits" },
    { "lanes", vectors, RP_UNSUPPORTED, "4 lanes" },
    { "no lanes", no_lanes, RP_UNSUPPORTED, "0 lanes" },
    { "an unknown device", metal, RP_UNSUPPORTED, "device type 8" },
    { "a mask of floats", float_mask, RP_UNSUPPORTED, "a mask is bool" },
    { "a mask of another shape", other_mask, RP_INVALID_ARGUMENT, "mask is [3, 36]" },
    { "a future of another length", other_future, RP_INVALID_ARGUMENT, "future is [1, 21]" },
    { "no future", no_future, RP_INVALID_ARGUMENT, "no known future" },
    { "a series of another version", old_series, RP_INVALID_ARGUMENT, "rp_dl_series" },
    { "a result of another version", old_result, RP_INVALID_ARGUMENT, "rp_dl_result" },
    { "an unknown result", unknown_result, RP_INVALID_ARGUMENT, "wanted is 8" },
    { "a far horizon", far_horizon, RP_INVALID_ARGUMENT, "4294967295" },
    { "no levels", many_levels, RP_INVALID_ARGUMENT, "quantile_levels" },
    { "an infinity", infinite, RP_INVALID_ARGUMENT, "inf" },
    { "a CUDA tensor without device_inputs", on_cuda, RP_OK, "CUDA" },
    { "half on CUDA", half_on_cuda, RP_INVALID_ARGUMENT, "not where the values are" },
    { "float64 on CUDA", double_on_cuda, RP_UNSUPPORTED, "must be float32" },
};

static void hostile_tensors(void **state) {
    fixture x = open_model(test_device_of(state), false);
    static float values[V * T], future[H];
    static uint8_t mask[V * T];
    memset(mask, 1, sizeof mask);
    for (size_t i = 0; i < TEST_COUNT(refusals); i++) {
        attempt a = { .config = config_of(S), .result = RP_DL_RESULT_INIT };
        fill(values, 5);
        a.s = series_of(describe(&a.values, values, RP_DL_FLOAT, 32, V, T, T, 1), describe(&a.mask, mask, RP_DL_BOOL, 8, V, T, T, 1),
                        describe_f32(&a.future, future, 1, H));
        a.result.wanted = RP_DL_MEAN | RP_DL_SAMPLES | RP_DL_QUANTILES, a.config.exogenous = 1;
        refusals[i].spoil(&a);
        const bool cuda = strncmp(x.device->info.spec, "cuda", 4) == 0;   // there it is the forecaster that takes none
        const rp_status want = refusals[i].status != RP_OK ? refusals[i].status : cuda ? RP_INVALID_ARGUMENT : RP_UNSUPPORTED;
        const rp_status status = rp_forecast_dlpack(x.forecaster, &a.s, 1, a.stream, &a.config, &a.result);
        if (status != want || strstr(x.device->error.text, refusals[i].says) == NULL) {
            fail_msg("%s: %s, \"%s\"", refusals[i].name, rp_status_name(status), x.device->error.text);
        }
        assert_true(a.result.samples == NULL && a.result.mean == NULL && a.result.quantiles == NULL);
    }
    rp_forecast_config config = config_of(S);
    rp_dl_result result = RP_DL_RESULT_INIT;
    assert_int_equal(rp_forecast_dlpack(NULL, NULL, 0, 0, &config, &result), RP_INVALID_ARGUMENT);
    assert_int_equal(rp_forecast_dlpack(x.forecaster, NULL, 1, 0, &config, &result), RP_INVALID_ARGUMENT);
    rp_dl_series s[4] = { RP_DL_SERIES_INIT };
    assert_int_equal(rp_forecast_dlpack(x.forecaster, s, 4, 0, &config, &result), RP_INVALID_ARGUMENT);
    assert_int_equal(rp_forecast_dlpack(x.forecaster, s, 1, 0, NULL, &result), RP_INVALID_ARGUMENT);
    assert_int_equal(rp_forecast_dlpack(x.forecaster, s, 1, 0, &config, NULL), RP_INVALID_ARGUMENT);
    static outcome out;
    fill(values, 5);
    plain(&x, values, NULL, NULL, 0, &out);   // and it can still be used
    close_it(&x);
}

// ---- on the device ----

// Series that are on the device give the bits of those from the host, alone and beside one from the host.
static void series_from_the_device(void **state) {
    rp_device *device = test_device_of(state);
    fixture x = open_model(device, true);
    static float values[V * T], holes[V * T], across[T * V], future[2 * H], want[2][2 * V * H * S], got[2 * V * H * S];
    static uint8_t mask[V * T], half[V * T + 1];
    fill(values, 6), fill(holes, 6);
    for (uint32_t i = 0; i < V * T; i++) {
        mask[i] = i % 5 != 2 && i % 7 != 3, half[i] = i % 5 != 2 ? 7 : 0;
        if (i % 7 == 3) { holes[i] = NAN, values[i] = 0; }
    }
    for (uint32_t i = 0; i < V * T; i++) { across[i % T * V + i / T] = holes[i]; }
    for (uint32_t i = 0; i < 2 * H; i++) { future[i] = (float)(i % 9); }
    rp_series host[2] = { RP_SERIES_INIT, RP_SERIES_INIT }, rest[2] = { RP_SERIES_INIT, RP_SERIES_INIT };
    for (uint32_t i = 0; i < 2; i++) {
        host[i].values = values, host[i].mask = mask, host[i].context = T, host[i].id = i, host[i].future = future;
        rest[i].context = T, rest[i].id = i;
    }
    rp_buffer *owners[3];
    rp_device_series there[2] = { { .values = upload(device, across, sizeof across, 0, 1, V, RP_F32, &owners[0]),
                                    .mask = upload(device, half, V * T + 1, 0, T, 1, RP_U32, &owners[1]),      // 112 bytes: whole words
                                    .future = upload(device, future, sizeof future, 0, H, 1, RP_F32, &owners[2]) } };
    there[1] = there[0];
    rp_forecast_config config = config_of(S);
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.exogenous = 2;
    for (uint32_t way = 0; way < 3; way++) {   // both there; the second from the host; only its future there
        rp_series now[2] = { rest[0], way == 0 ? rest[1] : host[1] };
        if (way > 0) { there[1].values.buffer.bytes = there[1].mask.buffer.bytes = 0; }
        if (way == 1) { there[1].future.buffer.bytes = 0; }
        if (way == 2) { there[1].future = there[0].future, now[1].future = NULL; }
        result.samples = want[0];
        test_ok(device, rp_forecast(x.forecaster, host, 2, &config, &result), "host");
        result.samples = got;
        test_ok(device, rp_forecast_there(x.forecaster, now, there, 2, &config, &result), "device");
        assert_memory_equal(got, want[0], sizeof got);
        test_ok(device, rp_forecast(x.forecaster, host, 2, &config, &result), "host again");
        assert_memory_equal(got, want[0], sizeof got);
    }
    // What cannot be used is found at the end, and the forecaster can go on.
    const float bad[] = { INFINITY, NAN };
    for (uint32_t i = 0; i < 2; i++) {
        test_ok(device, device->backend->write(owners[2], 8, RP_F32, &bad[i], RP_F32, 1), "write");
        memset(got, 0x5a, sizeof got);
        memcpy(want[1], got, sizeof got);
        assert_int_equal(rp_forecast_there(x.forecaster, rest, there, 1, &config, &result), RP_INVALID_ARGUMENT);
        assert_non_null(strstr(device->error.text, "Series 0"));
        assert_memory_equal(got, want[1], sizeof got);   // nothing was written
    }
    test_ok(device, rp_forecast(x.forecaster, host, 2, &config, &result), "host at last");
    assert_memory_equal(got, want[0], sizeof got);
    for (uint32_t i = 0; i < 3; i++) { device->backend->buffer_destroy(owners[i]); }
    close_it(&x);
}

// Nothing but 0 and 1.
static void device_inputs_are_checked(void **state) {
    rp_device *device = test_device_of(state);
    rp_model *model;
    rp_forecaster *forecaster;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = 16, config.max_horizon = 4, config.device_inputs = 2;
    test_ok(device, rp_model_load(device, TINY, NULL, &model), "load");
    assert_int_equal(rp_forecaster_create(model, &config, &forecaster), RP_INVALID_ARGUMENT);
    assert_non_null(strstr(device->error.text, "device_inputs is 2"));
    rp_model_destroy(model);
}

// ---- CUDA ----

static void cuda_tensors(void **state) {
    rp_device *device = cuda_of(state);
    fixture x = open_model(device, true);
    static float values[V * T], holes[V * T], got[V * H * S];
    static uint8_t mask[V * T], half[V * T + 1];
    static outcome want;
    fill(values, 7), fill(holes, 7);
    for (uint32_t i = 0; i < V * T; i++) {
        mask[i] = i % 5 != 2 && i % 7 != 3, half[i + 1] = i % 5 != 2;
        if (i % 7 == 3) { holes[i] = NAN, values[i] = 0; }
    }
    plain(&x, values, mask, NULL, 0, &want);
    rp_buffer *owners[2];
    (void)upload(device, holes, sizeof holes, 0, T, 1, RP_F32, &owners[0]);
    (void)upload(device, half, sizeof half, 0, T, 1, RP_U32, &owners[1]);
    tensor v, m;
    describe_f32(&v, holes, V, T), describe(&m, half, RP_DL_BOOL, 8, V, T, T, 1);
    rp_dl_series s = series_of(put_on(device, &v, owners[0]), put_on(device, &m, owners[1]), NULL);
    m.t.byte_offset = 1;                       // in the middle of a word
    same(&x, &s, 0, &want);
    // Nothing to the host, then the samples where they are.
    rp_forecast_config config = config_of(S);
    rp_dl_result none = RP_DL_RESULT_INIT;
    rp_dl_managed_tensor *lent, *again;
    const rp_counters before = device->counters;
    test_ok(device, rp_forecast_dlpack(x.forecaster, &s, 1, RP_DL_STREAM_DEFAULT, &config, &none), "nothing to the host");
    assert_true(device->counters.buffers == before.buffers && device->counters.recordings == before.recordings);
    test_ok(device, rp_forecaster_lend_samples(x.forecaster, &lent), "lend");
    assert_int_equal(rp_forecaster_lend_samples(x.forecaster, &again), RP_INVALID_ARGUMENT);
    assert_int_equal(rp_forecast_dlpack(x.forecaster, &s, 1, 0, &config, &none), RP_INVALID_ARGUMENT);
    lent_samples(device, lent, got);
    assert_memory_equal(got, want.samples, sizeof got);
    drop(lent);
    same(&x, &s, 0, &want);
    // Beyond the forecaster.
    test_ok(device, rp_forecaster_lend_samples(x.forecaster, &lent), "lend");
    close_it(&x);
    lent_samples(device, lent, got);
    assert_memory_equal(got, want.samples, sizeof got);
    drop(lent);
    // Freed memory and another device's are refused.
    x = open_model(device, true);
    v.t.device.device_id++;
    assert_int_equal(rp_forecast_dlpack(x.forecaster, &s, 1, 0, &config, &none), RP_INVALID_ARGUMENT);
    v.t.device.device_id--, v.t.data = holes;
    assert_int_equal(rp_forecast_dlpack(x.forecaster, &s, 1, 0, &config, &none), RP_INVALID_ARGUMENT);
    device->backend->buffer_destroy(owners[0]), device->backend->buffer_destroy(owners[1]);
    close_it(&x);
}

int main(void) {
    static const test_named all[] = {
        { "any layout", any_layout },       { "missing values", missing_values },     { "known future", known_future },
        { "results are tensors", results_are_tensors }, { "hostile tensors", hostile_tensors },
        { "series from the device", series_from_the_device },
        { "device_inputs are checked", device_inputs_are_checked },
        { "CUDA tensors", cuda_tensors },
    };
    return test_on_each_device("dlpack", all, TEST_COUNT(all));
}
