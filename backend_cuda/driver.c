// The CUDA driver's library and the meaning of its errors. Devices and memory are left to the other files.
#include "driver.h"

#include <string.h>

#include "platform.h"

#define LIBRARY "libcuda.so.1"

// Copies a symbol's address into one member: ISO C has no cast from an object pointer to a function pointer.
static bool resolve(void *library, const char *symbol, void *member) {
    void *address = rp_library_symbol(library, symbol);
    memcpy(member, &address, sizeof address);
    return address != NULL;
}

rp_status rp_cuda_driver_load(rp_error *error, void **library, rp_cuda_driver *out) {
    *library = NULL;
    memset(out, 0, sizeof *out);
    if (rp_fatbin_blobs[0].name == NULL) {
        return rp_error_set(error, RP_UNAVAILABLE,
                            "This library was built without CUDA kernels; install the CUDA toolkit (nvcc) and build it again, "
                            "or use \"vulkan\".");
    }
    void *opened = rp_library_open(LIBRARY);
    if (opened == NULL) {
        return rp_error_set(error, RP_UNAVAILABLE,
                            "The NVIDIA driver's library %s was not found; install the NVIDIA driver (in a container: pass the "
                            "GPU through), or use \"vulkan\".", LIBRARY);
    }
    const char *missing = NULL;
#define X(member, symbol, parameters) \
    if (!resolve(opened, symbol, &out->member) && missing == NULL) { missing = symbol; }
    RP_CU_LIST(X)
#undef X
#define X(member, symbol, parameters) (void)resolve(opened, symbol, &out->member);
    RP_CU_OPTIONAL(X)
#undef X
    if (missing != NULL) {
        rp_library_close(opened);
        return rp_error_set(error, RP_UNAVAILABLE, "The NVIDIA driver's library %s has no function %s; install a newer driver.",
                            LIBRARY, missing);
    }
    out->blobs = rp_fatbin_blobs;
    *library = opened;
    return RP_OK;
}

#define UPDATE "install a newer NVIDIA driver (nvidia-smi shows the present one)"
#define LOST "destroy its forecasters, models and every device on this GPU; after a kernel's fault only another process can use the GPU again"

// What a result means to a caller, and what to do about it. Numbers: enum CUresult.
static const struct {
    rp_cu_result result;
    rp_status status;
    const char *advice;
} meanings[] = {
    { RP_CU_OUT_OF_MEMORY, RP_OUT_OF_MEMORY, "free device memory, or ask for fewer paths or a shorter context" },
    { 3, RP_UNAVAILABLE, "the driver is not initialized" },
    { 4, RP_DEVICE_LOST, "the process is shutting the driver down: destroy devices before exit" },
    { 34, RP_UNAVAILABLE, "a stub library was found before the driver's own: take the toolkit's stubs off the library path" },
    { 36, RP_UNAVAILABLE, UPDATE },
    { 46, RP_UNAVAILABLE, "another process holds the device exclusively: wait for it or change the compute mode" },
    { RP_CU_NO_DEVICE, RP_UNAVAILABLE, "no NVIDIA GPU is visible: check nvidia-smi and CUDA_VISIBLE_DEVICES, or use \"vulkan\"" },
    { 101, RP_NOT_FOUND, "no such GPU: nvidia-smi -L lists those there are" },
    { 200, RP_UNSUPPORTED, UPDATE },
    { 209, RP_UNSUPPORTED, "the library holds no kernels for this GPU: build it with the GPU's architecture in RP_CUDA_ARCHS" },
    { 214, RP_DEVICE_LOST, "the GPU's memory failed (ECC): " LOST ", and check its health with nvidia-smi -q" },
    { 218, RP_UNSUPPORTED, UPDATE },
    { 220, RP_DEVICE_LOST, LOST },
    { 221, RP_UNSUPPORTED, "build the library with the GPU's architecture in RP_CUDA_ARCHS, or install the driver's PTX compiler" },
    { 222, RP_UNSUPPORTED, UPDATE },
    { 223, RP_UNSUPPORTED, "build the library with the GPU's architecture in RP_CUDA_ARCHS, or allow PTX compilation" },
    { 226, RP_DEVICE_LOST, LOST },
    { 400, RP_INVALID_ARGUMENT, "a stream that the caller gave does not exist, or is another GPU's" },
    { 700, RP_DEVICE_LOST, LOST },
    { 702, RP_DEVICE_LOST, LOST },
    { 709, RP_DEVICE_LOST, LOST },
    { 710, RP_DEVICE_LOST, LOST },
    { 714, RP_DEVICE_LOST, LOST },
    { 715, RP_DEVICE_LOST, LOST },
    { 716, RP_DEVICE_LOST, LOST },
    { 717, RP_DEVICE_LOST, LOST },
    { 718, RP_DEVICE_LOST, LOST },
    { 719, RP_DEVICE_LOST, LOST },
    { 721, RP_DEVICE_LOST, LOST },
    { 802, RP_UNAVAILABLE, "the GPU is not ready yet: start its services (nvidia-persistenced, fabric manager) and try again" },
    { 803, RP_UNAVAILABLE, "the driver's library and kernel module differ in version: reboot, or install them together" },
    { 804, RP_UNAVAILABLE, UPDATE },
    { 999, RP_DEVICE_LOST, LOST },
};

rp_status rp_cuda_driver_error(rp_error *error, const rp_cuda_driver *driver, rp_cu_result result, const char *doing) {
    rp_status status = RP_INTERNAL;
    const char *name = NULL, *text = NULL, *advice = "please report this";
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        if (meanings[i].result == result) {
            status = meanings[i].status;
            advice = meanings[i].advice;
        }
    }
    if (driver->error_name(result, &name) != RP_CU_SUCCESS || name == NULL) { name = "unknown error"; }
    if (driver->error_string(result, &text) != RP_CU_SUCCESS || text == NULL) { text = "no text"; }
    return rp_error_set(error, status, "CUDA failed while %s: %s (%d, %s); %s.", doing, name, result, text, advice);
}
