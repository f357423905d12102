// The CUDA backend on a driver that records every call and runs nothing: what is asked of the driver, in which order and
// with which parameters, and that every call may fail. What kernels compute is conformance.c's subject.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../backend_cuda/device.h"
#include "args.h"

// ---- the fake driver ----

#define MAX_CALLS 4096
#define MAX_NODES 16
#define FREE_BYTES 12345678

typedef struct fake_work {             // a kernel node, or a direct launch
    char kernel[32];
    unsigned grid[3], block[3];
    rp_args args;
    int deps[MAX_NODES];               // numbers of nodes
    size_t n_deps;
    bool overlaps;                     // its edge is a programmatic one
} fake_work;

static struct {
    const char *calls[MAX_CALLS];      // names of the table's members, in order
    int n_calls;
    bool armed;                        // calls are counted towards fail_at
    int fail_at, countdown;            // 0: none fails
    rp_cu_result fail_with;
    const char *failed;                // the call that did
    int depth;                         // contexts pushed and not popped
    uintptr_t current[8];
    int contexts, alive;               // contexts retained; all other objects
    int n_devices, major;
    fake_work nodes[MAX_NODES], launches[MAX_NODES];
    int n_nodes, n_launches;
    char kernels[MAX_NODES][32];       // names behind function handles
    int n_kernels;
} fake;

static rp_cu_result called(const char *name) {
    assert_true(fake.n_calls < MAX_CALLS);
    fake.calls[fake.n_calls++] = name;
    if (fake.armed && fake.fail_at > 0 && ++fake.countdown == fake.fail_at) {
        fake.failed = name;
        return fake.fail_with;
    }
    return RP_CU_SUCCESS;
}

#define CALL(name)                                                       \
    do {                                                                 \
        rp_cu_result result_ = called(name);                             \
        if (result_ != RP_CU_SUCCESS) { return result_; }                \
    } while (0)
// Calls that need a context say so, and those that give something back never fail.
#define INSIDE(name)               \
    assert_true(fake.depth > 0);   \
    CALL(name)
#define GIVE_BACK(name)                       \
    fake.calls[fake.n_calls++] = name;        \
    assert_true(fake.n_calls < MAX_CALLS);    \
    fake.alive--

static void *make(void) {
    fake.alive++;
    return calloc(1, 1);
}

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
    *out = (rp_cu_context)(uintptr_t)(device * 16);
    fake.contexts++;
    return 0;
}
static rp_cu_result fake_context_release(rp_cu_device device) { (void)device; fake.contexts--; return 0; }
static rp_cu_result fake_context_push(rp_cu_context context) {
    CALL("context_push");
    fake.current[fake.depth++] = (uintptr_t)context;
    return 0;
}
static rp_cu_result fake_context_pop(rp_cu_context *out) {
    fake.calls[fake.n_calls++] = "context_pop";
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
static rp_cu_result fake_stream_destroy(rp_cu_stream stream) { GIVE_BACK("stream_destroy"); free(stream); return 0; }
static rp_cu_result fake_stream_wait(rp_cu_stream stream) { assert_non_null(stream); INSIDE("stream_wait"); return 0; }
static rp_cu_result fake_event_create(rp_cu_event *out, unsigned flags) {
    (void)flags;
    INSIDE("event_create");
    *out = make();
    return 0;
}
static rp_cu_result fake_event_destroy(rp_cu_event event) { GIVE_BACK("event_destroy"); free(event); return 0; }
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
// Memory below FOREIGN is nobody's; then 4096 bytes of the first device, of the second, and of the host.
#define FOREIGN ((rp_cu_pointer)0x10000)
static rp_cu_result fake_pointer_attribute(void *value, int attribute, rp_cu_pointer address) {
    const rp_cu_pointer page = address / 4096 - FOREIGN / 4096;
    INSIDE("pointer_attribute");
    if (address < FOREIGN || page > 2) { return RP_CU_INVALID_VALUE; }
    *(uint32_t *)value = attribute == RP_CU_POINTER_KIND ? (page == 2 ? 1 : RP_CU_KIND_DEVICE) : (uint32_t)page;
    return 0;
}
static rp_cu_result fake_memory_info(size_t *free_bytes, size_t *total_bytes) {
    INSIDE("memory_info");
    *free_bytes = FREE_BYTES;
    *total_bytes = 1 << 30;
    return 0;
}
static void *pages(size_t bytes) {
    fake.alive++;
    return aligned_alloc(256, (bytes + 255) / 256 * 256);
}
static rp_cu_result fake_memory_alloc(rp_cu_pointer *out, size_t bytes) {
    INSIDE("memory_alloc");
    assert_true(bytes > 0);
    *out = (rp_cu_pointer)(uintptr_t)pages(bytes);
    return 0;
}
static rp_cu_result fake_memory_free(rp_cu_pointer address) {
    GIVE_BACK("memory_free");
    free((void *)(uintptr_t)address);
    return 0;
}
static rp_cu_result fake_host_alloc(void **out, size_t bytes, unsigned flags) {
    INSIDE("host_alloc");
    assert_true(flags & RP_CU_HOST_PORTABLE);
    *out = pages(bytes);
    return 0;
}
static rp_cu_result fake_host_free(void *memory) { GIVE_BACK("host_free"); free(memory); return 0; }
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
static rp_cu_result fake_module_unload(rp_cu_module module) { GIVE_BACK("module_unload"); free(module); return 0; }
static rp_cu_result fake_module_function(rp_cu_function *out, rp_cu_module module, const char *name) {
    INSIDE("module_function");
    assert_non_null(module);
    assert_true(fake.n_kernels < MAX_NODES);
    snprintf(fake.kernels[fake.n_kernels], sizeof *fake.kernels, "%s", name);
    *out = (rp_cu_function)&fake.kernels[fake.n_kernels++];
    return 0;
}
static void keep(fake_work *work, rp_cu_function function, const unsigned *grid, const unsigned *block, void **params) {
    snprintf(work->kernel, sizeof work->kernel, "%s", (const char *)function);
    memcpy(work->grid, grid, sizeof work->grid);
    memcpy(work->block, block, sizeof work->block);
    memcpy(&work->args, params[0], sizeof work->args);
}
static rp_cu_result fake_function_set(rp_cu_function function, int attribute, int value) {
    INSIDE("function_set");
    assert_non_null(function);
    assert_int_equal(attribute, RP_CU_FUNCTION_DYNAMIC_SHARED);
    assert_true(value > (int)RP_CUDA_PLAIN_SHARED);
    return 0;
}

static rp_cu_result fake_launch(rp_cu_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                                rp_cu_stream stream, void **params, void **extra) {
    INSIDE("launch");
    assert_non_null(stream);
    assert_null(extra);
    assert_int_equal(shared_bytes, 0);
    assert_true(fake.n_launches < MAX_NODES);
    keep(&fake.launches[fake.n_launches++], function, (unsigned[]){ grid_x, grid_y, grid_z },
         (unsigned[]){ block_x, block_y, block_z }, params);
    return 0;
}
static rp_cu_result fake_graph_create(rp_cu_graph *out, unsigned flags) {
    (void)flags;
    INSIDE("graph_create");
    *out = make();
    return 0;
}
static rp_cu_result fake_graph_destroy(rp_cu_graph graph) { GIVE_BACK("graph_destroy"); free(graph); return 0; }
static rp_cu_result fake_graph_add_kernel(rp_cu_node *out, rp_cu_graph graph, const rp_cu_node *deps, size_t n_deps,
                                          const rp_cu_kernel_node *node) {
    INSIDE("graph_add_kernel");
    assert_non_null(graph);
    assert_int_equal(node->shared_bytes, 0);
    assert_true(fake.n_nodes < MAX_NODES && n_deps <= MAX_NODES);
    fake_work *work = &fake.nodes[fake.n_nodes++];
    keep(work, node->function, node->grid, node->block, node->params);
    work->n_deps = n_deps;
    for (size_t i = 0; i < n_deps; i++) { work->deps[i] = (int)((fake_work *)deps[i] - fake.nodes); }
    *out = (rp_cu_node)work;
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
    *out = make();
    return 0;
}
static rp_cu_result fake_exec_destroy(rp_cu_exec exec) { GIVE_BACK("exec_destroy"); free(exec); return 0; }
static rp_cu_result fake_exec_upload(rp_cu_exec exec, rp_cu_stream stream) {
    (void)exec, (void)stream;
    INSIDE("exec_upload");
    return 0;
}
static rp_cu_result fake_exec_launch(rp_cu_exec exec, rp_cu_stream stream) {
    INSIDE("exec_launch");
    assert_non_null(exec);
    assert_non_null(stream);
    return 0;
}

static const unsigned char image[16];
static const rp_blob all_blobs[] = { { "copy", image, image + 16 }, { "rmsnorm", image, image + 16 },
                                     { "linear", image, image + 16 }, { NULL, NULL, NULL } };
static const rp_blob no_linear[] = { { "copy", image, image + 16 },
                                     { "rmsnorm", image, image + 16 },
                                     { NULL, NULL, NULL } };

static rp_cuda_driver table(void) {
    rp_cuda_driver driver;
#define X(member, symbol, parameters) driver.member = fake_##member;
    RP_CU_LIST(X)
    RP_CU_OPTIONAL(X)
#undef X
    driver.blobs = all_blobs;
    return driver;
}

static int reset(void **state) {
    (void)state;
    memset(&fake, 0, sizeof fake);
    fake.n_devices = 2;
    fake.major = 12;
    fake.armed = true;
    return 0;
}

// ---- a small graph ----

#define ROWS 3
#define WIDTH 8

typedef struct rig {
    rp_device device;
    rp_arena arena;
    rp_buffer *weights, *x, *out, *activations;
    rp_graph *graph;
    rp_plan *plan;
    rp_recording *recording;
} rig;

static rp_status rig_open(rig *r, const rp_cuda_driver *driver, int index, bool direct) {
    *r = (rig){ 0 };
    r->device.backend = &rp_backend_cuda;
    r->device.config.direct = direct;
    r->device.info = (rp_device_info)RP_DEVICE_INFO_INIT;
    return rp_cuda_open_with(&r->device, index, driver);
}

// 0 rmsnorm x -> a       1 linear a w -> b       2 copy x -> out[0]       3 linear b w + bias + a -> c       4 copy c ->
// out[0]
static rp_status rig_plan(rig *r) {
    rp_status status = RP_OK;
    const rp_backend *cuda = r->device.backend;
    RP_TRY(cuda->buffer_create(&r->device, 1024, RP_MEMORY_DEVICE, &r->weights));
    RP_TRY(cuda->buffer_create(&r->device, 1024, RP_MEMORY_HOST, &r->x));
    RP_TRY(cuda->buffer_create(&r->device, 1024, RP_MEMORY_DEVICE, &r->out));
    r->graph = rp_graph_create(&r->device, &r->arena, "small");
    rp_arena *arena = &r->arena;
    rp_tensor *x = rp_tensor_bind(arena, "x", RP_SHAPE(RP_F32, ROWS, WIDTH), r->x, 0);
    rp_tensor *scale = rp_tensor_bind(arena, "scale", RP_SHAPE(RP_F32, WIDTH), r->weights, 0);
    rp_tensor *w = rp_tensor_bind(arena, "w", RP_SHAPE(RP_F32, WIDTH, WIDTH), r->weights, 256);
    rp_tensor *bias = rp_tensor_bind(arena, "bias", RP_SHAPE(RP_F32, WIDTH), r->weights, 512);
    rp_tensor *out = rp_tensor_bind(arena, "out", RP_SHAPE(RP_F32, ROWS, WIDTH), r->out, 256);
    rp_tensor *a[1] = { NULL }, *b[1] = { NULL }, *c[1] = { NULL };
    struct rp_rmsnorm_params norm = { .rows = ROWS, .width = WIDTH, .eps = 0.5f };
    struct rp_linear_params plain = { .m = ROWS, .n = WIDTH, .k = WIDTH };
    struct rp_linear_params full = { .m = ROWS, .n = WIDTH, .k = WIDTH, .has_bias = 1, .has_residual = 1 };
    struct rp_copy_params words = { .n = ROWS * WIDTH };
    rp_graph_add(r->graph, RP_OP_RMSNORM, "norm", &norm, sizeof norm, (rp_tensor *[]){ x, scale }, a);
    rp_graph_add(r->graph, RP_OP_LINEAR, "first", &plain, sizeof plain, (rp_tensor *[]){ a[0], w, NULL, NULL, NULL }, b);
    rp_graph_add(r->graph, RP_OP_COPY, "early", &words, sizeof words, (rp_tensor *[]){ x }, (rp_tensor *[]){ out });
    rp_graph_add(r->graph, RP_OP_LINEAR, "second", &full, sizeof full, (rp_tensor *[]){ b[0], w, bias, a[0], NULL }, c);
    rp_graph_add(r->graph, RP_OP_COPY, "late", &words, sizeof words, (rp_tensor *[]){ c[0] }, (rp_tensor *[]){ out });
    RP_TRY(rp_plan_create(r->graph, &r->plan));
    RP_TRY(cuda->buffer_create(&r->device, r->plan->activation_bytes, RP_MEMORY_DEVICE, &r->activations));
    rp_plan_bind(r->graph, r->plan, r->activations);
cleanup:
    return status;
}

static void rig_close(rig *r) {
    const rp_backend *cuda = r->device.backend;
    fake.armed = false;
    cuda->recording_destroy(r->recording);
    cuda->buffer_destroy(r->activations);
    cuda->buffer_destroy(r->out);
    cuda->buffer_destroy(r->x);
    cuda->buffer_destroy(r->weights);
    assert_int_equal(r->device.counters.buffer_bytes, 0);
    assert_int_equal(r->device.counters.device_bytes, 0);
    cuda->close(&r->device);
    rp_arena_destroy(&r->arena);
    assert_int_equal(fake.alive, 0);
    assert_int_equal(fake.contexts, 0);
    assert_int_equal(fake.depth, 0);
}

// Asserts that the calls since the last clear_calls are exactly these.
#define assert_calls(...)                                                                     \
    do {                                                                                      \
        const char *want_[] = { __VA_ARGS__ };                                                \
        assert_int_equal(fake.n_calls, sizeof want_ / sizeof *want_);                         \
        for (int i_ = 0; i_ < fake.n_calls; i_++) { assert_string_equal(fake.calls[i_], want_[i_]); } \
    } while (0)
static void clear_calls(void) { fake.n_calls = 0; }

static int count_calls(const char *name) {
    int n = 0;
    for (int i = 0; i < fake.n_calls; i++) { n += strcmp(fake.calls[i], name) == 0; }
    return n;
}

// ---- tests ----

static void opens_and_closes(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = table();
    assert_int_equal(rig_open(&r, &driver, -1, false), RP_OK);
    assert_string_equal(r.device.info.spec, "cuda:0");
    assert_string_equal(r.device.info.backend, "cuda");
    assert_string_equal(r.device.info.name, "Fake 70");
    assert_non_null(strstr(r.device.info.detail, "12.0"));
    assert_non_null(strstr(r.device.info.detail, "13.0"));
    assert_int_equal(r.device.info.kind, RP_DEVICE_GPU);
    assert_int_equal(r.device.info.available, 1);
    assert_int_equal(fake.depth, 0);
    rp_device_info info = RP_DEVICE_INFO_INIT;    // free memory is asked for anew
    assert_int_equal(r.device.info.memory_free_bytes, 0);
    assert_int_equal(rp_device_copy_info(&r.device, &info), RP_OK);
    assert_int_equal(info.memory_free_bytes, FREE_BYTES);
    assert_int_equal(info.memory_bytes, 1 << 30);
    assert_non_null(strstr(info.uses, "matrix units"));
    assert_string_equal(info.lacks, "");
    assert_int_equal(fake.depth, 0);
    rig_close(&r);
    assert_int_equal(rig_open(&r, &driver, 1, false), RP_OK);
    assert_string_equal(r.device.info.spec, "cuda:1");
    rig_close(&r);
}

static void absent_devices_are_explained(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = table();
    assert_int_equal(rig_open(&r, &driver, 2, false), RP_NOT_FOUND);
    assert_non_null(strstr(r.device.error.text, "cuda:2"));
    rig_close(&r);
    fake.armed = true;
    fake.n_devices = 0;
    assert_int_equal(rig_open(&r, &driver, -1, false), RP_UNAVAILABLE);
    assert_non_null(strstr(r.device.error.text, "nvidia-smi"));
    rig_close(&r);
}

// On a machine without driver, or a build without kernels, the real table says what is missing.
static void missing_driver_is_explained(void **state) {
    (void)state;
    rp_error error = { { 0 } };
    rp_cuda_driver driver;
    void *library;
    rp_status status = rp_cuda_driver_load(&error, &library, &driver);
    if (status == RP_OK) { skip(); }   // this machine has one
    assert_int_equal(status, RP_UNAVAILABLE);
    assert_null(library);
    assert_non_null(strstr(error.text, rp_fatbin_blobs[0].name == NULL ? "built without CUDA kernels" : "libcuda.so.1"));
    rig r = { .device = { .backend = &rp_backend_cuda } };
    assert_int_equal(rp_backend_cuda.open(&r.device, -1, false), RP_UNAVAILABLE);
    assert_string_equal(r.device.error.text, error.text);
    rp_backend_cuda.close(&r.device);
    rp_device_list *list;
    rp_device_info info = RP_DEVICE_INFO_INIT;
    int found = 0;
    assert_int_equal(rp_device_list_create(&list), RP_OK);
    for (uint32_t i = 0; i < rp_device_list_count(list); i++) {
        assert_int_equal(rp_device_list_copy(list, i, &info), RP_OK);
        if (strcmp(info.backend, "cuda") != 0) { continue; }
        found++;
        assert_string_equal(info.spec, "cuda");
        assert_int_equal(info.available, 0);
        assert_string_equal(info.detail, error.text);
    }
    assert_int_equal(found, 1);
    rp_device_list_destroy(list);
}

static void check_work(const fake_work *work, const rp_launch *launch) {
    rp_args args = rp_args_of(launch);
    assert_string_equal(work->kernel, launch->kernel);
    assert_memory_equal(work->grid, launch->grid, sizeof work->grid);
    assert_int_equal(work->block[0], launch->group);
    assert_int_equal(work->block[1], 1);
    assert_int_equal(work->block[2], 1);
    assert_memory_equal(&work->args, &args, sizeof args);
}

static void records_what_the_plan_says(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = table();
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    assert_int_equal(rig_plan(&r), RP_OK);
    clear_calls();
    assert_int_equal(r.device.backend->record(&r.device, r.plan, &r.recording), RP_OK);
    assert_calls("context_push", "graph_create", "module_load", "module_function", "graph_add_kernel", "module_load",
                 "module_function", "graph_add_kernel", "graph_add_edges", "module_load", "module_function",
                 "graph_add_kernel", "graph_add_kernel", "graph_add_edges", "graph_add_kernel", "graph_instantiate",
                 "exec_upload", "graph_destroy", "context_pop");
    assert_int_equal(r.device.counters.recordings, 1);

    static const char *const kernels[] = { "rmsnorm_f32", "linear_f32_split", "copy_f32", "linear_f32_split",
                                           "copy_f32" };
    static const int n_deps[] = { 0, 1, 0, 1, 2 };
    assert_int_equal(fake.n_nodes, 5);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(fake.nodes[i].kernel, kernels[i]);
        assert_int_equal(fake.nodes[i].n_deps, n_deps[i]);
        assert_int_equal(fake.nodes[i].overlaps, n_deps[i] == 1);
        check_work(&fake.nodes[i], &r.plan->launches[i]);
    }
    assert_int_equal(fake.nodes[1].deps[0], 0);
    assert_int_equal(fake.nodes[3].deps[0], 1);
    assert_int_equal(fake.nodes[4].deps[0] + fake.nodes[4].deps[1], 3 + 2);   // reads c, writes out again
    assert_int_equal(fake.nodes[4].deps[0] * fake.nodes[4].deps[1], 3 * 2);

    // One argument block in full: addresses of inputs, then outputs; absent ones 0; then the op's own struct.
    const rp_args *args = &fake.nodes[0].args;
    struct rp_rmsnorm_params norm;
    memcpy(&norm, args->params, sizeof norm);
    assert_int_equal(args->address[0], r.x->address);
    assert_int_equal(args->address[1], r.weights->address);
    assert_in_range(args->address[2], r.activations->address, r.activations->address + r.activations->bytes - 1);
    assert_int_equal(args->address[3], 0);
    assert_int_equal(norm.rows, ROWS);
    assert_int_equal(norm.width, WIDTH);
    assert_true(norm.eps == 0.5f);
    assert_int_equal(fake.nodes[0].grid[0], ROWS);
    assert_int_equal(fake.nodes[0].block[0], RP_GROUP_ROW);
    assert_int_equal(fake.nodes[1].args.address[1], r.weights->address + 256);
    assert_int_equal(fake.nodes[1].args.address[2], 0);
    assert_int_equal(fake.nodes[1].args.address[3], 0);
    assert_int_equal(fake.nodes[3].args.address[2], r.weights->address + 512);
    assert_int_equal(fake.nodes[3].args.address[3], args->address[2]);
    assert_int_equal(fake.nodes[4].args.address[1], r.out->address + 256);

    // A second recording loads nothing again.
    rp_recording *again;
    fake.n_nodes = 0;
    clear_calls();
    assert_int_equal(r.device.backend->record(&r.device, r.plan, &again), RP_OK);
    assert_int_equal(count_calls("module_load") + count_calls("module_function"), 0);
    r.device.backend->recording_destroy(again);
    rig_close(&r);
}

// Older GPUs, and older drivers, get plain edges.
static void overlaps_only_where_it_can(void **state) {
    (void)state;
    for (int old_gpu = 0; old_gpu < 2; old_gpu++) {
        rig r;
        rp_cuda_driver driver = table();
        fake.n_nodes = 0;
        fake.major = old_gpu ? 8 : 12;
        if (!old_gpu) { driver.graph_add_edges = NULL; }
        assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
        assert_int_equal(rig_plan(&r), RP_OK);
        assert_int_equal(r.device.backend->record(&r.device, r.plan, &r.recording), RP_OK);
        static const int n_deps[] = { 0, 1, 0, 1, 2 };
        for (int i = 0; i < 5; i++) {
            assert_int_equal(fake.nodes[i].n_deps, n_deps[i]);
            assert_false(fake.nodes[i].overlaps);
        }
        rig_close(&r);
    }
}

static void replay_is_one_launch(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = table();
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    assert_int_equal(rig_plan(&r), RP_OK);
    assert_int_equal(r.device.backend->record(&r.device, r.plan, &r.recording), RP_OK);
    const rp_counters before = r.device.counters;
    clear_calls();
    assert_int_equal(r.device.backend->replay(&r.device, &r.recording, 1), RP_OK);
    assert_calls("context_push", "exec_launch", "context_pop");
    clear_calls();
    rp_recording *thrice[] = { r.recording, r.recording, r.recording };
    assert_int_equal(r.device.backend->replay(&r.device, thrice, 3), RP_OK);
    assert_calls("context_push", "exec_launch", "exec_launch", "exec_launch", "context_pop");
    assert_int_equal(r.device.counters.replays, before.replays + 4);
    assert_int_equal(r.device.counters.buffers, before.buffers);
    clear_calls();
    assert_int_equal(r.device.backend->wait(&r.device), RP_OK);
    assert_calls("context_push", "stream_wait", "context_pop");
    assert_int_equal(r.device.counters.waits, before.waits + 1);
    rig_close(&r);
}

static void direct_runs_launch_by_launch(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = table();
    for (int direct = 0; direct < 2; direct++) {
        reset(NULL);
        assert_int_equal(rig_open(&r, &driver, 0, direct), RP_OK);
        assert_int_equal(rig_plan(&r), RP_OK);
        clear_calls();
        assert_int_equal(r.device.backend->run(&r.device, r.plan), RP_OK);
        assert_int_equal(fake.n_launches, 5);
        for (int i = 0; i < 5; i++) { check_work(&fake.launches[i], &r.plan->launches[i]); }
        assert_int_equal(count_calls("stream_wait"), direct ? 6 : 1);
        assert_string_equal(fake.calls[fake.n_calls - 2], "stream_wait");
        if (direct) {   // recordings of a direct device replay the same way
            assert_int_equal(r.device.backend->record(&r.device, r.plan, &r.recording), RP_OK);
            assert_int_equal(fake.n_nodes, 0);
            fake.n_launches = 0;
            assert_int_equal(r.device.backend->replay(&r.device, &r.recording, 1), RP_OK);
            assert_int_equal(fake.n_launches, 5);
            assert_int_equal(r.device.counters.replays, 1);
        }
        rig_close(&r);
    }
}

// Numbers of more than two staging areas, converted on the way and back.
static void copies_go_through_staging(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = table();
    const uint64_t count = RP_CUDA_STAGING_BYTES / 4 * 2 + 77;
    rp_buffer *buffer;
    double *from = malloc(count * sizeof *from), *to = malloc(count * sizeof *to);
    for (uint64_t i = 0; i < count; i++) { from[i] = (double)i * 0.5; }
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    assert_int_equal(r.device.backend->buffer_create(&r.device, count * 4 + 8, RP_MEMORY_DEVICE, &buffer), RP_OK);
    assert_int_equal(r.device.counters.buffers, 1);
    assert_int_equal(r.device.counters.buffer_bytes, count * 4 + 8);
    clear_calls();
    assert_int_equal(r.device.backend->write(buffer, 8, RP_F32, from, RP_F64, count), RP_OK);
    assert_calls("context_push", "copy_to_device", "event_record", "copy_to_device", "event_record", "event_wait",
                 "copy_to_device", "event_record", "context_pop");
    clear_calls();
    assert_int_equal(r.device.backend->read(buffer, 8, RP_F32, to, RP_F64, count), RP_OK);
    assert_string_equal(fake.calls[1], "stream_wait");
    assert_int_equal(count_calls("copy_to_host"), 3);
    assert_int_equal(r.device.counters.reads, 1);
    assert_memory_equal(from, to, count * sizeof *from);
    r.device.backend->buffer_destroy(buffer);

    assert_int_equal(r.device.backend->buffer_create(&r.device, 64, RP_MEMORY_HOST, &buffer), RP_OK);
    assert_non_null(buffer->mapped);
    clear_calls();
    assert_int_equal(r.device.backend->write(buffer, 16, RP_F32, from, RP_F64, 4), RP_OK);
    assert_int_equal(fake.n_calls, 0);
    assert_true(((float *)buffer->mapped)[7] == 1.5f);
    assert_int_equal(r.device.backend->read(buffer, 16, RP_F32, to, RP_F64, 4), RP_OK);
    assert_calls("context_push", "stream_wait", "context_pop");
    assert_memory_equal(from, to, 4 * sizeof *from);
    r.device.backend->buffer_destroy(buffer);
    free(from);
    free(to);
    rig_close(&r);
}

// Each device makes its own context current and puts back what was.
static void devices_do_not_notice_each_other(void **state) {
    (void)state;
    rig r[2];
    rp_cuda_driver driver = table();
    fake.current[fake.depth++] = 0x5555;   // somebody else's context
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rig_open(&r[i], &driver, i, false), RP_OK);
        assert_int_equal(rig_plan(&r[i]), RP_OK);
        assert_int_equal(r[i].device.backend->record(&r[i].device, r[i].plan, &r[i].recording), RP_OK);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(r[i].device.backend->replay(&r[i].device, &r[i].recording, 1), RP_OK);
        assert_int_equal(fake.depth, 1);
        assert_int_equal(fake.current[0], 0x5555);
        assert_int_equal(fake.current[1], (70 + i) * 16);
        assert_int_equal(r[i].device.counters.replays, 1);
    }
    const int both = fake.alive;
    fake.depth = 0;                        // rig_close expects nobody's, and nothing alive
    for (int i = 0; i < 2; i++) {
        const rp_backend *cuda = r[i].device.backend;
        cuda->recording_destroy(r[i].recording);
        cuda->buffer_destroy(r[i].activations);
        cuda->buffer_destroy(r[i].out);
        cuda->buffer_destroy(r[i].x);
        cuda->buffer_destroy(r[i].weights);
        cuda->close(&r[i].device);
        rp_arena_destroy(&r[i].arena);
        assert_int_equal(fake.alive, i == 0 ? both / 2 : 0);
    }
    assert_int_equal(fake.contexts, 0);
}

// Memory that somebody else allocated is described when it is this device's, from its first byte to its last.
static void callers_memory_is_checked(void **state) {
    (void)state;
    static const struct { int32_t ordinal; rp_cu_pointer address; uint64_t bytes; const char *says; } wrong[] = {
        { 1, FOREIGN, 4, "cuda:1" },        { -1, FOREIGN, 4, "cuda:-1" },
        { 0, FOREIGN - 4, 4, "freed" },     { 0, 0, 4, "freed" },
        { 0, FOREIGN + 4096, 4, "another" }, { 0, FOREIGN + 4000, 200, "another" },
        { 0, FOREIGN + 8192, 4, "host" },   { 0, FOREIGN + 12288, 4, "freed" },
    };
    rig r;
    rp_cuda_driver driver = table();
    rp_buffer buffer;
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    clear_calls();
    assert_int_equal(r.device.backend->borrow(&r.device, "Its values", 0, FOREIGN + 96, 4000, &buffer), RP_OK);
    assert_calls("context_push", "pointer_attribute", "pointer_attribute", "pointer_attribute", "pointer_attribute", "context_pop");
    assert_true(buffer.address == FOREIGN + 96 && buffer.bytes == 4000 && buffer.kind == RP_MEMORY_DEVICE);
    assert_int_equal(r.device.counters.buffers, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(r.device.backend->borrow(&r.device, "Its values", wrong[i].ordinal, wrong[i].address, wrong[i].bytes, &buffer),
                         RP_INVALID_ARGUMENT);
        assert_non_null(strstr(r.device.error.text, "Its values"));
        assert_non_null(strstr(r.device.error.text, wrong[i].says));
        assert_int_equal(fake.depth, 0);
    }
    rig_close(&r);
}

// The device follows the caller's stream by an event, and the host waits only where it is told to.
static void callers_stream_is_followed(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = table();
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    clear_calls();
    assert_int_equal(r.device.backend->after(&r.device, 1, false), RP_OK);
    assert_calls("context_push", "event_create", "event_record", "stream_wait_event", "context_pop");
    clear_calls();
    assert_int_equal(r.device.backend->after(&r.device, 2, true), RP_OK);
    assert_calls("context_push", "event_record", "stream_wait_event", "event_wait", "context_pop");
    assert_int_equal(rig_plan(&r), RP_OK);
    clear_calls();
    assert_int_equal(r.device.backend->enqueue(&r.device, r.plan), RP_OK);
    assert_int_equal(count_calls("launch"), (int)r.plan->n_launches);
    assert_int_equal(count_calls("stream_wait"), 0);
    fake.countdown = 0;
    fake.fail_at = 2;   // event_record
    fake.fail_with = 400;
    assert_int_equal(r.device.backend->after(&r.device, 3, false), RP_INVALID_ARGUMENT);
    assert_non_null(strstr(r.device.error.text, "stream"));
    rig_close(&r);
}

static void missing_kernels_are_named(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = table();
    driver.blobs = no_linear;
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    assert_int_equal(rig_plan(&r), RP_OK);
    assert_int_equal(r.device.backend->record(&r.device, r.plan, &r.recording), RP_INTERNAL);
    assert_null(r.recording);
    assert_non_null(strstr(r.device.error.text, "'linear'"));
    rig_close(&r);
}

static void out_of_memory_says_how_much(void **state) {
    (void)state;
    rig r;
    rp_buffer *buffer;
    rp_cuda_driver driver = table();
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    for (int kind = RP_MEMORY_DEVICE; kind <= RP_MEMORY_HOST; kind++) {
        fake.countdown = 0;
        fake.fail_at = 2;   // after context_push
        fake.fail_with = RP_CU_OUT_OF_MEMORY;
        assert_int_equal(r.device.backend->buffer_create(&r.device, 987654, kind, &buffer), RP_OUT_OF_MEMORY);
        assert_null(buffer);
        assert_non_null(strstr(r.device.error.text, "987654"));
        assert_non_null(strstr(r.device.error.text, "12345678"));
        assert_int_equal(r.device.counters.buffers, 0);
    }
    rig_close(&r);
}

// Everything a forecast does, once.
static rp_status whole_life(rig *r, const rp_cuda_driver *driver) {
    rp_status status = RP_OK;
    const rp_backend *cuda = &rp_backend_cuda;
    float numbers[64] = { 0 };
    rp_buffer borrowed;
    rp_device_info info = RP_DEVICE_INFO_INIT;
    RP_TRY(rig_open(r, driver, 0, false));
    RP_TRY(rp_device_copy_info(&r->device, &info));
    RP_TRY(rig_plan(r));
    RP_TRY(cuda->write(r->weights, 0, RP_F32, numbers, RP_F32, 64));
    RP_TRY(cuda->write(r->weights, 0, RP_F32, numbers, RP_F32, 64));
    RP_TRY(cuda->write(r->weights, 0, RP_F32, numbers, RP_F32, 64));
    RP_TRY(cuda->borrow(&r->device, "A tensor", 0, FOREIGN, 64, &borrowed));
    RP_TRY(cuda->after(&r->device, 1, true));
    RP_TRY(cuda->enqueue(&r->device, r->plan));
    RP_TRY(cuda->run(&r->device, r->plan));
    RP_TRY(cuda->record(&r->device, r->plan, &r->recording));
    RP_TRY(cuda->replay(&r->device, &r->recording, 1));
    RP_TRY(cuda->wait(&r->device));
    RP_TRY(cuda->read(r->out, 0, RP_F32, numbers, RP_F32, 64));
cleanup:
    return status;
}

static void any_call_may_fail(void **state) {
    (void)state;
    static const struct { rp_cu_result result; rp_status status; } ways[] = {
        { RP_CU_OUT_OF_MEMORY, RP_OUT_OF_MEMORY }, { 700, RP_DEVICE_LOST }, { 719, RP_DEVICE_LOST },
        { 209, RP_UNSUPPORTED },                   { 1, RP_INTERNAL },      { 123456, RP_INTERNAL },
    };
    const rp_cuda_driver driver = table();
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        int n = 1;
        for (;; n++) {
            rig r;
            reset(NULL);
            fake.fail_at = n;
            fake.fail_with = ways[way].result;
            rp_status status = whole_life(&r, &driver);
            if (fake.failed == NULL) {
                assert_int_equal(status, RP_OK);
                rig_close(&r);
                break;
            }
            // Of this one call that answer says something about the caller's tensor.
            const bool told = ways[way].result == RP_CU_INVALID_VALUE && strcmp(fake.failed, "pointer_attribute") == 0;
            const rp_status want = told ? RP_INVALID_ARGUMENT : ways[way].status;
            if (status != want || r.device.error.text[0] == '\0') {
                print_message("call %d (%s) with result %d: %s, \"%s\"\n", n, fake.failed, ways[way].result,
                              rp_status_name(status), r.device.error.text);
            }
            assert_int_equal(status, want);
            assert_true(strlen(r.device.error.text) > 40);
            rig_close(&r);   // nothing is left
        }
        assert_true(n > 60);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(opens_and_closes, reset),
        cmocka_unit_test_setup(absent_devices_are_explained, reset),
        cmocka_unit_test_setup(missing_driver_is_explained, reset),
        cmocka_unit_test_setup(records_what_the_plan_says, reset),
        cmocka_unit_test_setup(overlaps_only_where_it_can, reset),
        cmocka_unit_test_setup(replay_is_one_launch, reset),
        cmocka_unit_test_setup(direct_runs_launch_by_launch, reset),
        cmocka_unit_test_setup(copies_go_through_staging, reset),
        cmocka_unit_test_setup(devices_do_not_notice_each_other, reset),
        cmocka_unit_test_setup(callers_memory_is_checked, reset),
        cmocka_unit_test_setup(callers_stream_is_followed, reset),
        cmocka_unit_test_setup(missing_kernels_are_named, reset),
        cmocka_unit_test_setup(out_of_memory_says_how_much, reset),
        cmocka_unit_test_setup(any_call_may_fail, reset),
    };
    return cmocka_run_group_tests_name("cuda_driver", tests, NULL, NULL);
}
