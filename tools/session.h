// A device and a model on it, opened from what the user typed; failures are printed here.
#ifndef TOOLS_SESSION_H
#define TOOLS_SESSION_H

#include "common.h"
#include "reprise.h"

#define PRECISION_CHOICES "auto|f32|mixed"

typedef struct session {
    rp_device *device;
    rp_model *model;
    rp_device_info device_info;
    rp_model_info model_info;
} session;

typedef struct session_how {
    const char *device, *precision, *folder, *tokenizer;
    bool direct;   // rp_device_config.direct
} session_how;

// Any argument may be NULL for its default, except the model's folder. False after printing why.
bool session_open(const char *device, const char *precision, const char *folder, session *out);
// The same for a model of two folders; `tokenizer` may be NULL. A model that has none refuses one.
bool session_open_pair(const char *device, const char *precision, const char *folder, const char *tokenizer, session *out);
bool session_open_how(const session_how *how, session *out);
// The lowest level of the quantiles that the model gives; the highest is 1 minus it. 0: it samples paths, which have all levels.
double session_tail(const session *s);
bool session_is_bars(const session *s);   // the model forecasts bars: open, high, low, close, volume, amount
void session_close(session *s);

// Prints the device's sentence about the last failure, or the status's own if it has none.
void session_complain(rp_device *device, rp_status status);

const char *precision_name(rp_precision precision);
rp_precision precision_of(const char *name);   // one of PRECISION_CHOICES; NULL is auto

#endif
