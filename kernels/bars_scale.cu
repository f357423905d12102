// bars_scale: mean, standard deviation and scaled values of each column of a series' bars; spec kronos.md section 1. A
// group for each (b, column). Every operation is rounded on its own, never fused: the result is defined by its roundings.
#include "common.cuh"
#include "op_math.h"

#define LEVELS 6 // splits shared out among the group: invocation i takes the i-th of 2^6 parts
#define LEAF 128 // elements that are summed without a further split
#define DEPTH 26 // further splits inside a part: at most 2^32 elements, at least 64 in each half
static_assert(RP_GROUP_ROW == 1 << LEVELS, "a part for each invocation");

struct rp_column {
    const float *v; // element i: v[6 i]
    float mean;
};

// Element i or, with SQUARES, its squared distance from the mean.
template <bool SQUARES> __device__ inline float rp_element(const rp_column &c, uint32_t i) {
    const float v = c.v[(uint64_t)i * RP_BAR_COLUMNS];
    if (!SQUARES) { return v; }
    const float away = __fsub_rn(v, c.mean);
    return __fmul_rn(away, away);
}

// Where n elements are split: the first half, in whole eights.
__device__ inline uint32_t rp_split_at(uint32_t n) { return n / 2 - n / 2 % 8; }

// Elements at .. at + n of one leaf, n <= LEAF.
template <bool SQUARES> __device__ static float rp_leaf(const rp_column &c, uint32_t at, uint32_t n) {
    float sum = 0;
    uint32_t i = 0;
    if (n >= 8) {
        float r[8];
#pragma unroll
        for (uint32_t j = 0; j < 8; j++) { r[j] = rp_element<SQUARES>(c, at + j); }
#pragma unroll 2
        for (i = 8; i + 8 <= n; i += 8) {
#pragma unroll
            for (uint32_t j = 0; j < 8; j++) { r[j] = __fadd_rn(r[j], rp_element<SQUARES>(c, at + i + j)); }
        }
        sum = __fadd_rn(__fadd_rn(__fadd_rn(r[0], r[1]), __fadd_rn(r[2], r[3])),
                        __fadd_rn(__fadd_rn(r[4], r[5]), __fadd_rn(r[6], r[7])));
    } else if (n > 0) {
        sum = rp_element<SQUARES>(c, at); // from the first, not from 0: a lone -0 stays
        i = 1;
    }
    for (; i < n; i++) { sum = __fadd_rn(sum, rp_element<SQUARES>(c, at + i)); }
    return sum;
}

// Elements at .. at + n of a part, leaf by leaf. pending[k][this invocation]: the sum of the first half at depth k, where
// `path` says (bit k) that the second is under way.
template <bool SQUARES>
__device__ static float rp_part(const rp_column &c, uint32_t at, uint32_t n, float (*pending)[RP_GROUP_ROW]) {
    uint32_t path = 0, depth = 0;
    for (;;) {
        uint32_t from = at, size = n;
        for (uint32_t k = 0; k < depth || size > LEAF; k++) {
            const uint32_t half = rp_split_at(size);
            const bool second = k < depth && (path >> k & 1) != 0;
            from += second ? half : 0;
            size = second ? size - half : half;
            depth = max(depth, k + 1);
        }
        float sum = rp_leaf<SQUARES>(c, from, size);
        for (; depth > 0 && (path >> (depth - 1) & 1) != 0; depth--) {
            sum = __fadd_rn(pending[depth - 1][threadIdx.x], sum);
            path -= 1u << (depth - 1);
        }
        if (depth == 0) { return sum; }
        pending[depth - 1][threadIdx.x] = sum;
        path += 1u << (depth - 1);
    }
}

struct rp_bars_memory {
    float sum[RP_GROUP_ROW];
    float pending[DEPTH][RP_GROUP_ROW];
};

// All n elements in numpy's order, called by all invocations alike; the result is in m.sum[0].
template <bool SQUARES> __device__ static void rp_pairwise(rp_bars_memory &m, const rp_column &c, uint32_t n) {
    const uint32_t local = threadIdx.x;
    uint32_t at = 0, size = n, splits = 0; // splits: how often the way down to this part parts; the leftmost takes a leaf
    bool mine = true;
    for (; splits < LEVELS && size > LEAF; splits++) {
        const uint32_t half = rp_split_at(size);
        const bool second = (local >> (LEVELS - 1 - splits) & 1) != 0;
        at += second ? half : 0;
        size = second ? size - half : half;
    }
    mine = local % (RP_GROUP_ROW >> splits) == 0;
    __syncthreads(); // sum[0]: read by all before it is written again
    if (mine) { m.sum[local] = rp_part<SQUARES>(c, at, size, m.pending); }
    for (uint32_t level = LEVELS; level > 0; level--) {
        const uint32_t stride = RP_GROUP_ROW >> level;
        __syncthreads(); // sum: written by the parts, or joined in the round before
        if (local % (2 * stride) == 0 && splits >= level) { m.sum[local] = __fadd_rn(m.sum[local], m.sum[local + stride]); }
    }
    __syncthreads(); // sum[0]: written by the first, read by all
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_ROW) bars_scale_f32(const rp_kernel_args<rp_bars_scale_params> args) {
    rp_begin();
    __shared__ rp_bars_memory memory;
    const rp_bars_scale_params p = args.p;
    const uint32_t row = rp_group(), local = threadIdx.x;
    if (row >= (uint64_t)p.batch * RP_BAR_COLUMNS) { return; }
    const uint32_t b = row / RP_BAR_COLUMNS;
    const uint64_t first = (uint64_t)b * p.bars * RP_BAR_COLUMNS + row % RP_BAR_COLUMNS;
    const float *bars = rp_at<const float>(args, 0) + first;           // [L] of [B, L, 6]
    const uint32_t n = min(rp_at<const uint32_t>(args, 1)[b], p.bars); // [B]
    float *x = rp_at<float>(args, 2) + first;                          // [L] of [B, L, 6]
    float *affine = rp_at<float>(args, 3) + (uint64_t)row * 2;         // [2] of [B, 6, 2]: mean, std

    rp_column column = { bars, 0 };
    rp_pairwise<false>(memory, column, n);
    column.mean = __fdiv_rn(memory.sum[0], __uint2float_rn(n));
    rp_pairwise<true>(memory, column, n);
    const float std = __fsqrt_rn(__fdiv_rn(memory.sum[0], __uint2float_rn(n))), unit = __fadd_rn(std, 1e-5f);
    for (uint32_t i = local; i < p.bars; i += RP_GROUP_ROW) {
        const uint64_t at = (uint64_t)i * RP_BAR_COLUMNS;
        const float scaled = i < n ? __fdiv_rn(__fsub_rn(bars[at], column.mean), unit) : 0.0f;
        x[at] = scaled < -5.0f ? -5.0f : scaled > 5.0f ? 5.0f : scaled;
    }
    if (local == 0) {
        affine[0] = column.mean;
        affine[1] = std;
    }
}
