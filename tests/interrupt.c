#define _XOPEN_SOURCE 700   // mkdtemp, strdup
// A signal in the middle of a forecast: it stops at the next replay, and the program knows what to exit with. And drafts, where a
// script cannot look: between opening and finishing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draft.h"
#include "interrupt.h"
#include "platform.h"
#include "reprise.h"

typedef struct seen { int signal; uint32_t calls, done, total; } seen;

static int raise_in_second(void *user, uint32_t done, uint32_t total) {
    seen *s = user;
    s->calls++, s->done = done, s->total = total;
    if (s->calls == 2) { raise(s->signal); }
    return interrupt_step(NULL, done, total);
}

static void a_signal_stops_a_forecast(void **state) {
    (void)state;
    static const struct { int signal, code; const char *name; } ways[] = { { SIGINT, 130, "Ctrl-C" }, { SIGTERM, 143, "SIGTERM" } };
    float values[32], mean[64];
    rp_device *device;
    rp_model *model;
    rp_forecaster *forecaster;
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    rp_series series = RP_SERIES_INIT;
    for (int i = 0; i < 32; i++) { values[i] = (float)(i % 5); }
    for (int i = 0; i < 64; i++) { mean[i] = -1; }
    sizes.max_context = 32, sizes.max_horizon = 64, sizes.max_paths = 2;
    config.horizon = 64, config.paths = 2, config.progress = raise_in_second;
    series.values = values, series.context = 32;
    result.mean = mean;
    assert_int_equal(rp_device_create("ref", NULL, &device), RP_OK);
    assert_int_equal(rp_model_load(device, RP_GOLDEN_DIR "/toto-tiny", NULL, &model), RP_OK);
    assert_int_equal(rp_forecaster_create(model, &sizes, &forecaster), RP_OK);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        seen s = { .signal = ways[i].signal };
        interrupt_install();
        assert_false(interrupt_came());
        assert_int_equal(interrupt_exit(1), 1);
        config.progress_user = &s;
        assert_int_equal(rp_forecast(forecaster, &series, 1, &config, &result), RP_CANCELLED);
        assert_int_equal(s.calls, 2);          // not one replay more
        assert_int_equal(s.done, 2);
        assert_true(s.total > 4);
        assert_true(mean[0] == -1 && mean[63] == -1);
        assert_true(interrupt_came());
        assert_int_equal(interrupt_exit(0), ways[i].code);
        assert_string_equal(interrupt_name(), ways[i].name);
    }
    interrupt_install();                       // forgets
    config.progress = interrupt_step, config.progress_user = NULL;
    assert_int_equal(rp_forecast(forecaster, &series, 1, &config, &result), RP_OK);
    assert_true(mean[0] != -1 && mean[63] != -1);
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    rp_device_destroy(device);
}

static void ignored_signals_stay_ignored(void **state) {
    (void)state;
    signal(SIGINT, SIG_IGN);                   // as nohup and a shell's background jobs have it
    interrupt_install();
    raise(SIGINT);
    assert_false(interrupt_came());
    signal(SIGINT, SIG_DFL);
}

static void read_back(const char *path, char *buf, size_t cap) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    buf[fread(buf, 1, cap - 1, file)] = '\0';
    fclose(file);
}

static void drafts(void **state) {
    (void)state;
    char folder[] = "/tmp/reprise-draft-XXXXXX", path[64], text[64];
    message error = { "" };
    draft d, other;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.txt", folder);
    assert_true(draft_text(path, "old", &error));
    read_back(path, text, sizeof text);
    assert_string_equal(text, "old\n");

    assert_true(draft_open(&d, path, &error));
    assert_true(draft_open(&other, path, &error));      // two at once do not meet
    assert_string_not_equal(d.beside, other.beside);
    char *beside = strdup(d.beside), *beside_other = strdup(other.beside);
    fputs("new", d.file);
    fflush(d.file);
    read_back(path, text, sizeof text);
    assert_string_equal(text, "old\n");                 // nobody sees what is under way
    assert_true(rp_path_exists(beside));
    assert_true(draft_finish(&d, true, &error));
    read_back(path, text, sizeof text);
    assert_string_equal(text, "new");
    fputs("dropped", other.file);
    assert_false(draft_finish(&other, false, &error));
    assert_string_equal(error.text, "");                // whose caller has said why
    read_back(path, text, sizeof text);
    assert_string_equal(text, "new");
    assert_false(rp_path_exists(beside) || rp_path_exists(beside_other));
    free(beside), free(beside_other);

    assert_true(draft_open(&d, path, &error));          // the place becomes one that cannot be taken
    remove(path);
    char inner[80];
    snprintf(inner, sizeof inner, "mkdir -p %s/in", path);
    assert_int_equal(system(inner), 0);
    beside = strdup(d.beside);
    assert_false(draft_finish(&d, true, &error));
    assert_non_null(strstr(error.text, "a.txt cannot be written: "));
    assert_false(rp_path_exists(beside));
    free(beside);
    assert_false(draft_open(&d, "/no/such/folder/a.txt", &error));
    assert_non_null(strstr(error.text, "No such file or directory"));
    snprintf(inner, sizeof inner, "rm -r %s", folder);
    assert_int_equal(system(inner), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_signal_stops_a_forecast), cmocka_unit_test(ignored_signals_stay_ignored),
                                        cmocka_unit_test(drafts) };
    return cmocka_run_group_tests_name("interrupt", tests, NULL, NULL);
}
