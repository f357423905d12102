// Every call of the CUDA driver fails once in the life of a forecast, for each kind of failure: the error says what failed and
// where, everything can be destroyed, nothing is left, and the same process makes it all again. A fault that spoils the context,
// as an illegal address does, makes all later calls fail too.
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "fake_cuda.h"
#include "reprise_dlpack.h"

#define CONTEXT 32
#define HORIZON 20
#define PATHS 3
#define AHEAD 3   // bars; 6 AHEAD <= HORIZON

typedef struct life {
    rp_status status;
    bool forecast;                 // came as far as its result
    char text[1024];               // the sentence, if it failed
    float mean[HORIZON];
} life;

// DIRECT: launch by launch. TENSOR: recorded, and the series comes as a CUDA tensor, the samples stay as one. MAPS: in mixed, with
// paths enough for products that take tensor maps. BARS: as TENSOR, of a model of bars.
typedef enum kind { RECORDED, DIRECT, TENSOR, MAPS, BARS } kind;

static rp_status forecast_host(rp_forecaster *forecaster, const rp_forecast_config *config, life *l) {
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    rp_series series = RP_SERIES_INIT;
    float values[CONTEXT];
    for (uint32_t i = 0; i < CONTEXT; i++) { values[i] = (float)(i % 5); }
    series.values = values, series.context = CONTEXT;
    result.mean = l->mean;
    return rp_forecast(forecaster, &series, 1, config, &result);
}

static rp_status forecast_tensor(rp_forecaster *forecaster, const rp_forecast_config *config, life *l) {
    int64_t shape[] = { 1, CONTEXT };
    rp_dl_tensor values = { .data = (void *)(uintptr_t)FAKE_FOREIGN, .device = { .device_type = RP_DL_CUDA }, .ndim = 2,
                            .dtype = { .code = RP_DL_FLOAT, .bits = 32, .lanes = 1 }, .shape = shape };
    rp_dl_series series = RP_DL_SERIES_INIT;
    rp_dl_result result = RP_DL_RESULT_INIT;
    rp_dl_managed_tensor *lent;
    series.values = &values;
    result.wanted = RP_DL_MEAN;
    RP_RETURN(rp_forecast_dlpack(forecaster, &series, 1, RP_DL_STREAM_DEFAULT, config, &result));
    memcpy(l->mean, result.mean->dl_tensor.data, sizeof l->mean);
    result.mean->deleter(result.mean);
    RP_RETURN(rp_forecaster_lend_samples(forecaster, &lent));
    lent->deleter(lent);
    return forecast_host(forecaster, config, l);   // after who held the samples
}

static rp_status forecast_bars(rp_forecaster *forecaster, const rp_forecast_config *config, life *l) {
    int64_t shape[] = { CONTEXT, 5 }, when[] = { CONTEXT }, clock[CONTEXT];
    for (int i = 0; i < CONTEXT; i++) { clock[i] = 60 * (int64_t)i; }
    rp_dl_tensor values = { .data = (void *)(uintptr_t)FAKE_FOREIGN, .device = { .device_type = RP_DL_CUDA }, .ndim = 2,
                            .dtype = { .code = RP_DL_FLOAT, .bits = 32, .lanes = 1 }, .shape = shape };
    rp_dl_tensor times = { .data = clock, .device = { .device_type = RP_DL_CPU }, .ndim = 1,
                           .dtype = { .code = RP_DL_INT, .bits = 64, .lanes = 1 }, .shape = when };
    rp_dl_bars bars = RP_DL_BARS_INIT;
    rp_dl_result result = RP_DL_RESULT_INIT;
    rp_dl_managed_tensor *lent;
    bars.bars = &values, bars.times = &times;
    result.wanted = RP_DL_MEAN;
    RP_RETURN(rp_forecast_bars_dlpack(forecaster, &bars, 1, RP_DL_STREAM_DEFAULT, config, &result));
    memcpy(l->mean, result.mean->dl_tensor.data, 6 * AHEAD * sizeof *l->mean);
    result.mean->deleter(result.mean);
    RP_RETURN(rp_forecaster_lend_samples(forecaster, &lent));
    lent->deleter(lent);
    RP_RETURN(rp_forecast_bars_dlpack(forecaster, &bars, 1, RP_DL_STREAM_NONE, config, &result));   // after who held the samples
    result.mean->deleter(result.mean);
    return RP_OK;
}

static rp_status live(rp_device *device, kind k, rp_model **model, rp_forecaster **forecaster, life *l) {
    rp_device_info info = RP_DEVICE_INFO_INIT;
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    sizes.max_context = CONTEXT, sizes.max_horizon = k == BARS ? AHEAD : HORIZON, sizes.max_paths = k == MAPS ? RP_LINEAR_WGMMA_M : PATHS;
    sizes.device_inputs = k == TENSOR || k == BARS;
    config.horizon = sizes.max_horizon, config.paths = sizes.max_paths;
    rp_model_config matrices = RP_MODEL_CONFIG_INIT;   // what the device has no kernels for in mixed, auto does in f32
    matrices.precision = fake.fail_with == 209 ? RP_PRECISION_F32 : RP_PRECISION_AUTO;
    RP_RETURN(rp_device_copy_info(device, &info));
    RP_RETURN(rp_model_load(device, k == BARS ? RP_GOLDEN_DIR "/kronos-tiny" : RP_GOLDEN_DIR "/toto-tiny", &matrices, model));
    RP_RETURN(rp_forecaster_create(*model, &sizes, forecaster));
    if (k == BARS) { return forecast_bars(*forecaster, &config, l); }
    RP_RETURN(k == TENSOR ? forecast_tensor(*forecaster, &config, l) : forecast_host(*forecaster, &config, l));
    return k == DIRECT ? RP_OK : forecast_host(*forecaster, &config, l);   // its replays in one launch
}

// From opening the device to destroying it.
static life live_once(kind k) {
    life l = { .status = RP_OK };
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    rp_cuda_driver driver = fake_table();
    rp_device *device = calloc(1, sizeof *device);
    assert_non_null(device);
    device->backend = &rp_backend_cuda;
    device->config.direct = k == DIRECT;
    device->info = (rp_device_info)RP_DEVICE_INFO_INIT;
    l.status = rp_cuda_open_with(device, 0, &driver);
    if (k == MAPS) { device->wgmma = 1, device->processors = 132; }   // whatever kernels this build holds
    if (l.status == RP_OK) { l.status = live(device, k, &model, &forecaster, &l); }
    l.forecast = l.status == RP_OK;
    if (!l.forecast) { rp_device_copy_error(device, l.text, sizeof l.text); }
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    assert_int_equal(device->counters.buffer_bytes, 0);
    rp_device_destroy(device);
    return l;
}

static bool among(const char *name, const char *const *names) {
    while (*names && strcmp(*names, name) != 0) { names++; }
    return *names != NULL;
}

#define has(part)                                                                                                   \
    do {                                                                                                            \
        if (strstr(l->text, part) == NULL) { fail_msg("%s failed and \"%s\" lacks \"%s\"", fake.failed, l->text, part); } \
    } while (0)

// What the sentence says of a fault at the end of a forecast: all of its replays.
static const char *const under_way[] = {
    [RECORDED] = "Under way were 'prompt', 'start', 'step', 'collect' (replays 1 to 4 of 4)",
    [TENSOR] = "Under way were 'inputs', 'prompt', 'start', 'step', 'collect' (replays 1 to 5 of 5)",
    [MAPS] = "Under way were 'prompt', 'start', 'step', 'collect' (replays 1 to 4 of 4)",
    [BARS] = "Under way were 'inputs', 'prompt', 'start', 'step' x 2, 'finish', 'collect' (replays 1 to 7 of 7)",
};

// After the first launch only batches of replays are made; what cannot be is launched one by one, and nothing is lost.
static const char *const joining[] = { "graph_create", "graph_add_child", "graph_add_kernel", "graph_add_edges", "tensor_map", "graph_instantiate",
                                       "exec_upload", NULL };
static bool joins(void) { return fake.replayed > 0 && among(fake.failed, joining); }

// The sentence names the operation, or the recording where the driver runs it as a whole.
static void check_sentence(const life *l, kind k) {
    static const char *const of_kernels[] = { "launch", "graph_add_kernel", "graph_add_edges", "function_set", NULL };
    static const char *const of_recordings[] = { "graph_create", "graph_instantiate", "exec_upload", NULL };
    static const char *const of_modules[] = { "module_load", NULL }, *const of_functions[] = { "module_function", NULL };
    assert_true(strlen(l->text) > 40);
    if (among(fake.failed, of_kernels) && !joins()) { has(fake.kernel); }
    if (strcmp(fake.failed, "tensor_map") == 0 && !joins()) { has("describing a matrix of '"); }
    if (among(fake.failed, of_recordings) && !joins()) { has("recording '"); }
    if (among(fake.failed, of_modules)) { has("loading the kernels of '"); }
    if (among(fake.failed, of_functions)) { has("looking for the kernel '"); }
    if (strcmp(fake.failed, "exec_launch") != 0) { return; }
    assert_true(k != DIRECT);
    has("replaying ");
    if (strstr(l->text, "replaying 'inputs'") && !strstr(l->text, "Under way")) { return; }   // before all else is queued
    if (l->status == RP_DEVICE_LOST) {
        has(under_way[k]);
        has("rp_device_config.direct = 1");
    } else {
        has("Run operation by operation the same forecast succeeds");   // the driver fails one call alone here
    }
}

static void check_nothing_left(void) {
    assert_int_equal(fake.contexts, 0);
    assert_int_equal(fake.alive, 0);
    assert_int_equal(fake.depth, 0);
}

static const char *const give_back[] = { "memory_free", "host_free", "module_unload", "stream_destroy", "event_destroy",
                                         "exec_destroy", "graph_destroy", "context_push", "stream_wait", NULL };

// Fails call after call until a life is over before its turn comes; returns how many there were.
static int fail_each(rp_cu_result result, rp_status status, fake_way way, kind k) {
    fake_reset(NULL);
    const life clean = live_once(k);
    assert_int_equal(clean.status, RP_OK);
    assert_int_equal(fake.n_maps > 0, k == MAPS);
    bool joined = false;
    for (int i = 0; i < fake.n_replays; i++) { joined = joined || fake.replays[i].n_children > 1; }
    assert_int_equal(joined, k != DIRECT);
    for (int n = 1;; n++) {
        fake_reset(NULL);
        fake.fail_at = n, fake.fail_with = result, fake.way = way;
        const life l = live_once(k);
        if (fake.failed == NULL) {
            assert_int_equal(l.status, RP_OK);
            assert_memory_equal(l.mean, clean.mean, sizeof l.mean);
            return n - 1;
        }
        if (l.forecast) {                      // it failed while things were given back: nobody is left to tell, nothing is lost
            if (!among(fake.failed, give_back) && !(way == FAKE_ONCE && joins())) { fail_msg("call %d (%s) failed, and nothing is said", n, fake.failed); }
            assert_memory_equal(l.mean, clean.mean, sizeof l.mean);
        } else {
            // Of this one call that answer says something about the caller's tensor.
            const bool told = result == RP_CU_INVALID_VALUE && strcmp(fake.failed, "pointer_attribute") == 0;
            if (l.status != (told ? RP_INVALID_ARGUMENT : status)) { fail_msg("call %d (%s), result %d: %s, %s", n, fake.failed, result, rp_status_name(l.status), l.text); }
            check_sentence(&l, k);
        }
        if (way == FAKE_ONCE && !among(fake.failed, give_back)) { assert_int_equal(fake.reclaimed, 0); }
        check_nothing_left();
    }
}

static void each_call_fails_once(void **state) {
    (void)state;
    static const struct { rp_cu_result result; rp_status status; } ways[] = {
        { RP_CU_OUT_OF_MEMORY, RP_OUT_OF_MEMORY }, { 209, RP_UNSUPPORTED }, { 1, RP_INTERNAL }, { 123456, RP_INTERNAL },
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const int n = fail_each(ways[i].result, ways[i].status, FAKE_ONCE, RECORDED);
        assert_true(n > 500);
        assert_true(fail_each(ways[i].result, ways[i].status, FAKE_ONCE, TENSOR) > n);
        assert_true(fail_each(ways[i].result, ways[i].status, FAKE_ONCE, BARS) > n);
    }
    (void)fail_each(1, RP_INTERNAL, FAKE_ONCE, MAPS);
    printf("%d calls, each failed once\n", fail_each(719, RP_DEVICE_LOST, FAKE_ONCE, DIRECT));
}

// CUDA_ERROR_ILLEGAL_ADDRESS and CUDA_ERROR_LAUNCH_FAILED stay: every later call in the context answers the same.
static void a_fault_spoils_the_context(void **state) {
    (void)state;
    fail_each(700, RP_DEVICE_LOST, FAKE_SPOILT, RECORDED);
    fail_each(719, RP_DEVICE_LOST, FAKE_SPOILT_PUSH, RECORDED);
    fail_each(700, RP_DEVICE_LOST, FAKE_SPOILT, TENSOR);
    fail_each(700, RP_DEVICE_LOST, FAKE_SPOILT, MAPS);
    fail_each(700, RP_DEVICE_LOST, FAKE_SPOILT, BARS);
    printf("%d calls, each of them the last that went well\n", fail_each(719, RP_DEVICE_LOST, FAKE_SPOILT, DIRECT));
}

// The fault shows at the wait, as faults of kernels do: what was under way is named, and on a direct device the operation.
static void a_fault_at_the_wait_is_located(void **state) {
    (void)state;
    for (kind k = RECORDED; k <= BARS; k++) {
        if (k == MAPS) { continue; }
        bool seen = false;
        for (int n = 1; !seen; n++) {
            fake_reset(NULL);
            fake.fail_at = n, fake.fail_with = 719, fake.way = FAKE_SPOILT;
            const life life_of_n = live_once(k), *l = &life_of_n;
            assert_non_null(fake.failed);
            if (!strstr(l->text, k == DIRECT ? "running '" : "waiting for the device")) { continue; }
            seen = true;
            assert_int_equal(l->status, RP_DEVICE_LOST);
            if (k == DIRECT) {
                assert_non_null(fake.kernel);
                has(fake.kernel);
            } else {
                has(under_way[k]);
            }
        }
    }
}

// A recording that the driver cannot launch as a whole, on a device that still works: the operation is looked for, and found.
static void the_operation_is_looked_for(void **state) {
    (void)state;
    fake_reset(NULL);
    fake.refuse_graphs = 701, fake.refuse_kernel = "mixture_f32_few";
    const life found = live_once(RECORDED), *l = &found;
    fake.failed = "exec_launch";
    assert_int_equal(l->status, RP_INTERNAL);
    has("replaying 'prompt'");
    has("Run operation by operation, the first to fail in 'prompt'");
    has("mixture_f32_few");
    check_nothing_left();
}

// A kernel's fault stays with the process, even once nobody holds its context; or, with drivers that forgive, while somebody does.
static void a_spoilt_process_is_explained(void **state) {
    (void)state;
    for (int turn = 0; turn < 4; turn++) {
        const int way = turn % 2 == 0 ? FAKE_SPOILT : FAKE_SPOILT_PUSH;
        fake_reset(NULL);
        fake.for_good = turn >= 2;
        fake.contexts = fake.for_good ? 0 : 1;
        fake.fail_at = 400, fake.fail_with = 700, fake.way = (fake_way)way;
        assert_int_equal(live_once(RECORDED).status, RP_DEVICE_LOST);
        const life held = live_once(RECORDED), *l = &held;
        assert_int_equal(l->status, RP_DEVICE_LOST);
        has("start a new process");
        has("(700,");
        if (!fake.for_good) {
            assert_int_equal(fake_table().context_release(70), 0);
            assert_int_equal(live_once(RECORDED).status, RP_OK);
        }
        check_nothing_left();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_fails_once),
        cmocka_unit_test(a_fault_spoils_the_context),
        cmocka_unit_test(a_fault_at_the_wait_is_located),
        cmocka_unit_test(the_operation_is_looked_for),
        cmocka_unit_test(a_spoilt_process_is_explained),
    };
    return cmocka_run_group_tests_name("cuda_faults", tests, NULL, NULL);
}
