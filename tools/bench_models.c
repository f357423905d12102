// The published checkpoints that `reprise bench` makes for itself: sizes, tensors and config.json of each family, as
// tests/make_checkpoint.py has them. A family is a function that lists tensors; a size is a row.
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench_weights.h"
#include "family.h"

// ---- what families share ----

typedef struct prefix { char text[64]; } prefix;

static prefix named(const char *format, ...) {
    prefix p;
    va_list args;
    va_start(args, format);
    vsnprintf(p.text, sizeof p.text, format, args);
    va_end(args);
    return p;
}

static void bias(weights_list *l, const char *name, uint32_t n) { weights_list_add(l, FILL_RANDOM, 0, 0.05f, n, 0, "%s", name); }
static void norm(weights_list *l, const char *name, uint32_t n) { weights_list_add(l, FILL_RANDOM, 1, 0.1f, n, 0, "%s", name); }

static void matrix(weights_list *l, const char *name, uint32_t out, uint32_t in, float std, bool has_bias) {
    weights_list_add(l, FILL_RANDOM, 0, std, out, in, "%s.weight", name);
    if (has_bias) { bias(l, named("%s.bias", name).text, out); }
}

// Rows of variance 1 / fan_in keep the size of what they multiply.
static float unit(uint32_t in) { return 1 / sqrtf((float)in); }

static void linear(weights_list *l, const char *name, uint32_t out, uint32_t in) { matrix(l, name, out, in, unit(in), true); }
static void plain(weights_list *l, const char *name, uint32_t out, uint32_t in) { matrix(l, name, out, in, unit(in), false); }

// ---- Toto 1.0 ----

typedef struct toto_sizes { uint32_t patch, width, layers, heads, mlp, every, components; } toto_sizes;

static void list_toto(const void *sizes, weights_list *l) {
    const toto_sizes *s = sizes;
    const uint32_t D = s->width, k = s->components;
    snprintf(l->config, sizeof l->config,
             "{\n  \"patch_size\": %u,\n  \"stride\": %u,\n  \"embed_dim\": %u,\n  \"num_layers\": %u,\n  \"num_heads\": %u,\n"
             "  \"mlp_hidden_dim\": %u,\n  \"dropout\": 0.1,\n  \"spacewise_every_n_layers\": %u,\n"
             "  \"scaler_cls\": \"<class 'model.scaler.CausalPatchStdMeanScaler'>\",\n"
             "  \"output_distribution_classes\": [\"<class 'model.distribution.MixtureOfStudentTsOutput'>\"],\n"
             "  \"spacewise_first\": false,\n  \"output_distribution_kwargs\": { \"k_components\": %u },\n"
             "  \"use_memory_efficient_attention\": true,\n  \"stabilize_with_global\": true,\n  \"scale_factor_exponent\": 10.0\n}\n",
             s->patch, s->patch, D, s->layers, s->heads, s->mlp, s->every, k);
    linear(l, "model.patch_embed.projection", D, s->patch);
    for (uint32_t i = 0; i < s->layers; i++) {
        const prefix p = named("model.transformer.layers.%u", i);
        norm(l, named("%s.norm1.scale", p.text).text, D);
        norm(l, named("%s.norm2.scale", p.text).text, D);
        linear(l, named("%s.attention.wQKV", p.text).text, 3 * D, D);
        linear(l, named("%s.attention.wO", p.text).text, D, D);
        linear(l, named("%s.mlp.0.w12", p.text).text, 2 * s->mlp, D);
        linear(l, named("%s.mlp.0.w3", p.text).text, D, s->mlp);
    }
    linear(l, "model.unembed", D * s->patch, D);
    linear(l, "model.output_distribution.df", k, D);
    linear(l, "model.output_distribution.loc_proj", k, D);
    linear(l, "model.output_distribution.scale_proj", k, D);
    linear(l, "model.output_distribution.mixture_weights", k, D);
}

// ---- Kronos and its tokenizer ----

static void four(weights_list *l, const char *attention, uint32_t D) {
    static const char *const names[] = { "q_proj", "k_proj", "v_proj", "out_proj" };
    for (size_t i = 0; i < 4; i++) { linear(l, named("%s.%s", attention, names[i]).text, D, D); }
}

static void block(weights_list *l, const char *p, uint32_t D, uint32_t heads, uint32_t mlp) {
    norm(l, named("%s.norm1.weight", p).text, D);
    norm(l, named("%s.norm2.weight", p).text, D);
    four(l, named("%s.self_attn", p).text, D);
    weights_list_add(l, FILL_FREQUENCIES, 0, 0, D / heads / 2, 0, "%s.self_attn.rotary.inv_freq", p);
    plain(l, named("%s.ffn.w1", p).text, mlp, D);
    plain(l, named("%s.ffn.w3", p).text, mlp, D);
    plain(l, named("%s.ffn.w2", p).text, D, mlp);
}

typedef struct kronos_sizes { uint32_t s1_bits, s2_bits, layers, width, heads, mlp; } kronos_sizes;

static void list_kronos(const void *sizes, weights_list *l) {
    static const struct { const char *name; uint32_t n; } times[] = {
        { "minute", 60 }, { "hour", 24 }, { "weekday", 7 }, { "day", 32 }, { "month", 13 },
    };
    const kronos_sizes *s = sizes;
    const uint32_t D = s->width;
    snprintf(l->config, sizeof l->config,
             "{\n  \"s1_bits\": %u,\n  \"s2_bits\": %u,\n  \"n_layers\": %u,\n  \"d_model\": %u,\n  \"n_heads\": %u,\n  \"ff_dim\": %u,\n"
             "  \"ffn_dropout_p\": 0.2,\n  \"attn_dropout_p\": 0.0,\n  \"resid_dropout_p\": 0.2,\n  \"token_dropout_p\": 0.0,\n"
             "  \"learn_te\": true\n}\n", s->s1_bits, s->s2_bits, s->layers, D, s->heads, s->mlp);
    plain(l, "embedding.emb_s1", 1u << s->s1_bits, D);
    plain(l, "embedding.emb_s2", 1u << s->s2_bits, D);
    linear(l, "embedding.fusion_proj", D, 2 * D);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) { plain(l, named("time_emb.%s_embed", times[i].name).text, times[i].n, D); }
    for (uint32_t i = 0; i < s->layers; i++) { block(l, named("transformer.%u", i).text, D, s->heads, s->mlp); }
    norm(l, "norm.weight", D);
    four(l, "dep_layer.cross_attn", D);
    weights_list_add(l, FILL_FREQUENCIES, 0, 0, D / 4 / 2, 0, "dep_layer.cross_attn.rotary.inv_freq");   // four heads, whatever the model's
    norm(l, "dep_layer.norm.weight", D);
    linear(l, "head.proj_s1", 1u << s->s1_bits, D);
    linear(l, "head.proj_s2", 1u << s->s2_bits, D);
}

typedef struct tokenizer_sizes { uint32_t s1_bits, s2_bits, width, heads, mlp, encoder, decoder, group; } tokenizer_sizes;

static void list_tokenizer(const void *sizes, weights_list *l) {
    const tokenizer_sizes *s = sizes;
    const uint32_t D = s->width, bits = s->s1_bits + s->s2_bits, columns = 6;
    snprintf(l->config, sizeof l->config,
             "{\n  \"d_in\": %u,\n  \"d_model\": %u,\n  \"n_heads\": %u,\n  \"ff_dim\": %u,\n  \"n_enc_layers\": %u,\n  \"n_dec_layers\": %u,\n"
             "  \"ffn_dropout_p\": 0.0,\n  \"attn_dropout_p\": 0.0,\n  \"resid_dropout_p\": 0.0,\n  \"s1_bits\": %u,\n  \"s2_bits\": %u,\n"
             "  \"beta\": 0.05,\n  \"gamma0\": 1.0,\n  \"gamma\": 1.1,\n  \"zeta\": 0.05,\n  \"group_size\": %u\n}\n",
             columns, D, s->heads, s->mlp, s->encoder, s->decoder, s->s1_bits, s->s2_bits, s->group);
    linear(l, "embed", D, columns);
    linear(l, "head", columns, D);
    // The original counts one more layer than it has.
    for (uint32_t i = 0; i + 1 < s->encoder; i++) { block(l, named("encoder.%u", i).text, D, s->heads, s->mlp); }
    for (uint32_t i = 0; i + 1 < s->decoder; i++) { block(l, named("decoder.%u", i).text, D, s->heads, s->mlp); }
    linear(l, "quant_embed", bits, D);
    linear(l, "post_quant_embed_pre", D, s->s1_bits);
    linear(l, "post_quant_embed", D, bits);
    weights_list_add(l, FILL_POWERS, 0, 0, bits, 0, "tokenizer.bsq.basis");
    weights_list_add(l, FILL_POWERS, 0, 0, s->group, 0, "tokenizer.bsq.group_basis");
}

// ---- Toto 2.0 ----

typedef struct toto2_sizes { uint32_t width, mlp, heads, layers; const char *eps; } toto2_sizes;

#define TOTO2_PATCH 32u
#define TOTO2_RATIO 5.136215466577748   // residual_attn_ratio of every published size
#define TOTO2_MULT 0.75                 // residual_mult

// Unit-scaled: weights have variance 1, the model divides by the root of the fan-in.
static void unit_scaled(weights_list *l, const char *name, uint32_t out, uint32_t in, bool has_bias) { matrix(l, name, out, in, 1, has_bias); }

static void residual_mlp(weights_list *l, const char *p, uint32_t in, uint32_t hidden, uint32_t out) {
    unit_scaled(l, named("%s.linear1", p).text, hidden, in, true);
    unit_scaled(l, named("%s.linear2", p).text, out, hidden, true);
    unit_scaled(l, named("%s.skip_proj", p).text, out, in, true);
}

// The residual weight of half-layer i: from the depth alone.
static void tau(weights_list *l, const char *name, uint32_t i, uint32_t layers) {
    const double mlp = TOTO2_MULT * sqrt(2 / (1 + TOTO2_RATIO * TOTO2_RATIO)), attention = TOTO2_RATIO * mlp;
    const double before = layers + (i + 1) / 2 * attention * attention + i / 2 * mlp * mlp;
    weights_list_add(l, FILL_CONSTANT, (float)((i % 2 == 0 ? attention : mlp) / sqrt(before)), 0, 0, 0, "%s", name);
}

static void list_toto2(const void *sizes, weights_list *l) {
    const toto2_sizes *s = sizes;
    const uint32_t D = s->width, head = D / s->heads;
    snprintf(l->config, sizeof l->config,
             "{\n  \"patch_size\": %u,\n  \"d_model\": %u,\n  \"num_heads\": %u,\n  \"num_layers\": %u,\n  \"layer_group_size\": %u,\n"
             "  \"num_variate_layers_per_group\": 1,\n  \"variate_layer_first\": false,\n  \"residual_attn_ratio\": %.16g,\n"
             "  \"d_ff\": %u,\n  \"norm_eps\": %s,\n  \"attn_bias\": true,\n  \"mlp_bias\": false,\n  \"qk_norm\": false,\n"
             "  \"per_dim_scale\": true,\n  \"use_xpos\": true,\n  \"residual_mult\": %g\n}\n",
             TOTO2_PATCH, D, s->heads, s->layers, s->layers, TOTO2_RATIO, s->mlp, s->eps, TOTO2_MULT);
    residual_mlp(l, "patch_proj", 2 * TOTO2_PATCH, 4 * D, D);
    for (uint32_t i = 0; i < s->layers; i++) {
        const prefix p = named("transformer.layers.%u", i);
        tau(l, named("%s.attn_tau", p.text).text, 2 * i, s->layers);
        tau(l, named("%s.mlp_tau", p.text).text, 2 * i + 1, s->layers);
        unit_scaled(l, named("%s.attn.in_proj", p.text).text, 3 * D, D, true);
        unit_scaled(l, named("%s.attn.out_proj", p.text).text, D, D, true);
        bias(l, named("%s.attn._pds.per_dim_scale", p.text).text, head);
        unit_scaled(l, named("%s.ffn.fc1", p.text).text, 2 * s->mlp, D, false);
        unit_scaled(l, named("%s.ffn.fc2", p.text).text, D, s->mlp, false);
    }
    residual_mlp(l, "output_head.param_projection.proj", D, 4 * D, 9 * TOTO2_PATCH);   // nine quantiles of each step
}

// ---- the table ----

#define TOTO(...) { { "", list_toto, &(const toto_sizes){ __VA_ARGS__ }, 0 } }
#define TOTO2(...) { { "", list_toto2, &(const toto2_sizes){ __VA_ARGS__ }, 0 } }
#define KRONOS(tokenizer, ...) { { "model", list_kronos, &(const kronos_sizes){ __VA_ARGS__ }, 0 }, { "tokenizer", list_tokenizer, &tokenizer, 1 } }

static const tokenizer_sizes tokenizer_base = { 10, 10, 256, 4, 512, 4, 4, 4 }, tokenizer_2k = { 10, 10, 256, 4, 512, 4, 4, 5 },
                             tokenizer_tiny = { 5, 5, 40, 4, 80, 3, 3, 5 };

const published_model published_models[] = {
    { "toto-base", "toto", 768, 12, false, 3e-4, 2.8e-1, TOTO(64, 768, 12, 12, 3072, 12, 24) },
    { "kronos-small", "kronos", 512, 8, false, 1e-5, 8.2e-2, KRONOS(tokenizer_base, 10, 10, 8, 512, 8, 1024) },
    { "kronos-base", "kronos", 832, 12, false, 1e-5, 8.2e-2, KRONOS(tokenizer_base, 10, 10, 12, 832, 16, 2048) },
    { "kronos-mini", "kronos", 256, 4, false, 1e-5, 8.2e-2, KRONOS(tokenizer_2k, 10, 10, 4, 256, 4, 512) },
    { "toto2-22m", "toto2", 512, 6, true, 0, 0, TOTO2(512, 1368, 8, 6, "0.0001") },
    { "toto2-313m", "toto2", 1024, 24, true, 0, 0, TOTO2(1024, 2736, 16, 24, "0.0001") },
    { "toto2-1b", "toto2", 1536, 36, true, 0, 0, TOTO2(1536, 4096, 24, 36, "0.0005") },
    { "toto2-2.5b", "toto2", 2048, 48, true, 0, 0, TOTO2(2048, 5464, 32, 48, "0.0005") },
    // Small ones, to try the program with.
    { "toto-tiny", "toto", 48, 4, false, 1e-4, 2.7e-1, TOTO(16, 48, 4, 4, 96, 4, 5) },
    { "kronos-tiny", "kronos", 48, 3, false, 1e-5, 8.2e-2, KRONOS(tokenizer_tiny, 5, 5, 3, 48, 4, 96) },
    { "toto2-4m", "toto2", 256, 4, true, 0, 0, TOTO2(256, 688, 4, 4, "0.0001") },
    { 0 },
};

const published_model *published_model_find(const char *name) {
    for (const published_model *m = published_models; m->name != NULL; m++) {
        if (strcmp(m->name, name) == 0) { return m; }
    }
    return NULL;
}

const published_model *published_model_like(const char *family, uint32_t width, uint32_t layers) {
    for (const published_model *m = published_models; m->name != NULL; m++) {
        if (strcmp(m->family, family) == 0 && m->width == width && m->layers == layers) { return m; }
    }
    return NULL;
}

bool published_model_is_read(const published_model *model) {
    weights_list list = { 0 };
    rp_config *config = NULL;
    rp_error error;
    model->parts[0].list(model->parts[0].sizes, &list);
    const bool parsed = rp_config_parse(list.config, strlen(list.config), model->name, &config, &error) == RP_OK;
    const rp_family *family = parsed ? rp_family_find(config) : NULL;
    const bool read = family != NULL && strcmp(family->name, model->family) == 0;
    rp_config_close(config);
    weights_list_free(&list);
    return read;
}
