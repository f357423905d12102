// broadcast: rows repeated for every path, also rows of float64 (two words an element).
#include "../case.h"

static const struct { const char *name; struct rp_broadcast_params p; bool f64; } cases[] = {
    { "one word", { 1, 1, 1, 1 }, false },
    { "one path", { 2, 1, 3, 5 }, false },
    { "odd sizes", { 2, 7, 3, 37 }, false },
    { "state, f64", { 3, 5, 2, 8 }, true },
    { "one variate", { 1, 65, 1, 129 }, false },
};

bool test_case_broadcast(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, broadcast);
    const uint64_t words = (uint64_t)p->batch * p->variates * p->width;
    if (cases[index].f64) {
        double *x = test_f64(c, 0, words / 2);
        for (uint64_t i = 0; i < words / 2; i++) {     // what a pair of float32 holds as well, for devices without float64
            const float high = (float)((test_random(c) - 0.5) * 1e12);
            x[i] = (double)high + (double)(float)(test_random(c) - 0.5);
        }
        test_output_f64(c, 1, words / 2 * p->paths);
    } else {
        test_uniform(c, 0, words, -1, 1);
        test_spice(c, 0);
        test_output(c, 1, words * p->paths);
    }
    return true;
}
