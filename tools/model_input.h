// Rows of a file as what the library takes: rp_series for Toto, rp_bars for Kronos.
#ifndef TOOLS_MODEL_INPUT_H
#define TOOLS_MODEL_INPUT_H

#include "reprise.h"
#include "timeline.h"

// Where a context lies in a file's values: [n_all, n_rows], those with known futures last, NAN = missing.
typedef struct model_rows {
    const double *values;
    size_t n_rows, n_all, n_future;
    size_t end, context, horizon;      // the rows [end - context, end) are given to the model
} model_rows;

// The arrays that the library's struct points into.
typedef struct model_input {
    float *values;         // series: [n_all, context]; bars: [6, context]
    uint8_t *mask;         // series: [n_all, context]
    float *future;         // series: [n_future, horizon]
    uint8_t *stamps;       // bars: [context + horizon, 5]
} model_input;

// All but `id` of the struct is filled in.
void model_input_series(const model_rows *rows, model_input *in, rp_series *out);
void model_input_bars(const model_rows *rows, const timeline *time, model_input *in, rp_bars *out);
void model_input_free(model_input *in);

#endif
