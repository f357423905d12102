// Buffers of the reference device. Every byte is kept twice as wide, so that an F32 tensor holds doubles and nothing is
// rounded: byte offset o lies at 2 o, F32 is a double, F16 a float, and U32, I32, F64 sit in the first half of what they take.
#include <stdlib.h>
#include <string.h>

#include "ref.h"

rp_status rp_ref_buffer_create(rp_device *device, uint64_t bytes, rp_memory_kind kind, rp_buffer **out) {
    *out = NULL;
    rp_buffer *buffer = calloc(1, sizeof *buffer);
    void *memory = bytes < SIZE_MAX / 4 ? malloc((size_t)bytes * 2 + 16) : NULL;
    if (buffer == NULL || memory == NULL) {
        free(buffer);
        free(memory);
        return rp_fail(device, RP_OUT_OF_MEMORY,
                       "The reference device could not get %.1f MB of host memory (it keeps every number in twice its width); "
                       "ask for fewer paths or a shorter context.", (double)bytes * 2e-6);
    }
    *buffer = (rp_buffer){ .device = device, .bytes = bytes, .mapped = memory, .kind = kind };
    rp_counters_made(&device->counters, bytes, kind);
    *out = buffer;
    return RP_OK;
}

void rp_ref_buffer_destroy(rp_buffer *buffer) {
    if (buffer == NULL) { return; }
    rp_counters_freed(&buffer->device->counters, buffer->bytes, buffer->kind);
    free(buffer->mapped);
    free(buffer);
}

// Bytes from one element to the next, as the reference device keeps them.
static size_t stride_of(rp_dtype dtype) { return (size_t)rp_dtype_size(dtype) * 2; }

// How the element itself is kept.
static rp_dtype kept_as(rp_dtype dtype) { return dtype == RP_F32 ? RP_F64 : dtype == RP_F16 ? RP_F32 : dtype; }

rp_status rp_ref_write(rp_buffer *buffer, uint64_t offset, rp_dtype to, const void *src, rp_dtype from, uint64_t count) {
    char *at = (char *)buffer->mapped + offset * 2;
    const rp_dtype kept = kept_as(to);
    if (rp_dtype_size(kept) == stride_of(to)) {
        rp_convert(at, kept, src, from, count);
        return RP_OK;
    }
    for (uint64_t i = 0; i < count; i++) {
        rp_convert(at + i * stride_of(to), kept, (const char *)src + i * rp_dtype_size(from), from, 1);
    }
    return RP_OK;
}

rp_status rp_ref_read(rp_buffer *buffer, uint64_t offset, rp_dtype from, void *dst, rp_dtype to, uint64_t count) {
    const char *at = (const char *)buffer->mapped + offset * 2;
    const rp_dtype kept = kept_as(from);
    buffer->device->counters.reads++;
    for (uint64_t i = 0; i < count; i++) {
        rp_convert((char *)dst + i * rp_dtype_size(to), to, at + i * stride_of(from), kept, 1);
    }
    return RP_OK;
}
