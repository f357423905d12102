// Where an axis has its ticks, and what they say. Knows nothing of drawing but the room it has.
#ifndef TOOLS_TICKS_H
#define TOOLS_TICKS_H

#include "timeline.h"

enum { MAX_TICKS = 24 };

typedef struct tick {
    double at;         // the value, or the row
    char text[40];
} tick;

// Round values from low to high, about `wanted` of them. *unit is 1, 1e3, 1e6, 1e9 or 1e12: the texts are in that unit.
size_t ticks_for_values(double low, double high, int wanted, tick *out, double *unit);

// Rows [first, last] at round times, at most `wanted` of them and about evenly apart.
size_t ticks_for_rows(const timeline *time, size_t first, size_t last, int wanted, tick *out);

#endif
