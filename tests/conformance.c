// Every case x every device x {direct, recorded, replayed}, against the reference device's float64 result from the same
// rounded inputs. The cases live in tests/cases/.
#include "case.h"

#define N_REPLAYS 3    // replays of one recording, each with inputs of its own

typedef struct job {
    const test_device *device;
    rp_op op;
} job;

// Vulkan devices without float64 take two-float kernels; a test makes any Vulkan device do so. Absent where that backend is.
rp_status rp_vulkan_use_pair(rp_device *device, bool pair) __attribute__((weak));
void rp_vulkan_use_gpu_kernels(rp_device *device) __attribute__((weak));
static const rp_op pair_ops[] = { RP_OP_SCALER, RP_OP_SCALE_STEP, RP_OP_FOLD_HEAD, RP_OP_BROADCAST,   // broadcast moves states
                                   RP_OP_BLOCK_SCALE, RP_OP_BLOCK_RESULT };

// Direct; or through the recording, which must also give the bits of a direct run.
static void run_once(test_rig *rig, const test_case *c, uint32_t index, const char *mode, test_score *score) {
    test_result direct, got = { 0 }, ref, magnitude;
    test_reference(c->op, index, c->variation, &ref, &magnitude);
    test_rig_load(rig, c);
    test_rig_direct(rig);
    test_rig_read(rig, c, &direct);
    test_compare(score, c, "direct", &direct, &ref, &magnitude);
    if (mode != NULL) {
        test_rig_load(rig, c);
        test_rig_replay(rig);
        test_rig_read(rig, c, &got);
        test_compare(score, c, mode, &got, &ref, &magnitude);
        test_same_bits(score, c, mode, &got, &direct);
    }
    test_result_free(&direct);
    test_result_free(&got);
    test_result_free(&ref);
    test_result_free(&magnitude);
}

static void conform(void **state) {
    const job *j = *state;
    test_need(j->device);
    test_score score = { 0 };
    uint32_t index = 0, n_skipped = 0;
    for (;; index++) {
        test_case c;
        if (!test_case_make(&c, j->op, index, 0)) {
            test_case_free(&c);
            break;
        }
        if ((c.needs_mixed && !test_has_f16(j->device->device)) || (c.needs_pairs && !test_has_pairs(j->device->device))) {
            n_skipped++;
            test_case_free(&c);
            continue;
        }
        test_rig rig;
        test_rig_open(&rig, j->device->device, &c, index % 2 == 1);    // both kinds of memory get their turn
        run_once(&rig, &c, index, NULL, &score);
        test_rig_record(&rig);
        run_once(&rig, &c, index, "recorded", &score);
        test_case_free(&c);
        for (uint32_t variation = 1; variation <= N_REPLAYS; variation++) {
            assert_true(test_case_make(&c, j->op, index, variation));
            run_once(&rig, &c, index, "replayed", &score);
            test_case_free(&c);
        }
        test_rig_close(&rig);
    }
    printf("  %s on %s: %u cases, %llu numbers (%llu near a boundary, left out), worst err/tol %.3f: %s\n",
           rp_op_table[j->op].name, j->device->spec, index, (unsigned long long)score.compared,
           (unsigned long long)score.ignored, score.worst, score.where);
    if (n_skipped > 0) { printf("  %s on %s: %u cases skipped, they need float16 kernels\n", rp_op_table[j->op].name, j->device->spec, n_skipped); }
    assert_true(index > n_skipped);
    if (score.failed > 0) { fail_msg("%s on %s: %llu failures", rp_op_table[j->op].name, j->device->spec, (unsigned long long)score.failed); }
}

// The same cases with the two-float kernels, on a device of its own.
static void conform_pair(void **state) {
    const job *j = *state;
    test_need(j->device);
    test_device own = { .required = true };
    snprintf(own.spec, sizeof own.spec, "%s", j->device->device->info.spec);
    test_ok(j->device->device, rp_device_create(own.spec, &j->device->device->config, &own.device), own.spec);
    test_ok(own.device, rp_vulkan_use_pair(own.device, true), "two-float kernels");
    job other = { &own, j->op };
    void *other_state = &other;
    conform(&other_state);
    rp_device_destroy(own.device);
}

// On a CPU device, the kernels that GPUs run.
static void conform_gpu_kernels(void **state) {
    const job *j = *state;
    test_device own = { .required = true };
    snprintf(own.spec, sizeof own.spec, "%s", j->device->device->info.spec);
    test_ok(j->device->device, rp_device_create(own.spec, &j->device->device->config, &own.device), own.spec);
    rp_vulkan_use_gpu_kernels(own.device);
    own.device->processors = 8;    // so that some cases take the narrow kernel
    job other = { &own, j->op };
    void *other_state = &other;
    conform(&other_state);
    rp_device_destroy(own.device);
}

static bool has_pairs(const test_device *d) {
    return rp_vulkan_use_pair != NULL && d->device != NULL && d->device->backend == &rp_backend_vulkan;
}

int main(void) {
    enum { MAX_TESTS = TEST_MAX_DEVICES * (RP_OP_COUNT + TEST_COUNT(pair_ops) + 1) };
    static job jobs[MAX_TESTS];
    static char names[MAX_TESTS][64];
    static struct CMUnitTest tests[MAX_TESTS];
    test_device *devices;
    uint32_t n_devices = test_devices(&devices), n = 0;
    test_seed();
    for (uint32_t d = 0; d < n_devices; d++) {
        for (uint32_t op = 0; op < RP_OP_COUNT; op++, n++) {
            jobs[n] = (job){ &devices[d], (rp_op)op };
            snprintf(names[n], sizeof *names, "%s on %s", rp_op_table[op].name, devices[d].spec);
            tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = conform, .initial_state = &jobs[n] };
        }
        for (uint32_t i = 0; i < TEST_COUNT(pair_ops) && has_pairs(&devices[d]); i++, n++) {
            jobs[n] = (job){ &devices[d], pair_ops[i] };
            snprintf(names[n], sizeof *names, "%s on %s, two-float", rp_op_table[pair_ops[i]].name, devices[d].spec);
            tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = conform_pair, .initial_state = &jobs[n] };
        }
        if (has_pairs(&devices[d]) && devices[d].device->info.kind == RP_DEVICE_CPU) {
            jobs[n] = (job){ &devices[d], RP_OP_LINEAR };
            snprintf(names[n], sizeof *names, "linear on %s, kernels of GPUs", devices[d].spec);
            tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = conform_gpu_kernels, .initial_state = &jobs[n] };
            n++;
        }
    }
    return test_group("conformance", tests, n);
}
