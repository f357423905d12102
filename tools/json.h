// Small things around cJSON that writers and readers of the program share.
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include <cjson/cJSON.h>

#include "common.h"

// Hands `item` to the object or array, or deletes it; false where memory ran out, as for an item that is NULL.
bool json_add(cJSON *object, const char *key, cJSON *item);
bool json_append(cJSON *array, cJSON *item);

cJSON *json_double(double value);                    // null where it is not finite
cJSON *json_float(float value);                      // its shortest decimals
cJSON *json_exact(double value);                     // reads back as the same number, which cJSON's own do not promise
cJSON *json_digits(uint64_t value);                  // as text: a JSON number loses digits beyond 2^53
cJSON *json_doubles(const double *values, size_t n); // an array of exact numbers

// Reading: false where the key is missing or holds something else.
bool json_get_double(const cJSON *object, const char *key, double *out);   // null is NAN
bool json_get_size(const cJSON *object, const char *key, size_t *out);     // a whole number from 0 to 2^53
const char *json_get_text(const cJSON *object, const char *key);           // NULL: missing
// Exactly n numbers.
bool json_get_doubles(const cJSON *object, const char *key, double *out, size_t n);
bool json_get_holed(const cJSON *object, const char *key, double *out, size_t n);   // null is NAN

// A whole file. NULL after writing the sentence; `missing` then says whether there is no such file, which leaves the sentence "".
cJSON *json_read(const char *path, bool *missing, message *error);
// Beside and renamed.
bool json_write(const char *path, const cJSON *json, bool indented, message *error);

#endif
