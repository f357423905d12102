// Scalar functions that C, CUDA and GLSL share word for word, so that a draw takes the same path on every backend and no
// result hangs on how a driver rounds exp or cos. float32 throughout; each function states its error bound in ulp (units in
// the last place of the true result), which tests/op_math.c measures against float64 with fused and with unfused RP_FMA.
//
// Shaders (RP_GLSL defined) may run fma as a product and a sum, flush subnormals, contract and reorder. So every reduction
// below is exact without any of them, fma is written out where it is meant, and RP_PRECISE marks the places that ask
// for an exact difference. Polynomials interpolate the function at Chebyshev points, coefficients rounded to float32.
#ifndef RP_OP_MATH_H
#define RP_OP_MATH_H

#ifdef RP_GLSL
#define RP_FN
#define RP_PRECISE precise
#ifndef RP_UINT
#define RP_UINT uint
#endif
#define RP_INT int
#define RP_TO_FLOAT(x) float(x)
#define RP_TO_INT(x) int(x)
#define RP_TO_UINT(x) uint(x)
#define RP_FLOAT_BITS(x) floatBitsToUint(x)
#define RP_BITS_FLOAT(x) uintBitsToFloat(x)
#define RP_FMA(a, b, c) fma(a, b, c)
#define RP_FLOOR(x) floor(x)
#define RP_SQRT(x) sqrt(x)
struct rp_words { uint w0, w1, w2, w3; };

uint rp_mul_high(uint a, uint b) {
    uint high, low;
    umulExtended(a, b, high, low);
    return high;
}

#else
#include <stdint.h>
#ifndef RP_UINT
#define RP_UINT uint32_t
#endif
#define RP_INT int32_t
#define RP_PRECISE
#define RP_TO_FLOAT(x) ((float)(x))
#define RP_TO_INT(x) ((int32_t)(x))
#define RP_TO_UINT(x) ((uint32_t)(x))
typedef struct rp_words { uint32_t w0, w1, w2, w3; } rp_words;

#ifdef __CUDACC__
#define RP_FN static __device__ inline
#define RP_FLOAT_BITS(x) __float_as_uint(x)
#define RP_BITS_FLOAT(x) __uint_as_float(x)
#define RP_FMA(a, b, c) __fmaf_rn(a, b, c)
#define RP_FLOOR(x) floorf(x)
#define RP_SQRT(x) __fsqrt_rn(x)
RP_FN uint32_t rp_mul_high(uint32_t a, uint32_t b) { return __umulhi(a, b); }

#else
#include <math.h>
#include <string.h>
#define RP_FN static inline
#ifndef RP_FMA                    // tests/op_math.c brings its own
#define RP_FMA(a, b, c) fmaf(a, b, c)
#endif
#define RP_FLOOR(x) floorf(x)
#define RP_SQRT(x) sqrtf(x)
RP_FN uint32_t rp_float_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
RP_FN float rp_bits_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
#define RP_FLOAT_BITS(x) rp_float_bits(x)
#define RP_BITS_FLOAT(x) rp_bits_float(x)
RP_FN uint32_t rp_mul_high(uint32_t a, uint32_t b) { return (uint32_t)(((uint64_t)a * b) >> 32); }
#endif
#endif

#define RP_INFINITY RP_BITS_FLOAT(0x7f800000u)
#define RP_NAN RP_BITS_FLOAT(0x7fc00000u)

// ln 2 = hi + lo; hi has 15 bits, so its product with any exponent of a float32 is exact.
#define RP_LN2_HI 0.693145751953125f
#define RP_LN2_LO 1.42860677e-6f
#define RP_LOG2_E 1.44269502f

// Native square root: correctly rounded in C and CUDA, at most 2.5 ulp in Vulkan.
RP_FN float rp_sqrt(float x) { return RP_SQRT(x); }

// 2^n as a float, -126 <= n <= 127.
RP_FN float rp_pow2(RP_INT n) { return RP_BITS_FLOAT(RP_TO_UINT(n + 127) << 23); }

// exp(r) - 1 for |r| <= 0.347. Error: 1 ulp.
RP_FN float rp_expm1_small(float r) {
    float q = 0.000198910799f;    // (exp(r) - 1 - r) / r^2, within 4.5e-9
    q = RP_FMA(q, r, 0.00139337312f);
    q = RP_FMA(q, r, 0.00833331048f);
    q = RP_FMA(q, r, 0.041666463f);
    q = RP_FMA(q, r, 0.166666672f);
    q = RP_FMA(q, r, 0.5f);
    return RP_FMA(r * r, q, r);
}

// x - n ln 2, n = round(x / ln 2).
RP_FN float rp_reduce_ln2(float x, float n) {
    RP_PRECISE float high = x - n * RP_LN2_HI;         // product and difference are exact; precise, since Mesa otherwise
    return RP_FMA(n, -RP_LN2_LO, high);                // joins both products into n (hi + lo), which loses lo
}
RP_FN float rp_round_ln2(float x) { return RP_FLOOR(RP_FMA(x, RP_LOG2_E, 0.5f)); }

// exp(x). Error: 1.5 ulp, subnormal results included (0 where the device flushes them). exp(-inf) = 0, above 88.73 inf.
RP_FN float rp_exp(float x) {
    if (!(x <= 89.0f)) { return x * RP_INFINITY; }     // inf, or NaN
    if (x < -104.0f) { return 0.0f; }
    float n = rp_round_ln2(x);
    float p = 1.0f + rp_expm1_small(rp_reduce_ln2(x, n));
    RP_INT whole = RP_TO_INT(n);                       // -150 .. 128: the power of two takes two factors
    RP_INT half_n = whole / 2;
    return p * rp_pow2(half_n) * rp_pow2(whole - half_n);
}

// exp(x) - 1. Error: 2 ulp.
RP_FN float rp_expm1(float x) {
    if (!(x <= 88.0f)) { return rp_exp(x); }
    if (x < -18.0f) { return -1.0f; }
    float n = rp_round_ln2(x);
    float e = rp_expm1_small(rp_reduce_ln2(x, n));
    float s = rp_pow2(RP_TO_INT(n));                   // n <= 127
    return RP_FMA(s, e, s - 1.0f);
}

// (log(1 + f) - f) / f^2 for sqrt(1/2) <= 1 + f <= sqrt(2), within 6.2e-9.
RP_FN float rp_log1p_tail(float f) {
    float q = 0.0676902384f;
    q = RP_FMA(q, f, -0.115572877f);
    q = RP_FMA(q, f, 0.118121363f);
    q = RP_FMA(q, f, -0.124208145f);
    q = RP_FMA(q, f, 0.142323181f);
    q = RP_FMA(q, f, -0.166675374f);
    q = RP_FMA(q, f, 0.200014472f);
    q = RP_FMA(q, f, -0.250000119f);
    q = RP_FMA(q, f, 0.333333224f);
    return RP_FMA(q, f, -0.5f);
}

// log(x (1 + c)) for finite x > 0 and |c| <= 2^-23; x may be subnormal. The mantissa goes to [sqrt(1/2), sqrt(2)).
RP_FN float rp_log_finite(float x, float c) {
    RP_UINT bits = RP_FLOAT_BITS(x);
    float e = 0.0f;
    if (bits < 0x00800000u) {     // subnormal: bits counts steps of 2^-149, read as an integer since a device may flush
        bits = RP_FLOAT_BITS(RP_TO_FLOAT(bits));
        e = -149.0f;
    }
    RP_UINT shifted = bits + (0x3f800000u - 0x3f3504f3u);        // 0x3f3504f3: sqrt(1/2)
    e = e + RP_TO_FLOAT(RP_TO_INT(shifted >> 23) - 127);
    float f = RP_BITS_FLOAT((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float low = RP_FMA(f * f, rp_log1p_tail(f), RP_FMA(e, RP_LN2_LO, c));
    return RP_FMA(e, RP_LN2_HI, f + low);
}

// log(x). Error: 1.5 ulp, x near 1 and subnormal x included. log(0) = -inf, below NaN.
RP_FN float rp_log(float x) {
    RP_UINT bits = RP_FLOAT_BITS(x);
    if (bits == 0u || bits == 0x80000000u) { return -RP_INFINITY; }
    if (bits > 0x80000000u) { return RP_NAN; }
    if (bits >= 0x7f800000u) { return x; }             // inf, NaN
    return rp_log_finite(x, 0.0f);
}

// log(1 + x). Error: 2 ulp. log1p(-1) = -inf, below NaN.
RP_FN float rp_log1p(float x) {
    if (x > -0.2928f && x < 0.4142f) { return RP_FMA(x * x, rp_log1p_tail(x), x); }
    if (!(x < 1.0e9f) || x <= -1.0f) { return rp_log(x + 1.0f); }
    RP_PRECISE float u = 1.0f + x;
    RP_PRECISE float back = x < 1.0f ? u - 1.0f : u - x;         // exact
    RP_PRECISE float lost = x < 1.0f ? x - back : 1.0f - back;   // exact: what rounding took from u
    return rp_log_finite(u, lost / u);
}

// log(1 + exp(x)). Error: 2.5 ulp; never overflows; 0 below -104.
RP_FN float rp_softplus(float x) {
    float high = x > 0.0f ? x : 0.0f;
    float away = x > 0.0f ? -x : x;
    return high + rp_log1p(rp_exp(away));
}

// x / (1 + exp(-x)). Error: 4 ulp down to x = -87; below, where exp(x) is subnormal, 2e-43 (1.1e-36 where the device
// flushes). silu(-inf) = -0.
RP_FN float rp_silu(float x) {
    if (x < -105.0f) { return -0.0f; }
    float t = rp_exp(x > 0.0f ? -x : x);
    return x * ((x < 0.0f ? t : 1.0f) / (1.0f + t));
}

// sinh(x). Error: 2.5 ulp (quotients correctly rounded); beyond +-89.4 infinite.
RP_FN float rp_sinh(float x) {
    float away = x < 0.0f ? -x : x;
    float y;
    if (away < 30.0f) {
        float t = rp_expm1(away);
        y = 0.5f * (t + t / (t + 1.0f));
    } else if (away < 88.0f) {
        y = 0.5f * rp_exp(away);
    } else {
        float root = rp_exp(0.5f * away);
        y = 0.5f * root * root;
    }
    return x < 0.0f ? -y : y;
}

// asinh(x). Error: 2 ulp, 5 where root and quotient are those of Vulkan.
RP_FN float rp_asinh(float x) {
    float away = x < 0.0f ? -x : x;
    float y;
    if (away < 1.0e4f) {
        float square = away * away;
        y = rp_log1p(away + square / (1.0f + rp_sqrt(1.0f + square)));
    } else {                      // log(2 x) + 1 / (4 x^2), of which the second is nothing
        y = 0.693147182f + rp_log(away);
    }
    return x < 0.0f ? -y : y;
}

// cos(2 pi v) for 0 <= v <= 1. Error: 2 ulp, zeros at 1/4 and 3/4 included.
RP_FN float rp_cos2pi(float v) {
    float a = v > 0.5f ? 1.0f - v : v;                 // exact, as the two below: to [0, 1/4]
    float sign = 1.0f;
    if (a > 0.25f) {
        a = 0.5f - a;
        sign = -1.0f;
    }
    if (a <= 0.125f) {
        float y = a * a;
        float c = 59.4241066f;    // (cos(2 pi a) - 1) / a^2, within 5.9e-7
        c = RP_FMA(c, y, -85.448822f);
        c = RP_FMA(c, y, 64.9393692f);
        c = RP_FMA(c, y, -19.7392082f);
        return sign * RP_FMA(c, y, 1.0f);
    }
    float b = 0.25f - a;          // cos(2 pi a) = sin(2 pi b)
    float y = b * b;
    float s = -75.4016113f;       // sin(2 pi b) / b - 6.28125, within 3.2e-8
    s = RP_FMA(s, y, 81.5925446f);
    s = RP_FMA(s, y, -41.3416634f);
    s = RP_FMA(s, y, 0.00193528784f);
    return sign * RP_FMA(b, 6.28125f, b * s);
}

// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): exact.
RP_FN rp_words rp_philox(RP_UINT key_lo, RP_UINT key_hi, RP_UINT c0, RP_UINT c1, RP_UINT c2, RP_UINT c3) {
    rp_words w;
    w.w0 = c0;
    w.w1 = c1;
    w.w2 = c2;
    w.w3 = c3;
    for (RP_INT round = 0; round < 10; round++) {
        RP_UINT high0 = rp_mul_high(0xd2511f53u, w.w0), low0 = 0xd2511f53u * w.w0;
        RP_UINT high1 = rp_mul_high(0xcd9e8d57u, w.w2), low1 = 0xcd9e8d57u * w.w2;
        w.w0 = high1 ^ w.w1 ^ key_lo;
        w.w1 = low1;
        w.w2 = high0 ^ w.w3 ^ key_hi;
        w.w3 = low0;
        key_lo += 0x9e3779b9u;    // golden ratio
        key_hi += 0xbb67ae85u;    // sqrt(3) - 1
    }
    return w;
}

// a / b rounded once to nearest, by long division of the mantissas: Vulkan's own may be 2.5 ulp off. Where an argument or the
// result is zero, subnormal, infinite or NaN: the device's own.
RP_FN float rp_div_bits(float a, float b) {
    RP_UINT x = RP_FLOAT_BITS(a), y = RP_FLOAT_BITS(b);
    RP_UINT sign = (x ^ y) & 0x80000000u;
    x = x & 0x7fffffffu;
    y = y & 0x7fffffffu;
    RP_INT e = RP_TO_INT(x >> 23) - RP_TO_INT(y >> 23) + 127;
    RP_UINT r = (x & 0x007fffffu) | 0x00800000u, d = (y & 0x007fffffu) | 0x00800000u;
    if (r < d) {                  // the quotient of the mantissas goes to [1, 2)
        r = r << 1;
        e = e - 1;
    }
    if (x - 0x00800000u >= 0x7f000000u || y - 0x00800000u >= 0x7f000000u || e < 1 || e > 253) { return a / b; }
    RP_UINT q = 0u;
    for (RP_INT i = 0; i < 25; i++) {   // 24 bits and the one that rounds
        q = q << 1;
        if (r >= d) {
            r = r - d;
            q = q | 1u;
        }
        r = r << 1;
    }
    RP_UINT up = (q & 1u) != 0u && (r != 0u || (q & 2u) != 0u) ? 1u : 0u;
    return RP_BITS_FLOAT(sign | ((RP_TO_UINT(e - 1) << 23) + (q >> 1) + up));
}

// sqrt(x) rounded once to nearest, digit by digit. Where x is not normal and positive: the device's own.
RP_FN float rp_sqrt_bits(float x) {
    RP_UINT bits = RP_FLOAT_BITS(x);
    if (bits - 0x00800000u >= 0x7f000000u) { return RP_SQRT(x); }
    RP_UINT m = (bits & 0x007fffffu) | 0x00800000u;
    RP_INT e = RP_TO_INT(bits >> 23) + 127;            // twice the exponent of the root, plus 254
    if ((e & 1) != 0) {
        m = m << 1;
        e = e - 1;
    }
    RP_UINT q = 0u, r = 0u;
    for (RP_INT i = 24; i >= 0; i--) {                 // bits 2 i + 1 and 2 i of m 2^25, whose root has 25 bits
        RP_INT at = 2 * i - 25;
        RP_UINT two = at >= 0 ? (m >> at) & 3u : at == -1 ? (m & 1u) << 1 : 0u;
        r = (r << 2) | two;
        RP_UINT t = (q << 2) | 1u;
        q = q << 1;
        if (r >= t) {
            r = r - t;
            q = q | 1u;
        }
    }
    RP_UINT up = (q & 1u) != 0u && (r != 0u || (q & 2u) != 0u) ? 1u : 0u;
    return RP_BITS_FLOAT((RP_TO_UINT(e / 2 - 1) << 23) + (q >> 1) + up);
}

// Both, by the shortest way that a backend has.
RP_FN float rp_div_rn(float a, float b) {
#if defined(RP_GLSL)
    return rp_div_bits(a, b);
#elif defined(__CUDACC__)
    return __fdiv_rn(a, b);
#else
    return a / b;
#endif
}
RP_FN float rp_sqrt_rn(float x) {
#ifdef RP_GLSL
    return rp_sqrt_bits(x);
#else
    return RP_SQRT(x);
#endif
}

// ((word >> 9) + 1/2) 2^-23: exact, in [2^-24, 1 - 2^-24].
RP_FN float rp_uniform(RP_UINT word) { return (RP_TO_FLOAT(word >> 9) + 0.5f) * 1.1920928955078125e-7f; }

// A Student-t number with df degrees of freedom from u, v in (0, 1) (Bailey 1994, "Polar generation of random variates with
// the t-distribution", Math. Comp. 62). Error for df >= 2 and uniforms of rp_uniform: 5e-7 relative, 1e-6 where the square
// root and quotient are those of Vulkan.
RP_FN float rp_student_t(float df, float u, float v) {
    float a = (-2.0f * rp_log(u)) / df;
    return rp_sqrt(df * rp_expm1(a)) * rp_cos2pi(v);
}

// What tokens a call of block decode has (op_params.h, Toto 2.0), of a series of n_patches of context: `given` at positions
// start, start + 1, .., then fresh - 1 future ones. The outputs of tokens given - 1 .. given + fresh - 2 are the patches start +
// given, .. . In the last call fresh is what remains.
#ifdef RP_GLSL
struct rp_call { uint start, given, fresh; };
#else
typedef struct rp_call { uint32_t start, given, fresh; } rp_call;
#endif
RP_FN rp_call rp_call_of(RP_UINT n_patches, RP_UINT step, RP_UINT horizon, RP_UINT patch_size, RP_UINT block, RP_UINT later) {
    rp_call c;
    RP_UINT all = (horizon + patch_size - 1u) / patch_size, before = later != 0u ? step * block : 0u;
    RP_UINT left = all > before ? all - before : 0u;
    c.fresh = left < block ? left : block;
    c.given = later != 0u ? block : n_patches;
    c.start = later != 0u ? n_patches + before - block : 0u;
    return c;
}

#endif
