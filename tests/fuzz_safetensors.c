// Any bytes as a safetensors file and as an index of shards: a sentence or a list that holds together, never a crash.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "safetensors_private.h"

#include "fuzz_main.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int promise) {
    if (!promise) { abort(); }
}

static void check_sentence(const rp_error *error) {
    check(error->text[0] != '\0');
    for (const char *p = error->text; *p; p++) { check((unsigned char)*p >= 0x20 && *p != 0x7F); }
}

static void check_weights(const rp_weights *weights, const uint8_t *data, size_t size) {
    for (uint32_t i = 0; i < rp_weights_count(weights); i++) {
        const rp_weight *weight = rp_weights_get(weights, i);
        const uint8_t *begin = weight->data;
        check(begin >= data && weight->bytes <= size && begin + weight->bytes <= data + size);
        check(weight->bytes == weight->count * rp_dtype_size(weight->dtype) && weight->n_dims <= RP_WEIGHT_MAX_DIMS);
        check(rp_weights_find(weights, weight->name) == weight);
        rp_error error = { "" };
        if (rp_weight_check_finite(weight, &error) != RP_OK) { check_sentence(&error); }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_error error = { "" };
    rp_weights *weights = NULL;
    rp_status status = rp_weights_parse(data, size, "fuzz.safetensors", &weights, &error);
    check((status == RP_OK) == (weights != NULL));
    if (weights) { check_weights(weights, data, size); } else { check_sentence(&error); }
    rp_weights_close(weights);

    rp_shard_index index;
    error.text[0] = '\0';
    status = rp_shard_index_parse(data, size, "fuzz.index.json", &index, &error);
    if (status == RP_OK) {
        for (uint32_t i = 0; i < index.count; i++) {
            check(index.entries[i].file < index.n_shards && index.entries[i].shard == index.shards[index.entries[i].file]);
            check(!strchr(index.entries[i].shard, '/') && index.entries[i].name[0] != '\0');
        }
    } else {
        check_sentence(&error);
    }
    rp_shard_index_free(&index);
    return 0;
}
