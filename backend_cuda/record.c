// Recordings: a plan as a CUDA graph, one kernel node for each launch, its edges the plan's dependencies. They may be programmatic ones:
// the launch starts when all groups of those that it depends on have, fetches its weights, and waits in rp_wait (kernels/common.cuh) until
// they are done. They waited likewise, so all before them is done too.
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

// Whether a launch may take its places while groups of the one before, which all have theirs, are at work. Small groups would crowd on
// the few multiprocessors that have room first, and run long after the others are done; unless what they wait for is short, so that
// both fit on the device together, or each takes most of a multiprocessor.
static bool may_overlap(const rp_launch *before, const rp_launch *launch) {
    return (uint64_t)before->grid[0] * before->grid[1] * before->grid[2] <= RP_CUDA_SHORT_GROUPS || launch->shared_bytes > RP_CUDA_MOST_SHARED;
}

static bool overlaps_all(const rp_plan *plan, uint32_t i) {
    for (uint32_t j = 0; j < plan->n_deps[i]; j++) {
        if (!may_overlap(&plan->launches[plan->deps[i][j]], &plan->launches[i])) { return false; }
    }
    return plan->n_deps[i] > 0;
}

// Adds one launch after those it depends on. `deps` is scratch for n_launches handles.
static rp_status add_node(rp_device *device, const rp_plan *plan, uint32_t i, rp_cu_graph graph, rp_cu_node *nodes,
                          rp_cu_node *deps) {
    const rp_cuda *cuda = device->impl;
    const rp_launch *launch = &plan->launches[i];
    rp_cuda_args args;                      // the driver copies it
    void *params[] = { &args };
    char doing[160];
    rp_cu_kernel_node node = {
        .grid = { launch->grid[0], launch->grid[1], launch->grid[2] },
        .block = { launch->group, 1, 1 },
        .shared_bytes = launch->shared_bytes,
        .params = params,
    };
    const bool overlaps = cuda->overlaps && overlaps_all(plan, i);
    RP_RETURN(rp_cuda_args_fill(device, launch, &args));
    RP_RETURN(rp_cuda_function(device, launch, &node.function));
    for (uint32_t j = 0; j < plan->n_deps[i]; j++) { deps[j] = nodes[plan->deps[i][j]]; }
    snprintf(doing, sizeof doing, "recording '%s' (%s)", launch->label, launch->kernel);
    RP_RETURN(rp_cuda_check(device, cuda->driver.graph_add_kernel(&nodes[i], graph, deps, overlaps ? 0 : plan->n_deps[i], &node), doing));
    const rp_cu_edge edge = { .from_port = RP_CU_PORT_PROGRAMMATIC, .type = RP_CU_EDGE_PROGRAMMATIC };
    for (uint32_t j = 0; j < plan->n_deps[i] && overlaps; j++) {
        RP_RETURN(rp_cuda_check(device, cuda->driver.graph_add_edges(graph, &deps[j], &nodes[i], &edge, 1), doing));
    }
    return RP_OK;
}

static rp_status build(rp_device *device, const rp_plan *plan, rp_cu_node *nodes, rp_recording *out) {
    const rp_cuda *cuda = device->impl;
    char doing[160];
    snprintf(doing, sizeof doing, "recording '%s'", plan->name);
    RP_RETURN(rp_cuda_check(device, cuda->driver.graph_create(&out->graph, 0), doing));
    for (uint32_t i = 0; i < plan->n_launches; i++) {
        RP_RETURN(add_node(device, plan, i, out->graph, nodes, nodes + plan->n_launches));
    }
    out->n_nodes = plan->n_launches;
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
    rp_cu_node *nodes =
        calloc((size_t)plan->n_launches * 2 + 1, sizeof *nodes); // handles, then scratch for one node's deps
    if (recording == NULL || nodes == NULL) {
        status = rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while recording '%s'.", plan->name);
        goto cleanup;
    }
    *recording = (rp_recording){ .device = device, .plan = plan };
    RP_TRY(rp_cuda_enter(device));
    inside = true;
    if (device->config.direct) {
        RP_TRY(find_functions(device, plan));
    } else {
        RP_TRY(build(device, plan, nodes, recording));
    }
    device->counters.recordings++;
    *out = recording;
    recording = NULL;
cleanup:
    if (inside) { rp_cuda_leave(device); }
    rp_cuda_recording_destroy(recording);
    free(nodes);
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
    free(recording);
}
