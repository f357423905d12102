// attn_rope: prompts and steps, from one query to more than a group takes, one key to 32, heads of one piece to sixteen; label tokens, series
// shorter than the capacity, slots that stay untouched.
#include "attention.h"

static const struct { const char *name; struct rp_attn_rope_params p; bool steep; } cases[] = {
    //                             B  S  V  n  h  d   N   R ext pos zero       f16
    { "one key", { 1, 1, 1, 1, 1, 4, 1, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "prompt", { 2, 1, 3, 9, 2, 8, 9, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "prompt, label, head 52", { 3, 1, 2, 7, 3, 52, 7, 0, 1, 0, 0, 0, 0, 0 }, true },
    { "prompt, 8 tokens, head 64", { 2, 1, 1, 8, 12, 64, 8, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "prompt, 16 tokens, head 20", { 3, 1, 1, 16, 2, 20, 16, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "prompt, 17 tokens, head 64", { 3, 1, 2, 17, 1, 64, 17, 0, 1, 0, 0, 0, 0, 0 }, true },
    { "prompt, 32 tokens, head 60", { 2, 1, 1, 32, 2, 60, 32, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "decode, one path, one key", { 1, 1, 1, 1, 1, 4, 1, 1, 0, 0, 0, 0, 0, 0 }, false },
    { "decode", { 2, 5, 3, 1, 2, 8, 9, 6, 0, 0, 0, 0, 0, 0 }, false },
    { "decode, label, 37 paths, head 64", { 3, 37, 2, 1, 3, 64, 8, 3, 1, 0, 0, 0, 0, 0 }, true },
    { "decode, 31 keys, head 48", { 2, 17, 1, 1, 2, 48, 22, 9, 0, 0, 0, 0, 0, 0 }, true },
    { "decode, long suffix, head 64", { 1, 9, 1, 1, 2, 64, 1, 31, 0, 0, 0, 0, 0, 0 }, false },
    { "float16, prompt, 8 tokens, head 64", { 3, 1, 2, 8, 12, 64, 8, 0, 0, 0, 0, 0, 0, 1 }, true },
    { "float16, prompt, label, 30 tokens, head 64", { 2, 1, 1, 30, 2, 64, 30, 0, 1, 0, 0, 0, 0, 1 }, true },
    { "float16, decode, 70 paths, head 64", { 2, 70, 1, 1, 12, 64, 8, 3, 0, 0, 0, 0, 0, 1 }, true },
    { "float16, decode, label, 32 keys, head 36", { 2, 7, 3, 1, 2, 36, 22, 10, 1, 0, 0, 0, 0, 1 }, false },
};

static void uniform(test_case *c, uint32_t binding, uint64_t count, float low, float high) { (void)test_uniform(c, binding, count, low, high); }

bool test_case_attn_rope(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    struct rp_attn_rope_params *p = (void *)c->params;
    attention_scale(p->head_width, &p->scale, &p->scale_rest);
    p->positions = p->prefix_cap + p->suffix_cap, p->xpos_zero = p->positions / 2 + 1;
    const bool decode = p->suffix_cap > 0;
    const uint64_t rows = (uint64_t)p->batch * p->paths * p->variates, D = (uint64_t)p->heads * p->head_width, half = p->head_width / 2;
    const uint64_t angles = p->positions * half, powers = (2 * (uint64_t)p->xpos_zero + 1) * half;
    const float range = cases[index].steep ? 3 : 1;
    void (*numbers)(test_case *, uint32_t, uint64_t, float, float) = p->f16 ? test_uniform_f16 : uniform;
    numbers(c, 0, rows * p->tokens * 3 * D, -range, range);
    float *tables = test_f32(c, 1, 2 * angles + powers);
    for (uint64_t i = 0; i < angles; i++) {
        const double angle = (double)(i / half) * pow(10000, -2.0 * (double)(i % half) / p->head_width);
        tables[2 * i] = (float)cos(angle), tables[2 * i + 1] = (float)sin(angle);
    }
    for (uint64_t i = 0; i < powers; i++) {                              // steeper than the model's, so that a wrong row shows
        const double s = (2.0 * (double)(i % half) + 0.4 * p->head_width) / (1.4 * p->head_width);
        tables[2 * angles + i] = (float)pow(s, ((double)(i / half) - p->xpos_zero) / 96);
    }
    if (decode) { numbers(c, 2, 2 * (uint64_t)p->batch * p->variates * p->prefix_cap * D, -range, range); }
    numbers(c, 3, 2 * rows * (decode ? p->suffix_cap : p->prefix_cap) * D, -range, range);
    uint32_t *n_patches = test_u32(c, 4, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) {
        n_patches[b] = b == 0 ? p->prefix_cap - p->extra : 1 + test_below(c, p->prefix_cap - p->extra);
    }
    const uint32_t step = !decode ? 0 : c->variation == 0 ? 1 : 1 + (c->variation * 29 + 5) % p->suffix_cap;
    test_step(c, 5, (struct rp_step){ .batch = p->batch, .paths = p->paths, .step = step });
    test_alias(c, 6, 3);
    (p->f16 ? test_output_f16 : test_output)(c, 7, rows * p->tokens * D);
    c->needs_mixed = p->f16 != 0;
    return true;
}
