// Toto 2.0's config.json.
#include "toto2.h"

static rp_status read_options(const rp_config *file, toto2_config *c, rp_error *error) {
    uint32_t outputs;
    RP_RETURN(rp_config_f64_or(file, "norm_eps", 0, 1, 5e-5, &c->eps, error));
    RP_RETURN(rp_config_bool_or(file, "norm_include_weight", false, &c->norm_weight, error));
    RP_RETURN(rp_config_bool_or(file, "qk_norm", true, &c->qk_norm, error));
    RP_RETURN(rp_config_bool_or(file, "per_dim_scale", false, &c->per_dim_scale, error));
    RP_RETURN(rp_config_bool_or(file, "use_xpos", false, &c->xpos, error));
    RP_RETURN(rp_config_u32_or(file, "num_output_patches", 0, 65536, 1, &outputs, error));
    if (outputs != 1) {
        return rp_error_set(error, RP_UNSUPPORTED,
                            "config.json: num_output_patches is %u; only models that predict one patch at a time can be forecast with.",
                            outputs);
    }
    return RP_OK;
}

rp_status toto2_config_read(const rp_config *file, toto2_config *c, rp_error *error) {
    RP_RETURN(rp_config_u32(file, "patch_size", 1, 1024, &c->patch, error));
    RP_RETURN(rp_config_u32(file, "d_model", 4, 16384, &c->width, error));
    RP_RETURN(rp_config_u32(file, "num_layers", 1, 1024, &c->layers, error));
    RP_RETURN(rp_config_u32(file, "num_heads", 1, 1024, &c->heads, error));
    RP_RETURN(rp_config_u32_or(file, "num_groups", 1, 1024, c->heads, &c->kv_heads, error));
    RP_RETURN(rp_config_u32(file, "layer_group_size", 1, 1024, &c->group, error));
    RP_RETURN(rp_config_u32(file, "num_variate_layers_per_group", 0, 1024, &c->variate_layers, error));
    RP_RETURN(rp_config_bool_or(file, "variate_layer_first", false, &c->variate_first, error));
    if (c->width % c->heads != 0 || c->width / c->heads % 4 != 0) {
        return rp_error_set(error, RP_BAD_FILE,
                            "config.json: d_model %u does not divide into %u heads whose width is a multiple of 4.", c->width, c->heads);
    }
    if (c->heads % c->kv_heads != 0) {
        return rp_error_set(error, RP_BAD_FILE, "config.json: %u heads cannot share %u groups of keys evenly.", c->heads, c->kv_heads);
    }
    if (c->variate_layers > c->group) {
        return rp_error_set(error, RP_BAD_FILE, "config.json: num_variate_layers_per_group is %u, more than layer_group_size %u.",
                            c->variate_layers, c->group);
    }
    return read_options(file, c, error);
}

bool toto2_layer_is_variate(const toto2_config *c, uint32_t layer) {
    const uint32_t place = layer % c->group;
    return c->variate_first ? place < c->variate_layers : place >= c->group - c->variate_layers;
}
