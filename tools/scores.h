// How far a forecast was from what happened, beside two forecasts that anyone can make.
#ifndef TOOLS_SCORES_H
#define TOOLS_SCORES_H

#include "outcome.h"

enum { N_INTERVALS = 3 };
extern const int interval_percent[N_INTERVALS];   // 50, 80, 90
double interval_tail(size_t i);                   // 0.25, 0.1, 0.05: the level of its lower end

typedef struct scores {
    size_t n;                        // held-out values that are not missing
    double mae;                      // of the median; in mean mode of the mean
    double mape;                     // percent, over values that are not 0; NAN if there are none
    size_t n_zero;                   // values left out of it
    double mase;                     // mae / mean |y[t] - y[t - season]| before the forecast; NAN if that is 0 or unknown
    double seasonal_mae, last_mae;   // of repeating the last season, and the last value; without a season NAN, as mase
    double inside[N_INTERVALS];      // percent of the values inside each interval; NAN where the forecast has none
} scores;

// False if nothing of this variate was held out.
bool scores_compute(const outcome *o, size_t variate, scores *out);

#endif
