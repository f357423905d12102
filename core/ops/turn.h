// Rotary position of one head in the reference, a head's first half paired with its second; what rope_half and attn_step share.
#ifndef RP_OPS_TURN_H
#define RP_OPS_TURN_H

#include "op.h"

// Elements at, .. of x to elements to_at, .. of y; angles [half, 2]: cos, sin.
static inline void ref_turn(const void *x, size_t at, const double *angles, uint32_t half, void *y, size_t to_at, bool f16) {
    for (uint32_t i = 0; i < half; i++) {
        const double a = ref_get(x, at + i, f16), b = ref_get(x, at + half + i, f16), cosine = angles[2 * i], sine = angles[2 * i + 1];
        ref_put(y, to_at + i, a * cosine - b * sine, f16);
        ref_put(y, to_at + half + i, b * cosine + a * sine, f16);
    }
}

#endif
