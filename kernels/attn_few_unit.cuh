// Sixteen keys and up to RP_ATTN_FEW queries by one warp, on the matrix units; what attn_few.cuh deals to its warps. Keys and values are
// read from memory straight to where the matrix units want them, a warp's slice of the head's columns.
#ifndef RP_ATTN_FEW_UNIT_CUH
#define RP_ATTN_FEW_UNIT_CUH

#include "attn_matrix.cuh"

#define FEW_KEYS 16                        // of a unit

// A unit of keys: which row sees them, or all.
template <class T> struct rp_few_unit {
    const T *k, *v;                        // of the first key, at this warp's columns
    uint32_t n;                            // keys there are
    uint32_t only;                         // row that sees them; RP_ATTN_FEW: all
    uint32_t fresh;                        // the one that is not in memory yet, where below FEW_KEYS
};

// Keys lane / 4 and that + 8: columns 16 i + 4 (lane % 4) .. + 3.
template <class T>
__device__ inline void rp_few_keys(typename rp_four_of<T>::raw (&k)[2][4], const rp_few_unit<T> &unit, uint32_t columns, uint32_t width) {
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < 2; j++) {
        const uint32_t key = j * 8 + lane / 4;
        const T *from = unit.k + (uint64_t)key * width + lane % 4 * 4;
        const bool there = key < unit.n && key != unit.fresh;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            rp_zero4(k[j][i]);
            if (there && i * 16 + lane % 4 * 4 < columns) { k[j][i] = *reinterpret_cast<const typename rp_four_of<T>::raw *>(from + i * 16); }
        }
    }
}

// Values of keys 2 p, 2 p + 1, 2 p + 8 and 2 p + 9, p = lane % 4: columns 32 c + 4 (lane / 4) .. + 3.
template <class T>
__device__ inline void rp_few_values(typename rp_four_of<T>::raw (&v)[2][4], const rp_few_unit<T> &unit, uint32_t columns, uint32_t width) {
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const uint32_t key = i / 2 * 8 + lane % 4 * 2 + i % 2;
        const T *from = unit.v + (uint64_t)key * width + lane / 4 * 4;
        const bool there = key < unit.n && key != unit.fresh;
#pragma unroll
        for (int c = 0; c < 2; c++) {
            rp_zero4(v[c][i]);
            if (there && c * 32 + lane / 4 * 4 < columns) { v[c][i] = *reinterpret_cast<const typename rp_four_of<T>::raw *>(from + c * 32); }
        }
    }
}

__device__ inline float2 rp_few_two(const float *from) { return *reinterpret_cast<const float2 *>(from); }
__device__ inline float2 rp_few_two(const __half *from) { return __half22float2(*reinterpret_cast<const __half2 *>(from)); }

// Columns `column` .. + 3 of a head [d] of q or k, turned (rope_half): angles [d/2, 2], (cos, sin).
template <class T> __device__ inline float4 rp_few_turned(const T *from, const float *angles, uint32_t column, uint32_t half) {
    float y[4];
#pragma unroll
    for (uint32_t i = 0; i < 4; i += 2) {  // d/2 is even: two columns lie in one half
        const uint32_t at = column + i;
        const bool low = at < half;
        const float2 own = rp_few_two(from + at), other = rp_few_two(from + (low ? at + half : at - half));
        const float4 turn = *reinterpret_cast<const float4 *>(angles + (low ? at : at - half) * 2);
        y[i] = __fmaf_rn(low ? -other.x : other.x, turn.y, __fmul_rn(own.x, turn.x));
        y[i + 1] = __fmaf_rn(low ? -other.y : other.y, turn.w, __fmul_rn(own.y, turn.z));
    }
    return make_float4(y[0], y[1], y[2], y[3]);
}

// The unit's fresh key and value, from shared memory [2, d].
__device__ inline void rp_few_fresh_key(uint2 (&k)[2][4], const rp_few_unit<__half> &unit, const __half *fresh, uint32_t columns) {
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < 2; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t column = i * 16 + lane % 4 * 4;
            if (j * 8 + lane / 4 == unit.fresh && column < columns) { k[j][i] = *reinterpret_cast<const uint2 *>(fresh + column); }
        }
    }
}
__device__ inline void rp_few_fresh_value(uint2 (&v)[2][4], const rp_few_unit<__half> &unit, const __half *fresh, uint32_t columns, uint32_t d) {
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int c = 0; c < 2; c++) {
            const uint32_t column = c * 32 + lane / 4 * 4;
            const bool own = i / 2 * 8 + lane % 4 * 2 + i % 2 == unit.fresh;
            if (own && column < columns) { v[c][i] = *reinterpret_cast<const uint2 *>(fresh + d + column); }
        }
    }
}
__device__ inline void rp_few_fresh(uint2 (&k)[2][4], uint2 (&v)[2][4], const rp_few_unit<__half> &unit, const __half *fresh, uint32_t columns,
                                    uint32_t d) {
    rp_few_fresh_key(k, unit, fresh, columns);
    rp_few_fresh_value(v, unit, fresh, columns, d);
}

// Asks for a unit to come to the L2 cache: a lane for a key or a value.
template <class T> __device__ inline void rp_few_hint(const rp_few_unit<T> &unit, uint32_t columns, uint32_t width) {
    const uint32_t lane = threadIdx.x % 32;
    if (lane % 16 < unit.n) { rp_hint((lane < 16 ? unit.k : unit.v) + (uint64_t)(lane % 16) * width, columns); }
}

// Rows lane / 4 and that + 8 of a warp: value[4 c + e][2 h + f]: row h, column 32 c + 8 (lane % 4) + 4 f + e.
struct rp_few_rows {
    float value[8][4], top[2], sum[2];     // of scores in powers of two; this lane's part of the sum
};

// queries: the address in shared memory of this lane's row of the first four 8 x 8 blocks.
template <class Raw> __device__ inline void rp_few_scores(float (&score)[2][4], const __half *queries, const Raw (&k)[2][4]) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint32_t q[4];
        rp_load_blocks(q, queries + i * 16);
#pragma unroll
        for (int j = 0; j < 2; j++) {
            if (i == 0) { score[j][0] = score[j][1] = score[j][2] = score[j][3] = 0; }
            const uint2 pairs = rp_narrow4(k[j][i]);
            rp_mma(score[j], q, pairs.x, pairs.y);
        }
    }
}

// Three parts of what makes weights of scores, so that several units can share the second one. HALVES: 1 where there are no rows from eight on.
// Scores scaled, those of keys that a row does not see -infinity; and in `most` each half's largest of them and what was there, of this lane.
template <int HALVES, class T> __device__ inline void rp_few_show(float (&score)[2][4], float (&most)[2], const rp_few_unit<T> &unit, float scale) {
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int h = 0; h < HALVES; h++) {
        const bool sees = unit.only == RP_ATTN_FEW || unit.only == lane / 4 + 8 * h;
#pragma unroll
        for (int j = 0; j < 2; j++) {
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float &s = score[j][2 * h + e];
                s = sees && j * 8 + lane % 4 * 2 + e < unit.n ? s * scale : -RP_INFINITY;
                most[h] = fmaxf(most[h], s);
            }
        }
    }
}
// The largest of all lanes and of what was before; what is subtracted from scores.
template <int HALVES> __device__ inline void rp_few_above(float (&most)[2], float (&from)[2], const rp_few_rows &rows) {
#pragma unroll
    for (int h = 0; h < HALVES; h++) {
        most[h] = fmaxf(most[h], __shfl_xor_sync(0xffffffffu, most[h], 1));
        most[h] = fmaxf(most[h], __shfl_xor_sync(0xffffffffu, most[h], 2));
        most[h] = fmaxf(rows.top[h], most[h]), from[h] = most[h] == -RP_INFINITY ? 0.0f : most[h];
    }
}
// Scores to weights, added to their sums.
template <int HALVES> __device__ inline void rp_few_raise(rp_few_rows &rows, float (&score)[2][4], const float (&from)[2]) {
#pragma unroll
    for (int h = 0; h < HALVES; h++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float &s = score[i / 2][2 * h + i % 2];
            s = rp_exp2_fast(s - from[h]);
            rows.sum[h] += s;
        }
    }
}

// From scores to weights, and what was before brought to the new maximum.
template <int HALVES = 2, class T> __device__ inline void rp_few_weights(rp_few_rows &rows, float (&score)[2][4], const rp_few_unit<T> &unit, float scale) {
    float most[2] = { -RP_INFINITY, -RP_INFINITY }, from[2];
    rp_few_show<HALVES>(score, most, unit, scale);
    rp_few_above<HALVES>(most, from, rows);
#pragma unroll
    for (int h = 0; h < HALVES; h++) {
        const float fade = rp_exp2_fast(rows.top[h] - from[h]);
        rows.top[h] = most[h];
        rows.sum[h] *= fade;
#pragma unroll
        for (int j = 0; j < 8; j++) { rows.value[j][2 * h] *= fade, rows.value[j][2 * h + 1] *= fade; }
    }
    rp_few_raise<HALVES>(rows, score, from);
}

// Pairs of two keys' values, column by column.
__device__ inline uint4 rp_few_pairs(const float4 &a, const float4 &b) {
    return make_uint4(rp_pair(a.x, b.x), rp_pair(a.y, b.y), rp_pair(a.z, b.z), rp_pair(a.w, b.w));
}
__device__ inline uint4 rp_few_pairs(const uint2 &a, const uint2 &b) {
    return make_uint4(__byte_perm(a.x, b.x, 0x5410), __byte_perm(a.x, b.x, 0x7632), __byte_perm(a.y, b.y, 0x5410), __byte_perm(a.y, b.y, 0x7632));
}

template <class Raw> __device__ inline void rp_few_weigh(rp_few_rows &rows, const float (&score)[2][4], const Raw (&v)[2][4]) {
    const uint32_t weight[4] = { rp_pair(score[0][0], score[0][1]), rp_pair(score[0][2], score[0][3]), rp_pair(score[1][0], score[1][1]),
                                 rp_pair(score[1][2], score[1][3]) };
#pragma unroll
    for (int c = 0; c < 2; c++) {
        const uint4 low = rp_few_pairs(v[c][0], v[c][1]), high = rp_few_pairs(v[c][2], v[c][3]);
        rp_mma(rows.value[4 * c], weight, low.x, high.x);
        rp_mma(rows.value[4 * c + 1], weight, low.y, high.y);
        rp_mma(rows.value[4 * c + 2], weight, low.z, high.z);
        rp_mma(rows.value[4 * c + 3], weight, low.w, high.w);
    }
}

// Sums of the slices' scores, for each warp of a team.
__device__ inline void rp_few_whole_scores(float (&score)[2][4], float *own, const float *of_team, uint32_t slices, uint32_t team) {
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 8; i++) { own[i * 32 + lane] = score[i / 4][i % 4], score[i / 4][i % 4] = 0; }
    asm volatile("bar.sync %0, %1;" ::"r"(1 + team), "r"(slices * 32) : "memory");   // scores: written by each warp, read by its team
#pragma unroll 1
    for (uint32_t s = 0; s < slices; s++) {
#pragma unroll
        for (int i = 0; i < 8; i++) { score[i / 4][i % 4] += of_team[s * RP_ATTN_FEW_SCORES + i * 32 + lane]; }
    }
}

// Where columns 4 c .. 4 c + 3 of a slice of query `row` lie as float16, so that ldmatrix deals them as keys are dealt.
__device__ inline uint32_t rp_few_query(uint32_t row, uint32_t of, uint32_t c, uint32_t slices) {
    return row * RP_ATTN_FEW_QUERY(slices) + of * 64 + c / 4 * 16 + c % 4 * 2;
}

#endif
