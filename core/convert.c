// Numbers from one dtype to another, IEEE round to nearest, ties to even; subnormals, infinities and NaN are kept (a NaN
// may become a quiet one). Neither side need be aligned: weights come from files as they lie.
//
// Elements are read and written by memcpy, and choices between results are made by masks: a ?: would become a branch
// around the floating-point work, and compilers then give up on vector code.
#include <assert.h>
#include <string.h>

#include "backend.h"

// ---- single numbers; 16-bit floats travel as their bits ----

static inline uint32_t choose(uint32_t condition, uint32_t yes, uint32_t no) {   // condition: 0 or 1
    return no ^ ((no ^ yes) & (0u - condition));
}

static inline uint32_t bits_of(float x) { uint32_t u; memcpy(&u, &x, sizeof u); return u; }
static inline float float_of(uint32_t u) { float x; memcpy(&x, &u, sizeof x); return x; }

static inline float f32_from_bf16(uint16_t h) { return float_of((uint32_t)h << 16); }

static inline uint16_t bf16_from_f32(float x) {
    const uint32_t u = bits_of(x);
    // Half of the dropped part is added, ties to even; it may carry into infinity.
    const uint32_t rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
    const uint32_t nan = (u >> 16) | 0x40u;                    // quiet: a NaN whose low bits alone were set stays one
    return (uint16_t)choose((u & 0x7FFFFFFFu) > 0x7F800000u, nan, rounded);
}

static inline float f32_from_f16(uint16_t h) {
    const uint32_t sign = (h & 0x8000u) << 16, rest = h & 0x7FFFu;
    const uint32_t normal = (rest << 13) + (112u << 23);               // exponent bias 15 to 127
    const uint32_t special = (rest << 13) | 0x7F800000u;
    const uint32_t small = bits_of((float)(int32_t)rest * 0x1p-24f);   // subnormals count in steps of 2^-24; exact
    return float_of(sign | choose(rest >= 0x7C00u, special, choose(rest < 0x0400u, small, normal)));
}

static inline uint16_t f16_from_f32(float x) {
    const uint32_t u = bits_of(x), sign = (u >> 16) & 0x8000u, rest = u & 0x7FFFFFFFu;
    const uint32_t normal = (rest - (112u << 23) + 0xFFFu + ((rest >> 13) & 1u)) >> 13;
    // Floats at 0.5 lie 2^-24 apart, which is the step of the subnormals: the addition rounds.
    const uint32_t small = bits_of(float_of(rest) + 0.5f) - bits_of(0.5f);
    const uint32_t nan = 0x7E00u | ((rest >> 13) & 0x3FFu);
    const uint32_t finite = choose(rest < 0x38800000u, small, normal); // 2^-14, the smallest normal number
    const uint32_t large = choose(rest > 0x7F800000u, nan, 0x7C00u);
    // From 65520 on, half way between the largest number and 2^16.
    return (uint16_t)(sign | choose(rest >= 0x477FF000u, large, finite));
}

// To odd: where float32 cannot hold x, the one of its two neighbours whose last bit is 1. Rounding that to 16 bits gives
// the same as rounding x at once; rounding to nearest twice would not.
static inline float f32_odd_from_f64(double x) {
    const float nearest = (float)x;
    const double back = nearest;
    const uint32_t u = bits_of(nearest);
    // 1: nearest lies farther from 0 than x, so its odd neighbour is the one below.
    const uint32_t away = (back < 0 ? -back : back) > (x < 0 ? -x : x);
    const uint32_t odd = away ? u - 1u : u + 1u;
    return float_of(back == x || x != x || (u & 1u) ? u : odd);
}

// ---- loops ----

#define LOOP(name, to_type, from_type, expression)                                   \
    static void name(void *dst, const void *src, uint64_t count) {                   \
        char *out = dst;                                                             \
        const char *in = src;                                                        \
        for (uint64_t i = 0; i < count; i++) {                                       \
            from_type x;                                                             \
            memcpy(&x, in + i * sizeof x, sizeof x);                                 \
            const to_type y = (to_type)(expression);                                 \
            memcpy(out + i * sizeof y, &y, sizeof y);                                \
        }                                                                            \
    }

LOOP(f64_to_f32, float, double, x)
LOOP(f64_to_f16, uint16_t, double, f16_from_f32(f32_odd_from_f64(x)))
LOOP(f64_to_bf16, uint16_t, double, bf16_from_f32(f32_odd_from_f64(x)))
LOOP(f32_to_f64, double, float, x)
LOOP(f32_to_f16, uint16_t, float, f16_from_f32(x))
LOOP(f32_to_bf16, uint16_t, float, bf16_from_f32(x))
LOOP(f16_to_f64, double, uint16_t, f32_from_f16(x))
LOOP(f16_to_f32, float, uint16_t, f32_from_f16(x))
LOOP(f16_to_bf16, uint16_t, uint16_t, bf16_from_f32(f32_from_f16(x)))
LOOP(bf16_to_f64, double, uint16_t, f32_from_bf16(x))
LOOP(bf16_to_f32, float, uint16_t, f32_from_bf16(x))
LOOP(bf16_to_f16, uint16_t, uint16_t, f16_from_f32(f32_from_bf16(x)))

// Integers keep their low bits; whoever narrows has checked the range.
LOOP(i64_to_32, uint32_t, int64_t, x)
LOOP(i64_to_u8, uint8_t, int64_t, x)
LOOP(i32_to_i64, int64_t, int32_t, x)
LOOP(u32_to_i64, int64_t, uint32_t, x)
LOOP(u32_to_u8, uint8_t, uint32_t, x)
LOOP(u8_to_i64, int64_t, uint8_t, x)
LOOP(u8_to_32, uint32_t, uint8_t, x)
LOOP(copy_32, uint32_t, uint32_t, x)

// Masks become factors.
LOOP(u8_to_f64, double, uint8_t, x)
LOOP(u8_to_f32, float, uint8_t, x)
LOOP(u8_to_f16, uint16_t, uint8_t, f16_from_f32((float)x))
LOOP(u8_to_bf16, uint16_t, uint8_t, bf16_from_f32((float)x))

typedef void (*loop)(void *dst, const void *src, uint64_t count);

// [from][to]; NULL: no such conversion, except to itself, which is a copy.
static const loop loops[RP_DTYPE_COUNT][RP_DTYPE_COUNT] = {
    [RP_F64] = { [RP_F32] = f64_to_f32, [RP_F16] = f64_to_f16, [RP_BF16] = f64_to_bf16 },
    [RP_F32] = { [RP_F64] = f32_to_f64, [RP_F16] = f32_to_f16, [RP_BF16] = f32_to_bf16 },
    [RP_F16] = { [RP_F64] = f16_to_f64, [RP_F32] = f16_to_f32, [RP_BF16] = f16_to_bf16 },
    [RP_BF16] = { [RP_F64] = bf16_to_f64, [RP_F32] = bf16_to_f32, [RP_F16] = bf16_to_f16 },
    [RP_I64] = { [RP_I32] = i64_to_32, [RP_U32] = i64_to_32, [RP_U8] = i64_to_u8 },
    [RP_I32] = { [RP_I64] = i32_to_i64, [RP_U32] = copy_32, [RP_U8] = u32_to_u8 },
    [RP_U32] = { [RP_I64] = u32_to_i64, [RP_I32] = copy_32, [RP_U8] = u32_to_u8 },
    [RP_U8] = { [RP_I64] = u8_to_i64, [RP_I32] = u8_to_32, [RP_U32] = u8_to_32,
                [RP_F64] = u8_to_f64, [RP_F32] = u8_to_f32, [RP_F16] = u8_to_f16, [RP_BF16] = u8_to_bf16 },
};

void rp_convert(void *dst, rp_dtype to, const void *src, rp_dtype from, uint64_t count) {
    if (count == 0) { return; }
    if (to == from) { memcpy(dst, src, count * rp_dtype_size(to)); return; }
    const loop run = loops[from][to];
    assert(run && "no such conversion");
    if (run) {
        run(dst, src, count);
    } else {
        memset(dst, 0, count * rp_dtype_size(to));      // a broken promise must not become stale memory
    }
}
