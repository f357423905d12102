// Results of files and of a whole backtest; see backtest.h.
#include <math.h>
#include <stdlib.h>

#include "backtest.h"

const double picture_levels[PICTURE_LEVELS] = { 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95 };

bt_result bt_result_make(size_t n_seeds, size_t n_variates, size_t horizon) {
    return (bt_result){ .n_seeds = n_seeds,
                        .n_variates = n_variates,
                        .horizon = horizon,
                        .tallies = take(n_seeds * n_variates, sizeof(tally)),
                        .steps = take(n_seeds * horizon, sizeof(step_tally)) };
}

void bt_result_free(bt_result *r) {
    free(r->tallies);
    free(r->steps);
    free(r->timings);
    free(r->pictures);
    *r = (bt_result){ 0 };
}

void bt_result_add_timing(bt_result *r, timing t) {
    r->timings = take_again(r->timings, r->n_timings + 1, sizeof *r->timings);
    r->timings[r->n_timings++] = t;
}

tally bt_result_tally(const bt_result *r, size_t seed, size_t variate) {
    tally sum = { 0 };
    for (size_t s = 0; s < r->n_seeds; s++) {
        for (size_t v = 0; v < r->n_variates; v++) {
            bool wanted = (seed == SIZE_MAX || seed == s) && (variate == SIZE_MAX || variate == v);
            if (wanted) { tally_add(&sum, &r->tallies[s * r->n_variates + v]); }
        }
    }
    return sum;
}

static double deviation_over_seeds(const tally *of_seeds, size_t n_seeds) {
    double *errors = take(n_seeds, sizeof *errors);
    for (size_t s = 0; s < n_seeds; s++) { errors[s] = tally_measure(&of_seeds[s], MEASURE_MAE); }
    double deviation = deviation_of(errors, n_seeds);
    free(errors);
    return deviation;
}

double bt_mae_deviation(const bt_result *r, size_t variate) {
    tally *of_seeds = take(r->n_seeds, sizeof *of_seeds);
    for (size_t s = 0; s < r->n_seeds; s++) { of_seeds[s] = bt_result_tally(r, s, variate); }
    double deviation = deviation_over_seeds(of_seeds, r->n_seeds);
    free(of_seeds);
    return deviation;
}

// Repeats of one batch tell the speed; where a resumed run has none left, all calls do.
static void summarise_time(const bt_run *run, bt_summary *s) {
    size_t n_all = 0, n_repeats = 0;
    for (size_t f = 0; f < run->n_files; f++) { n_all += run->files[f].finished ? run->files[f].result.n_timings : 0; }
    double *all = take(n_all, sizeof *all), *repeats = take(n_all, sizeof *repeats);
    n_all = 0;
    for (size_t f = 0; f < run->n_files; f++) {
        const bt_result *r = &run->files[f].result;
        for (size_t i = 0; i < r->n_timings && run->files[f].finished; i++) {
            all[n_all++] = r->timings[i].ms / r->timings[i].windows;
            if (r->timings[i].repeat == 0) { continue; }
            repeats[n_repeats++] = r->timings[i].ms / r->timings[i].windows;
            s->timed_batch = r->timings[i].windows;
        }
    }
    s->calls = (double)n_all;
    s->n_repeats = n_repeats;
    s->ms_per_window = n_repeats ? median_of(repeats, n_repeats) : median_of(all, n_all);
    s->time_spread = deviation_of(repeats, n_repeats) / mean_of(repeats, n_repeats);
    free(all);
    free(repeats);
}

bt_summary bt_summarise(const bt_run *run) {
    bt_summary s = { 0 };
    const size_t n_seeds = run->request->seeds;
    tally *of_seeds = take(n_seeds, sizeof *of_seeds);
    for (size_t f = 0; f < run->n_files; f++) {
        const bt_file *file = &run->files[f];
        s.n_skipped += !bt_usable(file);
        if (!file->finished) { continue; }
        s.n_finished++;
        s.n_windows += file->n_windows;
        s.n_unusable += file->n_unusable;
        for (size_t seed = 0; seed < n_seeds; seed++) {
            tally t = bt_result_tally(&file->result, seed, SIZE_MAX);
            tally_add(&of_seeds[seed], &t);
            tally_add(&s.total, &t);
        }
    }
    s.mae_deviation = deviation_over_seeds(of_seeds, n_seeds);
    free(of_seeds);
    summarise_time(run, &s);
    return s;
}
