// attn_step: rotary position on q and k of one new token of each path, k and v put into their cache, then attention. A group for
// each (b, s, head); in float16, of few paths, a cluster for several paths (attn_few.cuh). Cross-attention: nothing turns.
#include "attention.cuh"
#include "attn_few.cuh"
#include "attn_step_spread.cuh"

// Keys of the prompt, then those of the path, of which the last is not in memory yet.
template <class T> struct rp_step_keys {
    static constexpr bool dense = true;
    const T *k_prefix, *v_prefix;       // [N, h, d] of this series and head
    const T *k_own, *v_own;             // [R, h, d] of this path too
    const T *k_fresh, *v_fresh;         // [d]
    uint32_t n_prefix, fresh, width;    // fresh: number of the last; width: h d, from one key to the next
    bool wide;

    __device__ bool present(uint32_t) const { return true; }
    __device__ const T *at(uint32_t c, const T *prefix, const T *own, const T *last) const {
        return c == fresh ? last : c < n_prefix ? prefix + (uint64_t)c * width : own + (uint64_t)(c - n_prefix) * width;
    }
    __device__ const T *key(uint32_t c) const { return at(c, k_prefix, k_own, k_fresh); }
    __device__ const T *value(uint32_t c) const { return at(c, v_prefix, v_own, v_fresh); }
};

__device__ inline void rp_step_set(float &to, float x) { to = x; }
__device__ inline void rp_step_set(__half &to, float x) { to = rp_half(x); }

template <class T> __device__ inline void rp_attn_step_plain(const rp_kernel_args<rp_attn_step_params> &args) {
    rp_wait();
    __shared__ __align__(16) rp_attention_memory memory;
    __shared__ __align__(16) T q[RP_ATTN_HEAD_MAX], k[RP_ATTN_HEAD_MAX], v[RP_ATTN_HEAD_MAX];
    const rp_attn_step_params p = args.p;
    const uint32_t group = rp_group(), head = group % p.heads, row = group / p.heads, b = row / p.paths, d = p.head_width, half = d / 2;
    if (row >= p.batch * p.paths) { return; }
    const uint64_t width = (uint64_t)p.heads * d, in_head = (uint64_t)head * d;
    const bool turns = p.positions > 0;
    const T *kv = rp_at<const T>(args, 0) + row * (turns ? 3 : 2) * width + (turns ? width : 0) + in_head;   // of [B, S, 3, h, d] or [B, S, 2, h, d]
    const T *from = turns ? kv - width : rp_at<const T>(args, 1) + row * width + in_head;
    const T *prefix = rp_at<const T>(args, 2) + (uint64_t)b * p.prefix_cap * width + in_head;  // [2, B, N, h, d]
    T *own = rp_at<T>(args, 6) + (uint64_t)row * p.suffix_cap * width + in_head;               // [2, B, S, R, h, d]
    const uint64_t prefix_values = (uint64_t)p.batch * p.prefix_cap * width, values = (uint64_t)p.batch * p.paths * p.suffix_cap * width;
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 4)[b], step = rp_at<const rp_step>(args, 5)->step, slot = step - 1;
    const float *angles = rp_at<const float>(args, 1) + (turns ? (uint64_t)min(n_tokens + slot, p.positions - 1) * d : 0);   // [positions, d/2, 2]
    const bool live = slot < p.suffix_cap;   // not at step 0, nor in a replay too many
    for (uint32_t i = threadIdx.x; i < half; i += RP_GROUP_ROW) {
        if (turns) {
            const float cosine = angles[2 * i], sine = angles[2 * i + 1];
            const float a0 = from[i], a1 = from[half + i], c0 = kv[i], c1 = kv[half + i];
            rp_step_set(q[i], a0 * cosine - a1 * sine), rp_step_set(q[half + i], a1 * cosine + a0 * sine);
            rp_step_set(k[i], c0 * cosine - c1 * sine), rp_step_set(k[half + i], c1 * cosine + c0 * sine);
        } else {
            q[i] = from[i], q[half + i] = from[half + i];
            k[i] = kv[i], k[half + i] = kv[half + i];
        }
        v[i] = kv[width + i], v[half + i] = kv[width + half + i];
        if (!live) { continue; }
        T *to = own + slot * width;
        to[i] = k[i], to[half + i] = k[half + i];
        to[values + i] = v[i], to[values + half + i] = v[half + i];
    }
    __syncthreads();                       // q, k, v: written by all, read by all
    const uint32_t n_prefix = min(n_tokens, p.prefix_cap), n = n_prefix + min(step, p.suffix_cap);
    const bool wide = d % 4 == 0 && rp_aligned16(prefix) && rp_aligned16(own);
    const rp_step_keys<T> keys = { prefix, prefix + prefix_values, own, own + values, k, v, n_prefix, live ? n - 1 : ~0u, (uint32_t)width, wide };
    rp_attend<rp_step_keys<T>, T>(memory, keys, n, q, d, p.scale, rp_at<void>(args, 7), row * width + in_head, p.f16 != 0);   // y [B, S, h, d]
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) attn_step_f32(const rp_kernel_args<rp_attn_step_params> args) {
    rp_attn_step_plain<float>(args);
}
extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) attn_step_f16(const rp_kernel_args<rp_attn_step_params> args) {
    rp_attn_step_plain<__half>(args);
}

__device__ inline rp_few_call<__half> rp_few_call_of(const rp_kernel_args<rp_attn_step_params> &args) {
    const rp_attn_step_params &p = args.p;
    const uint64_t width = (uint64_t)p.heads * p.head_width;
    const __half *prefix = rp_at<const __half>(args, 2);
    __half *own = rp_at<__half>(args, 6);
    const __half *fresh = rp_at<const __half>(args, 0);
    const bool turns = p.positions > 0;
    return { turns ? fresh : rp_at<const __half>(args, 1), turns ? fresh + width : fresh, prefix, prefix + p.batch * p.prefix_cap * width, own,
             own + (uint64_t)p.batch * p.paths * p.suffix_cap * width,
             rp_at<const uint32_t>(args, 4), rp_at<const rp_step>(args, 5), rp_at<const float>(args, 1), rp_at<void>(args, 7), p.batch, p.paths, 1,
             p.heads, p.head_width, p.prefix_cap, p.suffix_cap, 0, p.positions, p.scale, true };
}
// At most eight warps, and more: 128 registers are enough for all that a warp holds, with 96 two groups of ten warps fit a multiprocessor.
RP_ATTN_FEW_KERNEL(attn_step_f16_spread, 128, rp_attn_step_params, FEW_TURNS, rp_few_call_of(args))
RP_ATTN_FEW_KERNEL(attn_step_f16_spread_more, 96, rp_attn_step_params, FEW_TURNS, rp_few_call_of(args))
RP_ATTN_FEW_KERNEL(attn_step_f16_cross, 128, rp_attn_step_params, FEW_TAKES, rp_few_call_of(args))

#include "step_attention.cuh"
#include "step_attention_pair.cuh"
#include "step_attention_wide.cuh"
