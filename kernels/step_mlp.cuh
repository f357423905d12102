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
    rp_wait();
    const uint32_t at = (blockIdx.x * blockDim.x + threadIdx.x) * 4;
    if (at >= args.count) { return; }
    const float *from = reinterpret_cast<const float *>(args.parts) + at;
    float4 part[RP_STEP_PARTS_ONE], x;
#pragma unroll
    for (uint32_t i = 0; i < RP_STEP_PARTS_ONE; i++, from += args.count) {
        part[i] = i < args.n_parts ? __ldcg(reinterpret_cast<const float4 *>(from)) : make_float4(-0.0f, -0.0f, -0.0f, -0.0f);   // adds nothing
    }
    x = part[0];
#pragma unroll
    for (uint32_t i = 1; i < RP_STEP_PARTS_ONE; i++) { x.x += part[i].x, x.y += part[i].y, x.z += part[i].z, x.w += part[i].w; }
    if (args.residual != 0) {
        const uint32_t column = at % args.d;
        const float4 scale = *reinterpret_cast<const float4 *>(reinterpret_cast<const float *>(args.scale) + column);
        const float4 rest = __ldcg(reinterpret_cast<const float4 *>(reinterpret_cast<const float *>(args.residual) + at));
        float4 bias = make_float4(-0.0f, -0.0f, -0.0f, -0.0f);
        if (args.bias != 0) { bias = *reinterpret_cast<const float4 *>(reinterpret_cast<const float *>(args.bias) + column); }
        x = make_float4(x.x * scale.x + bias.x + rest.x, x.y * scale.y + bias.y + rest.y, x.z * scale.z + bias.z + rest.z,
                        x.w * scale.w + bias.w + rest.w);      // scales are powers of two
    }
    *reinterpret_cast<float4 *>(reinterpret_cast<float *>(args.x) + at) = x;
}

#endif
