// Sizing, allocating and recording a Toto 2.0 forecaster; nothing here runs during a forecast.
#include <stdlib.h>

#include "toto2.h"

static uint32_t ceil_div(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

// Kernels count elements in 32 bits; false where one tensor would have more than 2^31.
static bool countable(const rp_forecaster *forecaster, uint32_t paths) {
    (void)paths;
    const toto2_forecaster *f = (const toto2_forecaster *)forecaster;
    const toto2_config *c = &((toto2_model *)f->base.model)->config;
    const double rows = (double)f->base.config.max_batch * f->base.config.variates, all = (double)f->patches + f->future;
    double width = (1 + 2.0 * c->kv_heads / c->heads) * c->width;
    if (width < 2.0 * toto2_mlp_width(c)) { width = 2.0 * toto2_mlp_width(c); }
    if (width < c->embed_hidden) { width = c->embed_hidden; }
    if (width < c->head_hidden) { width = c->head_hidden; }
    if (width < (double)RP_BLOCK_QUANTILES * c->patch) { width = (double)RP_BLOCK_QUANTILES * c->patch; }
    return rows * all * width < 2147483647.0 && 2 * rows * all * c->patch + 4096 < 2147483647.0;
}

// Fills what follows from the config alone.
static rp_status size(toto2_forecaster *f, rp_model *model, const rp_forecaster_config *config) {
    const toto2_config *c = &((toto2_model *)model)->config;
    f->base.model = model;
    f->base.config = *config;
    f->base.config.max_paths = 1;      // none are sampled
    if (config->block % c->patch != 0) {
        return rp_fail(model->device, RP_INVALID_ARGUMENT,
                       "The decode block is %u time steps, which are no whole patches of %u. Take a multiple of %u, or 0 for a single pass.",
                       config->block, c->patch, c->patch);
    }
    if (config->max_context > (1u << 24) || config->max_horizon > (1u << 24) || config->variates > (1u << 16) || config->max_batch > (1u << 16)) {
        return rp_fail(model->device, RP_INVALID_ARGUMENT,
                       "A forecaster takes at most 16777216 steps of context and of horizon, 65536 variates and 65536 series.");
    }
    f->patches = ceil_div(config->max_context, c->patch);
    f->future = ceil_div(config->max_horizon, c->patch);
    f->block = config->block / c->patch;
    if (f->block == 0 || f->block > f->future) { f->block = f->future; }
    if (!countable(&f->base, 1)) {
        return rp_fail(model->device, RP_OUT_OF_MEMORY,
                       "A forecaster of %u series x %u variates with context %u and horizon %u needs tensors of more than 2^31 "
                       "elements. Create it for fewer series (max_batch) or a shorter context.",
                       config->max_batch, config->variates, config->max_context, config->max_horizon);
    }
    return RP_OK;
}

// Sizes over stand-in buffers; the arena is emptied again.
static rp_status measure_side(toto2_forecaster *f, uint32_t side, rp_sizes *out) {
    rp_stand_ins stand_ins;
    f->side = side;
    rp_storage_stand_in(&f->storage, &stand_ins);
    rp_status status = toto2_build(f, out);
    rp_storage_stand_down(&f->storage);
    rp_arena_destroy(&f->arena);
    return status;
}

// What a forecaster may take: a fifth of the weights, and the keys and values of all layers, of which a single pass keeps one's.
static uint64_t fair_bytes(const toto2_forecaster *f) {
    const toto2_config *c = &((toto2_model *)f->base.model)->config;
    const uint64_t tokens = (uint64_t)f->base.config.max_batch * f->base.config.variates * (f->patches + f->future);
    const uint64_t number = rp_dtype_size(toto2_keys_dtype((toto2_model *)f->base.model));
    uint64_t bytes = f->base.model->info.device_bytes / 5;
    for (uint32_t i = 0; i < c->layers; i++) {
        if (!toto2_layer_is_variate(c, i)) { bytes += 2 * tokens * c->kv_heads * toto2_head_width(c) * number; }
    }
    return bytes;
}

#define MOST_PARTS 16      // each costs its launches
#define QUICK_TOKENS 8192  // side by side they keep a GPU busy

// All variates side by side, or, where that takes more than is fair, or than the caller allows, as many as do not. What no parts make
// fair, as series and results alone may be more, stays in parts so long that they cost little time, if the caller allows that.
static rp_status measure(rp_forecaster *forecaster, uint32_t paths, rp_sizes *out) {
    (void)paths;
    toto2_forecaster *f = (toto2_forecaster *)forecaster;
    const uint32_t all = f->base.config.max_batch * f->base.config.variates, least = toto2_can_part(f) ? ceil_div(all, MOST_PARTS) : all;
    const uint32_t quick = ceil_div(QUICK_TOKENS, toto2_most_tokens(f));
    const uint64_t allowed = f->base.config.memory_bytes ? f->base.config.memory_bytes : UINT64_MAX, own = fair_bytes(f);
    const uint64_t fair = own < allowed ? own : allowed;
    RP_RETURN(measure_side(f, all, out));
    while (out->state + out->activations > fair && f->side > least) {
        const uint64_t room = fair > out->state ? fair - out->state : 0;      // activations grow with what goes side by side
        const uint64_t guess = f->side * room / out->activations, fewer = guess < f->side ? guess : f->side - 1;
        const uint32_t parts = ceil_div(all, fewer > least ? (uint32_t)fewer : least);
        RP_RETURN(measure_side(f, ceil_div(all, parts), out));               // parts about as long as each other
    }
    if (out->state + out->activations <= fair || f->side >= quick) { return RP_OK; }
    const uint32_t fewest = f->side;
    RP_RETURN(measure_side(f, quick < all ? quick : all, out));
    return out->state + out->activations <= allowed ? RP_OK : measure_side(f, fewest, out);
}

rp_status toto2_query(rp_model *model, const rp_forecaster_config *config, rp_forecaster_info *info) {
    toto2_forecaster f = { .base.info = RP_FORECASTER_INFO_INIT };
    rp_sizes sizes;
    rp_status status = size(&f, model, config);
    if (status == RP_OK) { status = rp_chunks_choose(&f.base, measure, countable, &sizes); }
    rp_arena_destroy(&f.arena);
    *info = f.base.info;
    return status;
}

static rp_status allocate(toto2_forecaster *f, const rp_sizes *sizes) {
    return rp_storage_create(&f->storage, &f->base, sizes, 2 + (uint64_t)ceil_div(f->future, f->block), 2 * f->base.config.max_batch);
}

static rp_status record(toto2_forecaster *f) {
    rp_run *const runs[] = { &f->inputs, &f->prompt, &f->round, &f->last, &f->collect };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) { RP_RETURN(rp_run_record(f->base.model->device, runs[i])); }
    return RP_OK;
}

rp_status toto2_forecaster_create_with(rp_model *model, const rp_forecaster_config *config, bool taps, rp_forecaster **out) {
    rp_status status = RP_OK;
    rp_sizes sizes;
    *out = NULL;
    toto2_forecaster *f = calloc(1, sizeof *f);
    if (f == NULL) { return rp_fail(model->device, RP_OUT_OF_MEMORY, "Host memory ran out while creating a forecaster."); }
    f->base.info = (rp_forecaster_info)RP_FORECASTER_INFO_INIT;
    f->base.model = model;
    f->taps_wanted = taps;
    RP_TRY(size(f, model, config));
    RP_TRY(rp_chunks_choose(&f->base, measure, countable, &sizes));
    RP_TRY(allocate(f, &sizes));
    RP_TRY(toto2_build(f, &sizes));
    RP_TRY(toto2_write_tables(f));
    RP_TRY(rp_storage_clear(&f->storage, model->device, f->result));
    RP_TRY(record(f));
    *out = &f->base;
    f = NULL;
cleanup:
    if (f != NULL) { toto2_forecaster_destroy(&f->base); }
    return status;
}

rp_status toto2_forecaster_create(rp_model *model, const rp_forecaster_config *config, rp_forecaster **out) {
    return toto2_forecaster_create_with(model, config, false, out);
}

void toto2_forecaster_destroy(rp_forecaster *forecaster) {
    toto2_forecaster *f = (toto2_forecaster *)forecaster;
    rp_run *const runs[] = { &f->inputs, &f->prompt, &f->round, &f->last, &f->collect };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) { rp_run_destroy(f->base.model->device, runs[i]); }
    rp_storage_destroy(&f->storage, f->base.model->device);
    rp_arena_destroy(&f->arena);
    free(f);
}
