#include "results.h"

#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float quantile(const float *sorted, uint32_t n, float level) {
    const double at = (double)level * (n - 1);
    const uint32_t below = (uint32_t)at, above = below + 1 < n ? below + 1 : below;
    return (float)(sorted[below] + (at - below) * ((double)sorted[above] - sorted[below]));
}

void rp_results_fill(const rp_results *r, const rp_forecast_config *config, const rp_forecast_result *result) {
    for (uint32_t row = 0; row < r->rows; row++) {
        for (uint32_t t = 0; t < r->horizon; t++) {
            float *paths = r->values + ((size_t)row * r->horizon_cap + t) * r->paths_cap;
            const size_t to = (size_t)row * r->horizon + t;
            if (result->mean != NULL) {
                double sum = 0;
                for (uint32_t s = 0; s < r->paths; s++) { sum += paths[s]; }
                result->mean[to] = (float)(sum / r->paths);
            }
            if (config->paths == 0) { continue; }
            if (result->samples != NULL) { memcpy(result->samples + to * r->paths, paths, r->paths * sizeof *paths); }
            if (result->quantiles == NULL || config->n_quantiles == 0) { continue; }
            qsort(paths, r->paths, sizeof *paths, ascending);
            for (uint32_t q = 0; q < config->n_quantiles; q++) {
                result->quantiles[((size_t)q * r->rows + row) * r->horizon + t] = quantile(paths, r->paths, config->quantile_levels[q]);
            }
        }
    }
}
