// Weights as published: a safetensors file, or a folder with one or with shards and an index. Files are mapped and used in
// place; nothing in them is believed before it is checked.
#ifndef RP_SAFETENSORS_H
#define RP_SAFETENSORS_H

#include "graph.h"

#define RP_WEIGHT_MAX_DIMS 8

typedef struct rp_weights rp_weights;

// One tensor. All of it lives as long as its rp_weights.
typedef struct rp_weight {
    const char *name;                       // UTF-8, never empty
    rp_dtype dtype;                         // BOOL counts as U8
    uint32_t n_dims;                        // 0: a scalar
    uint64_t dims[RP_WEIGHT_MAX_DIMS];      // row-major, outermost first; a dim may be 0
    const void *data;                       // inside the mapping, NOT aligned to its dtype: read by rp_convert or memcpy
    uint64_t bytes, count;                  // bytes = count * size of dtype
    uint32_t file;                          // which of the files holds it, from 0
} rp_weight;

// Opens `folder`/model.safetensors or, where there is none, the shards of `folder`/model.safetensors.index.json.
//   out      close with rp_weights_close; NULL on failure
// Errors:    NOT_FOUND, BAD_FILE, UNSUPPORTED (a dtype that this library does not read), OUT_OF_MEMORY
rp_status rp_weights_open(const char *folder, rp_weights **out, rp_error *error);
rp_status rp_weights_open_file(const char *path, rp_weights **out, rp_error *error);       // a single file
// A single file that is already in memory; `data` is borrowed and must outlive *out. `name` is what sentences call it.
rp_status rp_weights_parse(const void *data, uint64_t bytes, const char *name, rp_weights **out, rp_error *error);
void rp_weights_close(rp_weights *weights);                                                // NULL is fine

const rp_weight *rp_weights_find(const rp_weights *weights, const char *name);             // NULL: not there
uint32_t rp_weights_count(const rp_weights *weights);
const rp_weight *rp_weights_get(const rp_weights *weights, uint32_t index);                // in the order of their names
uint64_t rp_weights_file_bytes(const rp_weights *weights);                                 // of all files together

// Looks for the first NaN or infinity. Errors: BAD_FILE, which names tensor, index and kind. Integers always pass.
rp_status rp_weight_check_finite(const rp_weight *weight, rp_error *error);
// True when every number of a floating-point tensor is within float16's range.
bool rp_weight_fits_f16(const rp_weight *weight);

#endif
