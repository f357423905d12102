// Helpers around cJSON; see json.h.
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draft.h"

// ---- writing ----

bool json_add(cJSON *object, const char *key, cJSON *item) {
    bool done = item && cJSON_AddItemToObject(object, key, item);
    if (!done) { cJSON_Delete(item); }
    return done;
}

bool json_append(cJSON *array, cJSON *item) {
    bool done = item && cJSON_AddItemToArray(array, item);
    if (!done) { cJSON_Delete(item); }
    return done;
}

cJSON *json_double(double value) { return isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull(); }

// cJSON prints a double with up to 17 digits; this hands it the double nearest to the float's shortest text.
cJSON *json_float(float value) {
    char text[32];
    if (!isfinite(value)) { return cJSON_CreateNull(); }
    format_float(value, text, sizeof text);
    return cJSON_CreateNumber(strtod(text, NULL));
}

cJSON *json_exact(double value) {
    char text[40];
    if (!isfinite(value)) { return cJSON_CreateNull(); }
    snprintf(text, sizeof text, "%.17g", value);
    return cJSON_CreateRaw(text);
}

cJSON *json_digits(uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return cJSON_CreateString(text);
}

cJSON *json_doubles(const double *values, size_t n) {
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < n && array; i++) {
        if (json_append(array, json_exact(values[i]))) { continue; }
        cJSON_Delete(array);
        array = NULL;
    }
    return array;
}

// ---- reading ----

bool json_get_double(const cJSON *object, const char *key, double *out) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    *out = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    return cJSON_IsNumber(item) || cJSON_IsNull(item);
}

bool json_get_size(const cJSON *object, const char *key, size_t *out) {
    double value;
    if (!json_get_double(object, key, &value) || !(value >= 0 && value <= 9007199254740992.0) || value != floor(value)) {
        return false;
    }
    *out = (size_t)value;
    return true;
}

const char *json_get_text(const cJSON *object, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool get_doubles(const cJSON *object, const char *key, bool holes, double *out, size_t n) {
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, key), *item;
    size_t i = 0;
    if (!cJSON_IsArray(array)) { return false; }
    cJSON_ArrayForEach(item, array) {
        if (i == n || (!cJSON_IsNumber(item) && !(holes && cJSON_IsNull(item)))) { return false; }
        out[i++] = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    }
    return i == n;
}

bool json_get_doubles(const cJSON *object, const char *key, double *out, size_t n) { return get_doubles(object, key, false, out, n); }
bool json_get_holed(const cJSON *object, const char *key, double *out, size_t n) { return get_doubles(object, key, true, out, n); }

// ---- files ----

cJSON *json_read(const char *path, bool *missing, message *error) {
    FILE *file = fopen(path, "rb");
    *missing = !file && errno == ENOENT;
    if (!file) {
        if (!*missing) { message_set(error, "%s cannot be opened: %s", path, strerror(errno)); }
        return NULL;
    }
    char *data = NULL;
    size_t size = 0, cap = 0, got;
    do {
        if (size == cap) { data = take_again(data, cap = 2 * cap + 65536, 1); }
        got = fread(data + size, 1, cap - size, file);
        size += got;
    } while (got > 0);
    bool bad = ferror(file) != 0;
    fclose(file);
    const char *end = data;
    cJSON *json = bad ? NULL : cJSON_ParseWithLengthOpts(data, size, &end, 0);
    if (bad) {
        message_set(error, "%s cannot be read", path);
    } else if (!json) {
        message_set(error, "%s is no JSON: it breaks off or goes wrong at byte %zu", path, (size_t)(end - data));
    }
    free(data);
    return json;
}

bool json_write(const char *path, const cJSON *json, bool indented, message *error) {
    char *text = !json ? NULL : indented ? cJSON_Print(json) : cJSON_PrintUnformatted(json);
    if (!text) { return message_set(error, "%s: memory ran out while writing JSON", path); }
    bool good = draft_text(path, text, error);
    cJSON_free(text);
    return good;
}
