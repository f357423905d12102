// The figures of `reprise bench` as one JSON document; docs/benchmarks.md states its schema.
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "describe.h"
#include "draft.h"

// cJSON's adders return NULL where memory ran out, and take NULL then; the text is NULL in the end.
static void add(cJSON *to, const char *name, double number) { cJSON_AddNumberToObject(to, name, number); }

static void add_rates(cJSON *to, double bytes, double flops, double seconds) {
    add(to, "bytes_per_s", seconds > 0 ? bytes / seconds : 0);
    add(to, "flops_per_s", seconds > 0 ? flops / seconds : 0);
}

static void add_ops(cJSON *to, const bench_graph *g) {
    add(to, "replay_us", g->replay_us);
    add(to, "ops_us", g->ops_us);
    cJSON *ops = cJSON_AddArrayToObject(to, "ops");
    for (size_t i = 0; i < g->n_ops; i++) {
        const bench_op *op = &g->ops[i];
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "label", op->label);
        cJSON_AddStringToObject(o, "kernel", op->kernel);
        add(o, "launches", op->count);
        add(o, "us", op->us);
        add(o, "bytes", (double)op->cost.bytes);
        add(o, "flops", (double)op->cost.flops);
        add_rates(o, (double)op->cost.bytes, (double)op->cost.flops, op->us * 1e-6);
        add(o, "share", g->ops_us > 0 ? op->us * op->count / g->ops_us : 0);
        cJSON_AddItemToArray(ops, o);
    }
}

static cJSON *graph_of(const bench_graph *g) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", g->name);
    add(o, "replays", g->replays);
    add(o, "nodes", g->nodes);
    add(o, "bytes", (double)g->cost.bytes);
    add(o, "flops", (double)g->cost.flops);
    add(o, "record_ms", g->record_ms);
    if (g->n_ops > 0) { add_ops(o, g); }
    return o;
}

static void add_check(cJSON *to, const bench_result *r) {
    cJSON *check = cJSON_AddObjectToObject(to, "check");
    cJSON_AddBoolToObject(check, "finite", true);          // what is not is not timed
    cJSON_AddBoolToObject(check, "same_bits", true);
    if (!r->checked) { return; }
    add(check, "error_vs_ref", r->error);
    if (r->bound > 0) { add(check, "bound", r->bound); }
}

static cJSON *row_of(const bench_model *m, const bench_result *r) {
    const double seconds = r->ms.median * 1e-3;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "row", r->row->name);
    add(o, "variates", r->row->variates), add(o, "series", r->row->batch), add(o, "context", r->row->context);
    add(o, "horizon", r->row->horizon), add(o, "paths", r->row->paths);
    cJSON *ms = cJSON_AddObjectToObject(o, "ms");
    add(ms, "n", r->ms.n), add(ms, "median", r->ms.median), add(ms, "min", r->ms.min), add(ms, "max", r->ms.max);
    add(ms, "mean", r->ms.mean), add(ms, "sigma", r->ms.sigma);
    add(o, "create_ms", r->create_ms), add(o, "first_forecast_ms", r->first_ms);
    add(o, "to_first_forecast_ms", bench_to_first_ms(m, r));
    add_check(o, r);
    add(o, "forecaster_bytes", (double)r->forecaster_bytes), add(o, "peak_bytes", (double)r->peak_bytes);
    add(o, "recordings", (double)r->recordings), add(o, "recordings_after_first", (double)r->rerecordings);
    add(o, "allocations_after_create", (double)r->allocations);
    add(o, "bytes", (double)r->cost.bytes), add(o, "flops", (double)r->cost.flops);
    add_rates(o, (double)r->cost.bytes, (double)r->cost.flops, seconds);
    add(o, "share_of_copy", (double)r->cost.bytes / seconds / m->rates.copy_bytes_per_s);
    add(o, "share_of_products", (double)r->cost.flops / seconds / m->rates.matrix_flops_per_s);
    cJSON *graphs = cJSON_AddArrayToObject(o, "graphs");
    for (uint32_t i = 0; i < r->n_graphs; i++) { cJSON_AddItemToArray(graphs, graph_of(&r->graphs[i])); }
    return o;
}

static cJSON *model_of(const bench_model *m) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "model", m->published->name);
    cJSON_AddStringToObject(o, "family", m->session.model_info.family);
    cJSON_AddStringToObject(o, "precision", precision_name(m->session.model_info.precision));
    add(o, "parameters", (double)m->session.model_info.parameters);
    add(o, "make_weights_ms", m->make_ms), add(o, "device_open_ms", m->open_ms), add(o, "load_ms", m->load_ms);
    add(o, "weights_bytes", (double)m->session.model_info.device_bytes), add(o, "load_peak_bytes", (double)m->load_peak_bytes);
    add(o, "copy_bytes_per_s", m->rates.copy_bytes_per_s), add(o, "matrix_flops_per_s", m->rates.matrix_flops_per_s);
    cJSON *rows = cJSON_AddArrayToObject(o, "rows");
    for (size_t i = 0; i < m->n_results; i++) { cJSON_AddItemToArray(rows, row_of(m, &m->results[i])); }
    return o;
}

static cJSON *document_of(const bench_model *models, size_t n) {
    char text[64];
    const uint32_t v = rp_version();
    const time_t now = time(NULL);
    cJSON *o = cJSON_CreateObject(), *device = NULL, *list = NULL;
    cJSON_AddStringToObject(o, "schema", "reprise-bench-1");
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    cJSON_AddStringToObject(o, "date", text);
    snprintf(text, sizeof text, "%u.%u.%u", v >> 16, v >> 8 & 255, v & 255);
    cJSON_AddStringToObject(o, "version", text);
    if (RP_DESCRIBE[0]) { cJSON_AddStringToObject(o, "source", RP_DESCRIBE); }
    device = cJSON_AddObjectToObject(o, "device");
    cJSON_AddStringToObject(device, "spec", models[0].session.device_info.spec);
    cJSON_AddStringToObject(device, "name", models[0].session.device_info.name);
    cJSON_AddStringToObject(device, "driver", models[0].session.device_info.detail);
    add(device, "memory_bytes", (double)models[0].session.device_info.memory_bytes);
    list = cJSON_AddArrayToObject(o, "models");
    for (size_t i = 0; i < n; i++) { cJSON_AddItemToArray(list, model_of(&models[i])); }
    return o;
}

bool bench_json_write(const char *path, const bench_model *models, size_t n, message *error) {
    cJSON *document = document_of(models, n);
    char *text = cJSON_Print(document);
    cJSON_Delete(document);
    if (text == NULL) { return message_set(error, "memory ran out while writing %s", path); }
    const bool ok = draft_text(path, text, error);
    cJSON_free(text);
    return ok;
}
