// Queues of replays. Replays in a row become a batch: one CUDA graph whose child nodes are the graphs of their recordings, each after
// the one before, launched at once, so that nothing is asked of the host from the first kernel of a batch to the last. Between two
// recordings the edge is a plain one: kernels fetch ahead, before rp_wait, what no launch of their own recording writes, keys and
// values of earlier steps among it (attn_step), so all of a step must be done before the next one begins. Where a recording closes, all but
// its last launch is done when the next one begins, and of that one nothing is fetched ahead: those in a row are one child, and the edges
// between them are programmatic.
#include <stdio.h>
#include <string.h>

#include "device.h"

// ---- cutting a queue ----

static uint32_t count_same(rp_recording *const *recordings, uint32_t n) {
    uint32_t same = 1;
    while (same < n && recordings[same] == recordings[0]) { same++; }
    return same;
}

static bool is_among(const rp_recording *recording, rp_recording *const *recordings, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (recordings[i] == recording) { return true; }
    }
    return false;
}

// How many repeats of a recording a batch holds that holds nothing else.
static uint32_t most_of(const rp_recording *recording) {
    const uint32_t most = RP_CUDA_BATCH_NODES / (recording->n_nodes ? recording->n_nodes : 1);
    return most == 0 ? 1 : most < RP_CUDA_BATCH_REPLAYS ? most : RP_CUDA_BATCH_REPLAYS;
}

// How many of `same` repeats of a recording join the `n` replays of `nodes` nodes that a batch has already: all, or those that leave
// whole batches of it, which are all the same one.
static uint32_t count_joining(const rp_recording *recording, uint32_t same, uint32_t n, uint32_t nodes) {
    const uint32_t some = same % most_of(recording);
    if (n == 0) { return same; }     // most, at most
    if (n + same <= RP_CUDA_BATCH_REPLAYS && nodes + same * recording->n_nodes <= RP_CUDA_BATCH_NODES) { return same; }
    return n + some <= RP_CUDA_BATCH_REPLAYS && nodes + some * recording->n_nodes <= RP_CUDA_BATCH_NODES ? some : 0;
}

// Replays of the first batch of a queue: at least 1. It ends before a recording that it holds already, other than the last, so that
// chunks of paths, and steps in turn with windows that slide, give the same batch each time around.
static uint32_t batch_length(rp_recording *const *recordings, uint32_t n) {
    uint32_t length = 0, nodes = 0;
    while (length < n && recordings[length]->graph != NULL && !is_among(recordings[length], recordings, length)) {
        const rp_recording *next = recordings[length];
        const uint32_t most = most_of(next), far = length == 0 && most < n ? most : n - length;   // no need to look at all of a long run
        const uint32_t same = count_same(recordings + length, far), joining = count_joining(next, same, length, nodes);
        const bool whole = length == 0 && joining > 1 && joining == most;
        nodes += joining * next->n_nodes;
        length += joining;
        if (joining < same || whole) { break; }
    }
    return length > 0 ? length : 1;
}

// ---- batches that are kept ----

static rp_cuda_batch *find(rp_cuda *cuda, rp_recording *const *recordings, uint32_t n) {
    for (uint32_t i = 0; i < RP_CUDA_MAX_BATCHES; i++) {
        rp_cuda_batch *batch = &cuda->batches[i];
        if (batch->n == n && memcmp(batch->recordings, recordings, n * sizeof *recordings) == 0) { return batch; }
    }
    return NULL;
}

static bool add_child(const rp_cuda_driver *driver, rp_cu_graph batch, rp_cu_graph child, rp_cu_node *last) {
    const rp_cu_node before = *last;
    return driver->graph_add_child(last, batch, &before, before != NULL, child) == RP_CU_SUCCESS;
}

// Adds to a batch, behind node *last if there is one, as its child, replays of which all but the last close.
static bool add_chain(rp_device *device, rp_cu_graph batch, rp_recording *const *recordings, uint32_t n, rp_cu_node *last) {
    const rp_cuda *cuda = device->impl;
    rp_cu_graph chain = NULL;
    rp_cu_node inside = NULL;
    if (n == 1) { return add_child(&cuda->driver, batch, recordings[0]->graph, last); }
    if (cuda->driver.graph_create(&chain, 0) != RP_CU_SUCCESS) { return false; }
    bool made = true;
    for (uint32_t i = 0; i < n && made; i++) { made = rp_cuda_record_again(device, recordings[i], chain, &inside) == RP_OK; }
    made = made && add_child(&cuda->driver, batch, chain, last);
    (void)cuda->driver.graph_destroy(chain);      // the batch has a copy
    return made;
}

// NULL where the driver fails: then the replays are launched one by one, as before, and a fault shows there.
static rp_cu_exec make(rp_device *device, rp_recording *const *recordings, uint32_t n) {
    const rp_cuda *cuda = device->impl;
    const rp_cuda_driver *driver = &cuda->driver;
    rp_cu_graph graph = NULL;
    rp_cu_node last = NULL;
    rp_cu_exec exec = NULL;
    bool made = driver->graph_create(&graph, 0) == RP_CU_SUCCESS;
    if (!made) { return NULL; }
    for (uint32_t i = 0, in_chain; i < n && made; i += in_chain) {
        for (in_chain = 1; i + in_chain < n && recordings[i + in_chain - 1]->closes; in_chain++) {}
        made = add_chain(device, graph, recordings + i, in_chain, &last);
    }
    if (made && driver->graph_instantiate(&exec, graph, 0) != RP_CU_SUCCESS) { exec = NULL; }
    if (exec != NULL && driver->exec_upload(exec, cuda->stream) != RP_CU_SUCCESS) {
        (void)driver->exec_destroy(exec);
        exec = NULL;
    }
    (void)driver->graph_destroy(graph);
    return exec;
}

// A free place, or the one that was used longest ago, but not by this call: a queue of more batches than are kept makes no more.
static rp_cuda_batch *place(rp_cuda *cuda) {
    rp_cuda_batch *oldest = &cuda->batches[0];
    for (uint32_t i = 1; i < RP_CUDA_MAX_BATCHES && oldest->n > 0; i++) {
        rp_cuda_batch *batch = &cuda->batches[i];
        if (batch->n == 0 || batch->used < oldest->used) { oldest = batch; }
    }
    return oldest->n == 0 || oldest->used < cuda->calls ? oldest : NULL;
}

static void keep(rp_device *device, rp_recording *const *recordings, uint32_t n) {
    rp_cuda *cuda = device->impl;
    rp_cuda_batch *batch = place(cuda);
    if (batch == NULL) { return; }
    if (batch->exec != NULL) { (void)cuda->driver.exec_destroy(batch->exec); }   // in flight it lives on until it is done
    *batch = (rp_cuda_batch){ .n = n, .exec = make(device, recordings, n), .used = cuda->calls };
    memcpy(batch->recordings, recordings, n * sizeof *recordings);
}

void rp_cuda_queue_forget(rp_device *device, const rp_recording *recording, bool inside) {
    rp_cuda *cuda = device->impl;
    for (uint32_t i = 0; i < RP_CUDA_MAX_BATCHES; i++) {
        rp_cuda_batch *batch = &cuda->batches[i];
        if (!is_among(recording, batch->recordings, batch->n)) { continue; }
        if (inside && batch->exec != NULL) { (void)cuda->driver.exec_destroy(batch->exec); }
        *batch = (rp_cuda_batch){ 0 };
    }
}

// ---- launching ----

static rp_status launch_batch(rp_device *device, const rp_cuda_batch *batch) {
    const rp_cuda *cuda = device->impl;
    char doing[160];
    snprintf(doing, sizeof doing, "replaying %u recordings, '%.50s' to '%.50s'", batch->n, batch->recordings[0]->plan->name,
             batch->recordings[batch->n - 1]->plan->name);
    return rp_cuda_check(device, cuda->driver.exec_launch(batch->exec, cuda->stream), doing);
}

// A batch that comes for the first time is launched recording by recording, and made while the device is at work on that.
rp_status rp_cuda_queue(rp_device *device, rp_recording *const *recordings, uint32_t n) {
    rp_cuda *cuda = device->impl;
    uint32_t length;
    bool new_ones = false;
    cuda->calls++;
    for (uint32_t first = 0; first < n; first += length) {
        length = batch_length(recordings + first, n - first);
        rp_cuda_batch *batch = length > 1 ? find(cuda, recordings + first, length) : NULL;
        if (batch != NULL) { batch->used = cuda->calls; }
        if (batch != NULL && batch->exec != NULL) {
            RP_RETURN(launch_batch(device, batch));
        } else {
            for (uint32_t i = 0; i < length; i++) { RP_RETURN(rp_cuda_replay_one(device, recordings[first + i])); }
        }
        new_ones = new_ones || (length > 1 && batch == NULL);
        device->counters.replays += length;
    }
    for (uint32_t first = 0; new_ones && first < n; first += length) {
        length = batch_length(recordings + first, n - first);
        if (length > 1 && find(cuda, recordings + first, length) == NULL) { keep(device, recordings + first, length); }
    }
    return RP_OK;
}
