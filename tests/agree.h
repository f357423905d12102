// What the sources of the agree suite share. A test's state is its test_device; where that has one kernel, the test is skipped.
#ifndef RP_TESTS_AGREE_H
#define RP_TESTS_AGREE_H

#include "case.h"

test_result agree_run(rp_device *device, test_case *c);   // runs a case, directly, and frees it
// The first `count` numbers of the first output; fails with the first that differs: `what`, then each number with its own words.
void agree_same_bits(const test_result *a, const char *of_a, const test_result *b, const char *of_b, uint64_t count, const char *what);

// ---- tests/agree_linear.c ----

void linear_rows_agree(void **state);
void linear_tiles_agree(void **state);
void pairs_add_up(void **state);
void linear_fused_agrees(void **state);

// ---- tests/agree_attention.c ----

void attn_rope_agrees(void **state);
void attn_step_agrees(void **state);
void attention_agrees(void **state);

#endif
