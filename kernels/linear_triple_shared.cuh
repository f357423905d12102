// linear_triple.cuh where tiles are few: a cluster shares one. Each group multiplies chunks of its own, every CLUSTER-th, and sends their
// sums, sixteen bytes a write, to the group that adds those rows' sums: all chunks' in ascending order, so the bits of one group alone. A
// round is a chunk of each group; sums of two rounds have room. Included by linear_triple.cuh.
#ifndef RP_LINEAR_TRIPLE_SHARED_CUH
#define RP_LINEAR_TRIPLE_SHARED_CUH

// Those who multiply. come: sums of a round are there. room: all groups have added what this one sent.
template <class TILE>
__device__ inline void rp_triple_multiply_shared(const rp_linear_params &p, const rp_linear_view &view, const __nv_bfloat16 *memory, uint64_t *full,
                                                 uint64_t *empty, uint64_t *come, uint64_t *room, uint32_t tiles, uint32_t m_tiles, uint32_t chunks) {
    constexpr uint32_t cluster = TILE::cluster, warps = TILE::groups * 4, warps_each = warps / cluster, blocks = TILE::width / 8;
    // Pieces of sixteen columns of sixteen rows: of those of its group, a warp adds every warps-th.
    constexpr uint32_t pairs = blocks / 2, pieces = warps_each * pairs / warps, round_floats4 = cluster * TILE::sent_bytes / 16;
    static_assert(TILE::bn == TILE::width && warps_each * pairs % warps == 0, "a warpgroup for all columns, and as many pieces for each warp");
    const uint32_t lane = threadIdx.x % 32, at_warp = threadIdx.x / 32;
    const uint32_t rank = blockIdx.x % cluster, rounds = (chunks + cluster - 1) / cluster;
    const bool whole = rp_triple_pairs(p, view);
    float4 *slots = const_cast<float4 *>(reinterpret_cast<const float4 *>(memory + TILE::sums_at));
    float4 *to = slots + (rank * warps_each + at_warp % warps_each) * blocks * 32 + lane;     // in the memory of group at_warp / warps_each
    uint32_t stage = 0, parity = 0, sent = 0, added = 0;         // rounds so far, of all tiles
    const uint32_t first = rank < chunks ? rank * 64 : 0;
    rp_triple_x x = { p, view, TILE::bm, m_tiles, tiles, gridDim.x / cluster, at_warp * 16 + lane / 4, lane % 4 * 4, 64 * cluster, first,
                      blockIdx.x / cluster, first };
    uint32_t parts[3][4][4], next[3][4][4];
    float total[pieces][2][4], acc[blocks][4];
    const auto send = [&]() {
        const uint32_t slot = sent % 2;
        rp_barrier_wait(&room[slot], (sent / 2 & 1) ^ 1);
#pragma unroll
        for (uint32_t j = 0; j < blocks; j++) {
            rp_send(to + slot * round_floats4 + j * 32, make_float4(acc[j][0], acc[j][1], acc[j][2], acc[j][3]), &come[slot], at_warp / warps_each);
        }
        sent++;
    };
    const auto add = [&](uint32_t round) {
        const uint32_t slot = added % 2, left = chunks - round * cluster, n = left < cluster ? left : cluster;
        if (threadIdx.x == 0) { rp_barrier_expect(&come[slot], n * TILE::sent_bytes); }
        rp_barrier_wait(&come[slot], added / 2 & 1);
        const float4 *from = slots + slot * round_floats4 + lane;
#pragma unroll
        for (uint32_t s = 0; s < cluster; s++) {
            if (s >= n) { break; }
#pragma unroll
            for (uint32_t u = 0; u < pieces; u++) {
                const uint32_t piece = at_warp + u * warps;
#pragma unroll
                for (uint32_t i = 0; i < 2; i++) {
                    const float4 v = from[((s * warps_each + piece / pairs) * blocks + piece % pairs * 2 + i) * 32];
                    total[u][i][0] += v.x, total[u][i][1] += v.y, total[u][i][2] += v.z, total[u][i][3] += v.w;
                }
            }
        }
        __syncwarp();                      // sums: read by all
        if (lane < cluster) { rp_barrier_arrive_at(&room[slot], lane); }
        added++;
    };
    x.begin();
    x.ask();
    x.split(parts);
    x.ask();
#pragma unroll 1
    for (uint32_t i = blockIdx.x / cluster; i < tiles; i += gridDim.x / cluster) {
        const typename TILE::tile_at at = TILE::place(i, m_tiles);
        const uint32_t own = chunks > rank ? (chunks - rank + cluster - 1) / cluster : 0;   // rounds of which this group has a chunk: all but perhaps the last
#pragma unroll
        for (uint32_t u = 0; u < pieces; u++) {
#pragma unroll
            for (int e = 0; e < 8; e++) { total[u][e / 4][e % 4] = -0.0f; }
        }
#pragma unroll 1
        for (uint32_t round = 0; round < own; round++) {                   // the next chunk is split while the units multiply
            rp_barrier_wait(&full[stage], parity);
            TILE::products(acc, parts, memory + stage * TILE::stage_halves);
            x.split(next);
            x.ask();
            rp_wgmma_wait<0>();
            if (lane == 0) { rp_barrier_arrive(&empty[stage]); }
            if (++stage == TILE::stages) { stage = 0, parity ^= 1; }
            send();
            x.take(parts, next);
            if (round > 0) { add(round - 1); }
        }
        sent += rounds - own;
        for (uint32_t round = own > 0 ? own - 1 : 0; round < rounds; round++) { add(round); }
#pragma unroll
        for (uint32_t u = 0; u < pieces; u++) {
            const uint32_t piece = at_warp + u * warps;
            const uint32_t row = at.row + (rank * warps_each + piece / pairs) * 16 + lane / 4, column = at.column + piece % pairs * 16 + lane % 4 * 2;
            if (whole) {
                rp_triple_store<true>(p, view, total[u], row, column);
            } else {
                rp_triple_store<false>(p, view, total[u], row, column);
            }
        }
    }
}

#endif
