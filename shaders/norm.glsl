// The arithmetic of rmsnorm, for the shader of that name and for products that normalise their rows themselves: same bits. In
// two floats: a root that is half a unit off would shift a whole row the same way, which later layers do not average out.
#include "real.glsl"

real norm_inverse_of(float squares, uint width, float eps) {
    // The quotient too: a device may be 2.5 ulp off in float32, and otherwise so in each shader.
    real mean = r_div(r_of(squares), r_of(float(width)));
    return r_div(r_of(1.0), r_sqrt(r_add(mean, r_of(eps))));
}

float norm_apply(float x, float scale, real inverse) { return r_float(r_mul(r_two_product(x, scale), inverse)); }
