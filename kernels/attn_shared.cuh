// Decode steps of many paths: a group takes RP_ATTN_SHARED paths of one (series, variate, head), so that a tile of the prompt's
// keys and values comes to shared memory once for all of them; then each path's own. Same sums as rp_attend, so the same bits.
// For heads of at most 64, in whole pieces of four. Included by attn_time.cu.
#ifndef RP_ATTN_SHARED_CUH
#define RP_ATTN_SHARED_CUH

#include "attention.cuh"

#define QUERIES RP_ATTN_SHARED
#define SHARED_GROUP 128
#define SCORE_PITCH (RP_ATTN_TILE + 8)      // two rows that a warp writes at once lie in different banks
#define WEIGHT_PITCH (QUERIES + 2)          // even, for reads of two; keys that a warp writes at once share a bank two by two
static_assert(QUERIES == 16 && RP_ATTN_TILE == 64, "128 invocations: 2 queries x 4 keys, or x 4 elements, each");

struct rp_shared_memory {
    float k[RP_ATTN_TILE * PITCH], v[RP_ATTN_TILE * SLICE], q[QUERIES * PITCH];
    float score[QUERIES * SCORE_PITCH];             // -infinity where absent
    float weight[RP_ATTN_TILE * WEIGHT_PITCH];      // [key][query]: exp(score - maximum of the tile)
    float running[QUERIES], tile[QUERIES], sum[QUERIES];   // factors of a join; the sum so far
};

extern "C" __global__ void __launch_bounds__(SHARED_GROUP) attn_time_f32_shared(const rp_kernel_args<rp_attn_time_params> args) {
    rp_wait();
    __shared__ __align__(16) rp_shared_memory m;
    const rp_attn_time_params p = args.p;
    const uint32_t d = p.head_width, width = p.heads * d, blocks = (p.paths + QUERIES - 1) / QUERIES;
    uint64_t group = rp_group();
    if (group >= (uint64_t)p.batch * p.variates * p.heads * blocks) { return; }
    const uint32_t s0 = rp_take(group, blocks) * QUERIES, head = rp_take(group, p.heads), v = rp_take(group, p.variates);
    const uint32_t b = (uint32_t)group, n_queries = min(QUERIES, p.paths - s0);
    const uint64_t prefix = ((uint64_t)b * p.variates + v) * p.prefix_cap * width + head * d;
    const uint64_t row0 = ((uint64_t)b * p.paths + s0) * p.variates + v;   // of query 0; the next path's is `variates` further
    const float *q = rp_at<const float>(args, 0) + row0 * width + head * d;                      // [B, S, V, 1, h, d]
    const float *k_prefix = rp_at<const float>(args, 1) + prefix;                                // [B, V, N, h, d]
    const float *v_prefix = rp_at<const float>(args, 2) + prefix;
    const float *k_suffix = rp_at<const float>(args, 3) + row0 * p.suffix_cap * width + head * d;   // [B, S, V, R, h, d]
    const float *v_suffix = rp_at<const float>(args, 4) + row0 * p.suffix_cap * width + head * d;
    const uint64_t path = (uint64_t)p.variates * width;                                          // from one path to the next
    const uint32_t n_prefix = min(rp_at<const uint32_t>(args, 5)[b] + p.extra, p.prefix_cap);
    const uint32_t n = n_prefix + min(rp_at<const rp_step>(args, 6)->step, p.suffix_cap);

    // This invocation's part: queries two and two + 1, keys column, column + 16, ..; elements 4 column .. 4 column + 3.
    const uint32_t two = threadIdx.x / 16 * 2, column = threadIdx.x % 16, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const bool holds = column * 4 < d;
    const float4 zero = make_float4(0, 0, 0, 0);
    float4 value[2] = { zero, zero };
    float top[4], sum[4];                   // of queries 4 warp .. 4 warp + 3
#pragma unroll
    for (int i = 0; i < 4; i++) { top[i] = -RP_INFINITY, sum[i] = 0; }
    for (uint32_t i = two / 2; i < QUERIES; i += SHARED_GROUP / 16) {
        if (holds) {
            *reinterpret_cast<float4 *>(&m.q[i * PITCH + column * 4]) =
                i < n_queries ? *reinterpret_cast<const float4 *>(q + i * path + column * 4) : zero;
        }
    }
    for (uint32_t first = 0; first < n; first += RP_ATTN_TILE) {
        const uint32_t n_keys = min(RP_ATTN_TILE, n - first), n_shared = first < n_prefix ? min(n_keys, n_prefix - first) : 0;
        __syncthreads();           // k, v, weight: read by all before they are written again
        for (uint32_t i = threadIdx.x / 16; i < n_shared && holds; i += SHARED_GROUP / 16) {
            const uint64_t from = (uint64_t)(first + i) * width + column * 4;
            *reinterpret_cast<float4 *>(&m.k[i * PITCH + column * 4]) = *reinterpret_cast<const float4 *>(k_prefix + from);
            *reinterpret_cast<float4 *>(&m.v[i * SLICE + column * 4]) = *reinterpret_cast<const float4 *>(v_prefix + from);
        }
        __syncthreads();           // q, k, v: written by all, read by all

        // Scores: with the prompt's keys, then with the path's own, one pair an invocation.
        float score[2][4] = { { 0 } };
#pragma unroll 4
        for (uint32_t i = 0; i < d / 4; i++) {
            const float4 a = *reinterpret_cast<const float4 *>(&m.q[two * PITCH + i * 4]);
            const float4 c = *reinterpret_cast<const float4 *>(&m.q[(two + 1) * PITCH + i * 4]);
#pragma unroll
            for (int j = 0; j < 4; j++) {   // keys past the shared ones: whatever lies there, and not used
                const float4 key = *reinterpret_cast<const float4 *>(&m.k[(column + 16 * j) * PITCH + i * 4]);
                score[0][j] = rp_dot4(a, key, score[0][j]);
                score[1][j] = rp_dot4(c, key, score[1][j]);
            }
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const uint32_t i = column + 16 * j;
            if (i < n_shared || i >= n_keys) {
                m.score[two * SCORE_PITCH + i] = i < n_shared ? score[0][j] * p.scale : -RP_INFINITY;
                m.score[(two + 1) * SCORE_PITCH + i] = i < n_shared ? score[1][j] * p.scale : -RP_INFINITY;
            }
        }
        for (uint32_t pair = threadIdx.x; pair < QUERIES * (n_keys - n_shared); pair += SHARED_GROUP) {
            const uint32_t i = n_shared + pair / QUERIES, query = pair % QUERIES;
            const float *key = k_suffix + query * path * p.suffix_cap + (uint64_t)(first + i - n_prefix) * width;
            float own = 0;
            for (uint32_t j = 0; j < d && query < n_queries; j += 4) {
                own = rp_dot4(*reinterpret_cast<const float4 *>(&m.q[query * PITCH + j]), *reinterpret_cast<const float4 *>(key + j), own);
            }
            m.score[query * SCORE_PITCH + i] = own * p.scale;
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
            const float a = lane < n_keys ? rp_exp(low - most) : 0.0f, c = lane + 32 < n_keys ? rp_exp(high - most) : 0.0f;
            const rp_join join = rp_join_of(top[i], most);
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
        for (uint32_t i = 0; i < n_shared; i++) {
            const float2 weight = *reinterpret_cast<const float2 *>(&m.weight[i * WEIGHT_PITCH + two]);
            const float4 shared = *reinterpret_cast<const float4 *>(&m.v[i * SLICE + column * 4]);
            rp_add4(own_tile[0], weight.x, shared);
            rp_add4(own_tile[1], weight.y, shared);
        }
        for (uint32_t i = n_shared; i < n_keys && holds; i++) {
#pragma unroll
            for (int e = 0; e < 2; e++) {
                if (two + e >= n_queries) { continue; }
                const float *own = v_suffix + (two + e) * path * p.suffix_cap + (uint64_t)(first + i - n_prefix) * width + column * 4;
                rp_add4(own_tile[e], m.weight[i * WEIGHT_PITCH + two + e], *reinterpret_cast<const float4 *>(own));
            }
        }
#pragma unroll
        for (int e = 0; e < 2; e++) {
            const rp_join join = { 0, m.running[two + e], m.tile[two + e] };
            value[e] = make_float4(rp_joined(join, value[e].x, own_tile[e].x), rp_joined(join, value[e].y, own_tile[e].y),
                                   rp_joined(join, value[e].z, own_tile[e].z), rp_joined(join, value[e].w, own_tile[e].w));
        }
    }
    if (n == 0) {
        for (uint32_t i = threadIdx.x; i < QUERIES; i += SHARED_GROUP) { m.sum[i] = 0; }
        __syncthreads();           // sum: written by some, read by all
    }
#pragma unroll
    for (int e = 0; e < 2; e++) {
        if (two + e >= n_queries || !holds) { continue; }
        const uint64_t at = (row0 + (uint64_t)(two + e) * p.variates) * width + head * d + column * 4;   // of y [B, S, V, 1, h, d]
        const float all = m.sum[two + e], *from = &value[e].x;
#pragma unroll
        for (int j = 0; j < 4; j++) { rp_put(rp_at<void>(args, 7), at + j, all > 0.0f ? from[j] / all : 0.0f, p.y_f16); }
    }
}

#endif
