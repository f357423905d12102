// The calls of reprise_arrow.h: columns become series and bars, and every array and schema is released. arrow_column.c reads them.
#include "reprise_arrow.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "arrow_column.h"
#include "config_struct.h"

static rp_status bad_struct(rp_device *device, const char *name) {
    RP_HOLD(device);
    return rp_fail(device, RP_INVALID_ARGUMENT, RP_STRUCT_MESSAGE, name);
}

static rp_status too_long(rp_device *device, const arrow_table *table, uint32_t most) {
    return rp_fail(device, RP_INVALID_ARGUMENT, "%s has %" PRIu64 " rows, but the forecaster was created for %u. Slice it, or create one with a larger "
                   "rp_forecaster_config.max_context.", table->what, table->rows, most);
}

static rp_status check_call(rp_forecaster *forecaster, const char *call, uint32_t n_series, const rp_forecast_config *config, rp_forecast_config *own) {
    rp_device *device = forecaster->model->device;
    if (config == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "%s needs a config and a result.", call); }
    if (!rp_struct_in(own, sizeof *own, config)) { return bad_struct(device, "rp_forecast_config"); }
    if (n_series > forecaster->config.max_batch) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "The number of series is %u, but the forecaster was created for %u. Create one with "
                       "rp_forecaster_config.max_batch = %u or more.", n_series, forecaster->config.max_batch, n_series);
    }
    return RP_OK;
}

// ---- series ----

// The columns that hold variates, in their order, from number `from` on: by name, or those that are numbers.
static rp_status choose(rp_device *device, rp_arena *arena, const arrow_table *table, const char *const *names, uint32_t from, uint32_t n,
                        const arrow_column ***out) {
    const arrow_column **chosen = *out = rp_call_alloc(device, arena, n, sizeof **out);
    uint32_t found = 0;
    if (chosen == NULL) { return RP_OUT_OF_MEMORY; }
    for (uint32_t i = 0; names != NULL && i < n; i++) {
        if (names[from + i] == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "%s: the name of column %u is NULL.", table->what, from + i); }
        RP_RETURN(arrow_table_find(device, table, names[from + i], false, &chosen[i]));
        RP_RETURN(arrow_need_numbers(device, table, chosen[i]));
    }
    for (uint32_t i = 0; names == NULL && i < table->n; i++) {
        const arrow_column *c = &table->columns[i];
        if (table->n == 1) { RP_RETURN(arrow_need_numbers(device, table, c)); }   // its type is the reason why none is found
        if (c->numbers.kind == RP_NUMBER_NONE || c->is_time) { continue; }
        if (found < n) { chosen[found] = c; }
        found++;
    }
    if (names != NULL || found == n) { return RP_OK; }
    return rp_fail(device, RP_INVALID_ARGUMENT, "%s has %u columns of numbers where %u are asked for. Name them in `columns`.", table->what, found, n);
}

// Columns [n] of `rows` rows, one after the other; missing ones NaN. One column may stay where it is.
static rp_status pack(rp_device *device, rp_arena *arena, const arrow_column *const *columns, uint32_t n, uint64_t rows, const float **out) {
    if (n == 1) { return arrow_read_f32(device, arena, columns[0], out); }
    float *packed = rp_call_alloc(device, arena, rows * n, sizeof *packed);
    if (packed == NULL) { return RP_OUT_OF_MEMORY; }
    for (uint32_t v = 0; v < n; v++) {
        for (uint64_t i = 0; i < rows; i++) { packed[v * rows + i] = arrow_missing(columns[v], i) ? NAN : rp_number_f32(&columns[v]->numbers, i); }
    }
    *out = packed;
    return RP_OK;
}

// NULL where nothing is missing.
static rp_status mask_of(rp_device *device, rp_arena *arena, const float *values, uint64_t count, const uint8_t **out) {
    uint8_t *mask = NULL;
    for (uint64_t i = 0; i < count; i++) {
        if (values[i] == values[i]) { continue; }
        if (mask == NULL && (mask = rp_call_alloc(device, arena, count, 1)) == NULL) { return RP_OUT_OF_MEMORY; }
        mask[i] = 1;                                                                // missing, until all are turned round
    }
    for (uint64_t i = 0; mask != NULL && i < count; i++) { mask[i] = !mask[i]; }
    *out = mask;
    return RP_OK;
}

static rp_status read_future(rp_forecaster *forecaster, rp_arena *arena, const rp_arrow_series *s, uint32_t index, const rp_forecast_config *config,
                             rp_series *out) {
    rp_device *device = forecaster->model->device;
    char what[40];
    arrow_table table;
    const arrow_column **columns;
    const uint32_t V = forecaster->config.variates, E = config->exogenous;
    // The forecast says whether one is missing, and what is beyond its sizes.
    if ((s->future == NULL && s->future_schema == NULL) || E == 0 || E >= V || config->horizon > forecaster->config.max_horizon) { return RP_OK; }
    snprintf(what, sizeof what, "Series %u, future", index);
    RP_RETURN(arrow_table_read(device, arena, what, s->future_schema, s->future, &table));
    if (table.rows < config->horizon) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%s has %" PRIu64 " rows; the horizon is %u.", what, table.rows, config->horizon);
    }
    for (uint32_t i = 0; i < table.n; i++) { table.columns[i].numbers.count = config->horizon; }
    RP_RETURN(choose(device, arena, &table, s->columns, V - E, E, &columns));
    return pack(device, arena, columns, E, config->horizon, &out->future);
}

static rp_status read_series(rp_forecaster *forecaster, rp_arena *arena, const rp_arrow_series *s, uint32_t index, const rp_forecast_config *config,
                             rp_series *out) {
    rp_device *device = forecaster->model->device;
    char what[40];
    arrow_table table;
    const arrow_column **columns;
    const uint32_t V = forecaster->config.variates;
    *out = (rp_series){ .struct_size = sizeof *out, .group_ids = s->group_ids, .id = s->id };
    snprintf(what, sizeof what, "Series %u", index);
    RP_RETURN(arrow_table_read(device, arena, what, s->schema, s->array, &table));
    if (table.rows > forecaster->config.max_context) { return too_long(device, &table, forecaster->config.max_context); }
    out->context = (uint32_t)table.rows;
    RP_RETURN(choose(device, arena, &table, s->columns, 0, V, &columns));
    RP_RETURN(pack(device, arena, columns, V, table.rows, &out->values));
    RP_RETURN(mask_of(device, arena, out->values, table.rows * V, &out->mask));
    return read_future(forecaster, arena, s, index, config, out);
}

static rp_status forecast_series(rp_forecaster *forecaster, rp_arena *arena, const rp_arrow_series *series, uint32_t n_series,
                                 const rp_forecast_config *config, rp_forecast_result *result) {
    RP_HOLD(forecaster->model->device);
    rp_forecast_config own = RP_FORECAST_CONFIG_INIT;
    RP_RETURN(check_call(forecaster, "rp_forecast_arrow", n_series, config, &own));
    if (forecaster->model->family->forecast == NULL) {
        return rp_fail(forecaster->model->device, RP_INVALID_ARGUMENT, "This model, of family %s, forecasts bars: call rp_forecast_bars_arrow.",
                       forecaster->model->info.family);
    }
    rp_series *own_series = rp_call_alloc(forecaster->model->device, arena, n_series, sizeof *own_series);
    if (own_series == NULL) { return RP_OUT_OF_MEMORY; }
    for (uint32_t i = 0; i < n_series; i++) { RP_RETURN(read_series(forecaster, arena, &series[i], i, &own, &own_series[i])); }
    return rp_forecast(forecaster, own_series, n_series, config, result);
}

rp_status rp_forecast_arrow(rp_forecaster *forecaster, rp_arrow_series *series, uint32_t n_series, const rp_forecast_config *config,
                            rp_forecast_result *result) {
    rp_arena arena = { NULL };
    rp_status status = RP_INVALID_ARGUMENT;
    for (uint32_t i = 0; series != NULL && i < n_series; i++) {
        if (series[i].struct_size == sizeof *series) { continue; }
        return forecaster != NULL ? bad_struct(forecaster->model->device, "rp_arrow_series") : status;
    }
    if (series == NULL) { n_series = 0; }
    if (forecaster != NULL) { status = forecast_series(forecaster, &arena, series, n_series, config, result); }
    for (uint32_t i = 0; i < n_series; i++) {
        arrow_release(series[i].schema, series[i].array);
        arrow_release(series[i].future_schema, series[i].future);
    }
    rp_arena_destroy(&arena);
    return status;
}

// ---- bars ----

// The column of times: the one of that name, or the only one of its type.
static rp_status find_time(rp_device *device, const arrow_table *table, const char *name, const arrow_column **out) {
    uint32_t found = 0;
    if (name != NULL && !(table->n == 1 && table->columns[0].name[0] == '\0')) { return arrow_table_find(device, table, name, false, out); }
    for (uint32_t i = 0; i < table->n; i++) {
        if (table->columns[i].is_time || (name != NULL && table->n == 1)) { *out = &table->columns[i], found++; }
    }
    if (found == 1) { return RP_OK; }
    return rp_fail(device, found ? RP_INVALID_ARGUMENT : RP_NOT_FOUND, "%s has %u columns of timestamps or dates: name the one in `time`.", table->what,
                   found);
}

static rp_status read_price(rp_device *device, rp_arena *arena, const arrow_table *table, const char *name, const char *usual, bool optional,
                            const float **out) {
    const arrow_column *c;
    *out = NULL;
    RP_RETURN(arrow_table_find(device, table, name != NULL ? name : usual, optional && name == NULL, &c));
    if (c == NULL) { return RP_OK; }
    RP_RETURN(arrow_need_numbers(device, table, c));
    return arrow_read_f32(device, arena, c, out);   // the forecast refuses what is missing, and says where
}

static rp_status read_future_times(rp_forecaster *forecaster, rp_arena *arena, const rp_arrow_bars *s, uint32_t index, uint32_t horizon, rp_bars *out) {
    rp_device *device = forecaster->model->device;
    char what[40];
    arrow_table table;
    const arrow_column *time;
    if ((s->future == NULL && s->future_schema == NULL) || horizon > forecaster->config.max_horizon) { return RP_OK; }
    snprintf(what, sizeof what, "Series %u, future", index);
    RP_RETURN(arrow_table_read(device, arena, what, s->future_schema, s->future, &table));
    if (table.rows < horizon) { return rp_fail(device, RP_INVALID_ARGUMENT, "%s has %" PRIu64 " rows; the horizon is %u.", what, table.rows, horizon); }
    for (uint32_t i = 0; i < table.n; i++) { table.columns[i].numbers.count = horizon; }
    RP_RETURN(find_time(device, &table, s->time, &time));
    return arrow_read_times(device, arena, &table, time, &out->future_times);
}

static rp_status read_bars(rp_forecaster *forecaster, rp_arena *arena, const rp_arrow_bars *s, uint32_t index, uint32_t horizon, rp_bars *out) {
    rp_device *device = forecaster->model->device;
    char what[40];
    arrow_table table;
    const arrow_column *time;
    *out = (rp_bars){ .struct_size = sizeof *out, .id = s->id };
    snprintf(what, sizeof what, "Series %u", index);
    RP_RETURN(arrow_table_read(device, arena, what, s->schema, s->array, &table));
    if (table.rows > forecaster->config.max_context) { return too_long(device, &table, forecaster->config.max_context); }
    out->context = (uint32_t)table.rows;
    RP_RETURN(read_price(device, arena, &table, s->open, "open", false, &out->open));
    RP_RETURN(read_price(device, arena, &table, s->high, "high", false, &out->high));
    RP_RETURN(read_price(device, arena, &table, s->low, "low", false, &out->low));
    RP_RETURN(read_price(device, arena, &table, s->close, "close", false, &out->close));
    RP_RETURN(read_price(device, arena, &table, s->volume, "volume", true, &out->volume));
    RP_RETURN(read_price(device, arena, &table, s->amount, "amount", true, &out->amount));
    RP_RETURN(find_time(device, &table, s->time, &time));
    RP_RETURN(arrow_read_times(device, arena, &table, time, &out->times));
    return read_future_times(forecaster, arena, s, index, horizon, out);
}

static rp_status forecast_bars(rp_forecaster *forecaster, rp_arena *arena, const rp_arrow_bars *bars, uint32_t n_series, const rp_forecast_config *config,
                               rp_forecast_result *result) {
    RP_HOLD(forecaster->model->device);
    rp_forecast_config own = RP_FORECAST_CONFIG_INIT;
    RP_RETURN(check_call(forecaster, "rp_forecast_bars_arrow", n_series, config, &own));
    rp_bars *own_bars = rp_call_alloc(forecaster->model->device, arena, n_series, sizeof *own_bars);
    if (own_bars == NULL) { return RP_OUT_OF_MEMORY; }
    for (uint32_t i = 0; i < n_series; i++) { RP_RETURN(read_bars(forecaster, arena, &bars[i], i, own.horizon, &own_bars[i])); }
    return rp_forecast_bars(forecaster, own_bars, n_series, config, result);
}

rp_status rp_forecast_bars_arrow(rp_forecaster *forecaster, rp_arrow_bars *bars, uint32_t n_series, const rp_forecast_config *config,
                                 rp_forecast_result *result) {
    rp_arena arena = { NULL };
    rp_status status = RP_INVALID_ARGUMENT;
    for (uint32_t i = 0; bars != NULL && i < n_series; i++) {
        if (bars[i].struct_size == sizeof *bars) { continue; }
        return forecaster != NULL ? bad_struct(forecaster->model->device, "rp_arrow_bars") : status;
    }
    if (bars == NULL) { n_series = 0; }
    if (forecaster != NULL) { status = forecast_bars(forecaster, &arena, bars, n_series, config, result); }
    for (uint32_t i = 0; i < n_series; i++) {
        arrow_release(bars[i].schema, bars[i].array);
        arrow_release(bars[i].future_schema, bars[i].future);
    }
    rp_arena_destroy(&arena);
    return status;
}
