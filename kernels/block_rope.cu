// block_rope: rotary position on the first half of each head of q and k, with xPos, and k and v put into their cache; spec
// toto2.md section 2. One invocation for each pair (2i, 2i + 1) of each head of q, k and v.
#include "common.cuh"
#include "op_math.h"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) block_rope_f32(const rp_kernel_args<rp_block_rope_params> args) {
    rp_begin();
    const rp_block_rope_params p = args.p;
    const uint32_t d = p.head_width, turning = d / 4, heads = p.heads + 2 * p.kv_heads;
    uint64_t rest = rp_point();
    if (rest >= (uint64_t)p.batch * p.variates * p.tokens * heads * (d / 2)) { return; }
    const uint32_t pair = rp_take(rest, d / 2), head = rp_take(rest, heads), token = rp_take(rest, p.tokens), row = (uint32_t)rest;
    const float2 *qkv = rp_at<const float2>(args, 0);           // [B, V, n, h + 2 g, d/2]
    const float2 *rope = rp_at<const float2>(args, 1);          // [positions, d/4]
    const float *powers = rp_at<const float>(args, 2);          // [2 zero + 1, d/4]
    const uint32_t n_patches = rp_at<const uint32_t>(args, 3)[row / p.variates];
    const rp_step *step = rp_at<const rp_step>(args, 4);

    const rp_call call = rp_call_of(n_patches, step->step, step->horizon, p.patch_size, p.block, p.later);
    const uint32_t position = call.start + token, centre = (call.start + call.given + call.fresh) / 2;
    if (token >= call.given + call.fresh - 1 || position >= p.cap) { return; }
    const bool is_q = head < p.heads, is_k = !is_q && head < p.heads + p.kv_heads;
    float2 x = qkv[(((uint64_t)row * p.tokens + token) * heads + head) * (d / 2) + pair];
    if ((is_q || is_k) && pair < turning) {
        const float2 turn = rope[(uint64_t)position * turning + pair];
        const uint32_t e = is_q ? p.zero + position - centre : p.zero + centre - position;
        const float power = powers[(uint64_t)e * turning + pair];
        x = make_float2((x.x * turn.x - x.y * turn.y) * power, (x.y * turn.x + x.x * turn.y) * power);
    }
    if (is_q) {
        rp_at<float2>(args, 5)[(((uint64_t)row * p.tokens + token) * p.heads + head) * (d / 2) + pair] = x;   // [B, V, n, h, d/2]
        return;
    }
    const uint32_t kv = is_k ? head - p.heads : head - p.heads - p.kv_heads;
    const uint64_t to = (((uint64_t)row * p.cap + position) * p.kv_heads + kv) * (d / 2) + pair;              // of [B, V, cap, g, d/2]
    rp_at<float2>(args, is_k ? 6 : 7)[to] = x;
}
