// What the cases of the ops over bars share: where the rows of a call stand (RP_ROWS_*), counted here by hand rather than taken
// from core/ops/bars.h.
#ifndef RP_TESTS_BARS_H
#define RP_TESTS_BARS_H

#include "../case.h"

#define BARS_FIRST 3      // the shared part begins at bar 0 .. BARS_FIRST
#define BARS_SHARED 9     // and has at most so many bars where the rows are each path's own

// The step that a variation asks for: STEP 1 .. cap, OWN 0 .. cap (its dead rows), PROMPT any, since no row heeds it.
static inline uint32_t bars_step(const test_case *c, uint32_t rows, uint32_t cap) {
    const uint32_t v = c->variation;
    if (rows == RP_ROWS_STEP) { return v == 0 ? 1 : v == 1 ? cap : 1 + (2 * v + 1) % cap; }
    if (rows == RP_ROWS_OWN) { return v == 0 ? cap : v == 1 ? 0 : (2 * v + 1) % (cap + 1); }
    return 2 * v;
}

// n_tokens [B]: full, one, then by chance; nothing at all where paths have bars of their own.
static inline void bars_counts(test_case *c, uint32_t binding, uint32_t batch, uint32_t rows, uint32_t tokens) {
    uint32_t *n_tokens = test_u32(c, binding, batch);
    const uint32_t most = rows == RP_ROWS_PROMPT ? tokens : BARS_SHARED;
    for (uint32_t b = 0; b < batch; b++) { n_tokens[b] = b == 0 ? most : b == 1 ? 1 : test_below(c, most + 1); }
    if (rows == RP_ROWS_OWN && batch > 1) { n_tokens[1] = 0; }
}

static inline void bars_firsts(test_case *c, uint32_t binding, uint32_t batch) {
    uint32_t *first = test_u32(c, binding, batch);
    for (uint32_t b = 0; b < batch; b++) { first[b] = b == 0 ? BARS_FIRST : test_below(c, BARS_FIRST + 1); }
}

// Tokens of [rows, 2]: below 2^s1_bits and 2^s2_bits, the largest first.
static inline void bars_tokens(test_case *c, uint32_t binding, uint64_t rows, uint32_t s1_bits, uint32_t s2_bits) {
    uint32_t *tokens = test_u32(c, binding, rows * 2);
    for (uint64_t i = 0; i < rows; i++) {
        tokens[2 * i] = i == 0 ? (1u << s1_bits) - 1 : test_below(c, 1u << s1_bits);
        tokens[2 * i + 1] = i == 0 ? (1u << s2_bits) - 1 : test_below(c, 1u << s2_bits);
    }
}

// An output of integers that no op could leave by accident.
static inline void bars_words(test_case *c, uint32_t binding, uint64_t count) {
    uint32_t *x = test_u32(c, binding, count);
    for (uint64_t i = 0; i < count; i++) { x[i] = 0x55aa0000u + (uint32_t)(i % 7); }
}

#endif
