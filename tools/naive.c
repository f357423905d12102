// Seasonal naive, last value and the scale of MASE; see naive.h.
#include "naive.h"

#include <math.h>

double naive_last(const double *history, size_t end) {
    for (size_t row = end; row > 0; row--) {
        if (!isnan(history[row - 1])) { return history[row - 1]; }
    }
    return NAN;
}

double naive_seasonal(const double *history, size_t end, size_t season, size_t step) {
    for (size_t back = season - step % season; back <= end; back += season) {
        if (!isnan(history[end - back])) { return history[end - back]; }
    }
    return naive_last(history, end);
}

// The change into each row from the season before, where both are known, added up in the order of the rows.
static void add_change(const double *history, size_t row, size_t season, double *sum, size_t *count) {
    if (row < season) { return; }
    double change = fabs(history[row] - history[row - season]);
    if (!isnan(change)) { *sum += change, ++*count; }
}

double naive_scale(const double *history, size_t end, size_t season) {
    double sum = 0;
    size_t count = 0;
    for (size_t row = season; row < end; row++) { add_change(history, row, season, &sum, &count); }
    return count ? sum / (double)count : NAN;
}

void naive_scales(const double *history, size_t n_rows, size_t season, double *out) {
    double sum = 0;
    size_t count = 0;
    out[0] = NAN;
    for (size_t row = 0; row < n_rows; row++) {
        add_change(history, row, season, &sum, &count);
        out[row + 1] = count ? sum / (double)count : NAN;
    }
}
