// block_attn: causal attention of a call's tokens over everything in the cache; hidden patches among themselves. A group for each
// (b, v, row of y, head); for heads in whole pieces of four, a group for a block of rows (attn_tiled.cuh), with the same bits.
// Of float16 numbers on matrix units, attn_teams.cuh:
//   block_attn_f16_teams_T   T teams, heads of at most 64
//   block_attn_f16_wide      heads of at most 128
#include "attn_teams.cuh"

template <class T> struct rp_block_keys {
    static constexpr bool dense = false;
    const T *k, *v;                     // [cap, g, d] of this series, variate and head
    const uint32_t *hidden;             // [N]
    uint32_t patches, stride;           // N; g d, from one key to the next
    bool own, wide;

    __device__ bool present(uint32_t c) const { return (c < patches && hidden[c] != 0) == own; }
    __device__ const T *key(uint32_t c) const { return k + (uint64_t)c * stride; }
    __device__ const T *value(uint32_t c) const { return v + (uint64_t)c * stride; }
};

__device__ static rp_call rp_block_call(const rp_kernel_args<rp_block_attn_params> &args, uint32_t row) {
    const rp_step *step = rp_at<const rp_step>(args, 5);
    const uint32_t n_patches = rp_at<const uint32_t>(args, 4)[row / args.p.variates];
    return rp_call_of(n_patches, step->step, step->horizon, args.p.patch_size, args.p.block, args.p.later);
}

template <class T> __device__ static inline void rp_block_attn_plain(const rp_kernel_args<rp_block_attn_params> &args, rp_attention_memory &memory) {
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
    const T *q = rp_at<const T>(args, 0) + (((uint64_t)row * p.q_tokens + (n > 0 ? token : 0)) * p.heads + head) * d;
    const T *k = rp_at<const T>(args, 1) + cache, *v = rp_at<const T>(args, 2) + cache;                // [B, V, cap, g, d]
    const uint32_t *hidden = rp_at<const uint32_t>(args, 3) + (uint64_t)row * p.patches;
    const bool own = n > 0 && n <= p.patches && hidden[n - 1] != 0;
    const rp_block_keys<T> keys = { k, v, hidden, p.patches, stride, own, d % 4 == 0 && rp_aligned16(k) };
    rp_attend(memory, keys, n, q, d, p.scale, rp_at<void>(args, 6), at, p.f16);
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) block_attn_f32(const rp_kernel_args<rp_block_attn_params> args) {
    rp_begin();
    __shared__ __align__(16) rp_attention_memory memory;
    rp_block_attn_plain<float>(args, memory);
}
extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) block_attn_f16_plain(const rp_kernel_args<rp_block_attn_params> args) {
    rp_begin();
    __shared__ __align__(16) rp_attention_memory memory;
    rp_block_attn_plain<__half>(args, memory);
}

// ---- a group for a block of rows ----

struct rp_block_hidden {
    static constexpr bool some = true;
    const uint32_t *words;              // [N]
    uint32_t patches;                   // N
    __device__ bool hidden(uint32_t slot) const { return slot < patches && words[slot] != 0; }
};

// The group's block of queries, BLOCK in each, and whose they are; false: none. Those that see most keys begin first.
template <uint32_t BLOCK> __device__ static inline bool rp_block_block(const rp_block_attn_params &p, uint32_t &set, uint32_t &row0) {
    const uint32_t blocks = (p.tokens + BLOCK - 1) / BLOCK, sets = p.batch * p.variates * p.heads;
    uint64_t group = rp_group();
    if (group >= (uint64_t)sets * blocks) { return false; }
    set = rp_take(group, sets), row0 = (blocks - 1 - (uint32_t)group) * BLOCK;
    return true;
}

template <class T> struct rp_block_work {
    rp_tiled_work<T> work;
    rp_block_hidden hidden;
};

// The queries of one series, variate and head; `set` is the number of all these.
template <class T> __device__ static inline rp_block_work<T> rp_block_work_of(const rp_kernel_args<rp_block_attn_params> &args, uint32_t set) {
    const rp_block_attn_params &p = args.p;
    const uint32_t d = p.head_width, head = set % p.heads, row = set / p.heads, width = p.heads * d, stride = p.kv_heads * d;
    const uint64_t cache = (uint64_t)row * p.cap * stride + head * p.kv_heads / p.heads * d;
    const T *k = rp_at<const T>(args, 1) + cache, *v = rp_at<const T>(args, 2) + cache;               // [B, V, cap, g, d]
    rp_wait();
    const rp_call call = rp_block_call(args, row);
    const uint32_t first = p.tail ? call.given - 1 : 0, live = call.given + call.fresh - 1, before = call.start + first;
    return { { .q = rp_at<const T>(args, 0) + ((uint64_t)row * p.q_tokens + first) * width + head * d,   // [B, V, q_tokens, h, d]
               .k_prefix = k, .v_prefix = v, .k_own = k, .v_own = v,
               .y = rp_at<void>(args, 6), .at = (uint64_t)row * p.tokens * width + head * d,             // [B, V, n, h, d]
               .rows = p.tokens, .alive = first < live && before < p.cap ? min(min(p.tokens, live - first), p.cap - before) : 0,
               .before = before, .n_prefix = p.cap, .q_width = width, .width = stride, .head_width = d, .scale = p.scale,
               .y_f16 = p.f16 != 0 },
             { rp_at<const uint32_t>(args, 3) + (uint64_t)row * p.patches, p.patches } };
}

template <int ROWS, int FOURS> __device__ inline void rp_block_tiled(const rp_kernel_args<rp_block_attn_params> &args, float *memory) {
    uint32_t set, row0;
    if (!rp_block_block<ROWS * TILED_SETS>(args.p, set, row0)) { return; }
    const rp_block_work<float> of = rp_block_work_of<float>(args, set);
    rp_attn_tiled_last<ROWS, FOURS>(of.work, of.hidden, row0, memory);
}

template <int HEAD, int TEAMS> __device__ inline void rp_block_teams(const rp_kernel_args<rp_block_attn_params> &args, __half *memory) {
    uint32_t set, row0;
    if (!rp_block_block<RP_ATTN_TEAMS_BLOCK(TEAMS)>(args.p, set, row0)) { return; }
    const rp_block_work<__half> of = rp_block_work_of<__half>(args, set);
    rp_attn_teams<HEAD, TEAMS>(of.work, of.hidden, row0, memory);
}

RP_ATTN_TILED(block_attn_f32_tiled_8, rp_block_attn_params, rp_block_tiled, 8, 1, 3)
RP_ATTN_TILED(block_attn_f32_tiled_4, rp_block_attn_params, rp_block_tiled, 4, 1, 4)
RP_ATTN_TILED(block_attn_f32_tiled_2, rp_block_attn_params, rp_block_tiled, 2, 1, 1)
RP_ATTN_TILED(block_attn_f32_tiled_wide, rp_block_attn_params, rp_block_tiled, 4, 2, 2)
RP_ATTN_TILED(block_attn_f32_tiled_widest, rp_block_attn_params, rp_block_tiled, 2, 4, 2)

RP_ATTN_TEAMS(block_attn_f16_teams_1, rp_block_attn_params, rp_block_teams, 64, 1, 3)
RP_ATTN_TEAMS(block_attn_f16_teams_2, rp_block_attn_params, rp_block_teams, 64, 2, 1)
RP_ATTN_TEAMS(block_attn_f16_teams_4, rp_block_attn_params, rp_block_teams, 64, 4, 1)
RP_ATTN_TEAMS(block_attn_f16_teams_8, rp_block_attn_params, rp_block_teams, 64, 8, 1)
RP_ATTN_TEAMS(block_attn_f16_wide, rp_block_attn_params, rp_block_teams, 128, 1, 2)
