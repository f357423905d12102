// The backend-neutral graph: tensors of static shape and nodes in execution order. A model builds it, core/plan.c places
// its activations and finds its dependencies, a backend runs the launches.
//
// Letters, everywhere: B series, S sample paths, V variates, T time steps, P patch size, n tokens of one call, N prompt
// capacity in tokens, R suffix capacity in tokens, D model width, h heads, d = D/h head width, M mlp width, k mixture
// components, H horizon, L label tokens before the patches (0 or 1).
#ifndef RP_GRAPH_H
#define RP_GRAPH_H

#include <stdbool.h>

#include "arena.h"
#include "op_params.h"
#include "status.h"

#define RP_MAX_DIMS 6
#define RP_MAX_BINDINGS 8
#define RP_MAX_MAPS 4
#define RP_PARAM_BYTES 64

typedef enum rp_dtype { RP_F64, RP_F32, RP_F16, RP_BF16, RP_I64, RP_I32, RP_U32, RP_U8, RP_DTYPE_COUNT } rp_dtype;
uint32_t rp_dtype_size(rp_dtype dtype);       // bytes of one element
const char *rp_dtype_name(rp_dtype dtype);    // as safetensors writes it: "F32"

typedef enum rp_op {
#define RP_OP(name, ENUM, n_in, n_out, tolerance) RP_OP_##ENUM,
#include "ops.def"
#undef RP_OP
    RP_OP_COUNT
} rp_op;

typedef struct rp_buffer rp_buffer;           // core/backend.h

typedef struct rp_tensor {
    const char *name;
    rp_dtype dtype;
    uint32_t n_dims;
    uint32_t shape[RP_MAX_DIMS];              // row-major, outermost first
    rp_buffer *buffer;                        // NULL: an activation, placed by the plan
    uint64_t offset;                          // bytes into the buffer, or into the activation buffer once planned
    struct rp_tensor *whole;                  // an activation that is a part of another: that one, and
    uint64_t from;                            // bytes into it
    uint32_t first, last;                     // nodes of first and last use, set by the plan; activations only
    bool keep;                                // an activation that is read after the last node, so never shared
    struct rp_tensor *row_scale;              // of a matrix in pairs (op pair_rows): [rows] float32; else NULL
} rp_tensor;

typedef struct rp_node {
    rp_op op;
    const char *label;                        // where in the model: "layer 3 mlp"; reaches the GPU's tools
    rp_tensor *in[RP_MAX_BINDINGS];           // n_in of the op's row; NULL = optional and absent
    rp_tensor *out[RP_MAX_BINDINGS];
    uint32_t params[RP_PARAM_BYTES / 4];
} rp_node;

typedef struct rp_graph {
    rp_device *device;
    rp_arena *arena;                          // borrowed; holds all of the below
    const char *name;                         // "prompt", "start", "step"
    rp_tensor **tensors;
    uint32_t n_tensors, cap_tensors;
    rp_node *nodes;
    uint32_t n_nodes, cap_nodes;
    uint32_t aside_first, aside_end;          // nodes that may run beside those behind them, from and to; none where both are equal
    rp_status status;                         // first failure while building; later calls do nothing
} rp_graph;

typedef struct rp_shape { uint32_t n_dims, dims[RP_MAX_DIMS]; rp_dtype dtype; } rp_shape;
static inline rp_shape rp_shape_of(rp_dtype dtype, uint32_t n_dims, const uint32_t *dims) {
    rp_shape s = { n_dims, { 0 }, dtype };
    for (uint32_t i = 0; i < n_dims; i++) { s.dims[i] = dims[i]; }
    return s;
}
#define RP_SHAPE(dtype, ...) \
    rp_shape_of(dtype, sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t), (const uint32_t[]){ __VA_ARGS__ })

uint64_t rp_tensor_count(const rp_tensor *tensor);   // elements
uint64_t rp_tensor_bytes(const rp_tensor *tensor);

// Every builder returns NULL after a failure, and takes NULL tensors then; look at graph->status once, at the end.
rp_graph *rp_graph_create(rp_device *device, rp_arena *arena, const char *name);
// A tensor that lives in `buffer` at `offset`. The same tensor may be used in several graphs.
rp_tensor *rp_tensor_bind(rp_arena *arena, const char *name, rp_shape shape, rp_buffer *buffer, uint64_t offset);
// What lies in `whole` from byte `offset` on, which may be an activation; NULL: whole is, or out of memory.
rp_tensor *rp_tensor_part(rp_arena *arena, const char *name, rp_shape shape, rp_tensor *whole, uint64_t offset);
// Appends a node. params: the op's struct. in: n_in tensors. out: n_out entries; an entry that is NULL becomes a new
// activation of the shape that the op's shape rule gives, named by the label; others are checked against that rule.
void rp_graph_add(rp_graph *graph, rp_op op, const char *label, const void *params, size_t params_bytes,
                  rp_tensor *const *in, rp_tensor **out);

// Nodes added between the two may run beside those that are added afterwards and do not read what these write: their activations share no memory,
// so that neither waits until the other has read. CUDA runs them so; elsewhere they keep their order, and cost memory alone. Once in a graph.
void rp_graph_aside_begin(rp_graph *graph);
void rp_graph_aside_end(rp_graph *graph);

// ---- what each op means: core/ops/NAME.c ----

// One dispatch, all that execution needs. Direct runs, the CUDA graph and the command buffer read this same description.
typedef struct rp_binding { rp_buffer *buffer; uint64_t offset, bytes; } rp_binding;  // buffer NULL: address 0
// A float16 matrix [rows, columns] of a binding that a kernel's copies take boxes of, box_rows x 64; CUDA only.
typedef struct rp_launch_map { uint32_t binding, rows, columns, box_rows; } rp_launch_map;
typedef struct rp_launch {
    rp_op op;
    uint32_t processors;                      // of the device, for the choice of a kernel; see rp_device
    bool fast, clusters;                      // the device has the kernels that only some have; see rp_device
    uint32_t wgmma;                           // likewise
    const char *kernel;                       // "linear_f32": the CUDA function and the SPIR-V module
    bool closes;                              // CUDA: lets the next launch, or replay, begin when what it waits for is done, not before, so that
                                              // what later ones take as good as weights is there (kernels/common.cuh)
    uint32_t step_part;                       // CUDA: what of a decode step's block it can be (core/step_block.h); 0: nothing
    const char *label;
    uint32_t grid[3], group;                  // workgroups; invocations of one workgroup
    uint32_t shared_bytes;                    // of one workgroup, sized at launch; CUDA only
    uint32_t n_in, n_bindings;                // bindings: inputs first; what is not input is written. A tensor that is
    rp_binding binding[RP_MAX_BINDINGS];      // read and written stands twice
    uint32_t params[RP_PARAM_BYTES / 4];
    uint32_t n_maps;
    rp_launch_map map[RP_MAX_MAPS];           // handed over after addresses and parameters, in this order
} rp_launch;

typedef struct rp_cost { uint64_t bytes, flops; } rp_cost;

typedef struct rp_op_info {
    const char *name;
    uint32_t n_in, n_out;
    rp_status (*shape)(const rp_graph *graph, const rp_node *node, rp_shape *out);  // checks inputs, says output shapes
    void (*launch)(const rp_node *node, rp_launch *out);                            // sets kernel, grid, group; reads processors
    void (*cost)(const rp_node *node, rp_cost *out);                                // sets flops; bytes come as each tensor once
    void (*ref)(const void *params, void *const *binding);                          // float64; see backend_ref/memory.c
} rp_op_info;
extern const rp_op_info rp_op_table[RP_OP_COUNT];

#define RP_OP(name, ENUM, n_in, n_out, tolerance)                                                      \
    rp_status rp_shape_##name(const rp_graph *graph, const rp_node *node, rp_shape *out);              \
    void rp_launch_##name(const rp_node *node, rp_launch *out);                                        \
    void rp_cost_##name(const rp_node *node, rp_cost *out);                                            \
    void rp_ref_##name(const void *params, void *const *binding);
#include "ops.def"
#undef RP_OP

// Fills a launch grid for `groups` workgroups in a row: kernels recover the number as y * grid.x + x and return when it
// is not below the number of groups that their parameters give.
void rp_launch_rows(rp_launch *out, const char *kernel, uint64_t groups, uint32_t group);

// Shape rules say this when an input is not what the parameters promise; names node, input and both shapes.
rp_status rp_expect(const rp_graph *graph, const rp_node *node, uint32_t input, rp_shape want);

#endif
