// attn_time on the matrix units, for precision mixed. A group takes RP_ATTN_MIXED_ROWS queries of one series, variate and head, 16
// a warp: paths of a decode step, which share the prompt's keys, or tokens of one path. Keys come in tiles; a decode step's own
// keys, which no other path shares, are multiplied by the plain units, one key of each row after the other.
//   attn_time_mixed        heads of at most 64
//   attn_time_mixed_wide   heads of at most 128
// attn_time_f16_wide takes queries, keys and values as float16. Heads of at most 64 in float16: attn_teams.cuh, attn_time_paths.cuh.
// Included by attn_time.cu.
#ifndef RP_ATTN_MIXED_CUH
#define RP_ATTN_MIXED_CUH

#include "attn_matrix.cuh"

#define MIXED_ROWS RP_ATTN_MIXED_ROWS
#define MIXED_GROUP (2 * MIXED_ROWS)     // a warp for 16 rows
#define MIXED_TILE RP_ATTN_TILE

// Brings n keys, or values, [d] each, to shared memory as float16; zeros past n and past d.
template <int BLOCKS, class T>
__device__ inline void rp_attn_stage(__half *to, const T *from, uint32_t n, uint32_t d, uint32_t width) {
    constexpr int pieces = BLOCKS * 4;       // of four numbers, in a row
#pragma unroll 4
    for (uint32_t i = threadIdx.x; i < MIXED_TILE * pieces; i += MIXED_GROUP) {
        const uint32_t row = i / pieces, column = i % pieces * 4;
        typename rp_four_of<T>::raw x;
        rp_zero4(x);
        if (row < n && column < d) { x = *reinterpret_cast<const typename rp_four_of<T>::raw *>(from + (uint64_t)row * width + column); }
        rp_attn_place<BLOCKS>(to, row, column, x);
    }
}

// One key, and its value, of each row's own.
template <int BLOCKS, class T>
__device__ inline void rp_attn_own(rp_attn_rows<BLOCKS> &rows, const T *const (&k)[2], const T *const (&v)[2], uint32_t d, float scale) {
    const uint32_t part = threadIdx.x % 4;
    constexpr int together = BLOCKS <= 4 || sizeof(T) == 2 ? 2 : 1;          // rows whose numbers are on their way at a time
#pragma unroll
    for (int h0 = 0; h0 < 2; h0 += together) {
        typename rp_four_of<T>::raw key[together][BLOCKS], value[together][BLOCKS];
#pragma unroll
        for (int h = 0; h < together; h++) {
#pragma unroll
            for (int i = 0; i < BLOCKS; i++) { key[h][i] = rp_attn_four(k[h0 + h], i, part, d); }
#pragma unroll
            for (int i = 0; i < BLOCKS; i++) { value[h][i] = rp_attn_four(v[h0 + h], i, part, d); }
        }
#pragma unroll
        for (int h = 0; h < together; h++) {
            const int row = h0 + h;
            float score = 0;
#pragma unroll
            for (int i = 0; i < BLOCKS; i++) {
                const float4 q = rows.q_of(i, row), x = rp_wide4(key[h][i]);
                score = __fmaf_rn(q.w, x.w, __fmaf_rn(q.z, x.z, __fmaf_rn(q.y, x.y, __fmaf_rn(q.x, x.x, score))));
            }
            score += __shfl_xor_sync(0xffffffffu, score, 1);
            score += __shfl_xor_sync(0xffffffffu, score, 2);
            score *= scale;
            const float weight = rp_exp2_fast(score - rows.rise(row, score));
            if (part == 0) { rows.sum[row] += weight; }
#pragma unroll
            for (int i = 0; i < BLOCKS; i++) {
                float *low = &rows.value[2 * i][2 * row], *high = &rows.value[2 * i + 1][2 * row];
                const float4 x = rp_wide4(value[h][i]);
                low[0] = __fmaf_rn(weight, x.x, low[0]), low[1] = __fmaf_rn(weight, x.y, low[1]);
                high[0] = __fmaf_rn(weight, x.z, high[0]), high[1] = __fmaf_rn(weight, x.w, high[1]);
            }
        }
    }
}

template <int BLOCKS, class T> __device__ inline void rp_attn_mixed(const rp_kernel_args<rp_attn_time_params> &args, __half *k_tile, __half *v_tile) {
    const rp_attn_time_params p = args.p;
    const bool decode = p.suffix_cap > 0 && !p.own;          // queries are paths, else tokens of one path
    const uint32_t d = p.head_width, width = p.heads * d, n_rows = decode ? p.paths : p.tokens, blocks = (n_rows + MIXED_ROWS - 1) / MIXED_ROWS;
    uint64_t group = rp_group();
    if (group >= (uint64_t)p.batch * (decode ? 1 : p.paths) * p.variates * p.heads * blocks) { return; }
    const uint32_t row0 = rp_take(group, blocks) * MIXED_ROWS, head = rp_take(group, p.heads), v = rp_take(group, p.variates);
    const uint32_t s = decode ? 0 : rp_take(group, p.paths), b = (uint32_t)group;
    const uint64_t sequence = ((uint64_t)b * p.paths + s) * p.variates + v;                      // of row 0
    const uint64_t next = decode ? p.variates : 1;                                               // from one row to the next, in rows of D
    const uint64_t prefix = ((uint64_t)b * p.variates + v) * p.prefix_cap * width + head * d;
    const uint64_t suffix = sequence * p.suffix_cap * width + head * d;
    const T *q = rp_at<const T>(args, 0) + sequence * p.tokens * width + head * d;       // [d] of [B, S, V, n, h, d]
    const T *k_prefix = rp_at<const T>(args, 1) + prefix, *v_prefix = rp_at<const T>(args, 2) + prefix;   // [B, V, N, h, d]
    const T *k_suffix = rp_at<const T>(args, 3) + suffix, *v_suffix = rp_at<const T>(args, 4) + suffix;   // [B, S, V, R, h, d]
    const uint32_t n_tokens = min(rp_at<const uint32_t>(args, 5)[b] + p.extra, p.prefix_cap);
    const uint32_t n_suffix = p.suffix_cap > 0 ? min(rp_at<const rp_step>(args, 6)->step, p.suffix_cap) : 0;
    const uint32_t alive = decode ? n_rows : min(n_rows, p.own ? n_suffix : n_tokens);           // rows past it write 0
    const uint32_t lane = threadIdx.x % 32, part = lane % 4, low = row0 + threadIdx.x / 32 * 16 + lane / 4;
    const float scale = p.scale * 1.44269504f;                                                   // log2 e

    rp_attn_rows<BLOCKS> rows;
    uint32_t limit[2];                     // of tokens in order: what each row sees
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const uint32_t row = low + 8 * h;
        const T *from = q + min(row, n_rows - 1) * next * width;
        limit[h] = row < alive ? row + 1 : 0;
        rows.top[h] = -RP_INFINITY, rows.sum[h] = 0;
#pragma unroll
        for (int i = 0; i < BLOCKS; i++) {
            const uint2 x = rp_narrow4(rp_attn_four(from, i, part, d));
            rows.q[i][h] = x.x, rows.q[i][2 + h] = x.y;
            rows.value[2 * i][2 * h] = rows.value[2 * i][2 * h + 1] = rows.value[2 * i + 1][2 * h] = rows.value[2 * i + 1][2 * h + 1] = 0;
        }
    }
    // Keys in one or two runs: the prefix, shared or (prompt) the queries' own; then (own) the suffix.
    const uint32_t last = min(row0 + MIXED_ROWS, alive);
#pragma unroll 1
    for (uint32_t run = 0; run < (p.own ? 2u : 1u); run++) {
        const bool ordered = run == 1 || p.suffix_cap == 0;
        const uint32_t n = ordered ? last : n_tokens;
        const uint32_t below[2] = { ordered ? limit[0] : n_tokens, ordered ? limit[1] : n_tokens };
        const T *k = run == 0 ? k_prefix : k_suffix, *values = run == 0 ? v_prefix : v_suffix;
#pragma unroll 1
        for (uint32_t first = 0; first < n && row0 < alive; first += MIXED_TILE) {
            __syncthreads();               // tiles: read by all before they are written again
            rp_attn_stage<BLOCKS, T>(k_tile, k + (uint64_t)first * width, min(MIXED_TILE, n - first), d, width);
            rp_attn_stage<BLOCKS, T>(v_tile, values + (uint64_t)first * width, min(MIXED_TILE, n - first), d, width);
            __syncthreads();               // tiles: written by all, read by all
            rp_attn_tile<BLOCKS>(rows, k_tile, v_tile, d, scale,
                                 [&](int h, int j, int e) { return first + j * 8 + lane % 4 * 2 + e < below[h]; });
        }
    }
    if (decode) {
        const uint64_t to_low = min(low, n_rows - 1) * next * p.suffix_cap * width;
        const uint64_t to_high = min(low + 8, n_rows - 1) * next * p.suffix_cap * width;
#pragma unroll 1
        for (uint32_t i = 0; i < n_suffix; i++) {
            const T *const k[2] = { k_suffix + to_low + i * width, k_suffix + to_high + i * width };
            const T *const values[2] = { v_suffix + to_low + i * width, v_suffix + to_high + i * width };
            rp_attn_own<BLOCKS, T>(rows, k, values, d, scale);
        }
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const uint32_t row = low + 8 * h;
        float sum = rows.sum[h];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        const float inverse = row < alive && sum > 0.0f ? 1.0f / sum : 0.0f;
        const uint64_t at = (sequence * p.tokens + (uint64_t)row * next) * width + head * d + part * 4;   // of y [B, S, V, n, h, d]
#pragma unroll
        for (int i = 0; i < BLOCKS; i++) {
            if (row >= n_rows || i * 16 + part * 4 >= d) { continue; }
            const float *x = &rows.value[2 * i][2 * h], *z = &rows.value[2 * i + 1][2 * h];
            const float4 y = make_float4(x[0] * inverse, x[1] * inverse, z[0] * inverse, z[1] * inverse);
            if (p.y_f16) {
                *reinterpret_cast<uint2 *>(rp_at<__half>(args, 7) + at + i * 16) = make_uint2(rp_pair(y.x, y.y), rp_pair(y.z, y.w));
            } else {
                *reinterpret_cast<float4 *>(rp_at<float>(args, 7) + at + i * 16) = y;
            }
        }
    }
}

#define RP_ATTN_MIXED(name, blocks, type)                                                                                         \
    extern "C" __global__ void __launch_bounds__(MIXED_GROUP, blocks > 4 ? 2 : 3) name(const rp_kernel_args<rp_attn_time_params> args) { \
        rp_begin();                                                                                                            \
        __shared__ __align__(16) __half k_tile[MIXED_TILE * (blocks * 16 + 8)], v_tile[MIXED_TILE * (blocks * 16 + 8)];         \
        rp_attn_mixed<blocks, type>(args, k_tile, v_tile);                                                                      \
    }
RP_ATTN_MIXED(attn_time_mixed, 4, float)
RP_ATTN_MIXED(attn_time_mixed_wide, 8, float)
RP_ATTN_MIXED(attn_time_f16_wide, 8, __half)

#endif
