// rmsnorm: x / sqrt(mean(x^2) + eps) * scale, row by row.
#include "op.h"

rp_status rp_shape_rmsnorm(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(rmsnorm);
    EXPECT_F16(p->y_f16);
    if (p->run > 0 && (p->rows % p->run != 0 || p->queries + p->keys > p->run || p->y_f16)) {
        return rp_fail(graph->device, RP_INTERNAL, "'%s' asks for a norm that no kernel makes (op_params.h, rmsnorm).", node->label);
    }
    EXPECT(0, RP_F32, p->rows, p->width);
    EXPECT(1, RP_F32, p->run > 0 ? 2 : 1, p->width);
    out[0] = RP_SHAPE(p->y_f16 ? RP_F16 : RP_F32, p->rows, p->width);
    return RP_OK;
}

// At most GROUPS of them let the next launch start early (kernels/common.cuh), so groups have as many rows as that takes. Where even the
// largest are more, smaller ones fill the device better.
#define GROUPS 256
#define SMALLER 4
static void launch_warps(const struct rp_rmsnorm_params *p, rp_launch *out) {
    static const struct { uint32_t widest; const char *name; } kernels[] = {
        { 256, "rmsnorm_f32_256" }, { 512, "rmsnorm_f32_512" }, { 1024, "rmsnorm_f32_1024" }, { 2048, "rmsnorm_f32_2048" },
    };
    uint32_t i = 0, warps = 1;
    while (p->width > kernels[i].widest) { i++; }
    while (warps < RP_NORM_WARPS && p->rows > GROUPS * warps) { warps *= 2; }
    if (p->rows > GROUPS * warps) { warps = SMALLER; }
    rp_launch_rows(out, kernels[i].name, ceil_div(p->rows, warps), 32 * warps);
}

void rp_launch_rmsnorm(const rp_node *node, rp_launch *out) {
    PARAMS(rmsnorm);
    if (out->fast && p->width % 2 == 0 && p->width <= 2048) {
        launch_warps(p, out);
        return;
    }
    rp_launch_rows(out, "rmsnorm_f32", p->rows, RP_GROUP_ROW);
}

void rp_cost_rmsnorm(const rp_node *node, rp_cost *out) {
    PARAMS(rmsnorm);
    out->flops = 4 * (uint64_t)p->rows * p->width;
}

void rp_ref_rmsnorm(const void *params, void *const *binding) {
    REF_PARAMS(rmsnorm);
    const double *x = binding[0], *scale = binding[1];   // [rows, width], [width] or [2, width]
    for (size_t row = 0; row < p->rows; row++) {
        const size_t place = p->run > 0 ? row % p->run : 0, scale_row = p->run > 0 && place >= p->queries;
        if (p->run > 0 && place >= p->queries + p->keys) {
            memcpy((double *)binding[2] + row * p->width, x + row * p->width, p->width * sizeof *x);
            continue;
        }
        double sum = 0;
        for (size_t i = 0; i < p->width; i++) { sum += x[row * p->width + i] * x[row * p->width + i]; }
        const double root = sqrt(sum / p->width + p->eps);
        for (size_t i = 0; i < p->width; i++) { ref_put(binding[2], row * p->width + i, x[row * p->width + i] / root * scale[scale_row * p->width + i], p->y_f16); }
    }
}
