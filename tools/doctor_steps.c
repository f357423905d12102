// The work of each step, in a process of its own: it may hang or crash, and knows nothing of what other steps found.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "doctor.h"
#include "embed.h"
#include "golden.h"
#include "walk.h"

extern const rp_blob doctor_blobs[];   // small models and their goldens; "toto/config.json"

static void failed(doctor_answer *a, rp_device *device, rp_status status) {
    char text[sizeof a->text] = "";
    rp_device_copy_error(device, text, sizeof text);
    a->status = status;
    snprintf(a->text, sizeof a->text, "%s", text[0] ? text : rp_status_text(status));
}

// ---- list, open ----

static void list_devices(const char *backend, doctor_answer *a) {
    rp_device_list *list = NULL;
    rp_status status = rp_device_list_create_of(backend, &list);
    if (status != RP_OK) {
        failed(a, NULL, status);
        return;
    }
    uint32_t n = rp_device_list_count(list);
    for (uint32_t i = 0; i < n && a->n_devices < DOCTOR_DEVICES; i++) {
        rp_device_info *info = &a->devices[a->n_devices];
        *info = (rp_device_info)RP_DEVICE_INFO_INIT;
        if (rp_device_list_copy(list, i, info) == RP_OK) { a->n_devices++; }
    }
    rp_device_list_destroy(list);
    a->good = true;
    size_t used = 0;
    for (uint32_t i = 0; i < a->n_devices && used < sizeof a->text; i++) {
        const rp_device_info *info = &a->devices[i];
        used += (size_t)snprintf(a->text + used, sizeof a->text - used, "%s%s%s", i ? ", " : "", info->available ? info->spec : "absent",
                                 !info->available && strchr(info->spec, ':') ? " (one that cannot be used)" : "");
    }
}

uint64_t doctor_largest(rp_device *device, const rp_device_info *info) {
    uint64_t low = 0, high = info->memory_free_bytes ? info->memory_free_bytes : info->memory_bytes;
    if (info->allocation_bytes && info->allocation_bytes < high) { high = info->allocation_bytes; }
    const uint64_t fine = high / 64 + 1;
    for (uint64_t size = high; high - low > fine; size = low + (high - low) / 2) {
        rp_buffer *buffer = NULL;
        if (device->backend->buffer_create(device, size, RP_MEMORY_DEVICE, &buffer) == RP_OK) { low = size; } else { high = size; }
        device->backend->buffer_destroy(buffer);
    }
    return low;
}

static void open_device(const char *spec, doctor_answer *a) {
    rp_device *device = NULL;
    rp_device_info *info = &a->devices[0];
    *info = (rp_device_info)RP_DEVICE_INFO_INIT;
    rp_status status = rp_device_create(spec, NULL, &device);
    if (status == RP_OK) { status = rp_device_copy_info(device, info); }
    if (status != RP_OK) { failed(a, device, status); }
    if (status == RP_OK) {
        a->n_devices = 1;
        a->good = true;
        if (info->memory_bytes > 0) { a->largest_bytes = doctor_largest(device, info); }
        snprintf(a->text, sizeof a->text, "opens");
    }
    rp_device_destroy(device);
}

// ---- the self-test ----

char *doctor_unpack(void) {
    char *folder = rp_folder_temporary();
    for (const rp_blob *blob = doctor_blobs; folder != NULL && blob->name != NULL; blob++) {
        char *path = rp_path_join(folder, blob->name);
        const size_t size = (size_t)(blob->end - blob->data);
        for (char *at = path ? path + strlen(folder) + 1 : NULL; at != NULL && (at = strchr(at, '/')) != NULL; at++) {
            *at = '\0';
            rp_folder_make(path);
            *at = '/';
        }
        FILE *file = path ? fopen(path, "wb") : NULL;
        bool good = file != NULL && fwrite(blob->data, 1, size, file) == size;
        if (file != NULL) { good = fclose(file) == 0 && good; }
        free(path);
        if (good) { continue; }
        rp_folder_remove(folder);
        free(folder);
        return NULL;
    }
    return folder;
}

static const char *const small_models[] = { "toto", "toto2", "kronos" };
enum { N_SMALL = sizeof small_models / sizeof *small_models };

typedef struct ops_count { size_t nodes, failed; double worst; } ops_count;

// Mixed is left out, and well, where device or family does not have it.
static bool walk_model(const char *spec, const char *folder, rp_precision precision, ops_count *count, doctor_answer *a) {
    walk w = { 0 };
    rp_model *model[2] = { 0 };
    sample input[2] = { 0 };
    const char *const specs[2] = { "ref", spec };
    rp_model_config config = RP_MODEL_CONFIG_INIT;
    rp_status status = RP_OK;
    config.precision = precision;
    for (uint32_t d = 0; d < 2 && status == RP_OK; d++) {
        status = walk_open(&w, d, specs[d], config.precision);
        if (status != RP_OK) { failed(a, w.device[d], status); }
    }
    for (uint32_t d = 0; d < 2 && status == RP_OK; d++) {
        status = rp_model_load(w.device[d], folder, &config, &model[d]);
        if (status == RP_OK) {
            sample_make(model[d], (sample_sizes){ .context = 40, .variates = 2, .paths = 3, .seed = 7 }, &input[d]);
            status = sample_forecaster(&input[d], model[d], &w.forecaster[d]);
        }
        if (status != RP_OK && !(precision == RP_PRECISION_MIXED && status == RP_UNSUPPORTED)) { failed(a, w.device[d], status); }
    }
    const bool left_out = precision == RP_PRECISION_MIXED && status == RP_UNSUPPORTED;
    if (status == RP_OK && !walk_run(&w, &input[0], &input[1])) {
        a->status = RP_INTERNAL;
        snprintf(a->text, sizeof a->text, "%.700s", w.error.text);
        status = RP_INTERNAL;
    }
    for (size_t i = 0; i < w.n_nodes; i++) { count->worst = w.nodes[i].ratio <= count->worst ? count->worst : w.nodes[i].ratio; }
    if (w.failed > 0 && count->failed == 0) {
        const walk_node *n = &w.nodes[w.first_failed];
        snprintf(a->text, sizeof a->text, "'%s' (%s) gives %.9g where %.9g is right, %.3g times its tolerance", n->label, n->op, n->got, n->ref, n->ratio);
    }
    count->nodes += w.n_nodes, count->failed += w.failed;
    walk_free(&w);
    for (uint32_t d = 0; d < 2; d++) {
        rp_forecaster_destroy(w.forecaster[d]);
        rp_model_destroy(model[d]);
        rp_device_destroy(w.device[d]);
        sample_free(&input[d]);
    }
    return status == RP_OK || left_out;
}

static void check_ops(const char *spec, const char *folder, doctor_answer *a) {
    ops_count count = { 0, 0, 0 };
    bool done = true;
    for (size_t i = 0; i < N_SMALL && done; i++) {
        char *path = rp_path_join(folder, small_models[i]);
        done = path != NULL && walk_model(spec, path, RP_PRECISION_F32, &count, a) && walk_model(spec, path, RP_PRECISION_MIXED, &count, a);
        free(path);
    }
    a->good = done && count.failed == 0;
    if (a->good) { snprintf(a->text, sizeof a->text, "%zu nodes, the worst at %.2f of its tolerance", count.nodes, count.worst); }
}

static void check_goldens(const char *spec, const char *folder, doctor_answer *a) {
    const golden_options options = { .precision = RP_PRECISION_F32, .samples = 64, .seed = 1 };
    golden_count count = { 0, 0, 0 };
    message error = { "" };
    rp_device *device = NULL;
    rp_status status = rp_device_create(spec, NULL, &device);
    bool done = status == RP_OK;
    if (!done) { failed(a, device, status); }
    for (size_t i = 0; i < N_SMALL && done; i++) {
        char *path = rp_path_join(folder, small_models[i]);
        done = path != NULL && golden_run(device, path, &options, &count, &error);
        free(path);
        if (!done) { snprintf(a->text, sizeof a->text, "%.700s", error.text); }
    }
    a->good = done && count.failed == 0 && count.passed > 0;
    if (a->good) { snprintf(a->text, sizeof a->text, "%u results as the original code has them", count.passed); }
    if (done && !a->good) { snprintf(a->text, sizeof a->text, "%u of %u results are not those of the original code", count.failed, count.failed + count.passed); }
    rp_device_destroy(device);
}

static void self_test(const doctor_ask *ask, doctor_answer *a) {
    if (ask->small != NULL) {
        (ask->kind == DOCTOR_OPS ? check_ops : check_goldens)(ask->subject, ask->small, a);
        return;
    }
    a->status = RP_NOT_FOUND;
    snprintf(a->text, sizeof a->text, "the files of the self-test could not be written to /tmp; make room there, or allow it");
}

// ---- models ----

typedef struct loaded { rp_model *model; rp_forecaster *forecaster; sample input; } loaded;

static rp_status load(rp_device *device, const char *folder, loaded *m, doctor_answer *a) {
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    rp_model_info about = RP_MODEL_INFO_INIT;
    double start = seconds_now();
    RP_RETURN(rp_model_load(device, folder, NULL, &m->model));
    a->load_seconds += seconds_now() - start;
    RP_RETURN(rp_model_copy_info(m->model, &about));
    sample_make(m->model, (sample_sizes){ .paths = 4 }, &m->input);
    RP_RETURN(sample_forecaster(&m->input, m->model, &m->forecaster));
    RP_RETURN(rp_forecaster_copy_info(m->forecaster, &info));
    a->model = about;
    a->device_bytes += about.device_bytes + info.device_bytes;
    return RP_OK;
}

static rp_status forecast(rp_device *device, loaded *m, doctor_answer *a) {
    const double start = seconds_now();
    RP_RETURN(sample_forecast(&m->input, m->forecaster));
    a->forecast_seconds += seconds_now() - start;
    const sample *s = &m->input;
    for (size_t i = 0; i < s->n_paths; i++) {
        if (!isfinite(s->paths[i])) { return rp_fail(device, RP_INTERNAL, "Number %zu of its forecast is %g.", i, (double)s->paths[i]); }
    }
    return RP_OK;
}

// All are loaded before the first forecasts, so that all are on the device at once.
static void run_models(const char *spec, const char *const *folders, size_t n, doctor_answer *a) {
    loaded *models = take(n + 1, sizeof *models);
    rp_device *device = NULL;
    size_t at = 0;
    a->devices[0] = (rp_device_info)RP_DEVICE_INFO_INIT;
    rp_status status = rp_device_create(spec, NULL, &device);
    const bool opened = status == RP_OK;
    if (opened) { status = rp_device_copy_info(device, &a->devices[0]); }
    for (size_t i = 0; i < n && status == RP_OK; i++) { at = i, status = load(device, folders[i], &models[i], a); }
    for (size_t i = 0; i < n && status == RP_OK; i++) { at = i, status = forecast(device, &models[i], a); }
    if (status != RP_OK) {
        failed(a, device, status);
        if (opened && n > 1) {
            char text[sizeof a->text];
            memcpy(text, a->text, sizeof text);
            snprintf(a->text, sizeof a->text, "%.200s, after %zu others: %.500s", folders[at], at, text);
        }
    }
    a->good = status == RP_OK;
    char bytes[32];
    format_bytes(a->device_bytes, bytes, sizeof bytes);
    if (a->good) {
        snprintf(a->text, sizeof a->text, "%s on %s, loaded in %.2f s, forecast in %.2f s", bytes, a->devices[0].spec, a->load_seconds, a->forecast_seconds);
    }
    for (size_t i = 0; i < n; i++) {
        rp_forecaster_destroy(models[i].forecaster);
        rp_model_destroy(models[i].model);
        sample_free(&models[i].input);
    }
    free(models);
    rp_device_destroy(device);
}

void doctor_work(const doctor_ask *ask, doctor_answer *answer) {
    switch (ask->kind) {
    case DOCTOR_LIST: list_devices(ask->subject, answer); break;
    case DOCTOR_OPEN: open_device(ask->subject, answer); break;
    case DOCTOR_OPS:
    case DOCTOR_GOLDEN: self_test(ask, answer); break;
    case DOCTOR_MODEL: run_models(ask->device, &ask->subject, 1, answer); break;
    case DOCTOR_TOGETHER: run_models(ask->device, ask->models, ask->n_models, answer); break;
    case DOCTOR_KINDS: break;
    }
}

// ---- the machine ----

static rp_access machine_access(void *user, const char *path) {
    (void)user;
    return rp_path_access(path);
}

typedef struct bus_count { uint32_t nvidia, others; } bus_count;

static unsigned read_number(const char *device, const char *name) {
    char path[512];
    unsigned number = 0;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.200s/%s", device, name);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%x", &number) != 1) { number = 0; }
    if (file != NULL) { fclose(file); }
    return number;
}

static void count_device(void *user, const char *name) {
    bus_count *count = user;
    const unsigned kind = read_number(name, "class") >> 8, vendor = read_number(name, "vendor");
    // PCI's classes: VGA, 3D and display controllers. Of those, emulated and server-management ones compute nothing.
    if (kind != 0x0300 && kind != 0x0302 && kind != 0x0380) { return; }
    if (vendor == 0x10de) { count->nvidia++; }
    if (vendor == 0x1002 || vendor == 0x8086) { count->others++; }
}

static void machine_gpus(void *user, uint32_t *nvidia, uint32_t *others) {
    bus_count count = { 0, 0 };
    (void)user;
    rp_folder_each("/sys/bus/pci/devices", count_device, &count);
    *nvidia = count.nvidia, *others = count.others;
}

static void machine_driver(void *user, char *buf, size_t cap) {
    (void)user;
    FILE *file = fopen("/proc/driver/nvidia/version", "r");
    if (file == NULL || fgets(buf, (int)cap, file) == NULL) { buf[0] = '\0'; }
    if (file != NULL) { fclose(file); }
    buf[strcspn(buf, "\n")] = '\0';
}

static void machine_memory(void *user, uint64_t *bytes, uint64_t *free_bytes) {
    (void)user;
    rp_host_memory(bytes, free_bytes);
}

static int work(void *user, void *answer) {
    doctor_work(user, answer);
    return 0;
}

static rp_child machine_step(void *user, const doctor_ask *ask, doctor_answer *answer, uint64_t limit_ns) {
    (void)user;
    return rp_child_run(work, (void *)(uintptr_t)ask, answer, sizeof *answer, limit_ns);
}

const doctor_probes doctor_machine = { machine_access, machine_gpus, machine_driver, machine_memory, machine_step, NULL };
