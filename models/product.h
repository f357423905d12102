// Products with weights as the models ask for them: the node or nodes that make one on this device.
#ifndef RP_PRODUCT_H
#define RP_PRODUCT_H

#include "graph.h"

// y = norm(x) w^T + bias + residual, or the gate of its two halves. What is NULL is left out.
typedef struct rp_product {
    rp_tensor *x;                  // [m, k]
    rp_tensor *w;                  // [n, k] F32, F16, or F32 in pairs (models/pairs.h)
    rp_tensor *bias;               // [n]
    rp_tensor *residual;           // [m, n]
    rp_tensor *norm;               // [k]: rows of x go through rmsnorm with this scale first
    float eps;                     // of norm
    uint32_t m, n, k;
    bool gated;                    // y is [m, n / 2]; rows of w, and bias, lie as rp_gate_turns says
    bool silu;                     // y goes through silu; neither gated nor with a residual
    bool y_f16;
    rp_tensor *y;                  // NULL: a new activation
} rp_product;

// Whether a matrix is kept as float16, so that products round what they multiply with it; or another tensor is. One in pairs is float32.
static inline bool rp_is_mixed(const rp_tensor *tensor) { return tensor != NULL && tensor->dtype == RP_F16 && tensor->row_scale == NULL; }

// How the two halves of a gated product's rows lie: true, in turns of RP_LINEAR_GATE (rp_linear_params.gated); false, one below
// the other, where a half of n / 2 rows does not divide into turns.
static inline bool rp_gate_turns(uint32_t half) { return half % RP_LINEAR_GATE == 0; }

// Some rows of a matrix that products read, in pairs or not; NULL: out of memory.
rp_tensor *rp_product_rows(rp_arena *arena, const char *name, rp_tensor *w, uint32_t first, uint32_t rows);

// Adds it to the graph as `label`; where rows cannot be normalised on their way in, as `norm_label` first.
rp_tensor *rp_product_add(rp_graph *graph, const char *label, const char *norm_label, const rp_product *product);

#endif
