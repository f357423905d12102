// The timeline's file: valid JSON, events in order and nested, every node of every graph by its name, and nothing half written.
#include "case.h"

#include <cjson/cJSON.h>

#include "../tools/sample.h"
#include "../tools/trace.h"
#include "family.h"

#define FILE_NAME "trace_test.json"

static cJSON *read_json(const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    static char text[8 << 20];
    const size_t n = fread(text, 1, sizeof text - 1, file);
    assert_true(n < sizeof text - 1);
    text[n] = '\0';
    fclose(file);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    return json;
}

static double number(const cJSON *e, const char *name) {
    const cJSON *value = cJSON_GetObjectItem(e, name);
    assert_true(cJSON_IsNumber(value));
    return value->valuedouble;
}

static const char *word(const cJSON *e, const char *name) {
    const cJSON *value = cJSON_GetObjectItem(e, name);
    assert_true(cJSON_IsString(value));
    return value->valuestring;
}

// On one track a later event begins not before an earlier one, and ends inside it or begins behind it.
static void check_nesting(const cJSON *events, double track) {
    enum { DEPTH = 8 };
    double ends[DEPTH], last = 0;
    int depth = 0;
    const cJSON *e;
    cJSON_ArrayForEach(e, events) {
        if (strcmp(word(e, "ph"), "X") != 0 || number(e, "tid") != track) { continue; }
        const double start = number(e, "ts"), end = start + number(e, "dur"), slack = 1e-3;   // of a sum in float64: far below
        assert_true(start >= last && end >= start);
        while (depth > 0 && ends[depth - 1] <= start + slack) { depth--; }
        if (depth > 0) { assert_true(end <= ends[depth - 1] + slack); }
        assert_true(depth < DEPTH);
        ends[depth++] = end;
        last = start;
    }
}

static int count(const cJSON *events, const char *kind, const char *name) {
    int n = 0;
    const cJSON *e;
    cJSON_ArrayForEach(e, events) {
        if (strcmp(word(e, "ph"), "X") != 0) { continue; }
        n += strcmp(word(e, "cat"), kind) == 0 && (name == NULL || strcmp(word(e, "name"), name) == 0);
    }
    return n;
}

static void follows_a_forecast(void **state) {
    const test_device *opened = *state;
    test_need(opened);
    rp_device *device;
    rp_model *model;
    rp_forecaster *forecaster;
    sample s, again;
    trace t;
    message error = { "" };
    test_ok(NULL, rp_device_create(opened->device->info.spec, NULL, &device), "open");
    trace_begin(&t);
    trace_follow(&t, device);
    size_t e = trace_enter(&t, TRACE_HOST, "phase", "load model");
    test_ok(device, rp_model_load(device, RP_SOURCE_DIR "/models/demo-toto", NULL, &model), "load");
    trace_leave(&t, e);
    const sample_sizes sizes = { .context = 40, .paths = 3 };
    sample_make(model, sizes, &s);
    sample_make(model, sizes, &again);
    test_ok(device, sample_forecaster(&s, model, &forecaster), "create");
    test_ok(device, sample_forecast(&s, forecaster), "forecast");
    const size_t before = t.n_events;
    trace_nodes(&t, device, true);
    test_ok(device, sample_forecast(&again, forecaster), "forecast, node by node");
    trace_nodes(&t, device, false);
    // Node by node gives what the replays gave, bit for bit.
    assert_memory_equal(s.paths, again.paths, (size_t)s.sizes.horizon * 3 * sizeof *s.paths);
    for (size_t i = 0; i < before; i++) { assert_int_equal(t.events[i].track, TRACE_HOST); }

    if (!trace_write(&t, FILE_NAME, &error)) { fail_msg("%s", error.text); }
    cJSON *json = read_json(FILE_NAME);
    const cJSON *events = cJSON_GetObjectItem(json, "traceEvents");
    assert_true(cJSON_IsArray(events));
    check_nesting(events, TRACE_HOST + 1);
    check_nesting(events, TRACE_DEVICE + 1);
    assert_int_equal(count(events, "phase", "load model"), 1);
    assert_int_equal(count(events, "call", "record 'prompt'"), 1);
    assert_true(count(events, "call", "wait") >= 1);
    const rp_plan *plans[16];
    const uint32_t n_plans = model->family->plans(forecaster, plans, 16);
    int n_nodes = 0;
    for (uint32_t p = 0; p < n_plans; p++) {   // mean mode's did not run; each of the others ran once, the horizon being two patches
        if (strstr(plans[p]->name, "mean") != NULL) { continue; }
        assert_int_equal(count(events, "graph", plans[p]->name), 1);
        for (uint32_t i = 0; i < plans[p]->n_launches; i++) { assert_true(count(events, "op", plans[p]->launches[i].label) >= 1); }
        n_nodes += (int)plans[p]->n_launches;
    }
    assert_int_equal(count(events, "op", NULL), n_nodes);
    const cJSON *one;
    cJSON_ArrayForEach(one, events) {
        const cJSON *cat = cJSON_GetObjectItem(one, "cat");
        if (cat == NULL || strcmp(cat->valuestring, "op") != 0) { continue; }
        const cJSON *args = cJSON_GetObjectItem(one, "args");
        assert_true(strlen(word(args, "kernel")) > 0 && strlen(word(args, "op")) > 0);
        assert_true(number(args, "bytes") >= 0);
    }
    cJSON_Delete(json);

    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    trace_unfollow(&t, device);
    rp_device_destroy(device);
    trace_free(&t);
    sample_free(&s);
    sample_free(&again);
    (void)remove(FILE_NAME);
}

static void names_are_escaped_and_failures_leave_nothing(void **state) {
    (void)state;
    trace t;
    message error = { "" };
    trace_begin(&t);
    trace_leave(&t, trace_enter(&t, TRACE_HOST, "phase", "a \"name\" with \\ and \n in it"));
    assert_false(trace_write(&t, "no/such/folder/trace.json", &error));
    assert_non_null(strstr(error.text, "no/such/folder/trace.json cannot be written"));
    assert_true(trace_write(&t, FILE_NAME, &error));
    message_set(&error, "none");
    assert_false(trace_write(&t, "/dev/full", &error));
    assert_string_equal(error.text, "/dev/full cannot be written: No space left on device");
    cJSON *json = read_json(FILE_NAME);
    assert_int_equal(count(cJSON_GetObjectItem(json, "traceEvents"), "phase", "a \"name\" with \\ and \n in it"), 1);
    cJSON_Delete(json);
    trace_free(&t);
    (void)remove(FILE_NAME);
}

int main(void) {
    static const test_named all[] = {
        { "follows a forecast", follows_a_forecast },
        { "names are escaped, failures leave nothing", names_are_escaped_and_failures_leave_nothing },
    };
    return test_on_each_device("trace", all, TEST_COUNT(all));
}
