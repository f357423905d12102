// attn_time for many queries of one path, a prompt's or an own window's (attn_tiled.cuh). Included by attn_time.cu.
//   attn_time_f32_tiled_R        blocks of 8 R queries, heads of at most 64
//   attn_time_f32_tiled_wide     blocks of 32, heads of at most 128
//   attn_time_f32_tiled_widest   blocks of 16, heads of at most 256
// and on matrix units (attn_teams.cuh):
//   attn_time_f16_teams_T        T teams, heads of at most 64
#ifndef RP_ATTN_TIME_TILED_CUH
#define RP_ATTN_TIME_TILED_CUH

#include "attn_teams.cuh"

// The queries of one series, path, variate and head; `set` is the number of all these.
template <class T> __device__ inline rp_tiled_work<T> rp_time_work(const rp_kernel_args<rp_attn_time_params> &args, uint32_t set) {
    const rp_attn_time_params &p = args.p;
    const uint32_t d = p.head_width, width = p.heads * d;
    const uint32_t head = set % p.heads, sequence = set / p.heads, v = sequence % p.variates, b = sequence / (p.paths * p.variates);
    const uint64_t at = (uint64_t)sequence * p.tokens * width + head * d;                         // of query 0, in q and y
    const uint64_t prefix = ((uint64_t)b * p.variates + v) * p.prefix_cap * width + head * d;
    const uint64_t suffix = (uint64_t)sequence * p.suffix_cap * width + head * d;
    rp_wait();
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 5)[b] + p.extra;
    const uint32_t before = p.own ? min(n_tokens, p.prefix_cap) : 0, n_prefix = p.own ? before : p.prefix_cap;
    const uint32_t alive = min(p.tokens, p.own ? min(rp_at<const rp_step>(args, 6)->step, p.suffix_cap) : n_tokens);
    const int64_t own = (int64_t)suffix - (int64_t)((uint64_t)n_prefix * width);
    return { .q = rp_at<const T>(args, 0) + at,                                                   // [B, S, V, n, h, d]
             .k_prefix = rp_at<const T>(args, 1) + prefix, .v_prefix = rp_at<const T>(args, 2) + prefix,   // [B, V, N, h, d]
             .k_own = rp_at<const T>(args, 3) + own, .v_own = rp_at<const T>(args, 4) + own,      // [B, S, V, R, h, d]
             .y = rp_at<void>(args, 7), .at = at,                                                 // [B, S, V, n, h, d]
             .rows = p.tokens, .alive = alive, .before = before, .n_prefix = n_prefix, .q_width = width, .width = width, .head_width = d,
             .scale = p.scale, .y_f16 = p.y_f16 != 0 };
}

// The group's block of queries, BLOCK in each, and whose they are; false: none. Those that see most keys begin first.
template <uint32_t BLOCK> __device__ inline bool rp_time_block(const rp_attn_time_params &p, uint32_t &set, uint32_t &row0) {
    const uint32_t blocks = (p.tokens + BLOCK - 1) / BLOCK, sets = p.batch * p.paths * p.variates * p.heads;
    uint64_t group = rp_group();
    if (group >= (uint64_t)sets * blocks) { return false; }
    set = rp_take(group, sets), row0 = (blocks - 1 - (uint32_t)group) * BLOCK;
    return true;
}

template <int ROWS, int FOURS> __device__ inline void rp_time_tiled(const rp_kernel_args<rp_attn_time_params> &args, float *memory) {
    uint32_t set, row0;
    if (!rp_time_block<ROWS * TILED_SETS>(args.p, set, row0)) { return; }
    rp_attn_tiled_last<ROWS, FOURS>(rp_time_work<float>(args, set), rp_tiled_all(), row0, memory);
}

RP_ATTN_TILED(attn_time_f32_tiled_8, rp_attn_time_params, rp_time_tiled, 8, 1, 3)
RP_ATTN_TILED(attn_time_f32_tiled_4, rp_attn_time_params, rp_time_tiled, 4, 1, 4)
RP_ATTN_TILED(attn_time_f32_tiled_2, rp_attn_time_params, rp_time_tiled, 2, 1, 1)
RP_ATTN_TILED(attn_time_f32_tiled_wide, rp_attn_time_params, rp_time_tiled, 4, 2, 2)
RP_ATTN_TILED(attn_time_f32_tiled_widest, rp_attn_time_params, rp_time_tiled, 2, 4, 2)

template <int HEAD, int TEAMS> __device__ inline void rp_time_teams(const rp_kernel_args<rp_attn_time_params> &args, __half *memory) {
    uint32_t set, row0;
    if (!rp_time_block<RP_ATTN_TEAMS_BLOCK(TEAMS)>(args.p, set, row0)) { return; }
    rp_attn_teams<HEAD, TEAMS>(rp_time_work<__half>(args, set), rp_tiled_all(), row0, memory);
}

RP_ATTN_TEAMS(attn_time_f16_teams_1, rp_attn_time_params, rp_time_teams, 64, 1, 3)
RP_ATTN_TEAMS(attn_time_f16_teams_2, rp_attn_time_params, rp_time_teams, 64, 2, 1)
RP_ATTN_TEAMS(attn_time_f16_teams_4, rp_attn_time_params, rp_time_teams, 64, 4, 1)
RP_ATTN_TEAMS(attn_time_f16_teams_8, rp_attn_time_params, rp_time_teams, 64, 8, 1)

#endif
