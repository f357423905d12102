// cache_kv: keys and values of one bar put into their cache as they are.
#include "op.h"

rp_status rp_shape_cache_kv(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(cache_kv);
    EXPECT_F16(p->f16);
    const rp_dtype dtype = p->f16 ? RP_F16 : RP_F32;
    EXPECT(0, dtype, p->rows, 2, p->width);
    EXPECT(1, RP_U32, RP_STEP_WORDS);
    out[0] = out[1] = RP_SHAPE(dtype, p->rows, p->cap, p->width);
    return RP_OK;
}

void rp_launch_cache_kv(const rp_node *node, rp_launch *out) {
    PARAMS(cache_kv);
    launch_point(out, p->f16 ? "cache_kv_f16" : "cache_kv_f32", (uint64_t)p->rows * p->width);
}

void rp_cost_cache_kv(const rp_node *node, rp_cost *out) {
    PARAMS(cache_kv);
    out->flops = 0;
    out->bytes = (p->f16 ? 8 : 16) * (uint64_t)p->rows * p->width;   // one slot of each cache
}

void rp_ref_cache_kv(const void *params, void *const *binding) {
    REF_PARAMS(cache_kv);
    const char *kv = binding[0];                      // [rows, 2, D]
    const struct rp_step step = ref_step(binding[1]);
    char *k = binding[2], *v = binding[3];            // [rows, cap, D]
    const size_t run = p->width * (p->f16 ? sizeof(float) : sizeof(double));
    for (size_t row = 0; row < p->rows; row++) {
        const size_t to = (row * p->cap + step.step - 1) * run;
        memcpy(k + to, kv + row * 2 * run, run);
        memcpy(v + to, kv + (row * 2 + 1) * run, run);
    }
}
