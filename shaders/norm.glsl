// The arithmetic of rmsnorm, for the shader of that name and for products that normalise their rows themselves: same bits. In
// two floats: a root that is half a unit off would shift a whole row the same way, which later layers do not average out.
#include "real.glsl"

real norm_inverse_of(float squares, uint width, float eps) {
    precise float mean = squares / float(width);
    precise float above = mean + eps;
    return r_div(r_of(1.0), r_sqrt(r_of(above)));
}

float norm_apply(float x, float scale, real inverse) { return r_float(r_mul(r_two_product(x, scale), inverse)); }
