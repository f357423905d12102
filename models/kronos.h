// Kronos (specs: shiyu-coder/Kronos): what its files share. kronos_config.c reads the two config.json, kronos_weights.c the tensors,
// kronos_graph.c builds the graphs, kronos_forecaster.c sizes and records them, kronos_forecast.c runs them, kronos_calendar.c
// turns times into stamps.
//
// Letters beside those of core/graph.h: L bars of context, C bars of the whole window, N = min(L, C) its shared part at most,
// R bars that each path has of its own while it is decoded, at most: H - 1, and 1 where H = 1.
#ifndef RP_KRONOS_H
#define RP_KRONOS_H

#include "family.h"
#include "safetensors.h"
#include "storage.h"

#define KRONOS_HEAD_HEADS 4u            // heads of the cross-attention, whatever the model's

typedef struct kronos_part {            // a stack of blocks
    uint32_t width, heads, mlp;         // D, h, M
    uint32_t layers;                    // of the model, or of the tokenizer's encoder
    uint32_t decoder_layers;
} kronos_part;

typedef struct kronos_config {
    kronos_part model, tokenizer;
    uint32_t s1_bits, s2_bits;
    bool learned_times;                 // learn_te
    uint32_t window;                    // C that the published pair is used with
} kronos_config;

rp_status kronos_config_read(const rp_config *model, const rp_config *tokenizer, kronos_config *out, rp_error *error);

// Weights on the device, in working order: [out, in] rows.
typedef struct kronos_layer {
    rp_tensor *norm1, *qkv_w, *qkv_b, *out_w, *out_b;   // [D], [3 D, D], [3 D], [D, D], [D]
    rp_tensor *norm2, *w13, *w2;                        // [D], [2 M, D]: w1 and w3 as a gate, [D, M]
    double *inv_freq;                                   // host, [d/2]: the file's, or 10000^(-2j/d)
} kronos_layer;

typedef struct kronos_model {
    rp_model base;
    kronos_config config;
    bool mixed;                         // matrices of the model and of the tokenizer's decoder are float16, its encoder's never
    rp_arena arena;                     // the tensors below
    kronos_layer *layers, *encoder, *decoder;
    // model
    rp_tensor *tokens;                  // [2^s1_bits + 2^s2_bits, D]: a token's share of fusion_proj's result; s1's hold the bias
    rp_tensor *times;                   // [RP_STAMP_ROWS, D]
    rp_tensor *norm;                    // [D]
    rp_tensor *s1_w, *s1_b, *s2_w, *s2_b;           // [2^bits, D], [2^bits]
    rp_tensor *query;                   // [2^s1_bits, D]: q_proj of each s1's embedding
    rp_tensor *kv_w, *kv_b;             // [2 D, D], [2 D]: k_proj over v_proj
    rp_tensor *dep_out_w, *dep_out_b, *dep_norm;    // [D, D], [D], [D]
    // tokenizer
    rp_tensor *embed_w, *embed_b;       // [D, 6], [D]
    rp_tensor *quant_w, *quant_b;       // [s1_bits + s2_bits, D], [s1_bits + s2_bits]
    rp_tensor *post_w, *post_b;         // [D, s1_bits + s2_bits], [D]
    rp_tensor *head_w, *head_b;         // [6, D], [6]
} kronos_model;

// Loads as model->mixed says. Errors: UNSUPPORTED where mixed cannot hold these weights.
rp_status kronos_weights_load(kronos_model *model, rp_weights *file, rp_weights *tokenizer);

// ---- forecasters ----

// What verify reads after a replay; the last of each that ran.
typedef struct kronos_taps { rp_tensor *s1, *s2; } kronos_taps;

// One way to decode: so many paths side by side.
typedef struct kronos_decode {
    uint32_t paths;                     // S
    uint32_t paths_cap;                 // of the result
    rp_run start;                   // the first bar, from the prompt
    rp_run step;                    // one more bar where the window grows; moves the step on
    rp_run slide;                   // one more bar where it slides: the whole window anew. Empty: it never slides
    rp_run next;                    // only moves the step on
    rp_run finish;                  // tokens to bars
    kronos_taps start_taps, step_taps, slide_taps;
    rp_tensor *tokens;                  // [B, S, H, 2]
    rp_tensor *drawn;                   // [B, S, D]: the bar just drawn, as the next step's first layer takes it
    rp_tensor *normalised;              // [B, S, H, 6], in finish; kept for verify
} kronos_decode;

// Inputs of a forecast, packed in this order; the same layout on the host's side and the device's.
typedef struct kronos_inputs {
    rp_tensor *step;                    // [RP_STEP_WORDS]
    rp_tensor *settings;                // [3]: bits of temperature, top_k, bits of top_p
    rp_tensor *n_bars, *series_ids;     // [B]
    rp_tensor *stamps;                  // [B, L + H, 5]
    rp_tensor *bars;                    // [B, L, 6]
    rp_tensor *bad;                     // [B] u32: becomes 1 where bars from the device have unusable numbers; NULL: they come from the host
} kronos_inputs;

// Which bars the window's shared part holds: [B] each; see the op `slide`.
typedef struct kronos_window { rp_tensor *n_tokens, *first, *own; } kronos_window;

// Keys and values of one attention. kv: both, one after the other, where they outlive a graph.
typedef struct kronos_keys { rp_tensor *k, *v, *kv; } kronos_keys;

typedef struct kronos_forecaster {
    rp_forecaster base;
    rp_arena arena;                     // graphs and plans
    uint32_t bars, window, tokens, rounds;   // L, C, N, R
    uint32_t chunk_paths;
    bool slides;                        // max_context and max_horizon can fill the window
    bool taps_wanted;                   // keep what verify reads

    rp_storage storage;

    kronos_inputs in, staged;           // on the device; in host_in
    rp_tensor **model_rope, **encoder_rope, **decoder_rope;   // for each layer [positions, d/2, 2]; equal ones are one
    rp_tensor *affine;                  // [B, 6, 2]
    rp_tensor *context;                 // [B, L, 2]: tokens
    kronos_window prompt_window, end_window;   // at step 0; when all is drawn
    rp_tensor *c_last, *s1_logits;      // [B, D], [B, 2^s1_bits]: of the prompt's last bar
    kronos_keys *prompt_keys;           // for each layer [B, N, D], then the cross-attention's
    kronos_keys *bars_keys;             // for each decoder layer of the tokenizer [B, N, D]
    rp_tensor *result;                  // [B, 6, H, S]
    rp_tensor *normalised_input;        // [B, L, 6], in the prompt; kept for verify

    rp_run inputs;                  // with device_inputs: the copy of host_in; else it is the prompt's first node, and this is empty
    rp_run prompt, collect;
    kronos_decode sample, single;       // single: one path, without chance; empty where max_paths is 1: sample does it

} kronos_forecaster;

// Builds all graphs and plans over the given buffers and says how large state, activations, inputs and result must be.
// Buffers may be stand-ins (see kronos_forecaster.c): their memory is not touched.
rp_status kronos_build(kronos_forecaster *f, rp_sizes *out);
// Fills the tables of rotary angles; once, when the state exists.
rp_status kronos_write_tables(kronos_forecaster *f);

rp_status kronos_query(rp_model *model, const rp_forecaster_config *config, rp_forecaster_info *info);
rp_status kronos_forecaster_create(rp_model *model, const rp_forecaster_config *config, rp_forecaster **out);
// With what verify reads kept.
rp_status kronos_forecaster_create_with(rp_model *model, const rp_forecaster_config *config, bool taps, rp_forecaster **out);
void kronos_forecaster_destroy(rp_forecaster *forecaster);

rp_status kronos_forecast(rp_forecaster *forecaster, const rp_bars *bars, uint32_t n_series, const rp_forecast_config *config,
                          const rp_forecast_result *result);
// The same with bars that are on the device already; f->base.config.device_inputs is set. Times are on the host.
rp_status kronos_forecast_device(rp_forecaster *forecaster, const rp_bars *bars, const rp_device_bars *there, uint32_t n_series,
                                 const rp_forecast_config *config, const rp_forecast_result *result);

// The way to decode so many paths; 0: mean mode.
const kronos_decode *kronos_decode_of(const kronos_forecaster *f, uint32_t paths);

// The same, one replay at a time: `after` is called when a replay has ended and may read tensors; f->queue.mirror is as the device
// has it by then. results [B, 6, H, S] as float64.
typedef rp_status (*kronos_after_fn)(void *user, kronos_forecaster *f, const kronos_decode *d, const rp_run *run);
rp_status kronos_forecast_traced(kronos_forecaster *f, const rp_bars *bars, uint32_t n_series, const rp_forecast_config *config,
                                 kronos_after_fn after, void *user, double *samples);


// ---- calendar ----

// Seconds since 1970-01-01 00:00 on the exchange's clock -> minute, hour, weekday (Monday 0), day of month, month.
void kronos_stamp(int64_t time, uint32_t out[RP_BAR_STAMPS]);

#endif
