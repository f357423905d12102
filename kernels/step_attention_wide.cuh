// qkv, attention and "attention out" of a decode step of several wide rows in one launch (step_wide.cuh): a cluster takes some of the heads, all rows.
// As step_attention.cuh, but that a warp works on two units of keys at once.
//   step_attention_wide        slices of more than 64 columns
//   step_attention_wide_half   fewer
// Included by attn_step.cu.
#ifndef RP_STEP_ATTENTION_WIDE_CUH
#define RP_STEP_ATTENTION_WIDE_CUH

#include "step_attention.cuh"
#include "step_wide.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
// A unit's keys and values to shared memory, float16 [2, FEW_KEYS, d], by one warp, those that are in memory; and as it lies there.
__device__ inline void rp_step_copy_unit(__half *to, const rp_few_unit<__half> &unit, uint32_t d, uint32_t width) {
    const uint32_t lane = threadIdx.x % 32, column = lane % 16 * 4;
    const bool live = column < d;
    uint32_t key = lane / 16;
    const __half *k = unit.k + (uint64_t)key * width + column, *v = unit.v + (uint64_t)key * width + column;
    to += key * d + column;
#pragma unroll 1
    for (; key < FEW_KEYS; key += 2, k += 2 * width, v += 2 * width, to += 2 * d) {
        if (live && key < unit.n && key != unit.fresh) { rp_copy8(to, k), rp_copy8(to + FEW_KEYS * d, v); }
    }
    rp_copy_commit();
}
__device__ inline rp_few_unit<__half> rp_step_copied(const __half *at, const rp_few_unit<__half> &unit, uint32_t d) {
    return { at, at + FEW_KEYS * d, unit.n, unit.only, unit.fresh };
}

template <uint32_t SLICE_K> __device__ inline void rp_step_attention_wide(const rp_step_block_args &a, char *memory) {
    constexpr uint32_t RANKS = RP_STEP_RANKS, QUERY = RP_ATTN_FEW_QUERY(1), ROWS = RP_ATTN_FEW;
    using step = rp_step_wide<SLICE_K>;
    const step s(a, memory);
    const rp_attn_step_params &p = a.attn;
    const uint32_t n_tokens = *reinterpret_cast<const uint32_t *>(a.n_tokens), step_number = reinterpret_cast<const rp_step *>(a.step)->step;
    const uint32_t d = p.head_width, width = a.d, heads = p.heads / a.n_sums, own = heads * d, pairs = s.m * heads, pieces = d / 4;
    const uint32_t in_part = own / 8, head0 = s.set * heads;                     // blocks of q, of k and of v
    const rp_step_share blocks(3 * in_part, RANKS, s.rank);
    // Pairs of a path and a head: pair i is joined by group i % RANKS.
    const uint32_t my_pairs = (pairs + RANKS - 1 - s.rank) / RANKS, per = (pairs + RANKS - 1) / RANKS;
    const rp_step_piece mine(threadIdx.x, pieces, heads), joins(threadIdx.x / RANKS, pieces, heads);
    const auto column_of = [&](uint32_t block) {     // of qkv, the block's first
        const uint32_t part = (block >= in_part) + (block >= 2 * in_part);
        return part * width + head0 * d + (block - part * in_part) * 8;
    };
    s.begin(s.m * 3 * own * 2, my_pairs * RANKS * (d + 2) * 4, s.m * own * 2);
    const rp_step_crew asks_in = { 0, 9 }, asks_out = { 9, 5 };                  // side by side, as the next layer's group begins when this one ends
    s.template fetch<true>(a.in, a.w_in, width * 2, 0, width * 2, blocks.n * 8, [&](uint32_t i) { return column_of(blocks.first + i / 8) + i % 8; }, asks_in);
    s.clear_behind(blocks.n * 8);
    s.template fetch_out<true>(width * 2, head0 * d * 2, own * 2, asks_out);
    s.template clear_mid<true>(own * 2);
    s.fetch_biases(blocks.n, [&](uint32_t block) { return column_of(blocks.first + block); });
    __half *sent = reinterpret_cast<__half *>(memory + a.sent), *queries = reinterpret_cast<__half *>(memory + a.queries);
    __half *fresh = reinterpret_cast<__half *>(memory + a.fresh);
    float2 *tops = reinterpret_cast<float2 *>(memory + a.tops);
    float *values = s.sums(), *joined = reinterpret_cast<float *>(memory + a.joined), *angles = reinterpret_cast<float *>(memory + a.angles_at);
    for (uint32_t i = threadIdx.x; i < heads * 16 * QUERY / 8; i += RP_STEP_WIDE_GROUP) { reinterpret_cast<uint4 *>(queries)[i] = make_uint4(0, 0, 0, 0); }
    const typename step::wide_rows x = s.find_slice();
    const typename step::result_at r = s.result_of(threadIdx.x, blocks.n);
    // This warp's units of its head; keys and values of the first, those of the second to shared memory, where there is room, and the others' way to
    // the L2 cache.
    const uint32_t teams = step::WARPS / heads, of_head = s.warp / teams, team = s.warp - of_head * teams, lane = s.lane, stride = RANKS * teams;
    const rp_step_units units(a, head0 + of_head, 0, s.m, n_tokens, step_number);
    const float *angles_from = reinterpret_cast<const float *>(a.angles) + (uint64_t)min(n_tokens + units.slot, p.positions - 1) * d;
    s.fetch_fours(step::WARPS - 2, angles, pieces, angles_from, [&](uint32_t i) { return angles_from + i * 4; });
    uint32_t number = s.rank + RANKS * team;
    uint2 k[2][4], v[2][4];
    const bool two = a.tiles != 0 && number + stride < units.n;
    __half *kept = reinterpret_cast<__half *>(memory + a.tiles) + s.warp * 2 * FEW_KEYS * d;
    rp_few_unit<__half> unit = units.nth(number), second = unit;
    if (two) {
        second = units.nth(number + stride);
        rp_step_copy_unit(kept, second, d, width);
        second = rp_step_copied(kept, second, d);
    }
    for (uint32_t i = number + (two ? 2 : 1) * stride; i < units.n; i += stride) { rp_few_hint(units.nth(i), d, width); }
    if (number < units.n) {
        rp_few_keys(k, unit, d, width);
        rp_few_values(v, unit, d, width);
    }
    s.begun();
    const auto product = s.template find_product<RP_STEP_WIDE_ATTENTION / 2>(blocks.n);
    rp_wait();

    // q, k and v of the cluster's heads, to all groups.
    s.take_slice(x);
    s.multiply_slice(product);
    __syncthreads();                           // sums: written by all, read by all
    const uint4 eight = step::gather(
        r.live ? __fmaf_rn(s.first_sum(r.block, r), s.root_of(r.row), s.bias()[r.block * 8 + r.column]) : 0.0f);
    if (r.live) {
        rp_cluster_send(sent + r.row * 3 * own + (blocks.first + r.block) * 8, r.column, s.ready(RP_STEP_MID), eight);
        __half *to = reinterpret_cast<__half *>(a.y_in) + (uint64_t)r.row * 3 * width + column_of(blocks.first + r.block);
        if (r.column == 0) { *reinterpret_cast<uint4 *>(to) = eight; }
    }
    s.wait(RP_STEP_MID);

    // Those turned; the new k and v to the cache, of each path by one group.
    if (mine.pair < pairs) {
        const uint32_t column = mine.column, row = mine.row;
        const __half *q = sent + row * 3 * own + mine.head * d, *key_from = q + own;
        const uint2 turned = rp_narrow4(rp_few_turned(q, angles, column, d / 2));
        const uint2 key = rp_narrow4(rp_few_turned(key_from, angles, column, d / 2));
        const uint2 value = *reinterpret_cast<const uint2 *>(key_from + own + column);
        __half *to = queries + mine.head * 16 * QUERY + rp_few_query(row, 0, column / 4, 1), *keep = fresh + mine.pair * 2 * d + column;
        *reinterpret_cast<uint32_t *>(to) = turned.x, *reinterpret_cast<uint32_t *>(to + 8) = turned.y;
        *reinterpret_cast<uint2 *>(keep) = key, *reinterpret_cast<uint2 *>(keep + d) = value;
        if (row % RANKS == s.rank && units.slot < p.suffix_cap) {
            __half *cache = reinterpret_cast<__half *>(a.own) + ((uint64_t)row * p.suffix_cap + units.slot) * width + (head0 + mine.head) * d + column;
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
    const float scale = p.scale * 1.44269504f;                                      // log2 e
    const auto fresh_of = [&](const rp_few_unit<__half> &of) { return fresh + (of.only * heads + of_head) * 2 * d; };
    if (number < units.n) {
        float score[2][2][4], most[2] = { -RP_INFINITY, -RP_INFINITY }, from[2];
        if (unit.fresh < unit.n) { rp_few_fresh(k, v, unit, fresh_of(unit), d, d); }
        rp_few_scores(score[0], my_queries, k);
        if (two) {
            rp_few_keys(k, second, d, d);
            if (second.fresh < second.n) { rp_few_fresh_key(k, second, fresh_of(second), d); }
            rp_few_scores(score[1], my_queries, k);
            rp_few_show<2>(score[1], most, second, scale);
        }
        rp_few_show<2>(score[0], most, unit, scale);
        rp_few_above<2>(most, from, rows);
        rows.top[0] = most[0], rows.top[1] = most[1];
        rp_few_raise<2>(rows, score[0], from);
        rp_few_weigh(rows, score[0], v);
        if (two) {
            rp_few_raise<2>(rows, score[1], from);
            rp_few_values(v, second, d, d);
            if (second.fresh < second.n) { rp_few_fresh_value(v, second, fresh_of(second), d, d); }
            rp_few_weigh(rows, score[1], v);
        }
    }
#pragma unroll 1
    for (number += (two ? 2 : 1) * stride; number < units.n; number += stride) {    // of many
        unit = units.nth(number);
        rp_few_keys(k, unit, d, width);
        rp_few_values(v, unit, d, width);
        if (unit.fresh < unit.n) { rp_few_fresh(k, v, unit, fresh_of(unit), d, d); }
        float score[2][4];
        rp_few_scores(score, my_queries, k);
        rp_few_weights(rows, score, unit, scale);
        rp_few_weigh(rows, score, v);
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const uint32_t row = lane / 4 + 8 * h;
        float sum = rows.sum[h];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (lane % 4 == 0) { tops[s.warp * ROWS + row] = make_float2(rows.top[h], sum); }
        if (row >= s.m || rows.top[h] == -RP_INFINITY) { continue; }
        float *to = values + (s.warp * s.m + row) * RP_ATTN_FEW_PITCH + lane % 4 * 8;
#pragma unroll
        for (int c = 0; c < 2; c++) {
#pragma unroll
            for (int f = 0; f < 2; f++) {
                *reinterpret_cast<float4 *>(to + c * 32 + f * 4) = make_float4(rows.value[4 * c][2 * h + f], rows.value[4 * c + 1][2 * h + f],
                                                                               rows.value[4 * c + 2][2 * h + f], rows.value[4 * c + 3][2 * h + f]);
            }
        }
    }
    __syncthreads();                           // parts: written by each warp, read by all

    // Each pair of a path and a head: the group's warps joined, sent to the group that joins the groups; what comes of that to all.
    if (mine.pair < pairs) {
        const float2 *top = tops + mine.head * teams * ROWS + mine.row;
        const float *from = values + (mine.head * teams * s.m + mine.row) * RP_ATTN_FEW_PITCH + mine.column;
        float2 whole;
        const float4 value = rp_few_join(teams, [&](uint32_t t) { return top[t * ROWS]; },
                                         [&](uint32_t t) { return *reinterpret_cast<const float4 *>(from + t * s.m * RP_ATTN_FEW_PITCH); }, &whole);
        float *to = joined + (s.rank * per + mine.pair / RANKS) * (d + 4);
        const uint32_t to_rank = mine.pair % RANKS;
        rp_cluster_send4(to + mine.column, to_rank, s.ready(RP_STEP_PARTS), { value.x, value.y, value.z, value.w });
        if (mine.column == 0) { rp_cluster_send2(to + d, to_rank, s.ready(RP_STEP_PARTS), whole.x, whole.y); }
    }
    s.wait(RP_STEP_PARTS);
    if (joins.pair < my_pairs) {               // here the number among the group's own
        const uint32_t pair = joins.pair * RANKS + s.rank, row = rp_quotient(pair, heads), head = pair - row * heads;
        const uint32_t to_rank = threadIdx.x % RANKS, apart = per * (d + 4), at = head * d + joins.column;
        const float *from = joined + joins.pair * (d + 4);
        float2 whole;
        const float4 y = rp_few_join(RANKS, [&](uint32_t g) { return *reinterpret_cast<const float2 *>(from + g * apart + d); },
                                     [&](uint32_t g) { return *reinterpret_cast<const float4 *>(from + g * apart + joins.column); }, &whole);
        const float inverse = whole.y > 0.0f ? __fdividef(1.0f, whole.y) : 0.0f;
        const uint2 half = make_uint2(rp_pair(y.x * inverse, y.y * inverse), rp_pair(y.z * inverse, y.w * inverse));
        char *to = memory + a.mid + row * a.out.pitch + (at * 2 ^ step::turn_of(row));
        rp_cluster_send(to, to_rank, s.ready(RP_STEP_ATTENDED), half);
        if (to_rank == 0) { *reinterpret_cast<uint2 *>(reinterpret_cast<__half *>(a.y) + (uint64_t)row * width + head0 * d + at) = half; }
    }
    const auto last = s.find_second();
    __syncthreads();                           // values: read by all before sums are written there
    s.wait(RP_STEP_ATTENDED);
    s.finish(last);
}
#endif

RP_STEP_WIDE_KERNEL(step_attention_wide, rp_step_attention_wide<4>)
RP_STEP_WIDE_KERNEL(step_attention_wide_half, rp_step_attention_wide<2>)

#endif
