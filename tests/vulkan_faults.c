// Every call of the Vulkan driver that can fail does so once in the life of a forecast: the error says what failed and where,
// everything can be destroyed, nothing is left, and the same process makes it all again with the same result. A lost device stays
// lost until it is destroyed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim_vulkan.h"

#define HORIZON 20
#define PATHS 3

typedef struct life {
    rp_status status;
    bool forecast;                 // came as far as its result
    char text[1024];               // the sentence, if it failed
    float mean[HORIZON];
} life;

static rp_status live(rp_device *device, rp_model **model, rp_forecaster **forecaster, life *l) {
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    rp_series series = RP_SERIES_INIT;
    float values[32];
    for (uint32_t i = 0; i < 32; i++) { values[i] = (float)(i % 5); }
    sizes.max_context = 32, sizes.max_horizon = HORIZON, sizes.max_paths = PATHS;
    config.horizon = HORIZON, config.paths = PATHS;
    series.values = values, series.context = 32;
    result.mean = l->mean;
    RP_RETURN(rp_model_load(device, RP_GOLDEN_DIR "/toto-tiny", NULL, model));
    RP_RETURN(rp_forecaster_create(*model, &sizes, forecaster));
    return rp_forecast(*forecaster, &series, 1, &config, &result);
}

typedef enum kind { RECORDED, DIRECT, STAGED } kind;   // STAGED: as if the device had memory of its own

static life live_once(kind k) {
    life l = { .status = RP_OK };
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    rp_device_config config = RP_DEVICE_CONFIG_INIT;
    config.direct = k == DIRECT;
    l.status = rp_device_create("vulkan:0", &config, &device);
    if (l.status == RP_OK) { rp_vulkan_of(device)->unified = rp_vulkan_of(device)->unified && k != STAGED; }
    if (l.status == RP_OK) { l.status = live(device, &model, &forecaster, &l); }
    l.forecast = l.status == RP_OK;
    if (!l.forecast) { rp_device_copy_error(device, l.text, sizeof l.text); }
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    if (device->backend) { assert_int_equal(device->counters.buffer_bytes, 0); }
    rp_device_destroy(device);
    assert_int_equal(shim.alive, 0);
    return l;
}

static bool failed_in(const char *name) { return strcmp(shim.failed, name) == 0; }

#define has(part)                                                                                                   \
    do {                                                                                                            \
        if (strstr(l->text, part) == NULL) { fail_msg("%s failed and \"%s\" lacks \"%s\"", shim.failed, l->text, part); } \
    } while (0)

// What a failure of that function is to the caller. `general`: for most of them.
static rp_status expected(rp_status general) {
    static const char *const opening[] = { "vkEnumerateInstanceVersion", "vkCreateInstance", "vkEnumeratePhysicalDevices", "vkCreateDevice" };
    for (size_t i = 0; i < sizeof opening / sizeof *opening; i++) {
        if (failed_in(opening[i])) { return RP_UNAVAILABLE; }
    }
    return failed_in("vkCreateBuffer") ? RP_OUT_OF_MEMORY : general;
}

static void check_sentence(const life *l, kind k) {
    assert_true(strlen(l->text) > 40);
    if (failed_in("vkCreateComputePipelines") || failed_in("vkCreateShaderModule")) { has("building the kernel '"); }
    if (failed_in("vkBeginCommandBuffer") || failed_in("vkEndCommandBuffer")) {
        if (!strstr(l->text, "recording '") && !strstr(l->text, "copying") && !strstr(l->text, "running '")) { has("recording '"); }
    }
    if (k == DIRECT && (failed_in("vkQueueSubmit") || failed_in("vkWaitSemaphores")) && !strstr(l->text, "waiting ") &&
        !strstr(l->text, "copying")) {   // to and from a GPU's own memory
        has("running '");                                             // and the kernel
        has("_f32");
    }
    if (k == RECORDED && strstr(l->text, "replaying")) {
        has("replaying 4 recordings, 'prompt' to 'collect'");
        if (l->status == RP_DEVICE_LOST) {
            has("Under way were 'prompt', 'start', 'step', 'collect' (replays 1 to 4 of 4)");
            has("rp_device_config.direct = 1");
        } else {
            has("Run operation by operation the same forecast succeeds");
        }
    }
}

// Fails call after call until a life is over before its turn comes; of many alike, as each weight's copies are, every so many-th.
static int fail_each(VkResult result, rp_status status, kind k, bool only_work, int stride) {
    shim_reset();
    const life clean = live_once(k);
    if (clean.status != RP_OK) { fail_msg("%s", clean.text); }
    for (int n = 1, tried = 0;; n += stride, tried++) {
        shim_reset();
        shim.fail_at = n, shim.fail_with = result, shim.only_work = only_work;
        const life l = live_once(k);
        if (shim.failed == NULL || l.forecast) { assert_memory_equal(l.mean, clean.mean, sizeof l.mean); }
        if (shim.failed == NULL) { return tried; }
        if (l.forecast) {   // what is optional was not found, or what was destroyed could not be waited for
            if (!strstr(shim.failed, "ExtensionProperties") && !failed_in("vkDeviceWaitIdle") && !failed_in("vkWaitSemaphores")) {
                fail_msg("call %d (%s) failed, and nothing is said", n, shim.failed);
            }
        } else {
            const rp_status want = only_work ? status : expected(status);
            if (l.status != want) { fail_msg("call %d (%s), result %d: %s, %s", n, shim.failed, result, rp_status_name(l.status), l.text); }
            check_sentence(&l, k);
        }
    }
}

static void each_call_fails_once(void **state) {
    (void)state;
    printf("%d calls, each failed once\n", fail_each(VK_ERROR_OUT_OF_HOST_MEMORY, RP_OUT_OF_MEMORY, RECORDED, false, 1));
    printf("%d of those with staging\n", fail_each(VK_ERROR_INITIALIZATION_FAILED, RP_INTERNAL, STAGED, false, 3));   // a copy is 4 calls
}

static void a_lost_device_stays_lost(void **state) {
    (void)state;
    static const char *const names[] = { "recorded", "direct", "staged" };
    for (kind k = RECORDED; k <= STAGED; k++) {
        const int n = fail_each(VK_ERROR_DEVICE_LOST, RP_DEVICE_LOST, k, true, k == RECORDED ? 1 : 5);   // and 2 of these
        printf("%s: lost at %d submissions and waits\n", names[k], n);
        assert_true(n > 10);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_call_fails_once), cmocka_unit_test(a_lost_device_stays_lost) };
    // Opens the loader. It stays to the end, and with it the driver's library: a leak checker can then tell whose a leak is.
    static rp_device *device;
    const rp_status status = rp_device_create("vulkan:0", NULL, &device);
    if (status != RP_OK) {
        char text[512] = "";
        rp_device_copy_error(device, text, sizeof text);
        printf("skipped, no Vulkan device: %s\n", text);
        rp_device_destroy(device);
        return status == RP_UNAVAILABLE ? 77 : 1;
    }
    shim_install();
    return cmocka_run_group_tests_name("vulkan_faults", tests, NULL, NULL);
}
