// Measures the error bounds that core/op_math.h states, against float64 libm, over dense sweeps of float32 numbers, with fused
// and with unfused RP_FMA (shaders may do either). Philox is checked with the published known answers of Random123.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static bool fused = true;
static inline float test_fma(float a, float b, float c) {
    if (fused) { return fmaf(a, b, c); }
    volatile float product = a * b;
    return product + c;
}
#define RP_FMA(a, b, c) test_fma(a, b, c)
#include "op_amount.h"
#include "op_math.h"

// Distance in units of the last place of the float32 nearest to `want`.
static double ulps(float got, double want) {
    if (isnan(got) || isnan(want)) { return isnan(got) && isnan(want) ? 0 : INFINITY; }
    if (isinf(got) || isinf((float)want)) { return got == (float)want ? 0 : INFINITY; }
    int exponent;
    frexp(want, &exponent);
    if (want == 0 || exponent < -125) { exponent = -125; }
    return fabs((double)got - want) / ldexp(1.0, exponent - 24);
}

typedef struct function {
    const char *name;
    float (*got)(float);
    double (*want)(double);
    float low, high;      // both ends swept
    double bound;         // ulp
} function;

static double want_cos2pi(double v) {    // libm's cos of a rounded 2 pi v would have no accuracy beside the zeros
    double a = v > 0.5 ? 1 - v : v, sign = 1;
    if (a > 0.25) { a = 0.5 - a, sign = -1; }
    return sign * (a <= 0.125 ? cos(2 * acos(-1.0) * a) : sin(2 * acos(-1.0) * (0.25 - a)));
}
static double want_softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double want_silu(double x) { return x < 0 ? x * exp(x) / (1 + exp(x)) : x / (1 + exp(-x)); }

// Steps over the float32 numbers from low to high, `stride` apart in order of their bits; the ends always.
static void sweep(const function *f, uint32_t stride) {
    uint32_t sign = f->low < 0 ? 0x80000000u : 0;
    if (f->low < 0 && f->high > 0) {
        function below = *f, above = *f;
        below.high = -0.0f, above.low = 0.0f;
        sweep(&below, stride), sweep(&above, stride);
        return;
    }
    uint32_t a = rp_float_bits(f->low) & 0x7fffffffu, b = rp_float_bits(f->high) & 0x7fffffffu;
    if (a > b) {
        uint32_t t = a;
        a = b, b = t;
    }
    double worst = 0;
    float at = f->low;
    for (uint64_t i = a; i <= b; i += (i == b || i + stride <= b) ? stride : b - i) {
        float x = rp_bits_float((uint32_t)i | sign);
        double e = ulps(f->got(x), f->want((double)x));
        if (!(e <= worst)) { worst = e, at = x; }
    }
    printf("  %-9s %-7s [%g, %g]: %.3f ulp at %.9g, bound %g\n", f->name, fused ? "fused" : "unfused", (double)f->low,
           (double)f->high, worst, (double)at, f->bound);
    if (!(worst <= f->bound)) { fail_msg("%s: %.3f ulp at %.9g", f->name, worst, (double)at); }
}

static const function functions[] = {
    { "exp", rp_exp, exp, -110, 90, 1.5 },
    { "expm1", rp_expm1, expm1, -110, 90, 2 },
    { "log", rp_log, log, 0, 3.4e38f, 1.5 },
    { "log1p", rp_log1p, log1p, -1, 3.4e38f, 2 },
    { "softplus", rp_softplus, want_softplus, -110, 3.4e38f, 2.5 },
    { "silu", rp_silu, want_silu, -87, 3.4e38f, 4 },
    { "cos2pi", rp_cos2pi, want_cos2pi, 0, 1, 2 },
    { "sqrt", rp_sqrt, sqrt, 0, 3.4e38f, 0.5 },
    { "sinh", rp_sinh, sinh, -89.4f, 89.4f, 2.5 },
    { "asinh", rp_asinh, asinh, -3.4e38f, 3.4e38f, 2 },
};

// 1 of 251 float32 numbers over the whole range, and every one of the ranges in which reductions change over.
static void test_bounds(void **state) {
    (void)state;
    for (int pass = 0; pass < 2; pass++) {
        fused = pass == 0;
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
            sweep(&functions[i], 251);
            function near = functions[i];
            bool log_like = i == 2 || i == 3 || i == 6;
            near.low = log_like ? 0.7f : 0.34f, near.high = log_like ? 0.72f : 0.36f;
            sweep(&near, 1);
            if (i < 6 && i != 2 && i != 3) {
                near.low = -0.36f, near.high = -0.34f;
                sweep(&near, 1);
            }
        }
    }
    fused = true;
}

static void test_limits(void **state) {
    (void)state;
    assert_true(rp_exp(-INFINITY) == 0 && isinf(rp_exp(INFINITY)) && isnan(rp_exp(NAN)));
    assert_true(rp_expm1(-INFINITY) == -1 && isinf(rp_expm1(INFINITY)) && isnan(rp_expm1(NAN)));
    assert_true(rp_log(0) == -INFINITY && rp_log(-0.0f) == -INFINITY && isnan(rp_log(-1)) && isinf(rp_log(INFINITY)));
    assert_true(isnan(rp_log(NAN)) && isnan(rp_log(-NAN)) && isnan(rp_log1p(NAN)) && isnan(rp_log1p(-2)));
    assert_true(rp_log1p(-1) == -INFINITY && isinf(rp_log1p(INFINITY)));
    assert_true(rp_softplus(-INFINITY) == 0 && isinf(rp_softplus(INFINITY)) && isnan(rp_softplus(NAN)));
    assert_true(rp_sinh(-INFINITY) == -INFINITY && rp_sinh(90) == INFINITY && isnan(rp_sinh(NAN)) && isnan(rp_asinh(NAN)));
    assert_true(rp_asinh(INFINITY) == INFINITY && rp_asinh(-INFINITY) == -INFINITY);
    assert_true(rp_silu(-INFINITY) == 0 && isinf(rp_silu(INFINITY)) && isnan(rp_silu(NAN)) && rp_silu(-1e30f) == 0);
    for (float x = -105; x < -87; x += 0.01f) { assert_true(fabs((double)rp_silu(x) - want_silu((double)x)) <= 2e-43); }
}

static void test_philox(void **state) {
    (void)state;
    static const uint32_t known[3][10] = {   // key, counter, answer
        { 0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
        { ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
        { 0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
          0x24126ea1 },
    };
    for (int i = 0; i < 3; i++) {
        const uint32_t *k = known[i];
        rp_words w = rp_philox(k[0], k[1], k[2], k[3], k[4], k[5]);
        assert_true(w.w0 == k[6] && w.w1 == k[7] && w.w2 == k[8] && w.w3 == k[9]);
    }
}

static void test_uniform(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 1u << 23; i++) {
        assert_true((double)rp_uniform(i << 9 | (i & 511)) == ((double)i + 0.5) / 8388608);
    }
    assert_true(rp_uniform(0) > 0 && rp_uniform(~0u) < 1);
}

static void test_student_t(void **state) {
    (void)state;
    static const float dfs[] = { 2.0000001f, 2.5f, 3, 7, 30, 1e3f, 1e6f, 1e9f, 1e20f, 1e30f };
    for (int pass = 0; pass < 2; pass++) {
        fused = pass == 0;
        double worst_near = 0, worst_far = 0, square = 0;
        uint32_t n = 0;
        for (size_t i = 0; i < sizeof dfs / sizeof *dfs; i++) {
            for (uint32_t j = 0; j < 200000; j++) {
                rp_words w = rp_philox(1, 2, j, (uint32_t)i, 0, 0);
                if (j < 2000) { w.w0 = j << 9; }                         // u near 0
                if (j >= 2000 && j < 4000) { w.w0 = ~((j - 2000) << 9); } // u near 1
                float u = rp_uniform(w.w0), v = rp_uniform(w.w1);
                double df = (double)dfs[i], a = -2 / df * log((double)u);
                double want = sqrt(df * expm1(a)) * want_cos2pi((double)v), got = (double)rp_student_t(dfs[i], u, v);
                double e = fabs(got / want - 1);
                double *worst = a <= 1 ? &worst_near : &worst_far;
                if (!(e <= *worst)) { *worst = e; }
                if (i == 7 && j >= 4000) { square += got * got, n++; }
            }
        }
        printf("  student_t %s: %.3g relative where a <= 1, %.3g beyond; variance at df 1e9 %.4f\n",
               fused ? "fused" : "unfused", worst_near, worst_far, square / n);
        assert_true(worst_near <= 5e-7 && worst_far <= 5e-7);
        assert_true(fabs(square / n - 1) < 0.02);    // 6 standard errors of n = 196000 squares of normals
    }
    fused = true;
}

// The amount from integers has the bits of the one from float64, whatever the numbers: of any size a bar may have, near each
// other, cancelling, subnormal, zeros of both signs.
static void test_amount(void **state) {
    (void)state;
    static const uint32_t most = 0x5bb1a2bcu;   // 1e17
    uint32_t zeros = 0, subnormal = 0;
    for (uint32_t n = 0; n < 4000000; n++) {
        uint32_t bits[5];
        float x[5];
        for (uint32_t i = 0; i < 5; i++) {
            const rp_words w = rp_philox(7, 9, n, i, 0, 0);
            const uint32_t apart = 1u + (1u << n % 31);    // bits that differ from the price before: few to all
            bits[i] = w.w0 % most;
            if (i > 0 && i < 4 && n % 3 != 0) { bits[i] = (bits[i - 1] & 0x7fffffffu) ^ w.w0 % apart; }
            if (n % 5 == 0) { bits[i] = bits[i] % 0x02000000u; }                    // subnormal and just above
            if (n % 7 == 0 && i == 4) { bits[i] = 0x3f800000u - (n % 64 << 23); }
            if (w.w2 % 32 == 0) { bits[i] = 0; }
            bits[i] = (bits[i] < most ? bits[i] : most - 1) | (w.w1 % 2 << 31);
            x[i] = rp_bits_float(bits[i]);
        }
        const uint32_t want = rp_float_bits(rp_amount(x[0], x[1], x[2], x[3], x[4]));
        const uint32_t got = rp_amount_bits(bits[0], bits[1], bits[2], bits[3], bits[4]);
        if (got != want) { fail_msg("%a %a %a %a, volume %a: %08x instead of %08x", x[0], x[1], x[2], x[3], x[4], got, want); }
        zeros += (want & 0x7fffffffu) == 0, subnormal += (want & 0x7f800000u) == 0;
    }
    assert_true(zeros > 1000 && subnormal > zeros + 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_limits),    cmocka_unit_test(test_philox),
        cmocka_unit_test(test_uniform), cmocka_unit_test(test_student_t), cmocka_unit_test(test_amount),
    };
    return cmocka_run_group_tests_name("op_math", tests, NULL, NULL);
}
