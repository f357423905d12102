// Running launches: one after the other, in the order of the graph.
#include "record.h"

static void run_launch(const rp_launch *launch) {
    void *binding[RP_MAX_BINDINGS] = { 0 };
    for (uint32_t i = 0; i < launch->n_bindings; i++) {
        const rp_binding *b = &launch->binding[i];
        binding[i] = b->buffer ? (char *)b->buffer->mapped + b->offset * 2 : NULL;
    }
    rp_op_table[launch->op].ref(launch->params, binding);
}

rp_status rp_ref_run(rp_device *device, const rp_plan *plan) {
    (void)device;
    for (uint32_t i = 0; i < plan->n_launches; i++) { run_launch(&plan->launches[i]); }
    return RP_OK;
}

rp_status rp_ref_replay(rp_device *device, rp_recording *const *recordings, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        device->counters.replays++;
        RP_RETURN(rp_ref_run(device, recordings[i]->plan));
    }
    return RP_OK;
}

rp_status rp_ref_wait(rp_device *device) {
    device->counters.waits++;
    return RP_OK;
}
