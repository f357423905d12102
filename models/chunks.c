#include "chunks.h"

#define MB 1048576.0

static uint32_t ceil_div(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

typedef struct search {
    rp_forecaster *forecaster;
    rp_measure_fn measure;
    rp_countable_fn countable;
    uint64_t budget;
} search;

static rp_status try(const search *s, uint32_t paths, rp_sizes *sizes, bool *fits) {
    *fits = s->countable(s->forecaster, paths);
    if (!*fits) { return RP_OK; }
    RP_RETURN(s->measure(s->forecaster, paths, sizes));
    *fits = sizes->state + sizes->activations <= s->budget;
    return RP_OK;
}

rp_status rp_chunks_choose(rp_forecaster *forecaster, rp_measure_fn measure, rp_countable_fn countable, rp_sizes *out) {
    const rp_forecaster_config *config = &forecaster->config;
    const search s = { forecaster, measure, countable, config->memory_bytes ? config->memory_bytes : UINT64_MAX };
    uint32_t low = config->max_paths, high = low;
    rp_sizes sizes = { 0 };
    bool fits;
    RP_RETURN(try(&s, high, &sizes, &fits));     // mostly all of them fit
    if (!fits) {
        low = 1, high = config->max_paths;
        RP_RETURN(try(&s, low, &sizes, &fits));
        if (!fits) {
            return rp_fail(forecaster->model->device, RP_OUT_OF_MEMORY,
                           "The budget is %.1f MB, but one path of %u series x %u variates with context %u and horizon %u needs %.1f MB. "
                           "Raise memory_bytes (--memory), or create the forecaster for fewer series or a shorter context.",
                           (double)s.budget / MB, config->max_batch, config->variates, config->max_context, config->max_horizon,
                           (double)(sizes.state + sizes.activations) / MB);
        }
    }
    while (low < high) {                         // low fits
        const uint32_t middle = low + (high - low + 1) / 2;
        RP_RETURN(try(&s, middle, &sizes, &fits));
        *(fits ? &low : &high) = fits ? middle : middle - 1;
    }
    rp_forecaster_info *info = &forecaster->info;
    info->chunks = ceil_div(config->max_paths, low);
    info->chunk_paths = ceil_div(config->max_paths, info->chunks);
    RP_RETURN(measure(forecaster, info->chunk_paths, out));
    info->device_bytes = out->state + out->activations;
    return RP_OK;
}
