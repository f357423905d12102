// attn_rope: what rope_kv and attn_time do, in one launch, for short contexts (attn_short.cuh). A group takes RP_ATTN_SHORT queries at
// most of one series, variate and head: paths of a decode step, or tokens of a prompt, whose keys up to its last query it turns itself.
//   attn_rope_f32_short, attn_rope_f16_short       at most RP_ATTN_SHORT_LANES keys
//   attn_rope_f32_short_2, attn_rope_f16_short_2   at most twice as many
#include "attn_short.cuh"
#include "rope_pairs.cuh"

// A piece as rope_kv would leave it.
__device__ inline float4 rp_rope_raw(const float4 &x, const float *) { return x; }
__device__ inline uint2 rp_rope_raw(const float4 &x, const __half *) { return rp_narrow4(x); }

// What the lanes of a query work on, each on its piece of the head.
template <class T> struct rp_rope_call {
    using Raw = typename rp_four_of<T>::raw;
    rp_attn_rope_params p;
    const float *angles, *powers;           // [positions, d/2, 2], of this piece; [exponents, d/2]
    const T *qkv;                           // of this piece: [B, S, V, n, 3, h, d]
    uint32_t d, width, pieces, pitch, n_rows, queries, query, row, b;
    uint64_t piece;                         // in [h, d]
    float4 *q;                              // in shared memory, of this query
    Raw *k, *values;                        // [keys, pitch], of this piece

    __device__ rp_rope_turn turn_of(uint32_t position, uint32_t last) const {
        rp_rope_turn by = { angles_of(position) };
        rp_rope_powers(by, powers + (uint64_t)(p.xpos_zero + position - last / 2) * (d / 2), rp_short_piece(pieces) * 4, d / 2);
        return by;
    }
    __device__ float4 angles_of(uint32_t position) const { return *reinterpret_cast<const float4 *>(angles + (uint64_t)position * d); }
    __device__ Raw number(uint64_t token, uint32_t part) const {                 // part: q, k or v
        return *reinterpret_cast<const Raw *>(qkv + (token * 3 + part) * width);
    }
};

// A path's new token; all else is there before the wait.
template <int PER, class T>
__device__ inline void rp_rope_step(const rp_kernel_args<rp_attn_rope_params> &args, const rp_rope_call<T> &c, uint32_t v) {
    using Raw = typename rp_four_of<T>::raw;
    const rp_attn_rope_params &p = c.p;
    const uint32_t piece = rp_short_piece(c.pieces), of = min(c.row, c.n_rows - 1), own0 = p.prefix_cap + c.query * p.suffix_cap;
    const uint64_t sequence = ((uint64_t)c.b * p.paths + of) * p.variates + v;
    const T *prefix = rp_at<const T>(args, 2) + ((uint64_t)c.b * p.variates + v) * p.prefix_cap * c.width + c.piece;   // of [2, B, V, N, h, d]
    const uint64_t prefix_values = (uint64_t)p.batch * p.variates * p.prefix_cap * c.width;
    T *own = rp_at<T>(args, 6) + sequence * p.suffix_cap * c.width + c.piece;                                          // of [2, B, S, V, R, h, d]
    const uint64_t own_values = (uint64_t)p.batch * p.paths * p.variates * p.suffix_cap * c.width;
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 4)[c.b] + p.extra, step = rp_at<const rp_step>(args, 5)->step, slot = step - 1;
    const bool live = slot < p.suffix_cap;                   // not at step 0, nor in a replay too many
    const bool writes = rp_short_writes(c.pieces);
    const uint32_t n_shared = writes ? p.prefix_cap : 0, n_own = writes ? min(slot, p.suffix_cap) : 0;
    const uint32_t position = min(n_tokens + slot, p.positions - 1);
    rp_short_rows(c.k, prefix, c.query, n_shared, c.queries, c.pitch, c.width);
    rp_short_rows(c.k + own0 * c.pitch, own, 0, n_own, 1, c.pitch, c.width);
    rp_copy_commit();
    rp_short_rows(c.values, prefix + prefix_values, c.query, n_shared, c.queries, c.pitch, c.width);
    rp_short_rows(c.values + own0 * c.pitch, own + own_values, 0, n_own, 1, c.pitch, c.width);
    rp_copy_commit();
    const rp_rope_turn by = c.turn_of(position, position);
    rp_wait();
    const Raw a = c.number(sequence, 0), x = c.number(sequence, 1), value = c.number(sequence, 2);
    rp_short_asked();
    const float4 key = rp_rope_key(x, by);
    if (writes) { c.q[piece] = rp_wide4(rp_rope_raw(rp_rope_query(a, by), own)); }
    if (live && writes) {
        const uint32_t at = (own0 + slot) * c.pitch;
        T *to = own + (uint64_t)slot * c.width;
        c.k[at] = rp_rope_raw(key, own), c.values[at] = value;
        if (c.row < c.n_rows) { rp_rope_put(to, key), rp_rope_put(to + own_values, value); }
    }
    const uint32_t n_prefix = min(n_tokens, p.prefix_cap), n = c.row < c.n_rows ? n_prefix + min(step, p.suffix_cap) : 0;
    const rp_short_work<Raw> work = { c.q, c.k - piece, c.values - piece, n_prefix, own0, n, p.prefix_cap + p.suffix_cap, c.pieces, c.pitch,
                                      p.scale };
    rp_short_attend<PER>(work, rp_at<void>(args, 7), sequence * c.width + c.piece, c.row < c.n_rows, p.f16 != 0);   // y [B, S, V, 1, h, d]
}

// A prompt: this query's lanes turn keys query, query + queries, .., of which the group's own go to the cache.
template <int PER, class T>
__device__ inline void rp_rope_prompt(const rp_kernel_args<rp_attn_rope_params> &args, const rp_rope_call<T> &c, uint32_t v) {
    using Raw = typename rp_four_of<T>::raw;
    const rp_attn_rope_params &p = c.p;
    const uint32_t piece = rp_short_piece(c.pieces), of = min(c.row, c.n_rows - 1);
    const uint64_t token0 = ((uint64_t)c.b * p.variates + v) * p.tokens, values = (uint64_t)p.batch * p.variates * p.prefix_cap * c.width;
    T *cache = rp_at<T>(args, 6) + token0 * c.width + c.piece;                   // of [2, B, V, N, h, d]
    rp_wait();
    const uint32_t n_patches = rp_at<const uint32_t>(args, 4)[c.b];
    const Raw a = c.number(token0 + of, 0);
    Raw x[PER], value[PER];
#pragma unroll
    for (int e = 0; e < PER; e++) {
        const uint64_t token = token0 + min(c.query + e * c.queries, c.n_rows - 1);
        x[e] = c.number(token, 1), value[e] = c.number(token, 2);
    }
    rp_short_asked();
    const uint32_t n_tokens = min(n_patches + p.extra, p.tokens), last = max(n_tokens, 1u) - 1;   // what is dead turns as the last one, for nothing
    const rp_rope_turn own = c.turn_of(min(c.row, last), last);
    const bool writes = rp_short_writes(c.pieces);
    if (writes) { c.q[piece] = rp_wide4(rp_rope_raw(rp_rope_query(a, own), cache)); }
#pragma unroll
    for (int e = 0; e < PER; e++) {
        const uint32_t key = c.query + e * c.queries;
        const float4 turned = rp_rope_key(x[e], PER == 1 ? own : c.turn_of(min(key, last), last));   // one key a lane: one group has all
        if (key < c.n_rows && writes) { c.k[key * c.pitch] = rp_rope_raw(turned, cache), c.values[key * c.pitch] = value[e]; }
        T *to = cache + (uint64_t)key * c.width;
        if (key == c.row && key < n_tokens) { rp_rope_put(to, turned), rp_rope_put(to + values, value[e]); }
    }
    const uint32_t n = c.row < n_tokens ? c.row + 1 : 0;
    const rp_short_work<Raw> work = { c.q, c.k - piece, c.values - piece, n, 0, n, p.prefix_cap, c.pieces, c.pitch, p.scale };
    rp_short_attend<PER>(work, rp_at<void>(args, 7), (token0 + of) * c.width + c.piece, c.row < c.n_rows, p.f16 != 0);   // y [B, 1, V, n, h, d]
}

template <class T, int PER> __device__ inline void rp_attn_rope(const rp_kernel_args<rp_attn_rope_params> &args, float4 *memory) {
    using Raw = typename rp_four_of<T>::raw;
    const rp_attn_rope_params p = args.p;
    const bool decode = p.suffix_cap > 0;
    const uint32_t d = p.head_width, pieces = d / 4, pitch = pieces | 1, n_rows = decode ? p.paths : p.tokens;   // eight keys: different banks
    const uint32_t queries = blockDim.x / SHORT_LANES, blocks = (n_rows + queries - 1) / queries, query = threadIdx.x / SHORT_LANES;
    uint64_t group = rp_group();
    if (group >= (uint64_t)p.batch * p.variates * p.heads * blocks) { return; }
    const uint32_t row = rp_take(group, blocks) * queries + query, head = rp_take(group, p.heads), v = rp_take(group, p.variates);
    const uint32_t own = rp_short_piece(pieces);
    const uint64_t piece = (uint64_t)head * d + own * 4;
    const float *angles = rp_at<const float>(args, 1);
    Raw *k = reinterpret_cast<Raw *>(memory + queries * pitch) + own;
    const rp_rope_call<T> call = { p, angles + own * 4, angles + (uint64_t)p.positions * d, rp_at<const T>(args, 0) + piece, d, p.heads * d,
                                   pieces, pitch, n_rows, queries, query, row, (uint32_t)group, piece, memory + query * pitch, k,
                                   k + (p.prefix_cap + queries * p.suffix_cap) * pitch };
    if (decode) {
        rp_rope_step<PER>(args, call, v);
    } else {
        rp_rope_prompt<PER>(args, call, v);
    }
}

#define RP_ATTN_ROPE_KERNEL(name, type, per)                                                                                      \
    extern "C" __global__ void __launch_bounds__(RP_ATTN_SHORT * SHORT_LANES) name(const rp_kernel_args<rp_attn_rope_params> args) { \
        extern __shared__ __align__(16) float memory[];                                                                        \
        rp_release_few();                                                                                                      \
        rp_attn_rope<type, per>(args, reinterpret_cast<float4 *>(memory));                                                     \
    }
RP_ATTN_ROPE_KERNEL(attn_rope_f32_short, float, 1)
RP_ATTN_ROPE_KERNEL(attn_rope_f32_short_2, float, 2)
RP_ATTN_ROPE_KERNEL(attn_rope_f16_short, __half, 1)
RP_ATTN_ROPE_KERNEL(attn_rope_f16_short_2, __half, 2)
