// advance: both things it does, in place.
#include "../case.h"

static const struct { const char *name; struct rp_advance_params p; } cases[] = {
    { "step", { RP_ADVANCE_STEP, 0 } },
    { "chunk", { RP_ADVANCE_CHUNK, 7 } },
    { "chunk of one", { RP_ADVANCE_CHUNK, 1 } },
};

bool test_case_advance(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    uint32_t *step = test_u32(c, 0, RP_STEP_WORDS);
    for (uint32_t i = 0; i < RP_STEP_WORDS; i++) { step[i] = 100 + i + 10 * test_below(c, 9); }
    test_alias(c, 1, 0);
    return true;
}
