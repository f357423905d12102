// Seeded checkpoints of the published sizes, in the published layout, so that speed can be measured without a download: the
// names, shapes and config.json of tests/make_checkpoint.py, and random numbers of the same spread.
#ifndef TOOLS_BENCH_WEIGHTS_H
#define TOOLS_BENCH_WEIGHTS_H

#include "common.h"

typedef enum weights_fill {
    FILL_RANDOM,              // mean + std x a number of mean 0 and variance 1
    FILL_CONSTANT,            // mean
    FILL_FREQUENCIES,         // 10000^(-j/n), [n]: rotary angles
    FILL_POWERS               // 2^(n-1) .. 1 as I64, [n]
} weights_fill;

typedef struct weights_tensor {
    char name[80];
    uint32_t n_dims, dims[2]; // row-major
    weights_fill fill;
    float mean, std;
} weights_tensor;

// One folder of a checkpoint. What has no tensors yet starts zeroed.
typedef struct weights_list {
    char config[1024];        // config.json
    weights_tensor *tensors;
    size_t count, cap;
} weights_list;

void weights_list_add(weights_list *list, weights_fill fill, float mean, float std, uint32_t rows, uint32_t columns,
                      const char *format, ...) __attribute__((format(printf, 7, 8)));   // columns 0: one dimension; rows 0: none
void weights_list_free(weights_list *list);
uint64_t weights_tensor_bytes(const weights_tensor *tensor);

// ---- what there is to make: bench_models.c ----

typedef struct published_part {
    const char *folder;       // inside the model's; "": the model's own; NULL: no such part
    void (*list)(const void *sizes, weights_list *out);
    const void *sizes;
    uint64_t seed;
} published_part;

typedef struct published_model {
    const char *name, *family;
    uint32_t width, layers;   // by which weights from elsewhere are recognised
    bool quantiles;           // its forecast is nine quantiles, not paths
    // What --check allows, in standard deviations of the series: see docs/benchmarks.md. 0: no figure of the original is known
    double bound_f32, bound_mixed;
    published_part parts[2];
} published_model;

extern const published_model published_models[];   // ends with a row without a name
const published_model *published_model_find(const char *name);                                           // NULL: none
const published_model *published_model_like(const char *family, uint32_t width, uint32_t layers);        // NULL: none
bool published_model_is_read(const published_model *model);   // this library has the family

// ---- making it: bench_weights.c ----

// Files larger than `shard_bytes` are split as published ones are, with an index; WEIGHTS_SHARD is what those use.
#define WEIGHTS_SHARD 5000000000ull
// Writes `model` into `folder`, which is created. What is there already, complete and the same, is kept.
bool weights_make(const published_model *model, const char *folder, uint64_t shard_bytes, message *error);

typedef struct weights_folder {
    char path[512];
    bool temporary;
} weights_folder;

// Makes the model in a new folder below TMPDIR (/tmp), which weights_close removes, and so does a signal that ends the program;
// or keeps it as `keep`/NAME where `keep` is not NULL. One temporary folder at a time.
bool weights_open(const published_model *model, const char *keep, weights_folder *out, message *error);
void weights_close(weights_folder *folder);   // zeroed is fine

// The header of one file as it is written: JSON, padded with spaces. To be freed. Tensors first .. first + n - 1.
char *weights_header(const weights_list *list, size_t first, size_t n);

#endif
