// Made-up inputs; see sample.h.
#include "sample.h"

#include <math.h>
#include <stdlib.h>

#include "family.h"
#include "op_math.h"

enum { COLUMNS = RP_BAR_COLUMNS };

static double noise(uint32_t row, uint32_t t) { return (double)rp_uniform(rp_philox(0x5a3, 0, row, t, 0, 0).w0) - 0.5; }

static void fill_series(sample *s) {
    const uint32_t T = s->sizes.context;
    for (uint32_t v = 0; v < s->sizes.variates; v++) {
        for (uint32_t t = 0; t < T; t++) {
            s->values[(size_t)v * T + t] = (float)(100 * (v + 1) + 0.1 * t + 10 * sin(0.26 * t + v) + 4 * noise(v, t));
        }
    }
}

static void fill_bars(sample *s) {
    const uint32_t T = s->sizes.context;
    double close = 100;
    for (uint32_t t = 0; t < T; t++) {
        const double open = close + 0.2 * noise(0, t), volume = 1000 * (1.5 + sin(0.26 * t) + noise(3, t));
        close = open + noise(1, t);
        const double high = fmax(open, close) + fabs(noise(2, t)), low = fmin(open, close) - fabs(noise(4, t));
        const double row[COLUMNS] = { open, high, low, close, volume, volume * (open + high + low + close) / 4 };
        for (uint32_t c = 0; c < COLUMNS; c++) { s->values[(size_t)c * T + t] = (float)row[c]; }
        s->times[t] = 1718000000 + 300 * (int64_t)t;
    }
}

void sample_make(const rp_model *model, sample_sizes sizes, sample *out) {
    *out = (sample){ .sizes = sizes, .bars = model->family->forecast_bars != NULL };
    sample_sizes *z = &out->sizes;
    const uint32_t window = model->info.window;
    if (model->info.quantiles > 0) {   // it samples no paths
        out->quantiles = z->paths > 0 ? model->info.quantiles : 0;
        z->paths = 0;
    }
    if (z->context == 0) { z->context = 64; }
    if (z->horizon == 0) { z->horizon = out->bars ? 4 : 2 * model->info.patch; }   // later steps too, not only the first
    if (window > 0 && z->horizon > window) { z->horizon = window; }
    if (window > 0 && z->context > window) { z->context = window; }
    if (out->bars) { z->variates = COLUMNS; }
    if (z->variates == 0) { z->variates = 1; }
    const size_t T = z->context, V = z->variates, H = z->horizon;
    out->values = take(V, T * sizeof *out->values);
    out->times = take(T, sizeof *out->times);
    out->mean = take(V, H * sizeof *out->mean);
    out->n_paths = V * H * (z->paths + out->quantiles);
    out->paths = out->n_paths ? take(out->n_paths, sizeof *out->paths) : NULL;
    out->std = take(V, sizeof *out->std);
    out->bars ? fill_bars(out) : fill_series(out);
    for (size_t v = 0; v < V; v++) {
        double sum = 0, square = 0;
        for (size_t t = 0; t < T; t++) { sum += (double)out->values[v * T + t]; }
        for (size_t t = 0; t < T; t++) { square += pow((double)out->values[v * T + t] - sum / (double)T, 2); }
        out->std[v] = sqrt(square / (double)T);
    }
}

void sample_free(sample *s) {
    free(s->values), free(s->times), free(s->mean), free(s->paths), free(s->std);
    *s = (sample){ 0 };
}

rp_status sample_forecaster(const sample *s, rp_model *model, rp_forecaster **out) {
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = s->sizes.context, config.max_horizon = s->sizes.horizon, config.variates = s->sizes.variates;
    config.max_paths = s->sizes.paths, config.block = s->sizes.block;
    return rp_forecaster_create(model, &config, out);
}

rp_status sample_forecast(sample *s, rp_forecaster *forecaster) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    config.horizon = s->sizes.horizon, config.paths = s->sizes.paths, config.seed = s->sizes.seed;
    result.mean = s->mean;
    *(s->quantiles ? &result.quantiles : &result.samples) = s->paths;
    float levels[RP_BLOCK_QUANTILES];
    for (uint32_t i = 0; i < s->quantiles; i++) { levels[i] = (float)((i + 1) / (s->quantiles + 1.0)); }
    config.quantile_levels = levels, config.n_quantiles = s->quantiles;
    const float *v = s->values;
    const size_t T = s->sizes.context;
    if (s->bars) {
        rp_bars bars = RP_BARS_INIT;
        bars.open = v, bars.high = v + T, bars.low = v + 2 * T, bars.close = v + 3 * T, bars.volume = v + 4 * T, bars.amount = v + 5 * T;
        bars.times = s->times, bars.context = s->sizes.context;
        return rp_forecast_bars(forecaster, &bars, 1, &config, &result);
    }
    rp_series series = RP_SERIES_INIT;
    series.values = v, series.context = s->sizes.context;
    return rp_forecast(forecaster, &series, 1, &config, &result);
}
