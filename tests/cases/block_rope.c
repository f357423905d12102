// block_rope: first and later calls, shared keys, slots that stay untouched, the largest power.
#include "blocks.h"

#define FUTURE 7       // patches
static const struct { const char *name; struct rp_block_rope_params p; } cases[] = {
    //                       B  V  n  h  g  d  cap zero P K later from, to f16
    { "one head", { 1, 1, 1, 1, 1, 4, 8, 0, 8, 1, 0, 0, 0 } },
    { "single pass", { 2, 3, 15, 2, 2, 8, 16, 0, 8, 7, 0, 0, 0 } },
    { "shared keys", { 3, 2, 11, 4, 2, 12, 17, 0, 4, 2, 0, 0, 0 } },
    { "head 64", { 2, 1, 33, 2, 2, 64, 39, 0, 32, 1, 0, 0, 0 } },
    { "many heads", { 2, 3, 7, 20, 20, 64, 12, 0, 16, 2, 0, 0, 0 } },
    { "head 24, shared keys", { 3, 2, 9, 50, 5, 24, 15, 0, 16, 1, 0, 0, 0 } },
    { "head 256", { 2, 1, 5, 3, 3, 256, 10, 0, 16, 1, 0, 0, 0 } },
    { "later", { 2, 3, 3, 2, 2, 8, 19, 0, 8, 2, 1, 0, 0 } },
    { "later, shared keys, head 64", { 3, 2, 5, 4, 1, 64, 20, 0, 32, 3, 1, 0, 0 } },
    { "float16", { 2, 3, 15, 2, 2, 8, 16, 0, 8, 7, 0, 1, 1 } },
    { "float16, head 64, shared keys", { 3, 2, 33, 4, 2, 64, 39, 0, 32, 1, 0, 1, 1 } },
    { "float16, head 12, later", { 3, 2, 5, 4, 1, 12, 20, 0, 32, 3, 1, 1, 1 } },
    { "to float16", { 2, 3, 15, 2, 2, 8, 16, 0, 8, 7, 0, 0, 1 } },
    { "to float16, head 64, shared keys, later", { 3, 2, 5, 4, 1, 64, 20, 0, 32, 3, 1, 0, 1 } },
    { "to float16, head 12", { 3, 2, 33, 4, 2, 12, 39, 0, 32, 1, 0, 0, 1 } },
};

bool test_case_block_rope(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    struct rp_block_rope_params *p = (void *)c->params;
    const uint32_t pairs = p->head_width / 4, most = p->later ? p->cap - FUTURE : p->tokens - p->block + 1;
    p->zero = p->cap / 2 + 1;
    const uint64_t rows = (uint64_t)p->batch * p->variates;
    const uint64_t numbers = rows * p->tokens * (p->heads + 2 * (uint64_t)p->kv_heads) * p->head_width;
    if (p->x_f16) {
        test_uniform_f16(c, 0, numbers, -2, 2);
    } else {
        test_uniform(c, 0, numbers, -2, 2);
        if (!p->y_f16) { test_spice(c, 0); }                     // beyond float16's range
    }
    c->needs_mixed = p->x_f16 || p->y_f16;
    float *rope = test_f32(c, 1, (uint64_t)p->cap * pairs * 2), *powers = test_f32(c, 2, (2 * (uint64_t)p->zero + 1) * pairs);
    for (uint32_t i = 0; i < p->cap * pairs; i++) {
        const double angle = i / pairs * pow(10000, -1.0 * (i % pairs) / pairs);
        rope[2 * i] = (float)cos(angle), rope[2 * i + 1] = (float)sin(angle);
    }
    for (uint32_t i = 0; i < (2 * p->zero + 1) * pairs; i++) {   // steeper than the model's, so that a wrong row shows
        powers[i] = (float)pow((2.0 * (i % pairs) + 0.8 * pairs) / (2.8 * pairs), ((double)(i / pairs) - p->zero) / 24);
    }
    blocks_lengths(c, 3, p->batch, most);
    test_step(c, 4, blocks_step(c, p->batch, FUTURE, p->patch_size, p->block, p->later));
    for (uint32_t i = 0; i < 3; i++) {
        (p->y_f16 ? test_output_f16 : test_output)(c, 5 + i, rows * (i == 0 ? p->tokens * p->heads : p->cap * p->kv_heads) * p->head_width);
    }
    return true;
}
