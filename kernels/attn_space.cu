// attn_space: attention over the variates at one token, inside equal group numbers. A group for each (b, s, v, token, head).
#include "attention.cuh"

// Key c is variate c; it takes part where its group number equals the query's, or where both are hidden.
struct rp_space_keys {
    static constexpr bool dense = false;
    const float *k, *v;                 // [V, n, h + 2 g, d] at this token and head
    const int32_t *ids;                 // [V]
    const uint32_t *hidden;             // [V, patches] at this token; NULL: none
    int32_t id;
    uint32_t patches;
    bool own;                           // the query is hidden
    uint64_t stride;                    // n (h + 2 g) d, from one variate to the next
    bool wide;

    __device__ bool present(uint32_t c) const {
        const bool masked = hidden != nullptr && hidden[(uint64_t)c * patches] != 0;
        return masked == own && (own || ids[c] == id);
    }
    __device__ const float *key(uint32_t c) const { return k + c * stride; }
    __device__ const float *value(uint32_t c) const { return v + c * stride; }
};

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) attn_space_f32(const rp_kernel_args<rp_attn_space_params> args) {
    rp_begin();
    __shared__ __align__(16) rp_attention_memory memory;
    const rp_attn_space_params p = args.p;
    const uint32_t d = p.head_width, width = p.heads * d;
    const uint32_t group = rp_group();
    if (group >= (uint64_t)p.batch * p.paths * p.variates * p.tokens * p.heads) { return; }
    const uint32_t head = group % p.heads, token = group / p.heads % p.tokens, row = group / p.heads / p.tokens;
    const uint32_t v = row % p.variates, b = row / (p.paths * p.variates);
    const uint32_t kv_width = p.kv_heads * d, all = width + 2 * kv_width;
    const uint64_t stride = (uint64_t)p.tokens * all;
    const float *qkv = rp_at<const float>(args, 0) + (row - v) * stride + (uint64_t)token * all;
    const float *keys_at = qkv + width + head * p.kv_heads / p.heads * d;
    const int32_t *group_ids = rp_at<const int32_t>(args, 1) + (uint64_t)b * p.variates;                  // [V]
    const uint64_t at = ((uint64_t)row * p.tokens + token) * width + head * d;                            // of y
    const bool wide = d % 4 == 0 && rp_aligned16(qkv);
    const uint32_t *hidden = nullptr;
    if (p.first + token < p.patches) { hidden = rp_at<const uint32_t>(args, 2) + (uint64_t)b * p.variates * p.patches + p.first + token; }
    const bool own = hidden != nullptr && hidden[(uint64_t)v * p.patches] != 0;
    const rp_space_keys keys = { keys_at, keys_at + kv_width, group_ids, hidden, group_ids[v], p.patches, own, stride, wide };
    rp_attend(memory, keys, p.variates, qkv + v * stride + head * d, d, p.scale, rp_at<void>(args, 3), at, p.y_f16);
}
