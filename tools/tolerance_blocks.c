// Tolerances of the ops of block decode but for its attention: block_scale, block_rope, block_result.
#include <float.h>
#include <math.h>

#include "op_math.h"
#include "tolerance.h"

#define LEVELS RP_BLOCK_QUANTILES
#define LEAST_STD 1e-6
// Statistics are float64, or pairs of float32 with the same result to 1e-12 relative; relative to the largest |x| where sums cancel.
#define STATISTICS 1e-12

static rp_call call_of(const tolerance_case *c, uint32_t lengths, uint32_t step, uint32_t b, uint32_t patch_size, uint32_t block,
                       uint32_t later) {
    const uint32_t *n = c->tensor[lengths].data, *s = c->tensor[step].data;      // step and horizon are words 4 and 5
    return rp_call_of(n[b], s[4], s[5], patch_size, block, later);
}

static double std_of(double n, double m2) { return fmax(sqrt(m2 / fmax(n - 1, 1)), LEAST_STD); }

// ---- block_scale ----

// The least standard deviation that a token of one row is scaled by: after each patch, or after as many values as the fallback asks.
static double least_std(const float *x, const float *seen, const double *state, uint32_t first, uint32_t last, uint32_t patch_size) {
    double n = state ? state[0] : 0, mean = state ? state[1] : 0, m2 = state ? state[2] : 0, least = INFINITY;
    for (uint32_t t = first * patch_size; t < last * patch_size; t++) {
        if (seen[t] != 0) {
            const double before = (double)x[t] - mean;
            n++;
            mean += before / n;
            m2 += before * ((double)x[t] - mean);
        }
        least = fmin(least, std_of(n, m2));
    }
    return least;
}

// extra[0]: the largest |x|, or what the state says of it; extra[1]: one over the least standard deviation.
void tolerance_begin_block_scale(tolerance_case *c) {
    TOLERANCE_PARAMS(c, block_scale);
    const uint64_t length = (uint64_t)p->series_patches * p->patch_size, rows = (uint64_t)p->batch * p->variates;
    const float *series = c->tensor[0].data;
    const double *states = c->tensor[4].data;
    const uint32_t *n = c->tensor[2].data, horizon = ((const uint32_t *)c->tensor[3].data)[5];
    for (uint64_t i = 0; i < rows * length; i++) { c->extra[0] = fmax(c->extra[0], fabs((double)series[i])); }
    for (uint64_t row = 0; row < rows; row++) {
        const double *state = p->later ? states + row * RP_BLOCK_STATE : NULL;
        const uint32_t b = (uint32_t)(row / p->variates), last = n[b] + (horizon + p->patch_size - 1) / p->patch_size;
        const rp_call call = call_of(c, 2, 3, b, p->patch_size, p->block, p->later);
        if (state != NULL) { c->extra[0] = fmax(c->extra[0], fabs(state[1]) + sqrt(state[2])); }
        c->extra[1] = fmax(c->extra[1], 1 / least_std(series + row * length, series + (rows + row) * length, state, call.start,
                                                      last < p->series_patches ? last : p->series_patches, p->patch_size));
    }
}

// z = asinh(u), u = (x - mean) / std off by 4 roundings and by what mean and std are; the slope of asinh is 1 / sqrt(1 + u^2), its own
// error 5 ulp. n is exact; M2's error: 2 sum |x - mean| times the mean's error, at most 2 n largest times it.
double tolerance_block_scale(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)magnitude;
    TOLERANCE_PARAMS(c, block_scale);
    const double largest = c->extra[0], u = sinh(ref);
    if (output == 0) {
        if (index / p->patch_size % 2 != 0) { return 0; }
        return (4 * U32ROUND * fabs(u) + STATISTICS * c->extra[1] * largest * (1 + fabs(u))) / sqrt(1 + u * u) + 10 * U32ROUND * fabs(ref) + FLUSH +
               (p->x_f16 ? U16ROUND * fabs(ref) + 0x1p-25 : 0);
    }
    if (output == 2) { return 0; }
    const double before = p->later ? ((const double *)c->tensor[4].data)[index / RP_BLOCK_STATE * RP_BLOCK_STATE] : 0;
    const double n = (double)p->series_patches * p->patch_size + before;
    switch (index % RP_BLOCK_STATE) {
    case 1: return STATISTICS * largest;
    case 2: return STATISTICS * (fabs(ref) + 2 * sqrt(n * fabs(ref)) * largest + n * largest * largest * STATISTICS);
    default: return 0;
    }
}

// ---- block_rope ----

// Two products, a sum and a product: 5 roundings of (|a| + |b|) power. All else is copied or not written. To float16: one rounding more.
double tolerance_block_rope(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)magnitude;
    TOLERANCE_PARAMS(c, block_rope);
    const uint32_t d = p->head_width, pairs = d / 4, heads = output == 0 ? p->heads : p->kv_heads, i = (uint32_t)(index % d);
    const uint64_t slots = output == 0 ? p->tokens : p->cap, row = index / ((uint64_t)heads * d) / slots, slot = index / ((uint64_t)heads * d) % slots;
    const rp_call call = call_of(c, 3, 4, (uint32_t)(row / p->variates), p->patch_size, p->block, p->later);
    const uint64_t token = output == 0 ? slot : slot - call.start;
    if (slot + (output == 0 ? call.start : 0) < call.start || token >= call.given + call.fresh - 1) { return 0; }
    const double rounded = p->y_f16 ? U16ROUND * fabs(ref) + 0x1p-25 : 0;
    if (output == 2 || i >= d / 2) { return p->x_f16 ? 0 : rounded; }
    const uint64_t head = index / d % heads + (output == 0 ? 0 : p->heads);
    const uint64_t from = ((row * p->tokens + token) * (p->heads + 2 * (uint64_t)p->kv_heads) + head) * d + i / 2 * 2;
    const uint64_t away = call.start + token - (call.start + call.given + call.fresh) / 2;
    const uint64_t e = output == 0 ? p->zero + away : p->zero - away;
    const double power = (double)((const float *)c->tensor[2].data)[e * pairs + i / 2];
    return 5 * U32ROUND * (fabs(tolerance_at(&c->tensor[0], from)) + fabs(tolerance_at(&c->tensor[0], from + 1))) * power + 2 * FLUSH + rounded;
}

// ---- block_result ----

// The largest |sinh(raw)| std + |mean| of n raws, with what a cap adds; INFINITY where float32 cannot hold one.
static double largest_of(const tolerance_case *c, uint64_t row, const float *raw, uint64_t n) {
    const double *s = (const double *)c->tensor[1].data + row * RP_BLOCK_STATE, std = std_of(s[0], s[2]);
    const double k = (double)rp_bits_float(((const uint32_t *)c->tensor[2].data)[1]);
    double most = 0;
    for (uint64_t i = 0; i < n; i++) { most = fmax(most, fabs(sinh((double)raw[i])) * std); }
    most += fabs(s[1]) + (k > 0 ? fabs(s[3]) + fabs(s[4]) + k * std : 0);
    return most <= (double)FLT_MAX ? most : INFINITY;
}

// extra[0]: the largest of all levels that are finite.
void tolerance_begin_block_result(tolerance_case *c) {
    TOLERANCE_PARAMS(c, block_result);
    const uint64_t each = (uint64_t)p->count * p->patch_size * LEVELS;
    for (uint64_t i = 0; i < c->tensor[0].count; i++) {
        const double most = largest_of(c, i / each, (const float *)c->tensor[0].data + i, 1);
        if (isfinite(most)) { c->extra[0] = fmax(c->extra[0], most); }
    }
}

// y = sinh(raw) std + mean: at most 6 ulp for sinh where quotients are those of Vulkan, one for what becomes float32: 16 roundings.
// Sorting may bring any of a step's nine here, and an infinity any of its patch: relative to the largest. A level between what
// float32 and float64 can hold is finite in one alone, which shows in all of its patch: it is not judged.
double tolerance_block_result(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)ref, (void)magnitude;
    TOLERANCE_PARAMS(c, block_result);
    const uint64_t P = p->patch_size, rows = (uint64_t)p->batch * p->variates, length = p->series_patches * P;
    if (output == 0 && index >= rows * length) { return 0; }                     // what is observed
    const uint64_t row = output == 0 ? index / length : index / p->horizon_cap / LEVELS, b = row / p->variates;
    const rp_call call = call_of(c, 3, 4, (uint32_t)b, p->patch_size, p->block, p->later);
    const uint32_t ahead = call.start + call.given - (output == 0 ? 0 : ((const uint32_t *)c->tensor[3].data)[b]);
    const uint64_t step = output == 0 ? index % length : index % p->horizon_cap, patch = step / P;
    if (patch < ahead || patch >= ahead + (uint64_t)call.fresh) { return 0; }    // not written
    const float *in_patch = (const float *)c->tensor[0].data + (row * p->count + patch - ahead) * P * LEVELS;
    const double most = largest_of(c, row, in_patch + step % P * LEVELS, LEVELS);
    if (isfinite(most)) { return 16 * U32ROUND * most + FLUSH; }
    for (uint64_t i = 0; i < P * LEVELS; i++) {
        if (isinf(largest_of(c, row, in_patch + i, 1)) && isfinite(sinh((double)in_patch[i]))) { return INFINITY; }
    }
    return 16 * U32ROUND * c->extra[0] + FLUSH;
}
