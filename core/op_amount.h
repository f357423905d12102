// What a bar's amount is where it is missing: its volume times the mean of its prices, in float64 and rounded to float32 once at the
// end, as the original's tables have it. Not every device has float64 in shaders, so they take integers to the same bits;
// tests/op_math.c compares the two.
#ifndef RP_OP_AMOUNT_H
#define RP_OP_AMOUNT_H

#include "op_math.h"

// +-(high 2^32 + low) 2^e. The top bit of high is set, or both are 0. Of a float64 the lowest 11 bits are 0; between two roundings
// they hold what is to be rounded, the very last whether anything is below it.
#ifdef RP_GLSL
struct rp_wide { uint sign, high, low; int e; };
#else
typedef struct rp_wide { RP_UINT sign, high, low; RP_INT e; } rp_wide;
#endif

// The value of finite float32 bits.
RP_FN rp_wide rp_wide_of(RP_UINT bits) {
    rp_wide x;
    RP_UINT exponent = (bits >> 23) & 255u;
    x.sign = bits & 0x80000000u;
    x.high = (bits & 0x007fffffu) << 8;
    x.low = 0u;
    x.e = RP_TO_INT(exponent) - 190;                   // 127, and the 63 bits below the first
    if (exponent != 0u) {
        x.high = x.high | 0x80000000u;
    } else {
        x.e = -189;
        for (RP_INT i = 0; i < 32 && x.high != 0u && x.high < 0x80000000u; i++) {
            x.high = x.high << 1;
            x.e = x.e - 1;
        }
    }
    return x;
}

// Moved down by n bits; what falls off stays as the lowest bit.
RP_FN rp_wide rp_wide_down(rp_wide x, RP_UINT n) {
    RP_UINT lost = 0u;
    x.e = x.e + RP_TO_INT(n);
    if (n >= 64u) {
        lost = x.high | x.low;
        x.high = 0u;
        x.low = 0u;
        n = 0u;
    }
    if (n >= 32u) {
        lost = x.low;
        x.low = x.high;
        x.high = 0u;
        n = n - 32u;
    }
    if (n > 0u) {
        lost = lost | (x.low << (32u - n));
        x.low = (x.low >> n) | (x.high << (32u - n));
        x.high = x.high >> n;
    }
    if (lost != 0u) { x.low = x.low | 1u; }
    return x;
}

// To the nearest float64, ties to even.
RP_FN rp_wide rp_wide_round(rp_wide x) {
    for (RP_INT i = 0; i < 64 && (x.high | x.low) != 0u && x.high < 0x80000000u; i++) {
        x.high = (x.high << 1) | (x.low >> 31);
        x.low = x.low << 1;
        x.e = x.e - 1;
    }
    RP_UINT rest = x.low & 0x7ffu;
    RP_UINT up = rest > 0x400u || (rest == 0x400u && (x.low & 0x800u) != 0u) ? 0x800u : 0u;
    x.low = (x.low & ~0x7ffu) + up;
    if (up != 0u && x.low == 0u) {
        x.high = x.high + 1u;
        if (x.high == 0u) {
            x.high = 0x80000000u;
            x.e = x.e + 1;
        }
    }
    return x;
}

RP_FN rp_wide rp_wide_add(rp_wide a, rp_wide b) {
    if ((b.high | b.low) == 0u) {
        if ((a.high | a.low) == 0u) { a.sign = a.sign & b.sign; }
        return a;
    }
    if ((a.high | a.low) == 0u) { return b; }
    if (a.e < b.e || (a.e == b.e && (a.high < b.high || (a.high == b.high && a.low < b.low)))) {
        rp_wide other = a;
        a = b;
        b = other;
    }
    b = rp_wide_down(b, RP_TO_UINT(a.e - b.e));
    if (a.sign == b.sign) {
        RP_UINT low = a.low + b.low, carry = low < b.low ? 1u : 0u, high = a.high + b.high + carry;
        RP_UINT over = high < a.high || (high == a.high && carry != 0u) ? 1u : 0u;
        a.low = low;
        a.high = high;
        if (over != 0u) {
            a = rp_wide_down(a, 1u);
            a.high = a.high | 0x80000000u;
        }
    } else {
        a.high = a.high - b.high - (a.low < b.low ? 1u : 0u);
        a.low = a.low - b.low;
        if ((a.high | a.low) == 0u) { a.sign = 0u; }
    }
    return rp_wide_round(a);
}

// a times b, of which b has no more bits than a float32.
RP_FN rp_wide rp_wide_times(rp_wide a, rp_wide b) {
    RP_UINT high = rp_mul_high(a.high, b.high), middle = a.high * b.high, below = rp_mul_high(a.low, b.high);
    a.sign = a.sign ^ b.sign;
    a.e = a.e + b.e + 64;
    RP_UINT lost = a.low * b.high;
    a.low = middle + below;
    a.high = high + (a.low < below ? 1u : 0u);
    if (lost != 0u) { a.low = a.low | 1u; }
    return rp_wide_round(a);
}

// The bits of the nearest float32, ties to even; |x| below 2^127.
RP_FN RP_UINT rp_wide_bits(rp_wide x) {
    RP_INT exponent = x.e + 190;
    if (exponent < -24 || (x.high | x.low) == 0u) { return x.sign; }
    RP_UINT whole = exponent > 0 ? RP_TO_UINT(exponent - 1) << 23 : 0u;      // the mantissa's first bit counts it up
    rp_wide m = rp_wide_down(x, exponent > 0 ? 8u : RP_TO_UINT(9 - exponent));
    RP_UINT up = m.low > 0x80000000u || (m.low == 0x80000000u && (m.high & 1u) != 0u) ? 1u : 0u;
    return x.sign | (whole + m.high + up);
}

// Of finite float32 bits below 2^63; the amount's bits.
RP_FN RP_UINT rp_amount_bits(RP_UINT open, RP_UINT high, RP_UINT low, RP_UINT close, RP_UINT volume) {
    rp_wide price = rp_wide_add(rp_wide_add(rp_wide_add(rp_wide_of(open), rp_wide_of(high)), rp_wide_of(low)), rp_wide_of(close));
    price.e = price.e - 2;
    return rp_wide_bits(rp_wide_times(price, rp_wide_of(volume)));
}

#ifndef RP_GLSL
RP_FN float rp_amount(float open, float high, float low, float close, float volume) {
#ifdef __CUDACC__
    const double prices = __dadd_rn(__dadd_rn(__dadd_rn((double)open, (double)high), (double)low), (double)close);
    return __double2float_rn(__dmul_rn((double)volume, prices * 0.25));
#else
    return (float)((double)volume * (((double)open + (double)high + (double)low + (double)close) / 4));
#endif
}
#endif

#endif
