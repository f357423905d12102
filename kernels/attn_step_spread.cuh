// attn_step in float32, of few paths: a cluster of RP_ATTN_SPREAD groups takes up to RP_ATTN_SHARED paths of one (series, head). Tiles of
// keys, those that are all prompt for all paths at once, others for each path alone, are dealt to the groups, which ask for as many as
// they have places for before the wait, all but the new key. Then all warps make scores, weights and values of those, a barrier between
// each; a tile's values, maximum and sum go to the group that joins its path. Same sums as rp_attend and the same turn as rope_half, so
// the same bits. For sm_90 and later, heads in whole pieces of four. Included by attn_step.cu.
#ifndef RP_ATTN_STEP_SPREAD_CUH
#define RP_ATTN_STEP_SPREAD_CUH

#include "attn_matrix.cuh"
#include "attn_spread_tile.cuh"

#define STEP_CHUNK 2                       // rows of which sums are under way together

// A tile, and the row (path) that it is made for, where it is not the prompt's alone.
struct rp_step_tile {
    uint32_t tile, row;
};

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
// Scores of a key of the tile, this lane's, for queries q .. q + CHUNK - 1, of which `end` is the first that is not there.
template <int CHUNK>
__device__ inline void rp_step_scores(const float *queries, const float *key, uint32_t d, uint32_t q, uint32_t end, bool present, float scale, float *to) {
    constexpr uint32_t STEPS = CHUNK > 1 ? 2 : 4;
    const float *from[CHUNK];
    float score[CHUNK];
    uint32_t j = 0;
#pragma unroll
    for (int i = 0; i < CHUNK; i++) { from[i] = queries + min(q + i, end - 1) * d, score[i] = 0; }
#pragma unroll 1
    for (; j + 4 * STEPS <= d; j += 4 * STEPS) { rp_spread_products<CHUNK, STEPS>(score, from, key, j); }
#pragma unroll 1
    for (; j < d; j += 4) { rp_spread_products<CHUNK, 1>(score, from, key, j); }
#pragma unroll
    for (int i = 0; i < CHUNK; i++) {
        if (q + i < end) { to[(q + i) * RP_ATTN_TILE] = present ? __fmul_rn(score[i], scale) : -RP_INFINITY; }
    }
}

// Sums over the tile's keys, ascending, for queries q .. q + CHUNK - 1, of weights times one element of the values, `pitch` floats apart.
template <int CHUNK>
__device__ inline void rp_step_values(const float *weight, const float *v, uint32_t pitch, uint32_t q, uint32_t end, float (&total)[CHUNK]) {
    const float *from[CHUNK];
#pragma unroll
    for (int i = 0; i < CHUNK; i++) { from[i] = weight + min(q + i, end - 1) * RP_ATTN_TILE, total[i] = 0; }
#pragma unroll (CHUNK > 1 ? 2 : 4)
    for (uint32_t c = 0; c < RP_ATTN_TILE; c += 4) {       // past the last key: weight 0
        const float4 value = make_float4(v[c * pitch], v[(c + 1) * pitch], v[(c + 2) * pitch], v[(c + 3) * pitch]);
#pragma unroll
        for (int i = 0; i < CHUNK; i++) { total[i] = rp_dot4(*reinterpret_cast<const float4 *>(from[i] + c), value, total[i]); }
    }
}

__device__ inline void rp_step_fence() { asm volatile("fence.proxy.async;" ::: "memory"); }   // between what is copied so and what is not
__device__ inline void rp_step_arrived(uint64_t *arrived, uint32_t parity) {                 // waits for what a barrier counts
    asm volatile("{\n\t.reg .pred done;\n"
                 "again_%=:\n\tmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n\t@!done bra again_%=;\n\t}"
                 ::"r"(rp_shared_address(arrived)), "r"(parity) : "memory");
}

// Two of a head's pairs (i, i + d/2), turned as rope_half turns them: angles: cos, sin of each.
__device__ inline void rp_step_turn(float2 &a, float2 &b, const float4 &angles) {
    const float2 low = make_float2(__fmaf_rn(a.x, angles.x, -__fmul_rn(b.x, angles.y)), __fmaf_rn(a.y, angles.z, -__fmul_rn(b.y, angles.w)));
    b = make_float2(__fmaf_rn(b.x, angles.x, __fmul_rn(a.x, angles.y)), __fmaf_rn(b.y, angles.z, __fmul_rn(a.y, angles.w)));
    a = low;
}
__device__ inline float2 rp_step_two(const float *from) { return *reinterpret_cast<const float2 *>(from); }
__device__ inline void rp_step_put(float *to, const float2 &x) { *reinterpret_cast<float2 *>(to) = x; }

__device__ inline void rp_attn_step_spread(const rp_kernel_args<rp_attn_step_params> &args, float *memory) {
    const rp_attn_step_params &p = args.p;
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 4)[blockIdx.z], step = rp_at<const rp_step>(args, 5)->step, slot = step - 1;
    const uint32_t rank = blockIdx.x % RP_ATTN_SPREAD, blocks = gridDim.x / RP_ATTN_SPREAD, head = blockIdx.y, b = blockIdx.z;
    const uint32_t d = p.head_width, width = p.heads * d, warp = threadIdx.x / 32, warps = blockDim.x / 32, lane = threadIdx.x % 32;
    const uint32_t most = rp_quotient(p.paths + blocks - 1, blocks), s0 = blockIdx.x / RP_ATTN_SPREAD * most, row0 = b * p.paths + s0;
    const bool turns = p.positions > 0, live = slot < p.suffix_cap;            // live: not at step 0, nor in a replay too many
    const uint64_t own_values = (uint64_t)p.batch * p.paths * p.suffix_cap * width, prefix_values = (uint64_t)p.batch * p.prefix_cap * width;
    const uint64_t path = (uint64_t)p.suffix_cap * width;                      // floats from one path's own keys to the next's
    const uint32_t n_rows = min(most, p.paths - min(s0, p.paths)), n_prefix = min(n_tokens, p.prefix_cap), n = n_prefix + min(step, p.suffix_cap);
    const uint32_t n_shared = n_rows > 1 ? n_prefix / RP_ATTN_TILE : 0;        // tiles of the prompt alone
    const uint32_t fresh = live ? n - 1 : ~0u;                               // the key that is not in memory yet
    const float *prefix = rp_at<const float>(args, 2) + (uint64_t)b * p.prefix_cap * width + head * d;                // [2, B, N, h, d]
    float *cache = rp_at<float>(args, 6) + row0 * path + head * d;                                                // [2, B, S, R, h, d]
    const float *own = cache - (uint64_t)n_prefix * width;
    const uint32_t n_tiles = (n + RP_ATTN_TILE - 1) / RP_ATTN_TILE, room = (p.prefix_cap + p.suffix_cap + RP_ATTN_TILE - 1) / RP_ATTN_TILE;
    const uint32_t n_works = n_shared + n_rows * (n_tiles - n_shared), mine = (n_works + RP_ATTN_SPREAD - 1 - rank) / RP_ATTN_SPREAD;
    const uint32_t my_shared = (n_shared + RP_ATTN_SPREAD - 1 - rank) / RP_ATTN_SPREAD;

    float *queries = memory + 4, *shared_scores = queries + most * d + RP_ATTN_SPREAD_JOINED(most, room, d);
    float *tiles = shared_scores + RP_ATTN_STEP_SCORES(most, p.prefix_cap);
    const rp_spread_inbox inbox = { queries + most * d, reinterpret_cast<uint64_t *>(memory), room };
    uint32_t bytes;
    asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(bytes));
    const uint32_t place_size = RP_ATTN_STEP_PLACE(d), pitch = RP_ATTN_PITCH(d);
    const uint32_t places = rp_quotient(bytes / 16 - (uint32_t)(tiles - memory) / 4, place_size / 4);
    const auto tile_of = [&](uint32_t number) {    // shared ones first: they take longest
        const uint32_t own_number = number - n_shared, tile = rp_quotient(own_number, n_rows);
        return number < n_shared ? rp_step_tile{ number, 0 } : rp_step_tile{ n_shared + tile, own_number - tile * n_rows };
    };
    const auto keys = [&](uint32_t place) { return tiles + place * place_size; };
    const auto values = [&](uint32_t place) { return keys(place) + RP_ATTN_TILE * pitch; };
    const auto alone = [&](uint32_t place) { return values(place) + RP_ATTN_TILE * d; };            // scores, then weights, of one path's tile
    const auto dealt = [&](uint32_t place) { return reinterpret_cast<rp_step_tile *>(alone(place) + RP_ATTN_TILE); };
    const auto shared = [&](uint32_t place) { return shared_scores + place * most * RP_ATTN_TILE; };
    const auto row_of = [&](const rp_step_tile &t, uint32_t c, bool v) {
        return (c < n_prefix ? prefix + (v ? prefix_values : 0) : own + (v ? own_values : 0) + t.row * path) + (uint64_t)c * width;
    };
    const auto deal = [&](uint32_t first) {        // says what is in which place
        if (threadIdx.x < places && first + threadIdx.x < mine) { *dealt(threadIdx.x) = tile_of(rank + RP_ATTN_SPREAD * (first + threadIdx.x)); }
    };
    uint64_t *arrived = inbox.ready + 1;
    const auto ask = [&](uint32_t first) {         // a row of keys or values an invocation
        const uint32_t end = min(places, mine - min(mine, first)) * 2 * RP_ATTN_TILE;
        uint32_t bytes = 0;
#pragma unroll 1
        for (uint32_t i = threadIdx.x; i < end; i += blockDim.x) {
            const uint32_t place = i / (2 * RP_ATTN_TILE), number = i % RP_ATTN_TILE;
            const bool v = i / RP_ATTN_TILE % 2 != 0;
            const rp_step_tile t = tile_of(rank + RP_ATTN_SPREAD * (first + place));
            const uint32_t c = t.tile * RP_ATTN_TILE + number;
            float *to = v ? values(place) + number * d : keys(place) + number * pitch;
            if (c < n && (c != fresh || first > 0)) {
                rp_cluster_copy(to, row_of(t, c, v), d * 4, arrived);
                bytes += d * 4;
            }
            if (v && c >= n) {                   // zeros past the last
                for (uint32_t x = 0; x < d; x += 4) { *reinterpret_cast<float4 *>(to + x) = make_float4(0, 0, 0, 0); }
            }
        }
        rp_cluster_expect(arrived, bytes);
    };
    __syncthreads();                               // the barrier is made
    ask(0);
#pragma unroll 1
    for (uint32_t i = places * 2 * RP_ATTN_TILE + threadIdx.x; i < mine * 2 * RP_ATTN_TILE; i += blockDim.x) {   // to the L2 cache, at least
        const rp_step_tile t = tile_of(rank + RP_ATTN_SPREAD * (i / (2 * RP_ATTN_TILE)));
        const uint32_t c = t.tile * RP_ATTN_TILE + i % RP_ATTN_TILE;
        const bool v = i % (2 * RP_ATTN_TILE) >= RP_ATTN_TILE;
        if (c < n && c != fresh) { rp_hint(row_of(t, c, v), d); }
    }
    deal(0);
    const uint32_t half = d / 2, fours = half / 2, position = min(n_tokens + slot, max(p.positions, 1u) - 1);
    const float *angles = rp_at<const float>(args, 1) + (uint64_t)position * d;                    // [positions, d/2, 2]
    const uint32_t chunks = rp_quotient(n_rows + STEP_CHUNK - 1, STEP_CHUNK);
    const uint32_t column_bits = 32 - __clz((d - 1) / 32);                     // warps across a tile's values
    const uint32_t last = n_shared + (n_tiles - 1 - n_shared) * n_rows;  // number of row 0's last tile; then the other rows'
    uint32_t pair = threadIdx.x, row, column;      // two pairs of a row: columns column, + 1, and those half a head further
    const float *kv, *from;
    float4 turn;
    const auto find = [&]() {
        row = rp_quotient(pair, fours), column = (pair - row * fours) * 2;
        const uint64_t at = (uint64_t)(row0 + row) * width;
        kv = rp_at<const float>(args, 0) + (turns ? 3 * at + width : 2 * at) + head * d + column;
        from = turns ? kv - width : rp_at<const float>(args, 1) + at + head * d + column;
        if (turns) { turn = *reinterpret_cast<const float4 *>(angles + column * 2); }
    };
    find();
    if (threadIdx.x == 0 && rank < n_rows) {
        rp_cluster_expect(inbox.ready, ((n_rows - rank - 1) / RP_ATTN_SPREAD + 1) * n_tiles * (d + 2) * 4);
    }
    rp_cluster_wait_begun();                       // all groups have begun and made their barriers

    if (kv == NULL || from == NULL) { return; }    // never, but to know it takes what is read first, so that it is there before the wait
    rp_wait();
#pragma unroll 1
    while (pair < n_rows * fours) {
        // The last tile of the row has the new key: its group keeps it, and puts it into the cache.
        const uint32_t place = (last + row) / RP_ATTN_SPREAD;
        const bool keeps = live && (last + row) % RP_ATTN_SPREAD == rank;
        float2 a0 = rp_step_two(from), a1 = rp_step_two(from + half), c0, c1, v0, v1;
        if (keeps) {
            c0 = rp_step_two(kv), c1 = rp_step_two(kv + half);
            v0 = rp_step_two(kv + width), v1 = rp_step_two(kv + width + half);
        }
        if (turns) { rp_step_turn(a0, a1, turn); }
        rp_step_put(queries + row * d + column, a0), rp_step_put(queries + row * d + half + column, a1);
        if (keeps) {
            if (turns) { rp_step_turn(c0, c1, turn); }
            if (place < places) {
                float *k_in = keys(place) + fresh % RP_ATTN_TILE * pitch + column, *v_in = values(place) + fresh % RP_ATTN_TILE * d + column;
                rp_step_put(k_in, c0), rp_step_put(k_in + half, c1);
                rp_step_put(v_in, v0), rp_step_put(v_in + half, v1);
            }
            float *k_to = cache + row * path + (uint64_t)slot * width + column, *v_to = k_to + own_values;
            rp_step_put(k_to, c0), rp_step_put(k_to + half, c1);
            rp_step_put(v_to, v0), rp_step_put(v_to + half, v1);
        }
        pair += blockDim.x;
        if (pair < n_rows * fours) { find(); }
    }
    if (mine > places) { rp_step_fence(); }        // the new key and value, which a later round copies
#pragma unroll 1
    for (uint32_t first = 0; first < mine; first += places) {
        const uint32_t n_here = min(places, mine - first), n_whole = min(n_here, my_shared - min(first, my_shared));
        rp_step_arrived(arrived, first / places & 1);
        __syncthreads();                           // queries, the new key: written by all, read by all
        const uint32_t long_scores = n_whole * 2 * chunks, n_scores = long_scores + (n_here - n_whole) * 2;
#pragma unroll 1
        for (uint32_t i = warp; i < n_scores; i += warps) {
            const uint32_t key = i % 2 * 32 + lane;
            const bool whole = i < long_scores;
            const uint32_t place = whole ? rp_quotient(i / 2, chunks) : n_whole + (i - long_scores) / 2;
            const float *of = keys(place) + key * pitch;
            if (whole) {
                const uint32_t q = (i / 2 - place * chunks) * STEP_CHUNK;
                rp_step_scores<STEP_CHUNK>(queries, of, d, q, n_rows, true, p.scale, shared(place) + key);
            } else {
                const rp_step_tile t = *dealt(place);
                rp_step_scores<1>(queries + t.row * d, of, d, 0, 1, t.tile * RP_ATTN_TILE + key < n, p.scale, alone(place) + key);
            }
        }
        __syncthreads();                           // scores: written by all, read by all
        const uint32_t n_weights = n_whole * n_rows + n_here - n_whole;
#pragma unroll 1
        for (uint32_t i = 2 * warp; i < n_weights; i += 2 * warps) {              // half a warp each
            const uint32_t each = min(i + lane / 16, n_weights - 1), column = lane % 16;
            const bool whole = each < n_whole * n_rows, there = i + lane / 16 < n_weights;
            const uint32_t place = whole ? rp_quotient(each, n_rows) : n_whole + each - n_whole * n_rows;
            const rp_step_tile t = *dealt(place);
            const uint32_t row = whole ? each - place * n_rows : t.row;
            float *weight = (whole ? shared(place) + row * RP_ATTN_TILE : alone(place)) + column, x[4];
#pragma unroll
            for (int c = 0; c < 4; c++) { x[c] = there ? weight[16 * c] : 0.0f; }     // nobody else's
            float top = fmaxf(fmaxf(x[0], x[1]), fmaxf(x[2], x[3]));
#pragma unroll
            for (int distance = 8; distance > 0; distance /= 2) { top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, distance)); }
            const float zero = top == -RP_INFINITY ? 0.0f : top;
#pragma unroll
            for (int c = 0; c < 4; c++) {
                x[c] = rp_exp_below(x[c] - zero);
                if (there) { weight[16 * c] = x[c]; }
            }
            float sum = (x[0] + x[2]) + (x[1] + x[3]);                             // by halving, as rp_halve32
#pragma unroll
            for (int distance = 8; distance > 0; distance /= 2) { sum += __shfl_xor_sync(0xffffffffu, sum, distance); }
            const float *to = rp_spread_joined(inbox.joined, row, t.tile, room, d) + d;
            if (column == 0 && there) { rp_cluster_send2(to, row % RP_ATTN_SPREAD, inbox.ready, top, sum); }
        }
        __syncthreads();                           // weights: written by all, read by all
        const uint32_t long_values = n_whole * chunks << column_bits, n_values = long_values + ((n_here - n_whole) << column_bits);
#pragma unroll 1
        for (uint32_t i = warp; i < n_values; i += warps) {
            const uint32_t j = (i & ((1u << column_bits) - 1)) * 32 + lane, part = i >> column_bits;
            if (j >= d + lane) { continue; }
            const bool whole = i < long_values;
            const uint32_t place = whole ? rp_quotient(part, chunks) : n_whole + ((i - long_values) >> column_bits);
            const float *of = values(place) + min(j, d - 1);
            const rp_step_tile t = *dealt(place);
            if (whole) {
                const uint32_t q = (part - place * chunks) * STEP_CHUNK;
                float total[STEP_CHUNK];
                rp_step_values<STEP_CHUNK>(shared(place), of, d, q, n_rows, total);
#pragma unroll
                for (int c = 0; c < STEP_CHUNK; c++) {
                    if (q + c < n_rows) { rp_spread_send_values(inbox, d, q + c, t.tile, j, total[c]); }
                }
            } else {
                float total[1];
                rp_step_values<1>(alone(place), of, d, 0, 1, total);
                rp_spread_send_values(inbox, d, t.row, t.tile, j, total[0]);
            }
        }
        if (first + places < mine) {
            __syncthreads();                       // tiles, weights: read by all before they are written again
            rp_step_fence();
            ask(first + places);
            deal(first + places);
        }
    }
    const uint32_t piece_bits = d > 128 ? 2 : d > 64 ? 1 : 0;              // warps that join a row
#pragma unroll 1
    for (uint32_t i = warp; rank + RP_ATTN_SPREAD * (i >> piece_bits) < n_rows; i += warps) {
        const uint32_t row = rank + RP_ATTN_SPREAD * (i >> piece_bits), j = (i & ((1u << piece_bits) - 1)) * 64 + lane;
        if (j >= d + lane) { continue; }
        rp_cluster_wait_ready(inbox.ready);                  // all tiles of this group's rows
        const float2 y = rp_spread_join(rp_spread_joined(inbox.joined, row, 0, room, d), n_tiles, d, j);
        float *to = rp_at<float>(args, 7) + (uint64_t)(row0 + row) * width + head * d + j;                      // [B, S, h, d]
        if (j < d) { to[0] = y.x; }
        if (j + 32 < d) { to[32] = y.y; }
    }
}
#endif

extern "C" __global__ void
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
__cluster_dims__(RP_ATTN_SPREAD, 1, 1) __maxnreg__(64)
#endif
attn_step_f32_spread(const rp_kernel_args<rp_attn_step_params> args) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    extern __shared__ __align__(16) float memory[];
    if (threadIdx.x == 0) {                        // the barrier on which the group waits for rows
        asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n\tfence.proxy.async.shared::cta;" ::"r"(rp_shared_address(memory + 2)),
                     "r"(blockDim.x) : "memory");
    }
    rp_cluster_begin(reinterpret_cast<uint64_t *>(memory));
    rp_release();
    rp_attn_step_spread(args, memory);
#endif
}

#endif
