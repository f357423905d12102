// What kernels are launched with on GPUs that are not here: for every case of every op, and some shapes of decode steps and windows that no
// case has, a launch must stay within what the least device of its kind can run, and its tensor maps within what the copy engine takes.
#include "case.h"

// As backend_cuda/device.c describes them. shared: that a group may have at most, on every device of the kind.
static const struct { const char *name; uint32_t processors; bool clusters; uint32_t wgmma, shared; } kinds[] = {
    { "compute capability 8", 108, false, 0, 101376 },
    { "compute capability 9.0", 132, true, 1, 232448 },
    { "compute capability 9.0, without tensor maps", 132, true, 0, 101376 },
    { "compute capability 12", 170, true, 0, 101376 },
    { "compute capability 12, small", 20, true, 0, 101376 },
};

// Rows of whole 16 bytes; boxes of at most 256 rows; the device alone that has the engine.
static bool maps_fit(const rp_launch *launch, size_t kind) {
    for (uint32_t i = 0; i < launch->n_maps; i++) {
        const rp_launch_map *m = &launch->map[i];
        if (m->binding >= RP_MAX_BINDINGS || m->rows == 0 || m->columns == 0 || m->columns % 8 != 0 || m->box_rows == 0 || m->box_rows > 256) {
            return false;
        }
    }
    return launch->n_maps <= RP_MAX_MAPS && (launch->n_maps == 0 || kinds[kind].wgmma > 0);
}

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
        if (!fits || !maps_fit(&launch, i)) {
            fail_msg("%s '%s' on %s: %s with %u bytes of shared memory, %u invocations, %u x %u x %u groups, %u maps", rp_op_table[op].name, name,
                     kinds[i].name, launch.kernel, launch.shared_bytes, launch.group, launch.grid[0], launch.grid[1], launch.grid[2], launch.n_maps);
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

// Prompts, and windows of many paths, in float16: few blocks of queries and many, heads of whole 16 bytes and others.
static void windows(void **state) {
    (void)state;
    static const uint32_t heads[] = { 4, 12, 20, 52, 60, 64, 68, 128 }, tokens[] = { 15, 16, 64, 65, 400 };
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
        for (size_t t = 0; t < sizeof tokens / sizeof *tokens; t++) {
            for (uint32_t n_heads = 1; n_heads <= 33; n_heads += 4) {
                for (uint32_t own = 0; own < 2; own++) {
                    uint32_t params[RP_PARAM_BYTES / 4] = { 0 };
                    char name[64];
                    snprintf(name, sizeof name, "%u heads of %u, %u tokens%s", n_heads, heads[h], tokens[t], own ? ", own" : "");
                    const struct rp_attn_time_params p = { .batch = 1, .paths = own ? 10 : 1, .variates = 1, .tokens = tokens[t], .heads = n_heads,
                                                           .head_width = heads[h], .prefix_cap = 400, .suffix_cap = own ? tokens[t] : 0, .own = own,
                                                           .y_f16 = 1, .mixed = 1, .x_f16 = 1 };
                    memcpy(params, &p, sizeof p);
                    check(RP_OP_ATTN_TIME, params, name, false);
                }
            }
        }
    }
}

int main(void) {
    struct CMUnitTest tests[] = { cmocka_unit_test(every_case), cmocka_unit_test(decode_steps), cmocka_unit_test(windows) };
    return test_group("launches", tests, sizeof tests / sizeof *tests);
}
