// block_attn: first and later calls, all tokens and those that predict, shared keys, hidden patches, more keys than a tile.
#include "attention.h"
#include "blocks.h"

#define FUTURE 7       // patches
static const struct { const char *name; struct rp_block_attn_params p; bool steep; } cases[] = {
    //                        B  V   n  q  tail h  g  d  cap N  P  K later    f16
    { "one key", { 1, 1, 1, 1, 0, 1, 1, 4, 8, 1, 8, 1, 0, 0, 0, 0 }, false },
    { "single pass", { 2, 3, 15, 15, 0, 2, 2, 8, 16, 9, 8, 7, 0, 0, 0, 0 }, false },
    { "shared keys, hidden", { 3, 2, 21, 21, 0, 4, 2, 12, 27, 20, 4, 2, 0, 0, 0, 0 }, false },
    { "head 64, two tiles", { 1, 2, 101, 101, 0, 2, 2, 64, 107, 100, 32, 2, 0, 0, 0, 0 }, true },
    { "head 72", { 2, 1, 35, 35, 0, 1, 1, 72, 41, 34, 16, 2, 0, 0, 0, 0 }, false },
    { "head 200", { 1, 1, 10, 10, 0, 1, 1, 200, 16, 9, 16, 2, 0, 0, 0, 0 }, false },
    { "tail", { 2, 3, 7, 80, 1, 2, 2, 8, 81, 74, 8, 7, 0, 0, 0, 0 }, false },
    { "tail, shared keys", { 2, 2, 2, 34, 1, 4, 1, 64, 40, 33, 32, 2, 0, 0, 0, 0 }, false },
    { "later", { 2, 3, 3, 3, 0, 2, 2, 8, 19, 12, 8, 2, 1, 0, 0, 0 }, false },
    { "later, tail", { 3, 2, 3, 5, 1, 4, 2, 64, 77, 70, 32, 3, 1, 0, 0, 0 }, false },
    { "later, many queries", { 2, 1, 35, 35, 0, 1, 1, 16, 95, 70, 4, 18, 1, 0, 0, 0 }, false },
    { "float16", { 2, 2, 21, 21, 0, 2, 2, 64, 27, 20, 4, 2, 0, 0, 0, 1 }, false },
    { "float16, one key", { 1, 1, 1, 1, 0, 1, 1, 4, 8, 1, 8, 1, 0, 0, 0, 1 }, false },
    { "float16, one query over a tile", { 2, 2, 65, 65, 0, 3, 3, 20, 71, 64, 8, 2, 0, 0, 0, 1 }, false },
    { "float16, two blocks of 80, shared keys", { 2, 2, 138, 138, 0, 4, 2, 64, 144, 128, 32, 11, 0, 0, 0, 1 }, true },
    { "float16, three blocks, head 12, shared keys", { 2, 1, 270, 270, 0, 3, 1, 12, 280, 268, 4, 3, 0, 0, 0, 1 }, true },
    { "float16, head 104", { 2, 1, 101, 101, 0, 2, 1, 104, 107, 100, 32, 2, 0, 0, 0, 1 }, false },
    { "float16, head 128", { 1, 2, 35, 35, 0, 2, 2, 128, 41, 34, 16, 2, 0, 0, 0, 1 }, true },
    { "float16, head 200", { 1, 1, 10, 10, 0, 1, 1, 200, 16, 9, 16, 2, 0, 0, 0, 1 }, false },
    { "float16, head of odd width", { 2, 1, 10, 10, 0, 2, 2, 10, 16, 9, 16, 2, 0, 0, 0, 1 }, false },
    { "float16, tail, shared keys", { 2, 2, 11, 138, 1, 4, 1, 64, 144, 128, 32, 11, 0, 0, 0, 1 }, false },
    { "float16, tail of many", { 2, 1, 70, 80, 1, 2, 2, 8, 86, 11, 8, 70, 0, 0, 0, 1 }, true },
    { "float16, hidden, many tiles", { 1, 1, 300, 300, 0, 2, 2, 64, 307, 299, 8, 2, 0, 0, 0, 1 }, true },
    { "float16, later", { 2, 3, 3, 3, 0, 2, 2, 8, 19, 12, 8, 2, 1, 0, 0, 1 }, false },
    { "float16, later, tail", { 3, 2, 3, 5, 1, 4, 2, 64, 77, 70, 32, 3, 1, 0, 0, 1 }, false },
    { "float16, later, many queries", { 2, 1, 35, 35, 0, 2, 1, 16, 95, 70, 4, 18, 1, 0, 0, 1 }, true },
};

static void uniform_f32(test_case *c, uint32_t binding, uint64_t count, float low, float high) { test_uniform(c, binding, count, low, high); }

bool test_case_block_attn(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    struct rp_block_attn_params *p = (void *)c->params;
    attention_scale(p->head_width, &p->scale, &p->scale_rest);
    const uint64_t rows = (uint64_t)p->batch * p->variates, keys = rows * p->cap * p->kv_heads * p->head_width;
    const uint64_t queries = rows * p->q_tokens * p->heads * p->head_width;
    const float range = cases[index].steep ? 3 : 1;
    void (*const uniform)(test_case *, uint32_t, uint64_t, float, float) = p->f16 ? test_uniform_f16 : uniform_f32;
    uniform(c, 0, queries, -range, range);
    uniform(c, 1, keys, -range, range);
    uniform(c, 2, keys, -1, 1);
    for (uint64_t i = 0; i < keys; i++) {
        if (test_below(c, 20) > 0) { continue; }
        const float value = test_below(c, 2) ? -0.0f : p->f16 ? 6e4f : 1e6f;                   // within float16's range
        rp_convert((char *)c->tensor[2].data + i * (p->f16 ? 2 : 4), p->f16 ? RP_F16 : RP_F32, &value, RP_F32, 1);
    }
    blocks_lengths(c, 4, p->batch, p->patches);
    const uint32_t future = p->later && p->block > 6 ? p->block + FUTURE : FUTURE;
    test_step(c, 5, blocks_step(c, p->batch, future, p->patch_size, p->block, p->later));
    const uint32_t *n = c->tensor[4].data;
    uint32_t *hidden = test_u32(c, 3, rows * p->patches);
    for (uint64_t i = 0; i < rows * p->patches; i++) {       // among them the first, often; never the last, nor what is behind it
        const uint32_t patch = (uint32_t)(i % p->patches);
        hidden[i] = patch + 1 < n[i / p->patches / p->variates] && (patch < 3 || test_below(c, 4) == 0);
    }
    (p->f16 ? test_output_f16 : test_output)(c, 6, rows * p->tokens * p->heads * p->head_width);
    c->needs_mixed = p->f16 != 0;
    return true;
}
