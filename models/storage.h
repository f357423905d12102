// What every family's forecaster keeps outside its graphs: four buffers, host memory beside them, and the queue of replays.
#ifndef RP_STORAGE_H
#define RP_STORAGE_H

#include "chunks.h"
#include "device_inputs.h"
#include "replays.h"

typedef struct rp_storage {
    rp_buffer *host_in, *host_out;     // RP_MEMORY_HOST: inputs packed as on the device, results
    rp_buffer *state;                  // everything on the device that outlives a graph
    rp_buffer *activations;
    uint64_t in_words, out_words;      // of inputs, of the result; set by who builds the graphs
    void *scratch;                     // host: one padded input at a time; or the results, and a row of paths
    rp_replays queue;                  // host: the replays of one forecast
    rp_device_inputs from_device;      // host: what brings series from the caller's device memory; only with config.device_inputs
} rp_storage;                          // starts zeroed

// Buffers of no memory, over which graphs are built to learn their sizes. They may not outlive that.
typedef struct rp_stand_ins { rp_buffer in, out, state; } rp_stand_ins;
void rp_storage_stand_in(rp_storage *storage, rp_stand_ins *stand_ins);
void rp_storage_stand_down(rp_storage *storage);

// Takes what `sizes` says, room for so many replays, and, with device_inputs, for so many launches that bring inputs. What was taken
// before an error goes with rp_storage_destroy. Errors: OUT_OF_MEMORY.
rp_status rp_storage_create(rp_storage *storage, const rp_forecaster *forecaster, const rp_sizes *sizes, uint64_t replays, uint32_t inputs);
void rp_storage_destroy(rp_storage *storage, const rp_device *device);

// Zeros to all of the result, which is in `state`. A forecast of fewer paths or steps than there is room for leaves the rest as it is;
// it is copied all the same.
rp_status rp_storage_clear(rp_storage *storage, const rp_device *device, const rp_tensor *result);

#endif
