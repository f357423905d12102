// reprise soak: the same forecast for a long time. Each result must equal the first bit for bit, and after a while to warm up
// nothing may grow: not the process, not what is held on the device.
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "command.h"
#include "draft.h"
#include "family.h"
#include "interrupt.h"
#include "options.h"
#include "platform.h"
#include "session.h"

#define WARM_SECONDS 60.0        // at most: by then drivers and libraries have filled their own caches
#define DEFAULT_PATHS 16u
#define SAMPLE_SECONDS 0.05      // memory is looked at no more often: looking costs, too

typedef struct request {
    const char *model, *tokenizer, *device, *precision, *json;
    double minutes;
    uint32_t forecasts, context, horizon, variates, samples, block;
} request;

// ---- what is forecast ----

typedef struct work {
    rp_forecaster *forecaster;
    rp_series series;
    rp_bars bars;
    bool is_bars;
    rp_forecast_config config;
    rp_forecast_result result;
    float *values, *first, *out; // [V, T] of input; the first result, the latest: paths, or the quantiles that the model gives
    float *levels;               // of these
    int64_t *times;
    size_t n;                    // numbers of a result
} work;

// A random walk for each variate; bars keep high and low outermost.
static void fill(const request *r, work *w) {
    uint32_t state = 12345;
    const size_t T = r->context;
    for (size_t i = 0; i < r->variates * T; i++) {
        state = state * 1664525u + 1013904223u;
        w->values[i] = (i % T ? w->values[i - 1] : 100) + (float)(state >> 8) / 8388608.0f - 1;
    }
    for (size_t t = 0; t < T; t++) { w->times[t] = 1718000000 + 300 * (int64_t)t; }
    w->series = (rp_series){ .struct_size = sizeof w->series, .values = w->values, .context = r->context };
    const float *v = w->values;
    w->bars = (rp_bars){ .struct_size = sizeof w->bars, .open = v, .high = v, .low = v, .close = v, .times = w->times, .context = r->context };
}

static rp_status work_create(const request *r, const session *s, work *w) {
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    *w = (work){ .is_bars = session_is_bars(s), .config = RP_FORECAST_CONFIG_INIT, .result = RP_FORECAST_RESULT_INIT };
    w->values = take((size_t)r->variates * r->context, sizeof *w->values);
    w->times = take(r->context, sizeof *w->times);
    const uint32_t quantiles = s->model_info.quantiles, samples = quantiles ? 0 : r->samples ? r->samples : DEFAULT_PATHS;
    w->n = (size_t)(w->is_bars ? 6 : r->variates) * r->horizon * (quantiles ? quantiles : samples);
    w->out = take(w->n, sizeof *w->out);
    w->first = take(w->n, sizeof *w->first);
    w->levels = take(quantiles, sizeof *w->levels);
    for (uint32_t i = 0; i < quantiles; i++) { w->levels[i] = (float)((i + 1) * session_tail(s)); }
    *(quantiles ? &w->result.quantiles : &w->result.samples) = w->out;
    fill(r, w);
    w->config.horizon = r->horizon, w->config.paths = samples, w->config.seed = 1;
    w->config.quantile_levels = w->levels, w->config.n_quantiles = quantiles;
    w->config.progress = interrupt_step;
    sizes.max_context = r->context, sizes.max_horizon = r->horizon, sizes.max_paths = samples, sizes.block = r->block;
    sizes.variates = w->is_bars ? 0 : r->variates;
    return rp_forecaster_create(s->model, &sizes, &w->forecaster);
}

static void work_destroy(work *w) {
    rp_forecaster_destroy(w->forecaster);
    free(w->values), free(w->times), free(w->first), free(w->out), free(w->levels);
}

static rp_status forecast(work *w) {
    return w->is_bars ? rp_forecast_bars(w->forecaster, &w->bars, 1, &w->config, &w->result)
                      : rp_forecast(w->forecaster, &w->series, 1, &w->config, &w->result);
}

// ---- what is watched ----

// The time after warming up is cut into parts. A driver's threads hold a few hundred bytes for moments, so of each part the least
// counts: what leaks raises that, to the byte.
enum { N_PARTS = 10 };
typedef enum quantity { RESIDENT, HEAP, BUFFERS, TAKEN, N_QUANTITIES } quantity;
static const struct { const char *name, *key; } quantities[N_QUANTITIES] = {
    { "process, its own pages", "resident_bytes" },
    { "process, from malloc", "heap_bytes" },
    { "buffers on the device", "buffer_bytes" },
    { "device memory in use", "device_bytes" },   // whoever uses it; 0: the backend cannot tell
};

typedef struct watch {
    uint64_t least[N_PARTS][N_QUANTITIES], looks[N_PARTS], recordings;
    uint64_t forecasts, different, n_looks;
    int first, last;             // parts that were looked at
    double seconds, warm_seconds;
    bool interrupted;
} watch;

static rp_status look(rp_device *device, watch *w, int part) {
    const rp_memory_use use = rp_memory_used();
    uint64_t now[N_QUANTITIES] = { use.resident_bytes, use.heap_bytes, device->counters.buffer_bytes, 0 }, left = 0;
    if (device->backend->memory) { RP_RETURN(device->backend->memory(device, &left)); }
    if (left > 0 && left < device->info.memory_bytes) { now[TAKEN] = device->info.memory_bytes - left; }
    for (int i = 0; i < N_QUANTITIES; i++) {
        uint64_t *least = &w->least[part][i];
        if (w->looks[part] == 0 || now[i] < *least) { *least = now[i]; }
    }
    w->looks[part]++;
    if (w->n_looks++ == 0) { w->recordings = device->counters.recordings, w->first = part; }
    w->last = part;
    return RP_OK;
}

// How much more there was at the end than when it was warm; what other programs take on the device counts, too.
static int64_t grown(const watch *w, int i) { return (int64_t)(w->least[w->last][i] - w->least[w->first][i]); }

// The first n quantities.
static bool flat(const watch *w, int n) {
    bool good = w->last > w->first;
    for (int i = 0; i < n; i++) { good = good && grown(w, i) <= 0; }
    return good;
}

// Until the minutes are over or the forecasts are made; warm after a third of that, or a minute.
static rp_status run(const request *r, rp_device *device, work *job, watch *w) {
    const double start = seconds_now(), limit = r->minutes * 60;
    double looked = 0, warm_at = 0;
    for (;;) {
        w->seconds = seconds_now() - start;
        if (r->forecasts ? w->forecasts >= r->forecasts : w->seconds >= limit) { return RP_OK; }
        rp_status status = forecast(job);
        if (status == RP_CANCELLED && interrupt_came()) {
            w->interrupted = true;
            return RP_OK;
        }
        RP_RETURN(status);
        if (w->forecasts++ == 0) { memcpy(job->first, job->out, job->n * sizeof *job->first); }
        w->different += memcmp(job->first, job->out, job->n * sizeof *job->first) != 0;
        const double now = seconds_now(), spent = now - start;
        const double done = r->forecasts ? (double)w->forecasts / r->forecasts : spent / limit;
        if (warm_at <= 0) {
            if (done < 1.0 / 3 && spent < WARM_SECONDS) { continue; }
            warm_at = done;
            w->warm_seconds = spent;
        }
        const int part = warm_at < 1 ? (int)((done - warm_at) / (1 - warm_at) * N_PARTS) : 0, of = part < N_PARTS ? part : N_PARTS - 1;
        if (now - looked < SAMPLE_SECONDS && w->looks[of] > 0) { continue; }
        RP_RETURN(look(device, w, of));
        looked = now;
    }
}

// ---- what is said ----

static bool write_json(const request *r, const session *s, const watch *w, bool good, message *error) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "model", r->model);
    cJSON_AddStringToObject(json, "device", s->device_info.spec);
    cJSON_AddStringToObject(json, "device_name", s->device_info.name);
    cJSON_AddStringToObject(json, "precision", precision_name(s->model_info.precision));
    cJSON_AddNumberToObject(json, "seconds", w->seconds);
    cJSON_AddNumberToObject(json, "warm_seconds", w->warm_seconds);
    cJSON_AddNumberToObject(json, "forecasts", (double)w->forecasts);
    cJSON_AddNumberToObject(json, "different", (double)w->different);
    cJSON_AddNumberToObject(json, "looks_at_memory", (double)w->n_looks);
    cJSON_AddNumberToObject(json, "recordings", (double)s->device->counters.recordings);
    cJSON_AddNumberToObject(json, "replays", (double)s->device->counters.replays);
    for (int i = 0; i < N_QUANTITIES; i++) {
        cJSON *of = cJSON_AddObjectToObject(json, quantities[i].key);
        cJSON_AddNumberToObject(of, "warm", (double)w->least[w->first][i]);
        cJSON_AddNumberToObject(of, "end", (double)w->least[w->last][i]);
        cJSON_AddNumberToObject(of, "grown", (double)grown(w, i));
    }
    cJSON_AddBoolToObject(json, "interrupted", w->interrupted);
    cJSON_AddBoolToObject(json, "good", good);
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    const bool written = text ? draft_text(r->json, text, error) : message_set(error, "%s: memory ran out while writing JSON", r->json);
    cJSON_free(text);
    return written;
}

static void print(const session *s, const watch *w) {
    printf("forecasts  %" PRIu64 " in %.1f s, %" PRIu64 " of them different from the first\n", w->forecasts, w->seconds, w->different);
    printf("replays    %" PRIu64 " of %" PRIu64 " recordings\n", s->device->counters.replays, s->device->counters.recordings);
    if (w->n_looks == 0) { return; }
    printf("memory     looked at %" PRIu64 " times from second %.1f on; the least in the first and in the last of %d parts\n%-26s%16s%16s%12s\n",
           w->n_looks, w->warm_seconds, N_PARTS, "", "warm", "at the end", "grown by");
    for (int i = 0; i < N_QUANTITIES; i++) {
        if (w->least[w->last][i] == 0) { continue; }
        printf("%-26s%16" PRIu64 "%16" PRIu64 "%12" PRId64 "\n", quantities[i].name, w->least[w->first][i], w->least[w->last][i], grown(w, i));
    }
}

static const char *verdict(const watch *w, bool good) {
    if (good) { return "all is well"; }
    if (w->different) { return "results differ"; }
    if (w->last <= w->first) { return "too short to tell whether memory grows"; }
    if (flat(w, N_QUANTITIES)) { return "recordings are made anew"; }
    return flat(w, TAKEN) ? "memory in use on the device grows; it is that of all programs: leave the device to this one to tell" : "memory grows";
}

// -1 when it can be done, else the exit code.
static int read_request(int argc, char **argv, request *r) {
    const option options[] = {
        { "model", OPTION_TEXT, &r->model, "DIR", "the model's folder", NULL, true },
        ROW_TOKENIZER(&r->tokenizer),
        { "device", OPTION_TEXT, &r->device, "D", "auto, cuda, cuda:N, vulkan, vulkan:N or ref; default auto", NULL, false },
        { "precision", OPTION_CHOICE, &r->precision, "P", "f32, mixed or auto", PRECISION_CHOICES, false },
        { "minutes", OPTION_NUMBER, &r->minutes, "N", "how long; default 3", NULL, false },
        { "forecasts", OPTION_COUNT, &r->forecasts, "N", "so many forecasts, however long they take", NULL, false },
        { "context", OPTION_COUNT, &r->context, "N", "time steps; default 256", NULL, false },
        { "horizon", OPTION_COUNT, &r->horizon, "H", "default 32", NULL, false },
        { "variates", OPTION_COUNT, &r->variates, "V", "Toto; default 2", NULL, false },
        { "samples", OPTION_COUNT, &r->samples, "S", "sample paths; default 16; of Toto 2.0 there are none", NULL, false },
        { "block", OPTION_COUNT, &r->block, "N", "Toto 2.0: rows predicted in one pass; default: the whole horizon", NULL, false },
        { "json", OPTION_TEXT, &r->json, "FILE", "the report as JSON too", NULL, false },
    };
    const option_set set = { "soak", "--model DIR [options]",
                             "Repeats one forecast for a long time. Exits 1 unless every result equals the first bit for bit and, after a\n"
                             "minute (of a short run: its first third), nothing grows by a byte: the process, its buffers on the device,\n"
                             "the device's memory.\n",
                             "  reprise soak --model models/demo-toto --minutes 3\n", options, sizeof options / sizeof *options };
    const int result = options_parse(&set, argc, argv, NULL, 0, NULL);
    if (result >= 0) { return result; }
    if (r->minutes > 0 && r->forecasts) { return options_misused("soak", "--minutes and --forecasts do not go together"); }
    if (r->minutes <= 0) { r->minutes = 3; }
    return -1;
}

int command_soak(int argc, char **argv) {
    request r = { .context = 256, .horizon = 32, .variates = 2 };
    session s;
    work job;
    watch w = { 0 };
    message error;
    int result = read_request(argc, argv, &r);
    if (result >= 0) { return result; }
    interrupt_install();
    if (!session_open_pair(r.device, r.precision, r.model, r.tokenizer, &s)) { return EXIT_FAILED; }
    printf("%s on %s (%s)\n", r.model, s.device_info.spec, s.device_info.name);
    fflush(stdout);   // whoever waits minutes wants to see that it has begun
    rp_status status = work_create(&r, &s, &job);
    if (status == RP_OK) { status = run(&r, s.device, &job, &w); }
    if (status != RP_OK) { session_complain(s.device, status); }
    const bool good = status == RP_OK && w.different == 0 && w.forecasts > 0 && flat(&w, N_QUANTITIES) && s.device->counters.recordings == w.recordings;
    print(&s, &w);
    if (w.interrupted) { note("stopped by %s", interrupt_name()); }
    else if (status == RP_OK) { printf("%s\n", verdict(&w, good)); }
    result = good ? EXIT_DONE : EXIT_FAILED;
    if (r.json && !write_json(&r, &s, &w, good, &error)) {
        complain("%s", error.text);
        result = EXIT_FAILED;
    }
    work_destroy(&job);
    session_close(&s);
    return w.interrupted ? interrupt_exit(result) : result;
}
