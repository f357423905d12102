// Attention on the matrix units by mma.sync (sm_80 and later) where numbers are float32, or paths few: queries, keys, values and weights
// rounded to float16 on their way, sums and softmax in float32, 16 queries a warp, keys in tiles. In powers of two: exp(x) =
// 2^(x log2 e). For heads in whole pieces of four. The units deal a lane columns 2 p, 2 p + 1, 2 p + 8 and 2 p + 9 of sixteen, p =
// lane % 4; which column of a head stands where is free while all agree, so these are its columns 4 p .. 4 p + 3.
#ifndef RP_ATTN_MATRIX_CUH
#define RP_ATTN_MATRIX_CUH

#include "common.cuh"
#include "matrix.cuh"

static_assert(RP_ATTN_TILE == 64, "four sixteens of keys");

__device__ inline float rp_exp2_fast(float x) {       // 2 ulp
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Asks for the lines of n numbers to come to the L2 cache.
template <class T> __device__ inline void rp_hint(const T *from, uint32_t n) {
    const uint32_t bytes = n * (uint32_t)sizeof(T);
    for (uint32_t at = 0; at < bytes + 127; at += 128) {
        asm volatile("prefetch.global.L2 [%0];" ::"l"(reinterpret_cast<const char *>(from) + min(at, bytes - 1)));
    }
}

// Rows `low` and `low` + 8 of a warp: this lane holds columns 16 i + 4 (lane % 4) .. + 3 of each.
template <int BLOCKS> struct rp_attn_rows {
    uint32_t q[BLOCKS][4];                // pairs of float16; [i][h] and [i][2 + h]: row h, the first two and the last two
    float value[2 * BLOCKS][4];           // [2 i][2 h], [2 i][2 h + 1], [2 i + 1][2 h], [2 i + 1][2 h + 1]
    float top[2], sum[2];                 // of scores in powers of two; this lane's part of the sum

    __device__ float4 q_of(int i, int h) const {
        const float2 a = __half22float2(*reinterpret_cast<const __half2 *>(&q[i][h]));
        const float2 b = __half22float2(*reinterpret_cast<const __half2 *>(&q[i][2 + h]));
        return make_float4(a.x, a.y, b.x, b.y);
    }

    // Makes room for scores up to `most` in row h; returns what they are counted from.
    __device__ float rise(int h, float most) {
        const float above = fmaxf(top[h], most), from = above == -RP_INFINITY ? 0.0f : above, fade = rp_exp2_fast(top[h] - from);
        top[h] = above;
        sum[h] *= fade;
#pragma unroll
        for (int j = 0; j < 2 * BLOCKS; j++) { value[j][2 * h] *= fade, value[j][2 * h + 1] *= fade; }
        return from;
    }
};

// Where column `column`, and the three behind it, of number `row` lies in a tile: two pairs, 8 apart. Rows are an odd number of 16 bytes.
template <int BLOCKS, class Raw> __device__ inline void rp_attn_place(__half *tile, uint32_t row, uint32_t column, const Raw &x) {
    const uint2 pairs = rp_narrow4(x);
    __half *at = tile + row * (BLOCKS * 16 + 8) + column / 16 * 16 + column % 16 / 2;
    *reinterpret_cast<uint32_t *>(at) = pairs.x, *reinterpret_cast<uint32_t *>(at + 8) = pairs.y;
}

// One tile of keys; sees(h, j, e): whether row h sees key 8 j + 2 (lane % 4) + e of it.
template <int BLOCKS, class Sees>
__device__ inline void rp_attn_tile(rp_attn_rows<BLOCKS> &rows, const __half *k, const __half *v, uint32_t d, float scale, const Sees &sees) {
    constexpr int pitch = BLOCKS * 16 + 8;
    const uint32_t lane = threadIdx.x % 32;
    float score[RP_ATTN_TILE / 8][4] = { { 0 } };
#pragma unroll
    for (int i = 0; i < BLOCKS; i++) {
        if (i * 16 >= d) { break; }
#pragma unroll
        for (int j = 0; j < RP_ATTN_TILE / 16; j++) {        // blocks: keys 0-7 at columns 0-7 and 8-15, then keys 8-15
            uint32_t b[4];
            rp_load_blocks(b, k + (j * 16 + lane / 16 * 8 + lane % 8) * pitch + i * 16 + lane / 8 % 2 * 8);
            rp_mma(score[2 * j], rows.q[i], b[0], b[1]);
            rp_mma(score[2 * j + 1], rows.q[i], b[2], b[3]);
        }
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float most = -RP_INFINITY;
#pragma unroll
        for (int j = 0; j < RP_ATTN_TILE / 8; j++) {
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float &s = score[j][2 * h + e];
                s = sees(h, j, e) ? s * scale : -RP_INFINITY;
                most = fmaxf(most, s);
            }
        }
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
        const float from = rows.rise(h, most);
#pragma unroll
        for (int j = 0; j < RP_ATTN_TILE / 8; j++) {
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float &s = score[j][2 * h + e];
                s = rp_exp2_fast(s - from);
                rows.sum[h] += s;
            }
        }
    }
#pragma unroll
    for (int i = 0; i < RP_ATTN_TILE / 16; i++) {
        const uint32_t weight[4] = { rp_pair(score[2 * i][0], score[2 * i][1]), rp_pair(score[2 * i][2], score[2 * i][3]),
                                     rp_pair(score[2 * i + 1][0], score[2 * i + 1][1]), rp_pair(score[2 * i + 1][2], score[2 * i + 1][3]) };
#pragma unroll
        for (int j = 0; j < BLOCKS; j++) {                 // blocks: columns 0-7 of keys 0-7 and 8-15, then columns 8-15
            if (j * 16 >= d) { break; }
            uint32_t b[4];
            rp_load_turned(b, v + (i * 16 + lane % 16) * pitch + j * 16 + lane / 16 * 8);
            rp_mma(rows.value[2 * j], weight, b[0], b[1]);
            rp_mma(rows.value[2 * j + 1], weight, b[2], b[3]);
        }
    }
}

// The lane's four columns of block i of one row; zeros past d.
template <class T> __device__ inline typename rp_four_of<T>::raw rp_attn_four(const T *row, int i, uint32_t part, uint32_t d) {
    const uint32_t column = i * 16 + part * 4;
    typename rp_four_of<T>::raw x;
    rp_zero4(x);
    if (column < d) { x = *reinterpret_cast<const typename rp_four_of<T>::raw *>(row + column); }
    return x;
}

#endif
