// Round numbers and round times; see ticks.h.
#include "ticks.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

// The smallest of 1, 2, 5 times a power of ten that is not below `least`.
static double round_step(double least) {
    double power = pow(10, floor(log10(least)));
    double ratio = least / power;
    return power * (ratio <= 1.0001 ? 1 : ratio <= 2.0001 ? 2 : ratio <= 5.0001 ? 5 : 10);
}

static size_t ticks_for_numbers(double low, double high, int wanted, double unit, tick *out) {
    double step = round_step((high - low) / wanted);
    int decimals = (int)-floor(log10(step / unit) + 1e-9);
    size_t n = 0;
    for (double k = ceil(low / step - 1e-9); k * step <= high + 1e-9 * step && n < MAX_TICKS; k++) {
        out[n].at = k * step;
        // Adding 0 turns -0 into 0.
        snprintf(out[n].text, sizeof out[n].text, "%.*f", decimals > 0 ? decimals < 12 ? decimals : 12 : 0,
                 k * step / unit + 0.0);
        n++;
    }
    return n;
}

size_t ticks_for_values(double low, double high, int wanted, tick *out, double *unit) {
    static const double units[] = { 1e12, 1e9, 1e6 };
    double largest = fmax(fabs(low), fabs(high));
    *unit = 1;
    for (size_t i = 0; i < sizeof units / sizeof *units && *unit == 1; i++) {
        if (largest >= 2 * units[i]) { *unit = units[i]; }
    }
    if (*unit == 1 && largest >= 2e5) { *unit = 1e3; }
    return ticks_for_numbers(low, high, wanted, *unit, out);
}

// ---- times ----

typedef enum period { PERIOD_YEAR, PERIOD_MONTH, PERIOD_WEEK, PERIOD_MS } period;

// From fine to coarse; a tick stands on the first row of each period.
static const struct {
    period period;
    int64_t count;
} levels[] = { { PERIOD_MS, 1 },           { PERIOD_MS, 10 },           { PERIOD_MS, 100 },     { PERIOD_MS, 1000 },
               { PERIOD_MS, 5000 },        { PERIOD_MS, 15000 },        { PERIOD_MS, 60000 },   { PERIOD_MS, 300000 },
               { PERIOD_MS, 900000 },      { PERIOD_MS, 1800000 },      { PERIOD_MS, 3600000 }, { PERIOD_MS, 3 * 3600000 },
               { PERIOD_MS, 6 * 3600000 }, { PERIOD_MS, 12 * 3600000 }, { PERIOD_MS, DAY_MS },  { PERIOD_MS, 2 * DAY_MS },
               { PERIOD_WEEK, 1 },         { PERIOD_WEEK, 2 },          { PERIOD_MONTH, 1 },    { PERIOD_MONTH, 2 },
               { PERIOD_MONTH, 3 },        { PERIOD_MONTH, 6 },         { PERIOD_YEAR, 1 },     { PERIOD_YEAR, 2 },
               { PERIOD_YEAR, 5 },         { PERIOD_YEAR, 10 },         { PERIOD_YEAR, 20 },    { PERIOD_YEAR, 50 },
               { PERIOD_YEAR, 100 },       { PERIOD_YEAR, 500 } };
enum { N_LEVELS = sizeof levels / sizeof *levels };

static int64_t period_of(int64_t ms, size_t level) {
    civil c = civil_from_ms(ms);
    int64_t count = levels[level].count;
    switch (levels[level].period) {
    case PERIOD_YEAR: return c.year / count;
    case PERIOD_MONTH: return (c.year * 12 + c.month - 1) / count;
    case PERIOD_WEEK: count *= 7 * DAY_MS, ms += 3 * DAY_MS; break;   // weeks begin on Monday
    case PERIOD_MS: break;
    }
    return ms / count - (ms % count < 0);
}

static void name_time(int64_t ms, size_t level, char *buf, size_t cap) {
    static const char *const months[] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
    };
    civil c = civil_from_ms(ms);
    const char *month = months[c.month - 1];
    int seconds = (int)(c.ms_of_day / 1000);
    if (levels[level].period == PERIOD_YEAR) {
        snprintf(buf, cap, "%" PRId64, c.year);
    } else if (levels[level].period == PERIOD_MONTH) {
        snprintf(buf, cap, "%s %" PRId64, month, c.year);
    } else if (levels[level].period == PERIOD_WEEK || levels[level].count >= DAY_MS) {
        snprintf(buf, cap, "%d %s %" PRId64, c.day, month, c.year);
    } else if (levels[level].count >= 60000) {
        snprintf(buf, cap, "%d %s %02d:%02d", c.day, month, seconds / 3600, seconds / 60 % 60);
    } else {
        int n = snprintf(buf, cap, "%02d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if (levels[level].count < 1000 && n > 0) { snprintf(buf + n, cap - (size_t)n, ".%03d", (int)(c.ms_of_day % 1000)); }
    }
}

// Rows where a period of this level begins, at least `apart` rows from one to the next; more than MAX_TICKS when too many.
static size_t begin_periods(const timeline *time, size_t first, size_t last, size_t level, double apart, tick *out) {
    size_t n = 0;
    int64_t before =
        first > 0 ? period_of(timeline_ms(time, first - 1), level) : period_of(timeline_ms(time, first), level) - 1;
    for (size_t row = first; row <= last; row++) {
        int64_t now = timeline_ms(time, row), here = period_of(now, level);
        bool begins = here != before;
        before = here;
        if (!begins) { continue; }
        if (n > 0 && (double)row - out[n - 1].at < apart) {
            // The stub of a period at the left edge gives way to the full one after it; anything else is too fine a level.
            if (n > 1 || out[0].at != (double)first) { return MAX_TICKS + 1; }
            n = 0;
        }
        if (n == MAX_TICKS) { return MAX_TICKS + 1; }
        out[n].at = (double)row;
        name_time(now, level, out[n].text, sizeof out[n].text);
        n++;
    }
    return n;
}

size_t ticks_for_rows(const timeline *time, size_t first, size_t last, int wanted, tick *out) {
    if (time->spacing == SPACING_ROWS || time->spacing == SPACING_NUMBERS) {
        // Numbers may be spaced unevenly, so the row is rounded and its number shown.
        double unit;
        size_t n = ticks_for_values((double)first + 1, (double)last + 1, wanted, out, &unit), kept = 0;
        for (size_t i = 0; i < n; i++) {
            if (out[i].at != floor(out[i].at)) { continue; }
            out[kept].at = out[i].at - 1;
            timeline_label(time, (size_t)out[kept].at, out[kept].text, sizeof out[kept].text);
            kept++;
        }
        return kept;
    }
    double apart = (double)(last - first) / (wanted + 1);
    for (size_t level = 0; level < N_LEVELS; level++) {
        int narrow = levels[level].period == PERIOD_YEAR ? 2 : 1;   // "1958" takes half the room of "12 Mar 1958"
        size_t n = begin_periods(time, first, last, level, apart / narrow, out);
        if (n > (size_t)(wanted * narrow)) { continue; }
        if (n >= 2) { return n; }
        break;
    }
    // Gaps so uneven that no period fits: rows at equal distances, with their own labels.
    size_t n = 0, step = (last - first) / (size_t)wanted + 1;
    for (size_t row = first; row <= last && n < (size_t)wanted; row += step, n++) {
        out[n].at = (double)row;
        timeline_label(time, row, out[n].text, sizeof out[n].text);
    }
    return n;
}
