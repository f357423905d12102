// Recorded results of the original code (folders and files as in tests/golden, tests/golden-full, tests/golden-demo), run on a
// device and compared. Works on the library's internals: prescribed draws and intermediate tensors are no part of the public calls.
#ifndef TOOLS_GOLDEN_H
#define TOOLS_GOLDEN_H

#include <stdbool.h>
#include <stdint.h>

#include "common.h"
#include "reprise.h"

typedef struct golden_options {
    const char *model;         // folder of the weights; NULL: the golden folder holds them
    rp_precision precision;
    uint32_t samples;          // paths for the comparison of quantiles
    uint64_t seed;
} golden_options;

typedef struct golden_count { uint32_t passed, failed, skipped; } golden_count;

// Compares every expected tensor of `path`, a folder with golden.safetensors, a single .safetensors file or a .csv of real bars, and prints a line
// for each. False with a sentence when it could not be run at all.
bool golden_run(rp_device *device, const char *path, const golden_options *options, golden_count *count, message *error);

#endif
