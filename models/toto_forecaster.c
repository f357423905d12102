// Sizing, allocating and recording a Toto forecaster; nothing here runs during a forecast.
#include <stdlib.h>

#include "toto.h"

static uint32_t ceil_div(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

// Kernels count elements in 32 bits; false where one tensor would have more than 2^31.
static bool countable(const rp_forecaster *forecaster, uint32_t chunk_paths) {
    const toto_forecaster *f = (const toto_forecaster *)forecaster;
    const toto_config *c = &((toto_model *)f->base.model)->config;
    const rp_forecaster_config *sizes = &f->base.config;
    const double V = sizes->variates, series = sizes->max_batch * V, H = (double)f->rounds * c->patch;
    double width = 3.0 * c->width;
    if (width < 2.0 * c->mlp) { width = 2.0 * c->mlp; }
    if (width < 4.0 * c->patch * c->components) { width = 4.0 * c->patch * c->components; }
    double most = series * f->tokens * width, other = series * chunk_paths * width;
    if (most < other) { most = other; }
    other = series * chunk_paths * f->rounds * c->width;
    if (most < other) { most = other; }
    other = series * H * sizes->max_paths;
    if (most < other) { most = other; }
    other = series * (2.0 * f->patches * c->patch + H) + sizes->max_batch + 4096.0;
    return (most < other ? other : most) < 2147483647.0;
}

// Fills what follows from the config alone.
static rp_status size(toto_forecaster *f, rp_model *model, const rp_forecaster_config *config) {
    const toto_config *c = &((toto_model *)model)->config;
    f->base.model = model;
    f->base.config = *config;
    f->patches = ceil_div(config->max_context, c->patch);
    f->tokens = f->patches + (((toto_model *)model)->labels != NULL);
    f->rounds = ceil_div(config->max_horizon, c->patch);
    if (config->max_context > (1u << 24) || config->max_horizon > (1u << 24) || config->max_paths > (1u << 24) ||
        config->variates > (1u << 16) || config->max_batch > (1u << 16)) {
        return rp_fail(model->device, RP_INVALID_ARGUMENT,
                       "A forecaster takes at most 16777216 steps of context, of horizon and paths, 65536 variates and 65536 series.");
    }
    if (!countable(&f->base, 1)) {
        return rp_fail(model->device, RP_OUT_OF_MEMORY,
                       "A forecaster of %u series x %u variates with context %u and horizon %u needs tensors of more than 2^31 "
                       "elements. Create it for fewer series (max_batch) or a shorter context.",
                       config->max_batch, config->variates, config->max_context, config->max_horizon);
    }
    return RP_OK;
}

// Sizes with so many paths side by side, over stand-in buffers; the arena is emptied again.
static rp_status measure(rp_forecaster *forecaster, uint32_t chunk_paths, rp_sizes *out) {
    toto_forecaster *f = (toto_forecaster *)forecaster;
    rp_stand_ins stand_ins;
    rp_storage_stand_in(&f->storage, &stand_ins);
    f->chunk_paths = chunk_paths;
    rp_status status = toto_build(f, out);
    rp_storage_stand_down(&f->storage);
    rp_arena_destroy(&f->arena);
    return status;
}

rp_status toto_query(rp_model *model, const rp_forecaster_config *config, rp_forecaster_info *info) {
    toto_forecaster f = { .base.info = RP_FORECASTER_INFO_INIT };
    rp_sizes sizes;
    rp_status status = size(&f, model, config);
    if (status == RP_OK) { status = rp_chunks_choose(&f.base, measure, countable, &sizes); }
    rp_arena_destroy(&f.arena);
    *info = f.base.info;
    return status;
}

static rp_status allocate(toto_forecaster *f, const rp_sizes *sizes) {
    return rp_storage_create(&f->storage, &f->base, sizes, 3 + (uint64_t)f->base.info.chunks * f->rounds, 2 * f->base.config.max_batch);
}

static rp_status record(toto_forecaster *f) {
    rp_run *const runs[] = { &f->inputs, &f->prompt, &f->collect, &f->sample.start, &f->sample.step, &f->mean.start, &f->mean.step };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) { RP_RETURN(rp_run_record(f->base.model->device, runs[i])); }
    return RP_OK;
}

rp_status toto_forecaster_create_with(rp_model *model, const rp_forecaster_config *config, bool taps, bool forced,
                                      rp_forecaster **out) {
    rp_status status = RP_OK;
    rp_sizes sizes;
    *out = NULL;
    toto_forecaster *f = calloc(1, sizeof *f);
    if (f == NULL) { return rp_fail(model->device, RP_OUT_OF_MEMORY, "Host memory ran out while creating a forecaster."); }
    f->base.info = (rp_forecaster_info)RP_FORECASTER_INFO_INIT;
    f->taps_wanted = taps;
    f->forced_wanted = forced;
    RP_TRY(size(f, model, config));
    RP_TRY(rp_chunks_choose(&f->base, measure, countable, &sizes));
    RP_TRY(allocate(f, &sizes));
    RP_TRY(toto_build(f, &sizes));
    RP_TRY(toto_write_tables(f));
    RP_TRY(rp_storage_clear(&f->storage, model->device, f->result));
    RP_TRY(record(f));
    *out = &f->base;
    f = NULL;
cleanup:
    if (f != NULL) { toto_forecaster_destroy(&f->base); }
    return status;
}

rp_status toto_forecaster_create(rp_model *model, const rp_forecaster_config *config, rp_forecaster **out) {
    return toto_forecaster_create_with(model, config, false, false, out);
}

void toto_forecaster_destroy(rp_forecaster *forecaster) {
    toto_forecaster *f = (toto_forecaster *)forecaster;
    rp_run *const runs[] = { &f->inputs, &f->prompt, &f->collect, &f->sample.start, &f->sample.step, &f->mean.start, &f->mean.step };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) { rp_run_destroy(f->base.model->device, runs[i]); }
    rp_storage_destroy(&f->storage, f->base.model->device);
    rp_arena_destroy(&f->arena);
    free(f);
}
