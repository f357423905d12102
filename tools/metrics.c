// Sums and measures of a backtest; see metrics.h.
#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double fan_percent[N_FANS] = { 50, 80, 90 };

const measure_info measures[N_MEASURES] = {
    [MEASURE_MAE] = { "mae", "MAE", KIND_ERROR, 0, false },
    [MEASURE_SEASONAL_MAE] = { "seasonal_naive_mae", "MAE, seasonal naive", KIND_BESIDE, 0, false },
    [MEASURE_LAST_MAE] = { "last_value_mae", "MAE, last value", KIND_BESIDE, 0, false },
    [MEASURE_MAPE] = { "mape_percent", "MAPE", KIND_ERROR, 0, true },
    [MEASURE_SMAPE] = { "smape_percent", "sMAPE", KIND_ERROR, 0, true },
    [MEASURE_MASE] = { "mase", "MASE", KIND_ERROR, 0, false },
    [MEASURE_SEASONAL_MASE] = { "seasonal_naive_mase", "MASE, seasonal naive", KIND_BESIDE, 0, false },
    [MEASURE_LAST_MASE] = { "last_value_mase", "MASE, last value", KIND_BESIDE, 0, false },
    [MEASURE_CRPS] = { "crps", "CRPS", KIND_ERROR, 0, false },
    [MEASURE_PINBALL] = { "pinball", "pinball loss", KIND_ERROR, 0, false },
    [MEASURE_IN_50] = { "inside_50_percent", "in 50 %", KIND_COVERAGE, 50, true },
    [MEASURE_IN_80] = { "inside_80_percent", "in 80 %", KIND_COVERAGE, 80, true },
    [MEASURE_IN_90] = { "inside_90_percent", "in 90 %", KIND_COVERAGE, 90, true },
};

double calibration_level(size_t i) { return (double)(i + 1) / 20; }
double decile_level(size_t i) { return (double)(i + 1) / 10; }

// ---- sorting ----

// Bits whose order as whole numbers is that of the floats.
static uint32_t key_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float value_of(uint32_t key) {
    uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void sort_few(float *paths, size_t n) {
    for (size_t i = 1; i < n; i++) {
        float value = paths[i];
        size_t at = i;
        for (; at > 0 && paths[at - 1] > value; at--) { paths[at] = paths[at - 1]; }
        paths[at] = value;
    }
}

bool sort_paths(float *paths, float *spare, size_t n) {
    enum { FEW = 24 };
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(paths[i])) { return false; }
    }
    if (n <= FEW) {
        sort_few(paths, n);
        return true;
    }
    // Byte by byte from the least: all the paths of all steps are sorted, and comparing is what would take the time.
    for (size_t i = 0; i < n; i++) {
        uint32_t key = key_of(paths[i]);
        memcpy(&paths[i], &key, sizeof key);
    }
    for (unsigned shift = 0; shift < 32; shift += 8) {
        size_t starts[257] = { 0 };
        for (size_t i = 0; i < n; i++) {
            uint32_t key;
            memcpy(&key, &paths[i], sizeof key);
            starts[((key >> shift) & 255) + 1]++;
        }
        for (size_t b = 0; b < 256; b++) { starts[b + 1] += starts[b]; }
        for (size_t i = 0; i < n; i++) {
            uint32_t key;
            memcpy(&key, &paths[i], sizeof key);
            memcpy(&spare[starts[(key >> shift) & 255]++], &key, sizeof key);
        }
        memcpy(paths, spare, n * sizeof *paths);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t key;
        memcpy(&key, &paths[i], sizeof key);
        paths[i] = value_of(key);
    }
    return true;
}

// ---- one value ----

double sorted_quantile(const float *sorted, size_t n, double level) {
    double at = level * (double)(n - 1);
    size_t below = (size_t)at, above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - (double)below) * ((double)sorted[above] - sorted[below]);
}

double given_quantile(const float *sorted, size_t n, double tail, double level) {
    const double place = (level - tail) / (1 - 2 * tail), edge = 1e-9;   // 0.3 is no double
    if (place < -edge || place > 1 + edge) { return NAN; }
    return sorted_quantile(sorted, n, fmin(fmax(place, 0), 1));
}

double pinball_loss(double level, double forecast, double actual) {
    double miss = actual - forecast;
    return miss >= 0 ? level * miss : (level - 1) * miss;
}

// Between two neighbouring paths F is i / n, so the integral is a sum over the gaps, of which all terms are positive: nothing
// cancels, as it would in E|X - y| - E|X - X'| / 2.
double sorted_crps(const float *sorted, size_t n, double actual) {
    double sum = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        double low = sorted[i], high = sorted[i + 1], below = (double)(i + 1) / (double)n;
        double split = actual < low ? low : actual > high ? high : actual;
        sum += (split - low) * below * below + (high - split) * (1 - below) * (1 - below);
    }
    if (actual < sorted[0]) { sum += sorted[0] - actual; }
    if (actual > sorted[n - 1]) { sum += actual - sorted[n - 1]; }
    return sum;
}

// The CRPS is twice the integral of the pinball loss over all levels.
double quantile_crps(const float *sorted, size_t n, double tail, double actual) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double level = n > 1 ? tail + (double)i / (double)(n - 1) * (1 - 2 * tail) : 0.5;
        sum += pinball_loss(level, (double)sorted[i], actual);
    }
    return 2 * sum / (double)n;
}

static double quantile_of(const judged *j, double level) { return given_quantile(j->paths, j->n_paths, j->tail, level); }

// Beyond a model's own quantiles there are none: such intervals and levels are not judged.
static void tally_distribution(tally *t, const judged *j) {
    t->crps += j->tail > 0 ? quantile_crps(j->paths, j->n_paths, j->tail, j->actual) : sorted_crps(j->paths, j->n_paths, j->actual);
    for (size_t i = 0; i < N_DECILES; i++) {
        double level = decile_level(i);
        t->pinball[i] += pinball_loss(level, quantile_of(j, level), j->actual);
    }
    for (size_t i = 0; i < N_FANS; i++) {
        const double tail = (100 - fan_percent[i]) / 200, low = quantile_of(j, tail), high = quantile_of(j, 1 - tail);
        t->n_inside[i] += !isnan(low) && !isnan(high);
        t->inside[i] += low <= j->actual && j->actual <= high;
    }
    for (size_t i = 0; i < N_LEVELS; i++) {
        const double quantile = quantile_of(j, calibration_level(i));
        t->n_below[i] += !isnan(quantile);
        t->below[i] += j->actual <= quantile;
    }
}

void tally_value(tally *t, step_tally *s, const judged *j) {
    double median = quantile_of(j, 0.5), miss = fabs(median - j->actual);
    double seasonal = fabs(j->seasonal - j->actual), last = fabs(j->last - j->actual), size = fabs(median) + fabs(j->actual);
    t->n++, s->n++;
    t->error += miss, s->error += miss;
    t->seasonal += seasonal, s->seasonal += seasonal;
    t->last += last, s->last += last;
    if (j->actual != 0) { t->n_relative++, t->relative += miss / fabs(j->actual); }
    if (size > 0) { t->symmetric += 2 * miss / size; }
    if (j->scale > 0) {
        t->n_scaled++, s->n_scaled++;
        t->scaled += miss / j->scale, s->scaled += miss / j->scale;
        t->scaled_seasonal += seasonal / j->scale, s->scaled_seasonal += seasonal / j->scale;
        t->scaled_last += last / j->scale, s->scaled_last += last / j->scale;
    }
    tally_distribution(t, j);
}

static void add_numbers(double *to, const double *from, size_t n) {
    for (size_t i = 0; i < n; i++) { to[i] += from[i]; }
}

void tally_add(tally *to, const tally *from) { add_numbers((double *)to, (const double *)from, TALLY_NUMBERS); }
void step_tally_add(step_tally *to, const step_tally *from) { add_numbers((double *)to, (const double *)from, STEP_NUMBERS); }

// ---- measures ----

static double share(double sum, double n) { return n > 0 ? sum / n : NAN; }

double tally_measure(const tally *t, measure which) {
    double sum = 0;
    switch (which) {
    case MEASURE_MAE: return share(t->error, t->n);
    case MEASURE_SEASONAL_MAE: return share(t->seasonal, t->n);
    case MEASURE_LAST_MAE: return share(t->last, t->n);
    case MEASURE_MAPE: return 100 * share(t->relative, t->n_relative);
    case MEASURE_SMAPE: return 100 * share(t->symmetric, t->n);
    case MEASURE_MASE: return share(t->scaled, t->n_scaled);
    case MEASURE_SEASONAL_MASE: return share(t->scaled_seasonal, t->n_scaled);
    case MEASURE_LAST_MASE: return share(t->scaled_last, t->n_scaled);
    case MEASURE_CRPS: return share(t->crps, t->n);
    case MEASURE_PINBALL:
        for (size_t i = 0; i < N_DECILES; i++) { sum += t->pinball[i]; }
        return share(sum / N_DECILES, t->n);
    case MEASURE_IN_50:
    case MEASURE_IN_80:
    case MEASURE_IN_90: return 100 * share(t->inside[which - MEASURE_IN_50], t->n_inside[which - MEASURE_IN_50]);
    case N_MEASURES: break;
    }
    return NAN;
}

// ---- spread ----

double mean_of(const double *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) { sum += values[i]; }
    return n ? sum / (double)n : NAN;
}

double deviation_of(const double *values, size_t n) {
    double mean = mean_of(values, n), sum = 0;
    for (size_t i = 0; i < n; i++) { sum += (values[i] - mean) * (values[i] - mean); }
    return n > 1 ? sqrt(sum / (double)(n - 1)) : NAN;
}

static int rising(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_of(const double *values, size_t n) {
    if (n == 0) { return NAN; }
    double *sorted = take(n, sizeof *sorted);
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, rising);
    double median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    free(sorted);
    return median;
}
