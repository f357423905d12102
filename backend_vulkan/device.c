// Finding, opening and closing Vulkan devices. Each open device has an instance of its own, so two never notice each other.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed.h"
#include "vulkan.h"

#define MAX_DEVICES 32                 // more are not listed
#define GPU_PROCESSORS 128
#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

// ---- loader ----

// volk's table of loader functions is the process's; it is filled once and then only read.
static pthread_once_t loader_once = PTHREAD_ONCE_INIT;
static VkResult loader_result;
static void loader_init(void) { loader_result = volkInitialize(); }

// Taken to list, open and close: NVIDIA's driver (580) crashes where one thread makes an instance while another's goes, and
// volkLoadDeviceTable goes through one process-wide pointer (the loader's, the same for every instance).
static pthread_mutex_t instances_mutex = PTHREAD_MUTEX_INITIALIZER;

static bool has_extension(const VkExtensionProperties *extensions, uint32_t n, const char *name) {
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(extensions[i].extensionName, name) == 0) { return true; }
    }
    return false;
}

static bool instance_has(const char *layer, const char *name) {
    uint32_t n = 0;
    VkExtensionProperties *extensions = NULL;
    bool found = false;
    if (vkEnumerateInstanceExtensionProperties(layer, &n, NULL) == VK_SUCCESS && n) {
        extensions = calloc(n, sizeof *extensions);
        VkResult result = extensions ? vkEnumerateInstanceExtensionProperties(layer, &n, extensions) : VK_ERROR_OUT_OF_HOST_MEMORY;
        found = (result == VK_SUCCESS || result == VK_INCOMPLETE) && has_extension(extensions, n, name);
    }
    free(extensions);
    return found;
}

static bool validation_installed(void) {
    uint32_t n = 0;
    VkLayerProperties *layers = NULL;
    bool found = false;
    if (vkEnumerateInstanceLayerProperties(&n, NULL) == VK_SUCCESS && n) {
        layers = calloc(n, sizeof *layers);
        VkResult result = layers ? vkEnumerateInstanceLayerProperties(&n, layers) : VK_ERROR_OUT_OF_HOST_MEMORY;
        for (uint32_t i = 0; result >= 0 && i < n; i++) { found = found || strcmp(layers[i].layerName, VALIDATION_LAYER) == 0; }
    }
    free(layers);
    return found;
}

// Returns RP_UNAVAILABLE with the reason, or an instance. Needs no device, as `list` has none.
static rp_status instance_create(rp_vulkan_instance *out, bool validate, rp_error *error) {
    *out = (rp_vulkan_instance){ 0 };
    pthread_once(&loader_once, loader_init);
    if (loader_result != VK_SUCCESS) {
        return rp_error_set(error, RP_UNAVAILABLE, "libvulkan.so.1 was not found: install the Vulkan loader (Debian: libvulkan1) and a driver "
                                                   "(the GPU vendor's, or mesa-vulkan-drivers).");
    }
    if (volkGetInstanceVersion() < VK_API_VERSION_1_2) {
        return rp_error_set(error, RP_UNAVAILABLE, "The Vulkan loader is older than 1.2: install a newer one (Debian: libvulkan1).");
    }
    out->debug_utils = instance_has(NULL, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    out->validation = validate && out->debug_utils && validation_installed();
    bool features = out->validation && instance_has(VALIDATION_LAYER, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
    const char *extensions[2], *layer = VALIDATION_LAYER;
    uint32_t n_extensions = 0;
    if (out->debug_utils) { extensions[n_extensions++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME; }
    if (features) { extensions[n_extensions++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME; }
    VkApplicationInfo application = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                      .pEngineName = "reprise",
                                      .apiVersion = VK_API_VERSION_1_2 };
    VkValidationFeatureEnableEXT enable = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    VkValidationFeaturesEXT validation = { .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
                                           .enabledValidationFeatureCount = 1,
                                           .pEnabledValidationFeatures = &enable };
    VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                  .pNext = features ? &validation : NULL,
                                  .pApplicationInfo = &application,
                                  .enabledLayerCount = out->validation,
                                  .ppEnabledLayerNames = &layer,
                                  .enabledExtensionCount = n_extensions,
                                  .ppEnabledExtensionNames = extensions };
    VkResult result = vkCreateInstance(&info, NULL, &out->handle);
    if (result != VK_SUCCESS) {
        out->handle = VK_NULL_HANDLE;
        return rp_error_set(error, RP_UNAVAILABLE,
                            "No Vulkan driver started (VkResult %d): install one (the GPU vendor's, or Debian's mesa-vulkan-drivers).", (int)result);
    }
#define X(name) out->name = (PFN_##name)vkGetInstanceProcAddr(out->handle, #name);
    RP_VULKAN_INSTANCE_FUNCTIONS(X)
#undef X
    return RP_OK;
}

static void instance_destroy(rp_vulkan_instance *instance) {
    if (instance->handle) { instance->vkDestroyInstance(instance->handle, NULL); }
    *instance = (rp_vulkan_instance){ 0 };
}

// ---- candidates ----

// One physical device, judged.
typedef struct candidate {
    VkPhysicalDevice physical;
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceDriverProperties driver;
    VkPhysicalDeviceSubgroupProperties subgroup;
    VkPhysicalDeviceMaintenance3Properties maintenance3;
    VkPhysicalDeviceFeatures features;
    VkPhysicalDeviceVulkan11Features features11;
    VkPhysicalDeviceVulkan12Features features12;
    bool coopmat, budget;
    uint32_t queue_family;
    const char *missing;               // what keeps it from being used; NULL: nothing
} candidate;

static bool extension_there(const rp_vulkan_instance *instance, VkPhysicalDevice physical, const char *name) {
    uint32_t n = 0;
    bool found = false;
    VkExtensionProperties *extensions = NULL;
    if (instance->vkEnumerateDeviceExtensionProperties(physical, NULL, &n, NULL) == VK_SUCCESS && n) {
        extensions = calloc(n, sizeof *extensions);
        VkResult result = extensions ? instance->vkEnumerateDeviceExtensionProperties(physical, NULL, &n, extensions)
                                     : VK_ERROR_OUT_OF_HOST_MEMORY;
        found = result >= 0 && has_extension(extensions, n, name);
    }
    free(extensions);
    return found;
}

static bool find_queue(const rp_vulkan_instance *instance, VkPhysicalDevice physical, uint32_t *out) {
    VkQueueFamilyProperties families[16];
    uint32_t n = 16;
    instance->vkGetPhysicalDeviceQueueFamilyProperties(physical, &n, families);
    for (uint32_t i = 0; i < n; i++) {             // compute queues copy too, by the specification
        if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) {
            *out = i;
            return true;
        }
    }
    return false;
}

static void judge(const rp_vulkan_instance *instance, VkPhysicalDevice physical, candidate *out) {
    *out = (candidate){ .physical = physical };
    instance->vkGetPhysicalDeviceProperties(physical, &out->properties);
    if (out->properties.apiVersion < VK_API_VERSION_1_2) {
        out->missing = "its driver is older than Vulkan 1.2: install a newer driver.";
        return;
    }
    out->maintenance3.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
    out->subgroup = (VkPhysicalDeviceSubgroupProperties){ .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
                                                          .pNext = &out->maintenance3 };
    out->driver = (VkPhysicalDeviceDriverProperties){ .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
                                                      .pNext = &out->subgroup };
    VkPhysicalDeviceProperties2 properties = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &out->driver };
    instance->vkGetPhysicalDeviceProperties2(physical, &properties);
    out->features12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    out->features11 = (VkPhysicalDeviceVulkan11Features){ .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                                          .pNext = &out->features12 };
    VkPhysicalDeviceFeatures2 features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &out->features11 };
    instance->vkGetPhysicalDeviceFeatures2(physical, &features);
    out->features = features.features;
    out->coopmat = extension_there(instance, physical, "VK_KHR_cooperative_matrix");
    out->budget = extension_there(instance, physical, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (!out->features12.bufferDeviceAddress) { out->missing = "it lacks bufferDeviceAddress: use another device or driver."; }
    if (!out->features12.timelineSemaphore) { out->missing = "it lacks timelineSemaphore: use another device or driver."; }
    if (!find_queue(instance, physical, &out->queue_family)) { out->missing = "it has no compute queue: use another device."; }
}

// Usable ones first; among them discrete, integrated, virtual and other GPUs, then CPUs.
static int rank(const candidate *c) {
    static const VkPhysicalDeviceType order[] = { VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
                                                  VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU, VK_PHYSICAL_DEVICE_TYPE_OTHER,
                                                  VK_PHYSICAL_DEVICE_TYPE_CPU };
    int n = (int)(sizeof order / sizeof order[0]), i = 0;
    while (i < n && order[i] != c->properties.deviceType) { i++; }
    return i + (c->missing ? n + 1 : 0);
}

// All physical devices, at most MAX_DEVICES, in the order of `list`. *out is the caller's to free.
static rp_status candidates_create(const rp_vulkan_instance *instance, rp_error *error, candidate **out, uint32_t *n) {
    VkPhysicalDevice physical[MAX_DEVICES];
    *out = NULL;
    *n = MAX_DEVICES;
    VkResult result = instance->vkEnumeratePhysicalDevices(instance->handle, n, physical);
    if ((result != VK_SUCCESS && result != VK_INCOMPLETE) || *n == 0) {
        *n = 0;
        return rp_error_set(error, RP_UNAVAILABLE, "Vulkan found no device (VkResult %d): install a driver (the GPU vendor's, or Debian's "
                                                   "mesa-vulkan-drivers).", (int)result);
    }
    candidate *all = calloc(*n, sizeof *all);
    if (!all) { return rp_error_set(error, RP_OUT_OF_MEMORY, "No host memory for the list of Vulkan devices."); }
    for (uint32_t i = 0; i < *n; i++) {
        candidate c;
        judge(instance, physical[i], &c);
        uint32_t at = i;               // insertion sort keeps the driver's order among equals
        for (; at > 0 && rank(&all[at - 1]) > rank(&c); at--) { all[at] = all[at - 1]; }
        all[at] = c;
    }
    *out = all;
    return RP_OK;
}

static uint64_t local_bytes(const VkPhysicalDeviceMemoryProperties *memory) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &memory->memoryHeaps[i];
        if ((heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && heap->size > most) { most = heap->size; }
    }
    return most;
}

static bool suits_cpu_kernels(const candidate *c);

// What kernels use, and what they would.
static void name_features(const candidate *c, rp_device_info *info) {
    const bool f64 = c->features.shaderFloat64;
    snprintf(info->uses, sizeof info->uses, "buffer device address, timeline semaphores%s%s", f64 ? ", float64" : "",
             suits_cpu_kernels(c) ? ", kernels for CPUs with subgroups of 8" : "");
    snprintf(info->lacks, sizeof info->lacks, "%s%s", f64 ? "" : "float64: pairs of float32 do its work, slower",
             c->budget ? "" : f64 ? "memory budget: free memory is not known" : "; memory budget: free memory is not known");
}

static const char *yes(VkBool32 there) { return there ? "yes" : "no"; }

static rp_device_info info_of(const rp_vulkan_instance *instance, const candidate *c, uint32_t index) {
    rp_device_info info = RP_DEVICE_INFO_INIT;
    bool cpu = c->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    snprintf(info.spec, sizeof info.spec, "vulkan:%u", index);
    snprintf(info.backend, sizeof info.backend, "vulkan");
    snprintf(info.name, sizeof info.name, "%.*s", (int)sizeof info.name - 1, c->properties.deviceName);
    info.kind = cpu ? RP_DEVICE_CPU : RP_DEVICE_GPU;
    info.available = c->missing == NULL;
    if (c->missing) {
        snprintf(info.detail, sizeof info.detail, "%.200s cannot be used: %s", c->properties.deviceName, c->missing);
        return info;
    }
    VkPhysicalDeviceMemoryProperties memory;
    instance->vkGetPhysicalDeviceMemoryProperties(c->physical, &memory);
    info.memory_bytes = cpu ? 0 : local_bytes(&memory);
    info.allocation_bytes = c->maintenance3.maxMemoryAllocationSize;
    name_features(c, &info);
    snprintf(info.detail, sizeof info.detail,
             "%.100s %.100s, Vulkan %u.%u.%u; float64 %s, 16-bit storage %s, float16 %s, cooperative matrix %s, subgroup %u%s",
             c->driver.driverName, c->driver.driverInfo, VK_API_VERSION_MAJOR(c->properties.apiVersion),
             VK_API_VERSION_MINOR(c->properties.apiVersion), VK_API_VERSION_PATCH(c->properties.apiVersion), yes(c->features.shaderFloat64),
             yes(c->features11.storageBuffer16BitAccess), yes(c->features12.shaderFloat16), yes(c->coopmat), c->subgroup.subgroupSize,
             instance->validation ? ", validation on" : "");
    return info;
}

static rp_status vulkan_list(rp_device_list *list) {
    rp_vulkan_instance instance = { 0 };
    rp_error error = { { 0 } };
    candidate *all = NULL;
    uint32_t n = 0;
    pthread_mutex_lock(&instances_mutex);
    rp_status status = instance_create(&instance, false, &error);
    if (status == RP_OK) { status = candidates_create(&instance, &error, &all, &n); }
    if (status == RP_UNAVAILABLE) {
        rp_device_info info = RP_DEVICE_INFO_INIT;
        snprintf(info.spec, sizeof info.spec, "vulkan");
        snprintf(info.backend, sizeof info.backend, "vulkan");
        snprintf(info.detail, sizeof info.detail, "%.*s", (int)sizeof info.detail - 1, error.text);
        info.kind = RP_DEVICE_GPU;
        status = rp_device_list_add(list, &info);
    }
    for (uint32_t i = 0; i < n && status == RP_OK; i++) {
        rp_device_info info = info_of(&instance, &all[i], i);
        status = rp_device_list_add(list, &info);
    }
    free(all);
    instance_destroy(&instance);
    pthread_mutex_unlock(&instances_mutex);
    return status;
}

// ---- open ----

static VKAPI_ATTR VkBool32 VKAPI_CALL message_arrived(VkDebugUtilsMessageSeverityFlagBitsEXT severity, VkDebugUtilsMessageTypeFlagsEXT types,
                                                      const VkDebugUtilsMessengerCallbackDataEXT *data, void *user) {
    rp_vulkan *vulkan = user;          // called on the thread of the call that is being judged, and those are serialised
    (void)severity;
    (void)types;
    vulkan->messages++;
    if (!vulkan->message_waits) {      // the first of several is the one to fix first
        snprintf(vulkan->message, sizeof vulkan->message, "%.*s", (int)sizeof vulkan->message - 1, data->pMessage ? data->pMessage : "no text");
        vulkan->message_waits = true;
    }
    return VK_FALSE;
}

static rp_status choose(rp_device *device, int index, bool cpu, const candidate *all, uint32_t n, uint32_t *out) {
    if (index >= 0) {
        if ((uint32_t)index >= n) {
            return rp_fail(device, RP_NOT_FOUND, "vulkan:%d does not exist, there are %u Vulkan devices: see `reprise devices`.", index, n);
        }
        *out = (uint32_t)index;
        if (all[index].missing) {
            return rp_fail(device, RP_UNAVAILABLE, "%.200s cannot be used: %s", all[index].properties.deviceName, all[index].missing);
        }
        return RP_OK;
    }
    for (*out = 0; *out < n && !all[*out].missing; ++*out) {
        if (cpu || all[*out].properties.deviceType != VK_PHYSICAL_DEVICE_TYPE_CPU) { return RP_OK; }
    }
    if (n && all[0].missing) {
        return rp_fail(device, RP_UNAVAILABLE, "No Vulkan device can be used; %.200s: %s", all[0].properties.deviceName, all[0].missing);
    }
    return rp_fail(device, RP_UNAVAILABLE, "Vulkan found no GPU, only a CPU: ask for it by number (\"vulkan:0\"), or install the GPU's driver.");
}

// What shaders/linear.comp takes for granted under CPU.
static bool suits_cpu_kernels(const candidate *c) {
    return c->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU && c->subgroup.subgroupSize == 8 && c->features.shaderFloat64 &&
           (c->subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
           (c->subgroup.supportedOperations & VK_SUBGROUP_FEATURE_BALLOT_BIT);
}

static rp_status device_create(rp_device *device, const candidate *c) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    float priority = 1;
    VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                      .queueFamilyIndex = c->queue_family,
                                      .queueCount = 1,
                                      .pQueuePriorities = &priority };
    // The first two are required, the rest asked for where they are there.
    VkPhysicalDeviceVulkan12Features features12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                                    .bufferDeviceAddress = VK_TRUE,
                                                    .timelineSemaphore = VK_TRUE,
                                                    .shaderFloat16 = c->features12.shaderFloat16 };
    VkPhysicalDeviceVulkan11Features features11 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                                    .pNext = &features12,
                                                    .storageBuffer16BitAccess = c->features11.storageBuffer16BitAccess };
    VkPhysicalDeviceFeatures2 features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                           .pNext = &features11,
                                           .features = { .shaderFloat64 = c->features.shaderFloat64 } };
    VkDeviceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                .pNext = &features,
                                .queueCreateInfoCount = 1,
                                .pQueueCreateInfos = &queue };
    VkResult result = vulkan->instance.vkCreateDevice(c->physical, &info, NULL, &vulkan->device);
    if (result != VK_SUCCESS) {
        vulkan->device = VK_NULL_HANDLE;
        return rp_fail(device, RP_UNAVAILABLE, "%s did not start (VkResult %d): check its driver with vulkaninfo.", device->info.name, (int)result);
    }
    vkGetDeviceProcAddr = vulkan->instance.vkGetDeviceProcAddr;
    volkLoadDeviceTable(&vulkan->vk, vulkan->device);
    vulkan->vk.vkGetDeviceQueue(vulkan->device, c->queue_family, 0, &vulkan->queue);
    return RP_OK;
}

static rp_status objects_create(rp_device *device) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                     .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                     .queueFamilyIndex = vulkan->queue_family };
    VkSemaphoreTypeCreateInfo timeline = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                           .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE };
    VkSemaphoreCreateInfo semaphore = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &timeline };
    VkPushConstantRange range = { .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = 128 };
    VkPipelineLayoutCreateInfo layout = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                          .pushConstantRangeCount = 1,
                                          .pPushConstantRanges = &range };
    VkCommandBuffer commands[3] = { 0 };
    VkCommandBufferAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                             .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                             .commandBufferCount = 3 };
    // A call that failed may have written anything to its handle.
    VkResult result = vulkan->vk.vkCreateCommandPool(vulkan->device, &pool, NULL, &vulkan->pool);
    if (result != VK_SUCCESS) { vulkan->pool = VK_NULL_HANDLE; }
    if (result == VK_SUCCESS) {
        result = vulkan->vk.vkCreateSemaphore(vulkan->device, &semaphore, NULL, &vulkan->timeline);
        if (result != VK_SUCCESS) { vulkan->timeline = VK_NULL_HANDLE; }
    }
    if (result == VK_SUCCESS) {
        result = vulkan->vk.vkCreatePipelineLayout(vulkan->device, &layout, NULL, &vulkan->layout);
        if (result != VK_SUCCESS) { vulkan->layout = VK_NULL_HANDLE; }
    }
    if (result == VK_SUCCESS) {
        allocate.commandPool = vulkan->pool;
        result = vulkan->vk.vkAllocateCommandBuffers(vulkan->device, &allocate, commands);
    }
    if (result != VK_SUCCESS) { return rp_vulkan_fail(device, result, "creating the device's objects"); }
    vulkan->direct = commands[0];
    vulkan->copies[0] = commands[1];
    vulkan->copies[1] = commands[2];
    while (rp_spirv_blobs[vulkan->n_kernels].name) { vulkan->n_kernels++; }
    vulkan->pipelines = calloc(vulkan->n_kernels + 1, sizeof *vulkan->pipelines);
    if (!vulkan->pipelines) { return rp_fail(device, RP_OUT_OF_MEMORY, "No host memory for the table of kernels."); }
    return RP_OK;
}

static rp_status vulkan_open(rp_device *device, int index, bool cpu) {
    rp_status status = RP_OK;
    candidate *all = NULL;
    uint32_t n = 0, chosen = 0;
    rp_vulkan *vulkan = calloc(1, sizeof *vulkan);
    if (!vulkan) { return rp_fail(device, RP_OUT_OF_MEMORY, "No host memory for a Vulkan device."); }
    device->impl = vulkan;
    pthread_mutex_lock(&instances_mutex);
    RP_TRY(instance_create(&vulkan->instance, device->config.validate != 0, &device->error));
    RP_TRY(candidates_create(&vulkan->instance, &device->error, &all, &n));
    RP_TRY(choose(device, index, cpu, all, n, &chosen));
    const candidate *c = &all[chosen];
    if (vulkan->instance.validation) {
        VkDebugUtilsMessengerCreateInfoEXT info = { .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
                                                    .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                                                                       VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
                                                    .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                                                                   VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
                                                    .pfnUserCallback = message_arrived,
                                                    .pUserData = vulkan };
        VkResult result = vulkan->instance.vkCreateDebugUtilsMessengerEXT(vulkan->instance.handle, &info, NULL, &vulkan->messenger);
        if (result != VK_SUCCESS) {
            vulkan->messenger = VK_NULL_HANDLE;
            status = rp_vulkan_fail(device, result, "asking for validation messages");
            goto cleanup;
        }
    }
    device->info = info_of(&vulkan->instance, c, chosen);
    vulkan->physical = c->physical;
    vulkan->properties = c->properties;
    vulkan->queue_family = c->queue_family;
    vulkan->cpu = suits_cpu_kernels(c);
    vulkan->unified = device->info.kind == RP_DEVICE_CPU || c->properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
    vulkan->pair = !c->features.shaderFloat64;
    // Vulkan does not tell how many workgroups run at once. On a GPU, take what a large one has; a CPU gains nothing by more.
    device->processors = device->info.kind == RP_DEVICE_CPU ? 0 : GPU_PROCESSORS;
    vulkan->max_allocation_bytes = c->maintenance3.maxMemoryAllocationSize;
    vulkan->budget = c->budget;
    vulkan->instance.vkGetPhysicalDeviceMemoryProperties(c->physical, &vulkan->memory);
    RP_TRY(device_create(device, c));
    RP_TRY(objects_create(device));
    RP_TRY(rp_vulkan_checked(device, RP_OK));
cleanup:
    pthread_mutex_unlock(&instances_mutex);
    free(all);
    return status;                     // what was made is close()'s to undo
}

static void vulkan_close(rp_device *device) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    if (!vulkan) { return; }
    pthread_mutex_lock(&instances_mutex);
    if (vulkan->device) {
        vulkan->vk.vkDeviceWaitIdle(vulkan->device);
        rp_vulkan_buffer_destroy(vulkan->staging);
        for (uint32_t i = 0; vulkan->pipelines && i < vulkan->n_kernels; i++) {
            vulkan->vk.vkDestroyPipeline(vulkan->device, vulkan->pipelines[i], NULL);
        }
        vulkan->vk.vkDestroyPipelineLayout(vulkan->device, vulkan->layout, NULL);
        vulkan->vk.vkDestroySemaphore(vulkan->device, vulkan->timeline, NULL);
        vulkan->vk.vkDestroyCommandPool(vulkan->device, vulkan->pool, NULL);      // frees its command buffers
        vulkan->vk.vkDestroyDevice(vulkan->device, NULL);
    }
    if (vulkan->messenger) { vulkan->instance.vkDestroyDebugUtilsMessengerEXT(vulkan->instance.handle, vulkan->messenger, NULL); }
    instance_destroy(&vulkan->instance);
    pthread_mutex_unlock(&instances_mutex);
    free(vulkan->pipelines);
    free(vulkan);
    device->impl = NULL;
}

// Of the largest heap of the device's own, what the driver would still give this process.
static rp_status free_memory(rp_device *device, uint64_t *free_bytes) {
    const rp_vulkan *vulkan = rp_vulkan_of(device);
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT };
    VkPhysicalDeviceMemoryProperties2 memory = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget };
    uint64_t largest = 0;
    *free_bytes = 0;
    if (!vulkan->budget || device->info.memory_bytes == 0) { return RP_OK; }
    vulkan->instance.vkGetPhysicalDeviceMemoryProperties2(vulkan->physical, &memory);
    for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &memory.memoryProperties.memoryHeaps[i];
        if (!(heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) || heap->size <= largest) { continue; }
        largest = heap->size;
        *free_bytes = budget.heapBudget[i] > budget.heapUsage[i] ? budget.heapBudget[i] - budget.heapUsage[i] : 0;
    }
    return RP_OK;
}

rp_status rp_vulkan_use_pair(rp_device *device, bool pair) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    VkPhysicalDeviceFeatures2 features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 };
    vulkan->instance.vkGetPhysicalDeviceFeatures2(vulkan->physical, &features);
    if (!pair && !features.features.shaderFloat64) {
        return rp_fail(device, RP_UNSUPPORTED, "%s lacks float64: keep the two-float kernels.", device->info.name);
    }
    vulkan->pair = pair;
    return RP_OK;
}

void rp_vulkan_use_gpu_kernels(rp_device *device) { rp_vulkan_of(device)->cpu = false; }

// ---- failures ----

rp_status rp_vulkan_fail(rp_device *device, VkResult result, const char *doing) {
    switch (result) {
    case VK_ERROR_DEVICE_LOST:
        return rp_fail(device, RP_DEVICE_LOST,
                       "%s was lost while %s: destroy its forecasters, models and the device, and create them again; the system's log "
                       "(dmesg) may say more.", device->info.name, doing);
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return rp_fail(device, RP_OUT_OF_MEMORY, "%s ran out of memory while %s: lower max_paths, max_batch or memory_bytes.",
                       device->info.name, doing);
    default:
        return rp_fail(device, RP_INTERNAL, "Vulkan failed on %s while %s (VkResult %d): please report it.", device->info.name, doing, (int)result);
    }
}

rp_status rp_vulkan_checked(rp_device *device, rp_status status) {
    rp_vulkan *vulkan = rp_vulkan_of(device);
    if (status != RP_OK || !vulkan->message_waits) { return status; }
    vulkan->message_waits = false;
    return rp_fail(device, RP_INTERNAL, "Vulkan validation (message %llu): %s", (unsigned long long)vulkan->messages, vulkan->message);
}

const rp_backend rp_backend_vulkan = {
    .name = "vulkan",
    .list = vulkan_list,
    .open = vulkan_open,
    .close = vulkan_close,
    .buffer_create = rp_vulkan_buffer_create,
    .buffer_destroy = rp_vulkan_buffer_destroy,
    .write = rp_vulkan_write,
    .read = rp_vulkan_read,
    .run = rp_vulkan_run,
    .enqueue = rp_vulkan_run,
    .record = rp_vulkan_record,
    .recording_destroy = rp_vulkan_recording_destroy,
    .replay = rp_vulkan_replay,
    .wait = rp_vulkan_wait,
    .memory = free_memory,
};
