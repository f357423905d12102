// attn_time on the matrix units for decode steps of many paths, all float16, heads of at most 64 in whole pieces of four. A group takes
// RP_ATTN_MIXED_ROWS paths of one series, variate and head, 16 a warp. What it reads comes to shared memory in pieces of one size, PATHS_RING
// of which have their place there: tiles of the prompt, which the paths share, then of each path its own key of one step after the
// other, which the plain units multiply. Included by attn_time.cu.
//   attn_time_f16_paths
#ifndef RP_ATTN_TIME_PATHS_CUH
#define RP_ATTN_TIME_PATHS_CUH

#include "attn_teams.cuh"

#define PATHS_ROWS RP_ATTN_MIXED_ROWS
#define PATHS_GROUP (2 * PATHS_ROWS)           // a warp for 16 rows
#define PATHS_RING RP_ATTN_PATHS_RING
#define PATHS_HEAD RP_ATTN_MIXED_HEAD
#define PATHS_PITCH TEAMS_PITCH(PATHS_HEAD)
static_assert(PATHS_ROWS == RP_ATTN_TILE, "a tile's keys, or a key of each path");

// Brings rows of keys and of values, `stride` apart, to shared memory; zeros from row n on.
template <int PIECE>
__device__ inline void rp_paths_pieces(__half *to, const __half *k, const __half *v, uint64_t stride, uint32_t n, uint32_t d) {
    constexpr uint32_t across = PATHS_HEAD / PIECE, down = PATHS_GROUP / across;
    const uint32_t column = threadIdx.x % across * PIECE, row = threadIdx.x / across;
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(to) + 2 * (row * PATHS_PITCH + column);
    if (column >= d) { return; }
#pragma unroll 4
    for (uint32_t i = 0; i < PATHS_ROWS; i += down) {
        const uint64_t from = min(row + i, n - 1) * stride + column;
        rp_teams_copy<PIECE>(shared + 2 * i * PATHS_PITCH, k + from, row + i < n);
        rp_teams_copy<PIECE>(shared + 2 * (PATHS_ROWS + i) * PATHS_PITCH, v + from, row + i < n);
    }
}

// One key, and its value, of each row's own.
__device__ inline void rp_paths_own(rp_teams_rows<PATHS_HEAD> &rows, const __half *k, float scale) {
    const uint32_t lane = threadIdx.x % 32, part = lane % 4;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const __half2 *key = reinterpret_cast<const __half2 *>(k + (threadIdx.x / 32 * 16 + lane / 4 + 8 * h) * PATHS_PITCH + part * 2);
        const __half2 *value = key + PATHS_ROWS * PATHS_PITCH / 2;
        float score = 0;
#pragma unroll
        for (int j = 0; j < PATHS_HEAD / 8; j++) {
            const float2 a = __half22float2(*reinterpret_cast<const __half2 *>(&rows.q[j / 2][j % 2 * 2 + h])), b = __half22float2(key[j * 4]);
            score = __fmaf_rn(a.y, b.y, __fmaf_rn(a.x, b.x, score));
        }
        score += __shfl_xor_sync(0xffffffffu, score, 1);
        score += __shfl_xor_sync(0xffffffffu, score, 2);
        const float above = fmaxf(rows.top[h], score), from = above * scale;
        const float fade = rp_exp2_fast(__fmaf_rn(rows.top[h], scale, -from)), weight = rp_exp2_fast(__fmaf_rn(score, scale, -from));
        rows.top[h] = above;
        rows.sum[h] = __fmaf_rn(rows.sum[h], fade, part == 0 ? weight : 0.0f);
#pragma unroll
        for (int j = 0; j < PATHS_HEAD / 8; j++) {
            const float2 x = __half22float2(value[j * 4]);
            rows.value[j][2 * h] = __fmaf_rn(weight, x.x, rows.value[j][2 * h] * fade);
            rows.value[j][2 * h + 1] = __fmaf_rn(weight, x.y, rows.value[j][2 * h + 1] * fade);
        }
    }
}

__device__ inline void rp_attn_paths(const rp_kernel_args<rp_attn_time_params> &args, __half *memory) {
    constexpr uint32_t both = 2 * PATHS_ROWS * PATHS_PITCH;                                       // keys and values of a piece
    const rp_attn_time_params p = args.p;
    const uint32_t d = p.head_width, width = p.heads * d, blocks = (p.paths + PATHS_ROWS - 1) / PATHS_ROWS;
    uint64_t group = rp_group();
    if (group >= (uint64_t)p.batch * p.variates * p.heads * blocks) { return; }
    const uint32_t row0 = rp_take(group, blocks) * PATHS_ROWS, head = rp_take(group, p.heads), variate = rp_take(group, p.variates), b = (uint32_t)group;
    const uint64_t sequence = ((uint64_t)b * p.paths + row0) * p.variates + variate, next = (uint64_t)p.variates * width;   // of row 0; to the next row
    const uint64_t prefix = ((uint64_t)b * p.variates + variate) * p.prefix_cap * width + head * d;
    const uint64_t suffix = sequence * p.suffix_cap * width + head * d, at = sequence * width + head * d;
    const __half *k_prefix = rp_at<const __half>(args, 1) + prefix, *v_prefix = rp_at<const __half>(args, 2) + prefix;   // [B, V, N, h, d]
    const __half *k_suffix = rp_at<const __half>(args, 3) + suffix, *v_suffix = rp_at<const __half>(args, 4) + suffix;   // [B, S, V, R, h, d]
    const uint32_t n_rows = min(p.paths - row0, PATHS_ROWS), warp = threadIdx.x / 32, lane = threadIdx.x % 32, low = warp * 16 + lane / 4;
    const rp_tiled_work<__half> w = { .q = rp_at<const __half>(args, 0) + at, .y = rp_at<void>(args, 7), .at = at,       // [B, S, V, 1, h, d]
                                      .rows = n_rows, .alive = n_rows, .q_width = (uint32_t)next, .head_width = d, .y_f16 = p.y_f16 != 0 };
    const float scale = p.scale * 1.44269504f;                                                    // log2 e
    rp_wait();
    const uint32_t n = min(rp_at<const uint32_t>(args, 5)[b] + p.extra, p.prefix_cap), tiles = (n + RP_ATTN_TILE - 1) / RP_ATTN_TILE;
    const uint32_t pieces = tiles + min(rp_at<const rp_step>(args, 6)->step, p.suffix_cap);
    const auto stage = [&](uint32_t i) {
        if (i < pieces) {
            const bool shared = i < tiles;
            const uint64_t from = (uint64_t)(shared ? i * RP_ATTN_TILE : i - tiles) * width, stride = shared ? width : next * p.suffix_cap;
            const __half *k = (shared ? k_prefix : k_suffix) + from, *v = (shared ? v_prefix : v_suffix) + from;
            const uint32_t count = shared ? n - i * RP_ATTN_TILE : n_rows;
            __half *to = memory + i % PATHS_RING * both;
            if (d % 8 == 0) {
                rp_paths_pieces<8>(to, k, v, stride, count, d);
            } else {
                rp_paths_pieces<4>(to, k, v, stride, count, d);
            }
        }
        rp_copy_commit();
    };
#pragma unroll 1
    for (uint32_t i = 0; i < PATHS_RING - 1; i++) { stage(i); }
    rp_teams_rows<PATHS_HEAD> rows;
    rp_teams_begin(rows, w, 0, low);
    for (uint32_t i = threadIdx.x; i < PATHS_RING * PATHS_ROWS; i += PATHS_GROUP) {               // keys are 0 past d
        __half *row = memory + i / PATHS_ROWS * both + i % PATHS_ROWS * PATHS_PITCH;
        for (uint32_t column = d; column < PATHS_HEAD; column += 4) { *reinterpret_cast<uint2 *>(row + column) = make_uint2(0, 0); }
    }
#pragma unroll 1
    for (uint32_t i = 0; i < pieces; i++) {
        rp_copy_wait<PATHS_RING - 2>();
        __syncthreads();                       // piece i: written by all, read by all; the one before: read by all before it is written again
        stage(i + PATHS_RING - 1);
        const __half *now = memory + i % PATHS_RING * both;
        if (i >= tiles) {
            rp_paths_own(rows, now, scale);
            continue;
        }
        uint32_t seen[2][RP_ATTN_TILE / 32];
#pragma unroll
        for (int j = 0; j < RP_ATTN_TILE / 32; j++) {
            seen[0][j] = seen[1][j] = rp_teams_before(i * RP_ATTN_TILE + 32 * j, n) >> (2 * (lane % 4));
        }
        rp_teams_tile<PATHS_HEAD, RP_ATTN_TILE>(rows, now, scale, (i + 1) * RP_ATTN_TILE <= n, seen);
    }
    rp_teams_sum(rows);
    rp_teams_write(rows, w, 0, low);
}

extern "C" __global__ void __launch_bounds__(PATHS_GROUP, 3) attn_time_f16_paths(const rp_kernel_args<rp_attn_time_params> args) {
    extern __shared__ __align__(16) float memory[];
    rp_release_few();
    rp_attn_paths(args, reinterpret_cast<__half *>(memory));
}

#endif
