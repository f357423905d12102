// The reference device: always there.
#include <stdio.h>
#include <string.h>

#include "ref.h"

static rp_device_info describe(void) {
    rp_device_info info = RP_DEVICE_INFO_INIT;
    snprintf(info.spec, sizeof info.spec, "ref");
    snprintf(info.backend, sizeof info.backend, "ref");
    snprintf(info.name, sizeof info.name, "reference");
    snprintf(info.detail, sizeof info.detail, "float64 on one CPU core, plain loops: for checking, not for speed");
    snprintf(info.uses, sizeof info.uses, "float64");
    info.available = 1;
    info.kind = RP_DEVICE_REFERENCE;
    return info;
}

static rp_status list(rp_device_list *devices) {
    rp_device_info info = describe();
    return rp_device_list_add(devices, &info);
}

static rp_status open_device(rp_device *device, int index, bool cpu) {
    (void)cpu;
    if (index > 0) { return rp_fail(device, RP_NOT_FOUND, "There is one reference device, \"ref\", not number %d.", index); }
    device->info = describe();
    return RP_OK;
}

static void close_device(rp_device *device) { (void)device; }

const rp_backend rp_backend_ref = {
    .name = "ref",
    .list = list,
    .open = open_device,
    .close = close_device,
    .buffer_create = rp_ref_buffer_create,
    .buffer_destroy = rp_ref_buffer_destroy,
    .write = rp_ref_write,
    .read = rp_ref_read,
    .run = rp_ref_run,
    .enqueue = rp_ref_run,
    .record = rp_ref_record,
    .recording_destroy = rp_ref_recording_destroy,
    .replay = rp_ref_replay,
    .wait = rp_ref_wait,
};
