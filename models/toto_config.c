// Toto's config.json.
#include <math.h>
#include <string.h>

#include "toto.h"

// "<class 'model.scaler.StdMeanScaler'>" -> "StdMeanScaler"; the module in front does not count.
static void class_name(const char *text, char *out, size_t cap) {
    const char *start = text, *end = text + strlen(text);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '.' || (*at == '\'' && at[1] != '\0' && at[1] != '>')) { start = at + 1; }
    }
    while (end > start && (end[-1] == '>' || end[-1] == '\'')) { end--; }
    size_t n = (size_t)(end - start) < cap - 1 ? (size_t)(end - start) : cap - 1;
    memcpy(out, start, n);
    out[n] = '\0';
}

static rp_status read_scaler(const rp_config *file, toto_config *c, rp_error *error) {
    static const struct { const char *name; uint32_t kind; } kinds[] = {
        { "CausalPatchStdMeanScaler", RP_SCALER_CAUSAL_PATCH },
        { "CausalStdMeanScaler", RP_SCALER_CAUSAL },
        { "StdMeanScaler", RP_SCALER_GLOBAL },
    };
    const char *text;
    char name[64];
    RP_RETURN(rp_config_string(file, "scaler_cls", &text, error));
    class_name(text, name, sizeof name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            c->scaler = kinds[i].kind;
            double exponent;
            RP_RETURN(rp_config_bool_or(file, "stabilize_with_global", false, &c->clamp, error));
            RP_RETURN(rp_config_f64_or(file, "scale_factor_exponent", 0, 1000, 10, &exponent, error));
            c->factor = (float)pow(10, fmin(exponent, 30));   // beyond that no float32 series reaches the bounds
            return RP_OK;
        }
    }
    return rp_error_set(error, RP_UNSUPPORTED,
                        "config.json: scaler_cls is '%s'; known are CausalPatchStdMeanScaler, CausalStdMeanScaler and "
                        "StdMeanScaler.", name);
}

static rp_status read_output(const rp_config *file, toto_config *c, rp_error *error) {
    uint32_t count;
    char name[64];
    RP_RETURN(rp_config_strings(file, "output_distribution_classes", 1, 1, &count, error));
    class_name(rp_config_strings_get(file, "output_distribution_classes", 0), name, sizeof name);
    if (strcmp(name, "StudentTOutput") == 0) {
        c->components = 1;
        c->parts = 3;
        return RP_OK;
    }
    if (strcmp(name, "MixtureOfStudentTsOutput") == 0) {
        c->parts = 4;
        return rp_config_u32(file, "output_distribution_kwargs.k_components", 1, 256, &c->components, error);
    }
    return rp_error_set(error, RP_UNSUPPORTED,
                        "config.json: output_distribution_classes holds '%s'; known are MixtureOfStudentTsOutput and "
                        "StudentTOutput.", name);
}

rp_status toto_config_read(const rp_config *file, toto_config *c, rp_error *error) {
    uint32_t stride;
    double every;
    RP_RETURN(rp_config_u32(file, "patch_size", 1, 1024, &c->patch, error));
    RP_RETURN(rp_config_u32_or(file, "stride", 1, 1024, c->patch, &stride, error));
    RP_RETURN(rp_config_u32(file, "embed_dim", 2, 16384, &c->width, error));
    RP_RETURN(rp_config_u32(file, "num_layers", 1, 1024, &c->layers, error));
    RP_RETURN(rp_config_u32(file, "num_heads", 1, 1024, &c->heads, error));
    RP_RETURN(rp_config_u32(file, "mlp_hidden_dim", 1, 65536, &c->mlp, error));
    RP_RETURN(rp_config_f64(file, "spacewise_every_n_layers", -1, 1024, &every, error));
    RP_RETURN(rp_config_bool_or(file, "spacewise_first", false, &c->space_first, error));
    if (every != floor(every)) {
        return rp_error_set(error, RP_BAD_FILE, "config.json: spacewise_every_n_layers must be a whole number, -1 for none.");
    }
    c->every = every > 0 ? (uint32_t)every : 0;
    if (stride != c->patch) {
        return rp_error_set(error, RP_UNSUPPORTED, "config.json: stride is %u and patch_size %u; only equal ones can be forecast with.",
                            stride, c->patch);
    }
    if (c->width % c->heads != 0 || c->width / c->heads % 2 != 0) {
        return rp_error_set(error, RP_BAD_FILE, "config.json: embed_dim %u does not divide into %u heads of even width.", c->width, c->heads);
    }
    RP_RETURN(read_scaler(file, c, error));
    return read_output(file, c, error);
}

bool toto_layer_is_space(const toto_config *c, uint32_t layer) {
    return c->every > 0 && layer % c->every == (c->space_first ? 0 : c->every - 1);
}
