// Toto 2.0's tensors: names and shapes, and every factor of unit scaling folded into them on their way to the device. The spec,
// toto2.md section 1, has the factors.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "loader.h"
#include "toto2.h"

// What loading needs while it runs.
typedef struct source {
    rp_loader *l;
    rp_weights *file;
    toto2_model *m;
} source;

// The factor of silu in the residual MLPs: exp(0.8 ln sqrt(2 / (1 - 1 / pi)) + 0.2 ln 2).
static double silu_factor(void) { return exp(0.4 * log(2 / (1 - 1 / acos(-1.0))) + 0.2 * log(2)); }

static rp_status no_memory(const source *s) {
    return rp_fail(s->l->device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model.");
}

// ---- small tensors that are read on the host ----

// [count] numbers, or a scalar where count is 1; in the loader's arena.
static rp_status numbers(const source *s, const char *name, uint32_t count, const double **out) {
    rp_error error;
    const rp_weight *w = name ? rp_weights_find(s->file, name) : NULL;
    if (name == NULL) { return no_memory(s); }
    if (w == NULL) {
        return rp_fail(s->l->device, RP_BAD_FILE, "Tensor '%s' is missing. The checkpoint does not belong to this config.json.", name);
    }
    const bool floats = w->dtype == RP_F64 || w->dtype == RP_F32 || w->dtype == RP_F16 || w->dtype == RP_BF16;
    if (w->count != count || w->n_dims > 1 || !floats) {
        return rp_fail(s->l->device, RP_BAD_FILE, "Tensor '%s' is not floating-point [%u].", name, count);
    }
    rp_status status = rp_weight_check_finite(w, &error);
    if (status != RP_OK) { return rp_fail(s->l->device, status, "%s", error.text); }
    double *values = rp_arena_alloc(&s->l->arena, count * sizeof *values);
    if (values == NULL) { return no_memory(s); }
    rp_convert(values, RP_F64, w->data, w->dtype, count);
    *out = values;
    return RP_OK;
}

// The size of a tensor's dimension, for widths that config.json does not have.
static rp_status dimension(const source *s, const char *name, uint32_t dim, uint32_t *out) {
    const rp_weight *w = rp_weights_find(s->file, name);
    if (w == NULL || w->n_dims != 2 || w->dims[dim] == 0 || w->dims[dim] > 1u << 20) {
        return rp_fail(s->l->device, RP_BAD_FILE, "Tensor '%s' is missing or not a matrix. The checkpoint does not belong to this config.json.",
                       name);
    }
    *out = (uint32_t)w->dims[dim];
    return RP_OK;
}

// ---- the list ----

// What becomes of a linear layer on its way: weight and bias times these; all but fc1 and in_proj stop there.
typedef struct change {
    double scale, bias_scale;
    bool f16;                       // the weight
    bool swap;                      // rows (a, b) become the blocks of a gate, b first
    uint32_t to_rows, to_columns;   // on the device, zeros past the file's; 0: as many
    const double *row_scales;       // [d]: of the first n_row_scales rows, cycled; NULL: none
    uint32_t n_row_scales;
} change;

static void want_tensor(const source *s, rp_tensor **slot, const char *name, uint32_t rows, uint32_t columns, bool f16, double scale,
                        const change *ch) {
    const rp_dtype dtype = f16 ? RP_F16 : RP_F32;
    const uint32_t to_rows = ch->to_rows ? ch->to_rows : rows, to_columns = ch->to_columns ? ch->to_columns : columns;
    rp_loader_target_add(s->l, slot, false, name, columns ? RP_SHAPE(dtype, to_rows, to_columns) : RP_SHAPE(dtype, to_rows))->product = columns > 0;
    rp_loader_part *part = rp_loader_part_add(s->l, slot, 0, s->file, rows, columns, name);
    part->scale = scale;
    part->gate = ch->swap;
    part->to_rows = ch->to_rows, part->to_columns = columns ? ch->to_columns : 0;
    part->row_scales = ch->row_scales;
    part->n_row_scales = ch->row_scales ? ch->n_row_scales : 0;
    part->row_scale_cycle = toto2_head_width(&s->m->config);
}

// A linear layer; the bias where the file has one.
static void want(const source *s, toto2_linear *to, const char *name, uint32_t rows, uint32_t columns, const change *ch) {
    const char *w = name ? rp_arena_format(&s->l->arena, "%s.weight", name) : NULL;
    const char *b = name ? rp_arena_format(&s->l->arena, "%s.bias", name) : NULL;
    to->b = NULL;
    want_tensor(s, &to->w, w, rows, columns, ch->f16, ch->scale, ch);
    if (b != NULL && rp_weights_find(s->file, b) != NULL) { want_tensor(s, &to->b, b, rows, 0, false, ch->bias_scale, ch); }
}

// readout: the two that end the output head are divided by their fan-in, not by its root. Matrices whose rows are no whole pieces of
// float16 stay float32: those of small patches.
static void want_residual_mlp(const source *s, toto2_residual_mlp *to, const char *name, uint32_t in, uint32_t hidden, uint32_t out,
                              bool readout, bool f16) {
    const double first = 1 / sqrt(in), second = 1 / (readout ? (double)hidden : sqrt(hidden)), skip = 1 / (readout ? (double)in : sqrt(in));
    rp_arena *a = &s->l->arena;
    const bool in_f16 = f16 && in % RP_LINEAR_MIXED_STEP == 0;
    want(s, &to->first, rp_arena_format(a, "%s.linear1", name), hidden, in,
         &(change){ .scale = first, .bias_scale = first, .f16 = in_f16 });
    want(s, &to->second, rp_arena_format(a, "%s.linear2", name), out, hidden,
         &(change){ .scale = second * silu_factor() / sqrt(2), .bias_scale = second / sqrt(2), .f16 = f16 });
    want(s, &to->skip, rp_arena_format(a, "%s.skip_proj", name), out, in,
         &(change){ .scale = skip / sqrt(2), .bias_scale = skip / sqrt(2), .f16 = in_f16 });
}

static void want_norm(const source *s, rp_tensor **slot, const char *name) {
    if (s->m->config.norm_weight) { rp_loader_whole(s->l, slot, false, s->file, s->m->config.width, 0, name); }
}

// softplus(p) / ln 2 for each element of a head.
static rp_status head_scales(const source *s, const char *name, const double **out) {
    const uint32_t d = toto2_head_width(&s->m->config);
    const double *p;
    RP_RETURN(numbers(s, name, d, &p));
    double *scales = rp_arena_alloc(&s->l->arena, d * sizeof *scales);
    if (scales == NULL) { return no_memory(s); }
    for (uint32_t i = 0; i < d; i++) { scales[i] = (fmax(p[i], 0) + log1p(exp(-fabs(p[i])))) / log(2); }
    *out = scales;
    return RP_OK;
}

// The scale of q goes into its norm where there is one, else into the projection.
static rp_status want_attention(const source *s, toto2_layer *t, uint32_t i, double out_scale) {
    const toto2_config *c = &s->m->config;
    const uint32_t D = c->width, d = toto2_head_width(c), inner = c->heads * d;
    const double scale = 1 / sqrt(D), out = out_scale / sqrt(inner), *scales = NULL;
    rp_arena *a = &s->l->arena;
#define NAME(text) rp_arena_format(a, "transformer.layers.%u.attn." text, i)
    if (c->per_dim_scale && !c->qk_norm) { RP_RETURN(head_scales(s, NAME("_pds.per_dim_scale"), &scales)); }
    want(s, &t->qkv, NAME("in_proj"), inner + 2 * c->kv_heads * d, D,
         &(change){ .scale = scale, .bias_scale = scale, .f16 = s->m->mixed, .row_scales = scales, .n_row_scales = inner });
    want(s, &t->out, NAME("out_proj"), D, inner, &(change){ .scale = out, .bias_scale = out, .f16 = s->m->mixed });
    t->qk_scale = NULL;
    if (c->qk_norm) { rp_loader_target_add(s->l, &t->qk_scale, false, NAME("norms of q and k"), RP_SHAPE(RP_F32, 2, d)); }
#undef NAME
    return RP_OK;
}

static rp_status want_layer(const source *s, uint32_t i, double *scale) {
    const toto2_config *c = &s->m->config;
    toto2_layer *t = &s->m->layers[i];
    const double *attn_tau, *mlp_tau;
    rp_arena *a = &s->l->arena;
#define NAME(text) rp_arena_format(a, "transformer.layers.%u." text, i)
    RP_RETURN(numbers(s, NAME("attn_tau"), 1, &attn_tau));
    RP_RETURN(numbers(s, NAME("mlp_tau"), 1, &mlp_tau));
    t->eps1 = (float)(c->eps * *scale * *scale);
    RP_RETURN(want_attention(s, t, i, *scale * *attn_tau));
    *scale *= sqrt(1 + *attn_tau * *attn_tau);
    t->eps2 = (float)(c->eps * *scale * *scale);
    // fc1 gives (a, b) for a silu(b); the ops take silu's half first.
    const double fc1 = 1 / sqrt(c->width), fc2 = *scale * *mlp_tau / sqrt(c->mlp);
    const uint32_t mlp = toto2_mlp_width(c);
    want(s, &t->fc1, NAME("ffn.fc1"), 2 * c->mlp, c->width,
         &(change){ .scale = fc1, .bias_scale = fc1, .f16 = s->m->mixed, .swap = true, .to_rows = 2 * mlp });
    want(s, &t->fc2, NAME("ffn.fc2"), c->width, c->mlp, &(change){ .scale = fc2, .bias_scale = fc2, .f16 = s->m->mixed, .to_columns = mlp });
    *scale *= sqrt(1 + *mlp_tau * *mlp_tau);
    t->scale = *scale;
    t->norm1 = t->norm2 = NULL;
    want_norm(s, &t->norm1, NAME("norm1.weight"));
    want_norm(s, &t->norm2, NAME("norm2.weight"));
#undef NAME
    return RP_OK;
}

static rp_status want_all(const source *s) {
    toto2_config *c = &s->m->config;
    double scale = 1;
    RP_RETURN(dimension(s, "patch_proj.linear1.weight", 0, &c->embed_hidden));
    RP_RETURN(dimension(s, "output_head.param_projection.proj.linear1.weight", 0, &c->head_hidden));
    RP_RETURN(dimension(s, "transformer.layers.0.ffn.fc2.weight", 1, &c->mlp));
    if (s->m->mixed && (c->width % RP_LINEAR_MIXED_STEP || c->embed_hidden % RP_LINEAR_MIXED_STEP ||
                        c->head_hidden % RP_LINEAR_MIXED_STEP)) {
        return rp_fail(s->l->device, RP_UNSUPPORTED, "Precision mixed needs widths that are multiples of 8, not %u, %u and %u; use f32.",
                       c->width, c->embed_hidden, c->head_hidden);
    }
    want_residual_mlp(s, &s->m->embed, "patch_proj", 2 * c->patch, c->embed_hidden, c->width, false, s->m->mixed);
    for (uint32_t i = 0; i < c->layers; i++) { RP_RETURN(want_layer(s, i, &scale)); }
    s->m->out_eps = (float)(c->eps * scale * scale);
    want_norm(s, &s->m->out_norm, "transformer.out_norm.weight");
    if (!c->norm_weight) { rp_loader_target_add(s->l, &s->m->ones, false, "ones", RP_SHAPE(RP_F32, c->width)); }
    want_residual_mlp(s, &s->m->head, "output_head.param_projection.proj", c->width, c->head_hidden, c->patch * RP_BLOCK_QUANTILES, true,
                      s->m->mixed);
    return s->l->status;
}

// ---- what no part of a file fills ----

static rp_status write_ones(const source *s) {
    const uint32_t D = s->m->config.width;
    double *ones = rp_arena_alloc(&s->l->arena, D * sizeof *ones);
    if (ones == NULL) { return no_memory(s); }
    for (uint32_t i = 0; i < D; i++) { ones[i] = 1; }
    s->m->out_norm = s->m->ones;
    for (uint32_t i = 0; i < s->m->config.layers; i++) { s->m->layers[i].norm1 = s->m->layers[i].norm2 = s->m->ones; }
    return s->l->device->backend->write(s->m->ones->buffer, s->m->ones->offset, RP_F32, ones, RP_F64, D);
}

static rp_status write_qk_scale(const source *s, uint32_t i) {
    const toto2_config *c = &s->m->config;
    const uint32_t d = toto2_head_width(c);
    const rp_tensor *to = s->m->layers[i].qk_scale;
    const double *q = NULL, *k = NULL, *scales = NULL;
    rp_arena *a = &s->l->arena;
    double *both = rp_arena_alloc(a, 2 * (size_t)d * sizeof *both);
    if (both == NULL) { return no_memory(s); }
#define NAME(text) rp_arena_format(a, "transformer.layers.%u.attn." text, i)
    if (c->norm_weight) {
        RP_RETURN(numbers(s, NAME("q_norm.weight"), d, &q));
        RP_RETURN(numbers(s, NAME("k_norm.weight"), d, &k));
    }
    if (c->per_dim_scale) { RP_RETURN(head_scales(s, NAME("_pds.per_dim_scale"), &scales)); }
#undef NAME
    for (uint32_t j = 0; j < d; j++) {
        both[j] = (q ? q[j] : 1) * (scales ? scales[j] : 1);
        both[d + j] = k ? k[j] : 1;
    }
    return s->l->device->backend->write(to->buffer, to->offset, RP_F32, both, RP_F64, 2 * (uint64_t)d);
}

// Tensors that are read above and become part of others.
static bool spare(const char *name) {
    static const char *const ends[] = { ".attn_tau", ".mlp_tau", "._pds.per_dim_scale", ".q_norm.weight", ".k_norm.weight" };
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t m = strlen(ends[i]);
        if (n > m && strcmp(name + n - m, ends[i]) == 0) { return true; }
    }
    return false;
}

rp_status toto2_weights_load(toto2_model *model, rp_weights *file) {
    rp_status status = RP_OK;
    rp_loader l = { 0 };
    const source s = { &l, file, model };
    const toto2_config *c = &model->config;
    RP_TRY(rp_loader_begin(&l, model->base.device, &model->arena));
    model->layers = rp_arena_alloc(&model->arena, c->layers * sizeof *model->layers);
    RP_TRY(model->layers != NULL ? RP_OK : no_memory(&s));
    RP_TRY(want_all(&s));
    RP_TRY(rp_loader_run(&l, &model->base.weights));
    const char *unused = rp_loader_unused(&l, file, spare);
    if (unused != NULL) {
        status = rp_fail(l.device, RP_BAD_FILE, "Tensor '%s' is not one that Toto 2.0 has with this config.json.", unused);
        goto cleanup;
    }
    if (!c->norm_weight) { RP_TRY(write_ones(&s)); }
    RP_TRY(rp_loader_pairs(&l));
    for (uint32_t i = 0; i < c->layers && c->qk_norm; i++) { RP_TRY(write_qk_scale(&s, i)); }
    for (uint32_t i = 0; i < rp_weights_count(file); i++) { model->base.info.parameters += rp_weights_get(file, i)->count; }
    model->base.info.device_bytes = l.bytes;
cleanup:
    rp_loader_end(&l);
    return status;
}
