// Which columns of a table a model of series gets: those to forecast, then those whose future is known.
#ifndef TOOLS_COLUMNS_H
#define TOOLS_COLUMNS_H

#include "options.h"
#include "table.h"

typedef struct selection {
    size_t *columns;       // [n]; those with known futures last
    size_t n, n_future;
} selection;

// `columns`: names or numbers; empty: every numeric column that is neither the time (SIZE_MAX: there is none) nor in
// `future_columns`. `file` stands in sentences. Freed by the caller also after a failure.
bool columns_select(const char *file, const table *t, const name_list *columns, const name_list *future_columns,
                    size_t time_column, selection *out, message *error);
void columns_free(selection *s);

// The names and numbers of the selected columns: [n], and [n, n_rows] with NAN where missing. Both are the caller's, also after
// a failure.
bool columns_read(const table *t, const selection *s, char ***names, double **values, message *error);

#endif
