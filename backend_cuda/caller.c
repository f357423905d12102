// The caller's own CUDA memory and streams: memory is checked and described, never freed; a stream is waited for on the device.
#include <inttypes.h>

#include "device.h"

static rp_status refuse(rp_device *device, const char *what, uint64_t address, const char *why) {
    return rp_fail(device, RP_INVALID_ARGUMENT, "%s: address 0x%" PRIx64 " is not in the memory of %s: %s.", what, address, device->info.spec, why);
}

// One byte of the range; the driver knows which allocation, if any, it lies in.
static rp_status check_byte(rp_device *device, const char *what, uint64_t address) {
    const rp_cuda *cuda = device->impl;
    uint32_t kind = 0;
    int ordinal = -1;
    rp_cu_result result = cuda->driver.pointer_attribute(&kind, RP_CU_POINTER_KIND, address);
    if (result == RP_CU_SUCCESS) { result = cuda->driver.pointer_attribute(&ordinal, RP_CU_POINTER_DEVICE, address); }
    if (result == RP_CU_INVALID_VALUE) { return refuse(device, what, address, "the driver does not know it, so it was freed, or never was a GPU's"); }
    RP_RETURN(rp_cuda_check(device, result, "looking up a tensor's memory"));
    if (kind != RP_CU_KIND_DEVICE) { return refuse(device, what, address, "it is host memory; describe it as kDLCPU or kDLCUDAHost"); }
    if (ordinal != device->ordinal) { return refuse(device, what, address, "it is another GPU's"); }
    return RP_OK;
}

rp_status rp_cuda_borrow(rp_device *device, const char *what, int32_t ordinal, uint64_t address, uint64_t bytes, rp_buffer *out) {
    if (ordinal != device->ordinal) {
        return rp_fail(device, RP_INVALID_ARGUMENT, "%s lies on cuda:%d, but the forecaster runs on %s. Copy it there, or make a device for it.",
                       what, ordinal, device->info.spec);
    }
    // First and last byte: one tensor may span several mappings, so the size of one says nothing.
    RP_RETURN(rp_cuda_enter(device));
    rp_status status = check_byte(device, what, address);
    if (status == RP_OK && bytes > 1) { status = check_byte(device, what, address + bytes - 1); }
    rp_cuda_leave(device);
    *out = (rp_buffer){ .device = device, .bytes = bytes, .address = address, .kind = RP_MEMORY_DEVICE };
    return status;
}

static rp_status follow(rp_device *device, rp_cu_stream stream, bool host) {
    rp_cuda *cuda = device->impl;
    if (cuda->caller == NULL) {
        RP_RETURN(rp_cuda_check(device, cuda->driver.event_create(&cuda->caller, RP_CU_EVENT_DISABLE_TIMING), "making an event"));
    }
    RP_RETURN(rp_cuda_check(device, cuda->driver.event_record(cuda->caller, stream), "marking the caller's stream"));
    RP_RETURN(rp_cuda_check(device, cuda->driver.stream_wait_event(cuda->stream, cuda->caller, 0), "waiting for the caller's stream"));
    return host ? rp_cuda_check(device, cuda->driver.event_wait(cuda->caller), "waiting for the caller's stream") : RP_OK;
}

rp_status rp_cuda_after(rp_device *device, uint64_t stream, bool host) {
    RP_RETURN(rp_cuda_enter(device));
    rp_status status = follow(device, (rp_cu_stream)(uintptr_t)stream, host);
    rp_cuda_leave(device);
    return status;
}
