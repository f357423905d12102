// rope_kv: rotary position with xPos on q and k, and k and v put into their cache; spec toto.md section 3.
//   rope_kv_f32        one invocation for each pair (2i, 2i + 1) of each head
//   rope_kv_f32_wide   one for two pairs, heads in whole pieces of four
//   rope_kv_f16        likewise, float16
// What a dead token has is read, and goes nowhere.
#include "rope_pairs.cuh"

// Columns of q, k and v of one token.
template <class T> struct rp_rope_numbers {
    T q, k, v;
};

// A pair, turned, q times and k over its factors.
__device__ inline void rp_rope_turn2(rp_rope_numbers<float2> &x, const float *turn, const float *power, uint32_t column, uint32_t half) {
    const float f0 = power[column % half], f1 = power[(column + 1) % half], cosine = turn[column], sine = turn[column + 1];
    x.q = make_float2((x.q.x * cosine - x.q.y * sine) * f0, (x.q.y * cosine + x.q.x * sine) * f1);
    x.k = make_float2((x.k.x * cosine - x.k.y * sine) / f0, (x.k.y * cosine + x.k.x * sine) / f1);
}

// COLUMNS 2, pieces float2; COLUMNS 4, pieces as rp_four_of<T> has them.
template <uint32_t COLUMNS, class T, class Piece> __device__ inline void rp_rope_kv(const rp_kernel_args<rp_rope_kv_params> &args) {
    const rp_rope_kv_params p = args.p;
    const uint32_t d = p.head_width, half = d / 2;
    uint64_t rest = rp_point();
    if (rest >= (uint64_t)p.batch * p.paths * p.variates * p.tokens * p.heads * (d / COLUMNS)) { return; }
    const uint32_t column = rp_take(rest, d / COLUMNS) * COLUMNS, heads = (uint32_t)rest, head = heads % p.heads;
    const uint32_t token = heads / p.heads % p.tokens, row = heads / p.heads / p.tokens, b = row / (p.paths * p.variates);
    const uint64_t width = (uint64_t)p.heads * d, in_head = (uint64_t)head * d + column, at = (uint64_t)row * p.tokens + token;
    const T *from = rp_at<const T>(args, 0) + at * 3 * width + in_head;         // [B, S, V, n, 3, h, d]
    rp_rope_numbers<Piece> x = { *reinterpret_cast<const Piece *>(from), *reinterpret_cast<const Piece *>(from + width),
                                 *reinterpret_cast<const Piece *>(from + 2 * width) };
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 3)[b] + p.extra, step = rp_at<const rp_step>(args, 4)->step;
    asm volatile("" ::: "memory");         // numbers are asked for before it is known where they go
    if (!p.decode && token >= n_tokens) { return; }
    const uint32_t slot = p.decode ? step - 1 : token;          // step 0 has no token to decode: the slot is then past cap
    const uint32_t position = p.decode ? n_tokens + step - 1 : token;
    const uint32_t last = p.decode ? position : n_tokens - 1;   // t_max
    if (slot >= p.cap) { return; }
    const float *turn = rp_at<const float>(args, 1) + (uint64_t)position * d;                                          // [positions, d/2, 2]
    const float *power = rp_at<const float>(args, 2) + (uint64_t)(p.xpos_zero + position - last / 2) * half;           // [exponents, d/2]
    const uint64_t cached = ((uint64_t)row * p.cap + slot) * width + in_head;
    T *q_to = rp_at<T>(args, 5) + at * width + in_head;         // [B, S, V, n, h, d]
    T *k_to = rp_at<T>(args, 6) + cached, *v_to = rp_at<T>(args, 7) + cached;   // [B, S, V, cap, h, d]
    if constexpr (COLUMNS == 2) {
        rp_rope_turn2(x, turn, power, column, half);
        *reinterpret_cast<Piece *>(q_to) = x.q, *reinterpret_cast<Piece *>(k_to) = x.k, *reinterpret_cast<Piece *>(v_to) = x.v;
    } else {
        rp_rope_turn by = { *reinterpret_cast<const float4 *>(turn + column) };
        rp_rope_powers(by, power, column, half);
        rp_rope_put(q_to, rp_rope_query(x.q, by)), rp_rope_put(k_to, rp_rope_key(x.k, by)), rp_rope_put(v_to, x.v);
    }
}

#define RP_ROPE_KV(name, columns, type, piece)                                                                                  \
    extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) name(const rp_kernel_args<rp_rope_kv_params> args) {           \
        rp_begin();                                                                                                                                            \
        rp_rope_kv<columns, type, piece>(args);                                                                                 \
    }
RP_ROPE_KV(rope_kv_f32, 2, float, float2)
RP_ROPE_KV(rope_kv_f32_wide, 4, float, float4)
RP_ROPE_KV(rope_kv_f16, 4, __half, uint2)
