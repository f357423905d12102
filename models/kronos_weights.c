// Kronos' tensors: every name, shape and place. What follows a lookup and is linear is folded into the table when the model is
// loaded: fusion_proj into the token embeddings, q_proj of the cross-attention into those of s1.
//
// Precision mixed keeps as float16 what products read, and as float32 these: tables, of which rows are taken; the tokenizer's encoder,
// one pass for each series, because it ends in signs: operands rounded to 2^-11 move each value by some 5e-4 of the values'
// deviation, so of the 8000 bits of 400 bars two or three would turn, and with each a token (docs/performance-notes.md); and the
// few products of six columns or of a token's bits.
#include <math.h>
#include <string.h>

#include "kronos.h"
#include "loader.h"
#include "product.h"

typedef struct source {
    rp_loader *l;
    rp_weights *file;
    bool f16;                          // matrices are kept as float16
} source;

#define NAME(...) rp_arena_format(&s.l->arena, __VA_ARGS__)

static rp_shape matrix(source s, uint32_t rows, uint32_t columns) { return RP_SHAPE(s.f16 ? RP_F16 : RP_F32, rows, columns); }

// A whole tensor that a product reads.
static void want_matrix(source s, rp_tensor **slot, uint32_t rows, uint32_t columns, const char *name) {
    rp_loader_target_add(s.l, slot, false, name, matrix(s, rows, columns))->product = true;
    rp_loader_part_add(s.l, slot, 0, s.file, rows, columns, name);
}

// Two or three equal tensors of a file, one below the other. `names` holds a %s for the part.
static void want_stack(source s, rp_tensor **slot, const char *prefix, const char *const *parts, uint32_t n, const char *end,
                       uint32_t rows, uint32_t columns) {
    rp_loader_target_add(s.l, slot, false, NAME("%s%s..%s%s", prefix, parts[0], parts[n - 1], end),
                         columns ? matrix(s, n * rows, columns) : RP_SHAPE(RP_F32, n * rows))->product = columns > 0;
    for (uint32_t i = 0; i < n; i++) {
        rp_loader_part_add(s.l, slot, (uint64_t)i * rows * (columns ? columns : 1), s.file, rows, columns,
                           NAME("%s%s%s", prefix, parts[i], end));
    }
}

// w1 and w3 of an MLP, as a gated product takes them.
static void want_gate(source s, rp_tensor **slot, const char *mlp, uint32_t M, uint32_t D) {
    static const char *const gate[] = { "w1", "w3" };
    if (!rp_gate_turns(M)) {
        want_stack(s, slot, mlp, gate, 2, ".weight", M, D);
        return;
    }
    rp_loader_target_add(s.l, slot, false, NAME("%sw1..w3.weight", mlp), matrix(s, 2 * M, D))->product = true;
    rp_loader_part_add(s.l, slot, 0, s.file, M, D, NAME("%sw1.weight", mlp))->twin = NAME("%sw3.weight", mlp);
}

// The file's, which a BF16 file holds rounded: the model was run with them.
static rp_status read_inv_freq(source s, kronos_model *m, const char *name, uint32_t half, kronos_layer *t) {
    const rp_weight *have = name ? rp_weights_find(s.file, name) : NULL;
    t->inv_freq = rp_arena_alloc(&m->arena, half * sizeof *t->inv_freq);
    if (t->inv_freq == NULL || name == NULL) { return rp_fail(s.l->device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model."); }
    for (uint32_t j = 0; have == NULL && j < half; j++) { t->inv_freq[j] = pow(10000, -(double)j / half); }
    if (have == NULL) { return RP_OK; }
    if (have->n_dims != 1 || have->dims[0] != half || (have->dtype != RP_F64 && have->dtype != RP_F32 && have->dtype != RP_F16 &&
                                                       have->dtype != RP_BF16)) {
        return rp_fail(s.l->device, RP_BAD_FILE, "Tensor '%s' is not %u floating-point numbers, half a head's width.", name, half);
    }
    rp_error error;
    rp_status status = rp_weight_check_finite(have, &error);
    if (status != RP_OK) { return rp_fail(s.l->device, status, "%s", error.text); }
    rp_convert(t->inv_freq, RP_F64, have->data, have->dtype, half);
    return RP_OK;
}

static rp_status want_layer(source s, kronos_model *m, const kronos_part *c, const char *stack, uint32_t i, kronos_layer *t) {
    static const char *const qkv[] = { "q_proj", "k_proj", "v_proj" };
    const uint32_t D = c->width, M = c->mlp;
    const char *attention = NAME("%s.%u.self_attn.", stack, i), *mlp = NAME("%s.%u.ffn.", stack, i);
    if (attention == NULL || mlp == NULL) { return rp_fail(s.l->device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model."); }
    rp_loader_whole(s.l, &t->norm1, false, s.file, D, 0, NAME("%s.%u.norm1.weight", stack, i));
    rp_loader_whole(s.l, &t->norm2, false, s.file, D, 0, NAME("%s.%u.norm2.weight", stack, i));
    want_stack(s, &t->qkv_w, attention, qkv, 3, ".weight", D, D);
    want_stack(s, &t->qkv_b, attention, qkv, 3, ".bias", D, 0);
    want_matrix(s, &t->out_w, D, D, NAME("%sout_proj.weight", attention));
    rp_loader_whole(s.l, &t->out_b, false, s.file, D, 0, NAME("%sout_proj.bias", attention));
    want_gate(s, &t->w13, mlp, M, D);
    want_matrix(s, &t->w2, D, M, NAME("%sw2.weight", mlp));
    return read_inv_freq(s, m, NAME("%srotary.inv_freq", attention), D / c->heads / 2, t);
}

static rp_status want_layers(source s, kronos_model *m, const kronos_part *c, const char *stack, uint32_t n, kronos_layer **layers) {
    *layers = rp_arena_alloc(&m->arena, (n + 1) * sizeof **layers);
    if (*layers == NULL) { return rp_fail(s.l->device, RP_OUT_OF_MEMORY, "Host memory ran out while loading the model."); }
    for (uint32_t i = 0; i < n; i++) { RP_RETURN(want_layer(s, m, c, stack, i, &(*layers)[i])); }
    return RP_OK;
}

static void want_times(source s, kronos_model *m) {
    static const struct { const char *name; uint32_t first, rows; } fields[RP_BAR_STAMPS] = {
        { "minute", 0, 60 }, { "hour", RP_STAMP_HOUR, 24 }, { "weekday", RP_STAMP_WEEKDAY, 7 }, { "day", RP_STAMP_DAY, 32 },
        { "month", RP_STAMP_MONTH, 13 },
    };
    const uint32_t D = m->config.model.width;
    rp_loader_target_add(s.l, &m->times, false, "time embeddings", RP_SHAPE(RP_F32, RP_STAMP_ROWS, D));
    for (uint32_t i = 0; i < RP_BAR_STAMPS; i++) {
        rp_loader_part_add(s.l, &m->times, (uint64_t)fields[i].first * D, s.file, fields[i].rows, D,
                           NAME("time_emb.%s_embed.%sweight", fields[i].name, m->config.learned_times ? "" : "emb."));
    }
}

// What is only needed to fold.
typedef struct raw { rp_tensor *s1, *s2, *fuse1, *fuse2, *fuse_b, *q_w, *q_b; } raw;

static void want_fused(source s, kronos_model *m, raw *r) {
    const uint32_t D = m->config.model.width, n1 = 1u << m->config.s1_bits, n2 = 1u << m->config.s2_bits;
    rp_tensor **const halves[] = { &r->fuse1, &r->fuse2 };
    rp_loader_whole(s.l, &r->s1, true, s.file, n1, D, "embedding.emb_s1.weight");
    rp_loader_whole(s.l, &r->s2, true, s.file, n2, D, "embedding.emb_s2.weight");
    for (uint32_t i = 0; i < 2; i++) {      // fusion_proj [D, 2 D] by halves, with the embeddings' factor
        rp_loader_target_add(s.l, halves[i], true, "half of fusion_proj", RP_SHAPE(RP_F32, D, D));
        rp_loader_part *part = rp_loader_part_add(s.l, halves[i], 0, s.file, D, 2 * D, "embedding.fusion_proj.weight");
        part->column = i * D, part->columns = D, part->scale = sqrt(D);
    }
    rp_loader_whole(s.l, &r->fuse_b, true, s.file, D, 0, "embedding.fusion_proj.bias");
    rp_loader_whole(s.l, &r->q_w, true, s.file, D, D, "dep_layer.cross_attn.q_proj.weight");
    rp_loader_whole(s.l, &r->q_b, true, s.file, D, 0, "dep_layer.cross_attn.q_proj.bias");
    rp_loader_target_add(s.l, &m->tokens, false, "token tables", RP_SHAPE(RP_F32, n1 + n2, D));
    rp_loader_target_add(s.l, &m->query, false, "query table", RP_SHAPE(RP_F32, n1, D));
}

static rp_status want_model(source s, kronos_model *m, raw *r) {
    static const char *const kv[] = { "k_proj", "v_proj" };
    const uint32_t D = m->config.model.width, n1 = 1u << m->config.s1_bits, n2 = 1u << m->config.s2_bits;
    want_fused(s, m, r);
    want_times(s, m);
    RP_RETURN(want_layers(s, m, &m->config.model, "transformer", m->config.model.layers, &m->layers));
    rp_loader_whole(s.l, &m->norm, false, s.file, D, 0, "norm.weight");
    want_stack(s, &m->kv_w, "dep_layer.cross_attn.", kv, 2, ".weight", D, D);
    want_stack(s, &m->kv_b, "dep_layer.cross_attn.", kv, 2, ".bias", D, 0);
    want_matrix(s, &m->dep_out_w, D, D, "dep_layer.cross_attn.out_proj.weight");
    rp_loader_whole(s.l, &m->dep_out_b, false, s.file, D, 0, "dep_layer.cross_attn.out_proj.bias");
    rp_loader_whole(s.l, &m->dep_norm, false, s.file, D, 0, "dep_layer.norm.weight");
    want_matrix(s, &m->s1_w, n1, D, "head.proj_s1.weight");
    rp_loader_whole(s.l, &m->s1_b, false, s.file, n1, 0, "head.proj_s1.bias");
    want_matrix(s, &m->s2_w, n2, D, "head.proj_s2.weight");
    rp_loader_whole(s.l, &m->s2_b, false, s.file, n2, 0, "head.proj_s2.bias");
    return RP_OK;
}

static rp_status want_tokenizer(source s, kronos_model *m) {
    const kronos_part *c = &m->config.tokenizer;
    const uint32_t D = c->width, bits = m->config.s1_bits + m->config.s2_bits;
    const source exact = { s.l, s.file, false };
    want_matrix(exact, &m->embed_w, D, RP_BAR_COLUMNS, "embed.weight");
    rp_loader_whole(s.l, &m->embed_b, false, s.file, D, 0, "embed.bias");
    want_matrix(exact, &m->quant_w, bits, D, "quant_embed.weight");
    rp_loader_whole(s.l, &m->quant_b, false, s.file, bits, 0, "quant_embed.bias");
    want_matrix(exact, &m->post_w, D, bits, "post_quant_embed.weight");
    rp_loader_whole(s.l, &m->post_b, false, s.file, D, 0, "post_quant_embed.bias");
    want_matrix(exact, &m->head_w, RP_BAR_COLUMNS, D, "head.weight");
    rp_loader_whole(s.l, &m->head_b, false, s.file, RP_BAR_COLUMNS, 0, "head.bias");
    RP_RETURN(want_layers(exact, m, c, "encoder", c->layers, &m->encoder));
    return want_layers(s, m, c, "decoder", c->decoder_layers, &m->decoder);
}

// What published files hold beside what a forecast needs.
static bool spare(const char *name) {
    const size_t n = strlen(name), m = strlen(".inv_freq");
    return (n > m && strcmp(name + n - m, ".inv_freq") == 0) || strncmp(name, "tokenizer.", 10) == 0 ||
           strncmp(name, "post_quant_embed_pre.", 21) == 0;
}

static rp_status refuse_unused(const rp_loader *l, rp_weights *file, const char *what) {
    const char *name = rp_loader_unused(l, file, spare);
    if (name == NULL) { return RP_OK; }
    return rp_fail(l->device, RP_BAD_FILE, "Tensor '%s' is not one that a %s of Kronos has.", name, what);
}

static void multiply(rp_graph *g, const char *label, rp_tensor *x, rp_tensor *w, rp_tensor *bias, rp_tensor *y, uint32_t rows, uint32_t D) {
    const struct rp_linear_params p = { .m = rows, .n = D, .k = D, .has_bias = bias != NULL };
    rp_tensor *in[] = { x, w, bias, NULL, NULL, NULL }, *out[] = { y };
    rp_graph_add(g, RP_OP_LINEAR, label, &p, sizeof p, in, out);
}

static rp_status fold(rp_loader *l, kronos_model *m, const raw *r) {
    const uint32_t D = m->config.model.width, n1 = 1u << m->config.s1_bits, n2 = 1u << m->config.s2_bits;
    rp_graph *g = rp_graph_create(l->device, &l->arena, "fold");
    rp_tensor *s1 = rp_tensor_bind(&l->arena, "s1 table", RP_SHAPE(RP_F32, n1, D), m->tokens->buffer, m->tokens->offset);
    rp_tensor *s2 = rp_tensor_bind(&l->arena, "s2 table", RP_SHAPE(RP_F32, n2, D), m->tokens->buffer, m->tokens->offset + (uint64_t)n1 * D * 4);
    if (g == NULL || s1 == NULL || s2 == NULL) { return rp_fail(l->device, RP_OUT_OF_MEMORY, "Host memory ran out while folding tables."); }
    multiply(g, "s1 table", r->s1, r->fuse1, r->fuse_b, s1, n1, D);
    multiply(g, "s2 table", r->s2, r->fuse2, NULL, s2, n2, D);
    multiply(g, "query table", r->s1, r->q_w, r->q_b, m->query, n1, D);
    rp_plan *plan;
    RP_RETURN(rp_plan_create(g, &plan));
    return l->device->backend->run(l->device, plan);
}

static rp_status check_widths(const kronos_model *m) {
    const kronos_part *const parts[] = { &m->config.model, &m->config.tokenizer };
    for (uint32_t i = 0; i < 2; i++) {
        if (parts[i]->width % RP_LINEAR_MIXED_STEP == 0 && parts[i]->mlp % RP_LINEAR_GATE == 0) { continue; }
        return rp_fail(m->base.device, RP_UNSUPPORTED, "Precision mixed needs widths that are multiples of 8, not the %s's %u and %u; use f32.",
                       i == 0 ? "model" : "tokenizer", parts[i]->width, parts[i]->mlp);
    }
    return RP_OK;
}

rp_status kronos_weights_load(kronos_model *m, rp_weights *file, rp_weights *tokenizer) {
    rp_status status = RP_OK;
    rp_loader l = { 0 };
    raw r = { 0 };
    if (m->mixed) { RP_RETURN(check_widths(m)); }
    RP_TRY(rp_loader_begin(&l, m->base.device, &m->arena));
    RP_TRY(want_model((source){ &l, file, m->mixed }, m, &r));
    RP_TRY(want_tokenizer((source){ &l, tokenizer, m->mixed }, m));
    RP_TRY(rp_loader_run(&l, &m->base.weights));
    RP_TRY(refuse_unused(&l, file, "model"));
    RP_TRY(refuse_unused(&l, tokenizer, "tokenizer"));
    RP_TRY(fold(&l, m, &r));
    RP_TRY(rp_loader_pairs(&l));
    m->base.info.parameters = l.numbers;
    m->base.info.device_bytes = l.bytes;
cleanup:
    rp_loader_end(&l);
    return status;
}
