// Tolerances of draws: where rounding may tip a choice, any choice is right.
#include <math.h>
#include <stdlib.h>

#include "op_math.h"
#include "tolerance.h"

// ---- draw ----

enum { DIST, AFFINE, FUTURE, FORCED, IDS, STEP };

// Where an element of patch [B, S, V, P] or result [B, V, H, paths_cap] comes from; false: nothing was written.
typedef struct place { uint32_t b, s, v, j, t; } place;
static bool find(const tolerance_case *c, uint32_t output, uint64_t index, place *at) {
    TOLERANCE_PARAMS(c, draw);
    const uint32_t *step = c->tensor[STEP].data;
    if (output == 0) {
        at->j = (uint32_t)(index % p->patch_size), index /= p->patch_size;
        at->v = (uint32_t)(index % p->variates), index /= p->variates;
        at->s = (uint32_t)(index % p->paths), at->b = (uint32_t)(index / p->paths);
        at->t = step[4] * p->patch_size + at->j;
        return true;
    }
    const uint32_t path = (uint32_t)(index % p->paths_cap);
    index /= p->paths_cap;
    at->t = (uint32_t)(index % p->horizon_cap), index /= p->horizon_cap;
    at->v = (uint32_t)(index % p->variates), at->b = (uint32_t)(index / p->variates);
    at->s = path - step[2], at->j = at->t % p->patch_size;
    return path >= step[2] && at->s < p->paths && path < step[1] && at->b < step[0] && at->t / p->patch_size == step[4];
}

// True when rounding may tip the choice of a component: k additions of float32 probabilities.
static bool component_near(const tolerance_case *c, const place *at, const float *dist) {
    TOLERANCE_PARAMS(c, draw);
    const uint32_t *step = c->tensor[STEP].data, *ids = c->tensor[IDS].data;
    const double u = (double)rp_uniform(rp_philox(step[7], step[8], ids[at->b], at->v, step[2] + at->s, at->t).w0);
    double sum = 0;
    for (uint32_t i = 0; i + 1 < p->components; i++) {
        sum += (double)dist[3 * p->components + i];
        if (fabs(sum - u) <= p->components * U32ROUND) { return true; }
    }
    return false;
}

// y = a + b x. The mean sums k products: k + 2 roundings of sum |p loc|, at most `L`. A sample is loc + scale t with t good
// to 1e-6 (core/op_math.h) and |scale t| <= |x| + L, |b x| <= |y| + |a|. Known and prescribed values: none.
double tolerance_draw(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)magnitude;
    TOLERANCE_PARAMS(c, draw);
    const uint32_t *step = c->tensor[STEP].data;
    place at;
    if (!find(c, output, index, &at)) { return 0; }
    if (p->mode == RP_DRAW_FORCED || (at.v + step[6] >= p->variates && at.t < step[5])) { return 0; }
    const uint64_t source = p->one_dist ? (uint64_t)at.b * p->variates + at.v : ((uint64_t)at.b * p->paths + at.s) * p->variates + at.v;
    const uint64_t row = source * p->patch_size + at.j;
    const float *dist = (const float *)c->tensor[DIST].data + row * 4 * p->components;
    const float *affine = (const float *)c->tensor[AFFINE].data + row * 2;
    const double a = fabs((double)affine[0]), b = fabs((double)affine[1]);
    double largest = 0;
    for (uint32_t i = 0; i < p->components; i++) { largest = fmax(largest, fabs((double)dist[p->components + i])); }
    if (p->mode == RP_DRAW_MEAN) { return (p->components + 4) * U32ROUND * (a + b * largest); }
    if (component_near(c, &at, dist)) { return INFINITY; }
    return (1e-6 + 6 * U32ROUND) * (fabs(ref) + 2 * a + 2 * b * largest);
}

// ---- draw_token ----

#define CUT 0x1p-40

enum { LOGITS, SETTINGS, BARS, TOKEN_IDS, TOKEN_STEP };

typedef struct ranked { double z; uint32_t token; } ranked;
static int falling(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->z != y->z) { return x->z < y->z ? 1 : -1; }
    return x->token < y->token ? -1 : 1;
}

// A sum of e and what rounding may have done to its terms.
typedef struct run { double sum, off; } run;
static run run_add(run a, run b) { return (run){ a.sum + b.sum, a.off + b.off }; }

// True when rounding may tip the choice. z and m: a quotient each, exact to one rounding; their difference one more; exp 1.5 ulp:
// e is off by |z| + |m| + |z - m| + 3 roundings and what is cut off at 2^-40, and by none where z is m. Sums are exact. Equal logits are
// equal anywhere, so only other numbers can become so by rounding.
static bool token_near(const tolerance_case *c, uint32_t b, uint32_t s) {
    TOLERANCE_PARAMS(c, draw_token);
    const uint32_t *step = c->tensor[TOKEN_STEP].data, *settings = c->tensor[SETTINGS].data, n = p->n, top_k = settings[1];
    const double temperature = (double)rp_bits_float(settings[0]), top_p = (double)rp_bits_float(settings[2]);
    const float *logits = (const float *)c->tensor[LOGITS].data + (uint64_t)(p->one_row ? b : b * p->paths + s) * n;
    ranked rank[RP_DRAW_MAX];
    run e[RP_DRAW_MAX], all = { 0, 0 }, below = { 0, 0 };
    for (uint32_t i = 0; i < n; i++) { rank[i] = (ranked){ (double)logits[i] / temperature, i }; }
    qsort(rank, n, sizeof *rank, falling);
    const double top = rank[0].z;
    for (uint32_t r = 0; r < n; r++) {
        const double z = rank[r].z, value = exp(z - top);
        const bool exact = z == top || isinf(z);
        e[rank[r].token] = (run){ value, exact ? 0 : value * (fabs(z) + fabs(top) + fabs(z - top) + 3) * U32ROUND + CUT };
        all = run_add(all, e[rank[r].token]);
    }
    uint32_t kept = n;
    if (top_k > 0) {
        kept = top_k < n ? top_k : n;
        while (kept < n && rank[kept].z == rank[kept - 1].z) { kept++; }
    } else if (top_p < 1) {
        const double limit = top_p * all.sum, limit_off = top_p * all.off + all.sum * 0x1p-32;
        for (kept = 0; kept < n; kept++) {
            if (kept > 0 && fabs(below.sum - limit) <= below.off + limit_off) { return true; }
            if (kept > 0 && below.sum > limit) { break; }
            below = run_add(below, e[rank[kept].token]);
        }
    }
    for (uint32_t r = 0; r < n && kept < n; r++) {       // two that are one after rounding, on either side of the cut
        const double z = rank[r].z, other = rank[r < kept ? kept : kept - 1].z;
        if (z != other && !isinf(z) && !isinf(other) && fabs(z - other) <= (fabs(z) + fabs(other)) * U32ROUND) { return true; }
    }
    for (uint32_t r = kept; r < n; r++) { e[rank[r].token] = (run){ 0, 0 }; }
    all = below = (run){ 0, 0 };
    for (uint32_t i = 0; i < n; i++) { all = run_add(all, e[i]); }
    const uint32_t word = rp_philox(step[7], step[8], ((const uint32_t *)c->tensor[TOKEN_IDS].data)[b], step[2] + s, step[4] - p->moved, p->which).w0;
    const double u = (word + 0.5) / 4294967296.0, limit = u * all.sum;
    for (uint32_t i = 0; i < n; i++) {
        below = run_add(below, e[i]);
        if (e[i].sum > 0 && fabs(below.sum - limit) <= below.off + u * all.off) {
            return below.sum < all.sum;                  // past the last that is kept, too, the answer is that one
        }
    }
    return false;
}

// Exact, unless the choice is near a boundary, but for a rounding of y to float16, or of a sum. What is not this draw's stays as it is; its y is 0.
double tolerance_draw_token(const tolerance_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)magnitude;
    TOLERANCE_PARAMS(c, draw_token);
    const uint32_t step = ((const uint32_t *)c->tensor[TOKEN_STEP].data)[4] - p->moved, slot = (uint32_t)(index / 2 % p->tokens_cap);
    const uint32_t row = (uint32_t)(output == 1 ? index / p->width : index / 2 / p->tokens_cap), b = row / p->paths;
    const bool slides = ((const uint32_t *)c->tensor[BARS].data)[b] + step > p->window;
    const bool meant = p->series == RP_DRAW_ALL || slides == (p->series == RP_DRAW_SLIDING);
    if (!meant || step >= p->tokens_cap || (output == 0 && (index % 2 != p->which || slot != step))) { return 0; }
    if (token_near(c, b, row % p->paths)) { return INFINITY; }
    return output == 0 ? 0 : p->y_f16 ? U16ROUND * fabs(ref) + 0x1p-25 : p->adds ? U32ROUND * fabs(ref) + FLUSH : 0;
}
