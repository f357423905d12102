// The table of rules, and the columns of core/ops.def for the ops that need none of their own.
#include "tolerance.h"

#include <math.h>

#include "backend.h"

tolerance_column tolerance_column_of(rp_op op) {
    static const tolerance_column column[RP_OP_COUNT] = {
#define RP_OP(name, ENUM, n_in, n_out, tolerance) [RP_OP_##ENUM] = tolerance,
#include "ops.def"
#undef RP_OP
    };
    return column[op];
}

const tolerance_rule tolerance_rules[RP_OP_COUNT] = {
    [RP_OP_SCALER] = { tolerance_begin_scaler, tolerance_scaler, NULL },
    [RP_OP_SCALE_STEP] = { tolerance_begin_scale_step, tolerance_scale_step, NULL },
    [RP_OP_LINEAR] = { tolerance_begin_linear, tolerance_linear, tolerance_absolute_products },
    [RP_OP_PAIR_ROWS] = { NULL, tolerance_pair_rows, NULL },
    [RP_OP_RMSNORM] = { NULL, tolerance_rmsnorm, NULL },
    [RP_OP_ROPE_KV] = { tolerance_begin_rope_kv, tolerance_rope_kv, NULL },
    [RP_OP_ATTN_TIME] = { tolerance_begin_attn_time, tolerance_attn_time, tolerance_absolute_attn_time },
    [RP_OP_ATTN_ROPE] = { tolerance_begin_attn_rope, tolerance_attn_rope, tolerance_absolute_attn_rope },
    [RP_OP_ATTN_SPACE] = { tolerance_begin_attn_space, tolerance_attn_space, tolerance_absolute_attn_space },
    [RP_OP_SILU_MUL] = { NULL, tolerance_silu_mul, NULL },
    [RP_OP_MIXTURE] = { tolerance_begin_mixture, tolerance_mixture, NULL },
    [RP_OP_DRAW] = { NULL, tolerance_draw, NULL },
    [RP_OP_FOLD_HEAD] = { NULL, tolerance_fold_head, tolerance_absolute_products },
    [RP_OP_UNPACK_BITS] = { NULL, tolerance_unpack_bits, NULL },
    [RP_OP_EMBED_BARS] = { NULL, tolerance_embed_bars, tolerance_absolute_embed_bars },
    [RP_OP_ROPE_HALF] = { NULL, tolerance_rope_half, NULL },
    [RP_OP_ATTN_STEP] = { tolerance_begin_attn_step, tolerance_attn_step, tolerance_absolute_attn_step },
    [RP_OP_DRAW_TOKEN] = { NULL, tolerance_draw_token, NULL },
    [RP_OP_BARS_RESULT] = { NULL, tolerance_bars_result, tolerance_absolute_bars_result },
    [RP_OP_BLOCK_SCALE] = { tolerance_begin_block_scale, tolerance_block_scale, NULL },
    [RP_OP_BLOCK_ROPE] = { NULL, tolerance_block_rope, NULL },
    [RP_OP_BLOCK_ATTN] = { tolerance_begin_block_attn, tolerance_block_attn, tolerance_absolute_block_attn },
    [RP_OP_BLOCK_RESULT] = { tolerance_begin_block_result, tolerance_block_result, NULL },
};

bool tolerance_known(rp_op op) { return tolerance_rules[op].allowed != NULL || tolerance_column_of(op) != TOL_REDUCE; }

void tolerance_begin(tolerance_case *c) {
    if (tolerance_rules[c->op].begin != NULL) { tolerance_rules[c->op].begin(c); }
}

bool tolerance_absolute(tolerance_case *c) {
    if (tolerance_rules[c->op].absolute == NULL) { return false; }
    tolerance_rules[c->op].absolute(c);
    return true;
}

double tolerance_allowed(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    if (tolerance_rules[c->op].allowed != NULL) { return tolerance_rules[c->op].allowed(c, output, index, ref, magnitude); }
    // Eight functions or operations of 1 ulp (2 roundings) each.
    return tolerance_column_of(c->op) == TOL_POINT ? 16 * U32ROUND * fabs(ref) + FLUSH : 0;
}

double tolerance_ratio(double got, double ref, double tol) {
    if (got == ref && (tol > 0 || signbit(got) == signbit(ref))) { return 0; }
    return tol > 0 ? fabs(got - ref) / tol : INFINITY;
}

void tolerance_make_absolute(tolerance_tensor *t) {
    for (uint64_t i = 0; t->data != NULL && i < t->count; i++) {
        if (t->dtype == RP_F16) { ((uint16_t *)t->data)[i] &= 0x7FFF; }
        if (t->dtype == RP_F32) { ((float *)t->data)[i] = fabsf(((float *)t->data)[i]); }
    }
}

double tolerance_at(const tolerance_tensor *t, uint64_t i) {
    float x;
    if (t->dtype == RP_F32) { return (double)((const float *)t->data)[i]; }
    rp_convert(&x, RP_F32, (const char *)t->data + i * rp_dtype_size(t->dtype), t->dtype, 1);
    return (double)x;
}

double tolerance_largest(const tolerance_tensor *t) {
    double largest = 0;
    for (uint64_t i = 0; i < t->count; i++) { largest = fmax(largest, fabs(tolerance_at(t, i))); }
    return largest;
}
