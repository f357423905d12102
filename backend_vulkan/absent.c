// Stands in for the Vulkan backend in a build without volk, the Vulkan headers or glslc.
#include <stdio.h>

#include "backend.h"

#define WHY                                                                                                            \
    "This library was built without Vulkan: volk, the Vulkan headers or glslc was missing. On Debian install "         \
    "libvulkan-volk-dev, libvulkan-dev and glslc, and build again."

static rp_status list(rp_device_list *devices) {
    rp_device_info info = RP_DEVICE_INFO_INIT;
    snprintf(info.spec, sizeof info.spec, "vulkan");
    snprintf(info.backend, sizeof info.backend, "vulkan");
    snprintf(info.detail, sizeof info.detail, "%s", WHY);
    return rp_device_list_add(devices, &info);
}

static rp_status open_device(rp_device *device, int index, bool cpu) {
    (void)index, (void)cpu;
    return rp_fail(device, RP_UNAVAILABLE, "%s", WHY);
}

static void close_device(rp_device *device) { (void)device; }

const rp_backend rp_backend_vulkan = { .name = "vulkan", .list = list, .open = open_device, .close = close_device };
