// `reprise doctor`: is everything here as it should be, and what to do where it is not.
#include "doctor.h"

#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "options.h"

#define LIMIT_SECONDS 120

static void told(void *user, const doctor_result *x) {
    char text[1024];
    (void)user;
    doctor_describe(x, text, sizeof text);
    printf("%-5s %-9s %-14s %s (%.1f s)\n", x->good ? "ok" : "FAIL", doctor_kind_name(x->kind), x->subject, text, (double)x->child.ns * 1e-9);
    fflush(stdout);   // a person watches; and a process that is copied must not hold lines of its own
}

int command_doctor(int argc, char **argv) {
    bool json = false;
    uint32_t limit = LIMIT_SECONDS;
    name_list first = { NULL, 0 };
    const char *device = NULL, *rest[DOCTOR_MODELS], *models[2 * DOCTOR_MODELS];
    const option options[] = {
        { "json", OPTION_FLAG, &json, NULL, "one JSON object instead of text", NULL, false },
        { "models", OPTION_NAMES, &first, "DIR...", "folders of models: each is run alone, then all of them together", NULL, false },
        { "device", OPTION_TEXT, &device, "D", "where models run: cuda[:N], vulkan[:N], ref or auto (default)", NULL, false },
        { "limit", OPTION_COUNT, &limit, "SECONDS", "for each step (default 120; for listing and opening devices at most 30)", NULL, false },
    };
    const option_set set = {
        "doctor", "[--json] [--models DIR...]",
        "Checks drivers, devices and their memory, runs a self-test on each device (every op against the\n"
        "reference, forecasts against recorded results of the original code) and the models that are named,\n"
        "and says what to do about anything wrong. Each step runs in a process of its own and is ended at its\n"
        "limit. Healthy means: every driver that is installed answers, every device passes the self-test, a GPU\n"
        "of this machine is among them, and every model forecasts, alone and with the others. Exits 0 when\n"
        "healthy, else 1.\n",
        "  reprise doctor --models models/demo-toto models/demo-kronos\n", options, sizeof options / sizeof *options };
    size_t n_rest = 0, n = 0;
    int result = options_parse(&set, argc, argv, rest, DOCTOR_MODELS, &n_rest);
    if (result < 0 && first.count + n_rest > DOCTOR_MODELS) { result = options_misused("doctor", "at most %d models at once", DOCTOR_MODELS); }
    if (result < 0) {
        for (size_t i = 0; i < first.count; i++) { models[n++] = first.names[i]; }
        for (size_t i = 0; i < n_rest; i++) { models[n++] = rest[i]; }
        char *small = doctor_unpack();
        const doctor_config config = { .small = small, .device = device, .models = models, .n_models = n, .limit_seconds = limit, .told = json ? NULL : told };
        doctor_report report;
        fflush(stdout);
        doctor_run(&doctor_machine, &config, &report);
        if (json) { doctor_print_json(&report); } else { doctor_print(&report); }
        result = report.healthy ? EXIT_DONE : EXIT_FAILED;
        doctor_free(&report);
        if (small) { rp_folder_remove(small); }
        free(small);
    }
    name_list_free(&first);
    return result;
}
