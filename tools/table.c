// Reading CSV: libcsv does the quoting, this file everything around it; see table.h.
#include "table.h"

#include <csv.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

enum { LOOK_LINES = 20 };   // lines that decide on the delimiter

// ---- cells ----

const char *table_cell(const table *t, size_t row, size_t column) {
    return t->text + t->cells[row * t->n_columns + column];
}

bool cell_is_missing(const char *cell) {
    static const char *const words[] = { "", "NA", "N/A", "#N/A", "NaN", "null", "none" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (same_word(cell, words[i])) { return true; }
    }
    return false;
}

// Strictly [+-]digits[.digits][e[+-]digits]: no hexadecimal, no "inf", no thousands. *separator is '.', ',' or 0.
static bool read_number(const char *cell, bool comma, double *out, char *separator) {
    char copy[64];
    size_t length = strlen(cell), at = 0, before = 0, after = 0;
    if (length >= sizeof copy) { return false; }
    memcpy(copy, cell, length + 1);
    *separator = 0;
    if (copy[at] == '+' || copy[at] == '-') { at++; }
    for (; copy[at] >= '0' && copy[at] <= '9'; at++) { before++; }
    if (copy[at] == '.' || (comma && copy[at] == ',')) {
        *separator = copy[at];
        copy[at++] = '.';   // what strtod reads: the program never calls setlocale
        for (; copy[at] >= '0' && copy[at] <= '9'; at++) { after++; }
    }
    if (before + after == 0) { return false; }
    if (copy[at] == 'e' || copy[at] == 'E') {
        size_t exponent = 0;
        at++;
        if (copy[at] == '+' || copy[at] == '-') { at++; }
        for (; copy[at] >= '0' && copy[at] <= '9'; at++) { exponent++; }
        if (exponent == 0) { return false; }
    }
    if (copy[at] != 0) { return false; }
    *out = strtod(copy, NULL);
    return true;
}

static bool is_number(const table *t, const char *cell) {
    double number;
    char separator;
    return read_number(cell, t->delimiter != ',', &number, &separator);
}

static bool is_time(const char *cell) {
    int64_t ms;
    clock_style style;
    return clock_parse(cell, &ms, &style);
}

// ---- parsing ----

typedef struct reader {
    table *table;
    const char *name;
    message *error;
    size_t *row;              // offsets of the cells of the row being read
    size_t n_cells, cap_cells;
    size_t cap_rows, line;
    size_t row_line;          // where that row starts; 0: between rows
    size_t blank_line, n_blank;
    bool failed;
} reader;

static size_t add_text(table *t, const char *text, size_t size) {
    while (size > 0 && (text[0] == ' ' || text[0] == '\t')) { text++, size--; }
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) { size--; }
    if (t->text_size + size + 1 > t->text_cap) {
        t->text_cap = 2 * t->text_cap + size + 4096;
        t->text = take_again(t->text, t->text_cap, 1);
    }
    size_t offset = t->text_size;
    if (size) { memcpy(t->text + offset, text, size); }
    t->text[offset + size] = 0;
    t->text_size += size + 1;
    return offset;
}

static void add_row(reader *r, const size_t *cells, size_t line) {
    table *t = r->table;
    if (t->n_rows == r->cap_rows) {
        r->cap_rows = 2 * r->cap_rows + 256;
        t->cells = take_again(t->cells, r->cap_rows, t->n_columns * sizeof *t->cells);
        t->lines = take_again(t->lines, r->cap_rows, sizeof *t->lines);
    }
    memcpy(t->cells + t->n_rows * t->n_columns, cells, t->n_columns * sizeof *cells);
    t->lines[t->n_rows++] = line;
}

static void on_cell(void *data, size_t size, void *user) {
    reader *r = user;
    if (r->row_line == 0) { r->row_line = r->line; }
    if (r->n_cells == r->cap_cells) {
        r->cap_cells = 2 * r->cap_cells + 16;
        r->row = take_again(r->row, r->cap_cells, sizeof *r->row);
    }
    r->row[r->n_cells++] = add_text(r->table, data ? data : "", size);
}

static void on_row(int terminator, void *user) {
    (void)terminator;
    reader *r = user;
    table *t = r->table;
    if (r->failed) { return; }
    if (t->n_columns == 0) { t->n_columns = r->n_cells; }
    if (r->n_cells != t->n_columns) {
        r->failed = true;
        message_set(r->error,
                    "%s: line %zu has %zu cell%s where the first line has %zu; quote cells that contain the delimiter '%s'",
                    r->name, r->row_line, r->n_cells, r->n_cells == 1 ? "" : "s", t->n_columns,
                    t->delimiter == '\t' ? "tab" : (char[]){ t->delimiter, 0 });
        return;
    }
    // In a file of one column an empty line between others is a missing value; elsewhere it is nothing.
    if (t->n_columns == 1 && t->n_rows > 0) {
        size_t empty = add_text(t, "", 0);
        for (size_t i = 0; i < r->n_blank; i++) { add_row(r, &empty, r->blank_line + i); }
    }
    add_row(r, r->row, r->row_line);
    r->n_blank = 0;
    r->n_cells = 0;
    r->row_line = 0;
}

// One line with its end; *size grows past LF, CRLF or CR.
static size_t line_size(const char *data, size_t size) {
    size_t n = 0;
    while (n < size && data[n] != '\n' && data[n] != '\r') { n++; }
    if (n < size) { n += data[n] == '\r' && n + 1 < size && data[n + 1] == '\n' ? 2 : 1; }
    return n;
}

static bool is_blank(const char *line, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (line[i] != ' ' && line[i] != '\r' && line[i] != '\n') { return false; }
    }
    return true;
}

// The delimiter that stands equally often, and most often, outside quotes in each of the first lines. A semicolon or tab
// that does so wins over the comma, which may also be a decimal comma.
static char find_delimiter(const char *data, size_t size) {
    static const char candidates[] = { '\t', ';', ',' };
    size_t first[3] = { 0 }, total[3] = { 0 };
    bool even[3] = { true, true, true };
    size_t at = 0;
    for (size_t lines = 0; at < size && lines < LOOK_LINES;) {
        size_t n = line_size(data + at, size - at), count[3] = { 0 };
        bool quoted = false;
        if (!is_blank(data + at, n)) {
            for (size_t i = 0; i < n; i++) {
                if (data[at + i] == '"') { quoted = !quoted; }
                for (size_t c = 0; c < 3 && !quoted; c++) { count[c] += data[at + i] == candidates[c]; }
            }
            for (size_t c = 0; c < 3; c++) {
                if (lines == 0) { first[c] = count[c]; }
                if (count[c] != first[c] || count[c] == 0) { even[c] = false; }
                total[c] += count[c];
            }
            lines++;
        }
        at += n;
    }
    for (size_t c = 0; c < 3; c++) {
        if (even[c] && first[c] > 0) { return candidates[c]; }
    }
    size_t best = 2;   // none fits: the row that differs will be named, so take the likeliest
    for (size_t c = 0; c < 2; c++) {
        if (first[c] > 0 && total[c] > total[best]) { best = c; }
    }
    return candidates[best];
}

// A header is a first row with text above a column of numbers or times.
static bool find_header(const table *t) {
    if (t->n_rows == 0) { return false; }
    for (size_t column = 0; column < t->n_columns; column++) {
        const char *top = table_cell(t, 0, column);
        if (cell_is_missing(top) || is_number(t, top) || is_time(top)) { continue; }
        size_t fit = 0, filled = 0;
        for (size_t row = 1; row < t->n_rows; row++) {
            const char *cell = table_cell(t, row, column);
            if (cell_is_missing(cell)) { continue; }
            filled++;
            fit += is_number(t, cell) || is_time(cell);
        }
        if (2 * fit > filled || t->n_rows == 1) { return true; }
    }
    return false;
}

static void name_columns(table *t) {
    t->has_header = find_header(t);
    t->names = take(t->n_columns, sizeof *t->names);
    for (size_t column = 0; column < t->n_columns; column++) {
        char number[32];
        snprintf(number, sizeof number, "column %zu", column + 1);
        const char *name = t->has_header ? table_cell(t, 0, column) : "";
        t->names[column] = take_text(*name ? name : number);
    }
    if (t->has_header) {
        t->n_rows--;
        memmove(t->cells, t->cells + t->n_columns, t->n_rows * t->n_columns * sizeof *t->cells);
        memmove(t->lines, t->lines + 1, t->n_rows * sizeof *t->lines);
    }
}

// Spreadsheets write rows of bare delimiters below the data.
static void drop_empty_tail(table *t) {
    while (t->n_columns > 1 && t->n_rows > 0) {
        for (size_t column = 0; column < t->n_columns; column++) {
            if (*table_cell(t, t->n_rows - 1, column)) { return; }
        }
        t->n_rows--;
    }
}

static bool parse_lines(reader *r, struct csv_parser *parser, const char *data, size_t size) {
    for (size_t at = 0; at < size;) {
        size_t n = line_size(data + at, size - at);
        r->line++;
        // Between rows means: the last line ended a row rather than stopping inside quotes.
        bool between = r->row_line == 0 && r->n_cells == 0 && parser->pstate == 0;
        if (between && is_blank(data + at, n)) {
            if (r->n_blank++ == 0) { r->blank_line = r->line; }
        } else {
            if (between) { r->row_line = r->line; }
            if (csv_parse(parser, data + at, n, on_cell, on_row, r) != n) { return false; }
            if (r->failed) { return true; }
        }
        at += n;
    }
    return csv_fini(parser, on_cell, on_row, r) == 0;
}

bool table_parse(const char *name, const char *data, size_t size, table *out, message *error) {
    *out = (table){ 0 };
    if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) { data += 3, size -= 3; }
    if (memchr(data, 0, size)) {
        return message_set(error, "%s holds zero bytes, as UTF-16 and binary files do; save it as CSV in UTF-8", name);
    }
    struct csv_parser parser;
    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0) {
        return message_set(error, "%s: the CSV parser did not start", name);
    }
    out->delimiter = find_delimiter(data, size);
    csv_set_delim(&parser, (unsigned char)out->delimiter);
    reader r = { .table = out, .name = name, .error = error };
    bool done = parse_lines(&r, &parser, data, size);
    if (!done && csv_error(&parser) == CSV_ENOMEM) {
        message_set(error, "%s: memory ran out in line %zu", name, r.line);
    } else if (!done) {
        message_set(error,
                    "%s: the quotes of the row in line %zu do not match; a quote inside a quoted cell is written twice",
                    name, r.row_line ? r.row_line : r.line);
    }
    csv_free(&parser);
    free(r.row);
    if (!done || r.failed) {
        table_free(out);
        return false;
    }
    if (out->n_columns > 0) { name_columns(out); }
    drop_empty_tail(out);
    if (out->n_rows == 0) {
        message_set(error, "%s has no rows of data%s", name, out->has_header ? " below its header" : "");
        table_free(out);
        return false;
    }
    return true;
}

bool table_read(const char *path, table *out, message *error) {
    *out = (table){ 0 };
    FILE *file = fopen(path, "rb");
    if (!file) { return message_set(error, "%s cannot be opened: %s", path, strerror(errno)); }
    char *data = NULL;
    size_t size = 0, cap = 0, got;
    do {   // piecewise rather than by size: the file may be a pipe
        if (size == cap) {
            cap = 2 * cap + 65536;
            data = take_again(data, cap, 1);
        }
        got = fread(data + size, 1, cap - size, file);
        size += got;
    } while (got > 0);
    bool bad = ferror(file) != 0;
    int reason = errno;
    fclose(file);
    bool done = bad ? message_set(error, "%s cannot be read: %s", path, strerror(reason))
                    : table_parse(path, data, size, out, error);
    free(data);
    return done;
}

void table_free(table *t) {
    if (t->names) {
        for (size_t i = 0; i < t->n_columns; i++) { free(t->names[i]); }
    }
    free(t->names);
    free(t->cells);
    free(t->lines);
    free(t->text);
    *t = (table){ 0 };
}

// ---- columns ----

bool table_find(const table *t, const char *name, size_t *column, message *error) {
    size_t found = 0;
    for (size_t i = 0; i < t->n_columns; i++) {
        if (strcmp(t->names[i], name) == 0 && found++ == 0) { *column = i; }
    }
    if (found == 1) { return true; }
    if (found > 1) {
        return message_set(error, "%zu columns are called '%s'; name one by its number instead", found, name);
    }
    char *end;
    unsigned long number = *name >= '1' && *name <= '9' ? strtoul(name, &end, 10) : 0;
    if (number >= 1 && *end == 0 && number <= t->n_columns) {
        *column = number - 1;
        return true;
    }
    const char *near = nearest_name(name, (const char *const *)t->names, t->n_columns);
    if (near) { return message_set(error, "there is no column '%s'; did you mean '%s'?", name, near); }
    char list[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < t->n_columns && used + 40 < sizeof list; i++) {
        int n = snprintf(list + used, sizeof list - used, "%s%.32s", i ? ", " : "", t->names[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return message_set(error, "there is no column '%s'; the file has: %s", name, list);
}

bool table_is_numeric(const table *t, size_t column) {
    size_t numbers = 0, filled = 0;
    for (size_t row = 0; row < t->n_rows; row++) {
        const char *cell = table_cell(t, row, column);
        if (cell_is_missing(cell)) { continue; }
        filled++;
        numbers += is_number(t, cell);
    }
    return 2 * numbers > filled;
}

bool table_numbers(const table *t, size_t column, double *out, message *error) {
    size_t with_point = 0, with_comma = 0;   // rows from 1; 0: not seen
    for (size_t row = 0; row < t->n_rows; row++) {
        const char *cell = table_cell(t, row, column), *name = t->names[column];
        char separator;
        out[row] = NAN;
        if (cell_is_missing(cell)) { continue; }
        if (!read_number(cell, t->delimiter != ',', &out[row], &separator)) {
            return message_set(
                error, "row %zu (line %zu), column '%s': '%.40s' is not a number; leave the cell empty if it is missing",
                row + 1, t->lines[row], name, cell);
        }
        if (!(fabs(out[row]) <= (double)FLT_MAX)) {
            return message_set(error, "row %zu (line %zu), column '%s': %.40s is beyond the range of float32", row + 1,
                               t->lines[row], name, cell);
        }
        if (separator == '.') { with_point = row + 1; }
        if (separator == ',') { with_comma = row + 1; }
    }
    if (with_point && with_comma) {
        return message_set(error,
                           "column '%s' has a decimal point in row %zu and a decimal comma in row %zu; use one of them",
                           t->names[column], with_point, with_comma);
    }
    return true;
}
