// Toto 2.0's graphs: the first call, from the context, a round of block decode, the shorter last one. Runs at least twice for each
// forecaster: over stand-in buffers to learn the sizes, then over the real ones.
#include "product.h"
#include "region.h"
#include "toto2.h"

// ---- building blocks ----

typedef struct builder {
    toto2_forecaster *f;
    const toto2_model *m;
    const toto2_config *c;
    rp_graph *g;
    uint32_t B, V;                    // series and variates in work: all, or those of a part
    uint32_t first;                   // of all B V, the one that they begin with
    uint32_t n;                       // tokens of each variate that x has now
    uint32_t tokens;                  // of the call
    uint32_t count;                   // patches that the call predicts at most
    bool later;
    bool tail;                        // x has only the tokens that predict
    uint32_t side;                    // of all B V, those of a part
    rp_tensor *left;                  // [B, V, count, D] of all: where parts leave their tokens that predict; NULL: all are one part
} builder;

static uint32_t rows_of(const builder *b) { return b->B * b->V * b->n; }

static void fail_memory(rp_graph *g) {
    if (g->status != RP_OK) { return; }
    g->status = rp_fail(g->device, RP_OUT_OF_MEMORY, "Host memory ran out while building the graph '%s'.", g->name);
}

// Of a tensor [B] or [B, V, ..] of all series and variates, those in work.
static rp_tensor *in_work(builder *b, rp_tensor *all) {
    const uint32_t B = b->f->base.config.max_batch, V = b->f->base.config.variates;
    if (all == NULL || (b->B == B && b->V == V)) { return all; }
    rp_shape shape = rp_shape_of(all->dtype, all->n_dims, all->shape);
    shape.dims[0] = b->B;
    if (shape.n_dims > 1) { shape.dims[1] = b->V; }
    rp_tensor *some = rp_region_view(b->g->arena, all, shape);
    if (some == NULL) {
        fail_memory(b->g);
        return NULL;
    }
    some->offset += all->n_dims > 1 ? rp_tensor_bytes(all) / B / V * b->first : rp_tensor_bytes(all) / B * (b->first / V);
    return some;
}

static rp_tensor *linear(builder *b, const char *label, rp_tensor *x, const toto2_linear *w, rp_tensor *residual, uint32_t n, uint32_t k) {
    const rp_product p = { .x = x, .w = w->w, .bias = w->b, .residual = residual, .m = rows_of(b), .n = n, .k = k };
    return rp_product_add(b->g, label, NULL, &p);
}

// linear2(silu(linear1(x))) + skip(x); every factor is in the weights.
static rp_tensor *residual_mlp(builder *b, const char *label, rp_tensor *x, const toto2_residual_mlp *w, uint32_t in_width, uint32_t hidden,
                               uint32_t out_width) {
    const rp_product in = { .x = x, .w = w->first.w, .bias = w->first.b, .m = rows_of(b), .n = hidden, .k = in_width, .silu = true,
                            .y_f16 = rp_is_mixed(w->first.w) };
    rp_tensor *h = rp_product_add(b->g, rp_arena_format(b->g->arena, "%s in", label), NULL, &in);
    rp_tensor *skip = linear(b, rp_arena_format(b->g->arena, "%s skip", label), x, &w->skip, NULL, out_width, in_width);
    return linear(b, rp_arena_format(b->g->arena, "%s out", label), h, &w->second, skip, out_width, hidden);
}

// The tokens that predict: of the first call from the last of the context on, later from the last given one.
static rp_tensor *predicting(builder *b, rp_tensor *x) {
    const struct rp_gather_last_params p = { .batch = b->B, .variates = b->V, .tokens = b->n, .width = b->c->width,
                                             .extra = b->later ? b->f->block - 1 : 0, .count = b->count, .from_start = b->later };
    rp_tensor *in[] = { x, in_work(b, b->f->in.n_patches) }, *out[] = { NULL };
    rp_graph_add(b->g, RP_OP_GATHER_LAST, "tokens that predict", &p, sizeof p, in, out);
    return out[0];
}

static float scale_of(uint32_t d) { return 1.0f / (float)d; }
static float scale_rest_of(uint32_t d) { return (float)(1.0 / d - scale_of(d)); }

// In a later call token i stands for patch i of the context when it comes to who is hidden, spec section 2. The tokens that
// predict in the first call are none of them hidden.
static rp_tensor *attention_variates(builder *b, const char *label, rp_tensor *qkv) {
    const toto2_config *c = b->c;
    const uint32_t d = toto2_head_width(c);
    const bool shown = b->tail && !b->later;
    const struct rp_attn_space_params p = { .batch = b->B, .paths = 1, .variates = b->V, .tokens = b->n, .heads = c->heads, .head_width = d,
                                            .scale = scale_of(d), .scale_rest = scale_rest_of(d), .y_f16 = b->m->mixed,
                                            .kv_heads = c->kv_heads, .patches = shown ? 0 : b->f->patches,
                                            .first = b->tail && b->later ? b->f->block - 1 : 0 };
    rp_tensor *in[] = { qkv, b->f->in.group_ids, shown ? NULL : b->f->hidden }, *out[] = { NULL };
    rp_graph_add(b->g, RP_OP_ATTN_SPACE, label, &p, sizeof p, in, out);
    return out[0];
}

// tail: only the tokens that predict ask; all of them are kept in the cache.
static rp_tensor *attention_time(builder *b, const char *label, uint32_t layer, rp_tensor *qkv, bool tail) {
    const toto2_config *c = b->c;
    toto2_forecaster *f = b->f;
    const uint32_t d = toto2_head_width(c), cap = f->patches + f->future;
    const struct rp_block_rope_params rope = { .batch = b->B, .variates = b->V, .tokens = b->n, .heads = c->heads, .kv_heads = c->kv_heads,
                                               .head_width = d, .cap = cap, .zero = f->zero, .patch_size = c->patch, .block = f->block,
                                               .later = b->later, .x_f16 = rp_is_mixed(qkv), .y_f16 = b->m->mixed };
    rp_tensor *n_patches = in_work(b, f->in.n_patches), *k = in_work(b, f->k[layer]), *v = in_work(b, f->v[layer]);
    rp_tensor *rope_in[] = { qkv, f->rope, f->powers, n_patches, f->in.step }, *rope_out[] = { NULL, k, v };
    rp_graph_add(b->g, RP_OP_BLOCK_ROPE, label, &rope, sizeof rope, rope_in, rope_out);
    const struct rp_block_attn_params p = { .batch = b->B, .variates = b->V, .tokens = tail ? b->count : b->n, .q_tokens = b->n,
                                            .tail = tail, .heads = c->heads, .kv_heads = c->kv_heads, .head_width = d, .cap = cap,
                                            .patches = f->patches, .patch_size = c->patch, .block = f->block, .later = b->later,
                                            .scale = scale_of(d), .scale_rest = scale_rest_of(d), .f16 = b->m->mixed };
    rp_tensor *in[] = { rope_out[0], k, v, in_work(b, f->hidden), n_patches, f->in.step }, *out[] = { NULL };
    rp_graph_add(b->g, RP_OP_BLOCK_ATTN, label, &p, sizeof p, in, out);
    return out[0];
}

// RMS norm of each head of q and k, where the model has it.
static rp_tensor *head_norms(builder *b, const char *label, rp_tensor *qkv, const toto2_layer *w) {
    const toto2_config *c = b->c;
    if (w->qk_scale == NULL) { return qkv; }
    const uint32_t run = c->heads + 2 * c->kv_heads;
    const struct rp_rmsnorm_params p = { .rows = rows_of(b) * run, .width = toto2_head_width(c), .eps = (float)c->eps, .run = run,
                                         .queries = c->heads, .keys = c->kv_heads };
    rp_tensor *in[] = { qkv, w->qk_scale }, *out[] = { NULL };
    rp_graph_add(b->g, RP_OP_RMSNORM, label, &p, sizeof p, in, out);
    return out[0];
}

// last: the last layer over time. Behind its attention only the tokens that predict go on.
static rp_tensor *layer(builder *b, uint32_t i, rp_tensor *x, bool last) {
    const toto2_layer *w = &b->m->layers[i];
    const toto2_config *c = b->c;
    const uint32_t D = c->width, d = toto2_head_width(c);
#define LABEL(text) rp_arena_format(b->g->arena, "layer %u " text, i)
    const bool variate = toto2_layer_is_variate(c, i);
    const rp_product in = { .x = x, .w = w->qkv.w, .bias = w->qkv.b, .norm = w->norm1, .eps = w->eps1, .m = rows_of(b),
                            .n = (c->heads + 2 * c->kv_heads) * d, .k = D, .y_f16 = b->m->mixed && !variate && w->qk_scale == NULL };
    rp_tensor *qkv = rp_product_add(b->g, LABEL("qkv"), LABEL("norm1"), &in);
    qkv = head_norms(b, LABEL("norms of q and k"), qkv, w);
    rp_tensor *a = variate ? attention_variates(b, LABEL("variate attention"), qkv) : attention_time(b, LABEL("time attention"), i, qkv, last);
    if (last) {
        x = predicting(b, x);
        b->tail = true;
        b->n = b->count;
    }
    x = linear(b, LABEL("attention out"), a, &w->out, x, D, c->heads * d);
    const rp_product mlp = { .x = x, .w = w->fc1.w, .bias = w->fc1.b, .norm = w->norm2, .eps = w->eps2, .m = rows_of(b), .n = 2 * toto2_mlp_width(c),
                             .k = D, .gated = true, .y_f16 = b->m->mixed };
    rp_tensor *h = rp_product_add(b->g, LABEL("mlp in"), LABEL("norm2"), &mlp);
    const rp_product out = { .x = h, .w = w->fc2.w, .bias = w->fc2.b, .residual = x, .m = rows_of(b), .n = D, .k = toto2_mlp_width(c),
                             .y = last ? in_work(b, b->left) : NULL };
    return rp_product_add(b->g, LABEL("mlp out"), NULL, &out);
#undef LABEL
}

static void tap(builder *b, const char *name, rp_tensor *tensor, double scale) {
    toto2_forecaster *f = b->f;
    if (!f->taps_wanted || b->later || tensor == NULL || name == NULL || f->n_taps == TOTO2_MAX_TAPS) { return; }
    tensor->keep = true;
    f->taps[f->n_taps++] = (toto2_tap){ name, tensor, scale };
}

// ---- the graphs ----

static void copy_inputs(toto2_forecaster *f, rp_graph *g) {
    const rp_shape all = RP_SHAPE(RP_U32, (uint32_t)f->storage.in_words);
    rp_copy_add(g, "inputs", rp_region_view(&f->arena, f->staged.step, all), rp_region_view(&f->arena, f->in.step, all));
}

// Statistics and the tokens' inputs, [B, V, n, 2, P].
static rp_tensor *scale(builder *b) {
    toto2_forecaster *f = b->f;
    const toto2_config *c = b->c;
    const struct rp_block_scale_params p = { .batch = b->B, .variates = b->V, .tokens = b->tokens, .patches = f->patches,
                                             .series_patches = f->patches + f->future, .patch_size = c->patch, .block = f->block,
                                             .later = b->later, .x_f16 = rp_is_mixed(b->m->embed.first.w) };
    rp_tensor *x = NULL;
    if (b->left != NULL) {
        x = rp_region_view(b->g->arena, f->inputs_of_parts, RP_SHAPE(f->inputs_of_parts->dtype, b->B, b->V, b->tokens, 2, c->patch));
        if (x == NULL) { fail_memory(b->g); }
    }
    rp_tensor *in[] = { f->in.series, f->in.settings, f->in.n_patches, f->in.step, f->stats }, *out[] = { x, f->stats, f->hidden };
    rp_graph_add(b->g, RP_OP_BLOCK_SCALE, "scaler", &p, sizeof p, in, out);
    return out[0];
}

// [B V n, D]
static rp_tensor *embed(builder *b, rp_tensor *x) {
    return residual_mlp(b, "patch embedding", x, &b->m->embed, 2 * b->c->patch, b->c->embed_hidden, b->c->width);
}

// Embedding and the layers over time, which come first: one part of the series and variates after the other, so that what is alive
// between two layers is that of a part. Returns the tokens that predict, of all.
static rp_tensor *in_parts(builder *b, rp_tensor *x, uint32_t last) {
    const uint32_t B = b->B, V = b->V, side = b->side;
    for (b->first = 0; b->first < B * V; b->first += b->B * b->V) {
        const uint32_t series = B - b->first / V, variates = V - b->first % V;      // that are left; whole series, or variates of one
        b->B = side < V ? 1 : side / V < series ? side / V : series;
        b->V = side < variates ? side : variates;
        b->n = b->tokens;
        b->tail = false;
        rp_tensor *of = embed(b, in_work(b, x));
        for (uint32_t i = 0; i < last; i++) { of = layer(b, i, of, i + 1 == last); }
    }
    b->B = B, b->V = V, b->first = 0;
    return b->left;
}

// From the tokens that predict to quantiles; the medians go into the series, and the step block moves on.
static void predict(builder *b, rp_tensor *x) {
    toto2_forecaster *f = b->f;
    const toto2_config *c = b->c;
    const struct rp_rmsnorm_params norm = { .rows = rows_of(b), .width = c->width, .eps = b->m->out_eps, .y_f16 = b->m->mixed };
    rp_tensor *norm_in[] = { x, b->m->out_norm }, *normed[] = { NULL };
    rp_graph_add(b->g, RP_OP_RMSNORM, "last norm", &norm, sizeof norm, norm_in, normed);
    rp_tensor *raw = residual_mlp(b, "head", normed[0], &b->m->head, c->width, c->head_hidden, c->patch * RP_BLOCK_QUANTILES);
    const struct rp_block_result_params p = { .batch = b->B, .variates = b->V, .count = b->count, .series_patches = f->patches + f->future,
                                              .horizon_cap = f->future * c->patch, .patch_size = c->patch, .block = f->block,
                                              .later = b->later };
    rp_tensor *in[] = { raw, f->stats, f->in.settings, f->in.n_patches, f->in.step, f->in.series }, *out[] = { f->in.series, f->result };
    rp_graph_add(b->g, RP_OP_BLOCK_RESULT, "quantiles", &p, sizeof p, in, out);
    const struct rp_advance_params step = { RP_ADVANCE_STEP, 0 };
    rp_tensor *step_in[] = { f->in.step }, *step_out[] = { f->in.step };
    rp_graph_add(b->g, RP_OP_ADVANCE, "advance", &step, sizeof step, step_in, step_out);
}

// The last layer over time, plus 1; 0: there is none.
static uint32_t last_over_time(const toto2_config *c) {
    uint32_t last = 0;
    for (uint32_t i = 0; i < c->layers; i++) { last = toto2_layer_is_variate(c, i) ? last : i + 1; }
    return last;
}

bool toto2_can_part(const toto2_forecaster *f) {
    const toto2_config *c = &((toto2_model *)f->base.model)->config;
    const uint32_t last = last_over_time(c);
    for (uint32_t i = 0; i < last; i++) {
        if (toto2_layer_is_variate(c, i)) { return false; }
    }
    return last > 0 && !f->taps_wanted;
}

// A call that predicts at most `count` patches of each variate.
static rp_graph *build_call(toto2_forecaster *f, const char *name, bool later, uint32_t count) {
    const toto2_model *m = (toto2_model *)f->base.model;
    const toto2_config *c = &m->config;
    rp_graph *g = rp_graph_create(m->base.device, &f->arena, name);
    if (g == NULL) { return NULL; }
    const uint32_t tokens = (later ? f->block : f->patches) + count - 1;
    builder b = { .f = f, .m = m, .c = c, .g = g, .B = f->base.config.max_batch, .V = f->base.config.variates, .n = tokens,
                  .tokens = tokens, .count = count, .later = later };
    if (!later && !f->base.config.device_inputs) { copy_inputs(f, g); }
    // A call of fewer tokens than the longest has as many more side by side.
    const uint64_t side = (uint64_t)f->side * toto2_most_tokens(f) / tokens;
    if (side < b.B * b.V) {
        b.side = (uint32_t)side;
        b.left = rp_region_view(&f->arena, f->left, RP_SHAPE(RP_F32, b.B, b.V, count, c->width));
        if (b.left == NULL) { return NULL; }
    }
    rp_tensor *x = scale(&b);
    uint32_t last = last_over_time(c), done = 0;
    if (b.left != NULL) {
        x = in_parts(&b, x, last);
        done = last;
    } else {
        x = embed(&b, x);
        tap(&b, "context_embed", x, 1);
        if (f->taps_wanted) { last = UINT32_MAX; }
        if (last == 0) {
            x = predicting(&b, x);
            b.tail = true, b.n = b.count;
        }
    }
    for (uint32_t i = done; i < c->layers; i++) {
        x = layer(&b, i, x, i + 1 == last);
        tap(&b, rp_arena_format(&f->arena, "layer%u", i), x, m->layers[i].scale);
    }
    if (!b.tail) {
        x = predicting(&b, x);
        b.n = b.count;
    }
    predict(&b, x);
    return g;
}

static rp_status plan(rp_graph *g, rp_device *device, rp_buffer *activations, rp_plan **out, uint64_t *most) {
    if (g == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph."); }
    RP_RETURN(rp_plan_create(g, out));
    rp_plan_bind(g, *out, activations);
    if ((*out)->activation_bytes > *most) { *most = (*out)->activation_bytes; }
    return RP_OK;
}

rp_status toto2_build(toto2_forecaster *f, rp_sizes *out) {
    rp_device *device = f->base.model->device;
    *out = (rp_sizes){ 0 };
    f->n_taps = 0;
    RP_RETURN(toto2_lay_state(f, out));
    f->last_count = f->future % f->block;
    f->inputs.plan = f->round.plan = f->last.plan = NULL;
    if (f->base.config.device_inputs) {
        rp_graph *inputs = rp_graph_create(device, &f->arena, "inputs");
        if (inputs == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph."); }
        copy_inputs(f, inputs);
        RP_RETURN(plan(inputs, device, f->storage.activations, &f->inputs.plan, &out->activations));
    }
    RP_RETURN(plan(build_call(f, "prompt", false, f->block), device, f->storage.activations, &f->prompt.plan, &out->activations));
    if (f->future >= 2 * f->block) {
        RP_RETURN(plan(build_call(f, "round", true, f->block), device, f->storage.activations, &f->round.plan, &out->activations));
    }
    if (f->last_count > 0) {
        RP_RETURN(plan(build_call(f, "last round", true, f->last_count), device, f->storage.activations, &f->last.plan, &out->activations));
    }
    rp_graph *collect = rp_graph_create(device, &f->arena, "collect");
    if (collect == NULL) { return rp_fail(device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph."); }
    rp_tensor *to = rp_tensor_bind(&f->arena, "results", RP_SHAPE(RP_F32, (uint32_t)f->storage.out_words), f->storage.host_out, 0);
    rp_copy_add(collect, "results", rp_region_view(&f->arena, f->result, RP_SHAPE(RP_F32, (uint32_t)f->storage.out_words)), to);
    return plan(collect, device, f->storage.activations, &f->collect.plan, &out->activations);
}
