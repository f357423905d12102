// The CUDA backend on a driver that records every call and runs nothing: what is asked of the driver, in which order and
// with which parameters. That every call may fail is cuda_faults.c's subject, what kernels compute conformance.c's, how replays are
// joined cuda_queue.c's.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_rig.h"

static const unsigned char image[16];
static const rp_blob no_linear[] = { { "copy", image, image + 16 },
                                     { "rmsnorm", image, image + 16 },
                                     { NULL, NULL, NULL } };

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
    rp_graph_add(r.graph, RP_OP_LINEAR, "product", &p, sizeof p, (rp_tensor *[]){ x, w, NULL, NULL, NULL, NULL }, (rp_tensor *[]){ y });
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
