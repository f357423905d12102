// Decode steps of few paths in float32: up to RP_ATTN_SHARED paths of one head by a cluster of RP_ATTN_SPREAD groups. Tiles of
// keys, those that are all prompt for all paths at once, others for each path alone, are dealt to the groups, which ask for as many as
// they have places for before the wait, all but the new key. A warp makes scores, weights and values of a tile, for two paths at once where it is
// all prompt and there are not warps for each; they go to the group that joins the path, or, of one path alone, to all. Same sums as rp_attend and the same turn as
// rope_half, so the same bits. What attn_step_spread.cuh and step_attention_pair.cuh share.
#ifndef RP_ATTN_STEP_TILES_CUH
#define RP_ATTN_STEP_TILES_CUH

#include "attn_matrix.cuh"
#include "attn_spread_tile.cuh"

#define STEP_ROWS 2                        // of which a warp makes a tile together

// A tile, and the row (path) that it is made for, where it is not the prompt's alone.
struct rp_step_tile {
    uint32_t tile, row;
};

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
// The largest of a warp.
__device__ inline float rp_step_most(float x) {
    const int bits = __float_as_int(x), most = __reduce_max_sync(0xffffffffu, bits ^ (bits >> 31 & 0x7fffffff));    // signed, in the order of floats
    return __int_as_float(most ^ (most >> 31 & 0x7fffffff));
}

// Two of a head's pairs (i, i + d/2), turned as rope_half turns them: angles: cos, sin of each.
__device__ inline void rp_step_turn(float2 &a, float2 &b, const float4 &angles) {
    const float2 low = make_float2(__fmaf_rn(a.x, angles.x, -__fmul_rn(b.x, angles.y)), __fmaf_rn(a.y, angles.z, -__fmul_rn(b.y, angles.w)));
    b = make_float2(__fmaf_rn(b.x, angles.x, __fmul_rn(a.x, angles.y)), __fmaf_rn(b.y, angles.z, __fmul_rn(a.y, angles.w)));
    a = low;
}
__device__ inline float2 rp_step_two(const float *from) { return *reinterpret_cast<const float2 *>(from); }
__device__ inline void rp_step_put(float *to, const float2 &x) { *reinterpret_cast<float2 *>(to) = x; }

// A cluster's tiles of one series and head, as one of its groups sees them. ALL: every group joins the one path that there is. HEAD: columns of a
// head, 0: any number of fours.
template <bool ALL, uint32_t HEAD> struct rp_step_tiles {
    uint32_t d, width, rank, n_rows, most;         // width: floats from one key to the next; rows there are, and may be
    uint32_t n_prefix, n, fresh, n_shared, n_tiles, mine, my_shared, places, pitch, slot;
    bool live;                                     // not at step 0, nor in a replay too many
    uint64_t prefix_values, own_values, path;      // floats from keys to values; from one path's own keys to the next's
    const float *prefix;                           // [2, B, N, h, d], of this series and head
    float *cache;                                  // [2, B, S, R, h, d], of the first path
    float scale;
    float *queries, *weights, *tiles;              // in shared memory: [rows, d], weights of tiles that are all prompt, places
    rp_spread_inbox inbox;

    // of_rank: of the group; rows of the cluster, of which there are at most rows_most. The rest is for the caller to set.
    __device__ inline rp_step_tiles(const rp_attn_step_params &p, uint32_t of_rank, uint32_t rows, uint32_t rows_most, uint32_t n_tokens, uint32_t step)
        : d(HEAD > 0 ? HEAD : p.head_width), width(p.heads * p.head_width), rank(of_rank), n_rows(rows), most(rows_most), n_prefix(min(n_tokens, p.prefix_cap)),
          n(n_prefix + min(step, p.suffix_cap)), pitch(RP_ATTN_PITCH(d)), slot(step - 1), live(step - 1 < p.suffix_cap),
          prefix_values((uint64_t)p.batch * p.prefix_cap * width), own_values((uint64_t)p.batch * p.paths * p.suffix_cap * width),
          path((uint64_t)p.suffix_cap * width), scale(p.scale) {
        n_shared = n_rows > 1 ? n_prefix / RP_ATTN_TILE : 0;       // tiles of the prompt alone
        fresh = live ? n - 1 : ~0u;                                // the key that is not in memory yet
        n_tiles = (n + RP_ATTN_TILE - 1) / RP_ATTN_TILE;
        const uint32_t n_works = n_shared + n_rows * (n_tiles - n_shared);
        mine = (n_works + RP_ATTN_SPREAD - 1 - rank) / RP_ATTN_SPREAD, my_shared = (n_shared + RP_ATTN_SPREAD - 1 - rank) / RP_ATTN_SPREAD;
    }

    __device__ inline rp_step_tile tile_of(uint32_t number) const {      // shared ones first: they take longest
        if (ALL) { return { number, 0 }; }
        const uint32_t own_number = number - n_shared, tile = rp_quotient(own_number, n_rows);
        return number < n_shared ? rp_step_tile{ number, 0 } : rp_step_tile{ n_shared + tile, own_number - tile * n_rows };
    }
    __device__ inline float *keys(uint32_t place) const { return tiles + place * RP_ATTN_STEP_PLACE(d); }
    __device__ inline float *values(uint32_t place) const { return keys(place) + RP_ATTN_TILE * pitch; }
    __device__ inline float *alone(uint32_t place) const { return values(place) + RP_ATTN_TILE * d; }   // weights of one path's tile
    __device__ inline float *shared(uint32_t place) const { return weights + place * most * RP_ATTN_TILE; }
    __device__ inline const float *row_of(const rp_step_tile &t, uint32_t c, bool v) const {
        return c < n_prefix ? prefix + (v ? prefix_values : 0) + (uint64_t)c * width
                            : cache + (v ? own_values : 0) + t.row * path + (uint64_t)(c - n_prefix) * width;
    }
    // Asks for keys and values of as many tiles as there are places for; there after rp_copy_wait<0> and a barrier.
    __device__ inline void ask(uint32_t first) const {
        const uint32_t pieces = HEAD > 0 ? HEAD / 4 : d / 4, end = min(places, mine - min(mine, first));
#pragma unroll 1
        for (uint32_t place = 0; place < end; place++) {
            const rp_step_tile t = tile_of(rank + RP_ATTN_SPREAD * (first + place));
            const uint32_t c0 = t.tile * RP_ATTN_TILE;
            const float *own = cache + t.row * path - (uint64_t)n_prefix * width;
            float *k_to = keys(place), *v_to = values(place);
#pragma unroll 2
            for (uint32_t i = threadIdx.x; i < RP_ATTN_TILE * pieces; i += blockDim.x) {
                const uint32_t key = HEAD > 0 ? i / (HEAD / 4) : rp_quotient(i, pieces), column = (i - key * pieces) * 4, c = c0 + key;
                const bool of_prompt = c < n_prefix, there = c < n;
                const float *from = (of_prompt ? prefix : own) + (uint64_t)(there ? c : 0) * width + column;
                if (c == fresh && first == 0) { continue; }
                rp_copy16(k_to + key * pitch + column, from, there ? 16 : 0);          // zeros past the last
                rp_copy16(v_to + key * d + column, from + (of_prompt ? prefix_values : own_values), there ? 16 : 0);
            }
        }
        rp_copy_commit();
    }
    // What there is no place for, on its way to the L2 cache at least.
    __device__ inline void hint() const {
#pragma unroll 1
        for (uint32_t i = places * 2 * RP_ATTN_TILE + threadIdx.x; i < mine * 2 * RP_ATTN_TILE; i += blockDim.x) {
            const rp_step_tile t = tile_of(rank + RP_ATTN_SPREAD * (i / (2 * RP_ATTN_TILE)));
            const uint32_t c = t.tile * RP_ATTN_TILE + i % RP_ATTN_TILE;
            const bool v = i % (2 * RP_ATTN_TILE) >= RP_ATTN_TILE;
            if (c < n && c != fresh) { rp_hint(row_of(t, c, v), d); }
        }
    }
    // Bytes that come to the inbox.
    __device__ inline uint32_t expected() const {
        const uint32_t rows = ALL ? 1 : rank < n_rows ? (n_rows - rank - 1) / RP_ATTN_SPREAD + 1 : 0;
        return rows * n_tiles * (d + 2) * 4;
    }

    // The last tile of a row has the new key: its group keeps it, and puts it into the cache.
    __device__ inline uint32_t number_of_last(uint32_t row) const { return n_shared + (n_tiles - 1 - n_shared) * n_rows + row; }
    __device__ inline bool keeps(uint32_t row) const { return live && number_of_last(row) % RP_ATTN_SPREAD == rank; }
    // A row's query, columns column, + 1 and those half a head further.
    __device__ inline void put(uint32_t row, uint32_t column, const float2 &low, const float2 &high) const {
        rp_step_put(queries + row * d + column, low), rp_step_put(queries + row * d + d / 2 + column, high);
    }
    __device__ inline void keep(uint32_t row, uint32_t column, const float2 (&k)[2], const float2 (&v)[2]) const {
        const uint32_t place = number_of_last(row) / RP_ATTN_SPREAD, half = d / 2;
        if (place < places) {
            float *k_in = keys(place) + fresh % RP_ATTN_TILE * pitch + column, *v_in = values(place) + fresh % RP_ATTN_TILE * d + column;
            rp_step_put(k_in, k[0]), rp_step_put(k_in + half, k[1]);
            rp_step_put(v_in, v[0]), rp_step_put(v_in + half, v[1]);
        }
        float *k_to = cache + row * path + (uint64_t)slot * width + column, *v_to = k_to + own_values;
        rp_step_put(k_to, k[0]), rp_step_put(k_to + half, k[1]);
        rp_step_put(v_to, v[0]), rp_step_put(v_to + half, v[1]);
    }

    // STEPS times four elements of keys `key` and the one 32 further, and of queries, ascending: all are read before they are used.
    template <int ROWS, int STEPS>
    __device__ inline void products(float (&x)[ROWS][2], const float *const (&query)[ROWS], const float *key, uint32_t j) const {
        float4 low[STEPS], high[STEPS], q[STEPS][ROWS];
#pragma unroll
        for (int e = 0; e < STEPS; e++) {
            low[e] = *reinterpret_cast<const float4 *>(key + j + e * 4), high[e] = *reinterpret_cast<const float4 *>(key + 32 * pitch + j + e * 4);
#pragma unroll
            for (int i = 0; i < ROWS; i++) { q[e][i] = *reinterpret_cast<const float4 *>(query[i] + j + e * 4); }
        }
#pragma unroll
        for (int e = 0; e < STEPS; e++) {
#pragma unroll
            for (int i = 0; i < ROWS; i++) { x[i][0] = rp_dot4(q[e][i], low[e], x[i][0]), x[i][1] = rp_dot4(q[e][i], high[e], x[i][1]); }
        }
    }
    // A tile of rows `row` and on, of which `end` is the first that is not there, by a warp: to who joins them. slot: of the first one's weights.
    template <int ROWS> __device__ inline void make(uint32_t place, uint32_t tile, uint32_t row, uint32_t end, float *slot) const {
        const uint32_t lane = threadIdx.x % 32, there = n - tile * RP_ATTN_TILE;
        const float *key = keys(place) + lane * pitch, *query[ROWS];
        float x[ROWS][2] = {}, sum[ROWS], top[ROWS];     // of keys lane and lane + 32
#pragma unroll
        for (int i = 0; i < ROWS; i++) { query[i] = queries + min(row + i, end - 1) * d; }
        uint32_t j = 0;
        if constexpr (HEAD % 16 == 0 && HEAD > 0) {
#pragma unroll (ROWS > 1 ? 1 : HEAD / 16)
            for (; j < HEAD; j += 16) { products<ROWS, 4>(x, query, key, j); }
        } else {
#pragma unroll 1
            for (; j + 16 <= d; j += 16) { products<ROWS, 4>(x, query, key, j); }
#pragma unroll 1
            for (; j < d; j += 4) { products<ROWS, 1>(x, query, key, j); }
        }
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
#pragma unroll
            for (int e = 0; e < 2; e++) { x[i][e] = lane + 32 * e < there ? __fmul_rn(x[i][e], scale) : -RP_INFINITY; }
            top[i] = rp_step_most(fmaxf(x[i][0], x[i][1]));
        }
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const float zero = top[i] == -RP_INFINITY ? 0.0f : top[i];
#pragma unroll
            for (int e = 0; e < 2; e++) {
                x[i][e] = rp_exp_below(x[i][e] - zero);
                if (row + i < end) { slot[i * RP_ATTN_TILE + lane + 32 * e] = x[i][e]; }
            }
            sum[i] = rp_halve32(x[i][0] + x[i][1]);
        }
        __syncwarp();                              // weights: written by all lanes, read by all
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            if (row + i < end && lane < (ALL ? RP_ATTN_SPREAD : 1)) {
                const float *to = rp_spread_joined(inbox.joined, row + i, tile, inbox.room, d) + d;
                rp_cluster_send2(to, ALL ? lane : (row + i) % RP_ATTN_SPREAD, inbox.ready, top[i], sum[i]);
            }
        }
#pragma unroll 1
        for (j = lane * 2; j < d + lane * 2; j += 64) {            // neighbours, which are read and sent together
            const float *from = values(place) + min(j, d - 2);
            float2 total[ROWS] = {};
#pragma unroll 4
            for (uint32_t c = 0; c < RP_ATTN_TILE; c += 4) {       // past the last key: weight 0
                float2 value[4];
#pragma unroll
                for (uint32_t e = 0; e < 4; e++) { value[e] = rp_step_two(from + (c + e) * d); }
#pragma unroll
                for (int i = 0; i < ROWS; i++) {
                    const float4 weight = *reinterpret_cast<const float4 *>(slot + (row + i < end ? i : 0) * RP_ATTN_TILE + c);
                    total[i].x = rp_dot4(weight, make_float4(value[0].x, value[1].x, value[2].x, value[3].x), total[i].x);
                    total[i].y = rp_dot4(weight, make_float4(value[0].y, value[1].y, value[2].y, value[3].y), total[i].y);
                }
            }
#pragma unroll
            for (int i = 0; i < ROWS; i++) {
                if (row + i < end) { rp_spread_send_pairs<ALL>(inbox, d, row + i, tile, j, total[i]); }
            }
        }
    }
    // Tiles from the group's number `first` on, as many as there are places: to who joins them.
    __device__ inline void round(uint32_t first) const {
        const uint32_t n_here = min(places, mine - first), n_whole = min(n_here, my_shared - min(first, my_shared)), n_alone = n_here - n_whole;
        const bool together = n_whole * n_rows + n_alone > blockDim.x / 32;           // where there are warps for all, each takes one row
        const uint32_t chunks = together ? (n_rows + STEP_ROWS - 1) / STEP_ROWS : n_rows, n_chunks = n_whole * chunks;
        rp_copy_wait<0>();
        __syncthreads();                           // tiles, queries, the new key: written by all, read by all
#pragma unroll 1
        for (uint32_t i = threadIdx.x / 32; i < n_chunks + n_alone; i += blockDim.x / 32) {
            const bool whole = i < n_chunks;
            const uint32_t place = whole ? rp_quotient(i, chunks) : n_whole + i - n_chunks, chunk = i - place * chunks;
            const rp_step_tile t = tile_of(rank + RP_ATTN_SPREAD * (first + place));
            if (whole && together) {
                make<STEP_ROWS>(place, t.tile, chunk * STEP_ROWS, n_rows, shared(place) + chunk * STEP_ROWS * RP_ATTN_TILE);
            } else {
                const uint32_t row = whole ? chunk : t.row;
                make<1>(place, t.tile, row, row + 1, whole ? shared(place) + row * RP_ATTN_TILE : alone(place));
            }
        }
    }
};
#endif

#endif
