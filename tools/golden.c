#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "family.h"
#include "platform.h"
#include "golden_parts.h"

// Error bounds in units of a series' standard deviation. The reference works in float64; what is left is the goldens' own
// storage in float32. A float32 device may err three times as much as the original did in float32 on this very case.
#define LIMIT_REFERENCE 1e-6
#define LIMIT_F32 1e-5

bool golden_failed(message *error, rp_device *device, rp_status status) {
    char text[sizeof error->text];
    rp_device_copy_error(device, text, sizeof text);
    return message_set(error, "%s", text[0] ? text : rp_status_text(status));
}

double *golden_numbers(const golden *g, const char *name, uint64_t *count) {
    const rp_weight *w = rp_weights_find(g->file, name);
    if (w == NULL) { return NULL; }
    double *out = take(w->count + 1, sizeof *out);
    if (w->dtype == RP_I32 || w->dtype == RP_U8) {
        for (uint64_t i = 0; i < w->count; i++) {
            int32_t value = 0;
            memcpy(&value, (const char *)w->data + i * rp_dtype_size(w->dtype), rp_dtype_size(w->dtype));
            out[i] = value;
        }
    } else {
        rp_convert(out, RP_F64, w->data, w->dtype, w->count);
    }
    if (count != NULL) { *count = w->count; }
    return out;
}

void golden_report(golden *g, const char *name, double error, double limit, const char *unit) {
    const bool pass = error <= limit;    // false for NaN
    printf("  %-28s %9.2e  limit %8.1e %-14s %s\n", name, error, limit, unit, pass ? "PASS" : "FAIL");
    pass ? g->count->passed++ : g->count->failed++;
}

double *golden_read(rp_buffer *activations, const rp_tensor *tensor) {
    rp_buffer *buffer = tensor->buffer ? tensor->buffer : activations;
    double *out = take(rp_tensor_count(tensor) + 1, sizeof *out);
    rp_status status;
    if (tensor->dtype == RP_U32) {
        uint32_t *words = take(rp_tensor_count(tensor) + 1, sizeof *words);
        status = buffer->device->backend->read(buffer, tensor->offset, RP_U32, words, RP_U32, rp_tensor_count(tensor));
        for (uint64_t i = 0; i < rp_tensor_count(tensor); i++) { out[i] = words[i]; }
        free(words);
    } else {
        status = buffer->device->backend->read(buffer, tensor->offset, tensor->dtype, out, RP_F64, rp_tensor_count(tensor));
    }
    if (status != RP_OK) { out[0] = NAN; }
    return out;
}

double golden_limit_of(rp_device *device, double own) {
    return device->info.kind == RP_DEVICE_REFERENCE ? LIMIT_REFERENCE : fmax(LIMIT_F32, F32_FACTOR * own);
}

bool golden_is_mixed(const golden *g) {
    return g->model->info.precision == RP_PRECISION_MIXED && g->device->info.kind != RP_DEVICE_REFERENCE;
}

double golden_own_error(const char *folder) {
    double own = 0;
    rp_error error;
    rp_config *config = NULL;
    char *path = folder ? rp_path_join(folder, "case.json") : NULL;
    if (path != NULL && rp_config_open(path, &config, &error) == RP_OK) {
        if (rp_config_f64_or(config, "fp32_vs_fp64", 0, 1, 0, &own, &error) != RP_OK) { own = 0; }
    }
    rp_config_close(config);
    free(path);
    return own;
}

double golden_limit(rp_device *device, const char *folder) { return golden_limit_of(device, golden_own_error(folder)); }

bool golden_run(rp_device *device, const char *path, const golden_options *options, golden_count *count, message *error) {
    golden g = { .device = device, .count = count };
    rp_error text;
    const bool is_folder = rp_path_is_folder(path);
    const size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".csv") == 0) {
        printf("%s\n", path);
        bool done = golden_run_real(&g, path, options, error);
        rp_forecaster_destroy(g.forecaster);
        rp_model_destroy(g.model);
        return done;
    }
    char *file = is_folder ? rp_path_join(path, "golden.safetensors") : take_text(path);
    bool ok = rp_weights_open_file(file, &g.file, &text) == RP_OK;
    printf("%s\n", path);
    if (!ok) {
        message_set(error, "%s", text.text);
    } else if (rp_weights_find(g.file, "input.ohlcva") != NULL) {
        ok = golden_run_kronos(&g, path, is_folder, options, error);
    } else if (rp_weights_find(g.file, "expect.single") != NULL) {
        ok = golden_run_toto2(&g, path, is_folder, options, error);
    } else {
        ok = golden_run_toto(&g, path, is_folder, options, error);
    }
    free(file);
    rp_forecaster_destroy(g.forecaster);
    rp_model_destroy(g.model);
    rp_weights_close(g.file);
    return ok;
}
