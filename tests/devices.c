// Opening the devices that the suites run on, and running tests that are made at run time.
#include "case.h"

static test_device devices[TEST_MAX_DEVICES];
static uint32_t n_devices;
static rp_device *ref;

static rp_device_config config(void) {
    rp_device_config c = RP_DEVICE_CONFIG_INIT;
    const char *validate = getenv("RP_TEST_VALIDATE");
    c.validate = validate != NULL && strcmp(validate, "1") == 0;
    return c;
}

static void open_one(test_device *d) {
    rp_device_config c = config();
    rp_status status = rp_device_create(d->spec, &c, &d->device);
    if (status == RP_OK && c.validate && strstr(d->device->info.spec, "vulkan") && !strstr(d->device->info.detail, "validation on")) {
        snprintf(d->reason, sizeof d->reason, "the validation layer is not installed (Debian: vulkan-validationlayers)");
        rp_device_destroy(d->device);
        d->device = NULL;
        return;
    }
    if (status == RP_OK) { return; }
    char text[200] = "";
    rp_device_copy_error(d->device, text, sizeof text);
    snprintf(d->reason, sizeof d->reason, "%s: %s", rp_status_name(status), text);
    // A backend that is there and broken must not look like one that is absent.
    if (status != RP_UNAVAILABLE && status != RP_NOT_FOUND) { d->required = true; }
    rp_device_destroy(d->device);
    d->device = NULL;
}

uint32_t test_devices(test_device **out) {
    *out = devices;
    if (n_devices > 0) { return n_devices; }
    const char *asked = getenv("RP_TEST_DEVICES");
    char list[256];
    snprintf(list, sizeof list, "%s", asked != NULL && *asked ? asked : "ref,vulkan,cuda");
    char *rest = NULL;
    for (char *word = strtok_r(list, ", ", &rest); word != NULL; word = strtok_r(NULL, ", ", &rest)) {
        if (n_devices == TEST_MAX_DEVICES) { break; }
        test_device *d = &devices[n_devices++];
        snprintf(d->spec, sizeof d->spec, "%.31s", word);
        d->required = (asked != NULL && *asked) || strcmp(word, "ref") == 0;
        open_one(d);
        printf("# %s: %s\n", d->spec, d->device ? d->device->info.name : d->reason);
    }
    return n_devices;
}

rp_device *test_ref(void) {
    if (ref == NULL && rp_device_create("ref", NULL, &ref) != RP_OK) { fail_msg("the reference device does not open"); }
    return ref;
}

void test_devices_close(void) {
    for (uint32_t i = 0; i < n_devices; i++) { rp_device_destroy(devices[i].device); }
    memset(devices, 0, sizeof devices);
    n_devices = 0;
    rp_device_destroy(ref);
    ref = NULL;
}

void test_need(const test_device *d) {
    if (d->device != NULL) { return; }
    if (d->required) { fail_msg("%s does not open: %s", d->spec, d->reason); }
    printf("  skipped, %s is absent: %s\n", d->spec, d->reason);
    skip();
}

void test_ok(rp_device *device, rp_status status, const char *what) {
    if (status == RP_OK) { return; }
    char text[1024] = "";
    rp_device_copy_error(device, text, sizeof text);
    fail_msg("%s: %s: %s", what, rp_status_name(status), text);
}

int test_group(const char *name, struct CMUnitTest *tests, size_t n) {
    const char *only = getenv("RP_TEST_ONLY");
    setvbuf(stdout, NULL, _IOLBF, 0);    // cmocka reports on stderr: keep the two in order
    if (only != NULL && *only) { cmocka_set_test_filter(only); }
    int failures = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
    test_devices_close();
    return failures;
}

rp_device *test_device_of(void **state) {
    const test_device *d = *state;
    test_need(d);
    return d->device;
}

int test_on_each_device(const char *group, const test_named *all, size_t n) {
    enum { MAX_TESTS = 256 };
    static struct CMUnitTest tests[MAX_TESTS];
    static char names[MAX_TESTS][128];
    test_device *found;
    size_t count = 0;
    const uint32_t n_found = test_devices(&found);
    for (uint32_t d = 0; d < n_found; d++) {
        for (size_t i = 0; i < n && count < MAX_TESTS; i++, count++) {
            snprintf(names[count], sizeof names[count], "%.31s: %.90s", found[d].spec, all[i].name);
            tests[count] = (struct CMUnitTest){ .name = names[count], .test_func = all[i].f, .initial_state = &found[d] };
        }
    }
    return test_group(group, tests, count);
}
