// Price bars from a table: which columns they are in, and whether their numbers can be bars.
#ifndef TOOLS_BARS_H
#define TOOLS_BARS_H

#include "timeline.h"

enum { BAR_OPEN, BAR_HIGH, BAR_LOW, BAR_CLOSE, BAR_VOLUME, BAR_AMOUNT, BAR_COLUMNS, BAR_STAMPS = 5 };
extern const char *const bar_names[BAR_COLUMNS];

typedef struct bars {
    size_t columns[BAR_COLUMNS];   // of the table; SIZE_MAX: it has none
    size_t n_rows;
    double *values;                // [6, n_rows], NAN = missing; without volumes 0, without amounts volume x mean price
    bool has_volume, has_amount;   // in the table; an amount without a volume is not used
} bars;

// Finds the columns by their names, in any case, and reads all rows. On failure *out is empty.
bool bars_read(const char *file, const table *t, bars *out, message *error);
void bars_free(bars *b);

// Whether the rows [first, end) can be given to a model: nothing missing, prices above 0, the rest not below.
bool bars_check(const bars *b, const table *t, size_t first, size_t end, message *error);

// Bars whose high is not the highest of the four prices, or whose low is not the lowest, among the rows [first, end).
// *row is the first of them.
size_t bars_n_odd(const bars *b, size_t first, size_t end, size_t *row);

// Whether the times are those of bars: dates, not numbers of rows.
bool bars_have_times(const char *file, const table *t, const timeline *time, message *error);

// What the model knows of a time: minute, hour, weekday (Monday 0), day of month, month; `out` is [count, 5].
void bars_stamp(const timeline *time, size_t first, size_t count, uint8_t *out);

#endif
