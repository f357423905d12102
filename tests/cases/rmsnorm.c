// rmsnorm: heads in runs, rows shorter and longer than the group, rows of zeros (eps alone), outliers, each kernel's widest row and
// one more, several rows a group of which the last is not full.
#include "../case.h"

#define NO_RUN 0, 0, 0
static const struct { const char *name; struct rp_rmsnorm_params p; bool spice; } cases[] = {
    { "one element", { 1, 1, 1e-8f, 0, NO_RUN }, false },
    { "no rows", { 0, 8, 1e-8f, 0, NO_RUN }, false },
    { "width 5", { 3, 5, 1e-8f, 0, NO_RUN }, false },
    { "width 64", { 7, 64, 1e-8f, 0, NO_RUN }, false },
    { "width 65, outliers", { 9, 65, 1e-8f, 0, NO_RUN }, true },
    { "width 768", { 33, 768, 1e-8f, 0, NO_RUN }, false },
    { "to float16", { 9, 96, 1e-8f, 1, NO_RUN }, false },
    { "heads of q, k and v", { 35, 12, 5e-5f, 0, 5, 2, 1 }, false },
    { "heads, no keys", { 12, 68, 1e-8f, 0, 4, 3, 0 }, false },
    { "width 771, outliers", { 4, 771, 1e-5f, 0, NO_RUN }, true },
    { "width 256, three rows over", { 259, 256, 1e-8f, 0, NO_RUN }, false },
    { "width 258, to float16", { 515, 258, 1e-8f, 1, NO_RUN }, false },
    { "width 514, outliers", { 3, 514, 1e-5f, 0, NO_RUN }, true },
    { "width 2048, to float16", { 5, 2048, 1e-5f, 1, NO_RUN }, false },
    { "width 2050, outliers", { 3, 2050, 1e-5f, 0, NO_RUN }, true },
    { "many heads", { 2100, 64, 5e-5f, 0, 7, 4, 2 }, false },
};

bool test_case_rmsnorm(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, rmsnorm);
    float *x = test_uniform(c, 0, (uint64_t)p->rows * p->width, -2, 2);
    if (cases[index].spice) {
        test_spice(c, 0);
        memset(x, 0, p->width * sizeof *x);
        for (uint32_t i = 0; i < p->width; i++) { x[p->width + i] = 1e-4f * (float)test_random(c); }   // of the size of eps
    }
    test_uniform(c, 1, (uint64_t)(p->run > 0 ? 2 : 1) * p->width, -1.5f, 1.5f);
    (p->y_f16 ? test_output_f16 : test_output)(c, 2, (uint64_t)p->rows * p->width);
    c->needs_mixed = p->y_f16 != 0;
    return true;
}
