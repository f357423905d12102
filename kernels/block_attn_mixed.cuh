// block_attn on the matrix units, for precision mixed. A group takes 16 queries of one series, variate and head for each of its
// warps; keys and values of a tile come to shared memory once for all of them, and a warp passes by tiles that none of its queries sees.
//   block_attn_mixed        heads of at most 64
//   block_attn_mixed_wide   heads of at most 128
// Included by block_attn.cu.
#ifndef RP_BLOCK_ATTN_MIXED_CUH
#define RP_BLOCK_ATTN_MIXED_CUH

#include "attn_matrix.cuh"

template <int BLOCKS> struct rp_block_tile {
    __half k[RP_ATTN_TILE * (BLOCKS * 16 + 8)], v[RP_ATTN_TILE * (BLOCKS * 16 + 8)];
    uint32_t hidden[RP_ATTN_TILE / 32];             // a bit for each key
};

// Brings n keys and values, [d] each and `stride` apart, to shared memory as float16; zeros past n and past d.
template <int BLOCKS>
__device__ static inline void rp_block_stage(rp_block_tile<BLOCKS> &tile, const float *k, const float *v, uint32_t n, uint32_t d, uint32_t stride) {
    constexpr uint32_t pieces = BLOCKS * 4, together = 4;         // of four numbers in a row; on their way at a time, of keys and of values
#pragma unroll 1
    for (uint32_t first = threadIdx.x; first < RP_ATTN_TILE * pieces; first += together * blockDim.x) {
        float4 key[together], value[together];
#pragma unroll
        for (uint32_t i = 0; i < together; i++) {
            const uint32_t at = first + i * blockDim.x, row = at / pieces, column = at % pieces * 4;
            key[i] = value[i] = make_float4(0, 0, 0, 0);
            if (row < n && column < d) {
                const uint64_t from = (uint64_t)row * stride + column;
                key[i] = *reinterpret_cast<const float4 *>(k + from);
                value[i] = *reinterpret_cast<const float4 *>(v + from);
            }
        }
#pragma unroll
        for (uint32_t i = 0; i < together; i++) {
            const uint32_t at = first + i * blockDim.x, row = at / pieces, column = at % pieces * 4;
            if (row >= RP_ATTN_TILE) { break; }
            rp_attn_place<BLOCKS>(tile.k, row, column, key[i]);
            rp_attn_place<BLOCKS>(tile.v, row, column, value[i]);
        }
    }
}

// The first n of 32 bits.
__device__ static inline uint32_t rp_first_bits(uint32_t n) { return n >= 32 ? 0xffffffffu : (1u << n) - 1; }

template <int BLOCKS> __device__ static inline void rp_block_mixed(const rp_kernel_args<rp_block_attn_params> &args, rp_block_tile<BLOCKS> &tile) {
    const rp_block_attn_params p = args.p;
    const uint32_t d = p.head_width, stride = p.kv_heads * d, width = p.heads * d, at_once = blockDim.x / 2, blocks = (p.tokens + at_once - 1) / at_once;
    uint64_t group = rp_group();
    if (group >= (uint64_t)p.batch * p.variates * p.heads * blocks) { return; }
    const uint32_t line0 = (blocks - 1 - rp_take(group, blocks)) * at_once;       // those with most keys begin first
    const uint32_t head = rp_take(group, p.heads), row = (uint32_t)group;
    const rp_call call = rp_block_call(args, row);
    const uint32_t token0 = (p.tail ? call.given - 1 : 0) + line0, live = call.given + call.fresh - 1;
    const uint32_t n_lines = min(at_once, p.tokens - line0), n_queries = token0 < live ? min(n_lines, live - token0) : 0;
    const uint32_t seen0 = call.start + token0;                                   // the slot of query 0
    const uint32_t n = n_queries > 0 ? min(seen0 + n_queries, p.cap) : 0;         // keys of the last query
    const uint64_t cache = (uint64_t)row * p.cap * stride + head * p.kv_heads / p.heads * d;
    const float *q = rp_at<const float>(args, 0) + ((uint64_t)row * p.q_tokens + token0) * width + head * d;   // [B, V, q_tokens, h, d]
    const float *k = rp_at<const float>(args, 1) + cache, *v = rp_at<const float>(args, 2) + cache;           // [B, V, cap, g, d]
    const uint32_t *hidden = rp_at<const uint32_t>(args, 3) + (uint64_t)row * p.patches;                      // [N]
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, part = lane % 4, low = warp * 16 + lane / 4;
    const uint32_t warp_n = warp * 16 < n_queries ? min(seen0 + min(warp * 16 + 16, n_queries), p.cap) : 0;   // keys of the warp's last query
    const float scale = p.scale * 1.44269504f;                                    // log2 e

    rp_attn_rows<BLOCKS> rows;
    uint32_t ends[2];                      // keys that each row may see at most
    bool own[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const uint32_t line = low + 8 * h;
        ends[h] = line < n_queries ? min(seen0 + line + 1, p.cap) : 0;
        own[h] = ends[h] > 0 && ends[h] <= p.patches && hidden[ends[h] - 1] != 0;
        rows.top[h] = -RP_INFINITY, rows.sum[h] = 0;
#pragma unroll
        for (int i = 0; i < BLOCKS; i++) {
            const float4 x = ends[h] > 0 ? rp_attn_four(q + (uint64_t)line * width, i, part, d) : make_float4(0, 0, 0, 0);
            rows.q[i][h] = rp_pair(x.x, x.y), rows.q[i][2 + h] = rp_pair(x.z, x.w);
            rows.value[2 * i][2 * h] = rows.value[2 * i][2 * h + 1] = rows.value[2 * i + 1][2 * h] = rows.value[2 * i + 1][2 * h + 1] = 0;
        }
    }
#pragma unroll 1
    for (uint32_t first = 0; first < n; first += RP_ATTN_TILE) {
        __syncthreads();                   // tile: read by all before it is written again
        if (warp < RP_ATTN_TILE / 32) {
            const uint32_t slot = first + threadIdx.x;
            const uint32_t bits = __ballot_sync(0xffffffffu, slot < n && slot < p.patches && hidden[slot] != 0);
            if (lane == 0) { tile.hidden[warp] = bits; }
        }
        rp_block_stage<BLOCKS>(tile, k + (uint64_t)first * stride, v + (uint64_t)first * stride, min(RP_ATTN_TILE, n - first), d, stride);
        __syncthreads();                   // tile: written by all, read by all
        if (first >= warp_n) { continue; }
        uint32_t seen[2][RP_ATTN_TILE / 32];                                      // this lane's keys at bits 0, 1, 8, 9, ..
#pragma unroll
        for (int h = 0; h < 2; h++) {
#pragma unroll
            for (uint32_t i = 0; i < RP_ATTN_TILE / 32; i++) {
                const uint32_t from = first + 32 * i, bits = own[h] ? tile.hidden[i] : ~tile.hidden[i];
                seen[h][i] = (ends[h] > from ? rp_first_bits(ends[h] - from) & bits : 0) >> (2 * part);
            }
        }
        rp_attn_tile<BLOCKS>(rows, tile.k, tile.v, d, scale, [&](int h, int j, int e) { return (seen[h][j / 4] >> (j % 4 * 8 + e) & 1) != 0; });
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const uint32_t line = low + 8 * h;
        float sum = rows.sum[h];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        const float inverse = sum > 0.0f ? 1.0f / sum : 0.0f;
        __half *y = rp_at<__half>(args, 6) + ((uint64_t)row * p.tokens + line0 + line) * width + head * d + part * 4;   // of [B, V, n, h, d]
#pragma unroll
        for (int i = 0; i < BLOCKS; i++) {
            if (line >= n_lines || i * 16 + part * 4 >= d) { continue; }
            const float *x = &rows.value[2 * i][2 * h], *z = &rows.value[2 * i + 1][2 * h];
            *reinterpret_cast<uint2 *>(y + i * 16) = make_uint2(rp_pair(x[0] * inverse, x[1] * inverse), rp_pair(z[0] * inverse, z[1] * inverse));
        }
    }
}

extern "C" __global__ void __launch_bounds__(RP_BLOCK_MIXED_GROUP, 2) block_attn_mixed(const rp_kernel_args<rp_block_attn_params> args) {
    rp_begin();
    __shared__ __align__(16) rp_block_tile<4> tile;
    rp_block_mixed<4>(args, tile);
}

extern "C" __global__ void __launch_bounds__(RP_BLOCK_MIXED_GROUP, 1) block_attn_mixed_wide(const rp_kernel_args<rp_block_attn_params> args) {
    rp_begin();
    __shared__ __align__(16) rp_block_tile<8> tile;
    rp_block_mixed<8>(args, tile);
}

#endif
