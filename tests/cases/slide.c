// slide: contexts shorter than the window, as long and longer, with no bars of a path's own, some, and as many as the window.
#include "bars.h"

static const struct { const char *name; struct rp_slide_params p; uint32_t most; } cases[] = {
    { "one series", { 1, 8, 0 }, 8 },
    { "by the step", { 70, 16, 0 }, 40 },
    { "by the horizon", { 130, 16, 1 }, 40 },
    { "window never full", { 5, 512, 1 }, 100 },
};

bool test_case_slide(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, slide);
    uint32_t *n_bars = test_u32(c, 0, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) { n_bars[b] = b == 0 ? cases[index].most : 1 + test_below(c, cases[index].most); }
    if (p->batch > 1) { n_bars[1] = p->window; }
    static const uint32_t own[] = { 0, 1, 7, 16 };                       // by variation; the last fills the smaller windows
    const uint32_t at = own[c->variation];
    test_step(c, 1, (struct rp_step){ .batch = p->batch - (c->variation == 2), .paths = 3,
                                      .step = p->at_end ? 2 : at, .horizon = p->at_end ? at : 5 });
    for (uint32_t i = 2; i < 5; i++) { bars_words(c, i, p->batch); }
    return true;
}
