// attn_step in float32, of few paths (attn_step_tiles.cuh): a cluster for up to RP_ATTN_SHARED paths of one (series, head). For sm_90 and later,
// heads in whole pieces of four. Included by attn_step.cu.
#ifndef RP_ATTN_STEP_SPREAD_CUH
#define RP_ATTN_STEP_SPREAD_CUH

#include "attn_step_tiles.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
__device__ inline void rp_attn_step_spread(const rp_kernel_args<rp_attn_step_params> &args, float *memory) {
    const rp_attn_step_params &p = args.p;
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 4)[blockIdx.z], step = rp_at<const rp_step>(args, 5)->step;
    const uint32_t rank = blockIdx.x % RP_ATTN_SPREAD, blocks = gridDim.x / RP_ATTN_SPREAD, head = blockIdx.y, b = blockIdx.z;
    const uint32_t d = p.head_width, width = p.heads * d, warp = threadIdx.x / 32, warps = blockDim.x / 32, lane = threadIdx.x % 32;
    const uint32_t most = rp_quotient(p.paths + blocks - 1, blocks), s0 = blockIdx.x / RP_ATTN_SPREAD * most, row0 = b * p.paths + s0;
    const bool turns = p.positions > 0;
    rp_step_tiles<false, 0> t(p, rank, min(most, p.paths - min(s0, p.paths)), most, n_tokens, step);
    const uint32_t room = (p.prefix_cap + p.suffix_cap + RP_ATTN_TILE - 1) / RP_ATTN_TILE;
    t.prefix = rp_at<const float>(args, 2) + (uint64_t)b * p.prefix_cap * width + head * d;
    t.cache = rp_at<float>(args, 6) + row0 * t.path + head * d;
    t.queries = memory + 4, t.weights = t.queries + most * d + RP_ATTN_SPREAD_JOINED(most, room, d);
    t.tiles = t.weights + RP_ATTN_STEP_WEIGHTS(most, p.prefix_cap);
    t.inbox = { t.queries + most * d, reinterpret_cast<uint64_t *>(memory), room };
    uint32_t bytes;
    asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(bytes));
    t.places = rp_quotient(bytes / 16 - (uint32_t)(t.tiles - memory) / 4, RP_ATTN_STEP_PLACE(d) / 4);
    __syncthreads();                               // the barrier is made
    t.ask(0);
    t.hint();
    const uint32_t half = d / 2, fours = half / 2, position = min(n_tokens + t.slot, max(p.positions, 1u) - 1);
    const float *angles = rp_at<const float>(args, 1) + (uint64_t)position * d;                    // [positions, d/2, 2]
    uint32_t pair = threadIdx.x, row, column;      // two pairs of a row: columns column, + 1, and those half a head further
    const float *kv, *from;
    float4 turn;
    const auto find = [&]() {
        row = rp_quotient(pair, fours), column = (pair - row * fours) * 2;
        const uint64_t at = (uint64_t)(row0 + row) * width;
        kv = rp_at<const float>(args, 0) + (turns ? 3 * at + width : 2 * at) + head * d + column;
        from = turns ? kv - width : rp_at<const float>(args, 1) + at + head * d + column;
        if (turns) { turn = *reinterpret_cast<const float4 *>(angles + column * 2); }
    };
    find();
    if (threadIdx.x == 0 && rank < t.n_rows) { rp_cluster_expect(t.inbox.ready, t.expected()); }
    rp_cluster_wait_begun();                       // all groups have begun and made their barriers

    if (kv == NULL || from == NULL) { return; }    // never, but to know it takes what is read first, so that it is there before the wait
    rp_wait();
#pragma unroll 1
    while (pair < t.n_rows * fours) {
        const bool keeps = t.keeps(row);
        float2 q[2] = { rp_step_two(from), rp_step_two(from + half) }, k[2], v[2];
        if (keeps) {
            k[0] = rp_step_two(kv), k[1] = rp_step_two(kv + half);
            v[0] = rp_step_two(kv + width), v[1] = rp_step_two(kv + width + half);
        }
        if (turns) { rp_step_turn(q[0], q[1], turn); }
        t.put(row, column, q[0], q[1]);
        if (keeps) {
            if (turns) { rp_step_turn(k[0], k[1], turn); }
            t.keep(row, column, k, v);
        }
        pair += blockDim.x;
        if (pair < t.n_rows * fours) { find(); }
    }
#pragma unroll 1
    for (uint32_t first = 0; first < t.mine; first += t.places) {
        t.round(first);
        if (first + t.places < t.mine) {
            __syncthreads();                       // tiles, weights: read by all before they are written again
            t.ask(first + t.places);
        }
    }
    const uint32_t piece_bits = d > 128 ? 2 : d > 64 ? 1 : 0;              // warps that join a row
#pragma unroll 1
    for (uint32_t i = warp; rank + RP_ATTN_SPREAD * (i >> piece_bits) < t.n_rows; i += warps) {
        const uint32_t row = rank + RP_ATTN_SPREAD * (i >> piece_bits), j = (i & ((1u << piece_bits) - 1)) * 64 + lane;
        if (j >= d + lane) { continue; }
        rp_cluster_wait_ready(t.inbox.ready);                // all tiles of this group's rows
        const float2 y = rp_spread_join(rp_spread_joined(t.inbox.joined, row, 0, room, d), t.n_tiles, d, j);
        float *to = rp_at<float>(args, 7) + (uint64_t)(row0 + row) * width + head * d + j;                      // [B, S, h, d]
        if (j < d) { to[0] = y.x; }
        if (j + 32 < d) { to[32] = y.y; }
    }
}
#endif

extern "C" __global__ void
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
__cluster_dims__(RP_ATTN_SPREAD, 1, 1) __maxnreg__(64)
#endif
attn_step_f32_spread(const rp_kernel_args<rp_attn_step_params> args) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    extern __shared__ __align__(16) float memory[];
    rp_cluster_begin(reinterpret_cast<uint64_t *>(memory));
    rp_release();
    rp_attn_step_spread(args, memory);
#endif
}

#endif
