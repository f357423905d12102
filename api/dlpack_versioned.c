// Tensors of DLPack 1.0, which say their version, from and to those without.
#include <stdlib.h>
#include <string.h>

#include "reprise_dlpack.h"

#define MAJOR 1u

static void delete_versioned(rp_dl_managed_tensor_versioned *self) {
    if (self == NULL) { return; }
    rp_dl_managed_tensor *inner = self->manager_ctx;
    if (inner->deleter != NULL) { inner->deleter(inner); }
    free(self);
}

rp_status rp_dl_from_versioned(const rp_dl_managed_tensor_versioned *tensor, const rp_dl_tensor **out) {
    if (out == NULL) { return RP_INVALID_ARGUMENT; }
    *out = NULL;
    if (tensor == NULL) { return RP_INVALID_ARGUMENT; }
    if (tensor->version.major != MAJOR) { return RP_UNSUPPORTED; }
    *out = &tensor->dl_tensor;
    return RP_OK;
}

rp_status rp_dl_to_versioned(rp_dl_managed_tensor *tensor, rp_dl_managed_tensor_versioned **out) {
    if (out == NULL) { return RP_INVALID_ARGUMENT; }
    *out = NULL;
    if (tensor == NULL) { return RP_INVALID_ARGUMENT; }
    rp_dl_managed_tensor_versioned *v = calloc(1, sizeof *v);
    if (v == NULL) { return RP_OUT_OF_MEMORY; }
    v->version.major = MAJOR;
    v->manager_ctx = tensor;
    v->deleter = delete_versioned;
    v->dl_tensor = tensor->dl_tensor;   // its sizes stay where they are, with what is wrapped
    *out = v;
    return RP_OK;
}
