// The two config.json of Kronos: the model's and its tokenizer's.
#include "kronos.h"

#define WINDOW_2K 2048u   // Kronos-mini with Kronos-Tokenizer-2k, which is told by its group_size
#define GROUP_2K 5u
#define WINDOW_BASE 512u

static rp_status read_stack(const rp_config *file, const char *whose, kronos_part *p, rp_error *error) {
    RP_RETURN(rp_config_u32(file, "d_model", 4, 16384, &p->width, error));
    RP_RETURN(rp_config_u32(file, "n_heads", 1, 1024, &p->heads, error));
    RP_RETURN(rp_config_u32(file, "ff_dim", 1, 65536, &p->mlp, error));
    if (p->width % p->heads != 0 || p->width / p->heads % 2 != 0) {
        return rp_error_set(error, RP_BAD_FILE, "The %s's config.json: d_model %u does not divide into %u heads of even width.", whose,
                            p->width, p->heads);
    }
    return RP_OK;
}

static rp_status read_tokenizer(const rp_config *file, kronos_config *c, rp_error *error) {
    uint32_t columns, s1_bits, s2_bits, group;
    RP_RETURN(read_stack(file, "tokenizer", &c->tokenizer, error));
    RP_RETURN(rp_config_u32(file, "d_in", 1, 1024, &columns, error));
    RP_RETURN(rp_config_u32(file, "n_enc_layers", 1, 1024, &c->tokenizer.layers, error));
    RP_RETURN(rp_config_u32(file, "n_dec_layers", 1, 1024, &c->tokenizer.decoder_layers, error));
    RP_RETURN(rp_config_u32(file, "s1_bits", 1, 32, &s1_bits, error));
    RP_RETURN(rp_config_u32(file, "s2_bits", 1, 32, &s2_bits, error));
    RP_RETURN(rp_config_u32_or(file, "group_size", 1, 1024, 0, &group, error));
    c->tokenizer.layers--, c->tokenizer.decoder_layers--;   // the numbers count one more than there are blocks
    c->window = group == GROUP_2K ? WINDOW_2K : WINDOW_BASE;
    if (columns != RP_BAR_COLUMNS) {
        return rp_error_set(error, RP_UNSUPPORTED, "The tokenizer's config.json: d_in is %u; a bar has 6 numbers.", columns);
    }
    if (s1_bits != c->s1_bits || s2_bits != c->s2_bits) {
        return rp_error_set(error, RP_BAD_FILE,
                            "The model has tokens of %u + %u bits, its tokenizer of %u + %u. They do not belong together: name the "
                            "tokenizer that the model was trained with.", c->s1_bits, c->s2_bits, s1_bits, s2_bits);
    }
    return RP_OK;
}

rp_status kronos_config_read(const rp_config *model, const rp_config *tokenizer, kronos_config *c, rp_error *error) {
    RP_RETURN(read_stack(model, "model", &c->model, error));
    RP_RETURN(rp_config_u32(model, "n_layers", 1, 1024, &c->model.layers, error));
    RP_RETURN(rp_config_u32(model, "s1_bits", 1, 32, &c->s1_bits, error));
    RP_RETURN(rp_config_u32(model, "s2_bits", 1, 32, &c->s2_bits, error));
    RP_RETURN(rp_config_bool_or(model, "learn_te", true, &c->learned_times, error));
    if (c->model.width % KRONOS_HEAD_HEADS != 0) {
        return rp_error_set(error, RP_BAD_FILE, "The model's config.json: d_model %u does not divide into the 4 heads of the "
                            "cross-attention.", c->model.width);
    }
    if ((1ull << c->s1_bits) > RP_DRAW_MAX || (1ull << c->s2_bits) > RP_DRAW_MAX) {
        return rp_error_set(error, RP_UNSUPPORTED, "The model's config.json: tokens of %u + %u bits; this version draws among at most "
                            "%u.", c->s1_bits, c->s2_bits, RP_DRAW_MAX);
    }
    return read_tokenizer(tokenizer, c, error);
}
