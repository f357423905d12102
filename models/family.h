// What a model family offers to the public calls. Each family is one row in models/family.c; the api layer checks handles and
// calls through this table, and knows no model.
#ifndef RP_FAMILY_H
#define RP_FAMILY_H

#include "backend.h"
#include "config.h"

// Rows of numbers in memory of the device that is not the library's: x[start + row * row_stride + i * stride], modulo 2^32.
typedef struct rp_device_rows {
    rp_buffer buffer;              // from the lowest address on, aligned to 4; owns nothing. bytes 0: there are none
    uint32_t start, row_stride, stride;                         // in float32 numbers; of a mask in bytes
} rp_device_rows;

// What of a series is on the device already; the rest stands in its rp_series, whose pointers to these are NULL.
typedef struct rp_device_series {
    rp_device_rows values;         // [V, T]; NaN: missing
    rp_device_rows mask;           // [V, T] bytes, 0: missing; only with values
    rp_device_rows future;         // [exogenous, H]
} rp_device_series;

// The same of a series of bars; its columns in rp_bars are NULL then.
typedef struct rp_device_bars {
    rp_device_rows rows;           // [T, columns]; bytes 0: they are on the host
    uint32_t columns;              // open, high, low, close; 5: and volume, 6: and amount
} rp_device_bars;

// Where the last forecast's samples stand: [max_batch, variates, horizon_cap, paths_cap] float32.
typedef struct rp_result_place {
    rp_buffer **buffer;            // the forecaster's pointer to it; what is taken away, and set NULL, is not destroyed with it
    uint64_t offset;
    uint32_t variates, horizon_cap, paths_cap;
} rp_result_place;

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
    // The one that it has, for a forecaster with config.device_inputs; device [n_series].
    rp_status (*forecast_device)(rp_forecaster *forecaster, const rp_series *series, const rp_device_series *device, uint32_t n_series,
                                 const rp_forecast_config *config, const rp_forecast_result *result);
    rp_status (*forecast_bars_device)(rp_forecaster *forecaster, const rp_bars *bars, const rp_device_bars *device, uint32_t n_series,
                                      const rp_forecast_config *config, const rp_forecast_result *result);
    // Where the samples of a forecast of so many paths (0: mean mode) stand until the next one.
    void (*result)(rp_forecaster *forecaster, uint32_t paths, rp_result_place *out);
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
    struct { uint32_t series, horizon, paths; } last;   // forecast that ended well; series 0: none
    struct rp_loan *loan;      // of its result; NULL: nobody holds it
    bool lent;                 // somebody held it since the last forecast
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
