// rope_kv: rotary position with xPos on q and k, and k and v put into their cache; spec toto.md section 3.
// One invocation for each pair (2i, 2i + 1) of each head.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) rope_kv_f32(const rp_kernel_args<rp_rope_kv_params> args) {
    rp_begin();
    const rp_rope_kv_params p = args.p;
    const uint32_t d = p.head_width, half = d / 2;
    uint64_t rest = rp_point();
    if (rest >= (uint64_t)p.batch * p.paths * p.variates * p.tokens * p.heads * half) { return; }
    const uint32_t pair = rp_take(rest, half), head = rp_take(rest, p.heads), token = rp_take(rest, p.tokens);
    const uint32_t row = (uint32_t)rest, b = row / (p.paths * p.variates);
    const uint64_t width = (uint64_t)p.heads * d;
    const float *qkv = rp_at<const float>(args, 0);             // [B, S, V, n, 3, h, d]
    const float *rope = rp_at<const float>(args, 1);            // [positions, d/2, 2]
    const float *xpos = rp_at<const float>(args, 2);            // [exponents, d/2]
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 3)[b] + p.extra;
    const rp_step *step = rp_at<const rp_step>(args, 4);
    float *q = rp_at<float>(args, 5);                           // [B, S, V, n, h, d]
    float *k_cache = rp_at<float>(args, 6);                     // [B, S, V, cap, h, d]
    float *v_cache = rp_at<float>(args, 7);

    if (!p.decode && token >= n_tokens) { return; }
    const uint32_t slot = p.decode ? step->step - 1 : token;    // step 0 has no token to decode: the slot is then past cap
    const uint32_t position = p.decode ? n_tokens + step->step - 1 : token;
    const uint32_t last = p.decode ? position : n_tokens - 1;   // t_max
    if (slot >= p.cap) { return; }
    const float cosine = rope[((uint64_t)position * half + pair) * 2], sine = rope[((uint64_t)position * half + pair) * 2 + 1];
    const float *power = xpos + (uint64_t)(p.xpos_zero + position - last / 2) * half;
    const float f0 = power[2 * pair % half], f1 = power[(2 * pair + 1) % half];

    const uint64_t in_head = (uint64_t)head * d + 2 * pair;
    const float *from = qkv + ((uint64_t)row * p.tokens + token) * 3 * width + in_head;
    float *q_to = q + ((uint64_t)row * p.tokens + token) * width + in_head;
    const uint64_t cached = ((uint64_t)row * p.cap + slot) * width + in_head;
    const float a0 = from[0], a1 = from[1], c0 = from[width], c1 = from[width + 1];
    q_to[0] = (a0 * cosine - a1 * sine) * f0;
    q_to[1] = (a1 * cosine + a0 * sine) * f1;
    k_cache[cached] = (c0 * cosine - c1 * sine) / f0;
    k_cache[cached + 1] = (c1 * cosine + c0 * sine) / f1;
    v_cache[cached] = from[2 * width];
    v_cache[cached + 1] = from[2 * width + 1];
}
