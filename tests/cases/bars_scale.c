// bars_scale: lengths around every turn of the pairwise sum, constant columns (0 and another number), columns that hardly move,
// outliers clipped at both ends, numbers of the size of a volume. Bit for bit.
#include "bars.h"

static const struct { const char *name; struct rp_bars_scale_params p; uint32_t n[4]; } cases[] = {
    { "one bar", { 1, 1 }, { 1 } },
    { "fewer than eight", { 4, 9 }, { 7, 1, 2, 5 } },
    { "eight and a little more", { 4, 23 }, { 8, 9, 15, 23 } },
    { "up to one leaf", { 4, 130 }, { 128, 127, 121, 64 } },
    { "two leaves", { 4, 257 }, { 129, 136, 200, 256 } },
    { "three leaves and more", { 4, 1030 }, { 257, 400, 777, 1030 } },
    { "more leaves than are taken at a time", { 2, 2600 }, { 2048, 2599 } },
};

bool test_case_bars_scale(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, bars_scale);
    const uint64_t rows = (uint64_t)p->batch * p->bars;
    float *bars = test_uniform(c, 0, rows * RP_BAR_COLUMNS, -3, 5);
    test_spice(c, 0);
    uint32_t *n_bars = test_u32(c, 1, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) { n_bars[b] = c->variation < 2 ? cases[index].n[b] : 1 + test_below(c, p->bars); }
    for (uint64_t i = 0; i < rows; i++) {
        float *bar = bars + i * RP_BAR_COLUMNS;
        bar[1] = 100 + (float)(i % p->bars) / 64 + (float)test_random(c);               // prices
        bar[2] = c->variation % 2 ? 11.27f : 0;                                         // constant
        bar[3] = 11.27f + (test_below(c, 40) == 0 ? 1e-6f : 0);                         // hardly moves
        bar[4] = 3e9f * (float)test_random(c);                                          // volumes
        bar[5] = test_below(c, 50) == 0 ? (i % 2 ? -1e4f : 1e4f) : (float)test_random(c);
    }
    test_output(c, 2, rows * RP_BAR_COLUMNS);
    test_output(c, 3, (uint64_t)p->batch * RP_BAR_COLUMNS * 2);
    return true;
}
