// pair_rows: into memory of its own and in place, rows of ordinary numbers, outliers, and zeros.
#include "../case.h"

static const struct { const char *name; struct rp_pair_rows_params p; float most; bool spice, in_place; } cases[] = {
    { "one chunk", { 1, 64 }, 1, false, false },
    { "one chunk, in place", { 1, 64 }, 1, false, true },
    { "several", { 33, 320 }, 0.03f, false, false },
    { "several, in place", { 33, 320 }, 0.03f, false, true },
    { "outliers, in place", { 9, 128 }, 1, true, true },
    { "large", { 17, 192 }, 1e38f, false, true },
    { "tiny", { 8, 64 }, 1e-36f, false, true },
    { "many rows, in place", { 1156, 64 }, 1, true, true },
};

bool test_case_pair_rows(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, pair_rows);
    const uint64_t count = (uint64_t)p->rows * p->k;
    float *w = test_uniform(c, 0, count, -cases[index].most, cases[index].most);
    if (cases[index].spice) {
        test_spice(c, 0);
        memset(w + (p->rows - 1) * p->k, 0, p->k * sizeof *w);       // a row of zeros
    }
    for (uint32_t i = 0; i < p->k && p->rows > 2; i++) { w[p->k + i] *= 0x1p-12f; }
    if (cases[index].in_place) {
        test_alias_f16(c, 1, 0);
    } else {
        test_output_f16(c, 1, 2 * count);
    }
    test_output(c, 2, p->rows);
    return true;
}
