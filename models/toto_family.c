// Toto 1.0's row in the table of families.
#include <stdlib.h>

#include "toto.h"

static bool recognises(const rp_config *config) {
    return rp_config_has(config, "spacewise_every_n_layers") && rp_config_has(config, "scaler_cls");
}

static void model_destroy(rp_model *model) {
    toto_model *m = (toto_model *)model;
    if (m->base.weights != NULL) { m->base.device->backend->buffer_destroy(m->base.weights); }
    free(m->base.offloaded);
    rp_arena_destroy(&m->arena);
    free(m);
}

static void describe(toto_model *m, const rp_weights *weights) {
    const toto_config *c = &m->config;
    rp_model_info *info = &m->base.info;
    const rp_family *family = m->base.family;
    for (size_t i = 0; i < sizeof info->family - 1 && family->name[i]; i++) { info->family[i] = family->name[i]; }
    info->precision = m->mixed ? RP_PRECISION_MIXED : RP_PRECISION_F32;
    info->file_bytes = rp_weights_file_bytes(weights);
    info->patch = c->patch, info->width = c->width, info->layers = c->layers, info->heads = c->heads;
    info->mlp_width = c->mlp, info->components = c->components;
    info->has_labels = m->labels != NULL;
}

rp_status toto_load(rp_device *device, const char *folder, const rp_config *config, rp_precision precision, rp_weights *extra,
                    rp_model **out) {
    rp_status status = RP_OK;
    rp_error error;
    bool again_in_f32 = false;
    rp_weights *files[2] = { NULL, extra };
    *out = NULL;
    toto_model *m = calloc(1, sizeof *m);
    if (m == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model."); }
    m->base.device = device;
    m->base.family = &rp_family_toto;
    m->base.info = (rp_model_info)RP_MODEL_INFO_INIT;
    if (precision == RP_PRECISION_MIXED && !device->info.mixed) {
        status = rp_fail(device, RP_UNSUPPORTED, "Precision mixed is not available on %s, which has no matrix units that are used; take f32 or auto.", device->info.spec);
        goto cleanup;
    }
    status = toto_config_read(config, &m->config, &error);
    if (status == RP_OK) { status = rp_weights_open(folder, &files[0], &error); }
    if (status != RP_OK) {
        status = rp_fail(device, status, "%s", error.text);
        goto cleanup;
    }
    // Auto is mixed where device and model allow it.
    if (precision != RP_PRECISION_F32 && device->info.mixed) {
        status = toto_weights_fit_f16(device, &m->config, files, extra ? 2 : 1);
        if (status != RP_OK && precision == RP_PRECISION_MIXED) { goto cleanup; }
        m->mixed = status == RP_OK;
    }
    status = toto_weights_load(m, files, extra ? 2 : 1);
    again_in_f32 = status == RP_UNSUPPORTED && m->mixed && precision == RP_PRECISION_AUTO;
    if (status != RP_OK) { goto cleanup; }
    describe(m, files[0]);
    *out = &m->base;
    m = NULL;
cleanup:
    rp_weights_close(files[0]);
    if (m != NULL) { model_destroy(&m->base); }
    return again_in_f32 ? toto_load(device, folder, config, RP_PRECISION_F32, extra, out) : status;
}

static rp_status load(rp_device *device, const char *folder, const rp_config *config, const rp_model_config *options, rp_model **out) {
    return toto_load(device, folder, config, options->precision, NULL, out);
}

static uint32_t plans(const rp_forecaster *forecaster, const rp_plan **out, uint32_t cap) {
    const toto_forecaster *f = (const toto_forecaster *)forecaster;
    const rp_plan *const all[] = { f->inputs.plan, f->prompt.plan, f->sample.start.plan, f->sample.step.plan, f->mean.start.plan,
                                   f->mean.step.plan, f->collect.plan };
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] != NULL && n < cap) { out[n++] = all[i]; }   // the prompt may copy the inputs; a horizon of one patch has no steps
    }
    return n;
}

static void result(rp_forecaster *forecaster, uint32_t paths, rp_result_place *out) {
    toto_forecaster *f = (toto_forecaster *)forecaster;
    *out = (rp_result_place){ .buffer = &f->storage.state, .offset = f->result->offset, .variates = f->base.config.variates,
                              .horizon_cap = f->rounds * ((const toto_model *)f->base.model)->config.patch,
                              .paths_cap = paths ? f->sample.paths_cap : f->mean.paths_cap };
}

const rp_family rp_family_toto = {
    .name = "toto",
    .recognises = recognises,
    .load = load,
    .model_destroy = model_destroy,
    .query = toto_query,
    .forecaster_create = toto_forecaster_create,
    .forecaster_destroy = toto_forecaster_destroy,
    .forecast = toto_forecast,
    .forecast_device = toto_forecast_device,
    .result = result,
    .plans = plans,
};
