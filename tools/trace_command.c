// `reprise trace`: a forecast's timeline. The forecast runs twice: as it is, its graphs replayed, for the host's side; then node by
// node, for the time of each op.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "family.h"
#include "forecast.h"
#include "session.h"
#include "trace.h"

static bool read_input(const request *r, table *t, timeline *time, size_t *time_column, outcome *o, message *error) {
    if (!table_read(r->input, t, error) || !timeline_read(t, r->time_column, time, time_column, error)) { return false; }
    o->time = time;
    o->horizon = r->horizon;
    o->end = t->n_rows;
    return true;
}

static rp_status open_model(trace *t, const request *r, rp_device **device, rp_model **model) {
    rp_model_config config = RP_MODEL_CONFIG_INIT;
    config.tokenizer = r->tokenizer;
    if (r->precision && strcmp(r->precision, "f32") == 0) { config.precision = RP_PRECISION_F32; }
    if (r->precision && strcmp(r->precision, "mixed") == 0) { config.precision = RP_PRECISION_MIXED; }
    size_t e = trace_enter(t, TRACE_HOST, "phase", "open device");
    rp_status status = rp_device_create(r->device, NULL, device);
    trace_leave(t, e);
    if (status != RP_OK) { return status; }
    trace_follow(t, *device);
    e = trace_enter(t, TRACE_HOST, "phase", "load model");
    status = rp_model_load(*device, r->model, &config, model);
    trace_leave(t, e);
    return status;
}

static rp_status forecast(trace *t, const char *name, rp_forecaster *forecaster, const forecast_kind *kind, const request *r, outcome *o) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.horizon = r->horizon, config.paths = r->samples, config.seed = r->seed;
    result.mean = o->mean;
    const size_t e = trace_enter(t, TRACE_HOST, "phase", "%s", name);
    rp_status status = kind->run(forecaster, o, &config, &result);
    trace_leave(t, e);
    return status;
}

static rp_status run_phases(trace *t, rp_model *model, const forecast_kind *kind, const request *r, outcome *o, rp_forecaster **out) {
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = (uint32_t)o->context, config.max_horizon = r->horizon, config.variates = kind->variates(o);
    config.max_paths = r->samples, config.memory_bytes = r->memory, config.block = r->block;
    o->mean = take(o->n_all, o->horizon * sizeof *o->mean);
    const size_t e = trace_enter(t, TRACE_HOST, "phase", "create forecaster");
    rp_status status = rp_forecaster_create(model, &config, out);
    trace_leave(t, e);
    if (status == RP_OK) { status = forecast(t, "first forecast", *out, kind, r, o); }
    if (status == RP_OK) { status = forecast(t, "forecast", *out, kind, r, o); }
    if (status == RP_OK) {
        trace_nodes(t, model->device, true);
        status = forecast(t, "forecast, node by node", *out, kind, r, o);
        trace_nodes(t, model->device, false);
    }
    return status;
}

static void summarise(const trace *t, const request *r, const char *spec) {
    size_t n_ops = 0;
    double ops = 0;
    for (size_t i = 0; i < t->n_events; i++) {
        const trace_event *e = &t->events[i];
        if (strcmp(e->kind, "phase") == 0) { printf("%-24s %10.3f ms\n", e->name, e->seconds * 1e3); }
        if (strcmp(e->kind, "op") == 0) { n_ops++, ops += e->seconds; }
    }
    printf("%-24s %10.3f ms in %zu launches on %s, each waited for\nwrote %s: open it in ui.perfetto.dev or chrome://tracing\n", "ops", ops * 1e3,
           n_ops, spec, r->output);
}

// -1 when it can be traced, else the exit code.
static int read_request(int argc, char **argv, request *r) {
    const option options[] = {
        { "model", OPTION_TEXT, &r->model, "DIR", "folder of the model, as forecast has it", NULL, true },
        ROW_TOKENIZER(&r->tokenizer),
        { "input", OPTION_TEXT, &r->input, "FILE.csv", "the rows to forecast from", NULL, true },
        { "horizon", OPTION_COUNT, &r->horizon, "H", "rows to forecast", NULL, true },
        { "output", OPTION_TEXT, &r->output, "FILE.json", "where the timeline goes", NULL, true },
        { "columns", OPTION_NAMES, &r->columns, "a,b", "Toto: columns to forecast; default: all numeric ones", NULL, false },
        { "time-column", OPTION_TEXT, &r->time_column, "c", "default: the first column of dates", NULL, false },
        { "context", OPTION_COUNT, &r->context, "N", "rows given to the model; default as forecast has it", NULL, false },
        { "samples", OPTION_COUNT, &r->samples, "S", "sample paths; default 256", NULL, false },
        { "seed", OPTION_SEED, &r->seed, "N", "of the random stream; default 0", NULL, false },
        { "mean", OPTION_FLAG, &r->mean, NULL, "no sampling, as forecast has it", NULL, false },
        { "block", OPTION_COUNT, &r->block, "N", "Toto 2.0: rows predicted in one pass; default: the whole horizon", NULL, false },
        { "device", OPTION_TEXT, &r->device, "D", "auto (default), cuda[:N], vulkan[:N] or ref", NULL, false },
        { "precision", OPTION_CHOICE, &r->precision, "P", "auto (default), f32 or mixed", PRECISION_CHOICES, false },
        { "memory", OPTION_BYTES, &r->memory, "BYTES", "device memory to stay within beyond the model's own, such as 2G", NULL, false },
    };
    const option_set set = {
        "trace", "--model DIR --input FILE.csv --horizon H --output FILE.json [options]",
        "Writes the timeline of a forecast for trace viewers: the host's phases and calls, and each op of the\n"
        "device with its kernel, bytes and operations. Ops are timed one launch at a time, so a short one shows\n"
        "what it takes to launch it; the forecast that is replayed stands beside them.\n",
        "  reprise trace --model models/demo-toto --input data/air_passengers.csv --horizon 24 --output trace.json\n",
        options, sizeof options / sizeof *options };
    int result = options_parse(&set, argc, argv, NULL, 0, NULL);
    if (result < 0 && r->mean && r->samples) { result = options_misused("trace", "--mean samples no paths, so --samples does not go with it"); }
    return result;
}

int command_trace(int argc, char **argv) {
    request r = { 0 };
    table t = { 0 };
    timeline time = { 0 };
    size_t time_column = SIZE_MAX;
    outcome o = { 0 };
    message error = { "" };
    trace events;
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    rp_status status = RP_OK;
    trace_begin(&events);
    int result = read_request(argc, argv, &r);
    if (result >= 0) { goto cleanup; }
    result = EXIT_FAILED;
    const size_t e = trace_enter(&events, TRACE_HOST, "phase", "read input");
    const bool good = read_input(&r, &t, &time, &time_column, &o, &error);
    trace_leave(&events, e);
    if (good) { status = open_model(&events, &r, &device, &model); }
    if (!good || status != RP_OK) { goto failed; }
    const forecast_kind *kind = model->family->forecast_bars ? &forecast_of_bars : &forecast_of_series;
    if (!forecast_suits(&r, &model->info, &error) || kind->refuses(&r, r.model, &error) || !kind->prepare(&r, &model->info, &t, time_column, &time, &o, &error)) { goto failed; }
    status = run_phases(&events, model, kind, &r, &o, &forecaster);
    if (status != RP_OK || !trace_write(&events, r.output, &error)) { goto failed; }
    summarise(&events, &r, device->info.spec);
    result = EXIT_DONE;
failed:
    if (status != RP_OK) { session_complain(device, status); } else if (error.text[0]) { complain("%s", error.text); }
cleanup:
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    if (device != NULL && events.plain != NULL) { trace_unfollow(&events, device); }
    rp_device_destroy(device);
    trace_free(&events);
    outcome_free(&o);
    timeline_free(&time);
    table_free(&t);
    name_list_free(&r.columns);
    return result;
}
