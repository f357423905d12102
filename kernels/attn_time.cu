// attn_time: causal attention over the tokens of one variate. Keys of the prompt are stored once for all paths.
// A group for each (b, s, v, token, head); of many paths, a group for several (attn_shared.cuh); of few keys, attn_time_short.cuh.
#include "attention.cuh"

// Keys 0 .. n_prefix - 1 of the prompt, then those of the path.
template <class T> struct rp_time_keys {
    static constexpr bool dense = true;
    const T *k_prefix, *v_prefix;   // [N, h, d] of this series, variate and head
    const T *k_suffix, *v_suffix;   // [R, h, d] of this path too
    uint32_t n_prefix, width;           // width: h d, from one key to the next
    bool wide;

    __device__ bool present(uint32_t) const { return true; }
    __device__ const T *key(uint32_t c) const {
        return c < n_prefix ? k_prefix + (uint64_t)c * width : k_suffix + (uint64_t)(c - n_prefix) * width;
    }
    __device__ const T *value(uint32_t c) const {
        return c < n_prefix ? v_prefix + (uint64_t)c * width : v_suffix + (uint64_t)(c - n_prefix) * width;
    }
};

// The query of group (b, s, v, token, head) and its keys.
template <class T> struct rp_time_query {
    const T *q;                         // [d] of [B, S, V, n, h, d]
    rp_time_keys<T> keys;
    uint32_t n;                         // keys that it sees; 0: dead
    uint64_t at;                        // of its result in y
};

template <class T> __device__ inline rp_time_query<T> rp_time_query_of(const rp_kernel_args<rp_attn_time_params> &args, uint32_t group) {
    const rp_attn_time_params &p = args.p;
    const uint32_t d = p.head_width, width = p.heads * d;
    const uint32_t head = group % p.heads, token = group / p.heads % p.tokens, row = group / p.heads / p.tokens;
    const uint32_t v = row % p.variates, b = row / (p.paths * p.variates);
    const uint64_t at = ((uint64_t)row * p.tokens + token) * width + head * d;
    const uint64_t prefix = ((uint64_t)b * p.variates + v) * p.prefix_cap * width + head * d;
    const uint64_t suffix = (uint64_t)row * p.suffix_cap * width + head * d;
    const T *k_prefix = rp_at<const T>(args, 1) + prefix;     // [B, V, N, h, d]
    const T *v_prefix = rp_at<const T>(args, 2) + prefix;
    const T *k_suffix = rp_at<const T>(args, 3) + suffix;     // [B, S, V, R, h, d]
    const T *v_suffix = rp_at<const T>(args, 4) + suffix;
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 5)[b] + p.extra;
    const rp_step *step = rp_at<const rp_step>(args, 6);

    const bool decode = p.suffix_cap > 0;
    const bool wide = d % 4 == 0 && rp_aligned16(k_prefix) && (!decode || rp_aligned16(k_suffix));
    uint32_t n_prefix = token < n_tokens ? token + 1 : 0;             // a dead token sees nothing and writes 0
    uint32_t n = n_prefix;
    if (decode) {
        uint32_t n_suffix = min(step->step, p.suffix_cap);
        const bool dead = p.own && token >= n_suffix;
        if (p.own) { n_suffix = token + 1; }
        n_prefix = min(n_tokens, p.prefix_cap);
        n = dead ? 0 : n_prefix + n_suffix;
    }
    return { rp_at<const T>(args, 0) + at, { k_prefix, v_prefix, k_suffix, v_suffix, n_prefix, width, wide }, n, at };
}

template <class T> __device__ inline void rp_attn_time_plain(const rp_kernel_args<rp_attn_time_params> &args, rp_attention_memory &memory) {
    rp_wait();
    const rp_attn_time_params p = args.p;
    const uint32_t group = rp_group();
    if (group >= (uint64_t)p.batch * p.paths * p.variates * p.tokens * p.heads) { return; }
    const rp_time_query<T> t = rp_time_query_of<T>(args, group);
    rp_attend(memory, t.keys, t.n, t.q, p.head_width, p.scale, rp_at<void>(args, 7), t.at, p.y_f16);   // y [B, S, V, n, h, d]
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) attn_time_f32(const rp_kernel_args<rp_attn_time_params> args) {
    __shared__ __align__(16) rp_attention_memory memory;
    rp_attn_time_plain<float>(args, memory);
}
extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) attn_time_f16_plain(const rp_kernel_args<rp_attn_time_params> args) {
    __shared__ __align__(16) rp_attention_memory memory;
    rp_attn_time_plain<__half>(args, memory);
}

#include "attn_mixed.cuh"
#include "attn_time_paths.cuh"
#include "attn_shared.cuh"
#include "attn_spread.cuh"
#include "attn_time_short.cuh"
#include "attn_time_tiled.cuh"
#include "attn_time_wgmma.cuh"
#include "attn_few.cuh"

template <class T> __device__ inline rp_few_call<T> rp_few_call_of(const rp_kernel_args<rp_attn_time_params> &args) {
    const rp_attn_time_params &p = args.p;
    return { rp_at<const T>(args, 0), NULL, rp_at<const T>(args, 1), rp_at<const T>(args, 2), rp_at<T>(args, 3), rp_at<T>(args, 4),
             rp_at<const uint32_t>(args, 5), rp_at<const rp_step>(args, 6), NULL, rp_at<void>(args, 7), p.batch, p.paths, p.variates, p.heads,
             p.head_width, p.prefix_cap, p.suffix_cap, p.extra, 0, p.scale, p.y_f16 != 0 };
}
RP_ATTN_FEW_KERNEL(attn_time_mixed_spread, 128, rp_attn_time_params, FEW_READS, rp_few_call_of<float>(args))
RP_ATTN_FEW_KERNEL(attn_time_f16_spread, 96, rp_attn_time_params, FEW_READS, rp_few_call_of<__half>(args))
