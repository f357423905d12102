// A timeline of what host and device did, in the Chrome trace format that chrome://tracing and ui.perfetto.dev open.
#ifndef TOOLS_TRACE_H
#define TOOLS_TRACE_H

#include "backend.h"
#include "common.h"

typedef enum trace_track { TRACE_HOST, TRACE_DEVICE, TRACE_TRACKS } trace_track;

typedef struct trace_event {
    char name[96];
    const char *kind;             // "phase", "call", "graph", "op"
    trace_track track;
    double start, seconds;        // since the trace began
    const rp_launch *launch;      // of an op: borrowed until the trace is written; NULL
    rp_cost cost;
} trace_event;

typedef struct trace {
    double began;
    trace_event *events;          // in order of their beginning; what begins inside another ends inside it
    size_t n_events, cap_events;
    const rp_backend *plain;      // of the device that is followed
    rp_backend timed;             // the same, each call noted
} trace;

void trace_begin(trace *t);
void trace_free(trace *t);
// Opens an event and returns its number, for trace_leave.
size_t trace_enter(trace *t, trace_track track, const char *kind, const char *format, ...) __attribute__((format(printf, 4, 5)));
void trace_leave(trace *t, size_t event);

// From here on the device's calls are events of the host. Undone by trace_unfollow, before the device is destroyed.
void trace_follow(trace *t, rp_device *device);
void trace_unfollow(trace *t, rp_device *device);
// From here on, until `on` is false, forecasts run node by node, each launch waited for and an event of the device.
void trace_nodes(trace *t, rp_device *device, bool on);

// Beside `path` first, then renamed. False with a sentence.
bool trace_write(const trace *t, const char *path, message *error);

#endif
