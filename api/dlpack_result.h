// Results as tensors: on the host while a forecast writes them, and samples lent on the device.
#ifndef RP_DLPACK_RESULT_H
#define RP_DLPACK_RESULT_H

#include "family.h"
#include "reprise_dlpack.h"

typedef struct dlpack_results {
    uint32_t wanted;
    rp_dl_managed_tensor *samples, *mean, *quantiles;
    rp_forecast_result arrays;     // their memory
} dlpack_results;

// Reads what the caller wants and empties his pointers.
rp_status dlpack_results_begin(rp_device *device, rp_dl_result *theirs, dlpack_results *own);
// Makes the tensors. Sizes beyond the forecaster's make none: the forecast then says so.
rp_status dlpack_results_make(rp_forecaster *forecaster, uint32_t n_series, const rp_forecast_config *config, dlpack_results *own);
void dlpack_results_end(dlpack_results *own, rp_dl_result *theirs);   // hands them over
void dlpack_results_drop(dlpack_results *own);                        // deletes what was not handed over

#endif
