// draw_token: one of n tokens by its logit, by temperature, top-k and top-p; spec kronos.md section 4, "Drawing". A group
// for each (b, s). Up to the tokens' ranks, invocation i has tokens i, i + THREADS, ..; then RP_GROUP_DRAW of them go on, i with elements
// i q .. i q + q - 1 of the running sums. Ranks come from a distribution over buckets of equal width in z, which hold few tokens each;
// inside one, each token counts those before it.
#include "exp.cuh"

#define THREADS (4 * RP_GROUP_DRAW)   // as the launch rule says of fast devices
#define WARPS (THREADS / 32)
#define SUMS RP_GROUP_DRAW
#define SUM_WARPS (SUMS / 32)
#define BUCKETS RP_DRAW_MAX
#define FEW (4 * SUMS)             // most rows have no more tokens
static_assert(SUM_WARPS == 8 && BUCKETS == 8 * SUMS && RP_DRAW_MAX == 8 * SUMS, "scans fold eight warps; eight buckets, or elements, each");
static_assert(WARPS > SUM_WARPS && WARPS <= 32 && FEW % THREADS == 0 && 4 * THREADS >= BUCKETS, "one warp at least beside those that scan; a lane for each warp");

struct rp_draw_memory {
    union {
        uint64_t key[RP_DRAW_MAX]; // rp_key_of, by bucket, until ranks are known
        float kept[RP_DRAW_MAX];   // then e by number, 0 where not kept
    };
    alignas(16) float ranked[RP_DRAW_MAX];      // e, and
    alignas(16) uint16_t token[RP_DRAW_MAX];    // the token, by rank
    alignas(16) uint32_t bucket[BUCKETS + 1];   // tokens of each, then how many are before it
    float scan[SUM_WARPS][32];
    uint2 most[WARPS];             // the largest z, and the least above -infinity, as rp_rising
    alignas(16) uint32_t total[SUM_WARPS];      // of a warp each; read by all, four at once
    alignas(16) uint32_t found[SUM_WARPS];
    alignas(16) float last[SUM_WARPS];
    float least, unit;             // unit: the number of the draw
};

// The barrier of the first SUMS invocations.
__device__ inline void rp_sync_sums() { asm volatile("bar.sync 1, %0;" ::"n"(SUMS) : "memory"); }

// A number that ascends with z.
__device__ inline uint32_t rp_rising(float z) {
    const uint32_t bits = z == 0.0f ? 0 : __float_as_uint(z); // -0 equals 0
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ inline float rp_risen(uint32_t rising) { return __uint_as_float(rising & 0x80000000u ? rising & 0x7fffffffu : ~rising); }

// A number that ascends as z falls, and with the token's number among equal z.
__device__ inline uint64_t rp_key_of(float z, uint32_t token) { return (uint64_t)~rp_rising(z) << 32 | token; }

// Eight numbers that lie side by side.
template <class T> __device__ inline void rp_eight(T (&to)[SUM_WARPS], const T *from) {
#pragma unroll
    for (int w = 0; w < SUM_WARPS; w += 4) {
        const uint4 four = *reinterpret_cast<const uint4 *>(from + w);
        const uint32_t bits[4] = { four.x, four.y, four.z, four.w };
#pragma unroll
        for (int i = 0; i < 4; i++) { to[w + i] = *reinterpret_cast<const T *>(&bits[i]); }
    }
}

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
    if (lane == 31) { m.last[warp] = sum; }
    rp_sync_sums(); // scan: written by each, read by all
    float at[SUM_WARPS], last[SUM_WARPS]; // of this lane, and of lane 31
#pragma unroll
    for (int w = 0; w < SUM_WARPS; w++) { at[w] = m.scan[w][lane]; }
    rp_eight(last, m.last);
#pragma unroll
    for (int stride = 1; stride < SUM_WARPS; stride *= 2) {
#pragma unroll
        for (int w = SUM_WARPS - 1; w >= stride; w--) { at[w] = at[w - stride] + at[w], last[w] = last[w - stride] + last[w]; }
    }
    float through = at[0], before = 0; // the sum up to this invocation; up to the warp before it
#pragma unroll
    for (int w = 1; w < SUM_WARPS; w++) {
        if (w == warp) { through = at[w], before = last[w - 1]; }
    }
    whole = last[SUM_WARPS - 1];
    const float left = __shfl_up_sync(0xffffffffu, through, 1);
    return lane > 0 ? left : before;
}

// Where each bucket begins, from how many it holds. By the first SUMS invocations.
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
    rp_sync_sums(); // total: written by each warp, read by all; bucket: read by its invocation
    uint32_t total[SUM_WARPS];
    rp_eight(total, m.total);
#pragma unroll
    for (int w = 0; w < SUM_WARPS; w++) { before += w < warp ? total[w] : 0; }
    uint4 start;
    start.x = before + through - held, start.y = start.x + low.x, start.z = start.y + low.y, start.w = start.z + low.z;
    own[0] = start;
    start.x = start.w + low.w, start.y = start.x + high.x, start.z = start.y + high.y, start.w = start.z + high.z;
    own[1] = start;
    if (threadIdx.x == SUMS - 1) { m.bucket[BUCKETS] = start.w + high.w; }
}

// Token j of this invocation.
__device__ inline uint32_t rp_token(uint32_t j) { return threadIdx.x + j * THREADS; }

// Writes e and number of the tokens to their ranks; the buckets are empty. Tokens with e = 0, the last ones, keep no order among
// themselves: nothing depends on it. Returns in `rank` the ranks. aside: for the warps that do not scan, meanwhile.
template <int TOKENS, class Aside>
__device__ inline void rp_rank(rp_draw_memory &m, const float (&z)[TOKENS], const float (&e)[TOKENS], uint32_t n, float top, float low,
                               uint32_t (&rank)[TOKENS], const Aside &aside) {
    const float range = fminf(top - low, 104.0f), scale = range > 0 ? __fdividef(BUCKETS - 1, range) : 0.0f; // exp(-104) = 0
    uint32_t bucket[TOKENS], place[TOKENS], steps = 0;
#pragma unroll
    for (int j = 0; j < TOKENS; j++) {
        bucket[j] = e[j] == 0.0f ? BUCKETS - 1 : min(__float2uint_rz((top - z[j]) * scale), BUCKETS - 2);
        if (rp_token(j) < n) { place[j] = atomicAdd(&m.bucket[bucket[j]], 1); }
    }
    __syncthreads(); // bucket: counted by all, read by all
    if (threadIdx.x < SUMS) {
        rp_bucket_starts(m);
    } else {
        aside();
    }
    __syncthreads(); // bucket: written by each for its eight, read by all
    uint64_t key[TOKENS];
    uint32_t start[TOKENS], end[TOKENS];
#pragma unroll
    for (int j = 0; j < TOKENS; j++) {
        key[j] = rp_key_of(z[j], rp_token(j));
        start[j] = m.bucket[bucket[j]], end[j] = m.bucket[bucket[j] + 1];
        if (rp_token(j) < n) { m.key[start[j] + place[j]] = key[j]; }
    }
    __syncthreads(); // key: written by each for its tokens, read by all
#pragma unroll
    for (int j = 0; j < TOKENS; j++) {
        const uint32_t others = end[j] - start[j];
        rank[j] = start[j];
        if (rp_token(j) >= n || others == 1 || bucket[j] == BUCKETS - 1) {
            rank[j] += rp_token(j) < n && others > 1 ? place[j] : 0;
            end[j] = start[j];
        }
        steps = max(steps, end[j] - start[j]);
    }
#pragma unroll 4
    for (uint32_t t = 0; t < steps; t++) { // who is done reads nothing: lanes' keys lie in banks at random
#pragma unroll
        for (int j = 0; j < TOKENS; j++) {
            uint64_t other = ~0ull;
            if (start[j] + t < end[j]) { other = m.key[start[j] + t]; }
            rank[j] += other < key[j];
        }
    }
#pragma unroll
    for (int j = 0; j < TOKENS; j++) {
        if (rp_token(j) < n) { m.ranked[rank[j]] = e[j], m.token[rank[j]] = (uint16_t)rp_token(j); }
    }
}

// Elements `first` on of `from`, of which `mine` are there; q of them an invocation, PER at most.
template <int PER> __device__ inline void rp_bring(float (&to)[PER], const float *from, uint32_t q, uint32_t first, uint32_t mine) {
    if (q == PER) {                        // whole pieces of 16 bytes, side by side
#pragma unroll
        for (int j = 0; j < PER; j += 4) {
            const float4 four = *reinterpret_cast<const float4 *>(from + first + j);
            to[j] = four.x, to[j + 1] = four.y, to[j + 2] = four.z, to[j + 3] = four.w;
        }
#pragma unroll
        for (int j = 0; j < PER; j++) { to[j] = j < mine ? to[j] : 0.0f; }
        return;
    }
#pragma unroll
    for (int j = 0; j < PER; j++) { to[j] = j < mine ? from[first + j] : 0.0f; }
}

// Their sum, ascending.
template <int PER> __device__ inline float rp_sum(const float (&part)[PER]) {
    float sum = 0;
#pragma unroll
    for (int j = 0; j < PER; j++) { sum += part[j]; }
    return sum;
}

// ALL: tokens at most.
template <int ALL> __device__ static void rp_draw(rp_draw_memory &m, const rp_kernel_args<rp_draw_token_params> &args) {
    constexpr int TOKENS = ALL / THREADS, PER = ALL / SUMS;
    const rp_draw_token_params p = args.p;
    const uint32_t row = rp_group(), n = p.n, b = row / p.paths, s = row % p.paths, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const float *logits = rp_at<const float>(args, 0) + (uint64_t)(p.one_row ? b : row) * n; // [n] of [B, S or 1, n]
    const uint32_t *settings = rp_at<const uint32_t>(args, 1);                               // [3]
    const uint32_t n_bars = rp_at<const uint32_t>(args, 2)[b];                               // [B]
    const uint32_t series_id = rp_at<const uint32_t>(args, 3)[b];                            // [B]
    const rp_step step = *rp_at<const rp_step>(args, 4);
    uint32_t *tokens = rp_at<uint32_t>(args, 5); // [B, S, tokens_cap, 2]
    const float temperature = __uint_as_float(settings[0]), top_p = __uint_as_float(settings[2]);
    const uint32_t top_k = min(settings[1], n);

    // z, its largest, the least above -infinity. All loads are asked for before anything looks at one.
    float z[TOKENS], e[TOKENS];
#pragma unroll
    for (int j = 0; j < TOKENS; j++) { z[j] = rp_token(j) < n ? logits[rp_token(j)] : -RP_INFINITY; }
#pragma unroll
    for (int j = 0; j < TOKENS && temperature != 1.0f; j++) { z[j] = __fdiv_rn(z[j], temperature); }
    uint2 most = make_uint2(0, ~0u);
#pragma unroll
    for (int j = 0; j < TOKENS; j++) {
        const uint32_t rising = rp_rising(z[j]);
        if (z[j] > -RP_INFINITY) { most = make_uint2(max(most.x, rising), min(most.y, rising)); } // no NaN
    }
    most = make_uint2(__reduce_max_sync(0xffffffffu, most.x), __reduce_min_sync(0xffffffffu, most.y));
    if (lane == 0) { m.most[warp] = most; }
    if (threadIdx.x < BUCKETS / 4) { reinterpret_cast<uint4 *>(m.bucket)[threadIdx.x] = make_uint4(0, 0, 0, 0); }
    const bool slides = (uint64_t)n_bars + step.step > p.window;
    if (step.step >= p.tokens_cap || (p.series == RP_DRAW_GROWING && slides) || (p.series == RP_DRAW_SLIDING && !slides)) { return; }
    __syncthreads(); // most: written by each warp, read by all; bucket: zeros
    most = lane < WARPS ? m.most[lane] : make_uint2(0, ~0u);
    most = make_uint2(__reduce_max_sync(0xffffffffu, most.x), __reduce_min_sync(0xffffffffu, most.y));
    const float top = most.x > 0 ? rp_risen(most.x) : -RP_INFINITY;
#pragma unroll
    for (int j = 0; j < TOKENS; j++) { e[j] = rp_exp_or_nan(z[j] - top); }
    const auto number = [&] {              // by a warp that does not scan
        if (warp == SUM_WARPS) { m.unit = rp_unit(rp_philox(step.seed_lo, step.seed_hi, series_id, step.path0 + s, step.step, p.which).w0); }
    };

    // What may not be drawn: e = 0. `before`: the sum of the invocation a warp before, for a scan.
    const bool by_rank = top_k > 1 && top_k < n, by_sum = top_k == 0 && top_p < 1.0f;
    if (by_rank || by_sum) {
        uint32_t rank[TOKENS];
        rp_rank<TOKENS>(m, z, e, n, top, rp_risen(most.y), rank, number);
#pragma unroll
        for (int j = 0; j < TOKENS; j++) {
            if (rp_token(j) < n && rank[j] + 1 == top_k) { m.least = z[j]; }
        }
        __syncthreads(); // ranked, least: written by token, read by rank; key: read by all before kept
    } else {
        number();
    }
    if (!by_sum) {
        const float least = by_rank ? m.least : top_k == 1 ? top : -RP_INFINITY;
#pragma unroll
        for (int j = 0; j < TOKENS; j++) {
            if (rp_token(j) < n) { m.kept[rp_token(j)] = z[j] >= least || !(by_rank || top_k == 1) ? e[j] : 0.0f; }
        }
        __syncthreads(); // kept, unit: written by token, read by number
    }
    if (threadIdx.x >= SUMS) { return; }

    const uint32_t q = (n + SUMS - 1) / SUMS, first = threadIdx.x * q, mine = first < n ? min(q, n - first) : 0;
    const uint32_t back = warp > 0 ? first - 32 * q : 0, theirs = warp > 0 ? min(q, n - min(n, back)) : 0;
    // Up to two scans, by the same code, which is fetched once: where it is by sum, of e by rank, then of the kept by number.
    const float *from = by_sum ? m.ranked : m.kept;
    float part[PER], before, whole;
#pragma unroll 1
    for (;;) {
        float warp_before[PER];
        rp_bring(part, from, q, first, mine);
        rp_bring(warp_before, from, q, back, theirs);
        before = rp_scan(m, rp_sum(part), rp_sum(warp_before), whole);
        if (from == m.kept) { break; }
        const float limit = top_p * whole;
        float inside = 0;
#pragma unroll
        for (int j = 0; j < PER; j++) {
            if (j < mine) { m.kept[m.token[first + j]] = first + j == 0 || before + inside <= limit ? part[j] : 0.0f; }
            inside += part[j];
        }
        rp_sync_sums(); // kept: written by rank, read by number
        from = m.kept;
    }

    // The draw. A kept token at which the sum exceeds goes before all others; without one the last kept counts.
    const float limit = m.unit * whole;
    uint32_t drawn = ~0u;
    float inside = 0;
#pragma unroll
    for (int j = 0; j < PER; j++) {
        const uint32_t token = first + j;
        inside += part[j];
        if (j < mine && part[j] > 0.0f) { drawn = min(drawn, before + inside > limit ? token : 2 * RP_DRAW_MAX - 1 - token); }
    }
    drawn = __reduce_min_sync(0xffffffffu, drawn);
    if (lane == 0) { m.found[warp] = drawn; }
    rp_sync_sums(); // found: written by each warp, read by one invocation
    if (threadIdx.x > 0) { return; }
    uint32_t found[SUM_WARPS];
    rp_eight(found, m.found);
#pragma unroll
    for (int w = 1; w < SUM_WARPS; w++) { drawn = min(drawn, found[w]); }
    if (drawn >= RP_DRAW_MAX) { drawn = 2 * RP_DRAW_MAX - 1 - drawn; }
    tokens[((uint64_t)row * p.tokens_cap + step.step) * 2 + p.which] = drawn < n ? drawn : 0; // logits that are no numbers
}

extern "C" __global__ void __launch_bounds__(THREADS) draw_token_f32(const rp_kernel_args<rp_draw_token_params> args) {
    rp_begin();
    __shared__ __align__(16) rp_draw_memory m;
    if (rp_group() >= (uint64_t)args.p.batch * args.p.paths || args.p.n > RP_DRAW_MAX) { return; }
    if (args.p.n <= FEW) {
        rp_draw<FEW>(m, args);
    } else {
        rp_draw<RP_DRAW_MAX>(m, args);
    }
}
