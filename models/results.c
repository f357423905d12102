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

rp_status rp_results_read(rp_buffer *from, uint64_t count, float *scratch, const float **out) {
    rp_device *device = from->device;
    const bool there = device->info.kind != RP_DEVICE_REFERENCE && from->mapped != NULL;
    *out = there ? from->mapped : scratch;
    return device->backend->read(from, 0, RP_F32, scratch, RP_F32, there ? 0 : count);
}

void rp_results_fill(const rp_results *r, const rp_forecast_config *config, const rp_forecast_result *result) {
    const bool quantiles = result->quantiles != NULL && config->n_quantiles > 0 && config->paths > 0;
    const bool whole = result->samples != NULL && result->mean == NULL && !quantiles && config->paths == r->paths_cap;
    for (uint32_t row = 0; row < r->rows; row++) {
        const float *from = r->values + (size_t)row * r->horizon_cap * r->paths_cap;
        if (whole) {
            const size_t n = (size_t)r->horizon * r->paths;
            memcpy(result->samples + row * n, from, n * sizeof *from);
            continue;
        }
        for (uint32_t t = 0; t < r->horizon; t++, from += r->paths_cap) {
            const size_t to = (size_t)row * r->horizon + t;
            float *paths = result->samples != NULL && config->paths > 0 ? result->samples + to * r->paths : r->row;
            memcpy(paths, from, r->paths * sizeof *paths);
            if (result->mean != NULL) {
                double sum = 0;
                for (uint32_t s = 0; s < r->paths; s++) { sum += paths[s]; }
                result->mean[to] = (float)(sum / r->paths);
            }
            if (!quantiles) { continue; }
            if (paths != r->row) { memcpy(r->row, paths, r->paths * sizeof *paths); }
            qsort(r->row, r->paths, sizeof *r->row, ascending);
            for (uint32_t q = 0; q < config->n_quantiles; q++) {
                result->quantiles[((size_t)q * r->rows + row) * r->horizon + t] = quantile(r->row, r->paths, config->quantile_levels[q]);
            }
        }
    }
}
