// Made-up inputs for any model, and one forecast of them: what tools ask where no file is at hand.
#ifndef TOOLS_SAMPLE_H
#define TOOLS_SAMPLE_H

#include "common.h"
#include "reprise.h"

typedef struct sample_sizes {
    uint32_t context, horizon, variates, paths;   // variates 0: 1, bars: 6; paths 0: mean mode
    uint32_t block;                               // Toto 2.0: time steps of a decode block; 0: a single pass
    uint64_t seed;                                // of the forecast; the inputs are always the same
} sample_sizes;

typedef struct sample {
    sample_sizes sizes;
    bool bars;
    float *values;            // [V, T]: waves with noise; of bars the highest price is the high, the lowest the low
    int64_t *times;           // [T], every five minutes
    float *mean;              // [V, H], of the last forecast
    float *paths;             // [V, H, S]; of a model that gives quantiles, these, [quantiles, V, H]; NULL in mean mode
    uint32_t quantiles;       // so many; 0: paths are sampled, or neither
    size_t n_paths;           // numbers that `paths` has
    double *std;              // [V], of the values
} sample;

// Sizes that `model` is not asked beyond: what is 0 is chosen, what is too much for its window is cut.
void sample_make(const rp_model *model, sample_sizes sizes, sample *out);
void sample_free(sample *s);
rp_status sample_forecaster(const sample *s, rp_model *model, rp_forecaster **out);
// Forecasts into s->mean and s->paths.
rp_status sample_forecast(sample *s, rp_forecaster *forecaster);

#endif
