// unpack_bits: tokens as the tokenizer's decoder takes them, every bit +-1/sqrt(bits); spec kronos.md section 3.
#include "bars.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT)
    unpack_bits_f32(const rp_kernel_args<rp_unpack_bits_params> args) {
    rp_begin();
    const rp_unpack_bits_params p = args.p;
    const uint32_t bits = p.s1_bits + p.s2_bits;
    const uint64_t index = rp_point();
    if (index >= (uint64_t)p.batch * p.paths * p.tokens * bits) { return; }
    uint64_t rest = index;
    const uint32_t j = rp_take(rest, bits), i = rp_take(rest, p.tokens), row = (uint32_t)rest, b = row / p.paths;
    const uint32_t *tokens = rp_at<const uint32_t>(args, 0); // [B, tokens_cap, 2] or [B, S, tokens_cap, 2]
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 1)[b], first = rp_at<const uint32_t>(args, 2)[b];
    const rp_step *step = rp_at<const rp_step>(args, 3);
    float *y = rp_at<float>(args, 4); // [B, S, n, bits]
    const rp_bar_row r = rp_bar_row_of(p.rows, i, n_tokens, first, step->step);
    const uint32_t *pair = rp_tokens_of(tokens, p.rows, r, b, row, p.tokens_cap);
    float value = 0;
    if (pair) {
        const uint32_t bit = j < p.s1_bits ? pair[0] >> j & 1 : pair[1] >> (j - p.s1_bits) & 1;
        value = bit ? p.scale : -p.scale;
    }
    y[index] = value;
}
