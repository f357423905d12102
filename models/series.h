// What the families that forecast series of variates check of a call, whatever else they do.
#ifndef RP_SERIES_H
#define RP_SERIES_H

#include "family.h"

#define RP_SERIES_MOST 1e30f   // the largest value of a series, as RP_PAD_LARGEST; NaN is none either

// Checks a call against what the forecaster was created for, and every value on the host that is not masked. there [n_series]: what
// of the series is on the device already, and checked there (rp_device_inputs_check); NULL: nothing.
// Errors: INVALID_ARGUMENT, which names series, variate and time step, or the field to create the forecaster with.
rp_status rp_series_check(const rp_forecaster *forecaster, const rp_series *series, const rp_device_series *there, uint32_t n_series,
                          const rp_forecast_config *config);

#endif
