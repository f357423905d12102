// One forecast of bars: inputs into host-visible memory, replays queued, results taken from host-visible memory at the end.
#include <math.h>
#include <string.h>

#include "kronos.h"
#include "op_amount.h"
#include "results.h"

// What a series has where take_bars marked it.
#define DEVICE_BAD_BARS "a price, volume or amount that is NaN, infinite, or not below 1e17. Drop such bars, or fill them."

// ---- checks ----

static rp_status bad(const kronos_forecaster *f, const char *what, uint32_t asked, uint32_t created, const char *field) {
    return rp_fail(f->base.model->device, RP_INVALID_ARGUMENT,
                   "%s is %u, but the forecaster was created for %u. Create one with rp_forecaster_config.%s = %u or more.", what,
                   asked, created, field, asked);
}

static rp_status check_column(rp_device *device, const float *values, const char *name, uint32_t index, uint32_t context) {
    for (uint32_t t = 0; values != NULL && t < context; t++) {
        if (!(fabsf(values[t]) < rp_bits_float(RP_BARS_LIMIT))) {
            return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u, bar %u: %s is %g. Numbers must be finite and below 1e17.", index, t,
                           name, (double)values[t]);
        }
    }
    return RP_OK;
}

static rp_status check_times(rp_device *device, const rp_bars *s, uint32_t index, uint32_t horizon) {
    for (uint32_t t = 1; t < s->context; t++) {
        if (s->times[t] <= s->times[t - 1]) {
            return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u, bar %u: its time is not after that of the bar before. Sort the bars and "
                           "drop doubles.", index, t);
        }
    }
    for (uint32_t t = 0; s->future_times != NULL && t < horizon; t++) {
        if (s->future_times[t] <= (t ? s->future_times[t - 1] : s->times[s->context - 1])) {
            return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u, future bar %u: its time is not after that of the bar before.", index, t);
        }
    }
    if (s->future_times == NULL && s->context < 2) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u has one bar, so its spacing is unknown: give future_times.", index);
    }
    return RP_OK;
}

static rp_status check_stamps(rp_device *device, const rp_bars *s, uint32_t index, uint32_t horizon) {
    static const struct { const char *name; uint8_t least, most; } fields[RP_BAR_STAMPS] = {
        { "minute", 0, 59 }, { "hour", 0, 23 }, { "weekday", 0, 6 }, { "day of month", 1, 31 }, { "month", 1, 12 },
    };
    for (size_t i = 0; i < ((size_t)s->context + horizon) * RP_BAR_STAMPS; i++) {
        const uint32_t field = i % RP_BAR_STAMPS;
        if (s->stamps[i] < fields[field].least || s->stamps[i] > fields[field].most) {
            return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u, bar %zu: the %s is %u; it lies between %u and %u.", index,
                           i / RP_BAR_STAMPS, fields[field].name, s->stamps[i], fields[field].least, fields[field].most);
        }
    }
    return RP_OK;
}

static bool is_there(const rp_device_bars *d) { return d != NULL && d->rows.buffer.bytes > 0; }

// What bars from the device hold is checked there, see rp_device_inputs_check.
static rp_status check_series(const kronos_forecaster *f, const rp_bars *s, const rp_device_bars *d, uint32_t index, uint32_t horizon) {
    rp_device *device = f->base.model->device;
    const bool priced = s->open != NULL && s->high != NULL && s->low != NULL && s->close != NULL;
    if (s->context == 0 || (!priced && !is_there(d))) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u has no bars: context, open, high, low and close must be set.", index);
    }
    if (s->context > f->base.config.max_context) {
        return bad(f, "The context of a series", s->context, f->base.config.max_context, "max_context");
    }
    if (s->volume == NULL && s->amount != NULL) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u has amounts but no volumes: give both, or volumes alone.", index);
    }
    if ((s->times == NULL) == (s->stamps == NULL)) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "Series %u needs times or stamps, one of the two.", index);
    }
    RP_RETURN(check_column(device, s->open, "open", index, s->context));
    RP_RETURN(check_column(device, s->high, "high", index, s->context));
    RP_RETURN(check_column(device, s->low, "low", index, s->context));
    RP_RETURN(check_column(device, s->close, "close", index, s->context));
    RP_RETURN(check_column(device, s->volume, "volume", index, s->context));
    RP_RETURN(check_column(device, s->amount, "amount", index, s->context));
    return s->times != NULL ? check_times(device, s, index, horizon) : check_stamps(device, s, index, horizon);
}

static rp_status check(const kronos_forecaster *f, const rp_bars *bars, const rp_device_bars *there, uint32_t n_series,
                       const rp_forecast_config *config) {
    rp_device *device = f->base.model->device;
    const rp_forecaster_config *sizes = &f->base.config;
    if (n_series == 0 || bars == NULL) { return rp_fail(device, RP_INVALID_ARGUMENT, "There is no series to forecast."); }
    if (n_series > sizes->max_batch) { return bad(f, "The number of series", n_series, sizes->max_batch, "max_batch"); }
    if (config->horizon == 0) { return rp_fail(device, RP_INVALID_ARGUMENT, "The horizon must be at least 1."); }
    if (config->horizon > sizes->max_horizon) { return bad(f, "The horizon", config->horizon, sizes->max_horizon, "max_horizon"); }
    if (config->paths > sizes->max_paths) { return bad(f, "The number of paths", config->paths, sizes->max_paths, "max_paths"); }
    if (config->exogenous > 0) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%u exogenous variates are asked for; Kronos knows none.", config->exogenous);
    }
    if (!(config->temperature >= 0 && config->temperature <= 1e6f)) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "The temperature is %g; it lies above 0 and up to 1e6.", (double)config->temperature);
    }
    if (!(config->top_p >= 0 && config->top_p <= 1)) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "top_p is %g; it lies above 0 and up to 1.", (double)config->top_p);
    }
    for (uint32_t i = 0; i < n_series; i++) { RP_RETURN(check_series(f, &bars[i], there ? &there[i] : NULL, i, config->horizon)); }
    return RP_OK;
}

// ---- inputs ----

static rp_status put(const kronos_forecaster *f, const rp_tensor *to, uint64_t at, rp_dtype dtype, const void *src, uint64_t count) {
    return f->base.model->device->backend->write(to->buffer, to->offset + at * 4, dtype, src, dtype, count);
}

static void fill_bars(const rp_bars *s, float *out) {
    const uint32_t n = RP_BAR_COLUMNS;
    for (uint32_t t = 0; t < s->context && s->open != NULL; t++) {   // else they are on the device
        const float volume = s->volume ? s->volume[t] : 0;
        out[t * n] = s->open[t], out[t * n + 1] = s->high[t], out[t * n + 2] = s->low[t], out[t * n + 3] = s->close[t];
        out[t * n + 4] = volume;
        out[t * n + 5] = s->amount ? s->amount[t] : rp_amount(s->open[t], s->high[t], s->low[t], s->close[t], volume);
    }
}

static void fill_stamps(const rp_bars *s, uint32_t horizon, uint32_t *out) {
    for (uint32_t t = 0; t < s->context + horizon; t++) {
        const uint32_t ahead = t - s->context;   // where t is past the context
        if (s->stamps != NULL) {
            for (uint32_t i = 0; i < RP_BAR_STAMPS; i++) { out[t * RP_BAR_STAMPS + i] = s->stamps[(size_t)t * RP_BAR_STAMPS + i]; }
        } else if (t < s->context) {
            kronos_stamp(s->times[t], out + t * RP_BAR_STAMPS);
        } else if (s->future_times != NULL) {
            kronos_stamp(s->future_times[ahead], out + t * RP_BAR_STAMPS);
        } else {
            const int64_t last = s->times[s->context - 1], spacing = last - s->times[s->context - 2];
            kronos_stamp(last + spacing * ((int64_t)ahead + 1), out + t * RP_BAR_STAMPS);
        }
    }
}

static rp_status put_series(kronos_forecaster *f, const rp_bars *s, uint32_t b, uint32_t horizon) {
    const uint64_t bars = f->bars, stamps = bars + f->base.config.max_horizon;
    RP_RETURN(put(f, f->staged.n_bars, b, RP_U32, &s->context, 1));
    RP_RETURN(put(f, f->staged.series_ids, b, RP_U32, &s->id, 1));
    memset(f->storage.scratch, 0, bars * RP_BAR_COLUMNS * sizeof(float));
    fill_bars(s, f->storage.scratch);
    RP_RETURN(put(f, f->staged.bars, b * bars * RP_BAR_COLUMNS, RP_F32, f->storage.scratch, bars * RP_BAR_COLUMNS));
    memset(f->storage.scratch, 0, stamps * RP_BAR_STAMPS * sizeof(uint32_t));
    fill_stamps(s, horizon, f->storage.scratch);
    return put(f, f->staged.stamps, b * stamps * RP_BAR_STAMPS, RP_U32, f->storage.scratch, stamps * RP_BAR_STAMPS);
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static rp_status put_inputs(kronos_forecaster *f, const rp_bars *bars, uint32_t n_series, const rp_forecast_config *config) {
    const uint32_t settings[3] = { bits_of(config->temperature > 0 ? config->temperature : 1), config->paths ? config->top_k : 1,
                                   bits_of(config->top_p > 0 ? config->top_p : 1) };
    const struct rp_step step = { .batch = n_series, .paths = config->paths ? config->paths : 1, .horizon = config->horizon,
                                  .seed_lo = (uint32_t)config->seed, .seed_hi = (uint32_t)(config->seed >> 32) };
    const uint32_t good = 0;
    rp_replays_begin(&f->storage.queue, step);
    for (uint32_t b = 0; f->staged.bad != NULL && b < f->base.config.max_batch; b++) { RP_RETURN(put(f, f->staged.bad, b, RP_U32, &good, 1)); }
    RP_RETURN(put(f, f->staged.step, 0, RP_U32, &step, RP_STEP_WORDS));
    RP_RETURN(put(f, f->staged.settings, 0, RP_U32, settings, 3));
    for (uint32_t b = 0; b < f->base.config.max_batch; b++) {   // places without a series repeat the last: finite, and dropped
        RP_RETURN(put_series(f, &bars[b < n_series ? b : n_series - 1], b, config->horizon));
    }
    return RP_OK;
}

// ---- bars from the device ----

// Queues what brings them to where the copy of host_in has left zeros.
static rp_status bring(kronos_forecaster *f, const rp_bars *bars, const rp_device_bars *there, uint32_t n_series) {
    rp_device_inputs_begin(&f->storage.from_device);
    for (uint32_t b = 0; b < f->base.config.max_batch; b++) {
        const uint32_t from = b < n_series ? b : n_series - 1;
        if (!is_there(&there[from])) { continue; }
        const rp_device_place to = { f->in.bars, (uint64_t)b * f->bars * RP_BAR_COLUMNS }, bad = { f->staged.bad, b };
        rp_device_inputs_add_bars(&f->storage.from_device, &there[from], bars[from].context, to, bad);
    }
    return rp_device_inputs_enqueue(&f->storage.from_device);
}

// ---- replays ----

const kronos_decode *kronos_decode_of(const kronos_forecaster *f, uint32_t paths) {
    return paths == 0 && f->base.config.max_paths > 1 ? &f->single : &f->sample;
}

// The replays of one forecast, in order.
static void fill_queue(kronos_forecaster *f, const kronos_decode *d, const rp_bars *bars, uint32_t n_series,
                       const rp_forecast_config *config, bool collect) {
    const uint32_t paths = config->paths ? config->paths : 1;
    if (f->inputs.plan != NULL) { rp_replays_add(&f->storage.queue, &f->inputs); }
    rp_replays_add(&f->storage.queue, &f->prompt);
    for (uint32_t first = 0; first < paths; first += d->paths) {
        rp_replays_add(&f->storage.queue, &d->start);
        for (uint32_t step = 1; step < config->horizon; step++) {
            bool grows = false, slides = false;
            for (uint32_t b = 0; b < n_series; b++) {
                const bool full = bars[b].context + step > f->window;
                slides = slides || full, grows = grows || !full;
            }
            if (slides) { rp_replays_add(&f->storage.queue, &d->slide); }
            rp_replays_add(&f->storage.queue, grows ? &d->step : &d->next);
        }
        rp_replays_add(&f->storage.queue, &d->finish);
    }
    if (collect) { rp_replays_add(&f->storage.queue, &f->collect); }
}

rp_status kronos_forecast_device(rp_forecaster *forecaster, const rp_bars *bars, const rp_device_bars *there, uint32_t n_series,
                                 const rp_forecast_config *config, const rp_forecast_result *result) {
    kronos_forecaster *f = (kronos_forecaster *)forecaster;
    const kronos_decode *d = kronos_decode_of(f, config->paths);
    RP_RETURN(check(f, bars, there, n_series, config));
    RP_RETURN(put_inputs(f, bars, n_series, config));
    const bool wanted = rp_results_wanted(config, result);
    fill_queue(f, d, bars, n_series, config, wanted);
    if (there != NULL) {
        RP_RETURN(rp_replays_send(&f->storage.queue, 0, 1));   // the host's inputs, which say where all else is
        RP_RETURN(bring(f, bars, there, n_series));
    }
    RP_RETURN(rp_replays_finish(&f->storage.queue, config));
    if (there != NULL) { RP_RETURN(rp_device_inputs_check(&f->storage.from_device, f->staged.bad, n_series, DEVICE_BAD_BARS)); }
    if (!wanted) { return RP_OK; }
    const float *values;
    RP_RETURN(rp_results_read(f->storage.host_out, f->storage.out_words, f->storage.scratch, &values));
    const rp_results r = { .values = values, .row = (float *)f->storage.scratch + f->storage.out_words, .rows = n_series * RP_BAR_COLUMNS,
                           .horizon_cap = f->base.config.max_horizon, .paths_cap = d->paths_cap, .horizon = config->horizon,
                           .paths = config->paths ? config->paths : 1 };
    rp_results_fill(&r, config, result);
    return RP_OK;
}

rp_status kronos_forecast(rp_forecaster *forecaster, const rp_bars *bars, uint32_t n_series, const rp_forecast_config *config,
                          const rp_forecast_result *result) {
    return kronos_forecast_device(forecaster, bars, NULL, n_series, config, result);
}

rp_status kronos_forecast_traced(kronos_forecaster *f, const rp_bars *bars, uint32_t n_series, const rp_forecast_config *config,
                                 kronos_after_fn after, void *user, double *samples) {
    rp_device *device = f->base.model->device;
    const kronos_decode *d = kronos_decode_of(f, config->paths);
    RP_RETURN(check(f, bars, NULL, n_series, config));
    RP_RETURN(put_inputs(f, bars, n_series, config));
    const uint32_t paths = config->paths ? config->paths : 1;
    fill_queue(f, d, bars, n_series, config, true);
    for (uint32_t i = 0; i < f->storage.queue.n; i++) {
        RP_RETURN(rp_replays_send(&f->storage.queue, i, 1));
        RP_RETURN(device->backend->wait(device));
        if (after != NULL) { RP_RETURN(after(user, f, d, f->storage.queue.runs[i])); }
    }
    RP_RETURN(rp_replays_check(&f->storage.queue, f->in.step));
    for (uint32_t row = 0; row < n_series * RP_BAR_COLUMNS; row++) {   // [H, paths_cap] -> [horizon, paths]
        for (uint32_t t = 0; t < config->horizon; t++) {
            const uint64_t from = ((uint64_t)row * f->base.config.max_horizon + t) * d->paths_cap;
            RP_RETURN(device->backend->read(f->storage.host_out, from * 4, RP_F32, samples, RP_F64, paths));
            samples += paths;
        }
    }
    return RP_OK;
}
