// Blocks, embeddings and draws: each adds a few nodes to the graph that is being built.
#include "kronos_blocks.h"

#include "product.h"

#include <math.h>

rp_tensor *kronos_made(kronos_builder *b, rp_tensor *view) {
    if (view == NULL && b->g->status == RP_OK) {
        b->g->status = rp_fail(b->m->base.device, RP_OUT_OF_MEMORY, "Host memory ran out while building a graph.");
    }
    return view;
}

rp_tensor *kronos_linear(kronos_builder *b, const char *label, rp_tensor *x, rp_tensor *w, rp_tensor *bias, rp_tensor *residual,
                         uint32_t m, uint32_t n, uint32_t k, rp_tensor *y) {
    const rp_product p = { .x = x, .w = w, .bias = bias, .residual = residual, .m = m, .n = n, .k = k, .y = y };
    return rp_product_add(b->g, label, NULL, &p);
}

rp_tensor *kronos_norm(kronos_builder *b, const char *label, rp_tensor *x, uint32_t rows, bool f16, rp_tensor *y) {
    const struct rp_rmsnorm_params p = { .rows = rows, .width = b->m->config.model.width, .eps = KRONOS_EPSILON, .y_f16 = f16 };
    rp_tensor *in[] = { x, b->m->norm }, *out[] = { y };
    rp_graph_add(b->g, RP_OP_RMSNORM, label, &p, sizeof p, in, out);
    return out[0];
}

void kronos_advance(kronos_builder *b, uint32_t what, uint32_t chunk_paths) {
    const struct rp_advance_params p = { what, chunk_paths };
    rp_tensor *in[] = { b->f->in.step }, *out[] = { b->f->in.step };
    rp_graph_add(b->g, RP_OP_ADVANCE, what == RP_ADVANCE_CHUNK ? "next chunk" : "advance", &p, sizeof p, in, out);
}

void kronos_slide(kronos_builder *b, const char *label, bool at_end, kronos_window *w) {
    const struct rp_slide_params p = { b->f->base.config.max_batch, b->f->window, at_end };
    rp_tensor *in[] = { b->f->in.n_bars, b->f->in.step }, *out[] = { w->n_tokens, w->first, w->own };
    rp_graph_add(b->g, RP_OP_SLIDE, label, &p, sizeof p, in, out);
    *w = (kronos_window){ out[0], out[1], out[2] };
}

// ---- blocks ----

static float scale_of(uint32_t d) { return (float)(1 / sqrt(d)); }
static float scale_rest_of(uint32_t d) { return (float)(1 / sqrt(d) - scale_of(d)); }

// What a block's attention keeps and reads.
rp_dtype kronos_keys_dtype(const kronos_part *c, const kronos_layer *w) {
    return rp_is_mixed(w->qkv_w) && c->width / c->heads % 4 == 0 ? RP_F16 : RP_F32;
}

rp_dtype kronos_cross_dtype(const kronos_model *m) {
    return rp_is_mixed(m->kv_w) && m->config.model.width / KRONOS_HEAD_HEADS % 4 == 0 ? RP_F16 : RP_F32;
}

// norm1, then q, k and v of each row.
static rp_tensor *project(kronos_builder *b, const char *name, uint32_t rows, const kronos_part *c, const kronos_layer *w, rp_tensor *x) {
    const uint32_t D = c->width;
#define LABEL(text) rp_arena_format(b->g->arena, "%s " text, name)
    const rp_product product = { .x = x, .w = w->qkv_w, .bias = w->qkv_b, .norm = w->norm1, .eps = KRONOS_EPSILON, .m = rows, .n = 3 * D, .k = D,
                                 .y_f16 = kronos_keys_dtype(c, w) == RP_F16 };
    return rp_product_add(b->g, LABEL("qkv"), LABEL("norm1"), &product);
}

// Those rotated; k and v to `own`. Returns q.
static rp_tensor *queries(kronos_builder *b, const char *name, const kronos_rows *r, const kronos_part *c, rp_tensor *rope, rp_tensor *qkv,
                          kronos_keys *own) {
    const struct rp_rope_half_params p = { r->B, r->S, r->n, c->heads, c->width / c->heads, r->cap, rope ? rope->shape[0] : 0, r->kind,
                                           qkv != NULL && qkv->dtype == RP_F16 };
    rp_tensor *in[] = { qkv, rope, r->window->n_tokens, b->f->in.step }, *out[] = { NULL, own->k, own->v };
    rp_graph_add(b->g, RP_OP_ROPE_HALF, LABEL("rope"), &p, sizeof p, in, out);
    *own = (kronos_keys){ out[1], out[2], own->kv };
    return out[0];
}

// What comes out is for a product with `w` to read; it goes to y, or where that is NULL to a new activation.
static rp_tensor *attend(kronos_builder *b, const char *label, const kronos_rows *r, uint32_t heads, uint32_t d, rp_tensor *q,
                         const kronos_keys *own, const kronos_keys *shared, const rp_tensor *w, rp_tensor *y) {
    const bool prompt = r->kind == RP_ROWS_PROMPT;
    const bool mixed = rp_is_mixed(w);
    const kronos_keys *prefix = prompt ? own : shared;
    const struct rp_attn_time_params p = { r->B, r->S, 1, r->n, heads, d, prompt ? r->cap : r->prefix, prompt ? 0 : r->cap, 0,
                                           scale_of(d), scale_rest_of(d), r->kind == RP_ROWS_OWN, mixed, mixed, q != NULL && q->dtype == RP_F16 };
    rp_tensor *in[] = { q, prefix->k, prefix->v, prompt ? NULL : own->k, prompt ? NULL : own->v, r->window->n_tokens, b->f->in.step };
    rp_tensor *out[] = { y };
    rp_graph_add(b->g, RP_OP_ATTN_TIME, label, &p, sizeof p, in, out);
    return out[0];
}

// One token of each path: rotation and attention in one launch. Devices without clusters take the prompt's keys for each path anew
// then, so that many paths are better off as products that share them; in float32, where attention has kernels for few that share them,
// they are so too.
static bool in_one_launch(const kronos_builder *b, const kronos_rows *r, uint32_t d, const rp_tensor *fresh) {
    const bool clusters = b->m->base.device->clusters;
    if (r->kind != RP_ROWS_STEP || fresh == NULL || d % 4 != 0) { return false; }
    return r->B * r->S <= (fresh->dtype == RP_F16 ? clusters ? RP_ATTN_STEP_MOST : RP_ATTN_FEW : clusters ? RP_ATTN_SHARED : 0);
}

// `turn`: the angles by which q and k of `fresh` turn; or, of as many positions 0, q, where `fresh` holds k and v alone.
static rp_tensor *attend_step(kronos_builder *b, const char *label, const kronos_rows *r, uint32_t heads, uint32_t d, uint32_t positions, rp_tensor *turn,
                              rp_tensor *fresh, const kronos_keys *own, const kronos_keys *shared) {
    const struct rp_attn_step_params p = { r->B, r->S, heads, d, r->prefix, r->cap, positions, scale_of(d), scale_rest_of(d),
                                           fresh->dtype == RP_F16 };
    rp_tensor *in[] = { fresh, turn, shared->kv, own->kv, r->window->n_tokens, b->f->in.step }, *out[] = { own->kv, NULL };
    rp_graph_add(b->g, RP_OP_ATTN_STEP, label, &p, sizeof p, in, out);
    return out[1];
}

// What a block does with x [rows, D] and what its attention gave.
static rp_tensor *add(kronos_builder *b, const char *name, uint32_t rows, const kronos_part *c, const kronos_layer *w, rp_tensor *x, rp_tensor *attended) {
    const uint32_t D = c->width, M = c->mlp;
    x = kronos_linear(b, LABEL("attention out"), attended, w->out_w, w->out_b, x, rows, D, D, NULL);
    const rp_product in = { .x = x, .w = w->w13, .norm = w->norm2, .eps = KRONOS_EPSILON, .m = rows, .n = 2 * M, .k = D, .gated = true,
                            .y_f16 = rp_is_mixed(w->w2) };
    rp_tensor *h = rp_product_add(b->g, LABEL("mlp in"), LABEL("norm2"), &in);
    return kronos_linear(b, LABEL("mlp out"), h, w->w2, NULL, x, rows, D, M, NULL);
}

rp_tensor *kronos_block(kronos_builder *b, const char *name, const kronos_rows *r, const kronos_part *c, const kronos_layer *w,
                        rp_tensor *rope, rp_tensor *x, kronos_keys *own, const kronos_keys *shared) {
    const uint32_t rows = kronos_count(r), d = c->width / c->heads;
    rp_tensor *a, *qkv = project(b, name, rows, c, w, x);
    if (in_one_launch(b, r, d, qkv)) {
        a = attend_step(b, LABEL("attention"), r, c->heads, d, rope ? rope->shape[0] : 0, rope, qkv, own, shared);
    } else {
        rp_tensor *q = queries(b, name, r, c, rope, qkv, own);
        a = attend(b, LABEL("attention"), r, c->heads, d, q, own, shared, w->out_w, NULL);
    }
    return add(b, name, rows, c, w, x, a);
}

rp_tensor *kronos_rows_of(kronos_builder *b, const kronos_both *r, bool own, rp_tensor *x) {
    const uint32_t first = own ? kronos_count(&r->shared) : 0, rows = kronos_count(own ? &r->own : &r->shared);
    rp_tensor *part = NULL;
    if (x != NULL) {
        const uint32_t width = (uint32_t)(rp_tensor_count(x) / kronos_count_both(r));
        part = rp_tensor_part(b->g->arena, x->name, RP_SHAPE(x->dtype, rows, width), x, (uint64_t)first * width * rp_dtype_size(x->dtype));
    }
    return kronos_made(b, part);
}

rp_tensor *kronos_block_both(kronos_builder *b, const char *name, const kronos_both *r, const kronos_part *c, const kronos_layer *w, rp_tensor *rope,
                             rp_tensor *x) {
    const uint32_t rows = kronos_count_both(r), d = c->width / c->heads;
    const char *of_shared = rp_arena_format(b->g->arena, "shared %s", name), *label = LABEL("attention");
    kronos_keys shared = { NULL, NULL, NULL }, own = { NULL, NULL, NULL };
    rp_tensor *qkv = project(b, name, rows, c, w, x);
    rp_tensor *a = rp_tensor_bind(b->g->arena, label, RP_SHAPE(rp_is_mixed(w->out_w) ? RP_F16 : RP_F32, rows, c->width), NULL, 0);
    // Both rotations first: what one attention leaves would be memory for the other pass, which would then come behind it.
    rp_tensor *q_shared = queries(b, of_shared, &r->shared, c, rope, kronos_rows_of(b, r, false, qkv), &shared);
    rp_tensor *q_own = queries(b, name, &r->own, c, rope, kronos_rows_of(b, r, true, qkv), &own);
    (void)attend(b, rp_arena_format(b->g->arena, "shared %s", label), &r->shared, c->heads, d, q_shared, &shared, NULL, w->out_w,
                 kronos_rows_of(b, r, false, a));
    (void)attend(b, label, &r->own, c->heads, d, q_own, &own, &shared, w->out_w, kronos_rows_of(b, r, true, a));
    return add(b, name, rows, c, w, x, a);
}

void kronos_block_keys(kronos_builder *b, const char *name, const kronos_rows *r, const kronos_part *c, const kronos_layer *w,
                       rp_tensor *rope, rp_tensor *x, kronos_keys *own) {
    (void)queries(b, name, r, c, rope, project(b, name, kronos_count(r), c, w, x), own);
}
#undef LABEL

// ---- tokens ----

rp_tensor *kronos_embed(kronos_builder *b, const kronos_rows *r, rp_tensor *tokens, bool s1_alone, rp_tensor *y) {
    const kronos_forecaster *f = b->f;
    const kronos_config *c = &b->m->config;
    const uint32_t H = f->base.config.max_horizon, n1 = 1u << c->s1_bits, n2 = 1u << c->s2_bits;
    const struct rp_embed_bars_params p = { r->B, r->S, r->n, r->kind == RP_ROWS_PROMPT ? f->bars : H, f->bars + H, r->kind, n1,
                                            n1 + n2, c->model.width, s1_alone };
    rp_tensor *in[] = { tokens, f->in.stamps, b->m->tokens, b->m->times, r->window->n_tokens, r->window->first, f->in.step };
    rp_tensor *out[] = { y };
    rp_graph_add(b->g, RP_OP_EMBED_BARS, "embedding", &p, sizeof p, in, out);
    return out[0];
}

rp_tensor *kronos_unpack(kronos_builder *b, const kronos_rows *r, rp_tensor *tokens) {
    const kronos_forecaster *f = b->f;
    const kronos_config *c = &b->m->config;
    const uint32_t bits = c->s1_bits + c->s2_bits;
    const struct rp_unpack_bits_params p = { r->B, r->S, r->n, r->kind == RP_ROWS_PROMPT ? f->bars : f->base.config.max_horizon, r->kind,
                                             c->s1_bits, c->s2_bits, scale_of(bits), scale_rest_of(bits) };
    rp_tensor *in[] = { tokens, r->window->n_tokens, r->window->first, f->in.step }, *out[] = { NULL };
    rp_graph_add(b->g, RP_OP_UNPACK_BITS, "token bits", &p, sizeof p, in, out);
    return kronos_linear(b, "bits to width", out[0], b->m->post_w, b->m->post_b, NULL, kronos_count(r), c->tokenizer.width, bits, NULL);
}

// p: which, one_row, series, y_f16 and moved. table: NULL, or of which a row for each token is returned; or added to y, if that is not NULL.
static rp_tensor *draw(kronos_builder *b, const char *label, const kronos_rows *r, const kronos_decode *d, struct rp_draw_token_params p,
                       rp_tensor *logits, rp_tensor *table, rp_tensor *y) {
    const kronos_forecaster *f = b->f;
    p.batch = r->B, p.paths = r->S, p.n = 1u << (p.which == 0 ? b->m->config.s1_bits : b->m->config.s2_bits);
    p.tokens_cap = f->base.config.max_horizon, p.window = f->window, p.width = table ? b->m->config.model.width : 0, p.adds = y != NULL;
    rp_tensor *in[] = { logits, f->in.settings, f->in.n_bars, f->in.series_ids, f->in.step, table }, *out[] = { d->tokens, y };
    rp_graph_add(b->g, RP_OP_DRAW_TOKEN, label, &p, sizeof p, in, out);
    return out[1];
}

static void tap(const kronos_forecaster *f, rp_tensor **slot, rp_tensor *tensor) {
    if (f->taps_wanted && tensor != NULL) { tensor->keep = true; }
    *slot = tensor;
}

// Keys and values of one bar of each path go to the cache of the cross-attention, where it does not put them there itself.
static void cache_cross(kronos_builder *b, const kronos_rows *r, rp_tensor *kv, const kronos_keys *own) {
    const struct rp_cache_kv_params p = { r->B * r->S, r->cap, b->m->config.model.width, kv != NULL && kv->dtype == RP_F16 };
    rp_tensor *in[] = { kv, b->f->in.step }, *out[] = { own->k, own->v };
    rp_graph_add(b->g, RP_OP_CACHE_KV, "cross-attention cache", &p, sizeof p, in, out);
}

void kronos_draw_bar(kronos_builder *b, const kronos_rows *r, const kronos_decode *d, uint32_t series, rp_tensor *c_last,
                     rp_tensor *s1_logits, bool one_row, rp_tensor *kv, const kronos_keys *shared, const kronos_keys *own, kronos_taps *taps) {
    const kronos_model *m = b->m;
    const uint32_t D = m->config.model.width, rows = r->B * r->S, heads = KRONOS_HEAD_HEADS;
    const bool joined = kv != NULL && in_one_launch(b, r, D / heads, kv), advances = series != RP_DRAW_SLIDING;
    kronos_rows one = *r;                // one query of each path, over all keys of its window
    one.n = 1, one.kind = RP_ROWS_STEP;
    if (kv != NULL && !joined) { cache_cross(b, r, kv, own); }
    const struct rp_draw_token_params first = { .which = 0, .one_row = one_row, .series = series, .y_f16 = kronos_cross_dtype(m) == RP_F16 };
    rp_tensor *query = draw(b, "draw s1", r, d, first, s1_logits, m->query, NULL);
    rp_tensor *a = joined ? attend_step(b, "cross-attention", r, heads, D / heads, 0, query, kv, own, shared)
                          : attend(b, "cross-attention", &one, heads, D / heads, query, own, shared, m->dep_out_w, NULL);
    rp_tensor *s2_rows = NULL;
    if (advances) {
        kronos_advance(b, RP_ADVANCE_STEP, 0);           // of the bar's launches that are left the last one alone asks for the step
        (void)kronos_embed(b, &one, d->tokens, true, d->drawn);
        const uint32_t n1 = 1u << m->config.s1_bits, n2 = 1u << m->config.s2_bits;
        s2_rows = kronos_made(b, rp_tensor_part(b->g->arena, "rows of s2", RP_SHAPE(RP_F32, n2, D), m->tokens, (uint64_t)n1 * D * 4));
    }
    rp_tensor *y = kronos_linear(b, "cross-attention out", a, m->dep_out_w, m->dep_out_b, c_last, rows, D, D, NULL);
    const rp_product product = { .x = y, .w = m->s2_w, .bias = m->s2_b, .norm = m->dep_norm, .eps = KRONOS_EPSILON, .m = rows,
                                 .n = 1u << m->config.s2_bits, .k = D };
    rp_tensor *s2_logits = rp_product_add(b->g, "s2 logits", "cross-attention norm", &product);
    const struct rp_draw_token_params second = { .which = 1, .series = series, .moved = advances };
    (void)draw(b, "draw s2", r, d, second, s2_logits, s2_rows, advances ? d->drawn : NULL);
    tap(b->f, &taps->s1, s1_logits);
    tap(b->f, &taps->s2, s2_logits);
}
