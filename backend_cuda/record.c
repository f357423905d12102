// Recordings: a plan as a CUDA graph, one kernel node for each launch, or block of launches, its edges the plan's dependencies. They may be
// programmatic ones: the launch starts when all groups of those that it depends on have, fetches its weights, and waits in rp_wait
// (kernels/common.cuh) until they are done. They waited likewise, so all before them is done too.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

// The module of an op, loaded when first asked for.
static rp_status module_of(rp_device *device, rp_op op, rp_cu_module *out) {
    rp_cuda *cuda = device->impl;
    const char *stem = rp_op_table[op].name;
    char doing[96];
    if (cuda->modules[op] == NULL) {
        const rp_blob *blob = cuda->driver.blobs;
        while (blob->name != NULL && strcmp(blob->name, stem) != 0) { blob++; }
        if (blob->name == NULL) {
            return rp_fail(device, RP_INTERNAL,
                           "The library holds no CUDA kernels for the op '%s': kernels/%s.cu was not built in.", stem,
                           stem);
        }
        snprintf(doing, sizeof doing, "loading the kernels of '%s'", stem);
        RP_RETURN(rp_cuda_check(device, cuda->driver.module_load(&cuda->modules[op], blob->data), doing));
    }
    *out = cuda->modules[op];
    return RP_OK;
}

// Lets function `index` have the shared memory that a launch gives its groups, where that is more than any may have.
static rp_status allow_shared(rp_device *device, const rp_launch *launch, uint32_t index) {
    rp_cuda *cuda = device->impl;
    char doing[96];
    if (launch->shared_bytes <= RP_CUDA_PLAIN_SHARED || launch->shared_bytes <= cuda->functions[index].shared_bytes) { return RP_OK; }
    snprintf(doing, sizeof doing, "giving '%s' %u bytes of shared memory", launch->kernel, launch->shared_bytes);
    RP_RETURN(rp_cuda_check(device, cuda->driver.function_set(cuda->functions[index].function, RP_CU_FUNCTION_DYNAMIC_SHARED,
                                                              (int)launch->shared_bytes), doing));
    cuda->functions[index].shared_bytes = launch->shared_bytes;
    return RP_OK;
}

rp_status rp_cuda_function(rp_device *device, const rp_launch *launch, rp_cu_function *out) {
    rp_cuda *cuda = device->impl;
    rp_cu_module module = NULL;
    char doing[96];
    uint32_t i = 0;
    while (i < cuda->n_functions && strcmp(cuda->functions[i].name, launch->kernel) != 0) { i++; }
    if (i == RP_CUDA_MAX_FUNCTIONS) {
        return rp_fail(device, RP_INTERNAL, "More than %d CUDA kernels are in use: raise RP_CUDA_MAX_FUNCTIONS.",
                       RP_CUDA_MAX_FUNCTIONS);
    }
    if (i == cuda->n_functions) {
        RP_RETURN(module_of(device, launch->op, &module));
        snprintf(doing, sizeof doing, "looking for the kernel '%s'", launch->kernel);
        RP_RETURN(rp_cuda_check(device, cuda->driver.module_function(&cuda->functions[i].function, module, launch->kernel), doing));
        // A multiprocessor that is split otherwise between shared memory and L1 must be idle before a group begins there, so launches that
        // overlap ask for the same split.
        if (cuda->overlaps && launch->shared_bytes > 0) {
            snprintf(doing, sizeof doing, "asking for shared memory for '%s'", launch->kernel);
            RP_RETURN(rp_cuda_check(device, cuda->driver.function_set(cuda->functions[i].function, RP_CU_FUNCTION_CARVEOUT, 100), doing));
        }
        cuda->functions[i].name = launch->kernel;   // a literal of the op's launch rule
        cuda->functions[i].shared_bytes = 0;
        cuda->n_functions++;
    }
    *out = cuda->functions[i].function;
    return allow_shared(device, launch, i);
}

rp_status rp_cuda_args_fill(rp_device *device, const rp_launch *launch, rp_cuda_args *out) {
    const rp_cuda *cuda = device->impl;
    static const uint32_t steps[] = { 1, 1 };
    char doing[160];
    *out = (rp_cuda_args){ .args = rp_args_of(launch) };
    for (uint32_t i = 0; i < launch->n_maps; i++) {
        const rp_launch_map *map = &launch->map[i];
        const uint64_t lengths[] = { map->columns, map->rows }, strides[] = { 2 * (uint64_t)map->columns };
        const uint32_t box[] = { 64, map->box_rows };
        snprintf(doing, sizeof doing, "describing a matrix of '%s' (%s)", launch->label, launch->kernel);
        RP_RETURN(rp_cuda_check(device, cuda->driver.tensor_map(out->map[i], RP_CU_MAP_FLOAT16, 2,
                                                                (void *)(uintptr_t)out->args.address[map->binding], lengths, strides, box,
                                                                steps, 0, RP_CU_MAP_SWIZZLE_128B, RP_CU_MAP_PROMOTE_256B, 0), doing));
    }
    return RP_OK;
}

// Whether a node may take its places while groups of the one before, which all have theirs, are at work. Small groups would crowd on
// the few multiprocessors that have room first, and run long after the others are done; unless what they wait for is short, so that
// both fit on the device together, or each takes most of a multiprocessor.
static bool may_overlap(uint64_t groups_before, uint32_t shared_bytes) {
    return groups_before <= RP_CUDA_SHORT_GROUPS || shared_bytes > RP_CUDA_MOST_SHARED;
}

static uint64_t groups_of(const rp_launch *launch) { return (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2]; }

// Nodes of a graph that is being made. `of` has one for each launch: those of a block are the same, but for the last of a run.
typedef struct nodes {
    rp_cu_graph graph;
    rp_cu_node behind;             // what those come behind that depend on no launch; NULL: nothing
    rp_cu_node *of;
    uint64_t *groups;              // of each launch's node
    rp_cu_node *deps;              // of the node to be added next,
    uint32_t n_deps;
    uint64_t most_groups;          // and what the largest of them has
} nodes;

// The next node comes after that of launch `dep`.
static void add_dep(nodes *all, uint32_t dep) {
    for (uint32_t i = 0; i < all->n_deps; i++) {
        if (all->deps[i] == all->of[dep]) { return; }
    }
    all->deps[all->n_deps++] = all->of[dep];
    if (all->groups[dep] > all->most_groups) { all->most_groups = all->groups[dep]; }
}

// The next node comes after what n launches from `first` on depend on.
static void add_deps(const rp_plan *plan, uint32_t first, uint32_t n, nodes *all) {
    for (uint32_t i = first; i < first + n; i++) {
        for (uint32_t j = 0; j < plan->n_deps[i]; j++) {
            if (plan->deps[i][j] < first) { add_dep(all, plan->deps[i][j]); }
        }
    }
}

// Adds the next node: one kernel, as what `as` says it is found, for n launches from `first` on.
static rp_status add_node(rp_device *device, const rp_launch *as, rp_cu_kernel_node *kernel, uint32_t first, uint32_t n, nodes *all) {
    const rp_cuda *cuda = device->impl;
    if (all->n_deps == 0 && all->behind != NULL) { all->deps[all->n_deps++] = all->behind; }
    const rp_cu_edge edge = { .from_port = RP_CU_PORT_PROGRAMMATIC, .type = RP_CU_EDGE_PROGRAMMATIC };
    const uint32_t n_deps = all->n_deps;
    const bool overlaps = cuda->overlaps && n_deps > 0 && may_overlap(all->most_groups, as->shared_bytes);
    char doing[160];
    all->n_deps = 0, all->most_groups = 0;
    kernel->block[0] = as->group, kernel->block[1] = kernel->block[2] = 1;
    kernel->shared_bytes = as->shared_bytes;
    for (uint32_t i = 0; i < 3; i++) { kernel->grid[i] = as->grid[i]; }
    RP_RETURN(rp_cuda_function(device, as, &kernel->function));
    snprintf(doing, sizeof doing, "recording '%s' (%s)", as->label, as->kernel);
    RP_RETURN(rp_cuda_check(device, cuda->driver.graph_add_kernel(&all->of[first], all->graph, all->deps, overlaps ? 0 : n_deps, kernel), doing));
    for (uint32_t i = 0; i < n_deps && overlaps; i++) {
        RP_RETURN(rp_cuda_check(device, cuda->driver.graph_add_edges(all->graph, &all->deps[i], &all->of[first], &edge, 1), doing));
    }
    for (uint32_t i = first; i < first + n; i++) {
        all->of[i] = all->of[first];
        all->groups[i] = groups_of(as);
    }
    return RP_OK;
}

static rp_status add_launch(rp_device *device, const rp_plan *plan, uint32_t i, nodes *all) {
    rp_cuda_args args;                      // the driver copies it
    rp_cu_kernel_node kernel = { .params = (void *[]){ &args } };
    RP_RETURN(rp_cuda_args_fill(device, &plan->launches[i], &args));
    add_deps(plan, i, 1, all);
    return add_node(device, &plan->launches[i], &kernel, i, 1, all);
}

// Behind a run's last block: what writes its x, and so stands for the launch that was to.
static rp_status add_sum(rp_device *device, const rp_plan *plan, rp_cuda_block *own, nodes *all) {
    const uint32_t last = own->first + own->block.n - 1;
    const rp_launch as = { .op = RP_OP_LINEAR, .kernel = "step_sum", .label = plan->launches[last].label, .group = RP_CUDA_SUM_GROUP,
                           .grid = { (own->sum.count + RP_CUDA_SUM_GROUP - 1) / RP_CUDA_SUM_GROUP, 1, 1 } };
    rp_cu_kernel_node kernel = { .params = (void *[]){ &own->sum } };
    add_dep(all, own->first);
    return add_node(device, &as, &kernel, last, 1, all);
}

static rp_status add_block(rp_device *device, const rp_plan *plan, rp_cuda_block *own, nodes *all) {
    const rp_step_block *block = &own->block;
    const rp_launch as = { .op = block->op, .kernel = block->kernel, .label = plan->launches[own->first].label, .group = block->group,
                           .grid = { block->groups, 1, 1 }, .shared_bytes = block->args.bytes };
    rp_cu_kernel_node kernel = { .params = (void *[]){ &own->block.args } };
    add_deps(plan, own->first, block->n, all);
    RP_RETURN(add_node(device, &as, &kernel, own->first, block->n, all));
    return own->ends ? add_sum(device, plan, own, all) : RP_OK;
}

rp_status rp_cuda_record_again(rp_device *device, const rp_recording *recording, rp_cu_graph graph, rp_cu_node *last) {
    const rp_plan *plan = recording->plan;
    const rp_cuda_blocks *blocks = &recording->blocks;
    rp_status status = RP_OK;
    const size_t n = plan->n_launches;
    nodes all = { .graph = graph, .behind = *last };
    all.of = calloc(2 * n + 1, sizeof *all.of);      // of launches, then of one node's deps
    all.groups = calloc(n + 1, sizeof *all.groups);
    if (all.of == NULL || all.groups == NULL) {
        status = rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while recording '%s'.", plan->name);
        goto cleanup;
    }
    all.deps = all.of + n;
    for (uint32_t i = 0, next = 0; i < n;) {
        rp_cuda_block *own = next < blocks->n && blocks->list[next].first == i ? &blocks->list[next++] : NULL;
        RP_TRY(own != NULL ? add_block(device, plan, own, &all) : add_launch(device, plan, i, &all));
        i += own != NULL ? own->block.n : 1;
        *last = all.of[i - 1];
    }
cleanup:
    free(all.of);
    free(all.groups);
    return status;
}

// Whether the next replay may begin while a plan's last launch is at work: that one closes, and nothing is beside it.
static bool closes(const rp_plan *plan) {
    const uint32_t n = plan->n_launches;
    if (n == 0 || !plan->launches[n - 1].closes || !may_overlap(groups_of(&plan->launches[n - 1]), 0)) { return false; }
    for (uint32_t i = 0; i + 1 < n; i++) {
        bool followed = false;
        for (uint32_t j = i + 1; j < n && !followed; j++) {
            for (uint32_t k = 0; k < plan->n_deps[j]; k++) { followed = followed || plan->deps[j][k] == i; }
        }
        if (!followed) { return false; }
    }
    return true;
}

// A launch each; of a block one, and of one that ends a run its sum.
static uint32_t count_nodes(const rp_plan *plan, const rp_cuda_blocks *blocks) {
    uint32_t n = plan->n_launches;
    for (uint32_t i = 0; i < blocks->n; i++) { n -= blocks->list[i].block.n - (blocks->list[i].ends ? 2 : 1); }
    return n;
}

static rp_status build(rp_device *device, const rp_plan *plan, rp_recording *out) {
    const rp_cuda *cuda = device->impl;
    rp_cu_node last = NULL;
    char doing[160];
    snprintf(doing, sizeof doing, "recording '%s'", plan->name);
    RP_RETURN(rp_cuda_check(device, cuda->driver.graph_create(&out->graph, 0), doing));
    RP_RETURN(rp_cuda_blocks_find(device, plan, &out->sums, &out->blocks));
    RP_RETURN(rp_cuda_record_again(device, out, out->graph, &last));
    out->n_nodes = count_nodes(plan, &out->blocks), out->closes = cuda->overlaps && closes(plan);
    RP_RETURN(rp_cuda_check(device, cuda->driver.graph_instantiate(&out->exec, out->graph, 0), doing));
    return rp_cuda_check(device, cuda->driver.exec_upload(out->exec, cuda->stream), doing);
}

// On a direct device nothing is recorded, but kernels are found now, so that what is missing is said here.
static rp_status find_functions(rp_device *device, const rp_plan *plan) {
    rp_cu_function function;
    for (uint32_t i = 0; i < plan->n_launches; i++) { RP_RETURN(rp_cuda_function(device, &plan->launches[i], &function)); }
    return RP_OK;
}

rp_status rp_cuda_record(rp_device *device, const rp_plan *plan, rp_recording **out) {
    rp_status status = RP_OK;
    bool inside = false;
    *out = NULL;
    rp_recording *recording = calloc(1, sizeof *recording);
    if (recording == NULL) {
        status = rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while recording '%s'.", plan->name);
        goto cleanup;
    }
    *recording = (rp_recording){ .device = device, .plan = plan };
    RP_TRY(rp_cuda_enter(device));
    inside = true;
    if (device->config.direct) {
        RP_TRY(find_functions(device, plan));
    } else {
        RP_TRY(build(device, plan, recording));
    }
    device->counters.recordings++;
    *out = recording;
    recording = NULL;
cleanup:
    if (inside) { rp_cuda_leave(device); }
    rp_cuda_recording_destroy(recording);
    return status;
}

void rp_cuda_recording_destroy(rp_recording *recording) {
    if (recording == NULL) { return; }
    rp_device *device = recording->device;
    if (recording->graph != NULL) {
        const rp_cuda *cuda = device->impl;
        const bool inside = rp_cuda_enter_to_destroy(device);
        if (inside) { (void)cuda->driver.stream_wait(cuda->stream); }   // it may be in flight
        rp_cuda_queue_forget(device, recording, inside);
        if (inside) {
            if (recording->exec != NULL) { (void)cuda->driver.exec_destroy(recording->exec); }
            (void)cuda->driver.graph_destroy(recording->graph);
            rp_cuda_leave(device);
        }
    }
    rp_cuda_buffer_destroy(recording->sums);
    free(recording->blocks.list);
    free(recording);
}
