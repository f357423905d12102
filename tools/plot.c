// Drawing a forecast with cairo: one panel for each variate, a legend above them; see plot.h.
#include "plot.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "draft.h"
#include "ticks.h"

// All lengths are in points of the SVG and pixels of the PNG.
enum {
    WIDTH = 1200,
    HEAD = 112,            // title, subtitle, legend
    LEFT = 88,
    RIGHT = 36,
    FOOT = 48,             // labels of the last panel's time axis
    PANEL_ALONE = 540,
    PANEL = 300,           // of several
    PANEL_GAP = 64,        // the next panel's name, this one's time axis
    PANEL_UPPER = 430,     // of two under one time axis
    PANEL_LOWER = 170,
    LOWER_GAP = 44,
    MAX_PANELS = 16,
    TICK_ROOM = 120        // for the text of one time
};

typedef struct colour {
    double red, green, blue;
} colour;

// Fans light to dark blue, what happened in vermilion: apart for the colour-blind too (after Okabe and Ito).
static const colour ink = { 0.13, 0.14, 0.16 }, faint = { 0.42, 0.44, 0.47 }, grid = { 0.90, 0.91, 0.92 };
static const colour before = { 0.25, 0.27, 0.30 }, forecast = { 0.03, 0.30, 0.58 }, happened = { 0.84, 0.33, 0.02 };
static const colour fans[] = { { 0.84, 0.90, 0.96 }, { 0.68, 0.80, 0.91 }, { 0.50, 0.67, 0.84 } };   // 90, 80, 50 %
static const double fan_levels[][2] = { { 0.05, 0.95 }, { 0.1, 0.9 }, { 0.25, 0.75 } };
enum { N_FANS = sizeof fans / sizeof *fans };
static const char *const fan_names[] = { "90 %", "80 %", "50 %" };

typedef struct panel {
    const outcome *o;
    size_t variate;
    size_t first, last;                  // rows shown
    double left, top, width, height;
    double low, high;
    bool bare;                           // the panel below shows the times
} panel;

static void use(cairo_t *cr, colour c) { cairo_set_source_rgb(cr, c.red, c.green, c.blue); }

static void font(cairo_t *cr, double size, bool bold) {
    cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

static double text_width(cairo_t *cr, const char *text) {
    cairo_text_extents_t extents;
    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

// `align`: 0 begins at x, 0.5 is centred on it, 1 ends there.
static void put_text(cairo_t *cr, double x, double y, double align, const char *text) {
    cairo_move_to(cr, x - align * text_width(cr, text), y);
    cairo_show_text(cr, text);
}

static double x_of(const panel *p, double row) {
    return p->left + p->width * (row - (double)p->first) / (double)(p->last - p->first);
}
static double y_of(const panel *p, double value) { return p->top + p->height * (p->high - value) / (p->high - p->low); }

// ---- what is shown ----

// Five horizons of history, at least a hundred rows, if there are so many.
static size_t first_row(const outcome *o) {
    size_t rows = 5 * o->horizon > 100 ? 5 * o->horizon : 100;
    return o->end > rows ? o->end - rows : 0;
}

static void stretch(double value, double *low, double *high) {
    if (isnan(value)) { return; }
    if (!(value >= *low)) { *low = value; }
    if (!(value <= *high)) { *high = value; }
}

// The widest fan whose levels the forecast has; N_FANS: none.
static size_t first_fan(const outcome *o) {
    size_t i = 0;
    while (i < N_FANS && !outcome_has_interval(o, fan_levels[i][0])) { i++; }
    return i;
}

static void find_range(panel *p) {
    const outcome *o = p->o;
    double low = INFINITY, high = -INFINITY;
    for (size_t row = p->first; row <= p->last && row < o->n_rows; row++) {
        stretch(o->values[p->variate * o->n_rows + row], &low, &high);
    }
    for (size_t step = 0; step < o->horizon; step++) { stretch((double)outcome_point(o, p->variate, step), &low, &high); }
    double span = high > low ? high - low : fmax(fabs(high), 1) * 0.1;
    double fan_low = low, fan_high = high;
    const size_t widest = first_fan(o);
    for (size_t step = 0; step < o->horizon && widest < N_FANS; step++) {
        stretch((double)outcome_quantile(o, outcome_level(o, fan_levels[widest][0]), p->variate, step), &fan_low, &fan_high);
        stretch((double)outcome_quantile(o, outcome_level(o, fan_levels[widest][1]), p->variate, step), &fan_low, &fan_high);
    }
    // A fan much wider than all that was seen is cut, so that the rest stays readable.
    low = fmax(fan_low, low - 1.5 * span);
    high = fmin(fan_high, high + 1.5 * span);
    bool positive = low >= 0;
    span = high > low ? high - low : span;
    p->low = low - 0.05 * span;
    p->high = high + 0.05 * span;
    // An axis that nearly reaches zero may as well show it, and one of what cannot be negative should not go below.
    if (positive && p->low < 0.25 * span) { p->low = 0; }
    if (!isfinite(p->low) || !isfinite(p->high)) { p->low = 0, p->high = 1; }
}

// ---- one panel ----

static void draw_axes(cairo_t *cr, const panel *p) {
    tick ticks[MAX_TICKS];
    double unit;
    size_t n = ticks_for_values(p->low, p->high, p->height > 400 ? 7 : p->height > 200 ? 5 : 4, ticks, &unit);
    font(cr, 12, false);
    cairo_set_line_width(cr, 1);
    for (size_t i = 0; i < n; i++) {
        double y = floor(y_of(p, ticks[i].at)) + 0.5;   // the middle of a pixel, so that thin lines stay sharp
        use(cr, grid);
        cairo_move_to(cr, p->left, y);
        cairo_line_to(cr, p->left + p->width, y);
        cairo_stroke(cr);
        use(cr, faint);
        put_text(cr, p->left - 10, y + 4, 1, ticks[i].text);
    }
    const char *name = p->o->names[p->variate];
    const char *in = unit == 1e12  ? ", trillions"
                     : unit == 1e9 ? ", billions"
                     : unit == 1e6 ? ", millions"
                     : unit == 1e3 ? ", thousands"
                                   : "";
    use(cr, ink);
    font(cr, 14, true);
    cairo_move_to(cr, p->left, p->top - 12);
    cairo_show_text(cr, name);
    font(cr, 12, false);
    use(cr, faint);
    cairo_show_text(cr, in);

    n = ticks_for_rows(p->o->time, p->first, p->last, (int)(p->width / TICK_ROOM), ticks);
    for (size_t i = 0; i < n; i++) {
        double x = floor(x_of(p, ticks[i].at)) + 0.5;
        use(cr, grid);
        cairo_move_to(cr, x, p->top);
        cairo_line_to(cr, x, p->top + p->height + (p->bare ? 0 : 5));
        cairo_stroke(cr);
        use(cr, faint);
        if (!p->bare) { put_text(cr, x, p->top + p->height + 21, 0.5, ticks[i].text); }
    }
    use(cr, faint);
    cairo_move_to(cr, p->left, floor(p->top + p->height) + 0.5);
    cairo_line_to(cr, p->left + p->width, floor(p->top + p->height) + 0.5);
    cairo_stroke(cr);
}

// A line that begins on the last known value before the forecast, so that it grows out of the history.
static bool last_known(const panel *p, size_t *row, double *value) {
    const double *history = p->o->values + p->variate * p->o->n_rows;
    for (size_t at = p->o->end; at > p->first; at--) {
        if (!isnan(history[at - 1])) {
            *row = at - 1;
            *value = history[at - 1];
            return true;
        }
    }
    return false;
}

static void draw_fans(cairo_t *cr, const panel *p) {
    const outcome *o = p->o;
    size_t row = 0;
    double value = 0;
    bool joined = last_known(p, &row, &value);
    for (size_t i = first_fan(o); i < N_FANS; i++) {
        size_t low = outcome_level(o, fan_levels[i][0]), high = outcome_level(o, fan_levels[i][1]);
        if (joined) { cairo_move_to(cr, x_of(p, (double)row), y_of(p, value)); }
        for (size_t step = 0; step < o->horizon; step++) {
            cairo_line_to(cr, x_of(p, (double)(o->end + step)),
                          y_of(p, (double)outcome_quantile(o, high, p->variate, step)));
        }
        for (size_t step = o->horizon; step > 0; step--) {
            cairo_line_to(cr, x_of(p, (double)(o->end + step - 1)),
                          y_of(p, (double)outcome_quantile(o, low, p->variate, step - 1)));
        }
        cairo_close_path(cr);
        use(cr, fans[i]);
        cairo_fill(cr);
    }
}

static void draw_point_forecast(cairo_t *cr, const panel *p) {
    size_t row;
    double value;
    if (last_known(p, &row, &value)) { cairo_move_to(cr, x_of(p, (double)row), y_of(p, value)); }
    for (size_t step = 0; step < p->o->horizon; step++) {
        cairo_line_to(cr, x_of(p, (double)(p->o->end + step)), y_of(p, (double)outcome_point(p->o, p->variate, step)));
    }
    use(cr, forecast);
    cairo_set_line_width(cr, 2.5);
    cairo_stroke(cr);
}

// Rows [first, last] of the file, broken where values are missing; a value alone among missing ones becomes a dot.
static void draw_values(cairo_t *cr, const panel *p, size_t first, size_t last, colour c) {
    const double *values = p->o->values + p->variate * p->o->n_rows;
    size_t run = 0;
    use(cr, c);
    for (size_t row = first; row <= last && row < p->o->n_rows; row++) {
        if (isnan(values[row])) {
            run = 0;
            continue;
        }
        double x = x_of(p, (double)row), y = y_of(p, values[row]);
        bool next = row < last && row + 1 < p->o->n_rows && !isnan(values[row + 1]);
        if (run == 0 && !next) {
            cairo_new_sub_path(cr);
            cairo_arc(cr, x, y, 2, 0, 6.2832);
        } else if (run == 0) {
            cairo_move_to(cr, x, y);
        } else {
            cairo_line_to(cr, x, y);
        }
        run++;
    }
    cairo_set_line_width(cr, 1.8);
    cairo_stroke(cr);
}

static void draw_panel(cairo_t *cr, panel *p) {
    const outcome *o = p->o;
    find_range(p);
    draw_axes(cr, p);
    cairo_save(cr);
    cairo_rectangle(cr, p->left, p->top, p->width + 2, p->height);
    cairo_clip(cr);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    draw_fans(cr, p);

    double start = floor(x_of(p, (double)o->end - 0.5)) + 0.5,
           dashes[] = { 4, 4 }; // between the last row and the first step
    use(cr, faint);
    cairo_set_line_width(cr, 1);
    cairo_set_dash(cr, dashes, 2, 0);
    cairo_move_to(cr, start, p->top);
    cairo_line_to(cr, start, p->top + p->height);
    cairo_stroke(cr);
    cairo_set_dash(cr, NULL, 0, 0);

    draw_values(cr, p, p->first, o->end - 1, before);
    draw_point_forecast(cr, p);
    size_t row;
    double value;
    if (outcome_n_known(o) > 0) {
        draw_values(cr, p, last_known(p, &row, &value) && row + 1 == o->end ? row : o->end, o->end + outcome_n_known(o) - 1,
                    happened);
    }
    cairo_restore(cr);
}

// ---- the whole ----

static double legend_line(cairo_t *cr, double x, double y, colour c, double width, const char *text) {
    use(cr, c);
    cairo_set_line_width(cr, width);
    cairo_move_to(cr, x, y - 4);
    cairo_line_to(cr, x + 28, y - 4);
    cairo_stroke(cr);
    use(cr, ink);
    put_text(cr, x + 36, y, 0, text);
    return x + 36 + text_width(cr, text) + 28;
}

static void draw_legend(cairo_t *cr, const outcome *o, double x, double y) {
    font(cr, 13, false);
    x = legend_line(cr, x, y, before, 1.8, "history");
    if (outcome_n_known(o) > 0) { x = legend_line(cr, x, y, happened, 1.8, "what happened"); }
    x = legend_line(cr, x, y, forecast, 2.5, outcome_has_levels(o) ? "median forecast" : o->mean_label ? "greedy forecast" : "mean forecast");
    if (!outcome_has_levels(o)) { return; }
    for (size_t i = N_FANS; i-- > first_fan(o);) {
        use(cr, fans[i]);
        cairo_rectangle(cr, x, y - 11, 28, 14);
        cairo_fill(cr);
        use(cr, ink);
        put_text(cr, x + 36, y, 0, fan_names[i]);
        x += 36 + text_width(cr, fan_names[i]) + 18;
    }
    use(cr, faint);
    put_text(cr, x, y, 0, o->paths ? "of the sampled paths" : "by the model's quantiles");
}

static void draw_head(cairo_t *cr, const outcome *o) {
    char text[512], label[64];
    timeline_label(o->time, o->end, label, sizeof label);
    snprintf(text, sizeof text, "Forecast of %zu step%s from %s%s", o->horizon, o->horizon == 1 ? "" : "s",
             o->time->spacing == SPACING_ROWS ? "row " : "", label);
    use(cr, ink);
    font(cr, 19, true);
    put_text(cr, LEFT, 34, 0, text);
    const char *model = o->model;   // the folder's own name, without a path that says little
    size_t length = strlen(model);
    while (length > 1 && model[length - 1] == '/') { length--; }
    size_t begin = length;
    while (begin > 0 && model[begin - 1] != '/') { begin--; }
    int n = snprintf(text, sizeof text, "%.*s, context of %zu %ss, ", (int)(length - begin), model + begin, o->context,
                     o->unit ? o->unit : "row");
    if (n > 0 && (size_t)n < sizeof text) {
        size_t left = sizeof text - (size_t)n;
        if (o->paths) {
            snprintf(text + n, left, "%" PRIu32 " sampled paths, seed %" PRIu64 "%s%s, %s", o->paths, o->seed,
                     o->sampling[0] ? ", " : "", o->sampling, o->precision);
        } else {
            snprintf(text + n, left, "%s, %s", outcome_has_levels(o) ? "quantiles" : "no sampling", o->precision);
        }
    }
    use(cr, faint);
    font(cr, 13, false);
    put_text(cr, LEFT, 55, 0, text);
    draw_legend(cr, o, LEFT, 80);
}

bool plot_is_known(const char *path) { return ends_with(path, ".svg") || ends_with(path, ".png"); }

// Places the panels one below the other; returns how many there are. *height is that of the whole picture.
static size_t place_panels(const outcome *o, panel *panels, int *height) {
    bool pair = o->n_drawn == 2;
    size_t n = o->n_drawn ? o->n_drawn : o->n_variates < MAX_PANELS ? o->n_variates : MAX_PANELS;
    double top = HEAD + 16;
    for (size_t i = 0; i < n; i++) {
        panels[i] = (panel){ .o = o,
                             .variate = o->n_drawn ? o->drawn[i] : i,
                             .first = first_row(o),
                             .last = o->end + o->horizon - 1,
                             .left = LEFT,
                             .top = top,
                             .width = WIDTH - LEFT - RIGHT,
                             .height = pair ? i == 0 ? PANEL_UPPER : PANEL_LOWER : n == 1 ? PANEL_ALONE : PANEL,
                             .bare = pair && i == 0 };
        *height = (int)(top + panels[i].height) + FOOT;
        top += panels[i].height + (pair ? LOWER_GAP : PANEL_GAP);
    }
    return n;
}

static cairo_status_t to_file(void *file, const unsigned char *bytes, unsigned n) {
    return fwrite(bytes, 1, n, file) == n ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static cairo_status_t draw_to(const outcome *o, panel *panels, size_t n_panels, int height, bool svg, FILE *file) {
    // PNG at twice the size, which screens and paper need today.
    cairo_surface_t *surface = svg ? cairo_svg_surface_create_for_stream(to_file, file, WIDTH, height)
                                   : cairo_image_surface_create(CAIRO_FORMAT_RGB24, 2 * WIDTH, 2 * height);
    cairo_t *cr = cairo_create(surface);
    if (!svg) { cairo_scale(cr, 2, 2); }
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    draw_head(cr, o);
    for (size_t i = 0; i < n_panels; i++) { draw_panel(cr, &panels[i]); }
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    if (svg) { cairo_surface_finish(surface); }
    if (status == CAIRO_STATUS_SUCCESS) { status = cairo_surface_status(surface); }
    if (status == CAIRO_STATUS_SUCCESS && !svg) { status = cairo_surface_write_to_png_stream(surface, to_file, file); }
    cairo_surface_destroy(surface);
    return status;
}

bool plot_write(const outcome *o, const char *path, message *error) {
    panel panels[MAX_PANELS];
    int height = 0;
    size_t n_panels = place_panels(o, panels, &height);
    draft d;
    if (o->n_drawn == 0 && n_panels < o->n_variates) { note("%s shows the first %zu of %zu variates", path, n_panels, o->n_variates); }
    if (!draft_open(&d, path, error)) { return false; }
    const cairo_status_t status = draw_to(o, panels, n_panels, height, ends_with(path, ".svg"), d.file);
    // A write error is the file's, and the draft knows why.
    const bool drawn = status == CAIRO_STATUS_SUCCESS || status == CAIRO_STATUS_WRITE_ERROR;
    if (!drawn) { message_set(error, "%s cannot be drawn: %s", path, cairo_status_to_string(status)); }
    return draft_finish(&d, drawn, error);
}
