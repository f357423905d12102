// Failing with a sentence. The text lives in the device (core/device.h); this header gives the two macros that the rest uses.
#ifndef RP_STATUS_H
#define RP_STATUS_H

#include "reprise.h"

// Leaves for `cleanup` with a local `rp_status status` set.
#define RP_TRY(expr)                            \
    do {                                        \
        status = (expr);                        \
        if (status != RP_OK) { goto cleanup; }  \
    } while (0)

// Where a function has nothing to clean up.
#define RP_RETURN(expr)                                    \
    do {                                                   \
        rp_status status_ = (expr);                        \
        if (status_ != RP_OK) { return status_; }          \
    } while (0)

// A bounded message that belongs to no device yet (file readers use it); always terminated.
typedef struct rp_error {
    char text[1024];
} rp_error;

// Writes the sentence and returns `status`, so that a caller can say: return rp_error_set(error, RP_BAD_FILE, "...").
rp_status rp_error_set(rp_error *error, rp_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

// The same, into the device's own text.
rp_status rp_fail(rp_device *device, rp_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
