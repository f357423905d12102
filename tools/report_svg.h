// Charts as SVG inside a page: axes, lines, bands and bars. Colours come from the page's style sheet by class, so that the page
// can be light or dark.
#ifndef TOOLS_REPORT_SVG_H
#define TOOLS_REPORT_SVG_H

#include <stdio.h>

#include "ticks.h"

typedef struct chart {
    FILE *out;
    double width, height;              // of the picture, in its own units: about pixels
    double left, right, top, bottom;   // margins around the plot
    double x_low, x_high, y_low, y_high;
    unsigned clip;                     // its id on the page; lines and bands are cut to the plot
} chart;

// Text with what HTML wants escaped; for attributes too.
void svg_text(FILE *out, const char *text);

// Opens the picture; `label` is read aloud in its place. Ranges must not be empty.
void chart_begin(const chart *c, const char *label);
void chart_end(const chart *c);

// Grid lines and numbers. `unit` receives what the numbers are in (1, 1e3, ...); `suffix` follows each.
void chart_y_axis(const chart *c, int wanted, const char *suffix, double *unit);
void chart_x_axis(const chart *c, int wanted, const char *suffix);
void chart_x_axis_rows(const chart *c, const timeline *time, size_t first, size_t last);   // x is the row
void chart_x_title(const chart *c, const char *text);

// n points; the line breaks where y is NAN, and a point alone becomes a dot.
void chart_line(const chart *c, const char *css_class, const double *x, const double *y, size_t n);
void chart_band(const chart *c, const char *css_class, const double *x, const double *low, const double *high, size_t n);
void chart_dots(const chart *c, const char *css_class, const double *x, const double *y, size_t n);
void chart_bar(const chart *c, const char *css_class, double x0, double x1, double y, const char *tip);
void chart_vertical(const chart *c, const char *css_class, double x);

// ", thousands" and so on for an axis's unit.
const char *chart_unit(double unit);

#endif
