// pack_bits: both halves, values at either side of 0 and on it.
#include "bars.h"

static const struct { const char *name; struct rp_pack_bits_params p; } cases[] = {
    { "one bit each", { 1, 1, 1 } },
    { "no rows", { 0, 10, 10 } },
    { "unequal halves", { 37, 3, 7 } },
    { "10 + 10", { 301, 10, 10 } },
    { "16 + 16", { 5, 16, 16 } },
};

bool test_case_pack_bits(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, pack_bits);
    test_uniform(c, 0, (uint64_t)p->rows * (p->s1_bits + p->s2_bits), -1, 1);
    test_spice(c, 0);
    bars_words(c, 1, 2 * (uint64_t)p->rows);
    return true;
}
