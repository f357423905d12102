// Rotary position with xPos of one head in the reference, pairs of neighbours; what rope_kv and attn_rope share.
#ifndef RP_OPS_XPOS_H
#define RP_OPS_XPOS_H

#include "op.h"

typedef struct ref_xpos {
    const double *angles, *powers;   // [d/2, 2]: cos, sin; [d/2], which repeat after d/2 columns
    uint32_t d;
} ref_xpos;

// Of a row of the angles [positions, d/2, 2] and one of the powers [exponents, d/2].
static inline ref_xpos ref_xpos_of(const double *angles, const double *powers, uint32_t position, uint32_t exponent, uint32_t d) {
    return (ref_xpos){ angles + (size_t)position * d, powers + (size_t)exponent * (d / 2), d };
}

// Elements at, .. of x to elements to_at, .. of y: turned, times the powers (a query) or over them (a key).
static inline void ref_xpos_turn(const ref_xpos *by, const void *x, size_t at, void *y, size_t to_at, bool query, bool f16) {
    for (uint32_t j = 0; j < by->d; j += 2) {
        const double a = ref_get(x, at + j, f16), b = ref_get(x, at + j + 1, f16), cosine = by->angles[j], sine = by->angles[j + 1];
        const double f0 = by->powers[j % (by->d / 2)], f1 = by->powers[(j + 1) % (by->d / 2)];
        const double low = a * cosine - b * sine, high = b * cosine + a * sine;
        ref_put(y, to_at + j, query ? low * f0 : low / f0, f16);
        ref_put(y, to_at + j + 1, query ? high * f1 : high / f1, f16);
    }
}

#endif
