// The two forecasts that anyone can make, and the scale of MASE: what a forecast's error is held against.
#ifndef TOOLS_NAIVE_H
#define TOOLS_NAIVE_H

#include "common.h"

// All take one column from its first row, NAN = missing; `end` is the number of rows before the forecast.

// The latest value that is not missing, or NAN.
double naive_last(const double *history, size_t end);

// For step `step` from 0: the value of the latest season before the forecast; if it is missing, of the one before, and so on;
// if all are, the last value.
double naive_seasonal(const double *history, size_t end, size_t season, size_t step);

// mean |y[t] - y[t - season]| over the pairs of rows before `end` of which neither is missing; NAN without such a pair.
double naive_scale(const double *history, size_t end, size_t season);

// The scale for every end at once: out is [n_rows + 1], out[end] as naive_scale has it.
void naive_scales(const double *history, size_t n_rows, size_t season, double *out);

#endif
