// Kernels and launches that promise the same bits, on every device that has more than one of them. Products are in agree_linear.c,
// attention in agree_attention.c.
#include "agree.h"

test_result agree_run(rp_device *device, test_case *c) {
    test_result got;
    test_run(device, c, &got);
    test_case_free(c);
    return got;
}

void agree_same_bits(const test_result *a, const char *of_a, const test_result *b, const char *of_b, uint64_t count, const char *what) {
    for (uint64_t e = 0; e < count; e++) {
        const double *x = &a->value[0][e], *y = &b->value[0][e];
        if (memcmp(x, y, sizeof *x) != 0) { fail_msg("%s: element %llu is %.17g %s, %.17g %s", what, (unsigned long long)e, *x, of_a, *y, of_b); }
    }
}

// Kernels of fast devices that promise the plain kernel's bits. A device of its own takes first the plain ones, which are held to the
// reference too, as nothing else runs them there; then these, as a device with few processors, with some and with many has them.
static void fast_agrees(void **state, rp_op op) {
    enum { WAYS = 4 };
    static const uint32_t processors[WAYS] = { 1, 1, 16, 4096 };
    rp_device *device = test_device_of(state);
    if (!device->fast) { skip(); }                                        // one kernel
    rp_device *own;
    test_ok(device, rp_device_create(device->info.spec, &device->config, &own), "a device");
    test_score score = { 0 };
    uint32_t n_cases = 0;
    for (uint32_t index = 0;; index++) {
        test_case c;
        if (!test_case_make(&c, op, index, 0)) {
            test_case_free(&c);
            break;
        }
        if (c.needs_mixed && !test_has_f16(device)) {
            test_case_free(&c);
            continue;
        }
        test_result got[WAYS], ref, magnitude;                            // plain, fast
        char kernel[WAYS][64];
        for (uint32_t way = 0; way < WAYS; way++) {
            test_rig rig;
            own->fast = way > 0;
            own->processors = processors[way];
            test_rig_open(&rig, own, &c, false);
            snprintf(kernel[way], sizeof *kernel, "%s", rig.plan->launches[0].kernel);
            test_rig_load(&rig, &c);
            test_rig_direct(&rig);
            test_rig_read(&rig, &c, &got[way]);
            test_rig_close(&rig);
        }
        test_reference(op, index, 0, &ref, &magnitude);
        test_compare(&score, &c, kernel[0], &got[0], &ref, &magnitude);
        for (uint32_t way = 1; way < WAYS; way++) {
            if (c.needs_mixed) {                                          // matrix units have an order of their own
                test_compare(&score, &c, kernel[way], &got[way], &ref, &magnitude);
            } else if (strcmp(kernel[0], kernel[way]) != 0) {
                test_same_bits(&score, &c, kernel[way], &got[way], &got[0]);
                n_cases++;
            }
        }
        test_result_free(&ref);
        test_result_free(&magnitude);
        for (uint32_t way = 0; way < WAYS; way++) { test_result_free(&got[way]); }
        test_case_free(&c);
    }
    rp_device_destroy(own);
    assert_true(n_cases > 0);
    if (score.failed > 0) { fail_msg("%s: %llu failures", rp_op_table[op].name, (unsigned long long)score.failed); }
}

static void rmsnorm_agrees(void **state) { fast_agrees(state, RP_OP_RMSNORM); }
static void attn_space_agrees(void **state) { fast_agrees(state, RP_OP_ATTN_SPACE); }
static void mixture_agrees(void **state) { fast_agrees(state, RP_OP_MIXTURE); }
static void block_rope_agrees(void **state) { fast_agrees(state, RP_OP_BLOCK_ROPE); }
static void block_attn_agrees(void **state) { fast_agrees(state, RP_OP_BLOCK_ATTN); }

int main(void) {
    static const test_named all[] = {
        { "linear rows agree", linear_rows_agree }, { "linear tiles agree", linear_tiles_agree },
        { "pairs add up", pairs_add_up }, { "linear fused agrees", linear_fused_agrees },
        { "attention kernels agree", attention_agrees },
        { "attn_rope agrees", attn_rope_agrees }, { "attn_step agrees", attn_step_agrees },
        { "rmsnorm kernels agree", rmsnorm_agrees }, { "attn_space kernels agree", attn_space_agrees },
        { "mixture kernels agree", mixture_agrees }, { "block_rope kernels agree", block_rope_agrees },
        { "block_attn kernels agree", block_attn_agrees },
    };
    test_seed();
    return test_on_each_device("agree", all, TEST_COUNT(all));
}
