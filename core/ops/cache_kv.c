// cache_kv: keys and values of one bar put into their cache as they are.
#include "op.h"

rp_status rp_shape_cache_kv(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(cache_kv);
    EXPECT(0, RP_F32, p->rows, 2, p->width);
    EXPECT(1, RP_U32, RP_STEP_WORDS);
    out[0] = RP_SHAPE(RP_F32, p->rows, p->cap, p->width);
    out[1] = RP_SHAPE(RP_F32, p->rows, p->cap, p->width);
    return RP_OK;
}

void rp_launch_cache_kv(const rp_node *node, rp_launch *out) {
    PARAMS(cache_kv);
    launch_point(out, "cache_kv_f32", (uint64_t)p->rows * p->width);
}

void rp_cost_cache_kv(const rp_node *node, rp_cost *out) {
    PARAMS(cache_kv);
    out->flops = 0;
    out->bytes = 16 * (uint64_t)p->rows * p->width;   // one slot of each cache
}

void rp_ref_cache_kv(const void *params, void *const *binding) {
    REF_PARAMS(cache_kv);
    const double *kv = binding[0];                    // [rows, 2, D]
    const struct rp_step step = ref_step(binding[1]);
    double *k = binding[2], *v = binding[3];          // [rows, cap, D]
    const size_t D = p->width;
    for (size_t row = 0; row < p->rows; row++) {
        const size_t to = (row * p->cap + step.step - 1) * D;
        memcpy(k + to, kv + row * 2 * D, D * sizeof *k);
        memcpy(v + to, kv + (row * 2 + 1) * D, D * sizeof *v);
    }
}
