// CUDA tensors in and out, on a driver that computes nothing: what is queued in which order, with which addresses, and who frees
// what when forecaster, device and tensor go in any order. That the numbers are right is dlpack.c's subject, on a GPU.
#include "case.h"

#include "../backend_cuda/device.h"
#include "args.h"
#include "kronos.h"
#include "reprise_dlpack.h"

#define TINY RP_GOLDEN_DIR "/toto-tiny"
#define KRONOS RP_GOLDEN_DIR "/kronos-tiny"
#define V 3u
#define T 37u
#define H 20u
#define S 4u

// ---- the driver ----

#define MAX_CALLS 4096
static struct {
    const char *calls[MAX_CALLS];
    int n_calls, alive;
    rp_cu_stream marked;                       // of the last event_record
    struct { char kernel[32]; rp_args args; } launches[32];
    int n_launches;
    char *foreign;                             // the caller's memory on the device, FOREIGN_BYTES
    bool spoil;                                // kernels say that a series is bad
} fake;
#define FOREIGN_BYTES 4096

static rp_cu_result note(const char *name) {
    assert_true(fake.n_calls < MAX_CALLS);
    fake.calls[fake.n_calls++] = name;
    return RP_CU_SUCCESS;
}

// Each function of the table notes its name and succeeds; those that hand something out stand below.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define X(member, symbol, parameters) static rp_cu_result plain_##member parameters { return note(#member); }
RP_CU_LIST(X)
#undef X
static void *thing(size_t bytes) {
    fake.alive++;
    return memset(aligned_alloc(256, (bytes + 255) / 256 * 256), 0, bytes);
}
static rp_cu_result gone(void *what) {
    if (what != NULL) { fake.alive--; }
    free(what);
    return RP_CU_SUCCESS;
}
static rp_cu_result count(int *out) { *out = 2; return 0; }
static rp_cu_result version(int *out) { *out = 13000; return 0; }
static rp_cu_result get(rp_cu_device *out, int index) { *out = index; return 0; }
static rp_cu_result name(char *out, int cap, rp_cu_device device) { snprintf(out, (size_t)cap, "Fake"); return 0; }
static rp_cu_result bytes_of(size_t *out, rp_cu_device device) { *out = 1 << 30; return 0; }
static rp_cu_result attribute(int *out, int which, rp_cu_device device) { *out = which == RP_CU_ATTRIBUTE_MAJOR ? 7 : 4; return 0; }
static rp_cu_context primary;
static rp_cu_result retain(rp_cu_context *out, rp_cu_device device) { *out = primary = thing(8); return 0; }
static rp_cu_result release(rp_cu_device device) { return gone(primary); }
static rp_cu_result stream(rp_cu_stream *out, unsigned flags) { *out = thing(8); return 0; }
static rp_cu_result stream_gone(rp_cu_stream s) { return gone(s); }
static rp_cu_result event(rp_cu_event *out, unsigned flags) { *out = thing(8); return 0; }
static rp_cu_result event_gone(rp_cu_event e) { return gone(e); }
static rp_cu_result mark(rp_cu_event e, rp_cu_stream s) { fake.marked = s; return note("event_record"); }
static rp_cu_result memory(rp_cu_pointer *out, size_t bytes) { *out = (uintptr_t)thing(bytes); return 0; }
static rp_cu_result memory_gone(rp_cu_pointer at) { note("memory_free"); return gone((void *)(uintptr_t)at); }
static rp_cu_result host(void **out, size_t bytes, unsigned flags) { *out = thing(bytes); return 0; }
static rp_cu_result host_gone(void *at) { return gone(at); }
static rp_cu_result host_address(rp_cu_pointer *out, void *at, unsigned flags) { *out = (uintptr_t)at; return 0; }
static rp_cu_result up(rp_cu_pointer to, const void *from, size_t bytes, rp_cu_stream s) { memcpy((void *)(uintptr_t)to, from, bytes); return note("copy_to_device"); }
static rp_cu_result down(void *to, rp_cu_pointer from, size_t bytes, rp_cu_stream s) { memcpy(to, (void *)(uintptr_t)from, bytes); return note("copy_to_host"); }
static rp_cu_result module(rp_cu_module *out, const void *image) { *out = thing(8); return 0; }
static rp_cu_result module_gone(rp_cu_module m) { return gone(m); }
static rp_cu_result function(rp_cu_function *out, rp_cu_module m, const char *kernel) { *out = (rp_cu_function)(uintptr_t)kernel; return 0; }
static rp_cu_result graph(rp_cu_graph *out, unsigned flags) { *out = thing(8); return 0; }
static rp_cu_result graph_gone(rp_cu_graph g) { return gone(g); }
static rp_cu_result node(rp_cu_node *out, rp_cu_graph g, const rp_cu_node *deps, size_t n, const rp_cu_kernel_node *what) {
    *out = (rp_cu_node)(uintptr_t)what->function;
    return 0;
}
static rp_cu_result exec(rp_cu_exec *out, rp_cu_graph g, unsigned long long flags) { *out = thing(8); return 0; }
static rp_cu_result exec_gone(rp_cu_exec e) { return gone(e); }
static rp_cu_result launch(rp_cu_function f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                           rp_cu_stream s, void **params, void **extra) {
    assert_true((size_t)fake.n_launches < TEST_COUNT(fake.launches));
    snprintf(fake.launches[fake.n_launches].kernel, sizeof fake.launches->kernel, "%s", (const char *)f);
    memcpy(&fake.launches[fake.n_launches].args, params[0], sizeof(rp_args));
    const int bad = strcmp((const char *)f, "pad_rows_f32") == 0 ? 4 : 2;   // where pad_rows and take_bars mark a series
    if (fake.spoil) { *(uint32_t *)(uintptr_t)fake.launches[fake.n_launches].args.address[bad] = 1; }
    fake.n_launches++;
    return note("launch");
}
static rp_cu_result pointer(void *out, int which, rp_cu_pointer at) {
    const uint64_t first = (uintptr_t)fake.foreign;
    if (at < first || at >= first + FOREIGN_BYTES) { return RP_CU_INVALID_VALUE; }
    *(uint32_t *)out = which == RP_CU_POINTER_KIND ? RP_CU_KIND_DEVICE : 1;
    return note("pointer_attribute");
}
#pragma GCC diagnostic pop

static rp_cuda_driver table(void) {
    static const unsigned char image[16];
    static const rp_blob blobs[] = {
#define RP_OP(name, ENUM, n_in, n_out, tolerance) { #name, image, image + 16 },
#include "ops.def"
#undef RP_OP
        { NULL, NULL, NULL },
    };
    rp_cuda_driver d = { .blobs = blobs };   // and no optional function
#define X(member, symbol, parameters) d.member = plain_##member;
    RP_CU_LIST(X)
#undef X
    d.device_count = count, d.driver_version = version, d.device_get = get, d.device_name = name, d.device_memory = bytes_of;
    d.device_attribute = attribute, d.context_retain = retain, d.context_release = release, d.stream_create = stream;
    d.stream_destroy = stream_gone, d.event_create = event, d.event_destroy = event_gone, d.event_record = mark, d.memory_alloc = memory;
    d.memory_free = memory_gone, d.host_alloc = host, d.host_free = host_gone, d.host_address = host_address, d.copy_to_device = up;
    d.copy_to_host = down, d.module_load = module, d.module_unload = module_gone, d.module_function = function, d.graph_create = graph;
    d.graph_destroy = graph_gone, d.graph_add_kernel = node, d.graph_instantiate = exec, d.exec_destroy = exec_gone, d.launch = launch;
    d.pointer_attribute = pointer;
    return d;
}

// Calls since the last clear that say when work is queued and waited for.
static void order(char *out, size_t cap) {
    static const struct { const char *name, *as; } kept[] = {
        { "event_record", "mark" }, { "stream_wait_event", "follow" }, { "exec_launch", "replay" }, { "launch", "launch" },
        { "stream_wait", "wait" }, { "event_wait", "host" }, { "copy_to_host", "read" }, { "copy_to_device", "write" },
    };
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < fake.n_calls; i++) {
        for (size_t k = 0; k < TEST_COUNT(kept); k++) {
            if (strcmp(fake.calls[i], kept[k].name) == 0) { used += (size_t)snprintf(out + used, cap - used, "%s%s", used ? " " : "", kept[k].as); }
        }
        assert_true(used < cap);
    }
}

// ---- the rig ----

typedef struct rig { rp_device *device; rp_model *model; rp_forecaster *forecaster; } rig;

static rig open_model(const char *folder, bool device_inputs) {
    rig r = { .device = NULL };
    memset(&fake, 0, sizeof fake);
    fake.foreign = aligned_alloc(256, FOREIGN_BYTES);
    assert_non_null(fake.foreign);
    const rp_cuda_driver driver = table();
    r.device = calloc(1, sizeof *r.device);
    assert_non_null(r.device);
    r.device->backend = &rp_backend_cuda;
    test_ok(r.device, rp_cuda_open_with(r.device, 1, &driver), "open");
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = 48, config.max_horizon = H, config.max_batch = 3, config.max_paths = 8;
    config.variates = strcmp(folder, TINY) == 0 ? V : 0, config.device_inputs = device_inputs;
    test_ok(r.device, rp_model_load(r.device, folder, NULL, &r.model), "load");
    test_ok(r.device, rp_forecaster_create(r.model, &config, &r.forecaster), "create");
    fake.n_launches = 0;                       // loading a model runs some
    return r;
}

static rig open_rig(bool device_inputs) { return open_model(TINY, device_inputs); }

static void close_rig(rig *r) {
    rp_forecaster_destroy(r->forecaster);
    rp_model_destroy(r->model);
    rp_device_destroy(r->device);
    assert_int_equal(fake.alive, 0);
    free(fake.foreign);
}

typedef struct tensor { rp_dl_tensor t; int64_t shape[2], strides[2]; } tensor;

static void on_cuda(tensor *x, uint64_t offset, uint8_t code, uint8_t bits, int64_t rows, int64_t cols, int64_t row_stride, int64_t stride) {
    memset(x, 0, sizeof *x);
    x->shape[0] = rows, x->shape[1] = cols, x->strides[0] = row_stride, x->strides[1] = stride;
    x->t.data = fake.foreign, x->t.byte_offset = offset, x->t.ndim = 2, x->t.shape = x->shape, x->t.strides = x->strides;
    x->t.device.device_type = RP_DL_CUDA, x->t.device.device_id = 1;
    x->t.dtype.code = code, x->t.dtype.bits = bits, x->t.dtype.lanes = 1;
}

static rp_forecast_config config_of(uint32_t exogenous) {
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = H, config.paths = S, config.exogenous = exogenous;
    return config;
}

// ---- tests ----

static void copies_stay_on_the_device(void **state) {
    (void)state;
    char queued[512];
    rig r = open_rig(true);
    tensor values, mask, future;
    on_cuda(&values, 256, RP_DL_FLOAT, 32, V, T, 1, V);
    on_cuda(&mask, 1001, RP_DL_BOOL, 8, V, T, T, 1);
    on_cuda(&future, 2048 + 4 * (H - 1), RP_DL_FLOAT, 32, 1, H, H, -1);
    rp_dl_series s = RP_DL_SERIES_INIT;
    s.values = &values.t, s.mask = &mask.t, s.future = &future.t;
    rp_forecast_config config = config_of(1);
    rp_dl_result result = RP_DL_RESULT_INIT;
    fake.n_calls = 0;
    test_ok(r.device, rp_forecast_dlpack(r.forecaster, &s, 1, 0x1234, &config, &result), "forecast");
    assert_ptr_equal(fake.marked, (void *)0x1234);
    // The caller's stream is followed; inputs, three places for one series (values and future each), prompt, start, step; one wait for all;
    // then, from pinned memory, whether all was good. Nothing is copied to or from the host.
    order(queued, sizeof queued);
    assert_string_equal(queued, "mark follow replay launch launch launch launch launch launch replay replay replay wait wait");
    assert_int_equal(fake.n_launches, 6);
    const uint64_t foreign = (uintptr_t)fake.foreign;
    for (int i = 0; i < 6; i++) {
        const rp_args *args = &fake.launches[i].args;
        struct rp_pad_rows_params p;
        memcpy(&p, args->params, sizeof p);
        assert_string_equal(fake.launches[i].kernel, "pad_rows_f32");
        if (i % 2 == 0) {
            assert_true(args->address[0] == foreign + 256 && p.rows == V && p.count == T && p.x_start == 0 && p.x_row_stride == 1 && p.x_stride == V);
            assert_true(args->address[1] == foreign + 1000 && p.mask_start == 1 && p.mask_row_stride == T && p.mask_stride == 1);
            assert_true(p.mask_words == (1 + V * T + 3) / 4 && p.known == 0 && p.pad + p.count <= p.cap && p.x_count == V * T);
        } else {
            assert_true(args->address[0] == foreign + 2048 && p.rows == 1 && p.count == H && p.known == 1 && p.mask_words == 0);
            assert_true(p.x_start == H - 1 && p.x_stride == 0u - 1 && p.x_count == H);
        }
    }
    assert_true(fake.launches[0].args.address[2] != fake.launches[2].args.address[2]);   // each place of the batch has its own
    // No stream: nothing is followed. The default one by either number.
    fake.n_calls = fake.n_launches = 0;
    test_ok(r.device, rp_forecast_dlpack(r.forecaster, &s, 1, RP_DL_STREAM_NONE, &config, &result), "no stream");
    order(queued, sizeof queued);
    assert_null(strstr(queued, "mark"));
    fake.n_launches = 0;
    test_ok(r.device, rp_forecast_dlpack(r.forecaster, &s, 1, 0, &config, &result), "stream 0");
    assert_ptr_equal(fake.marked, (void *)1);
    assert_int_equal(rp_forecast_dlpack(r.forecaster, &s, 1, -2, &config, &result), RP_INVALID_ARGUMENT);
    fake.spoil = true, fake.n_launches = 0;
    assert_int_equal(rp_forecast_dlpack(r.forecaster, &s, 1, 0, &config, &result), RP_INVALID_ARGUMENT);
    assert_non_null(strstr(r.device->error.text, "Series 0"));
    close_rig(&r);
}

// Pinned memory is read by the host, so that waits for the stream that writes it.
static void pinned_memory_is_waited_for(void **state) {
    (void)state;
    char queued[512];
    rig r = open_rig(false);
    static float numbers[V * T];
    tensor values;
    on_cuda(&values, 0, RP_DL_FLOAT, 32, V, T, T, 1);
    values.t.data = numbers, values.t.device.device_type = RP_DL_CUDA_HOST, values.t.device.device_id = 0;
    rp_dl_series s = RP_DL_SERIES_INIT;
    s.values = &values.t;
    rp_forecast_config config = config_of(0);
    rp_dl_result result = RP_DL_RESULT_INIT;
    fake.n_calls = 0;
    test_ok(r.device, rp_forecast_dlpack(r.forecaster, &s, 1, 2, &config, &result), "forecast");
    order(queued, sizeof queued);
    assert_string_equal(queued, "mark follow host replay replay replay wait");
    // And without device_inputs a CUDA tensor is refused with what to do.
    on_cuda(&values, 0, RP_DL_FLOAT, 32, V, T, T, 1);
    assert_int_equal(rp_forecast_dlpack(r.forecaster, &s, 1, 2, &config, &result), RP_INVALID_ARGUMENT);
    assert_non_null(strstr(r.device->error.text, "device_inputs"));
    close_rig(&r);
}

static void hostile_cuda_tensors(void **state) {
    (void)state;
    static const struct { uint64_t offset; int64_t row_stride; int32_t id; rp_status status; const char *says; } wrong[] = {
        { 0, T, 0, RP_INVALID_ARGUMENT, "cuda:0" },                       // another device
        { 2, T, 1, RP_INVALID_ARGUMENT, "aligned" },
        { 0, 1000, 1, RP_INVALID_ARGUMENT, "does not know it" },          // ends behind the memory
        { 0, -1, 1, RP_INVALID_ARGUMENT, "does not know it" },            // begins before it
        { FOREIGN_BYTES, T, 1, RP_INVALID_ARGUMENT, "does not know it" },
        { 0, (int64_t)1 << 31, 1, RP_UNSUPPORTED, "2^31" },
    };
    rig r = open_rig(true);
    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        tensor values;
        on_cuda(&values, wrong[i].offset, RP_DL_FLOAT, 32, V, T, wrong[i].row_stride, 1);
        values.t.device.device_id = wrong[i].id;
        rp_dl_series s = RP_DL_SERIES_INIT;
        s.values = &values.t;
        rp_forecast_config config = config_of(0);
        rp_dl_result result = RP_DL_RESULT_INIT;
        const rp_status status = rp_forecast_dlpack(r.forecaster, &s, 1, 0, &config, &result);
        if (status != wrong[i].status || strstr(r.device->error.text, wrong[i].says) == NULL) {
            fail_msg("case %zu: %s, \"%s\"", i, rp_status_name(status), r.device->error.text);
        }
    }
    assert_int_equal(fake.n_launches, 0);
    close_rig(&r);
}

// Bars: one launch for each place; of what stands in the caller's tensor nothing passes through memory of the host.
static void bars_stay_on_the_device(void **state) {
    (void)state;
    enum { BARS = 21, AHEAD = 3 };
    char queued[512];
    rig r = open_model(KRONOS, true);
    const kronos_forecaster *f = (const kronos_forecaster *)r.forecaster;
    tensor bars, times, ahead;
    static int64_t clock[BARS + AHEAD];
    for (int i = 0; i < BARS + AHEAD; i++) { clock[i] = 1700000100 + 300 * (int64_t)i; }
    on_cuda(&bars, 2048 + 4 * (BARS - 1), RP_DL_FLOAT, 32, BARS, 5, -1, BARS);   // columns, the latest bar first
    on_cuda(&times, 0, RP_DL_INT, 64, 1, BARS, BARS, 1), on_cuda(&ahead, 0, RP_DL_INT, 64, 1, AHEAD, AHEAD, 1);
    times.t.data = clock, ahead.t.data = clock + BARS;
    times.t.device.device_type = ahead.t.device.device_type = RP_DL_CPU;
    rp_dl_bars s[2] = { RP_DL_BARS_INIT, RP_DL_BARS_INIT };
    s[0].bars = &bars.t, s[0].times = &times.t, s[0].future_times = &ahead.t, s[0].id = 7;
    rp_forecast_config config = config_of(0);
    config.horizon = AHEAD, config.paths = S;
    rp_dl_result result = RP_DL_RESULT_INIT;
    memset(fake.foreign, 0x7e, FOREIGN_BYTES);
    memset(f->storage.host_in->mapped, 0x55, (size_t)f->storage.in_words * 4);
    fake.n_calls = 0;
    test_ok(r.device, rp_forecast_bars_dlpack(r.forecaster, s, 1, 0x1234, &config, &result), "forecast");
    assert_ptr_equal(fake.marked, (void *)0x1234);
    // The caller's stream is followed; inputs, the three places, prompt, start, two steps, finish; one wait for all; whether all was good.
    order(queued, sizeof queued);
    assert_string_equal(queued, "mark follow replay launch launch launch replay replay replay replay replay wait wait");
    assert_int_equal(fake.n_launches, 3);
    for (int i = 0; i < 3; i++) {
        const rp_args *args = &fake.launches[i].args;
        struct rp_take_bars_params p;
        memcpy(&p, args->params, sizeof p);
        assert_string_equal(fake.launches[i].kernel, "take_bars_f32");
        assert_true(args->address[0] == (uintptr_t)fake.foreign + 2048 && p.bars == BARS && p.columns == 5 && p.x_count == 5 * BARS);
        assert_true(p.x_start == BARS - 1 && p.x_row_stride == 0u - 1 && p.x_stride == BARS);
        const uint64_t place = (uint64_t)i * 48 * RP_BAR_COLUMNS * sizeof(float);   // 48: max_context
        assert_true(args->address[1] == f->in.bars->buffer->address + f->in.bars->offset + place);
        assert_true(args->address[2] == f->staged.bad->buffer->address + f->staged.bad->offset + (uint64_t)i * 4);
    }
    // What the host hands over has zeros where the bars will stand, and the calendar.
    const unsigned char *staged = (const unsigned char *)f->storage.host_in->mapped + f->staged.bars->offset;
    for (uint64_t i = 0; i < rp_tensor_bytes(f->staged.bars); i++) { assert_int_equal(staged[i], 0); }
    const uint32_t *stamps = (const void *)((const char *)f->storage.host_in->mapped + f->staged.stamps->offset);
    uint32_t stamp[RP_BAR_STAMPS];
    kronos_stamp(clock[BARS], stamp);
    assert_memory_equal(stamps + BARS * RP_BAR_STAMPS, stamp, sizeof stamp);
    // One from the host beside it: its places are left to the copy.
    static float prices[5][BARS];
    for (int i = 0; i < 5 * BARS; i++) { prices[i / BARS][i % BARS] = 10 + (float)(i % 3); }
    tensor here;
    on_cuda(&here, 0, RP_DL_FLOAT, 32, BARS, 5, 1, BARS);
    here.t.data = prices, here.t.device.device_type = RP_DL_CPU;
    s[1] = s[0], s[1].bars = &here.t;
    fake.n_launches = 0;
    test_ok(r.device, rp_forecast_bars_dlpack(r.forecaster, s, 2, RP_DL_STREAM_NONE, &config, &result), "one from the host");
    assert_int_equal(fake.n_launches, 1);
    fake.spoil = true, fake.n_launches = 0;
    assert_int_equal(rp_forecast_bars_dlpack(r.forecaster, s, 1, 0, &config, &result), RP_INVALID_ARGUMENT);
    assert_non_null(strstr(r.device->error.text, "Series 0, which came as a CUDA tensor"));
    fake.spoil = false, fake.n_launches = 0;
    on_cuda(&bars, FOREIGN_BYTES - 64, RP_DL_FLOAT, 32, BARS, 6, 6, 1);
    assert_int_equal(rp_forecast_bars_dlpack(r.forecaster, s, 1, 0, &config, &result), RP_INVALID_ARGUMENT);
    assert_non_null(strstr(r.device->error.text, "Series 0: bars"));
    assert_int_equal(fake.n_launches, 0);
    close_rig(&r);
    // And without device_inputs a CUDA tensor is refused with what to do.
    r = open_model(KRONOS, false);
    on_cuda(&bars, 0, RP_DL_FLOAT, 32, BARS, 6, 6, 1);
    assert_int_equal(rp_forecast_bars_dlpack(r.forecaster, s, 1, 0, &config, &result), RP_INVALID_ARGUMENT);
    assert_non_null(strstr(r.device->error.text, "device_inputs = 1"));
    close_rig(&r);
}

static void forecast_host(rig *r, rp_status want) {
    static float values[2 * V * T];
    rp_series s[2] = { RP_SERIES_INIT, RP_SERIES_INIT };
    rp_forecast_config config = config_of(0);
    rp_forecast_result none = RP_FORECAST_RESULT_INIT;
    s[0].values = values, s[1].values = values + V * T, s[0].context = s[1].context = T;
    assert_int_equal(rp_forecast(r->forecaster, s, 2, &config, &none), want);
}

static void samples_are_lent(void **state) {
    (void)state;
    char queued[512];
    rig r = open_rig(false);
    rp_dl_managed_tensor *lent, *again;
    assert_int_equal(rp_forecaster_lend_samples(NULL, &lent), RP_INVALID_ARGUMENT);
    assert_int_equal(rp_forecaster_lend_samples(r.forecaster, NULL), RP_INVALID_ARGUMENT);
    assert_int_equal(rp_forecaster_lend_samples(r.forecaster, &lent), RP_INVALID_ARGUMENT);
    assert_null(lent);
    assert_non_null(strstr(r.device->error.text, "no forecast"));
    fake.n_calls = 0;
    forecast_host(&r, RP_OK);
    order(queued, sizeof queued);
    assert_string_equal(queued, "replay replay replay wait");   // nothing is collected where no array is wanted
    test_ok(r.device, rp_forecaster_lend_samples(r.forecaster, &lent), "lend");
    const rp_dl_tensor *t = &lent->dl_tensor;
    const int64_t shape[] = { 2, V, H, S }, strides[] = { V * 32 * 8, 32 * 8, 8, 1 };   // 32: H in patches of 16; 8: max_paths
    assert_true((int)t->device.device_type == RP_DL_CUDA && t->device.device_id == 1 && t->ndim == 4 && (uintptr_t)t->data % 256 == 0);
    assert_memory_equal(t->shape, shape, sizeof shape);
    assert_memory_equal(t->strides, strides, sizeof strides);
    assert_int_equal(rp_forecaster_lend_samples(r.forecaster, &again), RP_INVALID_ARGUMENT);
    forecast_host(&r, RP_INVALID_ARGUMENT);
    assert_non_null(strstr(r.device->error.text, "deleter"));
    lent->deleter(lent);
    fake.n_calls = 0;
    forecast_host(&r, RP_OK);                                    // behind whoever read them
    order(queued, sizeof queued);
    assert_string_equal(queued, "mark follow replay wait");        // the same replays again: one launch
    fake.n_calls = 0;
    forecast_host(&r, RP_OK);
    order(queued, sizeof queued);
    assert_string_equal(queued, "replay wait");
    close_rig(&r);
}

// Forecaster, model, device and tensor go in every order that is allowed; memory goes with the last that needs it.
static void any_order_of_ends(void **state) {
    (void)state;
    for (int way = 0; way < 3; way++) {
        rig r = open_rig(false);
        rp_dl_managed_tensor *lent;
        forecast_host(&r, RP_OK);
        test_ok(r.device, rp_forecaster_lend_samples(r.forecaster, &lent), "lend");
        char *data = lent->dl_tensor.data;
        if (way == 0) { lent->deleter(lent); }
        rp_forecaster_destroy(r.forecaster);
        rp_model_destroy(r.model);
        r.forecaster = NULL, r.model = NULL;
        if (way > 0) {
            assert_true(r.device->counters.buffer_bytes > 0);
            memset(data, 1, sizeof(float) * S);                  // still there: the sanitizer watches
        }
        if (way == 1) { lent->deleter(lent); }
        if (way < 2) { assert_int_equal(r.device->counters.buffer_bytes, 0); }
        close_rig(&r);                                           // nothing is alive, in way 2 by the device's end
        if (way == 2) { lent->deleter(lent); }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_stay_on_the_device), cmocka_unit_test(pinned_memory_is_waited_for), cmocka_unit_test(hostile_cuda_tensors),
        cmocka_unit_test(bars_stay_on_the_device),   cmocka_unit_test(samples_are_lent),          cmocka_unit_test(any_order_of_ends),
    };
    return cmocka_run_group_tests_name("dlpack_cuda", tests, NULL, NULL);
}
