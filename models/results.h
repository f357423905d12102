// From a forecaster's raw result to the caller's arrays; every family that samples paths ends here.
#ifndef RP_RESULTS_H
#define RP_RESULTS_H

#include <stdbool.h>

#include "backend.h"

typedef struct rp_results {
    const float *values;                  // [rows, horizon_cap, paths_cap]; each number is read once, a row of paths at a time
    float *row;                           // room for the paths of one time step
    uint32_t rows;                        // B V
    uint32_t horizon_cap, paths_cap;      // as laid out
    uint32_t horizon, paths;              // as wanted
} rp_results;

// Whether the caller wants anything on the host.
static inline bool rp_results_wanted(const rp_forecast_config *config, const rp_forecast_result *result) {
    return result->samples != NULL || result->mean != NULL || (result->quantiles != NULL && config->n_quantiles > 0);
}

// Waits for all replays, and then gives the numbers of a host buffer: where they lie, or, where that holds others, `count` of them in
// `scratch`.
rp_status rp_results_read(rp_buffer *from, uint64_t count, float *scratch, const float **out);

// Fills those of samples [rows, horizon, paths], mean [rows, horizon], quantiles [n, rows, horizon] that the caller wants.
// In mean mode (config->paths == 0) only the mean. Quantiles are linear between order statistics: level q lies at q (paths - 1).
void rp_results_fill(const rp_results *r, const rp_forecast_config *config, const rp_forecast_result *result);

#endif
