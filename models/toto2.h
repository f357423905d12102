// Toto 2.0 (specs: Datadog/Toto-2.0-*): what its files share. toto2_config.c reads config.json, toto2_weights.c folds the
// tensors, toto2_state.c says where a forecaster's numbers lie, toto2_graph.c builds the prompt and the rounds of block decode,
// toto2_forecaster.c sizes and records them, toto2_forecast.c runs them.
#ifndef RP_TOTO2_H
#define RP_TOTO2_H

#include "family.h"
#include "safetensors.h"
#include "storage.h"

typedef struct toto2_config {
    uint32_t patch, width, layers, heads, kv_heads;   // P, D, layers, h, g
    uint32_t group;                 // layers of a group
    uint32_t variate_layers;        // of each group, so many attend over variates
    bool variate_first;             // they are its first, else its last
    double eps;                     // of the norms
    bool norm_weight, qk_norm, per_dim_scale, xpos;
    uint32_t mlp;                   // d_ff; this and the two below follow from the tensors
    uint32_t embed_hidden, head_hidden;
} toto2_config;

rp_status toto2_config_read(const rp_config *file, toto2_config *out, rp_error *error);
bool toto2_layer_is_variate(const toto2_config *c, uint32_t layer);
static inline uint32_t toto2_head_width(const toto2_config *c) { return c->width / c->heads; }
// d_ff on the device, M below: whole chunks of the products on matrix units, so that rows begin at whole cache lines. What is past d_ff is
// zeros.
static inline uint32_t toto2_mlp_width(const toto2_config *c) { return (c->mlp + RP_LINEAR_PAIR_CHUNK - 1) / RP_LINEAR_PAIR_CHUNK * RP_LINEAR_PAIR_CHUNK; }

// Weights on the device with every factor folded in. The residual stream is carried as scale x: where the original divides by
// sqrt(1 + tau^2), scale is multiplied by it, so that an addition is left and each norm takes eps scale^2. Biases may be absent.
// In precision mixed the matrices are float16; of the embedding's, those that take patches only where patches are whole fours.
typedef struct toto2_linear { rp_tensor *w, *b; } toto2_linear;         // [out, in], [out]

typedef struct toto2_layer {
    toto2_linear qkv, out;          // [(h + 2 g) d, D], [D, h d]
    toto2_linear fc1, fc2;          // [2 M, D]: in turns of RP_LINEAR_GATE, silu's half first; [D, M]
    rp_tensor *norm1, *norm2;       // [D]
    rp_tensor *qk_scale;            // [2, d]: of the norms of q and k; NULL: no such norm
    float eps1, eps2;
    double scale;                   // of the residual stream behind this layer
} toto2_layer;

typedef struct toto2_residual_mlp { toto2_linear first, second, skip; } toto2_residual_mlp;

typedef struct toto2_model {
    rp_model base;
    toto2_config config;
    bool mixed;
    rp_arena arena;                 // the tensors below
    toto2_layer *layers;
    toto2_residual_mlp embed, head;
    rp_tensor *ones, *out_norm;     // [D]
    float out_eps;
} toto2_model;

// What attention over time keeps and reads.
static inline rp_dtype toto2_keys_dtype(const toto2_model *m) { return m->mixed ? RP_F16 : RP_F32; }

rp_status toto2_weights_load(toto2_model *model, rp_weights *file);
rp_status toto2_load(rp_device *device, const char *folder, const rp_config *config, rp_precision precision, rp_model **out);

// ---- forecasters ----

// A tensor of the first call that verify reads: `name` as the goldens call it, "context_embed"; of the residual stream, times
// `scale`. [B, V, n, D]
typedef struct toto2_tap { const char *name; rp_tensor *tensor; double scale; } toto2_tap;
#define TOTO2_MAX_TAPS 64

// Inputs of a forecast, packed in this order; the same layout on the host's side and the device's.
typedef struct toto2_inputs {
    rp_tensor *step;                // [RP_STEP_WORDS] u32
    rp_tensor *n_patches;           // [B] u32
    rp_tensor *settings;            // [2] u32, see rp_block_scale_params
    rp_tensor *group_ids;           // [B, V] i32
    rp_tensor *series;              // [2, B, V, A, P]: values, then 1 where observed
    rp_tensor *bad;                 // [B] u32: a series from the device has numbers that none may have; NULL: they come from the host
} toto2_inputs;

typedef struct toto2_forecaster {
    rp_forecaster base;
    rp_arena arena;                 // graphs and plans
    uint32_t patches, future;       // N; most future patches, and A = N + future
    uint32_t block;                 // K: patches predicted in one call
    uint32_t side;                  // of all B V variates, so many side by side in embedding and layers over time of the longest call
    bool taps_wanted;               // keep what verify reads

    rp_storage storage;

    toto2_inputs in, staged;        // on the device; in host_in
    rp_tensor *rope, *powers;       // tables, see toto2_state.c
    uint32_t zero;                  // the row of power 0
    rp_tensor **k, **v;             // for each layer [B, V, A, g, d]; NULL for those over variates
    rp_tensor *stats, *hidden;      // [B, V, RP_BLOCK_STATE] f64, [B, V, N] u32
    rp_tensor *inputs_of_parts, *left;   // [B, V, n, 2, P], [B, V, K, D]: what parts read and leave; NULL: all variates go together
    rp_tensor *result;              // [B, V, 9, future P]

    rp_run inputs;                  // with device_inputs: the copy of host_in; else it is the prompt's first node, and this is empty
    rp_run prompt, round, last;     // the first call; a later one; the shorter last one of the longest horizon, or empty
    uint32_t last_count;            // patches that `last` predicts at most
    rp_run collect;
    toto2_tap taps[TOTO2_MAX_TAPS];
    uint32_t n_taps;

} toto2_forecaster;

// Tokens of one variate in the longest call.
uint32_t toto2_most_tokens(const toto2_forecaster *f);

// Lays the device's state out in one buffer, and the inputs in theirs; fills state, in and out of *out. Called by toto2_build.
rp_status toto2_lay_state(toto2_forecaster *f, rp_sizes *out);

// Builds all graphs and plans over the given buffers and says how large state, activations, inputs and result must be.
// Buffers may be stand-ins (see toto2_forecaster.c): their memory is not touched.
rp_status toto2_build(toto2_forecaster *f, rp_sizes *out);

// Whether `side` may be less than all variates: no layer over variates comes before one over time, as in every published model.
bool toto2_can_part(const toto2_forecaster *f);

// Fills the tables of rotary angles and xPos powers; once, when the state exists.
rp_status toto2_write_tables(toto2_forecaster *f);

rp_status toto2_query(rp_model *model, const rp_forecaster_config *config, rp_forecaster_info *info);
rp_status toto2_forecaster_create(rp_model *model, const rp_forecaster_config *config, rp_forecaster **out);
// With intermediate tensors kept: what `reprise verify` needs. Every token then goes through every layer.
rp_status toto2_forecaster_create_with(rp_model *model, const rp_forecaster_config *config, bool taps, rp_forecaster **out);
void toto2_forecaster_destroy(rp_forecaster *forecaster);

rp_status toto2_forecast(rp_forecaster *forecaster, const rp_series *series, uint32_t n_series,
                         const rp_forecast_config *config, const rp_forecast_result *result);
// The same with series that are on the device already, in full or in part; f->base.config.device_inputs is set.
rp_status toto2_forecast_device(rp_forecaster *forecaster, const rp_series *series, const rp_device_series *there, uint32_t n_series,
                                const rp_forecast_config *config, const rp_forecast_result *result);

// The same, one replay at a time: `after` is called when replay `i` of the forecast has ended (0: the first call) and may read
// tensors. levels [B, V, 9, H] as float64.
typedef rp_status (*toto2_after_fn)(void *user, toto2_forecaster *f, uint32_t replay);
rp_status toto2_forecast_traced(toto2_forecaster *f, const rp_series *series, uint32_t n_series, const rp_forecast_config *config,
                                toto2_after_fn after, void *user, double *levels);

#endif
