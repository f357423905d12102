// Attention: whichever kernel runs, and in one launch with what is put in front of it.
#include "agree.h"

// One launch, of attn_rope or attn_step, gives the bits of several: caches [2][own], keys and values, and y [queries].
static void agrees_in_one(rp_device *device, test_case *whole, const double *const *caches, uint64_t own, const double *y, uint64_t queries) {
    char name[64];
    snprintf(name, sizeof name, "%s", whole->name);
    test_result once = agree_run(device, whole);
    for (uint64_t i = 0; i < 2 * own; i++) {
        if (once.value[0][i] != caches[i / own][i % own]) {
            fail_msg("%s: element %llu of the cache is %.17g in one launch, %.17g in two", name, (unsigned long long)i, once.value[0][i],
                     caches[i / own][i % own]);
        }
    }
    for (uint64_t i = 0; i < queries; i++) {
        if (once.value[1][i] != y[i]) {
            fail_msg("%s: element %llu is %.17g in one launch, %.17g in two", name, (unsigned long long)i, once.value[1][i], y[i]);
        }
    }
    test_result_free(&once);
}

// attn_rope gives the bits of the two launches that it stands for. On fast devices, whose kernels say so.
void attn_rope_agrees(void **state) {
    rp_device *device = test_device_of(state);
    if (!device->fast) { skip(); }
    for (uint32_t index = 0;; index++) {
        test_case whole;
        if (!test_case_make(&whole, RP_OP_ATTN_ROPE, index, index)) {
            test_case_free(&whole);
            break;
        }
        const struct rp_attn_rope_params p = *(const struct rp_attn_rope_params *)(const void *)whole.params;
        if (p.f16) {                                                      // on matrix units, or not
            test_case_free(&whole);
            continue;
        }
        const bool decode = p.suffix_cap > 0;
        const uint64_t D = (uint64_t)p.heads * p.head_width, rows = (uint64_t)p.batch * p.paths * p.variates, queries = rows * p.tokens * D;
        const uint64_t angles = (uint64_t)p.positions * p.head_width, powers = whole.tensor[1].count - angles;
        const uint64_t prefix = (uint64_t)p.batch * p.variates * p.prefix_cap * D, own = rows * (decode ? p.suffix_cap : p.prefix_cap) * D;
        const float *in[4];
        for (uint32_t i = 0; i < 4; i++) { in[i] = whole.tensor[i].data; }
        const uint32_t *n_patches = whole.tensor[4].data;
        struct rp_step step;
        memcpy(&step, whole.tensor[5].data, sizeof step);

        test_case c = { .op = RP_OP_ROPE_KV };
        const struct rp_rope_kv_params turn = { p.batch, p.paths, p.variates, p.tokens, p.heads, p.head_width, decode ? p.suffix_cap : p.prefix_cap,
                                                decode, p.extra, p.xpos_zero, 0 };
        test_start(&c, whole.name, &turn, sizeof turn);
        memcpy(test_f32(&c, 0, 3 * queries), in[0], 3 * queries * sizeof **in);
        memcpy(test_f32(&c, 1, angles), in[1], angles * sizeof **in);
        memcpy(test_f32(&c, 2, powers), in[1] + angles, powers * sizeof **in);
        memcpy(test_u32(&c, 3, p.batch), n_patches, p.batch * sizeof *n_patches);
        test_step(&c, 4, step);
        test_output(&c, 5, queries);
        test_output(&c, 6, own);
        test_output(&c, 7, own);
        memcpy(c.tensor[6].data, in[3], own * sizeof **in);
        memcpy(c.tensor[7].data, in[3] + own, own * sizeof **in);
        test_result turned = agree_run(device, &c);

        c = (test_case){ .op = RP_OP_ATTN_TIME };
        const struct rp_attn_time_params attend = { .batch = p.batch, .paths = p.paths, .variates = p.variates, .tokens = p.tokens, .heads = p.heads,
                                                    .head_width = p.head_width, .prefix_cap = p.prefix_cap, .suffix_cap = p.suffix_cap,
                                                    .extra = p.extra, .scale = p.scale, .scale_rest = p.scale_rest };
        test_start(&c, whole.name, &attend, sizeof attend);
        float *q = test_f32(&c, 0, queries);
        for (uint64_t i = 0; i < queries; i++) { q[i] = (float)turned.value[0][i]; }
        for (uint32_t half = 0; half < 2; half++) {                       // keys, values
            if (decode) { memcpy(test_f32(&c, 1 + half, prefix), in[2] + half * prefix, prefix * sizeof **in); }
            float *cache = test_f32(&c, (decode ? 3 : 1) + half, own);
            for (uint64_t i = 0; i < own; i++) { cache[i] = (float)turned.value[1 + half][i]; }
        }
        memcpy(test_u32(&c, 5, p.batch), n_patches, p.batch * sizeof *n_patches);
        test_step(&c, 6, step);
        test_output(&c, 7, queries);
        test_result attended = agree_run(device, &c);

        agrees_in_one(device, &whole, (const double *const *)turned.value + 1, own, attended.value[0], queries);
        test_result_free(&turned), test_result_free(&attended);
    }
}

// attn_step in float32 gives the bits of the launches that it stands for, whichever kernel runs. On devices with clusters, whose kernels say so.
void attn_step_agrees(void **state) {
    rp_device *device = test_device_of(state);
    if (!device->clusters) { skip(); }
    for (uint32_t index = 0;; index++) {
        test_case whole;
        if (!test_case_make(&whole, RP_OP_ATTN_STEP, index, index % 4)) {
            test_case_free(&whole);
            break;
        }
        const struct rp_attn_step_params p = *(const struct rp_attn_step_params *)(const void *)whole.params;
        if (p.f16) {                                                      // on matrix units
            test_case_free(&whole);
            continue;
        }
        const uint64_t D = (uint64_t)p.heads * p.head_width, rows = (uint64_t)p.batch * p.paths, queries = rows * D;
        const uint64_t prefix = (uint64_t)p.batch * p.prefix_cap * D, own = queries * p.suffix_cap;
        const float *in[4];
        for (uint32_t i = 0; i < 4; i++) { in[i] = whole.tensor[i].data; }
        const uint32_t *n_tokens = whole.tensor[4].data;
        struct rp_step step;
        memcpy(&step, whole.tensor[5].data, sizeof step);

        test_case c = { .op = p.positions > 0 ? RP_OP_ROPE_HALF : RP_OP_CACHE_KV };
        uint32_t cache = 5;                                               // its first output of the cache
        if (p.positions > 0) {
            const struct rp_rope_half_params turn = { p.batch, p.paths, 1, p.heads, p.head_width, p.suffix_cap, p.positions, RP_ROWS_STEP, 0 };
            test_start(&c, whole.name, &turn, sizeof turn);
            memcpy(test_f32(&c, 0, 3 * queries), in[0], 3 * queries * sizeof **in);
            memcpy(test_f32(&c, 1, (uint64_t)p.positions * p.head_width), in[1], (uint64_t)p.positions * p.head_width * sizeof **in);
            memcpy(test_u32(&c, 2, p.batch), n_tokens, p.batch * sizeof *n_tokens);
            test_step(&c, 3, step);
            test_output(&c, 4, queries);
        } else {
            const struct rp_cache_kv_params put = { (uint32_t)rows, p.suffix_cap, (uint32_t)D, 0 };
            test_start(&c, whole.name, &put, sizeof put);
            memcpy(test_f32(&c, 0, 2 * queries), in[0], 2 * queries * sizeof **in);
            test_step(&c, 1, step);
            cache = 2;
        }
        for (uint32_t i = 0; i < 2; i++) {                                // keys, values
            test_output(&c, cache + i, own);
            memcpy(c.tensor[cache + i].data, in[3] + i * own, own * sizeof **in);
        }
        test_result turned = agree_run(device, &c);
        const double *const *caches = (const double *const *)turned.value + (p.positions > 0 ? 1 : 0);

        c = (test_case){ .op = RP_OP_ATTN_TIME };
        const struct rp_attn_time_params attend = { .batch = p.batch, .paths = p.paths, .variates = 1, .tokens = 1, .heads = p.heads,
                                                    .head_width = p.head_width, .prefix_cap = p.prefix_cap, .suffix_cap = p.suffix_cap,
                                                    .scale = p.scale, .scale_rest = p.scale_rest };
        test_start(&c, whole.name, &attend, sizeof attend);
        float *q = test_f32(&c, 0, queries);
        for (uint64_t i = 0; i < queries; i++) { q[i] = p.positions > 0 ? (float)turned.value[0][i] : in[1][i]; }
        for (uint32_t half = 0; half < 2; half++) {
            memcpy(test_f32(&c, 1 + half, prefix), in[2] + half * prefix, prefix * sizeof **in);
            float *to = test_f32(&c, 3 + half, own);
            for (uint64_t i = 0; i < own; i++) { to[i] = (float)caches[half][i]; }
        }
        memcpy(test_u32(&c, 5, p.batch), n_tokens, p.batch * sizeof *n_tokens);
        test_step(&c, 6, step);
        test_output(&c, 7, queries);
        test_result attended = agree_run(device, &c);

        agrees_in_one(device, &whole, caches, own, attended.value[0], queries);
        test_result_free(&turned), test_result_free(&attended);
    }
}

// Attention in float32 has the same bits whichever kernel runs. A device of its own, made to have what only some have, or many
// processors or few, takes every kernel for every case that the kernel is for.
void attention_agrees(void **state) {
    rp_device *device = test_device_of(state);
    if (!device->fast) { skip(); }                                        // one kernel
    static const uint32_t processors[] = { 1, 16, 4096 };                 // large blocks of queries, smaller ones, and the smallest
    static const char *const kernels[] = { "attn_time_f32", "attn_time_f32_shared", "attn_time_f32_spread", "attn_time_f32_short",
                                           "attn_time_f32_short_2", "attn_time_f32_tiled_8", "attn_time_f32_tiled_4", "attn_time_f32_tiled_2",
                                           "attn_time_f32_tiled_wide", "attn_time_f32_tiled_widest" };
    uint32_t n_ran[TEST_COUNT(kernels)] = { 0 };
    rp_device *own;
    test_ok(device, rp_device_create(device->info.spec, &device->config, &own), "a device");
    for (uint32_t index = 0;; index++) {
        test_case c;
        if (!test_case_make(&c, RP_OP_ATTN_TIME, index, 0)) {
            test_case_free(&c);
            break;
        }
        const struct rp_attn_time_params *p = (const void *)c.params;
        const uint32_t n_variations = p->mixed || p->y_f16 ? 0 : 4;
        test_case_free(&c);
        for (uint32_t variation = 0; variation < n_variations; variation++) {
            assert_true(test_case_make(&c, RP_OP_ATTN_TIME, index, variation));
            test_result plain = { 0 };
            for (uint32_t way = 0; way < 1 + 2 * TEST_COUNT(processors); way++) {
                own->fast = way > 0;
                own->clusters = device->clusters && way >= 1 + TEST_COUNT(processors);
                own->wgmma = own->clusters ? device->wgmma : 0;         // and so shared memory for two teams, or four
                own->processors = way == 0 ? 1 : processors[(way - 1) % TEST_COUNT(processors)];
                test_rig rig;
                test_result got = { 0 };
                test_rig_open(&rig, own, &c, false);
                const char *kernel = rig.plan->launches[0].kernel;
                for (uint32_t i = 0; i < TEST_COUNT(kernels); i++) { n_ran[i] += strcmp(kernel, kernels[i]) == 0; }
                test_rig_load(&rig, &c);
                test_rig_direct(&rig);
                test_rig_read(&rig, &c, &got);
                if (way == 0) {
                    plain = got;
                } else {
                    char what[96], by[64];
                    snprintf(what, sizeof what, "%.70s, variation %u", c.name, variation);
                    snprintf(by, sizeof by, "by %.58s", kernel);
                    agree_same_bits(&got, by, &plain, "by attn_time_f32", plain.count[0], what);
                    test_result_free(&got);
                }
                test_rig_close(&rig);
            }
            test_result_free(&plain);
            test_case_free(&c);
        }
    }
    for (uint32_t i = 0; i < TEST_COUNT(kernels); i++) {
        printf("  %s: %u runs\n", kernels[i], n_ran[i]);
        if (n_ran[i] == 0 && (device->clusters || strstr(kernels[i], "spread") == NULL)) { fail_msg("no case took %s", kernels[i]); }
    }
    rp_device_destroy(own);
}
