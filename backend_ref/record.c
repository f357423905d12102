// Recordings of the reference device: the plan itself is enough.
#include <stdlib.h>

#include "record.h"

rp_status rp_ref_record(rp_device *device, const rp_plan *plan, rp_recording **out) {
    *out = calloc(1, sizeof **out);
    if (*out == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while recording '%s'.", plan->name); }
    (*out)->plan = plan;
    device->counters.recordings++;
    return RP_OK;
}

void rp_ref_recording_destroy(rp_recording *recording) { free(recording); }
