// Takes the steps in turn and fills the report. Opens no driver itself: a step's process does.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

const char *const doctor_backends[DOCTOR_BACKENDS] = { "cuda", "vulkan", "ref" };

#define LIST_SECONDS 30.0    // listing and opening wait for a driver to start, no longer

static const struct { const char *name, *verb; } kinds[DOCTOR_KINDS] = {
    [DOCTOR_LIST] = { "list", "listing the devices of" }, [DOCTOR_OPEN] = { "open", "opening" },
    [DOCTOR_OPS] = { "ops", "the op test on" },           [DOCTOR_GOLDEN] = { "golden", "the demo forecasts on" },
    [DOCTOR_MODEL] = { "model", "forecasting with" },     [DOCTOR_TOGETHER] = { "together", "forecasting with" },
};

const char *doctor_kind_name(doctor_kind kind) { return kinds[kind].name; }

typedef struct job {
    const doctor_probes *probes;
    const doctor_config *config;
    doctor_report *report;
} job;

static const doctor_result *step(const job *j, const doctor_ask *ask) {
    doctor_report *r = j->report;
    doctor_result *result = take(1, sizeof *result);
    *result = (doctor_result){ .kind = ask->kind, .limit_seconds = j->config->limit_seconds };
    if (ask->kind <= DOCTOR_OPEN && result->limit_seconds > LIST_SECONDS) { result->limit_seconds = LIST_SECONDS; }
    snprintf(result->subject, sizeof result->subject, "%s", ask->subject);
    result->child = j->probes->step(j->probes->user, ask, &result->answer, (uint64_t)(result->limit_seconds * 1e9));
    if (result->child.end == RP_CHILD_DONE && result->child.bytes != sizeof result->answer) { result->child.end = RP_CHILD_FAILED; }
    result->good = result->child.end == RP_CHILD_DONE && result->answer.good;
    r->results = take_again(r->results, r->n_results + 1, sizeof *r->results);
    r->results[r->n_results++] = result;
    if (j->config->told) { j->config->told(j->config->user, result); }
    return result;
}

static void look_at_host(const job *j) {
    const doctor_probes *p = j->probes;
    doctor_host *h = &j->report->host;
    static const char *const marks[] = { "/.dockerenv", "/run/.containerenv", "/run/secrets/kubernetes.io" };   // Docker, Podman, Kubernetes
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) { h->container = h->container || p->access(p->user, marks[i]) != RP_ACCESS_MISSING; }
    h->nvidia_control = p->access(p->user, "/dev/nvidiactl");
    h->nvidia_gpu = p->access(p->user, "/dev/nvidia0");
    h->nvidia_module = p->access(p->user, "/proc/driver/nvidia/version");
    h->render = p->access(p->user, "/dev/dri/renderD128");
    p->gpus(p->user, &h->nvidia_gpus, &h->other_gpus);
    p->driver(p->user, h->nvidia_driver, sizeof h->nvidia_driver);
    p->memory(p->user, &h->memory_bytes, &h->free_bytes);
}

static void look_at_device(const job *j, doctor_device *d) {
    d->open = step(j, &(doctor_ask){ .kind = DOCTOR_OPEN, .subject = d->info.spec });
    if (!d->open->good) { return; }
    d->info = d->open->answer.devices[0];
    d->ops = step(j, &(doctor_ask){ .kind = DOCTOR_OPS, .subject = d->info.spec, .small = j->config->small });
    d->golden = step(j, &(doctor_ask){ .kind = DOCTOR_GOLDEN, .subject = d->info.spec, .small = j->config->small });
}

void doctor_run(const doctor_probes *probes, const doctor_config *config, doctor_report *out) {
    *out = (doctor_report){ 0 };
    const job j = { probes, config, out };
    look_at_host(&j);
    for (size_t b = 0; b < DOCTOR_BACKENDS; b++) {
        const doctor_result *list = out->lists[b] = step(&j, &(doctor_ask){ .kind = DOCTOR_LIST, .subject = doctor_backends[b] });
        for (uint32_t i = 0; list->good && i < list->answer.n_devices && out->n_devices < DOCTOR_DEVICES; i++) {
            out->devices[out->n_devices++].info = list->answer.devices[i];
        }
    }
    for (size_t i = 0; i < out->n_devices; i++) {
        if (out->devices[i].info.available) { look_at_device(&j, &out->devices[i]); }
    }
    const char *device = config->device ? config->device : "auto";
    for (size_t i = 0; i < config->n_models && i < DOCTOR_MODELS; i++) {
        out->models[out->n_models++] = step(&j, &(doctor_ask){ .kind = DOCTOR_MODEL, .subject = config->models[i], .device = device });
    }
    if (out->n_models > 1) {
        out->together = step(&j, &(doctor_ask){ .kind = DOCTOR_TOGETHER, .subject = "all of them", .device = device, .models = config->models,
                                                .n_models = out->n_models });
    }
    doctor_advise(out);
}

void doctor_free(doctor_report *r) {
    for (size_t i = 0; i < r->n_results; i++) { free(r->results[i]); }
    free(r->results);
    *r = (doctor_report){ 0 };
}

void doctor_describe(const doctor_result *x, char *buf, size_t cap) {
    const char *verb = kinds[x->kind].verb;
    switch (x->child.end) {
    case RP_CHILD_DONE: snprintf(buf, cap, "%s", x->answer.text); break;
    case RP_CHILD_LATE: snprintf(buf, cap, "%s %s was not done after %.0f s and was ended", verb, x->subject, x->limit_seconds); break;
    case RP_CHILD_STUCK:
        snprintf(buf, cap, "%s %s was not done after %.0f s, and its process cannot be ended: a driver holds it", verb, x->subject, x->limit_seconds);
        break;
    case RP_CHILD_CRASHED: snprintf(buf, cap, "%s %s crashed (signal %d)", verb, x->subject, x->child.code); break;
    case RP_CHILD_FAILED: snprintf(buf, cap, "%s %s gave no answer: no process or no memory for it", verb, x->subject); break;
    }
}
