// What the parts of the safetensors reader share: one file's header, and the index of a sharded folder.
#ifndef RP_SAFETENSORS_PRIVATE_H
#define RP_SAFETENSORS_PRIVATE_H

#include "json.h"
#include "safetensors.h"

// The largest header or index that is read. Published models have headers below 1 MB; this is room for 300 000 tensors,
// and small enough that a file which claims more is refused before anything is read.
#define RP_SAFETENSORS_MAX_HEADER (32u << 20)
#define RP_SAFETENSORS_MAX_SHARDS 1000u                         // published models have below 200; each costs a mapping

// ---- safetensors_header.c ----

// The tensors of one file, sorted by name. Starts zeroed.
typedef struct rp_weight_set {
    rp_weight *items;
    uint32_t count;
    char *names;                                                // what items[].name point into
} rp_weight_set;

rp_status rp_weight_set_parse(const void *data, uint64_t bytes, const char *name, uint32_t file, rp_weight_set *out,
                              rp_error *error);
void rp_weight_set_free(rp_weight_set *set);                    // zeroed is fine
int rp_weight_compare_names(const void *a, const void *b);      // for qsort of rp_weight

// ---- safetensors_index.c ----

typedef struct rp_shard_entry {
    const char *name;                                           // of the tensor
    const char *shard;                                          // file name; equal ones are the same pointer
    uint32_t file;                                              // index into shards
} rp_shard_entry;

// Starts zeroed.
typedef struct rp_shard_index {
    rp_shard_entry *entries;                                    // sorted by name
    uint32_t count;
    const char **shards;                                        // distinct, sorted
    uint32_t n_shards;
    char *text;                                                 // what the pointers point into
} rp_shard_index;

rp_status rp_shard_index_parse(const void *data, uint64_t bytes, const char *name, rp_shard_index *out, rp_error *error);
void rp_shard_index_free(rp_shard_index *index);                // zeroed is fine

#endif
