// Judging forecasts of windows while the device makes the next ones.
#ifndef TOOLS_BACKTEST_SCORE_H
#define TOOLS_BACKTEST_SCORE_H

#include <pthread.h>

#include "backtest.h"

// One window to be forecast.
typedef struct bt_job {
    bt_file *file;
    size_t window;
} bt_job;

// What one call of rp_forecast gave, and the thread that judges it.
typedef struct bt_scoring {
    const bt_job *jobs;            // [n_jobs]
    size_t n_jobs, n_all, horizon, n_paths, seed;   // seed: its index
    double tail;                   // 0: paths; else n_paths quantiles, as in judged
    float *paths;                  // [n_jobs, n_all, horizon, n_paths]; sorted by the judging. Quantiles: [n_paths, n_jobs, n_all, horizon]
    pthread_t thread;
    bool threaded, busy;
} bt_scoring;

// Judges a call: fills in the results of the jobs' files. A forecast that is not finite becomes its file's problem. No other
// judging may be under way.
void bt_score(const bt_scoring *s);

// The same on a thread of its own; on this one where none can be had.
void bt_scoring_start(bt_scoring *s);
void bt_scoring_wait(bt_scoring *s);   // nothing to do if it is not busy

#endif
