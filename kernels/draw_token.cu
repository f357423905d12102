// draw_token: one of n tokens by its logit, by temperature, top-k and top-p; spec kronos.md section 4, "Drawing". A group
// for each (b, s); invocation i holds tokens i q .. i q + q - 1 in registers. Ranks come from a distribution over buckets of
// equal width in z, which hold few tokens each; inside one, each token counts those before it.
#include "exp.cuh"

#define GROUP RP_GROUP_DRAW
#define WARPS (GROUP / 32)
#define BUCKETS RP_DRAW_MAX
#define FEW (4 * GROUP)            // most rows have no more tokens: four an invocation
static_assert(WARPS == 8 && BUCKETS == 8 * GROUP && RP_DRAW_MAX == 8 * GROUP, "scans fold eight warps; eight buckets, or tokens, each");

struct rp_draw_memory {
    uint64_t key[RP_DRAW_MAX];     // rp_key_of, by bucket
    uint2 ranked[RP_DRAW_MAX];     // bits of e, and the token, by rank
    union {
        uint32_t bucket[BUCKETS + 1];   // tokens of each, then how many are before it
        float kept[RP_DRAW_MAX];   // e by number, 0 where not kept
    };
    float scan[WARPS][32];
    uint2 most[WARPS];             // the largest z, and the least above -infinity, as rp_rising
    uint32_t total[WARPS], found[WARPS];
    float sum[GROUP], least;
};

// A number that ascends with z.
__device__ inline uint32_t rp_rising(float z) {
    const uint32_t bits = z == 0.0f ? 0 : __float_as_uint(z); // -0 equals 0
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ inline float rp_risen(uint32_t rising) { return __uint_as_float(rising & 0x80000000u ? rising & 0x7fffffffu : ~rising); }

// A number that ascends as z falls, and with the token's number among equal z.
__device__ inline uint64_t rp_key_of(float z, uint32_t token) { return (uint64_t)~rp_rising(z) << 32 | token; }

// The inclusive scan of one sum an invocation by doubling (core/op_params.h), given the sum of the invocation 32 before too: up to
// stride 16 a warp needs only its own and those before it, beyond, sums of the same lane. Returns the sum of all before this
// one, and of all in `whole`. Between two scans lies a barrier.
__device__ inline float rp_scan(rp_draw_memory &m, float sum, float warp_before, float &whole) {
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
    for (uint32_t stride = 1; stride < 32; stride *= 2) {
        const float own = __shfl_sync(0xffffffffu, sum, lane - stride), other = __shfl_sync(0xffffffffu, warp_before, lane - stride);
        if (lane >= stride) {
            sum = own + sum;
            warp_before = other + warp_before;
        } else if (warp > 0) {
            sum = other + sum;
        }
    }
    m.scan[warp][lane] = sum;
    __syncthreads(); // scan: written by each, read by all
    float at[WARPS], last[WARPS]; // of this lane, and of lane 31
#pragma unroll
    for (int w = 0; w < WARPS; w++) { at[w] = m.scan[w][lane], last[w] = m.scan[w][31]; }
#pragma unroll
    for (int stride = 1; stride < WARPS; stride *= 2) {
#pragma unroll
        for (int w = WARPS - 1; w >= stride; w--) { at[w] = at[w - stride] + at[w], last[w] = last[w - stride] + last[w]; }
    }
    float through = at[0], before = 0; // the sum up to this invocation; up to the warp before it
#pragma unroll
    for (int w = 1; w < WARPS; w++) {
        if (w == warp) { through = at[w], before = last[w - 1]; }
    }
    whole = last[WARPS - 1];
    const float left = __shfl_up_sync(0xffffffffu, through, 1);
    return lane > 0 ? left : before;
}

// Where each bucket begins, from how many it holds.
__device__ inline void rp_bucket_starts(rp_draw_memory &m) {
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    uint4 *own = reinterpret_cast<uint4 *>(&m.bucket[8 * threadIdx.x]);
    const uint4 low = own[0], high = own[1];
    const uint32_t held = low.x + low.y + low.z + low.w + high.x + high.y + high.z + high.w;
    uint32_t through = held, before = 0;
#pragma unroll
    for (uint32_t stride = 1; stride < 32; stride *= 2) {
        const uint32_t left = __shfl_up_sync(0xffffffffu, through, stride);
        if (lane >= stride) { through += left; }
    }
    if (lane == 31) { m.total[warp] = through; }
    __syncthreads(); // total: written by each warp, read by all; bucket: read by its invocation
#pragma unroll
    for (int w = 0; w < WARPS; w++) { before += w < warp ? m.total[w] : 0; }
    uint4 start;
    start.x = before + through - held, start.y = start.x + low.x, start.z = start.y + low.y, start.w = start.z + low.z;
    own[0] = start;
    start.x = start.w + low.w, start.y = start.x + high.x, start.z = start.y + high.y, start.w = start.z + high.z;
    own[1] = start;
    if (threadIdx.x == GROUP - 1) { m.bucket[BUCKETS] = start.w + high.w; }
}

// Writes e and number of the tokens first .. first + mine - 1 to their ranks; the buckets are empty. Tokens with e = 0, the last
// ones, keep no order among themselves: nothing depends on it. Returns in `rank` the ranks.
template <int PER>
__device__ inline void rp_rank(rp_draw_memory &m, const float (&z)[PER], const float (&e)[PER], uint32_t first, uint32_t mine, float top,
                               float low, uint32_t (&rank)[PER]) {
    const float range = fminf(top - low, 104.0f), scale = range > 0 ? (BUCKETS - 1) / range : 0.0f; // exp(-104) = 0
    uint32_t bucket[PER], place[PER], steps = 0;
#pragma unroll
    for (int j = 0; j < PER; j++) {
        bucket[j] = e[j] == 0.0f ? BUCKETS - 1 : min(__float2uint_rz((top - z[j]) * scale), BUCKETS - 2);
        if (j < mine) { place[j] = atomicAdd(&m.bucket[bucket[j]], 1); }
    }
    __syncthreads(); // bucket: counted by all, read by all
    rp_bucket_starts(m);
    __syncthreads(); // bucket: written by each for its eight, read by all
    uint64_t key[PER];
    uint32_t end[PER];
#pragma unroll
    for (int j = 0; j < PER; j++) {
        key[j] = rp_key_of(z[j], first + j);
        rank[j] = m.bucket[bucket[j]], end[j] = m.bucket[bucket[j] + 1];
        if (j < mine) { m.key[rank[j] + place[j]] = key[j]; }
    }
    __syncthreads(); // key: written by each for its tokens, read by all
    uint32_t start[PER];
#pragma unroll
    for (int j = 0; j < PER; j++) {
        start[j] = rank[j];
        const uint32_t others = end[j] - start[j];
        if (j >= mine || others == 1 || bucket[j] == BUCKETS - 1) {
            rank[j] += j < mine && others > 1 ? place[j] : 0;
            end[j] = start[j];
        }
        steps = max(steps, end[j] - start[j]);
    }
#pragma unroll 2
    for (uint32_t t = 0; t < steps; t++) { // without branches, so that reads go side by side
#pragma unroll
        for (int j = 0; j < PER; j++) {
            const uint64_t other = m.key[min(start[j] + t, RP_DRAW_MAX - 1)];
            rank[j] += (uint32_t)(start[j] + t < end[j]) & (uint32_t)(other < key[j]);
        }
    }
#pragma unroll
    for (int j = 0; j < PER; j++) {
        if (j < mine) { m.ranked[rank[j]] = make_uint2(__float_as_uint(e[j]), first + j); }
    }
}

// The sum over tokens, or ranks, from `first` on, of which `mine` are there.
template <int PER, class At> __device__ inline float rp_sum(uint32_t mine, const At &at) {
    float sum = 0;
#pragma unroll
    for (int j = 0; j < PER; j++) { sum += j < mine ? at(j) : 0.0f; }
    return sum;
}

template <int PER> __device__ static void rp_draw(rp_draw_memory &m, const rp_kernel_args<rp_draw_token_params> &args) {
    const rp_draw_token_params p = args.p;
    const uint32_t row = rp_group(), n = p.n, b = row / p.paths, s = row % p.paths, warp = threadIdx.x / 32;
    const float *logits = rp_at<const float>(args, 0) + (uint64_t)(p.one_row ? b : row) * n; // [n] of [B, S or 1, n]
    const uint32_t *settings = rp_at<const uint32_t>(args, 1);                               // [3]
    const uint32_t n_bars = rp_at<const uint32_t>(args, 2)[b];                               // [B]
    const uint32_t series_id = rp_at<const uint32_t>(args, 3)[b];                            // [B]
    const rp_step step = *rp_at<const rp_step>(args, 4);
    uint32_t *tokens = rp_at<uint32_t>(args, 5); // [B, S, tokens_cap, 2]
    const float temperature = __uint_as_float(settings[0]), top_p = __uint_as_float(settings[2]);
    const uint32_t top_k = min(settings[1], n);
    const uint32_t q = (n + GROUP - 1) / GROUP, first = threadIdx.x * q, mine = first < n ? min(q, n - first) : 0;

    // z, its largest, the least above -infinity. All loads are asked for before anything looks at one.
    float z[PER], e[PER];
#pragma unroll
    for (int j = 0; j < PER; j++) { z[j] = j < mine ? logits[first + j] : -RP_INFINITY; }
    uint2 most = make_uint2(0, ~0u);
#pragma unroll
    for (int j = 0; j < PER; j++) {
        z[j] = __fdiv_rn(z[j], temperature);
        const uint32_t rising = rp_rising(z[j]);
        if (z[j] > -RP_INFINITY) { most = make_uint2(max(most.x, rising), min(most.y, rising)); } // no NaN
    }
    most = make_uint2(__reduce_max_sync(0xffffffffu, most.x), __reduce_min_sync(0xffffffffu, most.y));
    if (threadIdx.x % 32 == 0) { m.most[warp] = most; }
#pragma unroll
    for (int i = 0; i < 2; i++) { reinterpret_cast<uint4 *>(m.bucket)[2 * threadIdx.x + i] = make_uint4(0, 0, 0, 0); }
    const bool slides = (uint64_t)n_bars + step.step > p.window;
    if (step.step >= p.tokens_cap || (p.series == RP_DRAW_GROWING && slides) || (p.series == RP_DRAW_SLIDING && !slides)) { return; }
    const rp_words words = rp_philox(step.seed_lo, step.seed_hi, series_id, step.path0 + s, step.step, p.which);
    __syncthreads(); // most: written by each warp, read by all; bucket: zeros
#pragma unroll
    for (int w = 0; w < WARPS; w++) { most = make_uint2(max(most.x, m.most[w].x), min(most.y, m.most[w].y)); }
    const float top = most.x > 0 ? rp_risen(most.x) : -RP_INFINITY;
#pragma unroll
    for (int j = 0; j < PER; j++) { e[j] = rp_exp_or_nan(z[j] - top); }

    // What may not be drawn: e = 0. `before`: the sum of the invocation a warp before, for a scan.
    const bool by_rank = top_k > 1 && top_k < n, by_sum = top_k == 0 && top_p < 1.0f;
    const uint32_t back = warp > 0 ? first - 32 * q : 0, theirs = warp > 0 ? min(q, n - min(n, back)) : 0;
    if (by_rank || by_sum) {
        uint32_t rank[PER];
        rp_rank<PER>(m, z, e, first, mine, top, rp_risen(most.y), rank);
#pragma unroll
        for (int j = 0; j < PER; j++) {
            if (j < mine && rank[j] + 1 == top_k) { m.least = z[j]; }
        }
        __syncthreads(); // ranked, least: written by token, read by rank; bucket: read by all before kept
    }
    float warp_before, whole;
    if (by_sum) {
        uint32_t number[PER]; // of the tokens at ranks first .. first + mine - 1, and their e
#pragma unroll
        for (int j = 0; j < PER; j++) {
            const uint2 ranked = j < mine ? m.ranked[first + j] : make_uint2(0, 0);
            e[j] = __uint_as_float(ranked.x), number[j] = ranked.y;
        }
        warp_before = rp_sum<PER>(theirs, [&](uint32_t j) { return __uint_as_float(m.ranked[back + j].x); });
        const float before = rp_scan(m, rp_sum<PER>(mine, [&](uint32_t j) { return e[j]; }), warp_before, whole), limit = top_p * whole;
        float inside = 0;
#pragma unroll
        for (int j = 0; j < PER; j++) {
            if (j < mine) { m.kept[number[j]] = first + j == 0 || before + inside <= limit ? e[j] : 0.0f; }
            inside += e[j];
        }
        __syncthreads(); // kept: written by rank, read by number
#pragma unroll
        for (int j = 0; j < PER; j++) { e[j] = j < mine ? m.kept[first + j] : 0.0f; }
        warp_before = rp_sum<PER>(theirs, [&](uint32_t j) { return m.kept[back + j]; });
    } else {
        if (by_rank || top_k == 1) {
            const float least = top_k == 1 ? top : m.least;
#pragma unroll
            for (int j = 0; j < PER; j++) { e[j] = z[j] >= least ? e[j] : 0.0f; }
        }
        m.sum[threadIdx.x] = rp_sum<PER>(mine, [&](uint32_t j) { return e[j]; });
        __syncthreads(); // sum: written by each, read by the warp behind
        warp_before = warp > 0 ? m.sum[threadIdx.x - 32] : 0.0f;
    }

    // The draw. A kept token at which the sum exceeds goes before all others; without one the last kept counts.
    const float before = rp_scan(m, rp_sum<PER>(mine, [&](uint32_t j) { return e[j]; }), warp_before, whole);
    const float limit = rp_unit(words.w0) * whole;
    uint32_t drawn = ~0u;
    float inside = 0;
#pragma unroll
    for (int j = 0; j < PER; j++) {
        const uint32_t token = first + j;
        inside += e[j];
        if (j < mine && e[j] > 0.0f) { drawn = min(drawn, before + inside > limit ? token : 2 * RP_DRAW_MAX - 1 - token); }
    }
    drawn = __reduce_min_sync(0xffffffffu, drawn);
    if (threadIdx.x % 32 == 0) { m.found[warp] = drawn; }
    __syncthreads(); // found: written by each warp, read by one invocation
    if (threadIdx.x > 0) { return; }
#pragma unroll
    for (int w = 1; w < WARPS; w++) { drawn = min(drawn, m.found[w]); }
    if (drawn >= RP_DRAW_MAX) { drawn = 2 * RP_DRAW_MAX - 1 - drawn; }
    tokens[((uint64_t)row * p.tokens_cap + step.step) * 2 + p.which] = drawn < n ? drawn : 0; // logits that are no numbers
}

extern "C" __global__ void __launch_bounds__(GROUP) draw_token_f32(const rp_kernel_args<rp_draw_token_params> args) {
    rp_begin();
    __shared__ __align__(16) rp_draw_memory m;
    if (rp_group() >= (uint64_t)args.p.batch * args.p.paths || args.p.n > RP_DRAW_MAX) { return; }
    if (args.p.n <= FEW) {
        rp_draw<FEW / GROUP>(m, args);
    } else {
        rp_draw<RP_DRAW_MAX / GROUP>(m, args);
    }
}
