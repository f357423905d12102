// When the rows of a file were, and when the rows that follow it will be.
#ifndef TOOLS_TIMELINE_H
#define TOOLS_TIMELINE_H

#include "clock.h"
#include "table.h"

typedef enum spacing {
    SPACING_ROWS,          // no time column: rows are numbered from 1
    SPACING_NUMBERS,       // a column of numbers that are no dates; steps of `step`
    SPACING_FIXED,         // steps of step_ms
    SPACING_WORKDAYS,      // Monday to Friday
    SPACING_MONTHS         // steps of `months` calendar months
} spacing;

typedef struct timeline {
    size_t n_rows;
    spacing spacing;
    double *numbers;       // [n_rows], SPACING_NUMBERS
    double step;
    int64_t *ms;           // [n_rows], the last three
    int64_t step_ms;
    int months, anchor_day;   // anchor_day: 31 for the ends of months
    size_t n_uneven;       // steps between rows that differ from the spacing
    int *zones;            // [n_rows], minutes east of Greenwich, where the file's rows differ in it; else NULL
    int64_t *ahead, *ahead_clock; // [n_ahead]: the rows that follow, where a calendar or a file says when they are: in
    size_t n_ahead;               // milliseconds, and as the clock on the wall shows it; see calendar.h
    clock_style style;
    char name[64];         // of the column; "row" without one
} timeline;

// Reads the column called `column`; NULL: the first one that holds dates, or numbers under a name that means time; if there
// is none, rows are numbered. Times must increase. *which is the column, or SIZE_MAX.
bool timeline_read(const table *t, const char *column, timeline *out, size_t *which, message *error);
void timeline_free(timeline *time);

// The first column whose name means time, whatever it holds, or SIZE_MAX: where its cells are no times, this is the one
// to complain about.
size_t timeline_named(const table *t);

// The label of a row, written as the file writes its times. Rows from n_rows on continue the spacing.
void timeline_label(const timeline *time, size_t row, char *buf, size_t cap);

int64_t timeline_ms(const timeline *time, size_t row); // only the last three spacings; local time if the file has a zone
int64_t timeline_clock(const timeline *time, size_t row);     // the same, each row by the zone that it was written in
double timeline_number(const timeline *time, size_t row);     // only the first two

// Rows after which the same season is expected: 12 for months, 4 for quarters, 7 for days, 5 for working days, 24 for
// hours; else 1.
uint32_t timeline_season(const timeline *time);

// "monthly", "every 5 minutes"; "" without a time column.
void timeline_describe(const timeline *time, char *buf, size_t cap);

#endif
