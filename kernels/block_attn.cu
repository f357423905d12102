// block_attn: causal attention of a call's tokens over everything in the cache; hidden patches among themselves. A group for each
// (b, v, row of y, head); for heads of at most 64 in whole pieces of four, a group for RP_ATTN_SHARED rows, so that a tile of keys
// and values comes to shared memory once for all of them. Same sums, so the same bits. block_attn_mixed.cuh: on matrix units.
#include "attention.cuh"

struct rp_block_keys {
    static constexpr bool dense = false;
    const float *k, *v;                 // [cap, g, d] of this series, variate and head
    const uint32_t *hidden;             // [N]
    uint32_t patches, stride;           // N; g d, from one key to the next
    bool own, wide;

    __device__ bool present(uint32_t c) const { return (c < patches && hidden[c] != 0) == own; }
    __device__ const float *key(uint32_t c) const { return k + (uint64_t)c * stride; }
    __device__ const float *value(uint32_t c) const { return v + (uint64_t)c * stride; }
};

__device__ static rp_call rp_block_call(const rp_kernel_args<rp_block_attn_params> &args, uint32_t row) {
    const rp_step *step = rp_at<const rp_step>(args, 5);
    const uint32_t n_patches = rp_at<const uint32_t>(args, 4)[row / args.p.variates];
    return rp_call_of(n_patches, step->step, step->horizon, args.p.patch_size, args.p.block, args.p.later);
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) block_attn_f32(const rp_kernel_args<rp_block_attn_params> args) {
    rp_begin();
    __shared__ __align__(16) rp_attention_memory memory;
    const rp_block_attn_params p = args.p;
    const uint32_t d = p.head_width, stride = p.kv_heads * d;
    uint64_t group = rp_group();
    if (group >= (uint64_t)p.batch * p.variates * p.tokens * p.heads) { return; }
    const uint32_t head = rp_take(group, p.heads), line = rp_take(group, p.tokens), row = (uint32_t)group;
    const rp_call call = rp_block_call(args, row);
    const uint32_t token = p.tail ? call.given - 1 + line : line;
    const uint32_t n = token < call.given + call.fresh - 1 ? min(call.start + token + 1, p.cap) : 0;   // a dead token sees nothing
    const uint64_t at = (((uint64_t)row * p.tokens + line) * p.heads + head) * d;                      // of y [B, V, n, h, d]
    const uint64_t cache = (uint64_t)row * p.cap * stride + head * p.kv_heads / p.heads * d;
    const float *q = rp_at<const float>(args, 0) + (((uint64_t)row * p.q_tokens + (n > 0 ? token : 0)) * p.heads + head) * d;
    const float *k = rp_at<const float>(args, 1) + cache, *v = rp_at<const float>(args, 2) + cache;    // [B, V, cap, g, d]
    const uint32_t *hidden = rp_at<const uint32_t>(args, 3) + (uint64_t)row * p.patches;
    const bool own = n > 0 && n <= p.patches && hidden[n - 1] != 0;
    const rp_block_keys keys = { k, v, hidden, p.patches, stride, own, d % 4 == 0 && rp_aligned16(k) };
    rp_attend(memory, keys, n, q, d, p.scale, rp_at<void>(args, 6), at, p.mixed);
}

// ---- RP_ATTN_SHARED rows a group ----

#define QUERIES RP_ATTN_SHARED
#define SHARED_GROUP 128
#define SCORE_PITCH (RP_ATTN_TILE + 8)      // two rows that a warp writes at once lie in different banks
#define WEIGHT_PITCH (QUERIES + 2)          // even, for reads of two; keys that a warp writes at once share a bank two by two
static_assert(QUERIES == 16 && RP_ATTN_TILE == 64, "128 invocations: 2 queries x 4 keys, or x 4 elements, each");

struct rp_block_memory {
    float k[RP_ATTN_TILE * PITCH], v[RP_ATTN_TILE * SLICE], q[QUERIES * PITCH];
    float score[QUERIES * SCORE_PITCH];             // -infinity where not seen
    float weight[RP_ATTN_TILE * WEIGHT_PITCH];      // [key][query]: exp(score - maximum of the tile), 0 where not seen
    float running[QUERIES], tile[QUERIES], sum[QUERIES];   // factors of a join; the sum so far
    uint32_t hidden[RP_ATTN_TILE];
};

extern "C" __global__ void __launch_bounds__(SHARED_GROUP) block_attn_f32_shared(const rp_kernel_args<rp_block_attn_params> args) {
    rp_begin();
    __shared__ __align__(16) rp_block_memory m;
    const rp_block_attn_params p = args.p;
    const uint32_t d = p.head_width, stride = p.kv_heads * d, width = p.heads * d, blocks = (p.tokens + QUERIES - 1) / QUERIES;
    uint64_t group = rp_group();
    if (group >= (uint64_t)p.batch * p.variates * p.heads * blocks) { return; }
    const uint32_t line0 = (blocks - 1 - rp_take(group, blocks)) * QUERIES;       // those with most keys begin first
    const uint32_t head = rp_take(group, p.heads), row = (uint32_t)group;
    const rp_call call = rp_block_call(args, row);
    const uint32_t token0 = (p.tail ? call.given - 1 : 0) + line0, live = call.given + call.fresh - 1;
    const uint32_t n_lines = min(QUERIES, p.tokens - line0), n_queries = token0 < live ? min(n_lines, live - token0) : 0;
    const uint32_t n = n_queries > 0 ? min(call.start + token0 + n_queries, p.cap) : 0;   // keys of the last query
    const uint64_t cache = (uint64_t)row * p.cap * stride + head * p.kv_heads / p.heads * d;
    const float *q = rp_at<const float>(args, 0) + ((uint64_t)row * p.q_tokens + token0) * width + head * d;   // [B, V, q_tokens, h, d]
    const float *k = rp_at<const float>(args, 1) + cache, *v = rp_at<const float>(args, 2) + cache;           // [B, V, cap, g, d]
    const uint32_t *hidden = rp_at<const uint32_t>(args, 3) + (uint64_t)row * p.patches;                      // [N]

    // This invocation's part: queries two and two + 1, keys column, column + 16, ..; elements 4 column .. 4 column + 3.
    const uint32_t two = threadIdx.x / 16 * 2, column = threadIdx.x % 16, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const bool holds = column * 4 < d;
    const float4 zero = make_float4(0, 0, 0, 0);
    float4 value[2] = { zero, zero };
    float top[4], sum[4];                   // of queries 4 warp .. 4 warp + 3
    uint32_t ends[2];                       // keys that queries two and two + 1 may see at most
    bool own[2];
#pragma unroll
    for (int i = 0; i < 4; i++) { top[i] = -RP_INFINITY, sum[i] = 0; }
#pragma unroll
    for (int e = 0; e < 2; e++) {
        ends[e] = two + e < n_queries ? min(call.start + token0 + two + e + 1, p.cap) : 0;
        own[e] = ends[e] > 0 && ends[e] <= p.patches && hidden[ends[e] - 1] != 0;
    }
    for (uint32_t i = threadIdx.x / 16; i < QUERIES && holds; i += SHARED_GROUP / 16) {
        *reinterpret_cast<float4 *>(&m.q[i * PITCH + column * 4]) =
            i < n_queries ? *reinterpret_cast<const float4 *>(q + (uint64_t)i * width + column * 4) : zero;
    }
    for (uint32_t first = 0; first < n; first += RP_ATTN_TILE) {
        const uint32_t n_keys = min(RP_ATTN_TILE, n - first);
        __syncthreads();           // k, v, weight: read by all before they are written again
        for (uint32_t i = threadIdx.x / 16; i < n_keys && holds; i += SHARED_GROUP / 16) {
            const uint64_t from = (uint64_t)(first + i) * stride + column * 4;
            *reinterpret_cast<float4 *>(&m.k[i * PITCH + column * 4]) = *reinterpret_cast<const float4 *>(k + from);
            *reinterpret_cast<float4 *>(&m.v[i * SLICE + column * 4]) = *reinterpret_cast<const float4 *>(v + from);
        }
        if (threadIdx.x < n_keys) { m.hidden[threadIdx.x] = first + threadIdx.x < p.patches ? hidden[first + threadIdx.x] : 0; }
        __syncthreads();           // q, k, v, hidden: written by all, read by all

        float score[2][4] = { { 0 } };
#pragma unroll 4
        for (uint32_t i = 0; i < d / 4; i++) {
            const float4 a = *reinterpret_cast<const float4 *>(&m.q[two * PITCH + i * 4]);
            const float4 c = *reinterpret_cast<const float4 *>(&m.q[(two + 1) * PITCH + i * 4]);
#pragma unroll
            for (int j = 0; j < 4; j++) {   // keys past the last: whatever lies there, and not used
                const float4 key = *reinterpret_cast<const float4 *>(&m.k[(column + 16 * j) * PITCH + i * 4]);
                score[0][j] = rp_dot4(a, key, score[0][j]);
                score[1][j] = rp_dot4(c, key, score[1][j]);
            }
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const uint32_t i = column + 16 * j;
            const bool masked = i < n_keys && m.hidden[i] != 0;
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const bool seen = first + i < ends[e] && masked == own[e];
                m.score[(two + e) * SCORE_PITCH + i] = seen ? score[e][j] * p.scale : -RP_INFINITY;
            }
        }
        __syncthreads();           // score: written by all, read by the warp of its query

        // Softmax: a warp for four queries, two keys a lane.
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t query = warp * 4 + i;
            const float low = m.score[query * SCORE_PITCH + lane], high = m.score[query * SCORE_PITCH + lane + 32];
            float most = fmaxf(low, high);
#pragma unroll
            for (int distance = 16; distance > 0; distance /= 2) { most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance)); }
            const bool none = most == -RP_INFINITY;           // no key of this tile is seen: what came before stays
            const float a = none ? 0.0f : rp_exp(low - most), c = none ? 0.0f : rp_exp(high - most);   // 0 where not seen
            const rp_join join = none ? rp_join{ top[i], 1.0f, 0.0f } : rp_join_of(top[i], most);
            top[i] = join.top;
            sum[i] = rp_joined(join, sum[i], rp_halve32(a + c));
            m.weight[lane * WEIGHT_PITCH + query] = a;
            m.weight[(lane + 32) * WEIGHT_PITCH + query] = c;
            if (lane == 0) { m.running[query] = join.running, m.tile[query] = join.tile, m.sum[query] = sum[i]; }
        }
        __syncthreads();           // weight, factors, sum: written by the warp of the query, read by all

        // Values, keys ascending.
        float4 own_tile[2] = { zero, zero };
#pragma unroll 8
        for (uint32_t i = 0; i < n_keys; i++) {
            const float2 weight = *reinterpret_cast<const float2 *>(&m.weight[i * WEIGHT_PITCH + two]);
            const float4 shared = *reinterpret_cast<const float4 *>(&m.v[i * SLICE + column * 4]);
            rp_add4(own_tile[0], weight.x, shared);
            rp_add4(own_tile[1], weight.y, shared);
        }
#pragma unroll
        for (int e = 0; e < 2; e++) {
            const rp_join join = { 0, m.running[two + e], m.tile[two + e] };
            value[e] = make_float4(rp_joined(join, value[e].x, own_tile[e].x), rp_joined(join, value[e].y, own_tile[e].y),
                                   rp_joined(join, value[e].z, own_tile[e].z), rp_joined(join, value[e].w, own_tile[e].w));
        }
    }
#pragma unroll
    for (int e = 0; e < 2; e++) {
        if (two + e >= n_lines || !holds) { continue; }
        const uint64_t at = ((uint64_t)row * p.tokens + line0 + two + e) * width + head * d + column * 4;   // of y [B, V, n, h, d]
        const float all = two + e < n_queries ? m.sum[two + e] : 0.0f, *from = &value[e].x;
#pragma unroll
        for (int j = 0; j < 4; j++) { rp_put(rp_at<void>(args, 6), at + j, all > 0.0f ? from[j] / all : 0.0f, p.mixed); }
    }
}

#include "block_attn_mixed.cuh"
