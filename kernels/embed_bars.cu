// embed_bars: a bar's two tokens and its time as one row of the model's width; spec kronos.md section 4.
//   embed_bars_f32        one invocation for each element
//   embed_bars_f32_wide   one for four, widths in whole pieces of four
#include "bars.cuh"

// N: an element, or several.
template <class N> __device__ inline void rp_embed_bars(const rp_kernel_args<rp_embed_bars_params> &args) {
    const rp_embed_bars_params p = args.p;
    const uint64_t index = rp_point();
    const uint32_t D = p.width / (sizeof(N) / sizeof(float));
    if (index >= (uint64_t)p.batch * p.paths * p.tokens * D) { return; }
    uint64_t rest = index;
    const uint32_t j = rp_take(rest, D), i = rp_take(rest, p.tokens), row = (uint32_t)rest, b = row / p.paths;
    const uint32_t *tokens = rp_at<const uint32_t>(args, 0); // [B, tokens_cap, 2] or [B, S, tokens_cap, 2]
    const uint32_t *stamps = rp_at<const uint32_t>(args, 1); // [B, stamps_cap, 5]
    const N *table = rp_at<const N>(args, 2) + j;            // [table_rows, D]
    const N *times = rp_at<const N>(args, 3) + j;            // [RP_STAMP_ROWS, D]
    N *x = rp_at<N>(args, 7) + index;                        // [B, S, n, D]
    rp_wait();
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 4)[b], first = rp_at<const uint32_t>(args, 5)[b];
    const rp_step *step = rp_at<const rp_step>(args, 6);
    const rp_bar_row r = rp_bar_row_of(p.rows, i, n_tokens, first, step->step);
    const uint32_t *pair = rp_tokens_of(tokens, p.rows, r, b, row, p.tokens_cap);
    if (!pair || r.bar >= p.stamps_cap) {
        *x = N{};
        return;
    }
    const uint32_t *stamp = stamps + ((uint64_t)b * p.stamps_cap + r.bar) * RP_BAR_STAMPS;
    const uint32_t last = p.table_rows - 1;                  // never drawn: any row
    N sum = table[(uint64_t)min(pair[0], last) * D];
    if (!p.s1_alone) { sum = rp_sum(sum, table[(uint64_t)min(p.s2_row + pair[1], last) * D]); }
    sum = rp_sum(sum, times[stamp[0] * D]);
    sum = rp_sum(sum, times[(RP_STAMP_HOUR + stamp[1]) * D]);
    sum = rp_sum(sum, times[(RP_STAMP_WEEKDAY + stamp[2]) * D]);
    sum = rp_sum(sum, times[(RP_STAMP_DAY + stamp[3]) * D]);
    *x = rp_sum(sum, times[(RP_STAMP_MONTH + stamp[4]) * D]);
}

#define RP_EMBED_BARS(name, type)                                                                                               \
    extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT) name(const rp_kernel_args<rp_embed_bars_params> args) {        \
        rp_release_few();                                                                                                       \
        rp_embed_bars<type>(args);                                                                                              \
    }
RP_EMBED_BARS(embed_bars_f32, float)
RP_EMBED_BARS(embed_bars_f32_wide, float4)
