// attn_time: prompt (causal, dead tokens) and decode (shared prefix, private suffix), tiles of 64 not full, full and
// overflowing, scores far apart, a maximum that comes late so that every tile rescales; own suffixes, causal, with dead tokens
// and without a prefix. "short": all keys in one tile of at most 32, from one query to more than a group takes.
#include "attention.h"

static const struct { const char *name; struct rp_attn_time_params p; bool steep; } cases[] = {
    //                         B  S  V  n   h  d   N   R  extra    own y_f16 mixed x_f16
    { "one key", { 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "prompt", { 2, 1, 3, 9, 2, 8, 9, 0, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "prompt, label", { 3, 1, 2, 7, 3, 6, 7, 0, 1, 0, 0, 0, 0, 0, 0 }, false },
    { "prompt, 64 keys", { 1, 1, 1, 64, 1, 16, 64, 0, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "prompt, 65 keys, head 64", { 2, 1, 1, 65, 2, 64, 65, 0, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "prompt, 200 keys, steep", { 1, 1, 1, 200, 1, 12, 200, 0, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "decode", { 2, 5, 3, 1, 2, 8, 9, 6, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "decode, label, head 64", { 3, 2, 2, 1, 3, 64, 20, 6, 1, 0, 0, 0, 0, 0, 0 }, false },
    { "decode, prefix of 64", { 1, 3, 1, 1, 2, 16, 64, 6, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "decode, prefix and suffix of many tiles", { 2, 2, 1, 1, 1, 10, 130, 80, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "decode, head 128", { 1, 2, 1, 1, 2, 128, 61, 6, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "decode, 4 heads of 208", { 2, 3, 1, 1, 4, 208, 70, 9, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "own, one key", { 1, 1, 1, 1, 1, 2, 1, 1, 0, 0, 0, 1, 0, 0, 0 }, false },
    { "own", { 3, 4, 1, 7, 2, 8, 9, 7, 0, 0, 0, 1, 0, 0, 0 }, false },
    { "own, many tiles", { 2, 2, 1, 70, 1, 10, 130, 70, 0, 0, 0, 1, 0, 0, 0 }, true },
    { "own, head 64, label, variates", { 2, 3, 2, 5, 2, 64, 60, 5, 1, 0, 0, 1, 0, 0, 0 }, false },
    { "decode, many paths", { 2, 37, 3, 1, 2, 12, 70, 9, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "decode, many paths, head 64, label", { 2, 16, 1, 1, 3, 64, 64, 6, 1, 0, 0, 0, 0, 0, 0 }, true },
    { "decode, many paths, many tiles", { 1, 33, 2, 1, 1, 64, 150, 80, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "decode, many paths, to float16", { 2, 20, 2, 1, 2, 8, 9, 6, 0, 0, 0, 0, 1, 0, 0 }, false },
    { "mixed, prompt, one token over", { 2, 1, 2, 65, 3, 20, 65, 0, 0, 0, 0, 0, 0, 1, 0 }, false },
    { "mixed, prompt, label, head 64, to float16", { 3, 1, 3, 70, 2, 64, 70, 0, 1, 0, 0, 0, 1, 1, 0 }, true },
    { "mixed, prompt, many tiles, head 104", { 2, 1, 1, 200, 2, 104, 200, 0, 0, 0, 0, 0, 0, 1, 0 }, true },
    { "mixed, prompt, 16 tokens, head 128", { 2, 1, 1, 16, 2, 128, 16, 0, 0, 0, 0, 0, 0, 1, 0 }, false },
    { "mixed, own, head 4", { 3, 4, 1, 17, 2, 4, 9, 17, 0, 0, 0, 1, 0, 1, 0 }, false },
    { "mixed, own, many tiles", { 2, 2, 2, 130, 2, 64, 130, 130, 1, 0, 0, 1, 0, 1, 0 }, true },
    { "mixed, own, head 68, to float16", { 3, 2, 1, 70, 2, 68, 64, 70, 0, 0, 0, 1, 1, 1, 0 }, false },
    { "mixed, decode", { 2, 37, 3, 1, 8, 12, 70, 9, 0, 0, 0, 0, 0, 1, 0 }, false },
    { "mixed, decode, label, head 64, to float16", { 2, 65, 2, 1, 8, 64, 64, 6, 1, 0, 0, 0, 1, 1, 0 }, true },
    { "mixed, decode, many tiles, head 104", { 1, 129, 2, 1, 8, 104, 150, 20, 0, 0, 0, 0, 0, 1, 0 }, true },
    { "mixed, decode, few paths", { 2, 17, 1, 1, 2, 16, 40, 6, 0, 0, 0, 0, 0, 1, 0 }, false },
    { "mixed, decode, head of odd width", { 2, 33, 3, 1, 12, 10, 40, 6, 0, 0, 0, 0, 0, 1, 0 }, false },
    { "mixed, decode, 10 paths, head 52, to float16", { 2, 10, 1, 1, 4, 52, 330, 120, 0, 0, 0, 0, 1, 1, 0 }, true },
    { "mixed, decode, 10 paths, 4 heads of 208", { 1, 10, 1, 1, 4, 208, 200, 70, 0, 0, 0, 0, 0, 1, 0 }, false },
    { "mixed, decode, one path, head 128, label", { 2, 1, 2, 1, 2, 128, 300, 20, 1, 0, 0, 0, 0, 1, 0 }, true },
    { "mixed, decode, 5 paths, head 132, variates", { 1, 5, 2, 1, 1, 132, 40, 20, 0, 0, 0, 0, 0, 1, 0 }, false },
    { "mixed, decode, one key", { 1, 1, 1, 1, 1, 4, 1, 1, 0, 0, 0, 0, 0, 1, 0 }, false },
    { "float16, prompt, few tokens", { 2, 1, 3, 9, 2, 8, 9, 0, 1, 0, 0, 0, 1, 1, 1 }, false },
    { "float16, prompt, head 64", { 2, 1, 2, 70, 3, 64, 70, 0, 0, 0, 0, 0, 1, 1, 1 }, true },
    { "float16, prompt, head 104", { 2, 1, 1, 70, 2, 104, 70, 0, 0, 0, 0, 0, 0, 1, 1 }, false },
    { "float16, prompt, many blocks, head 12, label", { 3, 1, 4, 65, 12, 12, 65, 0, 1, 0, 0, 0, 1, 1, 1 }, true },
    { "float16, prompt, 400 tokens, head 52", { 1, 1, 1, 400, 1, 52, 400, 0, 0, 0, 0, 0, 1, 1, 1 }, true },
    { "float16, prompt, head 132", { 1, 1, 1, 20, 2, 132, 20, 0, 0, 0, 0, 0, 0, 1, 1 }, false },
    { "float16, own, head 20", { 2, 3, 1, 40, 2, 20, 33, 40, 0, 0, 0, 1, 0, 1, 1 }, false },
    { "float16, own, many tiles, head 52", { 3, 2, 1, 120, 2, 52, 150, 120, 0, 0, 0, 1, 1, 1, 1 }, true },
    { "float16, own, many blocks, head 20", { 3, 4, 1, 70, 12, 20, 60, 70, 1, 0, 0, 1, 1, 1, 1 }, true },
    { "float16, own, many blocks, head 64", { 3, 12, 1, 33, 4, 64, 33, 33, 0, 0, 0, 1, 0, 1, 1 }, false },
    { "float16, prompt, many blocks, head 52", { 1, 1, 2, 400, 6, 52, 400, 0, 0, 0, 0, 0, 1, 1, 1 }, true },
    { "float16, prompt, many blocks, head 12, 13 heads", { 2, 1, 3, 70, 13, 12, 70, 0, 0, 0, 0, 0, 1, 1, 1 }, false },
    { "float16, own, few queries, many blocks, head 44", { 2, 9, 1, 40, 8, 44, 100, 40, 0, 0, 0, 1, 0, 1, 1 }, true },
    { "float16, own, many heads, head 52", { 2, 7, 1, 100, 10, 52, 70, 100, 0, 0, 0, 1, 1, 1, 1 }, true },
    { "float16, own, many blocks, head 52", { 3, 3, 1, 130, 6, 52, 150, 130, 0, 0, 0, 1, 1, 1, 1 }, true },
    { "float16, decode, many paths", { 2, 65, 2, 1, 8, 64, 64, 6, 1, 0, 0, 0, 1, 1, 1 }, true },
    { "float16, decode, many paths, head 104", { 1, 129, 2, 1, 8, 104, 150, 20, 0, 0, 0, 0, 0, 1, 1 }, false },
    { "float16, decode, too many paths to spread", { 1, 100, 7, 1, 1, 8, 40, 6, 0, 0, 0, 0, 0, 1, 1 }, false },
    { "float16, decode, few paths, head 52", { 2, 10, 1, 1, 2, 52, 130, 40, 0, 0, 0, 0, 1, 1, 1 }, true },
    { "float16, decode, one path, head 208, variates", { 2, 1, 3, 1, 1, 208, 40, 20, 0, 0, 0, 0, 0, 1, 1 }, false },
    { "prompt, head 52, steep", { 2, 1, 3, 150, 3, 52, 150, 0, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "prompt, head 128", { 2, 1, 1, 140, 2, 128, 140, 0, 1, 0, 0, 0, 0, 0, 0 }, true },
    { "prompt, 40 keys, many heads", { 3, 1, 2, 40, 4, 64, 40, 0, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "prompt, 400 tokens, head 64", { 1, 1, 1, 400, 1, 64, 400, 0, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "prompt, head 68", { 2, 1, 2, 40, 2, 68, 40, 0, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "prompt, head 256", { 2, 1, 1, 80, 1, 256, 80, 0, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "own, head 52, many tiles", { 3, 2, 1, 100, 3, 52, 150, 100, 0, 0, 0, 1, 0, 0, 0 }, true },
    { "own, head 104", { 3, 2, 2, 70, 1, 104, 70, 70, 1, 0, 0, 1, 0, 0, 0 }, true },
    { "own, head 132", { 3, 2, 1, 40, 2, 132, 100, 40, 0, 0, 0, 1, 0, 0, 0 }, false },
    { "decode, 10 paths, head 52", { 2, 10, 1, 1, 4, 52, 330, 120, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "decode, 10 paths, 4 heads of 208", { 1, 10, 1, 1, 4, 208, 200, 70, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "decode, one path, many tiles", { 2, 1, 2, 1, 2, 64, 2500, 120, 1, 0, 0, 0, 0, 0, 0 }, true },
    { "decode, 19 paths, head 256", { 2, 19, 1, 1, 1, 256, 130, 70, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "short, prompt, 16 keys, head 64", { 3, 1, 2, 16, 2, 64, 16, 0, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "short, prompt, label, head 52", { 3, 1, 1, 13, 3, 52, 13, 0, 1, 0, 0, 0, 0, 0, 0 }, false },
    { "short, prompt, 32 keys, head 60", { 2, 1, 1, 32, 2, 60, 32, 0, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "short, prompt, paths, head 44", { 2, 3, 2, 17, 1, 44, 17, 0, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "short, prompt of two, head 4", { 2, 1, 1, 2, 5, 4, 2, 0, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "short, decode, 37 paths, head 64", { 2, 37, 2, 1, 3, 64, 8, 3, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "short, decode, 32 keys, head 64", { 1, 19, 1, 1, 2, 64, 20, 12, 1, 0, 0, 0, 0, 0, 0 }, true },
    { "short, decode, one path, head 64", { 3, 1, 2, 1, 2, 64, 17, 15, 0, 0, 0, 0, 0, 0, 0 }, true },
    { "short, decode, long suffix, head 64", { 1, 9, 1, 1, 2, 64, 1, 31, 0, 0, 0, 0, 0, 0, 0 }, false },
    { "short, own, head 64", { 3, 2, 2, 11, 2, 64, 5, 11, 0, 0, 0, 1, 0, 0, 0 }, true },
    { "short, own, 32 keys, label, head 20", { 3, 3, 1, 18, 2, 20, 14, 18, 1, 0, 0, 1, 0, 0, 0 }, false },
    { "mixed, short, decode, to float16", { 2, 20, 1, 1, 2, 64, 9, 6, 0, 0, 0, 0, 1, 1, 0 }, false },
    { "float16, short, prompt, head 64", { 3, 1, 2, 8, 12, 64, 8, 0, 0, 0, 0, 0, 1, 1, 1 }, true },
    { "float16, short, prompt, 30 keys, head 64", { 2, 2, 1, 30, 2, 64, 30, 0, 1, 0, 0, 0, 0, 1, 1 }, true },
    { "float16, short, decode, 70 paths, head 64", { 2, 70, 1, 1, 12, 64, 8, 3, 1, 0, 0, 0, 1, 1, 1 }, true },
    { "float16, short, decode, 31 keys, head 28", { 2, 7, 3, 1, 2, 28, 22, 9, 0, 0, 0, 0, 0, 1, 1 }, false },
    { "float16, short, own, head 36", { 3, 4, 1, 9, 3, 36, 4, 9, 0, 0, 0, 1, 1, 1, 1 }, false },
    { "float16, short, own, 29 keys, head 64", { 3, 2, 2, 21, 1, 64, 8, 21, 1, 0, 0, 1, 0, 1, 1 }, true },
    { "decode to float16", { 2, 5, 3, 1, 2, 8, 9, 6, 0, 0, 0, 0, 1, 0, 0 }, false },
};

// Keys and values from `live` on of sequence `row`, which no query sees, are no numbers: nothing of them may be left.
static void hide(test_case *c, uint32_t binding, uint64_t row, uint32_t cap, uint32_t live, uint64_t D) {
    for (uint32_t i = binding; i < binding + 2; i++) {
        for (uint64_t at = (row * cap + live) * D; at < (row + 1) * cap * D; at++) {
            if (c->tensor[i].dtype == RP_F16) {
                ((uint16_t *)c->tensor[i].data)[at] = 0x7e00;
            } else {
                ((float *)c->tensor[i].data)[at] = NAN;
            }
        }
    }
}

bool test_case_attn_time(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    struct rp_attn_time_params *p = (void *)c->params;
    attention_scale(p->head_width, &p->scale, &p->scale_rest);
    const uint64_t rows = (uint64_t)p->batch * p->paths * p->variates, D = (uint64_t)p->heads * p->head_width;
    const uint64_t prefix = (uint64_t)p->batch * p->variates * p->prefix_cap * D, suffix = rows * p->suffix_cap * D;
    const float range = cases[index].steep ? 4 : 1;
    const uint64_t counts[] = { rows * p->tokens * D, prefix, prefix, suffix, suffix };
    for (uint32_t i = 0; i < (p->suffix_cap > 0 ? 5u : 3u); i++) {
        const float most = i == 2 || i == 4 ? 1 : range;                 // values
        if (p->x_f16) {
            test_uniform_f16(c, i, counts[i], -most, most);
        } else {
            test_uniform(c, i, counts[i], -most, most);
        }
    }
    if (!p->y_f16 && !p->mixed) { test_spice(c, 2); }   // outliers beyond float16 are cut
    uint32_t *n_patches = test_u32(c, 5, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) {
        n_patches[b] = b == 0 ? p->prefix_cap - p->extra : 1 + test_below(c, p->prefix_cap - p->extra);
    }
    if (p->own && p->batch > 2) { n_patches[1] = 0; }                    // nothing shared
    const uint32_t step = p->suffix_cap == 0 ? 0 : c->variation == 0 ? 1 : 1 + (c->variation * 29 + 5) % p->suffix_cap;
    test_step(c, 6, (struct rp_step){ .batch = p->batch, .paths = p->paths, .step = step });
    for (uint64_t row = 0; row < (uint64_t)p->batch * p->variates; row++) {
        hide(c, 1, row, p->prefix_cap, n_patches[row / p->variates] + p->extra, D);
    }
    for (uint64_t row = 0; p->suffix_cap > 0 && row < rows; row++) { hide(c, 3, row, p->suffix_cap, step, D); }
    (p->y_f16 ? test_output_f16 : test_output)(c, 7, rows * p->tokens * D);
    c->needs_mixed = p->y_f16 != 0 || p->mixed != 0;
    return true;
}
