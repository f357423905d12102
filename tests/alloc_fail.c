// Every allocation on the way to a forecast fails once: each time an error comes back, nothing crashes, nothing leaks. This
// program stands in for malloc, so it also reaches the JSON library.
#include "case.h"

#include <dlfcn.h>

#include "reprise_arrow.h"
#include "reprise_dlpack.h"

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static long countdown = -1;     // allocations until one fails; below 0: none does
static long alive;              // allocations not freed, while counting
static bool counting;

static bool fails(void) { return counting && countdown >= 0 && countdown-- == 0; }

void *malloc(size_t size) {
    if (fails()) { return NULL; }
    alive += counting;
    return __libc_malloc(size);
}
void *calloc(size_t n, size_t size) {
    if (fails()) { return NULL; }
    alive += counting;
    return __libc_calloc(n, size);
}
void *realloc(void *old, size_t size) {
    if (fails()) { return NULL; }
    alive += counting && old == NULL;
    return __libc_realloc(old, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    if (fails()) { return NULL; }
    alive += counting;
    return __libc_memalign(alignment, size);
}
void free(void *p) {
    alive -= counting && p != NULL;
    __libc_free(p);
}

// From nothing to a forecast and back.
static rp_status whole(float *out) {
    rp_status status = RP_OK;
    rp_device *device = NULL;
    rp_device_list *list = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    float values[32];
    for (uint32_t i = 0; i < 32; i++) { values[i] = (float)(i % 5); }
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    rp_series series = RP_SERIES_INIT;
    sizes.max_context = 32, sizes.max_horizon = 20, sizes.max_paths = 3;
    config.horizon = 20, config.paths = 3;
    series.values = values, series.context = 32;
    result.mean = out;
    RP_TRY(rp_device_create("ref", NULL, &device));
    RP_TRY(rp_device_list_create(&list));
    RP_TRY(rp_model_load(device, RP_GOLDEN_DIR "/toto-tiny", NULL, &model));
    RP_TRY(rp_forecaster_create(model, &sizes, &forecaster));
    RP_TRY(rp_forecast(forecaster, &series, 1, &config, &result));
cleanup:
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    rp_device_list_destroy(list);
    rp_device_destroy(device);
    return status;
}

// The same with bars.
static rp_status whole_bars(float *out) {
    rp_status status = RP_OK;
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    float values[32];
    int64_t times[32];
    for (uint32_t i = 0; i < 32; i++) { values[i] = (float)(10 + i % 5), times[i] = 60 * (int64_t)i; }
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    rp_bars bars = RP_BARS_INIT;
    sizes.max_context = 32, sizes.max_horizon = 3, sizes.max_paths = 2, sizes.window = 33;   // grows, then slides
    config.horizon = 3, config.paths = 2;
    bars.open = bars.high = bars.low = bars.close = values, bars.times = times, bars.context = 32;
    result.mean = out;
    RP_TRY(rp_device_create("ref", NULL, &device));
    RP_TRY(rp_model_load(device, RP_GOLDEN_DIR "/kronos-tiny", NULL, &model));
    RP_TRY(rp_model_offload(model));
    RP_TRY(rp_model_restore(model));
    RP_TRY(rp_forecaster_create(model, &sizes, &forecaster));
    RP_TRY(rp_forecast_bars(forecaster, &bars, 1, &config, &result));
cleanup:
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    rp_device_destroy(device);
    return status;
}

// The same with bars that may come from the device, as a tensor to be converted, and a result that becomes a versioned tensor.
static rp_status whole_bar_tensors(float *out) {
    rp_status status = RP_OK;
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    rp_dl_managed_tensor_versioned *versioned = NULL;
    double values[32][4];
    int64_t clock[32], shape[] = { 32, 4 };
    for (uint32_t i = 0; i < 32; i++) { values[i][0] = values[i][1] = values[i][2] = values[i][3] = 10 + i % 5, clock[i] = 60 * (int64_t)i; }
    rp_dl_tensor tensor = { .data = values, .device = { RP_DL_CPU, 0 }, .ndim = 2, .dtype = { RP_DL_FLOAT, 64, 1 }, .shape = shape };
    rp_dl_tensor times = { .data = clock, .device = { RP_DL_CPU, 0 }, .ndim = 1, .dtype = { RP_DL_INT, 64, 1 }, .shape = shape };
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_dl_result result = RP_DL_RESULT_INIT;
    rp_dl_bars bars = RP_DL_BARS_INIT;
    sizes.max_context = 32, sizes.max_horizon = 3, sizes.max_paths = 2, sizes.device_inputs = 1;
    config.horizon = 3, config.paths = 2;
    bars.bars = &tensor, bars.times = &times;
    result.wanted = RP_DL_MEAN;
    RP_TRY(rp_device_create("ref", NULL, &device));
    RP_TRY(rp_model_load(device, RP_GOLDEN_DIR "/kronos-tiny", NULL, &model));
    RP_TRY(rp_forecaster_create(model, &sizes, &forecaster));
    RP_TRY(rp_forecast_bars_dlpack(forecaster, &bars, 1, 0, &config, &result));
    RP_TRY(rp_dl_to_versioned(result.mean, &versioned));
    result.mean = NULL;
    memcpy(out, versioned->dl_tensor.data, 18 * sizeof *out);
cleanup:
    if (versioned != NULL) { versioned->deleter(versioned); }
    if (result.mean != NULL) { result.mean->deleter(result.mean); }
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    rp_device_destroy(device);
    return status;
}

// The same with a model of quantiles, in blocks.
static rp_status whole_blocks(float *out) {
    rp_status status = RP_OK;
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    float values[32];
    for (uint32_t i = 0; i < 32; i++) { values[i] = (float)(i % 5); }
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    rp_series series = RP_SERIES_INIT;
    sizes.max_context = 32, sizes.max_horizon = 20, sizes.block = 16;
    config.horizon = 20;
    series.values = values, series.context = 32;
    result.mean = out;
    RP_TRY(rp_device_create("ref", NULL, &device));
    RP_TRY(rp_model_load(device, RP_GOLDEN_DIR "/toto2-tiny-var2", NULL, &model));   // norms of q and k too
    RP_TRY(rp_forecaster_create(model, &sizes, &forecaster));
    RP_TRY(rp_forecast(forecaster, &series, 1, &config, &result));
cleanup:
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    rp_device_destroy(device);
    return status;
}

// Models whose products take pairs, as far as loading, which makes those.
static rp_status whole_pairs(float *out) {
    static const char *const folders[] = { RP_WIDE_DIR "/toto", RP_WIDE_DIR "/toto2" };
    rp_status status = RP_OK;
    rp_device *device = NULL;
    rp_model *model = NULL;
    (void)out;
    RP_TRY(rp_device_create("ref", NULL, &device));
    device->wgmma = 1;
    for (uint32_t i = 0; i < 2; i++) {
        RP_TRY(rp_model_load(device, folders[i], NULL, &model));
        rp_model_destroy(model);
        model = NULL;
    }
cleanup:
    rp_model_destroy(model);
    rp_device_destroy(device);
    return status;
}

static void release_schema(struct ArrowSchema *s) { s->release = NULL; }
static void release_array(struct ArrowArray *a) { a->release = NULL; }

// The same with tensors and columns that must be converted, a missing value among them.
static rp_status whole_tensors(float *out) {
    rp_status status = RP_OK;
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    double values[32];
    for (uint32_t i = 0; i < 32; i++) { values[i] = i == 7 ? NAN : (double)(i % 5); }
    int64_t shape[] = { 32 };
    rp_dl_tensor tensor = { .data = values, .device = { RP_DL_CPU, 0 }, .ndim = 1, .dtype = { RP_DL_FLOAT, 64, 1 }, .shape = shape };
    const void *buffers[] = { NULL, values };
    struct ArrowSchema schema = { .format = "g", .release = release_schema };
    struct ArrowArray array = { .length = 32, .n_buffers = 2, .buffers = buffers, .release = release_array };
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    rp_dl_result tensors = RP_DL_RESULT_INIT;
    rp_dl_series series = RP_DL_SERIES_INIT;
    rp_arrow_series columns = RP_ARROW_SERIES_INIT;
    sizes.max_context = 32, sizes.max_horizon = 20, sizes.max_paths = 3, sizes.device_inputs = 1;
    config.horizon = 20, config.paths = 3;
    series.values = &tensor, columns.schema = &schema, columns.array = &array;
    tensors.wanted = RP_DL_SAMPLES | RP_DL_MEAN, result.mean = out;
    RP_TRY(rp_device_create("ref", NULL, &device));
    RP_TRY(rp_model_load(device, RP_GOLDEN_DIR "/toto-tiny", NULL, &model));
    RP_TRY(rp_forecaster_create(model, &sizes, &forecaster));
    RP_TRY(rp_forecast_dlpack(forecaster, &series, 1, 0, &config, &tensors));
    RP_TRY(rp_forecast_arrow(forecaster, &columns, 1, &config, &result));
    if (memcmp(out, tensors.mean->dl_tensor.data, 20 * sizeof *out) != 0) { status = RP_INTERNAL; }
cleanup:
    if (tensors.samples != NULL) { tensors.samples->deleter(tensors.samples), tensors.mean->deleter(tensors.mean); }
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    rp_device_destroy(device);
    return status;
}

static void every_allocation(rp_status (*whole)(float *out)) {
    float want[20] = { 0 }, got[20] = { 0 };   // of 18 numbers there are two spare
    assert_int_equal(whole(want), RP_OK);    // once before counting: what libraries keep for good is there now
    long n = 0;
    for (bool reached = true; reached; n++) {       // until a run ends before it comes to allocation n
        assert_true(n < 100000);
        counting = true, countdown = n, alive = 0;
        const rp_status status = whole(got);
        counting = false;
        reached = countdown < 0;
        if (alive != 0) { fail_msg("%ld allocations were left when number %ld failed", alive, n); }
        // OK: the probe of an absent backend went without memory, and that backend is listed as absent.
        if (status != RP_OK && status != RP_OUT_OF_MEMORY) { fail_msg("allocation %ld: %s", n, rp_status_name(status)); }
        if (!reached) { assert_int_equal(status, RP_OK); }
    }
    assert_memory_equal(want, got, sizeof want);
    assert_true(n > 20);
    printf("%ld allocations, each failed once\n", n - 1);
}

static void of_series(void **state) {
    (void)state;
    every_allocation(whole);
}

static void of_bars(void **state) {
    (void)state;
    every_allocation(whole_bars);
}

static void of_blocks(void **state) {
    (void)state;
    every_allocation(whole_blocks);
}

static void of_pairs(void **state) {
    (void)state;
    every_allocation(whole_pairs);
}

static void of_tensors(void **state) {
    (void)state;
    every_allocation(whole_tensors);
}

static void of_bar_tensors(void **state) {
    (void)state;
    every_allocation(whole_bar_tensors);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(of_series), cmocka_unit_test(of_bars), cmocka_unit_test(of_blocks), cmocka_unit_test(of_pairs),
                                        cmocka_unit_test(of_tensors), cmocka_unit_test(of_bar_tensors) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
