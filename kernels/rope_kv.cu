// rope_kv: rotary position with xPos on q and k, and k and v put into their cache; spec toto.md section 3.
//   rope_kv_f32        one invocation for each pair (2i, 2i + 1) of each head
//   rope_kv_f32_wide   one for two pairs, heads in whole pieces of four
//   rope_kv_f16        likewise, float16
#include "matrix.cuh"

// Where a token's row of PAIRS pairs is read and written; live: false for what is skipped.
template <class T> struct rp_rope_row {
    const T *from;                                              // of [B, S, V, n, 3, h, d]; k and v are `width` and twice that further
    T *q, *k, *v;                                               // of [B, S, V, n, h, d]; of [B, S, V, cap, h, d]
    const float *turn, *power;                                  // [d/2, 2] of rope; [d/2] of xpos
    uint32_t column;                                            // in the head
    uint64_t width;
    bool live;
};

template <class T, uint32_t COLUMNS> __device__ inline rp_rope_row<T> rp_rope_row_of(const rp_kernel_args<rp_rope_kv_params> &args) {
    const rp_rope_kv_params &p = args.p;
    const uint32_t d = p.head_width, half = d / 2;
    rp_rope_row<T> r = {};
    uint64_t rest = rp_point();
    if (rest >= (uint64_t)p.batch * p.paths * p.variates * p.tokens * p.heads * (d / COLUMNS)) { return r; }
    r.column = rp_take(rest, d / COLUMNS) * COLUMNS;
    const uint32_t head = rp_take(rest, p.heads), token = rp_take(rest, p.tokens);
    const uint32_t row = (uint32_t)rest, b = row / (p.paths * p.variates);
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 3)[b] + p.extra, step = rp_at<const rp_step>(args, 4)->step;
    r.width = (uint64_t)p.heads * d;
    if (!p.decode && token >= n_tokens) { return r; }
    const uint32_t slot = p.decode ? step - 1 : token;          // step 0 has no token to decode: the slot is then past cap
    const uint32_t position = p.decode ? n_tokens + step - 1 : token;
    const uint32_t last = p.decode ? position : n_tokens - 1;   // t_max
    if (slot >= p.cap) { return r; }
    r.turn = rp_at<const float>(args, 1) + (uint64_t)position * d;
    r.power = rp_at<const float>(args, 2) + (uint64_t)(p.xpos_zero + position - last / 2) * half;
    const uint64_t in_head = (uint64_t)head * d + r.column, at = (uint64_t)row * p.tokens + token, cached = ((uint64_t)row * p.cap + slot) * r.width + in_head;
    r.from = rp_at<const T>(args, 0) + at * 3 * r.width + in_head;
    r.q = rp_at<T>(args, 5) + at * r.width + in_head;
    r.k = rp_at<T>(args, 6) + cached, r.v = rp_at<T>(args, 7) + cached;
    r.live = true;
    return r;
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) rope_kv_f32(const rp_kernel_args<rp_rope_kv_params> args) {
    rp_begin();
    const rp_rope_row<float> r = rp_rope_row_of<float, 2>(args);
    if (!r.live) { return; }
    const uint32_t half = args.p.head_width / 2;
    const float cosine = r.turn[r.column], sine = r.turn[r.column + 1], f0 = r.power[r.column % half], f1 = r.power[(r.column + 1) % half];
    const float a0 = r.from[0], a1 = r.from[1], c0 = r.from[r.width], c1 = r.from[r.width + 1];
    r.q[0] = (a0 * cosine - a1 * sine) * f0;
    r.q[1] = (a1 * cosine + a0 * sine) * f1;
    r.k[0] = (c0 * cosine - c1 * sine) / f0;
    r.k[1] = (c1 * cosine + c0 * sine) / f1;
    r.v[0] = r.from[2 * r.width];
    r.v[1] = r.from[2 * r.width + 1];
}

__device__ inline void rp_rope_put(float *to, const float4 &x) { *reinterpret_cast<float4 *>(to) = x; }
__device__ inline void rp_rope_put(__half *to, const float4 &x) { *reinterpret_cast<uint2 *>(to) = rp_narrow4(x); }

template <class T> __device__ inline void rp_rope_wide(const rp_kernel_args<rp_rope_kv_params> &args) {
    using raw = typename rp_four_of<T>::raw;
    const rp_rope_row<T> r = rp_rope_row_of<T, 4>(args);
    if (!r.live) { return; }
    const uint32_t half = args.p.head_width / 2;
    const raw v = *reinterpret_cast<const raw *>(r.from + 2 * r.width);
    const float4 a = rp_wide4(*reinterpret_cast<const raw *>(r.from)), c = rp_wide4(*reinterpret_cast<const raw *>(r.from + r.width));
    const float4 turn = *reinterpret_cast<const float4 *>(r.turn + r.column);   // cos, sin of two pairs
    float f[4];
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) { f[i] = r.power[(r.column + i) % half]; }
    rp_rope_put(r.q, make_float4((a.x * turn.x - a.y * turn.y) * f[0], (a.y * turn.x + a.x * turn.y) * f[1],
                                 (a.z * turn.z - a.w * turn.w) * f[2], (a.w * turn.z + a.z * turn.w) * f[3]));
    rp_rope_put(r.k, make_float4((c.x * turn.x - c.y * turn.y) / f[0], (c.y * turn.x + c.x * turn.y) / f[1],
                                 (c.z * turn.z - c.w * turn.w) / f[2], (c.w * turn.z + c.z * turn.w) / f[3]));
    *reinterpret_cast<raw *>(r.v) = v;
}

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) rope_kv_f32_wide(const rp_kernel_args<rp_rope_kv_params> args) {
    rp_begin();
    rp_rope_wide<float>(args);
}
extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) rope_kv_f16(const rp_kernel_args<rp_rope_kv_params> args) {
    rp_begin();
    rp_rope_wide<__half>(args);
}
