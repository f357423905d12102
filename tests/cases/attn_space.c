// attn_space: shared keys, hidden patches, one group, groups mixed, each variate alone, more variates than a tile.
#include "attention.h"

#define ALL_HEADS 0, 0, 0    // kv_heads, then as many as heads; patches, first
static const struct { const char *name; struct rp_attn_space_params p; uint32_t groups; bool steep; } cases[] = {
    { "one variate", { 1, 1, 1, 1, 1, 1, 0, 0, 0, ALL_HEADS }, 1, false },
    { "one group", { 2, 1, 5, 3, 2, 8, 0, 0, 0, ALL_HEADS }, 1, false },
    { "mixed groups", { 2, 3, 7, 2, 3, 6, 0, 0, 0, ALL_HEADS }, 3, false },
    { "mixed groups, head 64", { 1, 2, 9, 2, 2, 64, 0, 0, 0, ALL_HEADS }, 3, false },
    { "each alone", { 1, 2, 4, 2, 1, 16, 0, 0, 0, ALL_HEADS }, 1000000, false },
    { "shared keys", { 2, 1, 5, 3, 4, 8, 0, 0, 0, 2, 0, 0 }, 2, false },
    { "hidden patches", { 2, 1, 7, 6, 3, 12, 0, 0, 0, 1, 4, 0 }, 2, false },
    { "hidden patches, from the third", { 2, 1, 70, 3, 2, 64, 0, 0, 0, 2, 5, 2 }, 1, false },
    { "one variate, shared keys", { 2, 3, 1, 5, 4, 12, 0, 0, 0, 2, 0, 0 }, 1, false },
    { "one variate, to float16", { 1, 3, 1, 5, 3, 64, 0, 0, 1, ALL_HEADS }, 1, false },
    { "five variates, to float16", { 1, 2, 5, 2, 2, 64, 0, 0, 1, ALL_HEADS }, 2, false },
    { "32 variates", { 1, 2, 32, 2, 2, 68, 0, 0, 0, ALL_HEADS }, 2, false },
    { "33 variates", { 1, 1, 33, 1, 2, 8, 0, 0, 0, ALL_HEADS }, 2, false },
    { "64 variates", { 1, 1, 64, 1, 2, 8, 0, 0, 0, ALL_HEADS }, 1, true },
    { "130 variates, mixed", { 1, 1, 130, 2, 1, 12, 0, 0, 0, ALL_HEADS }, 2, true },
};

// Whether element i of qkv is of a value.
static bool is_value(const struct rp_attn_space_params *p, uint64_t i) {
    return i / p->head_width % (p->heads + 2 * p->kv_heads) >= p->heads + p->kv_heads;
}

bool test_case_attn_space(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    struct rp_attn_space_params *p = (void *)c->params;
    if (p->kv_heads == 0) { p->kv_heads = p->heads; }
    attention_scale(p->head_width, &p->scale, &p->scale_rest);
    const uint64_t rows = (uint64_t)p->batch * p->paths * p->variates, D = (uint64_t)p->heads * p->head_width;
    const float range = cases[index].steep ? 3 : 1;
    const uint64_t count = rows * p->tokens * (p->heads + 2 * (uint64_t)p->kv_heads) * p->head_width;
    float *qkv = test_uniform(c, 0, count, -range, range);
    for (uint64_t i = 0; i < count; i++) {                  // outliers among the values
        if (is_value(p, i) && test_below(c, 20) == 0) { qkv[i] = test_below(c, 2) ? -0.0f : p->y_f16 ? 1e4f : 1e6f; }
    }
    int32_t *ids = test_i32(c, 1, (uint64_t)p->batch * p->variates);
    for (uint32_t i = 0; i < p->batch * p->variates; i++) {
        const uint32_t groups = cases[index].groups;
        ids[i] = groups > 1000 ? (int32_t)i - 2 : (int32_t)test_below(c, groups) - 1;   // negative numbers are group numbers too
    }
    if (p->patches > 0) {
        uint32_t *hidden = test_u32(c, 2, (uint64_t)p->batch * p->variates * p->patches);
        for (uint32_t i = 0; i < p->batch * p->variates * p->patches; i++) { hidden[i] = test_below(c, 3) == 0; }
    }
    (p->y_f16 ? test_output_f16 : test_output)(c, 3, rows * p->tokens * D);
    c->needs_mixed = p->y_f16 != 0;
    return true;
}
