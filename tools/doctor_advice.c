// What the report means: a table of checks, each of which looks at the facts and says what is wrong and what to do. They run no
// step and ask the machine nothing, so that a test can hand them any machine.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"

#define FULL 10u        // a device with less than a tenth of its memory free is full ..
#define SHARED 2u       // .. and with less than half others are using it
#define HOST_LOW ((uint64_t)1 << 30)

static void find(doctor_report *r, bool problem, const char *code, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static void find(doctor_report *r, bool problem, const char *code, const char *remedy, const char *format, ...) {
    if (r->n_findings == DOCTOR_FINDINGS) { return; }
    doctor_finding *f = &r->findings[r->n_findings++];
    *f = (doctor_finding){ .problem = problem, .code = code };
    snprintf(f->remedy, sizeof f->remedy, "%s", remedy);
    va_list args;
    va_start(args, format);
    vsnprintf(f->what, sizeof f->what, format, args);
    va_end(args);
}

static bool found(const doctor_report *r, const char *code) {
    for (size_t i = 0; i < r->n_findings; i++) {
        if (strcmp(r->findings[i].code, code) == 0) { return true; }
    }
    return false;
}

// The entry that stands for a whole backend that is absent; NULL: it has devices, or its list did not come.
static const doctor_device *absent(const doctor_report *r, const char *backend) {
    for (size_t i = 0; i < r->n_devices; i++) {
        const rp_device_info *info = &r->devices[i].info;
        if (!info->available && strcmp(info->spec, backend) == 0) { return &r->devices[i]; }
    }
    return NULL;
}

// A usable GPU, of whatever backend.
static bool has_gpu(const doctor_report *r) {
    for (size_t i = 0; i < r->n_devices; i++) {
        const doctor_device *d = &r->devices[i];
        if (d->info.kind == RP_DEVICE_GPU && d->info.available && d->open && d->open->good) { return true; }
    }
    return false;
}

// ---- drivers ----

static void check_nvidia(doctor_report *r) {
    const doctor_host *h = &r->host;
    const doctor_device *cuda = absent(r, "cuda");
    const bool there = h->nvidia_gpus > 0 || h->nvidia_gpu != RP_ACCESS_MISSING || h->nvidia_control != RP_ACCESS_MISSING ||
                       h->nvidia_module != RP_ACCESS_MISSING;
    if (cuda == NULL || !there) { return; }     // no such GPU: nothing is amiss
    if (strstr(cuda->info.detail, "built without CUDA") != NULL) {
        find(r, false, "cuda-not-built", "Build it where nvcc is found, or use the GPU through Vulkan.",
             "The machine has an NVIDIA GPU, but this program was built without CUDA kernels.");
    } else if (h->nvidia_gpu == RP_ACCESS_DENIED || h->nvidia_control == RP_ACCESS_DENIED) {
        find(r, true, "nvidia-permission", "Add the user to the group that owns these files (ls -l /dev/nvidia*; often video or render) and log in "
             "again; in a container give it the devices.", "/dev/nvidia0 or /dev/nvidiactl is there but may not be opened.");
    } else if (h->container && h->nvidia_gpu == RP_ACCESS_MISSING) {
        find(r, true, "container-without-gpu", "Start the container with its GPUs: docker run --gpus all (with nvidia-container-toolkit on the host), "
             "podman run --device nvidia.com/gpu=all, or a pod that asks for nvidia.com/gpu.",
             "This is a container on a machine with an NVIDIA GPU, and it has no /dev/nvidia0.");
    } else if (h->nvidia_module == RP_ACCESS_MISSING) {
        find(r, true, "nvidia-driver-missing", "Install NVIDIA's driver (Debian: nvidia-driver) and start the machine again.",
             "The machine has an NVIDIA GPU, but NVIDIA's kernel module is not loaded.");
    } else if (strstr(cuda->info.detail, "libcuda.so.1 was not found") != NULL) {
        find(r, true, "nvidia-library-missing", h->container ? "Let nvidia-container-toolkit mount the driver's libraries: NVIDIA_DRIVER_CAPABILITIES "
             "must hold compute (and graphics for Vulkan)." : "Install the driver's library (Debian: libcuda1) of the same version as its module.",
             "NVIDIA's kernel module is loaded, but its library libcuda.so.1 is not found.");
    } else {
        find(r, true, "cuda-unavailable", "Follow that sentence; nvidia-smi shows whether the driver itself works.", "%s", cuda->info.detail);
    }
}

static void check_vulkan(doctor_report *r) {
    const doctor_host *h = &r->host;
    const doctor_device *vulkan = absent(r, "vulkan");
    if (h->render == RP_ACCESS_DENIED) {
        find(r, true, "dri-permission", "Add the user to the group that owns it (usermod -aG render USER) and log in again; in a container pass "
             "--device /dev/dri and --group-add that group.", "/dev/dri/renderD128 is there but may not be opened, so Vulkan cannot reach the GPU.");
    }
    if (vulkan == NULL) { return; }
    const bool wanted = h->other_gpus > 0 || h->render != RP_ACCESS_MISSING;
    find(r, wanted, "vulkan-unavailable", "Install the Vulkan loader and a driver (Debian: libvulkan1 mesa-vulkan-drivers; NVIDIA's comes with its "
         "own driver).", "%s", vulkan->info.detail);
}

static void check_gpu_unused(doctor_report *r) {
    const doctor_host *h = &r->host;
    if (has_gpu(r)) { return; }
    const bool explained = found(r, "nvidia-permission") || found(r, "container-without-gpu") || found(r, "nvidia-driver-missing") ||
                           found(r, "nvidia-library-missing") || found(r, "cuda-unavailable") || found(r, "dri-permission");
    if (h->nvidia_gpus + h->other_gpus > 0 && !explained) {
        find(r, true, "gpu-unused", h->container ? "Give the container the GPU (--gpus all, or --device /dev/dri) and a Vulkan driver."
                                                 : "Install its Vulkan driver (Debian: mesa-vulkan-drivers for AMD and Intel, nvidia-driver for NVIDIA).",
             "The machine has a GPU, but no driver offers it: only the CPU is left.");
    } else if (h->nvidia_gpus + h->other_gpus == 0) {
        find(r, false, "cpu-only", "Nothing, if that is meant: small models are quick on it. A GPU is some hundred times faster.",
             "The machine shows no GPU; forecasts run on the CPU.");
    }
}

// ---- steps that did not end well ----

// The finding of a step that hung or crashed. False: it came back.
static bool check_end(doctor_report *r, const doctor_result *x) {
    char text[512];
    if (x->child.end == RP_CHILD_DONE) { return false; }
    doctor_describe(x, text, sizeof text);
    const bool crashed = x->child.end == RP_CHILD_CRASHED;
    const bool of_driver = x->kind == DOCTOR_LIST || x->kind == DOCTOR_OPEN;
    if (x->child.end == RP_CHILD_FAILED) {
        find(r, true, "no-process", "Free memory or processes (ulimit -u, free -m) and try again.", "A step failed: %s.", text);
    } else if (crashed) {
        find(r, true, of_driver ? "driver-crashes" : "step-crashes", "Reinstall or update the device's driver; if it stays, report it with the output "
             "of --json.", "A step failed: %s.", text);
    } else {
        find(r, true, of_driver ? "driver-hangs" : "step-hangs", "See dmesg and, for NVIDIA, nvidia-smi; end other programs on the device or start the "
             "machine again. A slow device may need a longer --limit.", "A step failed: %s.", text);
    }
    return true;
}

static void check_lists(doctor_report *r) {
    for (size_t b = 0; b < DOCTOR_BACKENDS; b++) {
        const doctor_result *x = r->lists[b];
        if (x->good || check_end(r, x)) { continue; }
        find(r, true, "list-fails", "See the sentence.", "The devices of %s could not be listed: %s", x->subject, x->answer.text);
    }
}

static void check_open(doctor_report *r, const doctor_device *d) {
    const doctor_result *x = d->open;
    if (x == NULL || x->good || check_end(r, x)) { return; }
    const bool full = x->answer.status == RP_OUT_OF_MEMORY;
    find(r, true, full ? "device-full" : "device-fails", full ? "End the programs that hold its memory (NVIDIA: nvidia-smi lists them)."
         : "Follow that sentence, or take another device with --device.", "%s does not open: %s", d->info.spec, x->answer.text);
}

static void check_memory(doctor_report *r, const doctor_device *d) {
    const rp_device_info *info = &d->info;
    char total[32], available[32];
    if (d->open == NULL || !d->open->good || info->memory_bytes == 0 || info->memory_free_bytes == 0) { return; }
    format_bytes(info->memory_bytes, total, sizeof total);
    format_bytes(info->memory_free_bytes, available, sizeof available);
    if (info->memory_free_bytes < info->memory_bytes / FULL) {
        find(r, true, "device-full", "End the programs that hold it (NVIDIA: nvidia-smi lists them), or take another device with --device.",
             "%s has %s free of %s: other programs hold the rest.", info->spec, available, total);
    } else if (info->memory_free_bytes < info->memory_bytes / SHARED) {
        find(r, false, "device-shared", "Nothing, if the models fit; --memory bounds what a forecast takes.",
             "%s has %s free of %s: other programs use it too, and times will scatter.", info->spec, available, total);
    }
}

static void check_numbers(doctor_report *r, const doctor_device *d, const doctor_result *x) {
    if (x == NULL || x->good || check_end(r, x)) { return; }
    char remedy[512];
    if (x->answer.status == RP_OUT_OF_MEMORY) {
        find(r, true, "device-full", "End the programs that hold its memory, or take another device with --device.", "%s: %s", d->info.spec, x->answer.text);
        return;
    }
    if (x->answer.status != RP_OK) {
        find(r, true, "self-test-fails", "Follow that sentence, or take another device with --device.", "The self-test stopped on %s: %s",
             d->info.spec, x->answer.text);
        return;
    }
    snprintf(remedy, sizeof remedy, "Do not trust its forecasts: update its driver, check its memory, take another with --device. "
             "'reprise compare --devices ref,%s MODEL' shows where it goes wrong.", d->info.spec);
    find(r, true, "wrong-numbers", remedy, "%s computes wrong: %s.", d->info.spec, x->answer.text);
}

static void check_devices(doctor_report *r) {
    for (size_t i = 0; i < r->n_devices; i++) {
        const doctor_device *d = &r->devices[i];
        if (!d->info.available && strchr(d->info.spec, ':') != NULL) {
            find(r, true, "device-unusable", "Follow that sentence.", "%s: %s", d->info.spec, d->info.detail);
        }
        check_open(r, d);
        check_memory(r, d);
        check_numbers(r, d, d->ops);
        check_numbers(r, d, d->golden);
    }
}

// ---- host, models ----

static void check_host(doctor_report *r) {
    char available[32];
    if (r->host.free_bytes == 0 || r->host.free_bytes >= HOST_LOW) { return; }
    format_bytes(r->host.free_bytes, available, sizeof available);
    find(r, false, "host-memory-low", "End other programs if models do not load.", "The machine has %s of memory to spare.", available);
}

static void check_models(doctor_report *r) {
    bool alone = true;
    for (size_t i = 0; i < r->n_models; i++) {
        const doctor_result *x = r->models[i];
        alone = alone && x->good;
        if (x->good || check_end(r, x)) { continue; }
        const bool memory = x->answer.status == RP_OUT_OF_MEMORY;
        find(r, true, memory ? "model-too-large" : "model-fails", memory ? "Free the device's memory or take a larger device; 'reprise inspect' says what it needs."
             : "Follow that sentence; 'reprise inspect --model DIR' says it again.", "%s: %s", x->subject, x->answer.text);
    }
    const doctor_result *x = r->together;
    if (x == NULL || x->good || check_end(r, x) || !alone) { return; }
    const bool memory = x->answer.status == RP_OUT_OF_MEMORY;
    find(r, true, "models-together", memory ? "Load fewer at a time, put one away while another works (rp_model_offload), or spread them over devices."
         : "Each runs alone: report this with the output of --json.", "The models run alone but not all together: %s", x->answer.text);
}

static void (*const checks[])(doctor_report *r) = {
    check_nvidia, check_vulkan, check_gpu_unused, check_lists, check_devices, check_host, check_models,
};

void doctor_advise(doctor_report *r) {
    r->n_findings = 0;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) { checks[i](r); }
    r->healthy = true;
    for (size_t i = 0; i < r->n_findings; i++) { r->healthy = r->healthy && !r->findings[i].problem; }
}
