// Opening a device and a model; see session.h.
#include "session.h"

#include <string.h>

const char *precision_name(rp_precision precision) {
    return precision == RP_PRECISION_MIXED ? "mixed" : precision == RP_PRECISION_F32 ? "f32" : "auto";
}

rp_precision precision_of(const char *name) {
    if (name == NULL || strcmp(name, "auto") == 0) { return RP_PRECISION_AUTO; }
    return strcmp(name, "mixed") == 0 ? RP_PRECISION_MIXED : RP_PRECISION_F32;
}

void session_complain(rp_device *device, rp_status status) {
    char text[1024] = "";
    if (device) { rp_device_copy_error(device, text, sizeof text); }
    complain("%s (%s)", text[0] ? text : rp_status_text(status), rp_status_name(status));
}

double session_tail(const session *s) { return s->model_info.quantiles ? 1 / (s->model_info.quantiles + 1.0) : 0; }

bool session_is_bars(const session *s) { return strcmp(s->model_info.family, "kronos") == 0; }

bool session_open(const char *device, const char *precision, const char *folder, session *out) {
    return session_open_pair(device, precision, folder, NULL, out);
}

bool session_open_pair(const char *device, const char *precision, const char *folder, const char *tokenizer, session *out) {
    return session_open_how(&(session_how){ device, precision, folder, tokenizer, false }, out);
}

bool session_open_how(const session_how *how, session *out) {
    *out = (session){ .device_info = RP_DEVICE_INFO_INIT, .model_info = RP_MODEL_INFO_INIT };
    rp_model_config config = RP_MODEL_CONFIG_INIT;
    rp_device_config device = RP_DEVICE_CONFIG_INIT;
    config.precision = precision_of(how->precision);
    config.tokenizer = how->tokenizer;
    device.direct = how->direct;
    rp_status status = rp_device_create(how->device, &device, &out->device);
    if (status == RP_OK) { status = rp_device_copy_info(out->device, &out->device_info); }
    if (status == RP_OK) { status = rp_model_load(out->device, how->folder, &config, &out->model); }
    if (status == RP_OK) { status = rp_model_copy_info(out->model, &out->model_info); }
    bool odd = status == RP_OK && how->tokenizer && !session_is_bars(out);
    if (status == RP_OK && !odd) { return true; }
    if (odd) { complain("%s is a %s model, which has no tokenizer; leave out --tokenizer", how->folder, out->model_info.family); }
    else { session_complain(out->device, status); }
    session_close(out);
    return false;
}

void session_close(session *s) {
    rp_model_destroy(s->model);
    rp_device_destroy(s->device);
    s->model = NULL;
    s->device = NULL;
}
