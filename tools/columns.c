// Choosing and reading columns; see columns.h.
#include "columns.h"

#include <stdlib.h>

static bool add_column(const table *t, selection *s, size_t column, size_t time_column, message *error) {
    for (size_t i = 0; i < s->n; i++) {
        if (s->columns[i] == column) { return message_set(error, "column '%s' is asked for twice", t->names[column]); }
    }
    if (column == time_column) {
        return message_set(error, "column '%s' is the time; it cannot be forecast", t->names[column]);
    }
    s->columns[s->n++] = column;
    return true;
}

bool columns_select(const char *file, const table *t, const name_list *columns, const name_list *future_columns,
                    size_t time_column, selection *out, message *error) {
    selection *s = out;
    size_t column, future = 0;
    *s = (selection){ .columns = take(t->n_columns + columns->count + future_columns->count, sizeof *s->columns) };
    size_t *known = take(future_columns->count, sizeof *known);
    bool good = true;
    for (size_t i = 0; i < future_columns->count && good; i++) {
        good = table_find(t, future_columns->names[i], &column, error);
        known[future++] = good ? column : 0;
    }
    for (size_t i = 0; i < columns->count && good; i++) {
        good = table_find(t, columns->names[i], &column, error) && add_column(t, s, column, time_column, error);
    }
    for (column = 0; column < t->n_columns && columns->count == 0 && good; column++) {
        bool other = column == time_column || !table_is_numeric(t, column);
        for (size_t i = 0; i < future; i++) { other = other || known[i] == column; }
        if (!other) { good = add_column(t, s, column, time_column, error); }
    }
    if (good && s->n == 0) { good = message_set(error, "%s has no column of numbers to forecast", file); }
    for (size_t i = 0; i < future && good; i++) { good = add_column(t, s, known[i], time_column, error); }
    s->n_future = future;
    free(known);
    return good;
}

void columns_free(selection *s) {
    free(s->columns);
    *s = (selection){ 0 };
}

bool columns_read(const table *t, const selection *s, char ***names, double **values, message *error) {
    *names = take(s->n, sizeof **names);
    *values = take(s->n, t->n_rows * sizeof **values);
    for (size_t v = 0; v < s->n; v++) { (*names)[v] = take_text(t->names[s->columns[v]]); }
    for (size_t v = 0; v < s->n; v++) {
        if (!table_numbers(t, s->columns[v], *values + v * t->n_rows, error)) { return false; }
    }
    return true;
}
