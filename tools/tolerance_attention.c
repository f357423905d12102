// Tolerances of attention: over time, over variates, in block decode.
#include <math.h>

#include "op_math.h"
#include "tolerance.h"

// y = sum p v / sum p. A score carries d + 3 roundings of its sum of |products| (at most `score`), its difference to the
// maximum one more of at most 2 score, exp 3 roundings (1.5 ulp): each weight is off by (d + 5) score + 3, numerator and
// denominator alike. Sums over `keys` in tiles of 64: one rounding a key, three for each tile's rescaling (exp, product, sum);
// a quotient of 2.5 ulp. All of it times the weighted sum of |v|, which `magnitude` is.
static double allowed(double d, double score, double keys, double magnitude) {
    const double weight = (d + 5) * score + 3, sums = keys + 5 * ceil(keys / RP_ATTN_TILE) + 6;
    return (2 * weight + sums + 5) * U32ROUND * magnitude + keys * 1e4 * FLUSH;
}

// The same on matrix units, which may cut their sums instead of rounding: twice the roundings. off: the error of a score, which
// comes on top of exp's 4; weights and values are rounded to float16, 2^-11 of each; least: where those are subnormal.
static double allowed_mixed(double off, double least, double keys, double magnitude) {
    const double weight = expm1(off) + 4 * U32ROUND, sums = 2 * (keys + 5 * ceil(keys / RP_ATTN_TILE) + 6) * U32ROUND;
    return (2 * weight + 2 * U16ROUND + sums) * (1 + weight) * magnitude + least;
}

// The largest sum of |x| over a head among the heads of the token at element `at`.
static double widest_head(const tolerance_tensor *x, uint64_t at, uint32_t heads, uint32_t d) {
    double widest = 0;
    for (uint32_t h = 0; h < heads; h++) {
        double sum = 0;
        for (uint32_t j = 0; j < d; j++) { sum += fabs(tolerance_at(x, at + h * d + j)); }
        widest = fmax(widest, sum);
    }
    return widest;
}

// The largest |x| of n elements from `at` on.
static double largest(const tolerance_tensor *x, uint64_t at, uint64_t n) {
    double most = 0;
    for (uint64_t i = 0; i < n; i++) { most = fmax(most, fabs(tolerance_at(x, at + i))); }
    return most;
}

// Mixed: extra[0]: the largest error of a score, with q and k rounded to float16, 2^-11 of each or 2^-25 where it is subnormal; extra[1]:
// that of the result where weights or values are subnormal as float16 (the largest weight is 1, so their sum is 1 at least). extra[0] before:
// the largest sum of |q k|; sum: the largest of |q|; key, value: the largest |k| and |v|.
static void mixed_extra(tolerance_case *c, double d, double scale, double sum, double key, double keys, double value) {
    const double subnormal = (sum + d * key) * 0x1p-25 * scale;
    c->extra[0] = (2 * U16ROUND * (1 + U16ROUND) + 2 * (d + 8) * U32ROUND) * c->extra[0] + subnormal;
    c->extra[1] = (keys * value + 1) * 0x1p-25;
}

// extra[0]: the largest sum of |q k| that a live query and a live key may give. Dead slots hold anything and are left out. Mixed: as above.
void tolerance_begin_attn_time(tolerance_case *c) {
    TOLERANCE_PARAMS(c, attn_time);
    const tolerance_tensor *t = c->tensor;       // q, k and v of the prefix, k and v of the suffix
    const uint32_t *n_patches = c->tensor[5].data, step = ((const uint32_t *)c->tensor[6].data)[4];
    const uint64_t D = (uint64_t)p->heads * p->head_width;
    const bool decode = p->suffix_cap > 0;
    double sum = 0, key = 0, value = 0;
    for (uint32_t row = 0; row < p->batch * p->paths * p->variates; row++) {
        const uint32_t b = row / (p->paths * p->variates), v = row % p->variates, n_tokens = n_patches[b] + p->extra;
        for (uint32_t token = 0; token < p->tokens; token++) {
            const bool dead = p->own ? token >= step : !decode && token >= n_tokens;
            if (!dead) { sum = fmax(sum, widest_head(&t[0], ((uint64_t)row * p->tokens + token) * D, p->heads, p->head_width)); }
        }
        const uint64_t shared = n_tokens < p->prefix_cap ? n_tokens : p->prefix_cap, private = step < p->suffix_cap ? step : p->suffix_cap;
        if (row / p->variates % p->paths == 0) {
            const uint64_t at = ((uint64_t)b * p->variates + v) * p->prefix_cap * D;
            key = fmax(key, largest(&t[1], at, shared * D));
            value = fmax(value, largest(&t[2], at, shared * D));
        }
        if (decode) {
            key = fmax(key, largest(&t[3], (uint64_t)row * p->suffix_cap * D, private * D));
            value = fmax(value, largest(&t[4], (uint64_t)row * p->suffix_cap * D, private * D));
        }
    }
    c->extra[0] = sum * key * (double)p->scale;
    if (p->mixed) { mixed_extra(c, p->head_width, (double)p->scale, sum, key, p->prefix_cap + p->suffix_cap, value); }
}

double tolerance_attn_time(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)index;
    TOLERANCE_PARAMS(c, attn_time);
    const uint32_t keys = p->prefix_cap + p->suffix_cap;
    const double error = p->mixed ? allowed_mixed(c->extra[0], c->extra[1], keys, magnitude)
                                  : allowed(p->head_width, c->extra[0], keys, magnitude);
    return error + (p->y_f16 ? U16ROUND * fabs(ref) + 0x1p-25 : 0);
}

// The values alone.
void tolerance_absolute_attn_time(tolerance_case *c) {
    tolerance_make_absolute(&c->tensor[2]);
    tolerance_make_absolute(&c->tensor[4]);
}

// extra, as above. A number of q, or of the new key, that was turned is at most |a| + |b|, so a head's sum of |q| is at most twice what
// it was. Cross-attention: as it was.
void tolerance_begin_attn_step(tolerance_case *c) {
    TOLERANCE_PARAMS(c, attn_step);
    const bool turns = p->positions > 0;
    const tolerance_tensor *fresh = &c->tensor[0], *q = turns ? fresh : &c->tensor[1], *prefix = &c->tensor[2], *own = &c->tensor[3];
    const uint32_t *n_tokens = c->tensor[4].data, step = ((const uint32_t *)c->tensor[5].data)[4], times = turns ? 2 : 1, runs = turns ? 3 : 2;
    const uint64_t D = (uint64_t)p->heads * p->head_width, prefix_values = c->tensor[2].count / 2, own_values = c->tensor[3].count / 2;
    double sum = 0, key = 0, value = 0;
    for (uint64_t row = 0; row < (uint64_t)p->batch * p->paths; row++) {
        const uint64_t b = row / p->paths, shared_at = b * p->prefix_cap * D, own_at = row * p->suffix_cap * D, before = step - 1;
        const uint64_t value_at = (row * runs + runs - 1) * D;
        sum = fmax(sum, times * widest_head(q, row * (turns ? 3 : 1) * D, p->heads, p->head_width));
        key = fmax(fmax(key, times * largest(fresh, value_at - D, D)), fmax(largest(prefix, shared_at, n_tokens[b] * D), largest(own, own_at, before * D)));
        value = fmax(fmax(value, largest(fresh, value_at, D)), fmax(largest(prefix, prefix_values + shared_at, n_tokens[b] * D),
                                                                    largest(own, own_values + own_at, before * D)));
    }
    c->extra[0] = sum * key * (double)p->scale;
    if (p->f16) { mixed_extra(c, p->head_width + 6, (double)p->scale, sum, key, p->prefix_cap + p->suffix_cap, value); }
}

// Turned: two products and a sum, each a rounding of at most |a| + |b|, and two products that may be flushed. So a score carries six
// roundings more. kv: the new key; its value, the rest of the cache, and all of it where nothing turns, as they are.
double tolerance_attn_step(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    TOLERANCE_PARAMS(c, attn_step);
    const uint32_t keys = p->prefix_cap + p->suffix_cap, d = p->head_width, step = ((const uint32_t *)c->tensor[5].data)[4];
    if (output == 0) {
        const uint64_t D = (uint64_t)p->heads * d, row = index / (p->suffix_cap * D), slot = index / D % p->suffix_cap, i = index % d % (d / 2);
        if (p->positions == 0 || row >= (uint64_t)p->batch * p->paths || slot + 1 != step) { return 0; }
        const uint64_t from = (row * 3 + 1) * D + index % D / d * d + i;
        const double both = fabs(tolerance_at(&c->tensor[0], from)) + fabs(tolerance_at(&c->tensor[0], from + d / 2));
        return 3 * U32ROUND * both + 2 * FLUSH + (p->f16 ? U16ROUND * (1 + U16ROUND) * fabs(ref) + 0x1p-25 : 0);
    }
    if (!p->f16) { return allowed(d + 6, c->extra[0], keys, magnitude); }
    return allowed_mixed(c->extra[0], c->extra[1], keys, magnitude) + U16ROUND * fabs(ref) + 0x1p-25;
}

// The values alone, the last of the `runs` of D of each token, and of two tensors behind it, keys and values one after the other.
static void values_absolute(tolerance_case *c, uint64_t D, uint64_t runs) {
    const tolerance_tensor *qkv = &c->tensor[0];
    const uint64_t size = rp_dtype_size(qkv->dtype);
    for (uint64_t at = (runs - 1) * D; at < qkv->count; at += runs * D) {
        tolerance_make_absolute(&(tolerance_tensor){ qkv->dtype, D, (char *)qkv->data + at * size });
    }
    for (uint32_t i = 2; i < 4; i++) {
        const tolerance_tensor *kv = &c->tensor[i];
        tolerance_make_absolute(&(tolerance_tensor){ kv->dtype, kv->count / 2, (char *)kv->data + kv->count / 2 * size });
    }
}

void tolerance_absolute_attn_step(tolerance_case *c) {
    TOLERANCE_PARAMS(c, attn_step);
    values_absolute(c, (uint64_t)p->heads * p->head_width, p->positions > 0 ? 3 : 2);
}

// extra[0] and extra[1], as above; extra[2]: the largest power or its inverse, which a number that was turned has in front.
void tolerance_begin_attn_rope(tolerance_case *c) {
    TOLERANCE_PARAMS(c, attn_rope);
    const tolerance_tensor *qkv = &c->tensor[0], *prefix = &c->tensor[2], *own = &c->tensor[3];
    const uint32_t *n_patches = c->tensor[4].data, step = ((const uint32_t *)c->tensor[5].data)[4];
    const uint64_t D = (uint64_t)p->heads * p->head_width, prefix_values = prefix->count / 2, own_values = own->count / 2;
    const bool decode = p->suffix_cap > 0;
    double sum = 0, key = 0, value = 0;
    for (uint64_t i = (uint64_t)p->positions * p->head_width; i < c->tensor[1].count; i++) {
        const double power = tolerance_at(&c->tensor[1], i);
        c->extra[2] = fmax(c->extra[2], fmax(power, 1 / power));
    }
    for (uint64_t token = 0; token < (uint64_t)p->batch * p->paths * p->variates * p->tokens; token++) {
        sum = fmax(sum, 2 * c->extra[2] * widest_head(qkv, token * 3 * D, p->heads, p->head_width));
        key = fmax(key, 2 * c->extra[2] * largest(qkv, (token * 3 + 1) * D, D));
        value = fmax(value, largest(qkv, (token * 3 + 2) * D, D));
    }
    for (uint64_t row = 0; decode && row < (uint64_t)p->batch * p->paths * p->variates; row++) {
        const uint64_t b = row / (p->paths * p->variates), v = row % p->variates, own_at = row * p->suffix_cap * D, before = (step - 1) * D;
        const uint64_t shared_at = (b * p->variates + v) * p->prefix_cap * D, shared = (n_patches[b] + (uint64_t)p->extra) * D;
        key = fmax(key, fmax(largest(prefix, shared_at, shared), largest(own, own_at, before)));
        value = fmax(value, fmax(largest(prefix, prefix_values + shared_at, shared), largest(own, own_values + own_at, before)));
    }
    c->extra[0] = sum * key * (double)p->scale;
    if (p->f16) { mixed_extra(c, p->head_width + 20, (double)p->scale, sum, key, p->prefix_cap + p->suffix_cap, value); }
}

// Turned, as in rope_kv: 10 roundings of (|a| + |b|) |factor|, so a score carries twice that more. kv: new keys; their values and the rest
// of the cache as they are.
double tolerance_attn_rope(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    TOLERANCE_PARAMS(c, attn_rope);
    const uint32_t d = p->head_width, keys = p->prefix_cap + p->suffix_cap, step = ((const uint32_t *)c->tensor[5].data)[4];
    if (output == 0) {
        const bool decode = p->suffix_cap > 0;
        const uint64_t D = (uint64_t)p->heads * d, slots = decode ? p->suffix_cap : p->prefix_cap, row = index / (slots * D), slot = index / D % slots;
        if (row >= (uint64_t)p->batch * p->paths * p->variates) { return 0; }
        const uint64_t n_tokens = ((const uint32_t *)c->tensor[4].data)[row / (p->paths * p->variates)] + (uint64_t)p->extra;
        if (decode ? slot + 1 != step : slot >= n_tokens) { return 0; }
        const uint64_t from = ((row * p->tokens + (decode ? 0 : slot)) * 3 + 1) * D + index % D / 2 * 2;
        const double both = fabs(tolerance_at(&c->tensor[0], from)) + fabs(tolerance_at(&c->tensor[0], from + 1));
        return 10 * U32ROUND * both * c->extra[2] + 2 * FLUSH + (p->f16 ? U16ROUND * (1 + U16ROUND) * fabs(ref) + 0x1p-25 : 0);
    }
    if (!p->f16) { return allowed(d + 20, c->extra[0], keys, magnitude); }
    return allowed_mixed(c->extra[0], c->extra[1], keys, magnitude) + U16ROUND * fabs(ref) + 0x1p-25;
}

void tolerance_absolute_attn_rope(tolerance_case *c) {
    TOLERANCE_PARAMS(c, attn_rope);
    values_absolute(c, (uint64_t)p->heads * p->head_width, 3);
}

// extra[0], as above; qkv holds q, k and v of a token one after the other.
void tolerance_begin_attn_space(tolerance_case *c) {
    TOLERANCE_PARAMS(c, attn_space);
    const uint64_t D = (uint64_t)p->heads * p->head_width, G = (uint64_t)p->kv_heads * p->head_width;
    const tolerance_tensor *qkv = &c->tensor[0];
    double sum = 0, key = 0;
    for (uint64_t at = 0; at < c->tensor[0].count; at += D + 2 * G) {
        sum = fmax(sum, widest_head(qkv, at, p->heads, p->head_width));
        key = fmax(key, largest(qkv, at + D, G));
    }
    c->extra[0] = sum * key * (double)p->scale;
}

double tolerance_attn_space(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)index;
    TOLERANCE_PARAMS(c, attn_space);
    return allowed(p->head_width, c->extra[0], p->variates, magnitude) + (p->y_f16 ? U16ROUND * fabs(ref) + 0x1p-25 : 0);
}

// The values alone: the last heads of each token.
void tolerance_absolute_attn_space(tolerance_case *c) {
    TOLERANCE_PARAMS(c, attn_space);
    const uint32_t first = p->heads + p->kv_heads, all = p->heads + 2 * p->kv_heads;
    float *qkv = c->tensor[0].data;
    for (uint64_t i = 0; i < c->tensor[0].count; i++) {
        if (i / p->head_width % all >= first) { qkv[i] = fabsf(qkv[i]); }
    }
}

// extra, as above; queries of live tokens, and the slots that the last of them may see.
void tolerance_begin_block_attn(tolerance_case *c) {
    TOLERANCE_PARAMS(c, block_attn);
    const tolerance_tensor *q = &c->tensor[0], *k = &c->tensor[1], *v = &c->tensor[2];
    const uint32_t *n = c->tensor[4].data, *step = c->tensor[5].data;            // step and horizon are words 4 and 5
    const uint64_t D = (uint64_t)p->heads * p->head_width, G = (uint64_t)p->kv_heads * p->head_width;
    double sum = 0, key = 0, value = 0;
    for (uint32_t row = 0; row < p->batch * p->variates; row++) {
        const rp_call call = rp_call_of(n[row / p->variates], step[4], step[5], p->patch_size, p->block, p->later);
        const uint32_t live = call.given + call.fresh - 1;
        for (uint32_t token = 0; token < live; token++) {
            sum = fmax(sum, widest_head(q, ((uint64_t)row * p->q_tokens + token) * D, p->heads, p->head_width));
        }
        key = fmax(key, largest(k, (uint64_t)row * p->cap * G, (call.start + live) * G));
        value = fmax(value, largest(v, (uint64_t)row * p->cap * G, (call.start + live) * G));
    }
    c->extra[0] = sum * key * (double)p->scale;
    if (p->f16) { mixed_extra(c, p->head_width, (double)p->scale, sum, key, p->cap, value); }
}

double tolerance_block_attn(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)index;
    TOLERANCE_PARAMS(c, block_attn);
    if (!p->f16) { return allowed(p->head_width, c->extra[0], p->cap, magnitude); }
    return allowed_mixed(c->extra[0], c->extra[1], p->cap, magnitude) + U16ROUND * fabs(ref) + 0x1p-25;
}

void tolerance_absolute_block_attn(tolerance_case *c) { tolerance_make_absolute(&c->tensor[2]); }
