// What the suites share: cases (an op, its parameters, its numbers), rigs (a case on a device) and comparisons.
// A case knows no device; a rig knows no op.
#ifndef RP_TESTS_CASE_H
#define RP_TESTS_CASE_H

// cmocka.h asks for these before itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "backend.h"
#include "../tools/tolerance.h"

// ---- devices: tests/devices.c ----

// RP_TEST_DEVICES (default "ref,vulkan,cuda") lists what to test; a device that the default names and that is absent is
// skipped with its reason, one that the variable names must be there. RP_TEST_VALIDATE=1 opens with config.validate.
// RP_TEST_ONLY runs the tests whose names match this pattern.
typedef struct test_device {
    char spec[32];
    rp_device *device;      // NULL: absent
    char reason[256];       // why
    bool required;
} test_device;
#define TEST_MAX_DEVICES 8
uint32_t test_devices(test_device **out);   // opened at the first call; at most TEST_MAX_DEVICES
void test_devices_close(void);
rp_device *test_ref(void);                  // the reference device, whatever the list says
// Skips or fails the running test when the device is absent.
void test_need(const test_device *d);
// Fails the running test with the device's sentence.
void test_ok(rp_device *device, rp_status status, const char *what);

// Runs `n` tests made at run time, one after the other; returns the number of failures.
typedef void (*test_function)(void **state);
int test_group(const char *name, struct CMUnitTest *tests, size_t n);
// The same tests on every device; each gets its test_device as state, see test_device_of.
typedef struct test_named { const char *name; test_function f; } test_named;
int test_on_each_device(const char *group, const test_named *all, size_t n);
rp_device *test_device_of(void **state);    // skips or fails the running test when it is absent

// ---- cases: tests/cases/NAME.c, helped by tests/data.c ----

typedef tolerance_tensor test_tensor;   // an input's numbers, an output's contents before the run


typedef struct test_case test_case;
struct test_case {
    const char *name;
    rp_op op;
    uint32_t params[RP_PARAM_BYTES / 4];
    test_tensor tensor[RP_MAX_BINDINGS];    // inputs, then outputs
    int alias[RP_MAX_BINDINGS];             // the input that this output shares its memory with, plus 1; 0: none
    uint32_t variation;                     // set before the case is made: 0, then 1, 2, .. for the inputs of later replays
    // A rule of the case's own in place of the op's (tools/tolerance.h), as tolerance_rule has it; NULL: the op's.
    double (*tolerance)(const test_case *c, uint32_t output, uint64_t index, double ref, double magnitude);
    void (*absolute)(test_case *c);
    double extra[4];                        // for that rule: bounds of the inputs
    bool needs_mixed;                       // skipped on devices without float16 kernels
    bool needs_pairs;                       // skipped on devices without products of pairs
    uint64_t seed;                          // of the next random number
    rp_arena arena;
};

// Each op's cases: fills *c with case `index`, or returns false past the last. A missing file does not link.
#define RP_OP(name, ENUM, n_in, n_out, tolerance) bool test_case_##name(test_case *c, uint32_t index);
#include "ops.def"
#undef RP_OP

// Makes case `index` of an op; false past the last. Random numbers follow from (test_seed(), op, index, variation).
// Whether a device takes float16 tensors: those with precision mixed, and the reference.
static inline bool test_has_f16(const rp_device *device) {
    return device->info.mixed || device->info.kind == RP_DEVICE_REFERENCE;
}
// Whether it multiplies matrices in pairs of float16; the reference takes those, too.
static inline bool test_has_pairs(const rp_device *device) {
    return device->wgmma != 0 || device->info.kind == RP_DEVICE_REFERENCE;
}
bool test_case_make(test_case *c, rp_op op, uint32_t index, uint32_t variation);
void test_case_free(test_case *c);
tolerance_case test_judged(const test_case *c);   // what the op's rule looks at; its numbers are the case's own
uint64_t test_seed(void);                   // printed at the start; RP_TEST_SEED sets it

void test_start(test_case *c, const char *name, const void *params, size_t bytes);
float *test_f32(test_case *c, uint32_t binding, uint64_t count);    // zeros
double *test_f64(test_case *c, uint32_t binding, uint64_t count);
uint32_t *test_u32(test_case *c, uint32_t binding, uint64_t count);
int32_t *test_i32(test_case *c, uint32_t binding, uint64_t count);
void test_step(test_case *c, uint32_t binding, struct rp_step step);
double test_random(test_case *c);                                   // uniform in (0, 1)
uint32_t test_below(test_case *c, uint32_t n);                      // uniform in 0 .. n - 1
// Random input numbers in (low, high).
float *test_uniform(test_case *c, uint32_t binding, uint64_t count, float low, float high);
// The same as float16.
void test_uniform_f16(test_case *c, uint32_t binding, uint64_t count, float low, float high);
// A float32 matrix [rows, k] becomes pairs of float16, as pair_rows has it, and `scale` their scales.
void test_pairs(test_case *c, uint32_t binding, uint32_t scale, uint32_t rows, uint32_t k);
// Puts outliers (+-1e6, +-1e-30), zeros and negative zeros in a few places.
void test_spice(test_case *c, uint32_t binding);
// An output that no op could leave by accident: words nobody writes must stay so.
void test_output(test_case *c, uint32_t binding, uint64_t count);
void test_output_f16(test_case *c, uint32_t binding, uint64_t count);
void test_output_f64(test_case *c, uint32_t binding, uint64_t count);
void test_alias(test_case *c, uint32_t output_binding, uint32_t input_binding);
void test_alias_f16(test_case *c, uint32_t output_binding, uint32_t input_binding);   // as float16, which takes as many bytes
void test_make_absolute(test_case *c, uint32_t binding);            // |x| of an F32 or F16 tensor

#define TEST_COUNT(array) (sizeof(array) / sizeof *(array))
#define TEST_PARAMS(c, op) const struct rp_##op##_params *p = (const void *)(c)->params
// Opens test_case_NAME: leaves past the end of the file's table `cases` of { name, p, .. }, else starts case `index`.
#define TEST_TABLE(c, index)                                                             \
    do {                                                                                 \
        if ((index) >= TEST_COUNT(cases)) { return false; }                              \
        test_start(c, cases[index].name, &cases[index].p, sizeof cases[index].p);        \
    } while (0)

// ---- rigs: tests/rig.c ----

#define TEST_GUARD_BYTES 256    // before and after each tensor, in its own buffer

// The outputs of one run, as float64 whatever their dtype; U32 and I32 by value.
typedef struct test_result {
    double *value[RP_MAX_BINDINGS];
    uint64_t count[RP_MAX_BINDINGS];
} test_result;
void test_result_free(test_result *result);

typedef struct test_rig {
    rp_device *device;
    rp_arena arena;
    rp_buffer *buffer[RP_MAX_BINDINGS];
    rp_plan *plan;
    rp_recording *recording;
} test_rig;

// Buffers, graph and plan of a case; host: in RP_MEMORY_HOST.
void test_rig_open(test_rig *rig, rp_device *device, const test_case *c, bool host);
void test_rig_close(test_rig *rig);
void test_rig_load(test_rig *rig, const test_case *c);        // writes every tensor and its guards
void test_rig_direct(test_rig *rig);
void test_rig_record(test_rig *rig);
void test_rig_replay(test_rig *rig);                          // and waits
void test_rig_read(test_rig *rig, const test_case *c, test_result *out);   // outputs; fails when a guard changed
// All of it, direct, in device memory.
void test_run(rp_device *device, const test_case *c, test_result *out);
// What the reference device gives for a case, and where its rule asks for it, for the magnitudes of its numbers; else empty.
void test_reference(rp_op op, uint32_t index, uint32_t variation, test_result *ref, test_result *magnitude);

// ---- comparisons: tests/compare.c ----

typedef struct test_score {     // over all elements compared so far
    double worst;               // err/tol
    char where[160];            // case, output, index
    uint64_t compared, failed, ignored;   // ignored: tolerance INFINITY
} test_score;

// Compares with the reference; prints the worst element when one is out of tolerance.
void test_compare(test_score *score, const test_case *c, const char *mode, const test_result *got, const test_result *ref,
                  const test_result *magnitude);
// Bit for bit; prints the first difference and counts it as a failure.
void test_same_bits(test_score *score, const test_case *c, const char *mode, const test_result *a, const test_result *b);

#endif
