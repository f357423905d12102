// rope_half: rotary position on q and k, a head's first half paired with its second, and k and v put into their cache; spec
// kronos.md section 2. One invocation for each pair (i, i + d/2) of each head.
#include "bars.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) rope_half_f32(const rp_kernel_args<rp_rope_half_params> args) {
    rp_begin();
    const rp_rope_half_params p = args.p;
    const uint32_t d = p.head_width, half = d / 2;
    uint64_t rest = rp_point();
    if (rest >= (uint64_t)p.batch * p.paths * p.tokens * p.heads * half) { return; }
    const uint32_t pair = rp_take(rest, half), head = rp_take(rest, p.heads), token = rp_take(rest, p.tokens);
    const uint32_t row = (uint32_t)rest, b = row / p.paths;
    const uint64_t width = (uint64_t)p.heads * d;
    const float *qkv = rp_at<const float>(args, 0);  // [B, S, n, 3, h, d]
    const float *rope = rp_at<const float>(args, 1); // [positions, d/2, 2]
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 2)[b];
    const rp_step *step = rp_at<const rp_step>(args, 3);
    float *q = rp_at<float>(args, 4);       // [B, S, n, h, d]
    float *k_cache = rp_at<float>(args, 5); // [B, S, cap, h, d]
    float *v_cache = rp_at<float>(args, 6); // [B, S, cap, h, d]

    const rp_bar_row r = rp_bar_row_of(p.rows, token, n_tokens, 0, step->step);
    if (!r.live || r.slot >= p.cap || r.position >= p.positions) { return; }
    const float *angle = rope + ((uint64_t)r.position * half + pair) * 2;
    const float cosine = angle[0], sine = angle[1];

    const uint64_t in_head = (uint64_t)head * d + pair;
    const float *from = qkv + ((uint64_t)row * p.tokens + token) * 3 * width + in_head;
    float *q_to = q + ((uint64_t)row * p.tokens + token) * width + in_head;
    const uint64_t cached = ((uint64_t)row * p.cap + r.slot) * width + in_head;
    const float a0 = from[0], a1 = from[half], c0 = from[width], c1 = from[width + half];
    q_to[0] = a0 * cosine - a1 * sine;
    q_to[half] = a1 * cosine + a0 * sine;
    k_cache[cached] = c0 * cosine - c1 * sine;
    k_cache[cached + half] = c1 * cosine + c0 * sine;
    v_cache[cached] = from[2 * width];
    v_cache[cached + half] = from[2 * width + half];
}
