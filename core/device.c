// Devices: the list, and opening one by its name. What a device can do belongs to its backend.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "config_struct.h"
#include "loan.h"
#include "platform.h"

static const rp_backend *const backends[] = { &rp_backend_cuda, &rp_backend_vulkan, &rp_backend_ref };   // "auto" tries in this order
#define N_BACKENDS (sizeof backends / sizeof *backends)

struct rp_device_list {
    rp_device_info *infos;
    uint32_t count, cap;
};

rp_status rp_device_list_add(rp_device_list *list, const rp_device_info *info) {
    if (list->count == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 8;
        rp_device_info *infos = realloc(list->infos, cap * sizeof *infos);
        if (infos == NULL) { return RP_OUT_OF_MEMORY; }
        list->infos = infos;
        list->cap = cap;
    }
    list->infos[list->count++] = *info;
    return RP_OK;
}

rp_status rp_device_list_create_of(const char *backend, rp_device_list **out) {
    rp_status status = RP_NOT_FOUND;
    *out = NULL;
    rp_device_list *list = calloc(1, sizeof *list);
    if (list == NULL) { return RP_OUT_OF_MEMORY; }
    for (size_t i = 0; i < N_BACKENDS; i++) {
        if (backend == NULL || strcmp(backend, backends[i]->name) == 0) { RP_TRY(backends[i]->list(list)); }
    }
    if (status == RP_OK) { *out = list, list = NULL; }
cleanup:
    rp_device_list_destroy(list);
    return status;
}

rp_status rp_device_list_create(rp_device_list **out) { return out != NULL ? rp_device_list_create_of(NULL, out) : RP_INVALID_ARGUMENT; }

uint32_t rp_device_list_count(const rp_device_list *list) { return list ? list->count : 0; }

rp_status rp_device_list_copy(const rp_device_list *list, uint32_t index, rp_device_info *info) {
    if (list == NULL || info == NULL || index >= list->count) { return RP_INVALID_ARGUMENT; }
    return rp_struct_out(info, &list->infos[index], sizeof *info) ? RP_OK : RP_INVALID_ARGUMENT;
}

void rp_device_list_destroy(rp_device_list *list) {
    if (list == NULL) { return; }
    free(list->infos);
    free(list);
}

// Opens one backend's device and leaves the device as it was when that fails, but for the sentence.
static rp_status try_open(rp_device *device, const rp_backend *backend, int index, bool cpu) {
    device->backend = backend;
    device->info = (rp_device_info)RP_DEVICE_INFO_INIT;
    rp_status status = backend->open(device, index, cpu);
    if (status != RP_OK) {
        backend->close(device);
        device->backend = NULL;
        device->impl = NULL;
        memset(&device->counters, 0, sizeof device->counters);
    }
    return status;
}

// CUDA, then a Vulkan GPU, then a Vulkan CPU, then ref, which never fails.
static rp_status open_auto(rp_device *device) {
    if (try_open(device, &rp_backend_cuda, -1, false) == RP_OK) { return RP_OK; }
    if (try_open(device, &rp_backend_vulkan, -1, false) == RP_OK) { return RP_OK; }
    if (try_open(device, &rp_backend_vulkan, -1, true) == RP_OK) { return RP_OK; }
    return try_open(device, &rp_backend_ref, -1, true);
}

// "cuda" or "cuda:3" -> index -1 or 3.
static bool matches(const char *spec, const char *name, int *index) {
    size_t length = strlen(name);
    if (strncmp(spec, name, length) != 0) { return false; }
    *index = -1;
    if (spec[length] == '\0') { return true; }
    if (spec[length] != ':') { return false; }
    const char *digits = spec + length + 1;
    size_t n = strspn(digits, "0123456789");
    if (n == 0 || n > 4 || digits[n] != '\0') { return false; }
    *index = atoi(digits);
    return true;
}

static rp_status open_spec(rp_device *device, const char *spec) {
    if (strcmp(spec, "auto") == 0) { return open_auto(device); }
    for (size_t i = 0; i < N_BACKENDS; i++) {
        int index;
        if (!matches(spec, backends[i]->name, &index)) { continue; }
        rp_status status = try_open(device, backends[i], index, false);
        if (status != RP_OK && index < 0 && backends[i] == &rp_backend_vulkan) {
            status = try_open(device, backends[i], index, true);
        }
        return status;
    }
    return rp_fail(device, RP_INVALID_ARGUMENT,
                   "\"%.64s\" names no device. Say \"auto\", \"cuda\", \"cuda:N\", \"vulkan\", \"vulkan:N\" or \"ref\"; "
                   "`reprise devices` lists what is here.", spec);
}

struct rp_lock *rp_device_hold(rp_device *device) {
    rp_lock_take(device->lock);
    rp_loans_collect(device);
    return device->lock;
}

void rp_device_let_go(struct rp_lock **lock) { rp_lock_give(*lock); }

rp_status rp_device_create(const char *spec, const rp_device_config *config, rp_device **out) {
    if (out == NULL) { return RP_INVALID_ARGUMENT; }
    rp_device *device = *out = calloc(1, sizeof *device);
    if (device == NULL) { return RP_OUT_OF_MEMORY; }
    device->lock = rp_lock_create();
    if (device->lock == NULL) {
        free(device);
        *out = NULL;
        return RP_OUT_OF_MEMORY;
    }
    device->info = (rp_device_info)RP_DEVICE_INFO_INIT;
    device->config = (rp_device_config)RP_DEVICE_CONFIG_INIT;
    if (config != NULL && !rp_struct_in(&device->config, sizeof device->config, config)) {
        return rp_fail(device, RP_INVALID_ARGUMENT, RP_STRUCT_MESSAGE, "rp_device_config");
    }
    return open_spec(device, spec != NULL ? spec : "auto");
}

void rp_device_destroy(rp_device *device) {
    if (device == NULL) { return; }
    rp_lock_take(device->lock);    // the deleter of a tensor that is still lent may be called meanwhile
    rp_loans_end(device);
    if (device->backend != NULL) { device->backend->close(device); }
    rp_lock_give(device->lock);
    rp_lock_destroy(device->lock);
    free(device);
}

rp_status rp_device_copy_info(rp_device *device, rp_device_info *info) {
    if (device == NULL) { return RP_INVALID_ARGUMENT; }
    RP_HOLD(device);
    if (device->backend == NULL) { return rp_fail(device, RP_UNAVAILABLE, "This device was never opened: its creation failed."); }
    if (device->backend->memory != NULL) { RP_RETURN(device->backend->memory(device, &device->info.memory_free_bytes)); }
    return rp_struct_out(info, &device->info, sizeof *info) ? RP_OK
               : rp_fail(device, RP_INVALID_ARGUMENT, RP_STRUCT_MESSAGE, "rp_device_info");
}

size_t rp_device_copy_error(rp_device *device, char *buf, size_t cap) {
    if (device == NULL) { return 0; }
    RP_HOLD(device);
    size_t length = strlen(device->error.text);
    if (buf != NULL && cap > 0) {
        size_t n = length < cap ? length : cap - 1;
        memcpy(buf, device->error.text, n);
        buf[n] = '\0';
    }
    return length;
}
