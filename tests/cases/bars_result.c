// bars_result: dead series and paths, a horizon shorter than the capacity, later chunks, columns that hardly move.
#include "bars.h"

static const struct { const char *name; struct rp_bars_result_params p; } cases[] = {
    //                          B  S  H   S_cap
    { "one bar", { 1, 1, 1, 1 } },
    { "one path", { 3, 1, 11, 1 } },
    { "chunks", { 2, 7, 5, 20 } },
    { "a chunk larger than the result", { 2, 9, 13, 6 } },
};

bool test_case_bars_result(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, bars_result);
    test_uniform(c, 0, (uint64_t)p->batch * p->paths * p->horizon_cap * RP_BAR_COLUMNS, -5, 5);
    test_spice(c, 0);
    float *affine = test_uniform(c, 1, (uint64_t)p->batch * RP_BAR_COLUMNS * 2, -100, 100);
    for (uint32_t i = 0; i < p->batch * RP_BAR_COLUMNS; i++) {
        affine[2 * i + 1] = i % 4 == 3 ? 0 : i % 4 == 1 ? 3e-6f * (float)test_random(c) : 10 * (float)test_random(c);
    }
    const uint32_t v = c->variation, chunks = (p->paths_cap + p->paths - 1) / p->paths, chunk = v == 0 ? 0 : (v + 1) % chunks;
    test_step(c, 2, (struct rp_step){
        .batch = v == 2 ? p->batch - 1 : p->batch,
        .paths = p->paths_cap - (p->paths_cap > 1),
        .path0 = chunk * p->paths,
        .chunk = chunk + 1,
        .step = p->horizon_cap,
        .horizon = v == 3 ? p->horizon_cap / 2 + 1 : v == 1 ? p->horizon_cap + 1 : p->horizon_cap,
    });
    test_output(c, 3, (uint64_t)p->batch * RP_BAR_COLUMNS * p->horizon_cap * p->paths_cap);
    return true;
}
