// What the parts of `reprise backtest` share. backtest.c asks and reports; backtest_files.c reads files and places windows;
// backtest_run.c forecasts them in batches; backtest_record.c keeps finished files; baseline.c and report_*.c use the results.
#ifndef TOOLS_BACKTEST_H
#define TOOLS_BACKTEST_H

#include "metrics.h"
#include "options.h"
#include "session.h"
#include "timeline.h"

enum { EXIT_WORSE = 2, EXIT_SKIPPED = 3 };   // worse than the baseline; a file could not be used

typedef struct bt_request {
    const char *model, *tokenizer, *time_column, *device, *precision, *baseline, *save_baseline, *report, *results;
    name_list inputs, columns, future_columns;
    uint32_t context, horizon, step, windows, season, batch, repeats;
    uint32_t samples, seeds;                   // of a model that gives quantiles: 0 and 1
    uint64_t seed, memory;
    double temperature, top_p;                 // 0: not given, as top_k and what is below
    uint32_t top_k, block, fallback_min_obs;
    double cap_k;
    double accuracy_tolerance, coverage_tolerance, speed_tolerance;   // percent, points, percent
    bool fresh;
} bt_request;

// One call of rp_forecast: how long it took for how many windows. First calls of a forecaster are warm-up and not kept.
typedef struct timing {
    double ms;
    double windows;
    double repeat;                 // 1: of the same windows as others that are so marked
} timing;

// The quantiles that pictures are drawn of: the median and the ends of the 50, 80 and 90 % intervals.
enum { PICTURE_LEVELS = 7, PICTURE_MEDIAN = 3, MAX_PICTURES = 6 };
extern const double picture_levels[PICTURE_LEVELS];

// All that is known of a file once it is forecast: what a record keeps.
typedef struct bt_result {
    size_t n_seeds, n_variates, horizon;
    size_t n_windows;
    tally *tallies;                // [n_seeds, n_variates]
    step_tally *steps;             // [n_seeds, horizon], over all variates
    timing *timings;               // [n_timings] of calls that began with a window of this file
    size_t n_timings;
    size_t n_pictures;             // windows that do not overlap, the latest ones, of the first seed
    size_t picture_ends[MAX_PICTURES];
    float *pictures;               // [n_pictures, n_variates, PICTURE_LEVELS, horizon]
} bt_result;

bt_result bt_result_make(size_t n_seeds, size_t n_variates, size_t horizon);
void bt_result_free(bt_result *r);
void bt_result_add_timing(bt_result *r, timing t);
// Over seeds and variates; `variate` or `seed` SIZE_MAX: all of them.
tally bt_result_tally(const bt_result *r, size_t seed, size_t variate);

typedef struct bt_file {
    const char *path;              // as it was given
    const char *name;              // without the folder, where no other file is called so; points into path
    uint64_t digest;               // of its cells
    timeline time;
    size_t n_rows, n_all, n_variates;   // those with known futures last
    char **names;                  // [n_all]
    double *values;                // [n_all, n_rows], NAN = missing
    double *scales;                // [n_variates, n_rows + 1], of MASE
    size_t season;
    size_t *ends;                  // [n_windows], rising: rows before each window's forecast
    size_t n_windows, n_unusable;  // windows passed over, for want of values
    size_t done;                   // (window, seed) pairs judged
    bool finished, from_record;
    message problem;               // "": none; else the file is skipped
    bt_result result;
} bt_file;

// Reads the file and places its windows. False: file->problem says why it is skipped.
bool bt_file_load(const bt_request *r, bool bars, const char *path, bt_file *out);
void bt_file_free(bt_file *file);

// Numbers of a whole run.
typedef struct bt_run {
    const bt_request *request;
    session *session;
    bt_file *files;
    size_t n_files;
    uint64_t model_digest;
    uint32_t batch;                // the largest that was used; 0: nothing was forecast
    uint64_t forecaster_bytes;     // the largest forecaster's
    uint64_t recordings, re_recordings;   // made by creating forecasters; made while forecasting
} bt_run;

// Numbers that are forecast of each value: paths, or the model's quantiles.
static inline uint32_t bt_numbers(const bt_run *run) {
    return run->request->samples ? run->request->samples : run->session->model_info.quantiles;
}

// Forecasts every file that is neither finished nor skipped. False after complaining; what was finished stays so.
// `finished` is called for each file as soon as it is; false from it ends the run.
bool bt_run_all(bt_run *run, bool (*finished)(const bt_run *run, const bt_file *file));

// Over finished files.
typedef struct bt_summary {
    size_t n_finished, n_skipped, n_windows, n_unusable;
    tally total;
    double mae_deviation;          // of the MAE over seeds; NAN with one seed
    double ms_per_window, time_spread;   // median; standard deviation / mean over repeats of one batch; NAN if unknown
    size_t n_repeats;
    double timed_batch;            // windows in each of these repeats
    double calls;                  // timed calls
} bt_summary;

bt_summary bt_summarise(const bt_run *run);
double bt_mae_deviation(const bt_result *r, size_t variate);   // of one file; SIZE_MAX: of all its variates
bool bt_usable(const bt_file *file);           // no problem was found

void bt_print(const bt_run *run, const bt_summary *s);

#endif
