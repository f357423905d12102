// Many queries of one path (a prompt's, or an own window's): a group takes a block of them of one (series, path, variate, head),
// with keys and values of a tile in shared memory, each read for the block once. Same sums as rp_attend, so the same bits. Sixteen
// invocations share ROWS queries: invocation `column` of them makes scores of keys column, column + 16, .. and elements
// 4 column .. 4 column + 3 (and + 64, ..) of the results. For heads in whole pieces of four. Included by attn_time.cu.
//   attn_time_f32_tiled_R        blocks of 8 R queries, heads of at most 64
//   attn_time_f32_tiled_wide     blocks of 32, heads of at most 128
//   attn_time_f32_tiled_widest   blocks of 16, heads of at most 256
#ifndef RP_ATTN_TILED_CUH
#define RP_ATTN_TILED_CUH

#include "attention.cuh"

#define TILED_GROUP 128
#define TILED_SETS (TILED_GROUP / 16)       // of sixteen invocations; set i takes queries i, i + TILED_SETS, ..
static_assert(RP_ATTN_TILE == 64 && RP_ATTN_TILED_SETS == TILED_SETS, "sixteen invocations make four scores each of a query and a tile");

// Brings N rows from `first` on of keys, values or queries, and zeros past row `end`, to shared memory. own: where row 0 would lie
// if the suffix began there; rows from n_prefix on are its.
template <int N>
__device__ inline void rp_tiled_stage(float *to, uint32_t pitch, const float *prefix, const float *own, uint32_t first, uint32_t end,
                                      uint32_t n_prefix, uint32_t width, uint32_t d) {
    for (uint32_t column = threadIdx.x % 16 * 4; column < d; column += 64) {
#pragma unroll
        for (uint32_t i = 0; i < N / TILED_SETS; i++) {
            const uint32_t row = threadIdx.x / 16 + i * TILED_SETS, c = min(first + row, end - 1);
            rp_copy16(&to[row * pitch + column], (c < n_prefix ? prefix : own) + (uint64_t)c * width + column, first + row < end);
        }
    }
}

// STEPS times four elements of ROWS queries and four keys, ascending, added to scores: all are read before they are used.
template <int ROWS, int STEPS>
__device__ inline void rp_tiled_products(float (&score)[ROWS][4], const float *q, const float *k, uint32_t pitch) {
#pragma unroll
    for (int i = 0; i < STEPS * 4; i += 4) {
        float4 key[4];
#pragma unroll
        for (int j = 0; j < 4; j++) { key[j] = *reinterpret_cast<const float4 *>(&k[16 * j * pitch + i]); }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float4 a = *reinterpret_cast<const float4 *>(&q[r * TILED_SETS * pitch + i]);
#pragma unroll
            for (int j = 0; j < 4; j++) { score[r][j] = rp_dot4(a, key[j], score[r][j]); }
        }
    }
}

// Scores of ROWS queries and four keys.
template <int ROWS>
__device__ inline void rp_tiled_scores(float (&score)[ROWS][4], const float *q, const float *k, uint32_t d, uint32_t pitch) {
    constexpr int STEPS = ROWS > 4 ? 2 : 4;
    uint32_t i = 0;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
        for (int j = 0; j < 4; j++) { score[r][j] = 0; }
    }
#pragma unroll 1
    for (; i + 4 * STEPS <= d; i += 4 * STEPS) { rp_tiled_products<ROWS, STEPS>(score, q + i, k + i, pitch); }
#pragma unroll 1
    for (; i < d; i += 4) { rp_tiled_products<ROWS, 1>(score, q + i, k + i, pitch); }
}

// The tile's values, keys ascending: weight[r][key] times elements of the key's value.
template <int ROWS, int FOURS>
__device__ inline void rp_tiled_values(float4 (&total)[ROWS][FOURS], const float *weight, const float *v, const uint32_t (&column)[FOURS], uint32_t d) {
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
        for (int f = 0; f < FOURS; f++) { total[r][f] = make_float4(0, 0, 0, 0); }
    }
#pragma unroll (ROWS > 4 ? 2 : 4)
    for (uint32_t i = 0; i < RP_ATTN_TILE; i += 4) {
        float4 p[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++) { p[r] = *reinterpret_cast<const float4 *>(&weight[r * TILED_SETS * RP_ATTN_TILED_WEIGHTS + i]); }
#pragma unroll
        for (int e = 0; e < 4; e++) {
#pragma unroll
            for (int f = 0; f < FOURS; f++) {
                const float4 value = *reinterpret_cast<const float4 *>(&v[(i + e) * d + column[f]]);
#pragma unroll
                for (int r = 0; r < ROWS; r++) { rp_add4(total[r][f], e == 0 ? p[r].x : e == 1 ? p[r].y : e == 2 ? p[r].z : p[r].w, value); }
            }
        }
    }
}

template <int ROWS, int FOURS> __device__ inline void rp_attn_tiled(const rp_kernel_args<rp_attn_time_params> &args, float *memory) {
    constexpr uint32_t BLOCK = ROWS * TILED_SETS;
    constexpr bool apart = RP_ATTN_TILED_APART(64 * FOURS);    // keys and values each have memory of their own
    const rp_attn_time_params p = args.p;
    const uint32_t d = p.head_width, width = p.heads * d, pitch = RP_ATTN_PITCH(d), blocks = (p.tokens + BLOCK - 1) / BLOCK;
    const uint32_t sets = p.batch * p.paths * p.variates * p.heads;
    uint64_t group = rp_group();
    if (group >= (uint64_t)sets * blocks) { return; }
    const uint32_t set = rp_take(group, sets), row0 = (blocks - 1 - (uint32_t)group) * BLOCK;   // those that see most keys begin first
    const uint32_t head = set % p.heads, sequence = set / p.heads, v = sequence % p.variates, b = sequence / (p.paths * p.variates);
    const uint64_t at = (uint64_t)sequence * p.tokens * width + head * d;                         // of query 0, in q and y
    const uint64_t prefix = ((uint64_t)b * p.variates + v) * p.prefix_cap * width + head * d;
    const uint64_t suffix = (uint64_t)sequence * p.suffix_cap * width + head * d;
    const float *q = rp_at<const float>(args, 0) + at;                                            // [B, S, V, n, h, d]
    const float *k_prefix = rp_at<const float>(args, 1) + prefix, *v_prefix = rp_at<const float>(args, 2) + prefix;   // [B, V, N, h, d]
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 5)[b] + p.extra;

    // Query i sees the first `before` + i + 1 keys; those from `alive` on are dead.
    const uint32_t before = p.own ? min(n_tokens, p.prefix_cap) : 0, n_prefix = p.own ? before : p.prefix_cap;
    const uint32_t alive = min(p.tokens, p.own ? min(rp_at<const rp_step>(args, 6)->step, p.suffix_cap) : n_tokens);
    const uint32_t n = row0 < alive ? before + min(row0 + BLOCK, alive) : 0;
    const int64_t own = (int64_t)suffix - (int64_t)((uint64_t)n_prefix * width);
    const float *k_own = rp_at<const float>(args, 3) + own, *v_own = rp_at<const float>(args, 4) + own;             // [B, S, V, R, h, d]

    float *k_tile = memory, *v_tile = apart ? k_tile + RP_ATTN_TILE * pitch : k_tile;
    float *q_tile = v_tile + RP_ATTN_TILE * (apart ? d : pitch), *weight = q_tile + BLOCK * pitch;
    const uint32_t set_of = threadIdx.x / 16, lane = threadIdx.x % 16, first_row = row0 + set_of;
    const float scale = p.scale;
    uint32_t column[FOURS];                 // of elements; those past d are made from others, and go nowhere
    float4 value[ROWS][FOURS];
    float top[ROWS], sum[ROWS];
#pragma unroll
    for (int f = 0; f < FOURS; f++) { column[f] = min(lane * 4 + 64 * f, d - 4); }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        top[r] = -RP_INFINITY, sum[r] = 0;
#pragma unroll
        for (int f = 0; f < FOURS; f++) { value[r][f] = make_float4(0, 0, 0, 0); }
    }
    q_tile += set_of * pitch, weight += set_of * RP_ATTN_TILED_WEIGHTS;
    if (n > 0) {
        rp_tiled_stage<BLOCK>(q_tile - set_of * pitch, pitch, q, q, row0, min(row0 + BLOCK, p.tokens), p.tokens, width, d);
        rp_tiled_stage<RP_ATTN_TILE>(k_tile, pitch, k_prefix, k_own, 0, n, n_prefix, width, d);
        rp_copy_commit();
        if (apart) {
            rp_tiled_stage<RP_ATTN_TILE>(v_tile, d, v_prefix, v_own, 0, n, n_prefix, width, d);
            rp_copy_commit();
        }
    }
#pragma unroll 1
    for (uint32_t first = 0; first < n; first += RP_ATTN_TILE) {
        const uint32_t next = first + RP_ATTN_TILE;
        rp_copy_wait<apart ? 1 : 0>();
        __syncthreads();                    // k, and q: written by all, read by all
        float score[ROWS][4];
        rp_tiled_scores<ROWS>(score, q_tile, k_tile + lane * pitch, d, pitch);
        __syncthreads();                    // k: read by all before it is written again
        if (!apart) {
            rp_tiled_stage<RP_ATTN_TILE>(v_tile, d, v_prefix, v_own, first, n, n_prefix, width, d);
        } else if (next < n) {
            rp_tiled_stage<RP_ATTN_TILE>(k_tile, pitch, k_prefix, k_own, next, n, n_prefix, width, d);
        }
        rp_copy_commit();

        const bool whole = next <= before + row0 + 1 && row0 + BLOCK <= alive;            // every query sees all keys
        float tile_top[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const uint32_t row = first_row + r * TILED_SETS, limit = row < alive ? before + row + 1 : 0;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                score[r][j] = __fmul_rn(score[r][j], scale);
                if (!whole) { score[r][j] = first + lane + 16 * j < limit ? score[r][j] : -RP_INFINITY; }
            }
            tile_top[r] = fmaxf(fmaxf(score[r][0], score[r][1]), fmaxf(score[r][2], score[r][3]));
        }
#pragma unroll
        for (int distance = 8; distance > 0; distance /= 2) {
#pragma unroll
            for (int r = 0; r < ROWS; r++) { tile_top[r] = fmaxf(tile_top[r], __shfl_xor_sync(0xffffffffu, tile_top[r], distance)); }
        }
        float tile_sum[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float from = tile_top[r] == -RP_INFINITY ? 0.0f : tile_top[r];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                score[r][j] = rp_exp_below(score[r][j] - from);
                weight[r * TILED_SETS * RP_ATTN_TILED_WEIGHTS + lane + 16 * j] = score[r][j];
            }
            tile_sum[r] = (score[r][0] + score[r][2]) + (score[r][1] + score[r][3]);      // halving: 64 -> 32 -> 16
        }
#pragma unroll
        for (int distance = 8; distance > 0; distance /= 2) {
#pragma unroll
            for (int r = 0; r < ROWS; r++) { tile_sum[r] += __shfl_xor_sync(0xffffffffu, tile_sum[r], distance); }
        }
        rp_join join[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            join[r] = rp_join_of(top[r], tile_top[r]);
            top[r] = join[r].top;
            sum[r] = rp_joined(join[r], sum[r], tile_sum[r]);
        }
        rp_copy_wait<apart ? 1 : 0>();
        __syncthreads();                    // v: written by all, read by all; weight: by a set, for itself
        float4 total[ROWS][FOURS];
        rp_tiled_values<ROWS, FOURS>(total, weight, v_tile, column, d);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
#pragma unroll
            for (int f = 0; f < FOURS; f++) {
                const float4 a = value[r][f], c = total[r][f];
                value[r][f] = make_float4(rp_joined(join[r], a.x, c.x), rp_joined(join[r], a.y, c.y), rp_joined(join[r], a.z, c.z),
                                          rp_joined(join[r], a.w, c.w));
            }
        }
        __syncthreads();                    // v: read by all before it is written again
        if (next < n) {
            if (apart) {
                rp_tiled_stage<RP_ATTN_TILE>(v_tile, d, v_prefix, v_own, next, n, n_prefix, width, d);
            } else {
                rp_tiled_stage<RP_ATTN_TILE>(k_tile, pitch, k_prefix, k_own, next, n, n_prefix, width, d);
            }
        }
        rp_copy_commit();
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const uint32_t row = first_row + r * TILED_SETS;
#pragma unroll
        for (int f = 0; f < FOURS; f++) {
            if (row >= p.tokens || lane * 4 + 64 * f >= d) { continue; }
            const uint64_t to = at + (uint64_t)row * width + column[f];                   // of y [B, S, V, n, h, d]
            const float all = row < alive ? sum[r] : 0.0f, *from = &value[r][f].x;
#pragma unroll
            for (int j = 0; j < 4; j++) { rp_put(rp_at<void>(args, 7), to + j, all > 0.0f ? from[j] / all : 0.0f, p.y_f16); }
        }
    }
}

#define RP_ATTN_TILED(name, rows, fours, groups)                                                                                  \
    extern "C" __global__ void __launch_bounds__(TILED_GROUP, groups) name(const rp_kernel_args<rp_attn_time_params> args) {      \
        extern __shared__ __align__(16) float memory[];                                                                         \
        rp_wait();                                                                                                              \
        rp_attn_tiled<rows, fours>(args, memory);                                                                               \
    }
RP_ATTN_TILED(attn_time_f32_tiled_8, 8, 1, 3)
RP_ATTN_TILED(attn_time_f32_tiled_4, 4, 1, 4)
RP_ATTN_TILED(attn_time_f32_tiled_2, 2, 1, 4)
RP_ATTN_TILED(attn_time_f32_tiled_wide, 4, 2, 2)
RP_ATTN_TILED(attn_time_f32_tiled_widest, 2, 4, 2)

#endif
