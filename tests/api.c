// The public calls on the reference device: bad arguments, bad models, what the sentences say.
#include "case.h"

#include <sys/stat.h>
#include <unistd.h>

#include "platform.h"

#define TINY RP_GOLDEN_DIR "/toto-tiny"

static char folder[] = "/tmp/reprise-api-XXXXXX";

// Checks the status and that the device's sentence holds a word.
static void expect(rp_device *device, rp_status got, rp_status want, const char *word) {
    char text[1024] = "";
    rp_device_copy_error(device, text, sizeof text);
    if (got != want || strstr(text, word) == NULL) {
        fail_msg("status %s, wanted %s; the sentence \"%s\" should hold \"%s\"", rp_status_name(got), rp_status_name(want), text, word);
    }
}

static void status_names(void **state) {
    (void)state;
    assert_string_equal(rp_status_name(RP_OK), "OK");
    assert_string_equal(rp_status_name(RP_DEVICE_LOST), "DEVICE_LOST");
    assert_string_equal(rp_status_name((rp_status)99), "?");
    assert_true(strlen(rp_status_text(RP_BAD_FILE)) > 0);
    assert_true(rp_version() == (RP_VERSION_MAJOR << 16 | RP_VERSION_MINOR << 8 | RP_VERSION_PATCH));
}

static void device_names(void **state) {
    (void)state;
    static const char *const bad[] = { "", "gpu", "cuda:", "cuda:x", "vulkan:-1", "ref:1", "refs", "cuda:99999", "CUDA" };
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        rp_device *device = NULL;
        rp_status status = rp_device_create(bad[i], NULL, &device);
        assert_true(status != RP_OK && device != NULL && rp_device_copy_error(device, NULL, 0) > 20);
        rp_device_info info = RP_DEVICE_INFO_INIT;
        rp_model *model;
        assert_int_equal(rp_device_copy_info(device, &info), RP_UNAVAILABLE);
        assert_int_equal(rp_model_load(device, TINY, NULL, &model), RP_UNAVAILABLE);
        rp_device_destroy(device);
    }
    rp_device *device = NULL;
    assert_int_equal(rp_device_create("auto", NULL, &device), RP_OK);
    rp_device_destroy(device);
    rp_device_destroy(NULL);
    assert_int_equal(rp_device_create("ref", NULL, NULL), RP_INVALID_ARGUMENT);
}

static void device_list(void **state) {
    (void)state;
    rp_device_list *list = NULL;
    assert_int_equal(rp_device_list_create(&list), RP_OK);
    const uint32_t n = rp_device_list_count(list);
    assert_true(n >= 3);                    // every backend speaks up, present or not
    bool ref = false;
    for (uint32_t i = 0; i < n; i++) {
        rp_device_info info = RP_DEVICE_INFO_INIT;
        assert_int_equal(rp_device_list_copy(list, i, &info), RP_OK);
        assert_true(info.available || strlen(info.detail) > 20);
        ref = ref || (info.available && strcmp(info.spec, "ref") == 0);
    }
    assert_true(ref);
    rp_device_info info = RP_DEVICE_INFO_INIT;
    assert_int_equal(rp_device_list_copy(list, n, &info), RP_INVALID_ARGUMENT);
    rp_device_list_destroy(list);
    rp_device_list_destroy(NULL);
}

static void struct_sizes(void **state) {
    (void)state;
    struct { rp_device_config c; uint64_t more; } newer = { RP_DEVICE_CONFIG_INIT, 0 };
    newer.c.struct_size = sizeof newer;
    rp_device *device = NULL;
    assert_int_equal(rp_device_create("ref", &newer.c, &device), RP_OK);      // unknown, but zero
    rp_device_destroy(device);
    newer.more = 1;
    expect((rp_device_create("ref", &newer.c, &device) == RP_INVALID_ARGUMENT ? device : NULL), RP_INVALID_ARGUMENT, RP_INVALID_ARGUMENT, "rp_device_config");
    rp_device_destroy(device);
    newer.c.struct_size = 0;
    assert_int_equal(rp_device_create("ref", &newer.c, &device), RP_INVALID_ARGUMENT);
    rp_device_destroy(device);
    rp_device_config older = { .struct_size = sizeof(size_t) };                // knows no field at all
    assert_int_equal(rp_device_create("ref", &older, &device), RP_OK);
    rp_device_destroy(device);
}

static void error_text(void **state) {
    (void)state;
    rp_device *device = NULL;
    char small[8];
    assert_int_equal(rp_device_create("nonsense", NULL, &device), RP_INVALID_ARGUMENT);
    const size_t length = rp_device_copy_error(device, small, sizeof small);
    assert_true(length > sizeof small && strlen(small) == sizeof small - 1);
    assert_int_equal(rp_device_copy_error(device, NULL, 0), length);
    assert_int_equal(rp_device_copy_error(NULL, small, sizeof small), 0);
    rp_device_destroy(device);
}

// ---- requests ----

static void bad_requests(void **state) {
    (void)state;
    rp_device *device = test_ref();
    rp_model *model = NULL;
    rp_forecaster *f = NULL;
    test_ok(device, rp_model_load(device, TINY, NULL, &model), "load");
    rp_forecaster_config c = RP_FORECASTER_CONFIG_INIT;
    expect(device, rp_forecaster_create(model, NULL, &f), RP_INVALID_ARGUMENT, "max_context");
    expect(device, rp_forecaster_create(model, &c, &f), RP_INVALID_ARGUMENT, "max_horizon");
    c.max_context = 32, c.max_horizon = 16, c.max_batch = 2, c.max_paths = 4, c.variates = 2;
    c.memory_bytes = 1000;
    expect(device, rp_forecaster_create(model, &c, &f), RP_OUT_OF_MEMORY, "MB");
    assert_null(f);
    c.memory_bytes = 0, c.max_batch = 60000, c.max_context = 1u << 24;
    expect(device, rp_forecaster_create(model, &c, &f), RP_OUT_OF_MEMORY, "2^31");
    c.max_context = UINT32_MAX;
    expect(device, rp_forecaster_create(model, &c, &f), RP_INVALID_ARGUMENT, "16777216");
    c.max_context = 32, c.max_batch = 2;
    test_ok(device, rp_forecaster_create(model, &c, &f), "create");

    float values[2 * 33] = { 0 }, future[16] = { 0 }, out[4096];
    for (uint32_t i = 0; i < 66; i++) { values[i] = (float)(i % 7); }
    rp_series good = RP_SERIES_INIT;
    good.values = values, good.context = 32;
    const float level = 1.5f;
    enum { NO_SERIES, MANY, LONG, NAN_VALUE, HORIZON, NO_HORIZON, PATHS, EXOGENOUS, NO_FUTURE, NAN_FUTURE, LEVEL, NO_LEVELS, MEAN_QUANTILES, SIZE, N };
    static const struct { rp_status status; const char *word; } want[N] = {
        [NO_SERIES] = { RP_INVALID_ARGUMENT, "no series" },       [MANY] = { RP_INVALID_ARGUMENT, "max_batch = 3" },
        [LONG] = { RP_INVALID_ARGUMENT, "max_context = 33" },     [NAN_VALUE] = { RP_INVALID_ARGUMENT, "variate 1, time step 4" },
        [HORIZON] = { RP_INVALID_ARGUMENT, "max_horizon = 17" },  [NO_HORIZON] = { RP_INVALID_ARGUMENT, "at least 1" },
        [PATHS] = { RP_INVALID_ARGUMENT, "max_paths = 5" },       [EXOGENOUS] = { RP_INVALID_ARGUMENT, "exogenous" },
        [NO_FUTURE] = { RP_INVALID_ARGUMENT, "known future" },    [NAN_FUTURE] = { RP_INVALID_ARGUMENT, "step 3" },
        [LEVEL] = { RP_INVALID_ARGUMENT, "1.5" },                 [NO_LEVELS] = { RP_INVALID_ARGUMENT, "quantile_levels" },
        [MEAN_QUANTILES] = { RP_INVALID_ARGUMENT, "Mean mode" },  [SIZE] = { RP_INVALID_ARGUMENT, "rp_series" },
    };
    for (int i = 0; i < N; i++) {
        rp_series s[3] = { good, good, good };
        rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
        rp_forecast_result result = RP_FORECAST_RESULT_INIT;
        uint32_t n = 1;
        config.horizon = 16, config.paths = 2;
        result.mean = out;
        values[32 + 4] = i == NAN_VALUE ? NAN : 3;
        future[3] = i == NAN_FUTURE ? INFINITY : 0;
        switch (i) {
        case NO_SERIES: n = 0; break;
        case MANY: n = 3; break;
        case LONG: s[0].context = 33; break;
        case HORIZON: config.horizon = 17; break;
        case NO_HORIZON: config.horizon = 0; break;
        case PATHS: config.paths = 5; break;
        case EXOGENOUS: config.exogenous = 2; break;
        case NO_FUTURE: config.exogenous = 1; break;
        case NAN_FUTURE: config.exogenous = 1, s[0].future = future; break;
        case LEVEL: config.n_quantiles = 1, config.quantile_levels = &level; break;
        case NO_LEVELS: config.n_quantiles = 1; break;
        case MEAN_QUANTILES: config.paths = 0, result.samples = out; break;
        case SIZE: s[0].struct_size = 0; break;
        default: break;
        }
        expect(device, rp_forecast(f, s, n, &config, &result), want[i].status, want[i].word);
    }
    // A NaN under a false mask is no one's concern; and the forecaster still works.
    uint8_t mask[2 * 32];
    memset(mask, 1, sizeof mask);
    mask[32 + 4] = 0, values[32 + 4] = NAN;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    good.mask = mask, config.horizon = 16, config.paths = 2, result.mean = out;
    test_ok(device, rp_forecast(f, &good, 1, &config, &result), "forecast");
    for (uint32_t i = 0; i < 32; i++) { assert_true(isfinite(out[i])); }
    assert_int_equal(rp_forecast(NULL, &good, 1, &config, &result), RP_INVALID_ARGUMENT);
    expect(device, rp_forecast(f, &good, 1, NULL, &result), RP_INVALID_ARGUMENT, "config");
    rp_forecaster_destroy(f);
    rp_forecaster_destroy(NULL);
    rp_model_destroy(model);
    rp_model_destroy(NULL);
}

// ---- models: the tiny one, with one thing changed ----

static void write_file(const char *name, const void *data, size_t bytes) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fwrite(data, 1, bytes, file) == bytes && fclose(file) == 0);
}

static char *find_bytes(char *data, size_t bytes, const char *what) {
    const size_t n = strlen(what);
    for (size_t i = 0; i + n <= bytes; i++) {
        if (memcmp(data + i, what, n) == 0) { return data + i; }
    }
    return NULL;
}

// Replaces text in a copy of the tiny model's file; both texts are of one length.
static rp_status load_changed(rp_device *device, const char *file, const char *from, const char *to) {
    static const char *const names[] = { "config.json", "model.safetensors" };
    for (size_t i = 0; i < 2; i++) {
        rp_file source = { 0 };
        rp_error error;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", TINY, names[i]);
        assert_int_equal(rp_file_map(path, &source, &error), RP_OK);
        char *copy = malloc(source.bytes);
        assert_non_null(copy);
        memcpy(copy, source.data, source.bytes);
        if (file != NULL && strcmp(file, names[i]) == 0) {
            if (from != NULL) {
                char *at = find_bytes(copy, source.bytes, from);
                assert_non_null(at);
                assert_int_equal(strlen(from), strlen(to));
                memcpy(at, to, strlen(to));
            } else {
                const uint32_t nan = 0x7fc00000;     // the last number of the file
                memcpy(copy + source.bytes - 4, &nan, 4);
            }
        }
        write_file(names[i], copy, source.bytes);
        free(copy);
        rp_file_unmap(&source);
    }
    rp_model *model = NULL;
    rp_status status = rp_model_load(device, folder, NULL, &model);
    assert_true((status == RP_OK) == (model != NULL));
    rp_model_destroy(model);
    return status;
}

static void bad_models(void **state) {
    (void)state;
    rp_device *device = test_ref();
    static const struct { const char *file, *from, *to; rp_status status; const char *word; } rows[] = {
        { "model.safetensors", "model.unembed.bias", "model.unembed.bibs", RP_BAD_FILE, "'model.unembed.bias' is missing" },
        { "model.safetensors", NULL, NULL, RP_BAD_FILE, "NaN" },
        { "config.json", "\"num_layers\": 4", "\"num_layers\": 3", RP_BAD_FILE, "layers.3" },
        { "config.json", "\"num_layers\": 4", "\"num_layers\": 5", RP_BAD_FILE, "layers.4" },
        { "config.json", "\"embed_dim\": 48", "\"embed_dim\": 56", RP_BAD_FILE, "patch_embed" },
        { "config.json", "\"embed_dim\": 48", "\"embed_dim\": 50", RP_BAD_FILE, "heads" },
        { "config.json", "\"patch_size\": 16", "\"patch_size\": 17", RP_UNSUPPORTED, "stride" },
        { "config.json", "CausalPatchStdMeanScaler", "CausalPatchStdMeanScalex", RP_UNSUPPORTED, "scaler_cls" },
        { "config.json", "MixtureOfStudentTsOutput", "MixtureOfStudentXsOutput", RP_UNSUPPORTED, "output_distribution_classes" },
        { "config.json", "\"num_heads\": 4", "\"num_heads\":-4", RP_BAD_FILE, "num_heads" },
        { "config.json", "\"mlp_hidden_dim\": 96", "\"mlp_hidden_dim\":1.5", RP_BAD_FILE, "mlp_hidden_dim" },
        { "config.json", "\"scaler_cls\"", "\"scaler_clx\"", RP_UNSUPPORTED, "no model family" },
        { "config.json", "{", "[", RP_BAD_FILE, "config.json" },
    };
    assert_int_equal(load_changed(device, NULL, NULL, NULL), RP_OK);
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        expect(device, load_changed(device, rows[i].file, rows[i].from, rows[i].to), rows[i].status, rows[i].word);
    }
    rp_model *model = NULL;
    expect(device, rp_model_load(device, "/nowhere/at/all", NULL, &model), RP_NOT_FOUND, "/nowhere/at/all");
    expect(device, rp_model_load(device, NULL, NULL, &model), RP_INVALID_ARGUMENT, "path");
    expect(device, rp_model_load(device, RP_TEST_DIR, NULL, &model), RP_NOT_FOUND, "config.json");
    rp_model_config mixed = RP_MODEL_CONFIG_INIT;
    mixed.precision = RP_PRECISION_MIXED;
    if (device->info.mixed) {
        test_ok(device, rp_model_load(device, TINY, &mixed, &model), "precision mixed");
        rp_model_destroy(model);
    } else {
        expect(device, rp_model_load(device, TINY, &mixed, &model), RP_UNSUPPORTED, "f32");
    }
}

// Files of before the MLP's tensors had names of their own: mlp.0.* and mlp.2.* instead of mlp.0.w12.* and mlp.0.w3.*. The
// older names are shorter; blanks after them keep the header's length.
static void older_names(void **state) {
    (void)state;
    static const struct { const char *now, *then; } names[] = { { "mlp.0.w12.", "mlp.0." }, { "mlp.0.w3.", "mlp.2." } };
    rp_device *device = test_ref();
    assert_int_equal(load_changed(device, NULL, NULL, NULL), RP_OK);
    char path[256];
    rp_file file = { 0 };
    rp_error error;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_int_equal(rp_file_map(path, &file, &error), RP_OK);
    const size_t bytes = file.bytes;
    char *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, file.data, bytes);
    rp_file_unmap(&file);
    uint32_t renamed = 0;
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        for (char *at; (at = find_bytes(copy, bytes, names[i].now)) != NULL; renamed++) {
            char *rest = at + strlen(names[i].now), *quote = memchr(rest, '"', 64);
            assert_non_null(quote);
            const size_t cut = strlen(names[i].now) - strlen(names[i].then), n = (size_t)(quote + 1 - rest);
            memcpy(at, names[i].then, strlen(names[i].then));
            memmove(rest - cut, rest, n);                   // weight" or bias"
            memset(rest - cut + n, ' ', cut);
        }
    }
    assert_int_equal(renamed, 16);                          // 4 layers x 2 x (weight, bias)
    write_file("model.safetensors", copy, bytes);
    free(copy);
    rp_model *model = NULL;
    test_ok(device, rp_model_load(device, folder, NULL, &model), "older names");
    rp_model_destroy(model);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_names), cmocka_unit_test(device_names), cmocka_unit_test(device_list),
        cmocka_unit_test(struct_sizes), cmocka_unit_test(error_text), cmocka_unit_test(bad_requests), cmocka_unit_test(bad_models),
        cmocka_unit_test(older_names),
    };
    const int failures = cmocka_run_group_tests_name("api", tests, make_folder, remove_folder);
    test_devices_close();
    return failures;
}
