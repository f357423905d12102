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

// The largest difference, in standard deviations of its own series; NaN counts as infinite.
static double worst(const bench_job *a, const bench_job *b, uint32_t context, uint32_t horizon) {
    double most = 0;
    for (size_t v = 0; v < (size_t)a->row->batch * a->row->variates; v++) {
        double mean = 0, squares = 0;
        const float *x = a->values + v * context;
        for (uint32_t t = 0; t < context; t++) { mean += (double)x[t] / context; }
        for (uint32_t t = 0; t < context; t++) { squares += ((double)x[t] - mean) * ((double)x[t] - mean); }
        for (size_t i = v * horizon; i < (v + 1) * horizon; i++) {
            const double error = fabs((double)a->out[i] - (double)b->out[i]) / sqrt(squares / context);
            if (!(error <= most)) { most = isnan(error) ? INFINITY : error; }
        }
    }
    return most;
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
    out->bound = mixed ? m->published->bound_mixed : m->published->bound_f32;
    out->error = ran ? worst(&here, &there, context, horizon) : 0;
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
