// What a model family offers to the public calls. Each family is one row in models/family.c; the api layer checks handles and
// calls through this table, and knows no model.
#ifndef RP_FAMILY_H
#define RP_FAMILY_H

#include "backend.h"
#include "config.h"

typedef struct rp_family {
    const char *name;
    // True where this family reads such a config.json.
    bool (*recognises)(const rp_config *config);
    // `folder` is the one that holds `config`; `options` is complete and ours.
    rp_status (*load)(rp_device *device, const char *folder, const rp_config *config, const rp_model_config *options, rp_model **out);
    void (*model_destroy)(rp_model *model);                     // never NULL, may be half built
    // The config has its defaults filled in. Sizes only: no device memory is taken.
    rp_status (*query)(rp_model *model, const rp_forecaster_config *config, rp_forecaster_info *info);
    rp_status (*forecaster_create)(rp_model *model, const rp_forecaster_config *config, rp_forecaster **out);
    void (*forecaster_destroy)(rp_forecaster *forecaster);
    // The config is complete and ours; what it says is not checked yet. A model whose info.quantiles is above 0 samples no paths:
    // config->paths is 0 and there are no samples.
    rp_status (*forecast)(rp_forecaster *forecaster, const rp_series *series, uint32_t n_series,
                          const rp_forecast_config *config, const rp_forecast_result *result);
    // The same for a model of bars. Each family has one of the two, the other is NULL.
    rp_status (*forecast_bars)(rp_forecaster *forecaster, const rp_bars *bars, uint32_t n_series,
                               const rp_forecast_config *config, const rp_forecast_result *result);
    // The plans that a forecast replays, in order of first use; returns how many there are.
    uint32_t (*plans)(const rp_forecaster *forecaster, const rp_plan **out, uint32_t cap);
} rp_family;

// The first member of every family's model and forecaster.
struct rp_model {
    rp_device *device;
    const rp_family *family;
    rp_model_info info;
    rp_buffer *weights;        // all that the model has on the device
    void *offloaded;           // host: what was in it, while it is away; see models/offload.c
    uint32_t forecasters;      // alive
};
struct rp_forecaster {
    rp_model *model;
    rp_forecaster_config config;
    rp_forecaster_info info;
    bool counted;              // among the model's forecasters
};

extern const rp_family rp_family_toto;
extern const rp_family rp_family_toto2;
extern const rp_family rp_family_kronos;

// The family whose config.json this is; NULL: none of ours.
const rp_family *rp_family_find(const rp_config *config);

// models/offload.c: the public calls, for a model whose weights are all F32.
rp_status rp_weights_offload(rp_model *model);
rp_status rp_weights_restore(rp_model *model);

#endif
