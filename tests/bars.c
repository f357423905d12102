// The program's view of price bars: files that hold them and files that do not, their stamps, and the calendars by which
// their times go on. Needs no device.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tools/bars.h"
#include "../tools/calendar.h"

typedef struct read_bars {
    table t;
    timeline time;
    bars b;
} read_bars;

static void free_bars(read_bars *r) {
    bars_free(&r->b);
    timeline_free(&r->time);
    table_free(&r->t);
}

// As the program reads them: table, times, columns, then the rows from `first` on. On failure everything is free again.
static bool read_from(const char *text, size_t first, read_bars *r, message *error) {
    size_t column;
    *r = (read_bars){ 0 };
    if (table_parse("f.csv", text, strlen(text), &r->t, error) && timeline_read(&r->t, NULL, &r->time, &column, error) &&
        bars_have_times("f.csv", &r->t, &r->time, error) && bars_read("f.csv", &r->t, &r->b, error) &&
        bars_check(&r->b, &r->t, first, r->t.n_rows, error)) {
        return true;
    }
    free_bars(r);
    return false;
}

// ---- files of bars ----

#define HEAD "time,open,high,low,close,volume,amount\n"
#define A "2024-06-18 11:15:00,10,12,9,11,5,50\n"
#define B "2024-06-18 11:20:00,11,13,10,12,6,60\n"

static const struct {
    const char *what, *text;
    bool volume, amount;
    double last[BAR_COLUMNS];   // row
} good[] = {
    { "all six", HEAD A B, true, true, { 11, 13, 10, 12, 6, 60 } },
    { "no amount", "time,open,high,low,close,volume\n2024-01-01,1,1,1,1,1\n2024-01-02,1,4,1,2,10\n", true, false, { 1, 4, 1, 2, 10, 20 } },
    { "no volume", "time,open,high,low,close\n2024-01-01,1,1,1,1\n2024-01-02,1,4,1,2\n", false, false, { 1, 4, 1, 2, 0, 0 } },
    { "an amount alone is not used", "time,open,high,low,close,amount\n2024-01-01,1,1,1,1,x\n2024-01-02,1,4,1,2,7\n", false, false,
      { 1, 4, 1, 2, 0, 0 } },
    { "any case, any order", "Close;HIGH;Low;Open;Volume;Date\n1;1;1;1;1;2024-01-01\n2;4;1;1;10;2024-01-02\n", true, false,
      { 1, 4, 1, 2, 10, 20 } },
    { "decimal commas", "date;open;high;low;close\n2024-01-01;1,5;2;1;1\n2024-01-02;1,5;2,5;0,5;1\n", false, false, { 1.5, 2.5, 0.5, 1, 0, 0 } },
    { "no trade", HEAD A "2024-06-18 11:20:00,11,11,11,11,0,0\n", true, true, { 11, 11, 11, 11, 0, 0 } },
    { "epoch seconds", "timestamps,open,high,low,close\n1718709300,1,1,1,1\n1718709600,1,4,1,2\n", false, false, { 1, 4, 1, 2, 0, 0 } },
    { "epoch milliseconds", "open_time,open,high,low,close\n1718709300000,1,1,1,1\n1718709600000,1,4,1,2\n", false, false,
      { 1, 4, 1, 2, 0, 0 } },
    { "what is before the context does not matter", HEAD "2024-06-18 11:10:00,,-12,9,0,5,50\n" A B, true, true, { 11, 13, 10, 12, 6, 60 } },
};

static void test_good(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        read_bars r;
        message error = { "" };
        size_t first = strstr(good[i].text, "11:10") ? 1 : 0;
        if (!read_from(good[i].text, first, &r, &error)) { fail_msg("%s: %s", good[i].what, error.text); }
        if (r.b.has_volume != good[i].volume || r.b.has_amount != good[i].amount) {
            fail_msg("%s: volume %d, amount %d", good[i].what, r.b.has_volume, r.b.has_amount);
        }
        for (size_t c = 0; c < BAR_COLUMNS; c++) {
            double got = r.b.values[c * r.b.n_rows + r.b.n_rows - 1];
            if (got != good[i].last[c]) { fail_msg("%s: %s is %g, not %g", good[i].what, bar_names[c], got, good[i].last[c]); }
        }
        free_bars(&r);
    }
}

static const struct {
    const char *what, *text, *says;   // `says` must be part of the sentence
} bad[] = {
    { "no close", "time,open,high,low,volume\n2024-01-01,1,1,1,1\n", "f.csv has no column 'close'; bars need open, high, low and close. It "
      "has: time, open, high, low, volume" },
    { "two closes", "time,open,high,low,close,Close\n2024-01-01,1,1,1,1,1\n", "2 columns are called 'close'" },
    { "a negative price", HEAD A "2024-06-18 11:20:00,11,13,-10,12,6,60\n", "row 2 (line 3), column 'low': -10 is no price" },
    { "a price of nothing", HEAD "2024-06-18 11:10:00,0,12,9,11,5,50\n" A, "row 1 (line 2), column 'open': 0 is no price" },
    { "a missing price", HEAD A "2024-06-18 11:20:00,11,,10,12,6,60\n", "row 2 (line 3), column 'high' is missing" },
    { "NaN", HEAD A "2024-06-18 11:20:00,11,13,10,NaN,6,60\n", "row 2 (line 3), column 'close' is missing" },
    { "a missing volume", HEAD A "2024-06-18 11:20:00,11,13,10,12,,60\n", "row 2 (line 3), column 'volume' is missing" },
    { "a missing amount", HEAD A "2024-06-18 11:20:00,11,13,10,12,6,\n", "row 2 (line 3), column 'amount' is missing" },
    { "a negative volume", HEAD A "2024-06-18 11:20:00,11,13,10,12,-6,60\n", "row 2 (line 3), column 'volume': -6 is no volume" },
    { "a negative amount", HEAD A "2024-06-18 11:20:00,11,13,10,12,6,-1\n", "row 2 (line 3), column 'amount': -1 is no amount" },
    { "too large", HEAD A "2024-06-18 11:20:00,11,13,10,12,6,1e17\n", "row 2 (line 3), column 'amount': 1e17 is too large" },
    { "too large when multiplied", "time,open,high,low,close,volume\n2024-01-01,1,1,1,1,1\n2024-01-02,1e9,1e9,1e9,1e9,1e9\n",
      "row 2 (line 3): volume times price, 1e+18, is too large" },
    { "no number", HEAD A "2024-06-18 11:20:00,11,13,10,halt,6,60\n" "2024-06-18 11:25:00,11,13,10,12,6,60\n",
      "row 2 (line 3), column 'close': 'halt' is not a number" },
    { "infinity", HEAD A "2024-06-18 11:20:00,11,inf,10,12,6,60\n" "2024-06-18 11:25:00,11,13,10,12,6,60\n", "'inf' is not a number" },
    { "unsorted", HEAD B A, "row 2 (line 3), column 'time': '2024-06-18 11:15:00' is not later than the row before" },
    { "twice", HEAD A A, "row 2 (line 3), column 'time': '2024-06-18 11:15:00' is also the time of the row before" },
    { "unsorted seconds", "time,open,high,low,close\n1718709600,1,1,1,1\n1718709300,1,1,1,1\n", "row 2 (line 3), column 'time'" },
    { "one bar", HEAD A, "row 1 is the only bar" },
    { "no rows", HEAD, "no rows of data below its header" },
    { "no times", "open,high,low,close\n1,1,1,1\n1,1,1,1\n", "f.csv has no column of times" },
    { "numbers as times", "time,open,high,low,close\n1,1,1,1,1\n2,1,1,1,1\n", "column 'time' holds numbers that are no times" },
    { "a missing time", HEAD A ",11,13,10,12,6,60\n", "row 2 (line 3), column 'time': '' is not a time" },
    { "a missing second", "time,open,high,low,close\n1718709300,1,1,1,1\n,1,1,1,1\n1718709900,1,1,1,1\n", "row 2 (line 3), column 'time'" },
    { "a day that is none", HEAD A "2024-02-30 11:20:00,11,13,10,12,6,60\n", "'2024-02-30 11:20:00' is not a time" },
};

static void test_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        read_bars r;
        message error = { "" };
        if (read_from(bad[i].text, 0, &r, &error)) { fail_msg("%s: was read", bad[i].what); }
        if (!strstr(error.text, bad[i].says)) { fail_msg("%s: says '%s'", bad[i].what, error.text); }
    }
}

static void test_odd(void **state) {
    (void)state;
    static const char text[] = HEAD A "2024-06-18 11:20:00,11,10,9,12,6,60\n" "2024-06-18 11:25:00,11,13,12,12,6,60\n" ;
    read_bars r;
    message error = { "" };
    size_t row = 99;
    assert_true(read_from(text, 0, &r, &error));
    assert_int_equal(bars_n_odd(&r.b, 0, 3, &row), 2);
    assert_int_equal(row, 1);
    assert_int_equal(bars_n_odd(&r.b, 0, 1, &row), 0);
    free_bars(&r);
}

// ---- times that follow ----

// Times separated by commas; the rest of each bar is added.
static bool read_times(const char *times, read_bars *r, message *error) {
    char text[8192];
    size_t n = (size_t)snprintf(text, sizeof text, "time,open,high,low,close\n");
    while (*times) {
        size_t length = strcspn(times, ",");
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s,1,1,1,1\n", (int)length, times);
        assert_true(n < sizeof text);
        times += length + (times[length] == ',');
    }
    return read_from(text, 0, r, error);
}

#define NOON(day) day " 09:30," day " 10:00," day " 10:30," day " 13:00," day " 13:30"

static const struct {
    const char *what, *times;
    calendar kind, used;
    const char *next[4];
} calendars[] = {
    { "5 minutes on and on", "2024-06-18 11:15:00,2024-06-18 11:20:00", CALENDAR_AS_SEEN, CALENDAR_ALWAYS,
      { "2024-06-18 11:25:00", "2024-06-18 11:30:00", "2024-06-18 11:35:00" } },
    { "days with weekends", "2024-06-13,2024-06-14,2024-06-15,2024-06-16", CALENDAR_AS_SEEN, CALENDAR_ALWAYS,
      { "2024-06-17", "2024-06-18" } },
    { "days without", "2024-06-11,2024-06-12,2024-06-13,2024-06-14,2024-06-17,2024-06-18,2024-06-19,2024-06-20", CALENDAR_AS_SEEN,
      CALENDAR_WEEKDAYS, { "2024-06-21", "2024-06-24", "2024-06-25" } },
    { "days of a week, weekdays asked for", "2024-06-13,2024-06-14", CALENDAR_WEEKDAYS, CALENDAR_WEEKDAYS, { "2024-06-17", "2024-06-18" } },
    { "days of a week, all asked for", "2024-06-13,2024-06-14", CALENDAR_ALWAYS, CALENDAR_ALWAYS, { "2024-06-15", "2024-06-16" } },
    { "hours over a weekend", "2024-06-14 22:00,2024-06-14 23:00", CALENDAR_WEEKDAYS, CALENDAR_WEEKDAYS,
      { "2024-06-17 00:00", "2024-06-17 01:00" } },
    { "7 hours over a weekend", "2024-06-14 13:00,2024-06-14 20:00", CALENDAR_WEEKDAYS, CALENDAR_WEEKDAYS,
      { "2024-06-17 04:00", "2024-06-17 11:00" } },
    { "sessions", NOON("2024-06-13") "," NOON("2024-06-14"), CALENDAR_AS_SEEN, CALENDAR_SESSIONS,
      { "2024-06-17 09:30", "2024-06-17 10:00", "2024-06-17 10:30", "2024-06-17 13:00" } },
    { "sessions asked for", NOON("2024-06-13"), CALENDAR_SESSIONS, CALENDAR_SESSIONS, { "2024-06-14 09:30", "2024-06-14 10:00" } },
    { "sessions refused", NOON("2024-06-13") "," NOON("2024-06-14"), CALENDAR_ALWAYS, CALENDAR_ALWAYS,
      { "2024-06-14 14:00", "2024-06-14 14:30" } },
    { "amid a session", NOON("2024-06-13") ",2024-06-14 09:30,2024-06-14 10:00,2024-06-14 10:30", CALENDAR_AS_SEEN, CALENDAR_SESSIONS,
      { "2024-06-14 13:00", "2024-06-14 13:30", "2024-06-17 09:30" } },
    { "sessions by the clock of the exchange", "2024-11-01T15:00:00-04:00,2024-11-01T15:30:00-04:00,2024-11-01T16:00:00-04:00,"
      "2024-11-04T15:00:00-05:00,2024-11-04T15:30:00-05:00,2024-11-04T16:00:00-05:00", CALENDAR_AS_SEEN, CALENDAR_SESSIONS,
      { "2024-11-05T20:00:00Z", "2024-11-05T20:30:00Z" } },
    { "months", "2024-01-31,2024-02-29,2024-03-31", CALENDAR_AS_SEEN, CALENDAR_ALWAYS, { "2024-04-30", "2024-05-31" } },
    { "weeks", "2024-06-02,2024-06-09", CALENDAR_AS_SEEN, CALENDAR_ALWAYS, { "2024-06-16" } },
    { "epoch seconds", "1718709300,1718709600", CALENDAR_AS_SEEN, CALENDAR_ALWAYS, { "1718709900" } },
};

static void test_calendars(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof calendars / sizeof *calendars; i++) {
        const char *what = calendars[i].what;
        read_bars r;
        message error = { "" };
        calendar used;
        if (!read_times(calendars[i].times, &r, &error)) { fail_msg("%s: %s", what, error.text); }
        if (!calendar_continue(&r.time, calendars[i].kind, 0, 4, &used, &error)) { fail_msg("%s: %s", what, error.text); }
        if (used != calendars[i].used) { fail_msg("%s: calendar %s", what, calendar_name(used)); }
        for (size_t k = 0; k < 4 && calendars[i].next[k]; k++) {
            char label[64];
            timeline_label(&r.time, r.t.n_rows + k, label, sizeof label);
            if (strcmp(label, calendars[i].next[k]) != 0) { fail_msg("%s: goes on to %s, not %s", what, label, calendars[i].next[k]); }
        }
        free_bars(&r);
    }
}

static void test_bad_calendar(void **state) {
    (void)state;
    read_bars r;
    message error = { "" };
    calendar used;
    assert_true(read_times("2024-06-02,2024-06-09", &r, &error));   // Sundays: no number of weeks leads to a weekday
    assert_false(calendar_continue(&r.time, CALENDAR_WEEKDAYS, 0, 4, &used, &error));
    assert_non_null(strstr(error.text, "--calendar weekdays is for bars of a day or less, but these are weekly"));
    free_bars(&r);
}

static const struct {
    const char *what, *text, *says;   // says NULL: good
} futures[] = {
    { "good", "time\n2024-06-18 13:00\n2024-06-18 13:05\n2024-06-19 09:30\n", NULL },
    { "without a header, with more", "2024-06-18 13:00\n2024-06-18 13:05\n2024-06-18 13:10\n", NULL },
    { "another name", "what,when\n1,2024-06-18 13:00\n2,2024-06-18 13:05\n", NULL },
    { "too few", "time\n2024-06-18 13:00\n", "g.csv has 1 row, but 2 bars are to be forecast" },
    { "too early", "time\n2024-06-18 11:20\n2024-06-18 11:25\n", "g.csv, row 1 (line 2), column 'time': '2024-06-18 11:20' is not later" },
    { "unsorted", "time\n2024-06-18 13:05\n2024-06-18 13:00\n", "g.csv: row 2 (line 3), column 'time'" },
    { "no time", "time\n2024-06-18 13:05\nsoon\n2024-06-18 13:10\n", "g.csv: row 2 (line 3), column 'time': 'soon' is not a time" },
    { "no times", "a,b\n1,2\n3,4\n", "g.csv has no column of times" },
};

static void test_futures(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof futures / sizeof *futures; i++) {
        const char *what = futures[i].what;
        read_bars r;
        table t;
        message error = { "" };
        if (!read_times("2024-06-18 11:15,2024-06-18 11:20", &r, &error)) { fail_msg("%s", error.text); }
        if (!table_parse("g.csv", futures[i].text, strlen(futures[i].text), &t, &error)) { fail_msg("%s", error.text); }
        bool done = calendar_take(&r.time, "g.csv", &t, "time", 2, &error);
        if (done != !futures[i].says) { fail_msg("%s: %s", what, done ? "was read" : error.text); }
        if (!done && !strstr(error.text, futures[i].says)) { fail_msg("%s: says '%s'", what, error.text); }
        char label[64];
        if (done) {
            timeline_label(&r.time, 3, label, sizeof label);
            assert_string_equal(label, "2024-06-18 13:05");
        }
        table_free(&t);
        free_bars(&r);
    }
}

// ---- stamps ----

static const struct {
    const char *times;
    uint8_t first[BAR_STAMPS], second[BAR_STAMPS], next[BAR_STAMPS];
} stamps[] = {
    { "2024-02-28 23:55:00,2024-02-29 00:00:00", { 55, 23, 2, 28, 2 }, { 0, 0, 3, 29, 2 }, { 5, 0, 3, 29, 2 } },
    { "2023-12-30,2023-12-31", { 0, 0, 5, 30, 12 }, { 0, 0, 6, 31, 12 }, { 0, 0, 0, 1, 1 } },
    // The clock on the wall, also across a change to winter time.
    { "2024-11-03T01:30:00-04:00,2024-11-03T01:30:00-05:00", { 30, 1, 6, 3, 11 }, { 30, 1, 6, 3, 11 }, { 30, 2, 6, 3, 11 } },
    { "1969-12-31T23:00:00+01:00,1970-01-01T00:30:00+01:00", { 0, 23, 2, 31, 12 }, { 30, 0, 3, 1, 1 }, { 0, 2, 3, 1, 1 } },
};

static void test_stamps(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++) {
        read_bars r;
        message error = { "" };
        calendar used;
        uint8_t got[3 * BAR_STAMPS];
        if (!read_times(stamps[i].times, &r, &error)) { fail_msg("%s", error.text); }
        assert_true(calendar_continue(&r.time, CALENDAR_ALWAYS, 0, 1, &used, &error));
        bars_stamp(&r.time, 0, 3, got);
        assert_memory_equal(got, stamps[i].first, BAR_STAMPS);
        assert_memory_equal(got + BAR_STAMPS, stamps[i].second, BAR_STAMPS);
        assert_memory_equal(got + 2 * BAR_STAMPS, stamps[i].next, BAR_STAMPS);
        free_bars(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_bad),     cmocka_unit_test(test_odd),    cmocka_unit_test(test_calendars),
        cmocka_unit_test(test_bad_calendar), cmocka_unit_test(test_futures), cmocka_unit_test(test_stamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
