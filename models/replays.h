// The replays of one forecast: queued in order, sent to the device at once or a few at a time, and mirrored on the host. Every
// family runs its forecasts through this.
#ifndef RP_REPLAYS_H
#define RP_REPLAYS_H

#include "backend.h"

#define RP_MAX_ADVANCES 4u

// A graph made ready, and its recording.
typedef struct rp_run {
    rp_plan *plan;
    rp_recording *recording;
    struct rp_advance_params advances[RP_MAX_ADVANCES];        // what the graph does to the step block, found when recorded
    uint32_t n_advances;
} rp_run;

rp_status rp_run_record(rp_device *device, rp_run *run);       // a run without a plan stays empty
void rp_run_destroy(rp_device *device, rp_run *run);           // its recording; empty is fine

typedef struct rp_replays {
    rp_device *device;
    struct rp_step mirror;         // the host's own step block, moved on as replays are queued; never read back
    const rp_run **runs;           // [cap]
    rp_recording **recordings;     // [cap]: theirs, as a backend takes them
    uint32_t n, cap;
    uint32_t sent;                 // of the n
} rp_replays;                      // starts zeroed

// Room for `cap` replays. Errors: OUT_OF_MEMORY, also for a forecast of absurdly many, which a budget of one path at a time makes.
rp_status rp_replays_create(rp_replays *queue, rp_device *device, uint64_t cap);
void rp_replays_destroy(rp_replays *queue);                    // zeroed is fine
void rp_replays_begin(rp_replays *queue, struct rp_step step); // empties the queue; `step` is what the device starts with
void rp_replays_add(rp_replays *queue, const rp_run *run);     // not beyond cap: sized when the forecaster is created

// Queues replays first .. first + n - 1; node by node, without replaying, on a device opened with config.direct.
rp_status rp_replays_send(rp_replays *queue, uint32_t first, uint32_t n);
// All that are not sent yet, and waits; with a progress callback a few at a time. Errors: CANCELLED.
rp_status rp_replays_finish(rp_replays *queue, const rp_forecast_config *config);

// Compares the host's step block with the device's, `step`. Errors: INTERNAL.
rp_status rp_replays_check(const rp_replays *queue, const rp_tensor *step);

#endif
