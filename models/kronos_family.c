// Kronos' row in the table of families.
#include <stdlib.h>

#include "kronos.h"
#include "platform.h"

static bool recognises(const rp_config *config) {
    return rp_config_has(config, "s1_bits") && rp_config_has(config, "n_layers") && rp_config_has(config, "ff_dim");
}

static void model_destroy(rp_model *model) {
    kronos_model *m = (kronos_model *)model;
    if (m->base.weights != NULL) { m->base.device->backend->buffer_destroy(m->base.weights); }
    free(m->base.offloaded);
    rp_arena_destroy(&m->arena);
    free(m);
}

static void describe(kronos_model *m, const rp_weights *model, const rp_weights *tokenizer) {
    const kronos_part *c = &m->config.model;
    rp_model_info *info = &m->base.info;
    const rp_family *family = m->base.family;
    for (size_t i = 0; i < sizeof info->family - 1 && family->name[i]; i++) { info->family[i] = family->name[i]; }
    info->precision = m->mixed ? RP_PRECISION_MIXED : RP_PRECISION_F32;
    info->file_bytes = rp_weights_file_bytes(model) + rp_weights_file_bytes(tokenizer);
    info->patch = 1, info->width = c->width, info->layers = c->layers, info->heads = c->heads, info->mlp_width = c->mlp;
    info->window = m->config.window;
}

// The tokenizer's folder: as named, or `tokenizer` inside the model's, or beside it. To be freed; NULL: memory ran out.
static char *tokenizer_folder(const char *folder, const char *named) {
    if (named != NULL) { return rp_path_join(named, ""); }
    char *inside = rp_path_join(folder, "tokenizer");
    if (inside == NULL || rp_path_is_folder(inside)) { return inside; }
    free(inside);
    return rp_path_join(folder, "../tokenizer");
}

static rp_status read_files(kronos_model *m, const char *folder, const rp_config *config, const char *named) {
    rp_status status = RP_OK;
    rp_device *device = m->base.device;
    rp_error error = { "" };
    rp_config *tokenizer_config = NULL;
    rp_weights *model = NULL, *tokenizer = NULL;
    char *other = tokenizer_folder(folder, named), *path = other ? rp_path_join(other, "config.json") : NULL;
    if (path == NULL) {
        status = rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model.");
        goto cleanup;
    }
    if (!rp_path_is_folder(other)) {
        status = rp_fail(device, RP_NOT_FOUND, "Kronos needs its tokenizer, and %s is not a folder. Name it: rp_model_config.tokenizer "
                         "(--tokenizer DIR).", other);
        goto cleanup;
    }
    status = rp_config_open(path, &tokenizer_config, &error);
    if (status == RP_OK) { status = kronos_config_read(config, tokenizer_config, &m->config, &error); }
    if (status == RP_OK) { status = rp_weights_open(folder, &model, &error); }
    if (status == RP_OK) { status = rp_weights_open(other, &tokenizer, &error); }
    if (status != RP_OK) {
        status = rp_fail(device, status, "%s", error.text);
        goto cleanup;
    }
    RP_TRY(kronos_weights_load(m, model, tokenizer));
    describe(m, model, tokenizer);
cleanup:
    rp_config_close(tokenizer_config);
    rp_weights_close(model);
    rp_weights_close(tokenizer);
    free(other), free(path);
    return status;
}

static rp_status load_as(rp_device *device, const char *folder, const rp_config *config, const char *tokenizer, bool mixed, rp_model **out) {
    *out = NULL;
    kronos_model *m = calloc(1, sizeof *m);
    if (m == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model."); }
    m->base.device = device;
    m->base.family = &rp_family_kronos;
    m->base.info = (rp_model_info)RP_MODEL_INFO_INIT;
    m->mixed = mixed;
    rp_status status = read_files(m, folder, config, tokenizer);
    if (status != RP_OK) {
        model_destroy(&m->base);
        return status;
    }
    *out = &m->base;
    return RP_OK;
}

// Auto is mixed where device and model allow it.
static rp_status load(rp_device *device, const char *folder, const rp_config *config, const rp_model_config *options, rp_model **out) {
    *out = NULL;
    if (options->precision == RP_PRECISION_MIXED && !device->info.mixed) {
        return rp_fail(device, RP_UNSUPPORTED, "Precision mixed is not available on %s, which has no matrix units that are used; take f32 or auto.", device->info.spec);
    }
    const bool mixed = options->precision != RP_PRECISION_F32 && device->info.mixed;
    rp_status status = load_as(device, folder, config, options->tokenizer, mixed, out);
    if (status == RP_UNSUPPORTED && mixed && options->precision == RP_PRECISION_AUTO) {
        status = load_as(device, folder, config, options->tokenizer, false, out);
    }
    return status;
}

static uint32_t plans(const rp_forecaster *forecaster, const rp_plan **out, uint32_t cap) {
    const kronos_forecaster *f = (const kronos_forecaster *)forecaster;
    const kronos_decode *const ways[] = { &f->sample, &f->single };
    uint32_t n = 0;
    if (f->inputs.plan != NULL && n < cap) { out[n++] = f->inputs.plan; }
    if (n < cap) { out[n++] = f->prompt.plan; }
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const kronos_decode *d = ways[i];
        const rp_plan *const all[] = { d->start.plan, d->step.plan, d->slide.plan, d->next.plan, d->finish.plan };
        for (size_t j = 0; j < sizeof all / sizeof *all; j++) {
            if (all[j] != NULL && n < cap) { out[n++] = all[j]; }
        }
    }
    if (n < cap) { out[n++] = f->collect.plan; }
    return n;
}

static void result(rp_forecaster *forecaster, uint32_t paths, rp_result_place *out) {
    kronos_forecaster *f = (kronos_forecaster *)forecaster;
    *out = (rp_result_place){ .buffer = &f->storage.state, .offset = f->result->offset, .variates = RP_BAR_COLUMNS,
                              .horizon_cap = f->base.config.max_horizon, .paths_cap = kronos_decode_of(f, paths)->paths_cap };
}

const rp_family rp_family_kronos = {
    .name = "kronos",
    .recognises = recognises,
    .load = load,
    .model_destroy = model_destroy,
    .query = kronos_query,
    .forecaster_create = kronos_forecaster_create,
    .forecaster_destroy = kronos_forecaster_destroy,
    .forecast_bars = kronos_forecast,
    .forecast_bars_device = kronos_forecast_device,
    .result = result,
    .plans = plans,
};
