// Which bar of which series a row of a call stands for, as core/ops/bars.h: RP_ROWS_* in core/op_params.h.

struct bar_row {
    bool live;
    uint bar;                                            // of the series, from its first; the horizon's follow the context's
    uint position;                                       // in the window
    uint slot;                                           // in what each path keeps, or, PROMPT, in what the series keeps
};

// Row i of the call in a series whose shared part is n_tokens bars from bar `first` on.
bar_row bar_row_of(uint rows, uint i, uint n_tokens, uint first, uint step) {
    if (rows == RP_ROWS_PROMPT) { return bar_row(i < n_tokens, first + i, i, i); }
    if (rows == RP_ROWS_STEP) { return bar_row(true, first + n_tokens + step - 1, n_tokens + step - 1, step - 1); }
    return bar_row(i < step, first + n_tokens + i, n_tokens + i, i);
}

// The row of [B, tokens_cap, 2] (PROMPT) or [B, S, tokens_cap, 2] where its tokens stand; past `tokens_cap` (a replay too many,
// or one before the first draw) it is dead.
uint bar_tokens_at(uint rows, inout bar_row r, uint b, uint path_row, uint tokens_cap) {
    bool prompt = rows == RP_ROWS_PROMPT;
    uint at = prompt ? r.bar : r.slot;
    if (at >= tokens_cap) { r.live = false; }
    return (prompt ? b : path_row) * tokens_cap + at;
}
