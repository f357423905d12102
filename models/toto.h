// Toto 1.0 (specs: Datadog/Toto-Open-Base-1.0): what its files share. toto_config.c reads config.json, toto_weights.c the
// tensors, toto_graph.c builds prompt, start and step, toto_forecaster.c sizes and records them, toto_forecast.c runs them.
#ifndef RP_TOTO_H
#define RP_TOTO_H

#include "family.h"
#include "safetensors.h"
#include "storage.h"

typedef struct toto_config {
    uint32_t patch, width, layers, heads, mlp;   // P, D, layers, h, M
    uint32_t every;                              // one space-wise layer in each block of so many; 0: none
    bool space_first;                            // it is the first of its block, else the last
    uint32_t scaler;                             // RP_SCALER_*
    bool clamp;                                  // stabilize_with_global
    float factor;                                // 10^scale_factor_exponent
    uint32_t components;                         // k
    uint32_t parts;                              // 4; 3: StudentTOutput, which has no mixture weights
} toto_config;

rp_status toto_config_read(const rp_config *file, toto_config *out, rp_error *error);
bool toto_layer_is_space(const toto_config *c, uint32_t layer);
static inline uint32_t toto_head_width(const toto_config *c) { return c->width / c->heads; }

// Weights on the device, in working order: [out, in] rows, those of QKV reordered from [3][d][h] to [3][h][d]. In precision
// mixed the matrices of layers and head are float16, and the rows of w12 stand in blocks of RP_LINEAR_GATE: a, b, a, b, ..
typedef struct toto_layer {
    rp_tensor *norm1, *qkv_w, *qkv_b, *out_w, *out_b;   // [D], [3 D, D], [3 D], [D, D], [D]
    rp_tensor *norm2, *w12_w, *w12_b, *w3_w, *w3_b;     // [D], [2 M, D], [2 M], [D, M], [D]
} toto_layer;

typedef struct toto_model {
    rp_model base;
    toto_config config;
    bool mixed;                       // precision mixed
    rp_arena arena;                   // the tensors below
    toto_layer *layers;
    rp_tensor *embed_w, *embed_b;     // [D, P], [D]
    rp_tensor *head_w, *head_b;       // folded: [P, parts k, D], [P, parts k]
    rp_tensor *labels;                // [2, D]: target, exogenous, each of length 1; NULL: the checkpoint has none
} toto_model;

// Whether precision mixed can hold this model: widths in whole 16-byte pieces, weights in float16's range. A folded head that
// leaves the range shows only when it is made: toto_weights_load then says so.
// Errors: UNSUPPORTED
rp_status toto_weights_fit_f16(rp_device *device, const toto_config *config, rp_weights *const *files, uint32_t n_files);

// Reads every tensor from `files` (later ones add to earlier ones: a golden file brings labels) and puts it on the device.
rp_status toto_weights_load(toto_model *model, rp_weights *const *files, uint32_t n_files);

// Loads a folder; `extra` adds tensors to the checkpoint's, or NULL. The family's load calls this.
rp_status toto_load(rp_device *device, const char *folder, const rp_config *config, rp_precision precision, rp_weights *extra,
                    rp_model **out);

// ---- forecasters ----

// A tensor of the prompt that verify reads: `name` as the goldens call it, "prefill.embed".
typedef struct toto_tap { const char *name; rp_tensor *tensor; } toto_tap;
#define TOTO_MAX_TAPS 64

// One way to decode: paths side by side, how they draw, and its two graphs.
typedef struct toto_decode {
    uint32_t paths;                   // C: side by side
    uint32_t paths_cap;               // of the result
    uint32_t mode;                    // RP_DRAW_*
    rp_run start, step;               // first patch, from the prompt; each later one. Empty: one patch is all
    rp_tensor *start_affine, *step_affine, *start_dist, *step_dist;   // what verify reads
} toto_decode;

// Inputs of a forecast, packed in this order; the same layout on the host's side and the device's.
typedef struct toto_inputs {
    rp_tensor *step;                  // [RP_STEP_WORDS] u32
    rp_tensor *n_patches, *series_ids;// [B] u32
    rp_tensor *group_ids;             // [B, V] i32
    rp_tensor *series, *mask;         // [B, V, N P]
    rp_tensor *future;                // [B, V, R P]
    rp_tensor *bad;                   // [B] u32: becomes 1 where a series from the device has unusable numbers; see toto_forecast.c
} toto_inputs;

// Of one layer, for attention over time: a cache [2, ..], and its halves.
typedef struct toto_keys { rp_tensor *k, *v, *kv; } toto_keys;

typedef struct toto_forecaster {
    rp_forecaster base;
    rp_arena arena;                   // graphs and plans
    uint32_t patches, tokens, rounds; // N; n = N + L; R
    uint32_t chunk_paths;             // C
    bool taps_wanted;                 // keep what verify reads
    bool forced_wanted;               // draws are prescribed

    rp_storage storage;

    toto_inputs in, staged;           // on the device; in host_in
    rp_tensor *forced;                // [R, S, B, V, P]; NULL unless forced_wanted
    rp_tensor *turns, *rope, *xpos;   // tables, see toto_graph.c: the first is both others
    uint32_t xpos_zero;
    toto_keys *prompt_keys;           // for each layer, halves [B, V, n, D]; zeroed for space-wise ones
    rp_tensor *result;                // [B, V, R P, S]
    rp_tensor *scale_state, *scale_global, *affine, *dist;   // of the prompt's last patch: [B, V, 4], [B, V, 2], [B, V, P, 2], [B, V, P, 4, k]

    rp_run inputs;                    // host_in to the device; empty: the prompt begins with it
    rp_run prompt, collect;
    toto_decode sample, mean;
    toto_tap taps[TOTO_MAX_TAPS];
    uint32_t n_taps;

} toto_forecaster;

// Builds all graphs and plans over the given buffers and says how large state, activations, inputs and result must be.
// Buffers may be stand-ins (see toto_forecaster.c): their memory is not touched.
rp_status toto_build(toto_forecaster *f, rp_sizes *out);

// Fills the tables of rotary angles and xPos powers; once, when the state exists.
rp_status toto_write_tables(toto_forecaster *f);

rp_status toto_query(rp_model *model, const rp_forecaster_config *config, rp_forecaster_info *info);
rp_status toto_forecaster_create(rp_model *model, const rp_forecaster_config *config, rp_forecaster **out);
// With prescribed draws (forced) or with intermediate tensors kept (taps): what `reprise verify` needs.
rp_status toto_forecaster_create_with(rp_model *model, const rp_forecaster_config *config, bool taps, bool forced,
                                      rp_forecaster **out);
void toto_forecaster_destroy(rp_forecaster *forecaster);

rp_status toto_forecast(rp_forecaster *forecaster, const rp_series *series, uint32_t n_series,
                        const rp_forecast_config *config, const rp_forecast_result *result);

// The same with series that are on the device already, in full or in part; f->base.config.device_inputs is set.
rp_status toto_forecast_device(rp_forecaster *forecaster, const rp_series *series, const rp_device_series *device, uint32_t n_series,
                               const rp_forecast_config *config, const rp_forecast_result *result);

// The same, one replay at a time: `after` is called when replay `i` of the forecast has ended (0: the prompt) and may read
// tensors. forced [R, S, B, V, P] float64, or NULL. results [B, V, H, S] as float64.
typedef rp_status (*toto_after_fn)(void *user, toto_forecaster *f, uint32_t replay);
rp_status toto_forecast_traced(toto_forecaster *f, const rp_series *series, uint32_t n_series, const rp_forecast_config *config,
                               const double *forced, toto_after_fn after, void *user, double *samples);

#endif
