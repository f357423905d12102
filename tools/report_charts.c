// What the charts show; see report_charts.h.
#include "report_charts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "naive.h"
#include "report_svg.h"

enum { WIDE = 1040, HALF = 510, LONGEST = 12 }; // units of the pictures; horizons that a fan chart covers at most

static void stretch(double value, double *low, double *high) {
    if (!isfinite(value)) { return; }
    if (!(value >= *low)) { *low = value; }
    if (!(value <= *high)) { *high = value; }
}

// Some room above and below, and zero where it is near.
static void round_out(double *low, double *high) {
    if (!(*low <= *high)) { *low = 0, *high = 1; }
    const bool positive = *low >= 0;
    const double span = *high > *low ? *high - *low : fmax(fabs(*high), 1) * 0.1;
    *low -= 0.05 * span, *high += 0.05 * span;
    if (positive && *low < 0.25 * span) { *low = 0; }
}

// One of two side by side; its y starts at 0.
static chart half(FILE *out, unsigned id, double x_low, double x_high) {
    return (chart){ .out = out, .width = HALF, .height = 300, .left = 56, .right = 24, .top = 8, .bottom = 42,
                    .x_low = x_low, .x_high = x_high, .clip = id };
}

static void legend(FILE *out, const char *css_class, const char *text) {
    fprintf(out, "<span class=\"key\"><svg viewBox=\"0 0 28 12\"><path class=\"%s\" d=\"%s\"/></svg>", css_class,
            strncmp(css_class, "band", 4) == 0 ? "M0 0H28V12H0Z" : "M1 6H27");
    svg_text(out, text);
    fputs("</span>", out);
}

// ---- fans ----

static const float *picture(const bt_result *r, size_t which, size_t variate, size_t level) {
    return r->pictures + ((which * r->n_variates + variate) * PICTURE_LEVELS + level) * r->horizon;
}

static void fan_range(const bt_file *f, size_t variate, size_t first, size_t last, size_t from, chart *c) {
    const double *values = f->values + variate * f->n_rows;
    const bt_result *r = &f->result;
    double low = INFINITY, high = -INFINITY;
    for (size_t row = first; row <= last; row++) { stretch(values[row], &low, &high); }
    for (size_t p = from; p < r->n_pictures; p++) {
        for (size_t h = 0; h < r->horizon; h++) { stretch((double)picture(r, p, variate, PICTURE_MEDIAN)[h], &low, &high); }
    }
    const double span = high > low ? high - low : fmax(fabs(high), 1) * 0.1;
    double fan_low = low, fan_high = high;
    for (size_t p = from; p < r->n_pictures; p++) {
        for (size_t h = 0; h < r->horizon; h++) {
            for (size_t q = 0; q < PICTURE_LEVELS; q++) { stretch((double)picture(r, p, variate, q)[h], &fan_low, &fan_high); }
        }
    }
    // A fan much wider than all that happened is cut, so that the rest stays readable.
    c->y_low = fmax(fan_low, low - span);
    c->y_high = fmin(fan_high, high + span);
    round_out(&c->y_low, &c->y_high);
}

// Whether the forecasts have an interval: 0 is the 90 % one, 1 the 80 % one. A model's own quantiles may end before.
static bool has_band(const bt_result *r, size_t band) { return !isnan(r->pictures[band * r->horizon]); }

// One window: bands and median, grown out of the last value before it.
static void draw_fan(const chart *c, const bt_file *f, size_t which, size_t variate) {
    static const char *const bands[] = { "band90", "band80", "band50" };
    const bt_result *r = &f->result;
    const double *values = f->values + variate * f->n_rows;
    const size_t end = r->picture_ends[which], n = r->horizon + 1;
    const bool joined = !isnan(values[end - 1]);
    double *x = take(n, sizeof *x), *low = take(n, sizeof *low), *high = take(n, sizeof *high);
    const size_t skip = joined ? 0 : 1;
    x[0] = (double)end - 1;
    low[0] = high[0] = values[end - 1];
    for (size_t b = 0; b < 3; b++) {
        if (!has_band(r, b)) { continue; }
        for (size_t h = 0; h < r->horizon; h++) {
            x[h + 1] = (double)(end + h);
            low[h + 1] = (double)picture(r, which, variate, b)[h];
            high[h + 1] = (double)picture(r, which, variate, PICTURE_LEVELS - 1 - b)[h];
        }
        chart_band(c, bands[b], x + skip, low + skip, high + skip, n - skip);
    }
    for (size_t h = 0; h < r->horizon; h++) { x[h + 1] = (double)(end + h), low[h + 1] = (double)picture(r, which, variate, PICTURE_MEDIAN)[h]; }
    chart_line(c, "median", x + skip, low + skip, n - skip);
    free(x);
    free(low);
    free(high);
}

void figure_fans(FILE *out, const bt_file *f, size_t variate, size_t context, unsigned id) {
    const bt_result *r = &f->result;
    if (r->n_pictures == 0) { return; }
    const size_t last = r->picture_ends[r->n_pictures - 1] + r->horizon - 1;
    size_t from = 0;
    while (from + 1 < r->n_pictures && last + 1 - r->picture_ends[from] > LONGEST * r->horizon) { from++; }
    const size_t start = r->picture_ends[from], span = last + 1 - start;
    size_t before = span / 3 > 2 * r->horizon ? span / 3 : 2 * r->horizon;
    before = before < context ? before : context;
    const size_t first = start - before, n = last - first + 1;
    chart c = { .out = out,
                .width = WIDE,
                .height = 260,
                .left = 64,
                .right = 12,
                .top = 8,
                .bottom = 26,
                .x_low = (double)first,
                .x_high = (double)last,
                .clip = id };
    double unit, *x = take(n, sizeof *x);
    char label[256];
    fan_range(f, variate, first, last, from, &c);
    snprintf(label, sizeof label, "%.100s, %.100s: forecasts of %zu windows on what happened", f->name, f->names[variate],
             r->n_pictures - from);
    fputs("<figure>", out);
    chart_begin(&c, label);
    chart_y_axis(&c, 5, "", &unit);
    chart_x_axis_rows(&c, &f->time, first, last);
    for (size_t p = from; p < r->n_pictures; p++) { chart_vertical(&c, "origin", (double)r->picture_ends[p] - 0.5); }
    for (size_t p = from; p < r->n_pictures; p++) { draw_fan(&c, f, p, variate); }
    for (size_t i = 0; i < n; i++) { x[i] = (double)(first + i); }
    chart_line(&c, "actual", x, f->values + variate * f->n_rows + first, n);
    chart_end(&c);
    fputs("<figcaption><b>", out);
    svg_text(out, f->names[variate]);
    fprintf(out, "</b>%s: ", chart_unit(unit));
    if (r->n_pictures - from == 1) {
        fputs("the latest window. ", out);
    } else {
        fprintf(out, "the latest %zu windows that do not overlap. ", r->n_pictures - from);
    }
    legend(out, "actual", "what happened");
    legend(out, "median", "median");
    legend(out, "band50", "50 %");
    legend(out, "band80", "80 %");
    if (has_band(r, 0)) { legend(out, "band90", "90 %"); }
    fputs("</figcaption></figure>\n", out);
    free(x);
}

// ---- error by step ----

step_tally *steps_of(const bt_run *run, const bt_file *file) {
    step_tally *sum = take(run->request->horizon, sizeof *sum);
    for (size_t i = 0; i < run->n_files; i++) {
        const bt_file *f = &run->files[i];
        if (!f->finished || (file && f != file)) { continue; }
        for (size_t s = 0; s < f->result.n_seeds; s++) {
            for (size_t h = 0; h < f->result.horizon; h++) {
                step_tally_add(&sum[h], &f->result.steps[s * f->result.horizon + h]);
            }
        }
    }
    return sum;
}

void figure_steps(FILE *out, const step_tally *steps, size_t horizon, unsigned id) {
    static const char *const classes[] = { "last", "seasonal", "model" };
    chart c = half(out, id, 1, (double)horizon);
    double *x = take(horizon, sizeof *x), *y[3], high = 0, unit;
    bool scaled = false, same = true; // without a season both naive forecasts are one
    for (size_t k = 0; k < 3; k++) { y[k] = take(horizon, sizeof **y); }
    for (size_t h = 0; h < horizon; h++) { scaled = scaled || steps[h].n_scaled > 0; }
    for (size_t h = 0; h < horizon; h++) {
        const step_tally *s = &steps[h];
        const double n = scaled ? s->n_scaled : s->n,
                     sums[] = { scaled ? s->scaled_last : s->last, scaled ? s->scaled_seasonal : s->seasonal,
                                scaled ? s->scaled : s->error };
        x[h] = (double)(h + 1);
        for (size_t k = 0; k < 3; k++) { y[k][h] = n > 0 ? sums[k] / n : NAN, high = fmax(high, y[k][h]); }
    }
    for (size_t h = 0; h < horizon; h++) { same = same && !(y[0][h] < y[1][h] || y[0][h] > y[1][h]); }
    c.y_high = high > 0 ? 1.06 * high : 1;
    if (horizon == 1) { c.x_low = 0.5, c.x_high = 1.5; }
    fputs("<figure>", out);
    chart_begin(&c, "Error at each step of the horizon");
    chart_y_axis(&c, 5, "", &unit);
    chart_x_axis(&c, horizon > 8 ? 8 : horizon > 1 ? (int)horizon - 1 : 1, "");
    chart_x_title(&c, "step of the horizon");
    for (size_t k = 0; k < 3; k++) {
        if (k != 1 || !same) { chart_line(&c, classes[k], x, y[k], horizon); }
    }
    chart_end(&c);
    fprintf(out, "<figcaption><b>Error by step</b>: %s%s. ", scaled ? "scaled as in MASE" : "MAE", chart_unit(unit));
    legend(out, "model", "model");
    if (!same) { legend(out, "seasonal", "seasonal naive"); }
    legend(out, "last", "last value");
    fputs("</figcaption></figure>\n", out);
    free(x);
    for (size_t k = 0; k < 3; k++) { free(y[k]); }
}

// ---- calibration ----

static void observed(const tally *t, double *y) {
    for (size_t i = 0; i < N_LEVELS; i++) { y[i] = t->n_below[i] > 0 ? 100 * t->below[i] / t->n_below[i] : NAN; }
}

void figure_calibration(FILE *out, const bt_run *run, const bt_file *file, unsigned id) {
    chart c = half(out, id, 0, 100);
    c.y_high = 100;
    const double ends[] = { 0, 100 };
    double x[N_LEVELS], y[N_LEVELS], unit;
    tally sum = { 0 };
    size_t n_files = 0;
    for (size_t i = 0; i < N_LEVELS; i++) { x[i] = 100 * calibration_level(i); }
    for (size_t i = 0; i < run->n_files; i++) { n_files += run->files[i].finished && (!file || file == &run->files[i]); }
    fputs("<figure>", out);
    chart_begin(&c, "Calibration: share of values at or below each quantile");
    chart_y_axis(&c, 5, " %", &unit);
    chart_x_axis(&c, 5, " %");
    chart_x_title(&c, "quantile");
    chart_line(&c, "ideal", ends, ends, 2);
    for (size_t i = 0; i < run->n_files; i++) {
        const bt_file *f = &run->files[i];
        if (!f->finished || (file && file != f)) { continue; }
        const tally t = bt_result_tally(&f->result, SIZE_MAX, SIZE_MAX);
        tally_add(&sum, &t);
        observed(&t, y);
        if (n_files > 1) { chart_line(&c, "each", x, y, N_LEVELS); }
    }
    observed(&sum, y);
    chart_line(&c, "model", x, y, N_LEVELS);
    chart_dots(&c, "dot", x, y, N_LEVELS);
    chart_end(&c);
    fputs("<figcaption><b>Calibration</b>: how many values were at or below each quantile. ", out);
    legend(out, "model", n_files > 1 ? "all files" : "forecast");
    if (n_files > 1) { legend(out, "each", "each file"); }
    legend(out, "ideal", "as promised");
    fputs("</figcaption></figure>\n", out);
}

// ---- times ----

static int rising(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *collect_times(const bt_run *run, size_t *n) {
    double *ms = NULL;
    *n = 0;
    for (size_t i = 0; i < run->n_files; i++) {
        const bt_result *r = &run->files[i].result;
        if (!run->files[i].finished) { continue; }
        ms = take_again(ms, *n + r->n_timings, sizeof *ms);
        for (size_t t = 0; t < r->n_timings; t++) { ms[(*n)++] = r->timings[t].ms / r->timings[t].windows; }
    }
    if (*n) { qsort(ms, *n, sizeof *ms, rising); }
    return ms;
}

void figure_times(FILE *out, const bt_run *run, unsigned id) {
    enum { MOST = 24 };
    size_t n, counts[MOST] = { 0 }, highest = 0;
    double *ms = collect_times(run, &n), unit;
    if (n == 0) {
        fputs("<figure><figcaption><b>Times</b>: no call was timed.</figcaption></figure>\n", out);
        free(ms);
        return;
    }
    const size_t n_bins = n < 9 ? 6 : 2 * sqrt((double)n) < MOST ? (size_t)(2 * sqrt((double)n)) : MOST;
    double low = ms[0], width = (ms[n - 1] - low) / (double)n_bins;
    if (!(width > 1e-9 * low)) { width = fmax(low, 1e-6) * 0.02 / (double)n_bins; } // all alike
    for (size_t i = 0; i < n; i++) {
        const size_t bin = (size_t)((ms[i] - low) / width), at = bin < n_bins ? bin : n_bins - 1;
        if (++counts[at] > highest) { highest = counts[at]; }
    }
    chart c = half(out, id, low - 0.5 * width, low + ((double)n_bins + 0.5) * width);
    c.y_high = (double)highest;
    fputs("<figure>", out);
    chart_begin(&c, "Histogram of times");
    chart_y_axis(&c, highest < 5 ? (int)highest : 5, "", &unit);
    chart_x_axis(&c, 5, "");
    chart_x_title(&c, "ms for each window");
    for (size_t b = 0; b < n_bins; b++) {
        char tip[128];
        snprintf(tip, sizeof tip, "%.4g to %.4g ms: %zu", low + (double)b * width, low + ((double)b + 1) * width, counts[b]);
        if (counts[b]) { chart_bar(&c, "bar", low + (double)b * width, low + ((double)b + 1) * width, (double)counts[b], tip); }
    }
    chart_vertical(&c, "median", median_of(ms, n));
    chart_end(&c);
    fprintf(out, "<figcaption><b>Times</b>: %zu timed call%s, by their time for each window; median %.4g ms. ", n,
            n == 1 ? "" : "s", median_of(ms, n));
    legend(out, "median", "median");
    fputs("</figcaption></figure>\n", out);
    free(ms);
}
