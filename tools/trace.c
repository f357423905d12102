// Events and their file; see trace.h.
#include "trace.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draft.h"

void trace_begin(trace *t) { *t = (trace){ .began = seconds_now() }; }

void trace_free(trace *t) {
    free(t->events);
    *t = (trace){ 0 };
}

size_t trace_enter(trace *t, trace_track track, const char *kind, const char *format, ...) {
    if (t->n_events == t->cap_events) {
        t->cap_events = t->cap_events ? 2 * t->cap_events : 1024;
        t->events = take_again(t->events, t->cap_events, sizeof *t->events);
    }
    trace_event *e = &t->events[t->n_events];
    *e = (trace_event){ .kind = kind, .track = track };
    va_list args;
    va_start(args, format);
    vsnprintf(e->name, sizeof e->name, format, args);
    va_end(args);
    e->start = seconds_now() - t->began;
    return t->n_events++;
}

void trace_leave(trace *t, size_t event) { t->events[event].seconds = seconds_now() - t->began - t->events[event].start; }

// ---- the device's calls ----

static rp_status buffer_create(rp_device *device, uint64_t bytes, rp_memory_kind kind, rp_buffer **out) {
    trace *t = device->watch_user;
    const size_t e = trace_enter(t, TRACE_HOST, "call", "allocate %llu bytes of %s memory", (unsigned long long)bytes,
                                 kind == RP_MEMORY_HOST ? "host" : "device");
    rp_status status = t->plain->buffer_create(device, bytes, kind, out);
    trace_leave(t, e);
    return status;
}

static rp_status write(rp_buffer *buffer, uint64_t offset, rp_dtype to, const void *src, rp_dtype from, uint64_t count) {
    trace *t = buffer->device->watch_user;
    const size_t e = trace_enter(t, TRACE_HOST, "call", "write %llu numbers", (unsigned long long)count);
    rp_status status = t->plain->write(buffer, offset, to, src, from, count);
    trace_leave(t, e);
    return status;
}

static rp_status read(rp_buffer *buffer, uint64_t offset, rp_dtype from, void *dst, rp_dtype to, uint64_t count) {
    trace *t = buffer->device->watch_user;
    const size_t e = trace_enter(t, TRACE_HOST, "call", "read %llu numbers", (unsigned long long)count);
    rp_status status = t->plain->read(buffer, offset, from, dst, to, count);
    trace_leave(t, e);
    return status;
}

static rp_status run(rp_device *device, const rp_plan *plan) {
    trace *t = device->watch_user;
    const size_t e = trace_enter(t, TRACE_HOST, "call", "run '%s'", plan->name);
    rp_status status = t->plain->run(device, plan);
    trace_leave(t, e);
    return status;
}

static rp_status record(rp_device *device, const rp_plan *plan, rp_recording **out) {
    trace *t = device->watch_user;
    const size_t e = trace_enter(t, TRACE_HOST, "call", "record '%s'", plan->name);
    rp_status status = t->plain->record(device, plan, out);
    trace_leave(t, e);
    return status;
}

static rp_status replay(rp_device *device, rp_recording *const *recordings, uint32_t n) {
    trace *t = device->watch_user;
    const size_t e = trace_enter(t, TRACE_HOST, "call", "queue %u replays", n);
    rp_status status = t->plain->replay(device, recordings, n);
    trace_leave(t, e);
    return status;
}

static rp_status wait(rp_device *device) {
    trace *t = device->watch_user;
    const size_t e = trace_enter(t, TRACE_HOST, "call", "wait");
    rp_status status = t->plain->wait(device);
    trace_leave(t, e);
    return status;
}

void trace_follow(trace *t, rp_device *device) {
    t->plain = device->backend;
    t->timed = *t->plain;
    t->timed.buffer_create = buffer_create, t->timed.write = write, t->timed.read = read, t->timed.run = run;
    t->timed.record = record, t->timed.replay = replay, t->timed.wait = wait;
    device->watch_user = t;
    device->backend = &t->timed;
}

void trace_unfollow(trace *t, rp_device *device) {
    device->backend = t->plain;
    device->watch = NULL;
    device->watch_user = NULL;
}

// One launch at a time; the time of each holds what it takes to launch it and to hear that it is done.
static rp_status watch(void *user, rp_device *device, const rp_plan *plan) {
    trace *t = user;
    rp_status status = RP_OK;
    const size_t whole = trace_enter(t, TRACE_DEVICE, "graph", "%s", plan->name);
    for (uint32_t i = 0; i < plan->n_launches && status == RP_OK; i++) {
        rp_plan one = { .name = plan->name, .graph = plan->graph, .n_launches = 1, .launches = &plan->launches[i] };
        const size_t e = trace_enter(t, TRACE_DEVICE, "op", "%s", plan->launches[i].label);
        status = t->plain->run(device, &one);
        trace_leave(t, e);
        t->events[e].launch = &plan->launches[i];
        t->events[e].cost = plan->costs[i];
    }
    trace_leave(t, whole);
    return status;
}

void trace_nodes(trace *t, rp_device *device, bool on) {
    (void)t;
    device->config.direct = on;    // what a forecast asks before it replays
    device->watch = on ? watch : NULL;
}

// ---- the file ----

static cJSON *event_of(const char *phase, const char *name, trace_track track) {
    cJSON *e = cJSON_CreateObject();
    cJSON_AddStringToObject(e, "name", name);
    cJSON_AddStringToObject(e, "ph", phase);
    cJSON_AddNumberToObject(e, "pid", 1);
    cJSON_AddNumberToObject(e, "tid", track + 1);
    return e;
}

static bool put(FILE *file, cJSON *event, bool last) {
    char *text = cJSON_PrintUnformatted(event);
    const bool good = text != NULL && fprintf(file, "%s%s\n", text, last ? "" : ",") > 0;
    cJSON_free(text);
    cJSON_Delete(event);
    return good;
}

static bool put_name(FILE *file, const char *what, trace_track track, const char *name) {
    cJSON *e = event_of("M", what, track);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(e, "args"), "name", name);
    return put(file, e, false);
}

static bool put_event(FILE *file, const trace_event *from, bool last) {
    cJSON *e = event_of("X", from->name, from->track);
    cJSON_AddStringToObject(e, "cat", from->kind);
    cJSON_AddNumberToObject(e, "ts", from->start * 1e6);
    cJSON_AddNumberToObject(e, "dur", from->seconds * 1e6);
    if (from->launch != NULL) {
        const rp_launch *l = from->launch;
        cJSON *args = cJSON_AddObjectToObject(e, "args");
        cJSON_AddStringToObject(args, "op", rp_op_table[l->op].name);
        cJSON_AddStringToObject(args, "kernel", l->kernel);
        char grid[64];
        snprintf(grid, sizeof grid, "%u x %u x %u of %u", l->grid[0], l->grid[1], l->grid[2], l->group);
        cJSON_AddStringToObject(args, "grid", grid);
        cJSON_AddNumberToObject(args, "bytes", (double)from->cost.bytes);
        cJSON_AddNumberToObject(args, "flops", (double)from->cost.flops);
    }
    return put(file, e, last);
}

bool trace_write(const trace *t, const char *path, message *error) {
    draft d;
    if (!draft_open(&d, path, error)) { return false; }
    bool good = fprintf(d.file, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n") > 0 && put_name(d.file, "process_name", TRACE_HOST, "reprise") &&
                put_name(d.file, "thread_name", TRACE_HOST, "host") &&
                put_name(d.file, "thread_name", TRACE_DEVICE, "device, one launch at a time");
    for (size_t i = 0; i < t->n_events && good; i++) { good = put_event(d.file, &t->events[i], i + 1 == t->n_events); }
    good = good && fprintf(d.file, "]}\n") > 0;
    if (!good && !ferror(d.file)) { message_set(error, "%s: memory ran out while writing JSON", path); }
    return draft_finish(&d, good || ferror(d.file), error);   // of a write that failed the draft knows the reason
}
