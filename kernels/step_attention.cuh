// qkv, attention and "attention out" of a decode step in one launch (step_block.cuh): a cluster takes some of the heads. Each group makes some
// columns of q, k and v and sends them to all; each sees some of the keys (attn_few_unit.cuh), asked for before the wait; each path's parts are
// joined by one group, or, of one path and head alone, by all; what comes of it goes to all, for the second product.
//   step_attention_mixed         several rows
//   step_attention_mixed_one     one
// Included by attn_step.cu.
#ifndef RP_STEP_ATTENTION_CUH
#define RP_STEP_ATTENTION_CUH

#include "attn_few.cuh"
#include "step_block.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
// Keys of one head in units of sixteen: of the prompt, then of each of the cluster's paths.
struct rp_step_units {
    const __half *prefix, *suffix;             // [2, 1, N, h, d]; [2, 1, S, R, h, d], from the cluster's first path on
    uint64_t prefix_values, own_values, next;  // from keys to values; from one path to the next
    uint32_t width, n_prefix, n_suffix, slot, of_prompt, of_path, n;

    __device__ rp_step_units(const rp_step_block_args &a, uint32_t head, uint32_t row0, uint32_t m, uint32_t n_tokens, uint32_t step) {
        const rp_attn_step_params &p = a.attn;
        width = a.d, slot = step - 1, n_prefix = min(n_tokens, p.prefix_cap), n_suffix = min(step, p.suffix_cap);
        of_prompt = (n_prefix + FEW_KEYS - 1) / FEW_KEYS, of_path = max((n_suffix + FEW_KEYS - 1) / FEW_KEYS, 1u);
        n = of_prompt + (n_suffix > 0 ? m * of_path : 0);
        next = (uint64_t)p.suffix_cap * width, prefix_values = (uint64_t)p.prefix_cap * width, own_values = a.m * next;
        prefix = reinterpret_cast<const __half *>(a.prefix) + head * p.head_width;
        suffix = reinterpret_cast<const __half *>(a.own) + row0 * next + head * p.head_width;
    }
    __device__ __forceinline__ rp_few_unit<__half> nth(uint32_t i) const {
        const bool own = i >= of_prompt;
        const uint32_t row = own ? rp_quotient(i - of_prompt, of_path) : 0, first = (own ? i - of_prompt - row * of_path : i) * FEW_KEYS;
        const __half *k = own ? suffix + row * next + (uint64_t)first * width : prefix + (uint64_t)first * width;
        return { k, k + (own ? own_values : prefix_values), min(FEW_KEYS, (own ? n_suffix : n_prefix) - first), own ? row : RP_ATTN_FEW,
                 own ? slot - first : FEW_KEYS };
    }
};

// Four columns of a path's head.
struct rp_step_piece {
    uint32_t pair, row, head, column;          // pair: of a path and a head

    __device__ rp_step_piece(uint32_t i, uint32_t pieces, uint32_t heads) {
        pair = rp_quotient(i, pieces), row = rp_quotient(pair, heads), head = pair - row * heads, column = (i - pair * pieces) * 4;
        asm volatile("" : "+r"(pair), "+r"(row), "+r"(head), "+r"(column));
    }
};

template <bool ONE> __device__ inline void rp_step_attention(const rp_step_block_args &a, char *memory) {
    using step = rp_step_group<ONE>;
    constexpr uint32_t RANKS = RP_STEP_RANKS, QUERY = RP_ATTN_FEW_QUERY(1);
    const step s(a, memory);
    const rp_attn_step_params &p = a.attn;
    const uint32_t d = p.head_width, width = a.d, heads = p.heads / a.n_sums, own = heads * d, pairs = s.m * heads, pieces = d / 4;
    const uint32_t in_part = own / 8, least = 3 * in_part / RANKS, more = 3 * in_part % RANKS;      // blocks of q, of k and of v
    const uint32_t blocks = least + (s.rank < more), block0 = s.rank * least + min(s.rank, more), head0 = s.set * heads;
    // Pairs of a path and a head: which invocation turns and sends what, and which of the group's own it joins. One alone is joined by all.
    const bool lone = pairs == 1;
    const uint32_t my_pairs = lone ? 1 : (pairs + RANKS - 1 - s.rank) / RANKS, per = (pairs + RANKS - 1) / RANKS;
    const rp_step_piece mine(threadIdx.x, pieces, heads), sends(lone ? threadIdx.x / RANKS : threadIdx.x, pieces, heads);
    const rp_step_piece joins(lone ? threadIdx.x : threadIdx.x / RANKS, pieces, heads);
    const auto column_of = [&](uint32_t block) {     // of qkv, the block's first
        const uint32_t part = (block >= in_part) + (block >= 2 * in_part);
        return part * width + head0 * d + (block - part * in_part) * 8;
    };
    s.begin(s.m * 3 * own * 2, lone ? 0 : s.m * own * 2);
    if (threadIdx.x == 0) { s.expect(RP_STEP_PARTS, my_pairs * RANKS * (d + 2) * 4); }
    s.fetch(a.in, a.w_in, width * 2, 0, width * 2, blocks * 8, [&](uint32_t i) { return column_of(block0 + i / 8) + i % 8; });
    s.fetch_out(width * 2, head0 * d * 2, own * 2);
    s.clear_mid(own * 2);
    s.fetch_bias(blocks * 8, [&](uint32_t i) { return column_of(block0 + i / 8) + i % 8; });
    __half *sent = reinterpret_cast<__half *>(memory + a.sent), *queries = reinterpret_cast<__half *>(memory + a.queries);
    __half *fresh = reinterpret_cast<__half *>(memory + a.fresh);
    float2 *tops = reinterpret_cast<float2 *>(memory + a.tops);
    float *values = s.sums(), *joined = reinterpret_cast<float *>(memory + a.joined);
    float *angles = reinterpret_cast<float *>(memory + a.angles_at);
    for (uint32_t i = threadIdx.x; i < heads * 16 * QUERY / 8; i += RP_STEP_GROUP) {
        reinterpret_cast<uint4 *>(queries)[i] = make_uint4(0, 0, 0, 0);
    }
    const typename step::rows_of_x x = s.find_rows();
    const typename step::part in = s.part_of(a.in, a.rows, blocks), out = s.part_of(a.out, a.mid, s.columns / 8);
    const typename step::result_at r = s.result_of(threadIdx.x, blocks), last = s.result_of(threadIdx.x, s.columns / 8);
    // This warp's units of its head; keys and values of the first, and the others' way to the L2 cache.
    const uint32_t teams = step::WARPS / heads, of_head = s.warp / teams, team = s.warp - of_head * teams, lane = s.lane, stride = RANKS * teams;
    const uint32_t n_tokens = *reinterpret_cast<const uint32_t *>(a.n_tokens), step_number = reinterpret_cast<const rp_step *>(a.step)->step;
    const rp_step_units units(a, head0 + of_head, s.row0, s.m, n_tokens, step_number);
    const float *angles_from = reinterpret_cast<const float *>(a.angles) + (uint64_t)min(n_tokens + units.slot, p.positions - 1) * d;
    for (uint32_t i = threadIdx.x; i < d; i += RP_STEP_GROUP) { angles[i] = angles_from[i]; }
    uint32_t number = s.rank + RANKS * team;
    uint2 k[2][4], v[2][4];
    for (uint32_t i = number + stride; i < units.n; i += stride) { rp_few_hint(units.nth(i), d, width); }
    rp_few_unit<__half> unit = units.nth(number);
    if (number < units.n) {
        rp_few_keys(k, unit, d, width);
        rp_few_values(v, unit, d, width);
    }
    rp_copy_wait<0>();                         // weights: needed as soon as x is there, and here by then
    rp_cluster_wait_begun();                   // all groups have begun and made their barriers
    rp_wait();

    // q, k and v of the cluster's heads, to all groups.
    s.take_rows(x);
    s.multiply(a.in, in);
    __syncthreads();                           // sums: written by all, read by all
    {
        const uint4 eight = step::gather(r.live ? s.sum(a.in, s.sums_of(a.in, r.block, r)) + s.bias()[r.block * 8 + r.column] : 0.0f);
        if (r.live) {
            rp_cluster_send(sent + r.row * 3 * own + (block0 + r.block) * 8, r.column, s.ready(RP_STEP_MID), eight);
            if (r.column == 0) {
                __half *to = reinterpret_cast<__half *>(a.y_in) + (uint64_t)(s.row0 + r.row) * 3 * width + column_of(block0 + r.block);
                *reinterpret_cast<uint4 *>(to) = eight;
            }
        }
    }
    s.wait(RP_STEP_MID);

    // Those turned; the new k and v to the cache, of each path by one group.
    if (mine.pair < pairs) {
        const uint32_t column = mine.column;
        const __half *q = sent + mine.row * 3 * own + mine.head * d, *key_from = q + own;
        const uint2 turned = rp_narrow4(rp_few_turned(q, angles, column, d / 2));
        const uint2 key = rp_narrow4(rp_few_turned(key_from, angles, column, d / 2));
        const uint2 value = *reinterpret_cast<const uint2 *>(key_from + own + column);
        __half *to = queries + mine.head * 16 * QUERY + rp_few_query(mine.row, 0, column / 4, 1), *keep = fresh + mine.pair * 2 * d + column;
        *reinterpret_cast<uint32_t *>(to) = turned.x, *reinterpret_cast<uint32_t *>(to + 8) = turned.y;
        *reinterpret_cast<uint2 *>(keep) = key, *reinterpret_cast<uint2 *>(keep + d) = value;
        if (mine.row % RANKS == s.rank && units.slot < p.suffix_cap) {
            __half *cache = reinterpret_cast<__half *>(a.own) + ((uint64_t)(s.row0 + mine.row) * p.suffix_cap + units.slot) * width;
            cache += (head0 + mine.head) * d + column;
            *reinterpret_cast<uint2 *>(cache) = key, *reinterpret_cast<uint2 *>(cache + units.own_values) = value;
        }
    }
    __syncthreads();                           // queries, fresh: written by all, read by all

    // Attention of this warp's units.
    const __half *my_queries = queries + of_head * 16 * QUERY + lane % 16 * QUERY + lane / 16 * 8;
    rp_few_rows rows;
    rows.top[0] = rows.top[1] = -RP_INFINITY, rows.sum[0] = rows.sum[1] = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) { rows.value[i][0] = rows.value[i][1] = rows.value[i][2] = rows.value[i][3] = 0; }
#pragma unroll 1
    for (bool more = number < units.n; more;) {
        if (unit.fresh < unit.n) { rp_few_fresh(k, v, unit, fresh + (unit.only * heads + of_head) * 2 * d, d, d); }
        float score[2][4];
        rp_few_scores(score, my_queries, k);
        rp_few_weights<1>(rows, score, unit, p.scale * 1.44269504f);                // log2 e
        rp_few_weigh(rows, score, v);
        number += stride, more = number < units.n;
        if (more) {
            unit = units.nth(number);
            rp_few_keys(k, unit, d, width);
            rp_few_values(v, unit, d, width);
        }
    }
    const uint32_t row = lane / 4;             // the units' rows from eight on are none
    float sum = rows.sum[0];
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    if (lane % 4 == 0) { tops[s.warp * RP_STEP_ROWS_OWN + row] = make_float2(rows.top[0], sum); }
    if (row < s.m && rows.top[0] != -RP_INFINITY) {
        float *to = values + (s.warp * s.m + row) * RP_ATTN_FEW_PITCH + lane % 4 * 8;
#pragma unroll
        for (int c = 0; c < 2; c++) {
#pragma unroll
            for (int f = 0; f < 2; f++) {
                *reinterpret_cast<float4 *>(to + c * 32 + f * 4) =
                    make_float4(rows.value[4 * c][f], rows.value[4 * c + 1][f], rows.value[4 * c + 2][f], rows.value[4 * c + 3][f]);
            }
        }
    }
    __syncthreads();                           // parts: written by each warp, read by all

    // Each pair of a path and a head: the group's warps joined, sent to the group that joins the groups, or to all.
    if (sends.pair < pairs) {
        const float2 *top = tops + sends.head * teams * RP_STEP_ROWS_OWN + sends.row;
        const float *from = values + (sends.head * teams * s.m + sends.row) * RP_ATTN_FEW_PITCH + sends.column;
        float2 whole;
        const float4 value = rp_few_join(teams, [&](uint32_t t) { return top[t * RP_STEP_ROWS_OWN]; },
                                         [&](uint32_t t) { return *reinterpret_cast<const float4 *>(from + t * s.m * RP_ATTN_FEW_PITCH); }, &whole);
        float *to = joined + (s.rank * per + sends.pair / RANKS) * (d + 4);
        const uint32_t to_rank = (lone ? threadIdx.x : sends.pair) % RANKS;
        rp_cluster_send4(to + sends.column, to_rank, s.ready(RP_STEP_PARTS), { value.x, value.y, value.z, value.w });
        if (sends.column == 0) { rp_cluster_send2(to + d, to_rank, s.ready(RP_STEP_PARTS), whole.x, whole.y); }
    }
    s.wait(RP_STEP_PARTS);
    if (joins.pair < my_pairs) {               // here the number among the group's own
        const uint32_t pair = lone ? 0 : joins.pair * RANKS + s.rank, row = rp_quotient(pair, heads), head = pair - row * heads;
        const uint32_t to_rank = lone ? 0 : threadIdx.x % RANKS, apart = per * (d + 4);
        const float *from = joined + joins.pair * (d + 4);
        float2 whole;
        const float4 y = rp_few_join(RANKS, [&](uint32_t g) { return *reinterpret_cast<const float2 *>(from + g * apart + d); },
                                     [&](uint32_t g) { return *reinterpret_cast<const float4 *>(from + g * apart + joins.column); }, &whole);
        const float inverse = whole.y > 0.0f ? __fdividef(1.0f, whole.y) : 0.0f;
        const uint2 half = make_uint2(rp_pair(y.x * inverse, y.y * inverse), rp_pair(y.z * inverse, y.w * inverse));
        char *to = memory + a.mid + row * a.out.pitch + (head * d + joins.column) * 2;
        if (lone) {
            *reinterpret_cast<uint2 *>(to) = half;
        } else {
            rp_cluster_send(to, to_rank, s.ready(RP_STEP_ATTENDED), half);
        }
        if (to_rank == 0 && (!lone || s.rank == 0)) {
            __half *y_to = reinterpret_cast<__half *>(a.y) + (uint64_t)(s.row0 + row) * width + (head0 + head) * d + joins.column;
            *reinterpret_cast<uint2 *>(y_to) = half;
        }
    }
    s.wait(RP_STEP_ATTENDED);                  // of a lone one, of nothing
    __syncthreads();                           // a lone one's: written by some, read by all; values: read by all before sums are written there
    s.finish(out, last);
}
#endif

RP_STEP_KERNEL(step_attention_mixed, rp_step_attention, false)
RP_STEP_KERNEL(step_attention_mixed_one, rp_step_attention, true)

#endif
