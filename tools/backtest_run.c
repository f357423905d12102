// Forecasting the windows of a backtest in batches as large as memory allows; see backtest.h.
#include <stdio.h>
#include <stdlib.h>

#include "backend.h"
#include "backtest_score.h"
#include "interrupt.h"
#include "model_input.h"
#include "progress.h"

#define HOST_BUDGET (UINT64_C(1) << 30)  // for devices that are the host
#define HOST_BATCH 8u                    // larger ones gain nothing there, and steps would take long
#define PATHS_BUDGET (UINT64_C(1) << 29) // of host memory for the paths of one call; there are two such buffers
#define SHORT_CALL 0.2                   // seconds

// Everything about forecasting one kind of windows: those of files with equally many variates.
typedef struct group {
    bt_run *run;
    size_t n_all;
    bt_job *jobs;
    size_t n_jobs;
    rp_forecaster *forecaster;
    float *levels;          // [quantiles] that the model gives; NULL: it samples paths
    uint32_t batch;
    bt_scoring scorings[2]; // one is judged while the other is forecast
    float *paths[2];
    size_t n_calls;     // made so far
    double last_call;   // seconds; 0: none yet
    bool times_repeats; // this group's first batch is the one that is repeated to learn how steady times are
} group;

typedef struct meter { // progress over all calls of the group
    progress bar;
    size_t done, total;
    bool wanted;
} meter;

// ---- sizes ----

static uint64_t budget_of(const bt_run *run) {
    const rp_device_info *device = &run->session->device_info;
    if (run->request->memory) { return run->request->memory; }
    if (device->kind != RP_DEVICE_GPU || device->memory_bytes == 0) { return HOST_BUDGET; }
    uint64_t most = device->memory_bytes / 10 * 8, weights = run->session->model_info.device_bytes; // others need some too
    return most > weights + device->memory_bytes / 10 ? most - weights : device->memory_bytes / 10;
}

static rp_forecaster_config sizes_of(const group *g, uint32_t batch) {
    const bt_request *r = g->run->request;
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = r->context;
    config.max_horizon = r->horizon;
    config.variates = session_is_bars(g->run->session) ? 0 : (uint32_t)g->n_all;
    config.max_batch = batch;
    config.max_paths = r->samples;
    config.block = r->block;
    return config;
}

// All paths, or quantiles, of all windows side by side, within the budget.
static bool fits(const group *g, uint32_t batch, uint64_t budget) {
    rp_forecaster_config config = sizes_of(g, batch);
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    const double paths = (double)batch * (double)g->n_all * config.max_horizon * bt_numbers(g->run) * sizeof(float);
    if (paths > (double)PATHS_BUDGET) { return false; }
    return rp_forecaster_query(g->run->session->model, &config, &info) == RP_OK && info.chunks == 1 &&
           info.device_bytes <= budget;
}

static uint32_t choose_batch(const group *g, uint64_t budget) {
    const uint32_t cap = g->run->session->device_info.kind == RP_DEVICE_GPU ? 65536 : HOST_BATCH, asked = g->run->request->batch;
    const uint32_t most = g->n_jobs < (asked ? asked : cap) ? (uint32_t)g->n_jobs : asked ? asked : cap;
    if (asked) { return most; }
    uint32_t low = 1, high = 1;
    while (high < most && fits(g, high, budget)) { low = high, high = high < most / 2 ? 2 * high : most; }
    if (fits(g, high, budget)) { low = high; }
    while (low + 1 < high) { // low fits, or is 1
        uint32_t middle = low + (high - low) / 2;
        if (fits(g, middle, budget)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Equal batches rather than full ones and a rest.
    const size_t n_batches = (g->n_jobs + low - 1) / low;
    return (uint32_t)((g->n_jobs + n_batches - 1) / n_batches);
}

static bool create(group *g) {
    bt_run *run = g->run;
    rp_status status;
    const uint64_t budget = budget_of(run);
    g->batch = choose_batch(g, budget);
    for (;;) {
        rp_forecaster_config config = sizes_of(g, g->batch);
        config.memory_bytes = budget;
        const uint64_t before = run->session->device->counters.recordings;
        status = rp_forecaster_create(run->session->model, &config, &g->forecaster);
        run->recordings += run->session->device->counters.recordings - before;
        if (status != RP_OUT_OF_MEMORY || g->batch == 1 || run->request->batch) { break; }
        g->batch = (g->batch + 1) / 2; // something else holds the memory that we counted on
    }
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    if (status == RP_OK) { status = rp_forecaster_copy_info(g->forecaster, &info); }
    if (status != RP_OK) {
        session_complain(run->session->device, status);
        return false;
    }
    if (info.device_bytes > run->forecaster_bytes) { run->forecaster_bytes = info.device_bytes; }
    if (g->batch > run->batch) { run->batch = g->batch; }
    const size_t each = g->n_all * (size_t)run->request->horizon;
    for (size_t i = 0; i < 2; i++) { g->paths[i] = take(g->batch * each, bt_numbers(run) * sizeof(float)); }
    return true;
}

// ---- one call ----

static int on_step(void *user, uint32_t done, uint32_t total) {
    meter *m = user;
    const double share = total ? (double)done / total : 0;
    if (m->wanted) { progress_step(&m->bar, (uint32_t)(1000 * ((double)m->done + share)), (uint32_t)(1000 * m->total)); }
    return interrupt_came();
}

static rp_forecast_config question(const group *g, size_t seed, meter *m) {
    const bt_request *r = g->run->request;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = r->horizon;
    config.paths = r->samples;
    config.exogenous = (uint32_t)r->future_columns.count;
    config.seed = r->seed + seed;
    config.temperature = (float)r->temperature;
    config.top_k = r->top_k;
    config.top_p = r->top_k ? 0 : (float)r->top_p;
    config.scaler_fallback_min_obs = r->fallback_min_obs;
    config.quantile_real_cap_k = (float)r->cap_k;
    config.quantile_levels = g->levels;
    config.n_quantiles = g->levels ? g->run->session->model_info.quantiles : 0;
    // With it the host waits between steps, which would slow short calls; those end soon enough by themselves.
    if (g->last_call == 0 || g->last_call > SHORT_CALL) { config.progress = on_step, config.progress_user = m; }
    return config;
}

// A series' place in the random stream follows from what it is, so no number depends on batches or on other files.
static uint32_t id_of(const bt_job *job) {
    const uint64_t digest = job->file->digest;
    return (uint32_t)(digest ^ digest >> 32) + (uint32_t)job->file->ends[job->window];
}

static rp_status forecast(group *g, const bt_job *jobs, size_t n, size_t seed, float *paths, meter *m, double *seconds) {
    const bt_request *r = g->run->request;
    const bool bars = session_is_bars(g->run->session);
    model_input *in = take(n, sizeof *in);
    rp_series *series = take(n, sizeof *series);
    rp_bars *bar_series = take(n, sizeof *bar_series);
    for (size_t i = 0; i < n; i++) {
        const bt_file *f = jobs[i].file;
        const model_rows rows = { f->values,  f->n_rows, f->n_all, bars ? 0 : f->n_all - f->n_variates, f->ends[jobs[i].window],
                                  r->context, r->horizon };
        if (bars) {
            model_input_bars(&rows, &f->time, &in[i], &bar_series[i]);
        } else {
            model_input_series(&rows, &in[i], &series[i]);
        }
        series[i].id = bar_series[i].id = id_of(&jobs[i]);
    }
    const rp_forecast_config config = question(g, seed, m);
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    *(g->levels ? &result.quantiles : &result.samples) = paths;
    const uint64_t recordings = g->run->session->device->counters.recordings;
    const double start = seconds_now();
    rp_status status = bars ? rp_forecast_bars(g->forecaster, bar_series, (uint32_t)n, &config, &result)
                            : rp_forecast(g->forecaster, series, (uint32_t)n, &config, &result);
    *seconds = seconds_now() - start;
    g->run->re_recordings += g->run->session->device->counters.recordings - recordings;
    g->last_call = *seconds;
    for (size_t i = 0; i < n; i++) { model_input_free(&in[i]); }
    free(in);
    free(series);
    free(bar_series);
    return status;
}

// The levels of the quantiles that the model gives; NULL: none.
static float *own_levels(const session *s) {
    const uint32_t n = s->model_info.quantiles;
    float *levels = n ? take(n, sizeof *levels) : NULL;
    for (uint32_t i = 0; i < n; i++) { levels[i] = (float)((i + 1) * session_tail(s)); }
    return levels;
}

// ---- batches ----

// Waits for what is being judged. The last seed of a batch completes its windows, and so perhaps files.
static bool judge_rest(group *g, bt_scoring *s, bool (*finished)(const bt_run *run, const bt_file *file)) {
    bool good = true;
    if (!s->busy) { return true; }
    bt_scoring_wait(s);
    for (size_t i = 0; i < s->n_jobs && good; i++) {
        bt_file *f = s->jobs[i].file;
        if (++f->done < f->n_windows * g->run->request->seeds || !bt_usable(f)) { continue; }
        f->finished = true;
        good = finished(g->run, f);
    }
    return good;
}

static void keep_time(group *g, const bt_job *jobs, size_t n, double seconds, bool repeat) {
    // The first call warms up; a rest of a batch takes longer for each window than a full one.
    if (g->n_calls++ == 0 || n < g->batch) { return; }
    bt_result_add_timing(&jobs[0].file->result, (timing){ 1e3 * seconds, (double)n, repeat });
}

static bool call(group *g, const bt_job *jobs, size_t n, size_t seed, float *paths, bool repeat, meter *m) {
    double seconds;
    rp_status status = interrupt_came() ? RP_CANCELLED : forecast(g, jobs, n, seed, paths, m, &seconds);
    if (status == RP_OK) {
        keep_time(g, jobs, n, seconds, repeat);
    } else if (!interrupt_came()) {
        session_complain(g->run->session->device, status);
    }
    return status == RP_OK;
}

static bool run_jobs(group *g, bool (*finished)(const bt_run *run, const bt_file *file)) {
    const bt_request *r = g->run->request;
    const size_t n_batches = (g->n_jobs + g->batch - 1) / g->batch;
    meter m = { .total = n_batches * r->seeds, .wanted = progress_is_wanted() };
    bool good = true;
    progress_start(&m.bar);
    for (size_t b = 0; b < n_batches && good; b++) {
        const bt_job *jobs = g->jobs + b * g->batch;
        const size_t left = g->n_jobs - b * g->batch, n = left < g->batch ? left : g->batch;
        const bool repeat = b == 0 && g->times_repeats;
        // Extra calls for the times alone come first, so that they are in the record of a file that this batch completes.
        for (size_t i = r->seeds; repeat && i < (size_t)r->repeats + 1 && good; i++) {
            good = call(g, jobs, n, 0, g->paths[0], true, &m);
        }
        for (size_t seed = 0; seed < r->seeds && good; seed++, m.done++) {
            bt_scoring *own = &g->scorings[m.done % 2], *other = &g->scorings[(m.done + 1) % 2];
            float *paths = g->paths[m.done % 2];
            good = call(g, jobs, n, seed, paths, repeat, &m);
            good = judge_rest(g, other, finished) && good;
            if (!good) { break; }
            *own = (bt_scoring){ .jobs = jobs,
                                 .n_jobs = n,
                                 .n_all = g->n_all,
                                 .horizon = r->horizon,
                                 .n_paths = bt_numbers(g->run),
                                 .tail = session_tail(g->run->session),
                                 .seed = seed,
                                 .paths = paths };
            bt_scoring_start(own);
        }
    }
    for (size_t i = 0; i < 2; i++) { good = judge_rest(g, &g->scorings[i], finished) && good; }
    progress_end(&m.bar);
    return good;
}

static bool is_open(const bt_file *f) { return bt_usable(f) && !f->finished; }

static bool run_group(bt_run *run, size_t n_all, bool times_repeats, bool (*finished)(const bt_run *run, const bt_file *file)) {
    group g = { .run = run, .n_all = n_all, .times_repeats = times_repeats };
    for (size_t i = 0; i < run->n_files; i++) {
        bt_file *f = &run->files[i];
        if (!is_open(f) || f->n_all != n_all) { continue; }
        g.jobs = take_again(g.jobs, g.n_jobs + f->n_windows, sizeof *g.jobs);
        for (size_t w = 0; w < f->n_windows; w++) { g.jobs[g.n_jobs++] = (bt_job){ f, w }; }
    }
    g.levels = own_levels(run->session);
    bool good = create(&g) && run_jobs(&g, finished);
    rp_forecaster_destroy(g.forecaster);
    free(g.levels);
    for (size_t i = 0; i < 2; i++) { free(g.paths[i]); }
    free(g.jobs);
    return good;
}

// The variates of the group with most to compute, whose first batch is repeated; 0 where records know how steady times are.
static size_t group_to_time(const bt_run *run) {
    size_t best = 0, best_work = 0;
    for (size_t i = 0; i < run->n_files; i++) {
        const bt_result *r = &run->files[i].result;
        size_t work = 0;
        for (size_t t = 0; t < r->n_timings; t++) {
            if (r->timings[t].repeat != 0) { return 0; }
        }
        for (size_t j = 0; j < run->n_files; j++) {
            const bt_file *f = &run->files[j];
            if (is_open(f) && f->n_all == run->files[i].n_all) { work += f->n_windows * f->n_all; }
        }
        if (work > best_work) { best_work = work, best = run->files[i].n_all; }
    }
    return best;
}

bool bt_run_all(bt_run *run, bool (*finished)(const bt_run *run, const bt_file *file)) {
    const size_t timed = group_to_time(run);
    for (size_t i = 0; i < run->n_files; i++) { // the first open file of a group starts all of it
        const size_t n_all = run->files[i].n_all;
        if (!is_open(&run->files[i])) { continue; }
        if (interrupt_came() || !run_group(run, n_all, n_all == timed, finished)) { return false; }
    }
    return true;
}
