// What every file in core/ops/ needs, and the reference backend's view of memory.
#ifndef RP_OPS_OP_H
#define RP_OPS_OP_H

#include <math.h>
#include <string.h>

#include "../backend.h"

// The reference device keeps every byte of a buffer twice as wide, so that offsets stay what they are elsewhere (times two)
// and nothing is rounded to float32: F32 is a double, F16 a float; U32, I32 and F64 sit in the first half of what they take.
typedef struct { uint32_t value, unused; } ref_u32;
typedef struct { int32_t value, unused; } ref_i32;
typedef struct { double value, unused; } ref_f64;

// Element `at` of a binding that is F32, kept as doubles, or F16, kept as floats.
static inline double ref_get(const void *binding, size_t at, bool f16) {
    return f16 ? (double)((const float *)binding)[at] : ((const double *)binding)[at];
}
static inline void ref_put(void *binding, size_t at, double value, bool f16) {
    if (f16) {
        ((float *)binding)[at] = (float)value;
    } else {
        ((double *)binding)[at] = value;
    }
}

static inline struct rp_step ref_step(const void *binding) {
    const ref_u32 *w = binding;
    return (struct rp_step){ w[0].value, w[1].value, w[2].value, w[3].value, w[4].value,
                             w[5].value, w[6].value, w[7].value, w[8].value };
}

// A node's parameters as its own struct.
#define PARAMS(op) const struct rp_##op##_params *p = (const void *)node->params
#define REF_PARAMS(op) const struct rp_##op##_params *p = params

// Checks one input against a shape and leaves on a mismatch.
#define EXPECT(input, dtype, ...) RP_RETURN(rp_expect(graph, node, input, RP_SHAPE(dtype, __VA_ARGS__)))

// Leaves unless the device has kernels for float16 tensors; the reference takes them too, so that others can be compared.
#define EXPECT_F16(asked)                                                                                                     \
    do {                                                                                                                      \
        const rp_device_info *info = &graph->device->info;                                                                    \
        if ((asked) && !info->mixed && info->kind != RP_DEVICE_REFERENCE) {                                                   \
            return rp_fail(graph->device, RP_UNSUPPORTED, "'%s' takes float16, and %s has no kernels for it; use precision f32.", \
                           node->label, info->spec);                                                                          \
        }                                                                                                                     \
    } while (0)

static inline uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

// A launch of one invocation for each of n elements.
static inline void launch_point(rp_launch *out, const char *kernel, uint64_t n) {
    rp_launch_rows(out, kernel, ceil_div(n, RP_GROUP_POINT), RP_GROUP_POINT);
}

// y = softmax weights of scores x[n] in place; the sum ascending.
static inline void ref_softmax(double *x, uint32_t n) {
    double top = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < n; i++) { top = fmax(top, x[i]); }
    for (uint32_t i = 0; i < n; i++) { sum += x[i] = exp(x[i] - top); }
    for (uint32_t i = 0; i < n; i++) { x[i] /= sum; }
}

static inline double ref_softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

#endif
