// The charts of a backtest's page; each is a <figure> with its caption and legend.
#ifndef TOOLS_REPORT_CHARTS_H
#define TOOLS_REPORT_CHARTS_H

#include <stdio.h>

#include "backtest.h"

// Quantiles of windows that do not overlap, on what happened: one variate of one file.
void figure_fans(FILE *out, const bt_file *f, size_t variate, size_t context, unsigned id);

// The error at each step of the horizon beside both naive forecasts: scaled as in MASE, or plain where nothing has a scale.
void figure_steps(FILE *out, const step_tally *steps, size_t horizon, unsigned id);

// The share of values at or below each quantile: of one file; or, where it is NULL, of all, and each alone as a thin line.
void figure_calibration(FILE *out, const bt_run *run, const bt_file *file, unsigned id);

// How many calls took how long for each window.
void figure_times(FILE *out, const bt_run *run, unsigned id);

// Steps of one file, or of all finished ones if it is NULL; [horizon], the caller's.
step_tally *steps_of(const bt_run *run, const bt_file *file);

#endif
