// rp_convert: every 16-bit float, and both sides of every rounding boundary.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend.h"

// What the 16 bits mean, from the definition. exponent_bits: 5 for F16, 8 for BF16.
static double meaning(uint16_t bits, int exponent_bits) {
    const int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1), fraction = bits & ((1 << fraction_bits) - 1);
    double value;
    if (exponent == (1 << exponent_bits) - 1) {
        value = fraction ? NAN : INFINITY;
    } else if (exponent == 0) {
        value = ldexp(fraction, 1 - bias - fraction_bits);
    } else {
        value = ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
    }
    return bits & 0x8000 ? -value : value;
}

static uint64_t bits64(double x) { uint64_t u; memcpy(&u, &x, sizeof u); return u; }

static void expect_same(double got, double want) {
    if (isnan(want)) { assert_true(isnan(got)); return; }
    assert_int_equal(bits64(got), bits64(want));                // -0 is not 0
}

static const struct { rp_dtype dtype; int exponent_bits; } halves[] = { { RP_F16, 5 }, { RP_BF16, 8 } };

static void every_half_widens(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < 65536; i++) {
            const uint16_t bits = (uint16_t)i;
            const double want = meaning(bits, halves[k].exponent_bits);
            double d;
            float f;
            uint16_t back;
            rp_convert(&d, RP_F64, &bits, halves[k].dtype, 1);
            rp_convert(&f, RP_F32, &bits, halves[k].dtype, 1);
            expect_same(d, want);
            expect_same(f, want);
            assert_int_equal(!!signbit(f), bits >> 15);         // of NaN too
            rp_convert(&back, halves[k].dtype, &f, RP_F32, 1);
            if (isnan(want)) {
                expect_same(meaning(back, halves[k].exponent_bits), NAN);
            } else {
                assert_int_equal(back, bits);
            }
            rp_convert(&back, halves[k].dtype, &d, RP_F64, 1);
            if (!isnan(want)) { assert_int_equal(back, bits); }
        }
    }
}

static uint16_t narrow(double x, rp_dtype from, rp_dtype to) {
    const float f = (float)x;
    uint16_t bits;
    rp_convert(&bits, to, from == RP_F64 ? (const void *)&x : (const void *)&f, from, 1);
    return bits;
}

// Between every pair of neighbours: half way goes to the even one, a hair beside it to the nearer one.
static void every_boundary_rounds_to_even(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        const rp_dtype to = halves[k].dtype;
        const int bits = halves[k].exponent_bits;
        const uint16_t infinity = (uint16_t)(((1 << bits) - 1) << (15 - bits));
        for (uint16_t low = 0; low < infinity; low++) {
            const uint16_t high = (uint16_t)(low + 1), even = low & 1 ? high : low;
            const double a = meaning(low, bits);
            // Above the largest number, infinity begins where one more number would stand.
            const double b = high == infinity ? 2 * a - meaning((uint16_t)(low - 1), bits) : meaning(high, bits);
            const double middle = (a + b) / 2;                  // exact, in float too
            for (int sign = 0; sign < 2; sign++) {
                const double s = sign ? -1 : 1;
                const uint16_t flip = (uint16_t)(sign << 15);
                const double down32 = nextafterf((float)middle, 0), up32 = nextafterf((float)middle, INFINITY);
                assert_int_equal(narrow(s * middle, RP_F32, to), even | flip);
                assert_int_equal(narrow(s * down32, RP_F32, to), low | flip);
                assert_int_equal(narrow(s * up32, RP_F32, to), high | flip);
                // Rounding by way of float would lose the hair.
                assert_int_equal(narrow(s * middle, RP_F64, to), even | flip);
                assert_int_equal(narrow(s * nextafter(middle, 0), RP_F64, to), low | flip);
                assert_int_equal(narrow(s * nextafter(middle, INFINITY), RP_F64, to), high | flip);
            }
        }
        assert_int_equal(narrow(1e300, RP_F64, to), infinity);
        assert_int_equal(narrow(-1e300, RP_F64, to), infinity | 0x8000);
        assert_int_equal(narrow(1e-300, RP_F64, to), 0);
        assert_int_equal(narrow(-1e-300, RP_F64, to), 0x8000);
        assert_int_equal(narrow(3e38, RP_F32, RP_F16), 0x7C00);
        assert_int_equal(narrow(INFINITY, RP_F64, to), infinity);
        assert_true(isnan(meaning(narrow(NAN, RP_F64, to), bits)));
    }
}

// A NaN whose only set bits are low ones must not round into infinity, nor carry into zero.
static void nan_stays_nan(void **state) {
    (void)state;
    const uint32_t nans[] = { 0x7F800001u, 0xFF800001u, 0x7FFFFFFFu, 0xFFFFFFFFu, 0x7FC00000u, 0x7F801FFFu };
    for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
        for (int k = 0; k < 2; k++) {
            uint16_t bits;
            rp_convert(&bits, halves[k].dtype, &nans[i], RP_F32, 1);
            assert_true(isnan(meaning(bits, halves[k].exponent_bits)));
            assert_int_equal(bits >> 15, nans[i] >> 31);
        }
    }
}

static void halves_into_each_other(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        for (int k = 0; k < 2; k++) {
            const uint16_t bits = (uint16_t)i;
            float f;
            uint16_t direct, by_way;
            rp_convert(&f, RP_F32, &bits, halves[k].dtype, 1);
            rp_convert(&by_way, halves[!k].dtype, &f, RP_F32, 1);
            rp_convert(&direct, halves[!k].dtype, &bits, halves[k].dtype, 1);
            assert_int_equal(direct, by_way);
        }
    }
}

static void f32_and_f64(void **state) {
    (void)state;
    const double in[] = {
        1.0 + 0x1p-24, 1.0 + 0x1p-24 + 0x1p-52, 1.0 + 3 * 0x1p-24, 1e39, -1e39, 0x1p-149, 0x1p-150, 0x1.8p-150, -0.0, NAN
    };
    const float want[] = { 1.0f, 1.0f + 0x1p-23f, 1.0f + 0x1p-22f, INFINITY, -INFINITY, 0x1p-149f,
                           0.0f, 0x1p-149f,       -0.0f,           NAN };
    float out[10];
    double back[10];
    rp_convert(out, RP_F32, in, RP_F64, 10);
    rp_convert(back, RP_F64, want, RP_F32, 10);
    for (int i = 0; i < 10; i++) { expect_same(out[i], want[i]); expect_same(back[i], want[i]); }
}

static void integers(void **state) {
    (void)state;
    const int64_t in[] = { 0, 1, -1, 255, INT32_MAX, INT32_MIN };
    int32_t i32[6];
    uint32_t u32[6];
    int64_t i64[6];
    uint8_t u8[6];
    rp_convert(i32, RP_I32, in, RP_I64, 6);
    rp_convert(u32, RP_U32, in, RP_I64, 6);
    rp_convert(u8, RP_U8, in, RP_I64, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(i32[i], in[i]);
        assert_int_equal(u32[i], (uint32_t)in[i]);
        assert_int_equal(u8[i], (uint8_t)in[i]);
    }
    rp_convert(i64, RP_I64, i32, RP_I32, 6);
    assert_memory_equal(i64, in, sizeof in);
    rp_convert(i64, RP_I64, u32, RP_U32, 6);
    assert_true(i64[2] == UINT32_MAX && i64[5] == (int64_t)1 << 31);
    rp_convert(i32, RP_I32, u32, RP_U32, 6);
    assert_int_equal(i32[2], -1);
    const uint8_t mask[] = { 0, 1, 7, 255 };
    float f[4];
    double d[4];
    uint16_t h[4], b[4];
    rp_convert(f, RP_F32, mask, RP_U8, 4);
    rp_convert(d, RP_F64, mask, RP_U8, 4);
    rp_convert(h, RP_F16, mask, RP_U8, 4);
    rp_convert(b, RP_BF16, mask, RP_U8, 4);
    rp_convert(u32, RP_U32, mask, RP_U8, 4);
    rp_convert(i64, RP_I64, mask, RP_U8, 4);
    for (int i = 0; i < 4; i++) {
        assert_true(f[i] == mask[i] && d[i] == mask[i] && meaning(h[i], 5) == mask[i] && meaning(b[i], 8) == mask[i]);
        assert_true(u32[i] == mask[i] && i64[i] == mask[i]);
    }
}

// Every pair of float dtypes, every misalignment, lengths around the width of a vector: as one number at a time gives.
static void unaligned_and_odd_lengths(void **state) {
    (void)state;
    static const rp_dtype floats[] = { RP_F64, RP_F32, RP_F16, RP_BF16 };
    unsigned char in[8 * 40 + 8], out[8 * 40 + 16], one[8];
    uint32_t random = 12345;
    for (size_t i = 0; i < sizeof in; i++) {
        random = random * 1664525u + 1013904223u;
        in[i] = (unsigned char)(random >> 24);
    }
    for (int from = 0; from < 4; from++) {
        for (int to = 0; to < 4; to++) {
            for (uint32_t n = 0; n < 40; n++) {
                const uint32_t shift = n % 8, size = rp_dtype_size(floats[to]);
                memset(out, 0xA5, sizeof out);
                rp_convert(out + 1, floats[to], in + shift, floats[from], n);
                for (uint32_t i = 0; i < n; i++) {
                    rp_convert(one, floats[to], in + shift + i * rp_dtype_size(floats[from]), floats[from], 1);
                    assert_memory_equal(out + 1 + i * size, one, size);
                }
                assert_true(out[0] == 0xA5 && out[1 + n * size] == 0xA5);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_widens),
        cmocka_unit_test(every_boundary_rounds_to_even),
        cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(halves_into_each_other),
        cmocka_unit_test(f32_and_f64),
        cmocka_unit_test(integers),
        cmocka_unit_test(unaligned_and_odd_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
