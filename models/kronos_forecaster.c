// Sizing, allocating and recording a Kronos forecaster; nothing here runs during a forecast.
#include <math.h>
#include <stdlib.h>

#include "kronos.h"

static double larger(double a, double b) { return a > b ? a : b; }

// Kernels count elements in 32 bits; false where one tensor would have more than 2^31.
static bool countable(const rp_forecaster *forecaster, uint32_t chunk_paths) {
    const kronos_forecaster *f = (const kronos_forecaster *)forecaster;
    const kronos_config *c = &((const kronos_model *)f->base.model)->config;
    const rp_forecaster_config *sizes = &f->base.config;
    const double B = sizes->max_batch, H = sizes->max_horizon, shared = B * f->tokens;
    const double rows = f->slides ? shared + B * chunk_paths * f->rounds : larger(shared, B * chunk_paths);   // a window that slides is one pass
    const double model = larger(3.0 * c->model.width, 2.0 * c->model.mlp);
    const double tokenizer = larger(3.0 * c->tokenizer.width, 2.0 * c->tokenizer.mlp);
    double most = larger(rows * model, larger(B * f->bars * tokenizer, B * chunk_paths * H * tokenizer));
    most = larger(most, B * chunk_paths * f->rounds * c->model.width);
    most = larger(most, B * chunk_paths * larger(1u << c->s1_bits, 1u << c->s2_bits));
    most = larger(most, B * RP_BAR_COLUMNS * H * sizes->max_paths);
    most = larger(most, B * (11.0 * f->bars + 5.0 * H + 64) + 4096);   // the inputs, packed
    return most < 2147483647.0;
}

// Fills what follows from the config alone.
static rp_status size(kronos_forecaster *f, rp_model *model, const rp_forecaster_config *config) {
    rp_device *device = model->device;
    f->base.model = model;
    f->base.config = *config;
    f->window = config->window ? config->window : ((const kronos_model *)model)->config.window;
    f->bars = config->max_context;
    f->tokens = f->bars < f->window ? f->bars : f->window;
    f->rounds = config->max_horizon > 1 ? config->max_horizon - 1 : 1;
    if (config->max_context > (1u << 24) || config->max_horizon > (1u << 24) || config->max_paths > (1u << 24) ||
        f->window > (1u << 24) || config->max_batch > (1u << 16)) {
        return rp_fail(device, RP_INVALID_ARGUMENT,
                       "A forecaster takes at most 16777216 bars of context, of horizon, of window and paths, and 65536 series.");
    }
    if (config->variates != 1 && config->variates != RP_BAR_COLUMNS) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "A bar has 6 variates, not %u: leave rp_forecaster_config.variates 0.", config->variates);
    }
    if (config->max_horizon > f->window) {
        return rp_fail(device, RP_INVALID_ARGUMENT,
                       "The horizon of %u bars is longer than the window of %u that this model sees at once. Forecast at most so many.",
                       config->max_horizon, f->window);
    }
    f->slides = f->bars + config->max_horizon - 1 > f->window;
    if (!countable(&f->base, 1)) {
        return rp_fail(device, RP_OUT_OF_MEMORY,
                       "A forecaster of %u series with context %u and horizon %u needs tensors of more than 2^31 elements. Create it "
                       "for fewer series (max_batch) or a shorter context.", config->max_batch, config->max_context, config->max_horizon);
    }
    return RP_OK;
}

// Sizes with so many paths side by side, over stand-in buffers; the arena is emptied again.
static rp_status measure(rp_forecaster *forecaster, uint32_t chunk_paths, rp_sizes *out) {
    kronos_forecaster *f = (kronos_forecaster *)forecaster;
    rp_stand_ins stand_ins;
    rp_storage_stand_in(&f->storage, &stand_ins);
    f->chunk_paths = chunk_paths;
    rp_status status = kronos_build(f, out);
    rp_storage_stand_down(&f->storage);
    rp_arena_destroy(&f->arena);
    return status;
}

rp_status kronos_query(rp_model *model, const rp_forecaster_config *config, rp_forecaster_info *info) {
    kronos_forecaster f = { .base.info = RP_FORECASTER_INFO_INIT };
    rp_sizes sizes;
    rp_status status = size(&f, model, config);
    if (status == RP_OK) { status = rp_chunks_choose(&f.base, measure, countable, &sizes); }
    rp_arena_destroy(&f.arena);
    *info = f.base.info;
    return status;
}

static rp_status allocate(kronos_forecaster *f, const rp_sizes *sizes) {
    const uint64_t replays = 3 + f->base.info.chunks * (2 + 2 * (uint64_t)f->rounds);   // a bar takes two at most
    return rp_storage_create(&f->storage, &f->base, sizes, replays, f->base.config.max_batch);
}

static rp_status record_decode(rp_device *device, kronos_decode *d) {
    RP_RETURN(rp_run_record(device, &d->start));
    RP_RETURN(rp_run_record(device, &d->step));
    RP_RETURN(rp_run_record(device, &d->slide));
    RP_RETURN(rp_run_record(device, &d->next));
    return rp_run_record(device, &d->finish);
}

static rp_status record(kronos_forecaster *f) {
    rp_device *device = f->base.model->device;
    RP_RETURN(rp_run_record(device, &f->inputs));
    RP_RETURN(rp_run_record(device, &f->prompt));
    RP_RETURN(rp_run_record(device, &f->collect));
    RP_RETURN(record_decode(device, &f->sample));
    return record_decode(device, &f->single);
}

static rp_status write_ropes(kronos_forecaster *f, rp_tensor *const *ropes, const kronos_layer *layers, uint32_t n) {
    rp_device *device = f->base.model->device;
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && ropes[i] == ropes[i - 1]) { continue; }
        const uint32_t positions = ropes[i]->shape[0], half = ropes[i]->shape[1];
        double *table = malloc((size_t)positions * half * 2 * sizeof *table);
        if (table == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while making the rotary tables."); }
        for (uint32_t t = 0; t < positions; t++) {
            for (uint32_t j = 0; j < half; j++) {
                table[((size_t)t * half + j) * 2] = cos(t * layers[i].inv_freq[j]);
                table[((size_t)t * half + j) * 2 + 1] = sin(t * layers[i].inv_freq[j]);
            }
        }
        rp_status status = device->backend->write(f->storage.state, ropes[i]->offset, RP_F32, table, RP_F64, (uint64_t)positions * half * 2);
        free(table);
        RP_RETURN(status);
    }
    return RP_OK;
}

rp_status kronos_write_tables(kronos_forecaster *f) {
    const kronos_model *m = (const kronos_model *)f->base.model;
    RP_RETURN(write_ropes(f, f->encoder_rope, m->encoder, m->config.tokenizer.layers));
    RP_RETURN(write_ropes(f, f->decoder_rope, m->decoder, m->config.tokenizer.decoder_layers));
    return write_ropes(f, f->model_rope, m->layers, m->config.model.layers);
}

rp_status kronos_forecaster_create_with(rp_model *model, const rp_forecaster_config *config, bool taps, rp_forecaster **out) {
    rp_status status = RP_OK;
    rp_sizes sizes;
    *out = NULL;
    kronos_forecaster *f = calloc(1, sizeof *f);
    if (f == NULL) { return rp_fail(model->device, RP_OUT_OF_MEMORY, "Host memory ran out while creating a forecaster."); }
    f->base.info = (rp_forecaster_info)RP_FORECASTER_INFO_INIT;
    f->taps_wanted = taps;
    RP_TRY(size(f, model, config));
    RP_TRY(rp_chunks_choose(&f->base, measure, countable, &sizes));
    RP_TRY(allocate(f, &sizes));
    RP_TRY(kronos_build(f, &sizes));
    RP_TRY(kronos_write_tables(f));
    RP_TRY(rp_storage_clear(&f->storage, model->device, f->result));
    RP_TRY(record(f));
    *out = &f->base;
    f = NULL;
cleanup:
    if (f != NULL) { kronos_forecaster_destroy(&f->base); }
    return status;
}

rp_status kronos_forecaster_create(rp_model *model, const rp_forecaster_config *config, rp_forecaster **out) {
    return kronos_forecaster_create_with(model, config, false, out);
}

static void forget_decode(rp_device *device, kronos_decode *d) {
    rp_run *const all[] = { &d->start, &d->step, &d->slide, &d->next, &d->finish };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) { rp_run_destroy(device, all[i]); }
}

void kronos_forecaster_destroy(rp_forecaster *forecaster) {
    kronos_forecaster *f = (kronos_forecaster *)forecaster;
    rp_device *device = f->base.model->device;
    rp_run_destroy(device, &f->inputs);
    rp_run_destroy(device, &f->prompt);
    rp_run_destroy(device, &f->collect);
    forget_decode(device, &f->sample);
    forget_decode(device, &f->single);
    rp_storage_destroy(&f->storage, device);
    rp_arena_destroy(&f->arena);
    free(f);
}
