// Writing SVG; see report_svg.h.
#include "report_svg.h"

#include <math.h>
#include <string.h>

enum { TICK_ROOM = 150 }; // for the text of one time, to the second

static double x_of(const chart *c, double x) {
    return c->left + (c->width - c->left - c->right) * (x - c->x_low) / (c->x_high - c->x_low);
}
static double y_of(const chart *c, double y) {
    return c->top + (c->height - c->top - c->bottom) * (c->y_high - y) / (c->y_high - c->y_low);
}

// A band may leave the plot, but coordinates of 1e30 upset viewers.
static double near_plot(const chart *c, double y) { return fmin(fmax(y_of(c, y), -c->height), 2 * c->height); }

void svg_text(FILE *out, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        default: fputc((unsigned char)*text < 32 && *text != '\n' ? ' ' : *text, out);
        }
    }
}

static void put_text(const chart *c, double x, double y, const char *anchor, const char *text) {
    fprintf(c->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    svg_text(c->out, text);
    fputs("</text>", c->out);
}

void chart_begin(const chart *c, const char *label) {
    fprintf(c->out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", c->width, c->height);
    svg_text(c->out, label);
    fprintf(c->out, "\"><clipPath id=\"c%u\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></clipPath>\n", c->clip,
            c->left, c->top - 1, c->width - c->left - c->right + 3, c->height - c->top - c->bottom + 2);
}

void chart_end(const chart *c) {
    fprintf(c->out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/></svg>\n", c->left, c->height - c->bottom, c->width - c->right);
}

void chart_y_axis(const chart *c, int wanted, const char *suffix, double *unit) {
    tick ticks[MAX_TICKS];
    size_t n = ticks_for_values(c->y_low, c->y_high, wanted, ticks, unit);
    for (size_t i = 0; i < n; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s%s", ticks[i].text, suffix);
        fprintf(c->out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", c->left, y_of(c, ticks[i].at), c->width - c->right);
        put_text(c, c->left - 8, y_of(c, ticks[i].at) + 4, "end", text);
    }
    fputc('\n', c->out);
}

static void x_ticks(const chart *c, const tick *ticks, size_t n, const char *suffix) {
    for (size_t i = 0; i < n; i++) {
        char text[64];
        const double x = x_of(c, ticks[i].at);
        snprintf(text, sizeof text, "%s%s", ticks[i].text, suffix);
        fprintf(c->out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, c->top, c->height - c->bottom + 4);
        put_text(c, x, c->height - c->bottom + 18, "middle", text);
    }
    fputc('\n', c->out);
}

void chart_x_axis(const chart *c, int wanted, const char *suffix) {
    tick ticks[MAX_TICKS];
    double unit;
    x_ticks(c, ticks, ticks_for_values(c->x_low, c->x_high, wanted, ticks, &unit), suffix);
}

void chart_x_axis_rows(const chart *c, const timeline *time, size_t first, size_t last) {
    tick ticks[MAX_TICKS];
    const int wanted = (int)((c->width - c->left - c->right) / TICK_ROOM);
    x_ticks(c, ticks, ticks_for_rows(time, first, last, wanted, ticks), "");
}

void chart_x_title(const chart *c, const char *text) {
    put_text(c, c->left + (c->width - c->left - c->right) / 2, c->height - 6, "middle", text);
}

static void open_mark(const chart *c, const char *element, const char *css_class) {
    fprintf(c->out, "<%s class=\"%s\" clip-path=\"url(#c%u)\" ", element, css_class, c->clip);
}

void chart_line(const chart *c, const char *css_class, const double *x, const double *y, size_t n) {
    bool down = false;
    open_mark(c, "path", css_class);
    fputs("d=\"", c->out);
    for (size_t i = 0; i < n; i++) {
        if (isnan(y[i])) {
            down = false;
            continue;
        }
        const bool alone = !down && (i + 1 == n || isnan(y[i + 1]));
        fprintf(c->out, "%c%.1f %.1f", down ? 'L' : 'M', x_of(c, x[i]), near_plot(c, y[i]));
        if (alone) { fputs("h.1", c->out); } // with round ends this is a dot
        down = true;
    }
    fputs("\"/>\n", c->out);
}

void chart_band(const chart *c, const char *css_class, const double *x, const double *low, const double *high, size_t n) {
    open_mark(c, "path", css_class);
    fputs("d=\"", c->out);
    for (size_t i = 0; i < n; i++) { fprintf(c->out, "%c%.1f %.1f", i ? 'L' : 'M', x_of(c, x[i]), near_plot(c, high[i])); }
    for (size_t i = n; i-- > 0;) { fprintf(c->out, "L%.1f %.1f", x_of(c, x[i]), near_plot(c, low[i])); }
    fputs("Z\"/>\n", c->out);
}

void chart_dots(const chart *c, const char *css_class, const double *x, const double *y, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (isnan(y[i])) { continue; }
        fprintf(c->out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>%.4g: %.4g</title></circle>", css_class,
                x_of(c, x[i]), near_plot(c, y[i]), x[i], y[i]);
    }
    fputc('\n', c->out);
}

void chart_bar(const chart *c, const char *css_class, double x0, double x1, double y, const char *tip) {
    const double gap = 0.5, left = x_of(c, x0) + gap, top = y_of(c, y);
    fprintf(c->out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>", css_class, left, top,
            fmax(x_of(c, x1) - gap - left, 0.5), c->height - c->bottom - top);
    svg_text(c->out, tip);
    fputs("</title></rect>\n", c->out);
}

void chart_vertical(const chart *c, const char *css_class, double x) {
    fprintf(c->out, "<path class=\"%s\" d=\"M%.1f %.1fV%.1f\"/>", css_class, x_of(c, x), c->top, c->height - c->bottom);
}

const char *chart_unit(double unit) {
    return unit == 1e12  ? ", trillions"
           : unit == 1e9 ? ", billions"
           : unit == 1e6 ? ", millions"
           : unit == 1e3 ? ", thousands"
                         : "";
}
