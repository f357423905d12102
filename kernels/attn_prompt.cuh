// attn_time on the matrix units for many queries of one path, a prompt's or an own window's, all float16, heads of at most 64 in whole
// pieces of four. A team of warps takes 16 queries each and copies tiles of keys and values to shared memory, the next one while it works
// on one; masks only where a query's own key lies. Keys: those of the prefix, then the path's own, as if they lay one behind the other.
// Where blocks of queries are few, several teams of a group share the keys, every so many tiles each; what they have is joined at the end.
//   attn_time_f16_teams_1   blocks of 64 queries
//   attn_time_f16_teams_T   T teams, blocks of 128 / T
// Included by attn_time.cu.
#ifndef RP_ATTN_PROMPT_CUH
#define RP_ATTN_PROMPT_CUH

#include "attn_matrix.cuh"
#include "exp.cuh"

#define PROMPT_HEAD RP_ATTN_MIXED_HEAD
#define PROMPT_PITCH RP_ATTN_PROMPT_PITCH
#define PROMPT_JOIN (PROMPT_HEAD + 8)         // float32 from one query's values to the next's, where teams join

// The queries of one head and their keys: n of them, as many of which as there are in the prefix come first.
struct rp_prompt_keys {
    const __half *k_prefix, *v_prefix;        // of key 0, `width` apart
    const __half *k_own, *v_own;              // where key 0 would lie if all were the path's own
    uint32_t n_prefix, n, width, d;
};

// PIECE numbers on their way to shared memory; zeros where not live.
template <int PIECE> __device__ inline void rp_prompt_copy(__half *to, const __half *from, bool live) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(to);
    if constexpr (PIECE == 8) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from), "r"(live ? 16 : 0) : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared), "l"(from), "r"(live ? 8 : 0) : "memory");
    }
}

// Brings a tile of keys and values, from key `first` on, to shared memory; zeros past n.
template <int TEAM, int TILE, int PIECE>
__device__ inline void rp_prompt_pieces(__half *k, __half *v, const rp_prompt_keys &w, uint32_t first) {
    constexpr uint32_t across = PROMPT_HEAD / PIECE, down = TEAM / across;
    const uint32_t thread = threadIdx.x % TEAM, column = thread % across * PIECE, row = thread / across, at = row * PROMPT_PITCH + column;
    if (column >= w.d) { return; }
    if (first + TILE <= w.n_prefix || (first >= w.n_prefix && first + TILE <= w.n)) {
        const uint64_t from = (uint64_t)(first + row) * w.width + column;
        const __half *key = (first < w.n_prefix ? w.k_prefix : w.k_own) + from, *value = (first < w.n_prefix ? w.v_prefix : w.v_own) + from;
#pragma unroll
        for (uint32_t i = 0; i < TILE / down; i++) {
            rp_prompt_copy<PIECE>(k + at + i * down * PROMPT_PITCH, key + (uint64_t)(i * down) * w.width, true);
            rp_prompt_copy<PIECE>(v + at + i * down * PROMPT_PITCH, value + (uint64_t)(i * down) * w.width, true);
        }
        return;
    }
#pragma unroll 1
    for (uint32_t i = 0; i < TILE / down; i++) {
        const uint32_t c = min(first + row + i * down, w.n - 1);
        const uint64_t from = (uint64_t)c * w.width + column;
        const bool live = first + row + i * down < w.n, shared = c < w.n_prefix;
        rp_prompt_copy<PIECE>(k + at + i * down * PROMPT_PITCH, (shared ? w.k_prefix : w.k_own) + from, live);
        rp_prompt_copy<PIECE>(v + at + i * down * PROMPT_PITCH, (shared ? w.v_prefix : w.v_own) + from, live);
    }
}
template <int TEAM, int TILE> __device__ inline void rp_prompt_stage(__half *k, __half *v, const rp_prompt_keys &w, uint32_t first) {
    if (w.d % 8 == 0) {
        rp_prompt_pieces<TEAM, TILE, 8>(k, v, w, first);
    } else {
        rp_prompt_pieces<TEAM, TILE, 4>(k, v, w, first);
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Rows `low` and `low` + 8 of a warp. Columns 8 j + 2 (lane % 4) and the next: value[j][2 h], [2 h + 1] of row h.
struct rp_prompt_rows {
    uint32_t q[PROMPT_HEAD / 16][4];
    float value[PROMPT_HEAD / 8][4];
    float top[2], sum[2];                     // of scores before they are scaled; this lane's part of the sum
};

// One tile of keys; of row h, those below below[h] are seen, or (whole) all.
template <int TILE>
__device__ inline void rp_prompt_tile(rp_prompt_rows &rows, const __half *k, const __half *v, float scale, bool whole, const uint32_t (&below)[2]) {
    const uint32_t lane = threadIdx.x % 32;
    float score[TILE / 8][4] = { { 0 } };
#pragma unroll
    for (int i = 0; i < PROMPT_HEAD / 16; i++) {
#pragma unroll
        for (int j = 0; j < TILE / 16; j++) {            // blocks: keys 0-7 at columns 0-7 and 8-15, then keys 8-15
            uint32_t b[4];
            rp_load_blocks(b, k + (j * 16 + lane / 16 * 8 + lane % 8) * PROMPT_PITCH + i * 16 + lane / 8 % 2 * 8);
            rp_mma(score[2 * j], rows.q[i], b[0], b[1]);
            rp_mma(score[2 * j + 1], rows.q[i], b[2], b[3]);
        }
    }
    if (!whole) {
#pragma unroll
        for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) { score[j][e] = j * 8 + lane % 4 * 2 + e % 2 < below[e / 2] ? score[j][e] : -RP_INFINITY; }
        }
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float most = score[0][2 * h];
#pragma unroll
        for (int j = 0; j < TILE / 8; j++) { most = fmaxf(most, fmaxf(score[j][2 * h], score[j][2 * h + 1])); }
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
        const float above = fmaxf(rows.top[h], most), from = above == -RP_INFINITY ? 0.0f : above * scale;
        const float fade = rp_exp2_fast(__fmaf_rn(rows.top[h], scale, -from));
        float sum = 0;
        rows.top[h] = above;
#pragma unroll
        for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
            for (int e = 2 * h; e < 2 * h + 2; e++) {
                score[j][e] = rp_exp2_fast(__fmaf_rn(score[j][e], scale, -from));
                sum += score[j][e];
            }
        }
        rows.sum[h] = __fmaf_rn(rows.sum[h], fade, sum);
#pragma unroll
        for (int j = 0; j < PROMPT_HEAD / 8; j++) { rows.value[j][2 * h] *= fade, rows.value[j][2 * h + 1] *= fade; }
    }
#pragma unroll
    for (int i = 0; i < TILE / 16; i++) {
        const uint32_t weight[4] = { rp_pair(score[2 * i][0], score[2 * i][1]), rp_pair(score[2 * i][2], score[2 * i][3]),
                                     rp_pair(score[2 * i + 1][0], score[2 * i + 1][1]), rp_pair(score[2 * i + 1][2], score[2 * i + 1][3]) };
#pragma unroll
        for (int j = 0; j < PROMPT_HEAD / 16; j++) {     // blocks: columns 0-7 of keys 0-7 and 8-15, then columns 8-15
            uint32_t b[4];
            rp_load_turned(b, v + (i * 16 + lane % 16) * PROMPT_PITCH + j * 16 + lane / 16 * 8);
            rp_mma(rows.value[2 * j], weight, b[0], b[1]);
            rp_mma(rows.value[2 * j + 1], weight, b[2], b[3]);
        }
    }
}

// Joins what the teams have of 16 WARPS queries, a warp's after the other's in shared memory, and writes it.
template <int WARPS, int TEAMS>
__device__ inline void rp_prompt_join(const rp_prompt_rows &rows, float *memory, const float (&sum)[2], float scale, uint32_t rows_n, uint32_t alive,
                                      void *y, uint64_t at, uint32_t width, uint32_t d, bool f16) {
    constexpr uint32_t queries = 16 * WARPS, pieces = PROMPT_HEAD / 4;
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, part = lane % 4, low = warp * 16 + lane / 4;
    float *tops = memory + queries * TEAMS * PROMPT_JOIN, *sums = tops + queries * TEAMS;
    __syncthreads();                          // tiles: read by all before their memory is written
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (part == 0) { tops[low + 8 * h] = rows.top[h] * scale, sums[low + 8 * h] = sum[h]; }
#pragma unroll
        for (int j = 0; j < PROMPT_HEAD / 8; j++) {
            *reinterpret_cast<float2 *>(memory + (low + 8 * h) * PROMPT_JOIN + j * 8 + part * 2) =
                make_float2(rows.value[j][2 * h], rows.value[j][2 * h + 1]);
        }
    }
    __syncthreads();                          // what teams have: written by all, read by all
#pragma unroll
    for (uint32_t i = threadIdx.x; i < queries * pieces; i += 32 * WARPS * TEAMS) {
        const uint32_t row = i / pieces, column = i % pieces * 4;
        float top = tops[row], factor[TEAMS], all = 0;
        float4 x = make_float4(0, 0, 0, 0);
        if (row >= rows_n || column >= d) { continue; }
#pragma unroll
        for (uint32_t t = 1; t < TEAMS; t++) { top = fmaxf(top, tops[t * queries + row]); }
#pragma unroll
        for (uint32_t t = 0; t < TEAMS; t++) {
            factor[t] = top == -RP_INFINITY ? 0.0f : rp_exp2_fast(tops[t * queries + row] - top);
            all = __fmaf_rn(factor[t], sums[t * queries + row], all);
        }
#pragma unroll
        for (uint32_t t = 0; t < TEAMS; t++) {
            const float4 z = *reinterpret_cast<const float4 *>(memory + (t * queries + row) * PROMPT_JOIN + column);
            x.x = __fmaf_rn(factor[t], z.x, x.x), x.y = __fmaf_rn(factor[t], z.y, x.y);
            x.z = __fmaf_rn(factor[t], z.z, x.z), x.w = __fmaf_rn(factor[t], z.w, x.w);
        }
        const float inverse = 1.0f / all;
        x = row < alive ? make_float4(x.x * inverse, x.y * inverse, x.z * inverse, x.w * inverse) : make_float4(0, 0, 0, 0);
        const uint64_t to = at + (uint64_t)row * width + column;
        if (f16) {
            *reinterpret_cast<uint2 *>(static_cast<__half *>(y) + to) = rp_narrow4(x);
        } else {
            *reinterpret_cast<float4 *>(static_cast<float *>(y) + to) = x;
        }
    }
}

// Teams of WARPS warps, tiles of TILE keys.
template <int WARPS, int TEAMS, int TILE> __device__ inline void rp_attn_prompt(const rp_kernel_args<rp_attn_time_params> &args, __half *memory) {
    constexpr uint32_t block = 16 * WARPS, team_of = 32 * WARPS, half = TILE * PROMPT_PITCH;
    const rp_attn_time_params p = args.p;
    const uint32_t d = p.head_width, width = p.heads * d, blocks = (p.tokens + block - 1) / block, sets = p.batch * p.paths * p.variates * p.heads;
    uint64_t group = rp_group();
    if (group >= (uint64_t)sets * blocks) { return; }
    const uint32_t set = rp_take(group, sets), row0 = (blocks - 1 - (uint32_t)group) * block;    // those that see most keys begin first
    const uint32_t head = set % p.heads, sequence = set / p.heads, variate = sequence % p.variates, b = sequence / (p.paths * p.variates);
    const uint64_t at = ((uint64_t)sequence * p.tokens + row0) * width + head * d;                // of row 0, in q and y [B, S, V, n, h, d]
    const uint64_t prefix = ((uint64_t)b * p.variates + variate) * p.prefix_cap * width + head * d;   // of k and v [B, V, N, h, d]
    rp_wait();
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 5)[b] + p.extra, before = p.own ? min(n_tokens, p.prefix_cap) : 0;
    const uint32_t alive_all = min(p.tokens, p.own ? min(rp_at<const rp_step>(args, 6)->step, p.suffix_cap) : n_tokens);
    const uint32_t alive = alive_all > row0 ? alive_all - row0 : 0;                               // rows past it write 0
    const uint32_t n = alive > 0 ? before + row0 + min(block, alive) : 0;                         // keys of the last query
    const int64_t own = (int64_t)((uint64_t)sequence * p.suffix_cap * width + head * d) - (int64_t)((uint64_t)before * width);   // [B, S, V, R, h, d]
    const rp_prompt_keys keys = { rp_at<const __half>(args, 1) + prefix, rp_at<const __half>(args, 2) + prefix,
                                  rp_at<const __half>(args, 3) + own, rp_at<const __half>(args, 4) + own, p.own ? before : n, n, width, d };
    const uint32_t warp = threadIdx.x / 32, team = warp / WARPS, lane = threadIdx.x % 32, part = lane % 4;
    const uint32_t first_row = warp % WARPS * 16, low = first_row + lane / 4, tiles = (n + TILE - 1) / TILE;
    const uint32_t warp_n = first_row < alive ? before + row0 + min(first_row + 16, alive) : 0;   // keys of the warp's last query
    const float scale = p.scale * 1.44269504f;                                                    // log2 e
    __half *tile = memory + team * 4 * half;                                                      // keys, values, and again

    if (team < tiles) { rp_prompt_stage<team_of, TILE>(tile, tile + half, keys, team * TILE); }
    const __half *q = rp_at<const __half>(args, 0) + at;
    rp_prompt_rows rows;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const __half *from = q + (uint64_t)min(low + 8 * h, p.tokens - row0 - 1) * width + part * 2;
        rows.top[h] = -RP_INFINITY, rows.sum[h] = 0;
#pragma unroll
        for (int i = 0; i < PROMPT_HEAD / 8; i++) {
            rows.q[i / 2][i % 2 * 2 + h] = i * 8 + part * 2 < d ? *reinterpret_cast<const uint32_t *>(from + i * 8) : 0;
            rows.value[i][2 * h] = rows.value[i][2 * h + 1] = 0;
        }
    }
    for (uint32_t i = threadIdx.x % team_of; i < TILE * 2; i += team_of) {                        // keys are 0 past d
        __half *row = tile + i / TILE * 2 * half + i % TILE * PROMPT_PITCH;
        for (uint32_t column = d; column < PROMPT_HEAD; column += 4) { *reinterpret_cast<uint2 *>(row + column) = make_uint2(0, 0); }
    }
    uint32_t which = 0;
#pragma unroll 1
    for (uint32_t t = team; t < tiles; t += TEAMS) {
        asm volatile("cp.async.wait_group 0;" ::: "memory");
        if constexpr (TEAMS == 1) {
            __syncthreads();                  // tile: written by all, read by all; the other: read by all before it is written again
        } else {
            rp_named_barrier(1 + team, team_of);
        }
        const uint32_t first = t * TILE, limit = before + row0 + low + 1;
        const uint32_t below[2] = { limit > first ? limit - first : 0, limit + 8 > first ? limit + 8 - first : 0 };
        __half *next = tile + (which ^ 1) * 2 * half, *now = tile + which * 2 * half;
        if (t + TEAMS < tiles) { rp_prompt_stage<team_of, TILE>(next, next + half, keys, first + TEAMS * TILE); }
        which ^= 1;
        if (first >= warp_n) { continue; }
        rp_prompt_tile<TILE>(rows, now, now + half, scale, first + TILE <= before + row0 + first_row + 1, below);
    }
    float sum[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        sum[h] = rows.sum[h];
        sum[h] += __shfl_xor_sync(0xffffffffu, sum[h], 1);
        sum[h] += __shfl_xor_sync(0xffffffffu, sum[h], 2);
    }
    if constexpr (TEAMS > 1) {
        rp_prompt_join<WARPS, TEAMS>(rows, reinterpret_cast<float *>(memory), sum, scale, p.tokens - row0, alive, rp_at<void>(args, 7), at, width, d,
                                     p.y_f16 != 0);
    } else {
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const uint32_t row = low + 8 * h;
            const bool live = row < alive;
            const float inverse = 1.0f / sum[h];
            const uint64_t to = at + (uint64_t)row * width + part * 2;
            if (row >= p.tokens - row0) { continue; }
#pragma unroll
            for (int j = 0; j < PROMPT_HEAD / 8; j++) {
                if (j * 8 + part * 2 >= d) { continue; }
                const float x = live ? rows.value[j][2 * h] * inverse : 0.0f, z = live ? rows.value[j][2 * h + 1] * inverse : 0.0f;
                if (p.y_f16) {
                    *reinterpret_cast<uint32_t *>(rp_at<__half>(args, 7) + to + j * 8) = rp_pair(x, z);
                } else {
                    *reinterpret_cast<float2 *>(rp_at<float>(args, 7) + to + j * 8) = make_float2(x, z);
                }
            }
        }
    }
}

#define RP_ATTN_PROMPT(name, teams, groups)                                                                                     \
    extern "C" __global__ void __launch_bounds__(2 * (teams) * RP_ATTN_PROMPT_BLOCK(teams), groups)                             \
    name(const rp_kernel_args<rp_attn_time_params> args) {                                                                      \
        extern __shared__ __align__(16) float prompt_memory[];                                                                  \
        rp_release_few();                                                                                                       \
        rp_attn_prompt<RP_ATTN_PROMPT_BLOCK(teams) / 16, teams, RP_ATTN_PROMPT_TILE(teams)>(args, reinterpret_cast<__half *>(prompt_memory)); \
    }
RP_ATTN_PROMPT(attn_time_f16_teams_1, 1, 3)
RP_ATTN_PROMPT(attn_time_f16_teams_2, 2, 1)
RP_ATTN_PROMPT(attn_time_f16_teams_4, 4, 1)
RP_ATTN_PROMPT(attn_time_f16_teams_8, 8, 1)

#endif
