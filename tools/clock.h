// Dates and times of day as text and as milliseconds, by the Gregorian calendar; no time zone data base, no locale.
#ifndef TOOLS_CLOCK_H
#define TOOLS_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DAY_MS ((int64_t)86400000)

typedef enum clock_detail {
    CLOCK_MONTH,           // 1949-01
    CLOCK_DAY,             // 1949-01-31
    CLOCK_MINUTE,          // 1949-01-31 12:00
    CLOCK_SECOND,          // 1949-01-31 12:00:00
    CLOCK_MILLISECOND,     // 1949-01-31 12:00:00.000
    CLOCK_COMPACT_DAY,     // 19490131
    CLOCK_EPOCH_SECOND,    // 1718709300
    CLOCK_EPOCH_MS         // 1718709300000
} clock_detail;

// How a file writes its times, so that ours can be written alike.
typedef struct clock_style {
    clock_detail detail;
    char date_separator;   // '-' or '/'
    char time_separator;   // ' ' or 'T'
    bool has_zone;
    bool zulu;             // the zone is written "Z"
    int zone_minutes;      // east of Greenwich
} clock_style;

// Reads YYYY-MM, YYYY-MM-DD or either with / for -, followed by [ T]HH:MM[:SS[.fff]] and Z, +HH:MM or +HHMM. *ms counts
// from 1970-01-01T00:00Z; times without a zone are taken as that of Greenwich.
bool clock_parse(const char *text, int64_t *ms, clock_style *style);

// Reads whole numbers as the given style: CLOCK_COMPACT_DAY, CLOCK_EPOCH_SECOND, CLOCK_EPOCH_MS.
bool clock_parse_number(const char *text, clock_detail detail, int64_t *ms);

void clock_print(int64_t ms, const clock_style *style, char *buf, size_t cap);

typedef struct civil {
    int64_t year;
    int month, day;        // from 1
    int64_t ms_of_day;
} civil;

civil civil_from_ms(int64_t ms);
int64_t ms_from_civil(civil date);
int days_in_month(int64_t year, int month);
int weekday(int64_t ms);   // 0 = Monday

#endif
