// draw_token: all tokens, top-k and top-p, greedy, equal logits at the boundary, outliers and logits of -infinity, n smaller than
// the group and up to the largest, one row of logits for all paths, series that grow and series that slide, a step past the end.
#include "bars.h"

#include "op_math.h"

typedef enum pattern { SMOOTH, TIES, OUTLIERS, HOLES } pattern;

// With this seed the first word of path 0 of series 0 at step 0 is 0xffffffb3, so that u is 1 in float32 and no sum exceeds it.
#define HIGHEST 16390493

static const struct {
    const char *name;
    struct rp_draw_token_params p;
    pattern logits;
    float temperature;
    uint32_t top_k;
    float top_p;
    uint32_t seed;      // not 0: the seed of variation 0
} cases[] = {
    //                B  S  n  which, one_row; H  C  series                  temperature, top_k, top_p, seed
    { "one token", { 1, 1, 1, 0, 0, 1, 9, RP_DRAW_ALL }, SMOOTH, 1, 0, 1, 0 },
    { "one token, top-p", { 1, 2, 1, 1, 0, 2, 9, RP_DRAW_ALL }, SMOOTH, 1, 0, 0.5f, 0 },
    { "two tokens", { 2, 33, 2, 1, 0, 3, 9, RP_DRAW_ALL }, SMOOTH, 1, 0, 1, 0 },
    { "all", { 2, 9, 1024, 0, 0, 5, 9, RP_DRAW_ALL }, SMOOTH, 0.7f, 0, 1, 0 },
    { "all, first draw", { 3, 5, 512, 0, 1, 5, 9, RP_DRAW_ALL }, HOLES, 1, 0, 1, 0 },
    { "all, u rounded to 1", { 1, 3, 32, 0, 0, 5, 9, RP_DRAW_ALL }, SMOOTH, 1, 0, 1, HIGHEST },
    { "top-k, u rounded to 1", { 1, 3, 32, 0, 1, 5, 9, RP_DRAW_ALL }, SMOOTH, 1, 4, 1, HIGHEST },
    { "all, equal", { 2, 7, 64, 1, 0, 5, 9, RP_DRAW_ALL }, TIES, 1.5f, 0, 1, 0 },
    { "top-k", { 2, 9, 1024, 1, 0, 5, 9, RP_DRAW_ALL }, SMOOTH, 1.3f, 5, 1, 0 },
    { "top-k, equal at the boundary", { 2, 9, 256, 0, 0, 5, 9, RP_DRAW_ALL }, TIES, 1, 9, 0.5f, 0 },
    { "top-k of more than there are", { 2, 5, 128, 0, 0, 5, 9, RP_DRAW_ALL }, HOLES, 1, 3000, 0.1f, 0 },
    { "top-k of all", { 1, 5, 64, 0, 1, 5, 9, RP_DRAW_ALL }, SMOOTH, 1, 64, 1, 0 },
    { "greedy", { 3, 5, 1024, 0, 0, 5, 9, RP_DRAW_ALL }, SMOOTH, 0.01f, 1, 0.9f, 0 },
    { "greedy, equal", { 2, 17, 512, 0, 0, 5, 9, RP_DRAW_ALL }, TIES, 1, 1, 1, 0 },
    { "top-p", { 2, 17, 1024, 0, 0, 5, 9, RP_DRAW_ALL }, SMOOTH, 1, 0, 0.9f, 0 },
    { "top-p, first draw", { 2, 9, 1024, 1, 1, 5, 9, RP_DRAW_ALL }, HOLES, 1.1f, 0, 0.99f, 0 },
    { "top-p, equal at the boundary", { 2, 17, 128, 0, 0, 5, 9, RP_DRAW_ALL }, TIES, 1, 0, 0.4f, 0 },
    { "top-p that keeps one", { 2, 7, 32, 0, 0, 5, 9, RP_DRAW_ALL }, TIES, 1, 0, 0, 0 },
    { "top-p, 2048 tokens", { 1, 7, 2048, 1, 0, 5, 9, RP_DRAW_ALL }, SMOOTH, 2.5f, 0, 0.95f, 0 },
    { "all, 2048 tokens, outliers", { 1, 5, 2048, 0, 0, 5, 9, RP_DRAW_ALL }, OUTLIERS, 1, 0, 1, 0 },
    { "top-p, outliers", { 2, 5, 256, 0, 0, 5, 9, RP_DRAW_ALL }, OUTLIERS, 1, 0, 0.9f, 0 },
    { "top-k, outliers", { 2, 5, 512, 0, 0, 5, 9, RP_DRAW_ALL }, OUTLIERS, 1, 7, 1, 0 },
    { "growing series", { 5, 3, 64, 0, 0, 5, 9, RP_DRAW_GROWING }, SMOOTH, 1, 0, 0.9f, 0 },
    { "sliding series", { 5, 3, 64, 1, 0, 5, 9, RP_DRAW_SLIDING }, SMOOTH, 1, 3, 1, 0 },
};

enum { LOGITS, SETTINGS, BARS, IDS, STEP };

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
// e is off by |z| + |m| + |z - m| + 3 roundings, and by none where z is m. Running sums of positive terms: q inside an invocation,
// eight of the scan and one that joins them. Equal logits are equal anywhere, so only other numbers can become so by rounding.
static bool on_boundary(const test_case *c, uint32_t b, uint32_t s) {
    TEST_PARAMS(c, draw_token);
    const uint32_t *step = c->tensor[STEP].data, *settings = c->tensor[SETTINGS].data, n = p->n, top_k = settings[1];
    const double temperature = (double)rp_bits_float(settings[0]), top_p = (double)rp_bits_float(settings[2]);
    const float *logits = (const float *)c->tensor[LOGITS].data + (uint64_t)(p->one_row ? b : b * p->paths + s) * n;
    const double sums = (ceil((double)n / RP_GROUP_DRAW) + 9) * U32ROUND;
    ranked rank[RP_DRAW_MAX];
    run e[RP_DRAW_MAX], all = { 0, 0 }, below = { 0, 0 };
    for (uint32_t i = 0; i < n; i++) { rank[i] = (ranked){ (double)logits[i] / temperature, i }; }
    qsort(rank, n, sizeof *rank, falling);
    const double top = rank[0].z;
    for (uint32_t r = 0; r < n; r++) {
        const double z = rank[r].z, value = exp(z - top);
        const bool exact = z == top || isinf(z);
        e[rank[r].token] = (run){ value, exact ? 0 : value * (fabs(z) + fabs(top) + fabs(z - top) + 3) * U32ROUND + FLUSH };
        all = run_add(all, e[rank[r].token]);
    }
    uint32_t kept = n;
    if (top_k > 0) {
        kept = top_k < n ? top_k : n;
        while (kept < n && rank[kept].z == rank[kept - 1].z) { kept++; }
    } else if (top_p < 1) {
        const double limit = top_p * all.sum, limit_off = top_p * all.off + limit * (sums + U32ROUND);
        for (kept = 0; kept < n; kept++) {
            if (kept > 0 && fabs(below.sum - limit) <= below.off + below.sum * sums + limit_off) { return true; }
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
    const uint32_t word = rp_philox(step[7], step[8], ((const uint32_t *)c->tensor[IDS].data)[b], step[2] + s, step[4], p->which).w0;
    const double u = (word + 0.5) / 4294967296.0, limit = u * all.sum;
    for (uint32_t i = 0; i < n; i++) {                   // rp_unit: two roundings, and one of the product
        below = run_add(below, e[i]);
        if (e[i].sum > 0 && fabs(below.sum - limit) <= below.off + below.sum * sums + u * all.off + limit * (sums + 3 * U32ROUND)) {
            return below.sum < all.sum;                  // past the last that is kept, too, the answer is that one
        }
    }
    return false;
}

// Exact, unless the choice is near a boundary; what is not this draw's stays as it is.
static double tolerance(const test_case *c, uint32_t output, uint64_t index, double ref, double magnitude) {
    (void)output, (void)ref, (void)magnitude;
    TEST_PARAMS(c, draw_token);
    const uint32_t *step = c->tensor[STEP].data, slot = (uint32_t)(index / 2 % p->tokens_cap);
    const uint32_t row = (uint32_t)(index / 2 / p->tokens_cap), b = row / p->paths;
    const bool slides = ((const uint32_t *)c->tensor[BARS].data)[b] + step[4] > p->window;
    const bool meant = p->series == RP_DRAW_ALL || slides == (p->series == RP_DRAW_SLIDING);
    if (index % 2 != p->which || slot != step[4] || !meant) { return 0; }
    return on_boundary(c, b, row % p->paths) ? INFINITY : 0;
}

static void fill_logits(test_case *c, uint64_t rows, uint32_t n, pattern kind) {
    float *x = test_uniform(c, LOGITS, rows * n, -6, 4);
    for (uint64_t i = 0; i < rows * n; i++) {
        if (kind == TIES) { x[i] = floorf(x[i]) / 2; }                   // every number many times, the largest too
        if (kind == HOLES && test_below(c, 3) == 0) { x[i] = -INFINITY; }
    }
    for (uint64_t r = 0; r < rows && kind == HOLES; r++) { x[r * n + test_below(c, n)] = 4.5f; }
    if (kind == OUTLIERS) { test_spice(c, LOGITS); }
}

bool test_case_draw_token(test_case *c, uint32_t index) {
    TEST_TABLE(c, index);
    TEST_PARAMS(c, draw_token);
    const uint32_t v = c->variation;
    fill_logits(c, (uint64_t)p->batch * (p->one_row ? 1 : p->paths), p->n, cases[index].logits);
    uint32_t *settings = test_u32(c, SETTINGS, 3);
    settings[0] = rp_float_bits(cases[index].temperature), settings[1] = cases[index].top_k;
    settings[2] = rp_float_bits(cases[index].top_p);
    const uint32_t step = v == 0 ? 0 : v == 3 ? p->tokens_cap : v % p->tokens_cap;
    uint32_t *n_bars = test_u32(c, BARS, p->batch), *ids = test_u32(c, IDS, p->batch);
    for (uint32_t b = 0; b < p->batch; b++) {            // the last step of a window that grows, the first that slides, any
        n_bars[b] = b == 0 ? p->window - step % p->window : b == 1 ? p->window + 1 - step % p->window : 1 + test_below(c, 2 * p->window);
        ids[b] = b == 0 ? 0 : test_below(c, ~0u);
    }
    const bool given = v == 0 && cases[index].seed != 0;
    test_step(c, STEP, (struct rp_step){
        .batch = v == 2 ? p->batch - 1 : p->batch,       // a draw heeds neither this nor the number of paths
        .paths = p->paths,
        .path0 = v * p->paths,
        .chunk = v + 1,
        .step = step,
        .horizon = p->tokens_cap,
        .seed_lo = given ? cases[index].seed : test_below(c, ~0u),
        .seed_hi = given ? 0 : test_below(c, ~0u),
    });
    bars_words(c, 5, (uint64_t)p->batch * p->paths * p->tokens_cap * 2);
    c->tolerance = tolerance;
    return true;
}
