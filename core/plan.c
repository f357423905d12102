// From a graph to something that runs: lifetimes and places of activations, launch descriptions, dependencies.
#include <string.h>

#include "backend.h"

#define ALIGNMENT ((uint64_t)256)   // suits every device's vector loads and Vulkan's storage offsets

static uint64_t aligned(uint64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

// Whether a node may run at any time from graph->aside_first on.
static bool is_aside(const rp_graph *graph, uint32_t node) { return graph->aside_first <= node && node < graph->aside_end; }

// What nodes aside read of those before them lives to the end.
static void touch(const rp_graph *graph, rp_tensor *tensor, uint32_t node) {
    if (tensor == NULL || tensor->buffer != NULL) { return; }
    if (tensor->first == UINT32_MAX) { tensor->first = node; }
    const uint32_t last = is_aside(graph, node) && tensor->first < graph->aside_first ? graph->n_nodes : node;
    if (tensor->last < last) { tensor->last = last; }
    touch(graph, tensor->whole, node);
}

static void find_lifetimes(rp_graph *graph) {
    for (uint32_t i = 0; i < graph->n_tensors; i++) { graph->tensors[i]->first = UINT32_MAX, graph->tensors[i]->last = 0; }
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        for (uint32_t j = 0; j < RP_MAX_BINDINGS; j++) {
            touch(graph, graph->nodes[i].in[j], i);
            touch(graph, graph->nodes[i].out[j], i);
        }
    }
    for (uint32_t i = 0; i < graph->n_tensors; i++) {
        if (graph->tensors[i]->keep) { touch(graph, graph->tensors[i], graph->n_nodes); }
    }
}

// Whether both may hold numbers at one time.
static bool alive_together(const rp_graph *graph, const rp_tensor *a, const rp_tensor *b) {
    if (a->first <= b->last && b->first <= a->last) { return true; }
    const bool a_aside = is_aside(graph, a->first);
    return a_aside != is_aside(graph, b->first) && (a_aside ? b : a)->last >= graph->aside_first;
}

// Places one activation at the lowest offset where no other that is alive with it lies. Quadratic in the number of
// activations, which is a few hundred.
static uint64_t place(const rp_graph *graph, rp_tensor **placed, uint32_t n_placed, rp_tensor *tensor) {
    uint64_t bytes = aligned(rp_tensor_bytes(tensor)), offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < n_placed; i++) {
            const rp_tensor *other = placed[i];
            uint64_t end = other->offset + aligned(rp_tensor_bytes(other));
            if (alive_together(graph, other, tensor) && other->offset < offset + bytes && offset < end) { offset = end, moved = true; }
        }
    }
    tensor->offset = offset;
    return offset + bytes;
}

// Largest first; of two as large that which lives longer, so that the short-lived share what it leaves.
static bool goes_before(const rp_tensor *a, const rp_tensor *b) {
    const uint64_t a_bytes = rp_tensor_bytes(a), b_bytes = rp_tensor_bytes(b);
    return a_bytes != b_bytes ? a_bytes > b_bytes : a->last - a->first > b->last - b->first;
}

static rp_status place_activations(rp_graph *graph, uint64_t *out) {
    rp_tensor **order = rp_arena_alloc(graph->arena, (graph->n_tensors + 1) * sizeof *order);
    if (order == NULL) { return rp_fail(graph->device, RP_OUT_OF_MEMORY, "Host memory ran out while planning '%s'.", graph->name); }
    uint32_t n = 0;
    for (uint32_t i = 0; i < graph->n_tensors; i++) {   // small ones fill the gaps that large ones leave
        rp_tensor *tensor = graph->tensors[i];
        if (tensor->buffer != NULL || tensor->whole != NULL || tensor->first == UINT32_MAX) { continue; }
        uint32_t at = n++;
        for (; at > 0 && goes_before(tensor, order[at - 1]); at--) { order[at] = order[at - 1]; }
        order[at] = tensor;
    }
    *out = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t end = place(graph, order, i, order[i]);
        if (end > *out) { *out = end; }
    }
    for (uint32_t i = 0; i < graph->n_tensors; i++) {
        rp_tensor *tensor = graph->tensors[i];
        if (tensor->whole != NULL) { tensor->offset = tensor->whole->offset + tensor->from; }
    }
    return RP_OK;
}

static rp_binding binding_of(const rp_tensor *tensor) {
    if (tensor == NULL) { return (rp_binding){ 0 }; }
    return (rp_binding){ tensor->buffer, tensor->offset, rp_tensor_bytes(tensor) };
}

static void describe(const rp_node *node, rp_launch *launch, rp_cost *own) {
    const rp_op_info *info = &rp_op_table[node->op];
    launch->op = node->op;
    launch->label = node->label;
    launch->n_in = info->n_in;
    launch->n_bindings = info->n_in + info->n_out;
    memcpy(launch->params, node->params, sizeof launch->params);
    for (uint32_t i = 0; i < launch->n_bindings; i++) {
        const rp_tensor *tensor = i < info->n_in ? node->in[i] : node->out[i - info->n_in];
        launch->binding[i] = binding_of(tensor);
        own->bytes += launch->binding[i].bytes;
    }
    info->launch(node, launch);
    info->cost(node, own);
}

static bool overlap(const rp_binding *a, const rp_binding *b) {
    return a->bytes > 0 && b->bytes > 0 && a->buffer == b->buffer && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

// True when `later` must wait for `earlier`: one of the two writes what the other touches.
static bool depends(const rp_launch *earlier, const rp_launch *later) {
    for (uint32_t i = 0; i < earlier->n_bindings; i++) {
        for (uint32_t j = 0; j < later->n_bindings; j++) {
            bool writes = i >= earlier->n_in || j >= later->n_in;
            if (writes && overlap(&earlier->binding[i], &later->binding[j])) { return true; }
        }
    }
    return false;
}

// Direct dependencies only: walking back from each launch, one that is reached through a dependency already found is left
// out. `reached` is scratch, n_launches bytes. Activations with no buffer yet all lie in the one they will share: two NULL
// buffers compare equal, which is right.
static rp_status find_dependencies(rp_graph *graph, rp_plan *plan) {
    uint32_t n = plan->n_launches;
    unsigned char *reached = rp_arena_alloc(graph->arena, n + 1);
    uint32_t *found = rp_arena_alloc(graph->arena, (n + 1) * sizeof *found);
    plan->deps = rp_arena_alloc(graph->arena, (n + 1) * sizeof *plan->deps);
    plan->n_deps = rp_arena_alloc(graph->arena, (n + 1) * sizeof *plan->n_deps);
    if (reached == NULL || found == NULL || plan->deps == NULL || plan->n_deps == NULL) { goto no_memory; }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t n_found = 0;
        memset(reached, 0, n);
        for (uint32_t j = i; j-- > 0;) {
            if (!reached[j] && depends(&plan->launches[j], &plan->launches[i])) {
                found[n_found++] = j;
                reached[j] = 1;
            }
            if (reached[j]) {
                for (uint32_t k = 0; k < plan->n_deps[j]; k++) { reached[plan->deps[j][k]] = 1; }
            }
        }
        plan->deps[i] = rp_arena_alloc(graph->arena, (n_found + 1) * sizeof **plan->deps);
        if (plan->deps[i] == NULL) { goto no_memory; }
        memcpy(plan->deps[i], found, n_found * sizeof *found);
        plan->n_deps[i] = n_found;
    }
    return RP_OK;
no_memory:
    return rp_fail(graph->device, RP_OUT_OF_MEMORY, "Host memory ran out while planning '%s'.", graph->name);
}

rp_status rp_plan_create(rp_graph *graph, rp_plan **out) {
    *out = NULL;
    RP_RETURN(graph->status);
    rp_plan *plan = rp_arena_alloc(graph->arena, sizeof *plan);
    rp_launch *launches = rp_arena_alloc(graph->arena, (graph->n_nodes + 1) * sizeof *launches);
    rp_cost *costs = rp_arena_alloc(graph->arena, (graph->n_nodes + 1) * sizeof *costs);
    if (plan == NULL || launches == NULL || costs == NULL) {
        return rp_fail(graph->device, RP_OUT_OF_MEMORY, "Host memory ran out while planning '%s'.", graph->name);
    }
    plan->name = graph->name;
    plan->graph = graph;
    plan->launches = launches;
    plan->costs = costs;
    plan->n_launches = graph->n_nodes;
    find_lifetimes(graph);
    RP_RETURN(place_activations(graph, &plan->activation_bytes));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        launches[i].processors = graph->device->processors;
        launches[i].fast = graph->device->fast;
        launches[i].clusters = graph->device->clusters;
        launches[i].wgmma = graph->device->wgmma;
        describe(&graph->nodes[i], &launches[i], &costs[i]);
        plan->cost.bytes += costs[i].bytes;
        plan->cost.flops += costs[i].flops;
    }
    RP_RETURN(find_dependencies(graph, plan));
    *out = plan;
    return RP_OK;
}

// A tensor of no bytes keeps buffer NULL in its binding; activations are the rest of those.
void rp_plan_bind(rp_graph *graph, rp_plan *plan, rp_buffer *activations) {
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const rp_node *node = &graph->nodes[i];
        rp_launch *launch = &plan->launches[i];
        for (uint32_t j = 0; j < launch->n_bindings; j++) {
            const rp_tensor *tensor = j < launch->n_in ? node->in[j] : node->out[j - launch->n_in];
            if (tensor != NULL && tensor->buffer == NULL) { launch->binding[j].buffer = activations; }
        }
    }
}
