// Attention where a query can see few keys, at most 2 RP_ATTN_SHORT_LANES; what attn_time_short.cuh and attn_rope.cu share. A query has
// RP_ATTN_SHORT_LANES lanes; all keys and values that there is room for come to shared memory at once, before it is known which of
// them are there. Then a key or two a lane, and a piece of the result. Same sums as rp_attend, so in float32 the same bits. For heads
// in whole pieces of four.
#ifndef RP_ATTN_SHORT_CUH
#define RP_ATTN_SHORT_CUH

#include "attention.cuh"

#define SHORT_LANES RP_ATTN_SHORT_LANES
static_assert(SHORT_LANES == 16, "two queries a warp");

// A piece of four on its way to shared memory.
template <class Raw> __device__ inline void rp_short_copy(Raw *to, const void *from) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared), "l"(from), "n"(sizeof(Raw)) : "memory");
}

// q . key, ascending, over n pieces. Blocks of four pieces: a loop that may end after each would wait for shared memory each time.
template <class Raw> __device__ inline float rp_short_dot(const float4 *q, const Raw *key, uint32_t n) {
    float score = 0;
    uint32_t i = 0;
#pragma unroll 2
    for (; i + 4 <= n; i += 4) {
        float4 a[4];
        Raw b[4];
#pragma unroll
        for (int j = 0; j < 4; j++) { a[j] = q[i + j], b[j] = key[i + j]; }
#pragma unroll
        for (int j = 0; j < 4; j++) { score = rp_dot4(a[j], rp_wide4(b[j]), score); }
    }
#pragma unroll 1
    for (; i < n; i++) { score = rp_dot4(q[i], rp_wide4(key[i]), score); }
    return score;
}

// Over the lanes of a query; every lane gets the same bits.
__device__ inline float rp_short_most(float value) {
#pragma unroll
    for (int distance = SHORT_LANES / 2; distance > 0; distance /= 2) { value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance)); }
    return value;
}
__device__ inline float rp_short_sum(float value) {
#pragma unroll
    for (int distance = SHORT_LANES / 2; distance > 0; distance /= 2) { value += __shfl_xor_sync(0xffffffffu, value, distance); }
    return value;
}

// Rows first, first + stride, .. below n of a head, `width` apart in memory and `pitch` in shared memory, by the lanes of a query.
template <class Raw, class T>
__device__ inline void rp_short_rows(Raw *to, const T *from, uint32_t first, uint32_t n, uint32_t stride, uint32_t pitch, uint32_t pieces,
                                     uint64_t width) {
    for (uint32_t i = threadIdx.x % SHORT_LANES; i < pieces; i += SHORT_LANES) {
        for (uint32_t c = first; c < n; c += stride) { rp_short_copy(&to[c * pitch + i], from + c * width + i * 4); }
    }
}

// What is in shared memory: a query [pieces], keys and values [.., pitch], `pieces` of each; keys and values were asked for by the two
// last groups of copies, or are there.
template <class Raw> struct rp_short_work {
    const float4 *q;
    const Raw *k, *values;
    uint32_t n_prefix, own0;            // key c lies in row c where that is below n_prefix, and in own0 + c - n_prefix else
    uint32_t n, cap;                    // keys that the query sees, none: its result is 0; that any query may see
    uint32_t pieces, pitch;
    float scale;

    __device__ uint32_t place(uint32_t c) const { return (c < n_prefix ? c : own0 + c - n_prefix) * pitch; }
};

// Softmax of the scores, times the values, to elements at .. of y where that is wanted. Called by the whole group alike. PER: keys a
// lane, 1 or 2.
template <int PER, class Raw> __device__ inline void rp_short_attend(const rp_short_work<Raw> &w, void *y, uint64_t at, bool wanted, bool f16) {
    const uint32_t lane = threadIdx.x % SHORT_LANES;
    rp_copy_wait<1>();
    __syncthreads();                       // q, k: written by all, read by all
    float weight[PER], top = -RP_INFINITY, sum = 0;
#pragma unroll
    for (int e = 0; e < PER; e++) {
        const uint32_t c = lane + e * SHORT_LANES;
        weight[e] = c < w.n ? rp_short_dot(w.q, &w.k[w.place(c)], w.pieces) * w.scale : -RP_INFINITY;
        top = fmaxf(top, weight[e]);
    }
    top = rp_short_most(top);
#pragma unroll
    for (int e = 0; e < PER; e++) {        // a tile that has no other keys: halving adds zeros until SHORT_LANES are left
        weight[e] = lane + e * SHORT_LANES < w.n ? rp_exp_below(weight[e] - top) : 0.0f;
        sum += weight[e];
    }
    sum = rp_short_sum(sum);
    rp_copy_wait<0>();
    __syncthreads();                       // values: written by all, read by all
    for (uint32_t base = 0; base < w.pieces; base += SHORT_LANES) {
        const uint32_t piece = min(base + lane, w.pieces - 1);
        float4 x = make_float4(0, 0, 0, 0);
#pragma unroll
        for (int e = 0; e < PER; e++) {
            const uint32_t end = min(w.cap, (e + 1) * SHORT_LANES);              // the same for all lanes
#pragma unroll 4
            for (uint32_t c = e * SHORT_LANES; c < end; c++) {
                const float p = __shfl_sync(0xffffffffu, weight[e], c % SHORT_LANES, SHORT_LANES);
                if (c < w.n) { rp_add4(x, p, rp_wide4(w.values[w.place(c) + piece])); }
            }
        }
        if (base + lane >= w.pieces || !wanted) { continue; }
        const bool any = sum > 0.0f && top > -RP_INFINITY;
        x = any ? make_float4(x.x / sum, x.y / sum, x.z / sum, x.w / sum) : make_float4(0, 0, 0, 0);
        if (f16) {
            *reinterpret_cast<uint2 *>(static_cast<__half *>(y) + at + piece * 4) = rp_narrow4(x);
        } else {
            *reinterpret_cast<float4 *>(static_cast<float *>(y) + at + piece * 4) = x;
        }
    }
}

#endif
