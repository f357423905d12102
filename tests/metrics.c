// The measures of a backtest against numbers worked out by hand, edge by edge. Needs no device.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../tools/metrics.h"
#include "../tools/naive.h"

// Sums of a few terms in float64: a few units in the last place, and the numbers below are of about one.
static void near(double got, double wanted) {
    if (!(fabs(got - wanted) <= 1e-12 * (1 + fabs(wanted)))) { fail_msg("%.17g where %.17g was expected", got, wanted); }
}

static void no_number(double got) {
    if (!isnan(got)) { fail_msg("%.17g where nothing can be said", got); }
}

// ---- sorting ----

static int rising(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void test_sort(void **state) {
    (void)state;
    enum { MOST = 700 };
    static const size_t sizes[] = { 1, 2, 23, 24, 25, 256, MOST };
    uint32_t random = 7;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        float paths[MOST], wanted[MOST], spare[MOST];
        const size_t n = sizes[k];
        for (size_t i = 0; i < n; i++) {
            random = random * 1664525u + 1013904223u;
            paths[i] = ((float)(random >> 8) / 8388608.0f - 1) * powf(10, (float)((int)(i % 9) - 4));
        }
        if (n > 4) { paths[1] = paths[4], paths[2] = 0; }
        memcpy(wanted, paths, sizeof wanted);
        qsort(wanted, n, sizeof *wanted, rising);
        assert_true(sort_paths(paths, spare, n));
        assert_memory_equal(paths, wanted, n * sizeof *paths);
    }
    float bad[2][30] = { { 0 } }, spare[30];
    bad[0][3] = NAN, bad[1][29] = -INFINITY;
    assert_false(sort_paths(bad[0], spare, 30));
    assert_false(sort_paths(bad[1], spare, 30));
    assert_false(sort_paths(bad[0], spare, 5));
}

// ---- one value ----

static void test_quantile(void **state) {
    (void)state;
    const float paths[] = { 1, 2, 4, 8 };
    near(sorted_quantile(paths, 4, 0), 1);
    near(sorted_quantile(paths, 4, 0.5), 3);
    near(sorted_quantile(paths, 4, 0.25), 1.75); // at 0.75 between 1 and 2
    near(sorted_quantile(paths, 4, 0.9), 6.8);   // at 2.7: 4 + 0.7 * 4
    near(sorted_quantile(paths, 4, 1), 8);
    near(sorted_quantile(paths, 1, 0.3), 1);
}

static void test_pinball(void **state) {
    (void)state;
    near(pinball_loss(0.9, 10, 12), 1.8); // too low, at a high quantile: dear
    near(pinball_loss(0.9, 12, 10), 0.2);
    near(pinball_loss(0.5, 3, -1), 2); // half the distance
    near(pinball_loss(0.1, 5, 5), 0);
}

// E|X - y| - E|X - X'| / 2, term by term.
static double plain_crps(const float *paths, size_t n, double actual) {
    double near_actual = 0, among = 0;
    for (size_t i = 0; i < n; i++) {
        near_actual += fabs(paths[i] - actual);
        for (size_t j = 0; j < n; j++) { among += fabs((double)paths[i] - paths[j]); }
    }
    return near_actual / (double)n - among / (2 * (double)n * (double)n);
}

static void test_crps(void **state) {
    (void)state;
    const float one[] = { 3 }, two[] = { 0, 2 }, many[] = { -3, -1, -1, 0, 2.5f, 4, 9 };
    const double actuals[] = { -10, -3, -1, 0.25, 2.5, 9, 20 };
    near(sorted_crps(one, 1, 5), 2);   // of one path: the absolute error
    near(sorted_crps(two, 2, 1), 0.5); // E|X - y| = 1, E|X - X'| / 2 = 1 / 2
    near(sorted_crps(two, 2, 0), 0.5); // F is 1/2 from 0 to 2: (1 / 2)^2 * 2
    near(sorted_crps(two, 2, 3), 1.5); // and 1 more from 2 to 3
    for (size_t i = 0; i < 7; i++) { near(sorted_crps(many, 7, actuals[i]), plain_crps(many, 7, actuals[i])); }
}

// ---- naive forecasts ----

static void test_naive(void **state) {
    (void)state;
    const double y[] = { 1, 5, 9, 2, NAN, 12, NAN }, missing[] = { NAN, NAN, NAN }, flat[] = { 4, 4, 4, 4 };
    double scales[8];
    near(naive_last(y, 5), 2);
    near(naive_last(y, 7), 12);
    no_number(naive_last(missing, 3));
    near(naive_seasonal(y, 6, 3, 0), 2);
    near(naive_seasonal(y, 6, 3, 1), 5); // the last one is missing: that of the season before
    near(naive_seasonal(y, 6, 3, 2), 12);
    near(naive_seasonal(y, 6, 3, 3), 2);  // into the second season
    near(naive_seasonal(y, 2, 12, 0), 5); // less than a season: the last value
    near(naive_scale(y, 6, 3), (1 + 3) / 2.0);
    near(naive_scale(y, 4, 1), (4 + 4 + 7) / 3.0);
    no_number(naive_scale(y, 3, 3)); // no pair
    no_number(naive_scale(missing, 3, 1));
    near(naive_scale(flat, 4, 1), 0);
    naive_scales(y, 7, 3, scales);
    for (size_t end = 0; end <= 7; end++) {
        const double wanted = naive_scale(y, end, 3);
        if (isnan(wanted)) {
            no_number(scales[end]);
        } else {
            near(scales[end], wanted);
        }
    }
}

// ---- tallies ----

static judged value(const float *paths, size_t n, double actual, double seasonal, double last, double scale) {
    return (judged){ .paths = paths, .n_paths = n, .actual = actual, .seasonal = seasonal, .last = last, .scale = scale };
}

static void test_measures(void **state) {
    (void)state;
    const float a[] = { 8, 9, 10, 11, 12 }, b[] = { -1, 0, 1, 2, 3 };
    tally t = { 0 };
    step_tally s = { 0 };
    judged first = value(a, 5, 12, 9, 11, 2), second = value(b, 5, -1, 1, -3, 4);
    tally_value(&t, &s, &first);  // median 10, misses by 2
    tally_value(&t, &s, &second); // median 1, misses by 2
    near(tally_measure(&t, MEASURE_MAE), 2);
    near(tally_measure(&t, MEASURE_MAPE), 100 * (2 / 12.0 + 2) / 2);
    near(tally_measure(&t, MEASURE_SMAPE), 100 * (2 * 2 / 22.0 + 2 * 2 / 2.0) / 2);
    near(tally_measure(&t, MEASURE_MASE), (2 / 2.0 + 2 / 4.0) / 2);
    near(tally_measure(&t, MEASURE_SEASONAL_MAE), (3 + 2) / 2.0);
    near(tally_measure(&t, MEASURE_LAST_MAE), (1 + 2) / 2.0);
    near(tally_measure(&t, MEASURE_SEASONAL_MASE), (3 / 2.0 + 2 / 4.0) / 2);
    near(tally_measure(&t, MEASURE_LAST_MASE), (1 / 2.0 + 2 / 4.0) / 2);
    near(tally_measure(&t, MEASURE_CRPS), (plain_crps(a, 5, 12) + plain_crps(b, 5, -1)) / 2);
    // Deciles of 8..12 are 8.4, 8.8, ..., 11.6; of the value 12, above all: sum of q (12 - z) over 9. The other by symmetry.
    double pinball = 0;
    for (int i = 1; i <= 9; i++) { pinball += i / 10.0 * (12 - (8 + 0.4 * i)); }
    near(tally_measure(&t, MEASURE_PINBALL), pinball / 9);
    // The 50 % interval of 8..12 is 9 to 11, the 80 % one 8.4 to 11.6, the 90 % one 8.2 to 11.8: both values lie outside of all.
    near(tally_measure(&t, MEASURE_IN_50), 0);
    near(tally_measure(&t, MEASURE_IN_90), 0);
    near(t.below[18], 1); // -1 is below the quantile 0.95, 12 is not
    near(t.below[0], 1);  // and below the quantile 0.05, -0.8
    near(s.n, 2);
    near(s.error, 4);
    near(s.scaled_seasonal, 2);
}

static void test_coverage(void **state) {
    (void)state;
    const float a[] = { 0, 1, 2, 3, 4 };
    // 0.5 steps: in 50 % from 1 to 3, in 80 % from 0.4 to 3.6, in 90 % from 0.2 to 3.8; ends count as inside.
    const double actuals[] = { 1, 3, 2, 0.5, 3.5, 3.7, 4, -1 };
    tally t = { 0 };
    step_tally s = { 0 };
    for (size_t i = 0; i < 8; i++) {
        judged j = value(a, 5, actuals[i], 0, 0, NAN);
        tally_value(&t, &s, &j);
    }
    near(tally_measure(&t, MEASURE_IN_50), 100 * 3 / 8.0);
    near(tally_measure(&t, MEASURE_IN_80), 100 * 5 / 8.0);
    near(tally_measure(&t, MEASURE_IN_90), 100 * 6 / 8.0);
    near(t.below[9], 4); // at or below the median, 2: 1, 2, 0.5, -1
}

// Quantiles that a model gives: their levels are its own, nothing is known beyond them, and the CRPS is twice the mean pinball loss.
static void test_given_quantiles(void **state) {
    (void)state;
    const float nine[] = { 1, 2, 3, 4, 5, 6, 7, 8, 19 };
    near(given_quantile(nine, 9, 0.1, 0.1), 1);
    near(given_quantile(nine, 9, 0.1, 0.9), 19);
    near(given_quantile(nine, 9, 0.1, 0.25), 2.5);
    near(given_quantile(nine, 9, 0.1, 0.85), 13.5);
    no_number(given_quantile(nine, 9, 0.1, 0.05));
    no_number(given_quantile(nine, 9, 0.1, 0.95));
    near(given_quantile(nine, 9, 0, 1), sorted_quantile(nine, 9, 1)); // without a tail they are paths
    // At 5.5: those below miss by 4.5, 3.5, .., 0.5, weighed by 0.1 to 0.5; those above by 0.5, 1.5, 2.5, 13.5, by 0.4 to 0.1.
    const double below = 0.1 * 4.5 + 0.2 * 3.5 + 0.3 * 2.5 + 0.4 * 1.5 + 0.5 * 0.5, above = 0.4 * 0.5 + 0.3 * 1.5 + 0.2 * 2.5 + 0.1 * 13.5;
    near(quantile_crps(nine, 9, 0.1, 5.5), 2 * (below + above) / 9);
    tally t = { 0 };
    step_tally s = { 0 };
    const double actuals[] = { 5.5, 2, 19, 0.5 };
    for (size_t i = 0; i < 4; i++) {
        judged j = value(nine, 9, actuals[i], 0, 0, NAN);
        j.tail = 0.1;
        tally_value(&t, &s, &j);
    }
    near(tally_measure(&t, MEASURE_MAE), (0.5 + 3 + 14 + 4.5) / 4);
    near(tally_measure(&t, MEASURE_CRPS), 2 * tally_measure(&t, MEASURE_PINBALL)); // the deciles are its levels
    near(tally_measure(&t, MEASURE_IN_50), 25);  // 2.5 to 7.5
    near(tally_measure(&t, MEASURE_IN_80), 75);
    no_number(tally_measure(&t, MEASURE_IN_90));
    near(t.n_below[0], 0);
    near(t.n_below[1], 4);
    near(t.below[1], 1);
    near(t.n_below[N_LEVELS - 1], 0);
}

// Zeros in MAPE and sMAPE, a column that does not change in MASE, nothing judged at all.
static void test_edges(void **state) {
    (void)state;
    const float zero[] = { 0, 0, 0 }, one[] = { 1, 1, 1 };
    tally t = { 0 }, none = { 0 };
    step_tally s = { 0 };
    judged j = value(zero, 3, 0, 0, 0, 0);
    tally_value(&t, &s, &j); // exact, and of nothing
    near(tally_measure(&t, MEASURE_MAE), 0);
    no_number(tally_measure(&t, MEASURE_MAPE));
    near(tally_measure(&t, MEASURE_SMAPE), 0);
    no_number(tally_measure(&t, MEASURE_MASE));
    no_number(tally_measure(&t, MEASURE_SEASONAL_MASE));
    near(tally_measure(&t, MEASURE_IN_50), 100);
    j = value(one, 3, 0, 0, 0, NAN);
    tally_value(&t, &s, &j); // all of it wrong: sMAPE is 200 % there
    near(tally_measure(&t, MEASURE_SMAPE), 100);
    no_number(tally_measure(&t, MEASURE_MAPE));
    j = value(one, 3, 2, 0, 0, 0.5);
    tally_value(&t, &s, &j); // the only value that MAPE and MASE can use
    near(tally_measure(&t, MEASURE_MAPE), 50);
    near(tally_measure(&t, MEASURE_MASE), 2);
    near(t.n, 3);
    near(t.n_relative, 1);
    near(t.n_scaled, 1);
    for (size_t m = 0; m < N_MEASURES; m++) { no_number(tally_measure(&none, (measure)m)); }
}

static void test_add(void **state) {
    (void)state;
    const float a[] = { 1, 2, 3, 4 };
    tally whole = { 0 }, parts[2];
    step_tally steps = { 0 }, other[2];
    memset(parts, 0, sizeof parts);
    memset(other, 0, sizeof other);
    for (int i = 0; i < 6; i++) {
        judged j = value(a, 4, i, i + 1, 2, 1 + i);
        tally_value(&whole, &steps, &j);
        tally_value(&parts[i % 2], &other[i % 2], &j);
    }
    tally_add(&parts[0], &parts[1]);
    step_tally_add(&other[0], &other[1]);
    for (size_t m = 0; m < N_MEASURES; m++) { near(tally_measure(&parts[0], (measure)m), tally_measure(&whole, (measure)m)); }
    near(other[0].scaled, steps.scaled);
    near(other[0].n, 6);
}

static void test_spread(void **state) {
    (void)state;
    const double x[] = { 5, 1, 3, 3 }, pair[] = { 1, 2 };
    near(mean_of(x, 4), 3);
    near(deviation_of(x, 4), sqrt(8 / 3.0));
    no_number(deviation_of(x, 1));
    near(median_of(x, 4), 3);
    near(median_of(x, 3), 3);
    near(median_of(pair, 2), 1.5);
    no_number(median_of(x, 0));
    no_number(mean_of(x, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sort),     cmocka_unit_test(test_quantile),
                                        cmocka_unit_test(test_pinball),  cmocka_unit_test(test_crps),
                                        cmocka_unit_test(test_naive),    cmocka_unit_test(test_measures),
                                        cmocka_unit_test(test_coverage), cmocka_unit_test(test_given_quantiles),
                                        cmocka_unit_test(test_edges),
                                        cmocka_unit_test(test_add),      cmocka_unit_test(test_spread) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
