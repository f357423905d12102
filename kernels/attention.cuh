// Attention of one query by one group, shared by attn_time.cu and attn_space.cu: keys in tiles of RP_ATTN_TILE, online
// softmax, the order of every sum as core/op_params.h states it.
#ifndef RP_ATTENTION_CUH
#define RP_ATTENTION_CUH

#include "copy_async.cuh"
#include "exp.cuh"
#include "matrix.cuh"

#define SLICE 64                        // elements of a head brought to shared memory at a time
#define PITCH (SLICE + 4)               // of a key in shared memory: 16-byte reads of 8 keys touch all 32 banks once
#define OUTPUTS 2                       // results an invocation keeps: heads up to 128 wide take one pass

// A tile joins what came before: both are brought to the larger maximum, and the one that has it keeps its numbers (exp(0) = 1).
struct rp_join {
    float top, running, tile;               // the maximum; factors of what came before, 0 where nothing did, and of the tile
};
__device__ inline rp_join rp_join_of(float top, float tile_top) {
    const float most = fmaxf(top, tile_top), fade = rp_exp_below(fminf(top, tile_top) - most);
    return { most, top < most ? fade : 1.0f, tile_top < most ? fade : 1.0f };
}
__device__ inline float rp_joined(const rp_join &join, float running, float tile) { return __fmaf_rn(tile, join.tile, running * join.running); }

// sum + a b, products in ascending order.
__device__ inline float rp_dot4(const float4 &a, const float4 &b, float sum) {
    sum = __fmaf_rn(a.x, b.x, sum);
    sum = __fmaf_rn(a.y, b.y, sum);
    sum = __fmaf_rn(a.z, b.z, sum);
    return __fmaf_rn(a.w, b.w, sum);
}

__device__ inline void rp_add4(float4 &sum, float p, const float4 &v) {
    sum.x = __fmaf_rn(p, v.x, sum.x);
    sum.y = __fmaf_rn(p, v.y, sum.y);
    sum.z = __fmaf_rn(p, v.z, sum.z);
    sum.w = __fmaf_rn(p, v.w, sum.w);
}

struct rp_attention_memory {
    float k[RP_ATTN_TILE * PITCH];
    float q[SLICE];
    float p[RP_ATTN_TILE];              // exp(score - maximum of the tile), 0 where absent
    float top[2];                       // maximum of each warp's scores
};

// Brings n floats (rounded up to whole pieces of four with zeros) of q and of each key of the tile to shared memory:
// 16 invocations a key, so that a warp reads two whole keys at once.
template <class Keys, class T>
__device__ inline void rp_attention_stage(rp_attention_memory &m, const Keys &keys, uint32_t first, uint32_t n_keys,
                                          const T *q, uint32_t from, uint32_t n) {
    const uint32_t column = threadIdx.x % 16 * 4;
    if (threadIdx.x < 16) {
        for (uint32_t e = 0; e < 4; e++) { m.q[column + e] = column + e < n ? (float)q[from + column + e] : 0.0f; }
    }
    if (column >= n) { return; }
#pragma unroll 4
    for (uint32_t i = threadIdx.x / 16; i < n_keys; i += RP_GROUP_ROW / 16) {
        const T *key = keys.key(first + i) + from + column;
        float *to = &m.k[i * PITCH + column];
        if (keys.wide) {
            *reinterpret_cast<float4 *>(to) = rp_wide4(*reinterpret_cast<const typename rp_four_of<T>::raw *>(key));
        } else {
            for (uint32_t e = 0; e < 4; e++) { to[e] = column + e < n ? (float)key[e] : 0.0f; }
        }
    }
}

// q . key for the key of this invocation, ascending, over what was brought; added to `score`.
__device__ inline float rp_attention_dot(const rp_attention_memory &m, uint32_t n, float score) {
    const float4 *q = reinterpret_cast<const float4 *>(m.q);
    const float4 *key = reinterpret_cast<const float4 *>(&m.k[threadIdx.x * PITCH]);
#pragma unroll 4
    for (uint32_t i = 0; i < (n + 3) / 4; i++) {
        const float4 a = q[i], b = key[i];
        score = __fmaf_rn(a.x, b.x, score);
        score = __fmaf_rn(a.y, b.y, score);
        score = __fmaf_rn(a.z, b.z, score);
        score = __fmaf_rn(a.w, b.w, score);
    }
    return score;
}

// y[d] = softmax(scale q . keys) values, over n keys; zeros where none is present. Keys says for each number c where key
// and value lie (key(c), value(c): [d], of q's type), whether it takes part (present(c)), whether all do (dense), and whether rows may
// be read in 16-byte pieces (wide). y: an output as rp_put takes it, the results from element `at` on. Called by all
// RP_GROUP_ROW invocations alike.
template <class Keys, class T>
__device__ inline void rp_attend(rp_attention_memory &m, const Keys &keys, uint32_t n, const T *q, uint32_t d, float scale,
                                 void *y, uint64_t at, bool f16) {
    const uint32_t local = threadIdx.x, lane = local % 32;
    for (uint32_t base = 0; base < d; base += OUTPUTS * RP_GROUP_ROW) {   // one pass, but for very wide heads
        float top = -RP_INFINITY, sum = 0, value[OUTPUTS] = { 0 };
        for (uint32_t first = 0; first < n; first += RP_ATTN_TILE) {
            const uint32_t n_keys = min(RP_ATTN_TILE, n - first);
            const bool present = local < n_keys && keys.present(first + local);

            // Scores: one key an invocation.
            float score = 0;
            for (uint32_t from = 0; from < d; from += SLICE) {
                const uint32_t width = min(SLICE, d - from);
                if (from > 0) { __syncthreads(); }   // k, q: read by all before they are written again
                rp_attention_stage(m, keys, first, n_keys, q, from, width);
                __syncthreads();                     // k, q: written by all, read by all
                if (present) { score = rp_attention_dot(m, width, score); }
            }
            score = present ? score * scale : -RP_INFINITY;

            // The tile's maximum.
            float most = score;
#pragma unroll
            for (int distance = 16; distance > 0; distance /= 2) {
                most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance));
            }
            if (lane == 0) { m.top[local / 32] = most; }
            __syncthreads();   // top: written by each warp, read by both. And k: read, so it may be written again
            const float tile_top = fmaxf(m.top[0], m.top[1]);
            if (tile_top == -RP_INFINITY) { continue; }  // no key here; the next barrier comes before top is written again
            m.p[local] = present ? rp_exp_below(score - tile_top) : 0.0f;
            __syncthreads();   // p: written by each for its key, read by all

            const rp_join join = rp_join_of(top, tile_top);
            top = join.top;
            sum = rp_joined(join, sum, rp_halve32(m.p[lane] + m.p[lane + 32]));
#pragma unroll
            for (uint32_t o = 0; o < OUTPUTS; o++) {
                const uint32_t j = base + o * RP_GROUP_ROW + local;
                if (j >= d) { break; }
                float total = 0;
#pragma unroll 8
                for (uint32_t i = 0; i < n_keys; i++) {
                    const float p = m.p[i];
                    if (Keys::dense || p != 0.0f) { total = __fmaf_rn(p, (float)keys.value(first + i)[j], total); }
                }
                value[o] = rp_joined(join, value[o], total);
            }
        }
#pragma unroll
        for (uint32_t o = 0; o < OUTPUTS; o++) {
            const uint32_t j = base + o * RP_GROUP_ROW + local;
            if (j < d) { rp_put(y, at + j, sum > 0.0f ? value[o] / sum : 0.0f, f16); }
        }
        __syncthreads();       // p, k: read by all before the next pass writes them
    }
}

#endif
