// block_rope: rotary position on the first half of each head of q and k, with xPos, and k and v put into their cache; spec
// toto2.md section 2. block_rope_f32: an invocation for each pair (2i, 2i + 1) of each head of q, k and v. block_rope_f32_tokens: a
// group for each token, for heads in whole pieces of eight; an invocation takes the same two pairs of every head that is its turn, so
// that the call, angle and powers are looked up once. Same bits. _f16: of float16 numbers; _f32_to_f16: that become float16.
#include "common.cuh"
#include "op_math.h"

// One pair turned, in roundings that no compiler changes.
__device__ static inline float2 rp_turned(float a, float b, float cosine, float sine, float power) {
    return make_float2(__fmul_rn(__fmaf_rn(a, cosine, -__fmul_rn(b, sine)), power), __fmul_rn(__fmaf_rn(b, cosine, __fmul_rn(a, sine)), power));
}

__device__ static inline rp_call rp_rope_call(const rp_kernel_args<rp_block_rope_params> &args, uint32_t row) {
    const uint32_t n_patches = rp_at<const uint32_t>(args, 3)[row / args.p.variates];
    const rp_step *step = rp_at<const rp_step>(args, 4);
    return rp_call_of(n_patches, step->step, step->horizon, args.p.patch_size, args.p.block, args.p.later);
}

__device__ static inline float2 rp_numbers(const float2 &x) { return x; }
__device__ static inline float2 rp_numbers(const __half2 &x) { return __half22float2(x); }
__device__ static inline float4 rp_numbers(const float4 &x) { return x; }
__device__ static inline float4 rp_numbers(const uint2 &x) {
    const float2 low = __half22float2(reinterpret_cast<const __half2 &>(x.x)), high = __half22float2(reinterpret_cast<const __half2 &>(x.y));
    return make_float4(low.x, low.y, high.x, high.y);
}

__device__ static inline void rp_rope_put(float2 *to, const float2 &x) { *to = x; }
__device__ static inline void rp_rope_put(__half2 *to, const float2 &x) { *to = rp_half2(x.x, x.y); }
__device__ static inline void rp_rope_put(float4 *to, const float4 &x) { *to = x; }
__device__ static inline void rp_rope_put(uint2 *to, const float4 &x) {
    const __half2 low = rp_half2(x.x, x.y), high = rp_half2(x.z, x.w);
    *to = make_uint2(reinterpret_cast<const uint32_t &>(low), reinterpret_cast<const uint32_t &>(high));
}

template <class Two, class To> __device__ static inline void rp_rope_pairs(const rp_kernel_args<rp_block_rope_params> &args) {
    const rp_block_rope_params p = args.p;
    const uint32_t d = p.head_width, turning = d / 4, heads = p.heads + 2 * p.kv_heads;
    uint64_t rest = rp_point();
    if (rest >= (uint64_t)p.batch * p.variates * p.tokens * heads * (d / 2)) { return; }
    const uint32_t pair = rp_take(rest, d / 2), head = rp_take(rest, heads), token = rp_take(rest, p.tokens), row = (uint32_t)rest;
    const Two *qkv = rp_at<const Two>(args, 0);                 // [B, V, n, h + 2 g, d/2]
    const float2 *rope = rp_at<const float2>(args, 1);          // [positions, d/4]
    const float *powers = rp_at<const float>(args, 2);          // [2 zero + 1, d/4]

    const rp_call call = rp_rope_call(args, row);
    const uint32_t position = call.start + token, centre = (call.start + call.given + call.fresh) / 2;
    if (token >= call.given + call.fresh - 1 || position >= p.cap) { return; }
    const bool is_q = head < p.heads, is_k = !is_q && head < p.heads + p.kv_heads;
    float2 x = rp_numbers(qkv[(((uint64_t)row * p.tokens + token) * heads + head) * (d / 2) + pair]);
    if ((is_q || is_k) && pair < turning) {
        const float2 turn = rope[(uint64_t)position * turning + pair];
        const uint32_t e = is_q ? p.zero + position - centre : p.zero + centre - position;
        x = rp_turned(x.x, x.y, turn.x, turn.y, powers[(uint64_t)e * turning + pair]);
    }
    if (is_q) {
        rp_rope_put(rp_at<To>(args, 5) + (((uint64_t)row * p.tokens + token) * p.heads + head) * (d / 2) + pair, x);   // [B, V, n, h, d/2]
        return;
    }
    const uint32_t kv = is_k ? head - p.heads : head - p.heads - p.kv_heads;
    const uint64_t to = (((uint64_t)row * p.cap + position) * p.kv_heads + kv) * (d / 2) + pair;              // of [B, V, cap, g, d/2]
    rp_rope_put((is_k ? rp_at<To>(args, 6) : rp_at<To>(args, 7)) + to, x);
}

#define ROPE_PAIRS(name, from, to)                                                                                              \
    extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) name(const rp_kernel_args<rp_block_rope_params> args) {        \
        rp_begin();                                                                                                             \
        rp_rope_pairs<from, to>(args);                                                                                          \
    }
ROPE_PAIRS(block_rope_f32, float2, float2)
ROPE_PAIRS(block_rope_f16, __half2, __half2)
ROPE_PAIRS(block_rope_f32_to_f16, float2, __half2)

// ---- a group for each token ----

#define TOGETHER 3      // heads whose numbers an invocation has on their way at a time

template <class Four, class To> __device__ static inline void rp_rope_tokens(const rp_kernel_args<rp_block_rope_params> &args) {
    const rp_block_rope_params p = args.p;
    const uint32_t d = p.head_width, fours = d / 4, heads = p.heads + 2 * p.kv_heads, at_once = RP_GROUP_ROPE / fours;
    const uint32_t group = rp_group(), row = group / p.tokens, token = group - row * p.tokens;
    const uint32_t turn = threadIdx.x / fours, column = threadIdx.x - turn * fours;   // heads turn, turn + at_once, ..
    if (row >= p.batch * p.variates || turn >= at_once) { return; }
    const Four *from = rp_at<const Four>(args, 0) + (uint64_t)group * heads * fours + column;                 // [h + 2 g, d/4] of this token

    // Asked for before the call is known: a dead token's numbers are there too.
    Four x[TOGETHER];
#pragma unroll
    for (int i = 0; i < TOGETHER; i++) {
        const uint32_t head = turn + i * at_once;
        if (head < heads) { x[i] = from[head * fours]; }
    }
    const rp_call call = rp_rope_call(args, row);
    const uint32_t position = call.start + token, centre = (call.start + call.given + call.fresh) / 2;
    if (token >= call.given + call.fresh - 1 || position >= p.cap) { return; }
    const bool turns = column < fours / 2;                                            // columns of pairs that turn: two a piece
    float4 angle = make_float4(0, 0, 0, 0);
    float2 power_q = make_float2(0, 0), power_k = power_q;
    if (turns) {
        const float2 *powers = rp_at<const float2>(args, 2) + column;                 // [2 zero + 1, d/8]
        angle = (rp_at<const float4>(args, 1) + column)[(uint64_t)position * (fours / 2)];   // [positions, d/8]: cos, sin of two pairs
        power_q = powers[(uint64_t)(p.zero + position - centre) * (fours / 2)];
        power_k = powers[(uint64_t)(p.zero + centre - position) * (fours / 2)];
    }
    To *q = rp_at<To>(args, 5) + (uint64_t)group * p.heads * fours + column;  // [h, d/4]
    const uint64_t slot = ((uint64_t)row * p.cap + position) * p.kv_heads * fours + column;   // of [B, V, cap, g, d/4]
    To *k = rp_at<To>(args, 6) + slot, *v = rp_at<To>(args, 7) + slot;
    const uint32_t first_v = p.heads + p.kv_heads;
#pragma unroll 1
    for (uint32_t head0 = turn; head0 < heads; head0 += TOGETHER * at_once) {
#pragma unroll
        for (int i = 0; i < TOGETHER; i++) {
            const uint32_t head = head0 + i * at_once;
            if (head >= heads) { break; }
            const bool is_q = head < p.heads;
            float4 y = rp_numbers(x[i]);
            if (turns && head < first_v) {
                const float2 power = is_q ? power_q : power_k;
                const float2 low = rp_turned(y.x, y.y, angle.x, angle.y, power.x), high = rp_turned(y.z, y.w, angle.z, angle.w, power.y);
                y = make_float4(low.x, low.y, high.x, high.y);
            }
            To *to = is_q ? q + head * fours : head < first_v ? k + (head - p.heads) * fours : v + (head - first_v) * fours;
            rp_rope_put(to, y);
        }
#pragma unroll
        for (int i = 0; i < TOGETHER; i++) {
            const uint32_t head = head0 + (TOGETHER + i) * at_once;
            if (head < heads) { x[i] = from[head * fours]; }
        }
    }
}

#define ROPE_TOKENS(name, from, to)                                                                                             \
    extern "C" __global__ void __launch_bounds__(RP_GROUP_ROPE, 10) name(const rp_kernel_args<rp_block_rope_params> args) {     \
        rp_begin();                                                                                                             \
        rp_rope_tokens<from, to>(args);                                                                                         \
    }
ROPE_TOKENS(block_rope_f32_tokens, float4, float4)
ROPE_TOKENS(block_rope_f16_tokens, uint2, uint2)
ROPE_TOKENS(block_rope_f32_to_f16_tokens, float4, uint2)
