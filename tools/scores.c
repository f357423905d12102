// Errors of a forecast; see scores.h.
#include "scores.h"

#include <math.h>

const int interval_percent[N_INTERVALS] = { 50, 80, 90 };

double interval_tail(size_t i) { return (100 - interval_percent[i]) / 200.0; }

static double last_value(const double *history, size_t end) {
    for (size_t row = end; row > 0; row--) {
        if (!isnan(history[row - 1])) { return history[row - 1]; }
    }
    return NAN;
}

// The value of the latest season before the forecast; if it is missing, of the one before, and so on.
static double seasonal_value(const double *history, size_t end, size_t season, size_t step) {
    for (size_t back = season - step % season; back <= end; back += season) {
        if (!isnan(history[end - back])) { return history[end - back]; }
    }
    return last_value(history, end);
}

static double seasonal_scale(const double *history, size_t end, size_t season) {
    double sum = 0;
    size_t count = 0;
    for (size_t row = season; row < end; row++) {
        double change = fabs(history[row] - history[row - season]);
        if (!isnan(change)) { sum += change, count++; }
    }
    return count ? sum / (double)count : NAN;
}

bool scores_compute(const outcome *o, size_t variate, scores *out) {
    const double *history = o->values + variate * o->n_rows;
    double error = 0, relative = 0, seasonal = 0, last = 0, before = last_value(history, o->end);
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
        if (o->season) { seasonal += fabs(seasonal_value(history, o->end, o->season, step) - actual); }
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
    double n = (double)out->n, scale = o->season ? seasonal_scale(history, o->end, o->season) : NAN;
    out->mae = error / n;
    out->mape = out->n > out->n_zero ? 100 * relative / (double)(out->n - out->n_zero) : NAN;
    out->mase = scale > 0 ? out->mae / scale : NAN;
    out->seasonal_mae = o->season ? seasonal / n : NAN;
    out->last_mae = last / n;
    for (size_t i = 0; i < N_INTERVALS; i++) { out->inside[i] = outcome_has_interval(o, interval_tail(i)) ? 100 * (double)inside[i] / n : NAN; }
    return true;
}
