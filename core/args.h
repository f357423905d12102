// What a kernel is handed, one layout for CUDA (one by-value argument) and Vulkan (push constants): eight addresses, then
// the op's parameter struct. 128 bytes.
#ifndef RP_ARGS_H
#define RP_ARGS_H

#include "backend.h"

typedef struct rp_args {
    uint64_t address[RP_MAX_BINDINGS];
    uint32_t params[RP_PARAM_BYTES / 4];
} rp_args;
_Static_assert(sizeof(rp_args) == 128, "push constants are 128 bytes");

static inline rp_args rp_args_of(const rp_launch *launch) {
    rp_args args = { { 0 }, { 0 } };
    for (uint32_t i = 0; i < launch->n_bindings; i++) {
        const rp_binding *b = &launch->binding[i];
        args.address[i] = b->buffer ? b->buffer->address + b->offset : 0;
    }
    for (uint32_t i = 0; i < RP_PARAM_BYTES / 4; i++) { args.params[i] = launch->params[i]; }
    return args;
}

#endif
