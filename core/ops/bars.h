// What the ops over bars share: which bar of which series a row of a call stands for (RP_ROWS_* in op_params.h).
#ifndef RP_OPS_BARS_H
#define RP_OPS_BARS_H

#include "op.h"

typedef struct ref_row {
    bool live;
    uint32_t bar;            // of the series, from its first; the horizon's follow the context's
    uint32_t position;       // in the window
    uint32_t slot;           // in what each path keeps, or, PROMPT, in what the series keeps
} ref_row;

// Row i of the call in a series whose shared part is n_tokens bars from bar `first` on.
static inline ref_row ref_row_of(uint32_t rows, uint32_t i, uint32_t n_tokens, uint32_t first, uint32_t step) {
    if (rows == RP_ROWS_PROMPT) { return (ref_row){ i < n_tokens, first + i, i, i }; }
    if (rows == RP_ROWS_STEP) { return (ref_row){ true, first + n_tokens + step - 1, n_tokens + step - 1, step - 1 }; }
    return (ref_row){ i < step, first + n_tokens + i, n_tokens + i, i };
}

// Where the row's two tokens stand in [B, tokens_cap, 2] (PROMPT) or [B, S, tokens_cap, 2].
static inline size_t ref_tokens_at(uint32_t rows, ref_row row, uint32_t b, uint32_t path_row, uint32_t tokens_cap) {
    return rows == RP_ROWS_PROMPT ? ((size_t)b * tokens_cap + row.bar) * 2 : ((size_t)path_row * tokens_cap + row.slot) * 2;
}

#endif
