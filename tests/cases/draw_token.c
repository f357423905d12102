// draw_token: all tokens, top-k and top-p, greedy, equal logits at the boundary, outliers and logits of -infinity, n smaller than
// the group and up to the largest, one row of logits for all paths, series that grow and series that slide, a step past the end; rows of
// a table, of one element and of more than a group writes at once, and such that are added.
#include "bars.h"

#include "op_math.h"

typedef enum pattern { SMOOTH, TIES, OUTLIERS, HOLES, ALONE, SAME } pattern;

// With this seed the first word of path 0 of series 0 at step 0 is 0xffffffb3: u is 1 in float32, and the last that is kept is drawn.
#define HIGHEST 16390493

static const struct {
    const char *name;
    struct rp_draw_token_params p;
    pattern logits;
    float temperature;
    uint32_t top_k;
    float top_p;
    uint32_t seed;      // not 0: the seed of variation 0
} cases[] = {
    //                B  S  n  which, one_row; H  C  series                  temperature, top_k, top_p, seed
    { "one token", { 1, 1, 1, 0, 0, 1, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 1, 0, 1, 0 },
    { "one token, top-p", { 1, 2, 1, 1, 0, 2, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 1, 0, 0.5f, 0 },
    { "two tokens", { 2, 33, 2, 1, 0, 3, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 1, 0, 1, 0 },
    { "all", { 2, 9, 1024, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 0.7f, 0, 1, 0 },
    { "all, first draw", { 3, 5, 512, 0, 1, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, HOLES, 1, 0, 1, 0 },
    { "all, u rounded to 1", { 1, 3, 32, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 1, 0, 1, HIGHEST },
    { "top-k, u rounded to 1", { 1, 3, 32, 0, 1, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 1, 4, 1, HIGHEST },
    { "all, equal", { 2, 7, 64, 1, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, TIES, 1.5f, 0, 1, 0 },
    { "top-k", { 2, 9, 1024, 1, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 1.3f, 5, 1, 0 },
    { "top-k, equal at the boundary", { 2, 9, 256, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, TIES, 1, 9, 0.5f, 0 },
    { "top-k of more than there are", { 2, 5, 128, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, HOLES, 1, 3000, 0.1f, 0 },
    { "top-k of all", { 1, 5, 64, 0, 1, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 1, 64, 1, 0 },
    { "greedy", { 3, 5, 1024, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 0.01f, 1, 0.9f, 0 },
    { "greedy, equal", { 2, 17, 512, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, TIES, 1, 1, 1, 0 },
    { "top-p", { 2, 17, 1024, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 1, 0, 0.9f, 0 },
    { "top-p, first draw", { 2, 9, 1024, 1, 1, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, HOLES, 1.1f, 0, 0.99f, 0 },
    { "top-p, equal at the boundary", { 2, 17, 128, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, TIES, 1, 0, 0.4f, 0 },
    { "top-p that keeps one", { 2, 7, 32, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, TIES, 1, 0, 0, 0 },
    { "top-p, 2048 tokens", { 1, 7, 2048, 1, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 2.5f, 0, 0.95f, 0 },
    { "all, 2048 tokens, outliers", { 1, 5, 2048, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, OUTLIERS, 1, 0, 1, 0 },
    { "top-p, outliers", { 2, 5, 256, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, OUTLIERS, 1, 0, 0.9f, 0 },
    { "top-p, all equal but one", { 1, 5, 1024, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, ALONE, 1, 0, 0.9f, 0 },
    { "top-k, all equal but one", { 1, 5, 1024, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, ALONE, 1, 3, 1, 0 },
    { "top-p, 1000 tokens", { 1, 9, 1000, 1, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 0.3f, 0, 0.8f, 0 },
    { "top-k, outliers", { 2, 5, 512, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, OUTLIERS, 1, 7, 1, 0 },
    { "top-p, all equal", { 1, 3, 1024, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SAME, 1, 0, 0.3f, 0 },
    { "top-p, 2048 tokens, all equal", { 1, 2, 2048, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SAME, 1, 0, 0.9f, 0 },
    { "top-k, all equal", { 1, 3, 512, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SAME, 1, 7, 1, 0 },
    { "all, all equal", { 1, 3, 1000, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SAME, 1, 0, 1, 0 },
    { "top-p next to 1", { 1, 9, 1024, 0, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 0 }, SMOOTH, 1, 0, 0.99999994f, 0 },
    { "a row of one element", { 2, 3, 32, 0, 0, 5, 9, RP_DRAW_ALL, 1, 0, 0, 0 }, SMOOTH, 1, 0, 0.9f, 0 },
    { "rows", { 2, 9, 1024, 0, 0, 5, 9, RP_DRAW_ALL, 300, 0, 0, 0 }, SMOOTH, 1, 0, 0.9f, 0 },
    { "rows, first draw", { 2, 3, 256, 0, 1, 5, 9, RP_DRAW_ALL, 832, 0, 0, 0 }, TIES, 1, 0, 1, 0 },
    { "rows to float16", { 2, 3, 2048, 0, 0, 5, 9, RP_DRAW_ALL, 77, 1, 0, 0 }, SMOOTH, 1, 5, 1, 0 },
    { "rows of growing series", { 5, 3, 64, 0, 0, 5, 9, RP_DRAW_GROWING, 37, 0, 0, 0 }, SMOOTH, 1, 0, 0.9f, 0 },
    { "rows of sliding series to float16", { 5, 3, 64, 0, 0, 5, 9, RP_DRAW_SLIDING, 600, 1, 0, 0 }, SMOOTH, 1, 3, 1, 0 },
    { "rows added", { 2, 9, 1024, 1, 0, 5, 9, RP_DRAW_ALL, 512, 0, 1, 1 }, SMOOTH, 1, 0, 0.9f, 0 },
    { "rows added, of 37", { 3, 5, 64, 1, 1, 5, 9, RP_DRAW_ALL, 37, 0, 1, 0 }, TIES, 1, 0, 1, 0 },
    { "rows of growing series added", { 5, 3, 64, 1, 0, 5, 9, RP_DRAW_GROWING, 1100, 0, 1, 1 }, SMOOTH, 1, 0, 0.9f, 0 },
    { "the step has moved on", { 2, 5, 300, 1, 0, 5, 9, RP_DRAW_ALL, 0, 0, 0, 1 }, SMOOTH, 1, 0, 0.9f, 0 },
    { "the step of growing series has moved on", { 5, 3, 64, 1, 0, 5, 9, RP_DRAW_GROWING, 0, 0, 0, 1 }, SMOOTH, 1, 0, 1, 0 },
    { "growing series", { 5, 3, 64, 0, 0, 5, 9, RP_DRAW_GROWING, 0, 0, 0, 0 }, SMOOTH, 1, 0, 0.9f, 0 },
    { "sliding series", { 5, 3, 64, 1, 0, 5, 9, RP_DRAW_SLIDING, 0, 0, 0, 0 }, SMOOTH, 1, 3, 1, 0 },
};

enum { LOGITS, SETTINGS, BARS, IDS, STEP, TABLE };

static void fill_logits(test_case *c, uint64_t rows, uint32_t n, pattern kind) {
    float *x = test_uniform(c, LOGITS, rows * n, -6, 4);
    for (uint64_t i = 0; i < rows * n; i++) {
        if (kind == TIES) { x[i] = floorf(x[i]) / 2; }                   // every number many times, the largest too
        if (kind == SAME) { x[i] = -2.5f; }
        if (kind == ALONE) { x[i] = i % n == 17 ? 3.0f : -2.0f; }
        if (kind == HOLES && test_below(c, 3) == 0) { x[i] = -INFINITY; }
    }
    for (uint64_t r = 0; r < rows && kind == HOLES; r++) { x[r * n + test_below(c, n)] = 4.5f; }
    if (kind == OUTLIERS) { test_spice(c, LOGITS); }
}

bool test_case_draw_token(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, draw_token);
    const uint32_t v = c->variation;
    fill_logits(c, (uint64_t)p->batch * (p->one_row ? 1 : p->paths), p->n, cases[index].logits);
    uint32_t *settings = test_u32(c, SETTINGS, 3);
    settings[0] = rp_float_bits(cases[index].temperature), settings[1] = cases[index].top_k;
    settings[2] = rp_float_bits(cases[index].top_p);
    const uint32_t step = v == 0 ? 0 : v == 3 ? p->tokens_cap : v % p->tokens_cap;
    uint32_t *n_bars = test_u32(c, BARS, p->batch), *ids = test_u32(c, IDS, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) {            // the last step of a window that grows, the first that slides, any
        n_bars[b] = b == 0 ? p->window - step % p->window : b == 1 ? p->window + 1 - step % p->window : 1 + test_below(c, 2 * p->window);
        ids[b] = b == 0 ? 0 : test_below(c, ~0u);
    }
    const bool given = v == 0 && cases[index].seed != 0;
    test_step(c, STEP, (struct rp_step){
        .batch = v == 2 ? p->batch - 1 : p->batch,       // a draw heeds neither this nor the number of paths
        .paths = p->paths,
        .path0 = v * p->paths,
        .chunk = v + 1,
        .step = step + p->moved,
        .horizon = p->tokens_cap,
        .seed_lo = given ? cases[index].seed : test_below(c, ~0u),
        .seed_hi = given ? 0 : test_below(c, ~0u),
    });
    bars_words(c, 6, (uint64_t)p->batch * p->paths * p->tokens_cap * 2);
    if (p->width > 0) {
        test_uniform(c, TABLE, (uint64_t)p->n * p->width, -1, 1);
        if (!p->y_f16) { test_spice(c, TABLE); }         // outliers beyond float16 are cut
        const uint64_t count = (uint64_t)p->batch * p->paths * p->width;
        if (p->adds) {
            test_uniform(c, 7, count, -1, 1);
        } else {
            (p->y_f16 ? test_output_f16 : test_output)(c, 7, count);
        }
    }
    c->needs_mixed = p->y_f16 != 0;
    return true;
}
