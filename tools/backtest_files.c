// Reading the files of a backtest and placing their windows; see backtest.h.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backtest.h"
#include "bars.h"
#include "columns.h"
#include "digest.h"
#include "naive.h"

static bool read_series(const bt_request *r, const table *t, size_t time_column, bt_file *f, message *error) {
    selection s;
    bool good = columns_select(f->path, t, &r->columns, &r->future_columns, time_column, &s, error);
    if (good) {
        f->n_all = s.n;
        f->n_variates = s.n - s.n_future;
        good = columns_read(t, &s, &f->names, &f->values, error);
    }
    columns_free(&s);
    f->season = r->season ? r->season : timeline_season(&f->time);
    return good;
}

// The bars' values are the file's from here on.
static bool read_bars(const bt_request *r, const table *t, bt_file *f, bars *b, message *error) {
    if (!bars_have_times(f->path, t, &f->time, error) || !bars_read(f->path, t, b, error)) { return false; }
    f->values = b->values;
    f->n_all = BAR_COLUMNS;
    f->n_variates = b->has_volume ? BAR_COLUMNS : BAR_VOLUME;
    f->names = take(BAR_COLUMNS, sizeof *f->names);
    for (size_t c = 0; c < BAR_COLUMNS; c++) { f->names[c] = take_text(bar_names[c]); }
    f->season = r->season ? r->season : 1; // prices have none: seasonal naive is then the last value
    return true;
}

// ---- windows ----

// Why a window cannot be forecast or judged; true if it can.
static bool series_window(const bt_request *r, const bt_file *f, size_t end, message *why) {
    bool any = false;
    for (size_t v = 0; v < f->n_all; v++) {
        const double *values = f->values + v * f->n_rows;
        size_t row = end - r->context;
        while (row < end && isnan(values[row])) { row++; }
        if (row == end) {
            return message_set(why, "column '%s' has no value in the %u rows before row %zu", f->names[v], r->context, end + 1);
        }
        for (row = end; row < end + r->horizon; row++) {
            if (v < f->n_variates) {
                any = any || !isnan(values[row]);
            } else if (isnan(values[row])) {
                return message_set(why, "column '%s' has a known future, but no value in row %zu", f->names[v], row + 1);
            }
        }
    }
    return any || message_set(why, "the rows %zu to %zu have no value to compare with", end + 1, end + r->horizon);
}

// The latest windows that can be used, `step` rows apart counted from the end of the file. `b` is NULL for series; of bars, every
// number of a window must be one that a bar can have.
static bool place_windows(const bt_request *r, bt_file *f, const table *t, const bars *b, message *error) {
    size_t need = (size_t)r->context + r->horizon, n = 0;
    if (f->n_rows < need) {
        return message_set(error, "%s has %zu rows, but a window takes %u of context and %u of forecast, %zu together", f->path,
                           f->n_rows, r->context, r->horizon, need);
    }
    size_t places = (f->n_rows - need) / r->step + 1, wanted = r->windows && r->windows < places ? r->windows : places;
    message why = { "" }, first = { "" };
    f->ends = take(wanted, sizeof *f->ends);
    for (size_t i = 0; i < places && n < wanted; i++) {
        size_t end = f->n_rows - r->horizon - i * r->step;
        if ((!b || bars_check(b, t, end - r->context, end + r->horizon, &why)) && series_window(r, f, end, &why)) {
            f->ends[wanted - ++n] = end;
        } else if (f->n_unusable++ == 0) {
            first = why;
        }
    }
    if (n == 0) {
        return message_set(error, "%s: none of its %zu windows can be used; of the last one, %.700s", f->path, places,
                           first.text);
    }
    memmove(f->ends, f->ends + (wanted - n), n * sizeof *f->ends);
    f->n_windows = n;
    if (f->n_unusable) {
        note("%s: %zu window%s passed over; of the first, %s", f->path, f->n_unusable, f->n_unusable == 1 ? " is" : "s are",
             first.text);
    }
    return true;
}

// The latest windows that do not overlap, oldest first.
static void choose_pictures(const bt_request *r, bt_file *f) {
    size_t picked[MAX_PICTURES], n = 0, before = SIZE_MAX;
    for (size_t i = f->n_windows; i-- > 0 && n < MAX_PICTURES;) {
        if (before != SIZE_MAX && f->ends[i] + r->horizon > before) { continue; }
        picked[n++] = before = f->ends[i];
    }
    f->result.n_pictures = n;
    for (size_t i = 0; i < n; i++) { f->result.picture_ends[i] = picked[n - 1 - i]; }
    f->result.pictures = take(n * f->n_variates, PICTURE_LEVELS * (size_t)r->horizon * sizeof *f->result.pictures);
}

// ---- the whole ----

static bool load(const bt_request *r, bool is_bars, table *t, bt_file *f, message *error) {
    size_t time_column;
    message inner = { "" };
    bars b = { 0 };
    if (!table_read(f->path, t, error)) { return false; }
    const size_t shape[] = { t->n_rows, t->n_columns, t->has_header };
    f->digest = digest_bytes(digest_bytes(DIGEST_START, shape, sizeof shape), t->text, t->text_size);
    f->n_rows = t->n_rows;
    if (!timeline_read(t, r->time_column, &f->time, &time_column, &inner) ||
        !(is_bars ? read_bars(r, t, f, &b, &inner) : read_series(r, t, time_column, f, &inner))) {
        bool named = strncmp(inner.text, f->path, strlen(f->path)) == 0; // sentences about cells name no file
        return message_set(error, "%s%s%.900s", named ? "" : f->path, named ? "" : ": ", inner.text);
    }
    if (!place_windows(r, f, t, is_bars ? &b : NULL, error)) { return false; }
    f->scales = take(f->n_variates, (f->n_rows + 1) * sizeof *f->scales);
    for (size_t v = 0; v < f->n_variates; v++) {
        naive_scales(f->values + v * f->n_rows, f->n_rows, f->season, f->scales + v * (f->n_rows + 1));
    }
    f->result = bt_result_make(r->seeds, f->n_variates, r->horizon);
    f->result.n_windows = f->n_windows;
    choose_pictures(r, f);
    return true;
}

bool bt_file_load(const bt_request *r, bool bars, const char *path, bt_file *out) {
    table t = { 0 };
    *out = (bt_file){ .path = path, .name = path };
    bool good = load(r, bars, &t, out, &out->problem);
    table_free(&t);
    return good;
}

void bt_file_free(bt_file *f) {
    timeline_free(&f->time);
    for (size_t v = 0; f->names && v < f->n_all; v++) { free(f->names[v]); }
    free(f->names);
    free(f->values);
    free(f->scales);
    free(f->ends);
    bt_result_free(&f->result);
    *f = (bt_file){ 0 };
}

bool bt_usable(const bt_file *f) { return f->problem.text[0] == 0; }
