// attn_step: keys of the prompt and of each path, the new one first, in the middle and last in its tile; heads in whole pieces of
// four and not; one path, many, more than a cluster takes. "cross": nothing turns.
#include "attention.h"
#include "bars.h"

static const struct { const char *name; struct rp_attn_step_params p; bool steep; } cases[] = {
    //                         B  S   h  d   N   R  pos     f16
    { "one key", { 1, 1, 1, 2, 1, 1, 3, 0, 0, 0 }, false },
    { "step", { 3, 5, 2, 6, 9, 6, 15, 0, 0, 0 }, false },
    { "head 64, many tiles", { 2, 3, 2, 64, 130, 80, 220, 0, 0, 0 }, true },
    { "head 52", { 2, 4, 3, 52, 60, 9, 69, 0, 0, 0 }, false },
    { "head 256", { 1, 2, 1, 256, 40, 30, 70, 0, 0, 0 }, false },
    { "10 paths, head 52", { 2, 10, 4, 52, 330, 120, 450, 0, 0, 0 }, true },
    { "one path, head 64", { 3, 1, 2, 64, 200, 40, 240, 0, 0, 0 }, false },
    { "17 paths, head 20", { 1, 17, 2, 20, 33, 20, 60, 0, 0, 0 }, true },
    { "head 128, as many tiles as a cluster has groups", { 1, 2, 1, 128, 400, 112, 512, 0, 0, 0 }, false },
    { "4 paths, 22 tiles", { 1, 4, 1, 12, 1300, 80, 1380, 0, 0, 0 }, false },
    { "two keys", { 2, 2, 2, 8, 1, 1, 3, 0, 0, 0 }, false },
    { "float16, one key", { 1, 1, 1, 4, 1, 1, 3, 0, 0, 1 }, false },
    { "float16, 10 paths, head 52", { 2, 10, 4, 52, 330, 120, 450, 0, 0, 1 }, true },
    { "float16, one path, head 64", { 3, 1, 2, 64, 200, 40, 240, 0, 0, 1 }, false },
    { "float16, 17 paths, head 20", { 1, 17, 2, 20, 33, 20, 60, 0, 0, 1 }, true },
    { "float16, head 128", { 1, 9, 1, 128, 70, 40, 110, 0, 0, 1 }, false },
    { "float16, head 132", { 2, 3, 1, 132, 20, 6, 26, 0, 0, 1 }, false },
    { "cross, one key", { 1, 1, 1, 4, 1, 1, 0, 0, 0, 1 }, false },
    { "cross, 10 paths, 4 heads of 208", { 1, 10, 4, 208, 200, 70, 0, 0, 0, 1 }, true },
    { "cross, one path, head 128", { 3, 1, 2, 128, 400, 120, 0, 0, 0, 1 }, true },
    { "cross, 19 paths, head 64", { 2, 19, 2, 64, 130, 40, 0, 0, 0, 1 }, false },
    { "cross, 5 paths, head 256", { 2, 5, 1, 256, 60, 20, 0, 0, 0, 1 }, false },
    { "cross, 16 paths, 80 heads of 20", { 2, 16, 80, 20, 33, 20, 0, 0, 0, 1 }, false },
    { "cross, float32, one key", { 1, 1, 1, 4, 1, 1, 0, 0, 0, 0 }, false },
    { "cross, float32, 10 paths, 4 heads of 208", { 1, 10, 4, 208, 200, 70, 0, 0, 0, 0 }, true },
    { "cross, float32, one path, head 128", { 3, 1, 2, 128, 400, 120, 0, 0, 0, 0 }, true },
    { "cross, float32, 19 paths, head 64", { 2, 19, 2, 64, 130, 40, 0, 0, 0, 0 }, false },
    { "cross, float32, 5 paths, head 256", { 2, 5, 1, 256, 60, 20, 0, 0, 0, 0 }, false },
    { "cross, float32, head 6", { 2, 3, 2, 6, 60, 20, 0, 0, 0, 0 }, false },
};

static void uniform(test_case *c, uint32_t binding, uint64_t count, float low, float high) { (void)test_uniform(c, binding, count, low, high); }

bool test_case_attn_step(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    struct rp_attn_step_params *p = (void *)c->params;
    attention_scale(p->head_width, &p->scale, &p->scale_rest);
    const uint64_t rows = (uint64_t)p->batch * p->paths, D = (uint64_t)p->heads * p->head_width, half = p->head_width / 2;
    const float range = cases[index].steep ? 3 : 1;
    void (*numbers)(test_case *, uint32_t, uint64_t, float, float) = p->f16 ? test_uniform_f16 : uniform;
    numbers(c, 0, rows * (p->positions > 0 ? 3 : 2) * D, -range, range);
    if (p->positions == 0) { numbers(c, 1, rows * D, -range, range); }
    float *rope = p->positions > 0 ? test_f32(c, 1, p->positions * half * 2) : NULL;
    for (uint64_t i = 0; i < p->positions * half; i++) {
        const double angle = (double)(i / half) * pow(10000, -2.0 * (double)(i % half) / p->head_width);
        rope[2 * i] = (float)cos(angle), rope[2 * i + 1] = (float)sin(angle);
    }
    numbers(c, 2, 2 * (uint64_t)p->batch * p->prefix_cap * D, -range, range);
    numbers(c, 3, 2 * rows * p->suffix_cap * D, -range, range);
    uint32_t *n_tokens = test_u32(c, 4, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) { n_tokens[b] = b == 0 ? p->prefix_cap : 1 + test_below(c, p->prefix_cap); }
    const uint32_t step = bars_step(c, RP_ROWS_STEP, p->suffix_cap);
    test_step(c, 5, (struct rp_step){ .batch = p->batch, .paths = p->paths, .step = step });
    test_alias(c, 6, 3);
    (p->f16 ? test_output_f16 : test_output)(c, 7, rows * D);
    c->needs_mixed = p->f16 != 0;
    return true;
}
