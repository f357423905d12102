// Opening weights: one file, or a folder with one or several, put together into one sorted list.
#include "safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "platform.h"
#include "quote.h"
#include "safetensors_private.h"

struct rp_weights {
    rp_weight *items;               // sorted by name
    uint32_t count, n_files;
    uint64_t file_bytes;
    rp_file *files;                 // [n_files]; zeroed where the bytes are the caller's
    char **names;                   // [n_files]: what items[].name point into
};

static rp_status no_memory(const char *path, rp_error *error) {
    return rp_error_set(error, RP_OUT_OF_MEMORY, "memory ran out while opening %s", rp_quote_path(path).text);
}

static rp_weights *weights_alloc(uint32_t n_files) {
    rp_weights *weights = calloc(1, sizeof *weights);
    if (!weights) { return NULL; }
    weights->n_files = n_files;
    weights->files = calloc(n_files, sizeof *weights->files);
    weights->names = calloc(n_files, sizeof *weights->names);
    if (weights->files && weights->names) { return weights; }
    rp_weights_close(weights);
    return NULL;
}

void rp_weights_close(rp_weights *weights) {
    if (!weights) { return; }
    for (uint32_t i = 0; i < weights->n_files; i++) {
        if (weights->names) { free(weights->names[i]); }
        if (weights->files) { rp_file_unmap(&weights->files[i]); }
    }
    free(weights->names);
    free(weights->files);
    free(weights->items);
    free(weights);
}

// Parses file number `file` and appends its tensors.
static rp_status append(rp_weights *weights, const void *data, uint64_t bytes, const char *name, uint32_t file,
                        rp_error *error) {
    rp_weight_set set;
    RP_RETURN(rp_weight_set_parse(data, bytes, name, file, &set, error));
    weights->names[file] = set.names;
    weights->file_bytes += bytes;
    if (weights->count == 0) {      // the common case, a single file, hands its list over
        free(weights->items);
        weights->items = set.items;
        weights->count = set.count;
        return RP_OK;
    }
    // The sum cannot overflow: RP_SAFETENSORS_MAX_SHARDS headers of RP_SAFETENSORS_MAX_HEADER hold below 2^30 entries.
    rp_weight *items = realloc(weights->items, ((size_t)weights->count + set.count) * sizeof *items);
    if (items) {
        memcpy(items + weights->count, set.items, set.count * sizeof *items);
        weights->items = items;
        weights->count += set.count;
    }
    free(set.items);
    return items ? RP_OK : no_memory(name, error);
}

static rp_status append_file(rp_weights *weights, const char *path, uint32_t file, rp_error *error) {
    RP_RETURN(rp_file_map(path, &weights->files[file], error));
    return append(weights, weights->files[file].data, weights->files[file].bytes, path, file, error);
}

rp_status rp_weights_parse(const void *data, uint64_t bytes, const char *name, rp_weights **out, rp_error *error) {
    *out = NULL;
    rp_weights *weights = weights_alloc(1);
    if (!weights) { return no_memory(name, error); }
    const rp_status status = append(weights, data, bytes, name, 0, error);
    if (status == RP_OK) { *out = weights; } else { rp_weights_close(weights); }
    return status;
}

rp_status rp_weights_open_file(const char *path, rp_weights **out, rp_error *error) {
    *out = NULL;
    rp_weights *weights = weights_alloc(1);
    if (!weights) { return no_memory(path, error); }
    const rp_status status = append_file(weights, path, 0, error);
    if (status == RP_OK) { *out = weights; } else { rp_weights_close(weights); }
    return status;
}

// ---- shards ----

// The index and the shards must tell the same story; both lists are sorted by name.
static rp_status check_index(const rp_weights *weights, const rp_shard_index *index, const char *path, rp_error *error) {
    const rp_quoted file = rp_quote_path(path);
    for (uint32_t i = 1; i < weights->count; i++) {
        const rp_weight *a = &weights->items[i - 1], *b = a + 1;
        if (strcmp(a->name, b->name) == 0) {
            return rp_error_set(error, RP_BAD_FILE, "%s: tensor %s stands in both %s and %s", file.text,
                                rp_quote(a->name).text, rp_quote(index->shards[a->file]).text,
                                rp_quote(index->shards[b->file]).text);
        }
    }
    for (uint32_t i = 0; i < weights->count || i < index->count; i++) {
        const rp_weight *have = i < weights->count ? &weights->items[i] : NULL;
        const rp_shard_entry *want = i < index->count ? &index->entries[i] : NULL;
        const int order = !have ? 1 : !want ? -1 : strcmp(have->name, want->name);
        if (order < 0) {
            return rp_error_set(error, RP_BAD_FILE,
                                "%s does not list tensor %s, which stands in %s; index and shards are of different models",
                                file.text, rp_quote(have->name).text, rp_quote(index->shards[have->file]).text);
        }
        if (order > 0 || have->file != want->file) {
            return rp_error_set(
                error, RP_BAD_FILE,
                "%s says that tensor %s stands in %s, but it does not; index and shards are of different models", file.text,
                rp_quote(want->name).text, rp_quote(want->shard).text);
        }
    }
    return RP_OK;
}

static rp_status open_shards(const char *folder, const char *index_path, rp_weights **out, rp_error *error) {
    rp_status status = RP_OK;
    rp_file file = { 0 };
    rp_shard_index index = { 0 };
    rp_weights *weights = NULL;
    RP_TRY(rp_file_map(index_path, &file, error));
    RP_TRY(rp_shard_index_parse(file.data, file.bytes, index_path, &index, error));
    weights = weights_alloc(index.n_shards);
    if (!weights) { status = no_memory(folder, error); goto cleanup; }
    for (uint32_t i = 0; i < index.n_shards; i++) {
        char *path = rp_path_join(folder, index.shards[i]);
        if (!path) { status = no_memory(folder, error); goto cleanup; }
        status = append_file(weights, path, i, error);
        free(path);
        if (status != RP_OK) { goto cleanup; }
    }
    if (weights->count > 1) { qsort(weights->items, weights->count, sizeof *weights->items, rp_weight_compare_names); }
    RP_TRY(check_index(weights, &index, index_path, error));
    *out = weights;
    weights = NULL;
cleanup:
    rp_weights_close(weights);
    rp_shard_index_free(&index);
    rp_file_unmap(&file);
    return status;
}

rp_status rp_weights_open(const char *folder, rp_weights **out, rp_error *error) {
    rp_status status = RP_OK;
    const rp_quoted name = rp_quote_path(folder);
    *out = NULL;
    if (!rp_path_exists(folder)) {
        return rp_error_set(error, RP_NOT_FOUND, "%s does not exist; give the folder of a checkpoint", name.text);
    }
    if (!rp_path_is_folder(folder)) {
        return rp_error_set(error, RP_BAD_FILE, "%s is not a folder; give the folder that holds model.safetensors",
                            name.text);
    }
    char *single = rp_path_join(folder, "model.safetensors");
    char *sharded = rp_path_join(folder, "model.safetensors.index.json");
    if (!single || !sharded) {
        status = no_memory(folder, error);
    } else if (rp_path_exists(single)) {
        status = rp_weights_open_file(single, out, error);
    } else if (rp_path_exists(sharded)) {
        status = open_shards(folder, sharded, out, error);
    } else {
        status = rp_error_set(error, RP_NOT_FOUND,
                              "%s has neither model.safetensors nor model.safetensors.index.json; weights of another "
                              "kind must be converted first",
                              name.text);
    }
    free(single);
    free(sharded);
    return status;
}

// ---- reading ----

static int compare_key(const void *key, const void *item) { return strcmp(key, ((const rp_weight *)item)->name); }

const rp_weight *rp_weights_find(const rp_weights *weights, const char *name) {
    if (weights->count == 0) { return NULL; }
    return bsearch(name, weights->items, weights->count, sizeof *weights->items, compare_key);
}

uint32_t rp_weights_count(const rp_weights *weights) { return weights->count; }

const rp_weight *rp_weights_get(const rp_weights *weights, uint32_t index) {
    return index < weights->count ? &weights->items[index] : NULL;
}

uint64_t rp_weights_file_bytes(const rp_weights *weights) { return weights->file_bytes; }
