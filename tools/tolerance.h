// How far a device's result of one node may be from the float64 result of the same rounded inputs: the tests and `reprise
// compare` judge by this. A tolerance follows from the op, its parameters and its inputs, never from the device.
#ifndef TOOLS_TOLERANCE_H
#define TOOLS_TOLERANCE_H

#include "graph.h"

// Half a unit in the last place of 1: the relative error of one float32 rounding.
#define U32ROUND 5.9604644775390625e-08    // 2^-24
#define U16ROUND 4.8828125e-04             // 2^-11, of float16
// What a device that flushes subnormals may lose.
#define FLUSH 1.1754943508222875e-38       // 2^-126

// The tolerance column of core/ops.def.
typedef enum tolerance_column { TOL_EXACT, TOL_POINT, TOL_REDUCE } tolerance_column;
tolerance_column tolerance_column_of(rp_op op);

typedef struct tolerance_tensor {
    rp_dtype dtype;
    uint64_t count;
    void *data;             // [count] of dtype; NULL: absent
} tolerance_tensor;

typedef struct tolerance_case {
    rp_op op;
    uint32_t params[RP_PARAM_BYTES / 4];
    tolerance_tensor tensor[RP_MAX_BINDINGS];   // inputs as they were before the run; outputs are not looked at
    double extra[3];                            // the op's own: bounds of its inputs, set by tolerance_begin
} tolerance_case;

#define TOLERANCE_PARAMS(c, op) const struct rp_##op##_params *p = (const void *)(c)->params

// An op's rule; what is NULL is not needed.
typedef struct tolerance_rule {
    void (*begin)(tolerance_case *c);           // fills extra
    // Largest error allowed in element `index` of output `output`, whose reference value is `ref`; `magnitude` is what the
    // reference gives after `absolute`. INFINITY: anything but NaN. NULL: by the op's column.
    double (*allowed)(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude);
    void (*absolute)(tolerance_case *c);        // makes the inputs what they are for `magnitude`, often absolute values
} tolerance_rule;
extern const tolerance_rule tolerance_rules[RP_OP_COUNT];

// Whether the op can be judged: a sum needs a rule of its own.
bool tolerance_known(rp_op op);
void tolerance_begin(tolerance_case *c);
// Whether `magnitude` is used: then changes the inputs' numbers in place to what gives it.
bool tolerance_absolute(tolerance_case *c);
double tolerance_allowed(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude);
// err/tol: 0 when equal (of one sign, where the tolerance is 0); NaN, which fails, when either is NaN.
double tolerance_ratio(double got, double ref, double tol);

// ---- for the rules ----

void tolerance_make_absolute(tolerance_tensor *t);          // |x| of an F32 or F16 tensor
double tolerance_at(const tolerance_tensor *t, uint64_t i);   // of an F32 or F16 tensor
double tolerance_largest(const tolerance_tensor *t);        // |x| of an F32 or F16 tensor

#define RULE(name)                                                                                                          \
    double tolerance_##name(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude);
RULE(linear) RULE(pair_rows) RULE(rmsnorm) RULE(fold_head) RULE(mixture)                    // tolerance_sums.c
RULE(attn_time) RULE(attn_step) RULE(attn_rope) RULE(attn_space) RULE(block_attn)   // tolerance_attention.c
RULE(scaler) RULE(scale_step)                                               // tolerance_scaling.c
RULE(rope_kv) RULE(rope_half) RULE(silu_mul) RULE(embed_bars) RULE(unpack_bits) RULE(bars_result)   // tolerance_point.c
RULE(draw) RULE(draw_token)                                                 // tolerance_draw.c
RULE(block_scale) RULE(block_rope) RULE(block_result)                       // tolerance_blocks.c
#undef RULE
#define BEGIN(name) void tolerance_begin_##name(tolerance_case *c);
BEGIN(linear) BEGIN(mixture) BEGIN(attn_time) BEGIN(attn_step) BEGIN(attn_rope) BEGIN(attn_space) BEGIN(scaler) BEGIN(scale_step)
BEGIN(rope_kv) BEGIN(block_scale) BEGIN(block_attn) BEGIN(block_result)
#undef BEGIN
#define ABSOLUTE(name) void tolerance_absolute_##name(tolerance_case *c);
ABSOLUTE(products) ABSOLUTE(attn_time) ABSOLUTE(attn_step) ABSOLUTE(attn_rope) ABSOLUTE(attn_space) ABSOLUTE(block_attn)
ABSOLUTE(embed_bars) ABSOLUTE(bars_result)
#undef ABSOLUTE

#endif
