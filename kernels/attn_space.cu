// attn_space: attention over the variates at one token, inside equal group numbers. attn_space_f32: a group for each (b, s, v,
// token, head). attn_space_f32_few, attn_space_f32_all: for each (b, s, token, head), of at most RP_SPACE_FEW or RP_SPACE_MOST variates; same
// sums. attn_space_f32_one: of one variate, which sees itself alone, so that its value is the result.
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

#define ROW (RP_SPACE_MOST + 1)   // of scores in shared memory

// TILE x TILE scores an invocation, SIDE x SIDE invocations.
template <uint32_t SIDE, int TILE> __device__ static inline void rp_space_all(const rp_kernel_args<rp_attn_space_params> &args) {
    constexpr uint32_t GROUP = SIDE * SIDE, WARPS = GROUP / 32, QUERIES = (SIDE * TILE + WARPS - 1) / WARPS;
    extern __shared__ __align__(16) float memory[];    // RP_SPACE_BYTES
    const rp_attn_space_params p = args.p;
    const uint32_t d = p.head_width, V = p.variates, local = threadIdx.x, lane = local % 32, warp = local / 32, pitch = d + 4;
    float *q = memory, *k = q + V * pitch, *values = k + V * pitch, *scores = values + V * d;
    int32_t *id = reinterpret_cast<int32_t *>(scores + V * ROW);
    uint32_t *masked = reinterpret_cast<uint32_t *>(id + RP_SPACE_MOST);
    uint64_t rest = rp_group();
    if (rest >= (uint64_t)p.batch * p.paths * p.tokens * p.heads) { return; }
    const uint32_t head = rp_take(rest, p.heads), token = rp_take(rest, p.tokens), series = (uint32_t)rest, b = series / p.paths;
    const uint32_t width = p.heads * d, kv_width = p.kv_heads * d, all = width + 2 * kv_width;
    const uint64_t stride = (uint64_t)p.tokens * all;  // from one variate to the next
    const float *qkv = rp_at<const float>(args, 0) + series * V * stride + (uint64_t)token * all;   // [V, n, h + 2 g, d]
    const float *keys = qkv + width + head * p.kv_heads / p.heads * d;

    // Sixteen invocations a row; values behind the others, so that they come while scores are made. Then what says who sees whom.
    const auto bring = [&](float *to, const float *from, uint32_t to_stride) {
        for (uint32_t column = local % 16 * 4; column < d; column += 64) {
            for (uint32_t u = local / 16; u < V; u += GROUP / 16) { rp_copy16(&to[u * to_stride + column], from + u * stride + column, 16); }
        }
    };
    bring(q, qkv + head * d, pitch);
    bring(k, keys, pitch);
    rp_copy_commit();
    bring(values, keys + kv_width, d);
    rp_copy_commit();
    if (local < V) {
        const uint32_t patch = p.first + token;
        id[local] = rp_at<const int32_t>(args, 1)[(uint64_t)b * V + local];
        masked[local] = patch < p.patches ? rp_at<const uint32_t>(args, 2)[((uint64_t)b * V + local) * p.patches + patch] != 0 : 0;
    }
    rp_copy_wait<1>();
    __syncthreads();           // q, k, id, masked: written by all, read by all

    const uint32_t i0 = local / SIDE, c0 = local % SIDE;
    float score[TILE][TILE] = {};
    if (i0 < V && c0 < V) {
#pragma unroll 4
        for (uint32_t j = 0; j < d; j += 4) {
            float4 a[TILE], c[TILE];
#pragma unroll
            for (int t = 0; t < TILE; t++) {   // past the last variate: the last one, and not used
                a[t] = *reinterpret_cast<const float4 *>(&q[min(i0 + t * SIDE, V - 1) * pitch + j]);
                c[t] = *reinterpret_cast<const float4 *>(&k[min(c0 + t * SIDE, V - 1) * pitch + j]);
            }
#pragma unroll
            for (int t = 0; t < TILE; t++) {
#pragma unroll
                for (int u = 0; u < TILE; u++) { score[t][u] = rp_dot4(a[t], c[u], score[t][u]); }
            }
        }
    }
#pragma unroll
    for (int t = 0; t < TILE; t++) {
#pragma unroll
        for (int u = 0; u < TILE; u++) {
            const uint32_t i = i0 + t * SIDE, c = c0 + u * SIDE;
            if (i >= V || c >= V) { continue; }
            const bool present = masked[i] == masked[c] && (masked[i] != 0 || id[i] == id[c]);
            scores[i * ROW + c] = present ? score[t][u] * p.scale : -RP_INFINITY;
        }
    }
    rp_copy_wait<0>();
    __syncthreads();           // scores: written by pair, read by the warp of their query; values: written by all, read by all

    // Queries warp, warp + WARPS, ..: a key a lane; then two elements a lane.
    float weight[QUERIES], sum[QUERIES];
#pragma unroll
    for (int t = 0; t < QUERIES; t++) {
        const uint32_t i = warp + t * WARPS;
        const float own = i < V && lane < V ? scores[i * ROW + lane] : -RP_INFINITY;
        float most = own;
#pragma unroll
        for (int distance = 16; distance > 0; distance /= 2) { most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance)); }
        weight[t] = own != -RP_INFINITY ? rp_exp_below(own - most) : 0.0f;
        sum[t] = rp_halve32(weight[t]);
    }
    for (uint32_t base = 0; base < d; base += 64) {
        const uint32_t j = base + lane * 2, from = min(j, d - 2);
        float2 total[QUERIES] = {};
#pragma unroll 4
        for (uint32_t c = 0; c < V; c++) {
            const float2 value = *reinterpret_cast<const float2 *>(&values[c * d + from]);
#pragma unroll
            for (int t = 0; t < QUERIES; t++) {
                const float factor = __shfl_sync(0xffffffffu, weight[t], c);
                if (factor != 0.0f) { total[t] = make_float2(__fmaf_rn(factor, value.x, total[t].x), __fmaf_rn(factor, value.y, total[t].y)); }
            }
        }
#pragma unroll
        for (int t = 0; t < QUERIES; t++) {
            const uint32_t i = warp + t * WARPS;
            if (i >= V || j >= d) { continue; }
            const uint64_t at = (((uint64_t)series * V + i) * p.tokens + token) * width + head * d + j;
            const float x = sum[t] > 0.0f ? total[t].x / sum[t] : 0.0f, y = sum[t] > 0.0f ? total[t].y / sum[t] : 0.0f;
            if (p.y_f16) {
                *reinterpret_cast<__half2 *>(rp_at<__half>(args, 3) + at) = rp_half2(x, y);
            } else {
                *reinterpret_cast<float2 *>(rp_at<float>(args, 3) + at) = make_float2(x, y);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(RP_SPACE_FEW *RP_SPACE_FEW) attn_space_f32_few(const rp_kernel_args<rp_attn_space_params> args) {
    rp_begin();
    rp_space_all<RP_SPACE_FEW, 1>(args);
}
extern "C" __global__ void __launch_bounds__(RP_SPACE_SIDE *RP_SPACE_SIDE) attn_space_f32_all(const rp_kernel_args<rp_attn_space_params> args) {
    rp_begin();
    rp_space_all<RP_SPACE_SIDE, RP_SPACE_MOST / RP_SPACE_SIDE>(args);
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) attn_space_f32_one(const rp_kernel_args<rp_attn_space_params> args) {
    rp_begin();
    const rp_attn_space_params p = args.p;
    const uint32_t d = p.head_width;
    const uint64_t point = rp_point();                 // four elements
    uint64_t rest = point;
    const uint32_t column = rp_take(rest, d / 4) * 4, head = rp_take(rest, p.heads);
    if (rest >= (uint64_t)p.batch * p.paths * p.tokens) { return; }
    const uint64_t from = (rest * (p.heads + 2 * p.kv_heads) + p.heads + p.kv_heads + head * p.kv_heads / p.heads) * d + column;
    float4 value = *reinterpret_cast<const float4 *>(rp_at<const float>(args, 0) + from);
    value = make_float4(value.x + 0.0f, value.y + 0.0f, value.z + 0.0f, value.w + 0.0f);   // a sum from 0: -0 becomes 0
    if (p.y_f16) {
        __half2 *to = reinterpret_cast<__half2 *>(rp_at<__half>(args, 3) + point * 4);
        to[0] = rp_half2(value.x, value.y), to[1] = rp_half2(value.z, value.w);
    } else {
        reinterpret_cast<float4 *>(rp_at<float>(args, 3))[point] = value;
    }
}
