// take_bars: bars packed, as columns, backwards and apart; with and without volumes and amounts; amounts of prices of any size and
// sign, subnormal ones and sums that cancel among them; numbers that no bar may have. Bit for bit.
#include "../case.h"

#define BACK(n) (0u - (n))

static const struct { const char *name; struct rp_take_bars_params p; } cases[] = {
    { "one bar", { .bars = 1, .columns = 6, .x_count = 6, .x_stride = 1 } },
    { "one bar of prices", { .bars = 1, .columns = 4, .x_count = 4, .x_stride = 1 } },
    { "packed", { .bars = 37, .columns = 6, .x_count = 222, .x_row_stride = 6, .x_stride = 1 } },
    { "packed, no amounts", { .bars = 300, .columns = 5, .x_count = 1500, .x_row_stride = 5, .x_stride = 1 } },
    { "columns", { .bars = 64, .columns = 5, .x_count = 320, .x_row_stride = 1, .x_stride = 64 } },
    { "columns, no volumes", { .bars = 41, .columns = 4, .x_count = 164, .x_row_stride = 1, .x_stride = 41 } },
    { "backwards", { .bars = 50, .columns = 6, .x_count = 300, .x_start = 299, .x_row_stride = BACK(6), .x_stride = BACK(1) } },
    { "apart", { .bars = 29, .columns = 5, .x_count = 29 * 17, .x_start = 2, .x_row_stride = 17, .x_stride = 3 } },
    { "one bar for all", { .bars = 9, .columns = 5, .x_count = 5, .x_row_stride = 0, .x_stride = 1 } },
};

// Any finite float32 below 2^`above`, all signs and sizes alike, down to the subnormal ones.
static float any_number(test_case *c, uint32_t above) {
    const uint32_t bits = test_below(c, (127 + above) << 23) | (test_below(c, 2) ? 0x80000000u : 0);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

bool test_case_take_bars(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, take_bars);
    static const float odd[] = { 9.9e16f, 1e17f, -1e17f, 3e38f, INFINITY, -INFINITY, NAN };
    float *x = test_uniform(c, 0, p->x_count, 1, 100);
    test_spice(c, 0);
    for (uint32_t i = 0; c->variation > 0 && i < p->x_count; i++) {
        const uint32_t kind = test_below(c, 8);
        if (kind < 4) { x[i] = any_number(c, kind < 2 ? 56 : 8); }
        if (kind == 4 && i > 0) { x[i] = -x[i - 1]; }
        if (kind == 5 && c->variation > 1) { x[i] = odd[test_below(c, TEST_COUNT(odd))]; }
    }
    test_output(c, 1, (uint64_t)p->bars * RP_BAR_COLUMNS);
    test_u32(c, 2, 1);
    return true;
}
