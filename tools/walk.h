// Two devices, node by node: the same forecast on both, each node of each plan compared as it is run. Works on the library's
// internals, through the plans of whatever family; see rp_device.watch.
//
// A node is judged alone: both devices are handed the same inputs, those of the first device rounded to the tensors' own types,
// in buffers apart, and what they make of them must agree within the op's tolerance (tolerance.h). Beside that stands how far
// the two forecasts have drifted apart by then, each having gone its own way, which no op answers for.
#ifndef TOOLS_WALK_H
#define TOOLS_WALK_H

#include "backend.h"
#include "common.h"
#include "sample.h"

typedef struct walk_node {
    const char *plan, *label, *op, *kernel[2];   // borrowed from the forecasters' plans
    uint32_t replay, index;      // which replay of the forecast, from 0; which node of its plan
    double ratio;                // worst err/tol alone; 1 and below: within tolerance; NaN: one of the two is
    double got, ref, tol;        // there: the number; the reference device's, or the first's where neither is that
    uint32_t output;             // and where it is
    uint64_t at;
    uint64_t compared, ignored, failed;   // ignored: near a boundary of a draw, where any choice is right
    double drift;                // of its outputs by now: largest difference, over the largest number of the first device's
    double moved;                // of integers (tokens): how many differ
} walk_node;

typedef struct walk {
    rp_device *device[2];
    rp_forecaster *forecaster[2];
    // found
    walk_node *nodes;            // in the order of the forecast
    size_t n_nodes, cap_nodes;
    uint64_t failed;             // nodes out of tolerance
    size_t first_failed;         // the first of them, where there is one
    // working
    const rp_plan **plans;       // of the second device's replays
    size_t n_plans, cap_plans, next;
    rp_buffer *scratch[2];
    rp_status status[2];         // of a device whose call failed
    message error;
} walk;

// Opens a direct device, the first (which 0) or the second; the reference takes float16 tensors as well, so that `mixed` can be compared
// with it. Forecasters are made when both are open: they build the same graphs, the reference that of the other device, and of two
// others each that of the one with fewer kinds of kernels. When it fails, w->device[which] is as rp_device_create leaves it.
rp_status walk_open(walk *w, uint32_t which, const char *spec, rp_precision precision);
// Walks one forecast. The devices were opened by walk_open, the forecasters made for s. a holds the first device's results
// afterwards and b the second's; both were made alike. False with a sentence when it could not be walked to its end.
bool walk_run(walk *w, sample *a, sample *b);
uint32_t walk_reference(const walk *w);   // which of the two is taken for right: the reference, else the first
void walk_free(walk *w);         // what walk_run made; devices and forecasters stay

#endif
