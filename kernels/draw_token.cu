// draw_token: one of n tokens by its logit, by temperature, top-k and top-p; spec kronos.md section 4, "Drawing". A group for each (b, s),
// neighbours in number in one invocation. Sums are exact (core/op_params.h), so they may be taken in any order, and nothing is sorted: a
// histogram over z tells the bucket that the cut goes through, one over that bucket's z or numbers the bucket inside if it holds many, and
// only the last one's tokens are put in order.
#include "exp.cuh"

#define THREADS RP_GROUP_DRAW
#define WARPS (THREADS / 32)
#define FEW (4 * THREADS)             // most rows have no more tokens
#define BUCKETS 256
#define MOST_BELOW 28.0f              // exp(-28) counts as nothing
#define CANDIDATES 64                 // tokens that are put in order, at most
static_assert(WARPS == 8 && BUCKETS == THREADS && RP_DRAW_MAX == 8 * BUCKETS, "totals are read in twos; a bucket an invocation; eight numbers a bucket");

// A token that may be the last one kept. order: of z and number, ascending from the largest z.
struct alignas(16) rp_candidate { uint64_t order; uint32_t high, low; };

struct rp_draw_memory {
    uint32_t high[BUCKETS], low[BUCKETS];               // what the tokens of a bucket weigh
    alignas(16) uint32_t most[WARPS], least[WARPS];     // the largest z and the least above -infinity, as rp_rising
    alignas(16) uint64_t total[WARPS];                  // of a scan
    rp_candidate candidate[CANDIDATES];
    uint64_t before;                                    // the cut's bucket: the sum before it
    uint32_t bucket, candidates;
    uint32_t number;                                    // of the draw
};

// A number that ascends with z.
__device__ inline uint32_t rp_rising(float z) {
    const uint32_t bits = z == 0.0f ? 0 : __float_as_uint(z); // -0 equals 0
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ inline float rp_risen(uint32_t rising) { return __uint_as_float(rising & 0x80000000u ? rising & 0x7fffffffu : ~rising); }

// A number that ascends as z falls, and with the token's number among equal z.
__device__ inline uint64_t rp_order(uint32_t rising, uint32_t token) { return (uint64_t)~rising << 32 | token; }

// e of 0 .. 1 in multiples of 2^-40, rounded down, as two words of twenty bits, of which 2048 can be added each. Adding 2^23 and rounding
// down leaves the whole number in the low bits.
struct rp_weight { uint32_t high, low; };
__device__ inline rp_weight rp_weigh(float e) {
    const float whole = 0x1p23f, scaled = e * 0x1p20f, high = __fadd_rd(scaled, whole);
    const float low = __fmaf_rd(scaled - (high - whole), 0x1p20f, whole);
    return { __float_as_uint(high) - __float_as_uint(whole), __float_as_uint(low) - __float_as_uint(whole) };
}
__device__ inline uint64_t rp_sum_of(rp_weight sum) { return ((uint64_t)sum.high << 20) + sum.low; }

// The sum over all invocations before this one, and over all.
__device__ inline uint64_t rp_before(rp_draw_memory &m, rp_weight own, uint64_t &whole) {
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    rp_weight sum = own;
#pragma unroll
    for (uint32_t stride = 1; stride < 32; stride *= 2) {
        const uint32_t high = __shfl_up_sync(0xffffffffu, sum.high, stride), low = __shfl_up_sync(0xffffffffu, sum.low, stride);
        if (lane >= stride) { sum.high += high, sum.low += low; }
    }
    if (lane == 31) { m.total[warp] = rp_sum_of(sum); }
    __syncthreads(); // total: written by each warp, read by all
    uint64_t before = rp_sum_of({ sum.high - own.high, sum.low - own.low });
    whole = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w += 2) {
        const ulonglong2 two = *reinterpret_cast<const ulonglong2 *>(&m.total[w]);
        whole += two.x + two.y;
        before += (w < warp ? two.x : 0) + (w + 1 < warp ? two.y : 0);
    }
    return before;
}

// The largest and the least number of all invocations; and an empty histogram. Before it lies a barrier since the histogram was read.
__device__ inline void rp_extremes(rp_draw_memory &m, uint32_t &most, uint32_t &least) {
    most = __reduce_max_sync(0xffffffffu, most), least = __reduce_min_sync(0xffffffffu, least);
    if (threadIdx.x % 32 == 0) { m.most[threadIdx.x / 32] = most, m.least[threadIdx.x / 32] = least; }
    m.high[threadIdx.x] = m.low[threadIdx.x] = 0;
    __syncthreads(); // most, least: written by each warp, read by all; high, low: zeros
    const uint4 a = *reinterpret_cast<const uint4 *>(m.most), b = *reinterpret_cast<const uint4 *>(m.most + 4);
    const uint4 c = *reinterpret_cast<const uint4 *>(m.least), d = *reinterpret_cast<const uint4 *>(m.least + 4);
    most = max(max(max(a.x, a.y), max(a.z, a.w)), max(max(b.x, b.y), max(b.z, b.w)));
    least = min(min(min(c.x, c.y), min(c.z, c.w)), min(min(d.x, d.y), min(d.z, d.w)));
}

// Writes a row of the table, or adds it; or writes zeros. By a warp; up to 1024 numbers are asked for together.
__device__ inline void rp_put_row(const rp_kernel_args<rp_draw_token_params> &args, uint32_t row, const float *table, uint32_t lane) {
    constexpr uint32_t PIECES = 8;
    const uint32_t width = args.p.width;
    const uint64_t at = (uint64_t)row * width;
    void *y = rp_at<void>(args, 7);
    const bool adds = args.p.adds && table != nullptr;
    if (table == nullptr || width % 4 != 0 || !rp_aligned16(table) || !rp_aligned16(y)) {
#pragma unroll 1
        for (uint32_t i = lane; i < width; i += 32) {
            const float value = table ? table[i] : 0.0f;
            rp_put(y, at + i, adds ? __fadd_rn(static_cast<const float *>(y)[at + i], value) : value, args.p.y_f16);
        }
        return;
    }
    for (uint32_t i = lane; i < width / 4; i += PIECES * 32) {
        float4 x[PIECES], before[PIECES];
#pragma unroll
        for (uint32_t j = 0; j < PIECES; j++) {
            if (i + 32 * j < width / 4) { x[j] = reinterpret_cast<const float4 *>(table)[i + 32 * j]; }
            if (i + 32 * j < width / 4 && adds) { before[j] = static_cast<const float4 *>(y)[at / 4 + i + 32 * j]; }
        }
#pragma unroll
        for (uint32_t j = 0; j < PIECES; j++) {
            const uint64_t piece = at / 4 + i + 32 * j;
            if (i + 32 * j >= width / 4) { break; }
            if (adds) { x[j] = rp_sum(before[j], x[j]); }
            if (args.p.y_f16) {
                static_cast<__half2 *>(y)[2 * piece] = rp_half2(x[j].x, x[j].y), static_cast<__half2 *>(y)[2 * piece + 1] = rp_half2(x[j].z, x[j].w);
            } else {
                static_cast<float4 *>(y)[piece] = x[j];
            }
        }
    }
}

// PER: tokens of an invocation, at most n in all.
template <int PER> __device__ static void rp_draw(rp_draw_memory &m, const rp_kernel_args<rp_draw_token_params> &args) {
    const rp_draw_token_params &p = args.p;
    const uint32_t row = rp_group(), n = p.n, b = row / p.paths, s = row % p.paths, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const float *logits = rp_at<const float>(args, 0) + (uint64_t)(p.one_row ? b : row) * n; // [n] of [B, S or 1, n]
    const uint32_t first = PER * threadIdx.x, mine = first < n ? min(PER, n - first) : 0;
    rp_wait();
    if (p.moved) { rp_release(); }         // rp_launch.closes

    // All loads are asked for before anything looks at one. What is no number counts as -infinity.
    float z[PER];
    if (mine == PER && rp_aligned16(logits)) {
#pragma unroll
        for (int j = 0; j < PER; j += 4) {
            const float4 four = *reinterpret_cast<const float4 *>(logits + first + j);
            z[j] = four.x, z[j + 1] = four.y, z[j + 2] = four.z, z[j + 3] = four.w;
        }
    } else {
#pragma unroll
        for (int j = 0; j < PER; j++) { z[j] = j < mine ? logits[first + j] : -RP_INFINITY; }
    }
    const uint32_t n_bars = rp_at<const uint32_t>(args, 2)[b], series_id = rp_at<const uint32_t>(args, 3)[b]; // of [B]
    const rp_step block = *rp_at<const rp_step>(args, 4);
    const uint32_t *settings = rp_at<const uint32_t>(args, 1);                               // [3]
    const float temperature = __uint_as_float(settings[0]), top_p = __uint_as_float(settings[2]);
    const uint32_t top_k = min(settings[1], n), step = block.step - p.moved;
    const float *table = rp_at<const float>(args, 5);                                        // [n, D]
#pragma unroll
    for (int j = 0; j < PER && temperature != 1.0f; j++) { z[j] = __fdiv_rn(z[j], temperature); }
    uint32_t most = 0, least = ~0u, rising[PER];
#pragma unroll
    for (int j = 0; j < PER; j++) {
        z[j] = fmaxf(z[j], -RP_INFINITY), rising[j] = rp_rising(z[j]);
        if (z[j] > -RP_INFINITY) { most = max(most, rising[j]), least = min(least, rising[j]); }
    }
    rp_extremes(m, most, least);           // behind a branch before its barrier the compiler would put most of the loads
    const bool slides = (uint64_t)n_bars + step > p.window;
    if (step >= p.tokens_cap || (p.series == RP_DRAW_GROWING && slides) || (p.series == RP_DRAW_SLIDING && !slides)) {
        if (warp == 0) { rp_put_row(args, row, nullptr, lane); }
        return;
    }
    const float top = most > 0 ? rp_risen(most) : 0.0f;
    rp_weight weight[PER];                 // of e
#pragma unroll
    for (int j = 0; j < PER; j++) { weight[j] = rp_weigh(rp_exp_below(z[j] - top)); }
    const auto draw_number = [&] {         // by one warp, when the others have work
        if (threadIdx.x == THREADS - 1) { m.number = rp_philox(block.seed_lo, block.seed_hi, series_id, block.path0 + s, step, p.which).w0; }
    };

    // What is kept: tokens up to `cut`, of equal z all, or those up to its number.
    const bool by_rank = top_k > 1 && top_k < n, by_sum = top_k == 0 && top_p < 1.0f;
    uint64_t cut = top_k == 1 ? rp_order(most, n) : ~0ull;
    if (by_rank || by_sum) {
        rp_weight counted[PER];            // what is compared to the limit: numbers of tokens, or e
        bool inside[PER];
        uint32_t candidates;
        uint64_t limit = 0, base = 0, whole;
#pragma unroll
        for (int j = 0; j < PER; j++) {
            inside[j] = (weight[j].high | weight[j].low) != 0;     // others are never drawn
            counted[j] = { by_rank ? 1 : weight[j].high, by_rank ? 0 : weight[j].low };
        }
#pragma unroll 1
        for (bool all = true;; all = false) {
            // By z at first; then by its bits, of which eight more are known each time; where all are equal by number.
            const float scale = __fdividef(BUCKETS, fminf(top - rp_risen(least), MOST_BELOW));
            const uint32_t shift = max(24 - __clz(most - least), 0);
            uint32_t bucket[PER];
#pragma unroll
            for (int j = 0; j < PER; j++) {
                if (most == least) {
                    bucket[j] = (first + j) / 8;
                } else {
                    bucket[j] = all ? __float2uint_rz(fminf((top - z[j]) * scale, BUCKETS - 1)) : (most - rising[j]) >> shift & (BUCKETS - 1);
                }
                if (inside[j]) {
                    atomicAdd(&m.high[bucket[j]], counted[j].high);
                    if (counted[j].low > 0) { atomicAdd(&m.low[bucket[j]], counted[j].low); }
                }
            }
            if (all) { draw_number(); }
            if (threadIdx.x == 0) { m.bucket = BUCKETS, m.candidates = 0, m.before = 0; }
            __syncthreads(); // high, low: written by token, read by bucket; bucket, candidates, before
            const rp_weight own = { m.high[threadIdx.x], m.low[threadIdx.x] };
            const uint64_t before = base + rp_before(m, own, whole);
            if (all) { limit = by_rank ? rp_sum_of({ top_k - 1, 0 }) : __umul64hi(whole, (uint64_t)__float2uint_rz(top_p * 0x1p32f) << 32); }
            if (before <= limit && limit < before + rp_sum_of(own)) { m.bucket = threadIdx.x, m.before = before; }
            __syncthreads(); // bucket, before: written by one invocation, read by all
            const uint32_t cut_bucket = m.bucket;
            base = m.before;
            uint32_t found = 0;
            most = 0, least = ~0u;
#pragma unroll
            for (int j = 0; j < PER; j++) {
                inside[j] = inside[j] && bucket[j] == cut_bucket;
                if (inside[j]) { found++, most = max(most, rising[j]), least = min(least, rising[j]); }
            }
            if (found > 0) {
                uint32_t place = atomicAdd(&m.candidates, found);
#pragma unroll
                for (int j = 0; j < PER; j++) {
                    if (inside[j] && place < CANDIDATES) { m.candidate[place] = { rp_order(rising[j], first + j), counted[j].high, counted[j].low }; }
                    place += inside[j];
                }
            }
            __syncthreads(); // candidate, candidates: written by token, read by all; high, low: read by all before zeros
            candidates = m.candidates;
            if (candidates <= CANDIDATES) { break; }
            rp_extremes(m, most, least);
        }
        // Every warp finds the last one for itself, which needs no barrier: a lane for each.
#pragma unroll 1
        for (uint32_t i = lane; i < candidates + lane; i += 32) {
            const rp_candidate own = m.candidate[min(i, candidates - 1)];
            rp_weight sum = { 0, 0 };
#pragma unroll 4
            for (uint32_t k = 0; k < candidates; k++) {
                const rp_candidate other = m.candidate[k];
                if (other.order < own.order) { sum.high += other.high, sum.low += other.low; }
            }
            const uint64_t before = base + rp_sum_of(sum);
            const uint32_t last = __ballot_sync(0xffffffffu, before <= limit && limit < before + rp_sum_of({ own.high, own.low }));
            if (last == 0) { continue; }
            const uint64_t order = __shfl_sync(0xffffffffu, own.order, __ffs(last) - 1);
            cut = by_rank ? order | 0xffffffffu : order;
            break;
        }
    } else {
        draw_number();
    }

    // The draw: the first token at which the sum exceeds; 0 where there is none.
    rp_weight own = { 0, 0 };
#pragma unroll
    for (int j = 0; j < PER; j++) {
        if (rp_order(rising[j], first + j) > cut) { weight[j] = { 0, 0 }; }
        own.high += weight[j].high, own.low += weight[j].low;
    }
    uint64_t whole, below = rp_before(m, own, whole);          // behind its barrier the number is there
    const uint64_t limit = __umul64hi(whole, (uint64_t)m.number << 32 | 0x80000000u);
    const uint32_t found = __ballot_sync(0xffffffffu, whole > 0 ? below <= limit && limit < below + rp_sum_of(own) : threadIdx.x == 0);
    if (found == 0) { return; }
    uint32_t token = first;
#pragma unroll
    for (int j = 0; j + 1 < PER; j++) {
        below += rp_sum_of(weight[j]);
        token += below <= limit && j + 1 < mine ? 1 : 0;
    }
    token = __shfl_sync(0xffffffffu, token, __ffs(found) - 1);
    rp_put_row(args, row, table + (uint64_t)token * p.width, lane);
    if (lane == 0) { rp_at<uint32_t>(args, 6)[((uint64_t)row * p.tokens_cap + step) * 2 + p.which] = token; } // [B, S, tokens_cap, 2]
}

extern "C" __global__ void __launch_bounds__(THREADS) draw_token_f32(const rp_kernel_args<rp_draw_token_params> args) {
    __shared__ __align__(16) rp_draw_memory m;
    if (!args.p.moved) { rp_release_few(); }
    if (rp_group() >= (uint64_t)args.p.batch * args.p.paths || args.p.n > RP_DRAW_MAX) { return; }
    if (args.p.n <= FEW) {
        rp_draw<FEW / THREADS>(m, args);
    } else {
        rp_draw<RP_DRAW_MAX / THREADS>(m, args);
    }
}
