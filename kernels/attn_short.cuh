// Attention where a query can see few keys, at most 2 RP_ATTN_SHORT_LANES; what attn_time_short.cuh and attn_rope.cu share. A query has
// RP_ATTN_SHORT_LANES lanes; all keys and values that there is room for come to shared memory at once, before it is known which of
// them are there. Then a key or two a lane, and a piece of the result. Same sums as rp_attend, so in float32 the same bits. For heads
// in whole pieces of four, at most one a lane.
#ifndef RP_ATTN_SHORT_CUH
#define RP_ATTN_SHORT_CUH

#include "attention.cuh"

#define SHORT_LANES RP_ATTN_SHORT_LANES
static_assert(SHORT_LANES == 16 && RP_ATTN_SHORT_HEAD == 4 * SHORT_LANES, "two queries a warp, a piece of a head a lane");

// This lane's piece of a head. Lanes that are too many do what the last one does, but write nothing to shared memory.
__device__ inline uint32_t rp_short_piece(uint32_t pieces) { return min(threadIdx.x % SHORT_LANES, pieces - 1); }
__device__ inline bool rp_short_writes(uint32_t pieces) { return threadIdx.x % SHORT_LANES < pieces; }

// What is loaded in front is asked for in front: the compiler moves no load across this.
__device__ inline void rp_short_asked() { __syncwarp(); }

// A piece of four on its way to shared memory.
template <class Raw> __device__ inline void rp_short_copy(Raw *to, const void *from) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared), "l"(from), "n"(sizeof(Raw)) : "memory");
}

// q . key, ascending, over n pieces. Blocks of eight: a loop that may end after each would wait for shared memory each time.
template <class Raw> __device__ inline float rp_short_dot(const float4 *q, const Raw *key, uint32_t n) {
    float score = 0;
    uint32_t i = 0;
#pragma unroll 1
    for (; i + 8 <= n; i += 8) {
        float4 a[8];
        Raw b[8];
#pragma unroll
        for (int j = 0; j < 8; j++) { a[j] = q[i + j], b[j] = key[i + j]; }
#pragma unroll
        for (int j = 0; j < 8; j++) { score = rp_dot4(a[j], rp_wide4(b[j]), score); }
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

// Pieces of rows first, first + stride, .. below n, `width` apart in memory and `pitch` in shared memory, this lane's of each.
template <class Raw, class T>
__device__ inline void rp_short_rows(Raw *to, const T *from, uint32_t first, uint32_t n, uint32_t stride, uint32_t pitch, uint32_t width) {
    from += (uint64_t)first * width, to += first * pitch;
#pragma unroll 1
    for (uint32_t c = first; c < n; c += stride, from += (uint64_t)stride * width, to += stride * pitch) { rp_short_copy(to, from); }
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

// Softmax of the scores, times the values; this lane's piece to elements at, .. of y where that is wanted. Called by the whole group
// alike. PER: keys a lane, 1 or 2.
template <int PER, class Raw>
__device__ inline void rp_short_attend(const rp_short_work<Raw> &w, void *y, uint64_t at, bool wanted, bool f16) {
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
    const uint32_t piece = rp_short_piece(w.pieces);
    float4 x = make_float4(0, 0, 0, 0);
#pragma unroll
    for (int e = 0; e < PER; e++) {
        const uint32_t end = min(w.cap, (e + 1) * SHORT_LANES);                  // the same for all lanes
#pragma unroll 1
        for (uint32_t first = e * SHORT_LANES; first < end; first += 4) {
            Raw v[4];
#pragma unroll
            for (uint32_t c = 0; c < 4; c++) {
                rp_zero4(v[c]);
                if (first + c < w.n) { v[c] = w.values[w.place(first + c) + piece]; }
            }
#pragma unroll
            for (uint32_t c = 0; c < 4; c++) {                                   // a key that is not seen adds 0
                rp_add4(x, __shfl_sync(0xffffffffu, weight[e], (first + c) % SHORT_LANES, SHORT_LANES), rp_wide4(v[c]));
            }
        }
    }
    if (!wanted) { return; }
    const bool any = sum > 0.0f && top > -RP_INFINITY;
    x = any ? make_float4(x.x / sum, x.y / sum, x.z / sum, x.w / sum) : make_float4(0, 0, 0, 0);
    if (f16) {
        __stwb(reinterpret_cast<uint2 *>(static_cast<__half *>(y) + at), rp_narrow4(x));
    } else {
        __stwb(reinterpret_cast<float4 *>(static_cast<float *>(y) + at), x);
    }
}

#endif
