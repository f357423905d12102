// attn_time where a query can see few keys: short contexts. A group takes RP_ATTN_SHORT queries at most of one series, variate and
// head, RP_ATTN_SHORT_LANES lanes each: paths of a decode step, which share the prompt's keys, or tokens of one path. All keys and
// values that there is room for are copied to shared memory at once, before it is known which of them are there; then one key a lane
// (or PER), and one piece of the result. Same sums as rp_attend, so in float32 the same bits.
//   attn_time_f32_short, attn_time_f16_short       RP_ATTN_SHORT_LANES keys at most
//   attn_time_f32_short_2, attn_time_f16_short_2   twice as many
// For heads in whole pieces of four. Included by attn_time.cu.
#ifndef RP_ATTN_SHORT_CUH
#define RP_ATTN_SHORT_CUH

#include "attention.cuh"

#define SHORT_LANES RP_ATTN_SHORT_LANES
static_assert(SHORT_LANES == 16, "two queries a warp");

// A piece of four on its way to shared memory.
template <class Raw> __device__ inline void rp_short_copy(Raw *to, const void *from) {
    const uint32_t shared = (uint32_t)__cvta_generic_to_shared(to);
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared), "l"(from), "n"(sizeof(Raw)) : "memory");
}

// q . key, ascending, over n pieces. Blocks of four pieces: a loop that may end after each would wait for shared memory each time.
template <class Raw> __device__ inline float rp_short_dot(const float4 *q, const Raw *key, uint32_t n) {
    float score = 0;
    uint32_t i = 0;
#pragma unroll 2
    for (; i + 4 <= n; i += 4) {
        float4 a[4];
        Raw b[4];
#pragma unroll
        for (int j = 0; j < 4; j++) { a[j] = q[i + j], b[j] = key[i + j]; }
#pragma unroll
        for (int j = 0; j < 4; j++) { score = rp_dot4(a[j], rp_wide4(b[j]), score); }
    }
#pragma unroll 1
    for (; i < n; i++) { score = rp_dot4(q[i], rp_wide4(key[i]), score); }
    return score;
}

// Over the lanes of a query; every lane gets the same bits.
__device__ inline float rp_short_most(float value) {
#pragma unroll
    for (int distance = SHORT_LANES / 2; distance > 0; distance /= 2) { value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance)); }
    return value;
}
__device__ inline float rp_short_sum(float value) {
#pragma unroll
    for (int distance = SHORT_LANES / 2; distance > 0; distance /= 2) { value += __shfl_xor_sync(0xffffffffu, value, distance); }
    return value;
}

// PER: keys a lane, 1 or 2.
template <class T, int PER> __device__ inline void rp_attn_short(const rp_kernel_args<rp_attn_time_params> &args, float4 *memory) {
    using Raw = typename rp_four_of<T>::raw;
    const rp_attn_time_params p = args.p;
    const bool decode = p.suffix_cap > 0 && !p.own;          // queries are paths, else tokens of one path
    const uint32_t d = p.head_width, width = p.heads * d, pieces = d / 4, pitch = pieces | 1;        // eight keys lie in different banks
    const uint32_t n_rows = decode ? p.paths : p.tokens, queries = blockDim.x / SHORT_LANES, blocks = (n_rows + queries - 1) / queries;
    const uint32_t query = threadIdx.x / SHORT_LANES, lane = threadIdx.x % SHORT_LANES;
    uint64_t group = rp_group();
    if (group >= (uint64_t)p.batch * (decode ? 1 : p.paths) * p.variates * p.heads * blocks) { return; }
    const uint32_t row = rp_take(group, blocks) * queries + query, head = rp_take(group, p.heads), v = rp_take(group, p.variates);
    const uint32_t s = decode ? 0 : rp_take(group, p.paths), b = (uint32_t)group, of = min(row, n_rows - 1);
    const uint64_t sequence = ((uint64_t)b * p.paths + s) * p.variates + v;                          // of row 0
    const uint64_t at = (sequence * p.tokens + (uint64_t)of * (decode ? p.variates : 1)) * width + head * d;   // in q and y [B, S, V, n, h, d]
    const uint64_t prefix = ((uint64_t)b * p.variates + v) * p.prefix_cap * width + head * d;        // in [B, V, N, h, d]
    const uint64_t suffix = (sequence + (decode ? (uint64_t)of * p.variates : 0)) * p.suffix_cap * width + head * d;   // in [B, S, V, R, h, d]
    const uint32_t own0 = p.prefix_cap + (decode ? query * p.suffix_cap : 0);                        // where the suffix lies in shared memory
    const uint32_t n_keys = p.prefix_cap + (decode ? queries : 1) * p.suffix_cap, cap = p.prefix_cap + p.suffix_cap;
    float4 *q = memory + query * pitch;
    Raw *k = reinterpret_cast<Raw *>(memory + queries * pitch), *values = k + n_keys * pitch;        // [n_keys, pitch]
    if ((at | prefix | suffix | own0 | n_keys) == 0 && cap == 0) { return; }     // never, but to know it takes all of these, so before the wait

    rp_wait();
    const uint32_t n_patches = rp_at<const uint32_t>(args, 5)[b], step = rp_at<const rp_step>(args, 6)->step;
    const auto bring = [&](Raw *to, uint32_t of_prefix, uint32_t of_suffix) {
        const T *shared = rp_at<const T>(args, of_prefix) + prefix, *own = rp_at<const T>(args, of_suffix) + suffix;
        const uint32_t first = decode ? 0 : query, stride = decode ? 1 : queries;                    // of the suffix's keys
        for (uint32_t i = lane; i < pieces; i += SHORT_LANES) {
            for (uint32_t c = query; c < p.prefix_cap; c += queries) { rp_short_copy(&to[c * pitch + i], shared + (uint64_t)c * width + i * 4); }
            for (uint32_t c = first; c < p.suffix_cap; c += stride) { rp_short_copy(&to[(own0 + c) * pitch + i], own + (uint64_t)c * width + i * 4); }
        }
        rp_copy_commit();
    };
    bring(k, 1, 3);
    bring(values, 2, 4);
    for (uint32_t i = lane; i < pieces; i += SHORT_LANES) { q[i] = rp_wide4(*reinterpret_cast<const Raw *>(rp_at<const T>(args, 0) + at + i * 4)); }

    // What the query sees: keys 0 .. n_prefix - 1 of the prompt, then the suffix's first n_suffix.
    const uint32_t n_tokens = n_patches + p.extra, there = min(step, p.suffix_cap);
    uint32_t n_prefix = min(n_tokens, p.prefix_cap), n_suffix = there;
    if (p.suffix_cap == 0) { n_prefix = row < n_tokens ? row + 1 : 0; }
    if (p.own) { n_suffix = row + 1; }
    const uint32_t n = row >= n_rows || (p.own && row >= there) ? 0 : n_prefix + n_suffix;           // 0: dead, writes 0
    const auto place = [&](uint32_t c) { return (c < n_prefix ? c : own0 + c - n_prefix) * pitch; };
    rp_copy_wait<1>();
    __syncthreads();                       // q, k: written by all, read by all

    float score[PER], top = -RP_INFINITY, sum = 0;
#pragma unroll
    for (int e = 0; e < PER; e++) {
        const uint32_t c = lane + e * SHORT_LANES;
        score[e] = c < n ? rp_short_dot(q, &k[place(c)], pieces) * p.scale : -RP_INFINITY;
        top = fmaxf(top, score[e]);
    }
    top = rp_short_most(top);
#pragma unroll
    for (int e = 0; e < PER; e++) {        // a tile that has no other keys: halving adds zeros until SHORT_LANES are left
        score[e] = lane + e * SHORT_LANES < n ? rp_exp_below(score[e] - top) : 0.0f;
        sum += score[e];
    }
    sum = rp_short_sum(sum);
    rp_copy_wait<0>();
    __syncthreads();                       // values: written by all, read by all
    for (uint32_t base = 0; base < pieces; base += SHORT_LANES) {
        const uint32_t piece = min(base + lane, pieces - 1);
        float4 y = make_float4(0, 0, 0, 0);
#pragma unroll
        for (int e = 0; e < PER; e++) {
            const uint32_t last = min(cap, (e + 1) * SHORT_LANES);               // the same for all lanes
#pragma unroll 4
            for (uint32_t c = e * SHORT_LANES; c < last; c++) {
                const float weight = __shfl_sync(0xffffffffu, score[e], c % SHORT_LANES, SHORT_LANES);
                if (c < n) { rp_add4(y, weight, rp_wide4(values[place(c) + piece])); }
            }
        }
        if (base + lane >= pieces || row >= n_rows) { continue; }
        const bool live = sum > 0.0f && top > -RP_INFINITY;
        y = live ? make_float4(y.x / sum, y.y / sum, y.z / sum, y.w / sum) : make_float4(0, 0, 0, 0);
        const uint64_t to = at + piece * 4;
        if (p.y_f16) {
            *reinterpret_cast<uint2 *>(rp_at<__half>(args, 7) + to) = rp_narrow4(y);
        } else {
            *reinterpret_cast<float4 *>(rp_at<float>(args, 7) + to) = y;
        }
    }
}

#define RP_ATTN_SHORT_KERNEL(name, type, per)                                                                                     \
    extern "C" __global__ void __launch_bounds__(RP_ATTN_SHORT * SHORT_LANES) name(const rp_kernel_args<rp_attn_time_params> args) { \
        extern __shared__ __align__(16) float memory[];                                                                        \
        rp_release_short();                                                                                                     \
        rp_attn_short<type, per>(args, reinterpret_cast<float4 *>(memory));                                                     \
    }
RP_ATTN_SHORT_KERNEL(attn_time_f32_short, float, 1)
RP_ATTN_SHORT_KERNEL(attn_time_f32_short_2, float, 2)
RP_ATTN_SHORT_KERNEL(attn_time_f16_short, __half, 1)
RP_ATTN_SHORT_KERNEL(attn_time_f16_short_2, __half, 2)

#endif
