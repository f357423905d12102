// attn_rope: what rope_kv and attn_time do, in one launch, for short contexts (attn_short.cuh). A group takes RP_ATTN_SHORT queries at
// most of one series, variate and head: paths of a decode step, or tokens of a prompt, whose keys up to its last query it turns itself.
//   attn_rope_f32_short, attn_rope_f16_short       at most RP_ATTN_SHORT_LANES keys
//   attn_rope_f32_short_2, attn_rope_f16_short_2   at most twice as many
#include "attn_short.cuh"
#include "rope_pairs.cuh"

#define ROPE_PIECES (RP_ATTN_SHORT_HEAD / 4 / SHORT_LANES)   // of a row, a lane

__device__ inline float4 rp_rope_kept(const float4 &x, const float *) { return x; }
__device__ inline float4 rp_rope_kept(const float4 &x, const __half *) { return rp_wide4(rp_narrow4(x)); }   // as rope_kv would leave it

// What a group works on: `query` of its queries, and where things lie.
template <class T> struct rp_rope_call {
    using Raw = typename rp_four_of<T>::raw;
    rp_attn_rope_params p;
    const float *angles, *powers;           // [positions, d/2, 2]; [exponents, d/2]
    const T *qkv;                           // of this head: [B, S, V, n, 3, h, d]
    uint32_t d, width, pieces, pitch, n_rows, queries, query, row0, row, b;
    float4 *q;                              // in shared memory, of this query
    Raw *k, *values;                        // [keys, pitch]

    __device__ const float *power_of(uint32_t position, uint32_t last) const { return powers + (uint64_t)(p.xpos_zero + position - last / 2) * (d / 2); }
    __device__ float4 angles_of(uint32_t position, uint32_t i) const {
        return *reinterpret_cast<const float4 *>(angles + (uint64_t)position * d + i * 4);
    }
    __device__ Raw number(uint64_t token, uint32_t part, uint32_t i) const {     // part: q, k or v
        return *reinterpret_cast<const Raw *>(qkv + (token * 3 + part) * width + i * 4);
    }
};

// A path's new token; all else is there before the wait.
template <int PER, class T> __device__ inline void rp_rope_step(const rp_kernel_args<rp_attn_rope_params> &args, const rp_rope_call<T> &c, uint32_t v,
                                                                uint32_t head) {
    const rp_attn_rope_params &p = c.p;
    const uint32_t lane = threadIdx.x % SHORT_LANES, of = min(c.row, c.n_rows - 1), own0 = p.prefix_cap + c.query * p.suffix_cap;
    const uint64_t sequence = ((uint64_t)c.b * p.paths + of) * p.variates + v, in_head = (uint64_t)head * c.d;
    const T *prefix = rp_at<const T>(args, 2) + ((uint64_t)c.b * p.variates + v) * p.prefix_cap * c.width + in_head;   // of [2, B, V, N, h, d]
    const uint64_t prefix_values = (uint64_t)p.batch * p.variates * p.prefix_cap * c.width;
    T *own = rp_at<T>(args, 6) + sequence * p.suffix_cap * c.width + in_head;                                          // of [2, B, S, V, R, h, d]
    const uint64_t own_values = (uint64_t)p.batch * p.paths * p.variates * p.suffix_cap * c.width;
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 4)[c.b] + p.extra, step = rp_at<const rp_step>(args, 5)->step, slot = step - 1;
    const bool live = slot < p.suffix_cap;                   // not at step 0, nor in a replay too many
    const uint32_t position = min(n_tokens + slot, p.positions - 1), before = min(slot, p.suffix_cap);
    rp_short_rows(c.k, prefix, c.query, p.prefix_cap, c.queries, c.pitch, c.pieces, c.width);
    rp_short_rows(c.k + own0 * c.pitch, own, 0, before, 1, c.pitch, c.pieces, c.width);
    rp_copy_commit();
    rp_short_rows(c.values, prefix + prefix_values, c.query, p.prefix_cap, c.queries, c.pitch, c.pieces, c.width);
    rp_short_rows(c.values + own0 * c.pitch, own + own_values, 0, before, 1, c.pitch, c.pieces, c.width);
    rp_copy_commit();
    rp_rope_turn by[ROPE_PIECES];
#pragma unroll
    for (uint32_t j = 0; j < ROPE_PIECES; j++) {
        const uint32_t i = min(lane + j * SHORT_LANES, c.pieces - 1);
        by[j].angles = c.angles_of(position, i);
        rp_rope_powers(by[j], c.power_of(position, position), i * 4, c.d / 2);
    }
    rp_wait();
#pragma unroll
    for (uint32_t j = 0; j < ROPE_PIECES; j++) {
        const uint32_t i = lane + j * SHORT_LANES;
        if (i >= c.pieces) { break; }
        const auto a = c.number(sequence, 0, i), x = c.number(sequence, 1, i), value = c.number(sequence, 2, i);
        c.q[i] = rp_rope_kept(rp_rope_query(a, by[j]), own);
        if (!live) { continue; }
        const uint32_t at = (own0 + slot) * c.pitch + i;
        const float4 key = rp_rope_key(x, by[j]);
        rp_rope_put(reinterpret_cast<T *>(&c.k[at]), key), c.values[at] = value;
        if (c.row >= c.n_rows) { continue; }
        T *to = own + (uint64_t)slot * c.width + i * 4;
        rp_rope_put(to, key), rp_rope_put(to + own_values, value);
    }
    const uint32_t n_prefix = min(n_tokens, p.prefix_cap), n = c.row < c.n_rows ? n_prefix + min(step, p.suffix_cap) : 0;
    const rp_short_work<typename rp_four_of<T>::raw> work = { c.q, c.k, c.values, n_prefix, own0, n, p.prefix_cap + p.suffix_cap, c.pieces, c.pitch,
                                                              p.scale };
    rp_short_attend<PER>(work, rp_at<void>(args, 7), sequence * c.width + in_head, c.row < c.n_rows, p.f16 != 0);   // y [B, S, V, 1, h, d]
}

// A prompt: this query's lanes turn keys query, query + queries, .., of which the group's own go to the cache.
template <int PER, class T> __device__ inline void rp_rope_prompt(const rp_kernel_args<rp_attn_rope_params> &args, const rp_rope_call<T> &c, uint32_t v,
                                                                  uint32_t head) {
    using Raw = typename rp_four_of<T>::raw;
    const rp_attn_rope_params &p = c.p;
    const uint32_t lane = threadIdx.x % SHORT_LANES, of = min(c.row, c.n_rows - 1);
    const uint64_t token0 = ((uint64_t)c.b * p.variates + v) * p.tokens, in_head = (uint64_t)head * c.d;
    T *cache = rp_at<T>(args, 6) + token0 * c.width + in_head;                   // of [2, B, V, N, h, d]
    const uint64_t values = (uint64_t)p.batch * p.variates * p.prefix_cap * c.width;
    rp_wait();
    const uint32_t n_tokens = min(rp_at<const uint32_t>(args, 4)[c.b] + p.extra, p.tokens);
#pragma unroll
    for (uint32_t j = 0; j < ROPE_PIECES; j++) {
        const uint32_t i = lane + j * SHORT_LANES;
        if (i >= c.pieces) { break; }
        const Raw a = c.number(token0 + of, 0, i);
        Raw x[PER], value[PER];
        rp_rope_turn by[PER];
#pragma unroll
        for (int e = 0; e < PER; e++) {
            const uint32_t key = min(c.query + e * c.queries, c.n_rows - 1);
            x[e] = c.number(token0 + key, 1, i), value[e] = c.number(token0 + key, 2, i), by[e].angles = c.angles_of(key, i);
        }
#pragma unroll
        for (int e = 0; e < PER; e++) {
            const uint32_t key = c.query + e * c.queries;
            if (key >= n_tokens || key > c.row) { continue; }                    // dead, or of a later group
            rp_rope_powers(by[e], c.power_of(key, n_tokens - 1), i * 4, c.d / 2);
            const float4 turned = rp_rope_key(x[e], by[e]);
            rp_rope_put(reinterpret_cast<T *>(&c.k[key * c.pitch + i]), turned), c.values[key * c.pitch + i] = value[e];
            if (key != c.row) { continue; }
            T *to = cache + (uint64_t)key * c.width + i * 4;
            rp_rope_put(to, turned), rp_rope_put(to + values, value[e]);
            c.q[i] = rp_rope_kept(rp_rope_query(a, by[e]), cache);
        }
    }
    const uint32_t n = c.row < n_tokens ? c.row + 1 : 0;
    const rp_short_work<Raw> work = { c.q, c.k, c.values, n, 0, n, p.prefix_cap, c.pieces, c.pitch, p.scale };
    rp_short_attend<PER>(work, rp_at<void>(args, 7), (token0 + of) * c.width + in_head, c.row < c.n_rows, p.f16 != 0);   // y [B, 1, V, n, h, d]
}

template <class T, int PER> __device__ inline void rp_attn_rope(const rp_kernel_args<rp_attn_rope_params> &args, float4 *memory) {
    using Raw = typename rp_four_of<T>::raw;
    const rp_attn_rope_params p = args.p;
    const bool decode = p.suffix_cap > 0;
    const uint32_t d = p.head_width, pieces = d / 4, pitch = pieces | 1, n_rows = decode ? p.paths : p.tokens;   // eight keys: different banks
    const uint32_t queries = blockDim.x / SHORT_LANES, blocks = (n_rows + queries - 1) / queries, query = threadIdx.x / SHORT_LANES;
    uint64_t group = rp_group();
    if (group >= (uint64_t)p.batch * p.variates * p.heads * blocks) { return; }
    const uint32_t row0 = rp_take(group, blocks) * queries, head = rp_take(group, p.heads), v = rp_take(group, p.variates);
    const float *angles = rp_at<const float>(args, 1);
    Raw *k = reinterpret_cast<Raw *>(memory + queries * pitch);
    const rp_rope_call<T> call = { p, angles, angles + (uint64_t)p.positions * d, rp_at<const T>(args, 0) + head * d, d, p.heads * d, pieces, pitch, n_rows,
                                   queries, query, row0, row0 + query, (uint32_t)group, memory + query * pitch, k,
                                   k + (p.prefix_cap + queries * p.suffix_cap) * pitch };
    if (decode) {
        rp_rope_step<PER>(args, call, v, head);
    } else {
        rp_rope_prompt<PER>(args, call, v, head);
    }
}

#define RP_ATTN_ROPE_KERNEL(name, type, per)                                                                                      \
    extern "C" __global__ void __launch_bounds__(RP_ATTN_SHORT * SHORT_LANES) name(const rp_kernel_args<rp_attn_rope_params> args) { \
        extern __shared__ __align__(16) float memory[];                                                                        \
        rp_release();                                                                                                    \
        rp_attn_rope<type, per>(args, reinterpret_cast<float4 *>(memory));                                                      \
    }
RP_ATTN_ROPE_KERNEL(attn_rope_f32_short, float, 1)
RP_ATTN_ROPE_KERNEL(attn_rope_f32_short_2, float, 2)
RP_ATTN_ROPE_KERNEL(attn_rope_f16_short, __half, 1)
RP_ATTN_ROPE_KERNEL(attn_rope_f16_short_2, __half, 2)
