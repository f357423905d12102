// The CUDA backend on a driver that records every call and runs nothing: what is asked of the driver, in which order and
// with which parameters. That every call may fail is cuda_faults.c's subject, what kernels compute conformance.c's.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cuda.h"

static const unsigned char image[16];
static const rp_blob no_linear[] = { { "copy", image, image + 16 },
                                     { "rmsnorm", image, image + 16 },
                                     { NULL, NULL, NULL } };

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
    rp_cuda_driver driver = fake_table();
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
    assert_int_equal(info.memory_free_bytes, FAKE_FREE_BYTES);
    assert_int_equal(info.memory_bytes, 1 << 30);
    assert_int_equal(fake.depth, 0);
    rig_close(&r);
    assert_int_equal(rig_open(&r, &driver, 1, false), RP_OK);
    assert_string_equal(r.device.info.spec, "cuda:1");
    rig_close(&r);
}

// Each feature is either used or lacking, by the GPU and by the driver; text that does not fit would break off.
static void features_are_named(void **state) {
    (void)state;
    static const struct { const char *name; int from, to; } features[] = {
        { "matrix units", 8, 99 }, { "wgmma", 9, 9 }, { "clusters", 9, 99 }, { "overlapping launches", 9, 99 } };
    static const int majors[] = { 7, 8, 9, 10, 12 };
    for (size_t i = 0; i < 2 * (sizeof majors / sizeof *majors); i++) {
        const int major = majors[i / 2];
        const bool old_driver = i % 2;
        rig r;
        rp_cuda_driver driver = fake_table();
        fake.major = major;
        if (old_driver) { driver.graph_add_edges = NULL; }
        assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
        const rp_device_info *info = &r.device.info;
        assert_true(strlen(info->uses) + 1 < sizeof info->uses && strlen(info->lacks) + 1 < sizeof info->lacks);
        for (size_t f = 0; f < sizeof features / sizeof *features; f++) {
            bool there = major >= features[f].from && major <= features[f].to && !(f == 3 && old_driver);
            if (f == 1) { there = there && r.device.wgmma; }      // and by what this build holds
            assert_int_equal(strstr(info->uses, features[f].name) != NULL, there);
            assert_int_equal(strstr(info->lacks, features[f].name) != NULL, !there && (f == 0 || major >= 8));
        }
        rig_close(&r);
    }
}

static void absent_devices_are_explained(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = fake_table();
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
    rp_cuda_driver driver = fake_table();
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    assert_int_equal(rig_plan(&r), RP_OK);
    clear_calls();
    assert_int_equal(r.device.backend->record(&r.device, r.plan, &r.recording), RP_OK);
    assert_calls("context_push", "graph_create", "module_load", "module_function", "graph_add_kernel", "module_load",
                 "module_function", "graph_add_kernel", "graph_add_edges", "module_load", "module_function",
                 "graph_add_kernel", "graph_add_kernel", "graph_add_edges", "graph_add_kernel", "graph_add_edges",
                 "graph_add_edges", "graph_instantiate", "exec_upload", "context_pop");
    assert_int_equal(r.device.counters.recordings, 1);

    static const char *const kernels[] = { "rmsnorm_f32_256", "linear_f32_split", "copy_f32", "linear_f32_split",
                                           "copy_f32" };
    static const int n_deps[] = { 0, 1, 0, 1, 2 };
    assert_int_equal(fake.n_nodes, 5);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(fake.nodes[i].kernel, kernels[i]);
        assert_int_equal(fake.nodes[i].n_deps, n_deps[i]);
        assert_int_equal(fake.nodes[i].overlaps, n_deps[i] > 0);
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
    assert_int_equal(fake.nodes[0].block[0], 32);
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

// A product with tensor maps: what they describe, and where the kernel finds them.
static void maps_go_with_a_launch(void **state) {
    (void)state;
    enum { M = 70, N = 16, K = 24 };
    rig r;
    rp_cuda_driver driver = fake_table();
    fake.major = 9;
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    r.device.wgmma = 1;                                            // whatever kernels this build holds
    r.device.processors = 132;
    const rp_backend *cuda = r.device.backend;
    assert_int_equal(cuda->buffer_create(&r.device, 8192, RP_MEMORY_DEVICE, &r.weights), RP_OK);
    assert_int_equal(cuda->buffer_create(&r.device, 8192, RP_MEMORY_DEVICE, &r.x), RP_OK);
    assert_int_equal(cuda->buffer_create(&r.device, 8192, RP_MEMORY_DEVICE, &r.out), RP_OK);
    r.graph = rp_graph_create(&r.device, &r.arena, "maps");
    const struct rp_linear_params p = { .m = M, .n = N, .k = K, .w_f16 = 1, .x_f16 = 1 };
    rp_tensor *x = rp_tensor_bind(&r.arena, "x", RP_SHAPE(RP_F16, M, K), r.x, 256);
    rp_tensor *w = rp_tensor_bind(&r.arena, "w", RP_SHAPE(RP_F16, N, K), r.weights, 512);
    rp_tensor *y = rp_tensor_bind(&r.arena, "y", RP_SHAPE(RP_F32, M, N), r.out, 0);
    rp_graph_add(r.graph, RP_OP_LINEAR, "product", &p, sizeof p, (rp_tensor *[]){ x, w, NULL, NULL, NULL }, (rp_tensor *[]){ y });
    assert_int_equal(rp_plan_create(r.graph, &r.plan), RP_OK);
    rp_plan_bind(r.graph, r.plan, NULL);
    const rp_launch *launch = &r.plan->launches[0];
    rp_cuda_args args;
    assert_int_equal(launch->n_maps, 2);
    assert_int_equal(rp_cuda_enter(&r.device), RP_OK);
    assert_int_equal(rp_cuda_args_fill(&r.device, launch, &args), RP_OK);
    rp_cuda_leave(&r.device);
    assert_int_equal((char *)args.map - (char *)&args, 128);       // kernels/linear_wgmma.cuh
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fake.maps[i].address, i == 0 ? r.x->address + 256 : r.weights->address + 512);
        assert_int_equal(fake.maps[i].lengths[0], K);
        assert_int_equal(fake.maps[i].lengths[1], i == 0 ? M : N);
        assert_int_equal(fake.maps[i].stride, 2 * K);
        assert_int_equal(fake.maps[i].box[0], 64);
        assert_int_equal(fake.maps[i].box[1], launch->map[i].box_rows);
        assert_int_equal(args.map[i][0], i + 1);
        assert_int_equal(args.map[i][RP_CU_MAP_BYTES - 1], i + 1);
    }
    assert_int_equal(args.args.address[0], r.x->address + 256);
    r.device.wgmma = 0;                                            // and without: no maps
    assert_int_equal(rp_plan_create(r.graph, &r.plan), RP_OK);
    assert_int_equal(r.plan->launches[0].n_maps, 0);
    rig_close(&r);
}

// Older GPUs, and older drivers, get plain edges.
static void overlaps_only_where_it_can(void **state) {
    (void)state;
    for (int old_gpu = 0; old_gpu < 2; old_gpu++) {
        rig r;
        rp_cuda_driver driver = fake_table();
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

// Behind a launch of many groups only one that fills multiprocessors may come early.
static void overlaps_where_groups_do_not_crowd(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = fake_table();
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    assert_int_equal(rig_plan(&r), RP_OK);
    rp_launch *before = &r.plan->launches[0], *launch = &r.plan->launches[1];     // which depends on it alone
    for (uint32_t large = 0; large < 2; large++) {
        before->grid[0] = RP_CUDA_SHORT_GROUPS / 2 + 1, before->grid[1] = 2;
        launch->shared_bytes = large ? RP_CUDA_MOST_SHARED + 1 : RP_CUDA_MOST_SHARED;
        fake.n_nodes = 0;
        assert_int_equal(r.device.backend->record(&r.device, r.plan, &r.recording), RP_OK);
        assert_int_equal(fake.nodes[1].n_deps, 1);
        assert_int_equal(fake.nodes[1].overlaps, large);
        r.device.backend->recording_destroy(r.recording);
        r.recording = NULL;
    }
    rig_close(&r);
}

static void replay_is_one_launch(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = fake_table();
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    assert_int_equal(rig_plan(&r), RP_OK);
    assert_int_equal(r.device.backend->record(&r.device, r.plan, &r.recording), RP_OK);
    const rp_counters before = r.device.counters;
    clear_calls();
    assert_int_equal(r.device.backend->replay(&r.device, &r.recording, 1), RP_OK);
    assert_calls("context_push", "exec_launch", "context_pop");
    assert_int_equal(r.device.counters.replays, before.replays + 1);
    assert_int_equal(r.device.counters.buffers, before.buffers);
    clear_calls();
    assert_int_equal(r.device.backend->wait(&r.device), RP_OK);
    assert_calls("context_push", "stream_wait", "context_pop");
    assert_int_equal(r.device.counters.waits, before.waits + 1);
    clear_calls();
    r.device.backend->recording_destroy(r.recording);
    assert_calls("context_push", "stream_wait", "exec_destroy", "graph_destroy", "context_pop");
    r.recording = NULL;
    rig_close(&r);
}

// ---- queues ----

// Recordings of one plan by letter, from 'a'; a queue is a word of them. NULL: not there.
typedef struct letters { rig rig; rp_recording *of[26]; } letters;

static void letters_open(letters *l, const rp_cuda_driver *driver, int n) {
    *l = (letters){ 0 };
    assert_int_equal(rig_open(&l->rig, driver, 0, false), RP_OK);
    assert_int_equal(rig_plan(&l->rig), RP_OK);
    for (int i = 0; i < n; i++) { assert_int_equal(l->rig.device.backend->record(&l->rig.device, l->rig.plan, &l->of[i]), RP_OK); }
}

static void letters_close(letters *l) {
    for (int i = 0; i < 26; i++) { l->rig.device.backend->recording_destroy(l->of[i]); }
    rig_close(&l->rig);
}

static rp_status send(letters *l, const char *word) {
    rp_recording *queue[1024];
    const uint32_t n = (uint32_t)strlen(word);
    assert_true(n <= 1024);
    for (uint32_t i = 0; i < n; i++) { queue[i] = l->of[word[i] - 'a']; }
    clear_calls();
    fake.n_replays = 0;
    const uint64_t replays = l->rig.device.counters.replays;
    const rp_status status = l->rig.device.backend->replay(&l->rig.device, queue, n);
    if (status == RP_OK) { assert_int_equal(l->rig.device.counters.replays, replays + n); }
    return status;
}

// What the driver was to launch, as words with a space between: a recording's own graph shows as a dot.
static const char *launched(const letters *l) {
    static char text[2048];
    size_t used = 0;
    for (int i = 0; i < fake.n_replays; i++) {
        const fake_graph *g = &fake.replays[i];
        if (i > 0) { text[used++] = ' '; }
        if (g->n_children == 0) { text[used++] = '.'; }
        for (int c = 0; c < g->n_children; c++) {
            int letter = 0;
            while (l->of[letter] == NULL || l->of[letter]->graph != g->children[c]) { assert_true(++letter < 26); }
            text[used++] = (char)('a' + letter);
        }
        assert_true(used < sizeof text - 100);
    }
    text[used] = 0;
    return text;
}

static void repeat(char *word, char letter, uint32_t n) {
    memset(word, letter, n);
    word[n] = 0;
}

// The first time recording by recording, while it is joined; from then on one launch and nothing else.
static void a_queue_is_one_launch(void **state) {
    (void)state;
    letters l;
    rp_cuda_driver driver = fake_table();
    letters_open(&l, &driver, 4);
    const rp_counters before = l.rig.device.counters;
    assert_int_equal(send(&l, "abbc"), RP_OK);
    assert_calls("context_push", "exec_launch", "exec_launch", "exec_launch", "exec_launch", "graph_create", "graph_add_child",
                 "graph_add_child", "graph_add_child", "graph_add_child", "graph_instantiate", "exec_upload", "graph_destroy",
                 "context_pop");
    assert_string_equal(launched(&l), ". . . .");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send(&l, "abbc"), RP_OK);
        assert_calls("context_push", "exec_launch", "context_pop");
        assert_string_equal(launched(&l), "abbc");
    }
    assert_int_equal(send(&l, "abc"), RP_OK);          // another horizon is another queue, and the first stays
    assert_string_equal(launched(&l), ". . .");
    assert_int_equal(send(&l, "abc"), RP_OK);
    assert_string_equal(launched(&l), "abc");
    assert_int_equal(send(&l, "abbc"), RP_OK);
    assert_string_equal(launched(&l), "abbc");
    assert_int_equal(send(&l, "b"), RP_OK);            // one alone is its recording
    assert_calls("context_push", "exec_launch", "context_pop");
    assert_string_equal(launched(&l), ".");
    assert_int_equal(l.rig.device.counters.recordings, before.recordings);
    assert_int_equal(l.rig.device.counters.buffers, before.buffers);
    letters_close(&l);
}

// Long queues are cut so that what repeats is one batch, made once.
static void long_queues_are_cut(void **state) {
    (void)state;
    static const uint32_t most = RP_CUDA_BATCH_REPLAYS;
    letters l;
    rp_cuda_driver driver = fake_table();
    char queue[1024], want[1024], word[256];
    letters_open(&l, &driver, 6);
    assert_true(most * l.of[0]->n_nodes <= RP_CUDA_BATCH_NODES);    // so it is the replays that are too many here

    // A horizon: the odd steps with the prompt, then batches of steps alone, then the end.
    repeat(word, 'c', 3 * most + 5);
    snprintf(queue, sizeof queue, "ab%sd", word);
    assert_int_equal(send(&l, queue), RP_OK);
    assert_int_equal(count_calls("exec_launch"), (int)strlen(queue));
    assert_int_equal(count_calls("graph_instantiate"), 2);                    // of steps alone one; the end is one replay
    repeat(word, 'c', most);
    snprintf(want, sizeof want, "abccccc %s %s %s .", word, word, word);
    assert_int_equal(send(&l, queue), RP_OK);
    assert_string_equal(launched(&l), want);
    assert_int_equal(count_calls("graph_instantiate"), 0);

    // Of another length: the batch of steps is there already.
    repeat(word, 'c', most);
    snprintf(queue, sizeof queue, "ab%sd", word);
    assert_int_equal(send(&l, queue), RP_OK);
    assert_int_equal(count_calls("graph_instantiate"), 1);                    // "ab"
    snprintf(want, sizeof want, "ab %s .", word);
    assert_int_equal(send(&l, queue), RP_OK);
    assert_string_equal(launched(&l), want);

    // Chunks of paths; and windows that slide.
    assert_int_equal(send(&l, "abcccbcccbcccd"), RP_OK);
    assert_int_equal(count_calls("graph_instantiate"), 3);
    assert_int_equal(send(&l, "abcccbcccbcccd"), RP_OK);
    assert_string_equal(launched(&l), "abccc bccc bcccd");
    assert_int_equal(send(&l, "abccefefefd"), RP_OK);
    assert_int_equal(send(&l, "abccefefefd"), RP_OK);
    assert_string_equal(launched(&l), "abccef ef efd");
    letters_close(&l);
}

// Recordings of many nodes: fewer in a batch, and one that is more than a batch holds is launched alone.
static void batches_hold_so_many_nodes(void **state) {
    (void)state;
    letters l;
    rp_cuda_driver driver = fake_table();
    letters_open(&l, &driver, 3);
    assert_int_equal(l.of[0]->n_nodes, 5);
    l.of[1]->n_nodes = RP_CUDA_BATCH_NODES / 3, l.of[2]->n_nodes = RP_CUDA_BATCH_NODES + 1;
    assert_int_equal(send(&l, "abbbbb"), RP_OK);
    assert_int_equal(send(&l, "abbbbb"), RP_OK);
    assert_string_equal(launched(&l), "abb bbb");
    assert_int_equal(send(&l, "bbbbb"), RP_OK);
    assert_int_equal(send(&l, "bbbbb"), RP_OK);
    assert_string_equal(launched(&l), "bbb bb");
    assert_int_equal(send(&l, "bbbbbba"), RP_OK);
    assert_int_equal(count_calls("graph_instantiate"), 0);     // the last three are the batch that is there; the end is not joined to them
    assert_string_equal(launched(&l), "bbb bbb .");
    assert_int_equal(send(&l, "accabc"), RP_OK);
    assert_int_equal(send(&l, "accabc"), RP_OK);
    assert_string_equal(launched(&l), ". . . ab .");
    letters_close(&l);
}

// No more are kept than there is room for: the one that was used longest ago goes. A queue of more than are kept makes no others.
static void batches_are_bounded(void **state) {
    (void)state;
    letters l;
    rp_cuda_driver driver = fake_table();
    char word[RP_CUDA_BATCH_REPLAYS + 1], queue[1024];
    letters_open(&l, &driver, 26);
    const int before = fake.alive;
    for (uint32_t n = 2; n < RP_CUDA_MAX_BATCHES + 4; n++) {
        repeat(word, 'a', n);
        assert_int_equal(send(&l, word), RP_OK);
        assert_int_equal(send(&l, "aa"), RP_OK);       // stays in use
    }
    assert_int_equal(fake.alive, before + RP_CUDA_MAX_BATCHES);
    assert_int_equal(send(&l, "aa"), RP_OK);
    assert_string_equal(launched(&l), "aa");
    assert_int_equal(send(&l, "aaa"), RP_OK);
    assert_string_equal(launched(&l), ". . .");
    queue[0] = 0;
    for (uint32_t i = 0; i < RP_CUDA_MAX_BATCHES + 2; i++) {   // each batch ends where the next one's first letter was before
        const char pair[] = { (char)('a' + i / 25), (char)('a' + i / 25 + 1 + i % (25 - i / 25)), 0 };
        strcat(queue, pair), strcat(queue, pair);
    }
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(send(&l, queue), RP_OK);
        assert_int_equal(fake.alive, before + RP_CUDA_MAX_BATCHES);
        assert_int_equal(count_calls("graph_instantiate"), turn == 0 ? RP_CUDA_MAX_BATCHES : 0);
        assert_int_equal(count_calls("exec_destroy"), turn == 0 ? RP_CUDA_MAX_BATCHES : 0);
    }
    letters_close(&l);
}

// A recording takes along the batches that it is in, so that another at its place in memory is never taken for it.
static void batches_go_with_their_recordings(void **state) {
    (void)state;
    letters l;
    rp_cuda_driver driver = fake_table();
    letters_open(&l, &driver, 3);
    const rp_backend *cuda = l.rig.device.backend;
    const int before = fake.alive;
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(send(&l, "ab"), RP_OK);
        assert_int_equal(send(&l, "bc"), RP_OK);
    }
    assert_string_equal(launched(&l), "bc");
    assert_int_equal(fake.alive, before + 2);
    clear_calls();
    cuda->recording_destroy(l.of[0]);
    assert_calls("context_push", "stream_wait", "exec_destroy", "exec_destroy", "graph_destroy", "context_pop");
    assert_int_equal(fake.alive, before - 2 + 1);      // its graph, twice, and "ab"; "bc" is there
    assert_int_equal(cuda->record(&l.rig.device, l.rig.plan, &l.of[0]), RP_OK);
    assert_int_equal(send(&l, "ab"), RP_OK);
    assert_string_equal(launched(&l), ". .");
    assert_int_equal(send(&l, "bc"), RP_OK);
    assert_string_equal(launched(&l), "bc");
    cuda->recording_destroy(l.of[1]);
    l.of[1] = NULL;
    assert_int_equal(fake.alive, before - 2);
    letters_close(&l);
}

// What the driver cannot join is launched recording by recording, and not tried again.
static void what_cannot_be_joined_is_launched_singly(void **state) {
    (void)state;
    static const struct { int call; const char *name; } calls[] = {
        { 4, "graph_create" }, { 5, "graph_add_child" }, { 6, "graph_add_child" }, { 7, "graph_instantiate" }, { 8, "exec_upload" } };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        letters l;
        rp_cuda_driver driver = fake_table();
        fake_reset(NULL);
        letters_open(&l, &driver, 2);
        const int before = fake.alive;
        fake.countdown = 0, fake.fail_at = calls[i].call, fake.fail_with = RP_CU_OUT_OF_MEMORY;   // after context_push, two launches
        assert_int_equal(send(&l, "ab"), RP_OK);
        assert_string_equal(fake.failed, calls[i].name);
        assert_string_equal(launched(&l), ". .");
        assert_int_equal(fake.alive, before);
        assert_int_equal(send(&l, "ab"), RP_OK);
        assert_calls("context_push", "exec_launch", "exec_launch", "context_pop");
        letters_close(&l);
    }
}

static void a_batch_that_fails_is_named(void **state) {
    (void)state;
    letters l;
    rp_cuda_driver driver = fake_table();
    letters_open(&l, &driver, 2);
    assert_int_equal(send(&l, "abb"), RP_OK);
    fake.refuse_graphs = 719;
    assert_int_equal(send(&l, "abb"), RP_DEVICE_LOST);
    assert_non_null(strstr(l.rig.device.error.text, "replaying 3 recordings, 'small' to 'small'"));
    assert_int_equal(fake.n_replays, 1);
    fake.refuse_graphs = 0;
    letters_close(&l);
}

static void direct_runs_launch_by_launch(void **state) {
    (void)state;
    rig r;
    rp_cuda_driver driver = fake_table();
    for (int direct = 0; direct < 2; direct++) {
        fake_reset(NULL);
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
    rp_cuda_driver driver = fake_table();
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
    rp_cuda_driver driver = fake_table();
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
        { 1, FAKE_FOREIGN, 4, "cuda:1" },        { -1, FAKE_FOREIGN, 4, "cuda:-1" },
        { 0, FAKE_FOREIGN - 4, 4, "freed" },     { 0, 0, 4, "freed" },
        { 0, FAKE_FOREIGN + 4096, 4, "another" }, { 0, FAKE_FOREIGN + 4000, 200, "another" },
        { 0, FAKE_FOREIGN + 8192, 4, "host" },   { 0, FAKE_FOREIGN + 12288, 4, "freed" },
    };
    rig r;
    rp_cuda_driver driver = fake_table();
    rp_buffer buffer;
    assert_int_equal(rig_open(&r, &driver, 0, false), RP_OK);
    clear_calls();
    assert_int_equal(r.device.backend->borrow(&r.device, "Its values", 0, FAKE_FOREIGN + 96, 4000, &buffer), RP_OK);
    assert_calls("context_push", "pointer_attribute", "pointer_attribute", "pointer_attribute", "pointer_attribute", "context_pop");
    assert_true(buffer.address == FAKE_FOREIGN + 96 && buffer.bytes == 4000 && buffer.kind == RP_MEMORY_DEVICE);
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
    rp_cuda_driver driver = fake_table();
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
    rp_cuda_driver driver = fake_table();
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
    rp_cuda_driver driver = fake_table();
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(opens_and_closes, fake_reset),
        cmocka_unit_test_setup(features_are_named, fake_reset),
        cmocka_unit_test_setup(absent_devices_are_explained, fake_reset),
        cmocka_unit_test_setup(missing_driver_is_explained, fake_reset),
        cmocka_unit_test_setup(records_what_the_plan_says, fake_reset),
        cmocka_unit_test_setup(maps_go_with_a_launch, fake_reset),
        cmocka_unit_test_setup(overlaps_only_where_it_can, fake_reset),
        cmocka_unit_test_setup(overlaps_where_groups_do_not_crowd, fake_reset),
        cmocka_unit_test_setup(replay_is_one_launch, fake_reset),
        cmocka_unit_test_setup(a_queue_is_one_launch, fake_reset),
        cmocka_unit_test_setup(long_queues_are_cut, fake_reset),
        cmocka_unit_test_setup(batches_hold_so_many_nodes, fake_reset),
        cmocka_unit_test_setup(batches_are_bounded, fake_reset),
        cmocka_unit_test_setup(batches_go_with_their_recordings, fake_reset),
        cmocka_unit_test_setup(what_cannot_be_joined_is_launched_singly, fake_reset),
        cmocka_unit_test_setup(a_batch_that_fails_is_named, fake_reset),
        cmocka_unit_test_setup(direct_runs_launch_by_launch, fake_reset),
        cmocka_unit_test_setup(copies_go_through_staging, fake_reset),
        cmocka_unit_test_setup(devices_do_not_notice_each_other, fake_reset),
        cmocka_unit_test_setup(callers_memory_is_checked, fake_reset),
        cmocka_unit_test_setup(callers_stream_is_followed, fake_reset),
        cmocka_unit_test_setup(missing_kernels_are_named, fake_reset),
        cmocka_unit_test_setup(out_of_memory_says_how_much, fake_reset),
    };
    return cmocka_run_group_tests_name("cuda_driver", tests, NULL, NULL);
}
