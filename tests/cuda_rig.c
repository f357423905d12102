#include "cuda_rig.h"

rp_status rig_open(rig *r, const rp_cuda_driver *driver, int index, bool direct) {
    *r = (rig){ 0 };
    r->device.backend = &rp_backend_cuda;
    r->device.config.direct = direct;
    r->device.info = (rp_device_info)RP_DEVICE_INFO_INIT;
    return rp_cuda_open_with(&r->device, index, driver);
}

rp_status rig_plan(rig *r) {
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
    rp_graph_add(r->graph, RP_OP_LINEAR, "first", &plain, sizeof plain, (rp_tensor *[]){ a[0], w, NULL, NULL, NULL, NULL }, b);
    rp_graph_add(r->graph, RP_OP_COPY, "early", &words, sizeof words, (rp_tensor *[]){ x }, (rp_tensor *[]){ out });
    rp_graph_add(r->graph, RP_OP_LINEAR, "second", &full, sizeof full, (rp_tensor *[]){ b[0], w, bias, a[0], NULL, NULL }, c);
    rp_graph_add(r->graph, RP_OP_COPY, "late", &words, sizeof words, (rp_tensor *[]){ c[0] }, (rp_tensor *[]){ out });
    RP_TRY(rp_plan_create(r->graph, &r->plan));
    RP_TRY(cuda->buffer_create(&r->device, r->plan->activation_bytes, RP_MEMORY_DEVICE, &r->activations));
    rp_plan_bind(r->graph, r->plan, r->activations);
cleanup:
    return status;
}

void rig_close(rig *r) {
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

int count_calls(const char *name) {
    int n = 0;
    for (int i = 0; i < fake.n_calls; i++) { n += strcmp(fake.calls[i], name) == 0; }
    return n;
}
