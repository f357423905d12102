// Devices of the CUDA backend: the list, opening and closing. The context is the primary one of the GPU; it is current only
// inside a call, so that other users of CUDA in this process, and other devices of this library, keep theirs.
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

rp_status rp_cuda_check(rp_device *device, rp_cu_result result, const char *doing) {
    const rp_cuda *cuda = device->impl;
    return result == RP_CU_SUCCESS ? RP_OK : rp_cuda_driver_error(&device->error, &cuda->driver, result, doing);
}

rp_status rp_cuda_enter(rp_device *device) {
    const rp_cuda *cuda = device->impl;
    return rp_cuda_check(device, cuda->driver.context_push(cuda->context), "making the device current");
}

bool rp_cuda_enter_to_destroy(rp_device *device) {
    const rp_cuda *cuda = device->impl;
    return cuda->driver.context_push(cuda->context) == RP_CU_SUCCESS;
}

void rp_cuda_leave(rp_device *device) {
    const rp_cuda *cuda = device->impl;
    rp_cu_context popped;
    (void)cuda->driver.context_pop(
        &popped); // fails only when the driver is going down, and then nothing is left to restore
}

// Starts the driver and counts its devices.
static rp_status start(rp_error *error, const rp_cuda_driver *driver, int *version, int *count) {
    rp_cu_result result = driver->init(0);
    if (result != RP_CU_SUCCESS) { return rp_cuda_driver_error(error, driver, result, "starting the driver"); }
    result = driver->driver_version(version);
    if (result != RP_CU_SUCCESS) { return rp_cuda_driver_error(error, driver, result, "asking for the driver's version"); }
    result = driver->device_count(count);
    if (result != RP_CU_SUCCESS) { return rp_cuda_driver_error(error, driver, result, "counting devices"); }
    return *count > 0 ? RP_OK : rp_cuda_driver_error(error, driver, RP_CU_NO_DEVICE, "counting devices");
}

// What kernels and recordings use where it is there.
typedef struct features { bool mixed, wgmma, clusters, overlaps; } features;

static features features_of(const rp_cuda_driver *driver, int major) {
    return (features){ .mixed = major >= 8,                                        // mma.sync on float16, cp.async
                       .wgmma = RP_CUDA_SM90A && major == 9 && driver->tensor_map != NULL,
                       .clusters = major >= 9,
                       .overlaps = major >= 9 && driver->graph_add_edges != NULL };
}

static void name_features(const features *f, rp_device_info *info) {
    snprintf(info->uses, sizeof info->uses, "float64, graphs%s%s%s%s", f->mixed ? ", matrix units with float16 operands (mixed)" : "",
             f->wgmma ? ", wgmma with tensor maps" : "", f->clusters ? ", clusters" : "", f->overlaps ? ", overlapping launches" : "");
    if (!f->mixed) {
        snprintf(info->lacks, sizeof info->lacks, "matrix units with float16 operands, of compute capability 8.0 and later: precision f32 alone");
        return;
    }
    snprintf(info->lacks, sizeof info->lacks, "%s%s%s%s%s", f->wgmma ? "" : "wgmma, of compute capability 9.0: mma.sync and plain arithmetic do its work",
             f->wgmma || f->clusters ? "" : "; ", f->clusters ? "" : "clusters, of 9.0 and later: one group for each query",
             (f->wgmma && f->clusters) || f->overlaps ? "" : "; ",
             f->overlaps ? "" : "overlapping launches, of 9.0 and a driver for CUDA 12.3: each waits for the one before");
}

// Fills the information of device `index`; needs no context.
static rp_status describe(rp_error *error, const rp_cuda_driver *driver, int version, int index, rp_cu_device *id,
                          rp_device_info *info) {
    int major = 0, minor = 0;
    size_t bytes = 0;
    *info = (rp_device_info)RP_DEVICE_INFO_INIT;
    rp_cu_result result = driver->device_get(id, index);
    if (result == RP_CU_SUCCESS) { result = driver->device_name(info->name, (int)sizeof info->name, *id); }
    if (result == RP_CU_SUCCESS) { result = driver->device_memory(&bytes, *id); }
    if (result == RP_CU_SUCCESS) { result = driver->device_attribute(&major, RP_CU_ATTRIBUTE_MAJOR, *id); }
    if (result == RP_CU_SUCCESS) { result = driver->device_attribute(&minor, RP_CU_ATTRIBUTE_MINOR, *id); }
    if (result != RP_CU_SUCCESS) { return rp_cuda_driver_error(error, driver, result, "asking for a device's properties"); }
    snprintf(info->spec, sizeof info->spec, "cuda:%d", index);
    snprintf(info->backend, sizeof info->backend, "cuda");
    snprintf(info->detail, sizeof info->detail, "compute capability %d.%d, driver for CUDA %d.%d", major, minor,
             version / 1000, version % 1000 / 10);
    info->available = 1;
    info->kind = RP_DEVICE_GPU;
    info->memory_bytes = bytes;
    const features f = features_of(driver, major);
    info->mixed = f.mixed;
    name_features(&f, info);
    return RP_OK;
}

static rp_status list_absent(rp_device_list *list, const rp_error *error) {
    rp_device_info info = RP_DEVICE_INFO_INIT;
    snprintf(info.spec, sizeof info.spec, "cuda");
    snprintf(info.backend, sizeof info.backend, "cuda");
    snprintf(info.name, sizeof info.name, "NVIDIA GPU");
    snprintf(info.detail, sizeof info.detail, "%.*s", (int)sizeof info.detail - 1, error->text);
    info.kind = RP_DEVICE_GPU;
    return rp_device_list_add(list, &info);
}

static rp_status list_devices(rp_device_list *list) {
    rp_error error = { { 0 } };
    rp_cuda_driver driver;
    rp_device_info info;
    rp_cu_device id;
    void *library = NULL;
    int version = 0, count = 0;
    rp_status status = rp_cuda_driver_load(&error, &library, &driver);
    if (status == RP_OK) { status = start(&error, &driver, &version, &count); }
    if (status != RP_OK) {
        status = list_absent(list, &error);
        goto cleanup;
    }
    for (int i = 0; i < count; i++) {
        if (describe(&error, &driver, version, i, &id, &info) != RP_OK) {
            snprintf(info.spec, sizeof info.spec, "cuda:%d", i);
            snprintf(info.backend, sizeof info.backend, "cuda");
            snprintf(info.detail, sizeof info.detail, "%.*s", (int)sizeof info.detail - 1, error.text);
            info.kind = RP_DEVICE_GPU;
        }
        RP_TRY(rp_device_list_add(list, &info));
    }
cleanup:
    if (library != NULL) { rp_library_close(library); }
    return status;
}

// The parts of opening that need the context.
static rp_status open_inside(rp_device *device) {
    rp_cuda *cuda = device->impl;
    int processors = 0;
    RP_RETURN(rp_cuda_check(device, cuda->driver.device_attribute(&processors, RP_CU_ATTRIBUTE_PROCESSORS, cuda->id),
                            "counting multiprocessors"));
    device->processors = (uint32_t)processors;
    device->fast = true;
    int major = 0;
    RP_RETURN(rp_cuda_check(device, cuda->driver.device_attribute(&major, RP_CU_ATTRIBUTE_MAJOR, cuda->id), "asking for the architecture"));
    const features f = features_of(&cuda->driver, major);
    device->clusters = f.clusters, device->wgmma = f.wgmma, cuda->overlaps = f.overlaps;
    RP_RETURN(
        rp_cuda_check(device, cuda->driver.stream_create(&cuda->stream, RP_CU_STREAM_NON_BLOCKING), "making a stream"));
    return rp_cuda_staging_create(device);
}

// A kernel's fault is for the life of the process: no context that the driver makes after it works, not even once all that were
// there are gone (driver 580: neither a reset of the primary one nor a context of one's own). A device opened then is told of it.
static rp_status still_lost(rp_device *device) {
    const rp_error driver = device->error;
    return rp_fail(device, RP_DEVICE_LOST,
                   "%s failed earlier in this process, and the driver takes no more work from a process whose kernel has faulted: "
                   "start a new process for it; other backends go on working in this one. (%.500s)", device->info.spec, driver.text);
}

static rp_status open_table(rp_device *device, int index) {
    rp_cuda *cuda = device->impl;
    const rp_cuda_driver *driver = &cuda->driver;
    int version = 0, count = 0;
    RP_RETURN(start(&device->error, driver, &version, &count));
    if (index < 0) { index = 0; }   // the driver numbers the fastest first
    if (index >= count) {
        return rp_fail(device, RP_NOT_FOUND, "There is no device cuda:%d: the driver sees %d; the first is cuda:0.", index,
                       count);
    }
    RP_RETURN(describe(&device->error, driver, version, index, &cuda->id, &device->info));
    device->ordinal = index;
    rp_status status = rp_cuda_check(device, driver->context_retain(&cuda->context, cuda->id), "making a context");
    if (status != RP_OK) {
        cuda->context = NULL;   // the driver may have set it all the same
        return status == RP_DEVICE_LOST ? still_lost(device) : status;
    }
    status = rp_cuda_enter(device);
    if (status == RP_OK) {
        status = open_inside(device);
        rp_cuda_leave(device);
    }
    return status == RP_DEVICE_LOST ? still_lost(device) : status;
}

static rp_cuda *allocate(rp_device *device) {
    rp_cuda *cuda = calloc(1, sizeof *cuda);
    device->impl = cuda;
    if (cuda == NULL) { (void)rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while opening a CUDA device."); }
    return cuda;
}

rp_status rp_cuda_open_with(rp_device *device, int index, const rp_cuda_driver *driver) {
    rp_cuda *cuda = allocate(device);
    if (cuda == NULL) { return RP_OUT_OF_MEMORY; }
    cuda->driver = *driver;
    return open_table(device, index);
}

static rp_status open_device(rp_device *device, int index, bool cpu) {
    (void)cpu;
    rp_cuda *cuda = allocate(device);
    if (cuda == NULL) { return RP_OUT_OF_MEMORY; }
    RP_RETURN(rp_cuda_driver_load(&device->error, &cuda->library, &cuda->driver));
    return open_table(device, index);
}

static void close_device(rp_device *device) {
    rp_cuda *cuda = device->impl;
    if (cuda == NULL) { return; }
    const rp_cuda_driver *driver = &cuda->driver;
    if (cuda->context != NULL) {
        if (rp_cuda_enter_to_destroy(device)) {
            if (cuda->stream != NULL) { (void)driver->stream_wait(cuda->stream); }
            rp_cuda_staging_destroy(device);
            if (cuda->caller != NULL) { (void)driver->event_destroy(cuda->caller); }
            for (uint32_t i = 0; i < RP_OP_COUNT; i++) {
                if (cuda->modules[i] != NULL) { (void)driver->module_unload(cuda->modules[i]); }
            }
            if (cuda->stream != NULL) { (void)driver->stream_destroy(cuda->stream); }
            rp_cuda_leave(device);
        }
        (void)driver->context_release(cuda->id);
    }
    if (cuda->library != NULL) { rp_library_close(cuda->library); }
    free(cuda);
    device->impl = NULL;
}

static rp_status free_memory(rp_device *device, uint64_t *free_bytes) {
    const rp_cuda *cuda = device->impl;
    size_t available = 0, total = 0;
    RP_RETURN(rp_cuda_enter(device));
    rp_status status = rp_cuda_check(device, cuda->driver.memory_info(&available, &total), "asking for free memory");
    rp_cuda_leave(device);
    *free_bytes = available;
    return status;
}

const rp_backend rp_backend_cuda = {
    .name = "cuda",
    .list = list_devices,
    .open = open_device,
    .close = close_device,
    .buffer_create = rp_cuda_buffer_create,
    .buffer_destroy = rp_cuda_buffer_destroy,
    .write = rp_cuda_write,
    .read = rp_cuda_read,
    .run = rp_cuda_run,
    .enqueue = rp_cuda_enqueue,
    .record = rp_cuda_record,
    .recording_destroy = rp_cuda_recording_destroy,
    .replay = rp_cuda_replay,
    .wait = rp_cuda_wait,
    .borrow = rp_cuda_borrow,
    .after = rp_cuda_after,
    .memory = free_memory,
};
