// See shim_vulkan.h.
#include "shim_vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

shim_driver shim;

// ---- objects ----

enum { MAX_OBJECTS = 8192 };
static uintptr_t objects[MAX_OBJECTS];

static void born(const void *handle) {
    assert_non_null(handle);
    assert_true(shim.alive < MAX_OBJECTS);
    objects[shim.alive++] = (uintptr_t)handle;
}

// A handle that is not alive was destroyed twice, or comes from a call that failed.
static void dead(const void *handle, const char *name) {
    int i = shim.alive;
    if (handle == NULL) { return; }
    while (i > 0 && objects[i - 1] != (uintptr_t)handle) { i--; }
    if (i == 0) { fail_msg("%s of a handle that nothing stands behind", name); }
    objects[i - 1] = objects[--shim.alive];
}

void shim_reset(void) {
    assert_int_equal(shim.alive, 0);
    shim = (shim_driver){ 0 };
}

// ---- failing ----

// After a failure the specification leaves what a call should have written undefined.
#define UNDEFINED ((void *)(uintptr_t)0x5555555555555555)

static bool fails(const char *name, bool work) {
    if (shim.lost && work) { return true; }
    if (shim.fail_at == 0 || (shim.only_work && !work) || ++shim.countdown != shim.fail_at) { return false; }
    shim.failed = name;
    shim.lost = shim.fail_with == VK_ERROR_DEVICE_LOST;
    return true;
}

// ---- functions ----

// Y(name, parameters, arguments, what it makes): makes one object
#define MAKES(Y)                                                                                                                     \
    Y(vkCreateInstance, (const VkInstanceCreateInfo *info, const VkAllocationCallbacks *a, VkInstance *out), (info, a, out))         \
    Y(vkCreateDevice, (VkPhysicalDevice d, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *a, VkDevice *out),           \
      (d, info, a, out))                                                                                                             \
    Y(vkAllocateMemory, (VkDevice d, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *a, VkDeviceMemory *out),         \
      (d, info, a, out))                                                                                                             \
    Y(vkCreateBuffer, (VkDevice d, const VkBufferCreateInfo *info, const VkAllocationCallbacks *a, VkBuffer *out), (d, info, a, out)) \
    Y(vkCreateCommandPool, (VkDevice d, const VkCommandPoolCreateInfo *info, const VkAllocationCallbacks *a, VkCommandPool *out),    \
      (d, info, a, out))                                                                                                             \
    Y(vkCreatePipelineLayout,                                                                                                        \
      (VkDevice d, const VkPipelineLayoutCreateInfo *info, const VkAllocationCallbacks *a, VkPipelineLayout *out), (d, info, a, out)) \
    Y(vkCreateSemaphore, (VkDevice d, const VkSemaphoreCreateInfo *info, const VkAllocationCallbacks *a, VkSemaphore *out),          \
      (d, info, a, out))                                                                                                             \
    Y(vkCreateShaderModule, (VkDevice d, const VkShaderModuleCreateInfo *info, const VkAllocationCallbacks *a, VkShaderModule *out), \
      (d, info, a, out))                                                                                                             \
    Y(vkCreateComputePipelines,                                                                                                      \
      (VkDevice d, VkPipelineCache c, uint32_t n, const VkComputePipelineCreateInfo *info, const VkAllocationCallbacks *a,           \
       VkPipeline *out), (d, c, n, info, a, out))
// Unmakes one.
#define UNMAKES(Y)                                                                                                  \
    Y(vkDestroyInstance, (VkInstance o, const VkAllocationCallbacks *a), (o, a))                                    \
    Y(vkDestroyDevice, (VkDevice o, const VkAllocationCallbacks *a), (o, a))                                        \
    Y(vkFreeMemory, (VkDevice d, VkDeviceMemory o, const VkAllocationCallbacks *a), (d, o, a))                      \
    Y(vkDestroyBuffer, (VkDevice d, VkBuffer o, const VkAllocationCallbacks *a), (d, o, a))                         \
    Y(vkDestroyCommandPool, (VkDevice d, VkCommandPool o, const VkAllocationCallbacks *a), (d, o, a))               \
    Y(vkDestroyPipelineLayout, (VkDevice d, VkPipelineLayout o, const VkAllocationCallbacks *a), (d, o, a))         \
    Y(vkDestroySemaphore, (VkDevice d, VkSemaphore o, const VkAllocationCallbacks *a), (d, o, a))                   \
    Y(vkDestroyShaderModule, (VkDevice d, VkShaderModule o, const VkAllocationCallbacks *a), (d, o, a))             \
    Y(vkDestroyPipeline, (VkDevice d, VkPipeline o, const VkAllocationCallbacks *a), (d, o, a))
// Fails without doing anything.
#define FAILS(Y)                                                                                                                      \
    Y(vkEnumerateInstanceVersion, (uint32_t * version), (version))                                                                    \
    Y(vkEnumerateInstanceExtensionProperties, (const char *layer, uint32_t *n, VkExtensionProperties *p), (layer, n, p))              \
    Y(vkEnumerateInstanceLayerProperties, (uint32_t * n, VkLayerProperties * p), (n, p))                                              \
    Y(vkEnumeratePhysicalDevices, (VkInstance i, uint32_t *n, VkPhysicalDevice *p), (i, n, p))                                        \
    Y(vkEnumerateDeviceExtensionProperties, (VkPhysicalDevice d, const char *layer, uint32_t *n, VkExtensionProperties *p), (d, layer, n, p)) \
    Y(vkBeginCommandBuffer, (VkCommandBuffer c, const VkCommandBufferBeginInfo *info), (c, info))                                     \
    Y(vkEndCommandBuffer, (VkCommandBuffer c), (c))                                                                                   \
    Y(vkBindBufferMemory, (VkDevice d, VkBuffer b, VkDeviceMemory m, VkDeviceSize at), (d, b, m, at))
// Called as they are.
#define PASSES(Y)                                                                                                          \
    Y(vkGetPhysicalDeviceProperties) Y(vkGetPhysicalDeviceProperties2) Y(vkGetPhysicalDeviceFeatures2)                     \
    Y(vkGetPhysicalDeviceMemoryProperties) Y(vkGetPhysicalDeviceMemoryProperties2) Y(vkGetPhysicalDeviceQueueFamilyProperties) \
    Y(vkCmdBeginDebugUtilsLabelEXT) Y(vkCmdEndDebugUtilsLabelEXT) Y(vkCreateDebugUtilsMessengerEXT)                        \
    Y(vkDestroyDebugUtilsMessengerEXT) Y(vkGetBufferDeviceAddress) Y(vkGetBufferMemoryRequirements) Y(vkGetDeviceQueue)    \
    Y(vkCmdBindPipeline) Y(vkCmdCopyBuffer) Y(vkCmdDispatch) Y(vkCmdPipelineBarrier) Y(vkCmdPushConstants)

static struct {
#define Y(name, ...) PFN_##name name;
    MAKES(Y) UNMAKES(Y) FAILS(Y)
    Y(vkAllocateCommandBuffers) Y(vkFreeCommandBuffers) Y(vkMapMemory) Y(vkQueueSubmit) Y(vkWaitSemaphores) Y(vkDeviceWaitIdle)
    Y(vkGetInstanceProcAddr) Y(vkGetDeviceProcAddr)
#undef Y
} real;

#define Y(name, parameters, arguments)                               \
    static VKAPI_ATTR VkResult VKAPI_CALL shim_##name parameters {   \
        if (fails(#name, false)) {                                   \
            *out = UNDEFINED;                                        \
            return shim.fail_with;                                   \
        }                                                            \
        VkResult result = real.name arguments;                       \
        if (result == VK_SUCCESS) { born(*out); }                    \
        return result;                                               \
    }
MAKES(Y)
#undef Y

#define Y(name, parameters, arguments)                               \
    static VKAPI_ATTR void VKAPI_CALL shim_##name parameters {       \
        dead(o, #name);                                              \
        real.name arguments;                                         \
    }
UNMAKES(Y)
#undef Y

#define Y(name, parameters, arguments)                               \
    static VKAPI_ATTR VkResult VKAPI_CALL shim_##name parameters {   \
        return fails(#name, false) ? shim.fail_with : real.name arguments; \
    }
FAILS(Y)
#undef Y

// A pool takes its command buffers along, so they are not counted; handles of a call that failed must not come back all the same.
static VKAPI_ATTR VkResult VKAPI_CALL shim_vkAllocateCommandBuffers(VkDevice d, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *out) {
    if (!fails("vkAllocateCommandBuffers", false)) { return real.vkAllocateCommandBuffers(d, info, out); }
    for (uint32_t i = 0; i < info->commandBufferCount; i++) { out[i] = UNDEFINED; }
    return shim.fail_with;
}
static VKAPI_ATTR void VKAPI_CALL shim_vkFreeCommandBuffers(VkDevice d, VkCommandPool p, uint32_t n, const VkCommandBuffer *c) {
    for (uint32_t i = 0; i < n; i++) { assert_ptr_not_equal(c[i], UNDEFINED); }
    real.vkFreeCommandBuffers(d, p, n, c);
}
static VKAPI_ATTR VkResult VKAPI_CALL shim_vkMapMemory(VkDevice d, VkDeviceMemory m, VkDeviceSize at, VkDeviceSize n, VkMemoryMapFlags flags,
                                                       void **out) {
    if (!fails("vkMapMemory", false)) { return real.vkMapMemory(d, m, at, n, flags, out); }
    *out = UNDEFINED;
    return shim.fail_with;
}

// Work. What was submitted does end, whatever a wait says: a lost device's memory may be freed at once, this driver's may not.
static VKAPI_ATTR VkResult VKAPI_CALL shim_vkQueueSubmit(VkQueue q, uint32_t n, const VkSubmitInfo *info, VkFence f) {
    return fails("vkQueueSubmit", true) ? shim.fail_with : real.vkQueueSubmit(q, n, info, f);
}
static VKAPI_ATTR VkResult VKAPI_CALL shim_vkWaitSemaphores(VkDevice d, const VkSemaphoreWaitInfo *info, uint64_t ns) {
    VkResult result = real.vkWaitSemaphores(d, info, ns);
    return fails("vkWaitSemaphores", true) ? shim.fail_with : result;
}
static VKAPI_ATTR VkResult VKAPI_CALL shim_vkDeviceWaitIdle(VkDevice d) {
    VkResult result = real.vkDeviceWaitIdle(d);
    return fails("vkDeviceWaitIdle", true) ? shim.fail_with : result;
}

// ---- looking up ----

static void unlisted(void) {
    fprintf(stderr, "the Vulkan backend calls a function that tests/shim_vulkan.c does not list\n");
    abort();
}

static PFN_vkVoidFunction shim_of(const char *name, PFN_vkVoidFunction found);

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL shim_vkGetDeviceProcAddr(VkDevice d, const char *name) {
    return shim_of(name, real.vkGetDeviceProcAddr(d, name));
}

static PFN_vkVoidFunction shim_of(const char *name, PFN_vkVoidFunction found) {
    if (found == NULL) { return NULL; }
#define Y(function, ...)                                      \
    if (strcmp(name, #function) == 0) {                       \
        real.function = (PFN_##function)found;                \
        return (PFN_vkVoidFunction)shim_##function;           \
    }
    MAKES(Y) UNMAKES(Y) FAILS(Y)
    Y(vkAllocateCommandBuffers) Y(vkFreeCommandBuffers) Y(vkMapMemory) Y(vkQueueSubmit) Y(vkWaitSemaphores) Y(vkDeviceWaitIdle)
    Y(vkGetDeviceProcAddr)
#undef Y
#define Y(function) if (strcmp(name, #function) == 0) { return found; }
    PASSES(Y)
#undef Y
    return unlisted;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL shim_vkGetInstanceProcAddr(VkInstance i, const char *name) {
    return shim_of(name, real.vkGetInstanceProcAddr(i, name));
}

void shim_install(void) {
#define Y(function)                            \
    real.function = function;                  \
    function = shim_##function;
    Y(vkGetInstanceProcAddr) Y(vkCreateInstance) Y(vkEnumerateInstanceVersion) Y(vkEnumerateInstanceExtensionProperties)
    Y(vkEnumerateInstanceLayerProperties)
#undef Y
}
