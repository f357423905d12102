// Attention of few queries over many keys on the matrix units, for precision mixed; what attn_time and attn_step share. A cluster of
// RP_ATTN_SPREAD groups takes up to RP_ATTN_FEW paths of one (series, variate, head). Keys, the prompt's for all paths and then each
// path's own, come in units of sixteen; a team of RP_ATTN_FEW_SLICES(d) warps takes a unit, each warp a slice of the head's columns,
// straight from memory to where the matrix units want them. A group joins its warps, and sends each path's part to the group that
// joins that path. For sm_90 and later, heads in whole pieces of four.
#ifndef RP_ATTN_FEW_CUH
#define RP_ATTN_FEW_CUH

#include "attn_few_unit.cuh"
#include "cluster.cuh"

template <class T> struct rp_few_call {   // T: float or __half
    const T *q;                            // [B, S, V, h, d]; where it is turned first: [B, S, 3, h, d], with k and v
    const T *kv;                           // the new k and v, FEW_TAKES: [B, S, 2, h, d], FEW_TURNS: of q
    const T *k_prefix, *v_prefix;          // [B, V, N, h, d]
    T *k_suffix, *v_suffix;                // [B, S, V, R, h, d]; but for FEW_READS, slot step - 1 is written
    const uint32_t *n_tokens;              // [B], without `extra`
    const rp_step *step;
    const float *rope;                     // [positions, d/2, 2], where q is turned
    void *y;                               // [B, S, V, h, d]
    uint32_t batch, paths, variates, heads, head_width, prefix_cap, suffix_cap, extra, positions;
    float scale;
    bool y_f16;
};

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
// Joins n parts, four columns of them, eight at a time. top_of(i): part i's maximum, -infinity where it saw no key, and sum; piece_of(i):
// its columns.
template <class Top, class Piece>
__device__ __forceinline__ float4 rp_few_join(uint32_t n, const Top &top_of, const Piece &piece_of, float2 *whole) {
    constexpr uint32_t BATCH = 8;
    float top = -RP_INFINITY, sum = 0;
    float4 value = make_float4(0, 0, 0, 0);
#pragma unroll 1
    for (uint32_t first = 0; first < n; first += BATCH) {
        float2 part[BATCH];
        float4 piece[BATCH];
        float most = top;
#pragma unroll
        for (uint32_t i = 0; i < BATCH; i++) {
            const bool there = first + i < n;
            part[i] = there ? top_of(first + i) : make_float2(-RP_INFINITY, 0.0f);
            piece[i] = there ? piece_of(first + i) : make_float4(0, 0, 0, 0);
        }
#pragma unroll
        for (uint32_t i = 0; i < BATCH; i++) { most = fmaxf(most, part[i].x); }
        const float from = most == -RP_INFINITY ? 0.0f : most, fade = rp_exp2_fast(top - from);
        sum *= fade, value.x *= fade, value.y *= fade, value.z *= fade, value.w *= fade, top = most;
#pragma unroll
        for (uint32_t i = 0; i < BATCH; i++) {
            const bool seen = part[i].x != -RP_INFINITY;                         // else it was not written
            const float factor = rp_exp2_fast(part[i].x - from);
            const float4 x = seen ? piece[i] : make_float4(0, 0, 0, 0);
            sum = __fmaf_rn(factor, part[i].y, sum);
            value.x = __fmaf_rn(factor, x.x, value.x), value.y = __fmaf_rn(factor, x.y, value.y);
            value.z = __fmaf_rn(factor, x.z, value.z), value.w = __fmaf_rn(factor, x.w, value.w);
        }
    }
    *whole = make_float2(top, sum);
    return value;
}

// FEW_TAKES and FEW_TURNS, of float16: the new k and v are put into their slot; what earlier replays wrote is asked for before the wait.
// FEW_TURNS: q and k are turned first.
enum rp_few_kind { FEW_READS, FEW_TAKES, FEW_TURNS };
template <rp_few_kind KIND, class T> __device__ inline void rp_attn_few(const rp_few_call<T> &p, float *memory) {
    constexpr bool TURNS = KIND == FEW_TURNS, TAKES = KIND != FEW_READS;
    constexpr uint32_t PIECES = TURNS ? 1 : 2;   // of queries, an invocation
    const uint32_t rank = blockIdx.x % RP_ATTN_SPREAD, d = p.head_width, width = p.heads * d, warps = blockDim.x / 32;
    const uint32_t blocks = gridDim.x / (RP_ATTN_SPREAD * p.batch * p.variates * p.heads);
    const uint32_t most = (p.paths + blocks - 1) / blocks;                       // paths of a cluster
    const uint32_t group = rp_group() / RP_ATTN_SPREAD, set = group / blocks / p.heads;
    const uint32_t s0 = group % blocks * most, head = group / blocks % p.heads, variate = set % p.variates, b = set / p.variates;
    const uint32_t n_rows = min(most, p.paths - min(s0, p.paths));
    const uint32_t slices = RP_ATTN_FEW_SLICES(d), slice = RP_ATTN_FEW_SLICE(d), teams = warps / slices;
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, part = lane % 4, team = warp / slices, column0 = warp % slices * slice;
    const uint32_t columns = min(slice, d - min(column0, d));                    // of this warp
    const uint64_t prefix = ((uint64_t)b * p.variates + variate) * p.prefix_cap * width + head * d + column0;   // of [B, V, N, h, d]
    const uint64_t row0 = ((uint64_t)b * p.paths + s0) * p.variates + variate;   // of path s0; the next one's is `variates` further
    const uint64_t next = (uint64_t)p.variates * p.suffix_cap * width, suffix = row0 * p.suffix_cap * width + head * d + column0;
    uint64_t *ready = reinterpret_cast<uint64_t *>(memory);
    float *part_values = memory + 4, *inbox = part_values + warps * most * RP_ATTN_FEW_PITCH;
    float2 *tops = reinterpret_cast<float2 *>(inbox + RP_ATTN_FEW_INBOX(most, d));
    __half *queries = reinterpret_cast<__half *>(tops + warps * RP_ATTN_FEW);
    float *scores = reinterpret_cast<float *>(queries + RP_ATTN_FEW * RP_ATTN_FEW_QUERY(slices));
    __half *fresh = reinterpret_cast<__half *>(scores + (slices > 1 ? 2 * warps * RP_ATTN_FEW_SCORES : 0));   // TAKES: [rows, 2, d], new k and v
    const __half *my_queries = queries + (lane % 16) * RP_ATTN_FEW_QUERY(slices) + warp % slices * 64 + lane / 16 * 8;
    rp_few_rows rows;
    rows.top[0] = rows.top[1] = -RP_INFINITY, rows.sum[0] = rows.sum[1] = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) { rows.value[i][0] = rows.value[i][1] = rows.value[i][2] = rows.value[i][3] = 0; }
    if (!TAKES) {
        if ((prefix | suffix | next | columns | n_rows) == 0) { return; }        // never, but to know it takes all of these, so before the wait
        rp_wait();
    }

    // Units: of the prompt, then of each path.
    const uint32_t n_tokens = p.n_tokens[b] + p.extra, n_prefix = min(n_tokens, p.prefix_cap);
    const uint32_t step = p.step->step, n_suffix = min(step, p.suffix_cap);
    const uint32_t of_prompt = (n_prefix + FEW_KEYS - 1) / FEW_KEYS, of_path = max((n_suffix + FEW_KEYS - 1) / FEW_KEYS, 1u);
    const uint32_t n_units = of_prompt + (n_suffix > 0 ? n_rows * of_path : 0);
    const auto nth = [&](uint32_t i) {
        const bool own = i >= of_prompt;
        const uint32_t row = own ? (i - of_prompt) / of_path : 0, first = (own ? (i - of_prompt) % of_path : i) * FEW_KEYS;
        const uint64_t at = (own ? suffix + row * next : prefix) + (uint64_t)first * width;
        return rp_few_unit<T>{ (own ? p.k_suffix : p.k_prefix) + at, (own ? p.v_suffix : p.v_prefix) + at,
                               min(FEW_KEYS, (own ? n_suffix : n_prefix) - first),
                            own ? row : RP_ATTN_FEW, TAKES && own ? step - 1 - first : FEW_KEYS };
    };
    const uint32_t stride = RP_ATTN_SPREAD * teams;
    uint32_t number = rank + RP_ATTN_SPREAD * team, round = 0;
    bool begun = false;
    if (TAKES) {
        for (uint32_t i = number + stride; i < n_units; i += stride) { rp_few_hint(nth(i), columns, width); }
    }
#pragma unroll 1
    do {
        const bool more = number < n_units;
        const rp_few_unit<T> unit = nth(number);
        typename rp_four_of<T>::raw k[2][4], v[2][4];
        if (more) {
            rp_few_keys(k, unit, columns, width);
            rp_few_values(v, unit, columns, width);
        }
        if (!begun) {
            begun = true;
            if (TAKES) { rp_wait(); }
#pragma unroll
            for (uint32_t i = 0; i < PIECES; i++) {
                const uint32_t at = threadIdx.x + i * blockDim.x, row = at / (16 * slices), column = at / 16 % slices * slice + at % 16 * 4;
                const uint64_t of = row0 + (uint64_t)min(row, n_rows - 1) * p.variates;
                const T *from = p.q + of * (TURNS ? 3 : 1) * width + head * d, *kv = p.kv + of * (TURNS ? 3 : 2) * width + head * d;
                uint2 q = make_uint2(0, 0);
                if (row < n_rows && at % 16 * 4 < slice && column < d) {
                    if constexpr (TAKES) {
                        const uint2 value = *reinterpret_cast<const uint2 *>(kv + width + column);
                        uint2 key;
                        if constexpr (TURNS) {
                            const float *angles = p.rope + (uint64_t)min(n_tokens + step - 1, p.positions - 1) * d;
                            key = rp_narrow4(rp_few_turned(kv, angles, column, d / 2));
                            q = rp_narrow4(rp_few_turned(from, angles, column, d / 2));
                        } else {
                            key = *reinterpret_cast<const uint2 *>(kv + column), q = *reinterpret_cast<const uint2 *>(from + column);
                        }
                        __half *to = fresh + row * 2 * d + column;
                        *reinterpret_cast<uint2 *>(to) = key, *reinterpret_cast<uint2 *>(to + d) = value;
                        if (row % RP_ATTN_SPREAD == rank && step - 1 < p.suffix_cap) {
                            const uint64_t slot = ((row0 + row) * p.suffix_cap + step - 1) * width + head * d + column;
                            *reinterpret_cast<uint2 *>(p.k_suffix + slot) = key, *reinterpret_cast<uint2 *>(p.v_suffix + slot) = value;
                        }
                    } else {
                        q = rp_narrow4(*reinterpret_cast<const typename rp_four_of<T>::raw *>(from + column));
                    }
                }
                if (row < RP_ATTN_FEW) {
                    __half *to = queries + rp_few_query(row, at / 16 % slices, at % 16, slices);
                    *reinterpret_cast<uint32_t *>(to) = q.x, *reinterpret_cast<uint32_t *>(to + 8) = q.y;
                }
            }
            __syncthreads();               // queries, fresh: written by all, read by all
        }
        if (!more) { break; }
        if constexpr (TAKES) {
            if (unit.fresh < unit.n) { rp_few_fresh(k, v, unit, fresh + unit.only * 2 * d + column0, columns, d); }
        }
        float score[2][4];
        rp_few_scores(score, my_queries, k);
        if (slices > 1) {                  // two places in turn: a team is done reading one before it writes it again
            float *of_team = scores + (round * warps + team * slices) * RP_ATTN_FEW_SCORES;
            rp_few_whole_scores(score, of_team + warp % slices * RP_ATTN_FEW_SCORES, of_team, slices, team);
            round ^= 1;
        }
        rp_few_weights(rows, score, unit, p.scale * 1.44269504f);                // log2 e
        rp_few_weigh(rows, score, v);
        number += stride;
    } while (number < n_units);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const uint32_t row = lane / 4 + 8 * h;
        float sum = rows.sum[h];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (part == 0) { tops[warp * RP_ATTN_FEW + row] = make_float2(rows.top[h], sum); }
        if (row >= n_rows || rows.top[h] == -RP_INFINITY) { continue; }
        float *to = part_values + (warp * most + row) * RP_ATTN_FEW_PITCH + part * 8;
#pragma unroll
        for (int c = 0; c < 2; c++) {
#pragma unroll
            for (int f = 0; f < 2; f++) {
                *reinterpret_cast<float4 *>(to + c * 32 + f * 4) = make_float4(rows.value[4 * c][2 * h + f], rows.value[4 * c + 1][2 * h + f],
                                                                               rows.value[4 * c + 2][2 * h + f], rows.value[4 * c + 3][2 * h + f]);
            }
        }
    }
    if (threadIdx.x == 0 && rank < n_rows) {
        rp_cluster_expect(ready, ((n_rows - rank - 1) / RP_ATTN_SPREAD + 1) * RP_ATTN_SPREAD * (d + 2) * 4);
    }
    __syncthreads();                       // parts: written by each warp, read by all
    rp_cluster_wait_begun();                // all groups have begun and made their barriers

    const uint32_t pieces = d / 4, per_group = (most + RP_ATTN_SPREAD - 1) / RP_ATTN_SPREAD;
    for (uint32_t i = threadIdx.x; i < n_rows * pieces; i += blockDim.x) {
        const uint32_t row = i / pieces, column = i % pieces * 4, of = column / slice;
        const float2 *top = tops + of * RP_ATTN_FEW + row;
        const float *piece = part_values + (of * most + row) * RP_ATTN_FEW_PITCH + column - of * slice;
        float2 whole;
        const auto piece_of = [&](uint32_t t) { return *reinterpret_cast<const float4 *>(piece + t * slices * most * RP_ATTN_FEW_PITCH); };
        const float4 value = rp_few_join(teams, [&](uint32_t t) { return top[t * slices * RP_ATTN_FEW]; }, piece_of, &whole);
        const float *to = inbox + (rank * per_group + row / RP_ATTN_SPREAD) * (d + 4);
        rp_cluster_send4(to + column, row % RP_ATTN_SPREAD, ready, { value.x, value.y, value.z, value.w });
        if (column == 0) { rp_cluster_send2(to + d, row % RP_ATTN_SPREAD, ready, whole.x, whole.y); }
    }
    if (rank >= n_rows) { return; }
    rp_cluster_wait_ready(ready);           // all groups' parts of this group's rows
    for (uint32_t i = threadIdx.x; i < per_group * pieces; i += blockDim.x) {
        const uint32_t row = i / pieces * RP_ATTN_SPREAD + rank, column = i % pieces * 4;
        if (row >= n_rows) { break; }
        const float *from = inbox + i / pieces * (d + 4);
        const uint32_t apart = per_group * (d + 4);
        float2 whole;
        float4 y = rp_few_join(RP_ATTN_SPREAD, [&](uint32_t g) { return *reinterpret_cast<const float2 *>(from + g * apart + d); },
                               [&](uint32_t g) { return *reinterpret_cast<const float4 *>(from + g * apart + column); }, &whole);
        const float inverse = whole.y > 0.0f ? 1.0f / whole.y : 0.0f;
        const uint64_t at = (row0 + (uint64_t)row * p.variates) * width + head * d + column;      // of y [B, S, V, 1, h, d]
        y = make_float4(y.x * inverse, y.y * inverse, y.z * inverse, y.w * inverse);
        if (p.y_f16) {
            *reinterpret_cast<uint2 *>(static_cast<__half *>(p.y) + at) = make_uint2(rp_pair(y.x, y.y), rp_pair(y.z, y.w));
        } else {
            *reinterpret_cast<float4 *>(static_cast<float *>(p.y) + at) = y;
        }
    }
}
#endif

// A kernel of the name; `call` makes an rp_few_call of `args`.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define RP_ATTN_FEW_KERNEL(name, registers, params, kind, call)                                                                  \
    extern "C" __global__ void __cluster_dims__(RP_ATTN_SPREAD, 1, 1) __maxnreg__(registers)                                     \
        name(const rp_kernel_args<params> args) {                                                                                \
        extern __shared__ __align__(16) float memory[];                                                                          \
        rp_cluster_begin(reinterpret_cast<uint64_t *>(memory));                                                                  \
        rp_release_few();                                                                                                     \
        rp_attn_few<kind>(call, memory);                                                                                         \
    }
#else
#define RP_ATTN_FEW_KERNEL(name, registers, params, kind, call)                                                                             \
    extern "C" __global__ void name(const rp_kernel_args<params>) {}
#endif

#endif
