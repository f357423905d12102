// What the cases of attn_time and attn_space share.
#ifndef RP_TESTS_ATTENTION_H
#define RP_TESTS_ATTENTION_H

#include "../case.h"

static inline void attention_scale(uint32_t head_width, float *scale, float *rest) {
    const double exact = 1 / sqrt((double)head_width);
    *scale = (float)exact;
    *rest = (float)(exact - (double)*scale);
}

#endif
