// Which weights precision mixed takes: what does not fit float16 is refused by name, and auto takes f32 then. The reference device,
// asked to take float16 tensors, is enough for that.
#include "case.h"

#include "platform.h"
#include "safetensors.h"

#define TOTO RP_GOLDEN_DIR "/toto-tiny"
#define KRONOS RP_GOLDEN_DIR "/kronos-tiny"

static char folder[] = "/tmp/reprise-mixed-XXXXXX";

static void write_file(const char *name, const void *data, size_t bytes) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

// Copies a model's files; the last number of `tensor` becomes `value`.
static void copy_model(const char *from, const char *tensor, float value) {
    static const char *const names[] = { "config.json", "model.safetensors" };
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        rp_file source = { 0 };
        rp_error error;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", from, names[i]);
        assert_int_equal(rp_file_map(path, &source, &error), RP_OK);
        char *copy = malloc(source.bytes);
        assert_non_null(copy);
        memcpy(copy, source.data, source.bytes);
        if (i == 1) {
            rp_weights *weights;
            assert_int_equal(rp_weights_parse(copy, source.bytes, path, &weights, &error), RP_OK);
            const rp_weight *w = rp_weights_find(weights, tensor);
            assert_non_null(w);
            assert_int_equal(w->dtype, RP_F32);
            memcpy(copy + ((const char *)w->data - copy) + w->bytes - sizeof value, &value, sizeof value);
            rp_weights_close(weights);
        }
        write_file(names[i], copy, source.bytes);
        free(copy);
        rp_file_unmap(&source);
    }
}

// The precision that it is loaded in; AUTO: refused.
static rp_precision load(rp_device *device, rp_precision asked, const char *model_folder, const char *tokenizer) {
    rp_model_config config = RP_MODEL_CONFIG_INIT;
    rp_model_info info = RP_MODEL_INFO_INIT;
    rp_model *model = NULL;
    config.precision = asked, config.tokenizer = tokenizer;
    const rp_status status = rp_model_load(device, model_folder, &config, &model);
    if (status == RP_UNSUPPORTED) { return RP_PRECISION_AUTO; }
    test_ok(device, status, "load");
    test_ok(device, rp_model_copy_info(model, &info), "info");
    rp_model_destroy(model);
    return info.precision;
}

static void ranges(void **state) {
    (void)state;
    static const struct { const char *from, *tensor; float value; bool tokenizer, fits; } rows[] = {
        { TOTO, "model.transformer.layers.1.mlp.0.w3.weight", 65504, false, true },
        { TOTO, "model.transformer.layers.1.mlp.0.w3.weight", 65536, false, false },
        { KRONOS "/model", "transformer.1.self_attn.k_proj.weight", -65504, false, true },
        { KRONOS "/model", "transformer.1.self_attn.k_proj.weight", -65536, false, false },
        { KRONOS "/model", "transformer.0.ffn.w1.weight", 1e30f, false, false },
        { KRONOS "/model", "transformer.0.ffn.w3.weight", 1e5f, false, false },   // the other half of a gate
        { KRONOS "/model", "head.proj_s2.weight", 1e5f, false, false },
        { KRONOS "/tokenizer", "decoder.0.ffn.w2.weight", 1e5f, true, false },
        // Kept as float32, whatever they hold.
        { KRONOS "/model", "embedding.emb_s1.weight", 1e5f, false, true },
        { KRONOS "/model", "transformer.0.self_attn.k_proj.bias", 1e5f, false, true },
        { KRONOS "/tokenizer", "encoder.0.ffn.w2.weight", 1e5f, true, true },
        { KRONOS "/tokenizer", "head.weight", 1e5f, true, true },
    };
    rp_device *device = test_ref();
    for (size_t i = 0; i < TEST_COUNT(rows); i++) {
        const bool kronos = strncmp(rows[i].from, KRONOS "/", sizeof KRONOS) == 0;
        const char *model = rows[i].tokenizer ? KRONOS "/model" : folder;
        const char *tokenizer = rows[i].tokenizer ? folder : kronos ? KRONOS "/tokenizer" : NULL;
        char text[1024];
        copy_model(rows[i].from, rows[i].tensor, rows[i].value);
        device->info.mixed = 0;
        assert_int_equal(load(device, RP_PRECISION_MIXED, model, tokenizer), RP_PRECISION_AUTO);
        rp_device_copy_error(device, text, sizeof text);
        if (strstr(text, "no matrix units") == NULL) { fail_msg("\"%s\" should say that there are no matrix units", text); }
        assert_int_equal(load(device, RP_PRECISION_AUTO, model, tokenizer), RP_PRECISION_F32);
        device->info.mixed = 1;
        if (load(device, RP_PRECISION_MIXED, model, tokenizer) != (rows[i].fits ? RP_PRECISION_MIXED : RP_PRECISION_AUTO)) {
            fail_msg("row %zu: %s = %g %s", i, rows[i].tensor, (double)rows[i].value, rows[i].fits ? "is refused" : "is taken");
        }
        rp_device_copy_error(device, text, sizeof text);
        if (!rows[i].fits && (strstr(text, rows[i].tensor) == NULL || strstr(text, "use precision f32") == NULL)) {
            fail_msg("\"%s\" should name %s and what to do", text, rows[i].tensor);
        }
        assert_int_equal(load(device, RP_PRECISION_AUTO, model, tokenizer), rows[i].fits ? RP_PRECISION_MIXED : RP_PRECISION_F32);
        assert_int_equal(load(device, RP_PRECISION_F32, model, tokenizer), RP_PRECISION_F32);
        device->info.mixed = 0;
    }
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int drop_folder(void **state) {
    (void)state;
    rp_folder_remove(folder);
    test_devices_close();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(ranges) };
    return cmocka_run_group_tests_name("mixed", tests, make_folder, drop_folder);
}
