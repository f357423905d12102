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

#define F32_FACTOR 3.0          // of golden_limit_of, times the original's own error

// Precision mixed, where what the original reaches with float16 autocast was not measured: its float32 error, scaled by the unit
// roundoffs of float16 and float32, 2^-11 / 2^-24.
#define MIXED_FACTOR 8192.0
// Whether results are to be held to what precision mixed may cost; the reference rounds in no precision.
bool golden_is_mixed(const golden *g);

// ---- draws of Kronos: golden_draws.c ----

typedef struct golden_logits {
    double worst;               // error, relative where a logit is above 1
    double squares, first_squares;   // of errors in deviations of a row; of all steps, of step 0
    uint64_t count, first_count;
    uint32_t steps;
} golden_logits;

typedef struct golden_parting {
    uint32_t which;             // 0: s1, 1: s2
    double gap, allowed;        // our logits: of our token less that of theirs
} golden_parting;

typedef struct golden_draws {
    bool mixed;
    double allowed;             // root mean square error of logits, in their deviations
    uint32_t B, H;
    double *tokens[2];          // the original's greedy ones [B, H]; NULL: not recorded
    const char *name[2];        // of these
    golden_logits logits[2];
    uint32_t *alike;            // [B]: the bars before tokens part; H: they never do
    golden_parting *parting;    // [B]: where they did
} golden_draws;

void golden_draws_begin(golden_draws *d, const golden *g, const char *path, bool mixed, uint32_t B, uint32_t H);
// One bar's logits [B, n] of s1 or s2, in the order of draws, and all tokens [B, H, 2] of which this one's are drawn.
void golden_draws_take(golden_draws *d, const golden *g, uint32_t step, uint32_t which, const double *logits, uint32_t n,
                       const double *tokens);
void golden_draws_report_tokens(golden *g, const golden_draws *d, const double *tokens);
void golden_draws_report_logits(golden *g, const golden_draws *d);
void golden_draws_free(golden_draws *d);

bool golden_run_toto(golden *g, const char *path, bool is_folder, const golden_options *options, message *error);
bool golden_run_toto2(golden *g, const char *path, bool is_folder, const golden_options *options, message *error);
bool golden_run_real(golden *g, const char *path, const golden_options *options, message *error);
bool golden_run_kronos(golden *g, const char *path, bool is_folder, const golden_options *options, message *error);

#endif
