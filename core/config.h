// config.json and its like: a small JSON object, read by key. Every getter writes the whole sentence when it fails, so that
// a model only says RP_TRY(rp_config_u32(config, "patch_size", 1, 1024, &out, error)).
#ifndef RP_CONFIG_H
#define RP_CONFIG_H

#include <stdbool.h>

#include "status.h"

typedef struct rp_config rp_config;

// Opens a file that holds one JSON object. Unknown keys are no concern of this reader; a key that stands twice is refused.
//   out      close with rp_config_close; NULL on failure
// Errors:    NOT_FOUND, BAD_FILE, OUT_OF_MEMORY
rp_status rp_config_open(const char *path, rp_config **out, rp_error *error);
// The same from memory, which is read during the call only. `name` is what sentences call it.
rp_status rp_config_parse(const char *text, uint64_t bytes, const char *name, rp_config **out, rp_error *error);
void rp_config_close(rp_config *config);                        // NULL is fine

// A key may be a path into objects: "output_distribution_kwargs.k_components".
// Errors of all getters: BAD_FILE (missing, of another type, out of range), and they name key, file and what was expected.
// The _or forms give the fallback where the key is missing or null; a value that is there is checked as strictly.
bool rp_config_has(const rp_config *config, const char *key);   // there and not null

rp_status rp_config_u32(const rp_config *config, const char *key, uint32_t min, uint32_t max, uint32_t *out,
                        rp_error *error);
rp_status rp_config_u32_or(const rp_config *config, const char *key, uint32_t min, uint32_t max, uint32_t fallback,
                           uint32_t *out, rp_error *error);
rp_status rp_config_f64(const rp_config *config, const char *key, double min, double max, double *out, rp_error *error);
rp_status rp_config_f64_or(const rp_config *config, const char *key, double min, double max, double fallback, double *out,
                           rp_error *error);
rp_status rp_config_bool(const rp_config *config, const char *key, bool *out, rp_error *error);
rp_status rp_config_bool_or(const rp_config *config, const char *key, bool fallback, bool *out, rp_error *error);

// Strings are lent: they live as long as the config.
rp_status rp_config_string(const rp_config *config, const char *key, const char **out, rp_error *error);
rp_status rp_config_string_or(const rp_config *config, const char *key, const char *fallback, const char **out,
                              rp_error *error);

// An array of strings: its length (between min and max), then its elements.
rp_status rp_config_strings(const rp_config *config, const char *key, uint32_t min, uint32_t max, uint32_t *count,
                            rp_error *error);
const char *rp_config_strings_get(const rp_config *config, const char *key, uint32_t index);  // after the call above

// Succeeds where an object stands under `key`; what is in it is read with a longer path.
rp_status rp_config_object(const rp_config *config, const char *key, rp_error *error);

#endif
