// `reprise doctor`: what the parts share. doctor_steps.c does the work, each step in a process of its own with a limit;
// doctor_run.c takes the steps in turn and fills the report; doctor_advice.c judges it; doctor_print.c shows it.
//
// Healthy means: every driver that is installed answers, every device that it shows passes the self-test, a GPU of this machine is
// among them, and every model that was named forecasts, alone and beside the others.
#ifndef TOOLS_DOCTOR_H
#define TOOLS_DOCTOR_H

#include "common.h"
#include "platform.h"
#include "reprise.h"

enum { DOCTOR_DEVICES = 16, DOCTOR_BACKENDS = 3, DOCTOR_MODELS = 64, DOCTOR_FINDINGS = 64 };
extern const char *const doctor_backends[DOCTOR_BACKENDS];   // in the order of "auto"

// ---- steps ----

typedef enum doctor_kind {
    DOCTOR_LIST,        // subject: a backend; its devices
    DOCTOR_OPEN,        // a device: opens it, asks for its memory, looks for the largest allocation
    DOCTOR_OPS,         // a device: every node of small models, against the reference (walk.h)
    DOCTOR_GOLDEN,      // a device: their forecasts, against recorded results of the original code
    DOCTOR_MODEL,       // a model's folder: loads it and forecasts
    DOCTOR_TOGETHER,    // all models in one process
    DOCTOR_KINDS
} doctor_kind;

typedef struct doctor_ask {
    doctor_kind kind;
    const char *subject;
    const char *small;            // OPS and GOLDEN: the folder that doctor_unpack made
    const char *device;           // of the last two
    const char *const *models;    // [n_models], of the last one
    size_t n_models;
} doctor_ask;

// What a step brings back from its process: plain bytes.
typedef struct doctor_answer {
    bool good;
    rp_status status;             // where it is not: what the library said
    char text[768];               // and its sentence; else what was done, in a few words
    uint32_t n_devices;
    rp_device_info devices[DOCTOR_DEVICES];   // LIST: all of the backend; OPEN: the one
    uint64_t largest_bytes;       // OPEN: the largest allocation that succeeded; 0: not tried, the memory is the host's
    rp_model_info model;          // MODEL
    double load_seconds, forecast_seconds;
    uint64_t device_bytes;        // MODEL and TOGETHER: of weights and forecasters
} doctor_answer;

typedef struct doctor_result {
    doctor_kind kind;
    char subject[256];
    rp_child child;               // how its process ended
    double limit_seconds;
    doctor_answer answer;         // where child.end is DONE
    bool good;                    // DONE, and the answer is good
} doctor_result;

// Where facts come from: the machine, or a test. A step's process must end by limit_ns.
typedef struct doctor_probes {
    rp_access (*access)(void *user, const char *path);
    void (*gpus)(void *user, uint32_t *nvidia, uint32_t *others);   // on the machine's bus, whatever drivers there are
    void (*driver)(void *user, char *buf, size_t cap);              // NVIDIA's kernel module, as it calls itself; "": it is not loaded
    void (*memory)(void *user, uint64_t *bytes, uint64_t *free_bytes);
    rp_child (*step)(void *user, const doctor_ask *ask, doctor_answer *answer, uint64_t limit_ns);
    void *user;
} doctor_probes;
extern const doctor_probes doctor_machine;

// Writes the small models of the self-test into a folder of their own; NULL: the system gives no room for them. Remove it with
// rp_folder_remove and free its name.
char *doctor_unpack(void);
// The largest buffer there is room for, within one part in 32 of what is free, by halving.
uint64_t doctor_largest(rp_device *device, const rp_device_info *info);
// The work of a step, in its own process: fills the answer.
void doctor_work(const doctor_ask *ask, doctor_answer *answer);

// ---- the report ----

typedef struct doctor_host {
    bool container;
    rp_access nvidia_control, nvidia_gpu, nvidia_module, render;   // /dev/nvidiactl, /dev/nvidia0, the kernel module, /dev/dri/renderD128
    char nvidia_driver[160];
    uint32_t nvidia_gpus, other_gpus;
    uint64_t memory_bytes, free_bytes;
} doctor_host;

typedef struct doctor_device {
    rp_device_info info;          // as listed; once opened, as opened
    const doctor_result *open, *ops, *golden;   // NULL: not done
} doctor_device;

typedef struct doctor_finding {
    bool problem;                 // false: worth knowing, and healthy all the same
    const char *code;             // "gpu-full"; stays the same from version to version
    char what[1024], remedy[512];
} doctor_finding;

typedef struct doctor_report {
    doctor_host host;
    const doctor_result *lists[DOCTOR_BACKENDS];
    doctor_device devices[DOCTOR_DEVICES];
    size_t n_devices;
    const doctor_result *models[DOCTOR_MODELS], *together;
    size_t n_models;
    doctor_result **results;      // every step, in order
    size_t n_results;
    doctor_finding findings[DOCTOR_FINDINGS];
    size_t n_findings;
    bool healthy;
} doctor_report;

typedef struct doctor_config {
    const char *device;           // for models; NULL: auto
    const char *const *models;    // [n_models] folders
    size_t n_models;
    const char *small;            // as doctor_unpack gave it
    double limit_seconds;         // for each step
    void (*told)(void *user, const doctor_result *result);   // after each step; NULL: nobody
    void *user;
} doctor_config;

void doctor_run(const doctor_probes *probes, const doctor_config *config, doctor_report *out);
void doctor_free(doctor_report *r);
void doctor_advise(doctor_report *r);                           // fills findings and healthy
const char *doctor_kind_name(doctor_kind kind);
// One line on how a step went.
void doctor_describe(const doctor_result *result, char *buf, size_t cap);
void doctor_print(const doctor_report *r);                      // what doctor_describe's lines do not say
void doctor_print_json(const doctor_report *r);

#endif
