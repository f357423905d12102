// Buffers, and the way of numbers in and out of them: straight through a mapping where the device shares the host's memory,
// else in chunks through a staging buffer whose halves take turns.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan.h"

#define ALIGNMENT 256u                 // of every address, as core/backend.h promises
#define HALF (RP_VULKAN_STAGING_BYTES / 2)
#define COPYING "copying between host and device"

// ---- allocation ----

// The first memory type, in the driver's order, that is in `allowed`, has all of `wanted` and none of `unwanted`; -1: none.
static int find_type(const rp_vulkan *vulkan, uint32_t allowed, VkMemoryPropertyFlags wanted, VkMemoryPropertyFlags unwanted) {
    for (uint32_t i = 0; i < vulkan->memory.memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = vulkan->memory.memoryTypes[i].propertyFlags;
        if ((allowed >> i & 1) && (flags & wanted) == wanted && !(flags & unwanted)) { return (int)i; }
    }
    return -1;
}

static int choose_type(const rp_vulkan *vulkan, uint32_t allowed, rp_memory_kind kind) {
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    const VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    int type = -1;
    if (kind == RP_MEMORY_HOST) {
        if (!vulkan->unified) { type = find_type(vulkan, allowed, host | cached, local); }   // not the small BAR window
        if (type < 0) { type = find_type(vulkan, allowed, host | cached, 0); }
        if (type < 0) { type = find_type(vulkan, allowed, host, 0); }
        return type;
    }
    if (vulkan->unified) { type = find_type(vulkan, allowed, local | host, 0); }
    if (type < 0 && !vulkan->unified) { type = find_type(vulkan, allowed, local, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT); }
    if (type < 0) { type = find_type(vulkan, allowed, local, 0); }
    if (type < 0) { type = find_type(vulkan, allowed, 0, 0); }
    return type;
}

static rp_status no_memory(rp_device *device, uint64_t bytes) {
    return rp_fail(device, RP_OUT_OF_MEMORY,
                   "%s has no memory left for %" PRIu64 " bytes (%" PRIu64 " bytes in %" PRIu64 " buffers are in use here): "
                   "lower max_paths, max_batch or memory_bytes, or free other programs' memory.",
                   device->info.name, bytes, device->counters.buffer_bytes, device->counters.buffers);
}

static rp_status too_large(rp_device *device, uint64_t bytes) {
    return rp_fail(device, RP_OUT_OF_MEMORY,
                   "%s takes at most %" PRIu64 " bytes in one buffer and %" PRIu64 " were asked for: lower max_paths, max_batch or "
                   "memory_bytes.",
                   device->info.name, rp_vulkan_of(device)->max_allocation_bytes, bytes);
}

static rp_status allocate(rp_device *device, uint64_t bytes, rp_memory_kind kind, rp_vulkan_buffer *own) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    VkMemoryRequirements needs;
    vulkan->vk.vkGetBufferMemoryRequirements(vulkan->device, own->buffer, &needs);
    int type = choose_type(vulkan, needs.memoryTypeBits, kind);
    if (type < 0) {
        return rp_fail(device, RP_UNSUPPORTED, "%s offers no memory that kernels and host share: use another device.", device->info.name);
    }
    VkMemoryAllocateFlagsInfo flags = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                        .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT };
    VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                  .pNext = &flags,
                                  .allocationSize = needs.size,
                                  .memoryTypeIndex = (uint32_t)type };
    if (needs.size > vulkan->max_allocation_bytes) { return too_large(device, bytes); }
    VkResult result = vulkan->vk.vkAllocateMemory(vulkan->device, &info, NULL, &own->memory);
    if (result != VK_SUCCESS) { own->memory = VK_NULL_HANDLE; }      // it may have written anything
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY) { return no_memory(device, bytes); }
    if (result == VK_SUCCESS) { result = vulkan->vk.vkBindBufferMemory(vulkan->device, own->buffer, own->memory, 0); }
    VkMemoryPropertyFlags got = vulkan->memory.memoryTypes[type].propertyFlags;
    bool map = kind == RP_MEMORY_HOST || (vulkan->unified && (got & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT));
    void *mapped = NULL;
    if (result == VK_SUCCESS && map) {
        result = vulkan->vk.vkMapMemory(vulkan->device, own->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
        own->mapped = result == VK_SUCCESS ? mapped : NULL;
    }
    return result == VK_SUCCESS ? RP_OK : rp_vulkan_fail(device, result, "placing a buffer in memory");
}

rp_status rp_vulkan_buffer_create(rp_device *device, uint64_t bytes, rp_memory_kind kind, rp_buffer **out) {
    rp_status status = RP_OK;
    rp_vulkan *vulkan = rp_vulkan_of(device);
    *out = NULL;
    rp_buffer *buffer = calloc(1, sizeof *buffer);
    rp_vulkan_buffer *own = calloc(1, sizeof *own);
    if (!buffer || !own) {
        free(buffer);
        free(own);
        return rp_fail(device, RP_OUT_OF_MEMORY, "No host memory for the description of a buffer.");
    }
    *buffer = (rp_buffer){ .device = device, .bytes = bytes, .kind = kind, .handle = own };
    // Room to move the address up to the alignment, which Vulkan does not promise; and no buffer is empty.
    VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                .size = bytes + ALIGNMENT,
                                .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                                         VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT };
    if (bytes > vulkan->max_allocation_bytes) {    // some drivers reject the buffer itself, with an odd error
        status = too_large(device, bytes);
        goto cleanup;
    }
    VkResult result = vulkan->vk.vkCreateBuffer(vulkan->device, &info, NULL, &own->buffer);
    if (result != VK_SUCCESS) {
        own->buffer = VK_NULL_HANDLE;
        status = result == VK_ERROR_DEVICE_LOST ? rp_vulkan_fail(device, result, "creating a buffer") : no_memory(device, bytes);
        goto cleanup;
    }
    RP_TRY(allocate(device, bytes, kind, own));
    VkBufferDeviceAddressInfo at = { .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = own->buffer };
    uint64_t address = vulkan->vk.vkGetBufferDeviceAddress(vulkan->device, &at);
    own->skew = (ALIGNMENT - address % ALIGNMENT) % ALIGNMENT;
    buffer->address = address + own->skew;
    if (own->mapped) { own->mapped += own->skew; }
    if (kind == RP_MEMORY_HOST) { buffer->mapped = own->mapped; }
    own->bytes = bytes;
    RP_TRY(rp_vulkan_checked(device, RP_OK));
    rp_counters_made(&device->counters, bytes, kind);
    *out = buffer;
    return RP_OK;
cleanup:
    own->bytes = 0;                    // was never counted
    rp_vulkan_buffer_destroy(buffer);
    return status;
}

void rp_vulkan_buffer_destroy(rp_buffer *buffer) {
    if (!buffer) { return; }
    rp_vulkan *vulkan = rp_vulkan_of(buffer->device);
    rp_vulkan_buffer *own = buffer->handle;
    rp_vulkan_wait_to_destroy(buffer->device);                                   // queued work may still use it
    vulkan->vk.vkDestroyBuffer(vulkan->device, own->buffer, NULL);
    vulkan->vk.vkFreeMemory(vulkan->device, own->memory, NULL);                  // unmaps it too
    rp_counters_freed(&buffer->device->counters, own->bytes, buffer->kind);
    free(own);
    free(buffer);
}

// ---- numbers in and out ----

// Where the device works on two-float pairs, a 64-bit number is stored as (high, low), both float32, in its 8 bytes.
static void to_pairs(void *data, uint64_t count) {
    unsigned char *at = data;
    for (uint64_t i = 0; i < count; i++, at += 8) {
        double number;
        memcpy(&number, at, 8);
        float pair[2] = { (float)number, 0 };
        double rest = number - (double)pair[0];
        if (rest == rest) { pair[1] = (float)rest; }     // not for infinities: inf - inf
        memcpy(at, pair, 8);
    }
}

static void from_pairs(void *data, uint64_t count) {
    unsigned char *at = data;
    for (uint64_t i = 0; i < count; i++, at += 8) {
        float pair[2];
        memcpy(pair, at, 8);
        double number = (double)pair[0] + (double)pair[1];
        memcpy(at, &number, 8);
    }
}

static void place(const rp_vulkan *vulkan, void *dst, rp_dtype to, const void *src, rp_dtype from, uint64_t count) {
    rp_convert(dst, to, src, from, count);
    if (to == RP_F64 && vulkan->pair) { to_pairs(dst, count); }
}

static rp_status take(rp_device *device, void *dst, rp_dtype to, const void *src, rp_dtype from, uint64_t count) {
    if (from == RP_F64 && rp_vulkan_of(device)->pair) {
        void *copy = malloc((size_t)count * 8 + 1);
        if (!copy) { return rp_fail(device, RP_OUT_OF_MEMORY, "No host memory to read %" PRIu64 " numbers.", count); }
        memcpy(copy, src, (size_t)count * 8);
        from_pairs(copy, count);
        rp_convert(dst, to, copy, from, count);
        free(copy);
        return RP_OK;
    }
    rp_convert(dst, to, src, from, count);
    return RP_OK;
}

static rp_status check_range(const rp_buffer *buffer, uint64_t offset, uint64_t bytes) {
    if (offset <= buffer->bytes && bytes <= buffer->bytes - offset) { return RP_OK; }
    return rp_fail(buffer->device, RP_INTERNAL, "A transfer of %" PRIu64 " bytes at %" PRIu64 " leaves its buffer of %" PRIu64 " bytes: please report it.",
                   bytes, offset, buffer->bytes);
}

// Copies between `far` and a half of the staging buffer; *done is the timeline value at its end.
static rp_status copy(rp_device *device, const rp_buffer *far, uint64_t offset, uint64_t bytes, uint32_t half, bool in) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    const rp_vulkan_buffer *own = far->handle, *staging = vulkan->staging->handle;
    VkCommandBuffer commands = vulkan->copies[half];
    VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT };
    VkResult result = vulkan->vk.vkBeginCommandBuffer(commands, &info);
    if (result != VK_SUCCESS) { return rp_vulkan_fail(device, result, COPYING); }
    // Earlier kernels' writes become visible to this copy's reads, and it overwrites nothing that they, an earlier copy or
    // (staging, filled by the host just now) the host still work on.
    VkMemoryBarrier before = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT };
    vulkan->vk.vkCmdPipelineBarrier(commands,
                                    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT,
                                    VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, NULL, 0, NULL);
    VkDeviceSize at_far = own->skew + offset, at_staging = staging->skew + (VkDeviceSize)half * HALF;
    VkBufferCopy region = { .srcOffset = in ? at_staging : at_far, .dstOffset = in ? at_far : at_staging, .size = bytes };
    vulkan->vk.vkCmdCopyBuffer(commands, in ? staging->buffer : own->buffer, in ? own->buffer : staging->buffer, 1, &region);
    if (!in) {
        // The copy's writes to staging become visible to the host, which reads after waiting for this submission.
        VkMemoryBarrier after = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                  .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                  .dstAccessMask = VK_ACCESS_HOST_READ_BIT };
        vulkan->vk.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &after, 0, NULL, 0, NULL);
    }   // after a copy in, the opening barrier of whatever runs next makes it visible to kernels
    result = vulkan->vk.vkEndCommandBuffer(commands);
    if (result != VK_SUCCESS) { return rp_vulkan_fail(device, result, COPYING); }
    return rp_vulkan_submit(device, &commands, 1, COPYING, &vulkan->copies_done[half]);
}

static rp_status staging_ready(rp_device *device) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    if (vulkan->staging) { return RP_OK; }
    RP_RETURN(rp_vulkan_buffer_create(device, RP_VULKAN_STAGING_BYTES, RP_MEMORY_HOST, &vulkan->staging));
    device->counters.buffers--;                    // tests count what callers asked for, and this is ours
    device->counters.buffer_bytes -= RP_VULKAN_STAGING_BYTES;
    ((rp_vulkan_buffer *)vulkan->staging->handle)->bytes = 0;
    return RP_OK;
}

static rp_status write_staged(rp_buffer *buffer, uint64_t offset, rp_dtype to, const void *src, rp_dtype from, uint64_t count) {
    rp_device *device = buffer->device;
    rp_vulkan *vulkan = rp_vulkan_of(device);
    uint64_t size = rp_dtype_size(to), chunk = HALF / size;
    RP_RETURN(staging_ready(device));
    unsigned char *staging = vulkan->staging->mapped;
    uint32_t half = 0;
    for (uint64_t done = 0; done < count; done += chunk, half ^= 1) {
        uint64_t n = count - done < chunk ? count - done : chunk;
        RP_RETURN(rp_vulkan_wait_for(device, vulkan->copies_done[half], COPYING));   // until the device has read this half
        place(vulkan, staging + (size_t)half * HALF, to, (const unsigned char *)src + done * rp_dtype_size(from), from, n);
        RP_RETURN(copy(device, buffer, offset + done * size, n * size, half, true));
    }
    RP_RETURN(rp_vulkan_wait_for(device, vulkan->copies_done[0], COPYING));
    return rp_vulkan_wait_for(device, vulkan->copies_done[1], COPYING);
}

rp_status rp_vulkan_write(rp_buffer *buffer, uint64_t offset, rp_dtype to, const void *src, rp_dtype from, uint64_t count) {
    rp_device *device = buffer->device;
    rp_vulkan_buffer *own = buffer->handle;
    RP_RETURN(check_range(buffer, offset, count * rp_dtype_size(to)));
    if (own->mapped) {
        place(rp_vulkan_of(device), own->mapped + offset, to, src, from, count);   // visible to what is submitted later
        return RP_OK;
    }
    return rp_vulkan_checked(device, write_staged(buffer, offset, to, src, from, count));
}

static rp_status read_staged(rp_buffer *buffer, uint64_t offset, rp_dtype from, void *dst, rp_dtype to, uint64_t count) {
    rp_device *device = buffer->device;
    rp_vulkan *vulkan = rp_vulkan_of(device);
    uint64_t size = rp_dtype_size(from), chunk = HALF / size;
    RP_RETURN(staging_ready(device));
    for (uint64_t done = 0; done < count; done += chunk) {
        uint64_t n = count - done < chunk ? count - done : chunk;
        RP_RETURN(copy(device, buffer, offset + done * size, n * size, 0, false));
        RP_RETURN(rp_vulkan_wait_for(device, vulkan->copies_done[0], COPYING));
        RP_RETURN(take(device, (unsigned char *)dst + done * rp_dtype_size(to), to, vulkan->staging->mapped, from, n));
    }
    return RP_OK;
}

rp_status rp_vulkan_read(rp_buffer *buffer, uint64_t offset, rp_dtype from, void *dst, rp_dtype to, uint64_t count) {
    rp_device *device = buffer->device;
    rp_vulkan_buffer *own = buffer->handle;
    device->counters.reads++;
    RP_RETURN(check_range(buffer, offset, count * rp_dtype_size(from)));
    RP_RETURN(rp_vulkan_wait_for(device, rp_vulkan_of(device)->submitted, "waiting before a read"));
    if (own->mapped) { return rp_vulkan_checked(device, take(device, dst, to, own->mapped + offset, from, count)); }
    return rp_vulkan_checked(device, read_staged(buffer, offset, from, dst, to, count));
}
