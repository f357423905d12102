// When the bars that follow the last row of a file will be: by a rule, or as another file says.
#ifndef TOOLS_CALENDAR_H
#define TOOLS_CALENDAR_H

#include "timeline.h"

#define CALENDAR_CHOICES "24x7|weekdays|sessions"

typedef enum calendar {
    CALENDAR_AS_SEEN,      // whichever of the others the rows suggest
    CALENDAR_ALWAYS,       // 24x7: step by step
    CALENDAR_WEEKDAYS,     // step by step, without Saturdays and Sundays
    CALENDAR_SESSIONS,     // the times of day that were seen, Monday to Friday
    CALENDAR_FILE          // as a file said
} calendar;

calendar calendar_named(const char *name);      // NULL: CALENDAR_AS_SEEN
const char *calendar_name(calendar kind);

// Gives `time`, which must be of dates, `count` rows beyond its own. Rules look at the rows [first, n_rows), or at the last
// week where that is more. *used is the rule that was followed.
bool calendar_continue(timeline *time, calendar kind, size_t first, size_t count, calendar *used, message *error);

// The same from a CSV file: its column called `column`, else the one whose name means time, else the first of dates. Times up to our last are an error, so are
// fewer than `count`; more are not looked at.
bool calendar_read(timeline *time, const char *path, const char *column, size_t count, message *error);
bool calendar_take(timeline *time, const char *name, const table *t, const char *column, size_t count, message *error);

#endif
