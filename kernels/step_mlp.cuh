// "mlp in" and "mlp out" of a decode step in one launch (step_block.cuh): a cluster takes some of the hidden numbers, each group's columns of them
// to all of its groups, and what comes of those.
//   step_mlp_mixed         several rows
//   step_mlp_mixed_one     one
//   step_sum               what the last block's clusters made, added up, as it or the next block in float32 does
// Included by linear.cu.
#ifndef RP_STEP_MLP_CUH
#define RP_STEP_MLP_CUH

#include "linear_mixed.cuh"
#include "step_block.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
template <bool ONE> __device__ inline void rp_step_mlp(const rp_step_block_args &a, char *memory) {
    using step = rp_step_group<ONE>;
    const step s(a, memory);
    const uint32_t blocks = a.in.blocks / 2, own = a.hidden / a.n_sums;         // of eight hidden numbers, the group's; hidden numbers of the cluster
    const uint32_t first = (s.set * RP_STEP_RANKS + s.rank) * blocks;          // block of the hidden
    s.begin(s.m * own * 2, 0);
    s.fetch(a.in, a.w_in, a.d * 2, 0, a.d * 2, blocks * 16, [&](uint32_t i) { return first * 16 + i; });
    s.fetch_out(a.hidden * 2, s.set * own * 2, own * 2);
    s.fetch_bias(blocks * 16, [&](uint32_t i) { return first * 16 + i; });
    const typename step::rows_of_x x = s.find_rows();
    const typename step::part in = s.part_of(a.in, a.rows, a.in.blocks), out = s.part_of(a.out, a.mid, s.columns / 8);
    const typename step::result_at r = s.result_of(threadIdx.x, blocks), last = s.result_of(threadIdx.x, s.columns / 8);
    rp_copy_wait<0>();                         // weights: needed as soon as x is there, and here by then
    rp_cluster_wait_begun();                   // all groups have begun and made their barriers
    rp_wait();
    s.take_rows(x);
    s.multiply(a.in, in);
    __syncthreads();                           // sums: written by all, read by all
    float h = 0;
    if (r.live) {
        const float gate = s.sum(a.in, s.sums_of(a.in, 2 * r.block, r)) + s.bias()[r.block * 16 + r.column];
        h = rp_silu_mixed(gate) * (s.sum(a.in, s.sums_of(a.in, 2 * r.block + 1, r)) + s.bias()[r.block * 16 + 8 + r.column]);
    }
    const uint4 eight = step::gather(h);
    if (r.live) {
        rp_cluster_send(memory + a.mid + r.row * a.out.pitch + (s.rank * blocks + r.block) * 16, r.column, s.ready(RP_STEP_MID), eight);
        __half *to = reinterpret_cast<__half *>(a.y_in) + (uint64_t)(s.row0 + r.row) * a.hidden + (first + r.block) * 8;
        if (r.column == 0) { *reinterpret_cast<uint4 *>(to) = eight; }
    }
    s.wait(RP_STEP_MID);
    __syncthreads();                           // sums: read by all before they are written again
    s.finish(out, last);
}
#endif

RP_STEP_KERNEL(step_mlp_mixed, rp_step_mlp, false)
RP_STEP_KERNEL(step_mlp_mixed_one, rp_step_mlp, true)

extern "C" __global__ void step_sum(const rp_step_sum_args args) {
    rp_release();
    uint32_t at = blockIdx.x * blockDim.x + threadIdx.x, column = at % args.d;
    asm volatile("" : "+r"(at), "+r"(column));                            // before the wait
    rp_wait();
    if (at >= args.count) { return; }
    // One number, so that there are registers for all loads to be asked for before anything looks at one. -0 adds nothing.
    const auto number = [](uint64_t from, uint32_t i, float absent) { return from != 0 ? __ldcg(reinterpret_cast<const float *>(from) + i) : absent; };
    float part[RP_STEP_PARTS_ONE];
#pragma unroll
    for (uint32_t i = 0; i < RP_STEP_PARTS_ONE; i++) { part[i] = number(i < args.n_parts ? args.parts : 0, at + i * args.count, -0.0f); }
    const float scale = number(args.scale, column, 1.0f), bias = number(args.bias, column, -0.0f), rest = number(args.residual, at, -0.0f);
    float x = part[0];
#pragma unroll
    for (uint32_t i = 1; i < RP_STEP_PARTS_ONE; i++) { x += part[i]; }
    reinterpret_cast<float *>(args.x)[at] = x * scale + bias + rest;      // scales are powers of two
}

#endif
