// Toto's tensors: every name, shape and place, from mapped files to one device buffer. No second copy on the host.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pairs.h"
#include "product.h"
#include "toto.h"

#define ALIGNMENT ((uint64_t)256)
#define F16_MOST 65504.0f              // the largest finite float16

// One tensor of the checkpoint and where it goes.
typedef struct wanted {
    const char *name, *older;      // full name; the name in older files, or NULL
    uint32_t dims[2], n_dims;
    rp_tensor **slot;              // gets the device tensor, shape as above; NULL: a part of one, at `into`
    rp_tensor **into;
    uint64_t into_offset;          // bytes
    bool qkv;                      // rows [3][d][h] become [3][h][d]
    bool gate;                     // rows [2][M] become [M / 8][2][8], see rp_linear_params.gated
    bool f16;                      // kept as float16
    bool product;                  // a matrix that products read
    const rp_weight *weight;       // found in the files
} wanted;

// What loading needs while it runs; the wanted list is in `arena`, which goes at the end.
typedef struct loader {
    toto_model *model;
    rp_device *device;
    rp_arena arena;
    wanted *list;
    uint32_t n, cap;
    rp_tensor *unembed_w, *unembed_b, *proj_w, *proj_b;   // only for folding
    rp_buffer *fold;                                      // holds them
    wanted nowhere;                                       // what is asked for after a failure ends here
    rp_status status;
} loader;

static wanted *want(loader *l, uint32_t rows, uint32_t columns, const char *name, const char *older) {
    if (l->status != RP_OK) { return &l->nowhere; }
    if (l->n == l->cap || name == NULL) {
        l->status = rp_fail(l->device, RP_OUT_OF_MEMORY, "Host memory ran out while listing the model's tensors.");
        return &l->nowhere;
    }
    wanted *w = &l->list[l->n++];
    *w = (wanted){ .name = name, .older = older, .dims = { rows, columns }, .n_dims = columns ? 2 : 1 };
    return w;
}

static wanted *want_slot(loader *l, rp_tensor **slot, uint32_t rows, uint32_t columns, const char *name, const char *older) {
    wanted *w = want(l, rows, columns, name, older);
    w->slot = slot;
    return w;
}

static wanted *want_product(loader *l, rp_tensor **slot, uint32_t rows, uint32_t columns, const char *name, const char *older) {
    wanted *w = want_slot(l, slot, rows, columns, name, older);
    w->product = true;
    return w;
}

static void want_layer(loader *l, uint32_t i) {
    const toto_config *c = &l->model->config;
    toto_layer *t = &l->model->layers[i];
    rp_arena *a = &l->arena;
    const uint32_t D = c->width, M = c->mlp;
    const bool mixed = l->model->mixed;
#define NAME(text) rp_arena_format(a, "model.transformer.layers.%u." text, i)
    want_slot(l, &t->norm1, D, 0, NAME("norm1.scale"), NULL);
    want_slot(l, &t->norm2, D, 0, NAME("norm2.scale"), NULL);
    wanted *w = want_product(l, &t->qkv_w, 3 * D, D, NAME("attention.wQKV.weight"), NULL);
    w->qkv = true, w->f16 = mixed;
    want_slot(l, &t->qkv_b, 3 * D, 0, NAME("attention.wQKV.bias"), NULL)->qkv = true;
    want_product(l, &t->out_w, D, D, NAME("attention.wO.weight"), NULL)->f16 = mixed;
    want_slot(l, &t->out_b, D, 0, NAME("attention.wO.bias"), NULL);
    w = want_product(l, &t->w12_w, 2 * M, D, NAME("mlp.0.w12.weight"), NAME("mlp.0.weight"));
    w->gate = rp_gate_turns(M), w->f16 = mixed;
    want_slot(l, &t->w12_b, 2 * M, 0, NAME("mlp.0.w12.bias"), NAME("mlp.0.bias"))->gate = rp_gate_turns(M);
    want_product(l, &t->w3_w, D, M, NAME("mlp.0.w3.weight"), NAME("mlp.2.weight"))->f16 = mixed;
    want_slot(l, &t->w3_b, D, 0, NAME("mlp.0.w3.bias"), NAME("mlp.2.bias"));
#undef NAME
}

static void want_all(loader *l, bool labels) {
    const toto_config *c = &l->model->config;
    static const char *const parts[] = { "df", "loc_proj", "scale_proj", "mixture_weights" };
    const uint32_t D = c->width, k = c->components;
    want_product(l, &l->model->embed_w, D, c->patch, "model.patch_embed.projection.weight", NULL);
    want_slot(l, &l->model->embed_b, D, 0, "model.patch_embed.projection.bias", NULL);
    for (uint32_t i = 0; i < c->layers; i++) { want_layer(l, i); }
    want_slot(l, &l->unembed_w, D * c->patch, D, "model.unembed.weight", NULL);
    want_slot(l, &l->unembed_b, D * c->patch, 0, "model.unembed.bias", NULL);
    for (uint32_t i = 0; i < c->parts; i++) {   // the projections stand one below the other: [parts k, D]
        wanted *w = want(l, k, D, rp_arena_format(&l->arena, "model.output_distribution.%s.weight", parts[i]), NULL);
        w->into = &l->proj_w, w->into_offset = (uint64_t)i * k * D * 4;
        w = want(l, k, 0, rp_arena_format(&l->arena, "model.output_distribution.%s.bias", parts[i]), NULL);
        w->into = &l->proj_b, w->into_offset = (uint64_t)i * k * 4;
    }
    if (labels) {
        want(l, D, 0, "model.target_variate_label", NULL)->into = &l->model->labels;
        wanted *w = want(l, D, 0, "model.exogenous_variate_label", NULL);
        w->into = &l->model->labels, w->into_offset = (uint64_t)D * 4;
    }
}

static const rp_weight *find(rp_weights *const *files, uint32_t n_files, const char *name) {
    const rp_weight *found = NULL;
    for (uint32_t i = n_files; i-- > 0 && found == NULL && name != NULL;) { found = rp_weights_find(files[i], name); }
    return found;
}

static rp_status check_shape(rp_device *device, const wanted *w) {
    const rp_weight *have = w->weight;
    bool same = have->n_dims == w->n_dims;
    for (uint32_t i = 0; same && i < w->n_dims; i++) { same = have->dims[i] == w->dims[i]; }
    if (same && (have->dtype == RP_F64 || have->dtype == RP_F32 || have->dtype == RP_F16 || have->dtype == RP_BF16)) { return RP_OK; }
    char text[96] = "";
    for (uint32_t i = 0, used = 0; i < have->n_dims && used + 24 < sizeof text; i++) {
        used += (uint32_t)snprintf(text + used, sizeof text - used, "%s%llu", i ? ", " : "", (unsigned long long)have->dims[i]);
    }
    return rp_fail(device, RP_BAD_FILE, "Tensor '%s' is %s [%s] where config.json asks for floating-point [%u%s%.0u].", have->name,
                   rp_dtype_name(have->dtype), text, w->dims[0], w->n_dims > 1 ? ", " : "", w->n_dims > 1 ? w->dims[1] : 0);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int by_weight(const void *a, const void *b) {
    const rp_weight *x = ((const wanted *)a)->weight, *y = ((const wanted *)b)->weight;
    return (x > y) - (x < y);
}

// Finds each wanted tensor and refuses what is left over: a file with more tensors than we use is not the model we think.
static rp_status match(loader *l, rp_weights *const *files, uint32_t n_files) {
    rp_error error;
    for (uint32_t i = 0; i < l->n; i++) {
        wanted *w = &l->list[i];
        w->weight = find(files, n_files, w->name);
        if (w->weight == NULL) { w->weight = find(files, n_files, w->older); }
        if (w->weight == NULL) {
            return rp_fail(l->device, RP_BAD_FILE, "Tensor '%s' is missing. The checkpoint does not belong to this config.json.", w->name);
        }
        RP_RETURN(check_shape(l->device, w));
        rp_status status = rp_weight_check_finite(w->weight, &error);
        if (status != RP_OK) { return rp_fail(l->device, status, "%s", error.text); }
    }
    wanted *sorted = rp_arena_alloc(&l->arena, l->n * sizeof *sorted);
    if (sorted == NULL) { return rp_fail(l->device, RP_OUT_OF_MEMORY, "Host memory ran out while matching tensors."); }
    memcpy(sorted, l->list, l->n * sizeof *sorted);
    qsort(sorted, l->n, sizeof *sorted, by_weight);
    for (uint32_t f = 0; f < n_files; f++) {
        for (uint32_t i = 0; i < rp_weights_count(files[f]); i++) {
            const wanted key = { .weight = rp_weights_get(files[f], i) };
            const char *name = key.weight->name;
            if (strncmp(name, "model.", 6) != 0 && f > 0) { continue; }   // goldens hold other tensors beside
            if (!ends_with(name, "rotary_emb.freqs") && bsearch(&key, sorted, l->n, sizeof *sorted, by_weight) == NULL) {
                return rp_fail(l->device, RP_BAD_FILE, "Tensor '%s' is not one that Toto 1.0 has.", name);
            }
        }
    }
    return RP_OK;
}

static uint64_t aligned(uint64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

// A tensor at the end of a buffer that is still being laid out, and so many bytes behind it.
static rp_tensor *lay(rp_arena *arena, rp_buffer *buffer, uint64_t *used, const char *name, rp_shape shape, uint64_t room) {
    rp_tensor *tensor = rp_tensor_bind(arena, name, shape, buffer, *used);
    if (tensor != NULL) { *used = aligned(*used + rp_tensor_bytes(tensor) + room); }
    return tensor;
}

// Places every tensor; with buffers NULL this only measures. Names are copied: the files are closed after loading.
static rp_status place(loader *l, rp_buffer *weights, rp_buffer *fold, uint64_t *weights_bytes, uint64_t *fold_bytes) {
    toto_model *m = l->model;
    const toto_config *c = &m->config;
    rp_arena *a = &m->arena;
    const uint32_t D = c->width, outputs = c->parts * c->components;
    *weights_bytes = *fold_bytes = 0;
    bool ok = true;
    for (uint32_t i = 0; i < l->n; i++) {
        const wanted *w = &l->list[i];
        if (w->slot == NULL) { continue; }
        const bool only_fold = w->slot == &l->unembed_w || w->slot == &l->unembed_b;
        const rp_shape shape = rp_shape_of(w->f16 ? RP_F16 : RP_F32, w->n_dims, w->dims);
        *w->slot = lay(a, only_fold ? fold : weights, only_fold ? fold_bytes : weights_bytes, rp_arena_format(a, "%s", w->name), shape,
                       w->product ? rp_pairs_room(l->device, shape) : 0);
        ok = ok && *w->slot != NULL;
    }
    l->proj_w = lay(a, fold, fold_bytes, "projections", RP_SHAPE(RP_F32, outputs, D), 0);
    l->proj_b = lay(a, fold, fold_bytes, "projection biases", RP_SHAPE(RP_F32, outputs), 0);
    const rp_shape head = RP_SHAPE(m->mixed ? RP_F16 : RP_F32, c->patch, outputs, D);
    m->head_w = lay(a, weights, weights_bytes, "head", head, rp_pairs_room(l->device, head));
    m->head_b = lay(a, weights, weights_bytes, "head bias", RP_SHAPE(RP_F32, c->patch, outputs), 0);
    const bool has_labels = l->list[l->n - 1].into == &m->labels;
    if (has_labels) { m->labels = lay(a, weights, weights_bytes, "labels", RP_SHAPE(RP_F32, 2, D), 0); }
    ok = ok && l->proj_w && l->proj_b && m->head_w && m->head_b && (m->labels || !has_labels);
    return ok ? RP_OK : rp_fail(l->device, RP_OUT_OF_MEMORY, "Host memory ran out while placing the model's tensors.");
}

// Where row `to` of a reordered tensor comes from.
static size_t row_from(const toto_config *c, const wanted *w, size_t to) {
    if (w->gate) {
        const size_t block = to / RP_LINEAR_GATE;
        return block % 2 * c->mlp + block / 2 * RP_LINEAR_GATE + to % RP_LINEAR_GATE;
    }
    const size_t d = toto_head_width(c), h = c->heads;
    return (to / (h * d) * d + to % d) * h + to / d % h;
}

// A copy of this one tensor with its rows in working order.
static void *reordered(const toto_config *c, const wanted *w) {
    const rp_weight *weight = w->weight;
    const size_t row_bytes = weight->bytes / weight->dims[0];
    char *out = malloc(weight->bytes);
    for (size_t row = 0; out != NULL && row < weight->dims[0]; row++) {
        memcpy(out + row * row_bytes, (const char *)weight->data + row_from(c, w, row) * row_bytes, row_bytes);
    }
    return out;
}

// label / max(|label|, 1e-12), in float64.
static rp_status upload_label(loader *l, const wanted *w) {
    double *label = malloc(w->weight->count * sizeof *label), square = 0;
    if (label == NULL) { return rp_fail(l->device, RP_OUT_OF_MEMORY, "Host memory ran out while reading '%s'.", w->name); }
    rp_convert(label, RP_F64, w->weight->data, w->weight->dtype, w->weight->count);
    for (uint64_t i = 0; i < w->weight->count; i++) { square += label[i] * label[i]; }
    for (uint64_t i = 0; i < w->weight->count; i++) { label[i] /= fmax(sqrt(square), 1e-12); }
    const rp_tensor *to = *w->into;
    rp_status status = l->device->backend->write(to->buffer, to->offset + w->into_offset, RP_F32, label, RP_F64, w->weight->count);
    free(label);
    return status;
}

static rp_status upload(loader *l, const wanted *w) {
    const rp_backend *backend = l->device->backend;
    const rp_weight *from = w->weight;
    if (w->into != NULL && w->into == &l->model->labels) { return upload_label(l, w); }
    const rp_tensor *to = w->slot ? *w->slot : *w->into;
    const uint64_t offset = to->offset + w->into_offset;
    const rp_dtype kept = w->f16 ? RP_F16 : RP_F32;
    if (!w->qkv && !w->gate) { return backend->write(to->buffer, offset, kept, from->data, from->dtype, from->count); }
    void *rows = reordered(&l->model->config, w);
    if (rows == NULL) { return rp_fail(l->device, RP_OUT_OF_MEMORY, "Host memory ran out while reading '%s'.", w->name); }
    rp_status status = backend->write(to->buffer, offset, kept, rows, from->dtype, from->count);
    free(rows);
    return status;
}

// Sums of products of weights that fit need not fit themselves. A row at a time would wait for the device each time.
static rp_status check_head(loader *l) {
    const rp_tensor *head = l->model->head_w;
    const uint64_t count = rp_tensor_count(head);
    float *values = malloc(count * sizeof *values);
    if (values == NULL) { return rp_fail(l->device, RP_OUT_OF_MEMORY, "Host memory ran out while checking the folded head."); }
    rp_status status = l->device->backend->read(head->buffer, head->offset, RP_F16, values, RP_F32, count);
    bool fits = true;
    for (uint64_t i = 0; i < count; i++) { fits &= fabsf(values[i]) <= F16_MOST; }
    free(values);
    if (status == RP_OK && !fits) {
        status = rp_fail(l->device, RP_UNSUPPORTED, "The model's head, folded into one matrix, leaves float16's range; use precision f32.");
    }
    return status;
}

static rp_status fold(loader *l) {
    const toto_config *c = &l->model->config;
    rp_graph *graph = rp_graph_create(l->device, &l->arena, "fold");
    if (graph == NULL) { return rp_fail(l->device, RP_OUT_OF_MEMORY, "Host memory ran out while folding the head."); }
    const struct rp_fold_head_params params = { c->patch, c->width, c->parts * c->components, l->model->mixed };
    rp_tensor *in[] = { l->unembed_w, l->unembed_b, l->proj_w, l->proj_b }, *out[] = { l->model->head_w, l->model->head_b };
    rp_graph_add(graph, RP_OP_FOLD_HEAD, "head", &params, sizeof params, in, out);
    rp_plan *plan;
    RP_RETURN(rp_plan_create(graph, &plan));
    RP_RETURN(l->device->backend->run(l->device, plan));
    return l->model->mixed ? check_head(l) : RP_OK;
}

static rp_status make_pairs(loader *l) {
    uint32_t n = 0;
    rp_tensor ***slots = rp_arena_alloc(&l->arena, (l->n + 1) * sizeof *slots);
    if (slots == NULL) { return rp_fail(l->device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model."); }
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->list[i].product) { slots[n++] = l->list[i].slot; }
    }
    slots[n++] = &l->model->head_w;
    return rp_pairs_make(l->device, &l->model->arena, slots, n);
}

rp_status toto_weights_load(toto_model *model, rp_weights *const *files, uint32_t n_files) {
    rp_status status = RP_OK;
    rp_device *device = model->base.device;
    loader l = { .model = model, .device = device };
    const toto_config *c = &model->config;
    uint64_t weights_bytes, fold_bytes;
    l.cap = 32 + 10 * c->layers;
    l.list = rp_arena_alloc(&l.arena, l.cap * sizeof *l.list);
    model->layers = rp_arena_alloc(&model->arena, c->layers * sizeof *model->layers);
    if (l.list == NULL || model->layers == NULL) { l.status = rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model."); }
    RP_TRY(l.status);
    want_all(&l, find(files, n_files, "model.target_variate_label") || find(files, n_files, "model.exogenous_variate_label"));
    RP_TRY(l.status);
    RP_TRY(match(&l, files, n_files));
    RP_TRY(place(&l, NULL, NULL, &weights_bytes, &fold_bytes));
    RP_TRY(device->backend->buffer_create(device, weights_bytes, RP_MEMORY_DEVICE, &model->base.weights));
    RP_TRY(device->backend->buffer_create(device, fold_bytes, RP_MEMORY_DEVICE, &l.fold));
    RP_TRY(place(&l, model->base.weights, l.fold, &weights_bytes, &fold_bytes));
    for (uint32_t i = 0; i < l.n; i++) {
        RP_TRY(upload(&l, &l.list[i]));
        model->base.info.parameters += l.list[i].weight->count;
    }
    RP_TRY(fold(&l));
    RP_TRY(make_pairs(&l));
    model->base.info.device_bytes = weights_bytes;
cleanup:
    if (l.fold != NULL) { device->backend->buffer_destroy(l.fold); }
    rp_arena_destroy(&l.arena);
    return status;
}

rp_status toto_weights_fit_f16(rp_device *device, const toto_config *config, rp_weights *const *files, uint32_t n_files) {
    if (config->width % RP_LINEAR_MIXED_STEP != 0 || config->mlp % RP_LINEAR_GATE != 0) {
        return rp_fail(device, RP_UNSUPPORTED, "Precision mixed needs widths that are multiples of 8, not %u and %u; use f32.", config->width,
                       config->mlp);
    }
    for (uint32_t f = 0; f < n_files; f++) {
        for (uint32_t i = 0; i < rp_weights_count(files[f]); i++) {
            const rp_weight *weight = rp_weights_get(files[f], i);
            const bool large = strstr(weight->name, ".layers.") != NULL && weight->n_dims == 2;
            const bool known = weight->dtype == RP_F64 || weight->dtype == RP_F32 || weight->dtype == RP_BF16;
            if (large && known && !rp_weight_fits_f16(weight)) {
                return rp_fail(device, RP_UNSUPPORTED, "Tensor '%s' leaves float16's range; use precision f32.", weight->name);
            }
        }
    }
    return RP_OK;
}
