// "mlp in" and "mlp out" of a decode step in float32 in one launch (step_pair.cuh), as step_mlp.cuh.
//   step_mlp_pair         several rows
//   step_mlp_pair_one     one
// Included by linear.cu.
#ifndef RP_STEP_MLP_PAIR_CUH
#define RP_STEP_MLP_PAIR_CUH

#include "exp.cuh"
#include "step_pair.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
template <bool ONE> __device__ inline void rp_step_mlp_pair(const rp_step_block_args &a, char *memory) {
    using step = rp_step_pair<ONE>;
    const step s(a, memory);
    const uint32_t blocks = a.in.blocks / 2, own = a.hidden / a.n_sums;         // of eight hidden numbers, the group's; hidden numbers of the cluster
    const uint32_t first = (s.set * RP_STEP_RANKS + s.rank) * blocks;          // block of the hidden
    s.begin(s.m * own * 4, 0);
    s.fetch(a.in, a.w_in, a.d * 4, 0, a.d * 4, blocks * 16, [&](uint32_t i) { return first * 16 + i; });
    s.fetch_out(a.hidden * 4, s.set * own * 4, own * 4);
    const typename step::rows_of_x x = s.find_rows();
    const typename step::part in = s.part_of(a.in, a.in.blocks), out = s.part_of(a.out, s.columns / 8);
    const typename step::result_at r = s.result_of(threadIdx.x, blocks);
    const uint32_t column = r.live ? (first + r.block) * 16 + r.column : 0;
    const float2 gate = s.ends_of(column), up = s.ends_of(column + 8);
    rp_copy_wait<0>();                         // weights: needed as soon as x is there, and here by then
    rp_cluster_wait_begun();                   // all groups have begun and made their barriers
    rp_wait();
    s.take_rows(x);
    s.multiply(a.in, in);
    __syncthreads();                           // sums: written by all, read by all
    float h = 0;
    if (r.live) {
        h = rp_silu_flat(s.result(a.in, 2 * r.block, r.row, r.column, gate.x, gate.y)) * s.result(a.in, 2 * r.block + 1, r.row, r.column, up.x, up.y);
    }
    s.send_eight(r.live, h, memory + a.mid + r.row * s.mid_pitch() + (s.rank * blocks + r.block) * 32, r.column,
                 reinterpret_cast<float *>(a.y_in) + (uint64_t)(s.row0 + r.row) * a.hidden + (first + r.block) * 8);
    s.wait(RP_STEP_MID);
    s.finish(out);
}
#endif

RP_STEP_KERNEL(step_mlp_pair, rp_step_mlp_pair, false)
RP_STEP_KERNEL(step_mlp_pair_one, rp_step_mlp_pair, true)

#endif
