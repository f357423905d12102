// attn_time for many queries of one path, a prompt's or an own window's, in float16 on the matrix units of compute capability 9.0: as
// attn_teams.cuh by one team, whose tiles the copy engine brings, keys of the prompt first, and a warpgroup multiplies from where they lie.
// A box has 64 columns and begins at a multiple of 16 bytes, as the engine asks for, so it holds what stands beside a narrower head too; the
// query is 0 there. Included by attn_time.cu.
//   attn_time_f16_wgmma   blocks of 64 queries, heads of at most 64
#ifndef RP_ATTN_TIME_WGMMA_CUH
#define RP_ATTN_TIME_WGMMA_CUH

#include "attn_time_tiled.cuh"
#include "wgmma.cuh"

struct rp_attn_map_args {
    rp_kernel_args<rp_attn_time_params> base;
    rp_tensor_map k, v, k_own, v_own;         // boxes of 64 columns of a tile's keys
};

#ifdef RP_HAS_WGMMA

#define WGMMA_RING RP_ATTN_WGMMA_RING         // tiles that have their place in shared memory
#define WGMMA_BOX (RP_ATTN_TILE * 64)         // float16 of a tile's keys, or its values
static_assert(RP_ATTN_TILE == 64 && RP_ATTN_MIXED_HEAD == 64, "a box has 64 columns, the units take 64 keys");

// Values of keys from n on are whatever lies there, and a weight of 0 times NaN is NaN: zeros.
__device__ inline void rp_wgmma_clear(__half *v, uint32_t n) {
    for (uint32_t i = n * 8 + threadIdx.x; i < RP_ATTN_TILE * 8; i += blockDim.x) { reinterpret_cast<uint4 *>(v)[i] = make_uint4(0, 0, 0, 0); }
    rp_wgmma_publish();
    __syncthreads();                          // values: written by all, read by the units
}

__device__ inline void rp_attn_wgmma(const rp_attn_map_args &args, char *memory) {
    constexpr int HEAD = RP_ATTN_MIXED_HEAD, TILE = RP_ATTN_TILE, BLOCK = 64;
    const rp_attn_time_params &p = args.base.p;
    uint32_t set, row0;
    if (!rp_time_block<BLOCK>(p, set, row0)) { return; }
    uint64_t *full = reinterpret_cast<uint64_t *>(memory);               // a barrier for each tile, then the tiles
    __half *ring = reinterpret_cast<__half *>(memory + 1024);
    if (threadIdx.x == 0) {
        for (uint32_t i = 0; i < WGMMA_RING; i++) { rp_barrier_init(&full[i], 1); }
        rp_barrier_publish();
        rp_box_prefetch(&args.k), rp_box_prefetch(&args.v);
        if (p.own) { rp_box_prefetch(&args.k_own), rp_box_prefetch(&args.v_own); }
    }
    __syncthreads();                          // barriers: made by one, waited for by all
    const uint32_t head = set % p.heads, sequence = set / p.heads, column = head * p.head_width / 8 * 8;
    const uint32_t prefix = (sequence / (p.paths * p.variates) * p.variates + sequence % p.variates) * p.prefix_cap;   // its first row of k and v
    const rp_tiled_work<__half> w = rp_time_work<__half>(args.base, set);
    // Keys that all queries see, of the prompt; then those that each sees up to its own, of the prompt or of the path.
    const uint32_t n_ordered = row0 < w.alive ? min(row0 + BLOCK, w.alive) : 0, n_all = n_ordered > 0 ? w.before : 0;
    const uint32_t of_all = (n_all + TILE - 1) / TILE, tiles = of_all + (n_ordered + TILE - 1) / TILE;
    const auto stage = [&](uint32_t t) {      // by one invocation
        __half *to = ring + t % WGMMA_RING * 2 * WGMMA_BOX;
        uint64_t *barrier = &full[t % WGMMA_RING];
        const bool own = p.own && t >= of_all;
        const uint32_t row = own ? sequence * p.suffix_cap + (t - of_all) * TILE : prefix + t * TILE;
        rp_barrier_expect(barrier, 2 * WGMMA_BOX * sizeof(__half));
        rp_box_load(to, own ? &args.k_own : &args.k, column, row, barrier);
        rp_box_load(to + WGMMA_BOX, own ? &args.v_own : &args.v, column, row, barrier);
    };
    if (threadIdx.x == 0) {
        for (uint32_t t = 0; t < WGMMA_RING - 1 && t < tiles; t++) { stage(t); }
    }
    const uint32_t lane = threadIdx.x % 32, first_row = row0 + threadIdx.x / 32 * 16, low = first_row + lane / 4;
    const float scale = w.scale * 1.44269504f;                                                    // log2 e
    const uint32_t before = head * p.head_width - column;
    rp_teams_rows<HEAD> rows;
    rp_teams_begin(rows, w, before, low);
#pragma unroll 1
    for (uint32_t t = 0; t < tiles; t++) {
        const bool ordered = t >= of_all;
        const uint32_t first = (ordered ? t - of_all : t) * TILE, n = ordered ? n_ordered : n_all;
        __half *k = ring + t % WGMMA_RING * 2 * WGMMA_BOX, *v = k + WGMMA_BOX;
        if (t > 0) { __syncthreads(); }       // the tile before: read by all before another takes its place
        if (threadIdx.x == 0 && t + WGMMA_RING - 1 < tiles) { stage(t + WGMMA_RING - 1); }
        rp_barrier_wait(&full[t % WGMMA_RING], t / WGMMA_RING % 2);
        if (first + TILE > n) { rp_wgmma_clear(v, n - first); }
        float score[TILE / 8][4];
        const uint64_t keys = rp_box_describe(k), values = rp_box_describe(v);
        rp_wgmma_begin();
#pragma unroll
        for (int i = 0; i < HEAD / 16; i++) { rp_wgmma_held<TILE>(score, rows.q[i], keys + 2 * i, i > 0); }
        rp_wgmma_commit();
        uint32_t seen[2][TILE / 32];
#pragma unroll
        for (int h = 0; h < 2; h++) {
#pragma unroll
            for (int i = 0; i < TILE / 32; i++) {
                seen[h][i] = rp_teams_before(first + 32 * i, ordered ? low + 8 * h + 1 : n) >> (2 * (lane % 4));
            }
        }
        rp_wgmma_wait<0>();
        rp_teams_weights<HEAD, TILE>(rows, score, scale, first + TILE <= (ordered ? first_row + 1 : n), seen);
        uint32_t weight[TILE / 16][4];
#pragma unroll
        for (int i = 0; i < TILE / 16; i++) { rp_teams_rounded<TILE>(weight[i], score, i); }
        rp_wgmma_begin();
#pragma unroll
        for (int i = 0; i < TILE / 16; i++) { rp_wgmma_held_turned(rows.value, weight[i], values + 128 * i, 1); }
        rp_wgmma_commit();
        rp_wgmma_wait<0>();
    }
    rp_teams_sum(rows);
    rp_teams_write(rows, w, before, low);
}

extern "C" __global__ void __launch_bounds__(RP_ATTN_WGMMA_GROUP, 4) attn_time_f16_wgmma(const __grid_constant__ rp_attn_map_args args) {
    extern __shared__ __align__(1024) char attn_wgmma_memory[];
    rp_release_few();
    rp_attn_wgmma(args, attn_wgmma_memory);
}

#endif
#endif
