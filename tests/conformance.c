// Every case x every device x {direct, recorded, replayed}, against the reference device's float64 result from the same
// rounded inputs. The cases live in tests/cases/.
#include "case.h"

#define N_REPLAYS 3    // replays of one recording, each with inputs of its own

typedef struct job {
    const test_device *device;
    rp_op op;
} job;

static void reference_of(rp_op op, uint32_t index, uint32_t variation, test_result *ref, test_result *magnitude) {
    test_case c;
    assert_true(test_case_make(&c, op, index, variation));
    test_reference(&c, ref);
    *magnitude = (test_result){ 0 };
    if (c.absolute != NULL) {
        c.absolute(&c);
        test_reference(&c, magnitude);
    }
    test_case_free(&c);
}

// Direct; or through the recording, which must also give the bits of a direct run.
static void run_once(test_rig *rig, const test_case *c, uint32_t index, const char *mode, test_score *score) {
    test_result direct, got = { 0 }, ref, magnitude;
    reference_of(c->op, index, c->variation, &ref, &magnitude);
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
    uint32_t index = 0;
    for (;; index++) {
        test_case c;
        if (!test_case_make(&c, j->op, index, 0)) {
            test_case_free(&c);
            break;
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
    assert_true(index > 0);
    if (score.failed > 0) { fail_msg("%s on %s: %llu failures", rp_op_table[j->op].name, j->device->spec, (unsigned long long)score.failed); }
}

// The first rows of a product have the same bits whatever the number of rows, so whichever kernel runs.
static void linear_rows_agree(void **state) {
    const job *j = *state;
    test_need(j->device);
    static const uint32_t rows[] = { 200, 1, 2, 15, 16, 17, 64, 65, 128 };
    static const uint32_t sizes[][2] = { { 70, 200 }, { 33, 130 }, { 1, 3 }, { 64, 768 } };    // n, k
    for (uint32_t s = 0; s < TEST_COUNT(sizes); s++) {
        const uint32_t n = sizes[s][0], k = sizes[s][1];
        test_result whole = { 0 };
        for (uint32_t i = 0; i < TEST_COUNT(rows); i++) {
            test_case c = { .op = RP_OP_LINEAR, .seed = test_seed() + s };
            const struct rp_linear_params p = { rows[i], n, k, 1, 1 };
            test_start(&c, "linear rows", &p, sizeof p);
            test_uniform(&c, 1, (uint64_t)n * k, -1, 1);
            test_uniform(&c, 2, n, -1, 1);
            test_uniform(&c, 0, (uint64_t)p.m * k, -1, 1);
            c.seed = 77 + s;                                     // residuals of shared rows are shared as well
            test_uniform(&c, 3, (uint64_t)p.m * n, -1, 1);
            test_output(&c, 4, (uint64_t)p.m * n);
            test_rig rig;
            test_result got;
            test_rig_open(&rig, j->device->device, &c, false);
            test_rig_load(&rig, &c);
            test_rig_direct(&rig);
            test_rig_read(&rig, &c, &got);
            test_rig_close(&rig);
            test_case_free(&c);
            if (i == 0) {
                whole = got;
                continue;
            }
            for (uint64_t e = 0; e < (uint64_t)p.m * n; e++) {
                if (memcmp(&got.value[0][e], &whole.value[0][e], sizeof(double)) != 0) {
                    fail_msg("m = %u and m = %u differ in row %llu, column %llu (n = %u, k = %u): %.17g, %.17g", p.m, rows[0],
                             (unsigned long long)(e / n), (unsigned long long)(e % n), n, k, got.value[0][e], whole.value[0][e]);
                }
            }
            test_result_free(&got);
        }
        test_result_free(&whole);
    }
}

int main(void) {
    static job jobs[TEST_MAX_DEVICES * RP_OP_COUNT];
    static char names[TEST_MAX_DEVICES * (RP_OP_COUNT + 1)][64];
    static struct CMUnitTest tests[TEST_MAX_DEVICES * (RP_OP_COUNT + 1)];
    test_device *devices;
    uint32_t n_devices = test_devices(&devices), n = 0, n_jobs = 0;
    test_seed();
    for (uint32_t d = 0; d < n_devices; d++) {
        for (uint32_t op = 0; op < RP_OP_COUNT; op++) {
            job *j = &jobs[n_jobs++];
            *j = (job){ &devices[d], (rp_op)op };
            snprintf(names[n], sizeof *names, "%s on %s", rp_op_table[op].name, devices[d].spec);
            tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = conform, .initial_state = j };
            n++;
            if (op == RP_OP_LINEAR) {
                snprintf(names[n], sizeof *names, "linear rows agree on %s", devices[d].spec);
                tests[n] = (struct CMUnitTest){ .name = names[n], .test_func = linear_rows_agree, .initial_state = j };
                n++;
            }
        }
    }
    return test_group("conformance", tests, n);
}
