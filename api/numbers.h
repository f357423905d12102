// Numbers as other libraries keep them, on their way to float32: what reprise_dlpack.h and reprise_arrow.h share.
#ifndef RP_NUMBERS_H
#define RP_NUMBERS_H

#include "arena.h"
#include "family.h"

typedef enum rp_number { RP_NUMBER_NONE, RP_NUMBER_FLOAT, RP_NUMBER_BFLOAT, RP_NUMBER_INT, RP_NUMBER_UINT, RP_NUMBER_BIT } rp_number;

// One row of numbers: element i lies at data + i * stride bytes, aligned or not; RP_NUMBER_BIT: bit first_bit + i, and no stride.
typedef struct rp_numbers {
    const char *data;
    int64_t stride, first_bit;
    uint64_t count;
    rp_number kind;
    uint32_t bits;                 // 16, 32, 64; of integers also 8
} rp_numbers;

bool rp_number_known(rp_number kind, uint32_t bits);
float rp_number_f32(const rp_numbers *x, uint64_t i);          // nearest
int64_t rp_number_i64(const rp_numbers *x, uint64_t i);        // RP_NUMBER_INT only
void rp_numbers_f32(const rp_numbers *x, float *out);          // all of them
// The numbers where they are, if they are aligned float32 without gaps; else NULL.
const float *rp_numbers_in_place(const rp_numbers *x);

// Memory of one call. NULL after saying so where there is none.
void *rp_call_alloc(rp_device *device, rp_arena *arena, uint64_t count, size_t size);

// api/reprise.c: rp_forecast and rp_forecast_bars, where some series may be on the device already; there: [n_series], or NULL.
rp_status rp_forecast_there(rp_forecaster *forecaster, const rp_series *series, const rp_device_series *there, uint32_t n_series,
                            const rp_forecast_config *config, rp_forecast_result *result);
rp_status rp_forecast_bars_there(rp_forecaster *forecaster, const rp_bars *bars, const rp_device_bars *there, uint32_t n_series,
                                 const rp_forecast_config *config, rp_forecast_result *result);

#endif
