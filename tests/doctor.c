// The doctor on machines that are made up: each diagnosis from the facts that call for it, steps that hang or crash, and that the
// steps themselves work on a real device. No driver of this machine is asked but in the last.
#include "case.h"

#include <signal.h>
#include <unistd.h>

#include "../tools/doctor.h"

// ---- a made-up machine ----

typedef struct machine {
    // What is there, beside what follows from the devices.
    const char *open_files[8], *denied_files[8];
    uint32_t nvidia, others;
    uint64_t free_bytes;
    rp_device_info devices[4];
    uint32_t n_devices;
    // What goes wrong: the step of this kind on this subject.
    doctor_kind kind;
    const char *subject;
    rp_child_end end;             // HANG and CRASH really happen, in a process
    rp_status status;             // where it ends: what it says
    const char *text;
} machine;

static rp_access access_of(void *user, const char *path) {
    const machine *m = user;
    for (size_t i = 0; i < TEST_COUNT(m->open_files); i++) {
        if (m->open_files[i] != NULL && strcmp(path, m->open_files[i]) == 0) { return RP_ACCESS_OPEN; }
        if (m->denied_files[i] != NULL && strcmp(path, m->denied_files[i]) == 0) { return RP_ACCESS_DENIED; }
    }
    return RP_ACCESS_MISSING;
}

static void gpus_of(void *user, uint32_t *nvidia, uint32_t *others) {
    const machine *m = user;
    *nvidia = m->nvidia, *others = m->others;
}

static void driver_of(void *user, char *buf, size_t cap) {
    (void)user;
    snprintf(buf, cap, "NVRM version: made up");
}

static void memory_of(void *user, uint64_t *bytes, uint64_t *free_bytes) {
    const machine *m = user;
    *bytes = (uint64_t)64 << 30, *free_bytes = m->free_bytes;
}

static int hang(void *user, void *answer) {
    (void)user, (void)answer;
    while (pause() != 0) { }       // which it never is
    return 0;
}

static int crash(void *user, void *answer) {
    (void)user, (void)answer;
    signal(SIGSEGV, SIG_DFL);     // whatever a sanitizer would do with it
    raise(SIGSEGV);
    return 0;
}

static rp_child step_of(void *user, const doctor_ask *ask, doctor_answer *answer, uint64_t limit_ns) {
    const machine *m = user;
    assert_true(limit_ns > 0);
    memset(answer, 0, sizeof *answer);
    const bool bad = m->subject != NULL && ask->kind == m->kind && strcmp(ask->subject, m->subject) == 0;
    if (bad && m->end == RP_CHILD_LATE) { return rp_child_run(hang, NULL, answer, sizeof *answer, 50000000); }
    if (bad && m->end == RP_CHILD_CRASHED) { return rp_child_run(crash, NULL, answer, sizeof *answer, 60000000000); }
    if (bad && m->end != RP_CHILD_DONE) { return (rp_child){ .end = m->end, .ns = limit_ns }; }
    answer->good = !bad;
    answer->status = bad ? m->status : RP_OK;
    snprintf(answer->text, sizeof answer->text, "%s", bad ? m->text : "fine");
    for (uint32_t i = 0; i < m->n_devices; i++) {
        const rp_device_info *info = &m->devices[i];
        const bool listed = ask->kind == DOCTOR_LIST && strcmp(info->backend, ask->subject) == 0;
        if (listed || (ask->kind == DOCTOR_OPEN && strcmp(info->spec, ask->subject) == 0)) { answer->devices[answer->n_devices++] = *info; }
    }
    return (rp_child){ .end = RP_CHILD_DONE, .bytes = sizeof *answer, .ns = 1000 };
}

static void add(machine *m, const char *spec, rp_device_kind kind, const char *absent) {
    rp_device_info *info = &m->devices[m->n_devices++];
    *info = (rp_device_info)RP_DEVICE_INFO_INIT;
    snprintf(info->spec, sizeof info->spec, "%s", spec);
    snprintf(info->backend, sizeof info->backend, "%.*s", (int)strcspn(spec, ":"), spec);
    snprintf(info->detail, sizeof info->detail, "%s", absent ? absent : "");
    info->available = absent == NULL;
    info->kind = kind;
    if (absent == NULL && kind == RP_DEVICE_GPU) { info->memory_bytes = (uint64_t)80 << 30, info->memory_free_bytes = (uint64_t)79 << 30; }
}

#define NO_LIBRARY "The NVIDIA driver's library libcuda.so.1 was not found; install the NVIDIA driver."
#define NOT_BUILT "This library was built without CUDA kernels; install the CUDA toolkit (nvcc) and build it again."

// An NVIDIA machine in good health.
static machine sound(void) {
    machine m = { .open_files = { "/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia/version", "/dev/dri/renderD128" }, .nvidia = 1,
                  .free_bytes = (uint64_t)32 << 30 };
    add(&m, "cuda:0", RP_DEVICE_GPU, NULL);
    add(&m, "vulkan:0", RP_DEVICE_GPU, NULL);
    add(&m, "ref", RP_DEVICE_REFERENCE, NULL);
    return m;
}

// No CUDA, for this reason, and only a CPU for Vulkan.
static machine bare(const char *reason) {
    machine m = { .free_bytes = (uint64_t)32 << 30 };
    add(&m, "cuda", RP_DEVICE_GPU, reason);
    add(&m, "vulkan:0", RP_DEVICE_CPU, NULL);
    add(&m, "ref", RP_DEVICE_REFERENCE, NULL);
    return m;
}

static const char *const folders[] = { "models/one", "models/two" };

static doctor_report examine(const machine *m) {
    const doctor_probes probes = { access_of, gpus_of, driver_of, memory_of, step_of, (void *)(uintptr_t)m };
    const doctor_config config = { .models = folders, .n_models = 2, .limit_seconds = 5 };
    doctor_report r;
    doctor_run(&probes, &config, &r);
    return r;
}

// The only problem is this one, and it names what it is about and what to do; NULL: there is none.
static void expect(const machine *m, const char *code, const char *about, const char *remedy) {
    doctor_report r = examine(m);
    size_t problems = 0;
    for (size_t i = 0; i < r.n_findings; i++) {
        const doctor_finding *f = &r.findings[i];
        assert_true(strlen(f->what) > 20 && strlen(f->remedy) > 10);
        if (!f->problem) { continue; }
        problems++;
        if (code == NULL || strcmp(f->code, code) != 0) { fail_msg("%s where %s was expected: %s", f->code, code ? code : "nothing", f->what); }
        if (strstr(f->what, about) == NULL) { fail_msg("%s does not speak of '%s': %s", code, about, f->what); }
        if (strstr(f->remedy, remedy) == NULL) { fail_msg("%s does not advise '%s': %s", code, remedy, f->remedy); }
    }
    if (code != NULL && problems != 1) { fail_msg("%s was found %zu times", code, problems); }
    assert_int_equal(r.healthy, code == NULL);
    doctor_free(&r);
}

static void expect_note(const machine *m, const char *code) {
    doctor_report r = examine(m);
    bool noted = false;
    for (size_t i = 0; i < r.n_findings; i++) { noted = noted || (!r.findings[i].problem && strcmp(r.findings[i].code, code) == 0); }
    if (!noted) { fail_msg("no note %s", code); }
    assert_true(r.healthy);
    doctor_free(&r);
}

// ---- diagnoses ----

static void health(void **state) {
    (void)state;
    machine m = sound();
    expect(&m, NULL, "", "");
    doctor_report r = examine(&m);
    assert_int_equal(r.n_findings, 0);
    assert_int_equal(r.n_results, 3 + 3 * 3 + 2 + 1);    // lists, three steps a device, models alone and together
    doctor_free(&r);
}

static void drivers(void **state) {
    (void)state;
    machine m = bare(NO_LIBRARY);
    expect_note(&m, "cpu-only");                        // no GPU: nothing is wrong
    m = bare(NOT_BUILT);
    m.nvidia = 1, m.devices[1].kind = RP_DEVICE_GPU;    // through Vulkan it works
    expect_note(&m, "cuda-not-built");
    m = bare(NO_LIBRARY);
    m.nvidia = 1;
    expect(&m, "nvidia-driver-missing", "kernel module is not loaded", "Install NVIDIA's driver");
    m.open_files[0] = "/.dockerenv";
    expect(&m, "container-without-gpu", "has no /dev/nvidia0", "docker run --gpus all");
    m.open_files[0] = "/run/.containerenv", m.open_files[1] = "/dev/nvidia0", m.open_files[2] = "/proc/driver/nvidia/version";
    expect(&m, "nvidia-library-missing", "libcuda.so.1", "nvidia-container-toolkit");
    m.open_files[0] = NULL;
    expect(&m, "nvidia-library-missing", "libcuda.so.1", "libcuda1");
    m.open_files[1] = NULL, m.denied_files[0] = "/dev/nvidia0";
    expect(&m, "nvidia-permission", "may not be opened", "group");
    m = bare("CUDA failed while starting the driver: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803, versions differ); reboot.");
    m.nvidia = 1, m.open_files[0] = "/proc/driver/nvidia/version";
    expect(&m, "cuda-unavailable", "803", "nvidia-smi");
    m = bare(NO_LIBRARY);
    m.others = 1;
    expect(&m, "gpu-unused", "only the CPU is left", "mesa-vulkan-drivers");
    m.denied_files[0] = "/dev/dri/renderD128";
    expect(&m, "dri-permission", "renderD128", "usermod -aG render");
    m = bare(NO_LIBRARY);
    m.n_devices = 1;
    add(&m, "vulkan", RP_DEVICE_GPU, "libvulkan.so.1 was not found: install the Vulkan loader.");
    add(&m, "ref", RP_DEVICE_REFERENCE, NULL);
    expect_note(&m, "vulkan-unavailable");
    m.open_files[0] = "/dev/dri/renderD128";
    expect(&m, "vulkan-unavailable", "libvulkan.so.1", "libvulkan1");
    m = sound();
    m.devices[1].available = 0;
    snprintf(m.devices[1].detail, sizeof m.devices[1].detail, "Old GPU cannot be used: its driver is older than Vulkan 1.2: install a newer driver.");
    expect(&m, "device-unusable", "vulkan:0", "sentence");
}

static void memory(void **state) {
    (void)state;
    machine m = sound();
    m.devices[0].memory_free_bytes = (uint64_t)1 << 30;
    expect(&m, "device-full", "cuda:0 has 1.1 GB free of 85.9 GB", "nvidia-smi");
    m.devices[0].memory_free_bytes = (uint64_t)30 << 30;
    expect_note(&m, "device-shared");
    m = sound();
    m.free_bytes = 1 << 20;
    expect_note(&m, "host-memory-low");
    m = sound();
    m.kind = DOCTOR_OPEN, m.subject = "cuda:0", m.end = RP_CHILD_DONE, m.status = RP_OUT_OF_MEMORY, m.text = "0 of its 80 GB are free.";
    expect(&m, "device-full", "0 of its 80 GB are free", "nvidia-smi");
    m.status = RP_UNAVAILABLE, m.text = "another process holds the device exclusively: wait for it or change the compute mode.";
    expect(&m, "device-fails", "exclusively", "--device");
    m.kind = DOCTOR_GOLDEN, m.status = RP_OUT_OF_MEMORY;
    expect(&m, "device-full", "cuda:0", "another device");
}

static void numbers(void **state) {
    (void)state;
    machine m = sound();
    m.kind = DOCTOR_OPS, m.subject = "vulkan:0", m.end = RP_CHILD_DONE, m.status = RP_OK, m.text = "'layer 1 mlp' (linear) gives 2 where 1 is right";
    expect(&m, "wrong-numbers", "layer 1 mlp", "reprise compare --devices ref,vulkan:0");
    m.kind = DOCTOR_GOLDEN;
    expect(&m, "wrong-numbers", "vulkan:0 computes wrong", "Do not trust");
    m.status = RP_DEVICE_LOST;
    expect(&m, "self-test-fails", "The self-test stopped on vulkan:0", "--device");
}

static void models(void **state) {
    (void)state;
    machine m = sound();
    m.kind = DOCTOR_MODEL, m.subject = folders[1], m.end = RP_CHILD_DONE, m.status = RP_BAD_FILE, m.text = "config.json is empty";
    expect(&m, "model-fails", "models/two: config.json is empty", "reprise inspect");
    m.status = RP_OUT_OF_MEMORY;
    expect(&m, "model-too-large", "models/two", "larger device");
    m.kind = DOCTOR_TOGETHER, m.subject = "all of them";
    expect(&m, "models-together", "not all together", "rp_model_offload");
}

static void steps_that_hang_or_crash(void **state) {
    (void)state;
    static const struct { doctor_kind kind; const char *subject, *hangs, *crashes; } steps[] = {
        { DOCTOR_LIST, "cuda", "driver-hangs", "driver-crashes" }, { DOCTOR_OPEN, "vulkan:0", "driver-hangs", "driver-crashes" },
        { DOCTOR_OPS, "cuda:0", "step-hangs", "step-crashes" },    { DOCTOR_GOLDEN, "ref", "step-hangs", "step-crashes" },
        { DOCTOR_MODEL, "models/one", "step-hangs", "step-crashes" }, { DOCTOR_TOGETHER, "all of them", "step-hangs", "step-crashes" },
    };
    for (size_t i = 0; i < TEST_COUNT(steps); i++) {
        machine m = sound();
        m.kind = steps[i].kind, m.subject = steps[i].subject;
        m.end = RP_CHILD_LATE;
        expect(&m, steps[i].hangs, "was not done after 5 s and was ended", "dmesg");
        m.end = RP_CHILD_STUCK;
        expect(&m, steps[i].hangs, "cannot be ended", "dmesg");
        m.end = RP_CHILD_CRASHED;
        expect(&m, steps[i].crashes, "crashed (signal 11)", "driver");
        m.end = RP_CHILD_FAILED;
        expect(&m, "no-process", "gave no answer", "ulimit");
    }
}

// ---- the largest allocation ----

static uint64_t room;
static rp_status give_within_room(rp_device *device, uint64_t bytes, rp_memory_kind kind, rp_buffer **out) {
    (void)kind;
    *out = NULL;
    if (bytes > room) { return rp_fail(device, RP_OUT_OF_MEMORY, "There is room for %llu bytes.", (unsigned long long)room); }
    return test_ref()->backend->buffer_create(device, 16, RP_MEMORY_DEVICE, out);
}

static void largest(void **state) {
    (void)state;
    const rp_backend *backend = test_ref()->backend;
    rp_backend small = *backend;
    rp_device device = { .backend = &small };
    rp_device_info info = { .memory_bytes = (uint64_t)80 << 30, .memory_free_bytes = (uint64_t)64 << 30 };
    small.buffer_create = give_within_room;
    const uint64_t gib = (uint64_t)1 << 30, rooms[] = { 0, 5 * gib, 40 * gib, 64 * gib, 70 * gib };
    for (size_t i = 0; i < TEST_COUNT(rooms); i++) {
        room = rooms[i];
        const uint64_t most = room < info.memory_free_bytes ? room : info.memory_free_bytes, got = doctor_largest(&device, &info);
        assert_true(got <= most && most - got <= 2 * gib);
    }
    info.allocation_bytes = 4 * gib;                    // the driver's limit holds whatever is free
    assert_true(doctor_largest(&device, &info) <= 4 * gib && doctor_largest(&device, &info) > 3 * gib);
    assert_int_equal(device.counters.buffer_bytes, 0);
}

// ---- processes and steps ----

static int answer_seven(void *user, void *answer) {
    printf("lost\n");
    ((int *)answer)[99999] = *(const int *)user;    // more than a pipe holds at once
    return 3;
}

static void processes(void **state) {
    (void)state;
    static int answer[100000];
    int seven = 7;
    rp_child c = rp_child_run(answer_seven, &seven, answer, sizeof answer, 60000000000);
    assert_int_equal(c.end, RP_CHILD_DONE);
    assert_int_equal(c.code, 3);
    assert_int_equal(c.bytes, sizeof answer);
    assert_int_equal(answer[99999], 7);
    c = rp_child_run(hang, NULL, answer, sizeof answer, 20000000);
    assert_int_equal(c.end, RP_CHILD_LATE);
    assert_int_equal(c.bytes, 0);
    assert_int_equal(answer[99999], 0);             // nothing of an earlier one
    c = rp_child_run(crash, NULL, answer, sizeof answer, 60000000000);
    assert_int_equal(c.end, RP_CHILD_CRASHED);
    assert_int_equal(c.code, SIGSEGV);
}

static doctor_answer work(doctor_kind kind, const char *subject, const char *device) {
    static doctor_answer a;
    const char *const both[] = { RP_SOURCE_DIR "/models/demo-toto", RP_SOURCE_DIR "/models/demo-kronos" };
    char *small = kind == DOCTOR_OPS || kind == DOCTOR_GOLDEN ? doctor_unpack() : NULL;
    const doctor_ask ask = { .kind = kind, .subject = subject, .small = small, .device = device, .models = both, .n_models = 2 };
    memset(&a, 0, sizeof a);
    doctor_work(&ask, &a);
    if (small != NULL) {
        assert_true(rp_path_is_folder(small));
        rp_folder_remove(small);
        assert_false(rp_path_exists(small));
    }
    free(small);
    return a;
}

static void steps_work(void **state) {
    const test_device *device = *state;
    test_need(device);
    const char *spec = device->device->info.spec;
    doctor_answer a = work(DOCTOR_LIST, device->device->info.backend, NULL);
    assert_true(a.good && a.n_devices >= 1);
    a = work(DOCTOR_LIST, "abacus", NULL);
    assert_false(a.good);
    for (doctor_kind kind = DOCTOR_OPEN; kind <= DOCTOR_GOLDEN; kind++) {
        a = work(kind, spec, NULL);
        if (!a.good) { fail_msg("%s on %s: %s", doctor_kind_name(kind), spec, a.text); }
        a = work(kind, "ref:9", NULL);
        assert_false(a.good);
        assert_int_equal(a.status, RP_NOT_FOUND);
    }
    const doctor_ask without = { .kind = DOCTOR_OPS, .subject = spec };
    memset(&a, 0, sizeof a);
    doctor_work(&without, &a);
    assert_false(a.good);
    assert_non_null(strstr(a.text, "/tmp"));
    a = work(DOCTOR_MODEL, RP_SOURCE_DIR "/models/demo-kronos", spec);
    assert_true(a.good);
    assert_string_equal(a.model.family, "kronos");
    const uint64_t alone = a.device_bytes;
    a = work(DOCTOR_MODEL, RP_SOURCE_DIR "/models/none", spec);
    assert_false(a.good);
    assert_int_equal(a.status, RP_NOT_FOUND);
    assert_non_null(strstr(a.text, "is not a folder"));
    a = work(DOCTOR_TOGETHER, "all of them", spec);
    assert_true(a.good && a.device_bytes > alone);
}

int main(void) {
    static const test_named all[] = {
        { "health", health }, { "drivers", drivers }, { "memory", memory }, { "numbers", numbers }, { "models", models }, { "largest", largest },
        { "steps that hang or crash", steps_that_hang_or_crash }, { "processes", processes }, { "steps work", steps_work },
    };
    return test_on_each_device("doctor", all, TEST_COUNT(all));
}
