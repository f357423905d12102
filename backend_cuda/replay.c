// Running work: replays are graph launches and nothing else (queue.c); a direct run launches kernel by kernel.
#include <stdio.h>

#include "device.h"

static rp_status launch_one(rp_device *device, const rp_launch *launch) {
    const rp_cuda *cuda = device->impl;
    rp_cuda_args args;
    void *params[] = { &args };
    rp_cu_function function;
    char doing[160];
    RP_RETURN(rp_cuda_args_fill(device, launch, &args));
    RP_RETURN(rp_cuda_function(device, launch, &function));
    snprintf(doing, sizeof doing, "launching '%s' (%s)", launch->label, launch->kernel);
    return rp_cuda_check(device,
                         cuda->driver.launch(function, launch->grid[0], launch->grid[1], launch->grid[2], launch->group, 1,
                                             1, launch->shared_bytes, cuda->stream, params, NULL),
                         doing);
}

// Launches one after the other on one stream. On a direct device each is waited for, so that a fault is named by its node.
static rp_status launch_all(rp_device *device, const rp_plan *plan) {
    const rp_cuda *cuda = device->impl;
    char doing[160];
    for (uint32_t i = 0; i < plan->n_launches; i++) {
        const rp_launch *launch = &plan->launches[i];
        RP_RETURN(launch_one(device, launch));
        if (device->config.direct) {
            snprintf(doing, sizeof doing, "running '%s' (%s)", launch->label, launch->kernel);
            RP_RETURN(rp_cuda_check(device, cuda->driver.stream_wait(cuda->stream), doing));
        }
    }
    return RP_OK;
}

rp_status rp_cuda_run(rp_device *device, const rp_plan *plan) {
    const rp_cuda *cuda = device->impl;
    char doing[160];
    RP_RETURN(rp_cuda_enter(device));
    rp_status status = launch_all(device, plan);
    if (status == RP_OK) {
        snprintf(doing, sizeof doing, "running '%s'", plan->n_launches == 1 ? plan->launches[0].label : plan->name);
        status = rp_cuda_check(device, cuda->driver.stream_wait(cuda->stream), doing);
    }
    rp_cuda_leave(device);
    return status;
}

rp_status rp_cuda_enqueue(rp_device *device, const rp_plan *plan) {
    RP_RETURN(rp_cuda_enter(device));
    rp_status status = launch_all(device, plan);
    rp_cuda_leave(device);
    return status;
}

rp_status rp_cuda_replay_one(rp_device *device, rp_recording *recording) {
    const rp_cuda *cuda = device->impl;
    char doing[160];
    if (recording->exec == NULL) { return launch_all(device, recording->plan); }
    snprintf(doing, sizeof doing, "replaying '%s'", recording->plan->name);
    return rp_cuda_check(device, cuda->driver.exec_launch(recording->exec, cuda->stream), doing);   // faults of earlier work come back here, too
}

rp_status rp_cuda_replay(rp_device *device, rp_recording *const *recordings, uint32_t n) {
    RP_RETURN(rp_cuda_enter(device));
    rp_status status = rp_cuda_queue(device, recordings, n);
    rp_cuda_leave(device);
    return status;
}

rp_status rp_cuda_wait(rp_device *device) {
    const rp_cuda *cuda = device->impl;
    device->counters.waits++;
    RP_RETURN(rp_cuda_enter(device));
    rp_status status = rp_cuda_check(device, cuda->driver.stream_wait(cuda->stream), "waiting for the device");
    rp_cuda_leave(device);
    return status;
}
