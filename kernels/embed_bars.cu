// embed_bars: a bar's two tokens and its time as one row of the model's width; spec kronos.md section 4. One invocation for
// each element.
#include "bars.cuh"

extern "C" __global__ void __launch_bounds__(RP_GROUP_POINT)
    embed_bars_f32(const rp_kernel_args<rp_embed_bars_params> args) {
    rp_begin();
    const rp_embed_bars_params p = args.p;
    const uint64_t index = rp_point(), D = p.width;
    if (index >= (uint64_t)p.batch * p.paths * p.tokens * D) { return; }
    uint64_t rest = index;
    const uint32_t j = rp_take(rest, p.width), i = rp_take(rest, p.tokens), row = (uint32_t)rest, b = row / p.paths;
    const uint32_t *tokens = rp_at<const uint32_t>(args, 0); // [B, tokens_cap, 2] or [B, S, tokens_cap, 2]
    const uint32_t *stamps = rp_at<const uint32_t>(args, 1); // [B, stamps_cap, 5]
    const float *table = rp_at<const float>(args, 2) + j;    // [table_rows, D]
    const float *times = rp_at<const float>(args, 3) + j;    // [RP_STAMP_ROWS, D]
    const uint32_t n_tokens = rp_at<const uint32_t>(args, 4)[b], first = rp_at<const uint32_t>(args, 5)[b];
    const rp_step *step = rp_at<const rp_step>(args, 6);
    float *x = rp_at<float>(args, 7); // [B, S, n, D]
    const rp_bar_row r = rp_bar_row_of(p.rows, i, n_tokens, first, step->step);
    const uint32_t *pair = rp_tokens_of(tokens, p.rows, r, b, row, p.tokens_cap);
    if (!pair || r.bar >= p.stamps_cap) {
        x[index] = 0;
        return;
    }
    const uint32_t *stamp = stamps + ((uint64_t)b * p.stamps_cap + r.bar) * RP_BAR_STAMPS;
    const uint32_t last = p.table_rows - 1;              // never drawn: any row
    float sum = table[min(pair[0], last) * D];
    if (!p.s1_alone) { sum = __fadd_rn(sum, table[min(p.s2_row + pair[1], last) * D]); }
    sum = __fadd_rn(sum, times[stamp[0] * D]);
    sum = __fadd_rn(sum, times[(RP_STAMP_HOUR + stamp[1]) * D]);
    sum = __fadd_rn(sum, times[(RP_STAMP_WEEKDAY + stamp[2]) * D]);
    sum = __fadd_rn(sum, times[(RP_STAMP_DAY + stamp[3]) * D]);
    x[index] = __fadd_rn(sum, times[(RP_STAMP_MONTH + stamp[4]) * D]);
}
