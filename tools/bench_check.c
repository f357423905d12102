// reprise bench --check: the row's own forecaster, given a short series, against the reference device, in mean mode.
#include <math.h>
#include <string.h>

#include "bench.h"

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

static rp_status forecast_on_reference(bench_model *m, bench_job *j, uint32_t context, uint32_t horizon) {
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    sizes.max_context = context, sizes.max_horizon = horizon, sizes.variates = j->row->variates, sizes.max_batch = j->row->batch;
    RP_RETURN(rp_forecaster_create(m->reference.model, &sizes, &j->forecaster));
    return bench_job_run(j);
}

// The number that is furthest from the reference for what it may be, in standard deviations of its own series; NaN counts as
// infinite. Beyond `bound` four half units in the last place of float32 are allowed for a series far from zero: two roundings on
// the way in (centre, scale) and two on the way out.
static void find_worst(const bench_job *a, const bench_job *b, uint32_t context, uint32_t horizon, double bound, bench_result *out) {
    double most = -1;
    for (size_t v = 0; v < (size_t)a->row->batch * a->row->variates; v++) {
        double mean = 0, squares = 0;
        const float *x = a->values + v * context;
        for (uint32_t t = 0; t < context; t++) { mean += (double)x[t] / context; }
        for (uint32_t t = 0; t < context; t++) { squares += ((double)x[t] - mean) * ((double)x[t] - mean); }
        const double deviation = sqrt(squares / context);
        for (size_t i = v * horizon; i < (v + 1) * horizon; i++) {
            const double error = fabs((double)a->out[i] - (double)b->out[i]) / deviation;
            const double allowed = bound > 0 ? bound + 0x1p-22 * fabs((double)b->out[i]) / deviation : 0;
            const double share = allowed > 0 ? error / allowed : error;
            if (share <= most) { continue; }
            most = isnan(share) ? INFINITY : share;
            out->error = isnan(error) ? INFINITY : error, out->bound = allowed;
        }
    }
}

bool bench_check(bench_model *m, const bench_row *row, rp_forecaster *forecaster, bench_result *out) {
    bench_row little = *row;                       // two series, a few tokens: seconds on the reference device
    bench_job here, there;
    const uint32_t patch = m->session.model_info.patch, tokens = 2 * patch > 16 ? 2 * patch : 16;
    const uint32_t context = smaller(row->context, tokens), horizon = smaller(row->horizon, patch + 2);   // a start and a step at least
    little.batch = smaller(row->batch, 2);
    bench_job_make(&here, &little, m->published, context, horizon, true);
    bench_job_make(&there, &little, m->published, context, horizon, true);
    here.forecaster = forecaster;
    const rp_status status = bench_job_run(&here);
    const rp_status expected = status == RP_OK ? forecast_on_reference(m, &there, context, horizon) : RP_OK;
    if (status != RP_OK) { session_complain(m->session.device, status); }
    if (expected != RP_OK) { session_complain(m->reference.device, expected); }
    const bool mixed = m->session.model_info.precision == RP_PRECISION_MIXED, ran = status == RP_OK && expected == RP_OK;
    out->checked = ran;
    if (ran) { find_worst(&here, &there, context, horizon, mixed ? m->published->bound_mixed : m->published->bound_f32, out); }
    bool ok = ran && isfinite(out->error);
    if (ok && out->bound > 0 && !(out->error <= out->bound)) { ok = false; }
    if (ran && !ok) {
        complain("%s is not timed: its forecast is %.2g standard deviations of the series from that of ref, where %.2g are allowed in %s",
                 row->name, out->error, out->bound, precision_name(m->session.model_info.precision));
    }
    rp_forecaster_destroy(there.forecaster);
    bench_job_free(&here);
    bench_job_free(&there);
    return ok;
}
