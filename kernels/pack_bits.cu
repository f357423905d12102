// pack_bits: what the tokenizer's encoder says of a bar, as two tokens; spec kronos.md section 3.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) pack_bits_f32(const rp_kernel_args<rp_pack_bits_params> args) {
    rp_begin();
    const rp_pack_bits_params p = args.p;
    const uint64_t index = rp_point(), row = index / 2;
    if (row >= p.rows) { return; }
    const bool second = index % 2 != 0;
    const uint32_t bits = second ? p.s2_bits : p.s1_bits;
    const float *y =
        rp_at<const float>(args, 0) + row * (p.s1_bits + p.s2_bits) + (second ? p.s1_bits : 0); // [bits] of its row
    uint32_t *tokens = rp_at<uint32_t>(args, 1);                                                // [rows, 2]
    uint32_t token = 0;
    for (uint32_t j = 0; j < bits; j++) { token |= (y[j] > 0.0f ? 1u : 0u) << j; }
    tokens[index] = token;
}
