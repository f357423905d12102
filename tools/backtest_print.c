// The result of a backtest as a table on stdout; see backtest.h.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backtest.h"

static const struct column {
    measure measure;
    const char *title;
    int width;
} columns[] = {
    { MEASURE_MAE, "MAE", 12 },       { MEASURE_MASE, "MASE", 8 },        { MEASURE_SEASONAL_MASE, "seasonal", 10 },
    { MEASURE_LAST_MASE, "last", 8 }, { MEASURE_MAPE, "MAPE", 9 },        { MEASURE_SMAPE, "sMAPE", 9 },
    { MEASURE_CRPS, "CRPS", 12 },     { MEASURE_PINBALL, "pinball", 12 }, { MEASURE_IN_50, "in 50 %", 9 },
    { MEASURE_IN_80, "in 80 %", 9 },  { MEASURE_IN_90, "in 90 %", 9 },
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static void print_value(double value, bool percent, int width) {
    char text[48];
    if (isnan(value)) {
        snprintf(text, sizeof text, "-");
    } else if (percent) {
        snprintf(text, sizeof text, "%.1f %%", value);
    } else if (fabs(value) >= 1e6) {
        snprintf(text, sizeof text, "%.4g", value);
    } else {
        snprintf(text, sizeof text, "%.*f", decimals_for(fabs(value)), value);
    }
    printf("%*s", width, text);
}

static void print_row(const char *name, int width, size_t n_windows, const tally *t, double deviation) {
    printf("%-*s%9zu", width, name, n_windows);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        print_value(tally_measure(t, columns[i].measure), measures[columns[i].measure].percent, columns[i].width);
    }
    print_value(deviation, false, 12);
    printf("\n");
}

static void print_question(const bt_run *run, const bt_summary *s) {
    const bt_request *r = run->request;
    const session *session = run->session;
    char parameters[32];
    size_t n_records = 0;
    for (size_t i = 0; i < run->n_files; i++) { n_records += run->files[i].from_record; }
    format_count(session->model_info.parameters, parameters, sizeof parameters);
    printf("model     %s, %s parameters, %s\n", r->model, parameters, precision_name(session->model_info.precision));
    printf("device    %s (%s)\n", session->device_info.spec, session->device_info.name);
    printf("windows   %zu of %zu file%s: context %" PRIu32 ", horizon %" PRIu32 ", every %" PRIu32 " row%s", s->n_windows,
           s->n_finished, s->n_finished == 1 ? "" : "s", r->context, r->horizon, r->step, r->step == 1 ? "" : "s");
    if (n_records) { printf(" (%zu file%s from records)", n_records, n_records == 1 ? "" : "s"); }
    if (session_tail(session) > 0) {
        printf("\nquantiles %" PRIu32 ", from %g to %g; no paths are sampled\n", bt_numbers(run), session_tail(session),
               1 - session_tail(session));
        return;
    }
    printf("\npaths     %" PRIu32 ", seed%s %" PRIu64, r->samples, r->seeds == 1 ? "" : "s", r->seed);
    if (r->seeds > 1) { printf(" to %" PRIu64, r->seed + r->seeds - 1); }
    printf("\n");
}

static void print_stability(const bt_run *run, const bt_summary *s) {
    char bytes[32];
    const double mae = tally_measure(&s->total, MEASURE_MAE);
    printf("\nstability\n");
    if (run->request->seeds > 1) {
        printf("MAE       σ %.3g over %" PRIu32 " seeds, %.2g %% of the mean\n", s->mae_deviation, run->request->seeds,
               100 * s->mae_deviation / mae);
    } else if (session_tail(run->session) > 0) {
        printf("MAE       does not scatter: no paths are sampled\n");
    } else {
        printf("MAE       one seed; --seeds tells how much it scatters\n");
    }
    if (!isnan(s->ms_per_window)) {
        printf("time      %.4g ms for each window", s->ms_per_window);
        if (s->n_repeats > 1) {
            printf(" in batches of %.0f, σ/mean %.2g %% over %zu repeats", s->timed_batch, 100 * s->time_spread, s->n_repeats);
        }
        printf("\n");
    }
    if (run->batch) {
        format_bytes(run->forecaster_bytes, bytes, sizeof bytes);
        printf("device    %" PRIu64 " recordings, %" PRIu64 " re-recordings, %s beside the weights\n", run->recordings,
               run->re_recordings, bytes);
    }
}

void bt_print(const bt_run *run, const bt_summary *s) {
    int width = 8;
    print_question(run, s);
    if (s->n_finished == 0) { return; }
    for (size_t i = 0; i < run->n_files; i++) {
        const int length = (int)strlen(run->files[i].name);
        if (run->files[i].finished && length > width) { width = length; }
    }
    printf("\n%-*s%9s", width, "", "windows");
    for (size_t i = 0; i < N_COLUMNS; i++) { printf("%*s", columns[i].width, columns[i].title); }
    printf("%13s\n", "σ of MAE"); // σ is two bytes
    for (size_t i = 0; i < run->n_files; i++) {
        const bt_file *f = &run->files[i];
        if (!f->finished) { continue; }
        tally t = bt_result_tally(&f->result, SIZE_MAX, SIZE_MAX);
        print_row(f->name, width, f->n_windows, &t, bt_mae_deviation(&f->result, SIZE_MAX));
    }
    if (s->n_finished > 1) { print_row("overall", width, s->n_windows, &s->total, s->mae_deviation); }
    printf("seasonal, last: the MASE of seasonal naive and of repeating the last value; errors are those of the median\n");
    if (session_tail(run->session) > 0) {
        printf("CRPS: twice the mean pinball loss of the model's quantiles; of intervals that reach beyond them there is no share\n");
    }
    if (s->total.n_relative < s->total.n) {
        printf("MAPE leaves out %.0f values that are 0\n", s->total.n - s->total.n_relative);
    }
    if (s->total.n_scaled < s->total.n) {
        printf("MASE leaves out %.0f values of columns that did not change before\n", s->total.n - s->total.n_scaled);
    }
    print_stability(run, s);
}
