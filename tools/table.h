// A CSV file as rows and columns of text, and its columns as numbers. Knows nothing of what the columns mean.
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include "common.h"

typedef struct table {
    size_t n_rows, n_columns;
    size_t *cells;         // [rows, columns], offsets into `text`; missing rows of a one-column file included
    size_t *lines;         // [rows], the line of the file where each row starts, from 1
    char **names;          // [columns]; from the header, else "column 1" and so on
    char *text;
    size_t text_size, text_cap;
    bool has_header;
    char delimiter;        // ',' ';' or tab
} table;

// Reads a file: UTF-8 with or without BOM; LF, CRLF or CR; comma, semicolon or tab, found by looking; RFC 4180 quotes; with
// a header or without. On failure *out is empty and the sentence says where.
bool table_read(const char *path, table *out, message *error);

// The same from memory; `name` stands for the file in sentences.
bool table_parse(const char *name, const char *data, size_t size, table *out, message *error);
void table_free(table *t);

const char *table_cell(const table *t, size_t row, size_t column);   // without surrounding spaces; "" = empty

// "" and NA, N/A, #N/A, NaN, null, none in any case: nothing was measured.
bool cell_is_missing(const char *cell);

// Finds a column by its name or, where no column is called so, by its number from 1.
bool table_find(const table *t, const char *name, size_t *column, message *error);

// Most of the cells that hold something are numbers.
bool table_is_numeric(const table *t, size_t column);

// Copies a column as numbers, NAN where missing. A cell that is no number, or none that float32 holds, is an error that
// names row and column. Decimals: a point, or a comma where commas do not separate the columns.
bool table_numbers(const table *t, size_t column, double *out, message *error);

#endif
