// What the goldens of every family share; golden.c has it, golden_toto.c, golden_toto2.c and golden_kronos.c compare.
#ifndef TOOLS_GOLDEN_PARTS_H
#define TOOLS_GOLDEN_PARTS_H

#include "backend.h"
#include "golden.h"
#include "safetensors.h"

// Quantiles of samples against those of the original's samples, in combined standard errors.
#define QUANTILES_RMS 1.5
#define QUANTILES_WORST 7.0

typedef struct golden {
    rp_device *device;
    rp_weights *file;
    rp_model *model;            // destroyed by golden_run, as the next
    rp_forecaster *forecaster;
    double limit;
    golden_count *count;
} golden;

// Writes the device's sentence; false.
bool golden_failed(message *error, rp_device *device, rp_status status);

// A tensor of the golden file as float64, to be freed; NULL: not there.
double *golden_numbers(const golden *g, const char *name, uint64_t *count);

// A tensor of the device as float64, to be freed; one without a buffer of its own is an activation. NaN where it could not be read.
double *golden_read(rp_buffer *activations, const rp_tensor *tensor);

// Prints and counts one comparison; NaN fails.
void golden_report(golden *g, const char *name, double error, double limit, const char *unit);

// Largest error; NaN stays.
static inline double golden_worse(double worst, double error) { return error <= worst ? worst : error; }

// The bound for a device: fixed, or on float32 devices three times what the original did in float32, as case.json says it
// or as `own` does.
// The original's own error in float32 on a golden folder's case; 0: not stated.
double golden_own_error(const char *folder);
double golden_limit(rp_device *device, const char *folder);
double golden_limit_of(rp_device *device, double own);

bool golden_run_toto(golden *g, const char *path, bool is_folder, const golden_options *options, message *error);
bool golden_run_toto2(golden *g, const char *path, bool is_folder, const golden_options *options, message *error);
bool golden_run_real(golden *g, const char *path, const golden_options *options, message *error);
bool golden_run_kronos(golden *g, const char *path, bool is_folder, const golden_options *options, message *error);

#endif
