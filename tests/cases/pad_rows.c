// pad_rows: rows forwards, backwards, across and apart; with and without a mask; NaN, infinities and numbers too large.
#include "../case.h"

#define BACK(n) (0u - (n))

static const struct { const char *name; struct rp_pad_rows_params p; } cases[] = {
    { "one number", { .rows = 1, .count = 1, .cap = 1, .y_stride = 1, .x_count = 1, .x_row_stride = 1, .x_stride = 1 } },
    { "packed rows", { .rows = 3, .count = 7, .pad = 9, .cap = 21, .y_stride = 21, .x_count = 21, .x_row_stride = 7, .x_stride = 1 } },
    { "columns and a mask", { .rows = 5, .count = 11, .pad = 5, .cap = 16, .y_stride = 16, .x_count = 55, .x_row_stride = 1, .x_stride = 5,
                              .mask_words = 15, .mask_start = 3, .mask_row_stride = 1, .mask_stride = 5 } },
    { "backwards", { .rows = 2, .count = 9, .pad = 0, .cap = 12, .y_stride = 12, .x_count = 30, .x_start = 29, .x_row_stride = BACK(10), .x_stride = BACK(1),
                     .mask_words = 5, .mask_start = 17, .mask_row_stride = BACK(9), .mask_stride = BACK(1) } },
    { "one row for all", { .rows = 4, .count = 6, .pad = 2, .cap = 8, .y_stride = 8, .x_count = 6, .x_row_stride = 0, .x_stride = 1 } },
    { "a group and more", { .rows = 9, .count = 64, .pad = 0, .cap = 64, .y_stride = 64, .x_count = 9 * 70, .x_row_stride = 70, .x_stride = 1,
                            .mask_words = 144, .mask_row_stride = 64, .mask_stride = 1 } },
    { "rows apart, the last numbers whole", { .rows = 4, .count = 13, .pad = 3, .cap = 16, .y_stride = 21, .whole = 8, .x_count = 52,
                                              .x_row_stride = 13, .x_stride = 1, .mask_words = 13, .mask_row_stride = 13, .mask_stride = 1 } },
    { "a known future, rows apart", { .rows = 2, .count = 30, .pad = 0, .cap = 30, .y_stride = 45, .x_count = 60, .x_row_stride = 30,
                                      .x_stride = 1, .known = 1 } },
    { "a known future", { .rows = 2, .count = 30, .pad = 0, .cap = 32, .y_stride = 32, .x_count = 60, .x_row_stride = 30, .x_stride = 1, .known = 1 } },
};

bool test_case_pad_rows(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, pad_rows);
    float *x = test_uniform(c, 0, p->x_count, -1, 1);
    test_spice(c, 0);
    // The comparison forgives no NaN, so a known future has none; what is too large is kept as it is, and told.
    static const float odd[] = { 9e29f, 1e30f, 1.1e30f, 3e38f };
    for (uint32_t i = 0; c->variation > 0 && i < p->x_count; i++) {
        const uint32_t kind = test_below(c, 12);
        if (kind == 0 && !p->known) { x[i] = NAN; }
        if (kind == 1 && c->variation > 1) { x[i] = odd[test_below(c, TEST_COUNT(odd))] * (i % 2 ? 1 : -1); }
    }
    if (p->mask_words > 0) {
        uint32_t *mask = test_u32(c, 1, p->mask_words);
        for (uint32_t i = 0; i < p->mask_words; i++) {
            for (uint32_t byte = 0; byte < 4; byte++) { mask[i] |= (test_below(c, 3) ? 1u + test_below(c, 255) : 0u) << byte * 8; }
        }
    }
    test_output(c, 2, (uint64_t)p->rows * p->y_stride);
    test_output(c, 3, (uint64_t)p->rows * p->y_stride);
    test_u32(c, 4, 1);
    return true;
}
