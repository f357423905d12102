// What a forecast's errors come to: sums over judged values, which add up over steps, windows, variates, seeds and files, and
// the measures made of them. docs/backtest.md defines each; everything is float64.
#ifndef TOOLS_METRICS_H
#define TOOLS_METRICS_H

#include "common.h"

enum { N_DECILES = 9, N_LEVELS = 19, N_FANS = 3 };   // pinball at 0.1 to 0.9; calibration at 0.05 to 0.95; intervals

// Sums over the values that were judged: all are doubles, counts too, so that tallies add and travel as plain numbers.
typedef struct tally {
    double n;                            // judged: actual values that are not missing
    double error;                        // |median - actual|
    double n_relative, relative;         // |median - actual| / |actual|, where the actual is not 0
    double symmetric;                    // 2 |median - actual| / (|median| + |actual|), 0 where both are 0
    double n_scaled, scaled;             // |median - actual| / scale, where the scale is above 0; as the next two
    double scaled_seasonal, scaled_last; // the same of seasonal naive and of the last value
    double seasonal, last;               // |naive - actual|
    double crps;
    double pinball[N_DECILES];           // sums of the loss at each decile
    double n_inside[N_FANS], inside[N_FANS];     // values within the 50, 80 and 90 % intervals, of those that had the interval
    double n_below[N_LEVELS], below[N_LEVELS];   // values at or below the quantile of each calibration level, the same way
} tally;
enum { TALLY_NUMBERS = sizeof(tally) / sizeof(double) };

// One step of the horizon, for the curve of errors.
typedef struct step_tally {
    double n, error, seasonal, last;
    double n_scaled, scaled, scaled_seasonal, scaled_last;
} step_tally;
enum { STEP_NUMBERS = sizeof(step_tally) / sizeof(double) };

// What one actual value is judged with.
typedef struct judged {
    const float *paths;                  // [n_paths], rising; or, with a tail, quantiles that the model gives
    size_t n_paths;
    double tail;                         // 0: paths. Else the quantiles' levels run evenly from tail to 1 - tail
    double actual;                       // not NAN
    double seasonal, last;               // the naive forecasts
    double scale;                        // of MASE; NAN or 0: none
} judged;

void tally_value(tally *t, step_tally *s, const judged *j);
void tally_add(tally *to, const tally *from);
void step_tally_add(step_tally *to, const step_tally *from);

double pinball_loss(double level, double forecast, double actual);
// Quantile of rising numbers, linear between order statistics, as the library's own results are.
double sorted_quantile(const float *sorted, size_t n, double level);
// The same of n quantiles whose levels run evenly from tail to 1 - tail; NAN beyond them. A tail of 0: of paths.
double given_quantile(const float *sorted, size_t n, double tail, double level);
// The integral of (F(x) - [x >= actual])^2, F being the paths' empirical distribution.
double sorted_crps(const float *sorted, size_t n, double actual);
// What n quantiles tell of it: twice their mean pinball loss.
double quantile_crps(const float *sorted, size_t n, double tail, double actual);

// Sorts n floats, none of them NAN, with room for as many in `spare`. False if one is not finite.
bool sort_paths(float *paths, float *spare, size_t n);

// ---- measures ----

typedef enum measure {
    MEASURE_MAE, MEASURE_SEASONAL_MAE, MEASURE_LAST_MAE, MEASURE_MAPE, MEASURE_SMAPE, MEASURE_MASE, MEASURE_SEASONAL_MASE,
    MEASURE_LAST_MASE, MEASURE_CRPS, MEASURE_PINBALL, MEASURE_IN_50, MEASURE_IN_80, MEASURE_IN_90, N_MEASURES
} measure;

typedef enum measure_kind {
    KIND_ERROR,        // less is better
    KIND_COVERAGE,     // percent; nearer to `nominal` is better
    KIND_BESIDE        // of a naive forecast: says nothing about the model
} measure_kind;

typedef struct measure_info {
    const char *key;           // in JSON
    const char *title;         // in tables
    measure_kind kind;
    double nominal;            // percent
    bool percent;
} measure_info;

extern const measure_info measures[N_MEASURES];

// NAN where no value allows for it.
double tally_measure(const tally *t, measure which);

double calibration_level(size_t i);                       // 0.05 to 0.95
double decile_level(size_t i);                            // 0.1 to 0.9

// ---- spread ----

double mean_of(const double *values, size_t n);           // NAN of none
double deviation_of(const double *values, size_t n);      // sample standard deviation, n - 1; NAN of fewer than two
double median_of(const double *values, size_t n);         // NAN of none

#endif
