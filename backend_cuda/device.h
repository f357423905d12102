// What the files of this backend share: one opened device, and entering its context.
#ifndef RP_CUDA_DEVICE_H
#define RP_CUDA_DEVICE_H

#include "args.h"
#include "backend.h"
#include "driver.h"
#include "step_block.h"

#define RP_CUDA_STAGING_BYTES ((uint64_t)4 << 20)   // of each of two: long enough to hide one conversion behind one copy
#define RP_CUDA_MAX_FUNCTIONS 192
#define RP_CUDA_SHORT_GROUPS 256u      // of a launch that is short: they fit on a GPU together
#define RP_CUDA_MOST_SHARED RP_STEP_BYTES   // bytes of shared memory of a group, beyond which no multiprocessor has room for two
#define RP_CUDA_PLAIN_SHARED 49152u    // bytes of shared memory that a group gets without asking first
#define RP_CUDA_SUM_GROUP 128u         // invocations of a group of step_sum, a number each
#define RP_CUDA_BATCH_REPLAYS 64u      // in one batch, at most, and
#define RP_CUDA_BATCH_NODES 640u       // kernels: some 6 us of host time and 2 KB of device memory each when it is made, once
#define RP_CUDA_MAX_BATCHES 24         // kept

typedef struct rp_cuda_staging {
    void *memory;                  // pinned, RP_CUDA_STAGING_BYTES
    rp_cu_event done;              // the last copy from or to it
    bool busy;                     // that copy may be under way
} rp_cuda_staging;

typedef struct rp_cuda_batch {         // replays in a row that are one graph launch
    rp_recording *recordings[RP_CUDA_BATCH_REPLAYS];
    uint32_t n;                    // 0: a free place
    rp_cu_exec exec;               // NULL: the driver could not make it, so they are launched one by one
    uint64_t used;                 // by which call of replay, last
} rp_cuda_batch;

typedef struct rp_cuda {
    rp_cuda_driver driver;
    void *library;                 // NULL: the table came from elsewhere
    rp_cu_device id;
    bool overlaps;                 // launches may start before the one that they wait for is done (rp_wait in kernels/common.cuh)
    rp_cu_context context;         // the primary one, shared with whoever else uses CUDA in this process
    rp_cu_stream stream;           // all work of this device
    rp_cuda_staging staging[2];
    rp_cu_event caller;            // marks the caller's stream; made when first needed
    rp_cu_module modules[RP_OP_COUNT];                                        // loaded when first needed
    struct { const char *name; rp_cu_function function; uint32_t shared_bytes; } functions[RP_CUDA_MAX_FUNCTIONS];
    uint32_t n_functions;
    rp_cuda_batch batches[RP_CUDA_MAX_BATCHES];
    uint64_t calls;                // of replay
} rp_cuda;

// device.c
// Opens device `index` (-1: the first) on a table of driver functions, which is copied. close() takes it back.
rp_status rp_cuda_open_with(rp_device *device, int index, const rp_cuda_driver *driver);
// Makes the device's context current on this thread until rp_cuda_leave, which restores the one before.
rp_status rp_cuda_enter(rp_device *device);
void rp_cuda_leave(rp_device *device);
// The same for what destroys: silent, so that the sentence of the failure that led to it stays. False where the context is beyond
// use; its end frees what is in it.
bool rp_cuda_enter_to_destroy(rp_device *device);
// The status and sentence of a driver result: RP_OK for success.
rp_status rp_cuda_check(rp_device *device, rp_cu_result result, const char *doing);

// memory.c
rp_status rp_cuda_buffer_create(rp_device *device, uint64_t bytes, rp_memory_kind kind, rp_buffer **out);
void rp_cuda_buffer_destroy(rp_buffer *buffer);
rp_status rp_cuda_write(rp_buffer *buffer, uint64_t offset, rp_dtype to, const void *src, rp_dtype from, uint64_t count);
rp_status rp_cuda_read(rp_buffer *buffer, uint64_t offset, rp_dtype from, void *dst, rp_dtype to, uint64_t count);
rp_status rp_cuda_staging_create(rp_device *device);
void rp_cuda_staging_destroy(rp_device *device);

// What a kernel is handed: the block of core/args.h, then its tensor maps (kernels/wgmma.cuh). Kernels without maps take the first
// part alone.
typedef struct rp_cuda_args {
    rp_args args;
    _Alignas(64) unsigned char map[RP_MAX_MAPS][RP_CU_MAP_BYTES];
} rp_cuda_args;

// record.c
// Fills the arguments of a launch.
rp_status rp_cuda_args_fill(rp_device *device, const rp_launch *launch, rp_cuda_args *out);
// The function of a launch, loaded and kept when first asked for. The context must be current.
rp_status rp_cuda_function(rp_device *device, const rp_launch *launch, rp_cu_function *out);
rp_status rp_cuda_record(rp_device *device, const rp_plan *plan, rp_recording **out);
// Adds a recording's kernels to a graph, the first ones behind node *last, which ends one that closes (NULL: behind nothing); *last is its
// own last one then. The context must be current.
rp_status rp_cuda_record_again(rp_device *device, const rp_recording *recording, rp_cu_graph graph, rp_cu_node *last);
void rp_cuda_recording_destroy(rp_recording *recording);

// step_blocks.c
typedef struct rp_cuda_block {         // launches of a plan that are one kernel node
    uint32_t first;
    bool begins, ends;             // a run of blocks; behind what ends one stands
    rp_step_block block;
    struct rp_step_sum_args sum;   // this
} rp_cuda_block;
typedef struct rp_cuda_blocks {
    rp_cuda_block *list;           // in order; the caller's to free, also after an error
    uint32_t n;
} rp_cuda_blocks;
// Finds a plan's blocks, and makes `sums` if there are any. The context must be current.
rp_status rp_cuda_blocks_find(rp_device *device, const rp_plan *plan, rp_buffer **sums, rp_cuda_blocks *out);

struct rp_recording {
    rp_device *device;
    const rp_plan *plan;
    rp_cu_graph graph;             // what batches are made of
    rp_cu_exec exec;               // both NULL on a device opened with config.direct
    uint32_t n_nodes;              // of the graph: kernels
    bool closes;                   // its last launch comes behind all others, and lets the next replay begin when those are done
    rp_cuda_blocks blocks;
    rp_buffer *sums;               // what blocks hand over, in two areas; NULL: there are none
};

// queue.c
// Queues replays of recordings in order, in as few launches as can be. The context must be current, here and below.
rp_status rp_cuda_queue(rp_device *device, rp_recording *const *recordings, uint32_t n);
// Forgets the batches with a recording that is about to go; `inside`: gives back what the driver has of them.
void rp_cuda_queue_forget(rp_device *device, const rp_recording *recording, bool inside);

// replay.c
rp_status rp_cuda_run(rp_device *device, const rp_plan *plan);
rp_status rp_cuda_enqueue(rp_device *device, const rp_plan *plan);
rp_status rp_cuda_replay(rp_device *device, rp_recording *const *recordings, uint32_t n);
rp_status rp_cuda_replay_one(rp_device *device, rp_recording *recording);   // queues it; the context must be current
rp_status rp_cuda_wait(rp_device *device);

// caller.c
rp_status rp_cuda_borrow(rp_device *device, const char *what, int32_t ordinal, uint64_t address, uint64_t bytes, rp_buffer *out);
rp_status rp_cuda_after(rp_device *device, uint64_t stream, bool host);

#endif
