// A case on a device: one buffer for each tensor, guard words around it, and the three ways to run.
#include "case.h"

#define GUARD_WORDS (TEST_GUARD_BYTES / 4)
#define GUARD_WORD 0xfadedbedu      // as a float -5.8e35: no op makes it by accident

void test_result_free(test_result *result) {
    for (uint32_t i = 0; i < RP_MAX_BINDINGS; i++) { free(result->value[i]); }
    *result = (test_result){ 0 };
}

static uint64_t bytes_of(const test_tensor *t) { return t->count * rp_dtype_size(t->dtype); }

void test_rig_open(test_rig *rig, rp_device *device, const test_case *c, bool host) {
    const rp_op_info *info = &rp_op_table[c->op];
    *rig = (test_rig){ .device = device };
    rp_tensor *tensor[RP_MAX_BINDINGS] = { 0 };
    for (uint32_t i = 0; i < info->n_in + info->n_out; i++) {
        const test_tensor *t = &c->tensor[i];
        if (t->data == NULL) { continue; }
        rp_shape shape = { 1, { (uint32_t)t->count }, t->dtype };
        if (c->alias[i]) {
            tensor[i] = rp_tensor_bind(&rig->arena, "tensor", shape, rig->buffer[c->alias[i] - 1], TEST_GUARD_BYTES);
            continue;
        }
        test_ok(device, device->backend->buffer_create(device, bytes_of(t) + 2 * TEST_GUARD_BYTES,
                                                       host ? RP_MEMORY_HOST : RP_MEMORY_DEVICE, &rig->buffer[i]), "buffer_create");
        tensor[i] = rp_tensor_bind(&rig->arena, "tensor", shape, rig->buffer[i], TEST_GUARD_BYTES);
    }
    rp_graph *graph = rp_graph_create(device, &rig->arena, c->name);
    assert_non_null(graph);
    rp_graph_add(graph, c->op, c->name, c->params, sizeof c->params, tensor, tensor + info->n_in);
    test_ok(device, rp_plan_create(graph, &rig->plan), c->name);
    assert_int_equal(rig->plan->activation_bytes, 0);
    rp_plan_bind(graph, rig->plan, NULL);
}

void test_rig_close(test_rig *rig) {
    const rp_backend *backend = rig->device->backend;
    backend->recording_destroy(rig->recording);
    for (uint32_t i = 0; i < RP_MAX_BINDINGS; i++) { backend->buffer_destroy(rig->buffer[i]); }
    rp_arena_destroy(&rig->arena);
    *rig = (test_rig){ 0 };
}

void test_rig_load(test_rig *rig, const test_case *c) {
    const rp_backend *backend = rig->device->backend;
    uint32_t guard[GUARD_WORDS];
    for (uint32_t i = 0; i < GUARD_WORDS; i++) { guard[i] = GUARD_WORD; }
    for (uint32_t i = 0; i < RP_MAX_BINDINGS; i++) {
        rp_buffer *buffer = rig->buffer[i];
        const test_tensor *t = &c->tensor[i];
        if (buffer == NULL) { continue; }
        test_ok(rig->device, backend->write(buffer, 0, RP_U32, guard, RP_U32, GUARD_WORDS), "write");
        test_ok(rig->device, backend->write(buffer, TEST_GUARD_BYTES + bytes_of(t), RP_U32, guard, RP_U32, GUARD_WORDS), "write");
        if (t->count == 0) { continue; }
        test_ok(rig->device, backend->write(buffer, TEST_GUARD_BYTES, t->dtype, t->data, t->dtype, t->count), "write");
    }
}

void test_rig_direct(test_rig *rig) { test_ok(rig->device, rig->device->backend->run(rig->device, rig->plan), "run"); }

void test_rig_record(test_rig *rig) {
    test_ok(rig->device, rig->device->backend->record(rig->device, rig->plan, &rig->recording), "record");
}

void test_rig_replay(test_rig *rig) {
    const rp_backend *backend = rig->device->backend;
    test_ok(rig->device, backend->replay(rig->device, &rig->recording, 1), "replay");
    test_ok(rig->device, backend->wait(rig->device), "wait");
}

static void check_guard(test_rig *rig, const test_case *c, uint32_t binding, uint64_t offset, const char *side) {
    uint32_t guard[GUARD_WORDS];
    test_ok(rig->device, rig->device->backend->read(rig->buffer[binding], offset, RP_U32, guard, RP_U32, GUARD_WORDS), "read");
    for (uint32_t i = 0; i < GUARD_WORDS; i++) {
        if (guard[i] != GUARD_WORD) {
            fail_msg("%s (%s) on %s: guard word %u %s binding %u holds %08x", c->name, rp_op_table[c->op].name,
                     rig->device->info.spec, i, side, binding, guard[i]);
        }
    }
}

// Inputs are checked as well: a kernel that writes into one would spoil later replays only.
static void check_input(test_rig *rig, const test_case *c, uint32_t binding) {
    const test_tensor *t = &c->tensor[binding];
    const size_t bytes = (size_t)bytes_of(t);
    for (uint32_t i = 0; i < RP_MAX_BINDINGS; i++) {
        if (c->alias[i] == (int)binding + 1) { return; }
    }
    void *now = malloc(bytes + 1);
    assert_non_null(now);
    test_ok(rig->device, rig->device->backend->read(rig->buffer[binding], TEST_GUARD_BYTES, t->dtype, now, t->dtype, t->count), "read");
    bool same = memcmp(now, t->data, bytes) == 0;
    free(now);
    if (!same) { fail_msg("%s (%s) on %s: input %u was written", c->name, rp_op_table[c->op].name, rig->device->info.spec, binding); }
}

static double *read_values(test_rig *rig, rp_buffer *buffer, const test_tensor *t) {
    const rp_backend *backend = rig->device->backend;
    double *value = calloc((size_t)t->count + 1, sizeof *value);
    assert_non_null(value);
    if (t->count == 0) { return value; }
    if (t->dtype == RP_F32 || t->dtype == RP_F64 || t->dtype == RP_F16) {
        test_ok(rig->device, backend->read(buffer, TEST_GUARD_BYTES, t->dtype, value, RP_F64, t->count), "read");
        return value;
    }
    uint32_t *words = malloc((size_t)t->count * sizeof *words);
    assert_non_null(words);
    test_ok(rig->device, backend->read(buffer, TEST_GUARD_BYTES, t->dtype, words, t->dtype, t->count), "read");
    for (uint64_t i = 0; i < t->count; i++) { value[i] = t->dtype == RP_I32 ? (double)(int32_t)words[i] : (double)words[i]; }
    free(words);
    return value;
}

void test_rig_read(test_rig *rig, const test_case *c, test_result *out) {
    const rp_op_info *info = &rp_op_table[c->op];
    *out = (test_result){ 0 };
    for (uint32_t i = 0; i < info->n_in + info->n_out; i++) {
        const test_tensor *t = &c->tensor[i];
        if (rig->buffer[i] != NULL) {
            check_guard(rig, c, i, 0, "before");
            check_guard(rig, c, i, TEST_GUARD_BYTES + bytes_of(t), "after");
            if (i < info->n_in && t->count > 0) { check_input(rig, c, i); }
        }
        if (i < info->n_in || t->data == NULL) { continue; }
        rp_buffer *buffer = rig->buffer[c->alias[i] ? (uint32_t)c->alias[i] - 1 : i];
        out->value[i - info->n_in] = read_values(rig, buffer, t);
        out->count[i - info->n_in] = t->count;
    }
}

void test_run(rp_device *device, const test_case *c, test_result *out) {
    test_rig rig;
    test_rig_open(&rig, device, c, false);
    test_rig_load(&rig, c);
    test_rig_direct(&rig);
    test_rig_read(&rig, c, out);
    test_rig_close(&rig);
}

void test_reference(rp_op op, uint32_t index, uint32_t variation, test_result *ref, test_result *magnitude) {
    test_case c;
    assert_true(test_case_make(&c, op, index, variation));
    test_run(test_ref(), &c, ref);
    *magnitude = (test_result){ 0 };
    tolerance_case judged = test_judged(&c);
    if (c.absolute != NULL) { c.absolute(&c); }
    if (c.absolute != NULL || tolerance_absolute(&judged)) { test_run(test_ref(), &c, magnitude); }
    test_case_free(&c);
}
