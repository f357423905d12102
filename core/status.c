// Status names and failure sentences.
#include <stdarg.h>
#include <stdio.h>

#include "backend.h"

static const char *const names[] = {
#define X(name, text) #name,
    RP_STATUS_LIST(X)
#undef X
};
static const char *const texts[] = {
#define X(name, text) text,
    RP_STATUS_LIST(X)
#undef X
};

const char *rp_status_name(rp_status status) { return (unsigned)status < RP_STATUS_COUNT ? names[status] : "?"; }
const char *rp_status_text(rp_status status) { return (unsigned)status < RP_STATUS_COUNT ? texts[status] : "unknown status"; }

rp_status rp_error_set(rp_error *error, rp_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return status;
}

rp_status rp_fail(rp_device *device, rp_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(device->error.text, sizeof device->error.text, format, args);
    va_end(args);
    return status;
}
