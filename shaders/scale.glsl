// The scaler's arithmetic that scaler.comp and scale_step.comp share, as core/ops/scale.h: spec toto.md section 1.

// The running statistics of one variate.
struct scale_state { real n, mean, m2; };

scale_state scale_zero() { return scale_state(r_of(0.0), r_of(0.0), r_of(0.0)); }

// Takes one more value in; weight 0 or 1.
scale_state scale_push(scale_state s, float x, float w) {
    if (w == 0.0) { return s; }
    real weight = r_of(w);
    real before = r_sub(r_of(x), s.mean);
    s.n = r_add(s.n, weight);
    s.mean = r_add(s.mean, r_div(r_mul(before, weight), s.n));
    s.m2 = r_add(s.m2, r_mul(r_mul(weight, before), r_sub(r_of(x), s.mean)));
    return s;
}

// The statistics of both parts together (Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm for
// computing sample variances").
scale_state scale_merge(scale_state a, scale_state b) {
    if (r_float(b.n) == 0.0) { return a; }
    real n = r_add(a.n, b.n);
    real apart = r_sub(b.mean, a.mean);
    real share = r_div(b.n, n);
    real mean = r_add(a.mean, r_mul(apart, share));
    real between = r_mul(r_mul(apart, apart), r_mul(a.n, share));
    return scale_state(n, mean, r_add(r_add(a.m2, b.m2), between));
}

// (loc, scale) from the running statistics and the prompt's (mean, population variance).
void scale_of(uint kind, uint clamped, float factor, scale_state s, real prompt_mean, real prompt_var, out real loc, out real scale) {
    if (kind == RP_SCALER_GLOBAL) {
        loc = prompt_mean;
        scale = r_sqrt(r_add(prompt_var, R_GLOBAL_EPSILON));
        return;
    }
    real one = r_of(1.0);
    loc = s.mean;
    scale = r_sqrt(r_add(r_div(s.m2, r_max(r_sub(r_max(s.n, one), one), one)), R_MINIMUM_SCALE));
    if (clamped != 0) {
        real sigma = r_sqrt(r_add(prompt_var, R_MINIMUM_SCALE));
        real f = r_of(factor);
        scale = r_min(r_max(scale, r_max(R_MINIMUM_SCALE, r_div(sigma, f))), r_mul(sigma, f));
    }
}
