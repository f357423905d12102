// The type `real` for the few sums that need more than float32: float64 where RP_REAL_F64 is defined, else two-float
// arithmetic, a number being the unevaluated sum hi + lo with |lo| <= ulp(hi)/2, good to 1e-13 relative (Dekker 1971, "A
// floating-point technique for extending the available precision"; Hida, Li, Bailey 2001, "Algorithms for quad-double
// precision floating point arithmetic"). Either takes 8 bytes in memory. Two-float keeps float32's range.
#ifdef RP_REAL_F64
#define real double

real r_of(float x) { return double(x); }
float r_float(real a) { return float(a); }
real r_add(real a, real b) { return a + b; }
real r_sub(real a, real b) { return a - b; }
real r_mul(real a, real b) { return a * b; }
real r_div(real a, real b) { return a / b; }
real r_sqrt(real a) { return sqrt(a); }
real r_max(real a, real b) { return max(a, b); }
real r_min(real a, real b) { return min(a, b); }
real r_fma(float x, float y, real a) { return double(x) * double(y) + a; }   // the product of two float32 is exact

#define R_MINIMUM_SCALE 0.1LF
#define R_GLOBAL_EPSILON 1e-3LF
#define R_LEAST_STD 1e-6LF

#else
#define real vec2                     // (hi, lo)

real r_of(float x) { return vec2(x, 0.0); }
float r_float(real a) { return a.x; }

// Exact: a + b = hi + lo. In the second, |a| >= |b|.
real r_two_sum(float a, float b) {
    precise float hi = a + b;
    precise float part = hi - a;
    precise float lo = (a - (hi - part)) + (b - part);
    return vec2(hi, lo);
}
real r_quick_sum(float a, float b) {
    precise float hi = a + b;
    precise float lo = b - (hi - a);
    return vec2(hi, lo);
}

// Exact: a b = hi + lo. Not through fma, which a device may run as a product and a sum: factors are cut into two halves of
// 12 bits, whose products are exact.
real r_two_product(float a, float b) {
    precise float a_hi = uintBitsToFloat(floatBitsToUint(a) & 0xfffff000u);
    precise float b_hi = uintBitsToFloat(floatBitsToUint(b) & 0xfffff000u);
    precise float a_lo = a - a_hi;
    precise float b_lo = b - b_hi;
    precise float hi = a * b;
    precise float lo = (((a_hi * b_hi - hi) + a_hi * b_lo) + a_lo * b_hi) + a_lo * b_lo;
    return vec2(hi, lo);
}

real r_add(real a, real b) {
    real high = r_two_sum(a.x, b.x);
    real low = r_two_sum(a.y, b.y);
    precise float carry = high.y + low.x;
    high = r_quick_sum(high.x, carry);
    precise float rest = high.y + low.y;
    return r_quick_sum(high.x, rest);
}
real r_negate(real a) { return vec2(-a.x, -a.y); }
real r_sub(real a, real b) { return r_add(a, r_negate(b)); }

real r_mul(real a, real b) {
    real product = r_two_product(a.x, b.x);
    precise float cross = a.x * b.y + a.y * b.x;
    precise float rest = product.y + cross;
    return r_quick_sum(product.x, rest);
}

// Three quotients of float32, each of what the one before left over: the native division may be off by 2.5 ulp.
real r_div(real a, real b) {
    precise float q0 = a.x / b.x;
    real left = r_sub(a, r_mul(b, r_of(q0)));
    precise float q1 = left.x / b.x;
    left = r_sub(left, r_mul(b, r_of(q1)));
    precise float q2 = left.x / b.x;
    real sum = r_quick_sum(q0, q1);
    return r_add(sum, r_of(q2));
}

// Two Newton steps from the native root.
real r_sqrt(real a) {
    if (!(a.x > 0.0)) { return vec2(0.0, 0.0); }
    precise float first = sqrt(a.x);
    real root = r_of(first);
    for (int i = 0; i < 2; i++) {
        real left = r_sub(a, r_mul(root, root));
        precise float change = left.x / (2.0 * first);
        root = r_add(root, r_of(change));
    }
    return root;
}

bool r_less(real a, real b) { return a.x < b.x || (a.x == b.x && a.y < b.y); }
real r_max(real a, real b) {
    if (r_less(a, b)) { return b; }
    return a;
}
real r_min(real a, real b) {
    if (r_less(b, a)) { return b; }
    return a;
}
real r_fma(float x, float y, real a) { return r_add(r_two_product(x, y), a); }

#define R_MINIMUM_SCALE vec2(0.10000000149011612, -1.4901161415892261e-09)     // 0.1
#define R_GLOBAL_EPSILON vec2(0.0010000000474974513, -4.749745130539395e-11)   // 1e-3
#define R_LEAST_STD vec2(9.999999974752427e-07, 2.5247572468697606e-15)          // 1e-6
#endif

layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer InReals { real v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer OutReals { real v[]; };
// Written by some invocations of a workgroup and read by others behind a barrier.
layout(buffer_reference, std430, buffer_reference_align = 8) coherent buffer SharedReals { real v[]; };
