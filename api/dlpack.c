// The calls of reprise_dlpack.h: tensors are checked and described here; what is in them is the forecast's to check. dlpack_result.c
// makes tensors of results.
#include "reprise_dlpack.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config_struct.h"
#include "dlpack_result.h"
#include "numbers.h"

#define MAX_SPAN ((int64_t)INT32_MAX)   // kernels count in 32 bits
#define MAX_BYTES (INT64_MAX / 4)

// A tensor of one or two dimensions, checked: rows of numbers.
typedef struct view {
    char what[48];                 // "Series 3: values"
    int32_t device_type, device_id;
    rp_number kind;
    uint32_t bits;
    int64_t rows, cols, row_stride, stride;   // strides in elements
    int64_t low, high;             // the elements furthest before and behind the first
    uint64_t first;                // address of the first
} view;

static rp_number number_of(rp_dl_data_type dtype) {
    switch (dtype.code) {
    case RP_DL_INT: return RP_NUMBER_INT;
    case RP_DL_UINT: return RP_NUMBER_UINT;
    case RP_DL_FLOAT: return RP_NUMBER_FLOAT;
    case RP_DL_BFLOAT: return RP_NUMBER_BFLOAT;
    default: return RP_NUMBER_NONE;
    }
}

static rp_status read_type(rp_device *device, const rp_dl_tensor *t, bool is_mask, view *out) {
    out->device_type = (int32_t)t->device.device_type, out->device_id = t->device.device_id;
    if (out->device_type != RP_DL_CPU && out->device_type != RP_DL_CUDA && out->device_type != RP_DL_CUDA_HOST) {
        return rp_fail(device, RP_UNSUPPORTED, "%s lies on DLPack device type %d; kDLCPU (1), kDLCUDA (2) and kDLCUDAHost (3) are known. Copy it "
                       "to one of these.", out->what, out->device_type);
    }
    if (t->dtype.lanes != 1) { return rp_fail(device, RP_UNSUPPORTED, "%s has %u lanes in an element; it must be 1.", out->what, t->dtype.lanes); }
    out->kind = number_of(t->dtype), out->bits = t->dtype.bits;
    if (is_mask) {
        const bool byte = (t->dtype.code == RP_DL_BOOL || t->dtype.code == RP_DL_UINT || t->dtype.code == RP_DL_INT) && t->dtype.bits == 8;
        out->kind = RP_NUMBER_UINT;
        return byte ? RP_OK : rp_fail(device, RP_UNSUPPORTED, "%s has DLPack type code %u with %u bits; a mask is bool, uint8 or int8.", out->what,
                                      t->dtype.code, t->dtype.bits);
    }
    if (out->device_type == RP_DL_CUDA && (out->kind != RP_NUMBER_FLOAT || out->bits != 32)) {
        return rp_fail(device, RP_UNSUPPORTED, "%s has DLPack type code %u with %u bits; on a CUDA device it must be float32. Convert it there.",
                       out->what, t->dtype.code, t->dtype.bits);
    }
    if (!rp_number_known(out->kind, out->bits)) {
        return rp_fail(device, RP_UNSUPPORTED, "%s has DLPack type code %u with %u bits; float16, float32, float64, bfloat16 and integers of 8 "
                       "to 64 bits are known.", out->what, t->dtype.code, t->dtype.bits);
    }
    return RP_OK;
}

// How far elements lie from the first, in elements and, within reason, in bytes.
static rp_status read_strides(rp_device *device, const rp_dl_tensor *t, view *out) {
    const bool flat = t->ndim == 1;
    int64_t far[2] = { 0, 0 };
    out->rows = flat ? 1 : t->shape[0], out->cols = t->shape[flat ? 0 : 1];
    out->stride = t->strides ? t->strides[flat ? 0 : 1] : 1;
    out->row_stride = flat ? out->cols : t->strides ? t->strides[0] : out->cols;
    if (out->rows < 0 || out->cols < 0) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%s has a negative size: [%" PRId64 ", %" PRId64 "].", out->what, out->rows, out->cols);
    }
    if (out->rows == 0 || out->cols == 0) { return rp_fail(device, RP_INVALID_ARGUMENT, "%s is empty.", out->what); }
    if (out->rows == 1) { out->row_stride = 0; }
    if (out->cols == 1) { out->stride = 0; }
    if (__builtin_mul_overflow(out->rows - 1, out->row_stride, &far[0]) || __builtin_mul_overflow(out->cols - 1, out->stride, &far[1]) ||
        far[0] > MAX_BYTES / 16 || far[0] < -MAX_BYTES / 16 || far[1] > MAX_BYTES / 16 || far[1] < -MAX_BYTES / 16) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%s has strides that leave the address space: [%" PRId64 ", %" PRId64 "] for [%" PRId64
                       ", %" PRId64 "].", out->what, out->row_stride, out->stride, out->rows, out->cols);
    }
    out->low = (far[0] < 0 ? far[0] : 0) + (far[1] < 0 ? far[1] : 0);
    out->high = (far[0] > 0 ? far[0] : 0) + (far[1] > 0 ? far[1] : 0);
    return RP_OK;
}

static rp_status read_tensor(rp_device *device, const rp_dl_tensor *t, bool is_mask, view *out) {
    if (t->data == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "%s: data is NULL.", out->what); }
    if (t->ndim < 1 || t->ndim > 2) { return rp_fail(device, RP_INVALID_ARGUMENT, "%s has %d dimensions; it has 1 or 2.", out->what, t->ndim); }
    if (t->shape == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "%s: shape is NULL.", out->what); }
    RP_RETURN(read_type(device, t, is_mask, out));
    RP_RETURN(read_strides(device, t, out));
    const int64_t size = out->bits / 8;
    uint64_t low = 0, high = 0;
    const bool outside = __builtin_add_overflow((uint64_t)(uintptr_t)t->data, t->byte_offset, &out->first) ||
                         __builtin_sub_overflow(out->first, (uint64_t)(-out->low * size), &low) ||
                         __builtin_add_overflow(out->first, (uint64_t)((out->high + 1) * size), &high) || high > UINTPTR_MAX || low == 0;
    if (outside) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%s leaves the address space: byte_offset is %" PRIu64 ", its elements reach from %" PRId64
                       " to %" PRId64 ".", out->what, t->byte_offset, out->low, out->high);
    }
    return RP_OK;
}

static rp_status read_named(rp_device *device, uint32_t index, const char *name, const rp_dl_tensor *t, bool is_mask, view *out) {
    *out = (view){ .rows = 0 };
    snprintf(out->what, sizeof out->what, "Series %u: %s", index, name);
    return read_tensor(device, t, is_mask, out);
}

static rp_status expect_shape(rp_device *device, const view *v, int64_t rows, int64_t cols) {
    if (v->rows == rows && v->cols == cols) { return RP_OK; }
    return rp_fail(device, RP_INVALID_ARGUMENT, "%s is [%" PRId64 ", %" PRId64 "] where [%" PRId64 ", %" PRId64 "] is asked for.", v->what, v->rows,
                   v->cols, rows, cols);
}

static rp_numbers row_of(const view *v, int64_t row) {
    const int64_t size = v->bits / 8;
    return (rp_numbers){ .data = (const char *)(uintptr_t)v->first + row * v->row_stride * size, .stride = v->stride * size,
                         .count = (uint64_t)v->cols, .kind = v->kind, .bits = v->bits };
}

// ---- tensors on the host ----

// Rows of float32 [rows, cols]: where they are, or converted into the arena.
static rp_status host_rows(rp_device *device, rp_arena *arena, const view *v, const float **out) {
    const rp_numbers first = row_of(v, 0);
    *out = v->rows == 1 || v->row_stride == v->cols ? rp_numbers_in_place(&first) : NULL;
    if (*out != NULL) { return RP_OK; }
    float *packed = rp_call_alloc(device, arena, (uint64_t)v->rows * (uint64_t)v->cols, sizeof *packed);
    if (packed == NULL) { return RP_OUT_OF_MEMORY; }
    for (int64_t row = 0; row < v->rows; row++) {
        const rp_numbers numbers = row_of(v, row);
        rp_numbers_f32(&numbers, packed + row * v->cols);
    }
    *out = packed;
    return RP_OK;
}

// The mask [rows, cols] of values that are there already; NULL: all are real.
static rp_status host_mask(rp_device *device, rp_arena *arena, const view *values, const view *mask, const float *numbers, const uint8_t **out) {
    const uint64_t count = (uint64_t)values->rows * (uint64_t)values->cols;
    bool missing = false;
    *out = NULL;
    for (uint64_t i = 0; i < count && !missing; i++) { missing = numbers[i] != numbers[i]; }
    if (mask == NULL && !missing) { return RP_OK; }
    if (mask != NULL && !missing && (mask->stride == 1 || mask->cols == 1) && (mask->row_stride == mask->cols || mask->rows == 1)) {
        *out = (const uint8_t *)(uintptr_t)mask->first;
        return RP_OK;
    }
    uint8_t *packed = rp_call_alloc(device, arena, count, 1);
    if (packed == NULL) { return RP_OUT_OF_MEMORY; }
    for (uint64_t i = 0; i < count; i++) {
        const int64_t row = (int64_t)(i / (uint64_t)values->cols), col = (int64_t)(i % (uint64_t)values->cols);
        packed[i] = numbers[i] == numbers[i];
        if (mask != NULL) { packed[i] &= ((const uint8_t *)(uintptr_t)mask->first)[row * mask->row_stride + col * mask->stride] != 0; }
    }
    *out = packed;
    return RP_OK;
}

// ---- tensors on the device ----

static rp_status device_rows(rp_forecaster *forecaster, const view *v, rp_device_rows *out) {
    rp_device *device = forecaster->model->device;
    const int64_t size = v->bits / 8;
    if (device->backend->borrow == NULL) {
        return rp_fail(device, RP_UNSUPPORTED, "%s lies on a CUDA device, but the forecaster runs on %s. Copy it to the host, or open \"cuda:%d\".",
                       v->what, device->info.spec, v->device_id);
    }
    if (!forecaster->config.device_inputs) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%s lies on a CUDA device, but the forecaster was created for series from the host. Create one "
                       "with rp_forecaster_config.device_inputs = 1.", v->what);
    }
    if (v->high - v->low >= MAX_SPAN) {
        return rp_fail(device, RP_UNSUPPORTED, "%s spans %" PRId64 " elements; on a CUDA device 2^31 - 1 is the most. Make it contiguous.", v->what,
                       v->high - v->low + 1);
    }
    uint64_t address = v->first - (uint64_t)(-v->low * size), bytes = (uint64_t)((v->high - v->low + 1) * size);
    const uint64_t lead = address % 4;   // kernels read words: a mask may begin inside one
    if (lead != 0 && size != 1) { return rp_fail(device, RP_INVALID_ARGUMENT, "%s is not aligned to its elements.", v->what); }
    *out = (rp_device_rows){ .start = (uint32_t)(-v->low + (int64_t)lead), .row_stride = (uint32_t)v->row_stride, .stride = (uint32_t)v->stride };
    RP_RETURN(device->backend->borrow(device, v->what, v->device_id, address, bytes, &out->buffer));
    out->buffer.address -= lead, out->buffer.bytes += lead;
    return RP_OK;
}

// ---- series ----

static rp_status read_future(rp_forecaster *forecaster, rp_arena *arena, const rp_dl_series *s, uint32_t index, const rp_forecast_config *config,
                             rp_series *host, rp_device_series *there) {
    rp_device *device = forecaster->model->device;
    view future;
    // The forecast says whether one is missing, and what is beyond its sizes.
    if (s->future == NULL || config->exogenous == 0 || config->horizon > forecaster->config.max_horizon) { return RP_OK; }
    RP_RETURN(read_named(device, index, "future", s->future, false, &future));
    RP_RETURN(expect_shape(device, &future, config->exogenous, config->horizon));
    if (future.device_type == RP_DL_CUDA) { return device_rows(forecaster, &future, &there->future); }
    return host_rows(device, arena, &future, &host->future);
}

static rp_status read_series(rp_forecaster *forecaster, rp_arena *arena, const rp_dl_series *s, uint32_t index, const rp_forecast_config *config,
                             rp_series *host, rp_device_series *there) {
    rp_device *device = forecaster->model->device;
    view values, mask;
    *host = (rp_series){ .struct_size = sizeof *host, .group_ids = s->group_ids, .id = s->id };
    *there = (rp_device_series){ .values = { .start = 0 } };
    if (s->values == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u: values is NULL.", index); }
    RP_RETURN(read_named(device, index, "values", s->values, false, &values));
    const int64_t context = values.cols <= forecaster->config.max_context ? values.cols : (int64_t)forecaster->config.max_context + 1;
    host->context = (uint32_t)context;
    if (values.cols > forecaster->config.max_context) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%s has %" PRId64 " time steps, but the forecaster was created for %u. Create one with a larger "
                       "rp_forecaster_config.max_context.", values.what, values.cols, forecaster->config.max_context);
    }
    RP_RETURN(expect_shape(device, &values, forecaster->config.variates, values.cols));
    if (s->mask != NULL) {
        RP_RETURN(read_named(device, index, "mask", s->mask, true, &mask));
        RP_RETURN(expect_shape(device, &mask, values.rows, values.cols));
        if ((mask.device_type == RP_DL_CUDA) != (values.device_type == RP_DL_CUDA)) {
            return rp_fail(device, RP_INVALID_ARGUMENT, "%s is not where the values are: one lies on a CUDA device, the other on the host.", mask.what);
        }
    }
    RP_RETURN(read_future(forecaster, arena, s, index, config, host, there));
    if (values.device_type == RP_DL_CUDA) {
        if (s->mask != NULL) { RP_RETURN(device_rows(forecaster, &mask, &there->mask)); }
        return device_rows(forecaster, &values, &there->values);
    }
    RP_RETURN(host_rows(device, arena, &values, &host->values));
    return host_mask(device, arena, &values, s->mask != NULL ? &mask : NULL, host->values, &host->mask);
}

static bool on(const rp_dl_tensor *t, int32_t type) { return t != NULL && (int32_t)t->device.device_type == type; }

// Waits for the caller's stream: on the device, and on the host too where that reads what the stream writes.
static rp_status follow(rp_device *device, int64_t stream, bool host) {
    if (stream == RP_DL_STREAM_NONE || device->backend->after == NULL) { return RP_OK; }
    if (stream < 0) { return rp_fail(device, RP_INVALID_ARGUMENT, "The stream is %" PRId64 "; of the negative numbers only -1 is known.", stream); }
    return device->backend->after(device, stream == 0 ? RP_DL_STREAM_DEFAULT : (uint64_t)stream, host);
}

static rp_status check_call(rp_forecaster *forecaster, const char *call, const void *series, uint32_t n_series, const rp_forecast_config *config,
                            const rp_dl_result *result, rp_forecast_config *own) {
    rp_device *device = forecaster->model->device;
    if (config == NULL || result == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "%s needs a config and a result.", call); }
    if (!rp_struct_in(own, sizeof *own, config)) { return rp_fail(device, RP_INVALID_ARGUMENT, RP_STRUCT_MESSAGE, "rp_forecast_config"); }
    if (series == NULL || n_series == 0) { return rp_fail(device, RP_INVALID_ARGUMENT, "There is no series to forecast."); }
    if (n_series > forecaster->config.max_batch) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "The number of series is %u, but the forecaster was created for %u. Create one with "
                       "rp_forecaster_config.max_batch = %u or more.", n_series, forecaster->config.max_batch, n_series);
    }
    return RP_OK;
}

rp_status rp_forecast_dlpack(rp_forecaster *forecaster, const rp_dl_series *series, uint32_t n_series, int64_t stream,
                             const rp_forecast_config *config, rp_dl_result *result) {
    if (forecaster == NULL) { return RP_INVALID_ARGUMENT; }
    rp_status status = RP_OK;
    rp_device *device = forecaster->model->device;
    RP_HOLD(device);
    rp_forecast_config own = RP_FORECAST_CONFIG_INIT;
    dlpack_results results = { .arrays = RP_FORECAST_RESULT_INIT };
    rp_arena arena = { NULL };
    bool pinned = false, any_there = false;
    RP_RETURN(dlpack_results_begin(device, result, &results));
    RP_RETURN(check_call(forecaster, "rp_forecast_dlpack", series, n_series, config, result, &own));
    if (forecaster->model->family->forecast == NULL) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "This model, of family %s, forecasts bars: call rp_forecast_bars_dlpack.", forecaster->model->info.family);
    }
    for (uint32_t i = 0; i < n_series; i++) {
        if (series[i].struct_size != sizeof *series) { return rp_fail(device, RP_INVALID_ARGUMENT, RP_STRUCT_MESSAGE, "rp_dl_series"); }
        pinned = pinned || on(series[i].values, RP_DL_CUDA_HOST) || on(series[i].mask, RP_DL_CUDA_HOST) || on(series[i].future, RP_DL_CUDA_HOST);
    }
    rp_series *host = rp_call_alloc(device, &arena, n_series, sizeof *host);
    rp_device_series *there = rp_call_alloc(device, &arena, n_series, sizeof *there);
    if (host == NULL || there == NULL) {
        status = RP_OUT_OF_MEMORY;
        goto cleanup;
    }
    RP_TRY(follow(device, stream, pinned));
    for (uint32_t i = 0; i < n_series; i++) {
        RP_TRY(read_series(forecaster, &arena, &series[i], i, &own, &host[i], &there[i]));
        any_there = any_there || there[i].values.buffer.bytes > 0 || there[i].future.buffer.bytes > 0;
    }
    RP_TRY(dlpack_results_make(forecaster, n_series, &own, &results));
    RP_TRY(rp_forecast_there(forecaster, host, any_there ? there : NULL, n_series, &own, &results.arrays));
    dlpack_results_end(&results, result);
cleanup:
    dlpack_results_drop(&results);
    rp_arena_destroy(&arena);
    return status;
}

// ---- bars ----

static rp_status read_column(rp_device *device, rp_arena *arena, const view *bars, int64_t column, const float **out) {
    *out = NULL;
    if (column >= bars->cols) { return RP_OK; }
    const rp_numbers numbers = { .data = (const char *)(uintptr_t)bars->first + column * bars->stride * (int64_t)(bars->bits / 8),
                                 .stride = bars->row_stride * (int64_t)(bars->bits / 8), .count = (uint64_t)bars->rows, .kind = bars->kind,
                                 .bits = bars->bits };
    *out = rp_numbers_in_place(&numbers);
    if (*out != NULL) { return RP_OK; }
    float *packed = rp_call_alloc(device, arena, numbers.count, sizeof *packed);
    if (packed == NULL) { return RP_OUT_OF_MEMORY; }
    rp_numbers_f32(&numbers, packed);
    *out = packed;
    return RP_OK;
}

static rp_status read_times(rp_device *device, rp_arena *arena, uint32_t index, const char *name, const rp_dl_tensor *t, int64_t count,
                            const int64_t **out) {
    view v;
    *out = NULL;
    if (t == NULL) { return RP_OK; }
    if (on(t, RP_DL_CUDA)) {
        return rp_fail(device, RP_UNSUPPORTED, "Series %u: %s lie on a CUDA device; the host reads the calendar, wherever the bars are. "
                       "Copy them to the host.", index, name);
    }
    RP_RETURN(read_named(device, index, name, t, false, &v));
    if (v.kind != RP_NUMBER_INT || v.bits != 64) { return rp_fail(device, RP_UNSUPPORTED, "%s are not int64.", v.what); }
    RP_RETURN(expect_shape(device, &v, 1, count));
    int64_t *packed = rp_call_alloc(device, arena, (uint64_t)count, sizeof *packed);
    if (packed == NULL) { return RP_OUT_OF_MEMORY; }
    const rp_numbers numbers = row_of(&v, 0);
    for (uint64_t i = 0; i < numbers.count; i++) { packed[i] = rp_number_i64(&numbers, i); }
    *out = packed;
    return RP_OK;
}

static rp_status read_bars(rp_forecaster *forecaster, rp_arena *arena, const rp_dl_bars *s, uint32_t index, const rp_forecast_config *config,
                           rp_bars *out, rp_device_bars *there) {
    rp_device *device = forecaster->model->device;
    view bars;
    *out = (rp_bars){ .struct_size = sizeof *out, .id = s->id };
    *there = (rp_device_bars){ .columns = 0 };
    if (s->bars == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u: bars is NULL.", index); }
    RP_RETURN(read_named(device, index, "bars", s->bars, false, &bars));
    if (s->bars->ndim != 2 || bars.cols < 4 || bars.cols > 6 || bars.rows > forecaster->config.max_context) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%s are [%" PRId64 ", %" PRId64 "]; they are [T, 4], [T, 5] or [T, 6] with at most %u bars, for "
                       "which the forecaster was created.", bars.what, bars.rows, bars.cols, forecaster->config.max_context);
    }
    out->context = (uint32_t)bars.rows;
    RP_RETURN(read_times(device, arena, index, "times", s->times, bars.rows, &out->times));
    RP_RETURN(read_times(device, arena, index, "future_times", s->future_times, config->horizon, &out->future_times));
    if (bars.device_type == RP_DL_CUDA) {
        there->columns = (uint32_t)bars.cols;
        return device_rows(forecaster, &bars, &there->rows);
    }
    const float **columns[] = { &out->open, &out->high, &out->low, &out->close, &out->volume, &out->amount };
    for (int64_t i = 0; i < 6; i++) { RP_RETURN(read_column(device, arena, &bars, i, columns[i])); }
    return RP_OK;
}

rp_status rp_forecast_bars_dlpack(rp_forecaster *forecaster, const rp_dl_bars *bars, uint32_t n_series, int64_t stream,
                                  const rp_forecast_config *config, rp_dl_result *result) {
    if (forecaster == NULL) { return RP_INVALID_ARGUMENT; }
    rp_status status = RP_OK;
    rp_device *device = forecaster->model->device;
    RP_HOLD(device);
    rp_forecast_config own = RP_FORECAST_CONFIG_INIT;
    dlpack_results results = { .arrays = RP_FORECAST_RESULT_INIT };
    rp_arena arena = { NULL };
    bool pinned = false, any_there = false;
    RP_RETURN(dlpack_results_begin(device, result, &results));
    RP_RETURN(check_call(forecaster, "rp_forecast_bars_dlpack", bars, n_series, config, result, &own));
    if (forecaster->model->family->forecast_bars == NULL) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "This model, of family %s, forecasts series of variates, not bars: call rp_forecast_dlpack.",
                       forecaster->model->info.family);
    }
    for (uint32_t i = 0; i < n_series; i++) {
        if (bars[i].struct_size != sizeof *bars) { return rp_fail(device, RP_INVALID_ARGUMENT, RP_STRUCT_MESSAGE, "rp_dl_bars"); }
        pinned = pinned || on(bars[i].bars, RP_DL_CUDA_HOST) || on(bars[i].times, RP_DL_CUDA_HOST) || on(bars[i].future_times, RP_DL_CUDA_HOST);
    }
    rp_bars *host = rp_call_alloc(device, &arena, n_series, sizeof *host);
    rp_device_bars *there = rp_call_alloc(device, &arena, n_series, sizeof *there);
    if (host == NULL || there == NULL) {
        status = RP_OUT_OF_MEMORY;
        goto cleanup;
    }
    RP_TRY(follow(device, stream, pinned));
    for (uint32_t i = 0; i < n_series; i++) {
        RP_TRY(read_bars(forecaster, &arena, &bars[i], i, &own, &host[i], &there[i]));
        any_there = any_there || there[i].rows.buffer.bytes > 0;
    }
    RP_TRY(dlpack_results_make(forecaster, n_series, &own, &results));
    RP_TRY(rp_forecast_bars_there(forecaster, host, any_there ? there : NULL, n_series, &own, &results.arrays));
    dlpack_results_end(&results, result);
cleanup:
    dlpack_results_drop(&results);
    rp_arena_destroy(&arena);
    return status;
}
