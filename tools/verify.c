// reprise verify: goldens on a device.
#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "command.h"
#include "golden.h"
#include "options.h"
#include "session.h"

#define MAX_PATHS 256
#define EXIT_SKIPPED 77   // what CTest and automake take for a skipped test

int command_verify(int argc, char **argv) {
    const char *device_spec = NULL, *precision = "auto";
    golden_options options = { .samples = 1024, .seed = 1 };
    bool skip_absent = false, validate = false;
    const option rows[] = {
        { "device", OPTION_TEXT, &device_spec, "D", "cuda[:N], vulkan[:N], ref or auto (default)", NULL, false },
        { "precision", OPTION_CHOICE, &precision, "P", "auto (default), f32 or mixed", PRECISION_CHOICES, false },
        { "model", OPTION_TEXT, &options.model, "DIR", "the weights, where the golden folder does not hold them", NULL, false },
        { "samples", OPTION_COUNT, &options.samples, "S", "paths for quantiles (default 1024)", NULL, false },
        { "seed", OPTION_SEED, &options.seed, "N", "of those paths (default 1)", NULL, false },
        { "validate", OPTION_FLAG, &validate, NULL, "with Vulkan's validation layers, where installed", NULL, false },
        { "skip-absent", OPTION_FLAG, &skip_absent, NULL, "exit 77 instead of 1 when the device is not there", NULL, false },
    };
    const option_set set = { "verify", "[options] PATH...",
                             "Runs recorded results of the original code, golden folders or files, and prints each expected\n"
                             "tensor's worst error. Exits 1 if any is over its limit.\n",
                             "  reprise verify --device vulkan build/golden/toto-tiny\n"
                             "  reprise verify --model models/demo-toto tests/golden-demo/air.safetensors\n",
                             rows, sizeof rows / sizeof *rows };
    const char *paths[MAX_PATHS];
    size_t n_paths = 0;
    int early = options_parse(&set, argc, argv, paths, MAX_PATHS, &n_paths);
    if (early >= 0) { return early; }
    if (n_paths == 0) { return options_misused("verify", "which golden? name at least one folder or file"); }
    options.precision = strcmp(precision, "f32") == 0 ? RP_PRECISION_F32
                      : strcmp(precision, "mixed") == 0 ? RP_PRECISION_MIXED : RP_PRECISION_AUTO;

    rp_device *device = NULL;
    rp_device_config config = RP_DEVICE_CONFIG_INIT;
    config.validate = validate;
    rp_status status = rp_device_create(device_spec, &config, &device);
    // The reference takes float16 tensors as well: what `mixed` means without a device's own rounding.
    if (status == RP_OK && device->info.kind == RP_DEVICE_REFERENCE && options.precision == RP_PRECISION_MIXED) { device->info.mixed = 1; }
    golden_count count = { 0, 0, 0 };
    bool ok = status == RP_OK;
    if (!ok) { session_complain(device, status); }
    bool skipped = skip_absent && status == RP_UNAVAILABLE;
    for (size_t i = 0; ok && i < n_paths; i++) {
        message error = { "" };
        if (!golden_run(device, paths[i], &options, &count, &error)) {
            complain("%s: %s", paths[i], error.text);
            ok = false;
        }
    }
    if (ok) {
        rp_device_info info = RP_DEVICE_INFO_INIT;
        ok = rp_device_copy_info(device, &info) == RP_OK && count.failed == 0;
        skipped = count.skipped > 0 && count.passed + count.failed == 0;
        printf("%u passed, %u failed on %s (%s)\n", count.passed, count.failed, info.spec, info.name);
    }
    rp_device_destroy(device);
    return skipped ? EXIT_SKIPPED : ok ? EXIT_DONE : EXIT_FAILED;
}
