// model.safetensors.index.json: which shard holds which tensor. Nothing is opened here.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lfs.h"
#include "quote.h"
#include "safetensors_private.h"

// A shard lies in the folder itself: a name that leads anywhere else would let a model read any file.
static bool is_plain_name(const char *name) {
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) { return false; }
    for (const char *p = name; *p; p++) {
        if (*p == '/' || *p == '\\' || (unsigned char)*p < 0x20) { return false; }
    }
    return true;
}

static rp_status find_weight_map(rp_json root, const rp_quoted *name, rp_json *out, rp_error *error) {
    bool found = false;
    rp_json key, value;
    if (root.kind != RP_JSON_OBJECT) {
        return rp_error_set(error, RP_BAD_FILE, "%s holds %s; an object was expected", name->text,
                            rp_json_kind_name(root.kind));
    }
    for (rp_json_walk walk = rp_json_begin(root); rp_json_next(&walk, &key, &value);) {
        if (!rp_json_string_is(key, "weight_map")) { continue; }
        if (found) { return rp_error_set(error, RP_BAD_FILE, "%s: weight_map stands twice", name->text); }
        if (value.kind != RP_JSON_OBJECT) {
            return rp_error_set(error, RP_BAD_FILE, "%s: weight_map is %s; an object was expected", name->text,
                                rp_json_kind_name(value.kind));
        }
        found = true;
        *out = value;
    }
    return found ? RP_OK
                 : rp_error_set(error, RP_BAD_FILE, "%s has no weight_map, so it is no index of weights", name->text);
}

// Counts and checks types, so that nothing is allocated for a map which is not one.
static rp_status measure(rp_json map, const rp_quoted *name, uint32_t *count, uint64_t *text_bytes, rp_error *error) {
    rp_json key, value;
    for (rp_json_walk walk = rp_json_begin(map); rp_json_next(&walk, &key, &value);) {
        if (key.end - key.begin == 2) {
            return rp_error_set(error, RP_BAD_FILE, "%s: a tensor has an empty name", name->text);
        }
        if (value.kind != RP_JSON_STRING) {
            return rp_error_set(error, RP_BAD_FILE, "%s: tensor %s has %s as its file; a string was expected", name->text,
                                rp_quote_bytes(key.begin + 1, (size_t)(key.end - key.begin - 2)).text,
                                rp_json_kind_name(value.kind));
        }
        ++*count;
        *text_bytes += (uint64_t)(key.end - key.begin) + (uint64_t)(value.end - value.begin);
    }
    return RP_OK;
}

static void fill(rp_json map, rp_shard_index *index) {
    rp_json key, value;
    char *text = index->text;
    rp_shard_entry *entry = index->entries;
    for (rp_json_walk walk = rp_json_begin(map); rp_json_next(&walk, &key, &value); entry++) {
        const uint64_t key_cap = (uint64_t)(key.end - key.begin), value_cap = (uint64_t)(value.end - value.begin);
        entry->name = text;
        rp_json_copy_string(key, text, key_cap);
        text += key_cap;
        entry->shard = text;
        rp_json_copy_string(value, text, value_cap);
        text += value_cap;
    }
}

static int compare_shards(const void *a, const void *b) {
    return strcmp(((const rp_shard_entry *)a)->shard, ((const rp_shard_entry *)b)->shard);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const rp_shard_entry *)a)->name, ((const rp_shard_entry *)b)->name);
}

// Numbers the distinct shards. Leaves the entries sorted by shard.
static rp_status number_shards(rp_shard_index *index, const rp_quoted *name, rp_error *error) {
    if (index->count > 1) { qsort(index->entries, index->count, sizeof *index->entries, compare_shards); }
    for (uint32_t i = 0; i < index->count; i++) {
        rp_shard_entry *entry = &index->entries[i];
        if (i == 0 || strcmp(entry->shard, index->shards[index->n_shards - 1]) != 0) {
            if (!is_plain_name(entry->shard)) {
                return rp_error_set(error, RP_BAD_FILE,
                                    "%s: tensor %s lies in %s, which is no plain file name in the same folder", name->text,
                                    rp_quote(entry->name).text, rp_quote(entry->shard).text);
            }
            if (index->n_shards == RP_SAFETENSORS_MAX_SHARDS) {
                return rp_error_set(error, RP_BAD_FILE, "%s names more than %u files", name->text,
                                    RP_SAFETENSORS_MAX_SHARDS);
            }
            index->shards[index->n_shards++] = entry->shard;
        }
        entry->file = index->n_shards - 1;
        entry->shard = index->shards[entry->file];
    }
    return RP_OK;
}

static rp_status sort_names(rp_shard_index *index, const rp_quoted *name, rp_error *error) {
    if (index->count > 1) { qsort(index->entries, index->count, sizeof *index->entries, compare_names); }
    for (uint32_t i = 1; i < index->count; i++) {
        if (strcmp(index->entries[i - 1].name, index->entries[i].name) == 0) {
            return rp_error_set(error, RP_BAD_FILE, "%s: tensor %s stands twice", name->text,
                                rp_quote(index->entries[i].name).text);
        }
    }
    return RP_OK;
}

rp_status rp_shard_index_parse(const void *data, uint64_t bytes, const char *name, rp_shard_index *out, rp_error *error) {
    rp_status status = RP_OK;
    rp_shard_index index = { 0 };
    rp_json map;
    uint64_t text_bytes = 0;
    const rp_quoted quoted = rp_quote_path(name);
    *out = (rp_shard_index){ 0 };
    if (bytes > RP_SAFETENSORS_MAX_HEADER) {
        return rp_error_set(error, RP_BAD_FILE,
                            "%s has %llu bytes; at most %u (32 MB) are read, and published indexes stay below 1 MB",
                            quoted.text, (unsigned long long)bytes, RP_SAFETENSORS_MAX_HEADER);
    }
    RP_TRY(rp_refuse_lfs_pointer(data, bytes, name, error));
    RP_TRY(rp_json_check(data, bytes, quoted.text, NULL, error));
    RP_TRY(find_weight_map(rp_json_root(data, bytes), &quoted, &map, error));
    RP_TRY(measure(map, &quoted, &index.count, &text_bytes, error));
    if (index.count == 0) {
        status = rp_error_set(error, RP_BAD_FILE, "%s: weight_map is empty", quoted.text);
        goto cleanup;
    }
    index.entries = calloc(index.count, sizeof *index.entries);
    index.shards = calloc(RP_SAFETENSORS_MAX_SHARDS, sizeof *index.shards);
    index.text = malloc(text_bytes);
    if (!index.entries || !index.shards || !index.text) {
        status = rp_error_set(error, RP_OUT_OF_MEMORY, "memory ran out while reading %s", quoted.text);
        goto cleanup;
    }
    fill(map, &index);
    RP_TRY(number_shards(&index, &quoted, error));
    RP_TRY(sort_names(&index, &quoted, error));
    *out = index;
    index = (rp_shard_index){ 0 };
cleanup:
    rp_shard_index_free(&index);
    return status;
}

void rp_shard_index_free(rp_shard_index *index) {
    free(index->entries);
    free(index->shards);
    free(index->text);
    *index = (rp_shard_index){ 0 };
}
