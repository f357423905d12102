// A strict reader of JSON text that allocates nothing. Headers of weights may be megabytes from an unknown hand: a tree of
// them would take some forty times their size, and doubles cannot hold every offset. Small files go to cJSON after the
// same check.
#ifndef RP_JSON_H
#define RP_JSON_H

#include <stdbool.h>

#include "status.h"

#define RP_JSON_MAX_DEPTH 64                  // one bit each in the reader; published files nest three deep
#define RP_JSON_MAX_NUMBER 63                 // characters of a number; cJSON reads no longer ones

// Checks that text[0 .. bytes) is one JSON value and nothing else: grammar, UTF-8, paired surrogates, no NUL in strings,
// depth.
//   what     how the sentence calls the text: "the header of 'model.safetensors'"
//   values   numbers, strings, literals, arrays and objects in it, keys not counted; NULL = not wanted
// Errors:    BAD_FILE, with line and column
rp_status rp_json_check(const char *text, uint64_t bytes, const char *what, uint64_t *values, rp_error *error);

// ---- reading: only text that rp_json_check has passed ----

typedef enum rp_json_kind {
    RP_JSON_OBJECT,
    RP_JSON_ARRAY,
    RP_JSON_STRING,
    RP_JSON_NUMBER,
    RP_JSON_BOOL,
    RP_JSON_NULL
} rp_json_kind;
typedef struct rp_json {                                        // the text of one value, quotes and brackets included
    rp_json_kind kind;
    const char *begin, *end;
} rp_json;

rp_json rp_json_root(const char *text, uint64_t bytes);
const char *rp_json_kind_name(rp_json_kind kind);               // "an object", "a string"

// Walks an object's members or an array's elements:
// rp_json_walk walk = rp_json_begin(v); while (rp_json_next(&walk, &key, &value)) ...
typedef struct rp_json_walk {
    const char *at, *end;
    bool object;
} rp_json_walk;
rp_json_walk rp_json_begin(rp_json value);                      // an object or array
bool rp_json_next(rp_json_walk *walk, rp_json *key, rp_json *value);                // key: untouched in an array

bool rp_json_u64(rp_json value, uint64_t *out);                 // false: not digits alone, or too large
// Copies a string without its escapes, terminated, and cut to whole characters where `cap` bytes are too few. Returns the
// bytes copied without the terminator. A cap of value.end - value.begin is always enough.
uint64_t rp_json_copy_string(rp_json string, char *out, uint64_t cap);
bool rp_json_string_is(rp_json string, const char *text);

#endif
