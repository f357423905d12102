// "mlp in" and "mlp out" of a decode step of several wide rows in one launch (step_wide.cuh): a cluster takes some of the hidden numbers, each group
// columns of them to all of its groups, and what comes of those.
//   step_mlp_wide        slices of more than 64 columns
//   step_mlp_wide_half   fewer
// Included by linear.cu.
#ifndef RP_STEP_MLP_WIDE_CUH
#define RP_STEP_MLP_WIDE_CUH

#include "linear_mixed.cuh"
#include "step_wide.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
template <uint32_t SLICE_K> __device__ inline void rp_step_mlp_wide(const rp_step_block_args &a, char *memory) {
    using step = rp_step_wide<SLICE_K>;
    const step s(a, memory);
    // Blocks of eight hidden numbers: the cluster's, and of those the group's.
    const rp_step_share mine(a.hidden / 8, a.n_sums, s.set), own(mine.n, RP_STEP_RANKS, s.rank);
    const uint32_t first = mine.first + own.first, hidden = mine.n * 8;
    s.begin(s.m * hidden * 2, 0, 0);
    s.template fetch<true>(a.in, a.w_in, a.d * 2, 0, a.d * 2, own.n * 16, [&](uint32_t i) { return first * 16 + i; });
    s.clear_behind(own.n * 16);
    s.template fetch_out<true>(a.hidden * 2, mine.first * 16, hidden * 2);
    s.template clear_mid<true>(hidden * 2);
    s.fetch_biases(own.n * 2, [&](uint32_t block) { return first * 16 + block * 8; });
    const typename step::wide_rows x = s.find_slice();
    const typename step::result_at r = s.result_of(threadIdx.x, own.n);
    s.begun();
    const auto product = s.template find_product<RP_STEP_WIDE_MLP / 2>(own.n * 2);
    rp_wait();
    s.take_slice(x);
    s.multiply_slice(product);
    __syncthreads();                           // sums: written by all, read by all
    float h = 0;
    if (r.live) {
        const float root = s.root_of(r.row), *bias = s.bias() + r.block * 16 + r.column;
        const float gate = __fmaf_rn(s.first_sum(2 * r.block, r), root, bias[0]);
        h = rp_silu_mixed(gate) * __fmaf_rn(s.first_sum(2 * r.block + 1, r), root, bias[8]);
    }
    const uint4 eight = step::gather(h);
    if (r.live) {
        const uint32_t block = own.first + r.block;
        rp_cluster_send(memory + a.mid + r.row * a.out.pitch + (block * 16 ^ step::turn_of(r.row)), r.column, s.ready(RP_STEP_MID), eight);
        __half *to = reinterpret_cast<__half *>(a.y_in) + (uint64_t)r.row * a.hidden + (mine.first + block) * 8;
        if (r.column == 0) { *reinterpret_cast<uint4 *>(to) = eight; }
    }
    const auto second = s.find_second();
    __syncthreads();                           // sums: read by all before they are written again
    s.wait(RP_STEP_MID);
    s.finish(second);
}
#endif

RP_STEP_WIDE_KERNEL(step_mlp_wide, rp_step_mlp_wide<4>)
RP_STEP_WIDE_KERNEL(step_mlp_wide_half, rp_step_mlp_wide<2>)

#endif
