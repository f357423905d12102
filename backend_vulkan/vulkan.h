// What the files of this backend share: one device's handles, and the few calls that cross files. Nothing outside the
// folder includes it but tests that force the two-float kernels.
#ifndef RP_VULKAN_H
#define RP_VULKAN_H

#include <volk.h>

#include "backend.h"

// Functions of an instance. volk keeps these in process-wide variables; two devices here have an instance each, so each
// keeps its own. The last three belong to VK_EXT_debug_utils and are NULL without it.
#define RP_VULKAN_INSTANCE_FUNCTIONS(X)             \
    X(vkDestroyInstance)                            \
    X(vkEnumeratePhysicalDevices)                   \
    X(vkEnumerateDeviceExtensionProperties)         \
    X(vkGetPhysicalDeviceProperties)                \
    X(vkGetPhysicalDeviceProperties2)               \
    X(vkGetPhysicalDeviceFeatures2)                 \
    X(vkGetPhysicalDeviceMemoryProperties)          \
    X(vkGetPhysicalDeviceMemoryProperties2)         \
    X(vkGetPhysicalDeviceQueueFamilyProperties)     \
    X(vkCreateDevice)                               \
    X(vkGetDeviceProcAddr)                          \
    X(vkCreateDebugUtilsMessengerEXT)               \
    X(vkDestroyDebugUtilsMessengerEXT)              \
    X(vkCmdBeginDebugUtilsLabelEXT)                 \
    X(vkCmdEndDebugUtilsLabelEXT)

typedef struct rp_vulkan_instance {
    VkInstance handle;
#define X(name) PFN_##name name;
    RP_VULKAN_INSTANCE_FUNCTIONS(X)
#undef X
    bool debug_utils;                  // labels and messages are there
    bool validation;                   // the layer is there and on
} rp_vulkan_instance;

#define RP_VULKAN_STAGING_BYTES (8u << 20)   // both halves together: one is filled while the other is copied
#define RP_VULKAN_MAX_BATCH 256              // command buffers of one submission; longer replays are cut

typedef struct rp_vulkan {
    rp_vulkan_instance instance;
    VkDebugUtilsMessengerEXT messenger;
    VkPhysicalDevice physical;
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceMemoryProperties memory;
    uint64_t max_allocation_bytes;
    bool budget;                       // VK_EXT_memory_budget: the driver says what is free
    VkDevice device;
    struct VolkDeviceTable vk;
    VkQueue queue;
    uint32_t queue_family;
    bool cpu;                          // a CPU with subgroups of 8 and float64: kernels NAME_cpu come first
    bool unified;                      // device memory is the host's own, so it is mapped and written without staging
    bool pair;                         // two-float kernels NAME_pair come first; numbers of 64 bits are pairs in memory

    VkCommandPool pool;
    VkSemaphore timeline;              // counts submissions that ended
    uint64_t submitted;                // its value once all is done
    VkPipelineLayout layout;
    VkPipeline *pipelines;             // [n_kernels], beside rp_spirv_blobs; made when first asked for
    uint32_t n_kernels;

    VkCommandBuffer direct;            // of `run`
    VkCommandBuffer copies[2];         // of `write` and `read`, one for each half of the staging buffer
    uint64_t copies_done[2];           // timeline value after which that half is free
    rp_buffer *staging;
    VkCommandBuffer batch[RP_VULKAN_MAX_BATCH];

    uint64_t messages;                 // of the validation layers
    bool message_waits;                // the text below has not been reported yet
    char message[768];
} rp_vulkan;

// A buffer's handle.
typedef struct rp_vulkan_buffer {
    VkBuffer buffer;
    VkDeviceMemory memory;
    VkDeviceSize bytes;                // what was allocated
    uint64_t skew;                     // bytes from the start of `buffer` to the aligned address
    unsigned char *mapped;             // from the aligned address; NULL where only staging reaches it
} rp_vulkan_buffer;

static inline rp_vulkan *rp_vulkan_of(const rp_device *device) { return device->impl; }

// Turns a failed result into a status with a sentence; `doing` completes "Vulkan failed while ...".
rp_status rp_vulkan_fail(rp_device *device, VkResult result, const char *doing);
// Every entry point ends with this: RP_INTERNAL when the validation layers complained since the last one.
rp_status rp_vulkan_checked(rp_device *device, rp_status status);

// Submits n command buffers as one batch that raises the timeline to *done. `doing`: as above, for this and for the wait.
rp_status rp_vulkan_submit(rp_device *device, const VkCommandBuffer *commands, uint32_t n, const char *doing, uint64_t *done);
rp_status rp_vulkan_wait_for(rp_device *device, uint64_t value, const char *doing);
// All that was submitted, before something is destroyed: silent, so that the sentence of the failure that led to it stays. A lost
// device answers at once.
void rp_vulkan_wait_to_destroy(rp_device *device);

// The pipeline of a kernel, made when first asked for.
rp_status rp_vulkan_pipeline(rp_device *device, const char *kernel, VkPipeline *out);

// Tests: choose the two-float kernels, or go back. Only between buffers' lives: it changes how 64-bit numbers are stored.
// Going back fails where the device lacks float64.
rp_status rp_vulkan_use_pair(rp_device *device, bool pair);
// Tests: on a CPU, run the kernels that GPUs run.
void rp_vulkan_use_gpu_kernels(rp_device *device);

// memory.c
rp_status rp_vulkan_buffer_create(rp_device *device, uint64_t bytes, rp_memory_kind kind, rp_buffer **out);
void rp_vulkan_buffer_destroy(rp_buffer *buffer);
rp_status rp_vulkan_write(rp_buffer *buffer, uint64_t offset, rp_dtype to, const void *src, rp_dtype from, uint64_t count);
rp_status rp_vulkan_read(rp_buffer *buffer, uint64_t offset, rp_dtype from, void *dst, rp_dtype to, uint64_t count);

// record.c
rp_status rp_vulkan_run(rp_device *device, const rp_plan *plan);
rp_status rp_vulkan_record(rp_device *device, const rp_plan *plan, rp_recording **out);
void rp_vulkan_recording_destroy(rp_recording *recording);

struct rp_recording {
    rp_device *device;
    const rp_plan *plan;
    VkCommandBuffer commands;
};

// replay.c
rp_status rp_vulkan_replay(rp_device *device, rp_recording *const *recordings, uint32_t n);
rp_status rp_vulkan_wait(rp_device *device);

#endif
