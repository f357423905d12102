// The public calls on models and forecasters: handles and arguments are checked here, the family does the rest. Devices are
// in core/device.c, status names in core/status.c.
#include <stdlib.h>

#include "config_struct.h"
#include "family.h"
#include "loan.h"
#include "numbers.h"
#include "platform.h"

uint32_t rp_version(void) { return RP_VERSION_MAJOR << 16 | RP_VERSION_MINOR << 8 | RP_VERSION_PATCH; }

static rp_status bad_struct(rp_device *device, const char *name) { return rp_fail(device, RP_INVALID_ARGUMENT, RP_STRUCT_MESSAGE, name); }

// The folder that holds config.json: `path`, or the folder `model` in it. The caller frees it; NULL when memory ran out.
static char *find_folder(const char *path) {
    char *config = rp_path_join(path, "config.json"), *inner = rp_path_join(path, "model"), *folder = NULL;
    if (config != NULL && inner != NULL) {
        folder = rp_path_join(!rp_path_exists(config) && rp_path_is_folder(inner) ? inner : path, "");
    }
    free(config), free(inner);
    return folder;
}

// Opens config.json and finds the family that reads it.
static rp_status open_config(rp_device *device, const char *folder, rp_config **config, const rp_family **family) {
    rp_error error;
    char *name = rp_path_join(folder, "config.json");
    if (name == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while opening %s.", folder); }
    rp_status status = rp_config_open(name, config, &error);
    free(name);
    if (status != RP_OK) { return rp_fail(device, status, "%s", error.text); }
    *family = rp_family_find(*config);
    if (*family == NULL) {
        return rp_fail(device, RP_UNSUPPORTED,
                       "%sconfig.json is of no model family that this version runs (Toto 1.0, Toto 2.0, Kronos). Of Kronos name the model's "
                       "folder; its tokenizer is found beside it.", folder);
    }
    return RP_OK;
}

rp_status rp_model_load(rp_device *device, const char *path, const rp_model_config *config, rp_model **out) {
    rp_status status = RP_OK;
    rp_model_config own = RP_MODEL_CONFIG_INIT;
    rp_config *file = NULL;
    char *folder = NULL;
    const rp_family *family;
    if (out == NULL) { return RP_INVALID_ARGUMENT; }
    *out = NULL;
    if (device == NULL) { return RP_INVALID_ARGUMENT; }
    RP_HOLD(device);
    if (device->backend == NULL) { return rp_fail(device, RP_UNAVAILABLE, "This device was never opened: its creation failed."); }
    if (path == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "rp_model_load: path is NULL."); }
    if (config != NULL && !rp_struct_in(&own, sizeof own, config)) { return bad_struct(device, "rp_model_config"); }
    if (own.precision > RP_PRECISION_MIXED) { return rp_fail(device, RP_INVALID_ARGUMENT, "rp_model_config.precision is %d.", (int)own.precision); }
    if (!rp_path_is_folder(path)) {
        return rp_fail(device, RP_NOT_FOUND, "%s is not a folder. A model is a folder with config.json and model.safetensors.", path);
    }
    folder = find_folder(path);
    if (folder == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while opening %s.", path); }
    RP_TRY(open_config(device, folder, &file, &family));
    RP_TRY(family->load(device, folder, file, &own, out));
cleanup:
    rp_config_close(file);
    free(folder);
    return status;
}

void rp_model_destroy(rp_model *model) {
    if (model == NULL) { return; }
    RP_HOLD(model->device);
    model->family->model_destroy(model);
}

rp_status rp_model_copy_info(const rp_model *model, rp_model_info *info) {
    if (model == NULL) { return RP_INVALID_ARGUMENT; }
    RP_HOLD(model->device);
    return rp_struct_out(info, &model->info, sizeof *info) ? RP_OK : bad_struct(model->device, "rp_model_info");
}

rp_status rp_model_offload(rp_model *model) {
    if (model == NULL) { return RP_INVALID_ARGUMENT; }
    RP_HOLD(model->device);
    return rp_weights_offload(model);
}

rp_status rp_model_restore(rp_model *model) {
    if (model == NULL) { return RP_INVALID_ARGUMENT; }
    RP_HOLD(model->device);
    return rp_weights_restore(model);
}

// The caller's config with defaults filled in.
static rp_status complete(rp_model *model, const rp_forecaster_config *config, rp_forecaster_config *own) {
    *own = (rp_forecaster_config)RP_FORECASTER_CONFIG_INIT;
    if (config == NULL) { return rp_fail(model->device, RP_INVALID_ARGUMENT, "A forecaster needs a config with max_context and max_horizon."); }
    if (!rp_struct_in(own, sizeof *own, config)) { return bad_struct(model->device, "rp_forecaster_config"); }
    if (own->max_context == 0 || own->max_horizon == 0) {
        return rp_fail(model->device, RP_INVALID_ARGUMENT, "rp_forecaster_config: max_context and max_horizon must be at least 1.");
    }
    if (own->variates == 0) { own->variates = 1; }
    if (own->max_batch == 0) { own->max_batch = 1; }
    if (own->max_paths == 0) { own->max_paths = 1; }
    return RP_OK;
}

rp_status rp_forecaster_query(rp_model *model, const rp_forecaster_config *config, rp_forecaster_info *info) {
    rp_forecaster_config own;
    rp_forecaster_info mine;
    if (model == NULL || info == NULL) { return RP_INVALID_ARGUMENT; }
    RP_HOLD(model->device);
    RP_RETURN(complete(model, config, &own));
    RP_RETURN(model->family->query(model, &own, &mine));
    return rp_struct_out(info, &mine, sizeof mine) ? RP_OK : bad_struct(model->device, "rp_forecaster_info");
}

rp_status rp_forecaster_create(rp_model *model, const rp_forecaster_config *config, rp_forecaster **out) {
    rp_forecaster_config own;
    if (out == NULL) { return RP_INVALID_ARGUMENT; }
    *out = NULL;
    if (model == NULL) { return RP_INVALID_ARGUMENT; }
    RP_HOLD(model->device);
    RP_RETURN(complete(model, config, &own));
    if (model->offloaded != NULL) {
        return rp_fail(model->device, RP_INVALID_ARGUMENT, "The model's weights are offloaded. Call rp_model_restore first.");
    }
    if (own.device_inputs > 1) { return rp_fail(model->device, RP_INVALID_ARGUMENT, "rp_forecaster_config.device_inputs is %u; it is 0 or 1.", own.device_inputs); }
    RP_RETURN(model->family->forecaster_create(model, &own, out));
    (*out)->counted = true;
    model->forecasters++;
    return RP_OK;
}

void rp_forecaster_destroy(rp_forecaster *forecaster) {
    if (forecaster == NULL) { return; }
    RP_HOLD(forecaster->model->device);
    if (forecaster->counted) { forecaster->model->forecasters--; }
    if (forecaster->loan != NULL) {
        rp_result_place place;
        forecaster->model->family->result(forecaster, forecaster->last.paths, &place);
        rp_loan_leave(forecaster->loan, *place.buffer);
        *place.buffer = NULL;
    }
    forecaster->model->family->forecaster_destroy(forecaster);
}

rp_status rp_forecaster_copy_info(const rp_forecaster *forecaster, rp_forecaster_info *info) {
    if (forecaster == NULL) { return RP_INVALID_ARGUMENT; }
    RP_HOLD(forecaster->model->device);
    return rp_struct_out(info, &forecaster->info, sizeof *info) ? RP_OK : bad_struct(forecaster->model->device, "rp_forecaster_info");
}

static rp_status check_config(const rp_model *model, const rp_forecast_config *config, const rp_forecast_result *result) {
    rp_device *device = model->device;
    if (config->n_quantiles > 0 && config->quantile_levels == NULL) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "rp_forecast_config: n_quantiles is %u, but quantile_levels is NULL.", config->n_quantiles);
    }
    for (uint32_t i = 0; i < config->n_quantiles; i++) {
        if (!(config->quantile_levels[i] >= 0 && config->quantile_levels[i] <= 1)) {
            return rp_fail(device, RP_INVALID_ARGUMENT, "Quantile level %u is %g; levels lie between 0 and 1.", i, (double)config->quantile_levels[i]);
        }
    }
    if (model->info.quantiles > 0 && (config->paths > 0 || result->samples != NULL)) {
        return rp_fail(device, RP_INVALID_ARGUMENT,
                       "This model, of family %s, samples no paths: leave paths 0 and samples NULL, and ask for quantiles.", model->info.family);
    }
    if (model->info.quantiles == 0 && config->paths == 0 && (result->samples != NULL || result->quantiles != NULL)) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "Mean mode (paths = 0) has no samples and no quantiles; ask for paths.");
    }
    return RP_OK;
}

// What both calls do first: the caller's structs as ours.
static rp_status take_config(const rp_model *model, const char *call, const rp_forecast_config *config, const rp_forecast_result *result,
                             rp_forecast_config *own, rp_forecast_result *arrays) {
    rp_device *device = model->device;
    if (config == NULL || result == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "%s needs a config and a result.", call); }
    if (!rp_struct_in(own, sizeof *own, config)) { return bad_struct(device, "rp_forecast_config"); }
    if (!rp_struct_in(arrays, sizeof *arrays, result)) { return bad_struct(device, "rp_forecast_result"); }
    return check_config(model, own, arrays);
}

// Before a forecast: nobody holds the result that it writes, and who held it last has read it.
static rp_status begin(rp_forecaster *forecaster) {
    rp_device *device = forecaster->model->device;
    if (forecaster->loan != NULL) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "The samples of this forecaster's last forecast are still lent as a tensor: call its deleter "
                       "first, or create another forecaster.");
    }
    forecaster->last.series = 0;
    if (forecaster->lent && device->backend->after != NULL) { RP_RETURN(device->backend->after(device, RP_STREAM_DEFAULT, false)); }
    forecaster->lent = false;
    return RP_OK;
}

static rp_status end(rp_forecaster *forecaster, rp_status status, uint32_t n_series, const rp_forecast_config *config) {
    if (status == RP_OK) { forecaster->last.series = n_series, forecaster->last.horizon = config->horizon, forecaster->last.paths = config->paths; }
    return status;
}

rp_status rp_forecast_there(rp_forecaster *forecaster, const rp_series *series, const rp_device_series *there, uint32_t n_series,
                            const rp_forecast_config *config, rp_forecast_result *result) {
    rp_device *device = forecaster->model->device;
    RP_HOLD(device);
    const rp_family *family = forecaster->model->family;
    rp_forecast_config own = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result arrays = RP_FORECAST_RESULT_INIT;
    if (family->forecast == NULL) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "This model, of family %s, forecasts bars: call rp_forecast_bars.", forecaster->model->info.family);
    }
    for (uint32_t i = 0; series != NULL && i < n_series; i++) {
        // An array's stride is the library's own size, so here, unlike elsewhere, sizes must agree.
        if (series[i].struct_size != sizeof(rp_series)) { return bad_struct(device, "rp_series"); }
    }
    RP_RETURN(take_config(forecaster->model, "rp_forecast", config, result, &own, &arrays));
    RP_RETURN(begin(forecaster));
    return end(forecaster, there != NULL ? family->forecast_device(forecaster, series, there, n_series, &own, &arrays)
                                         : family->forecast(forecaster, series, n_series, &own, &arrays), n_series, &own);
}

rp_status rp_forecast(rp_forecaster *forecaster, const rp_series *series, uint32_t n_series, const rp_forecast_config *config,
                      rp_forecast_result *result) {
    return forecaster != NULL ? rp_forecast_there(forecaster, series, NULL, n_series, config, result) : RP_INVALID_ARGUMENT;
}

rp_status rp_forecast_bars_there(rp_forecaster *forecaster, const rp_bars *bars, const rp_device_bars *there, uint32_t n_series,
                                 const rp_forecast_config *config, rp_forecast_result *result) {
    rp_device *device = forecaster->model->device;
    RP_HOLD(device);
    const rp_family *family = forecaster->model->family;
    rp_forecast_config own = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result arrays = RP_FORECAST_RESULT_INIT;
    if (family->forecast_bars == NULL) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "This model, of family %s, forecasts series of variates, not bars: call rp_forecast.",
                       forecaster->model->info.family);
    }
    for (uint32_t i = 0; bars != NULL && i < n_series; i++) {
        if (bars[i].struct_size != sizeof(rp_bars)) { return bad_struct(device, "rp_bars"); }
    }
    RP_RETURN(take_config(forecaster->model, "rp_forecast_bars", config, result, &own, &arrays));
    RP_RETURN(begin(forecaster));
    return end(forecaster, there != NULL ? family->forecast_bars_device(forecaster, bars, there, n_series, &own, &arrays)
                                         : family->forecast_bars(forecaster, bars, n_series, &own, &arrays), n_series, &own);
}

rp_status rp_forecast_bars(rp_forecaster *forecaster, const rp_bars *bars, uint32_t n_series, const rp_forecast_config *config,
                           rp_forecast_result *result) {
    return forecaster != NULL ? rp_forecast_bars_there(forecaster, bars, NULL, n_series, config, result) : RP_INVALID_ARGUMENT;
}
