// Continuing a time column by the rules of markets; see calendar.h.
#include "calendar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS ((int64_t)60000)

calendar calendar_named(const char *name) {
    if (!name) { return CALENDAR_AS_SEEN; }
    return strcmp(name, "24x7") == 0 ? CALENDAR_ALWAYS : strcmp(name, "weekdays") == 0 ? CALENDAR_WEEKDAYS : CALENDAR_SESSIONS;
}

const char *calendar_name(calendar kind) {
    static const char *const names[] = { "as seen", "24x7", "weekdays", "sessions", "file" };
    return names[kind];
}

// ---- times of day ----

typedef struct sessions {
    int64_t *times;        // [n], milliseconds of the day, rising
    size_t n;
    bool weekend;          // a Saturday or a Sunday was seen
    int64_t span_ms;       // from the first row looked at to the last
} sessions;

static int compare_ms(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static sessions look(const timeline *time, size_t first) {
    int64_t last = time->ms[time->n_rows - 1];
    while (first > 0 && last - time->ms[first - 1] <= 7 * DAY_MS) { first--; }
    sessions s = { .times = take(time->n_rows - first, sizeof *s.times), .span_ms = last - time->ms[first] };
    size_t n = 0;
    for (size_t row = first; row < time->n_rows; row++) {
        int64_t clock = timeline_clock(time, row);
        s.weekend = s.weekend || weekday(clock) >= 5;
        s.times[n++] = civil_from_ms(clock).ms_of_day;
    }
    qsort(s.times, n, sizeof *s.times, compare_ms);
    for (size_t i = 0; i < n; i++) {
        if (s.n == 0 || s.times[i] != s.times[s.n - 1]) { s.times[s.n++] = s.times[i]; }
    }
    return s;
}

static calendar guess(const timeline *time, const sessions *s) {
    if (s->weekend || time->spacing == SPACING_MONTHS || time->step_ms > DAY_MS) { return CALENDAR_ALWAYS; }
    // More than a tenth of the day without bars, and more than one day seen: nights, or breaks at noon.
    bool hours = time->step_ms < DAY_MS && (int64_t)s->n * time->step_ms < DAY_MS / 10 * 9 && s->span_ms > DAY_MS;
    if (hours) { return CALENDAR_SESSIONS; }
    return s->span_ms >= 7 * DAY_MS ? CALENDAR_WEEKDAYS : CALENDAR_ALWAYS;
}

// ---- rules ----

static int64_t midnight(int64_t clock) { return clock - civil_from_ms(clock).ms_of_day; }

static int64_t next_weekday_step(int64_t clock, int64_t step) {
    clock += step;
    int day = weekday(clock);
    if (day < 5) { return clock; }
    int64_t monday = midnight(clock) + (7 - day) * DAY_MS;
    return clock + (monday - clock + step - 1) / step * step;   // steps on, up to the first on Monday
}

static int64_t next_session(int64_t clock, const sessions *s) {
    int64_t day = midnight(clock), now = clock - day;
    for (size_t i = 0; i < s->n && weekday(clock) < 5; i++) {
        if (s->times[i] > now) { return day + s->times[i]; }
    }
    do { day += DAY_MS; } while (weekday(day) >= 5);
    return day + s->times[0];
}

static void make_room(timeline *time, size_t count) {
    time->ahead = take(count, sizeof *time->ahead);
    time->ahead_clock = take(count, sizeof *time->ahead_clock);
}

bool calendar_continue(timeline *time, calendar kind, size_t first, size_t count, calendar *used, message *error) {
    sessions s = look(time, first);
    *used = kind == CALENDAR_AS_SEEN ? guess(time, &s) : kind;
    bool long_steps = time->spacing == SPACING_MONTHS || time->step_ms > DAY_MS, good = true;
    if (*used != CALENDAR_ALWAYS && long_steps) {
        char rhythm[64];
        timeline_describe(time, rhythm, sizeof rhythm);
        good = message_set(error, "--calendar %s is for bars of a day or less, but these are %s", calendar_name(*used), rhythm);
    }
    if (good) {
        int64_t clock = timeline_clock(time, time->n_rows - 1), zone = clock - time->ms[time->n_rows - 1];
        make_room(time, count);
        for (size_t i = 0; i < count; i++) {
            if (time->spacing == SPACING_MONTHS) {   // n_ahead is 0 until the end, so this continues the months
                clock = timeline_ms(time, time->n_rows + i) - time->style.zone_minutes * MINUTE_MS + zone;
            } else if (*used == CALENDAR_SESSIONS) {
                clock = next_session(clock, &s);
            } else {
                clock = *used == CALENDAR_WEEKDAYS ? next_weekday_step(clock, time->step_ms) : clock + time->step_ms;
            }
            time->ahead_clock[i] = clock;
            time->ahead[i] = clock - zone;
        }
        time->n_ahead = count;
    }
    free(s.times);
    return good;
}

// ---- files ----

bool calendar_take(timeline *time, const char *name, const table *t, const char *column, size_t count, message *error) {
    timeline future = { 0 };
    message inner = { "" };
    size_t which = timeline_named(t);
    const char *wanted = which == SIZE_MAX ? NULL : t->names[which];
    for (size_t i = 0; i < t->n_columns; i++) {
        if (strcmp(t->names[i], column) == 0) { wanted = column; }
    }
    if (!timeline_read(t, wanted, &future, &which, &inner)) { return message_set(error, "%s: %.900s", name, inner.text); }
    bool good = true;
    if (!future.ms || future.spacing == SPACING_NUMBERS) {
        good = message_set(error, "%s has no column of times", name);
    } else if (future.n_rows < count) {
        good = message_set(error, "%s has %zu row%s, but %zu bars are to be forecast; give each its time", name, future.n_rows,
                           future.n_rows == 1 ? "" : "s", count);
    } else if (future.ms[0] <= time->ms[time->n_rows - 1]) {
        char last[64];
        timeline_label(time, time->n_rows - 1, last, sizeof last);
        good = message_set(error, "%s, row 1 (line %zu), column '%s': '%.40s' is not later than the last bar, %s", name,
                           t->lines[0], t->names[which], table_cell(t, 0, which), last);
    } else {
        make_room(time, count);
        for (size_t i = 0; i < count; i++) {
            time->ahead[i] = future.ms[i];
            time->ahead_clock[i] = timeline_clock(&future, i);
        }
        time->n_ahead = count;
    }
    timeline_free(&future);
    return good;
}

bool calendar_read(timeline *time, const char *path, const char *column, size_t count, message *error) {
    table t;
    if (!table_read(path, &t, error)) { return false; }
    bool good = calendar_take(time, path, &t, column, count, error);
    table_free(&t);
    return good;
}
