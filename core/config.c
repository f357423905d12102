// Config files: checked as text first (json.h), then held as a cJSON tree.
#include "config.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "lfs.h"
#include "platform.h"
#include "quote.h"

// Published configs have a few kilobytes and below a hundred values. A value takes some 80 bytes of tree.
#define MAX_BYTES (1u << 20)
#define MAX_VALUES 20000u
#define MAX_KEY 128                     // of a getter; keys come from models, not from files

_Static_assert(RP_JSON_MAX_DEPTH < CJSON_NESTING_LIMIT, "what passes the check must pass cJSON too");

struct rp_config {
    cJSON *root;
    rp_quoted name;
};

// ---- opening ----

static int compare_keys(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

// cJSON keeps both of two equal keys and finds the first. Recursion is as deep as the text, so RP_JSON_MAX_DEPTH at most.
//   scratch  room for as many keys as the text has values
static rp_status refuse_duplicates(const rp_config *config, const cJSON *item, const char **scratch, rp_error *error) {
    size_t n = 0;
    const cJSON *child;
    if (cJSON_IsObject(item)) {
        cJSON_ArrayForEach(child, item) { scratch[n++] = child->string; }
        if (n > 1) { qsort(scratch, n, sizeof *scratch, compare_keys); }
        for (size_t i = 1; i < n; i++) {
            if (strcmp(scratch[i - 1], scratch[i]) == 0) {
                return rp_error_set(error, RP_BAD_FILE, "%s: the key %s stands twice; remove one", config->name.text,
                                    rp_quote(scratch[i]).text);
            }
        }
    }
    cJSON_ArrayForEach(child, item) { RP_RETURN(refuse_duplicates(config, child, scratch, error)); }
    return RP_OK;
}

static rp_status no_memory(const char *name, rp_error *error) {
    return rp_error_set(error, RP_OUT_OF_MEMORY, "memory ran out while reading %s", rp_quote_path(name).text);
}

rp_status rp_config_parse(const char *text, uint64_t bytes, const char *name, rp_config **out, rp_error *error) {
    rp_status status = RP_OK;
    uint64_t values = 0;
    rp_config *config = NULL;
    const char **scratch = NULL;
    const rp_quoted quoted = rp_quote_path(name);
    *out = NULL;
    if (bytes > MAX_BYTES) {
        return rp_error_set(error, RP_BAD_FILE, "%s has %llu bytes; a config has at most %u (1 MB)", quoted.text,
                            (unsigned long long)bytes, MAX_BYTES);
    }
    RP_TRY(rp_refuse_lfs_pointer(text, bytes, name, error));
    RP_TRY(rp_json_check(text, bytes, quoted.text, &values, error));
    if (values > MAX_VALUES) {
        return rp_error_set(error, RP_BAD_FILE, "%s holds %llu values; a config has at most %u", quoted.text,
                            (unsigned long long)values, MAX_VALUES);
    }
    const rp_json root = rp_json_root(text, bytes);
    if (root.kind != RP_JSON_OBJECT) {
        return rp_error_set(error, RP_BAD_FILE, "%s holds %s; an object was expected", quoted.text,
                            rp_json_kind_name(root.kind));
    }
    config = calloc(1, sizeof *config);
    scratch = malloc(values * sizeof *scratch);
    if (!config || !scratch) { status = no_memory(name, error); goto cleanup; }
    config->name = quoted;
    // The JSON library keeps where it failed last in variables of the process, which two threads may not write at once.
    static pthread_mutex_t parsing = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&parsing);
    config->root = cJSON_ParseWithLength(text, bytes);
    pthread_mutex_unlock(&parsing);
    // The text is good, so nothing else can be missing.
    if (!config->root) { status = no_memory(name, error); goto cleanup; }
    RP_TRY(refuse_duplicates(config, config->root, scratch, error));
    *out = config;
    config = NULL;
cleanup:
    free(scratch);
    rp_config_close(config);
    return status;
}

rp_status rp_config_open(const char *path, rp_config **out, rp_error *error) {
    rp_file file;
    *out = NULL;
    RP_RETURN(rp_file_map(path, &file, error));
    const rp_status status = rp_config_parse(file.data, file.bytes, path, out, error);
    rp_file_unmap(&file);
    return status;
}

void rp_config_close(rp_config *config) {
    if (!config) { return; }
    cJSON_Delete(config->root);         // NULL is fine
    free(config);
}

// ---- finding ----

static const char *type_name(const cJSON *item) {
    if (cJSON_IsObject(item)) { return "an object"; }
    if (cJSON_IsArray(item)) { return "an array"; }
    if (cJSON_IsString(item)) { return "a string"; }
    if (cJSON_IsNumber(item)) { return "a number"; }
    return cJSON_IsBool(item) ? "true or false" : "null";
}

// Follows the path. NULL: missing or null. *wrong: what stands on the way without being an object; key_bytes: the path
// to it.
static const cJSON *find(const rp_config *config, const char *key, const cJSON **wrong, int *key_bytes) {
    const cJSON *item = config->root;
    const char *part = key;
    *wrong = NULL;
    for (;;) {
        char name[MAX_KEY];
        const size_t n = strcspn(part, ".");
        assert(n < sizeof name);
        memcpy(name, part, n);
        name[n] = '\0';
        item = cJSON_GetObjectItemCaseSensitive(item, name);
        if (!item || cJSON_IsNull(item)) { return NULL; }
        if (part[n] == '\0') { return item; }
        if (!cJSON_IsObject(item)) {
            *wrong = item;
            *key_bytes = (int)(part + n - key);
            return NULL;
        }
        part += n + 1;
    }
}

// *out is NULL where an optional value is not there.
static rp_status find_or_fail(const rp_config *config, const char *key, bool optional, const char *expected,
                              const cJSON **out, rp_error *error) {
    const cJSON *wrong;
    int key_bytes = 0;
    *out = find(config, key, &wrong, &key_bytes);
    if (wrong) {
        return rp_error_set(error, RP_BAD_FILE, "%s: %.*s is %s; an object was expected", config->name.text, key_bytes, key,
                            type_name(wrong));
    }
    if (*out || optional) { return RP_OK; }
    return rp_error_set(error, RP_BAD_FILE, "%s has no %s; %s was expected", config->name.text, key, expected);
}

static rp_status wrong_type(const rp_config *config, const char *key, const cJSON *item, const char *expected,
                            rp_error *error) {
    return rp_error_set(error, RP_BAD_FILE, "%s: %s is %s; %s was expected", config->name.text, key, type_name(item),
                        expected);
}

bool rp_config_has(const rp_config *config, const char *key) {
    const cJSON *wrong;
    int key_bytes;
    return find(config, key, &wrong, &key_bytes) != NULL;
}

// ---- the getters: `fallback` is a pointer, NULL where the value is required ----

static rp_status get_u32(const rp_config *config, const char *key, uint32_t min, uint32_t max, const uint32_t *fallback,
                         uint32_t *out, rp_error *error) {
    const cJSON *item;
    char expected[64];
    snprintf(expected, sizeof expected, "a whole number from %u to %u", min, max);
    RP_RETURN(find_or_fail(config, key, fallback, expected, &item, error));
    if (!item) { *out = *fallback; return RP_OK; }
    if (!cJSON_IsNumber(item)) { return wrong_type(config, key, item, expected, error); }
    const double value = item->valuedouble;
    if (!(value >= min && value <= max && (double)(uint32_t)value == value)) {
        return rp_error_set(error, RP_BAD_FILE, "%s: %s is %.10g; %s was expected", config->name.text, key, value,
                            expected);
    }
    *out = (uint32_t)value;
    return RP_OK;
}

rp_status rp_config_u32(const rp_config *config, const char *key, uint32_t min, uint32_t max, uint32_t *out,
                        rp_error *error) {
    return get_u32(config, key, min, max, NULL, out, error);
}

rp_status rp_config_u32_or(const rp_config *config, const char *key, uint32_t min, uint32_t max, uint32_t fallback,
                           uint32_t *out, rp_error *error) {
    return get_u32(config, key, min, max, &fallback, out, error);
}

static rp_status get_f64(const rp_config *config, const char *key, double min, double max, const double *fallback,
                         double *out, rp_error *error) {
    const cJSON *item;
    char expected[96];
    snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
    RP_RETURN(find_or_fail(config, key, fallback, expected, &item, error));
    if (!item) { *out = *fallback; return RP_OK; }
    if (!cJSON_IsNumber(item)) { return wrong_type(config, key, item, expected, error); }
    const double value = item->valuedouble;         // 1e999 arrives as infinity, which no range with finite ends holds
    if (!(value >= min && value <= max)) {
        return rp_error_set(error, RP_BAD_FILE, "%s: %s is %.10g; %s was expected", config->name.text, key, value,
                            expected);
    }
    *out = value;
    return RP_OK;
}

rp_status rp_config_f64(const rp_config *config, const char *key, double min, double max, double *out, rp_error *error) {
    return get_f64(config, key, min, max, NULL, out, error);
}

rp_status rp_config_f64_or(const rp_config *config, const char *key, double min, double max, double fallback, double *out,
                           rp_error *error) {
    return get_f64(config, key, min, max, &fallback, out, error);
}

static rp_status get_bool(const rp_config *config, const char *key, const bool *fallback, bool *out, rp_error *error) {
    const cJSON *item;
    RP_RETURN(find_or_fail(config, key, fallback, "true or false", &item, error));
    if (!item) { *out = *fallback; return RP_OK; }
    if (!cJSON_IsBool(item)) { return wrong_type(config, key, item, "true or false", error); }
    *out = cJSON_IsTrue(item);
    return RP_OK;
}

rp_status rp_config_bool(const rp_config *config, const char *key, bool *out, rp_error *error) {
    return get_bool(config, key, NULL, out, error);
}

rp_status rp_config_bool_or(const rp_config *config, const char *key, bool fallback, bool *out, rp_error *error) {
    return get_bool(config, key, &fallback, out, error);
}

static rp_status get_string(const rp_config *config, const char *key, const char *const *fallback, const char **out,
                            rp_error *error) {
    const cJSON *item;
    RP_RETURN(find_or_fail(config, key, fallback, "a string", &item, error));
    if (!item) { *out = *fallback; return RP_OK; }
    if (!cJSON_IsString(item)) { return wrong_type(config, key, item, "a string", error); }
    *out = item->valuestring;
    return RP_OK;
}

rp_status rp_config_string(const rp_config *config, const char *key, const char **out, rp_error *error) {
    return get_string(config, key, NULL, out, error);
}

rp_status rp_config_string_or(const rp_config *config, const char *key, const char *fallback, const char **out,
                              rp_error *error) {
    return get_string(config, key, &fallback, out, error);
}

rp_status rp_config_strings(const rp_config *config, const char *key, uint32_t min, uint32_t max, uint32_t *count,
                            rp_error *error) {
    const cJSON *item, *child;
    char expected[64];
    snprintf(expected, sizeof expected, "an array of %u to %u strings", min, max);
    RP_RETURN(find_or_fail(config, key, false, expected, &item, error));
    if (!cJSON_IsArray(item)) { return wrong_type(config, key, item, expected, error); }
    uint32_t n = 0;
    cJSON_ArrayForEach(child, item) {
        if (!cJSON_IsString(child)) {
            return rp_error_set(error, RP_BAD_FILE, "%s: %s holds %s at place %u; %s was expected", config->name.text, key,
                                type_name(child), n, expected);
        }
        n++;
    }
    if (n < min || n > max) {
        return rp_error_set(error, RP_BAD_FILE, "%s: %s holds %u strings; %s was expected", config->name.text, key, n,
                            expected);
    }
    *count = n;
    return RP_OK;
}

const char *rp_config_strings_get(const rp_config *config, const char *key, uint32_t index) {
    const cJSON *wrong;
    int key_bytes;
    const cJSON *item = cJSON_GetArrayItem(find(config, key, &wrong, &key_bytes), (int)index);
    return item ? item->valuestring : NULL;
}

rp_status rp_config_object(const rp_config *config, const char *key, rp_error *error) {
    const cJSON *item;
    RP_RETURN(find_or_fail(config, key, false, "an object", &item, error));
    return cJSON_IsObject(item) ? RP_OK : wrong_type(config, key, item, "an object", error);
}
