// Layers of a decode step as a model builds them, of random numbers, on any device.
#ifndef RP_TESTS_STEP_LAYERS_H
#define RP_TESTS_STEP_LAYERS_H

#include "case.h"

enum { LAYERS = 2, UNUSED = 23 /* of the prompt's keys */, SUFFIX = 40, MAX_TOKENS = 2040, MAX_HEAD = 64, MAX_BOUND = 64 };

// tokens: of the prompt. whole, pairs: on devices with the shared memory of compute capability 9.0 all of a layer is blocks in float16, and in float32.
typedef struct shape { uint32_t m, heads, head_width, hidden, tokens; bool biased, whole, pairs; } shape;

typedef struct layers {
    rp_device *device;
    const shape *shape;
    uint32_t d;
    bool f16;
    rp_arena arena;
    test_case numbers;                 // random numbers only
    rp_tensor *bound[MAX_BOUND];       // all but activations; the first N_LIVING change
    void *data[MAX_BOUND];             // what they hold before a step
    uint32_t n_bound;
    rp_buffer *activations;
    rp_graph *graph;
    rp_plan *plan;
    rp_recording *recording;           // NULL: launches go one by one
    rp_tensor *x;                      // what the last layer leaves
} layers;
enum { STEP, CACHE, N_LIVING = CACHE + LAYERS };

// Buffers, graph, plan and, but on the reference device, a recording, if `recorded`; before step 1. together: activations share memory, as a
// model's do; else each has its own, and can be read after the last launch. f16: weights, and what goes from launch to launch; else float32,
// with weights in pairs where the device multiplies those.
typedef struct layers_kind { bool f16, together, recorded; } layers_kind;
void open_layers(layers *l, rp_device *device, const shape *s, layers_kind kind);
void close_layers(layers *l);

#endif
