// What the files of `reprise bench` share: rows, a model opened for them, and the figures of a row.
#ifndef TOOLS_BENCH_H
#define TOOLS_BENCH_H

#include "bench_weights.h"
#include "family.h"
#include "session.h"

enum { BENCH_MAX_PLANS = 16, BENCH_MAX_BATCH = 64 };

// One forecast of the speed table.
typedef struct bench_row {
    const char *name, *model;                                   // "T1", "toto-base"
    uint32_t variates, batch, context, horizon, paths;          // paths 0: the model's forecast has none
    bool small;                                                 // only run where it is named
} bench_row;

typedef struct bench_options {
    const char *device, *precision, *folder, *keep;             // --model and --weights; NULL where not given
    uint32_t repeat;                                            // 0: 20, and 5 where a forecast takes more than a second
    bool ops, check;
} bench_options;

// ---- figures ----

// One kernel of a graph with one set of parameters; `count` launches, which differ in what they read and write.
typedef struct bench_op {
    char label[48], kernel[48];
    uint32_t count;
    double us;                                                  // of one launch
    rp_cost cost;                                               // of one launch
} bench_op;

typedef struct bench_graph {
    char name[32];
    uint32_t nodes, replays;                                    // replays in one forecast
    rp_cost cost;                                               // of one replay
    double record_ms;
    double replay_us;                                           // with --ops, as all below: one replay, as the host sees it
    bench_op *ops;                                              // by their share of the time
    size_t n_ops;
    double ops_us;                                              // sum of all launches
} bench_graph;

typedef struct bench_times { uint32_t n; double median, min, max, mean, sigma; } bench_times;   // ms; sigma of the sample

typedef struct bench_result {
    const bench_row *row;
    double create_ms, first_ms;
    bench_times ms;
    uint64_t forecaster_bytes, peak_bytes;                      // on the device; the peak with the weights, from create on
    uint64_t recordings, rerecordings, allocations;             // by create; after the first forecast; of buffers, after create
    rp_cost cost;                                               // of all replays of one forecast
    bool checked;                                               // with --check: compared with ref
    double error, bound;                                        // in standard deviations of the series; bound 0: none is known
    bench_graph graphs[BENCH_MAX_PLANS];
    uint32_t n_graphs;
} bench_result;

// What the device does at its best with the library's own kernels.
typedef struct bench_rates { double copy_bytes_per_s, matrix_flops_per_s; } bench_rates;

typedef struct bench_model {
    const published_model *published;
    session session;
    session reference;                                          // with --check, on ref; device NULL: none
    double open_ms, load_ms, make_ms;                           // device; model; writing the weights, which is no part of a forecast
    uint64_t load_peak_bytes;
    bench_rates rates;                                          // measured after the first row
    bench_result *results;
    size_t n_results;
} bench_model;

// From an open program to a row's first forecast, if the row is the first of its process: kernels and driver are cold only then.
static inline double bench_to_first_ms(const bench_model *m, const bench_result *r) {
    return m->open_ms + m->load_ms + r->create_ms + r->first_ms;
}

// ---- bench_run.c: one row ----

// One forecast of a row; the inputs are made once, outside of what is timed.
typedef struct bench_job {
    const bench_row *row;
    rp_forecaster *forecaster;
    bool bars;
    rp_series series[BENCH_MAX_BATCH];
    rp_bars bar_series[BENCH_MAX_BATCH];
    rp_forecast_config config;
    rp_forecast_result result;
    float *values;            // [batch, variates, context]
    int64_t *times;           // [context]
    float *out;               // what result points at
    size_t out_count;
} bench_job;

// With a context and a horizon of their own: the row's, or shorter ones. mean: without chance, the mean is the result.
void bench_job_make(bench_job *job, const bench_row *row, const published_model *model, uint32_t context, uint32_t horizon, bool mean);
void bench_job_free(bench_job *job);                            // not the forecaster
rp_status bench_job_run(bench_job *job);

// Creates, checks, times, and with --ops takes apart; prints the figures. False after printing why, with nothing in *out.
bool bench_run(bench_model *model, const bench_row *row, const bench_options *options, bench_result *out);
void bench_result_free(bench_result *result);

// ---- bench_check.c: a short forecast on the row's forecaster against the reference device ----

bool bench_check(bench_model *model, const bench_row *row, rp_forecaster *forecaster, bench_result *out);

// ---- bench_rates.c, bench_ops.c ----

rp_status bench_rates_measure(rp_device *device, rp_precision precision, bench_rates *out);
// Fills graphs[i].ops of every graph that a forecast replays; the step block is where a forecast left it.
rp_status bench_ops_measure(rp_forecaster *forecaster, bench_result *out);
// Seconds of one recording of these launches, each after the one before, without the host's share. Repeats what is short.
rp_status bench_time_launches(rp_device *device, const rp_launch *const *launches, uint32_t n, double *seconds_of_one);

// ---- bench_print.c, bench_json.c ----

void bench_print_model(const bench_model *model);
void bench_print_row(const bench_model *model, const bench_result *result);
bool bench_json_write(const char *path, const bench_model *models, size_t n, message *error);

#endif
