// Building graphs: tensors, nodes, the op table. What an op means lives in core/ops/.
#include "graph.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "backend.h"

const rp_op_info rp_op_table[RP_OP_COUNT] = {
#define RP_OP(name, ENUM, n_in, n_out, tolerance) \
    [RP_OP_##ENUM] = { #name, n_in, n_out, rp_shape_##name, rp_launch_##name, rp_cost_##name, rp_ref_##name },
#include "ops.def"
#undef RP_OP
};

#define RP_OP(name, ENUM, n_in, n_out, tolerance)                                                        \
    _Static_assert((n_in) + (n_out) <= RP_MAX_BINDINGS, #name " has more than eight bindings");          \
    _Static_assert(sizeof(struct rp_##name##_params) <= RP_PARAM_BYTES, #name " has too many parameters");
#include "ops.def"
#undef RP_OP

static const struct { const char *name; uint32_t size; } dtypes[RP_DTYPE_COUNT] = {
    [RP_F64] = { "F64", 8 }, [RP_F32] = { "F32", 4 }, [RP_F16] = { "F16", 2 }, [RP_BF16] = { "BF16", 2 },
    [RP_I64] = { "I64", 8 }, [RP_I32] = { "I32", 4 }, [RP_U32] = { "U32", 4 }, [RP_U8] = { "U8", 1 },
};

uint32_t rp_dtype_size(rp_dtype dtype) { return dtypes[dtype].size; }
const char *rp_dtype_name(rp_dtype dtype) { return dtypes[dtype].name; }

uint64_t rp_tensor_count(const rp_tensor *tensor) {
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->n_dims; i++) { count *= tensor->shape[i]; }
    return count;
}

uint64_t rp_tensor_bytes(const rp_tensor *tensor) { return rp_tensor_count(tensor) * dtypes[tensor->dtype].size; }

rp_graph *rp_graph_create(rp_device *device, rp_arena *arena, const char *name) {
    rp_graph *graph = rp_arena_alloc(arena, sizeof *graph);
    if (graph == NULL) { return NULL; }
    graph->device = device;
    graph->arena = arena;
    graph->name = name;
    return graph;
}

rp_tensor *rp_tensor_bind(rp_arena *arena, const char *name, rp_shape shape, rp_buffer *buffer, uint64_t offset) {
    rp_tensor *tensor = rp_arena_alloc(arena, sizeof *tensor);
    if (tensor == NULL) { return NULL; }
    tensor->name = name;
    tensor->dtype = shape.dtype;
    tensor->n_dims = shape.n_dims;
    memcpy(tensor->shape, shape.dims, sizeof tensor->shape);
    tensor->buffer = buffer;
    tensor->offset = offset;
    return tensor;
}

rp_tensor *rp_tensor_part(rp_arena *arena, const char *name, rp_shape shape, rp_tensor *whole, uint64_t offset) {
    if (whole == NULL) { return NULL; }
    const bool placed = whole->buffer != NULL;
    rp_tensor *part = rp_tensor_bind(arena, name, shape, whole->buffer, placed ? whole->offset + offset : 0);
    if (part != NULL && !placed) { part->whole = whole, part->from = offset; }
    return part;
}

// Doubles an arena array; the old one is left to the arena.
static void *grow(rp_arena *arena, void *old, uint32_t n, uint32_t *cap, size_t size) {
    if (n < *cap) { return old; }
    uint32_t new_cap = *cap ? *cap * 2 : 64;
    void *array = rp_arena_alloc(arena, new_cap * size);
    if (array != NULL && n > 0) { memcpy(array, old, n * size); }
    if (array != NULL) { *cap = new_cap; }
    return array;
}

static rp_status no_memory(const rp_graph *graph) {
    return rp_fail(graph->device, RP_OUT_OF_MEMORY, "Host memory ran out while building the graph '%s'.", graph->name);
}

// Lists a tensor once, so that the plan and dump see it; and what it is a part of.
static rp_status add_tensor(rp_graph *graph, rp_tensor *tensor) {
    if (tensor->whole != NULL) { RP_RETURN(add_tensor(graph, tensor->whole)); }
    for (uint32_t i = graph->n_tensors; i-- > 0;) {   // from the end: what is used was mostly made just before
        if (graph->tensors[i] == tensor) { return RP_OK; }
    }
    rp_tensor **tensors = grow(graph->arena, graph->tensors, graph->n_tensors, &graph->cap_tensors, sizeof(void *));
    if (tensors == NULL) { return no_memory(graph); }
    graph->tensors = tensors;
    graph->tensors[graph->n_tensors++] = tensor;
    return RP_OK;
}

static void shape_text(char *out, size_t cap, rp_dtype dtype, uint32_t n_dims, const uint32_t *dims) {
    size_t used = (size_t)snprintf(out, cap, "%s [", rp_dtype_name(dtype));
    for (uint32_t i = 0; i < n_dims && used < cap; i++) {
        used += (size_t)snprintf(out + used, cap - used, "%s%u", i ? ", " : "", dims[i]);
    }
    if (used < cap) { snprintf(out + used, cap - used, "]"); }
}

// Shapes agree when dtype and number of elements do and the rows are as long as the op thinks: ops address flat memory, so
// [B, V, n, D] and [B V n, D] are one thing to them.
static bool same_shape(const rp_tensor *tensor, rp_shape want) {
    uint64_t count = 1;
    for (uint32_t i = 0; i < want.n_dims; i++) { count *= want.dims[i]; }
    return tensor->dtype == want.dtype && rp_tensor_count(tensor) == count;
}

static rp_status mismatch(const rp_graph *graph, const rp_node *node, const char *what, const rp_tensor *have, rp_shape want) {
    char a[96], b[96];
    shape_text(a, sizeof a, have->dtype, have->n_dims, have->shape);
    shape_text(b, sizeof b, want.dtype, want.n_dims, want.dims);
    return rp_fail(graph->device, RP_INTERNAL, "Graph '%s', node '%s' (%s): %s is '%s' %s where the parameters ask for %s.",
                   graph->name, node->label, rp_op_table[node->op].name, what, have->name, a, b);
}

rp_status rp_expect(const rp_graph *graph, const rp_node *node, uint32_t input, rp_shape want) {
    const rp_tensor *tensor = node->in[input];
    if (tensor == NULL) {
        return rp_fail(graph->device, RP_INTERNAL, "Graph '%s', node '%s' (%s): input %u is missing.", graph->name,
                       node->label, rp_op_table[node->op].name, input);
    }
    return same_shape(tensor, want) ? RP_OK : mismatch(graph, node, "an input", tensor, want);
}

static rp_status add_node(rp_graph *graph, rp_op op, const char *label, const void *params, size_t params_bytes,
                          rp_tensor *const *in, rp_tensor **out) {
    const rp_op_info *info = &rp_op_table[op];
    rp_node *nodes = grow(graph->arena, graph->nodes, graph->n_nodes, &graph->cap_nodes, sizeof(rp_node));
    if (nodes == NULL) { return no_memory(graph); }
    graph->nodes = nodes;
    rp_node *node = &nodes[graph->n_nodes];
    *node = (rp_node){ .op = op, .label = label };
    assert(params_bytes <= RP_PARAM_BYTES);
    memcpy(node->params, params, params_bytes);
    for (uint32_t i = 0; i < info->n_in; i++) {
        node->in[i] = in[i];
        if (in[i] != NULL) { RP_RETURN(add_tensor(graph, in[i])); }
    }
    rp_shape shapes[RP_MAX_BINDINGS] = { 0 };
    RP_RETURN(info->shape(graph, node, shapes));
    for (uint32_t i = 0; i < info->n_out; i++) {
        if (out[i] == NULL) {
            out[i] = rp_tensor_bind(graph->arena, label, shapes[i], NULL, 0);
            if (out[i] == NULL) { return no_memory(graph); }
        } else if (!same_shape(out[i], shapes[i])) {
            return mismatch(graph, node, "an output", out[i], shapes[i]);
        }
        node->out[i] = out[i];
        RP_RETURN(add_tensor(graph, out[i]));
    }
    graph->n_nodes++;
    return RP_OK;
}

void rp_graph_add(rp_graph *graph, rp_op op, const char *label, const void *params, size_t params_bytes,
                  rp_tensor *const *in, rp_tensor **out) {
    if (graph->status != RP_OK) { return; }
    graph->status = add_node(graph, op, label ? label : rp_op_table[op].name, params, params_bytes, in, out);
}

void rp_graph_aside_begin(rp_graph *graph) { graph->aside_first = graph->aside_end = graph->n_nodes; }
void rp_graph_aside_end(rp_graph *graph) { graph->aside_end = graph->n_nodes; }

void rp_launch_rows(rp_launch *out, const char *kernel, uint64_t groups, uint32_t group) {
    const uint64_t row = 65535;   // the least that Vulkan promises for one dimension of a grid
    out->kernel = kernel;
    out->group = group;
    out->grid[0] = (uint32_t)(groups < row ? groups : row);
    out->grid[1] = (uint32_t)((groups + row - 1) / row);
    out->grid[2] = 1;
    if (groups == 0) { out->grid[0] = out->grid[1] = 1; }   // the kernel finds nothing to do
}
