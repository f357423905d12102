// See fake_cuda.h.
#include "fake_cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fake_driver fake;

// ---- objects ----

typedef struct object { struct object *next, *before; void *whole; } object;   // right before the memory that is handed out
static object objects = { &objects, &objects, NULL };
enum { ALIGNMENT = 256 };

static void *make_bytes(size_t bytes) {
    char *whole = calloc(1, bytes + 2 * ALIGNMENT), *memory;   // zeros, and pages that nobody touches cost nothing
    assert_non_null(whole);
    memory = whole + 2 * ALIGNMENT - (uintptr_t)whole % ALIGNMENT;
    object *o = (object *)(void *)memory - 1;
    *o = (object){ objects.next, &objects, whole };
    o->next->before = objects.next = o;
    fake.alive++;
    return memory;
}

static void *make(void) { return make_bytes(0); }

static void unmake(void *memory) {
    object *o = (object *)memory - 1;
    o->next->before = o->before, o->before->next = o->next;
    free(o->whole);
    fake.alive--;
}

// ---- calls ----

static void note_call(const char *name) {
    assert_true(fake.n_calls < FAKE_MAX_CALLS);
    fake.calls[fake.n_calls++] = name;
}

static rp_cu_result called(const char *name, bool in_context) {
    note_call(name);
    if (in_context && fake.spoilt) { return fake.spoilt; }
    if (fake.armed && fake.fail_at > 0 && ++fake.countdown == fake.fail_at) {
        fake.failed = name;
        fake.replayed = fake.n_replays;
        if (fake.way != FAKE_ONCE) { fake.spoilt = fake.fail_with; }
        return fake.fail_with;
    }
    return RP_CU_SUCCESS;
}

#define CALL_(name, in_context)                                    \
    do {                                                           \
        rp_cu_result result_ = called(name, in_context);           \
        if (result_ != RP_CU_SUCCESS) { return result_; }          \
    } while (0)
#define CALL(name) CALL_(name, false)
// Calls that need a current context; those that give something back are among them.
#define INSIDE(name)               \
    assert_true(fake.depth > 0);   \
    CALL_(name, true)

static rp_cu_result fake_init(unsigned flags) { (void)flags; CALL("init"); return 0; }
static rp_cu_result fake_driver_version(int *version) { CALL("driver_version"); *version = 13000; return 0; }
static rp_cu_result fake_error_name(rp_cu_result result, const char **text) {
    *text = result == 2 ? "FAKE_OOM" : "FAKE_ERROR";
    return 0;
}
static rp_cu_result fake_error_string(rp_cu_result result, const char **text) {
    (void)result;
    *text = "what it means";
    return 0;
}
static rp_cu_result fake_device_count(int *count) { CALL("device_count"); *count = fake.n_devices; return 0; }
static rp_cu_result fake_device_get(rp_cu_device *out, int index) { CALL("device_get"); *out = 70 + index; return 0; }
static rp_cu_result fake_device_name(char *name, int cap, rp_cu_device device) {
    CALL("device_name");
    snprintf(name, (size_t)cap, "Fake %d", device);
    return 0;
}
static rp_cu_result fake_device_memory(size_t *bytes, rp_cu_device device) {
    (void)device;
    CALL("device_memory");
    *bytes = 1 << 30;
    return 0;
}
static rp_cu_result fake_device_attribute(int *value, int attribute, rp_cu_device device) {
    (void)device;
    CALL("device_attribute");
    *value = attribute == RP_CU_ATTRIBUTE_MAJOR ? fake.major : 0;
    return 0;
}
static rp_cu_result fake_context_retain(rp_cu_context *out, rp_cu_device device) {
    CALL("context_retain");
    if (fake.for_good && fake.spoilt) { return fake.spoilt; }
    *out = (rp_cu_context)(uintptr_t)(device * 16);
    fake.contexts++;
    return 0;
}
// The last to let go ends the context, and with it all that was in it, a fault too unless that is `for_good`.
static rp_cu_result fake_context_release(rp_cu_device device) {
    (void)device;
    note_call("context_release");
    assert_true(fake.contexts > 0);
    if (--fake.contexts > 0) { return 0; }
    if (!fake.for_good) { fake.spoilt = 0; }
    while (objects.next != &objects) {
        unmake(objects.next + 1);
        fake.reclaimed++;
    }
    return 0;
}
static rp_cu_result fake_context_push(rp_cu_context context) {
    CALL_("context_push", fake.way == FAKE_SPOILT_PUSH);
    fake.current[fake.depth++] = (uintptr_t)context;
    return 0;
}
static rp_cu_result fake_context_pop(rp_cu_context *out) {
    note_call("context_pop");
    assert_true(fake.depth > 0);
    *out = (rp_cu_context)fake.current[--fake.depth];
    return 0;
}
static rp_cu_result fake_stream_create(rp_cu_stream *out, unsigned flags) {
    INSIDE("stream_create");
    assert_int_equal(flags, RP_CU_STREAM_NON_BLOCKING);
    *out = make();
    return 0;
}
static rp_cu_result fake_stream_destroy(rp_cu_stream stream) { INSIDE("stream_destroy"); unmake(stream); return 0; }
static rp_cu_result fake_stream_wait(rp_cu_stream stream) { assert_non_null(stream); INSIDE("stream_wait"); return 0; }
static rp_cu_result fake_event_create(rp_cu_event *out, unsigned flags) {
    (void)flags;
    INSIDE("event_create");
    *out = make();
    return 0;
}
static rp_cu_result fake_event_destroy(rp_cu_event event) { INSIDE("event_destroy"); unmake(event); return 0; }
static rp_cu_result fake_event_record(rp_cu_event event, rp_cu_stream stream) {
    (void)event, (void)stream;
    INSIDE("event_record");
    return 0;
}
static rp_cu_result fake_event_wait(rp_cu_event event) { (void)event; INSIDE("event_wait"); return 0; }
static rp_cu_result fake_stream_wait_event(rp_cu_stream stream, rp_cu_event event, unsigned flags) {
    INSIDE("stream_wait_event");
    assert_non_null(stream);
    assert_non_null(event);
    assert_int_equal(flags, 0);
    return 0;
}
static rp_cu_result fake_pointer_attribute(void *value, int attribute, rp_cu_pointer address) {
    const rp_cu_pointer page = address / 4096 - FAKE_FOREIGN / 4096;
    INSIDE("pointer_attribute");
    if (address < FAKE_FOREIGN || page > 2) { return RP_CU_INVALID_VALUE; }
    *(uint32_t *)value = attribute == RP_CU_POINTER_KIND ? (page == 2 ? 1 : RP_CU_KIND_DEVICE) : (uint32_t)page;
    return 0;
}
static rp_cu_result fake_memory_info(size_t *free_bytes, size_t *total_bytes) {
    INSIDE("memory_info");
    *free_bytes = FAKE_FREE_BYTES;
    *total_bytes = 1 << 30;
    return 0;
}
static rp_cu_result fake_memory_alloc(rp_cu_pointer *out, size_t bytes) {
    INSIDE("memory_alloc");
    assert_true(bytes > 0);
    *out = (rp_cu_pointer)(uintptr_t)make_bytes(bytes);
    return 0;
}
static rp_cu_result fake_memory_free(rp_cu_pointer address) {
    INSIDE("memory_free");
    unmake((void *)(uintptr_t)address);
    return 0;
}
static rp_cu_result fake_host_alloc(void **out, size_t bytes, unsigned flags) {
    INSIDE("host_alloc");
    assert_true(flags & RP_CU_HOST_PORTABLE);
    *out = make_bytes(bytes);
    return 0;
}
static rp_cu_result fake_host_free(void *memory) { INSIDE("host_free"); unmake(memory); return 0; }
static rp_cu_result fake_host_address(rp_cu_pointer *out, void *memory, unsigned flags) {
    INSIDE("host_address");
    assert_int_equal(flags, 0);
    *out = (rp_cu_pointer)(uintptr_t)memory;
    return 0;
}
static rp_cu_result fake_copy_to_device(rp_cu_pointer to, const void *from, size_t bytes, rp_cu_stream stream) {
    INSIDE("copy_to_device");
    assert_non_null(stream);
    memcpy((void *)(uintptr_t)to, from, bytes);
    return 0;
}
static rp_cu_result fake_copy_to_host(void *to, rp_cu_pointer from, size_t bytes, rp_cu_stream stream) {
    INSIDE("copy_to_host");
    assert_non_null(stream);
    memcpy(to, (const void *)(uintptr_t)from, bytes);
    return 0;
}
static rp_cu_result fake_module_load(rp_cu_module *out, const void *image) {
    INSIDE("module_load");
    assert_non_null(image);
    *out = make();
    return 0;
}
static rp_cu_result fake_module_unload(rp_cu_module module) { INSIDE("module_unload"); unmake(module); return 0; }
static rp_cu_result fake_module_function(rp_cu_function *out, rp_cu_module module, const char *name) {
    INSIDE("module_function");
    assert_non_null(module);
    assert_true(fake.n_kernels < FAKE_MAX_NODES);
    snprintf(fake.kernels[fake.n_kernels], sizeof *fake.kernels, "%s", name);
    *out = (rp_cu_function)&fake.kernels[fake.n_kernels++];
    return 0;
}
// Of what a kernel is handed, as much as is kept.
static size_t bytes_of(const char *kernel) {
    if (strcmp(kernel, "step_sum") == 0) { return sizeof(struct rp_step_sum_args); }
    return strncmp(kernel, "step_", 5) == 0 ? sizeof(struct rp_step_block_args) : sizeof(rp_args);
}
static void keep(fake_work *work, rp_cu_function function, const unsigned *grid, const unsigned *block, void **params) {
    snprintf(work->kernel, sizeof work->kernel, "%s", (const char *)function);
    memcpy(work->grid, grid, sizeof work->grid);
    memcpy(work->block, block, sizeof work->block);
    memcpy(&work->args, params[0], bytes_of(work->kernel));
}
static rp_cu_result fake_function_set(rp_cu_function function, int attribute, int value) {
    fake.kernel = (const char *)function;
    INSIDE("function_set");
    assert_non_null(function);
    if (attribute == RP_CU_FUNCTION_CARVEOUT) {
        assert_int_equal(value, 100);
    } else {
        assert_int_equal(attribute, RP_CU_FUNCTION_DYNAMIC_SHARED);
        assert_true(value > (int)RP_CUDA_PLAIN_SHARED);
    }
    return 0;
}

static rp_cu_result fake_launch(rp_cu_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                rp_cu_stream stream, void **params, void **extra) {
    (void)shared_bytes;
    fake.kernel = (const char *)function;
    INSIDE("launch");
    if (fake.refuse_kernel && strcmp(fake.refuse_kernel, fake.kernel) == 0) { return fake.refuse_graphs; }
    assert_non_null(stream);
    assert_null(extra);
    assert_true(fake.n_launches < FAKE_MAX_NODES);
    keep(&fake.launches[fake.n_launches++], function, (unsigned[]){ grid_x, grid_y, grid_z },
         (unsigned[]){ block_x, block_y, block_z }, params);
    return 0;
}
static rp_cu_result fake_graph_create(rp_cu_graph *out, unsigned flags) {
    (void)flags;
    INSIDE("graph_create");
    *out = make_bytes(sizeof(fake_graph));
    return 0;
}
static rp_cu_result fake_graph_destroy(rp_cu_graph graph) { INSIDE("graph_destroy"); unmake(graph); return 0; }
static rp_cu_result fake_graph_add_kernel(rp_cu_node *out, rp_cu_graph graph, const rp_cu_node *deps, size_t n_deps,
                                          const rp_cu_kernel_node *node) {
    fake.kernel = (const char *)node->function;
    INSIDE("graph_add_kernel");
    assert_non_null(graph);
    assert_true(fake.n_nodes < FAKE_MAX_NODES && n_deps <= FAKE_MAX_DEPS);
    fake_work *work = &fake.nodes[fake.n_nodes++];
    keep(work, node->function, node->grid, node->block, node->params);
    work->n_deps = n_deps;
    for (size_t i = 0; i < n_deps; i++) { work->deps[i] = (int)((fake_work *)deps[i] - fake.nodes); }
    *out = (rp_cu_node)work;
    return 0;
}
static rp_cu_result fake_graph_add_child(rp_cu_node *out, rp_cu_graph graph, const rp_cu_node *deps, size_t n_deps, rp_cu_graph child) {
    fake_graph *parent = (fake_graph *)graph;
    INSIDE("graph_add_child");
    assert_non_null(child);
    assert_int_equal(((fake_graph *)child)->n_children, 0);
    assert_int_equal(n_deps, parent->n_children > 0);
    if (n_deps) { assert_ptr_equal(deps[0], &parent->children[parent->n_children - 1]); }
    assert_true(parent->n_children < FAKE_MAX_CHILDREN);
    *out = (rp_cu_node)&parent->children[parent->n_children];
    parent->children[parent->n_children++] = child;
    return 0;
}
static rp_cu_result fake_tensor_map(void *map, int type, uint32_t rank, void *address, const uint64_t *lengths, const uint64_t *strides,
                                    const uint32_t *box, const uint32_t *steps, int interleave, int swizzle, int promotion, int fill) {
    INSIDE("tensor_map");
    assert_int_equal((uintptr_t)map % 64, 0);
    assert_int_equal(type, RP_CU_MAP_FLOAT16);
    assert_int_equal(rank, 2);
    assert_int_equal(steps[0] * 10 + steps[1], 11);
    assert_int_equal(interleave + fill, 0);
    assert_int_equal(swizzle, RP_CU_MAP_SWIZZLE_128B);
    assert_int_equal(promotion, RP_CU_MAP_PROMOTE_256B);
    assert_true(fake.n_maps < FAKE_MAX_NODES);
    fake.maps[fake.n_maps].address = (uintptr_t)address;
    memcpy(fake.maps[fake.n_maps].lengths, lengths, sizeof fake.maps->lengths);
    memcpy(fake.maps[fake.n_maps].box, box, sizeof fake.maps->box);
    fake.maps[fake.n_maps++].stride = strides[0];
    memset(map, fake.n_maps, RP_CU_MAP_BYTES);
    return 0;
}
static rp_cu_result fake_graph_add_edges(rp_cu_graph graph, const rp_cu_node *from, const rp_cu_node *to, const rp_cu_edge *edges, size_t n) {
    INSIDE("graph_add_edges");
    assert_non_null(graph);
    for (size_t i = 0; i < n; i++) {
        fake_work *work = (fake_work *)to[i];
        assert_int_equal(edges[i].from_port, RP_CU_PORT_PROGRAMMATIC);
        assert_int_equal(edges[i].type, RP_CU_EDGE_PROGRAMMATIC);
        work->overlaps = true;
        work->deps[work->n_deps++] = (int)((fake_work *)from[i] - fake.nodes);
    }
    return 0;
}
static rp_cu_result fake_graph_instantiate(rp_cu_exec *out, rp_cu_graph graph, unsigned long long flags) {
    (void)flags;
    INSIDE("graph_instantiate");
    assert_non_null(graph);
    *out = make_bytes(sizeof(fake_graph));
    memcpy(*out, graph, sizeof(fake_graph));
    return 0;
}
static rp_cu_result fake_exec_destroy(rp_cu_exec exec) { INSIDE("exec_destroy"); unmake(exec); return 0; }
static rp_cu_result fake_exec_upload(rp_cu_exec exec, rp_cu_stream stream) {
    (void)exec, (void)stream;
    INSIDE("exec_upload");
    return 0;
}
static rp_cu_result fake_exec_launch(rp_cu_exec exec, rp_cu_stream stream) {
    INSIDE("exec_launch");
    assert_non_null(exec);
    assert_non_null(stream);
    assert_true(fake.n_replays < FAKE_MAX_NODES);
    memcpy(&fake.replays[fake.n_replays++], exec, sizeof(fake_graph));
    return fake.refuse_graphs;
}

static const unsigned char image[16];

int fake_reset(void **state) {
    (void)state;
    assert_int_equal(fake.alive, 0);
    memset(&fake, 0, sizeof fake);
    fake.n_devices = 2;
    fake.major = 12;
    fake.armed = true;
    return 0;
}

rp_cuda_driver fake_table(void) {
    static rp_blob blobs[RP_OP_COUNT + 1];
    rp_cuda_driver driver;
    for (int op = 0; op < RP_OP_COUNT; op++) { blobs[op] = (rp_blob){ rp_op_table[op].name, image, image + 16 }; }
#define X(member, symbol, parameters) driver.member = fake_##member;
    RP_CU_LIST(X)
    RP_CU_OPTIONAL(X)
#undef X
    driver.blobs = blobs;
    return driver;
}
