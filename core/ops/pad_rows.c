// pad_rows: rows of a caller's tensor, strided as it likes, into padded rows and their mask; a NaN is a missing value.
#include "op.h"

rp_status rp_shape_pad_rows(const rp_graph *graph, const rp_node *node, rp_shape *out) {
    PARAMS(pad_rows);
    EXPECT(0, RP_F32, p->x_count);
    if (p->mask_words > 0) { EXPECT(1, RP_U32, p->mask_words); }
    out[0] = out[1] = RP_SHAPE(RP_F32, p->rows, p->y_stride);
    out[2] = RP_SHAPE(RP_U32, 1);
    return RP_OK;
}

void rp_launch_pad_rows(const rp_node *node, rp_launch *out) {
    PARAMS(pad_rows);
    launch_point(out, "pad_rows_f32", (uint64_t)p->rows * p->cap);
}

void rp_cost_pad_rows(const rp_node *node, rp_cost *out) {
    PARAMS(pad_rows);
    out->flops = 0;
    out->bytes = (uint64_t)p->rows * ((uint64_t)p->count * (p->mask_words ? 5 : 4) + (uint64_t)p->cap * (p->known ? 4 : 8));
}

void rp_ref_pad_rows(const void *params, void *const *binding) {
    REF_PARAMS(pad_rows);
    const double *x = binding[0];
    const ref_u32 *mask = binding[1];
    double *y = binding[2], *y_mask = binding[3];
    ref_u32 *bad = binding[4];
    const uint32_t bits = RP_PAD_LARGEST;
    float largest;
    memcpy(&largest, &bits, sizeof largest);
    for (uint32_t row = 0; row < p->rows; row++) {
        for (uint32_t t = 0; t < p->cap; t++) {
            const size_t to = (size_t)row * p->y_stride + t;
            double value = 0;
            bool real = false;
            if (t >= p->pad && t - p->pad < p->count) {
                const uint32_t i = t - p->pad, at = p->mask_start + row * p->mask_row_stride + i * p->mask_stride;
                value = x[p->x_start + row * p->x_row_stride + i * p->x_stride];
                real = p->mask_words == 0 || (mask[at / 4].value >> at % 4 * 8 & 255) != 0;
                real = real && (p->known || !isnan(value));
                if (real && !(fabs(value) <= (double)largest)) { bad->value = 1; }
                if (!isfinite(value) && !real) { value = 0; }
                if (p->count - i <= p->whole && !real) {
                    if (!(fabs(value) <= (double)largest)) { value = 0; }
                    real = true;
                }
            }
            y[to] = value;
            if (!p->known) { y_mask[to] = real; }
        }
    }
}
