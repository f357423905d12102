// Submitting work and waiting for it. One queue, one timeline semaphore: every submission raises it by one, so "done" is a
// number that host and device agree on, and nothing is allocated.
#include "vulkan.h"

rp_status rp_vulkan_submit(rp_device *device, const VkCommandBuffer *commands, uint32_t n, uint64_t *done) {
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
    if (result != VK_SUCCESS) { return rp_vulkan_fail(device, result, "submitting work"); }
    vulkan->submitted = value;
    *done = value;
    return RP_OK;
}

rp_status rp_vulkan_wait_for(rp_device *device, uint64_t value) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    if (value == 0) { return RP_OK; }             // nothing was ever submitted
    VkSemaphoreWaitInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                 .semaphoreCount = 1,
                                 .pSemaphores = &vulkan->timeline,
                                 .pValues = &value };
    VkResult result = vulkan->vk.vkWaitSemaphores(vulkan->device, &info, UINT64_MAX);
    if (result != VK_SUCCESS) { return rp_vulkan_fail(device, result, "waiting for queued work"); }
    return RP_OK;
}

// Order between the command buffers, and between submissions, comes from the barrier that opens each recording.
rp_status rp_vulkan_replay(rp_device *device, rp_recording *const *recordings, uint32_t n) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    for (uint32_t first = 0; first < n; first += RP_VULKAN_MAX_BATCH) {
        uint32_t count = n - first < RP_VULKAN_MAX_BATCH ? n - first : RP_VULKAN_MAX_BATCH;
        for (uint32_t i = 0; i < count; i++) { vulkan->batch[i] = recordings[first + i]->commands; }
        uint64_t done = 0;
        RP_RETURN(rp_vulkan_submit(device, vulkan->batch, count, &done));
        device->counters.replays += count;
    }
    return rp_vulkan_checked(device, RP_OK);
}

rp_status rp_vulkan_wait(rp_device *device) {
    device->counters.waits++;
    return rp_vulkan_checked(device, rp_vulkan_wait_for(device, rp_vulkan_of(device)->submitted));
}
