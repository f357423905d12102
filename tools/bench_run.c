// One row of `reprise bench`: inputs, checks, times and counts of whole forecasts.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define N_LEVELS 9u
static const float levels[N_LEVELS] = { 0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f };

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

void bench_job_make(bench_job *j, const bench_row *row, const published_model *model, uint32_t context, uint32_t horizon, bool mean) {
    const size_t T = context, each = row->variates * T, points = (size_t)row->batch * row->variates * horizon;
    *j = (bench_job){ .row = row, .config = RP_FORECAST_CONFIG_INIT, .result = RP_FORECAST_RESULT_INIT };
    j->bars = strcmp(model->family, "kronos") == 0;
    j->out_count = mean ? points : points * (model->quantiles ? N_LEVELS : row->paths);
    j->values = take(row->batch * each, sizeof *j->values);
    j->times = take(T, sizeof *j->times);
    j->out = take(j->out_count, sizeof *j->out);
    *(mean ? &j->result.mean : model->quantiles ? &j->result.quantiles : &j->result.samples) = j->out;
    j->config.horizon = horizon, j->config.paths = mean ? 0 : row->paths, j->config.seed = 1;
    if (j->bars) { j->config.top_p = 0.9f; }
    if (model->quantiles && !mean) { j->config.quantile_levels = levels, j->config.n_quantiles = N_LEVELS; }
    fill(j->values, row->batch * row->variates, context);
    for (size_t t = 0; t < T; t++) { j->times[t] = 1718000000 + 300 * (int64_t)t; }
    for (uint32_t b = 0; b < row->batch; b++) {
        float *v = j->values + b * each;
        j->series[b] = (rp_series){ .struct_size = sizeof(rp_series), .values = v, .context = context, .id = b };
        j->bar_series[b] = (rp_bars){ .struct_size = sizeof(rp_bars), .open = v, .high = v + T, .low = v + 2 * T, .close = v + 3 * T,
                                      .volume = v + 4 * T, .amount = v + 5 * T, .times = j->times, .context = context, .id = b };
    }
}

void bench_job_free(bench_job *j) {
    free(j->values), free(j->times), free(j->out);
}

rp_status bench_job_run(bench_job *j) {
    return j->bars ? rp_forecast_bars(j->forecaster, j->bar_series, j->row->batch, &j->config, &j->result)
                   : rp_forecast(j->forecaster, j->series, j->row->batch, &j->config, &j->result);
}

static rp_status timed(bench_job *j, double *ms) {
    const double start = seconds_now();
    const rp_status status = bench_job_run(j);
    *ms = (seconds_now() - start) * 1e3;
    return status;
}

// ---- checks ----

// Two forecasts of the same seed: finite, and the same bits. False after printing why.
static bool is_sound(const bench_job *j, const float *first) {
    for (size_t i = 0; i < j->out_count; i++) {
        if (!isfinite(j->out[i])) {
            complain("%s is not timed: number %zu of its forecast is %g", j->row->name, i, (double)j->out[i]);
            return false;
        }
        if (memcmp(&j->out[i], &first[i], sizeof *first) != 0) {
            complain("%s is not timed: number %zu of two forecasts with one seed is %.9g, then %.9g", j->row->name, i, (double)first[i],
                     (double)j->out[i]);
            return false;
        }
    }
    return true;
}

// ---- figures ----

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bench_times summarise(double *ms, uint32_t n) {
    bench_times t = { .n = n };
    double squares = 0;
    qsort(ms, n, sizeof *ms, ascending);
    for (uint32_t i = 0; i < n; i++) { t.mean += ms[i] / n; }
    for (uint32_t i = 0; i < n; i++) { squares += (ms[i] - t.mean) * (ms[i] - t.mean); }
    t.median = (ms[(n - 1) / 2] + ms[n / 2]) / 2, t.min = ms[0], t.max = ms[n - 1];
    t.sigma = n > 1 ? sqrt(squares / (n - 1)) : 0;
    return t;
}

// Before a forecast (begin) the plans' counts of replays are noted, after it they are its own.
static void count_replays(const rp_forecaster *forecaster, bench_result *out, bool begin) {
    const rp_plan *plans[BENCH_MAX_PLANS];
    out->n_graphs = forecaster->model->family->plans(forecaster, plans, BENCH_MAX_PLANS);
    out->cost = (rp_cost){ 0 };
    for (uint32_t i = 0; i < out->n_graphs; i++) {
        bench_graph *g = &out->graphs[i];
        if (begin) {
            *g = (bench_graph){ .nodes = plans[i]->n_launches, .cost = plans[i]->cost, .record_ms = (double)plans[i]->record_ns * 1e-6,
                                .replays = (uint32_t)plans[i]->replays };
            snprintf(g->name, sizeof g->name, "%s", plans[i]->name);
            continue;
        }
        g->replays = (uint32_t)plans[i]->replays - g->replays;
        out->cost.bytes += g->replays * g->cost.bytes;
        out->cost.flops += g->replays * g->cost.flops;
    }
}

// ---- a row ----

static rp_status create(bench_model *m, const bench_row *row, rp_forecaster **forecaster, bench_result *out) {
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    sizes.max_context = row->context, sizes.max_horizon = row->horizon, sizes.variates = row->variates;
    sizes.max_batch = row->batch, sizes.max_paths = row->paths;
    const double start = seconds_now();
    RP_RETURN(rp_forecaster_create(m->session.model, &sizes, forecaster));
    out->create_ms = (seconds_now() - start) * 1e3;
    RP_RETURN(rp_forecaster_copy_info(*forecaster, &info));
    out->forecaster_bytes = info.device_bytes;
    return RP_OK;
}

// The two forecasts that warm up are compared. *sound: whether what was compared may be timed.
static rp_status warm_up(bench_job *j, bench_result *out, uint64_t *recordings, double *second_ms, bool *sound) {
    const rp_device *device = j->forecaster->model->device;
    RP_RETURN(timed(j, &out->first_ms));
    *recordings = device->counters.recordings;
    float *first = take(j->out_count, sizeof *first);
    memcpy(first, j->out, j->out_count * sizeof *first);
    count_replays(j->forecaster, out, true);
    const rp_status status = timed(j, second_ms);
    count_replays(j->forecaster, out, false);
    *sound = status == RP_OK && is_sound(j, first);
    free(first);
    return status;
}

// Under a sudden load a GPU lowers its clocks for some tenths of a second, so it is at work for half a second first.
static rp_status settle(bench_job *j) {
    const double end = seconds_now() + 0.5;
    rp_status status = RP_OK;
    while (status == RP_OK && seconds_now() < end) { status = bench_job_run(j); }
    return status;
}

static rp_status time_it(bench_job *j, uint32_t repeat, bench_result *out) {
    rp_status status = RP_OK;
    double *ms = take(repeat, sizeof *ms);
    for (uint32_t i = 0; i < repeat && status == RP_OK; i++) { status = timed(j, &ms[i]); }
    if (status == RP_OK) { out->ms = summarise(ms, repeat); }
    free(ms);
    return status;
}

static rp_status run(bench_model *m, bench_job *j, const bench_options *options, bench_result *out, bool *sound) {
    rp_counters *counters = &m->session.device->counters;
    const uint64_t before = counters->recordings;
    uint64_t recordings;
    double second_ms;
    counters->device_bytes_peak = counters->device_bytes;
    RP_RETURN(create(m, j->row, &j->forecaster, out));
    const uint64_t buffers = counters->buffers;
    RP_RETURN(warm_up(j, out, &recordings, &second_ms, sound));
    if (*sound && m->reference.device != NULL) { *sound = bench_check(m, j->row, j->forecaster, out); }
    if (!*sound) { return RP_OK; }
    RP_RETURN(settle(j));
    RP_RETURN(time_it(j, options->repeat ? options->repeat : second_ms > 1000 ? 5 : 20, out));
    out->recordings = recordings - before;
    out->rerecordings = counters->recordings - recordings;
    out->allocations = counters->buffers - buffers;
    out->peak_bytes = counters->device_bytes_peak;
    if (m->rates.copy_bytes_per_s == 0) { RP_RETURN(bench_rates_measure(m->session.device, m->session.model_info.precision, &m->rates)); }
    return options->ops ? bench_ops_measure(j->forecaster, out) : RP_OK;
}

bool bench_run(bench_model *m, const bench_row *row, const bench_options *options, bench_result *out) {
    bench_job j;
    bool sound = false;
    *out = (bench_result){ .row = row };
    bench_job_make(&j, row, m->published, row->context, row->horizon, false);
    const rp_status status = run(m, &j, options, out, &sound);
    if (status != RP_OK) { session_complain(m->session.device, status); }
    if (status == RP_OK && sound) { bench_print_row(m, out); }
    rp_forecaster_destroy(j.forecaster);
    bench_job_free(&j);
    if (status == RP_OK && sound) { return true; }
    bench_result_free(out);
    return false;
}

void bench_result_free(bench_result *result) {
    for (uint32_t i = 0; i < result->n_graphs; i++) { free(result->graphs[i].ops); }
    result->n_graphs = 0;
}
