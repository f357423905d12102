// attn_time for short contexts (attn_short.cuh). A group takes RP_ATTN_SHORT queries at most of one series, variate and head: paths of a
// decode step, which share the prompt's keys, or tokens of one path. Included by attn_time.cu.
//   attn_time_f32_short, attn_time_f16_short       at most RP_ATTN_SHORT_LANES keys
//   attn_time_f32_short_2, attn_time_f16_short_2   at most twice as many
#ifndef RP_ATTN_TIME_SHORT_CUH
#define RP_ATTN_TIME_SHORT_CUH

#include "attn_short.cuh"

template <class T, int PER> __device__ inline void rp_attn_time_short(const rp_kernel_args<rp_attn_time_params> &args, float4 *memory) {
    using Raw = typename rp_four_of<T>::raw;
    const rp_attn_time_params p = args.p;
    const bool decode = p.suffix_cap > 0 && !p.own;          // queries are paths, else tokens of one path
    const uint32_t d = p.head_width, width = p.heads * d, pieces = d / 4, pitch = pieces | 1;        // eight keys lie in different banks
    const uint32_t n_rows = decode ? p.paths : p.tokens, queries = blockDim.x / SHORT_LANES, blocks = (n_rows + queries - 1) / queries;
    const uint32_t query = threadIdx.x / SHORT_LANES, piece = rp_short_piece(pieces);
    uint64_t group = rp_group();
    if (group >= (uint64_t)p.batch * (decode ? 1 : p.paths) * p.variates * p.heads * blocks) { return; }
    const uint32_t row = rp_take(group, blocks) * queries + query, head = rp_take(group, p.heads), v = rp_take(group, p.variates);
    const uint32_t s = decode ? 0 : rp_take(group, p.paths), b = (uint32_t)group, of = min(row, n_rows - 1);
    const uint64_t sequence = ((uint64_t)b * p.paths + s) * p.variates + v;                          // of row 0
    const uint64_t at = (sequence * p.tokens + (uint64_t)of * (decode ? p.variates : 1)) * width + head * d + piece * 4;   // of [B, S, V, n, h, d]
    const uint64_t prefix = ((uint64_t)b * p.variates + v) * p.prefix_cap * width + head * d + piece * 4;   // of [B, V, N, h, d]
    const uint64_t suffix = (sequence + (decode ? (uint64_t)of * p.variates : 0)) * p.suffix_cap * width + head * d + piece * 4;
    const uint32_t own0 = p.prefix_cap + (decode ? query * p.suffix_cap : 0);                        // where the suffix lies in shared memory
    const uint32_t n_keys = p.prefix_cap + (decode ? queries : 1) * p.suffix_cap;
    float4 *q = memory + query * pitch;
    Raw *k = reinterpret_cast<Raw *>(memory + queries * pitch), *values = k + n_keys * pitch;        // [n_keys, pitch]
    if ((at | prefix | suffix | own0 | n_keys) == 0 && pieces == 0) { return; }  // never, but to know it takes all of these, so before the wait

    rp_wait();
    const uint32_t n_patches = rp_at<const uint32_t>(args, 5)[b], step = rp_at<const rp_step>(args, 6)->step;
    const Raw own = *reinterpret_cast<const Raw *>(rp_at<const T>(args, 0) + at);
    rp_short_asked();
    const bool writes = rp_short_writes(pieces);
    const auto bring = [&](Raw *to, uint32_t of_prefix, uint32_t of_suffix) {
        rp_short_rows(to + piece, rp_at<const T>(args, of_prefix) + prefix, query, writes ? p.prefix_cap : 0, queries, pitch, width);
        rp_short_rows(to + own0 * pitch + piece, rp_at<const T>(args, of_suffix) + suffix, decode ? 0 : query, writes ? p.suffix_cap : 0,
                      decode ? 1 : queries, pitch, width);
        rp_copy_commit();
    };
    bring(k, 1, 3);
    bring(values, 2, 4);
    if (writes) { q[piece] = rp_wide4(own); }

    // What the query sees: keys 0 .. n_prefix - 1 of the prompt, then the suffix's first n_suffix.
    const uint32_t n_tokens = n_patches + p.extra, there = min(step, p.suffix_cap);
    uint32_t n_prefix = min(n_tokens, p.prefix_cap), n_suffix = there;
    if (p.suffix_cap == 0) { n_prefix = row < n_tokens ? row + 1 : 0; }
    if (p.own) { n_suffix = row + 1; }
    const bool dead = row >= n_rows || (p.own && row >= there);                  // writes 0, or nothing
    const rp_short_work<Raw> work = { q, k, values, n_prefix, own0, dead ? 0 : n_prefix + n_suffix, p.prefix_cap + p.suffix_cap, pieces, pitch,
                                      p.scale };
    rp_short_attend<PER>(work, rp_at<void>(args, 7), at, row < n_rows, p.y_f16 != 0);
}

#define RP_ATTN_SHORT_KERNEL(name, type, per)                                                                                     \
    extern "C" __global__ void __launch_bounds__(RP_ATTN_SHORT * SHORT_LANES) name(const rp_kernel_args<rp_attn_time_params> args) { \
        extern __shared__ __align__(16) float memory[];                                                                        \
        rp_release_few();                                                                                                      \
        rp_attn_time_short<type, per>(args, reinterpret_cast<float4 *>(memory));                                               \
    }
RP_ATTN_SHORT_KERNEL(attn_time_f32_short, float, 1)
RP_ATTN_SHORT_KERNEL(attn_time_f32_short_2, float, 2)
RP_ATTN_SHORT_KERNEL(attn_time_f16_short, __half, 1)
RP_ATTN_SHORT_KERNEL(attn_time_f16_short_2, __half, 2)

#endif
