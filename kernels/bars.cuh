// What the ops over bars share: which bar of which series a row of a call stands for (RP_ROWS_* in core/op_params.h).
#ifndef RP_BARS_CUH
#define RP_BARS_CUH

#include "common.cuh"

struct rp_bar_row {
    bool live;
    uint32_t bar;      // of the series, from its first; the horizon's follow the context's
    uint32_t position; // in the window
    uint32_t slot;     // in what each path keeps, or, PROMPT, in what the series keeps
};

// Row i of the call in a series whose shared part is n_tokens bars from bar `first` on. At step 0 there is no row to step
// with: its slot is past every capacity, so whoever looks a slot up checks it.
__device__ inline rp_bar_row rp_bar_row_of(uint32_t rows, uint32_t i, uint32_t n_tokens, uint32_t first, uint32_t step) {
    if (rows == RP_ROWS_PROMPT) { return { i < n_tokens, first + i, i, i }; }
    if (rows == RP_ROWS_STEP) { return { true, first + n_tokens + step - 1, n_tokens + step - 1, step - 1 }; }
    return { i < step, first + n_tokens + i, n_tokens + i, i };
}

// The row's two tokens, in [B, tokens_cap, 2] (PROMPT) or [B, S, tokens_cap, 2]; NULL for a dead row.
__device__ inline const uint32_t *rp_tokens_of(const uint32_t *tokens, uint32_t rows, rp_bar_row row, uint32_t b,
                                               uint32_t path_row, uint32_t tokens_cap) {
    const uint32_t at = rows == RP_ROWS_PROMPT ? row.bar : row.slot, of = rows == RP_ROWS_PROMPT ? b : path_row;
    return row.live && at < tokens_cap ? tokens + ((uint64_t)of * tokens_cap + at) * 2 : nullptr;
}

#endif
