// Buffers of a CUDA device, and numbers to and from them through two pinned staging areas, so that converting one piece and
// copying the one before go on together.
#include <stdlib.h>

#include "device.h"

rp_status rp_cuda_staging_create(rp_device *device) {
    rp_cuda *cuda = device->impl;
    for (uint32_t i = 0; i < 2; i++) {
        rp_cuda_staging *s = &cuda->staging[i];
        RP_RETURN(rp_cuda_check(device, cuda->driver.event_create(&s->done, RP_CU_EVENT_DISABLE_TIMING), "making an event"));
        RP_RETURN(rp_cuda_check(device, cuda->driver.host_alloc(&s->memory, RP_CUDA_STAGING_BYTES, RP_CU_HOST_PORTABLE),
                                "allocating pinned memory for copies"));
    }
    return RP_OK;
}

void rp_cuda_staging_destroy(rp_device *device) {
    rp_cuda *cuda = device->impl;
    for (uint32_t i = 0; i < 2; i++) {
        rp_cuda_staging *s = &cuda->staging[i];
        if (s->memory != NULL) { (void)cuda->driver.host_free(s->memory); }
        if (s->done != NULL) { (void)cuda->driver.event_destroy(s->done); }
        *s = (rp_cuda_staging){ 0 };
    }
}

static rp_status allocate(rp_device *device, uint64_t bytes, rp_buffer *buffer) {
    rp_cuda *cuda = device->impl;
    const rp_cuda_driver *driver = &cuda->driver;
    const bool host = buffer->kind == RP_MEMORY_HOST;
    const size_t size = bytes > 0 ? (size_t)bytes : 256;   // the driver refuses nothing at all
    rp_cu_result result;
    if (host) {
        result = driver->host_alloc(&buffer->mapped, size, RP_CU_HOST_PORTABLE | RP_CU_HOST_DEVICEMAP);
    } else {
        result = driver->memory_alloc(&buffer->address, size);
    }
    if (result == RP_CU_OUT_OF_MEMORY) {
        size_t free_bytes = 0, total_bytes = 0;
        (void)driver->memory_info(&free_bytes, &total_bytes);
        return rp_fail(device, RP_OUT_OF_MEMORY,
                       "%s could not give %llu bytes (%.1f MB) of %s memory; %llu of its %llu bytes are free. Ask for fewer "
                       "paths or a shorter context, set memory_bytes, or end other programs that use it.",
                       device->info.spec, (unsigned long long)bytes, (double)bytes * 1e-6, host ? "pinned host" : "device",
                       (unsigned long long)free_bytes, (unsigned long long)total_bytes);
    }
    RP_RETURN(rp_cuda_check(device, result, host ? "allocating pinned host memory" : "allocating device memory"));
    if (host) {
        return rp_cuda_check(device, driver->host_address(&buffer->address, buffer->mapped, 0),
                             "mapping host memory for the device");
    }
    return RP_OK;
}

// Gives the driver's memory back; the context must be current.
static void release(const rp_buffer *buffer) {
    const rp_cuda *cuda = buffer->device->impl;
    if (buffer->kind == RP_MEMORY_HOST) {
        if (buffer->mapped != NULL) { (void)cuda->driver.host_free(buffer->mapped); }
    } else if (buffer->address != 0) {
        (void)cuda->driver.memory_free(buffer->address);
    }
}

rp_status rp_cuda_buffer_create(rp_device *device, uint64_t bytes, rp_memory_kind kind, rp_buffer **out) {
    *out = NULL;
    rp_buffer *buffer = calloc(1, sizeof *buffer);
    if (buffer == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while making a buffer."); }
    *buffer = (rp_buffer){ .device = device, .bytes = bytes, .kind = kind };
    rp_status status = rp_cuda_enter(device);
    if (status != RP_OK) {
        free(buffer);
        return status;
    }
    status = allocate(device, bytes, buffer);
    if (status == RP_OK) {
        rp_counters_made(&device->counters, bytes, kind);
        *out = buffer;
    } else {
        release(buffer);
        free(buffer);
    }
    rp_cuda_leave(device);
    return status;
}

void rp_cuda_buffer_destroy(rp_buffer *buffer) {
    if (buffer == NULL) { return; }
    rp_device *device = buffer->device;
    const rp_cuda *cuda = device->impl;
    rp_counters_freed(&device->counters, buffer->bytes, buffer->kind);
    if (rp_cuda_enter_to_destroy(device)) {
        (void)cuda->driver.stream_wait(cuda->stream);   // replays that use it may be under way
        release(buffer);
        rp_cuda_leave(device);
    }
    free(buffer);
}

// Waits until the copy that last used a staging area is done.
static rp_status staging_ready(rp_device *device, rp_cuda_staging *s) {
    const rp_cuda *cuda = device->impl;
    if (!s->busy) { return RP_OK; }
    RP_RETURN(rp_cuda_check(device, cuda->driver.event_wait(s->done), "waiting for a copy"));
    s->busy = false;
    return RP_OK;
}

static rp_status staging_mark(rp_device *device, rp_cuda_staging *s) {
    const rp_cuda *cuda = device->impl;
    s->busy = true;
    return rp_cuda_check(device, cuda->driver.event_record(s->done, cuda->stream), "marking a copy");
}

// Elements of one piece: what fits a staging area.
static uint64_t piece_of(uint64_t left, rp_dtype on_device) {
    const uint64_t most = RP_CUDA_STAGING_BYTES / rp_dtype_size(on_device);
    return left < most ? left : most;
}

static rp_status write_pieces(rp_buffer *buffer, uint64_t offset, rp_dtype to, const void *src, rp_dtype from, uint64_t count) {
    rp_device *device = buffer->device;
    rp_cuda *cuda = device->impl;
    uint64_t done = 0;
    for (uint32_t turn = 0; done < count; turn ^= 1) {
        rp_cuda_staging *s = &cuda->staging[turn];
        const uint64_t n = piece_of(count - done, to), at = offset + done * rp_dtype_size(to);
        RP_RETURN(staging_ready(device, s));
        rp_convert(s->memory, to, (const char *)src + done * rp_dtype_size(from), from, n);
        RP_RETURN(rp_cuda_check(device, cuda->driver.copy_to_device(buffer->address + at, s->memory,
                                                                    (size_t)n * rp_dtype_size(to), cuda->stream),
                                "copying to the device"));
        RP_RETURN(staging_mark(device, s));
        done += n;
    }
    return RP_OK;
}

// Returns when `src` has been taken; the last copies may still be under way, in order before all later work.
rp_status rp_cuda_write(rp_buffer *buffer, uint64_t offset, rp_dtype to, const void *src, rp_dtype from, uint64_t count) {
    if (buffer->kind == RP_MEMORY_HOST) {
        rp_convert((char *)buffer->mapped + offset, to, src, from, count);
        return RP_OK;
    }
    RP_RETURN(rp_cuda_enter(buffer->device));
    rp_status status = write_pieces(buffer, offset, to, src, from, count);
    rp_cuda_leave(buffer->device);
    return status;
}

// Starts the copy of one piece to a staging area.
static rp_status fetch(rp_buffer *buffer, uint64_t offset, uint64_t bytes, rp_cuda_staging *s) {
    rp_device *device = buffer->device;
    const rp_cuda *cuda = device->impl;
    RP_RETURN(staging_ready(device, s));
    RP_RETURN(rp_cuda_check(device, cuda->driver.copy_to_host(s->memory, buffer->address + offset, (size_t)bytes, cuda->stream),
                            "copying from the device"));
    return staging_mark(device, s);
}

// While one piece is converted the next is under way.
static rp_status read_pieces(rp_buffer *buffer, uint64_t offset, rp_dtype from, void *dst, rp_dtype to, uint64_t count) {
    rp_device *device = buffer->device;
    rp_cuda *cuda = device->impl;
    const uint64_t size = rp_dtype_size(from);
    uint64_t asked = 0, done = 0;
    for (uint32_t turn = 0; done < count; turn ^= 1) {
        while (asked < count && asked < done + 2 * piece_of(count, from)) {   // at most two pieces ahead of what is converted
            const uint64_t n = piece_of(count - asked, from);
            rp_cuda_staging *s = &cuda->staging[asked / piece_of(count, from) % 2];
            RP_RETURN(fetch(buffer, offset + asked * size, n * size, s));
            asked += n;
        }
        const uint64_t n = piece_of(count - done, from);
        RP_RETURN(staging_ready(device, &cuda->staging[turn]));
        rp_convert((char *)dst + done * rp_dtype_size(to), to, cuda->staging[turn].memory, from, n);
        done += n;
    }
    return RP_OK;
}

rp_status rp_cuda_read(rp_buffer *buffer, uint64_t offset, rp_dtype from, void *dst, rp_dtype to, uint64_t count) {
    rp_device *device = buffer->device;
    const rp_cuda *cuda = device->impl;
    device->counters.reads++;
    RP_RETURN(rp_cuda_enter(device));
    rp_status status = rp_cuda_check(device, cuda->driver.stream_wait(cuda->stream), "waiting before a read");
    if (status == RP_OK && buffer->kind == RP_MEMORY_HOST) {
        rp_convert(dst, to, (const char *)buffer->mapped + offset, from, count);
    } else if (status == RP_OK) {
        status = read_pieces(buffer, offset, from, dst, to, count);
    }
    rp_cuda_leave(device);
    return status;
}
