#include "loader.h"
#include "pairs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT ((uint64_t)256)
#define PIECE 1048576u             // numbers that are changed on their way at a time: 8 MB
#define F16_MOST 65519.9           // what rounds to the largest finite float16, 65504

static rp_status no_memory(const rp_loader *l) {
    return rp_fail(l->device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model.");
}

rp_status rp_loader_begin(rp_loader *l, rp_device *device, rp_arena *keep) {
    *l = (rp_loader){ .device = device, .keep = keep };
    return RP_OK;
}

// Doubles an array in the arena; the old one is left to the arena.
static void *grow(rp_loader *l, void *old, uint32_t n, uint32_t *cap, size_t size) {
    if (n < *cap) { return old; }
    void *array = rp_arena_alloc(&l->arena, (*cap ? *cap * 2 : 64) * size);
    if (array == NULL) {
        l->status = no_memory(l);
        return NULL;
    }
    if (n > 0) { memcpy(array, old, n * size); }
    *cap = *cap ? *cap * 2 : 64;
    return array;
}

rp_loader_target *rp_loader_target_add(rp_loader *l, rp_tensor **slot, bool scratch, const char *name, rp_shape shape) {
    if (l->status != RP_OK) { return &l->no_target; }
    const char *kept = name ? rp_arena_format(l->keep, "%s", name) : NULL;
    void *array = grow(l, l->targets, l->n_targets, &l->cap_targets, sizeof *l->targets);
    if (kept == NULL && l->status == RP_OK) { l->status = no_memory(l); }
    if (l->status != RP_OK) { return &l->no_target; }
    l->targets = array;
    l->targets[l->n_targets] = (rp_loader_target){ .slot = slot, .name = kept, .shape = shape, .scratch = scratch };
    return &l->targets[l->n_targets++];
}

rp_loader_part *rp_loader_part_add(rp_loader *l, rp_tensor **slot, uint64_t at, rp_weights *file, uint32_t rows, uint32_t columns,
                                   const char *name) {
    if (l->status == RP_OK && name == NULL) { l->status = no_memory(l); }
    if (l->status != RP_OK) { return &l->nowhere; }
    void *array = grow(l, l->parts, l->n_parts, &l->cap_parts, sizeof *l->parts);
    if (l->status != RP_OK) { return &l->nowhere; }
    l->parts = array;
    rp_loader_part *part = &l->parts[l->n_parts++];
    *part = (rp_loader_part){ .slot = slot, .at = at, .file = file, .name = name, .dims = { rows, columns },
                              .n_dims = columns ? 2 : 1, .scale = 1 };
    return part;
}

void rp_loader_whole(rp_loader *l, rp_tensor **slot, bool scratch, rp_weights *file, uint32_t rows, uint32_t columns,
                     const char *name) {
    rp_loader_target_add(l, slot, scratch, name, columns ? RP_SHAPE(RP_F32, rows, columns) : RP_SHAPE(RP_F32, rows));
    rp_loader_part_add(l, slot, 0, file, rows, columns, name);
}

static rp_status check_tensor(rp_loader *l, const rp_loader_part *part, const char *name, const rp_weight **found) {
    rp_error error;
    const rp_weight *have = rp_weights_find(part->file, name);
    if (have == NULL) {
        return rp_fail(l->device, RP_BAD_FILE, "Tensor '%s' is missing. The checkpoint does not belong to this config.json.", name);
    }
    *found = have;
    bool same = have->n_dims == part->n_dims;
    for (uint32_t i = 0; same && i < part->n_dims; i++) { same = have->dims[i] == part->dims[i]; }
    if (!same || (have->dtype != RP_F64 && have->dtype != RP_F32 && have->dtype != RP_F16 && have->dtype != RP_BF16)) {
        char text[96] = "";
        for (uint32_t i = 0, used = 0; i < have->n_dims && used + 24 < sizeof text; i++) {
            used += (uint32_t)snprintf(text + used, sizeof text - used, "%s%llu", i ? ", " : "", (unsigned long long)have->dims[i]);
        }
        return rp_fail(l->device, RP_BAD_FILE, "Tensor '%s' is %s [%s] where config.json asks for floating-point [%u%s%.0u].",
                       have->name, rp_dtype_name(have->dtype), text, part->dims[0], part->n_dims > 1 ? ", " : "",
                       part->n_dims > 1 ? part->dims[1] : 0);
    }
    rp_status status = rp_weight_check_finite(have, &error);
    return status == RP_OK ? RP_OK : rp_fail(l->device, status, "%s", error.text);
}

static rp_status check_part(rp_loader *l, rp_loader_part *part) {
    RP_RETURN(check_tensor(l, part, part->name, &part->weight));
    if (part->twin == NULL) { return RP_OK; }
    RP_RETURN(check_tensor(l, part, part->twin, &part->twin_weight));
    if (part->twin_weight->dtype == part->weight->dtype) { return RP_OK; }
    return rp_fail(l->device, RP_BAD_FILE, "Tensors '%s' and '%s' are of different types.", part->name, part->twin);
}

// Sets the slots; with buffers NULL this only measures.
static rp_status place(rp_loader *l, rp_buffer *weights, uint64_t *weights_bytes, uint64_t *scratch_bytes) {
    *weights_bytes = *scratch_bytes = 0;
    for (uint32_t i = 0; i < l->n_targets; i++) {
        const rp_loader_target *t = &l->targets[i];
        uint64_t *used = t->scratch ? scratch_bytes : weights_bytes;
        *t->slot = rp_tensor_bind(l->keep, t->name, t->shape, t->scratch ? l->scratch : weights, *used);
        if (*t->slot == NULL) { return no_memory(l); }
        const uint64_t room = t->product ? rp_pairs_room(l->device, t->shape) : 0;
        *used = (*used + rp_tensor_bytes(*t->slot) + room + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return RP_OK;
}

#define NO_ROW UINT32_MAX

// The row of the file's tensor that becomes row `to` of the part; NO_ROW: zeros do.
static uint32_t row_from(const rp_loader_part *part, uint32_t to) {
    if (!part->gate) { return part->row + to < part->dims[0] ? part->row + to : NO_ROW; }
    const uint32_t block = to / RP_LINEAR_GATE, half = part->dims[0] / 2, at = block / 2 * RP_LINEAR_GATE + to % RP_LINEAR_GATE;
    return at >= half ? NO_ROW : (block % 2 == 0 ? half : 0) + at;
}

// One row by way of float64, scaled; returns its largest magnitude.
static double change_row(const rp_loader_part *part, uint32_t row, double *out) {
    const rp_weight *w = part->weight;
    const uint32_t columns = part->n_dims > 1 ? part->dims[1] : 1, taken = part->columns ? part->columns : columns;
    const size_t from = (size_t)row * columns + part->column;
    double scale = part->scale, most = 0;
    if (row < part->n_row_scales) { scale *= part->row_scales[row % part->row_scale_cycle]; }
    rp_convert(out, RP_F64, (const char *)w->data + from * rp_dtype_size(w->dtype), w->dtype, taken);
    for (uint32_t i = 0; i < taken; i++) {
        out[i] *= scale;
        most = fabs(out[i]) > most ? fabs(out[i]) : most;
    }
    return most;
}

// Rows in another order, some of them, scaled numbers, or zeros besides: a piece of the tensor at a time.
static rp_status upload_changed(rp_loader *l, const rp_loader_part *part) {
    const rp_tensor *to = *part->slot;
    const uint32_t columns = part->n_dims > 1 ? part->dims[1] : 1, taken = part->columns ? part->columns : columns;
    const uint32_t width = part->to_columns ? part->to_columns : taken, piece = width < PIECE ? PIECE / width : 1;
    const uint32_t rows = part->to_rows ? part->to_rows : part->rows ? part->rows : part->dims[0];
    rp_status status = RP_OK;
    double *numbers = calloc((size_t)(piece < rows ? piece : rows) * width, sizeof *numbers), most = 0;
    if (numbers == NULL) { return no_memory(l); }
    for (uint32_t first = 0; first < rows && status == RP_OK; first += piece) {
        const uint32_t n = rows - first < piece ? rows - first : piece;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t from = row_from(part, first + i);
            if (from == NO_ROW) {
                memset(numbers + (size_t)i * width, 0, taken * sizeof *numbers);
                continue;
            }
            const double largest = change_row(part, from, numbers + (size_t)i * width);
            most = largest > most ? largest : most;
        }
        const uint64_t at = to->offset + (part->at + (uint64_t)first * width) * rp_dtype_size(to->dtype);
        status = l->device->backend->write(to->buffer, at, to->dtype, numbers, RP_F64, (uint64_t)n * width);
    }
    free(numbers);
    if (status == RP_OK && to->dtype == RP_F16 && most > F16_MOST) {
        return rp_fail(l->device, RP_UNSUPPORTED, "Tensor '%s' leaves float16's range; use precision f32.", part->name);
    }
    return status;
}

// Of numbers that are taken as they are.
static rp_status check_range(const rp_loader *l, const rp_tensor *to, const rp_weight *weight) {
    if (to->dtype != RP_F16 || rp_weight_fits_f16(weight)) { return RP_OK; }
    return rp_fail(l->device, RP_UNSUPPORTED, "Tensor '%s' leaves float16's range; use precision f32.", weight->name);
}

// A tensor and its twin, their rows in turns.
static rp_status upload_turns(rp_loader *l, const rp_loader_part *part) {
    const rp_tensor *to = *part->slot;
    const size_t turn = part->weight->bytes / part->dims[0] * RP_LINEAR_GATE;
    RP_RETURN(check_range(l, to, part->weight));
    RP_RETURN(check_range(l, to, part->twin_weight));
    char *rows = malloc(2 * part->weight->bytes);
    if (rows == NULL) { return no_memory(l); }
    for (size_t i = 0; i < part->dims[0] / RP_LINEAR_GATE; i++) {
        memcpy(rows + 2 * i * turn, (const char *)part->weight->data + i * turn, turn);
        memcpy(rows + (2 * i + 1) * turn, (const char *)part->twin_weight->data + i * turn, turn);
    }
    rp_status status = l->device->backend->write(to->buffer, to->offset, to->dtype, rows, part->weight->dtype, 2 * part->weight->count);
    free(rows);
    return status;
}

static rp_status upload(rp_loader *l, const rp_loader_part *part) {
    const rp_tensor *to = *part->slot;
    if (part->twin != NULL) { return upload_turns(l, part); }
    const bool changed = part->columns || part->rows || part->to_rows || part->to_columns || part->n_row_scales || part->gate || part->scale != 1;
    if (changed) { return upload_changed(l, part); }
    RP_RETURN(check_range(l, to, part->weight));
    const uint64_t offset = to->offset + part->at * rp_dtype_size(to->dtype);
    return l->device->backend->write(to->buffer, offset, to->dtype, part->weight->data, part->weight->dtype, part->weight->count);
}

// A tensor that two parts take from is counted once.
static bool first_use(const rp_loader *l, uint32_t i) {
    for (uint32_t j = 0; j < i; j++) {
        if (l->parts[j].weight == l->parts[i].weight) { return false; }
    }
    return true;
}

rp_status rp_loader_run(rp_loader *l, rp_buffer **weights) {
    const rp_backend *backend = l->device->backend;
    uint64_t scratch_bytes;
    RP_RETURN(l->status);
    for (uint32_t i = 0; i < l->n_parts; i++) { RP_RETURN(check_part(l, &l->parts[i])); }
    RP_RETURN(place(l, NULL, &l->bytes, &scratch_bytes));
    RP_RETURN(backend->buffer_create(l->device, l->bytes, RP_MEMORY_DEVICE, weights));
    if (scratch_bytes > 0) { RP_RETURN(backend->buffer_create(l->device, scratch_bytes, RP_MEMORY_DEVICE, &l->scratch)); }
    RP_RETURN(place(l, *weights, &l->bytes, &scratch_bytes));
    for (uint32_t i = 0; i < l->n_parts; i++) {
        RP_RETURN(upload(l, &l->parts[i]));
        if (first_use(l, i)) { l->numbers += l->parts[i].weight->count * (l->parts[i].twin ? 2 : 1); }
    }
    return RP_OK;
}

rp_status rp_loader_pairs(rp_loader *l) {
    uint32_t n = 0;
    rp_tensor ***slots = rp_arena_alloc(&l->arena, (l->n_targets + 1) * sizeof *slots);
    if (slots == NULL) { return no_memory(l); }
    for (uint32_t i = 0; i < l->n_targets; i++) {
        if (l->targets[i].product) { slots[n++] = l->targets[i].slot; }
    }
    return rp_pairs_make(l->device, l->keep, slots, n);
}

const char *rp_loader_unused(const rp_loader *l, rp_weights *file, bool (*spare)(const char *name)) {
    for (uint32_t i = 0; i < rp_weights_count(file); i++) {
        const rp_weight *weight = rp_weights_get(file, i);
        bool used = spare(weight->name);
        for (uint32_t j = 0; !used && j < l->n_parts; j++) { used = l->parts[j].weight == weight || l->parts[j].twin_weight == weight; }
        if (!used) { return weight->name; }
    }
    return NULL;
}

void rp_loader_end(rp_loader *l) {
    if (l->scratch != NULL) { l->device->backend->buffer_destroy(l->scratch); }
    rp_arena_destroy(&l->arena);
}
