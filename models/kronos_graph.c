// Kronos' graphs. Queue of a forecast: prompt; for each chunk of paths: start, then for each further bar `step` where a window
// still grows, `slide` where one slides (both, where series differ), then finish; at the end collect.
//
// The exact window of a bar that slides is recomputed from its tokens, but not for every path: what it holds of the context is
// the same for all paths of a series, and attention is causal. So `slide` runs a shared pass over that part, [B, N] rows, and a
// pass over the bars that each path has drawn, [B, S, R] rows, both as one but for attention; keys and values live no longer than their layer.
#include <string.h>

#include "kronos_blocks.h"
#include "product.h"
#include "region.h"

static rp_graph *begin(kronos_builder *b, const char *name) {
    b->g = rp_graph_create(b->m->base.device, &b->f->arena, name);
    return b->g;
}

static const char *name_of(kronos_builder *b, const char *stack, uint32_t i) { return rp_arena_format(b->g->arena, "%s %u", stack, i); }

static kronos_rows shared_rows(const kronos_forecaster *f, const kronos_window *window) {
    return (kronos_rows){ f->base.config.max_batch, 1, f->tokens, RP_ROWS_PROMPT, window, f->tokens, f->tokens };
}

// Bars to tokens.
static void encode(kronos_builder *b) {
    kronos_forecaster *f = b->f;
    const kronos_model *m = b->m;
    const uint32_t B = f->base.config.max_batch, bits = m->config.s1_bits + m->config.s2_bits, D = m->config.tokenizer.width;
    const kronos_window all = { f->in.n_bars, NULL, NULL };
    const kronos_rows r = { B, 1, f->bars, RP_ROWS_PROMPT, &all, f->bars, f->bars };
    const struct rp_bars_scale_params p = { B, f->bars };
    rp_tensor *in[] = { f->in.bars, f->in.n_bars }, *out[] = { NULL, f->affine };
    rp_graph_add(b->g, RP_OP_BARS_SCALE, "normalise", &p, sizeof p, in, out);
    if (f->taps_wanted && out[0] != NULL) { out[0]->keep = true; }
    f->normalised_input = out[0];
    rp_tensor *x = kronos_linear(b, "bars to width", out[0], m->embed_w, m->embed_b, NULL, kronos_count(&r), D, RP_BAR_COLUMNS, NULL);
    for (uint32_t i = 0; i < m->config.tokenizer.layers; i++) {
        kronos_keys keys = { NULL, NULL, NULL };
        x = kronos_block(b, name_of(b, "encoder", i), &r, &m->config.tokenizer, &m->encoder[i], f->encoder_rope[i], x, &keys, NULL);
    }
    x = kronos_linear(b, "width to bits", x, m->quant_w, m->quant_b, NULL, kronos_count(&r), bits, D, NULL);
    const struct rp_pack_bits_params pack = { kronos_count(&r), m->config.s1_bits, m->config.s2_bits };
    rp_tensor *pack_in[] = { x }, *pack_out[] = { f->context };
    rp_graph_add(b->g, RP_OP_PACK_BITS, "tokens", &pack, sizeof pack, pack_in, pack_out);
}

// The part of the decoder's pass that all paths share: keys and values of the context's bars that the window still holds at the end.
static void decode_shared(kronos_builder *b) {
    kronos_forecaster *f = b->f;
    const kronos_part *c = &b->m->config.tokenizer;
    if (c->decoder_layers == 0) { return; }
    const kronos_rows r = shared_rows(f, &f->end_window);
    rp_tensor *x = kronos_unpack(b, &r, f->context);
    for (uint32_t i = 0; i < c->decoder_layers; i++) {
        kronos_keys keys = f->bars_keys[i];
        if (i + 1 == c->decoder_layers) {
            kronos_block_keys(b, name_of(b, "decoder", i), &r, c, &b->m->decoder[i], f->decoder_rope[i], x, &keys);
        } else {
            x = kronos_block(b, name_of(b, "decoder", i), &r, c, &b->m->decoder[i], f->decoder_rope[i], x, &keys, NULL);
        }
    }
}

// Keys and values of the cross-attention for all rows, into `keys` or new activations.
static kronos_keys cross_keys(kronos_builder *b, rp_tensor *c, uint32_t rows, kronos_keys keys) {
    const kronos_model *m = b->m;
    const uint32_t D = m->config.model.width;
    rp_arena *a = &b->f->arena;
    rp_tensor *k_w = kronos_made(b, rp_product_rows(a, "k_proj", m->kv_w, 0, D));
    rp_tensor *v_w = kronos_made(b, rp_product_rows(a, "v_proj", m->kv_w, D, D));
    rp_tensor *k_b = kronos_made(b, rp_tensor_part(a, "k_proj bias", RP_SHAPE(RP_F32, D), m->kv_b, 0));
    rp_tensor *v_b = kronos_made(b, rp_tensor_part(a, "v_proj bias", RP_SHAPE(RP_F32, D), m->kv_b, (uint64_t)D * 4));
    if (b->g->status != RP_OK) { return keys; }
    rp_product product = { .x = c, .w = k_w, .bias = k_b, .m = rows, .n = D, .k = D, .y_f16 = kronos_cross_dtype(m) == RP_F16, .y = keys.k };
    keys.k = rp_product_add(b->g, "cross-attention keys", NULL, &product);
    product.w = v_w, product.bias = v_b, product.y = keys.v;
    keys.v = rp_product_add(b->g, "cross-attention values", NULL, &product);
    return keys;
}

// The last live row of each of `per_series` runs of n rows, normalised.
static rp_tensor *last_row(kronos_builder *b, rp_tensor *x, rp_tensor *lengths, uint32_t per_series, uint32_t n, rp_tensor *y) {
    const uint32_t B = b->f->base.config.max_batch;
    const struct rp_gather_last_params p = { B, per_series, n, b->m->config.model.width, 0, .count = 1 };
    rp_tensor *in[] = { x, lengths }, *out[] = { NULL };
    rp_graph_add(b->g, RP_OP_GATHER_LAST, "last bar", &p, sizeof p, in, out);
    return kronos_norm(b, "last norm", out[0], B * per_series, false, y);
}

// norm: NULL, or what x is normalised by first.
static rp_tensor *first_logits(kronos_builder *b, rp_tensor *x, rp_tensor *norm, uint32_t rows, rp_tensor *y) {
    const kronos_model *m = b->m;
    const rp_product p = { .x = x, .norm = norm, .eps = KRONOS_EPSILON, .w = m->s1_w, .bias = m->s1_b, .m = rows, .n = 1u << m->config.s1_bits,
                           .k = m->config.model.width, .y = y };
    return rp_product_add(b->g, "s1 logits", NULL, &p);
}

// What a step's head takes of the layers' x: c, its norm; and products of c, which normalise few rows themselves, so that they need not
// wait for it.
typedef struct step_head { rp_tensor *c, *kv, *s1_logits; } step_head;

static step_head head_of_step(kronos_builder *b, rp_tensor *x, uint32_t rows) {
    const kronos_model *m = b->m;
    const uint32_t D = m->config.model.width;
    step_head h = { .c = kronos_norm(b, "norm", x, rows, false, NULL) };
    const bool few = rows <= RP_LINEAR_SKINNY_M;
    const rp_product kv = { .x = few ? x : h.c, .norm = few ? m->norm : NULL, .eps = KRONOS_EPSILON, .w = m->kv_w, .bias = m->kv_b, .m = rows,
                            .n = 2 * D, .k = D, .y_f16 = kronos_cross_dtype(m) == RP_F16 };
    h.s1_logits = first_logits(b, kv.x, kv.norm, rows, NULL);
    h.kv = rp_product_add(b->g, "cross-attention keys and values", NULL, &kv);
    return h;
}

static void copy_inputs(kronos_forecaster *f, rp_graph *g) {
    const rp_shape all = RP_SHAPE(RP_U32, (uint32_t)f->storage.in_words);
    rp_copy_add(g, "inputs", rp_region_view(&f->arena, f->staged.step, all), rp_region_view(&f->arena, f->in.step, all));
}

// Inputs to the device, tokens of the context, everything that a series' paths share.
static rp_graph *build_prompt(kronos_builder b) {
    kronos_forecaster *f = b.f;
    const kronos_part *c = &b.m->config.model;
    const uint32_t B = f->base.config.max_batch, L = c->layers;
    if (begin(&b, "prompt") == NULL) { return NULL; }
    if (!f->base.config.device_inputs) { copy_inputs(f, b.g); }
    encode(&b);
    kronos_slide(&b, "window of the prompt", false, &f->prompt_window);
    kronos_slide(&b, "window at the end", true, &f->end_window);
    rp_graph_aside_begin(b.g);           // nobody asks for it before the end
    decode_shared(&b);
    rp_graph_aside_end(b.g);
    const kronos_rows r = shared_rows(f, &f->prompt_window);
    rp_tensor *x = kronos_embed(&b, &r, f->context, false, NULL);
    for (uint32_t i = 0; i < L; i++) {
        kronos_keys keys = f->prompt_keys[i];
        x = kronos_block(&b, name_of(&b, "layer", i), &r, c, &b.m->layers[i], f->model_rope[i], x, &keys, NULL);
    }
    rp_tensor *last = last_row(&b, x, f->prompt_window.n_tokens, 1, f->tokens, f->c_last);
    x = kronos_norm(&b, "norm", x, kronos_count(&r), b.m->mixed, NULL);
    (void)cross_keys(&b, x, kronos_count(&r), f->prompt_keys[L]);
    (void)first_logits(&b, last, NULL, B, f->s1_logits);
    return b.g;
}

// What each path owns; laid out for the most paths, seen through narrower views by `single`.
typedef struct path_state { rp_tensor *tokens, *drawn, *result; kronos_keys *keys; } path_state;

static kronos_rows path_rows(const kronos_forecaster *f, const kronos_decode *d, uint32_t kind, uint32_t n, uint32_t cap,
                             const kronos_window *window) {
    return (kronos_rows){ f->base.config.max_batch, d->paths, n, kind, window, f->tokens, cap };
}

// The first bar of every path, from the prompt's one row of logits.
static rp_graph *build_start(kronos_builder b, kronos_decode *d, const path_state *s) {
    kronos_forecaster *f = b.f;
    const uint32_t B = f->base.config.max_batch, L = b.m->config.model.layers, D = b.m->config.model.width;
    if (begin(&b, "start") == NULL) { return NULL; }
    const kronos_rows r = path_rows(f, d, RP_ROWS_STEP, 1, f->rounds, &f->prompt_window);
    kronos_advance(&b, RP_ADVANCE_CHUNK, d->paths);
    const struct rp_broadcast_params p = { B, d->paths, 1, D };
    rp_tensor *in[] = { f->c_last }, *out[] = { NULL };
    rp_graph_add(b.g, RP_OP_BROADCAST, "last bar of each path", &p, sizeof p, in, out);
    kronos_draw_bar(&b, &r, d, RP_DRAW_ALL, out[0], f->s1_logits, true, NULL, &f->prompt_keys[L], &s->keys[L], &d->start_taps);   // of its own: none yet
    return b.g;
}

// One more bar of every path whose window grows.
static rp_graph *build_step(kronos_builder b, kronos_decode *d, const path_state *s) {
    kronos_forecaster *f = b.f;
    const kronos_part *c = &b.m->config.model;
    const uint32_t L = c->layers;
    if (begin(&b, "step") == NULL) { return NULL; }
    const kronos_rows r = path_rows(f, d, RP_ROWS_STEP, 1, f->rounds, &f->prompt_window);
    const uint32_t rows = kronos_count(&r);
    rp_tensor *x = d->drawn;
    for (uint32_t i = 0; i < L; i++) {
        kronos_keys own = s->keys[i];
        x = kronos_block(&b, name_of(&b, "layer", i), &r, c, &b.m->layers[i], f->model_rope[i], x, &own, &f->prompt_keys[i]);
    }
    const step_head h = head_of_step(&b, x, rows);
    kronos_draw_bar(&b, &r, d, RP_DRAW_GROWING, h.c, h.s1_logits, false, h.kv, &f->prompt_keys[L], &s->keys[L], &d->step_taps);
    return b.g;
}

// One more bar of every path whose window slides; does not move the step on.
static rp_graph *build_slide(kronos_builder b, kronos_decode *d) {
    kronos_forecaster *f = b.f;
    const kronos_part *c = &b.m->config.model;
    const uint32_t L = c->layers, D = c->width;
    kronos_window window = { NULL, NULL, NULL };
    if (begin(&b, "slide") == NULL) { return NULL; }
    kronos_slide(&b, "window", false, &window);
    const kronos_both both = { shared_rows(f, &window), path_rows(f, d, RP_ROWS_OWN, f->rounds, f->rounds, &window) };
    const kronos_rows *own = &both.own;
    const uint32_t rows = kronos_count_both(&both);
    rp_tensor *x = rp_tensor_bind(b.g->arena, "embedding", RP_SHAPE(RP_F32, rows, D), NULL, 0);
    (void)kronos_embed(&b, &both.shared, f->context, false, kronos_rows_of(&b, &both, false, x));
    (void)kronos_embed(&b, own, d->tokens, false, kronos_rows_of(&b, &both, true, x));
    for (uint32_t i = 0; i < L; i++) { x = kronos_block_both(&b, name_of(&b, "layer", i), &both, c, &b.m->layers[i], f->model_rope[i], x); }
    rp_tensor *last = last_row(&b, kronos_rows_of(&b, &both, true, x), window.own, d->paths, f->rounds, NULL);
    x = kronos_norm(&b, "norm", x, rows, b.m->mixed, NULL);
    const kronos_keys all = cross_keys(&b, x, rows, (kronos_keys){ NULL, NULL, NULL });
    const kronos_keys of_shared = { kronos_rows_of(&b, &both, false, all.k), kronos_rows_of(&b, &both, false, all.v), NULL };
    const kronos_keys of_own = { kronos_rows_of(&b, &both, true, all.k), kronos_rows_of(&b, &both, true, all.v), NULL };
    rp_tensor *s1_logits = first_logits(&b, last, NULL, own->B * own->S, NULL);
    kronos_draw_bar(&b, own, d, RP_DRAW_SLIDING, last, s1_logits, false, NULL, &of_shared, &of_own, &d->slide_taps);
    return b.g;
}

static rp_graph *build_next(kronos_builder b) {
    if (begin(&b, "next") == NULL) { return NULL; }
    kronos_advance(&b, RP_ADVANCE_STEP, 0);
    return b.g;
}

// Tokens of every path to bars.
static rp_graph *build_finish(kronos_builder b, kronos_decode *d, const path_state *s) {
    kronos_forecaster *f = b.f;
    const kronos_part *c = &b.m->config.tokenizer;
    const uint32_t H = f->base.config.max_horizon;
    if (begin(&b, "finish") == NULL) { return NULL; }
    const kronos_rows r = path_rows(f, d, RP_ROWS_OWN, H, H, &f->end_window);
    rp_tensor *x = kronos_unpack(&b, &r, d->tokens);
    for (uint32_t i = 0; i < c->decoder_layers; i++) {
        kronos_keys own = { NULL, NULL, NULL };
        x = kronos_block(&b, name_of(&b, "decoder", i), &r, c, &b.m->decoder[i], f->decoder_rope[i], x, &own, &f->bars_keys[i]);
    }
    x = kronos_linear(&b, "width to bars", x, b.m->head_w, b.m->head_b, NULL, kronos_count(&r), RP_BAR_COLUMNS, c->width, NULL);
    if (f->taps_wanted && x != NULL) { x->keep = true; }
    d->normalised = x;
    const struct rp_bars_result_params p = { r.B, r.S, H, d->paths_cap };
    rp_tensor *in[] = { x, f->affine, f->in.step }, *out[] = { s->result };
    rp_graph_add(b.g, RP_OP_BARS_RESULT, "result", &p, sizeof p, in, out);
    return b.g;
}

// ---- plans and places ----

static rp_status plan(kronos_forecaster *f, rp_graph *g, rp_run *run, uint64_t *most) {
    if (g == NULL) { return rp_fail(f->base.model->device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph."); }
    RP_RETURN(rp_plan_create(g, &run->plan));
    rp_plan_bind(g, run->plan, f->storage.activations);
    if (run->plan->activation_bytes > *most) { *most = run->plan->activation_bytes; }
    return RP_OK;
}

static rp_shape twice(rp_shape shape) {
    memmove(shape.dims + 1, shape.dims, shape.n_dims * sizeof *shape.dims);
    shape.dims[0] = 2;
    shape.n_dims++;
    return shape;
}

// Keys, and behind them values, of one shape each where `at` begins; false when memory ran out.
static bool keys_at(rp_arena *a, rp_tensor *at, rp_shape shape, kronos_keys *out) {
    out->kv = rp_region_view(a, at, twice(shape));
    out->k = rp_region_view(a, at, shape);
    out->v = out->k ? rp_tensor_part(a, at->name, shape, at, rp_tensor_bytes(out->k)) : NULL;
    return out->kv != NULL && out->v != NULL;
}

static rp_status build_decode(kronos_builder b, kronos_decode *d, const path_state *whole, uint64_t *most) {
    kronos_forecaster *f = b.f;
    const uint32_t B = f->base.config.max_batch, H = f->base.config.max_horizon, n = b.m->config.model.layers + 1;
    const uint32_t D = b.m->config.model.width;
    rp_arena *a = &f->arena;
    path_state s = { .tokens = rp_region_view(a, whole->tokens, RP_SHAPE(RP_U32, B, d->paths, H, 2)),
                     .drawn = rp_region_view(a, whole->drawn, RP_SHAPE(RP_F32, B, d->paths, D)),
                     .result = rp_region_view(a, whole->result, RP_SHAPE(RP_F32, B, RP_BAR_COLUMNS, H, d->paths_cap)),
                     .keys = rp_arena_alloc(a, n * sizeof *s.keys) };
    bool made = s.keys != NULL && s.drawn != NULL;
    for (uint32_t i = 0; i < n && made; i++) {
        made = keys_at(a, whole->keys[i].kv, RP_SHAPE(whole->keys[i].kv->dtype, B, d->paths, f->rounds, D), &s.keys[i]);
    }
    if (!made) { return rp_fail(f->base.model->device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph."); }
    d->tokens = s.tokens, d->drawn = s.drawn;
    RP_RETURN(plan(f, build_start(b, d, &s), &d->start, most));
    if (H > 1) {
        RP_RETURN(plan(f, build_step(b, d, &s), &d->step, most));
        if (f->slides) {
            RP_RETURN(plan(f, build_slide(b, d), &d->slide, most));
            RP_RETURN(plan(f, build_next(b), &d->next, most));
        }
    }
    return plan(f, build_finish(b, d, &s), &d->finish, most);
}

static void lay_inputs(kronos_forecaster *f, rp_region *r, kronos_inputs *in) {
    const uint32_t B = f->base.config.max_batch;
    in->step = rp_region_lay(r, "step block", RP_SHAPE(RP_U32, RP_STEP_WORDS));
    in->settings = rp_region_lay(r, "settings", RP_SHAPE(RP_U32, 3));
    in->n_bars = rp_region_lay(r, "bars of each series", RP_SHAPE(RP_U32, B));
    in->series_ids = rp_region_lay(r, "series ids", RP_SHAPE(RP_U32, B));
    in->stamps = rp_region_lay(r, "stamps", RP_SHAPE(RP_U32, B, f->bars + f->base.config.max_horizon, RP_BAR_STAMPS));
    in->bars = rp_region_lay(r, "bars", RP_SHAPE(RP_F32, B, f->bars, RP_BAR_COLUMNS));
    in->bad = f->base.config.device_inputs ? rp_region_lay(r, "unusable series", RP_SHAPE(RP_U32, B)) : NULL;
}

static kronos_window lay_window(rp_region *r, uint32_t B) {
    rp_tensor *n_tokens = rp_region_lay(r, "tokens of each window", RP_SHAPE(RP_U32, B));
    rp_tensor *first = rp_region_lay(r, "first bar of each window", RP_SHAPE(RP_U32, B));
    return (kronos_window){ n_tokens, first, rp_region_lay(r, "own bars", RP_SHAPE(RP_U32, B)) };
}

// A table of angles for each layer; layers of one stack with the same frequencies share it.
static rp_tensor **lay_ropes(kronos_forecaster *f, rp_region *r, const kronos_part *c, const kronos_layer *layers, uint32_t n,
                             uint32_t positions) {
    const uint32_t half = c->width / c->heads / 2;
    rp_tensor **ropes = rp_arena_alloc(&f->arena, (n + 1) * sizeof *ropes);
    r->failed = r->failed || ropes == NULL;
    for (uint32_t i = 0; i < n && !r->failed; i++) {
        for (uint32_t j = 0; j < i && ropes[i] == NULL; j++) {
            if (memcmp(layers[i].inv_freq, layers[j].inv_freq, half * sizeof *layers[i].inv_freq) == 0) { ropes[i] = ropes[j]; }
        }
        if (ropes[i] == NULL) { ropes[i] = rp_region_lay(r, "rotary angles", RP_SHAPE(RP_F32, positions, half, 2)); }
    }
    return ropes;
}

// Pairs of key and value tensors of one shape: of each of n layers, and of `more` of a type.
static kronos_keys *lay_keys(rp_region *r, rp_arena *a, const char *name, rp_shape shape, const kronos_part *c, const kronos_layer *layers, uint32_t n,
                             uint32_t more, rp_dtype of_more) {
    kronos_keys *keys = rp_arena_alloc(a, (n + more + 1) * sizeof *keys);
    r->failed = r->failed || keys == NULL;
    for (uint32_t i = 0; i < n + more && !r->failed; i++) {
        shape.dtype = i < n ? kronos_keys_dtype(c, &layers[i]) : of_more;
        rp_tensor *both = rp_region_lay(r, name, twice(shape));
        r->failed = both == NULL || !keys_at(a, both, shape, &keys[i]);
    }
    return keys;
}

// The device's state in one buffer, in this order.
static rp_status lay_state(kronos_forecaster *f, path_state *s, uint64_t *bytes) {
    const kronos_model *m = (const kronos_model *)f->base.model;
    const kronos_config *c = &m->config;
    const rp_forecaster_config *sizes = &f->base.config;
    const uint32_t B = sizes->max_batch, S = f->chunk_paths, H = sizes->max_horizon, N = f->tokens, D = c->model.width;
    const rp_dtype cross = kronos_cross_dtype(m);
    rp_arena *a = &f->arena;
    rp_region r = { a, f->storage.state, 0, false };
    lay_inputs(f, &r, &f->in);
    f->storage.in_words = r.used / 4;
    f->encoder_rope = lay_ropes(f, &r, &c->tokenizer, m->encoder, c->tokenizer.layers, f->bars);
    f->decoder_rope = lay_ropes(f, &r, &c->tokenizer, m->decoder, c->tokenizer.decoder_layers, N + H);
    f->model_rope = lay_ropes(f, &r, &c->model, m->layers, c->model.layers, N + H);
    f->affine = rp_region_lay(&r, "mean and std", RP_SHAPE(RP_F32, B, RP_BAR_COLUMNS, 2));
    f->context = rp_region_lay(&r, "tokens of the context", RP_SHAPE(RP_U32, B, f->bars, 2));
    f->prompt_window = lay_window(&r, B);
    f->end_window = lay_window(&r, B);
    f->c_last = rp_region_lay(&r, "last bar", RP_SHAPE(RP_F32, B, D));
    f->s1_logits = rp_region_lay(&r, "first logits", RP_SHAPE(RP_F32, B, 1u << c->s1_bits));
    f->prompt_keys = lay_keys(&r, a, "prompt keys and values", RP_SHAPE(RP_F32, B, N, D), &c->model, m->layers, c->model.layers, 1, cross);
    f->bars_keys = lay_keys(&r, a, "decoder keys and values", RP_SHAPE(RP_F32, B, N, c->tokenizer.width), &c->tokenizer, m->decoder,
                            c->tokenizer.decoder_layers, 0, RP_F32);
    s->keys = lay_keys(&r, a, "path keys and values", RP_SHAPE(RP_F32, B, S, f->rounds, D), &c->model, m->layers, c->model.layers, 1,
                       cross);
    s->tokens = rp_region_lay(&r, "tokens of each path", RP_SHAPE(RP_U32, B, S, H, 2));
    s->drawn = rp_region_lay(&r, "drawn bar of each path", RP_SHAPE(RP_F32, B, S, D));
    f->result = s->result = rp_region_lay(&r, "result", RP_SHAPE(RP_F32, B, RP_BAR_COLUMNS, H, sizes->max_paths));
    *bytes = r.used;
    return r.failed ? rp_fail(m->base.device, RP_OUT_OF_MEMORY, "Host memory ran out while sizing a forecaster.") : RP_OK;
}

rp_status kronos_build(kronos_forecaster *f, rp_sizes *out) {
    kronos_builder b = { .f = f, .m = (const kronos_model *)f->base.model };
    rp_device *device = f->base.model->device;
    path_state s = { 0 };
    *out = (rp_sizes){ 0 };
    RP_RETURN(lay_state(f, &s, &out->state));
    rp_region staged = { &f->arena, f->storage.host_in, 0, false };
    lay_inputs(f, &staged, &f->staged);
    out->in = staged.used;
    out->out = rp_tensor_bytes(s.result);
    f->storage.out_words = out->out / 4;
    if (staged.failed) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while sizing a forecaster."); }

    f->inputs.plan = NULL;
    if (f->base.config.device_inputs) {
        rp_graph *inputs = begin(&b, "inputs");
        if (inputs != NULL) { copy_inputs(f, inputs); }
        RP_RETURN(plan(f, inputs, &f->inputs, &out->activations));
    }
    RP_RETURN(plan(f, build_prompt(b), &f->prompt, &out->activations));
    f->sample = (kronos_decode){ .paths = f->chunk_paths, .paths_cap = f->base.config.max_paths };
    RP_RETURN(build_decode(b, &f->sample, &s, &out->activations));
    f->single = (kronos_decode){ .paths = 1, .paths_cap = 1 };
    if (f->base.config.max_paths > 1) { RP_RETURN(build_decode(b, &f->single, &s, &out->activations)); }

    rp_graph *collect = rp_graph_create(device, &f->arena, "collect");
    if (collect == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph."); }
    rp_tensor *to = rp_tensor_bind(&f->arena, "results", RP_SHAPE(RP_F32, (uint32_t)f->storage.out_words), f->storage.host_out, 0);
    rp_copy_add(collect, "results", rp_region_view(&f->arena, s.result, RP_SHAPE(RP_F32, (uint32_t)f->storage.out_words)), to);
    return plan(f, collect, &f->collect, &out->activations);
}
