// A real fault on a real GPU: a kernel reads where nothing is. The call says so, everything can be destroyed, other backends go on in
// that process, and other processes do not notice. CUDA alone: on a CPU a stray address ends the process, and what a Vulkan driver
// makes of one is not defined. Failures that are none of a kernel's, after which everything is made again in the same process:
// cuda_faults.c, vulkan_faults.c.
#include "case.h"

#include <stdlib.h>
#include <unistd.h>

enum { HORIZON = 20, PATHS = 3 };

typedef struct world {
    rp_device *device;
    rp_model *model;
    rp_forecaster *forecaster;
} world;

static rp_status forecast(const world *w, float *samples) {
    float values[32];
    for (int i = 0; i < 32; i++) { values[i] = (float)(i % 5); }
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    rp_series series = RP_SERIES_INIT;
    config.horizon = HORIZON, config.paths = PATHS, config.seed = 1;
    series.values = values, series.context = 32;
    result.samples = samples;
    return rp_forecast(w->forecaster, &series, 1, &config, &result);
}

static world create(const char *spec, bool direct) {
    world w = { NULL, NULL, NULL };
    rp_device_config config = RP_DEVICE_CONFIG_INIT;
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    config.direct = direct;
    sizes.max_context = 32, sizes.max_horizon = HORIZON, sizes.max_paths = PATHS;
    const rp_status status = rp_device_create(spec, &config, &w.device);
    test_ok(w.device, status, "create the device");
    test_ok(w.device, rp_model_load(w.device, RP_GOLDEN_DIR "/toto-tiny", NULL, &w.model), "load");
    test_ok(w.device, rp_forecaster_create(w.model, &sizes, &w.forecaster), "create the forecaster");
    return w;
}

static void destroy(world *w) {
    rp_forecaster_destroy(w->forecaster);
    rp_model_destroy(w->model);
    rp_device_destroy(w->device);
}

// Runs a copy from an address that nobody has; says how it ended.
static rp_status stray(rp_device *device) {
    rp_arena arena = { 0 };
    rp_plan *plan = NULL;
    rp_recording *recording = NULL;
    rp_buffer *out = NULL, nowhere = { .device = device, .bytes = 4096, .address = (uint64_t)1 << 46 };
    rp_status status = RP_OK;
    RP_TRY(device->backend->buffer_create(device, 4096, RP_MEMORY_DEVICE, &out));
    rp_graph *graph = rp_graph_create(device, &arena, "stray");
    rp_tensor *from = rp_tensor_bind(&arena, "nowhere", RP_SHAPE(RP_F32, 1024), &nowhere, 0);
    rp_tensor *to = rp_tensor_bind(&arena, "out", RP_SHAPE(RP_F32, 1024), out, 0);
    const struct rp_copy_params params = { .n = 1024 };
    rp_graph_add(graph, RP_OP_COPY, "stray copy", &params, sizeof params, &from, &to);
    RP_TRY(rp_plan_create(graph, &plan));
    if (device->config.direct) {
        RP_TRY(device->backend->run(device, plan));
    } else {
        RP_TRY(device->backend->record(device, plan, &recording));
        RP_TRY(device->backend->replay(device, &recording, 1));
        RP_TRY(device->backend->wait(device));
    }
cleanup:
    device->backend->recording_destroy(recording);
    device->backend->buffer_destroy(out);
    rp_arena_destroy(&arena);
    return status;
}

// What a process that a kernel's fault hits sees; alone, since the fault stays with the process.
static bool direct;
static void lost(void **state) {
    (void)state;
    float first[HORIZON * PATHS], again[HORIZON * PATHS], kept[HORIZON * PATHS];
    char text[1024];
    rp_device *device = NULL;
    world w = create("cuda", direct);
    test_ok(w.device, forecast(&w, first), "forecast");
    assert_int_equal(stray(w.device), RP_DEVICE_LOST);
    rp_device_copy_error(w.device, text, sizeof text);
    printf("  %s\n", text);
    if (direct) { assert_non_null(strstr(text, "stray copy")); }
    memset(kept, 1, sizeof kept), memcpy(again, kept, sizeof again);
    assert_int_equal(forecast(&w, again), RP_DEVICE_LOST);
    assert_memory_equal(again, kept, sizeof again);          // nothing is written on failure
    destroy(&w);
    // The driver may forgive; where it does not, that is said.
    if (rp_device_create("cuda", NULL, &device) != RP_OK) {
        rp_device_copy_error(device, text, sizeof text);
        printf("  %s\n", text);
        assert_non_null(strstr(text, "start a new process"));
    }
    rp_device_destroy(device);
    w = create("ref", false);
    test_ok(w.device, forecast(&w, again), "forecast on another backend");
    destroy(&w);
}

static void lost_in_another_process(void **state) {
    const test_device *d = *state;
    float first[HORIZON * PATHS], again[HORIZON * PATHS];
    char program[1024], command[1100];
    test_need(d);
    if (strcmp(d->device->info.backend, "cuda") != 0) {
        printf("  skipped on %s: a stray address ends the process there, or means anything\n", d->spec);
        skip();
    }
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(length > 0);
    program[length] = 0;
    world w = create("cuda", false);
    test_ok(w.device, forecast(&w, first), "forecast");
    for (int turn = 0; turn < 2; turn++) {
        snprintf(command, sizeof command, "'%s' %s", program, turn == 0 ? "recorded" : "direct");
        assert_int_equal(system(command), 0);
        test_ok(w.device, forecast(&w, again), "forecast after another process's fault");
        assert_memory_equal(first, again, sizeof first);
    }
    destroy(&w);
}

int main(int argc, char **argv) {
    if (argc == 2) {
        struct CMUnitTest alone[] = { cmocka_unit_test(lost) };
        direct = strcmp(argv[1], "direct") == 0;
        return test_group("device_lost, the process", alone, 1);
    }
    const test_named tests[] = { { "lost in another process", lost_in_another_process } };
    return test_on_each_device("device_lost", tests, sizeof tests / sizeof *tests);
}
