// Many queries that share keys (a prompt's, an own window's, a call's tokens): a group takes a block of them of one head, with keys and
// values of a tile in shared memory, each read for the block once. Same sums as rp_attend, so the same bits. Sixteen invocations share
// ROWS queries: invocation `column` of them makes scores of keys column, column + 16, .. and elements 4 column .. 4 column + 3 (and
// + 64, ..) of the results. For heads in whole pieces of four: of at most 64 with FOURS 1, 128 with 2, 256 with 4. Included by
// attn_time.cu and block_attn.cu.
#ifndef RP_ATTN_TILED_CUH
#define RP_ATTN_TILED_CUH

#include "attention.cuh"

#define TILED_GROUP 128
#define TILED_SETS (TILED_GROUP / 16)       // of sixteen invocations; set i takes queries i, i + TILED_SETS, ..
static_assert(RP_ATTN_TILE == 64 && RP_ATTN_TILED_SETS == TILED_SETS, "sixteen invocations make four scores each of a query and a tile");

// Brings N rows from `first` on of keys, values or queries, and zeros past row `end`, to shared memory. own: where row 0 would lie
// if the suffix began there; rows from n_prefix on are its.
template <int N>
__device__ inline void rp_tiled_stage(uint32_t set_of, float *to, uint32_t pitch, const float *prefix, const float *own, uint32_t first, uint32_t end,
                                      uint32_t n_prefix, uint32_t width, uint32_t d) {
    for (uint32_t column = threadIdx.x % 16 * 4; column < d; column += 64) {
#pragma unroll
        for (uint32_t i = 0; i < N / TILED_SETS; i++) {
            const uint32_t row = set_of + i * TILED_SETS, c = min(first + row, end - 1);
            rp_copy16(&to[row * pitch + column], (c < n_prefix ? prefix : own) + (uint64_t)c * width + column, first + row < end ? 16 : 0);
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

// The queries of one head and their keys. Row i is alive below `alive` and sees the first `before` + i + 1 keys.
template <class T> struct rp_tiled_work {
    const T *q;                         // of row 0; `rows` rows, `q_width` apart
    const T *k_prefix, *v_prefix;       // of key 0, `width` apart
    const T *k_own, *v_own;             // where key 0 would lie if all were the path's own; keys from n_prefix on are
    void *y;
    uint64_t at;                        // of row 0 in y, rows as far apart as in q
    uint32_t rows, alive, before, n_prefix, q_width, width, head_width;
    float scale;
    bool y_f16;
};

// Every query sees all of its keys. Others say of a key whether it is shown or hidden: queries see those that are as their own last.
struct rp_tiled_all {
    static constexpr bool some = false;
    __device__ bool hidden(uint32_t) const { return false; }
};

// Scores of a tile, from key `first` on, of queries first_row, first_row + TILED_SETS, .. become weights; their largest, and their sum.
// own: a bit for each query: hidden.
template <int ROWS, class Keys>
__device__ inline void rp_tiled_weights(float (&score)[ROWS][4], float (&tile_top)[ROWS], float (&tile_sum)[ROWS], float *weight,
                                        const rp_tiled_work<float> &w, const Keys &keys, uint32_t first, uint32_t row0, uint32_t first_row, uint32_t lane,
                                        uint32_t own) {
    const bool whole = !Keys::some && first + RP_ATTN_TILE <= w.before + row0 + 1 && row0 + ROWS * TILED_SETS <= w.alive;   // every query sees all keys
    bool hidden[4];
    if constexpr (Keys::some) {
#pragma unroll
        for (int j = 0; j < 4; j++) { hidden[j] = keys.hidden(first + lane + 16 * j); }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const uint32_t row = first_row + r * TILED_SETS, limit = row < w.alive ? w.before + row + 1 : 0;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            score[r][j] = __fmul_rn(score[r][j], w.scale);
            bool sees = first + lane + 16 * j < limit;
            if constexpr (Keys::some) { sees = sees && hidden[j] == ((own >> r & 1) != 0); }
            if (!whole) { score[r][j] = sees ? score[r][j] : -RP_INFINITY; }
        }
        tile_top[r] = fmaxf(fmaxf(score[r][0], score[r][1]), fmaxf(score[r][2], score[r][3]));
    }
#pragma unroll
    for (int distance = 8; distance > 0; distance /= 2) {
#pragma unroll
        for (int r = 0; r < ROWS; r++) { tile_top[r] = fmaxf(tile_top[r], __shfl_xor_sync(0xffffffffu, tile_top[r], distance)); }
    }
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
}

// The block of queries from row0 on.
template <int ROWS, int FOURS, class Keys>
__device__ inline void rp_attn_tiled(const rp_tiled_work<float> &w, const Keys &keys, uint32_t row0, float *memory) {
    constexpr uint32_t BLOCK = ROWS * TILED_SETS;
    constexpr bool apart = RP_ATTN_TILED_APART(64 * FOURS);    // keys and values each have memory of their own
    const uint32_t d = w.head_width, pitch = RP_ATTN_PITCH(d), alive = w.alive, before = w.before;
    const uint32_t n = row0 < alive ? before + min(row0 + BLOCK, alive) : 0;
    float *k_tile = memory, *v_tile = apart ? k_tile + RP_ATTN_TILE * pitch : k_tile;
    float *q_tile = v_tile + RP_ATTN_TILE * (apart ? d : pitch), *weight = q_tile + BLOCK * pitch;
    const uint32_t set_of = threadIdx.x / 16, lane = threadIdx.x % 16, first_row = row0 + set_of;
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
    uint32_t own = 0;                       // a bit for each query: hidden
    if constexpr (Keys::some) {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const uint32_t row = first_row + r * TILED_SETS;
            own |= (uint32_t)(row < alive && keys.hidden(before + row)) << r;
        }
    }
    q_tile += set_of * pitch, weight += set_of * RP_ATTN_TILED_WEIGHTS;
    if (n > 0) {
        rp_tiled_stage<BLOCK>(set_of, q_tile - set_of * pitch, pitch, w.q, w.q, row0, min(row0 + BLOCK, alive), alive, w.q_width, d);
        rp_tiled_stage<RP_ATTN_TILE>(set_of, k_tile, pitch, w.k_prefix, w.k_own, 0, n, w.n_prefix, w.width, d);
        rp_copy_commit();
        if (apart) {
            rp_tiled_stage<RP_ATTN_TILE>(set_of, v_tile, d, w.v_prefix, w.v_own, 0, n, w.n_prefix, w.width, d);
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
            rp_tiled_stage<RP_ATTN_TILE>(set_of, v_tile, d, w.v_prefix, w.v_own, first, n, w.n_prefix, w.width, d);
        } else if (next < n) {
            rp_tiled_stage<RP_ATTN_TILE>(set_of, k_tile, pitch, w.k_prefix, w.k_own, next, n, w.n_prefix, w.width, d);
        }
        rp_copy_commit();

        float tile_top[ROWS], tile_sum[ROWS];
        rp_tiled_weights<ROWS>(score, tile_top, tile_sum, weight, w, keys, first, row0, first_row, lane, own);
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
                rp_tiled_stage<RP_ATTN_TILE>(set_of, v_tile, d, w.v_prefix, w.v_own, next, n, w.n_prefix, w.width, d);
            } else {
                rp_tiled_stage<RP_ATTN_TILE>(set_of, k_tile, pitch, w.k_prefix, w.k_own, next, n, w.n_prefix, w.width, d);
            }
        }
        rp_copy_commit();
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const uint32_t row = first_row + r * TILED_SETS;
#pragma unroll
        for (int f = 0; f < FOURS; f++) {
            if (row >= w.rows || lane * 4 + 64 * f >= d) { continue; }
            const uint64_t to = w.at + (uint64_t)row * w.q_width + column[f];
            const float all = row < alive ? sum[r] : 0.0f, *from = &value[r][f].x;
#pragma unroll
            for (int j = 0; j < 4; j++) { rp_put(w.y, to + j, all > 0.0f ? from[j] / all : 0.0f, w.y_f16); }
        }
    }
}

// The same for few blocks, heads of at most 64: the group's teams, two or more of TILED_GROUP each, take a tile each at a time, and what they make of it
// is joined in the order of tiles. What a query has of a tile takes the place of its weights: values, maximum and sum.
template <int ROWS, class Keys>
__device__ inline void rp_attn_tiled_teams(const rp_tiled_work<float> &w, const Keys &keys, uint32_t row0, float *memory) {
    constexpr uint32_t BLOCK = ROWS * TILED_SETS, most = 64, pieces = most / 4;
    const uint32_t d = w.head_width, pitch = RP_ATTN_PITCH(d), team = threadIdx.x / TILED_GROUP, stride = blockDim.x / TILED_GROUP * RP_ATTN_TILE;
    const uint32_t set_of = threadIdx.x % TILED_GROUP / 16, lane = threadIdx.x % 16, n = row0 < w.alive ? w.before + min(row0 + BLOCK, w.alive) : 0;
    const uint32_t of_team = RP_ATTN_TILE * (pitch + d) + BLOCK * RP_ATTN_TILED_WEIGHTS;
    float *q_tile = memory, *k_tile = q_tile + BLOCK * pitch + team * of_team, *v_tile = k_tile + RP_ATTN_TILE * pitch;
    float *weight = v_tile + RP_ATTN_TILE * d + set_of * RP_ATTN_TILED_WEIGHTS;
    const float *made = q_tile + BLOCK * pitch + RP_ATTN_TILE * (pitch + d);          // by the first team
    const uint32_t column[1] = { min(lane * 4, d - 4) };
    uint32_t own = 0;                       // a bit for each query: hidden
    if constexpr (Keys::some) {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const uint32_t row = row0 + set_of + r * TILED_SETS;
            own |= (uint32_t)(row < w.alive && keys.hidden(w.before + row)) << r;
        }
    }
    if (team * RP_ATTN_TILE < n) {
        if (team == 0) { rp_tiled_stage<BLOCK>(set_of, q_tile, pitch, w.q, w.q, row0, min(row0 + BLOCK, w.alive), w.alive, w.q_width, d); }
        rp_tiled_stage<RP_ATTN_TILE>(set_of, k_tile, pitch, w.k_prefix, w.k_own, team * RP_ATTN_TILE, n, w.n_prefix, w.width, d);
        rp_copy_commit();
        rp_tiled_stage<RP_ATTN_TILE>(set_of, v_tile, d, w.v_prefix, w.v_own, team * RP_ATTN_TILE, n, w.n_prefix, w.width, d);
        rp_copy_commit();
    }
    const uint32_t line = threadIdx.x / pieces, from = min(threadIdx.x % pieces * 4, d - 4);     // what this invocation joins
    float top = -RP_INFINITY, sum = 0;
    float4 value = make_float4(0, 0, 0, 0);
#pragma unroll 1
    for (uint32_t round = 0; round < n; round += stride) {
        const uint32_t first = round + team * RP_ATTN_TILE, next = first + stride;
        rp_copy_wait<1>();
        __syncthreads();                    // k, and q: written by all, read by all; what teams made: read by all
        float score[ROWS][4], tile_top[ROWS], tile_sum[ROWS];
        if (first < n) { rp_tiled_scores<ROWS>(score, q_tile + set_of * pitch, k_tile + lane * pitch, d, pitch); }
        __syncthreads();                    // k: read by the team before it is written again
        if (next < n) { rp_tiled_stage<RP_ATTN_TILE>(set_of, k_tile, pitch, w.k_prefix, w.k_own, next, n, w.n_prefix, w.width, d); }
        rp_copy_commit();
        if (first < n) { rp_tiled_weights<ROWS>(score, tile_top, tile_sum, weight, w, keys, first, row0, row0 + set_of, lane, own); }
        rp_copy_wait<1>();
        __syncthreads();                    // v: written by the team, read by it; weight: by a set, for itself
        if (first < n) {
            float4 total[ROWS][1];
            rp_tiled_values<ROWS, 1>(total, weight, v_tile, column, d);
            __syncwarp();                   // weight: read by the set before it is written again
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                float *to = weight + r * TILED_SETS * RP_ATTN_TILED_WEIGHTS;
                *reinterpret_cast<float4 *>(to + lane * 4) = total[r][0];
                if (lane == 0) { *reinterpret_cast<float2 *>(to + most) = make_float2(tile_top[r], tile_sum[r]); }
            }
        }
        __syncthreads();                    // what teams made: written by all, read by all; v: read before it is written again
        if (next < n) { rp_tiled_stage<RP_ATTN_TILE>(set_of, v_tile, d, w.v_prefix, w.v_own, next, n, w.n_prefix, w.width, d); }
        rp_copy_commit();
        if (line < BLOCK) {
            for (uint32_t t = 0; t < stride / RP_ATTN_TILE && round + t * RP_ATTN_TILE < n; t++) {
                const float *tile = made + t * of_team + line * RP_ATTN_TILED_WEIGHTS;
                const float4 x = *reinterpret_cast<const float4 *>(tile + from);
                const float2 both = *reinterpret_cast<const float2 *>(tile + most);
                const rp_join join = rp_join_of(top, both.x);
                top = join.top, sum = rp_joined(join, sum, both.y);
                value = make_float4(rp_joined(join, value.x, x.x), rp_joined(join, value.y, x.y), rp_joined(join, value.z, x.z),
                                    rp_joined(join, value.w, x.w));
            }
        }
    }
    if (line >= BLOCK || row0 + line >= w.rows || threadIdx.x % pieces * 4 >= d) { return; }
    const float all = row0 + line < w.alive ? sum : 0.0f, *x = &value.x;
#pragma unroll
    for (int j = 0; j < 4; j++) { rp_put(w.y, w.at + (uint64_t)(row0 + line) * w.q_width + from + j, all > 0.0f ? x[j] / all : 0.0f, w.y_f16); }
}

// The block of queries from row0 on by the kernel for it: for the last one, of few queries, nobody works on those past the end.
template <int ROWS, int FOURS, class Keys>
__device__ inline void rp_attn_tiled_last(const rp_tiled_work<float> &w, const Keys &keys, uint32_t row0, float *memory) {
    if constexpr (ROWS * FOURS == 2) {
        rp_attn_tiled_teams<ROWS>(w, keys, row0, memory);
    } else if (ROWS > 2 && w.rows - row0 <= 2 * TILED_SETS) {
        rp_attn_tiled<2, FOURS>(w, keys, row0, memory);
    } else {
        rp_attn_tiled<ROWS, FOURS>(w, keys, row0, memory);
    }
}

// A kernel for each size of block; of the smallest, by teams. `run` waits for what is before.
#define RP_ATTN_TILED(name, params, run, rows, fours, groups)                                                                       \
    extern "C" __global__ void __launch_bounds__(TILED_GROUP * ((rows) * (fours) == 2 ? RP_ATTN_TILED_TEAMS : 1), groups) name(const rp_kernel_args<params> args) {                     \
        extern __shared__ __align__(16) float memory[];                                                                         \
        rp_release_few();                                                                                                       \
        run<rows, fours>(args, memory);                                                                                         \
    }

#endif
