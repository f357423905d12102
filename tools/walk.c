// Two devices, node by node; see walk.h.
#include "walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "family.h"
#include "tolerance.h"

// The bindings of one node in a buffer apart: where each begins, and what it holds.
typedef struct apart {
    const rp_launch *launch[2];
    const rp_tensor *tensor[RP_MAX_BINDINGS];
    uint64_t at[RP_MAX_BINDINGS];        // byte in the scratch buffer
    uint64_t bytes;                      // of it all
    tolerance_case judged;               // the inputs, as both devices are handed them
} apart;

#define ALIGNMENT ((uint64_t)256)

uint32_t walk_reference(const walk *w) {
    return w->device[0]->info.kind != RP_DEVICE_REFERENCE && w->device[1]->info.kind == RP_DEVICE_REFERENCE;
}

static bool fail(walk *w, uint32_t which, rp_status status) {
    char text[sizeof w->error.text];
    rp_device_copy_error(w->device[which], text, sizeof text);
    return message_set(&w->error, "%s", text[0] ? text : rp_status_text(status));
}

// What a family builds may depend on the kernels that a device has.
static void make_alike(rp_device *a, rp_device *b) {
    const bool any_a = a->info.kind == RP_DEVICE_REFERENCE, any_b = b->info.kind == RP_DEVICE_REFERENCE;   // it runs any graph
    a->clusters = b->clusters = any_a ? b->clusters : any_b ? a->clusters : a->clusters && b->clusters;
    a->wgmma = b->wgmma = any_a ? b->wgmma : any_b ? a->wgmma : a->wgmma && b->wgmma;
}

rp_status walk_open(walk *w, uint32_t which, const char *spec, rp_precision precision) {
    rp_device_config config = RP_DEVICE_CONFIG_INIT;
    config.direct = 1;
    RP_RETURN(rp_device_create(spec, &config, &w->device[which]));
    if (w->device[which]->info.kind == RP_DEVICE_REFERENCE && precision == RP_PRECISION_MIXED) { w->device[which]->info.mixed = 1; }
    if (w->device[0] != NULL && w->device[1] != NULL) { make_alike(w->device[0], w->device[1]); }
    return RP_OK;
}

// ---- one node ----

static rp_status run_one(rp_device *device, const rp_plan *plan, rp_launch *launch) {
    rp_plan one = { .name = plan->name, .graph = plan->graph, .n_launches = 1, .launches = launch };
    return device->backend->run(device, &one);
}

// Integers by value, everything else as float64; to be freed.
static rp_status read_numbers(rp_device *device, const rp_buffer *buffer, uint64_t offset, const rp_tensor *t, double **out) {
    const uint64_t count = rp_tensor_count(t);
    rp_status status;
    *out = take(count + 1, sizeof **out);
    if (t->dtype == RP_U32 || t->dtype == RP_I32) {
        uint32_t *words = take(count + 1, sizeof *words);
        status = device->backend->read((rp_buffer *)(uintptr_t)buffer, offset, t->dtype, words, t->dtype, count);
        for (uint64_t i = 0; i < count; i++) { (*out)[i] = t->dtype == RP_I32 ? (double)(int32_t)words[i] : (double)words[i]; }
        free(words);
    } else {
        status = device->backend->read((rp_buffer *)(uintptr_t)buffer, offset, t->dtype, *out, RP_F64, count);
    }
    return status;
}

static bool one_place(const rp_launch *launch, const apart *n, uint32_t index, const rp_binding *own) {
    const rp_binding *other = &launch->binding[index];
    return n->tensor[index] != NULL && other->buffer == own->buffer && other->offset == own->offset;
}

static void lay_apart(const rp_plan *const plan[2], uint32_t index, apart *n) {
    const rp_node *node = &plan[0]->graph->nodes[index];
    const rp_launch *launch = &plan[0]->launches[index];
    *n = (apart){ .launch = { launch, &plan[1]->launches[index] }, .judged = { .op = launch->op } };
    memcpy(n->judged.params, launch->params, sizeof n->judged.params);
    for (uint32_t j = 0; j < launch->n_bindings; j++) {
        const rp_binding *own = &launch->binding[j];
        n->tensor[j] = j < launch->n_in ? node->in[j] : node->out[j - launch->n_in];
        if (n->tensor[j] == NULL) { continue; }
        // A tensor that is read and written stands twice, and so it must here.
        uint32_t same = 0;
        while (same < j && !one_place(launch, n, same, own)) { same++; }
        if (same < j) {
            n->at[j] = n->at[same];
            continue;
        }
        uint64_t bytes = own->bytes;
        for (uint32_t k = j + 1; k < launch->n_bindings; k++) {
            const rp_binding *other = &launch->binding[k];
            if (other->buffer == own->buffer && other->offset == own->offset && other->bytes > bytes) { bytes = other->bytes; }
        }
        n->at[j] = n->bytes;
        n->bytes += (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    }
}

static void free_apart(apart *n) {
    for (uint32_t j = 0; j < RP_MAX_BINDINGS; j++) { free(n->judged.tensor[j].data); }
}

// What the first device is about to read, in the tensors' own types.
static rp_status take_inputs(walk *w, apart *n) {
    rp_device *device = w->device[0];
    for (uint32_t j = 0; j < n->launch[0]->n_in; j++) {
        const rp_tensor *t = n->tensor[j];
        const rp_binding *from = &n->launch[0]->binding[j];
        if (t == NULL) { continue; }
        tolerance_tensor *x = &n->judged.tensor[j];
        *x = (tolerance_tensor){ t->dtype, rp_tensor_count(t), take(rp_tensor_count(t) + 1, rp_dtype_size(t->dtype)) };
        if (x->count > 0) { RP_RETURN(device->backend->read(from->buffer, from->offset, x->dtype, x->data, x->dtype, x->count)); }
    }
    return RP_OK;
}

static rp_status grow_scratch(walk *w, uint32_t which, uint64_t bytes) {
    rp_device *device = w->device[which];
    if (w->scratch[which] != NULL && w->scratch[which]->bytes >= bytes) { return RP_OK; }
    device->backend->buffer_destroy(w->scratch[which]);
    w->scratch[which] = NULL;
    return device->backend->buffer_create(device, bytes, RP_MEMORY_DEVICE, &w->scratch[which]);
}

// Runs the node apart on one device, with zeros where it writes; out[i] is output i, to be freed.
static rp_status run_apart(walk *w, uint32_t which, const rp_plan *plan, const apart *n, double **out) {
    rp_device *device = w->device[which];
    const rp_backend *backend = device->backend;
    rp_launch launch = *n->launch[which];
    RP_RETURN(grow_scratch(w, which, n->bytes));
    for (uint32_t j = 0; j < launch.n_bindings; j++) {
        const rp_tensor *t = n->tensor[j];
        if (t == NULL) { continue; }
        launch.binding[j] = (rp_binding){ w->scratch[which], n->at[j], launch.binding[j].bytes };
        if (j < launch.n_in || rp_tensor_count(t) == 0) { continue; }
        void *zeros = take(rp_tensor_count(t), rp_dtype_size(t->dtype));
        rp_status status = backend->write(w->scratch[which], n->at[j], t->dtype, zeros, t->dtype, rp_tensor_count(t));
        free(zeros);
        RP_RETURN(status);
    }
    for (uint32_t j = 0; j < launch.n_in; j++) {   // after the zeros: what is read and written holds its input
        const tolerance_tensor *x = &n->judged.tensor[j];
        if (x->count > 0) { RP_RETURN(backend->write(w->scratch[which], n->at[j], x->dtype, x->data, x->dtype, x->count)); }
    }
    RP_RETURN(run_one(device, plan, &launch));
    for (uint32_t j = launch.n_in; j < launch.n_bindings; j++) {
        if (n->tensor[j] != NULL) { RP_RETURN(read_numbers(device, w->scratch[which], n->at[j], n->tensor[j], &out[j - launch.n_in])); }
    }
    return RP_OK;
}

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

// Where neither device is the reference, both may be off by the tolerance. What must stay as it was may be a slot that nothing has been
// written to yet, and holds anything.
static void judge(const walk *w, const apart *n, double *const *ref, double *const *got, double *const *magnitude, walk_node *out) {
    const bool exact = w->device[0]->info.kind == RP_DEVICE_REFERENCE || w->device[1]->info.kind == RP_DEVICE_REFERENCE;
    const rp_launch *launch = n->launch[0];
    out->ratio = -1;
    for (uint32_t j = launch->n_in; j < launch->n_bindings; j++) {
        const uint32_t o = j - launch->n_in;
        for (uint64_t i = 0; n->tensor[j] != NULL && i < rp_tensor_count(n->tensor[j]); i++) {
            const double r = ref[o][i], g = got[o][i], m = magnitude[o] ? magnitude[o][i] : fabs(r);
            const double tol = (exact ? 1 : 2) * tolerance_allowed(&n->judged, o, i, r, m);
            out->compared++;
            if (isinf(tol)) {
                out->ignored++;
                if (!isnan(g) && !isnan(r)) { continue; }
            }
            // Zeros of either sign are one to a model; the tests, whose cases are made for it, tell them apart.
            const double e = g == r || (tol <= 0 && same(g, r)) ? 0 : tolerance_ratio(g, r, tol);
            if (!(e <= 1)) { out->failed++; }
            if (!(e <= out->ratio) && !isnan(out->ratio)) { out->ratio = e, out->got = g, out->ref = r, out->tol = tol, out->output = o, out->at = i; }
        }
    }
    if (out->ratio < 0) { out->ratio = 0; }
}

static rp_status measure_apart(walk *w, const rp_plan *const plan[2], apart *n, walk_node *out) {
    double *ref[RP_MAX_BINDINGS] = { 0 }, *got[RP_MAX_BINDINGS] = { 0 }, *magnitude[RP_MAX_BINDINGS] = { 0 };
    rp_status status = RP_OK;
    const uint32_t of = walk_reference(w);
    tolerance_begin(&n->judged);
    w->status[of] = status = run_apart(w, of, plan[of], n, ref);
    if (status == RP_OK) { w->status[1 - of] = status = run_apart(w, 1 - of, plan[1 - of], n, got); }
    apart absolute = *n;
    for (uint32_t j = 0; j < RP_MAX_BINDINGS && status == RP_OK; j++) {
        const tolerance_tensor *x = &n->judged.tensor[j];
        if (x->data == NULL) { continue; }
        const size_t bytes = (size_t)x->count * rp_dtype_size(x->dtype);
        absolute.judged.tensor[j].data = memcpy(take(bytes + 1, 1), x->data, bytes);
    }
    if (status == RP_OK) {
        if (tolerance_absolute(&absolute.judged)) { w->status[of] = status = run_apart(w, of, plan[of], &absolute, magnitude); }
        free_apart(&absolute);
    }
    if (status == RP_OK) { judge(w, n, ref, got, magnitude, out); }
    for (uint32_t o = 0; o < RP_MAX_BINDINGS; o++) { free(ref[o]), free(got[o]), free(magnitude[o]); }
    return status;
}

// The outputs of a node in its own place, on both devices.
typedef struct own_outputs { double *x[2][RP_MAX_BINDINGS]; } own_outputs;

static rp_status take_outputs(walk *w, const apart *n, own_outputs *out) {
    *out = (own_outputs){ 0 };
    for (uint32_t d = 0; d < 2; d++) {
        for (uint32_t j = n->launch[d]->n_in; j < n->launch[d]->n_bindings; j++) {
            const rp_binding *at = &n->launch[d]->binding[j];
            if (n->tensor[j] == NULL) { continue; }
            w->status[d] = read_numbers(w->device[d], at->buffer, at->offset, n->tensor[j], &out->x[d][j - n->launch[d]->n_in]);
            RP_RETURN(w->status[d]);
        }
    }
    return RP_OK;
}

static void free_outputs(own_outputs *o) {
    for (uint32_t i = 0; i < RP_MAX_BINDINGS; i++) { free(o->x[0][i]), free(o->x[1][i]); }
}

// How far apart the node's outputs are where each device has gone its own way. What neither device has changed was not written, and
// may never have been: a cache's slots to come hold anything.
static void measure_drift(const apart *n, const own_outputs *before, const own_outputs *after, walk_node *out) {
    // Copies move words of whatever type, which the reference keeps in its own way.
    if (n->launch[0]->op == RP_OP_COPY || n->launch[0]->op == RP_OP_BROADCAST) { return; }
    for (uint32_t j = n->launch[0]->n_in; j < n->launch[0]->n_bindings; j++) {
        const rp_tensor *t = n->tensor[j];
        const uint32_t o = j - n->launch[0]->n_in;
        double largest = 0, apart_by = 0, differ = 0;
        for (uint64_t i = 0; t != NULL && i < rp_tensor_count(t); i++) {
            const double a = after->x[0][o][i], b = after->x[1][o][i];
            if (same(before->x[0][o][i], a) && same(before->x[1][o][i], b)) { continue; }
            largest = fmax(largest, fabs(a));
            apart_by = fmax(apart_by, fabs(a - b));
            differ += a != b;
        }
        if (t != NULL && (t->dtype == RP_U32 || t->dtype == RP_I32)) {
            out->moved += differ;
        } else if (largest > 0) {
            out->drift = fmax(out->drift, apart_by / largest);
        }
    }
}

static walk_node *add_node(walk *w) {
    if (w->n_nodes == w->cap_nodes) {
        w->cap_nodes = w->cap_nodes ? 2 * w->cap_nodes : 256;
        w->nodes = take_again(w->nodes, w->cap_nodes, sizeof *w->nodes);
    }
    w->nodes[w->n_nodes] = (walk_node){ 0 };
    return &w->nodes[w->n_nodes++];
}

static rp_status walk_one(walk *w, const rp_plan *const plan[2], uint32_t index) {
    apart n;
    walk_node *out = add_node(w);
    lay_apart(plan, index, &n);
    *out = (walk_node){ .plan = plan[0]->name, .label = n.launch[0]->label, .op = rp_op_table[n.launch[0]->op].name,
                        .kernel = { n.launch[0]->kernel, n.launch[1]->kernel }, .replay = (uint32_t)w->next - 1, .index = index };
    own_outputs before = { 0 }, after = { 0 };
    rp_status status = w->status[0] = take_inputs(w, &n);
    if (status == RP_OK) { status = take_outputs(w, &n, &before); }
    for (uint32_t d = 0; d < 2 && status == RP_OK; d++) {
        rp_launch own = *n.launch[d];
        w->status[d] = status = run_one(w->device[d], plan[d], &own);
    }
    if (status == RP_OK) { status = take_outputs(w, &n, &after); }
    if (status == RP_OK) { measure_drift(&n, &before, &after, out); }
    free_outputs(&before);
    free_outputs(&after);
    if (status == RP_OK) { status = measure_apart(w, plan, &n, out); }
    free_apart(&n);
    if (status == RP_OK && out->failed > 0 && w->failed++ == 0) { w->first_failed = w->n_nodes - 1; }
    return status;
}

// ---- plans ----

static bool alike(const rp_tensor *a, const rp_tensor *b) {
    return (a == NULL) == (b == NULL) && (a == NULL || (a->dtype == b->dtype && rp_tensor_count(a) == rp_tensor_count(b)));
}

static bool same_plan(walk *w, const rp_plan *const plan[2]) {
    bool same = plan[0]->n_launches == plan[1]->n_launches;
    for (uint32_t i = 0; same && i < plan[0]->n_launches; i++) {
        const rp_node *a = &plan[0]->graph->nodes[i], *b = &plan[1]->graph->nodes[i];
        same = a->op == b->op && memcmp(a->params, b->params, sizeof a->params) == 0;
        for (uint32_t j = 0; same && j < RP_MAX_BINDINGS; j++) { same = alike(a->in[j], b->in[j]) && alike(a->out[j], b->out[j]); }
        if (!tolerance_known(a->op)) {
            return message_set(&w->error, "the op '%s' has no rule that says how far it may be off (tools/tolerance.c)", rp_op_table[a->op].name);
        }
    }
    return same || message_set(&w->error, "the graphs '%s' of %s and %s are not the same: compare them in one --precision", plan[0]->name,
                               w->device[0]->info.spec, w->device[1]->info.spec);
}

// The second device's replays are only noted at first, its inputs written ..
static rp_status note_plan(void *user, rp_device *device, const rp_plan *plan) {
    walk *w = user;
    (void)device;
    if (w->n_plans == w->cap_plans) {
        w->cap_plans = w->cap_plans ? 2 * w->cap_plans : 64;
        w->plans = take_again(w->plans, w->cap_plans, sizeof *w->plans);
    }
    w->plans[w->n_plans++] = plan;
    return RP_OK;
}

// .. then run beside the first device's ..
static rp_status walk_plan(void *user, rp_device *device, const rp_plan *plan) {
    walk *w = user;
    rp_status status = RP_OK;
    if (w->next == w->n_plans) { return rp_fail(device, RP_INTERNAL, "%s asks for more replays than %s.", device->info.spec, w->device[1]->info.spec); }
    const rp_plan *const pair[2] = { plan, w->plans[w->next++] };
    if (!same_plan(w, pair)) { return rp_fail(device, RP_UNSUPPORTED, "%s", w->error.text); }
    for (uint32_t i = 0; i < plan->n_launches && status == RP_OK; i++) { status = walk_one(w, pair, i); }
    return status;
}

// .. and its results, which are there by then, are taken by asking once more.
static rp_status pass_by(void *user, rp_device *device, const rp_plan *plan) {
    (void)user, (void)device, (void)plan;
    return RP_OK;
}

bool walk_run(walk *w, sample *a, sample *b) {
    for (uint32_t d = 0; d < 2; d++) { w->device[d]->watch_user = w; }
    w->device[1]->watch = note_plan;
    rp_status status = sample_forecast(b, w->forecaster[1]);
    if (status != RP_OK) { return fail(w, 1, status); }
    w->device[0]->watch = walk_plan;
    status = sample_forecast(a, w->forecaster[0]);
    if (status != RP_OK) { return fail(w, w->status[1] != RP_OK ? 1 : 0, status); }
    w->device[1]->watch = pass_by;
    status = sample_forecast(b, w->forecaster[1]);
    w->device[0]->watch = w->device[1]->watch = NULL;
    return status == RP_OK || fail(w, 1, status);
}

void walk_free(walk *w) {
    for (uint32_t d = 0; d < 2; d++) {
        if (w->scratch[d] != NULL) { w->device[d]->backend->buffer_destroy(w->scratch[d]); }
        w->scratch[d] = NULL;
    }
    free(w->nodes), free(w->plans);
    w->nodes = NULL, w->plans = NULL;
    w->n_nodes = w->n_plans = w->next = 0;
}
