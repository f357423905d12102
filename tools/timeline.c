// Finding the spacing of a time column and continuing it; see timeline.h.
#include "timeline.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS ((int64_t)60000)
#define HOUR_MS ((int64_t)3600000)

// ---- spacing ----

static int compare_ms(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The commonest step; of equally common ones the smallest.
static int64_t commonest(int64_t *steps, size_t count, size_t *times) {
    qsort(steps, count, sizeof *steps, compare_ms);
    int64_t best = steps[0];
    *times = 0;
    for (size_t i = 0; i < count;) {
        size_t j = i;
        while (j < count && steps[j] == steps[i]) { j++; }
        if (j - i > *times) { *times = j - i, best = steps[i]; }
        i = j;
    }
    return best;
}

static int64_t month_index(civil c) { return c.year * 12 + c.month - 1; }
static int64_t local_ms(const timeline *time, size_t row) { return time->ms[row] + time->style.zone_minutes * MINUTE_MS; }

// Calendar months: each row in a later month than the one before, at one time of day, on one day of the month or, where
// the month is too short for it, on its last.
static bool find_months(timeline *time) {
    civil first = civil_from_ms(local_ms(time, 0));
    int64_t *steps = take(time->n_rows, sizeof *steps);
    int anchor = 0;
    bool fits = time->n_rows >= 2;
    for (size_t row = 0; row < time->n_rows; row++) {
        civil c = civil_from_ms(local_ms(time, row));
        if (c.day > anchor) { anchor = c.day; }
    }
    for (size_t row = 0; row < time->n_rows && fits; row++) {
        civil c = civil_from_ms(local_ms(time, row));
        int longest = days_in_month(c.year, c.month);
        fits = c.day == (anchor < longest ? anchor : longest) && c.ms_of_day == first.ms_of_day;
        if (row > 0) {
            steps[row - 1] = month_index(c) - month_index(civil_from_ms(local_ms(time, row - 1)));
            fits = fits && steps[row - 1] > 0;
        }
    }
    if (fits) {
        size_t times;
        time->spacing = SPACING_MONTHS;
        time->months = (int)commonest(steps, time->n_rows - 1, &times);
        time->n_uneven = time->n_rows - 1 - times;
        // 30 June, 30 September: ends of months, although none has 31 days. February alone cannot tell, and stays on its
        // day.
        bool ends = anchor >= 28;
        for (size_t row = 0; row < time->n_rows && ends; row++) {
            civil c = civil_from_ms(local_ms(time, row));
            ends = c.day == days_in_month(c.year, c.month);
        }
        time->anchor_day = ends ? 31 : anchor;
    }
    free(steps);
    return fits;
}

// Days without any Saturday or Sunday over more than a week. Holidays are gaps like weekends, but cannot be foreseen.
static bool is_workdays(const timeline *time) {
    if (time->step_ms != DAY_MS || time->n_rows < 6 || time->ms[time->n_rows - 1] - time->ms[0] < 7 * DAY_MS) {
        return false;
    }
    for (size_t row = 0; row < time->n_rows; row++) {
        if (weekday(local_ms(time, row)) >= 5) { return false; }
    }
    return true;
}

static void find_spacing(timeline *time) {
    time->spacing = SPACING_FIXED;
    if (time->n_rows < 2) {   // one row: as its detail suggests
        time->step_ms = time->style.detail == CLOCK_MINUTE ? MINUTE_MS : time->style.detail == CLOCK_DAY ? DAY_MS : 1000;
        if (time->style.detail == CLOCK_COMPACT_DAY) { time->step_ms = DAY_MS; }
        if (time->style.detail == CLOCK_MONTH) { time->spacing = SPACING_MONTHS, time->months = 1, time->anchor_day = 1; }
        return;
    }
    if (find_months(time)) { return; }
    int64_t *steps = take(time->n_rows, sizeof *steps);
    size_t times;
    for (size_t row = 1; row < time->n_rows; row++) { steps[row - 1] = time->ms[row] - time->ms[row - 1]; }
    time->step_ms = commonest(steps, time->n_rows - 1, &times);
    time->n_uneven = time->n_rows - 1 - times;
    free(steps);
    if (is_workdays(time)) { time->spacing = SPACING_WORKDAYS; }
}

// ---- reading ----

static bool means_time(const char *name) {
    static const char *const names[] = { "time",  "times",    "timestamp", "timestamps", "date",
                                         "dates", "datetime", "ds",        "t",          "epoch",      "open_time" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (same_word(name, names[i])) { return true; }
    }
    return false;
}

size_t timeline_named(const table *t) {
    for (size_t column = 0; column < t->n_columns; column++) {
        if (means_time(t->names[column])) { return column; }
    }
    return SIZE_MAX;
}

static bool all_dates(const table *t, size_t column) {
    int64_t ms;
    clock_style style;
    for (size_t row = 0; row < t->n_rows; row++) {
        if (!clock_parse(table_cell(t, row, column), &ms, &style)) { return false; }
    }
    return true;
}

static size_t find_column(const table *t) {
    for (size_t column = 0; column < t->n_columns; column++) {
        if (all_dates(t, column)) { return column; }
    }
    for (size_t column = 0; column < t->n_columns; column++) {
        if (means_time(t->names[column]) && table_is_numeric(t, column)) { return column; }
    }
    return SIZE_MAX;
}

static bool all_numbers_of(const table *t, size_t column, clock_detail detail, int64_t *ms) {
    for (size_t row = 0; row < t->n_rows; row++) {
        if (!clock_parse_number(table_cell(t, row, column), detail, &ms[row])) { return false; }
    }
    return true;
}

static bool read_dates(const table *t, size_t column, timeline *time, message *error) {
    bool zones_differ = false;
    time->zones = take(t->n_rows, sizeof *time->zones);
    for (size_t row = 0; row < t->n_rows; row++) {
        const char *cell = table_cell(t, row, column);
        clock_style style;
        if (!clock_parse(cell, &time->ms[row], &style)) {
            return message_set(
                error,
                "row %zu (line %zu), column '%s': '%.40s' is not a time; write it as 2024-01-31, 2024-01-31 12:00:00 "
                "or 2024-01-31T12:00:00Z",
                row + 1, t->lines[row], t->names[column], cell);
        }
        if (row == 0) { time->style = style; }
        time->zones[row] = style.zone_minutes;
        if (style.detail > time->style.detail) { time->style.detail = style.detail; }
        zones_differ =
            zones_differ || style.zone_minutes != time->style.zone_minutes || style.has_zone != time->style.has_zone;
    }
    if (zones_differ) {   // as across a change to summer time: Greenwich is common to all
        time->style.has_zone = time->style.zulu = true;
        time->style.zone_minutes = 0;
    } else {
        free(time->zones);
        time->zones = NULL;
    }
    return true;
}

static bool check_order(const table *t, size_t column, const timeline *time, message *error) {
    for (size_t row = 1; row < t->n_rows; row++) {
        bool later = time->spacing == SPACING_NUMBERS ? time->numbers[row] > time->numbers[row - 1]
                                                      : time->ms[row] > time->ms[row - 1];
        if (later) { continue; }
        const char *cell = table_cell(t, row, column);
        bool equal = strcmp(cell, table_cell(t, row - 1, column)) == 0;
        return message_set(error, "row %zu (line %zu), column '%s': '%.40s' is %s the row before; %s", row + 1,
                           t->lines[row], t->names[column], cell, equal ? "also the time of" : "not later than",
                           equal ? "give each time one row, and each series its own column"
                                 : "sort the rows, oldest first");
    }
    return true;
}

static bool read_numbers_as_time(const table *t, size_t column, timeline *time, message *error) {
    static const clock_detail details[] = { CLOCK_COMPACT_DAY, CLOCK_EPOCH_SECOND, CLOCK_EPOCH_MS };
    for (size_t i = 0; i < 3; i++) {
        if (all_numbers_of(t, column, details[i], time->ms)) {
            time->style = (clock_style){ .detail = details[i], .date_separator = '-', .time_separator = ' ' };
            return true;
        }
    }
    time->numbers = take(t->n_rows, sizeof *time->numbers);
    time->spacing = SPACING_NUMBERS;
    if (!table_numbers(t, column, time->numbers, error)) { return false; }
    for (size_t row = 0; row < t->n_rows; row++) {
        if (isnan(time->numbers[row])) {
            return message_set(error, "row %zu (line %zu), column '%s': the time is missing", row + 1, t->lines[row],
                               t->names[column]);
        }
    }
    size_t n = t->n_rows;
    time->step = n < 2 ? 1 : (time->numbers[n - 1] - time->numbers[0]) / (double)(n - 1);
    for (size_t row = 1; row < n; row++) {
        time->n_uneven += fabs(time->numbers[row] - time->numbers[row - 1] - time->step) > 1e-6 * fabs(time->step);
    }
    return true;
}

bool timeline_read(const table *t, const char *column, timeline *out, size_t *which, message *error) {
    *out = (timeline){ .n_rows = t->n_rows, .spacing = SPACING_ROWS, .name = "row" };
    *which = SIZE_MAX;
    if (column && !table_find(t, column, which, error)) { return false; }
    if (!column) { *which = find_column(t); }
    if (*which == SIZE_MAX) { return true; }
    out->ms = take(t->n_rows, sizeof *out->ms);
    out->spacing = SPACING_FIXED;
    snprintf(out->name, sizeof out->name, "%s", t->names[*which]);
    bool numeric = table_is_numeric(t, *which);
    bool done = numeric ? read_numbers_as_time(t, *which, out, error) : read_dates(t, *which, out, error);
    if (!done || !check_order(t, *which, out, error)) {
        timeline_free(out);
        return false;
    }
    if (out->spacing != SPACING_NUMBERS) { find_spacing(out); }
    return true;
}

void timeline_free(timeline *time) {
    free(time->ms);
    free(time->numbers);
    free(time->zones);
    free(time->ahead);
    free(time->ahead_clock);
    *time = (timeline){ 0 };
}

// ---- continuing ----

static int64_t add_workdays(int64_t ms, size_t count) {
    for (; count > 0; count--) {
        do { ms += DAY_MS; } while (weekday(ms) >= 5);
    }
    return ms;
}

int64_t timeline_ms(const timeline *time, size_t row) {
    if (row < time->n_rows) { return local_ms(time, row); }
    size_t ahead = row - (time->n_rows - 1);
    if (ahead <= time->n_ahead) { return time->ahead[ahead - 1] + time->style.zone_minutes * MINUTE_MS; }
    int64_t last = local_ms(time, time->n_rows - 1);
    if (time->spacing == SPACING_WORKDAYS) { return add_workdays(last, ahead); }
    if (time->spacing != SPACING_MONTHS) { return last + (int64_t)ahead * time->step_ms; }
    civil c = civil_from_ms(last);
    int64_t month = month_index(c) + (int64_t)ahead * time->months;
    c.year = month / 12;
    c.month = (int)(month % 12) + 1;
    int longest = days_in_month(c.year, c.month);
    c.day = time->anchor_day < longest ? time->anchor_day : longest;
    return ms_from_civil(c);
}

int64_t timeline_clock(const timeline *time, size_t row) {
    if (row >= time->n_rows && row - time->n_rows < time->n_ahead) { return time->ahead_clock[row - time->n_rows]; }
    if (time->zones == NULL) { return timeline_ms(time, row); }
    // style.zone_minutes is 0 where the rows differ in it; what follows keeps the last one's.
    return timeline_ms(time, row) + time->zones[row < time->n_rows ? row : time->n_rows - 1] * MINUTE_MS;
}

double timeline_number(const timeline *time, size_t row) {
    if (time->spacing == SPACING_ROWS) { return (double)(row + 1); }
    if (row < time->n_rows) { return time->numbers[row]; }
    return time->numbers[time->n_rows - 1] + (double)(row - (time->n_rows - 1)) * time->step;
}

void timeline_label(const timeline *time, size_t row, char *buf, size_t cap) {
    if (time->spacing == SPACING_ROWS || time->spacing == SPACING_NUMBERS) {
        snprintf(buf, cap, "%.10g", timeline_number(time, row));
        return;
    }
    clock_print(timeline_ms(time, row) - time->style.zone_minutes * MINUTE_MS, &time->style, buf, cap);
}

// ---- what it means ----

uint32_t timeline_season(const timeline *time) {
    switch (time->spacing) {
    case SPACING_MONTHS: return time->months == 1 ? 12 : time->months == 3 ? 4 : 1;
    case SPACING_WORKDAYS: return 5;
    case SPACING_FIXED: return time->step_ms == DAY_MS ? 7 : time->step_ms == HOUR_MS ? 24 : 1;
    default: return 1;
    }
}

void timeline_describe(const timeline *time, char *buf, size_t cap) {
    static const struct {
        int64_t ms;
        const char *one, *many;
    } units[] = { { 7 * DAY_MS, "weekly", "weeks" },   { DAY_MS, "daily", "days" },
                  { HOUR_MS, "hourly", "hours" },      { MINUTE_MS, "every minute", "minutes" },
                  { 1000, "every second", "seconds" }, { 1, "every millisecond", "milliseconds" } };
    buf[0] = 0;
    switch (time->spacing) {
    case SPACING_ROWS: break;
    case SPACING_NUMBERS: snprintf(buf, cap, "in steps of %g", time->step); break;
    case SPACING_WORKDAYS: snprintf(buf, cap, "on working days"); break;
    case SPACING_MONTHS:
        if (time->months == 1) { snprintf(buf, cap, "monthly"); }
        else if (time->months == 3) { snprintf(buf, cap, "quarterly"); }
        else if (time->months == 12) { snprintf(buf, cap, "yearly"); }
        else { snprintf(buf, cap, "every %d months", time->months); }
        break;
    case SPACING_FIXED:
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            if (time->step_ms % units[i].ms != 0) { continue; }
            int64_t count = time->step_ms / units[i].ms;
            if (count == 1) { snprintf(buf, cap, "%s", units[i].one); }
            else { snprintf(buf, cap, "every %" PRId64 " %s", count, units[i].many); }
            break;
        }
        break;
    }
}
