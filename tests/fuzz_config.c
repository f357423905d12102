// Any bytes as a config: a sentence or an object whose getters answer, never a crash.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "config.h"

#include "fuzz_main.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int promise) {
    if (!promise) { abort(); }
}

static void check_sentence(const rp_error *error) {
    check(error->text[0] != '\0');
    for (const char *p = error->text; *p; p++) { check((unsigned char)*p >= 0x20 && *p != 0x7F); }
}

// Each getter on one key; at most one type can be right.
static void read_key(const rp_config *config, const char *key) {
    rp_error error = { "" };
    uint32_t number = 0, count = 0, types = 0;
    double real = 0;
    bool truth = false;
    const char *text = NULL;
    if (rp_config_u32(config, key, 1, 4096, &number, &error) == RP_OK) {
        check(number >= 1 && number <= 4096 && rp_config_f64(config, key, 1, 4096, &real, &error) == RP_OK &&
              real == number);
    } else {
        check_sentence(&error);
    }
    types += rp_config_f64(config, key, -INFINITY, INFINITY, &real, &error) == RP_OK;
    types += rp_config_bool(config, key, &truth, &error) == RP_OK;
    types += rp_config_string(config, key, &text, &error) == RP_OK && text;
    types += rp_config_object(config, key, &error) == RP_OK;
    if (rp_config_strings(config, key, 0, 1000, &count, &error) == RP_OK) {
        types++;
        for (uint32_t i = 0; i < count; i++) { check(rp_config_strings_get(config, key, i) != NULL); }
    }
    check(types <= 1 && (types == 0 || rp_config_has(config, key)));
    if (rp_config_u32_or(config, key, 0, UINT32_MAX, 7, &number, &error) != RP_OK) { check_sentence(&error); }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = { "patch_size", "scaler_cls", "a", "a.b", "a.b.c", "output_distribution_classes",
                                        "output_distribution_kwargs.k_components", "spacewise_first" };
    rp_error error = { "" };
    rp_config *config = NULL;
    const rp_status status = rp_config_parse((const char *)data, size, "fuzz.json", &config, &error);
    check((status == RP_OK) == (config != NULL));
    check(status == RP_OK || status == RP_BAD_FILE);            // text that passed the check must pass cJSON
    if (!config) { check_sentence(&error); return 0; }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) { read_key(config, keys[i]); }
    rp_config_close(config);
    return 0;
}
