// qkv, attention and "attention out" of a decode step in float32 in one launch (step_pair.cuh), as step_attention.cuh: a cluster takes one head, as
// wide as a chunk. Each group sees some tiles of keys (attn_step_tiles.cuh), asked for before the wait; each path is joined by one group, or, of one
// path alone, by all.
//   step_attention_pair         several rows
//   step_attention_pair_one     one
// Included by attn_step.cu.
#ifndef RP_STEP_ATTENTION_PAIR_CUH
#define RP_STEP_ATTENTION_PAIR_CUH

#include "attn_step_tiles.cuh"
#include "step_pair.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
template <bool ONE> __device__ inline void rp_step_attention_pair(const rp_step_block_args &a, char *memory) {
    using step = rp_step_pair<ONE>;
    constexpr uint32_t RANKS = RP_STEP_RANKS, d = RP_STEP_CHUNK, OF_PART = d / 8, BLOCKS = 3 * OF_PART / RANKS;   // blocks of q, of k and of v; a group's
    const step s(a, memory);
    const rp_attn_step_params &p = a.attn;
    const uint32_t width = a.d, head = s.set, block0 = s.rank * BLOCKS;
    const auto column_of = [&](uint32_t block) { return block / OF_PART * width + head * d + block % OF_PART * 8; };   // of qkv, the block's first
    s.begin(s.m * 3 * d * 4, ONE ? 0 : s.m * d * 4);
    s.fetch(a.in, a.w_in, width * 4, 0, width * 4, BLOCKS * 8, [&](uint32_t i) { return column_of(block0 + i / 8) + i % 8; });
    s.fetch_out(width * 4, head * d * 4, d * 4);
    const uint32_t n_tokens = *reinterpret_cast<const uint32_t *>(a.n_tokens), step_number = reinterpret_cast<const rp_step *>(a.step)->step;
    rp_step_tiles<ONE, d> t(p, s.rank, s.m, a.rows_own, n_tokens, step_number);
    t.prefix = reinterpret_cast<const float *>(a.prefix) + head * d;
    t.cache = reinterpret_cast<float *>(a.own) + s.row0 * t.path + head * d;
    t.queries = reinterpret_cast<float *>(memory + a.queries), t.weights = reinterpret_cast<float *>(memory + a.shared);
    t.tiles = reinterpret_cast<float *>(memory + a.tiles), t.places = a.places;
    t.inbox = { reinterpret_cast<float *>(memory + a.joined), s.ready(RP_STEP_PARTS), a.room };
    t.ask(0);
    if (threadIdx.x == 0) { s.expect(RP_STEP_PARTS, t.expected()); }
    const typename step::rows_of_x x = s.find_rows();
    const typename step::part in = s.part_of(a.in, BLOCKS), out = s.part_of(a.out, s.columns / 8);
    const typename step::result_at r = s.result_of(threadIdx.x, BLOCKS);
    const uint32_t qkv_column = r.live ? column_of(block0 + r.block) : 0;
    const float2 ends = s.ends_of(qkv_column + r.column);
    // Two pairs of columns of a row's head an invocation, which turn by the same angles.
    float *sent = reinterpret_cast<float *>(memory + a.sent);
    const uint32_t row = threadIdx.x / (d / 4), column = threadIdx.x % (d / 4) * 2;
    const float4 turn = *reinterpret_cast<const float4 *>(reinterpret_cast<const float *>(a.angles) + (uint64_t)min(n_tokens + t.slot, p.positions - 1) * d + column * 2);
    rp_copy_wait<0>();                         // weights, keys and values: needed as soon as x is there, and here by then
    rp_cluster_wait_begun();                   // all groups have begun and made their barriers
    rp_wait();

    // q, k and v of the head, to all groups.
    s.take_rows(x);
    s.multiply(a.in, in);
    __syncthreads();                           // sums: written by all, read by all
    s.send_eight(r.live, r.live ? s.result(a.in, r.block, r.row, r.column, ends.x, ends.y) : 0.0f,
                 reinterpret_cast<char *>(sent + r.row * 3 * d + (block0 + r.block) * 8), r.column,
                 reinterpret_cast<float *>(a.y_in) + (uint64_t)(s.row0 + r.row) * 3 * width + qkv_column);
    s.wait(RP_STEP_MID);

    // Those turned; the new k and v to the tile that they are the last of, and to the cache.
    if (row < s.m) {
        const float *q_from = sent + row * 3 * d + column, *k_from = q_from + d, *v_from = k_from + d;
        float2 q[2] = { rp_step_two(q_from), rp_step_two(q_from + d / 2) };
        rp_step_turn(q[0], q[1], turn);
        t.put(row, column, q[0], q[1]);
        if (t.keeps(row)) {
            float2 k[2] = { rp_step_two(k_from), rp_step_two(k_from + d / 2) };
            const float2 v[2] = { rp_step_two(v_from), rp_step_two(v_from + d / 2) };
            rp_step_turn(k[0], k[1], turn);
            t.keep(row, column, k, v);
        }
    }
    if (t.mine > 0) {
        t.round(0);
    } else {
        __syncthreads();                       // q, k and v: read by all before the row goes there
    }

    // A row joined by a warp, for all groups.
    if (s.warp == 0 && (ONE || s.rank < s.m)) {
        const uint32_t own = ONE ? 0 : s.rank;
        rp_cluster_wait_ready(t.inbox.ready);
        const float2 y = rp_spread_join(t.inbox.joined, t.n_tiles, d, s.lane);
        float *keep = ONE ? reinterpret_cast<float *>(memory + a.mid) : sent;
        keep[s.lane] = y.x, keep[s.lane + 32] = y.y;
        if constexpr (!ONE) {
            __syncwarp();                      // the row: written by all lanes, read by all
            const uint4 four = rp_step_four(sent + s.lane % 16 * 4);
#pragma unroll
            for (uint32_t i = 0; i < RANKS; i += 2) {
                rp_cluster_send(memory + a.mid + own * s.mid_pitch() + s.lane % 16 * 16, s.lane / 16 + i, s.ready(RP_STEP_ATTENDED), four);
            }
        }
        if (!ONE || s.rank == 0) {
            float *to = reinterpret_cast<float *>(a.y) + (uint64_t)(s.row0 + own) * width + head * d + s.lane;
            to[0] = y.x, to[32] = y.y;
        }
    }
    if constexpr (ONE) {
        __syncthreads();                       // the row: written by one warp, read by all
    } else {
        s.wait(RP_STEP_ATTENDED);
    }
    s.finish(out);
}
#endif

RP_STEP_KERNEL(step_attention_pair, rp_step_attention_pair, false)
RP_STEP_KERNEL(step_attention_pair_one, rp_step_attention_pair, true)

#endif
