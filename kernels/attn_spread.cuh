// Decode steps of few paths: a cluster of RP_ATTN_SPREAD groups takes up to RP_ATTN_SHARED paths of one (series, variate, head).
// Teams of four warps make tiles: those of the prompt for all paths at once, others for each path alone. A tile's values, maximum
// and sum go to the shared memory of the group that joins its path, and count on a barrier there. Same sums as rp_attend, so the same bits. For sm_90 and later,
// heads in whole pieces of four. Included by attn_time.cu.
#ifndef RP_ATTN_SPREAD_CUH
#define RP_ATTN_SPREAD_CUH

#include "attn_spread_tile.cuh"

#define SPREAD_TEAM RP_ATTN_SPREAD_TEAM
#define SPREAD_MOST_TEAMS 2                // more would take all of a multiprocessor, and fewer clusters fit on a GPU at once
static_assert(SPREAD_TEAM == 2 * RP_ATTN_TILE, "two warps for a tile's keys, two for its values");

// What the groups of a cluster work on.
struct rp_spread_work {
    const float *k_prefix, *v_prefix;      // [N, h, d] of this series, variate and head
    const float *k_own, *v_own;            // where key 0 of path 0 would lie if its own keys began there; `path` floats to the next path's
    uint64_t path;
    uint32_t n_prefix, n, width, d;        // keys of the prompt, and in all; width: h d, from one key to the next
    uint32_t n_queries;
};

// A tile, and the path that it is made for where it is not the prompt's alone.
struct rp_spread_tile {
    uint32_t tile, q;
};

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
// Asks for a tile. The first two warps of a team bring its keys, 32 each, the other two its values, elements 0 to 31 of each 64 and
// the rest: each what it alone will read. Past the last key: that one again, and not used.
__device__ inline void rp_spread_ask(const rp_spread_work &w, const rp_spread_tile &t, float *k, float *v) {
    const uint32_t local = threadIdx.x % SPREAD_TEAM, lane = local % 32, warp = local / 32, first = t.tile * RP_ATTN_TILE, last = w.n - 1;
    const bool values = warp >= 2;
    const uint32_t row0 = values ? lane / 8 : warp * 32 + lane / 16, rows = values ? 4 : 2, pitch = values ? w.d : RP_ATTN_PITCH(w.d);
    const float *prefix = values ? w.v_prefix : w.k_prefix, *own = (values ? w.v_own : w.k_own) + t.q * w.path;
    float *to = values ? v : k;
    for (uint32_t column = values ? (warp - 2) * 32 + lane % 8 * 4 : lane % 16 * 4; column < w.d; column += 64) {
#pragma unroll
        for (uint32_t i = 0; i < 16; i++) {
            const uint32_t row = row0 + rows * i, c = min(first + row, last);
            rp_copy16(&to[row * pitch + column], (c < w.n_prefix ? prefix : own) + (uint64_t)c * w.width + column, 16);
        }
    }
    rp_copy_commit();
}

// Scores of one key of the tile, this invocation's, and queries q .. q + CHUNK - 1, of which `end` is the first that is not there;
// and each warp's maxima.
template <int CHUNK>
__device__ inline void rp_spread_scores(const rp_spread_work &w, const float *queries, const float *keys, uint32_t q, uint32_t end, uint32_t number,
                                        bool present, float scale, float *weight, float *top) {
    constexpr uint32_t STEPS = CHUNK > 1 ? 4 : 8;
    const float *from[CHUNK], *key = keys + number * RP_ATTN_PITCH(w.d);
    float score[CHUNK], most[CHUNK];
    uint32_t j = 0;
#pragma unroll
    for (int i = 0; i < CHUNK; i++) { from[i] = queries + min(q + i, end - 1) * w.d, score[i] = 0; }
#pragma unroll 1
    for (; j + 4 * STEPS <= w.d; j += 4 * STEPS) { rp_spread_products<CHUNK, STEPS>(score, from, key, j); }
#pragma unroll 1
    for (; j < w.d; j += 4) { rp_spread_products<CHUNK, 1>(score, from, key, j); }
#pragma unroll
    for (int i = 0; i < CHUNK; i++) { most[i] = score[i] = present ? __fmul_rn(score[i], scale) : -RP_INFINITY; }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
#pragma unroll
        for (int i = 0; i < CHUNK; i++) { most[i] = fmaxf(most[i], __shfl_xor_sync(0xffffffffu, most[i], distance)); }
    }
#pragma unroll
    for (int i = 0; i < CHUNK; i++) {
        if (q + i < end) {
            weight[(q + i) * RP_ATTN_TILE + number] = score[i];
            if (number % 32 == 0) { top[(q + i) * 4 + number / 32] = most[i]; }
        }
    }
}

// From scores to weights.
template <int CHUNK>
__device__ inline void rp_spread_weights(uint32_t q, uint32_t end, uint32_t number, float *weight, const float *top) {
    float p[CHUNK];
#pragma unroll
    for (int i = 0; i < CHUNK; i++) {
        const uint32_t query = q + i < end ? q + i : q;          // one's own
        const float tile_top = fmaxf(top[query * 4], top[query * 4 + 1]);
        p[i] = rp_exp_below(weight[query * RP_ATTN_TILE + number] - (tile_top == -RP_INFINITY ? 0.0f : tile_top));
    }
#pragma unroll
    for (int i = 0; i < CHUNK; i++) {
        if (q + i < end) { weight[(q + i) * RP_ATTN_TILE + number] = p[i]; }
    }
}

// What a team works on in shared memory, and where its tiles go.
struct rp_spread_memory {
    float *queries, *k, *v, *weight, *top;     // top: [query][4], of the tile's two halves
    rp_spread_inbox inbox;
};

__device__ inline void rp_spread_send_sum(const rp_spread_work &w, const rp_spread_memory &m, uint32_t path, uint32_t tile, uint32_t q) {
    const uint32_t lane = threadIdx.x % 32;
    const float sum = rp_halve32(m.weight[q * RP_ATTN_TILE + lane] + m.weight[q * RP_ATTN_TILE + lane + 32]);
    const float *to = rp_spread_joined(m.inbox.joined, path, tile, m.inbox.room, w.d) + w.d;
    if (lane == 0) { rp_cluster_send2(to, path % RP_ATTN_SPREAD, m.inbox.ready, fmaxf(m.top[q * 4], m.top[q * 4 + 1]), sum); }
}

// The queries that this half of a team takes: of a tile of the prompt half of all paths', of another its path's, whose scores the first
// half makes and whose values the second.
struct rp_spread_queries {
    uint32_t begin, end;
};

// The phases of a tile; the group's barrier stands between them.
__device__ inline void rp_spread_make_scores(const rp_spread_work &w, const rp_spread_memory &m, const rp_spread_tile &t, bool whole,
                                             const rp_spread_queries &own, float scale) {
    const uint32_t number = threadIdx.x % RP_ATTN_TILE;
    if (whole) {
        for (uint32_t q = own.begin; q < own.end; q += SPREAD_CHUNK) {
            rp_spread_scores<SPREAD_CHUNK>(w, m.queries, m.k, q, own.end, number, true, scale, m.weight, m.top);
        }
    } else if (threadIdx.x % SPREAD_TEAM < RP_ATTN_TILE) {
        rp_spread_scores<1>(w, m.queries + t.q * w.d, m.k, 0, 1, number, t.tile * RP_ATTN_TILE + number < w.n, scale, m.weight, m.top);
    }
}
__device__ inline void rp_spread_make_weights(const rp_spread_memory &m, bool whole, const rp_spread_queries &own) {
    const uint32_t number = threadIdx.x % RP_ATTN_TILE;
    if (whole) {
        for (uint32_t q = own.begin; q < own.end; q += SPREAD_CHUNK) { rp_spread_weights<SPREAD_CHUNK>(q, own.end, number, m.weight, m.top); }
    } else if (threadIdx.x % SPREAD_TEAM < RP_ATTN_TILE) {
        rp_spread_weights<1>(0, 1, number, m.weight, m.top);
    }
}
__device__ inline void rp_spread_send_tile(const rp_spread_work &w, const rp_spread_memory &m, const rp_spread_tile &t, bool whole,
                                           const rp_spread_queries &own) {
    const uint32_t local = threadIdx.x % SPREAD_TEAM, number = local % RP_ATTN_TILE;
    if (!whole && local < 32) { rp_spread_send_sum(w, m, t.q, t.tile, 0); }
    for (uint32_t j = number; j < w.d + number && (whole || local >= RP_ATTN_TILE); j += RP_ATTN_TILE) {
        const float *values = m.v + min(j, w.d - 1);
        for (uint32_t q = own.begin; q < own.end && whole; q += SPREAD_CHUNK) {
            float total[SPREAD_CHUNK];
            rp_spread_values<SPREAD_CHUNK>(m.weight, values, w.d, q, own.end, total);
#pragma unroll
            for (int i = 0; i < SPREAD_CHUNK; i++) {
                if (q + i < own.end) { rp_spread_send_values(m.inbox, w.d, q + i, t.tile, j, total[i]); }
            }
        }
        if (!whole) {
            float total[1];
            rp_spread_values<1>(m.weight, values, w.d, 0, 1, total);
            rp_spread_send_values(m.inbox, w.d, t.q, t.tile, j, total[0]);
        }
    }
    for (uint32_t q = own.begin + number / 32; q < own.end && whole; q += 2) { rp_spread_send_sum(w, m, q, t.tile, q); }
}

__device__ inline void rp_attn_spread(const rp_kernel_args<rp_attn_time_params> &args, float *memory) {
    const rp_attn_time_params p = args.p;
    const uint32_t rank = blockIdx.x % RP_ATTN_SPREAD, d = p.head_width, width = p.heads * d;
    const uint32_t blocks = gridDim.x / (RP_ATTN_SPREAD * p.batch * p.variates * p.heads), most = (p.paths + blocks - 1) / blocks;   // paths of a cluster
    uint64_t group = rp_group() / RP_ATTN_SPREAD;
    const uint32_t s0 = rp_take(group, blocks) * most, head = rp_take(group, p.heads), variate = rp_take(group, p.variates), b = (uint32_t)group;
    const uint64_t prefix = ((uint64_t)b * p.variates + variate) * p.prefix_cap * width + head * d;
    const uint64_t row0 = ((uint64_t)b * p.paths + s0) * p.variates + variate;   // of query 0; the next path's is `variates` further
    const uint64_t next = (uint64_t)p.variates * width;                          // from one path to the next
    const float *q = rp_at<const float>(args, 0) + row0 * width + head * d;      // [B, S, V, 1, h, d]
    const uint32_t n_prefix = min(rp_at<const uint32_t>(args, 5)[b] + p.extra, p.prefix_cap);
    const uint32_t n = n_prefix + min(rp_at<const rp_step>(args, 6)->step, p.suffix_cap);
    const int64_t own = (int64_t)(row0 * p.suffix_cap * width + head * d) - (int64_t)((uint64_t)n_prefix * width);
    const rp_spread_work w = { rp_at<const float>(args, 1) + prefix, rp_at<const float>(args, 2) + prefix,   // [B, V, N, h, d]
                               rp_at<const float>(args, 3) + own, rp_at<const float>(args, 4) + own,         // [B, S, V, R, h, d]
                               next * p.suffix_cap, n_prefix, n, width, d, min(most, p.paths - min(s0, p.paths)) };
    const uint32_t n_tiles = (n + RP_ATTN_TILE - 1) / RP_ATTN_TILE, room = (p.prefix_cap + p.suffix_cap + RP_ATTN_TILE - 1) / RP_ATTN_TILE;
    const uint32_t n_shared = w.n_queries > 1 ? n_prefix / RP_ATTN_TILE : 0;
    const uint32_t n_works = w.n_queries == 0 ? 0 : n_shared + w.n_queries * (n_tiles - n_shared);

    const uint32_t team = threadIdx.x / SPREAD_TEAM, teams = blockDim.x / SPREAD_TEAM, local = threadIdx.x % SPREAD_TEAM;
    rp_spread_memory m;
    m.queries = memory + 4, m.inbox = { m.queries + most * d, reinterpret_cast<uint64_t *>(memory), room };
    m.k = m.inbox.joined + RP_ATTN_SPREAD_JOINED(most, room, d) + team * RP_ATTN_SPREAD_OWN(most, d), m.v = m.k + RP_ATTN_TILE * RP_ATTN_PITCH(d);
    m.weight = m.v + RP_ATTN_TILE * d, m.top = m.weight + most * RP_ATTN_TILE;
    const auto nth = [&](uint32_t i) {         // the shared tiles first: they take longest
        const uint32_t alone = i - n_shared;
        return i < n_shared ? rp_spread_tile{ i, 0 } : rp_spread_tile{ n_shared + alone / w.n_queries, alone % w.n_queries };
    };
    uint32_t number = rank + RP_ATTN_SPREAD * team;
    if (number < n_works) { rp_spread_ask(w, nth(number), m.k, m.v); }
    for (uint32_t i = threadIdx.x / 16; i < w.n_queries; i += blockDim.x / 16) {
        for (uint32_t j = threadIdx.x % 16 * 4; j < d; j += 64) {
            *reinterpret_cast<float4 *>(&m.queries[i * d + j]) = *reinterpret_cast<const float4 *>(q + i * next + j);
        }
    }
    if (threadIdx.x == 0 && rank < w.n_queries) {
        rp_cluster_expect(m.inbox.ready, ((w.n_queries - rank - 1) / RP_ATTN_SPREAD + 1) * n_tiles * (d + 2) * 4);
    }
    __syncthreads();                           // queries: written by all, read by all
    rp_cluster_wait_begun();                    // all groups have begun and made their barriers
    const uint32_t half = local / RP_ATTN_TILE, middle = (w.n_queries + 1) / 2;
    const rp_spread_queries halves = { half * middle, half == 0 ? middle : w.n_queries };
    // All teams go through their tiles in step, so that one kind of barrier does; who has none left goes along.
    for (uint32_t first = rank; first < n_works; first += RP_ATTN_SPREAD * teams, number += RP_ATTN_SPREAD * teams) {
        const uint32_t after = number + RP_ATTN_SPREAD * teams;
        const rp_spread_tile t = nth(min(number, n_works - 1));
        const bool works = number < n_works, whole = number < n_shared;
        rp_copy_wait<0>();
        __syncthreads();                       // keys, values: written by all of a team, read by all
        if (works) { rp_spread_make_scores(w, m, t, whole, halves, p.scale); }
        __syncthreads();                       // scores, maxima: written by both warps of keys, read by both
        if (works) { rp_spread_make_weights(m, whole, halves); }
        __syncthreads();                       // weights: written by the warps of keys, read by all
        if (works) { rp_spread_send_tile(w, m, t, whole, halves); }
        __syncthreads();                       // all: read before it is written again
        if (after < n_works) { rp_spread_ask(w, nth(after), m.k, m.v); }
    }
    for (uint32_t i = threadIdx.x / 32; rank + RP_ATTN_SPREAD * i < w.n_queries; i += blockDim.x / 32) {
        const uint64_t at = (row0 + (uint64_t)(rank + RP_ATTN_SPREAD * i) * p.variates) * width + head * d;      // of y [B, S, V, 1, h, d]
        rp_cluster_wait_ready(m.inbox.ready);     // all tiles of this group's queries
        const float *tiles = rp_spread_joined(m.inbox.joined, RP_ATTN_SPREAD * i, 0, room, d);
        for (uint32_t j = threadIdx.x % 32; j < d + threadIdx.x % 32; j += 64) {
            const float2 y = rp_spread_join(tiles, n_tiles, d, j);
            if (j < d) { rp_put(rp_at<void>(args, 7), at + j, y.x, p.y_f16); }
            if (j + 32 < d) { rp_put(rp_at<void>(args, 7), at + j + 32, y.y, p.y_f16); }
        }
    }
}
#endif

extern "C" __global__ void
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
__cluster_dims__(RP_ATTN_SPREAD, 1, 1)
#endif
__launch_bounds__(SPREAD_TEAM * SPREAD_MOST_TEAMS, 2) attn_time_f32_spread(const rp_kernel_args<rp_attn_time_params> args) {
    extern __shared__ __align__(16) float memory[];
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    rp_cluster_begin(reinterpret_cast<uint64_t *>(memory));
    __syncthreads();                               // the barrier is made
    rp_begin();
    rp_attn_spread(args, memory);
#endif
}

#endif
