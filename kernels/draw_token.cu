// draw_token: one of n tokens by its logit, by temperature, top-k and top-p; spec kronos.md section 4, "Drawing". A group
// for each (b, s); invocation i holds tokens i q .. i q + q - 1 in registers.
#include "common.cuh"
#include "op_math.h"

#define GROUP RP_GROUP_DRAW
#define EACH (RP_DRAW_MAX / GROUP) // tokens an invocation holds at most
#define WARPS (GROUP / 32)
static_assert((GROUP & (GROUP - 1)) == 0 && GROUP % 32 == 0 && EACH == 8, "scans and the sort double, warps are whole");

struct rp_draw_memory {
    union {
        uint64_t key[RP_DRAW_MAX]; // rp_key_of, sorted ascending
        float kept[RP_DRAW_MAX];   // exp(z - largest) by number, 0 where not kept
    };
    float sum[2][GROUP]; // of a scan, by turns
    float top[WARPS];
    uint32_t least[WARPS];
};

// A number that ascends as z falls, and with the token's number among equal z. Never ~0, which stands behind them all.
__device__ inline uint64_t rp_key_of(float z, uint32_t token) {
    const uint32_t bits = z == 0.0f ? 0 : __float_as_uint(z); // -0 equals 0
    const uint32_t rising = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (uint64_t)~rising << 32 | token;
}
__device__ inline float rp_z_of(uint64_t key) {
    const uint32_t rising = ~(uint32_t)(key >> 32);
    return __uint_as_float(rising & 0x80000000u ? rising & 0x7fffffffu : ~rising);
}

// ---- sorting: Batcher's bitonic network (1968) on PER keys an invocation, element PER i + j being own[j] of invocation i ----

// The lesser of two to `low` where `ascending`, else the greater.
__device__ inline void rp_order(uint64_t &low, uint64_t &high, bool ascending) {
    const bool swap = (low > high) == ascending;
    const uint64_t a = low, b = high;
    low = swap ? b : a;
    high = swap ? a : b;
}

// A step inside invocations: elements `stride` apart, in runs of `size` that ascend and descend by turns.
template <int PER> __device__ inline void rp_order_own(uint64_t (&own)[PER], uint32_t size, int stride) {
#pragma unroll
    for (int j = 0; j < PER; j++) {
        if ((j & stride) == 0) { rp_order(own[j], own[j + stride], ((PER * threadIdx.x + j) & size) == 0); }
    }
}

// A step between invocations whose numbers differ in the bit `distance`: by registers inside a warp, else through `shared`.
template <int PER, bool WARP>
__device__ inline void rp_exchange(uint64_t (&own)[PER], uint64_t *shared, uint32_t distance, bool ascending) {
    const bool lower = (threadIdx.x & distance) == 0;
    if constexpr (!WARP) {
        __syncthreads(); // shared: read by all in the step before
#pragma unroll
        for (int j = 0; j < PER; j++) { shared[j * GROUP + threadIdx.x] = own[j]; }
        __syncthreads(); // shared: written by all, read by all
    }
#pragma unroll
    for (int j = 0; j < PER; j++) {
        const uint64_t other = WARP ? __shfl_xor_sync(0xffffffffu, own[j], distance) : shared[j * GROUP + (threadIdx.x ^ distance)];
        own[j] = (own[j] > other) == (lower == ascending) ? other : own[j];
    }
}

// Sorts key[0 .. n), n <= PER GROUP, ascending; what lies behind becomes ~0.
template <int PER> __device__ inline void rp_sort(uint64_t *key, uint32_t n) {
    uint64_t own[PER];
    __syncthreads(); // key: written by each for its tokens, read by all
#pragma unroll
    for (int j = 0; j < PER; j++) { own[j] = PER * threadIdx.x + j < n ? key[PER * threadIdx.x + j] : ~0ull; }
#pragma unroll
    for (uint32_t size = 2; size <= PER; size *= 2) {
#pragma unroll
        for (int stride = size / 2; stride > 0; stride /= 2) { rp_order_own<PER>(own, size, stride); }
    }
#pragma unroll 1
    for (uint32_t size = 2 * PER; size <= PER * GROUP; size *= 2) {
        const bool ascending = (PER * threadIdx.x & size) == 0;
#pragma unroll 1
        for (uint32_t distance = size / PER / 2; distance >= 32; distance /= 2) { rp_exchange<PER, false>(own, key, distance, ascending); }
#pragma unroll
        for (uint32_t distance = 16; distance > 0; distance /= 2) {
            if (distance <= size / PER / 2) { rp_exchange<PER, true>(own, key, distance, ascending); }
        }
#pragma unroll
        for (int stride = PER / 2; stride > 0; stride /= 2) { rp_order_own<PER>(own, size, stride); }
    }
    __syncthreads(); // key: read by all
#pragma unroll
    for (int j = 0; j < PER; j++) { key[PER * threadIdx.x + j] = own[j]; }
    __syncthreads(); // key: sorted, read by all
}

// The inclusive scan of one sum an invocation by doubling; returns the sum of all before this one, and of all in `whole`.
__device__ inline float rp_scan(rp_draw_memory &m, float sum, float &whole) {
    const uint32_t local = threadIdx.x;
    uint32_t turn = 0;
    m.sum[0][local] = sum;
    for (uint32_t stride = 1; stride < GROUP; stride *= 2) {
        __syncthreads(); // sum[turn]: written by each, read by all; sum[1 - turn]: read by all
        if (local >= stride) { sum = m.sum[turn][local - stride] + sum; }
        turn = 1 - turn;
        m.sum[turn][local] = sum;
    }
    __syncthreads(); // sum[turn]: written by each, read by all
    whole = m.sum[turn][GROUP - 1];
    const float before = local > 0 ? m.sum[turn][local - 1] : 0.0f;
    __syncthreads(); // sum: read by all, may be written again
    return before;
}

// The largest of one number an invocation, the same in all.
__device__ inline float rp_largest(rp_draw_memory &m, float value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance));
    }
    if (threadIdx.x % 32 == 0) { m.top[threadIdx.x / 32] = value; }
    __syncthreads(); // top: written by each warp, read by all
    for (uint32_t i = 0; i < WARPS; i++) { value = fmaxf(value, m.top[i]); }
    return value;
}

// The least of one number an invocation, the same in all.
__device__ inline uint32_t rp_least(rp_draw_memory &m, uint32_t value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        value = min(value, __shfl_xor_sync(0xffffffffu, value, distance));
    }
    if (threadIdx.x % 32 == 0) { m.least[threadIdx.x / 32] = value; }
    __syncthreads(); // least: written by each warp, read by all
    for (uint32_t i = 0; i < WARPS; i++) { value = min(value, m.least[i]); }
    return value;
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_DRAW)
    draw_token_f32(const rp_kernel_args<rp_draw_token_params> args) {
    rp_begin();
    __shared__ rp_draw_memory m;
    const rp_draw_token_params p = args.p;
    const uint32_t row = rp_group(), n = p.n;
    if (row >= (uint64_t)p.batch * p.paths) { return; }
    const uint32_t b = row / p.paths, s = row % p.paths;
    const float *logits = rp_at<const float>(args, 0) + (uint64_t)(p.one_row ? b : row) * n; // [n] of [B, S or 1, n]
    const uint32_t *settings = rp_at<const uint32_t>(args, 1);                               // [3]
    const uint32_t n_bars = rp_at<const uint32_t>(args, 2)[b];                               // [B]
    const uint32_t series_id = rp_at<const uint32_t>(args, 3)[b];                            // [B]
    const rp_step step = *rp_at<const rp_step>(args, 4);
    uint32_t *tokens = rp_at<uint32_t>(args, 5); // [B, S, tokens_cap, 2]
    const bool slides = (uint64_t)n_bars + step.step > p.window;
    if (step.step >= p.tokens_cap || n > RP_DRAW_MAX) { return; }
    if ((p.series == RP_DRAW_GROWING && slides) || (p.series == RP_DRAW_SLIDING && !slides)) { return; }
    const float temperature = __uint_as_float(settings[0]), top_p = __uint_as_float(settings[2]);
    const uint32_t top_k = min(settings[1], n);

    // z, and e = exp(z - the largest).
    const uint32_t q = (n + GROUP - 1) / GROUP, first = threadIdx.x * q;
    const uint32_t mine = first < n ? min(q, n - first) : 0;
    float z[EACH], e[EACH], most = -RP_INFINITY;
#pragma unroll
    for (uint32_t j = 0; j < EACH; j++) {
        z[j] = j < mine ? __fdiv_rn(logits[first + j], temperature) : -RP_INFINITY;
        most = fmaxf(most, z[j]);
    }
    const float top = rp_largest(m, most);
#pragma unroll
    for (uint32_t j = 0; j < EACH; j++) { e[j] = j < mine ? rp_exp(z[j] - top) : 0.0f; }

    // What may not be drawn: e = 0.
    const bool by_rank = top_k > 1 && top_k < n, by_sum = top_k == 0 && top_p < 1.0f;
    if (by_rank || by_sum) {
#pragma unroll
        for (uint32_t j = 0; j < EACH; j++) {
            if (j < mine) { m.key[first + j] = rp_key_of(z[j], first + j); }
        }
        if (n <= 4 * GROUP) {
            rp_sort<4>(m.key, n);
        } else {
            rp_sort<EACH>(m.key, n);
        }
    }
    if (by_rank || top_k == 1) {
        const float least = top_k == 1 ? top : rp_z_of(m.key[top_k - 1]);
#pragma unroll
        for (uint32_t j = 0; j < EACH; j++) { e[j] = z[j] >= least ? e[j] : 0.0f; }
    } else if (by_sum) {
        uint32_t number[EACH]; // of the tokens at ranks i q .. i q + q - 1
        float sum = 0;
#pragma unroll
        for (uint32_t j = 0; j < EACH; j++) {
            const uint64_t key = j < mine ? m.key[first + j] : 0;
            number[j] = (uint32_t)key;
            e[j] = j < mine ? rp_exp(rp_z_of(key) - top) : 0.0f;
            sum += e[j];
        }
        float whole;
        const float before = rp_scan(m, sum, whole), limit = top_p * whole; // its barriers: key read by all before kept
        float inside = 0;
#pragma unroll
        for (uint32_t j = 0; j < EACH; j++) {
            if (j < mine) { m.kept[number[j]] = first + j == 0 || before + inside <= limit ? e[j] : 0.0f; }
            inside += e[j];
        }
        __syncthreads(); // kept: written by rank, read by number
#pragma unroll
        for (uint32_t j = 0; j < EACH; j++) { e[j] = j < mine ? m.kept[first + j] : 0.0f; }
    }

    // The draw. A kept token at which the sum exceeds goes before all others; without one the last kept counts.
    float sum = 0, whole;
#pragma unroll
    for (uint32_t j = 0; j < EACH; j++) { sum += e[j]; }
    const float before = rp_scan(m, sum, whole);
    const rp_words words = rp_philox(step.seed_lo, step.seed_hi, series_id, step.path0 + s, step.step, p.which);
    const float limit = rp_unit(words.w0) * whole;
    uint32_t drawn = ~0u;
    float inside = 0;
#pragma unroll
    for (uint32_t j = 0; j < EACH; j++) {
        const uint32_t token = first + j;
        inside += e[j];
        if (j < mine && e[j] > 0.0f) { drawn = min(drawn, before + inside > limit ? token : 2 * RP_DRAW_MAX - 1 - token); }
    }
    drawn = rp_least(m, drawn);
    if (threadIdx.x == 0) {
        if (drawn >= RP_DRAW_MAX) { drawn = 2 * RP_DRAW_MAX - 1 - drawn; }
        tokens[((uint64_t)row * p.tokens_cap + step.step) * 2 + p.which] =
            drawn < n ? drawn : 0; // logits that are no numbers
    }
}
