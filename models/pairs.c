#include "pairs.h"

static uint32_t rows_of(const rp_shape *shape) {
    uint32_t rows = 1;
    for (uint32_t i = 0; i + 1 < shape->n_dims; i++) { rows *= shape->dims[i]; }
    return rows;
}

uint64_t rp_pairs_room(const rp_device *device, rp_shape shape) {
    if (device->wgmma == 0 || shape.dtype != RP_F32 || shape.n_dims < 2 || shape.dims[shape.n_dims - 1] % RP_LINEAR_PAIR_CHUNK != 0) { return 0; }
    return (uint64_t)rows_of(&shape) * rp_dtype_size(RP_F32);
}

// A node that makes them of w, and their tensor; NULL: w stays, or the graph's status says why not.
static rp_tensor *add(rp_graph *graph, rp_arena *keep, rp_tensor *w) {
    rp_shape shape = rp_shape_of(w->dtype, w->n_dims, w->shape);
    if (graph->status != RP_OK || rp_pairs_room(graph->device, shape) == 0) { return NULL; }
    const struct rp_pair_rows_params p = { rows_of(&shape), shape.dims[shape.n_dims - 1] };
    rp_tensor *scale = rp_tensor_bind(keep, w->name, RP_SHAPE(RP_F32, p.rows), w->buffer, w->offset + rp_tensor_bytes(w));
    shape.dtype = RP_F16;
    shape.dims[shape.n_dims - 1] *= 2;
    rp_tensor *pairs = rp_tensor_bind(keep, w->name, shape, w->buffer, w->offset);
    if (scale == NULL || pairs == NULL) {
        graph->status = rp_fail(graph->device, RP_OUT_OF_MEMORY, "Host memory ran out while splitting the model's matrices.");
        return NULL;
    }
    pairs->row_scale = scale;
    rp_graph_add(graph, RP_OP_PAIR_ROWS, w->name, &p, sizeof p, &w, (rp_tensor *[]){ pairs, scale });
    return pairs;
}

rp_status rp_pairs_make(rp_device *device, rp_arena *keep, rp_tensor **const *slots, uint32_t n) {
    rp_status status = RP_OK;
    rp_arena arena = { 0 };
    rp_plan *plan;
    rp_graph *graph = rp_graph_create(device, &arena, "pairs");
    rp_tensor **made = rp_arena_alloc(&arena, (n + 1) * sizeof *made);
    RP_TRY(graph != NULL && made != NULL ? RP_OK : rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while splitting the model's matrices."));
    for (uint32_t i = 0; i < n; i++) { made[i] = add(graph, keep, *slots[i]); }
    RP_TRY(graph->status);
    if (graph->n_nodes == 0) { goto cleanup; }
    RP_TRY(rp_plan_create(graph, &plan));
    RP_TRY(device->backend->run(device, plan));
    for (uint32_t i = 0; i < n; i++) {
        if (made[i] != NULL) { *slots[i] = made[i]; }
    }
cleanup:
    rp_arena_destroy(&arena);
    return status;
}
