// reprise bench: whole forecasts as a caller sees them, host arrays in and host arrays out.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "command.h"
#include "family.h"
#include "options.h"
#include "session.h"

// The rows of the speed table in the README. A row belongs to the model of its family and width.
static const struct row { const char *name, *family; uint32_t width, variates, batch, context, horizon, paths; } rows[] = {
    { "T1", "toto", 768, 7, 1, 4096, 336, 256 },
    { "T2", "toto", 768, 1, 1, 512, 64, 256 },
    { "T3", "toto", 768, 1, 1, 512, 256, 256 },
    { "K1", "kronos", 512, 6, 1, 392, 120, 1 },
    { "K2", "kronos", 832, 6, 1, 392, 120, 10 },
    { "K3", "kronos", 832, 6, 1, 400, 120, 10 },
    { "K4", "kronos", 832, 6, 5, 400, 120, 30 },
    { "K5", "kronos", 256, 6, 1, 400, 120, 10 },
};
enum { N_ROWS = sizeof rows / sizeof *rows, MAX_BATCH = 5 };

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Random walks: values that a model could meet, and never zeros.
static void fill(float *values, uint32_t variates, uint32_t context) {
    uint32_t state = 12345;
    for (uint32_t v = 0; v < variates; v++) {
        float x = 100;
        for (uint32_t t = 0; t < context; t++) {
            state = state * 1664525u + 1013904223u;
            x += (float)(state >> 8) / 8388608.0f - 1;
            values[(size_t)v * context + t] = x;
        }
    }
}

static void print_cost(const rp_forecaster *forecaster) {
    const rp_plan *plans[16];
    const uint32_t n = forecaster->model->family->plans(forecaster, plans, 16);
    for (uint32_t i = 0; i < n; i++) {
        printf("       %-12s %4u nodes, %9.3f MB, %9.3f GFLOP\n", plans[i]->name, plans[i]->n_launches,
               (double)plans[i]->cost.bytes * 1e-6, (double)plans[i]->cost.flops * 1e-9);
    }
}

// Each launch so often, one after the other on an idle device; small ones are bound by how fast the host can launch.
#define OP_REPEAT 40u

static rp_status time_launch(rp_device *device, const rp_plan *plan, uint32_t index, double *us) {
    rp_launch *launches = take(OP_REPEAT, sizeof *launches);
    rp_plan many = *plan;
    for (uint32_t i = 0; i < OP_REPEAT; i++) { launches[i] = plan->launches[index]; }
    many.launches = launches;
    many.n_launches = 1;
    rp_status status = device->backend->run(device, &many);
    double start = seconds_now();
    if (status == RP_OK) { status = device->backend->run(device, &many); }
    const double one = seconds_now() - start;
    many.n_launches = OP_REPEAT;
    start = seconds_now();
    if (status == RP_OK) { status = device->backend->run(device, &many); }
    *us = (seconds_now() - start - one) / (OP_REPEAT - 1) * 1e6;
    free(launches);
    return status;
}

// Time of a graph's launches, those of one kernel and grid together. `advance` is left out: it would move the positions.
static rp_status print_ops(rp_device *device, const rp_plan *plan) {
    rp_status status = RP_OK;
    char *seen = take(plan->n_launches + 1, 1);
    for (uint32_t i = 0; i < plan->n_launches && status == RP_OK; i++) {
        const rp_launch *launch = &plan->launches[i];
        uint32_t n = 0;
        double us = 0;
        rp_cost cost = plan->costs[i];
        if (seen[i] || launch->op == RP_OP_ADVANCE) { continue; }
        for (uint32_t j = i; j < plan->n_launches; j++) {
            const rp_launch *other = &plan->launches[j];
            if (strcmp(other->kernel, launch->kernel) == 0 && memcmp(other->params, launch->params, sizeof launch->params) == 0) {
                seen[j] = 1;
                n++;
            }
        }
        status = time_launch(device, plan, i, &us);
        printf("         %3u x %-28s %-22s %9.2f us  %8.1f GB/s  %7.2f TFLOP/s\n", n, launch->label, launch->kernel, us,
               (double)cost.bytes / us * 1e-3, (double)cost.flops / us * 1e-6);
    }
    free(seen);
    return status;
}

static rp_status print_all_ops(rp_forecaster *forecaster) {
    const rp_plan *plans[16];
    rp_status status = RP_OK;
    const uint32_t n = forecaster->model->family->plans(forecaster, plans, 16);
    for (uint32_t i = 0; i < n && status == RP_OK; i++) {
        printf("       %s\n", plans[i]->name);
        status = print_ops(forecaster->model->device, plans[i]);
    }
    return status;
}

// One forecast of a row; the inputs are made once, outside of what is timed.
typedef struct job {
    const struct row *row;
    rp_forecaster *forecaster;
    rp_series series[MAX_BATCH];
    rp_bars bars[MAX_BATCH];
    rp_forecast_config config;
    rp_forecast_result result;
    float *values;            // [batch, variates, context]
    int64_t *times;           // [context]
} job;

static void prepare(job *j, const struct row *row) {
    const size_t T = row->context, each = row->variates * T;
    *j = (job){ .row = row, .config = RP_FORECAST_CONFIG_INIT, .result = RP_FORECAST_RESULT_INIT };
    j->values = take(row->batch * each, sizeof *j->values);
    j->times = take(T, sizeof *j->times);
    j->result.samples = take(row->batch * row->variates * (size_t)row->horizon * row->paths, sizeof *j->result.samples);
    j->config.horizon = row->horizon, j->config.paths = row->paths, j->config.seed = 1, j->config.top_p = 0.9f;
    fill(j->values, row->batch * row->variates, row->context);
    for (size_t t = 0; t < T; t++) { j->times[t] = 1718000000 + 300 * (int64_t)t; }
    for (uint32_t b = 0; b < row->batch; b++) {
        float *v = j->values + b * each;
        j->series[b] = (rp_series){ .struct_size = sizeof(rp_series), .values = v, .context = row->context, .id = b };
        j->bars[b] = (rp_bars){ .struct_size = sizeof(rp_bars), .open = v, .high = v + T, .low = v + 2 * T, .close = v + 3 * T,
                                .volume = v + 4 * T, .amount = v + 5 * T, .times = j->times, .context = row->context, .id = b };
    }
}

static rp_status forecast_once(job *j) {
    if (strcmp(j->row->family, "kronos") == 0) {
        return rp_forecast_bars(j->forecaster, j->bars, j->row->batch, &j->config, &j->result);
    }
    j->config.top_p = 0;
    return rp_forecast(j->forecaster, j->series, j->row->batch, &j->config, &j->result);
}

static bool run_row(session *s, const struct row *row, uint32_t repeat, bool ops) {
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    job j;
    prepare(&j, row);
    sizes.max_context = row->context, sizes.max_horizon = row->horizon, sizes.variates = row->variates;
    sizes.max_batch = row->batch, sizes.max_paths = row->paths;
    double *ms = take(repeat, sizeof *ms), first_ms = 0, start = seconds_now();
    rp_status status = rp_forecaster_create(s->model, &sizes, &j.forecaster);
    const double create_ms = (seconds_now() - start) * 1e3;
    if (status == RP_OK) { status = rp_forecaster_copy_info(j.forecaster, &info); }
    for (uint32_t i = 0; i < repeat + 2 && status == RP_OK; i++) {   // two to warm up; the first is told apart
        start = seconds_now();
        status = forecast_once(&j);
        const double took = (seconds_now() - start) * 1e3;
        if (i == 0) { first_ms = took; }
        if (i >= 2) { ms[i - 2] = took; }
    }
    if (status == RP_OK) {
        qsort(ms, repeat, sizeof *ms, ascending);
        printf("%-4s median %9.3f ms  min %9.3f  max %9.3f  first %9.3f  create %8.1f  forecaster %7.1f MB\n", row->name,
               ms[repeat / 2], ms[0], ms[repeat - 1], first_ms, create_ms, (double)info.device_bytes * 1e-6);
        print_cost(j.forecaster);
        if (ops) { status = print_all_ops(j.forecaster); }
        fflush(stdout);
    }
    if (status != RP_OK) { session_complain(s->device, status); }
    rp_forecaster_destroy(j.forecaster);
    free(j.values), free(j.times), free(j.result.samples), free(ms);
    return status == RP_OK;
}

int command_bench(int argc, char **argv) {
    const char *folder = NULL, *device = NULL, *precision = NULL;
    name_list names = { NULL, 0 };
    uint32_t repeat = 20;
    bool ops = false;
    const option options[] = {
        { "model", OPTION_TEXT, &folder, "DIR", "weights of a published size, random ones do: its rows are run", NULL, true },
        { "rows", OPTION_NAMES, &names, "A,B", "only these of the model's rows: toto-base T1, T2, T3; kronos-small K1,\nkronos-base K2, K3, K4, kronos-mini K5", NULL, false },
        { "device", OPTION_TEXT, &device, "D", "cuda[:N], vulkan[:N], ref or auto (default)", NULL, false },
        { "precision", OPTION_CHOICE, &precision, "P", "auto (default), f32 or mixed", PRECISION_CHOICES, false },
        { "repeat", OPTION_COUNT, &repeat, "N", "timed forecasts of each row (default 20)", NULL, false },
        { "ops", OPTION_FLAG, &ops, NULL, "the time of each kernel too", NULL, false },
    };
    const option_set set = { "bench", "--model DIR [options]",
                             "Times whole forecasts, from host arrays to host arrays.\n",
                             "  reprise bench --model toto-base --rows T2,T3\n", options, sizeof options / sizeof *options };
    size_t n_rest = 0;
    int early = options_parse(&set, argc, argv, NULL, 0, &n_rest);
    if (early >= 0) { return early; }
    session s;
    const double start = seconds_now();
    if (!session_open(device, precision, folder, &s)) { return EXIT_FAILED; }
    printf("%s (%s), %s, loaded in %.0f ms\n", s.device_info.spec, s.device_info.name, precision_name(s.model_info.precision),
           (seconds_now() - start) * 1e3);
    bool ok = true;
    for (size_t i = 0; i < N_ROWS && ok; i++) {
        if (strcmp(rows[i].family, s.model_info.family) != 0 || rows[i].width != s.model_info.width) { continue; }
        bool wanted = names.count == 0;
        for (size_t j = 0; j < names.count; j++) { wanted = wanted || strcmp(names.names[j], rows[i].name) == 0; }
        if (wanted) { ok = run_row(&s, &rows[i], repeat, ops); }
    }
    session_close(&s);
    name_list_free(&names);
    return ok ? EXIT_DONE : EXIT_FAILED;
}
