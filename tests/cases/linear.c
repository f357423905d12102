// linear: all kernels (skinny up to 16 rows, tiles above; of float32, float16 and pairs of it), sizes that divide nothing, k not divisible by 4,
// chunks of 128.
#include "../case.h"

#define PLAIN 0, 0, 0, 0    // norm, its epsilon; silu; pairs
#define SILU 0, 0, 1, 0
#define NONE 0, 0, 0, 0, PLAIN    // w, x, y float16; gated
#define PAIRS_AS(gated, norm, eps, silu) 0, 0, 0, gated, norm, eps, silu, 1
#define PAIRS PAIRS_AS(0, 0, 0, 0)
static const struct { const char *name; struct rp_linear_params p; bool spice; } cases[] = {
    { "one element", { 1, 1, 1, 0, 0, NONE }, false },
    { "one row, one column", { 1, 1, 300, 1, 1, NONE }, false },
    { "skinny, m 1, k 768", { 1, 70, 768, 1, 0, NONE }, false },
    { "skinny, m 1, k 127", { 1, 33, 127, 0, 1, NONE }, false },
    { "skinny, m 3, k 2", { 3, 31, 2, 1, 1, NONE }, false },
    { "skinny, m 16, k 129", { 16, 65, 129, 1, 1, NONE }, false },
    { "skinny, m 16, k 64", { 16, 32, 64, 0, 0, NONE }, true },
    { "skinny, m 7, k 771", { 7, 100, 771, 1, 0, NONE }, true },
    { "tile, m 17, k 129", { 17, 65, 129, 1, 1, NONE }, false },
    { "tile, m 17, k 1", { 17, 1, 1, 0, 0, NONE }, false },
    { "tile, m 64, k 128", { 64, 64, 128, 1, 0, NONE }, false },
    { "tile, m 65, k 256", { 65, 63, 256, 0, 1, NONE }, false },
    { "tile, m 65, k 131", { 65, 129, 131, 1, 1, NONE }, true },
    { "tile, m 200, k 96", { 200, 192, 96, 1, 1, NONE }, false },
    { "tile, m 200, k 385", { 200, 66, 385, 0, 0, NONE }, true },
    { "tile, m 17, n 1, k 64", { 17, 1, 64, 1, 1, NONE }, false },
    { "tile, m 129, n 97, k 192", { 129, 97, 192, 1, 1, NONE }, true },
    { "tile, m 257, n 194, k 320", { 257, 194, 320, 1, 0, NONE }, false },
    { "tile, m 300, n 260, k 832", { 300, 260, 832, 0, 1, NONE }, true },
    { "tile, m 70, n 68, k 3072", { 70, 68, 3072, 1, 1, NONE }, false },
    { "tile, m 1793, n 1156, k 64", { 1793, 1156, 64, 1, 1, NONE }, false },
    { "tile, m 2100, n 1090, k 128", { 2100, 1090, 128, 0, 1, NONE }, false },
    { "gated, tile, m 130, k 768", { 130, 416, 768, 1, 0, 0, 0, 0, 1, PLAIN }, false },
    { "gated, tile, m 1000, k 64", { 1000, 1616, 64, 0, 0, 0, 0, 0, 1, PLAIN }, true },
    { "gated, skinny, m 1", { 1, 32, 40, 1, 0, 0, 0, 0, 1, PLAIN }, false },
    { "gated, skinny, m 13", { 13, 144, 600, 0, 0, 0, 0, 0, 1, PLAIN }, false },
    { "gated, tile, m 65", { 65, 208, 50, 1, 0, 0, 0, 0, 1, PLAIN }, false },
    { "gated, tile, m 200", { 200, 208, 64, 0, 0, 0, 0, 0, 1, PLAIN }, false },
    { "norm, m 1, k 512", { 1, 40, 512, 1, 0, 0, 0, 0, 0, 1, 1e-5f, 0, 0 }, false },
    { "norm, m 2, k 3", { 2, 9, 3, 0, 1, 0, 0, 0, 0, 1, 1e-8f, 0, 0 }, false },
    { "norm, m 7, k 1030", { 7, 33, 1030, 0, 1, 0, 0, 0, 0, 1, 1e-5f, 0, 0 }, false },
    { "norm, m 16, k 832, gated", { 16, 64, 832, 1, 0, 0, 0, 0, 1, 1, 1e-5f, 0, 0 }, false },
    { "norm, m 11, k 100", { 11, 20, 100, 1, 1, 0, 0, 0, 0, 1, 1e-4f, 0, 0 }, false },
    { "skinny, m 16, k 4224", { 16, 20, 4224, 1, 1, NONE }, false },
    { "skinny, m 6, k 3072", { 6, 1100, 3072, 1, 1, NONE }, true },
    { "skinny, m 8, k 832", { 8, 100, 832, 1, 1, NONE }, true },
    { "skinny, m 5, k 1280", { 5, 2109, 1280, 0, 1, NONE }, false },
    { "skinny, m 8, k 768", { 8, 768, 768, 1, 1, NONE }, false },
    { "skinny, m 3, k 5440, silu", { 3, 21, 5440, 1, 0, 0, 0, 0, 0, SILU }, false },
    { "gated, skinny, m 9, k 2112", { 9, 96, 2112, 1, 0, 0, 0, 0, 1, PLAIN }, false },
    { "norm, m 8, k 1088", { 8, 3200, 1088, 1, 0, 0, 0, 0, 0, 1, 1e-5f, 0, 0 }, false },
    { "pairs, skinny, m 1, k 768", { 1, 70, 768, 1, 0, PAIRS }, false },
    { "pairs, skinny, m 1, n 1, k 64", { 1, 1, 64, 0, 0, PAIRS }, false },
    { "pairs, skinny, m 16, k 64", { 16, 33, 64, 0, 0, PAIRS }, true },
    { "pairs, skinny, m 9, k 128, n 1156", { 9, 1156, 128, 1, 1, PAIRS }, true },
    { "pairs, skinny, m 16, k 4224", { 16, 20, 4224, 1, 1, PAIRS }, false },
    { "pairs, skinny, m 6, k 3072", { 6, 1100, 3072, 1, 1, PAIRS }, true },
    { "pairs, skinny, m 2, k 320", { 2, 100, 320, 0, 1, PAIRS }, false },
    { "pairs, skinny, m 8, k 832", { 8, 100, 832, 1, 1, PAIRS }, true },
    { "pairs, skinny, m 5, k 1280", { 5, 2109, 1280, 0, 1, PAIRS }, false },
    { "pairs, skinny, m 8, k 768", { 8, 768, 768, 1, 1, PAIRS }, false },
    { "pairs, skinny, m 3, k 5440, silu", { 3, 21, 5440, 1, 0, PAIRS_AS(0, 0, 0, 1) }, false },
    { "pairs, skinny, silu, k 128", { 5, 40, 128, 1, 0, PAIRS_AS(0, 0, 0, 1) }, false },
    { "pairs, gated, skinny, m 9, k 2112", { 9, 96, 2112, 1, 0, PAIRS_AS(1, 0, 0, 0) }, false },
    { "pairs, gated, skinny, m 1, k 64", { 1, 32, 64, 1, 0, PAIRS_AS(1, 0, 0, 0) }, false },
    { "pairs, norm, m 1, k 512", { 1, 40, 512, 1, 0, PAIRS_AS(0, 1, 1e-5f, 0) }, false },
    { "pairs, norm, m 16, k 832, gated", { 16, 64, 832, 1, 0, PAIRS_AS(1, 1, 1e-5f, 0) }, false },
    { "pairs, norm, m 8, k 1088", { 8, 3200, 1088, 1, 0, PAIRS_AS(0, 1, 1e-5f, 0) }, false },
    { "pairs, norm, m 10, k 256, several blocks", { 10, 2300, 256, 1, 0, PAIRS_AS(0, 1, 1e-5f, 0) }, false },
    { "pairs, norm, m 3, k 448, gated", { 3, 3200, 448, 0, 0, PAIRS_AS(1, 1, 1e-5f, 0) }, false },
    { "pairs, norm, m 15, k 3072, residual", { 15, 33, 3072, 0, 1, PAIRS_AS(0, 1, 1e-5f, 0) }, false },
    { "pairs, tile, m 17, n 1, k 64", { 17, 1, 64, 1, 1, PAIRS }, false },
    { "pairs, tile, m 64, k 128", { 64, 64, 128, 1, 0, PAIRS }, false },
    { "pairs, tile, m 65, k 256", { 65, 63, 256, 0, 1, PAIRS }, false },
    { "pairs, tile, m 129, n 97, k 192", { 129, 97, 192, 1, 1, PAIRS }, true },
    { "pairs, tile, m 257, n 194, k 320", { 257, 194, 320, 1, 0, PAIRS }, false },
    { "pairs, tile, m 300, n 260, k 832", { 300, 260, 832, 0, 1, PAIRS }, true },
    { "pairs, tile, m 70, n 68, k 3072", { 70, 68, 3072, 1, 1, PAIRS }, false },
    { "pairs, tile, m 33, n 100, k 4224", { 33, 100, 4224, 1, 0, PAIRS }, false },
    { "pairs, tile, m 1793, n 1156, k 64", { 1793, 1156, 64, 1, 1, PAIRS }, false },
    { "pairs, gated, tile, m 130, k 768", { 130, 416, 768, 1, 0, PAIRS_AS(1, 0, 0, 0) }, false },
    { "pairs, gated, tile, m 1000, k 64", { 1000, 1616, 64, 0, 0, PAIRS_AS(1, 0, 0, 0) }, true },
    { "pairs, gated, tile, m 200", { 200, 208, 64, 0, 0, PAIRS_AS(1, 0, 0, 0) }, false },
    { "pairs, narrow, silu", { 37, 65, 64, 1, 0, PAIRS_AS(0, 0, 0, 1) }, false },
    { "pairs, tile, silu, no bias", { 200, 300, 64, 0, 0, PAIRS_AS(0, 0, 0, 1) }, false },
    { "mixed, norm, m 1", { 1, 48, 512, 1, 0, 1, 0, 0, 0, 1, 1e-5f, 0, 0 }, false },
    { "mixed, norm, m 10, k 832, gated", { 10, 96, 832, 0, 0, 1, 0, 1, 1, 1, 1e-5f, 0, 0 }, false },
    { "mixed, norm, m 16, k 2056", { 16, 24, 2056, 1, 1, 1, 0, 0, 0, 1, 1e-4f, 0, 0 }, false },
    { "norm, m 10, k 256, several blocks", { 10, 2300, 256, 1, 0, 0, 0, 0, 0, 1, 1e-5f, 0, 0 }, false },
    { "norm, m 3, k 448, gated", { 3, 3200, 448, 0, 0, 0, 0, 0, 1, 1, 1e-5f, 0, 0 }, false },
    { "mixed, norm, m 16, k 256, several blocks", { 16, 2300, 256, 1, 0, 1, 0, 1, 0, 1, 1e-5f, 0, 0 }, false },
    { "mixed, norm, m 7, k 832, gated", { 7, 3200, 832, 1, 0, 1, 0, 1, 1, 1, 1e-5f, 0, 0 }, false },
    { "mixed, norm, m 3, k 72", { 3, 40, 72, 0, 1, 1, 0, 0, 0, 1, 1e-5f, 0, 0 }, false },
    { "mixed, skinny, m 12, k 832, float32 x", { 12, 1300, 832, 1, 1, 1, 0, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 5, k 5464, float32 x", { 5, 40, 5464, 0, 1, 1, 0, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 16, k 4360", { 16, 20, 4360, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 8, k 3072", { 8, 1100, 3072, 1, 1, 1, 1, 1, 0, PLAIN }, false },
    { "skinny, silu, k 128", { 5, 40, 128, 1, 0, 0, 0, 0, 0, SILU }, false },
    { "skinny, silu", { 5, 40, 131, 1, 0, 0, 0, 0, 0, SILU }, false },
    { "narrow, silu", { 37, 65, 64, 1, 0, 0, 0, 0, 0, SILU }, false },
    { "tile, silu, no bias", { 200, 300, 64, 0, 0, 0, 0, 0, 0, SILU }, false },
    { "mixed, skinny, silu", { 5, 96, 264, 1, 0, 1, 1, 1, 0, SILU }, false },
    { "mixed, silu", { 200, 304, 264, 1, 0, 1, 1, 1, 0, SILU }, false },
    { "mixed, silu, m 973, k 64", { 973, 392, 64, 1, 0, 1, 1, 1, 0, SILU }, false },
    { "mixed, silu, odd rows of y", { 150, 131, 96, 0, 0, 1, 1, 0, 0, SILU }, false },
    { "mixed, narrow, silu, float32 x", { 100, 131, 96, 1, 0, 1, 0, 0, 0, SILU }, false },
    { "mixed, one row, one column", { 1, 1, 8, 0, 0, 1, 0, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 8", { 8, 70, 768, 1, 0, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 16, k 40, float32 x", { 16, 65, 40, 1, 1, 1, 0, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 3, k 1000", { 3, 33, 1000, 1, 1, 1, 1, 1, 0, PLAIN }, false },
    { "mixed, skinny, m 11, k 2072", { 11, 40, 2072, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, skinny, m 2, k 2048, float32 x", { 2, 16, 2048, 0, 0, 1, 0, 0, 0, PLAIN }, false },
    { "mixed, skinny, gated", { 5, 96, 264, 1, 0, 1, 1, 1, 1, PLAIN }, false },
    { "mixed, skinny, gated, float32", { 16, 16, 32, 0, 0, 1, 0, 0, 1, PLAIN }, false },
    { "mixed, narrow, m 17, k 8", { 17, 65, 8, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, narrow, m 100, k 136, float32 x", { 100, 130, 136, 1, 1, 1, 0, 1, 0, PLAIN }, false },
    { "mixed, narrow, gated", { 100, 192, 96, 1, 0, 1, 1, 1, 1, PLAIN }, false },
    { "mixed, medium, m 200", { 200, 1700, 72, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, medium, m 640, gated", { 640, 640, 64, 1, 0, 1, 1, 1, 1, PLAIN }, false },
    { "mixed, medium, float32 x", { 333, 1234, 40, 0, 1, 1, 0, 0, 0, PLAIN }, false },
    { "mixed, large", { 1300, 1250, 72, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, large, float32 x", { 1300, 1251, 40, 1, 0, 1, 0, 1, 0, PLAIN }, false },
    { "mixed, large, m 2600", { 2600, 1250, 40, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, large, m 2561, float32 x", { 2561, 1240, 40, 1, 0, 1, 0, 1, 0, PLAIN }, false },
    { "mixed, m 65, n 1, k 8", { 65, 1, 8, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, m 128, n 64, k 64", { 128, 64, 64, 0, 0, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, m 129, n 130, k 72, to float16", { 129, 130, 72, 1, 1, 1, 1, 1, 0, PLAIN }, false },
    { "mixed, m 67, n 258, k 3080", { 67, 258, 3080, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, m 300, k 776, gated, float32", { 300, 208, 776, 0, 0, 1, 1, 0, 1, PLAIN }, false },
    { "mixed, m 1000, n 772, k 136", { 1000, 772, 136, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, m 1793, n 1156, k 72", { 1793, 1156, 72, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, m 1793, n 1155, k 72, to float16", { 1793, 1155, 72, 0, 1, 1, 1, 1, 0, PLAIN }, false },
    { "mixed, m 1792, n 3088, k 24, gated", { 1792, 3088, 24, 1, 0, 1, 1, 1, 1, PLAIN }, false },
    { "mixed, m 1790, n 2304, k 40", { 1790, 2304, 40, 1, 0, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, m 5121, n 840, k 32", { 5121, 840, 32, 1, 1, 1, 1, 0, 0, PLAIN }, false },
    { "mixed, large, gated", { 1281, 1296, 136, 1, 0, 1, 1, 1, 1, PLAIN }, false },
};

static void numbers(test_case *c, uint32_t binding, bool f16, uint64_t count) {
    if (f16) {
        test_uniform_f16(c, binding, count, -1, 1);
    } else {
        test_uniform(c, binding, count, -1, 1);
    }
}

bool test_case_linear(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, linear);
    numbers(c, 0, p->x_f16, (uint64_t)p->m * p->k);
    numbers(c, 1, p->w_f16, (uint64_t)p->n * p->k);
    if (cases[index].spice) { test_spice(c, 0), test_spice(c, 1); }
    if (p->w_pairs) { test_pairs(c, 1, 5, p->n, p->k); }
    if (p->has_bias) { test_uniform(c, 2, p->n, -1, 1); }
    if (p->has_residual) { test_uniform(c, 3, (uint64_t)p->m * p->n, -1, 1); }
    if (p->norm) { test_uniform(c, 4, p->k, -1.5f, 1.5f); }
    (p->y_f16 ? test_output_f16 : test_output)(c, 6, (uint64_t)p->m * (p->gated ? p->n / 2 : p->n));
    c->needs_mixed = p->w_f16 != 0;
    c->needs_pairs = p->w_pairs != 0;
    return true;
}
