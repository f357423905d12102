// attn_time for many queries of one path, a prompt's or an own window's (attn_tiled.cuh). Included by attn_time.cu.
//   attn_time_f32_tiled_R        blocks of 8 R queries, heads of at most 64
//   attn_time_f32_tiled_wide     blocks of 32, heads of at most 128
//   attn_time_f32_tiled_widest   blocks of 16, heads of at most 256
#ifndef RP_ATTN_TIME_TILED_CUH
#define RP_ATTN_TIME_TILED_CUH

#include "attn_tiled.cuh"

template <int ROWS, int FOURS> __device__ inline void rp_time_tiled(const rp_kernel_args<rp_attn_time_params> &args, float *memory) {
    constexpr uint32_t BLOCK = ROWS * TILED_SETS;
    const rp_attn_time_params p = args.p;
    const uint32_t d = p.head_width, width = p.heads * d, blocks = (p.tokens + BLOCK - 1) / BLOCK, sets = p.batch * p.paths * p.variates * p.heads;
    uint64_t group = rp_group();
    if (group >= (uint64_t)sets * blocks) { return; }
    const uint32_t set = rp_take(group, sets), row0 = (blocks - 1 - (uint32_t)group) * BLOCK;   // those that see most keys begin first
    const uint32_t head = set % p.heads, sequence = set / p.heads, v = sequence % p.variates, b = sequence / (p.paths * p.variates);
    const uint64_t at = (uint64_t)sequence * p.tokens * width + head * d;                         // of query 0, in q and y
    const uint64_t prefix = ((uint64_t)b * p.variates + v) * p.prefix_cap * width + head * d;
    const uint64_t suffix = (uint64_t)sequence * p.suffix_cap * width + head * d;
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 5)[b] + p.extra;
    const uint32_t before = p.own ? min(n_tokens, p.prefix_cap) : 0, n_prefix = p.own ? before : p.prefix_cap;
    const uint32_t alive = min(p.tokens, p.own ? min(rp_at<const rp_step>(args, 6)->step, p.suffix_cap) : n_tokens);
    const int64_t own = (int64_t)suffix - (int64_t)((uint64_t)n_prefix * width);
    const rp_tiled_work work = {
        .q = rp_at<const float>(args, 0) + at,                                                    // [B, S, V, n, h, d]
        .k_prefix = rp_at<const float>(args, 1) + prefix, .v_prefix = rp_at<const float>(args, 2) + prefix,   // [B, V, N, h, d]
        .k_own = rp_at<const float>(args, 3) + own, .v_own = rp_at<const float>(args, 4) + own,   // [B, S, V, R, h, d]
        .y = rp_at<void>(args, 7), .at = at,                                                      // [B, S, V, n, h, d]
        .rows = p.tokens, .alive = alive, .before = before, .n_prefix = n_prefix, .q_width = width, .width = width, .head_width = d,
        .scale = p.scale, .y_f16 = p.y_f16 != 0 };
    rp_attn_tiled_last<ROWS, FOURS>(work, rp_tiled_all(), row0, memory);
}

RP_ATTN_TILED(attn_time_f32_tiled_8, rp_attn_time_params, rp_time_tiled, 8, 1, 3)
RP_ATTN_TILED(attn_time_f32_tiled_4, rp_attn_time_params, rp_time_tiled, 4, 1, 4)
RP_ATTN_TILED(attn_time_f32_tiled_2, rp_attn_time_params, rp_time_tiled, 2, 1, 1)
RP_ATTN_TILED(attn_time_f32_tiled_wide, rp_attn_time_params, rp_time_tiled, 4, 2, 2)
RP_ATTN_TILED(attn_time_f32_tiled_widest, rp_attn_time_params, rp_time_tiled, 2, 4, 2)

#endif
