// A CUDA driver that records every call and runs nothing. Any call can be made to fail, once or from then on, as a real driver's
// calls do after a fault has spoilt the context. What it hands out it knows: a context that ends takes along what is left in it.
#ifndef RP_TESTS_FAKE_CUDA_H
#define RP_TESTS_FAKE_CUDA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../backend_cuda/device.h"
#include "args.h"

#define FAKE_MAX_CALLS 65536
#define FAKE_MAX_NODES 1024
#define FAKE_MAX_DEPS 64
#define FAKE_MAX_CHILDREN 64
#define FAKE_FREE_BYTES 12345678
// What callers bring: 4096 bytes of the first device, of the second, and of the host. All else is nobody's.
#define FAKE_FOREIGN ((rp_cu_pointer)0x10000)

typedef struct fake_work {             // a kernel node, or a direct launch
    char kernel[48];
    unsigned grid[3], block[3];
    union {
        rp_args args;
        struct rp_step_block_args step;
        struct rp_step_sum_args sum;
    };
    int deps[FAKE_MAX_DEPS];           // numbers of nodes
    size_t n_deps;
    bool overlaps;                     // its edge is a programmatic one
} fake_work;

typedef struct fake_graph {            // what a graph handle points to, and an executable one's copy of it
    rp_cu_graph children[FAKE_MAX_CHILDREN];   // the graphs in it, each after the one before
    int n_children;
} fake_graph;

typedef enum fake_way {
    FAKE_ONCE,                         // the call fails, later ones do not
    FAKE_SPOILT,                       // so do all later calls in the context, until it ends
    FAKE_SPOILT_PUSH                   // and it cannot even be made current
} fake_way;

typedef struct fake_driver {
    const char *calls[FAKE_MAX_CALLS]; // names of the table's members, in order
    int n_calls;
    bool armed;                        // calls are counted towards fail_at
    int fail_at, countdown;            // 0: none fails
    rp_cu_result fail_with;
    fake_way way;
    const char *failed;                // the call that did, and
    int replayed;                      // graphs launched by then
    const char *kernel;                // of the last launch, kernel node or function_set, also of one that failed
    rp_cu_result refuse_graphs;        // what every exec_launch answers, and
    const char *refuse_kernel;         // so does the launch of this kernel
    rp_cu_result spoilt;               // what calls in the context answer; 0: it is well
    bool for_good;                     // and every context after it, as after a kernel's fault
    int depth;                         // contexts pushed and not popped
    uintptr_t current[8];
    int contexts, alive;               // contexts retained; all other objects
    int reclaimed;                     // objects that the end of the last context took along
    int n_devices, major;
    fake_work nodes[FAKE_MAX_NODES], launches[FAKE_MAX_NODES];
    int n_nodes, n_launches;
    fake_graph replays[FAKE_MAX_NODES];   // the graphs launched
    int n_replays;
    struct { uint64_t address, lengths[2], stride; uint32_t box[2]; } maps[FAKE_MAX_NODES];   // of tensor_map
    int n_maps;
    char kernels[FAKE_MAX_NODES][48];  // names behind function handles
    int n_kernels;
} fake_driver;
extern fake_driver fake;

int fake_reset(void **state);          // a setup of cmocka's; two devices, armed
rp_cuda_driver fake_table(void);       // with modules for every op

#endif
