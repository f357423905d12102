// Toto's three graphs: the prompt pass, a path's first patch, a decode step; and where everything lives. Runs twice for each
// forecaster: once over stand-in buffers to learn the sizes, once over the real ones.
#include <math.h>
#include <stdlib.h>

#include "product.h"
#include "region.h"
#include "toto.h"

#define EPSILON 1e-8f
#define XPOS_BASE 512.0        // exponents count in 1/512, spec section 3

static void lay_inputs(toto_forecaster *f, rp_region *r, toto_inputs *in) {
    const uint32_t B = f->base.config.max_batch, V = f->base.config.variates;
    const toto_config *c = &((toto_model *)f->base.model)->config;
    in->step = rp_region_lay(r, "step block", RP_SHAPE(RP_U32, RP_STEP_WORDS));
    in->n_patches = rp_region_lay(r, "patches of each series", RP_SHAPE(RP_U32, B));
    in->series_ids = rp_region_lay(r, "series ids", RP_SHAPE(RP_U32, B));
    in->group_ids = rp_region_lay(r, "group ids", RP_SHAPE(RP_I32, B, V));
    in->series = rp_region_lay(r, "series", RP_SHAPE(RP_F32, B, V, f->patches * c->patch));
    in->mask = rp_region_lay(r, "mask", RP_SHAPE(RP_F32, B, V, f->patches * c->patch));
    in->future = rp_region_lay(r, "known future", RP_SHAPE(RP_F32, B, V, f->rounds * c->patch));
    in->bad = f->base.config.device_inputs ? rp_region_lay(r, "unusable series", RP_SHAPE(RP_U32, B)) : NULL;
}

// ---- building blocks ----

typedef struct builder {
    toto_forecaster *f;
    const toto_model *m;
    const toto_config *c;
    rp_graph *g;
    uint32_t B, S, V, n;              // this graph's rows: [B, S, V, n]
    bool decode;
    const toto_keys *suffix;          // decode: for each layer
} builder;

static uint32_t rows_of(const builder *b) { return b->B * b->S * b->V * b->n; }

static rp_tensor *linear(builder *b, const char *label, rp_tensor *x, rp_tensor *w, rp_tensor *bias, rp_tensor *residual,
                         uint32_t m, uint32_t n, uint32_t k) {
    const rp_product p = { .x = x, .w = w, .bias = bias, .residual = residual, .m = m, .n = n, .k = k };
    return rp_product_add(b->g, label, NULL, &p);
}

static float scale_of(uint32_t d) { return (float)(1 / sqrt(d)); }

static rp_tensor *attention_space(builder *b, const char *label, rp_tensor *qkv) {
    const uint32_t d = toto_head_width(b->c);
    const struct rp_attn_space_params p = { b->B, b->S, b->V, b->n, b->c->heads, d, scale_of(d),
                                             (float)(1 / sqrt(d) - scale_of(d)), b->m->mixed, .kv_heads = b->c->heads };
    rp_tensor *in[] = { qkv, b->f->in.group_ids, NULL }, *out[] = { NULL };
    rp_graph_add(b->g, RP_OP_ATTN_SPACE, label, &p, sizeof p, in, out);
    return out[0];
}

// What attention over time keeps and reads: in precision mixed float16, as the units that multiply it take it.
static rp_dtype time_dtype(const toto_model *m) { return m->mixed && toto_head_width(&m->config) % 4 == 0 ? RP_F16 : RP_F32; }

// Whether few keys are all that a query can see, so that one launch turns and attends.
static bool is_short(const toto_forecaster *f, const toto_config *c) {
    return RP_ATTN_SHORT_TAKES(f->tokens + f->rounds - 1, toto_head_width(c));
}

static rp_tensor *attention_time(builder *b, const char *label, uint32_t layer, rp_tensor *qkv) {
    toto_forecaster *f = b->f;
    const uint32_t d = toto_head_width(b->c), extra = b->m->labels != NULL, R = b->decode ? f->rounds - 1 : 0, f16 = time_dtype(b->m) == RP_F16;
    const toto_keys *prompt = &f->prompt_keys[layer], *own = b->decode ? &b->suffix[layer] : prompt;
    const float scale = scale_of(d), rest = (float)(1 / sqrt(d) - scale);
    if (is_short(f, b->c)) {
        const struct rp_attn_rope_params p = { b->B, b->S, b->V, b->n, b->c->heads, d, f->tokens, R, extra, f->rope->shape[0], f->xpos_zero,
                                               scale, rest, f16 };
        rp_tensor *in[] = { qkv, f->turns, b->decode ? prompt->kv : NULL, own->kv, f->in.n_patches, f->in.step }, *out[] = { own->kv, NULL };
        rp_graph_add(b->g, RP_OP_ATTN_ROPE, label, &p, sizeof p, in, out);
        return out[1];
    }
    const struct rp_rope_kv_params rope = { b->B, b->S, b->V, b->n, b->c->heads, d, b->decode ? R : f->tokens, b->decode, extra,
                                            f->xpos_zero, f16 };
    rp_tensor *rope_in[] = { qkv, f->rope, f->xpos, f->in.n_patches, f->in.step }, *rope_out[] = { NULL, own->k, own->v };
    rp_graph_add(b->g, RP_OP_ROPE_KV, label, &rope, sizeof rope, rope_in, rope_out);
    const struct rp_attn_time_params p = { b->B, b->S, b->V, b->n, b->c->heads, d, f->tokens, R, extra, scale, rest, 0, b->m->mixed, b->m->mixed,
                                           f16 };
    rp_tensor *in[] = { rope_out[0], prompt->k, prompt->v, b->decode ? own->k : NULL, b->decode ? own->v : NULL, f->in.n_patches, f->in.step };
    rp_tensor *out[] = { NULL };
    rp_graph_add(b->g, RP_OP_ATTN_TIME, label, &p, sizeof p, in, out);
    return out[0];
}

static rp_tensor *layer(builder *b, uint32_t i, rp_tensor *x) {
    const toto_layer *w = &b->m->layers[i];
    const uint32_t D = b->c->width, M = b->c->mlp, rows = rows_of(b);
#define LABEL(text) rp_arena_format(b->g->arena, "layer %u " text, i)
    const bool space = toto_layer_is_space(b->c, i);
    const rp_product in = { .x = x, .w = w->qkv_w, .bias = w->qkv_b, .norm = w->norm1, .eps = EPSILON, .m = rows, .n = 3 * D, .k = D,
                            .y_f16 = !space && time_dtype(b->m) == RP_F16 };
    rp_tensor *qkv = rp_product_add(b->g, LABEL("qkv"), LABEL("norm1"), &in);
    rp_tensor *a = space ? attention_space(b, LABEL("space attention"), qkv)
                         : attention_time(b, LABEL("time attention"), i, qkv);
    x = linear(b, LABEL("attention out"), a, w->out_w, w->out_b, x, rows, D, D);
    const rp_product mlp = { .x = x, .w = w->w12_w, .bias = w->w12_b, .norm = w->norm2, .eps = EPSILON, .m = rows, .n = 2 * M, .k = D,
                             .gated = true, .y_f16 = b->m->mixed };
    rp_tensor *h = rp_product_add(b->g, LABEL("mlp in"), LABEL("norm2"), &mlp);
    // Of a step's last layer only the head is to read: the float16 that its product would make of it.
    const rp_product out = { .x = h, .w = w->w3_w, .bias = w->w3_b, .residual = x, .m = rows, .n = D, .k = M,
                             .y_f16 = b->m->mixed && b->decode && i + 1 == b->c->layers };
    return rp_product_add(b->g, LABEL("mlp out"), NULL, &out);
#undef LABEL
}

// Last tokens [rows, D] -> distribution parameters [rows, P, 4, k], into `dist` or a new activation.
static rp_tensor *head(builder *b, rp_tensor *last, uint32_t rows, rp_tensor *dist) {
    const uint32_t outputs = b->c->parts * b->c->components;
    rp_tensor *raw = linear(b, "head", last, b->m->head_w, b->m->head_b, NULL, rows, b->c->patch * outputs, b->c->width);
    const struct rp_mixture_params p = { rows * b->c->patch, b->c->components, b->c->parts };
    rp_tensor *in[] = { raw }, *out[] = { dist };
    rp_graph_add(b->g, RP_OP_MIXTURE, "distribution", &p, sizeof p, in, out);
    return out[0];
}

static void tap(toto_forecaster *f, const char *name, rp_tensor *tensor) {
    if (!f->taps_wanted || tensor == NULL || name == NULL || f->n_taps == TOTO_MAX_TAPS) { return; }
    tensor->keep = true;
    f->taps[f->n_taps++] = (toto_tap){ name, tensor };
}

static void advance(builder *b, uint32_t what, uint32_t chunk_paths) {
    const struct rp_advance_params p = { what, chunk_paths };
    rp_tensor *in[] = { b->f->in.step }, *out[] = { b->f->in.step };
    rp_graph_add(b->g, RP_OP_ADVANCE, what == RP_ADVANCE_CHUNK ? "next chunk" : "advance", &p, sizeof p, in, out);
}

// ---- the graphs ----

static void copy_inputs(toto_forecaster *f, rp_graph *g) {
    const rp_shape all = RP_SHAPE(RP_U32, (uint32_t)f->storage.in_words);
    rp_copy_add(g, "inputs", rp_region_view(&f->arena, f->staged.step, all), rp_region_view(&f->arena, f->in.step, all));
}

// Inputs to the device, unless a graph of its own did that; statistics, every layer over the whole prompt, the distribution of the first patch.
static rp_graph *build_prompt(toto_forecaster *f, const toto_model *m) {
    const toto_config *c = &m->config;
    rp_graph *g = rp_graph_create(m->base.device, &f->arena, "prompt");
    if (g == NULL) { return NULL; }
    builder b = { .f = f, .m = m, .c = c, .g = g, .B = f->base.config.max_batch, .S = 1, .V = f->base.config.variates, .n = f->patches };
    if (!f->base.config.device_inputs) { copy_inputs(f, g); }
    const struct rp_scaler_params p = { b.B, b.V, f->patches, c->patch, c->scaler, c->clamp, c->factor };
    rp_tensor *in[] = { f->in.series, f->in.mask, f->in.n_patches };
    rp_tensor *out[] = { NULL, f->affine, NULL, f->scale_state, f->scale_global };
    rp_graph_add(g, RP_OP_SCALER, "scaler", &p, sizeof p, in, out);
    tap(f, "prefill.scaled_input", out[0]);
    rp_tensor *x = linear(&b, "patch embedding", out[0], m->embed_w, m->embed_b, NULL, rows_of(&b), c->width, c->patch);
    if (m->labels != NULL) {
        const struct rp_prepend_label_params lp = { b.B, b.V, f->patches, c->width };
        rp_tensor *lin[] = { x, m->labels, f->in.step }, *lout[] = { NULL };
        rp_graph_add(g, RP_OP_PREPEND_LABEL, "variate labels", &lp, sizeof lp, lin, lout);
        x = lout[0];
    }
    b.n = f->tokens;
    tap(f, "prefill.embed", x);
    for (uint32_t i = 0; i < c->layers; i++) {
        x = layer(&b, i, x);
        tap(f, rp_arena_format(&f->arena, "prefill.layer%u", i), x);
    }
    const struct rp_gather_last_params gp = { b.B, b.V, f->tokens, c->width, m->labels != NULL, .count = 1 };
    rp_tensor *gin[] = { x, f->in.n_patches }, *gout[] = { NULL };
    rp_graph_add(g, RP_OP_GATHER_LAST, "last token", &gp, sizeof gp, gin, gout);
    head(&b, gout[0], b.B * b.V, f->dist);
    return g;
}

static void draw(builder *b, const toto_decode *d, rp_tensor *dist, rp_tensor *affine, bool one_dist, rp_tensor *patch,
                 rp_tensor *result) {
    const toto_forecaster *f = b->f;
    const uint32_t H = f->rounds * b->c->patch;
    const struct rp_draw_params p = { b->B, b->S, b->V, b->c->patch, b->c->components, d->mode, one_dist, H, d->paths_cap };
    rp_tensor *in[] = { dist, affine, f->in.future, d->mode == RP_DRAW_FORCED ? f->forced : NULL, f->in.series_ids, f->in.step };
    rp_tensor *out[] = { patch, result };
    rp_graph_add(b->g, RP_OP_DRAW, "draw", &p, sizeof p, in, out);
}

// What each path owns; laid out for C paths, seen through narrower views in mean mode.
typedef struct path_state { rp_tensor *scale, *patch, *result; toto_keys *keys; } path_state;

// The first patch of every path, from the prompt's one distribution.
static rp_graph *build_start(builder b, const toto_decode *d, const path_state *s) {
    toto_forecaster *f = b.f;
    b.g = rp_graph_create(b.m->base.device, &f->arena, d->mode == RP_DRAW_MEAN ? "start, mean" : "start");
    if (b.g == NULL) { return NULL; }
    advance(&b, RP_ADVANCE_CHUNK, d->paths);
    if (f->rounds > 1) {
        const struct rp_broadcast_params p = { b.B, b.S, b.V, 8 };   // 4 float64
        rp_tensor *in[] = { f->scale_state }, *out[] = { s->scale };
        rp_graph_add(b.g, RP_OP_BROADCAST, "scaler state of each path", &p, sizeof p, in, out);
    }
    draw(&b, d, f->dist, f->affine, true, s->patch, s->result);
    advance(&b, RP_ADVANCE_STEP, 0);
    return b.g;
}

// One more patch of every path.
static rp_graph *build_step(builder b, toto_decode *d, const path_state *s) {
    toto_forecaster *f = b.f;
    const toto_config *c = b.c;
    b.g = rp_graph_create(b.m->base.device, &f->arena, d->mode == RP_DRAW_MEAN ? "step, mean" : "step");
    if (b.g == NULL) { return NULL; }
    const struct rp_scale_step_params p = { b.B, b.S, b.V, c->patch, c->scaler, c->clamp, c->factor };
    rp_tensor *in[] = { s->patch, s->scale, f->scale_global }, *out[] = { NULL, NULL, s->scale };
    rp_graph_add(b.g, RP_OP_SCALE_STEP, "scaler", &p, sizeof p, in, out);
    rp_tensor *x = linear(&b, "patch embedding", out[0], b.m->embed_w, b.m->embed_b, NULL, rows_of(&b), c->width, c->patch);
    for (uint32_t i = 0; i < c->layers; i++) { x = layer(&b, i, x); }
    rp_tensor *dist = head(&b, x, rows_of(&b), NULL);
    if (f->taps_wanted && dist != NULL && out[1] != NULL) {
        dist->keep = out[1]->keep = true;
        d->step_dist = dist, d->step_affine = out[1];
    }
    draw(&b, d, dist, out[1], false, s->patch, s->result);
    advance(&b, RP_ADVANCE_STEP, 0);
    return b.g;
}

static rp_status plan(rp_graph *g, rp_device *device, rp_buffer *activations, rp_plan **out, uint64_t *most) {
    if (g == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph."); }
    RP_RETURN(rp_plan_create(g, out));
    rp_plan_bind(g, *out, activations);
    if ((*out)->activation_bytes > *most) { *most = (*out)->activation_bytes; }
    return RP_OK;
}

// Keys and values of a cache [2, ..], each as a tensor of its own.
static toto_keys keys_of(rp_arena *arena, rp_tensor *kv) {
    if (kv == NULL) { return (toto_keys){ 0 }; }
    const rp_shape half = rp_shape_of(kv->dtype, kv->n_dims - 1, kv->shape + 1);
    return (toto_keys){ rp_tensor_part(arena, kv->name, half, kv, 0), rp_tensor_part(arena, kv->name, half, kv, rp_tensor_bytes(kv) / 2), kv };
}

static bool are_there(const toto_keys *keys) { return keys->k != NULL && keys->v != NULL && keys->kv != NULL; }

static rp_status build_decode(toto_forecaster *f, toto_decode *d, const path_state *whole, uint64_t *most) {
    toto_model *m = (toto_model *)f->base.model;
    const toto_config *c = &m->config;
    const uint32_t B = f->base.config.max_batch, V = f->base.config.variates, L = c->layers, R = f->rounds - 1, C = d->paths;
    const rp_dtype dtype = time_dtype(m);
    path_state s = { .scale = rp_region_view(&f->arena, whole->scale, RP_SHAPE(RP_F64, B, C, V, 4)),
                     .patch = rp_region_view(&f->arena, whole->patch, RP_SHAPE(RP_F32, B, C, V, c->patch)),
                     .result = rp_region_view(&f->arena, whole->result, RP_SHAPE(RP_F32, B, V, f->rounds * c->patch, d->paths_cap)),
                     .keys = rp_arena_alloc(&f->arena, L * sizeof *s.keys) };
    bool made = s.keys != NULL;
    for (uint32_t i = 0; i < L && made; i++) {
        s.keys[i] = keys_of(&f->arena, rp_region_view(&f->arena, whole->keys[i].kv, RP_SHAPE(dtype, 2, B, C, V, R, c->width)));
        made = whole->keys[i].kv == NULL || are_there(&s.keys[i]);
    }
    if (!made) { return rp_fail(m->base.device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph."); }
    builder b = { .f = f, .m = m, .c = c, .B = B, .S = C, .V = V, .n = 1, .decode = true, .suffix = s.keys };
    d->start_dist = f->dist, d->start_affine = f->affine;
    RP_RETURN(plan(build_start(b, d, &s), m->base.device, f->storage.activations, &d->start.plan, most));
    d->step.plan = NULL;
    if (R == 0) { return RP_OK; }
    return plan(build_step(b, d, &s), m->base.device, f->storage.activations, &d->step.plan, most);
}

// The device's state in one buffer, in this order.
static rp_status lay_state(toto_forecaster *f, path_state *s, uint64_t *bytes) {
    toto_model *m = (toto_model *)f->base.model;
    const toto_config *c = &m->config;
    const rp_forecaster_config *sizes = &f->base.config;
    const uint32_t B = sizes->max_batch, V = sizes->variates, C = f->chunk_paths, P = c->patch, D = c->width, n = f->tokens;
    const uint32_t R = f->rounds - 1, half = toto_head_width(c) / 2, positions = n + f->rounds, L = c->layers;
    const rp_dtype dtype = time_dtype(m);
    rp_region r = { &f->arena, f->storage.state, 0, false };
    lay_inputs(f, &r, &f->in);
    f->storage.in_words = r.used / 4;
    f->xpos_zero = positions / 2 + 1;
    const uint32_t exponents = 2 * f->xpos_zero + 1;
    f->turns = rp_region_lay(&r, "rotary angles, xpos powers", RP_SHAPE(RP_F32, (2 * positions + exponents) * half));
    f->rope = rp_tensor_part(&f->arena, "rotary angles", RP_SHAPE(RP_F32, positions, half, 2), f->turns, 0);
    f->xpos = rp_tensor_part(&f->arena, "xpos powers", RP_SHAPE(RP_F32, exponents, half), f->turns, (uint64_t)positions * half * 8);
    f->scale_state = rp_region_lay(&r, "scaler state", RP_SHAPE(RP_F64, B, V, 4));
    f->scale_global = rp_region_lay(&r, "prompt statistics", RP_SHAPE(RP_F64, B, V, 2));
    f->affine = rp_region_lay(&r, "loc and scale", RP_SHAPE(RP_F32, B, V, P, 2));
    f->dist = rp_region_lay(&r, "first distribution", RP_SHAPE(RP_F32, B, V, P, 4, c->components));
    f->prompt_keys = rp_arena_alloc(&f->arena, L * sizeof *f->prompt_keys);
    s->keys = rp_arena_alloc(&f->arena, L * sizeof *s->keys);
    r.failed = r.failed || !f->rope || !f->xpos || !f->prompt_keys || !s->keys;
    for (uint32_t i = 0; i < L && !r.failed; i++) {
        if (toto_layer_is_space(c, i)) { continue; }
        f->prompt_keys[i] = keys_of(&f->arena, rp_region_lay(&r, "prompt keys and values", RP_SHAPE(dtype, 2, B, V, n, D)));
        r.failed = r.failed || !are_there(&f->prompt_keys[i]);
        if (R == 0) { continue; }
        s->keys[i] = keys_of(&f->arena, rp_region_lay(&r, "path keys and values", RP_SHAPE(dtype, 2, B, C, V, R, D)));
        r.failed = r.failed || !are_there(&s->keys[i]);
    }
    s->scale = rp_region_lay(&r, "scaler state of each path", RP_SHAPE(RP_F64, B, C, V, 4));
    s->patch = rp_region_lay(&r, "last patch", RP_SHAPE(RP_F32, B, C, V, P));
    f->result = s->result = rp_region_lay(&r, "result", RP_SHAPE(RP_F32, B, V, f->rounds * P, sizes->max_paths));
    f->forced = f->forced_wanted ? rp_region_lay(&r, "prescribed draws", RP_SHAPE(RP_F32, f->rounds, sizes->max_paths, B, V, P)) : NULL;
    *bytes = r.used;
    return r.failed ? rp_fail(m->base.device, RP_OUT_OF_MEMORY, "Host memory ran out while sizing a forecaster.") : RP_OK;
}

rp_status toto_build(toto_forecaster *f, rp_sizes *out) {
    toto_model *m = (toto_model *)f->base.model;
    rp_device *device = m->base.device;
    path_state s = { 0 };
    *out = (rp_sizes){ 0 };
    f->n_taps = 0;
    RP_RETURN(lay_state(f, &s, &out->state));
    rp_region staged = { &f->arena, f->storage.host_in, 0, false };
    lay_inputs(f, &staged, &f->staged);
    out->in = staged.used;
    out->out = rp_tensor_bytes(s.result);
    f->storage.out_words = out->out / 4;
    if (staged.failed) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while sizing a forecaster."); }

    f->inputs.plan = NULL;
    if (f->base.config.device_inputs) {
        rp_graph *inputs = rp_graph_create(device, &f->arena, "inputs");
        if (inputs == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph."); }
        copy_inputs(f, inputs);
        RP_RETURN(plan(inputs, device, f->storage.activations, &f->inputs.plan, &out->activations));
    }
    RP_RETURN(plan(build_prompt(f, m), device, f->storage.activations, &f->prompt.plan, &out->activations));
    f->sample = (toto_decode){ .paths = f->chunk_paths, .paths_cap = f->base.config.max_paths,
                               .mode = f->forced_wanted ? RP_DRAW_FORCED : RP_DRAW_SAMPLE };
    RP_RETURN(build_decode(f, &f->sample, &s, &out->activations));
    f->mean = (toto_decode){ .paths = 1, .paths_cap = 1, .mode = RP_DRAW_MEAN };
    RP_RETURN(build_decode(f, &f->mean, &s, &out->activations));

    rp_graph *collect = rp_graph_create(device, &f->arena, "collect");
    if (collect == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph."); }
    rp_tensor *to = rp_tensor_bind(&f->arena, "results", RP_SHAPE(RP_F32, (uint32_t)f->storage.out_words), f->storage.host_out, 0);
    rp_copy_add(collect, "results", rp_region_view(&f->arena, s.result, RP_SHAPE(RP_F32, (uint32_t)f->storage.out_words)), to);
    return plan(collect, device, f->storage.activations, &f->collect.plan, &out->activations);
}

// ---- tables: float64 from the spec's float32 constants, rounded once to what the device keeps ----

rp_status toto_write_tables(toto_forecaster *f) {
    toto_model *m = (toto_model *)f->base.model;
    rp_device *device = m->base.device;
    const uint32_t d = toto_head_width(&m->config), half = d / 2;
    const uint32_t positions = f->rope->shape[0], exponents = f->xpos->shape[0];
    double *table = malloc(((size_t)positions * 2 + exponents) * half * sizeof *table), *power = table + (size_t)positions * half * 2;
    if (table == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while making the rotary tables."); }
    for (uint32_t i = 0; i < half; i++) {
        const float even = (float)(2 * i);
        const float theta = 1.0f / (float)pow(10000.0, (double)(even / (float)d));
        const float base = (even + (float)(0.4 * d)) / (float)(1.4 * d);
        for (uint32_t t = 0; t < positions; t++) {
            table[((size_t)t * half + i) * 2] = cos(t * (double)theta);
            table[((size_t)t * half + i) * 2 + 1] = sin(t * (double)theta);
        }
        for (uint32_t e = 0; e < exponents; e++) {
            power[(size_t)e * half + i] = pow((double)base, ((double)e - f->xpos_zero) / XPOS_BASE);
        }
    }
    rp_status status = device->backend->write(f->storage.state, f->rope->offset, RP_F32, table, RP_F64, (uint64_t)positions * half * 2);
    if (status == RP_OK) { status = device->backend->write(f->storage.state, f->xpos->offset, RP_F32, power, RP_F64, (uint64_t)exponents * half); }
    free(table);
    return status;
}
