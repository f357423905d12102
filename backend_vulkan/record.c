// From launches to command buffers. A direct run and a recording write the same commands for a launch; they differ only in
// how many go into one command buffer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "embed.h"
#include "vulkan.h"

// ---- kernels ----

static int find_blob(const char *kernel, const char *suffix) {
    size_t length = strlen(kernel);
    for (int i = 0; rp_spirv_blobs[i].name; i++) {
        const char *name = rp_spirv_blobs[i].name;
        if (strncmp(name, kernel, length) == 0 && strcmp(name + length, suffix) == 0) { return i; }
    }
    return -1;
}

static rp_status pipeline_make(rp_device *device, const rp_blob *blob, VkPipeline *out) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    VkShaderModuleCreateInfo module_info = { .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                             .codeSize = (size_t)(blob->end - blob->data),
                                             .pCode = (const uint32_t *)(const void *)blob->data };
    VkShaderModule module = VK_NULL_HANDLE;
    VkResult result = vulkan->vk.vkCreateShaderModule(vulkan->device, &module_info, NULL, &module);
    if (result == VK_SUCCESS) {
        VkComputePipelineCreateInfo info = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                             .stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                        .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                        .module = module,
                                                        .pName = "main" },
                                             .layout = vulkan->layout,
                                             .basePipelineIndex = -1 };
        result = vulkan->vk.vkCreateComputePipelines(vulkan->device, VK_NULL_HANDLE, 1, &info, NULL, out);
        vulkan->vk.vkDestroyShaderModule(vulkan->device, module, NULL);
    }
    if (result == VK_SUCCESS) { return RP_OK; }
    *out = VK_NULL_HANDLE;
    char doing[96];
    snprintf(doing, sizeof doing, "building the kernel '%s'", blob->name);
    return rp_vulkan_fail(device, result, doing);
}

rp_status rp_vulkan_pipeline(rp_device *device, const char *kernel, VkPipeline *out) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    int index = -1;
    if (vulkan->pair) { index = find_blob(kernel, "_pair"); }
    if (index < 0 && vulkan->cpu) { index = find_blob(kernel, "_cpu"); }
    if (index < 0) { index = find_blob(kernel, ""); }
    if (index < 0) {
        return rp_fail(device, RP_INTERNAL, "The Vulkan backend has no kernel %s: add it to shaders/ and build again.", kernel);
    }
    if (!vulkan->pipelines[index]) { RP_RETURN(pipeline_make(device, &rp_spirv_blobs[index], &vulkan->pipelines[index])); }
    *out = vulkan->pipelines[index];
    return RP_OK;
}

// ---- commands ----

static bool is_empty(const rp_launch *launch) { return !launch->grid[0] || !launch->grid[1] || !launch->grid[2]; }

static rp_status check_limits(rp_device *device, const rp_launch *launch) {
    const VkPhysicalDeviceLimits *limits = &rp_vulkan_of(device)->properties.limits;
    if (launch->group > limits->maxComputeWorkGroupInvocations || launch->group > limits->maxComputeWorkGroupSize[0]) {
        return rp_fail(device, RP_UNSUPPORTED, "%s needs workgroups of %u invocations and this Vulkan device offers %u: use another device.",
                       launch->kernel, launch->group, limits->maxComputeWorkGroupInvocations);
    }
    for (int i = 0; i < 3; i++) {
        if (launch->grid[i] > limits->maxComputeWorkGroupCount[i]) {
            return rp_fail(device, RP_UNSUPPORTED,
                           "%s (%s) needs %u x %u x %u workgroups and this Vulkan device stops at %u x %u x %u: "
                           "forecast fewer series or paths together, or use another device.",
                           launch->kernel, launch->label ? launch->label : "no label", launch->grid[0], launch->grid[1],
                           launch->grid[2], limits->maxComputeWorkGroupCount[0], limits->maxComputeWorkGroupCount[1],
                           limits->maxComputeWorkGroupCount[2]);
        }
    }
    return RP_OK;
}

static void barrier(rp_vulkan *vulkan, VkCommandBuffer commands, VkPipelineStageFlags from_stage, VkAccessFlags from,
                    VkPipelineStageFlags to_stage, VkAccessFlags to) {
    VkMemoryBarrier memory = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = from, .dstAccessMask = to };
    vulkan->vk.vkCmdPipelineBarrier(commands, from_stage, to_stage, 0, 1, &memory, 0, NULL, 0, NULL);
}

// Makes all that was submitted before (results of earlier replays, copies through staging, host writes to mapped memory)
// visible to this command buffer's kernels, and keeps these from overwriting what an earlier replay still reads.
static void barrier_begin(rp_vulkan *vulkan, VkCommandBuffer commands) {
    barrier(vulkan, commands,
            VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT,
            VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

// Makes the kernels' results visible to the host's reads of mapped memory (results, after a wait) and to copies.
static void barrier_end(rp_vulkan *vulkan, VkCommandBuffer commands) {
    barrier(vulkan, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
}

static rp_status put_launch(rp_device *device, VkCommandBuffer commands, const rp_launch *launch) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    VkPipeline pipeline = VK_NULL_HANDLE;
    RP_RETURN(check_limits(device, launch));
    RP_RETURN(rp_vulkan_pipeline(device, launch->kernel, &pipeline));
    rp_args args = rp_args_of(launch);
    if (vulkan->instance.debug_utils) {
        VkDebugUtilsLabelEXT label = { .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT,
                                       .pLabelName = launch->label ? launch->label : launch->kernel };
        vulkan->instance.vkCmdBeginDebugUtilsLabelEXT(commands, &label);
    }
    vulkan->vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    vulkan->vk.vkCmdPushConstants(commands, vulkan->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof args, &args);
    vulkan->vk.vkCmdDispatch(commands, launch->grid[0], launch->grid[1], launch->grid[2]);
    if (vulkan->instance.debug_utils) { vulkan->instance.vkCmdEndDebugUtilsLabelEXT(commands); }
    return RP_OK;
}

// `doing` completes the sentence of a failure, as for rp_vulkan_fail.
static rp_status begin(rp_device *device, VkCommandBuffer commands, VkCommandBufferUsageFlags usage, const char *doing) {
    VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = usage };
    VkResult result = rp_vulkan_of(device)->vk.vkBeginCommandBuffer(commands, &info);
    return result == VK_SUCCESS ? RP_OK : rp_vulkan_fail(device, result, doing);
}

static rp_status end(rp_device *device, VkCommandBuffer commands, const char *doing) {
    VkResult result = rp_vulkan_of(device)->vk.vkEndCommandBuffer(commands);
    return result == VK_SUCCESS ? RP_OK : rp_vulkan_fail(device, result, doing);
}

// ---- direct ----

static rp_status run_one(rp_device *device, const rp_launch *launch) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    uint64_t done = 0;
    char doing[160];
    snprintf(doing, sizeof doing, "running '%s' (%s)", launch->label ? launch->label : "no label", launch->kernel);
    RP_RETURN(begin(device, vulkan->direct, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT, doing));
    barrier_begin(vulkan, vulkan->direct);
    RP_RETURN(put_launch(device, vulkan->direct, launch));
    barrier_end(vulkan, vulkan->direct);
    RP_RETURN(end(device, vulkan->direct, doing));
    RP_RETURN(rp_vulkan_submit(device, &vulkan->direct, 1, doing, &done));
    return rp_vulkan_wait_for(device, done, doing);
}

rp_status rp_vulkan_run(rp_device *device, const rp_plan *plan) {
    rp_status status = RP_OK;
    for (uint32_t i = 0; i < plan->n_launches && status == RP_OK; i++) {
        if (!is_empty(&plan->launches[i])) { status = run_one(device, &plan->launches[i]); }
    }
    return rp_vulkan_checked(device, status);
}

// ---- recorded ----

static rp_status record_all(rp_device *device, VkCommandBuffer commands, const rp_plan *plan) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    uint32_t fence = 0;                // launches before this one are behind the last barrier
    barrier_begin(vulkan, commands);
    for (uint32_t i = 0; i < plan->n_launches; i++) {
        const rp_launch *launch = &plan->launches[i];
        bool crosses = false;
        for (uint32_t j = 0; j < plan->n_deps[i]; j++) { crosses = crosses || plan->deps[i][j] >= fence; }
        if (crosses) {
            // Makes what launches [fence, i) wrote, deps[i] among them, visible to launch i and later ones, and holds
            // back their writes until those launches have read.
            barrier(vulkan, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
            fence = i;
        }
        if (!is_empty(launch)) { RP_RETURN(put_launch(device, commands, launch)); }
    }
    barrier_end(vulkan, commands);
    return RP_OK;
}

rp_status rp_vulkan_record(rp_device *device, const rp_plan *plan, rp_recording **out) {
    rp_status status = RP_OK;
    rp_vulkan *vulkan = rp_vulkan_of(device);
    *out = NULL;
    rp_recording *recording = calloc(1, sizeof *recording);
    if (!recording) { return rp_fail(device, RP_OUT_OF_MEMORY, "No host memory for a recording."); }
    recording->device = device;
    recording->plan = plan;
    char doing[160];
    snprintf(doing, sizeof doing, "recording '%s'", plan->name);
    VkCommandBufferAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                         .commandPool = vulkan->pool,
                                         .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                         .commandBufferCount = 1 };
    VkResult result = vulkan->vk.vkAllocateCommandBuffers(vulkan->device, &info, &recording->commands);
    if (result != VK_SUCCESS) {
        recording->commands = VK_NULL_HANDLE;
        status = rp_vulkan_fail(device, result, doing);
        goto cleanup;
    }
    RP_TRY(begin(device, recording->commands, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT, doing));
    RP_TRY(record_all(device, recording->commands, plan));
    RP_TRY(end(device, recording->commands, doing));
    RP_TRY(rp_vulkan_checked(device, RP_OK));
    device->counters.recordings++;
    *out = recording;
    recording = NULL;                  // handed over
cleanup:
    rp_vulkan_recording_destroy(recording);
    return status;
}

void rp_vulkan_recording_destroy(rp_recording *recording) {
    if (!recording) { return; }
    rp_device *device = recording->device;
    rp_vulkan *vulkan = rp_vulkan_of(device);
    rp_vulkan_wait_to_destroy(device);           // a lost device's command buffers may be freed all the same
    if (recording->commands) { vulkan->vk.vkFreeCommandBuffers(vulkan->device, vulkan->pool, 1, &recording->commands); }
    free(recording);
}
