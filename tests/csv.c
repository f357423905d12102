// The program's view of CSV files: good and bad ones, times and their continuation. Needs no device.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../tools/table.h"
#include "../tools/timeline.h"

// ---- files that are read ----

typedef struct good_file {
    const char *what, *text;
    size_t n_columns, n_rows;
    bool has_header;
    const char *name;      // of the last column
    size_t row;            // of the last column, from 0
    double value;          // NAN: missing
} good_file;

static const good_file good_files[] = {
    { "plain", "a,b\n1,2\n3,4\n", 2, 2, true, "b", 1, 4 },
    { "no header", "1,2\n3,4\n", 2, 2, false, "column 2", 0, 2 },
    { "no header, dates", "2024-01-01,2\n2024-01-02,4\n", 2, 2, false, "column 2", 1, 4 },
    { "header above dates", "day,2024\n2024-01-01,2\n2024-01-02,4\n", 2, 2, true, "2024", 1, 4 },
    { "no newline at the end", "a\n1\n2", 1, 2, true, "a", 1, 2 },
    { "CRLF", "a,b\r\n1,2\r\n3,4\r\n", 2, 2, true, "b", 0, 2 },
    { "CR", "a,b\r1,2\r3,4\r", 2, 2, true, "b", 1, 4 },
    { "BOM", "\xEF\xBB\xBF" "a\n1\n", 1, 1, true, "a", 0, 1 },
    { "BOM before quotes", "\xEF\xBB\xBF\"a\",\"b\"\n1,2\n", 2, 1, true, "b", 0, 2 },
    { "quoted", "\"a, or b\",\"say \"\"c\"\"\"\n\"1\",\"2.5\"\n", 2, 1, true, "say \"c\"", 0, 2.5 },
    { "newline in quotes", "t,\"two\nlines\"\n1,2\n", 2, 1, true, "two\nlines", 0, 2 },
    { "semicolons", "a;b\n1;2.5\n", 2, 1, true, "b", 0, 2.5 },
    { "decimal comma", "a;b\n1,5;2,25\n3,5;4,75\n", 2, 2, true, "b", 1, 4.75 },
    { "tabs", "a\tb\n1\t2,5\n", 2, 1, true, "b", 0, 2.5 },
    { "empty cell after a tab", "a\tb\n1\t\n3\t4\n", 2, 2, true, "b", 0, NAN },
    { "comma in quotes beside semicolons", "\"a,b\";c\n1;2\n", 2, 1, true, "c", 0, 2 },
    { "empty cells", "a,b\n1,\n,4\n", 2, 2, true, "b", 0, NAN },
    { "words for missing", "a,b\n1,NA\n2,n/a\n3,NaN\n4,null\n5,None\n6,7\n", 2, 6, true, "b", 4, NAN },
    { "spaces", " a , b \n 1 ,  2 \n", 2, 1, true, "b", 0, 2 },
    { "blank lines between rows", "a,b\n\n1,2\n\n3,4\n\n", 2, 2, true, "b", 1, 4 },
    { "one column: a blank line is missing", "a\n1\n\n3\n\n", 1, 3, true, "a", 1, NAN },
    { "rows of bare delimiters at the end", "a,b\n1,2\n,\n,\n", 2, 1, true, "b", 0, 2 },
    { "signs and exponents", "a,b\n1,-1.5e3\n2,+.5E-1\n", 2, 2, true, "b", 0, -1500 },
    { "a header that is empty in places", ",b\n1,2\n", 2, 1, true, "b", 0, 2 },
    { "text in a majority of numbers is no header's fault", "a,b\n1,2\n2,oops\n3,4\n", 2, 3, true, "b", 0, 2 },
};

static void test_good_files(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good_files / sizeof *good_files; i++) {
        const good_file *g = &good_files[i];
        table t;
        message error = { "" };
        if (!table_parse(g->what, g->text, strlen(g->text), &t, &error)) { fail_msg("%s", error.text); }
        if (t.n_columns != g->n_columns || t.n_rows != g->n_rows || t.has_header != g->has_header) {
            fail_msg("%s: %zu columns, %zu rows, header %d", g->what, t.n_columns, t.n_rows, t.has_header);
        }
        if (strcmp(t.names[t.n_columns - 1], g->name) != 0) {
            fail_msg("%s: name '%s'", g->what, t.names[t.n_columns - 1]);
        }
        double values[16];
        bool numbers = table_numbers(&t, t.n_columns - 1, values, &error);
        if (!numbers && !strstr(g->text, "oops")) { fail_msg("%s: %s", g->what, error.text); }
        bool same = isnan(g->value) ? isnan(values[g->row]) : values[g->row] == g->value;
        if (!same) { fail_msg("%s: row %zu is %g, not %g", g->what, g->row + 1, values[g->row], g->value); }
        table_free(&t);
    }
}

// ---- files that are not ----

static const struct {
    const char *what, *text, *says;   // `says` must be part of the sentence
} bad_files[] = {
    { "empty", "", "no rows" },
    { "only a header", "a,b\n", "no rows of data below its header" },
    { "too few cells", "a,b\n1,2\n3\n", "line 3 has 1 cell where the first line has 2" },
    { "too many cells", "a,b\n1,2\n3,4,5\n", "line 3 has 3 cells" },
    { "line numbers count newlines in quotes", "\"a\nx\",b\n1,2\n3\n", "line 4 has 1 cell" },
    { "an open quote", "a,b\n1,\"2\n3,4\n", "line 2" },
    { "a quote amid a cell", "a,b\n1,2\"3\n", "line 2" },
    { "UTF-16", "a", "UTF-16" },   // one zero byte is added by the test
};

static void test_bad_files(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        table t;
        message error = { "" };
        size_t size = strlen(bad_files[i].text) + (strcmp(bad_files[i].what, "UTF-16") == 0);
        if (table_parse("f.csv", bad_files[i].text, size, &t, &error)) { fail_msg("%s: was read", bad_files[i].what); }
        if (!strstr(error.text, bad_files[i].says)) { fail_msg("%s: says '%s'", bad_files[i].what, error.text); }
        assert_null(t.cells);
    }
    table t;
    message error;
    assert_false(table_read("/nowhere/at/all.csv", &t, &error));
    assert_non_null(strstr(error.text, "cannot be opened"));
}

static const struct {
    const char *what, *text, *says;
} bad_columns[] = {
    { "text", "t,close\n1,2\n2,oops\n3,4\n", "row 2 (line 3), column 'close': 'oops' is not a number" },
    { "thousands", "t,close\n1,2\n2,\"1,234\"\n3,4\n", "'1,234' is not a number" },
    { "hexadecimal", "t,close\n1,2\n2,0x10\n3,4\n", "'0x10' is not a number" },
    { "infinity", "t,close\n1,2\n2,inf\n3,4\n", "'inf' is not a number" },
    { "a unit", "t,close\n1,2\n2,5 %\n3,4\n", "'5 %' is not a number" },
    { "beyond float32", "t,close\n1,2\n2,1e39\n3,4\n", "row 2 (line 3), column 'close': 1e39 is beyond" },
    { "points and commas", "t;close\n1;2,5\n2;2.5\n3;4\n", "decimal point in row 2 and a decimal comma in row 1" },
};

static void test_bad_columns(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_columns / sizeof *bad_columns; i++) {
        table t;
        message error = { "" };
        double values[16];
        if (!table_parse("f.csv", bad_columns[i].text, strlen(bad_columns[i].text), &t, &error)) {
            fail_msg("%s", error.text);
        }
        if (table_numbers(&t, 1, values, &error)) { fail_msg("%s: was taken as numbers", bad_columns[i].what); }
        if (!strstr(error.text, bad_columns[i].says)) { fail_msg("%s: says '%s'", bad_columns[i].what, error.text); }
        table_free(&t);
    }
}

static void test_find(void **state) {
    (void)state;
    static const char text[] = "month,passengers,5,x,x\n1,2,3,4,5\n";
    table t;
    message error;
    size_t column;
    assert_true(table_parse("f.csv", text, strlen(text), &t, &error));
    assert_true(table_find(&t, "passengers", &column, &error) && column == 1);
    assert_true(table_find(&t, "2", &column, &error) && column == 1);
    assert_true(table_find(&t, "5", &column, &error) && column == 2);   // the name comes before the number
    assert_false(table_find(&t, "6", &column, &error));
    assert_false(table_find(&t, "passenger", &column, &error));
    assert_non_null(strstr(error.text, "did you mean 'passengers'"));
    assert_false(table_find(&t, "x", &column, &error));
    assert_non_null(strstr(error.text, "2 columns are called 'x'"));
    table_free(&t);
}

// ---- times ----

static const struct {
    const char *what, *times;   // separated by commas
    const char *rhythm;
    uint32_t season;
    size_t ahead;               // rows after the last
    const char *label;
} good_times[] = {
    { "months", "1949-01-01,1949-02-01,1949-03-01", "monthly", 12, 10, "1950-01-01" },
    { "months without days", "1949-01,1949-02,1949-03", "monthly", 12, 10, "1950-01" },
    { "ends of months", "2023-01-31,2023-02-28,2023-03-31", "monthly", 12, 11, "2024-02-29" },
    { "ends of short months", "2023-06-30,2023-09-30", "quarterly", 4, 1, "2023-12-31" },
    { "the 30th", "2023-01-30,2023-02-28,2023-03-30", "monthly", 12, 1, "2023-04-30" },
    { "quarters", "2020-01-01,2020-04-01,2020-07-01", "quarterly", 4, 2, "2021-01-01" },
    { "years", "2020-01-01,2021-01-01,2022-01-01", "yearly", 1, 2, "2024-01-01" },
    { "days", "2024-02-26,2024-02-27,2024-02-28", "daily", 7, 2, "2024-03-01" },
    { "weeks", "2024-01-01,2024-01-08,2024-01-15", "weekly", 1, 1, "2024-01-22" },
    { "working days", "2024-01-01,2024-01-02,2024-01-03,2024-01-04,2024-01-05,2024-01-08,2024-01-09", "on working days", 5,
      4, "2024-01-15" },
    { "hours", "2024-01-01T22:00,2024-01-01T23:00", "hourly", 24, 1, "2024-01-02T00:00" },
    { "a time zone", "2024-01-01 22:00:00+02:00,2024-01-01 23:00:00+02:00", "hourly", 24, 1, "2024-01-02 00:00:00+02:00" },
    { "Zulu", "2024-01-01T00:00:00Z,2024-01-01T00:05:00Z", "every 5 minutes", 1, 2, "2024-01-01T00:15:00Z" },
    { "summer time", "2024-03-31T01:00:00+01:00,2024-03-31T03:00:00+02:00", "hourly", 24, 1, "2024-03-31T02:00:00Z" },
    { "slashes", "2024/01/30,2024/01/31", "daily", 7, 1, "2024/02/01" },
    { "milliseconds", "2024-01-01 00:00:00.000,2024-01-01 00:00:00.250", "every 250 milliseconds", 1, 3,
      "2024-01-01 00:00:01.000" },
    { "epoch seconds", "1718709300,1718709600", "every 5 minutes", 1, 1, "1718709900" },
    { "epoch milliseconds", "1718709300000,1718712900000", "hourly", 24, 1, "1718716500000" },
    { "compact days", "20240228,20240229", "daily", 7, 1, "20240301" },
    { "numbers", "1949,1950,1951", "in steps of 1", 1, 2, "1953" },
    { "a gap", "2024-01-01,2024-01-02,2024-01-06,2024-01-07", "daily", 7, 1, "2024-01-08" },
    { "before 1970", "1949-12-31 23:00,1950-01-01 00:00", "hourly", 24, 1, "1950-01-01 01:00" },
};

static void build(const char *times, char *buf, size_t cap) {
    size_t n = (size_t)snprintf(buf, cap, "time,v\n");
    for (; *times && n + 48 < cap;) {
        size_t length = strcspn(times, ",");
        n += (size_t)snprintf(buf + n, cap - n, "%.*s,1\n", (int)length, times);
        times += length + (times[length] == ',');
    }
}

static void test_good_times(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good_times / sizeof *good_times; i++) {
        char text[1024], label[64];
        const char *what = good_times[i].what;
        build(good_times[i].times, text, sizeof text);
        table t;
        timeline time;
        message error = { "" };
        size_t column;
        if (!table_parse(what, text, strlen(text), &t, &error)) { fail_msg("%s", error.text); }
        if (!timeline_read(&t, NULL, &time, &column, &error)) { fail_msg("%s: %s", what, error.text); }
        if (column != 0) { fail_msg("%s: the time column was not found", what); }
        timeline_label(&time, t.n_rows - 1 + good_times[i].ahead, label, sizeof label);
        if (strcmp(label, good_times[i].label) != 0) {
            fail_msg("%s: goes on to %s, not %s", what, label, good_times[i].label);
        }
        timeline_describe(&time, label, sizeof label);
        if (strcmp(label, good_times[i].rhythm) != 0) { fail_msg("%s: '%s', not '%s'", what, label, good_times[i].rhythm); }
        if (timeline_season(&time) != good_times[i].season) { fail_msg("%s: season %u", what, timeline_season(&time)); }
        timeline_free(&time);
        table_free(&t);
    }
}

static const struct {
    const char *what, *times, *says;
} bad_times[] = {
    { "backwards", "2024-01-02,2024-01-01", "row 2 (line 3), column 'time': '2024-01-01' is not later" },
    { "twice", "2024-01-01,2024-01-01", "is also the time of the row before" },
    { "not a day", "2024-02-28,2024-02-30", "row 2 (line 3), column 'time': '2024-02-30' is not a time" },
    { "day first", "31.01.2024,01.02.2024", "is not a time; write it as" },
};

static void test_bad_times(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_times / sizeof *bad_times; i++) {
        char text[1024];
        build(bad_times[i].times, text, sizeof text);
        table t;
        timeline time;
        message error = { "" };
        size_t column;
        if (!table_parse("f.csv", text, strlen(text), &t, &error)) { fail_msg("%s", error.text); }
        if (timeline_read(&t, "time", &time, &column, &error)) { fail_msg("%s: was read", bad_times[i].what); }
        if (!strstr(error.text, bad_times[i].says)) { fail_msg("%s: says '%s'", bad_times[i].what, error.text); }
        table_free(&t);
    }
}

// The clock on the wall, where the zone changes: 9:30 stays 9:30, and rows to come keep the last zone.
static void test_wall_clock(void **state) {
    (void)state;
    char text[1024];
    build("2024-03-08 09:30:00-05:00,2024-03-11 09:30:00-04:00,2024-03-12 09:30:00-04:00", text, sizeof text);
    table t;
    timeline time;
    message error = { "" };
    size_t column;
    assert_true(table_parse("f.csv", text, strlen(text), &t, &error));
    assert_true(timeline_read(&t, NULL, &time, &column, &error));
    for (size_t row = 0; row < 5; row++) {
        assert_int_equal(civil_from_ms(timeline_clock(&time, row)).ms_of_day, (9 * 60 + 30) * 60000);
    }
    assert_int_equal(timeline_ms(&time, 0) - timeline_clock(&time, 0), 5 * 3600000);   // labels are in Greenwich's
    timeline_free(&time);
    assert_int_equal(timeline_named(&t), 0);
    table_free(&t);
}

// Every day of 800 years, there and back: the calendar's own period is 400.
static void test_calendar(void **state) {
    (void)state;
    civil c = { .year = 1600, .month = 1, .day = 1, .ms_of_day = 0 };
    int64_t ms = ms_from_civil(c);
    assert_int_equal(weekday(ms), 5);   // 1600-01-01 was a Saturday
    assert_int_equal(ms_from_civil((civil){ .year = 1970, .month = 1, .day = 1, .ms_of_day = 0 }), 0);
    for (; c.year < 2400; ms += DAY_MS) {
        civil back = civil_from_ms(ms);
        if (back.year != c.year || back.month != c.month || back.day != c.day || ms_from_civil(c) != ms) {
            fail_msg("%d-%02d-%02d is taken for another day", (int)c.year, c.month, c.day);
        }
        if (++c.day > days_in_month(c.year, c.month)) { c.day = 1, c.month++; }
        if (c.month > 12) { c.month = 1, c.year++; }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_files), cmocka_unit_test(test_bad_files),   cmocka_unit_test(test_bad_columns),
        cmocka_unit_test(test_find),       cmocka_unit_test(test_good_times), cmocka_unit_test(test_bad_times),
        cmocka_unit_test(test_calendar),   cmocka_unit_test(test_wall_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
