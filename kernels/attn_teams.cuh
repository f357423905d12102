// Many queries that share keys (a prompt's, an own window's, a call's tokens) on the matrix units by mma.sync (sm_80 and later), all
// float16, heads in whole pieces of four. A warp has 16 queries in registers; a team of warps copies tiles of keys and values to shared
// memory, the next one while it works on one; a tile that all of a warp's queries see is not masked. Where blocks of queries are few, several
// teams of a group share the keys, every so many tiles each, and what they have is joined at the end. Heads that begin at half of a piece
// of 16 bytes (52 wide, every second one) are copied with columns of the heads beside them, at which the query is 0. In powers of two:
// exp(x) = 2^(x log2 e). Included by attn_time_tiled.cuh and block_attn.cu.
#ifndef RP_ATTN_TEAMS_CUH
#define RP_ATTN_TEAMS_CUH

#include "attn_matrix.cuh"
#include "attn_tiled.cuh"

#define TEAMS_PITCH(head) ((head) + 8)        // float16 from one key to the next: an odd number of 16 bytes
#define TEAMS_JOIN (RP_ATTN_MIXED_HEAD + 8)   // float32 from one query's values to the next's, where teams join

// PIECE numbers on their way to an address in shared memory; zeros where not live.
template <int PIECE> __device__ inline void rp_teams_copy(uint32_t shared, const __half *from, bool live) {
    if constexpr (PIECE == 8) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from), "r"(live ? 16 : 0) : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared), "l"(from), "r"(live ? 8 : 0) : "memory");
    }
}

// What a tile has of a row: so many columns, the head's from `before` on; in whole pieces of 16 bytes, or else of 8.
struct rp_teams_columns { uint32_t before, all; bool whole; };
template <int HEAD> __device__ inline rp_teams_columns rp_teams_columns_of(const rp_tiled_work<__half> &w) {
    const auto past = [](const __half *p) { return (uint32_t)(reinterpret_cast<uint64_t>(p) % 16 / sizeof(__half)); };
    const uint32_t before = past(w.k_prefix), all = (before + w.head_width + 7) / 8 * 8;
    const bool alike = past(w.v_prefix) == before && past(w.k_own) == before && past(w.v_own) == before;
    if (!alike || all > HEAD || w.width % 8 != 0) { return { 0, w.head_width, false }; }
    return { before, all, true };
}

// Brings a tile of keys and values, from key `first` on, to shared memory; zeros from key n on.
template <int HEAD, int TEAM, int TILE, int PIECE>
__device__ inline void rp_teams_pieces(__half *k, __half *v, const rp_tiled_work<__half> &w, const rp_teams_columns &columns, uint32_t first,
                                       uint32_t n) {
    constexpr uint32_t across = HEAD / PIECE, down = TEAM / across;
    const uint32_t thread = threadIdx.x % TEAM, column = thread % across * PIECE, row = thread / across, step = 2 * down * TEAMS_PITCH(HEAD);
    const uint32_t at = 2 * (row * TEAMS_PITCH(HEAD) + column);
    const uint32_t to_k = (uint32_t)__cvta_generic_to_shared(k) + at, to_v = (uint32_t)__cvta_generic_to_shared(v) + at;
    if (column >= columns.all) { return; }
    if (first + TILE <= n && (first + TILE <= w.n_prefix || first >= w.n_prefix)) {
        const uint64_t from = (uint64_t)(first + row) * w.width + column - columns.before;
        const __half *key = (first < w.n_prefix ? w.k_prefix : w.k_own) + from, *value = (first < w.n_prefix ? w.v_prefix : w.v_own) + from;
#pragma unroll
        for (uint32_t i = 0; i < TILE / down; i++) {
            rp_teams_copy<PIECE>(to_k + i * step, key + (uint64_t)(i * down) * w.width, true);
            rp_teams_copy<PIECE>(to_v + i * step, value + (uint64_t)(i * down) * w.width, true);
        }
        return;
    }
#pragma unroll 1
    for (uint32_t i = 0; i < TILE / down; i++) {
        const uint32_t c = min(first + row + i * down, n - 1);
        const uint64_t from = (uint64_t)c * w.width + column - columns.before;
        const bool live = first + row + i * down < n, shared = c < w.n_prefix;
        rp_teams_copy<PIECE>(to_k + i * step, (shared ? w.k_prefix : w.k_own) + from, live);
        rp_teams_copy<PIECE>(to_v + i * step, (shared ? w.v_prefix : w.v_own) + from, live);
    }
}
template <int HEAD, int TEAM, int TILE>
__device__ inline void rp_teams_stage(__half *tile, const rp_tiled_work<__half> &w, const rp_teams_columns &columns, uint32_t first, uint32_t n) {
    __half *v = tile + TILE * TEAMS_PITCH(HEAD);
    if (columns.whole) {
        rp_teams_pieces<HEAD, TEAM, TILE, 8>(tile, v, w, columns, first, n);
    } else {
        rp_teams_pieces<HEAD, TEAM, TILE, 4>(tile, v, w, columns, first, n);
    }
    rp_copy_commit();
}

// Rows `low` and `low` + 8 of a warp, numbered h. Columns 8 j + 2 (lane % 4) and the next: value[j][2 h], [2 h + 1].
template <int HEAD> struct rp_teams_rows {
    uint32_t q[HEAD / 16][4];
    float value[HEAD / 8][4];
    float top[2], sum[2];                     // of scores before they are scaled; this lane's part of the sum
};

// Queries `low` and `low` + 8, and nothing of any key. before: columns of a tile in front of the head's.
template <int HEAD> __device__ inline void rp_teams_begin(rp_teams_rows<HEAD> &rows, const rp_tiled_work<__half> &w, uint32_t before, uint32_t low) {
    const uint32_t part = threadIdx.x % 4;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const __half *from = w.q + (uint64_t)(low + 8 * h < w.alive ? low + 8 * h : 0) * w.q_width;
        rows.top[h] = -RP_INFINITY, rows.sum[h] = 0;
#pragma unroll
        for (int i = 0; i < HEAD / 8; i++) {
            const uint32_t column = i * 8 + part * 2 - before;                // in front of the head's first: past its last
            rows.q[i / 2][i % 2 * 2 + h] = w.alive > 0 && column < w.head_width ? *reinterpret_cast<const uint32_t *>(from + column) : 0;
            rows.value[i][2 * h] = rows.value[i][2 * h + 1] = 0;
        }
    }
}

// The sums of all lanes.
template <int HEAD> __device__ inline void rp_teams_sum(rp_teams_rows<HEAD> &rows) {
#pragma unroll
    for (int h = 0; h < 2; h++) {
        rows.sum[h] += __shfl_xor_sync(0xffffffffu, rows.sum[h], 1);
        rows.sum[h] += __shfl_xor_sync(0xffffffffu, rows.sum[h], 2);
    }
}

// Writes rows `low` and `low` + 8.
template <int HEAD>
__device__ inline void rp_teams_write(const rp_teams_rows<HEAD> &rows, const rp_tiled_work<__half> &w, uint32_t before, uint32_t low) {
    const uint32_t part = threadIdx.x % 4;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const uint32_t row = low + 8 * h;
        const bool live = row < w.alive && rows.sum[h] > 0.0f;
        const float inverse = 1.0f / rows.sum[h];
        if (row >= w.rows) { continue; }
#pragma unroll
        for (int j = 0; j < HEAD / 8; j++) {
            const uint32_t column = j * 8 + part * 2 - before;
            const uint64_t to = w.at + (uint64_t)row * w.q_width + column;
            if (column >= w.head_width) { continue; }
            const float x = live ? rows.value[j][2 * h] * inverse : 0.0f, z = live ? rows.value[j][2 * h + 1] * inverse : 0.0f;
            if (w.y_f16) {
                *reinterpret_cast<uint32_t *>(static_cast<__half *>(w.y) + to) = rp_pair(x, z);
            } else {
                *reinterpret_cast<float2 *>(static_cast<float *>(w.y) + to) = make_float2(x, z);
            }
        }
    }
}

// Of thirty-two keys from `first` on those before `limit`, as bits.
__device__ inline uint32_t rp_teams_before(uint32_t first, uint32_t limit) {
    const uint32_t count = limit > first ? limit - first : 0;
    return count >= 32 ? 0xffffffffu : (1u << count) - 1;
}

// Scores of a tile become weights. Where not all keys are seen (whole), row h sees those at the bits of seen[h]: key 8 j + 2 (lane % 4) + e at
// bit 8 j + e.
template <int HEAD, int TILE>
__device__ inline void rp_teams_weights(rp_teams_rows<HEAD> &rows, float (&score)[TILE / 8][4], float scale, bool whole,
                                        const uint32_t (&seen)[2][TILE / 32]) {
    if (!whole) {
#pragma unroll
        for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) { score[j][e] = (seen[e / 2][j / 4] >> (j % 4 * 8 + e % 2) & 1) != 0 ? score[j][e] : -RP_INFINITY; }
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
        for (int j = 0; j < HEAD / 8; j++) { rows.value[j][2 * h] *= fade, rows.value[j][2 * h + 1] *= fade; }
    }
}
// Those of keys 16 i .. 16 i + 15, as the units take them.
template <int TILE> __device__ inline void rp_teams_rounded(uint32_t (&to)[4], const float (&weight)[TILE / 8][4], int i) {
    to[0] = rp_pair(weight[2 * i][0], weight[2 * i][1]), to[1] = rp_pair(weight[2 * i][2], weight[2 * i][3]);
    to[2] = rp_pair(weight[2 * i + 1][0], weight[2 * i + 1][1]), to[3] = rp_pair(weight[2 * i + 1][2], weight[2 * i + 1][3]);
}

// One tile of keys.
template <int HEAD, int TILE>
__device__ inline void rp_teams_tile(rp_teams_rows<HEAD> &rows, const __half *k, float scale, bool whole, const uint32_t (&seen)[2][TILE / 32]) {
    const uint32_t lane = threadIdx.x % 32;
    const __half *v = k + TILE * TEAMS_PITCH(HEAD);
    float score[TILE / 8][4] = { { 0 } };
#pragma unroll
    for (int i = 0; i < HEAD / 16; i++) {
#pragma unroll
        for (int j = 0; j < TILE / 16; j++) {            // blocks: keys 0-7 at columns 0-7 and 8-15, then keys 8-15
            uint32_t b[4];
            rp_load_blocks(b, k + (j * 16 + lane / 16 * 8 + lane % 8) * TEAMS_PITCH(HEAD) + i * 16 + lane / 8 % 2 * 8);
            rp_mma(score[2 * j], rows.q[i], b[0], b[1]);
            rp_mma(score[2 * j + 1], rows.q[i], b[2], b[3]);
        }
    }
    rp_teams_weights<HEAD, TILE>(rows, score, scale, whole, seen);
#pragma unroll
    for (int i = 0; i < TILE / 16; i++) {
        uint32_t weight[4];
        rp_teams_rounded<TILE>(weight, score, i);
#pragma unroll
        for (int j = 0; j < HEAD / 16; j++) {            // blocks: columns 0-7 of keys 0-7 and 8-15, then columns 8-15
            uint32_t b[4];
            rp_load_turned(b, v + (i * 16 + lane % 16) * TEAMS_PITCH(HEAD) + j * 16 + lane / 16 * 8);
            rp_mma(rows.value[2 * j], weight, b[0], b[1]);
            rp_mma(rows.value[2 * j + 1], weight, b[2], b[3]);
        }
    }
}

// Joins what the teams have of 16 WARPS queries, a warp's after the other's in shared memory, and writes it.
template <int WARPS, int TEAMS>
__device__ inline void rp_teams_join(const rp_teams_rows<RP_ATTN_MIXED_HEAD> &rows, float *memory, const rp_tiled_work<__half> &w, uint32_t before,
                                     float scale, uint32_t row0) {
    constexpr uint32_t queries = 16 * WARPS, pieces = RP_ATTN_MIXED_HEAD / 4;
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, part = lane % 4, low = warp * 16 + lane / 4;
    float *tops = memory + queries * TEAMS * TEAMS_JOIN, *sums = tops + queries * TEAMS;
    __syncthreads();                          // tiles: read by all before their memory is written
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (part == 0) { tops[low + 8 * h] = rows.top[h] * scale, sums[low + 8 * h] = rows.sum[h]; }
#pragma unroll
        for (int j = 0; j < RP_ATTN_MIXED_HEAD / 8; j++) {
            *reinterpret_cast<float2 *>(memory + (low + 8 * h) * TEAMS_JOIN + j * 8 + part * 2) =
                make_float2(rows.value[j][2 * h], rows.value[j][2 * h + 1]);
        }
    }
    __syncthreads();                          // what teams have: written by all, read by all
#pragma unroll
    for (uint32_t i = threadIdx.x; i < queries * pieces; i += 32 * WARPS * TEAMS) {
        const uint32_t line = i / pieces, place = i % pieces * 4, column = place - before, row = row0 + line;
        float top = tops[line], factor[TEAMS], all = 0;
        float4 x = make_float4(0, 0, 0, 0);
        if (row >= w.rows || column >= w.head_width) { continue; }
#pragma unroll
        for (uint32_t t = 1; t < TEAMS; t++) { top = fmaxf(top, tops[t * queries + line]); }
#pragma unroll
        for (uint32_t t = 0; t < TEAMS; t++) {
            factor[t] = top == -RP_INFINITY ? 0.0f : rp_exp2_fast(tops[t * queries + line] - top);
            all = __fmaf_rn(factor[t], sums[t * queries + line], all);
        }
#pragma unroll
        for (uint32_t t = 0; t < TEAMS; t++) {
            const float4 z = *reinterpret_cast<const float4 *>(memory + (t * queries + line) * TEAMS_JOIN + place);
            x.x = __fmaf_rn(factor[t], z.x, x.x), x.y = __fmaf_rn(factor[t], z.y, x.y);
            x.z = __fmaf_rn(factor[t], z.z, x.z), x.w = __fmaf_rn(factor[t], z.w, x.w);
        }
        const bool live = row < w.alive && all > 0.0f;
        const float inverse = 1.0f / all;
        x = live ? make_float4(x.x * inverse, x.y * inverse, x.z * inverse, x.w * inverse) : make_float4(0, 0, 0, 0);
        const uint64_t to = w.at + (uint64_t)row * w.q_width + column;
        if (w.y_f16) {
            *reinterpret_cast<uint2 *>(static_cast<__half *>(w.y) + to) = rp_narrow4(x);
        } else {
            *reinterpret_cast<float4 *>(static_cast<float *>(w.y) + to) = x;
        }
    }
}

// The block of queries from row0 on.
template <int HEAD, int TEAMS, class Keys>
__device__ inline void rp_attn_teams(const rp_tiled_work<__half> &w, const Keys &keys, uint32_t row0, __half *memory) {
    constexpr uint32_t WARPS = RP_ATTN_TEAMS_BLOCK(TEAMS) / 16, TILE = RP_ATTN_TEAMS_TILE(TEAMS), TEAM = 32 * WARPS;
    constexpr uint32_t both = 2 * TILE * TEAMS_PITCH(HEAD);                                       // keys and values of a tile
    const rp_teams_columns columns = rp_teams_columns_of<HEAD>(w);
    const uint32_t n = row0 < w.alive ? w.before + min(row0 + 16 * WARPS, w.alive) : 0, tiles = (n + TILE - 1) / TILE;
    const uint32_t warp = threadIdx.x / 32, team = warp / WARPS, lane = threadIdx.x % 32, part = lane % 4;
    const uint32_t first_row = row0 + warp % WARPS * 16, low = first_row + lane / 4;
    const uint32_t warp_n = first_row < w.alive ? w.before + min(first_row + 16, w.alive) : 0;    // keys of the warp's last query
    const float scale = w.scale * 1.44269504f;                                                    // log2 e
    __half *tile = memory + team * 2 * both;

    bool next_hidden[TILE / 32] = { false }, own[2] = { false, false }, any_own = false;
    if (team < tiles) { rp_teams_stage<HEAD, TEAM, TILE>(tile, w, columns, team * TILE, n); }
    if constexpr (Keys::some) {
#pragma unroll
        for (int i = 0; i < TILE / 32; i++) { next_hidden[i] = keys.hidden(team * TILE + 32 * i + lane); }
    }
    if constexpr (Keys::some) {
#pragma unroll
        for (int h = 0; h < 2; h++) { own[h] = low + 8 * h < w.alive && keys.hidden(w.before + low + 8 * h); }
    }
    rp_teams_rows<HEAD> rows;
    rp_teams_begin(rows, w, columns.before, low);
    if constexpr (Keys::some) { any_own = __any_sync(0xffffffffu, own[0] || own[1]); }
    for (uint32_t i = threadIdx.x % TEAM; i < TILE * 2; i += TEAM) {                              // keys are 0 past these
        __half *row = tile + i / TILE * both + i % TILE * TEAMS_PITCH(HEAD);
        for (uint32_t column = columns.all; column < HEAD; column += 4) { *reinterpret_cast<uint2 *>(row + column) = make_uint2(0, 0); }
    }
    uint32_t which = 0;
#pragma unroll 1
    for (uint32_t round = 0; round < tiles; round += TEAMS) {
        const uint32_t t = round + team, first = t * TILE;
        rp_copy_wait<0>();
        __syncthreads();                      // tile: written by the team, read by it; the other: read by it before it is written again
        if (t >= tiles) { continue; }
        const __half *now = tile + which * both;
        which ^= 1;
        if (t + TEAMS < tiles) { rp_teams_stage<HEAD, TEAM, TILE>(tile + which * both, w, columns, first + TEAMS * TILE, n); }
        uint32_t hidden[TILE / 32] = { 0 }, seen[2][TILE / 32];
        bool whole = first + TILE <= w.before + first_row + 1;
        if constexpr (Keys::some) {
#pragma unroll
            for (int i = 0; i < TILE / 32; i++) {
                hidden[i] = __ballot_sync(0xffffffffu, next_hidden[i]);
                next_hidden[i] = keys.hidden(first + TEAMS * TILE + 32 * i + lane);
                whole = whole && hidden[i] == 0 && !any_own;
            }
        }
        if (first >= warp_n) { continue; }
#pragma unroll
        for (int h = 0; h < 2; h++) {
#pragma unroll
            for (int i = 0; i < TILE / 32; i++) {
                const uint32_t before = rp_teams_before(first + 32 * i, w.before + low + 8 * h + 1);
                seen[h][i] = (before & (own[h] ? hidden[i] : ~hidden[i])) >> (2 * part);
            }
        }
        rp_teams_tile<HEAD, TILE>(rows, now, scale, whole, seen);
    }
    rp_teams_sum(rows);
    if constexpr (TEAMS > 1) {
        rp_teams_join<WARPS, TEAMS>(rows, reinterpret_cast<float *>(memory), w, columns.before, scale, row0);
    } else {
        rp_teams_write(rows, w, columns.before, low);
    }
}

// A kernel for heads of at most `head` and so many teams. `run` waits for what is before.
#define RP_ATTN_TEAMS(name, params, run, head, teams, groups)                                                                   \
    extern "C" __global__ void __launch_bounds__(2 * (teams) * RP_ATTN_TEAMS_BLOCK(teams), groups) name(const rp_kernel_args<params> args) { \
        extern __shared__ __align__(16) float memory[];                                                                         \
        rp_release_few();                                                                                                       \
        run<head, teams>(args, reinterpret_cast<__half *>(memory));                                                             \
    }

#endif
