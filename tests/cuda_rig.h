// A device on the driver of fake_cuda.h with a small graph, for tests of what the CUDA backend asks of the driver.
#ifndef RP_TESTS_CUDA_RIG_H
#define RP_TESTS_CUDA_RIG_H

#include <string.h>

#include "fake_cuda.h"

#define ROWS 3
#define WIDTH 8

typedef struct rig {
    rp_device device;
    rp_arena arena;
    rp_buffer *weights, *x, *out, *activations;
    rp_graph *graph;
    rp_plan *plan;
    rp_recording *recording;
} rig;

rp_status rig_open(rig *r, const rp_cuda_driver *driver, int index, bool direct);
// 0 rmsnorm x -> a       1 linear a w -> b       2 copy x -> out[0]       3 linear b w + bias + a -> c       4 copy c ->
// out[0]
rp_status rig_plan(rig *r);
// Asserts that nothing is left.
void rig_close(rig *r);

// Asserts that the calls since the last clear_calls are exactly these.
#define assert_calls(...)                                                                     \
    do {                                                                                      \
        const char *want_[] = { __VA_ARGS__ };                                                \
        assert_int_equal(fake.n_calls, sizeof want_ / sizeof *want_);                         \
        for (int i_ = 0; i_ < fake.n_calls; i_++) { assert_string_equal(fake.calls[i_], want_[i_]); } \
    } while (0)
static inline void clear_calls(void) { fake.n_calls = 0; }
int count_calls(const char *name);

#endif
