// Toto 2.0's row in the table of families.
#include <stdlib.h>

#include "toto2.h"

static bool recognises(const rp_config *config) {
    return rp_config_has(config, "layer_group_size") && rp_config_has(config, "residual_attn_ratio");
}

static void model_destroy(rp_model *model) {
    toto2_model *m = (toto2_model *)model;
    if (m->base.weights != NULL) { m->base.device->backend->buffer_destroy(m->base.weights); }
    free(m->base.offloaded);
    rp_arena_destroy(&m->arena);
    free(m);
}

static void describe(toto2_model *m, const rp_weights *weights) {
    const toto2_config *c = &m->config;
    rp_model_info *info = &m->base.info;
    const rp_family *family = m->base.family;
    for (size_t i = 0; i < sizeof info->family - 1 && family->name[i]; i++) { info->family[i] = family->name[i]; }
    info->precision = m->mixed ? RP_PRECISION_MIXED : RP_PRECISION_F32;
    info->file_bytes = rp_weights_file_bytes(weights);
    info->patch = c->patch, info->width = c->width, info->layers = c->layers, info->heads = c->heads;
    info->mlp_width = c->mlp, info->quantiles = RP_BLOCK_QUANTILES;
}

static rp_status load_in(rp_device *device, rp_weights *file, const toto2_config *config, bool mixed, rp_model **out) {
    toto2_model *m = calloc(1, sizeof *m);
    if (m == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model."); }
    m->base.device = device;
    m->base.family = &rp_family_toto2;
    m->base.info = (rp_model_info)RP_MODEL_INFO_INIT;
    m->config = *config;
    m->mixed = mixed;
    rp_status status = toto2_weights_load(m, file);
    if (status != RP_OK) {
        model_destroy(&m->base);
        return status;
    }
    describe(m, file);
    *out = &m->base;
    return RP_OK;
}

rp_status toto2_load(rp_device *device, const char *folder, const rp_config *config, rp_precision precision, rp_model **out) {
    rp_error error;
    rp_weights *file = NULL;
    toto2_config own;
    *out = NULL;
    if (precision == RP_PRECISION_MIXED && !device->info.mixed) {
        return rp_fail(device, RP_UNSUPPORTED, "Precision mixed is not available on %s, which has no matrix units that are used; take f32 or auto.", device->info.spec);
    }
    rp_status status = toto2_config_read(config, &own, &error);
    if (status == RP_OK) { status = rp_weights_open(folder, &file, &error); }
    if (status != RP_OK) { return rp_fail(device, status, "%s", error.text); }
    const bool mixed = precision != RP_PRECISION_F32 && device->info.mixed;
    status = load_in(device, file, &own, mixed, out);
    if (status == RP_UNSUPPORTED && mixed && precision == RP_PRECISION_AUTO) { status = load_in(device, file, &own, false, out); }
    rp_weights_close(file);
    return status;
}

static rp_status load(rp_device *device, const char *folder, const rp_config *config, const rp_model_config *options, rp_model **out) {
    return toto2_load(device, folder, config, options->precision, out);
}

static uint32_t plans(const rp_forecaster *forecaster, const rp_plan **out, uint32_t cap) {
    const toto2_forecaster *f = (const toto2_forecaster *)forecaster;
    const rp_plan *const all[] = { f->inputs.plan, f->prompt.plan, f->round.plan, f->last.plan, f->collect.plan };
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] != NULL && n < cap) { out[n++] = all[i]; }   // a single pass has no rounds
    }
    return n;
}

const rp_family rp_family_toto2 = {
    .name = "toto2",
    .recognises = recognises,
    .load = load,
    .model_destroy = model_destroy,
    .query = toto2_query,
    .forecaster_create = toto2_forecaster_create,
    .forecaster_destroy = toto2_forecaster_destroy,
    .forecast = toto2_forecast,
    .forecast_device = toto2_forecast_device,
    .plans = plans,
};
