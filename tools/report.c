// The page of a backtest; see report.h. Charts are in report_charts.c, colours in report_style.h.
#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "draft.h"
#include "interrupt.h"
#include "report_charts.h"
#include "report_style.h"
#include "report_svg.h"

enum { FILES_OPEN = 3, MOST_FILES = 60, MOST_VARIATES = 6 };   // files shown unfolded, and at all; fan charts of one file

static const measure shown[] = { MEASURE_MAE,   MEASURE_SEASONAL_MAE,  MEASURE_LAST_MAE,  MEASURE_MAPE, MEASURE_SMAPE,
                                 MEASURE_MASE,  MEASURE_SEASONAL_MASE, MEASURE_LAST_MASE, MEASURE_CRPS, MEASURE_PINBALL,
                                 MEASURE_IN_50, MEASURE_IN_80,         MEASURE_IN_90 };
enum { N_SHOWN = sizeof shown / sizeof *shown };

// ---- numbers ----

static void format_measure(double value, bool percent, char *buf, size_t cap) {
    if (isnan(value)) {
        snprintf(buf, cap, "–");
    } else if (percent) {
        snprintf(buf, cap, "%.1f %%", value);
    } else if (fabs(value) >= 1e6) {
        snprintf(buf, cap, "%.4g", value);
    } else {
        snprintf(buf, cap, "%.*f", decimals_for(fabs(value)), value);
    }
}

static void put_cell(FILE *out, double value, bool percent) {
    char text[64];
    format_measure(value, percent, text, sizeof text);
    fprintf(out, "<td>%s</td>", text);
}

// ---- head ----

static const char *folder_name(const char *path, size_t *length) {
    *length = strlen(path);
    while (*length > 1 && path[*length - 1] == '/') { --*length; }
    size_t begin = *length;
    while (begin > 0 && path[begin - 1] != '/') { begin--; }
    *length -= begin;
    return path + begin;
}

static void put_head(FILE *out, const bt_run *run, const bt_summary *s) {
    const bt_request *r = run->request;
    const session *session = run->session;
    size_t length;
    char title[256], count[32];
    const char *name = folder_name(r->model, &length);
    snprintf(title, sizeof title, "Backtest of %.*s", (int)(length < 200 ? length : 200), name);
    format_count(session->model_info.parameters, count, sizeof count);
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
          "content=\"width=device-width,initial-scale=1\"><title>",
          out);
    svg_text(out, title);
    fprintf(out, "</title><style>%s</style></head><body>\n<h1>", report_style);
    svg_text(out, title);
    fprintf(out,
            "</h1><p class=\"faint\">%zu windows of %zu file%s, context %" PRIu32 ", horizon %" PRIu32 ", every %" PRIu32
            " row%s; ",
            s->n_windows, s->n_finished, s->n_finished == 1 ? "" : "s", r->context, r->horizon, r->step, r->step == 1 ? "" : "s");
    if (session_tail(session) > 0) {
        fprintf(out, "%" PRIu32 " quantiles from %g to %g<br>", bt_numbers(run), session_tail(session), 1 - session_tail(session));
    } else {
        fprintf(out, "%" PRIu32 " paths, %" PRIu32 " seed%s from %" PRIu64 "<br>", r->samples, r->seeds, r->seeds == 1 ? "" : "s", r->seed);
    }
    fprintf(out, "%s model of %s parameters, %s, on ", session->model_info.family, count,
            precision_name(session->model_info.precision));
    svg_text(out, session->device_info.spec);
    fputs(" (", out);
    svg_text(out, session->device_info.name);
    fputs(")</p>\n", out);
    if (interrupt_came()) {
        fprintf(out, "<p class=\"bad\">Stopped before the end: this page shows the %zu files that were finished.</p>\n",
                s->n_finished);
    }
    for (size_t i = 0; i < run->n_files; i++) {
        if (bt_usable(&run->files[i])) { continue; }
        fputs("<p class=\"bad\">Skipped: ", out);
        svg_text(out, run->files[i].problem.text);
        fputs("</p>\n", out);
    }
}

static void put_tile(FILE *out, const char *value, const char *css_class, const char *name, const char *beside) {
    fprintf(out, "<div><small>%s</small><b%s%s%s>%s</b><small>%s</small></div>\n", name, *css_class ? " class=\"" : "", css_class,
            *css_class ? "\"" : "", value, beside);
}

static void put_tiles(FILE *out, const bt_run *run, const bt_summary *s) {
    char value[64], other[64], last[64], beside[256];
    const double mase = tally_measure(&s->total, MEASURE_MASE), naive = tally_measure(&s->total, MEASURE_SEASONAL_MASE);
    const double before = tally_measure(&s->total, MEASURE_LAST_MASE), mae = tally_measure(&s->total, MEASURE_MAE);
    fputs("<div class=\"tiles\">", out);
    format_measure(mase, false, value, sizeof value);
    format_measure(naive, false, other, sizeof other);
    format_measure(before, false, last, sizeof last);
    snprintf(beside, sizeof beside, "seasonal naive %s, last value %s", other, last);
    put_tile(out, value, mase < fmin(naive, before) ? "good" : mase > fmin(naive, before) ? "bad" : "", "MASE", beside);
    format_measure(tally_measure(&s->total, MEASURE_IN_80), true, value, sizeof value);
    format_measure(tally_measure(&s->total, MEASURE_IN_50), true, other, sizeof other);
    format_measure(tally_measure(&s->total, MEASURE_IN_90), true, last, sizeof last);
    snprintf(beside, sizeof beside, "in 50 %%: %s, in 90 %%: %s", other, last);
    put_tile(out, value, "", "inside the 80 % interval", beside);
    if (isnan(s->mae_deviation)) {
        put_tile(out, "–", "", "σ of MAE over seeds", session_tail(run->session) > 0 ? "no paths are sampled" : "one seed");
    } else {
        snprintf(value, sizeof value, "%.2g %%", 100 * s->mae_deviation / mae);
        snprintf(beside, sizeof beside, "of the MAE, %.4g", mae);
        put_tile(out, value, "", "σ of MAE over seeds", beside);
    }
    if (!isnan(s->ms_per_window)) {
        snprintf(value, sizeof value, "%.4g ms", s->ms_per_window);
        if (s->n_repeats > 1) {
            snprintf(beside, sizeof beside, "batches of %.0f; σ/mean %.2g %% over %zu repeats", s->timed_batch,
                     100 * s->time_spread, s->n_repeats);
        } else {
            snprintf(beside, sizeof beside, "median of %.0f calls", s->calls);
        }
        put_tile(out, value, "", "time for each window", beside);
    }
    fputs("</div>\n", out);
}

// ---- tables ----

static void put_table_head(FILE *out, const char *first, const char *second) {
    fprintf(out, "<div class=\"wide\"><table><thead><tr><th>%s</th><th>%s</th>", first, second);
    for (size_t i = 0; i < N_SHOWN; i++) { fprintf(out, "<th>%s</th>", measures[shown[i]].title); }
    fputs("<th>σ of MAE</th></tr></thead><tbody>\n", out);
}

static void put_row(FILE *out, const char *css_class, const char *name, double count, const tally *t, double deviation) {
    fprintf(out, "<tr%s><td>", css_class);
    svg_text(out, name);
    fprintf(out, "</td><td>%.0f</td>", count);
    for (size_t i = 0; i < N_SHOWN; i++) { put_cell(out, tally_measure(t, shown[i]), measures[shown[i]].percent); }
    put_cell(out, deviation, false);
    fputs("</tr>\n", out);
}

static void put_files(FILE *out, const bt_run *run, const bt_summary *s) {
    fputs("<h2>Files</h2>\n", out);
    put_table_head(out, "file", "windows");
    for (size_t i = 0; i < run->n_files; i++) {
        const bt_file *f = &run->files[i];
        if (!f->finished) { continue; }
        const tally t = bt_result_tally(&f->result, SIZE_MAX, SIZE_MAX);
        put_row(out, "", f->name, (double)f->n_windows, &t, bt_mae_deviation(&f->result, SIZE_MAX));
    }
    put_row(out, " class=\"total\"", "overall", (double)s->n_windows, &s->total, s->mae_deviation);
    fputs("</tbody></table></div>\n", out);
}

static void put_comparison(FILE *out, const bt_request *r, const comparisons *c) {
    static const char *const words[N_VERDICTS] = { "as before", "better", "worse" }, *const classes[N_VERDICTS] = { "", "good",
                                                                                                                    "bad" };
    fprintf(
        out,
        "<h2>Against the baseline</h2>\n<p><b class=\"%s\">%zu measure%s worse beyond tolerance</b>, %zu better, %zu as before. "
        "Compared with <code>",
        c->n_worse ? "bad" : "good", c->n_worse, c->n_worse == 1 ? "" : "s", c->n_better, c->n - c->n_worse - c->n_better);
    svg_text(out, r->baseline);
    fputs("</code>.</p>\n", out);
    if (c->notes[0]) {
        fputs("<p class=\"faint\">", out);
        svg_text(out, c->notes);
        fputs("</p>\n", out);
    }
    fprintf(out,
            "<details%s><summary>All %zu comparisons</summary><div class=\"wide\"><table><thead><tr><th></th><th "
            "class=\"left\">measure</th>"
            "<th>before</th><th>now</th><th>change</th><th>tolerance</th><th></th></tr></thead><tbody>\n",
            c->n_worse ? " open" : "", c->n);
    for (size_t i = 0; i < c->n; i++) {
        const comparison *row = &c->rows[i];
        char change[48];
        comparison_change(row, change, sizeof change);
        fputs("<tr><td>", out);
        svg_text(out, row->scope);
        fprintf(out, "</td><td class=\"left\">%s</td>", row->title);
        put_cell(out, row->before, false);
        put_cell(out, row->now, false);
        fprintf(out, "<td>%s</td><td>%g %s</td><td class=\"%s\">%s</td></tr>\n", change, row->tolerance, row->points ? "points" : "%",
                classes[row->verdict], words[row->verdict]);
    }
    fputs("</tbody></table></div></details>\n", out);
}

// ---- files one by one ----

static void put_file(FILE *out, const bt_run *run, const bt_file *f, bool open, unsigned *id) {
    fprintf(out, "<details%s><summary>", open ? " open" : "");
    svg_text(out, f->name);
    fputs("</summary>\n", out);
    if (f->n_variates > 1) {
        put_table_head(out, "column", "values");
        for (size_t v = 0; v < f->n_variates; v++) {
            const tally t = bt_result_tally(&f->result, SIZE_MAX, v);
            put_row(out, "", f->names[v], t.n / (double)f->result.n_seeds, &t, bt_mae_deviation(&f->result, v));
        }
        fputs("</tbody></table></div>\n", out);
    }
    for (size_t v = 0; v < f->n_variates && v < MOST_VARIATES; v++) { figure_fans(out, f, v, run->request->context, ++*id); }
    if (f->n_variates > MOST_VARIATES) {
        fprintf(out, "<p class=\"faint\">The first %d of %zu columns are drawn.</p>\n", MOST_VARIATES, f->n_variates);
    }
    step_tally *steps = steps_of(run, f);
    fputs("<div class=\"pair\">", out);
    figure_steps(out, steps, f->result.horizon, ++*id);
    figure_calibration(out, run, f, ++*id);
    fputs("</div></details>\n", out);
    free(steps);
}

static void put_stability(FILE *out, const bt_run *run, const bt_summary *s) {
    char bytes[32];
    const double mae = tally_measure(&s->total, MEASURE_MAE);
    fputs("<dl>", out);
    fprintf(out, "<dt>MAE over %" PRIu32 " seed%s</dt><dd>", run->request->seeds, run->request->seeds == 1 ? "" : "s");
    if (isnan(s->mae_deviation)) {
        fputs(session_tail(run->session) > 0 ? "no paths are sampled, so it does not scatter" : "one seed tells nothing of how it scatters", out);
    } else {
        fprintf(out, "standard deviation %.4g, %.2g %% of %.6g", s->mae_deviation, 100 * s->mae_deviation / mae, mae);
    }
    fputs("</dd>", out);
    if (s->n_repeats > 1) {
        fprintf(out, "<dt>time over %zu repeats</dt><dd>σ/mean %.2g %%, median %.4g ms for each of %.0f windows in a batch</dd>",
                s->n_repeats, 100 * s->time_spread, s->ms_per_window, s->timed_batch);
    }
    if (run->batch) {
        format_bytes(run->forecaster_bytes, bytes, sizeof bytes);
        fprintf(out,
                "<dt>recordings</dt><dd>%" PRIu64 " made with the forecasters, %" PRIu64
                " while forecasting</dd><dt>device memory</dt>"
                "<dd>%s beside the weights; batches of up to %" PRIu32 " windows</dd>",
                run->recordings, run->re_recordings, bytes, run->batch);
    } else {
        fputs("<dt>recordings</dt><dd>none: all files are from records</dd>", out);
    }
    fputs("</dl>\n", out);
}

static void put_notes(FILE *out, const bt_run *run, const bt_summary *s) {
    const bool given = session_tail(run->session) > 0;
    fputs(
        "<h2>What the measures mean</h2>\n<dl>"
        "<dt>MAE</dt><dd>mean of |median − actual|; beside it that of seasonal naive (the value one season ago) and of the last "
        "value</dd>"
        "<dt>MAPE, sMAPE</dt><dd>that error in percent of the actual value, and of the mean of both sizes</dd>"
        "<dt>MASE</dt><dd>that error divided by the mean change from one season to the next before the window; below the naive "
        "ones is better</dd>"
        "<dt>CRPS</dt><dd>",
        out);
    fputs(given ? "twice the mean pinball loss of the model's quantiles" : "distance of the paths' distribution from what happened", out);
    fputs(
        ", in the unit of the column; less is better</dd>"
        "<dt>pinball loss</dt><dd>mean over the quantiles 0.1 to 0.9; less is better</dd>"
        "<dt>in 50, 80, 90 %</dt><dd>share of actual values inside the interval; the nearer to its name the better",
        out);
    if (given) { fputs("; – where the interval reaches beyond the model's quantiles", out); }
    fputs(
        "</dd></dl>\n"
        "<p class=\"faint\">MAE, CRPS and pinball loss have the unit of their column, so over columns of different size the "
        "largest rule; MASE "
        "and the percentages do not.",
        out);
    if (s->total.n_relative < s->total.n) {
        fprintf(out, " MAPE leaves out %.0f values that are 0.", s->total.n - s->total.n_relative);
    }
    if (s->total.n_scaled < s->total.n) {
        fprintf(out, " MASE leaves out %.0f values of columns that did not change before.", s->total.n - s->total.n_scaled);
    }
    if (s->n_unusable) { fprintf(out, " %zu windows were passed over for want of values.", s->n_unusable); }
    fputs("</p>\n</body></html>\n", out);
}

bool report_write(const bt_run *run, const bt_summary *s, const comparisons *compared, const char *path, message *error) {
    draft d;
    unsigned id = 0;
    size_t n_put = 0;
    if (!draft_open(&d, path, error)) { return false; }
    put_head(d.file, run, s);
    put_tiles(d.file, run, s);
    if (compared) { put_comparison(d.file, run->request, compared); }
    put_files(d.file, run, s);
    step_tally *steps = steps_of(run, NULL);
    fputs("<div class=\"pair\">", d.file);
    figure_steps(d.file, steps, run->request->horizon, ++id);
    figure_calibration(d.file, run, NULL, ++id);
    fputs("</div>\n<h2>Forecasts</h2>\n", d.file);
    for (size_t i = 0; i < run->n_files; i++) {
        if (!run->files[i].finished || n_put++ >= MOST_FILES) { continue; }
        put_file(d.file, run, &run->files[i], n_put <= FILES_OPEN, &id);
    }
    if (n_put > MOST_FILES) { fprintf(d.file, "<p class=\"faint\">The first %d of %zu files are drawn.</p>\n", MOST_FILES, n_put); }
    fputs("<h2>Stability and speed</h2>\n<div class=\"pair\"><div>", d.file);
    put_stability(d.file, run, s);
    fputs("</div>\n", d.file);
    figure_times(d.file, run, ++id);
    fputs("</div>\n", d.file);
    put_notes(d.file, run, s);
    free(steps);
    return draft_finish(&d, true, error);
}
