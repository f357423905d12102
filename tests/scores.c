// Scores of a forecast against numbers worked out by hand. Needs no device.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "../tools/scores.h"

enum { END = 6, HORIZON = 5, ROWS = 10, SEASON = 3 };

// Six rows of history with one missing, then four held-out rows with one missing and one zero; the forecast goes on a row
// further than the file.
static double values[ROWS] = { 1, 5, 9, 2, NAN, 12, 3, 0, NAN, 8 };
static const float medians[HORIZON] = { 2, 1, 7, 4, 9 };

static outcome make_outcome(void) {
    outcome o = { .paths = 16, .n_rows = ROWS, .end = END, .context = END, .horizon = HORIZON, .season = SEASON };
    static const double asked[] = { 0.9, 0.5, 0.9 };
    o.n_all = o.n_variates = 1;
    o.values = values;
    outcome_set_levels(&o, asked, 3, 0);
    o.mean = take(HORIZON, sizeof *o.mean);
    o.quantiles = take(o.n_levels, HORIZON * sizeof *o.quantiles);
    for (size_t h = 0; h < HORIZON; h++) {
        o.mean[h] = medians[h] + 1;
        for (size_t q = 0; q < o.n_levels; q++) { o.quantiles[q * HORIZON + h] = medians[h] + 8 * (o.levels[q] - 0.5f); }
    }
    return o;
}

static void free_outcome(outcome *o) {
    o->values = NULL;   // not ours
    outcome_free(o);
}

static void near(double got, double wanted) {
    if (!(fabs(got - wanted) <= 1e-6 * (1 + fabs(wanted)))) { fail_msg("%.9g where %.9g was expected", got, wanted); }
}

static void test_levels(void **state) {
    (void)state;
    outcome o = make_outcome();
    assert_int_equal(o.n_levels, 7);   // 0.9 and 0.5 were among ours
    assert_int_equal(o.n_asked, 2);    // each once, rising
    assert_true(o.levels[o.asked[0]] == 0.5f && o.levels[o.asked[1]] == 0.9f);
    assert_int_equal(outcome_n_known(&o), 4);
    assert_true(isnan(outcome_actual(&o, 0, 4)));
    free_outcome(&o);
}

static void test_median(void **state) {
    (void)state;
    outcome o = make_outcome();
    scores s;
    assert_true(scores_compute(&o, 0, &s));
    assert_int_equal(s.n, 3);
    assert_int_equal(s.n_zero, 1);
    near(s.mae, (1 + 1 + 4) / 3.0);
    near(s.mape, 100 * (1 / 3.0 + 4 / 8.0) / 2);
    near(s.mase, 2 / ((1 + 3) / 2.0));             // |2 - 1| and |12 - 9|; the pair with the missing value is none
    near(s.seasonal_mae, (1 + 5 + 6) / 3.0);       // of 2, 5 (from a season earlier, the last being missing), 2
    near(s.last_mae, (9 + 12 + 4) / 3.0);
    near(s.inside[0], 100 * 2 / 3.0);              // half widths 2, 3.2, 3.6 against misses 1, 1, 4
    near(s.inside[1], 100 * 2 / 3.0);
    near(s.inside[2], 100 * 2 / 3.0);
    free_outcome(&o);
}

static void test_mean(void **state) {
    (void)state;
    outcome o = make_outcome();
    scores s;
    o.paths = 0, o.n_levels = 0;
    assert_true(scores_compute(&o, 0, &s));
    near(s.mae, (0 + 2 + 3) / 3.0);
    assert_true(isnan(s.inside[0]));
    o.end = ROWS;   // nothing held out
    assert_false(scores_compute(&o, 0, &s));
    free_outcome(&o);
}

// Bars are compared with the last value alone.
static void test_no_season(void **state) {
    (void)state;
    outcome o = make_outcome();
    scores s;
    o.season = 0;
    assert_true(scores_compute(&o, 0, &s));
    assert_true(isnan(s.seasonal_mae) && isnan(s.mase));
    near(s.last_mae, (9 + 12 + 4) / 3.0);
    free_outcome(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_levels), cmocka_unit_test(test_median), cmocka_unit_test(test_mean),
                                        cmocka_unit_test(test_no_season) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
