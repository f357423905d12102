// attn_space: attention over the variates at one token, inside equal group numbers. attn_space_f32: a group for each (b, s, v,
// token, head). attn_space_f32_all: for each (b, s, token, head), of at most RP_SPACE_MOST variates. Same sums.
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

#define TOGETHER 4             // queries that a warp takes at once
#define ROW (RP_SPACE_MOST + 1)   // of scores in shared memory

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) attn_space_f32_all(const rp_kernel_args<rp_attn_space_params> args) {
    rp_begin();
    extern __shared__ __align__(16) float memory[];    // RP_SPACE_BYTES
    const rp_attn_space_params p = args.p;
    const uint32_t d = p.head_width, V = p.variates, local = threadIdx.x, lane = local % 32, pitch = d + 4;
    float *q = memory, *k = q + V * pitch, *values = k + V * pitch, *scores = values + V * d;
    int32_t *id = reinterpret_cast<int32_t *>(scores + V * ROW);
    uint32_t *masked = reinterpret_cast<uint32_t *>(id + RP_SPACE_MOST);
    uint64_t rest = rp_group();
    if (rest >= (uint64_t)p.batch * p.paths * p.tokens * p.heads) { return; }
    const uint32_t head = rp_take(rest, p.heads), token = rp_take(rest, p.tokens), series = (uint32_t)rest, b = series / p.paths;
    const uint32_t width = p.heads * d, kv_width = p.kv_heads * d, all = width + 2 * kv_width;
    const uint64_t stride = (uint64_t)p.tokens * all;  // from one variate to the next
    const float *qkv = rp_at<const float>(args, 0) + series * V * stride + (uint64_t)token * all;   // [V, n, h + 2 g, d]
    const float *from[3] = { qkv + head * d, qkv + width + head * p.kv_heads / p.heads * d, nullptr };
    from[2] = from[1] + kv_width;

    // Sixteen invocations a row; then what says who sees whom.
    for (uint32_t column = local % 16 * 4; column < d; column += 64) {
#pragma unroll
        for (int part = 0; part < 3; part++) {
            float *to = part == 0 ? q : part == 1 ? k : values;
#pragma unroll 2
            for (uint32_t u = local / 16; u < V; u += RP_GROUP_ROW / 16) {
                rp_copy16(&to[u * (part < 2 ? pitch : d) + column], from[part] + u * stride + column, true);
            }
        }
    }
    rp_copy_commit();
    if (local < V) {
        const uint32_t patch = p.first + token;
        id[local] = rp_at<const int32_t>(args, 1)[(uint64_t)b * V + local];
        masked[local] = patch < p.patches ? rp_at<const uint32_t>(args, 2)[((uint64_t)b * V + local) * p.patches + patch] != 0 : 0;
    }
    rp_copy_wait<0>();
    __syncthreads();           // all that is shared: written by all, read by all

    // Scores: one pair an invocation.
    for (uint32_t pair = local; pair < V * V; pair += RP_GROUP_ROW) {
        const uint32_t i = pair / V, c = pair - i * V;
        const bool present = masked[i] == masked[c] && (masked[i] != 0 || id[i] == id[c]);
        float score = 0;
#pragma unroll 4
        for (uint32_t j = 0; j < d; j += 4) {
            score = rp_dot4(*reinterpret_cast<const float4 *>(&q[i * pitch + j]), *reinterpret_cast<const float4 *>(&k[c * pitch + j]), score);
        }
        scores[i * ROW + c] = present ? score * p.scale : -RP_INFINITY;
    }
    __syncthreads();           // scores: written by pair, read by the warp of their query

    // A key a lane; then two elements a lane.
    for (uint32_t first = local / 32 * TOGETHER; first < V; first += RP_GROUP_ROW / 32 * TOGETHER) {
        float weight[TOGETHER], sum[TOGETHER];
#pragma unroll
        for (int i = 0; i < TOGETHER; i++) {
            const float score = first + i < V && lane < V ? scores[(first + i) * ROW + lane] : -RP_INFINITY;
            float most = score;
#pragma unroll
            for (int distance = 16; distance > 0; distance /= 2) { most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance)); }
            weight[i] = score != -RP_INFINITY ? rp_exp_below(score - most) : 0.0f;
            sum[i] = rp_halve32(weight[i]);
        }
        for (uint32_t j = lane * 2; j - lane * 2 < d; j += 64) {
            float2 total[TOGETHER] = {};
            for (uint32_t c = 0; c < V; c++) {
                const float2 value = j < d ? *reinterpret_cast<const float2 *>(&values[c * d + j]) : make_float2(0, 0);
#pragma unroll
                for (int i = 0; i < TOGETHER; i++) {
                    const float factor = __shfl_sync(0xffffffffu, weight[i], c);
                    if (factor != 0.0f) {
                        total[i].x = __fmaf_rn(factor, value.x, total[i].x);
                        total[i].y = __fmaf_rn(factor, value.y, total[i].y);
                    }
                }
            }
#pragma unroll
            for (int i = 0; i < TOGETHER; i++) {
                if (first + i >= V || j >= d) { continue; }
                const uint64_t at = (((uint64_t)series * V + first + i) * p.tokens + token) * width + head * d + j;
                const float x = sum[i] > 0.0f ? total[i].x / sum[i] : 0.0f, y = sum[i] > 0.0f ? total[i].y / sum[i] : 0.0f;
                if (p.y_f16) {
                    *reinterpret_cast<__half2 *>(rp_at<__half>(args, 3) + at) = rp_half2(x, y);
                } else {
                    *reinterpret_cast<float2 *>(rp_at<float>(args, 3) + at) = make_float2(x, y);
                }
            }
        }
    }
}
