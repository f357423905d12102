// A region of one buffer that is being laid out: tensors one after the other, each aligned; and copies between regions.
#ifndef RP_REGION_H
#define RP_REGION_H

#include "graph.h"

#define RP_REGION_ALIGNMENT ((uint64_t)256)

typedef struct rp_region { rp_arena *arena; rp_buffer *buffer; uint64_t used; bool failed; } rp_region;

// The next tensor; NULL, and `failed` set, when memory ran out.
static inline rp_tensor *rp_region_lay(rp_region *r, const char *name, rp_shape shape) {
    rp_tensor *tensor = rp_tensor_bind(r->arena, name, shape, r->buffer, r->used);
    if (tensor == NULL) {
        r->failed = true;
        return NULL;
    }
    r->used = (r->used + rp_tensor_bytes(tensor) + RP_REGION_ALIGNMENT - 1) / RP_REGION_ALIGNMENT * RP_REGION_ALIGNMENT;
    return tensor;
}

// The same memory under a smaller shape.
static inline rp_tensor *rp_region_view(rp_arena *arena, const rp_tensor *of, rp_shape shape) {
    return of ? rp_tensor_bind(arena, of->name, shape, of->buffer, of->offset) : NULL;
}

// Adds a launch that copies `from` to `to`, of one shape.
static inline void rp_copy_add(rp_graph *g, const char *label, rp_tensor *from, rp_tensor *to) {
    const struct rp_copy_params p = { from ? (uint32_t)(rp_tensor_bytes(from) / 4) : 0 };
    rp_tensor *in[] = { from }, *out[] = { to };
    rp_graph_add(g, RP_OP_COPY, label, &p, sizeof p, in, out);
}

#endif
