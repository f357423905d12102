// What kernels are launched with on GPUs that are not here: for every case of every op, and some shapes of decode steps that no case has,
// a launch must stay within what the least device of its kind can run.
#include "case.h"

// As backend_cuda/device.c describes them. shared: that a group may have at most, on every device of the kind.
static const struct { const char *name; uint32_t processors; bool clusters; uint32_t wgmma, shared; } kinds[] = {
    { "compute capability 8", 108, false, 0, 101376 },
    { "compute capability 9.0", 132, true, 1, 232448 },
    { "compute capability 9.0, without tensor maps", 132, true, 0, 101376 },
    { "compute capability 12", 170, true, 0, 101376 },
    { "compute capability 12, small", 20, true, 0, 101376 },
};

// pairs: only where there are kernels for them.
static void check(rp_op op, const uint32_t *params, const char *name, bool pairs) {
    rp_node node = { .op = op };
    memcpy(node.params, params, sizeof node.params);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (pairs && kinds[i].wgmma == 0) { continue; }
        rp_launch launch = { .op = op, .fast = true, .processors = kinds[i].processors, .clusters = kinds[i].clusters, .wgmma = kinds[i].wgmma,
                             .grid = { 1, 1, 1 } };
        rp_op_table[op].launch(&node, &launch);
        assert_non_null(launch.kernel);
        const bool fits = launch.shared_bytes <= kinds[i].shared && launch.group > 0 && launch.group <= 1024 && launch.grid[0] > 0 &&
                          launch.grid[0] <= INT32_MAX && launch.grid[1] - 1 < 65535 && launch.grid[2] - 1 < 65535;
        if (!fits) {
            fail_msg("%s '%s' on %s: %s with %u bytes of shared memory, %u invocations, %u x %u x %u groups", rp_op_table[op].name, name,
                     kinds[i].name, launch.kernel, launch.shared_bytes, launch.group, launch.grid[0], launch.grid[1], launch.grid[2]);
        }
    }
}

static void every_case(void **state) {
    (void)state;
    for (int op = 0; op < RP_OP_COUNT; op++) {
        test_case c;
        for (uint32_t index = 0; test_case_make(&c, (rp_op)op, index, 0); index++) {
            check((rp_op)op, c.params, c.name, c.needs_pairs);
            test_case_free(&c);
        }
        test_case_free(&c);
    }
}

// Heads and paths of a step; with the widest heads and most paths a cluster's group needs more than most devices have.
static void decode_steps(void **state) {
    (void)state;
    static const uint32_t heads[] = { 4, 20, 52, 64, 68, 100, 128, 132, 208, 256 }, paths[] = { 1, 2, 9, 10, 16, 17, 30, 64, 256 };
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
        for (size_t s = 0; s < sizeof paths / sizeof *paths; s++) {
            for (uint32_t f16 = 0; f16 < 2; f16++) {
                uint32_t params[RP_PARAM_BYTES / 4] = { 0 };
                char name[64];
                snprintf(name, sizeof name, "head %u, %u paths%s", heads[h], paths[s], f16 ? ", float16" : "");
                const struct rp_attn_step_params step = { .batch = 5, .paths = paths[s], .heads = 4, .head_width = heads[h], .prefix_cap = 400,
                                                          .suffix_cap = 120, .positions = 520, .f16 = f16 };
                memcpy(params, &step, sizeof step);
                check(RP_OP_ATTN_STEP, params, name, false);
                struct rp_attn_step_params cross = step;
                cross.positions = 0;
                memcpy(params, &cross, sizeof cross);
                check(RP_OP_ATTN_STEP, params, name, false);
                const struct rp_attn_time_params time = { .batch = 5, .paths = paths[s], .variates = 1, .tokens = 1, .heads = 4,
                                                          .head_width = heads[h], .prefix_cap = 400, .suffix_cap = 120, .y_f16 = f16, .mixed = 1,
                                                          .x_f16 = f16 };
                struct rp_attn_time_params few = time;                   // keys
                for (uint32_t suffix = 1; suffix < RP_ATTN_SHORT_KEYS; suffix += 3) {
                    few.prefix_cap = RP_ATTN_SHORT_KEYS - suffix, few.suffix_cap = suffix;
                    memset(params, 0, sizeof params);
                    memcpy(params, &few, sizeof few);
                    check(RP_OP_ATTN_TIME, params, name, false);
                    const struct rp_attn_rope_params rope = { .batch = 5, .paths = paths[s], .variates = 1, .tokens = 1, .heads = 4,
                                                              .head_width = heads[h], .prefix_cap = few.prefix_cap, .suffix_cap = suffix,
                                                              .positions = RP_ATTN_SHORT_KEYS, .f16 = f16 };
                    if (!RP_ATTN_SHORT_TAKES(RP_ATTN_SHORT_KEYS, heads[h])) { continue; }
                    memset(params, 0, sizeof params);
                    memcpy(params, &rope, sizeof rope);
                    check(RP_OP_ATTN_ROPE, params, name, false);
                }
                memset(params, 0, sizeof params);
                memcpy(params, &time, sizeof time);
                check(RP_OP_ATTN_TIME, params, name, false);
            }
        }
    }
}

int main(void) {
    struct CMUnitTest tests[] = { cmocka_unit_test(every_case), cmocka_unit_test(decode_steps) };
    return test_group("launches", tests, sizeof tests / sizeof *tests);
}
