// Submitting work and waiting for it. One queue, one timeline semaphore: every submission raises it by one, so "done" is a
// number that host and device agree on, and nothing is allocated.
#include <stdio.h>

#include "vulkan.h"

rp_status rp_vulkan_submit(rp_device *device, const VkCommandBuffer *commands, uint32_t n, const char *doing, uint64_t *done) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    uint64_t value = vulkan->submitted + 1;
    VkTimelineSemaphoreSubmitInfo values = { .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                             .signalSemaphoreValueCount = 1,
                                             .pSignalSemaphoreValues = &value };
    VkSubmitInfo info = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                          .pNext = &values,
                          .commandBufferCount = n,
                          .pCommandBuffers = commands,
                          .signalSemaphoreCount = 1,
                          .pSignalSemaphores = &vulkan->timeline };
    VkResult result = vulkan->vk.vkQueueSubmit(vulkan->queue, 1, &info, VK_NULL_HANDLE);
    if (result != VK_SUCCESS) { return rp_vulkan_fail(device, result, doing); }
    vulkan->submitted = value;
    *done = value;
    return RP_OK;
}

static VkResult wait_for(const rp_vulkan *vulkan, uint64_t value) {
    if (value == 0) { return VK_SUCCESS; }        // nothing was ever submitted
    VkSemaphoreWaitInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                 .semaphoreCount = 1,
                                 .pSemaphores = &vulkan->timeline,
                                 .pValues = &value };
    return vulkan->vk.vkWaitSemaphores(vulkan->device, &info, UINT64_MAX);
}

rp_status rp_vulkan_wait_for(rp_device *device, uint64_t value, const char *doing) {
    VkResult result = wait_for(rp_vulkan_of(device), value);
    return result == VK_SUCCESS ? RP_OK : rp_vulkan_fail(device, result, doing);
}

void rp_vulkan_wait_to_destroy(rp_device *device) { (void)wait_for(rp_vulkan_of(device), rp_vulkan_of(device)->submitted); }

// "replaying 'step'", or the first and the last of several.
static void describe(rp_recording *const *recordings, uint32_t n, char *buf, size_t cap) {
    if (n == 1) {
        snprintf(buf, cap, "replaying '%s'", recordings[0]->plan->name);
    } else {
        snprintf(buf, cap, "replaying %u recordings, '%s' to '%s'", n, recordings[0]->plan->name, recordings[n - 1]->plan->name);
    }
}

// Order between the command buffers, and between submissions, comes from the barrier that opens each recording.
rp_status rp_vulkan_replay(rp_device *device, rp_recording *const *recordings, uint32_t n) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    for (uint32_t first = 0; first < n; first += RP_VULKAN_MAX_BATCH) {
        uint32_t count = n - first < RP_VULKAN_MAX_BATCH ? n - first : RP_VULKAN_MAX_BATCH;
        for (uint32_t i = 0; i < count; i++) { vulkan->batch[i] = recordings[first + i]->commands; }
        uint64_t done = 0;
        char doing[160];
        describe(recordings + first, count, doing, sizeof doing);
        RP_RETURN(rp_vulkan_submit(device, vulkan->batch, count, doing, &done));
        device->counters.replays += count;
    }
    return rp_vulkan_checked(device, RP_OK);
}

rp_status rp_vulkan_wait(rp_device *device) {
    device->counters.waits++;
    return rp_vulkan_checked(device, rp_vulkan_wait_for(device, rp_vulkan_of(device)->submitted, "waiting for queued work"));
}
