// Reading bars and refusing what cannot be one; see bars.h.
#include "bars.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LARGEST 1e17   // the library's own limit

const char *const bar_names[BAR_COLUMNS] = { "open", "high", "low", "close", "volume", "amount" };

static bool find_column(const char *file, const table *t, size_t which, size_t *column, message *error) {
    size_t found = 0;
    *column = SIZE_MAX;
    for (size_t i = 0; i < t->n_columns; i++) {
        if (same_word(t->names[i], bar_names[which]) && found++ == 0) { *column = i; }
    }
    if (found > 1) { return message_set(error, "%s: %zu columns are called '%s'", file, found, bar_names[which]); }
    if (found == 1 || which >= BAR_VOLUME) { return true; }
    char list[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < t->n_columns && used + 40 < sizeof list; i++) {
        int n = snprintf(list + used, sizeof list - used, "%s%.32s", i ? ", " : "", t->names[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return message_set(error, "%s has no column '%s'; bars need open, high, low and close. It has: %s", file,
                       bar_names[which], list);
}

static void fill_amounts(bars *b) {
    double *amount = b->values + BAR_AMOUNT * b->n_rows;
    for (size_t row = 0; row < b->n_rows; row++) {
        double sum = 0;
        for (size_t c = BAR_OPEN; c <= BAR_CLOSE; c++) { sum += b->values[c * b->n_rows + row]; }
        amount[row] = b->has_volume ? b->values[BAR_VOLUME * b->n_rows + row] * (sum / 4) : 0;
    }
}

bool bars_read(const char *file, const table *t, bars *out, message *error) {
    *out = (bars){ .n_rows = t->n_rows };
    bool good = true;
    for (size_t c = 0; c < BAR_COLUMNS && good; c++) { good = find_column(file, t, c, &out->columns[c], error); }
    if (!good) { return false; }
    out->has_volume = out->columns[BAR_VOLUME] != SIZE_MAX;
    out->has_amount = out->has_volume && out->columns[BAR_AMOUNT] != SIZE_MAX;
    out->values = take(BAR_COLUMNS, t->n_rows * sizeof *out->values);
    for (size_t c = 0; c < BAR_COLUMNS && good; c++) {
        bool wanted = c <= BAR_CLOSE || (c == BAR_VOLUME && out->has_volume) || (c == BAR_AMOUNT && out->has_amount);
        if (wanted) { good = table_numbers(t, out->columns[c], out->values + c * t->n_rows, error); }
    }
    if (!good) {
        bars_free(out);
        return false;
    }
    if (!out->has_amount) { fill_amounts(out); }
    return true;
}

void bars_free(bars *b) {
    free(b->values);
    *b = (bars){ 0 };
}

static bool check_value(const bars *b, const table *t, size_t c, size_t row, message *error) {
    double value = b->values[c * b->n_rows + row];
    const char *problem = NULL;
    if (isnan(value)) {
        problem = "is missing; a bar needs all its numbers: fill the cell, or take the row out";
    } else if (c <= BAR_CLOSE && value <= 0) {
        problem = "is no price; prices are above 0";
    } else if (value < 0) {
        problem = c == BAR_VOLUME ? "is no volume; volumes are 0 or more" : "is no amount; amounts are 0 or more";
    } else if (value >= LARGEST) {
        problem = "is too large; numbers of a bar stay below 1e17";
    }
    if (!problem) { return true; }
    if (b->columns[c] == SIZE_MAX || (c == BAR_AMOUNT && !b->has_amount)) {   // computed from what was just checked
        return message_set(error, "row %zu (line %zu): volume times price, %g, %s", row + 1, t->lines[row], value, problem);
    }
    const char *name = t->names[b->columns[c]];
    if (isnan(value)) { return message_set(error, "row %zu (line %zu), column '%s' %s", row + 1, t->lines[row], name, problem); }
    return message_set(error, "row %zu (line %zu), column '%s': %.40s %s", row + 1, t->lines[row], name,
                       table_cell(t, row, b->columns[c]), problem);
}

bool bars_check(const bars *b, const table *t, size_t first, size_t end, message *error) {
    if (end - first < 2) {
        return message_set(error, "row %zu is the only bar given to the model; it needs 2 at least, to know how they differ",
                           first + 1);
    }
    for (size_t row = first; row < end; row++) {
        for (size_t c = 0; c < BAR_COLUMNS; c++) {
            if (!check_value(b, t, c, row, error)) { return false; }
        }
    }
    return true;
}

size_t bars_n_odd(const bars *b, size_t first, size_t end, size_t *row) {
    const double *open = b->values, *high = open + b->n_rows, *low = high + b->n_rows, *close = low + b->n_rows;
    size_t n = 0;
    for (size_t i = first; i < end; i++) {
        if (high[i] >= fmax(open[i], close[i]) && low[i] <= fmin(open[i], close[i])) { continue; }
        if (n++ == 0) { *row = i; }
    }
    return n;
}

bool bars_have_times(const char *file, const table *t, const timeline *time, message *error) {
    if (time->ms && time->spacing != SPACING_NUMBERS) { return true; }
    if (time->spacing == SPACING_NUMBERS) {
        return message_set(error,
                           "%s, column '%s' holds numbers that are no times; bars need dates, or seconds or milliseconds since "
                           "1970 (from 1973 on)", file, time->name);
    }
    size_t named = timeline_named(t);
    int64_t ms;
    clock_style style;
    for (size_t row = 0; row < t->n_rows && named != SIZE_MAX; row++) {
        const char *cell = table_cell(t, row, named);
        if (clock_parse(cell, &ms, &style)) { continue; }
        return message_set(error,
                           "row %zu (line %zu), column '%s': '%.40s' is not a time; write it as 2024-01-31, 2024-01-31 12:00:00 "
                           "or 2024-01-31T12:00:00Z", row + 1, t->lines[row], t->names[named], cell);
    }
    return message_set(error, "%s has no column of times, which bars need; if it has another name, say --time-column", file);
}

void bars_stamp(const timeline *time, size_t first, size_t count, uint8_t *out) {
    for (size_t i = 0; i < count; i++, out += BAR_STAMPS) {
        int64_t clock = timeline_clock(time, first + i);
        civil c = civil_from_ms(clock);
        out[0] = (uint8_t)(c.ms_of_day / 60000 % 60);
        out[1] = (uint8_t)(c.ms_of_day / 3600000);
        out[2] = (uint8_t)weekday(clock);
        out[3] = (uint8_t)c.day;
        out[4] = (uint8_t)c.month;
    }
}
