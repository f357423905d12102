// Decode steps of few paths: the tiles of one query and head are dealt to the RP_ATTN_SPREAD groups of a cluster, which read each
// other's results and join them, each for some elements. Same sums as rp_attend, so the same bits. For sm_90 and later.
// Included by attn_time.cu.
#ifndef RP_ATTN_SPREAD_CUH
#define RP_ATTN_SPREAD_CUH

#include <cooperative_groups.h>

#include "attention.cuh"

#define SPREAD_GROUP 128
static_assert(RP_ATTN_HEAD_MAX == 2 * SPREAD_GROUP, "an invocation holds one or two elements of a head");

// Shared memory: this, then the keys of the tile, SPREAD_PITCH(d) floats from one to the next.
struct rp_spread_memory {
    float q[RP_ATTN_HEAD_MAX], value[RP_ATTN_HEAD_MAX];   // value: of this group's tile
    float p[RP_ATTN_TILE];
    float top[2];
    float tile_top, tile_sum;
};
static_assert(sizeof(rp_spread_memory) == RP_ATTN_SPREAD_BYTES, "as the launch rule says");

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
// This group's tile: its maximum, sum and values to shared memory. Keys and values are asked for together; values come to
// registers, elements threadIdx.x and threadIdx.x + SPREAD_GROUP of each.
template <int ELEMENTS>
__device__ inline void rp_spread_tile(rp_spread_memory &m, float *k, const rp_time_keys &keys, uint32_t first, uint32_t n, uint32_t d, float scale) {
    const uint32_t local = threadIdx.x, lane = local % 32, n_keys = min(RP_ATTN_TILE, n - first), pitch = RP_ATTN_SPREAD_PITCH(d);
    if (keys.wide) {
        for (uint32_t i = local; i < n_keys * (d / 4); i += SPREAD_GROUP) {
            const uint32_t key = i / (d / 4), j = i % (d / 4) * 4;
            const uint32_t to = (uint32_t)__cvta_generic_to_shared(&k[key * pitch + j]);
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(keys.key(first + key) + j) : "memory");
        }
    } else {
        for (uint32_t i = local; i < n_keys * d; i += SPREAD_GROUP) { k[i / d * pitch + i % d] = keys.key(first + i / d)[i % d]; }
    }
    constexpr uint32_t HELD = RP_ATTN_TILE / ELEMENTS;      // values an invocation holds of each element; more would crowd groups out
    float v[ELEMENTS][HELD];
#pragma unroll
    for (int e = 0; e < ELEMENTS; e++) {
        const uint32_t j = local + e * SPREAD_GROUP;
#pragma unroll
        for (uint32_t i = 0; i < HELD; i++) { v[e][i] = j < d && i < n_keys ? keys.value(first + i)[j] : 0.0f; }
    }
    asm volatile("cp.async.commit_group;\n\tcp.async.wait_group 0;" ::: "memory");
    __syncthreads();           // k: written by all, read by those of its key
    float score = -RP_INFINITY;
    if (local < n_keys) {
        const float *key = &k[local * pitch];
        float dot = 0;
        if (keys.wide) {
#pragma unroll 8
            for (uint32_t j = 0; j < d; j += 4) {
                const float4 a = *reinterpret_cast<const float4 *>(&m.q[j]), b = *reinterpret_cast<const float4 *>(key + j);
                dot = __fmaf_rn(a.x, b.x, dot);
                dot = __fmaf_rn(a.y, b.y, dot);
                dot = __fmaf_rn(a.z, b.z, dot);
                dot = __fmaf_rn(a.w, b.w, dot);
            }
        } else {
            for (uint32_t j = 0; j < d; j++) { dot = __fmaf_rn(m.q[j], key[j], dot); }
        }
        score = dot * scale;
    }
    float most = score;
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) { most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance)); }
    if (lane == 0 && local < RP_ATTN_TILE) { m.top[local / 32] = most; }
    __syncthreads();           // top: written by two warps, read by all
    const float tile_top = fmaxf(m.top[0], m.top[1]);
    if (local < RP_ATTN_TILE) { m.p[local] = local < n_keys ? rp_exp(score - tile_top) : 0.0f; }
    __syncthreads();           // p: written by each for its key, read by all
    if (local < 32) {
        const float sum = rp_halve32(m.p[lane] + m.p[lane + 32]);
        if (lane == 0) { m.tile_top = tile_top, m.tile_sum = sum; }
    }
#pragma unroll
    for (int e = 0; e < ELEMENTS; e++) {
        const uint32_t j = local + e * SPREAD_GROUP;
        float total = 0;
        if (j >= d) { break; }
#pragma unroll
        for (uint32_t i = 0; i < HELD; i++) { total = __fmaf_rn(m.p[i], v[e][i], total); }   // past n_keys: 0 times 0
#pragma unroll 16
        for (uint32_t i = HELD; i < n_keys; i++) { total = __fmaf_rn(m.p[i], keys.value(first + i)[j], total); }
        m.value[j] = total;
    }
}
#endif

extern "C" __global__ void
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
__cluster_dims__(RP_ATTN_SPREAD, 1, 1)
#endif
__launch_bounds__(SPREAD_GROUP) attn_time_f32_spread(const rp_kernel_args<rp_attn_time_params> args) {
    extern __shared__ __align__(16) float memory[];
    rp_begin();
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    rp_spread_memory &m = *reinterpret_cast<rp_spread_memory *>(memory);
    float *k = memory + sizeof m / sizeof *memory;
    const auto cluster = cooperative_groups::this_cluster();
    const uint32_t rank = cluster.block_rank();
    const rp_attn_time_params p = args.p;
    const rp_time_query t = rp_time_query_of(args, rp_group() / RP_ATTN_SPREAD);
    const uint32_t d = p.head_width, n_tiles = (t.n + RP_ATTN_TILE - 1) / RP_ATTN_TILE;
    for (uint32_t j = threadIdx.x; j < d; j += SPREAD_GROUP) { m.q[j] = t.q[j]; }   // read behind the tile's first barrier
    // Elements rank + RP_ATTN_SPREAD i are this group's to join.
    const uint32_t element = rank + RP_ATTN_SPREAD * threadIdx.x;
    float top = -RP_INFINITY, sum = 0, value = 0;
    for (uint32_t tile = 0; tile < n_tiles; tile += RP_ATTN_SPREAD) {
        if (tile > 0) { cluster.sync(); }      // the tiles before: joined by all, may be written over
        if (tile + rank < n_tiles) {
            const uint32_t first = (tile + rank) * RP_ATTN_TILE;
            if (d <= SPREAD_GROUP) {
                rp_spread_tile<1>(m, k, t.keys, first, t.n, d, p.scale);
            } else {
                rp_spread_tile<2>(m, k, t.keys, first, t.n, d, p.scale);
            }
        }
        cluster.sync();                        // tiles: written by each group, read by all
        const uint32_t n_ready = min(RP_ATTN_SPREAD, n_tiles - tile);
        if (element >= d) { continue; }
        float tops[RP_ATTN_SPREAD], sums[RP_ATTN_SPREAD], values[RP_ATTN_SPREAD];   // all under way together
#pragma unroll
        for (uint32_t i = 0; i < RP_ATTN_SPREAD; i++) {
            if (i >= n_ready) { break; }
            const rp_spread_memory *other = cluster.map_shared_rank(&m, i);
            tops[i] = other->tile_top, sums[i] = other->tile_sum, values[i] = other->value[element];
        }
#pragma unroll
        for (uint32_t i = 0; i < RP_ATTN_SPREAD; i++) {
            if (i >= n_ready) { break; }
            const rp_join join = rp_join_of(top, tops[i]);
            top = join.top;
            sum = rp_joined(join, sum, sums[i]);
            value = rp_joined(join, value, values[i]);
        }
    }
    if (element < d) { rp_put(rp_at<void>(args, 7), t.at + element, sum > 0.0f ? value / sum : 0.0f, p.y_f16); }
    cluster.sync();            // a group's memory is read by others until here
#endif
}

#endif
