#include "replays.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

#define MAX_REPLAYS (1u << 24)   // 256 MB of queue, and hours of forecasting
#define PROGRESS_REPLAYS 4u      // between two reports: enough to keep a GPU busy, few enough to stop soon; a CPU waits after each

rp_status rp_run_record(rp_device *device, rp_run *run) {
    if (run->plan == NULL) { return RP_OK; }
    run->n_advances = 0;
    for (uint32_t i = 0; i < run->plan->n_launches; i++) {
        const rp_launch *launch = &run->plan->launches[i];
        if (launch->op != RP_OP_ADVANCE) { continue; }
        assert(run->n_advances < RP_MAX_ADVANCES);
        memcpy(&run->advances[run->n_advances++], launch->params, sizeof *run->advances);
    }
    const uint64_t start = rp_time_ns();
    const rp_status status = device->backend->record(device, run->plan, &run->recording);
    run->plan->record_ns = rp_time_ns() - start;
    return status;
}

void rp_run_destroy(rp_device *device, rp_run *run) {
    device->backend->recording_destroy(run->recording);
    run->recording = NULL;
}

rp_status rp_replays_create(rp_replays *queue, rp_device *device, uint64_t cap) {
    if (cap > MAX_REPLAYS) {
        return rp_fail(device, RP_OUT_OF_MEMORY,
                       "A forecast would take %llu replays, and a forecaster holds at most %u. Raise memory_bytes (--memory) so that more "
                       "paths go together, or create it for fewer paths or a shorter horizon.", (unsigned long long)cap, MAX_REPLAYS);
    }
    *queue = (rp_replays){ .device = device, .cap = (uint32_t)cap };
    queue->runs = malloc(cap * sizeof *queue->runs);
    queue->recordings = malloc(cap * sizeof *queue->recordings);
    if (queue->runs != NULL && queue->recordings != NULL) { return RP_OK; }
    return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while creating a forecaster.");
}

void rp_replays_destroy(rp_replays *queue) {
    free(queue->runs);
    free(queue->recordings);
}

void rp_replays_begin(rp_replays *queue, struct rp_step step) {
    queue->n = queue->sent = 0;
    queue->mirror = step;
}

void rp_replays_add(rp_replays *queue, const rp_run *run) {
    assert(queue->n < queue->cap);
    queue->recordings[queue->n] = run->recording;
    queue->runs[queue->n++] = run;
}

// What the op `advance` does, done to the host's step block.
static void advance(struct rp_step *step, const struct rp_advance_params *p) {
    if (p->what == RP_ADVANCE_CHUNK) {
        step->path0 = step->chunk * p->chunk_paths;
        step->chunk++;
        step->step = 0;
    } else {
        step->step++;
    }
}

rp_status rp_replays_send(rp_replays *queue, uint32_t first, uint32_t n) {
    rp_device *device = queue->device;
    if (!device->config.direct) {
        RP_RETURN(device->backend->replay(device, queue->recordings + first, n));
    } else {
        for (uint32_t i = first; i < first + n; i++) {
            const rp_plan *plan = queue->runs[i]->plan;
            RP_RETURN(device->watch ? device->watch(device->watch_user, device, plan) : device->backend->run(device, plan));
        }
    }
    for (uint32_t i = first; i < first + n; i++) {
        queue->runs[i]->plan->replays++;
        for (uint32_t j = 0; j < queue->runs[i]->n_advances; j++) { advance(&queue->mirror, &queue->runs[i]->advances[j]); }
    }
    queue->sent = first + n;
    return RP_OK;
}

// "'prompt', 'start', 'step' x 14, 'collect'"
static void name_replays(const rp_replays *queue, uint32_t first, uint32_t n, char *buf, size_t cap) {
    size_t used = 0;
    buf[0] = '\0';
    for (uint32_t i = first, same; i < first + n && used < cap; i += same) {
        const char *name = queue->runs[i]->plan->name;
        for (same = 1; i + same < first + n && queue->runs[i + same] == queue->runs[i]; same++) {}
        used += (size_t)snprintf(buf + used, cap - used, "%s'%s'", i > first ? ", " : "", name);
        if (same > 1 && used < cap) { used += (size_t)snprintf(buf + used, cap - used, " x %u", same); }
    }
}

// A recording fails as a whole, so the driver's sentence knows no operation. Where the device still works, the whole forecast is
// run once more operation by operation, and the first that fails is named; a device that is lost can only say what was under way.
// The status stays that of the replay.
static rp_status explain(const rp_replays *queue, uint32_t first, uint32_t end, rp_status failed) {
    rp_device *device = queue->device;
    const rp_error said = device->error;
    char names[160];
    rp_status status = failed == RP_DEVICE_LOST ? failed : device->backend->wait(device);
    name_replays(queue, first, end - first, names, sizeof names);
    if (status != RP_OK) {
        return rp_fail(device, failed,
                       "%.620s Under way were %s (replays %u to %u of %u). The same forecast on a device that was created with "
                       "rp_device_config.direct = 1 (reprise: --direct) names the operation.", said.text, names, first + 1, end, queue->n);
    }
    for (uint32_t i = 0; i < queue->n; i++) {
        status = device->backend->run(device, queue->runs[i]->plan);
        if (status == RP_OK) { continue; }
        const rp_error found = device->error;
        return rp_fail(device, failed, "%.400s Run operation by operation, the first to fail in '%.40s': %.400s", said.text,
                       queue->runs[i]->plan->name, found.text);
    }
    return rp_fail(device, failed, "%.620s Under way were %s. Run operation by operation the same forecast succeeds: the fault is in the "
                   "replay as a whole.", said.text, names);
}

rp_status rp_replays_finish(rp_replays *queue, const rp_forecast_config *config) {
    rp_device *device = queue->device;
    const uint32_t few = device->info.kind == RP_DEVICE_GPU ? PROGRESS_REPLAYS : 1;
    const uint32_t n = queue->n, stride = config->progress ? few : n;
    const uint32_t begun = queue->sent;      // what was sent already is under way too
    for (uint32_t first = begun; first < n; first += stride) {
        const uint32_t count = n - first < stride ? n - first : stride;
        rp_status status = rp_replays_send(queue, first, count);
        if (status == RP_OK) { status = device->backend->wait(device); }
        if (status != RP_OK) { return device->config.direct ? status : explain(queue, first > begun ? first : 0, first + count, status); }
        if (config->progress && config->progress(config->progress_user, first + count, n) != 0) {
            return rp_fail(device, RP_CANCELLED, "The progress callback stopped the forecast after %u of %u replays.", first + count, n);
        }
    }
    return RP_OK;
}

rp_status rp_replays_check(const rp_replays *queue, const rp_tensor *step) {
    const struct rp_step *mirror = &queue->mirror;
    struct rp_step own;
    RP_RETURN(queue->device->backend->read(step->buffer, step->offset, RP_U32, &own, RP_U32, RP_STEP_WORDS));
    if (memcmp(&own, mirror, sizeof own) == 0) { return RP_OK; }
    return rp_fail(queue->device, RP_INTERNAL, "The host counts chunk %u, path %u, step %u; the device chunk %u, path %u, step %u.",
                   mirror->chunk, mirror->path0, mirror->step, own.chunk, own.path0, own.step);
}
