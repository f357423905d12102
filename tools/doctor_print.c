// The report for people and for programs.
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

static const char *const device_kinds[] = { "reference", "CPU", "GPU" };
static const char *const accesses[] = { "missing", "denied", "open" };
static const char *const ends[] = { "done", "late", "stuck", "crashed", "failed" };

static const char *kind_of(const rp_device_info *info) { return (size_t)info->kind < 3 ? device_kinds[info->kind] : "?"; }

// ---- for people ----

static void print_memory(const doctor_device *d) {
    char total[32], available[32], largest[32];
    format_bytes(d->info.memory_bytes, total, sizeof total);
    format_bytes(d->info.memory_free_bytes, available, sizeof available);
    if (d->info.memory_bytes == 0) { printf("             memory: the host's"); } else { printf("             memory: %s", total); }
    if (d->info.memory_free_bytes) { printf(", %s free", available); }
    if (d->open && d->open->answer.largest_bytes) {
        format_bytes(d->open->answer.largest_bytes, largest, sizeof largest);
        printf(", largest allocation %s", largest);
    } else if (d->info.allocation_bytes) {
        format_bytes(d->info.allocation_bytes, largest, sizeof largest);
        printf(", allocations up to %s", largest);
    }
    printf("\n");
}

static void print_device(const doctor_device *d) {
    const rp_device_info *info = &d->info;
    if (!info->available) {
        printf("%-12s absent: %s\n", info->spec, info->detail);
        return;
    }
    printf("%-12s %s (%s)\n             %s\n", info->spec, info->name, kind_of(info), info->detail);
    if (d->open == NULL || !d->open->good) { return; }
    print_memory(d);
    printf("             uses %s\n", info->uses);
    if (info->lacks[0]) { printf("             lacks %s\n", info->lacks); }
}

static void print_host(const doctor_host *h) {
    char total[32], available[32];
    format_bytes(h->memory_bytes, total, sizeof total);
    format_bytes(h->free_bytes, available, sizeof available);
    printf("host         %s of memory, %s to spare%s; GPUs on its bus: NVIDIA %u, others %u\n", total, available, h->container ? ", in a container" : "",
           h->nvidia_gpus, h->other_gpus);
    if (h->nvidia_driver[0]) { printf("             %s\n", h->nvidia_driver); }
}

void doctor_print(const doctor_report *r) {
    size_t n_problems = 0;
    printf("\n");
    print_host(&r->host);
    for (size_t i = 0; i < r->n_devices; i++) { print_device(&r->devices[i]); }
    printf("\n");
    for (size_t i = 0; i < r->n_findings; i++) {
        const doctor_finding *f = &r->findings[i];
        n_problems += f->problem;
        printf("%-8s %s: %s\n         %s\n", f->problem ? "problem" : "note", f->code, f->what, f->remedy);
    }
    if (r->healthy) { printf("healthy\n"); } else { printf("not healthy: %zu problem%s\n", n_problems, n_problems == 1 ? "" : "s"); }
}

// ---- for programs ----

static void add_bytes(cJSON *to, const char *name, uint64_t bytes) {
    if (bytes) { cJSON_AddNumberToObject(to, name, (double)bytes); } else { cJSON_AddNullToObject(to, name); }
}

static void add_step(cJSON *to, const doctor_result *x) {
    char text[1024];
    doctor_describe(x, text, sizeof text);
    cJSON *step = cJSON_CreateObject();
    cJSON_AddStringToObject(step, "step", doctor_kind_name(x->kind));
    cJSON_AddStringToObject(step, "subject", x->subject);
    cJSON_AddBoolToObject(step, "good", x->good);
    cJSON_AddStringToObject(step, "end", ends[x->child.end]);
    if (x->child.end == RP_CHILD_DONE && !x->good) { cJSON_AddStringToObject(step, "status", rp_status_name(x->answer.status)); }
    cJSON_AddStringToObject(step, "text", text);
    cJSON_AddNumberToObject(step, "seconds", (double)x->child.ns * 1e-9);
    cJSON_AddNumberToObject(step, "limit_seconds", x->limit_seconds);
    if (x->good && x->kind >= DOCTOR_MODEL) {
        if (x->kind == DOCTOR_MODEL) {
            cJSON_AddStringToObject(step, "family", x->answer.model.family);
            cJSON_AddNumberToObject(step, "parameters", (double)x->answer.model.parameters);
        }
        cJSON_AddStringToObject(step, "device", x->answer.devices[0].spec);
        add_bytes(step, "device_bytes", x->answer.device_bytes);
        cJSON_AddNumberToObject(step, "load_seconds", x->answer.load_seconds);
        cJSON_AddNumberToObject(step, "forecast_seconds", x->answer.forecast_seconds);
    }
    cJSON_AddItemToArray(to, step);
}

static void add_device(cJSON *to, const doctor_device *d) {
    const rp_device_info *info = &d->info;
    cJSON *device = cJSON_CreateObject();
    cJSON_AddStringToObject(device, "spec", info->spec);
    cJSON_AddStringToObject(device, "backend", info->backend);
    cJSON_AddStringToObject(device, "name", info->name);
    cJSON_AddStringToObject(device, "kind", kind_of(info));
    cJSON_AddBoolToObject(device, "available", info->available != 0);
    cJSON_AddStringToObject(device, "detail", info->detail);
    cJSON_AddBoolToObject(device, "mixed", info->mixed != 0);
    add_bytes(device, "memory_bytes", info->memory_bytes);
    add_bytes(device, "memory_free_bytes", info->memory_free_bytes);
    add_bytes(device, "allocation_limit_bytes", info->allocation_bytes);
    add_bytes(device, "largest_allocation_bytes", d->open ? d->open->answer.largest_bytes : 0);
    cJSON_AddStringToObject(device, "uses", info->uses);
    cJSON_AddStringToObject(device, "lacks", info->lacks);
    cJSON_AddItemToArray(to, device);
}

static void add_host(cJSON *to, const doctor_host *h) {
    cJSON *host = cJSON_AddObjectToObject(to, "host");
    cJSON_AddBoolToObject(host, "container", h->container);
    cJSON_AddStringToObject(host, "/dev/nvidiactl", accesses[h->nvidia_control]);
    cJSON_AddStringToObject(host, "/dev/nvidia0", accesses[h->nvidia_gpu]);
    cJSON_AddStringToObject(host, "nvidia_driver", h->nvidia_driver);
    cJSON_AddBoolToObject(host, "nvidia_module", h->nvidia_module != RP_ACCESS_MISSING);
    cJSON_AddStringToObject(host, "/dev/dri/renderD128", accesses[h->render]);
    cJSON_AddNumberToObject(host, "nvidia_gpus", h->nvidia_gpus);
    cJSON_AddNumberToObject(host, "other_gpus", h->other_gpus);
    add_bytes(host, "memory_bytes", h->memory_bytes);
    add_bytes(host, "memory_free_bytes", h->free_bytes);
}

void doctor_print_json(const doctor_report *r) {
    const uint32_t v = rp_version();
    char version[32];
    snprintf(version, sizeof version, "%u.%u.%u", v >> 16, (v >> 8) & 255, v & 255);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "version", version);
    cJSON_AddBoolToObject(json, "healthy", r->healthy);
    cJSON *findings = cJSON_AddArrayToObject(json, "findings");
    for (size_t i = 0; i < r->n_findings; i++) {
        const doctor_finding *f = &r->findings[i];
        cJSON *finding = cJSON_CreateObject();
        cJSON_AddBoolToObject(finding, "problem", f->problem);
        cJSON_AddStringToObject(finding, "code", f->code);
        cJSON_AddStringToObject(finding, "what", f->what);
        cJSON_AddStringToObject(finding, "remedy", f->remedy);
        cJSON_AddItemToArray(findings, finding);
    }
    add_host(json, &r->host);
    cJSON *devices = cJSON_AddArrayToObject(json, "devices");
    for (size_t i = 0; i < r->n_devices; i++) { add_device(devices, &r->devices[i]); }
    cJSON *steps = cJSON_AddArrayToObject(json, "steps");
    for (size_t i = 0; i < r->n_results; i++) { add_step(steps, r->results[i]); }
    char *text = cJSON_Print(json);
    printf("%s\n", text ? text : "{}");
    cJSON_free(text);
    cJSON_Delete(json);
}
