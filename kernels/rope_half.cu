// rope_half: rotary position on q and k, a head's first half paired with its second, and k and v put into their cache; spec
// kronos.md section 2.
//   rope_half_f32        one invocation for each pair (i, i + d/2) of each head
//   rope_half_f32_wide   one for two pairs, heads in whole pieces of four
//   rope_half_f16        likewise, float16
// What a dead row has is read, and goes nowhere.
#include "bars.cuh"
#include "matrix.cuh"

// One and two numbers, as they lie in memory and as float32.
__device__ inline float rp_turn_get(const float *from) { return *from; }
__device__ inline void rp_turn_put(float *to, float x) { *to = x; }
__device__ inline float2 rp_turn_get2(const float *from) { return *reinterpret_cast<const float2 *>(from); }
__device__ inline float2 rp_turn_get2(const __half *from) { return __half22float2(*reinterpret_cast<const __half2 *>(from)); }
__device__ inline void rp_turn_put(float *to, float2 x) { *reinterpret_cast<float2 *>(to) = x; }
__device__ inline void rp_turn_put(__half *to, float2 x) { *reinterpret_cast<__half2 *>(to) = rp_half2(x.x, x.y); }

// a cos - b sin and b cos + a sin, of one pair or two; turn: cos, sin of each.
__device__ inline void rp_turn(float &a, float &b, const float *turn) {
    const float low = a * turn[0] - b * turn[1], high = b * turn[0] + a * turn[1];
    a = low, b = high;
}
__device__ inline void rp_turn(float2 &a, float2 &b, const float *turn) {
    const float4 both = *reinterpret_cast<const float4 *>(turn);
    rp_turn(a.x, b.x, &both.x);
    rp_turn(a.y, b.y, &both.z);
}

template <uint32_t PAIRS, class T> __device__ inline auto rp_turn_take(const T *from) {
    if constexpr (PAIRS == 1) { return rp_turn_get(from); } else { return rp_turn_get2(from); }
}

template <uint32_t PAIRS, class T> __device__ inline void rp_rope_half(const rp_kernel_args<rp_rope_half_params> &args) {
    const rp_rope_half_params p = args.p;
    const uint32_t d = p.head_width, half = d / 2;
    uint64_t rest = rp_point();
    if (rest >= (uint64_t)p.batch * p.paths * p.tokens * p.heads * (half / PAIRS)) { return; }
    const uint32_t pair = rp_take(rest, half / PAIRS) * PAIRS, heads = (uint32_t)rest, head = heads % p.heads;
    const uint32_t token = heads / p.heads % p.tokens, row = heads / p.heads / p.tokens, b = row / p.paths;
    const uint64_t width = (uint64_t)p.heads * d;
    const T *qkv = rp_at<const T>(args, 0);          // [B, S, n, 3, h, d]
    T *q = rp_at<T>(args, 4);       // [B, S, n, h, d]
    T *k_cache = rp_at<T>(args, 5); // [B, S, cap, h, d]
    T *v_cache = rp_at<T>(args, 6); // [B, S, cap, h, d]

    const uint64_t in_head = (uint64_t)head * d + pair;
    const T *from = qkv + ((uint64_t)row * p.tokens + token) * 3 * width + in_head;
    rp_wait();
    auto a0 = rp_turn_take<PAIRS>(from), a1 = rp_turn_take<PAIRS>(from + half), c0 = rp_turn_take<PAIRS>(from + width);
    auto c1 = rp_turn_take<PAIRS>(from + width + half), v0 = rp_turn_take<PAIRS>(from + 2 * width), v1 = rp_turn_take<PAIRS>(from + 2 * width + half);
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 2)[b], step = rp_at<const rp_step>(args, 3)->step;
    asm volatile("" ::: "memory");         // numbers are asked for before it is known where they go
    const rp_bar_row r = rp_bar_row_of(p.rows, token, n_tokens, 0, step);
    if (!r.live || r.slot >= p.cap || r.position >= p.positions) { return; }
    const float *turn = rp_at<const float>(args, 1) + ((uint64_t)r.position * half + pair) * 2;   // [positions, d/2, 2]
    T *q_to = q + ((uint64_t)row * p.tokens + token) * width + in_head;
    const uint64_t cached = ((uint64_t)row * p.cap + r.slot) * width + in_head;
    rp_turn(a0, a1, turn);
    rp_turn(c0, c1, turn);
    rp_turn_put(q_to, a0), rp_turn_put(q_to + half, a1);
    rp_turn_put(k_cache + cached, c0), rp_turn_put(k_cache + cached + half, c1);
    rp_turn_put(v_cache + cached, v0), rp_turn_put(v_cache + cached + half, v1);
}

#define RP_ROPE_HALF(name, pairs, type)                                                                                         \
    extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) name(const rp_kernel_args<rp_rope_half_params> args) {         \
        rp_release_few();                                                                                                       \
        rp_rope_half<pairs, type>(args);                                                                                        \
    }
RP_ROPE_HALF(rope_half_f32, 1, float)
RP_ROPE_HALF(rope_half_f32_wide, 2, float)
RP_ROPE_HALF(rope_half_f16, 2, __half)
