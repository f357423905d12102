// Errors of a forecast; see scores.h.
#include "scores.h"

#include <math.h>

#include "naive.h"

const int interval_percent[N_INTERVALS] = { 50, 80, 90 };

double interval_tail(size_t i) { return (100 - interval_percent[i]) / 200.0; }

bool scores_compute(const outcome *o, size_t variate, scores *out) {
    const double *history = o->values + variate * o->n_rows;
    double error = 0, relative = 0, seasonal = 0, last = 0, before = naive_last(history, o->end);
    size_t inside[N_INTERVALS] = { 0 };
    *out = (scores){ 0 };
    for (size_t step = 0; step < outcome_n_known(o); step++) {
        double actual = outcome_actual(o, variate, step);
        if (isnan(actual)) { continue; }
        double miss = fabs((double)outcome_point(o, variate, step) - actual);
        out->n++;
        error += miss;
        if (actual != 0) {
            relative += miss / fabs(actual);
        } else {
            out->n_zero++;
        }
        if (o->season) { seasonal += fabs(naive_seasonal(history, o->end, o->season, step) - actual); }
        last += fabs(before - actual);
        for (size_t i = 0; i < N_INTERVALS; i++) {
            double tail = interval_tail(i);
            if (!outcome_has_interval(o, tail)) { continue; }
            double low = (double)outcome_quantile(o, outcome_level(o, tail), variate, step);
            double high = (double)outcome_quantile(o, outcome_level(o, 1 - tail), variate, step);
            inside[i] += low <= actual && actual <= high;
        }
    }
    if (out->n == 0) { return false; }
    double n = (double)out->n, scale = o->season ? naive_scale(history, o->end, o->season) : NAN;
    out->mae = error / n;
    out->mape = out->n > out->n_zero ? 100 * relative / (double)(out->n - out->n_zero) : NAN;
    out->mase = scale > 0 ? out->mae / scale : NAN;
    out->seasonal_mae = o->season ? seasonal / n : NAN;
    out->last_mae = last / n;
    for (size_t i = 0; i < N_INTERVALS; i++) { out->inside[i] = outcome_has_interval(o, interval_tail(i)) ? 100 * (double)inside[i] / n : NAN; }
    return true;
}
