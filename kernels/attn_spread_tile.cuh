// Tiles of attention in float32 by warps of a cluster's groups, what attn_spread.cuh and attn_step_spread.cuh share: scores and values
// of a tile in shared memory, a key or a column an invocation, and the joining of tiles in the group that has their path. Same sums as rp_attend.
#ifndef RP_ATTN_SPREAD_TILE_CUH
#define RP_ATTN_SPREAD_TILE_CUH

#include "attention.cuh"
#include "cluster.cuh"

#define SPREAD_CHUNK 5                     // queries of which sums are under way together

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
// STEPS times four elements of a key and CHUNK queries, ascending, added to scores: all are read before they are used.
template <int CHUNK, int STEPS>
__device__ inline void rp_spread_products(float (&score)[CHUNK], const float *const (&from)[CHUNK], const float *key, uint32_t j) {
#pragma unroll
    for (int i = 0; i < STEPS * 4; i += 4) {
        const float4 b = *reinterpret_cast<const float4 *>(key + j + i);
#pragma unroll
        for (int c = 0; c < CHUNK; c++) { score[c] = rp_dot4(*reinterpret_cast<const float4 *>(from[c] + j + i), b, score[c]); }
    }
}

// Sums over the tile's keys, ascending, for queries q .. q + CHUNK - 1, of weights times one element of the values.
template <int CHUNK>
__device__ inline void rp_spread_values(const float *weight, const float *v, uint32_t d, uint32_t q, uint32_t end, float (&total)[CHUNK]) {
    const float *from[CHUNK];
#pragma unroll
    for (int i = 0; i < CHUNK; i++) { from[i] = weight + min(q + i, end - 1) * RP_ATTN_TILE, total[i] = 0; }
#pragma unroll (CHUNK > 1 ? 4 : 8)
    for (uint32_t c = 0; c < RP_ATTN_TILE; c += 4) {       // past the last key: weight 0
        const float4 value = make_float4(v[c * d], v[(c + 1) * d], v[(c + 2) * d], v[(c + 3) * d]);
#pragma unroll
        for (int i = 0; i < CHUNK; i++) { total[i] = rp_dot4(*reinterpret_cast<const float4 *>(from[i] + c), value, total[i]); }
    }
}

// Tile `tile` of query q, as group q % RP_ATTN_SPREAD keeps it for joining: values [d], maximum, sum.
__device__ inline float *rp_spread_joined(float *joined, uint32_t q, uint32_t tile, uint32_t n_tiles, uint32_t d) {
    return joined + (q / RP_ATTN_SPREAD * n_tiles + tile) * (d + 4);
}

// Where tiles go to be joined.
struct rp_spread_inbox {
    float *joined;
    uint64_t *ready;
    uint32_t room;                             // tiles a query may have
};

// Sends elements j - lane .. j - lane + 31 of a tile's values, one a lane, to who joins the path: the first eight lanes gather four each.
__device__ inline void rp_spread_send_values(const rp_spread_inbox &m, uint32_t d, uint32_t path, uint32_t tile, uint32_t j, float total) {
    const uint32_t lane = threadIdx.x % 32, from = j - lane + lane % 8 * 4;
    float four[4];
#pragma unroll
    for (int i = 0; i < 4; i++) { four[i] = __shfl_sync(0xffffffffu, total, lane % 8 * 4 + i); }
    if (from >= d || lane >= 8) { return; }
    rp_cluster_send4(rp_spread_joined(m.joined, path, tile, m.room, d) + from, path % RP_ATTN_SPREAD, m.ready, four);
}

// The same of elements j and j + 1 from each lane, j twice the lane or 64 k further: two lanes gather four, of which the first sends them; ALL: each to
// half of all groups.
template <bool ALL>
__device__ inline void rp_spread_send_pairs(const rp_spread_inbox &m, uint32_t d, uint32_t path, uint32_t tile, uint32_t j, const float2 &total) {
    const bool second = j % 4 != 0;
    const float2 other = make_float2(__shfl_xor_sync(0xffffffffu, total.x, 1), __shfl_xor_sync(0xffffffffu, total.y, 1));
    if (j >= d || (!ALL && second)) { return; }
    const float four[4] = { second ? other.x : total.x, second ? other.y : total.y, second ? total.x : other.x, second ? total.y : other.y };
    const float *to = rp_spread_joined(m.joined, path, tile, m.room, d) + j / 4 * 4;
#pragma unroll
    for (uint32_t i = 0; i < (ALL ? RP_ATTN_SPREAD : 1); i += 2) { rp_cluster_send4(to, ALL ? i + second : path % RP_ATTN_SPREAD, m.ready, four); }
}

// Joins the tiles of one query, by a warp, elements j and j + 32; lane i makes the factors of tiles i, i + 32, ..
__device__ inline float2 rp_spread_join(const float *tiles, uint32_t n_tiles, uint32_t d, uint32_t j) {
    const uint32_t lane = threadIdx.x % 32, low = min(j, d - 1), high = min(j + 32, d - 1);
    float top = -RP_INFINITY, sum = 0, value[2] = { 0 };
    for (uint32_t base = 0; base < n_tiles; base += 32) {
        const float *own = tiles + min(base + lane, n_tiles - 1) * (d + 4);
        const float tile_top = base + lane < n_tiles ? own[d] : -RP_INFINITY, tile_sum = own[d + 1];
        float most = fmaxf(top, tile_top);                    // of all tiles up to this lane's
#pragma unroll
        for (int distance = 1; distance < 32; distance *= 2) {
            const float other = __shfl_up_sync(0xffffffffu, most, distance);
            if (lane >= distance) { most = fmaxf(most, other); }
        }
        float before = __shfl_up_sync(0xffffffffu, most, 1);
        if (lane == 0) { before = top; }
        const rp_join join = rp_join_of(before, tile_top);
        top = __shfl_sync(0xffffffffu, most, 31);
        const uint32_t n_here = min(32, n_tiles - base);
#pragma unroll 4
        for (uint32_t i = 0; i < n_here; i++) {
            const rp_join each = { 0, __shfl_sync(0xffffffffu, join.running, i), __shfl_sync(0xffffffffu, join.tile, i) };
            const float *from = tiles + (base + i) * (d + 4);
            sum = rp_joined(each, sum, __shfl_sync(0xffffffffu, tile_sum, i));
            value[0] = rp_joined(each, value[0], from[low]);
            value[1] = rp_joined(each, value[1], from[high]);
        }
    }
    return sum > 0.0f ? make_float2(value[0] / sum, value[1] / sum) : make_float2(0, 0);
}
#endif

#endif
