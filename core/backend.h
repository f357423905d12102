// What a backend is: devices, memory, and three ways to run a list of launches. A backend knows ops and memory, no model.
#ifndef RP_BACKEND_H
#define RP_BACKEND_H

#include "graph.h"

// ---- the plan: core/plan.c ----

// A graph made ready to run: activations placed, launches described, dependencies found. Lives in the graph's arena.
typedef struct rp_plan {
    const char *name;
    const rp_graph *graph;         // what it was made from
    uint32_t n_launches;
    rp_launch *launches;
    uint32_t **deps;               // deps[i]: launches that must end before i starts; no transitive ones
    uint32_t *n_deps;
    uint64_t activation_bytes;     // of the one activation buffer
    rp_cost *costs;                // of each launch
    rp_cost cost;                  // of the whole graph
    uint64_t replays;              // of it by forecasts so far, and how long recording it took: models/replays.c counts
    uint64_t record_ns;
} rp_plan;

// ---- memory ----

typedef enum rp_memory_kind {
    RP_MEMORY_DEVICE,              // for kernels only; rp_backend.write reaches it through staging, slowly
    RP_MEMORY_HOST                 // kernels and host alike: pinned or host-visible, coherent, always mapped
} rp_memory_kind;

struct rp_buffer {
    rp_device *device;
    uint64_t bytes;
    uint64_t address;              // as kernels see it, aligned to 256; ref: 0
    void *mapped;                  // RP_MEMORY_HOST: the host's view. ref: both kinds, twice as wide (see backend_ref)
    rp_memory_kind kind;
    void *handle;                  // the backend's own
};

// ---- devices ----

typedef struct rp_counters {       // what tests count; a device starts at zero
    uint64_t buffers;              // buffers allocated
    uint64_t buffer_bytes;         // bytes alive
    uint64_t device_bytes;         // of these in RP_MEMORY_DEVICE
    uint64_t device_bytes_peak;    // the most that device_bytes has been
    uint64_t recordings;           // recordings made
    uint64_t replays;              // of recordings; several may have been one launch
    uint64_t reads;                // device-to-host reads: calls of rp_backend.read
    uint64_t waits;
} rp_counters;

// Every backend counts its buffers with these two.
static inline void rp_counters_made(rp_counters *c, uint64_t bytes, rp_memory_kind kind) {
    c->buffers++;
    c->buffer_bytes += bytes;
    if (kind == RP_MEMORY_DEVICE) { c->device_bytes += bytes; }
    if (c->device_bytes > c->device_bytes_peak) { c->device_bytes_peak = c->device_bytes; }
}
static inline void rp_counters_freed(rp_counters *c, uint64_t bytes, rp_memory_kind kind) {
    c->buffer_bytes -= bytes;
    if (kind == RP_MEMORY_DEVICE) { c->device_bytes -= bytes; }
}

typedef struct rp_recording rp_recording;   // the backend's own

typedef struct rp_backend {
    const char *name;              // "cuda"

    // Lists the backend's devices: appends with rp_device_list_add, or appends one entry with available = 0 and the reason.
    rp_status (*list)(rp_device_list *list);

    // Opens device `index`; -1: the best one. `device` is zeroed but for backend, config and error; fills impl, info.
    // cpu: Vulkan only; false: skip CPU devices when index is -1. After a failure close() is called.
    rp_status (*open)(rp_device *device, int index, bool cpu);
    void (*close)(rp_device *device);       // accepts a half-opened device

    rp_status (*buffer_create)(rp_device *device, uint64_t bytes, rp_memory_kind kind, rp_buffer **out); // contents undefined
    void (*buffer_destroy)(rp_buffer *buffer);                                                           // NULL is fine

    // Converts `count` numbers from `from` to `to` (rp_convert) and places them at byte `offset`; returns when `src` has
    // been read. Only what the device does later is ordered after it; wait first if replays that use the place are under way.
    rp_status (*write)(rp_buffer *buffer, uint64_t offset, rp_dtype to, const void *src, rp_dtype from, uint64_t count);
    // The way back. Waits for all replays.
    rp_status (*read)(rp_buffer *buffer, uint64_t offset, rp_dtype from, void *dst, rp_dtype to, uint64_t count);

    // Runs the launches now, one after the other, and waits.
    rp_status (*run)(rp_device *device, const rp_plan *plan);
    // Queues the launches, one after the other, behind all queued work; may wait. Without a recording: for what changes its
    // addresses from one forecast to the next. The plan may go at once.
    rp_status (*enqueue)(rp_device *device, const rp_plan *plan);
    // Makes a recording; the plan must outlive it.
    rp_status (*record)(rp_device *device, const rp_plan *plan, rp_recording **out);
    void (*recording_destroy)(rp_recording *recording);                        // NULL is fine; waits if it is in flight
    // Queues replays of n recordings in order, each after all of the one before; returns at once.
    rp_status (*replay)(rp_device *device, rp_recording *const *recordings, uint32_t n);
    rp_status (*wait)(rp_device *device);                                      // until all queued work is done

    // Both NULL: this backend takes no memory of the caller's.
    // Describes `bytes` at `address` in the memory of the device that the caller calls `ordinal`; *out owns nothing, and is the
    // caller's to keep. `what` names the tensor in the sentence. Errors: INVALID_ARGUMENT (not of this device, not all there).
    rp_status (*borrow)(rp_device *device, const char *what, int32_t ordinal, uint64_t address, uint64_t bytes, rp_buffer *out);
    // Holds back what this device does next, and with `host` also this call, until all that is queued on the caller's stream
    // is done.
    rp_status (*after)(rp_device *device, uint64_t stream, bool host);
#define RP_STREAM_DEFAULT 1u       // CU_STREAM_LEGACY, which waits for all streams that block with it

    // Device memory that is free now; 0: the driver does not say. NULL: device memory is the host's.
    rp_status (*memory)(rp_device *device, uint64_t *free_bytes);
} rp_backend;

extern const rp_backend rp_backend_ref;
extern const rp_backend rp_backend_cuda;
extern const rp_backend rp_backend_vulkan;

struct rp_lock;

struct rp_device {
    const rp_backend *backend;     // NULL: none could be opened; only the error text is of use
    rp_device_config config;
    rp_device_info info;
    rp_error error;
    rp_counters counters;
    uint32_t processors;           // that take a workgroup each; 0: few, or the backend cannot tell
    bool fast;                     // has the kernels that core/ops/ choose where a launch is `fast`
    bool clusters;                 // has kernels of clusters: attn_time_f32_spread, attn_step_f32_spread
    uint32_t wgmma;                // has the linear_wgmma kernels and those of pairs: 0, no; 1, taken by size; 2 + i, shape i of their tiles alone, for tests
    int32_t ordinal;               // CUDA: the driver's number of this device
    struct rp_loan *loans;         // results lent out; see core/loan.h
    void *impl;                    // the backend's own
    // For tools, on a device opened with config.direct: takes the place of `backend->run` for the plans of a forecast. NULL: none.
    rp_status (*watch)(void *user, rp_device *device, const rp_plan *plan);
    void *watch_user;
    struct rp_lock *lock;          // held by every public call; see RP_HOLD. NULL: a device made by hand, which one thread uses
};

// The devices of one backend alone; see rp_device_list_create. Errors: NOT_FOUND (no backend of that name), OUT_OF_MEMORY.
rp_status rp_device_list_create_of(const char *backend, rp_device_list **out);

// Holds the device's lock until the function that says this returns: the first thing in every public call on a device, its models
// and forecasters. What it calls need not care, and may say it again.
#define RP_HOLD(device) __attribute__((cleanup(rp_device_let_go), unused)) struct rp_lock *held_ = rp_device_hold(device)
struct rp_lock *rp_device_hold(rp_device *device);
void rp_device_let_go(struct rp_lock **lock);

// Adds an entry; errors: OUT_OF_MEMORY.
rp_status rp_device_list_add(rp_device_list *list, const rp_device_info *info);

// Builds the plan: places activations in `activations` (a buffer of at least activation_bytes, or NULL to only measure).
// Call rp_plan_create with NULL first to learn the size, then rp_plan_bind with the buffer.
rp_status rp_plan_create(rp_graph *graph, rp_plan **out);
void rp_plan_bind(rp_graph *graph, rp_plan *plan, rp_buffer *activations);

// core/convert.c: numbers from one dtype to another, IEEE round to nearest even; integers to integers, floats to floats.
void rp_convert(void *dst, rp_dtype to, const void *src, rp_dtype from, uint64_t count);

#endif
