// What the cases of block_scale, block_rope, block_attn and block_result share: series of different lengths, and step blocks of
// every call of a forecast.
#ifndef RP_TESTS_BLOCKS_H
#define RP_TESTS_BLOCKS_H

#include "../case.h"
#include "op_math.h"

// n_patches[b] from 1 to `most`, the first the most.
static inline void blocks_lengths(test_case *c, uint32_t binding, uint32_t batch, uint32_t most) {
    uint32_t *n = test_u32(c, binding, batch);
    for (uint32_t b = 0; b < batch; b++) { n[b] = b == 0 ? most : 1 + test_below(c, most); }
}

// A forecast of `future` patches, the last a short one, in blocks of so many: the first call, or one of the later ones.
static inline struct rp_step blocks_step(const test_case *c, uint32_t batch, uint32_t future, uint32_t patch_size, uint32_t block,
                                         uint32_t later) {
    const uint32_t calls = (future - 1) / block;    // later ones
    const uint32_t step = !later || calls == 0 ? 0 : 1 + c->variation % calls;
    return (struct rp_step){ .batch = batch, .paths = 1, .step = step, .horizon = future * patch_size - patch_size / 2 };
}

// The call of series b.
static inline rp_call blocks_call(const test_case *c, uint32_t lengths, uint32_t step_binding, uint32_t b, uint32_t patch_size,
                                  uint32_t block, uint32_t later) {
    const uint32_t *n = c->tensor[lengths].data, *step = c->tensor[step_binding].data;   // step and horizon are words 4 and 5
    return rp_call_of(n[b], step[4], step[5], patch_size, block, later);
}

#endif
