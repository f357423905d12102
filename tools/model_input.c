// Copying rows for the library; see model_input.h.
#include "model_input.h"

#include <math.h>
#include <stdlib.h>

#include "bars.h"

void model_input_series(const model_rows *r, model_input *in, rp_series *out) {
    *in = (model_input){ .values = take(r->n_all, r->context * sizeof *in->values),
                         .mask = take(r->n_all, r->context),
                         .future = take(r->n_future, r->horizon * sizeof *in->future) };
    for (size_t v = 0; v < r->n_all; v++) {
        const double *from = r->values + v * r->n_rows + r->end - r->context;
        for (size_t i = 0; i < r->context; i++) {
            in->mask[v * r->context + i] = !isnan(from[i]);
            in->values[v * r->context + i] = isnan(from[i]) ? 0 : (float)from[i];
        }
    }
    for (size_t v = 0; v < r->n_future; v++) {
        const double *from = r->values + (r->n_all - r->n_future + v) * r->n_rows + r->end;
        for (size_t i = 0; i < r->horizon; i++) { in->future[v * r->horizon + i] = (float)from[i]; }
    }
    *out = (rp_series)RP_SERIES_INIT;
    out->values = in->values;
    out->mask = in->mask;
    out->future = r->n_future ? in->future : NULL;
    out->context = (uint32_t)r->context;
}

void model_input_bars(const model_rows *r, const timeline *time, model_input *in, rp_bars *out) {
    size_t first = r->end - r->context;
    *in = (model_input){ .values = take(BAR_COLUMNS, r->context * sizeof *in->values),
                         .stamps = take(r->context + r->horizon, BAR_STAMPS) };
    for (size_t c = 0; c < BAR_COLUMNS; c++) {
        for (size_t i = 0; i < r->context; i++) { in->values[c * r->context + i] = (float)r->values[c * r->n_rows + first + i]; }
    }
    bars_stamp(time, first, r->context + r->horizon, in->stamps);
    *out = (rp_bars)RP_BARS_INIT;
    out->open = in->values;
    out->high = in->values + BAR_HIGH * r->context;
    out->low = in->values + BAR_LOW * r->context;
    out->close = in->values + BAR_CLOSE * r->context;
    out->volume = in->values + BAR_VOLUME * r->context;
    out->amount = in->values + BAR_AMOUNT * r->context;
    out->stamps = in->stamps;
    out->context = (uint32_t)r->context;
}

void model_input_free(model_input *in) {
    free(in->values);
    free(in->mask);
    free(in->future);
    free(in->stamps);
    *in = (model_input){ 0 };
}
