// `reprise inspect`: what is in a model folder, and the memory that forecasts of given sizes take.
#include <stdio.h>

#include "command.h"
#include "options.h"
#include "session.h"

typedef struct sizes {
    uint32_t context, horizon, variates, batch, samples;
    uint64_t memory;
} sizes;

static void print_model(const char *folder, const session *s) {
    const rp_model_info *m = &s->model_info;
    char parameters[32], file[32], device[32];
    format_count(m->parameters, parameters, sizeof parameters);
    format_bytes(m->file_bytes, file, sizeof file);
    format_bytes(m->device_bytes, device, sizeof device);
    printf("model       %s\nfamily      %s%s\n", folder, m->family,
           m->has_labels ? ", fine-tuned with variate labels" : "");
    printf("parameters  %s (%llu), %s on disk\n", parameters, (unsigned long long)m->parameters, file);
    printf("sizes       patch %u, width %u, layers %u, heads %u, mlp %u, mixture components %u\n", m->patch, m->width,
           m->layers, m->heads, m->mlp_width, m->components);
    printf("device      %s (%s), %s\n", s->device_info.spec, s->device_info.name, precision_name(m->precision));
    printf("weights     %s on the device\n", device);
}

static bool print_memory(session *s, const sizes *size) {
    rp_forecaster_config config = RP_FORECASTER_CONFIG_INIT;
    config.max_context = size->context;
    config.max_horizon = size->horizon;
    config.variates = size->variates;
    config.max_batch = size->batch;
    config.max_paths = size->samples;
    config.memory_bytes = size->memory;
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    rp_status status = rp_forecaster_query(s->model, &config, &info);
    if (status != RP_OK) {
        session_complain(s->device, status);
        return false;
    }
    char bytes[32], total[32];
    format_bytes(info.device_bytes, bytes, sizeof bytes);
    format_bytes(info.device_bytes + s->model_info.device_bytes, total, sizeof total);
    printf("forecaster  %s more, %s with the weights: context %u, horizon %u, variates %u, batch %u, paths %u\n", bytes,
           total, size->context, size->horizon, size->variates, size->batch, size->samples);
    if (info.chunks == 1) {
        printf("paths       all decoded together\n");
    } else {
        printf("paths       in %u chunks of %u\n", info.chunks, info.chunk_paths);
    }
    return true;
}

int command_inspect(int argc, char **argv) {
    const char *model = NULL, *device = NULL, *precision = NULL;
    sizes size = { .context = 4096, .horizon = 336, .variates = 1, .batch = 1, .samples = 256 };
    const option options[] = {
        { "model", OPTION_TEXT, &model, "DIR", "folder with config.json and model.safetensors", NULL, true },
        { "device", OPTION_TEXT, &device, "D", "whose memory is asked about; default auto, as forecast has it", NULL,
          false },
        { "precision", OPTION_CHOICE, &precision, "P", "f32, mixed or auto", PRECISION_CHOICES, false },
        { "context", OPTION_COUNT, &size.context, "N", "rows given to the model; default 4096", NULL, false },
        { "horizon", OPTION_COUNT, &size.horizon, "H", "rows to forecast; default 336", NULL, false },
        { "variates", OPTION_COUNT, &size.variates, "V", "columns; default 1", NULL, false },
        { "batch", OPTION_COUNT, &size.batch, "B", "series forecast together; default 1", NULL, false },
        { "samples", OPTION_COUNT, &size.samples, "S", "sample paths of each; default 256", NULL, false },
        { "memory", OPTION_BYTES, &size.memory, "BYTES", "device memory to stay within beyond the model's own, such as 2G",
          NULL, false },
    };
    const option_set set = {
        "inspect",
        "--model DIR [options]",
        "Says what a model folder holds, and how much device memory a forecast of the given sizes\n"
        "takes. Nothing is allocated for the forecast itself.\n",
        "  reprise inspect --model models/demo-toto --context 512 --horizon 64 --variates 7\n",
        options,
        sizeof options / sizeof *options,
    };
    int result = options_parse(&set, argc, argv, NULL, 0, NULL);
    if (result >= 0) { return result; }
    session s;
    if (!session_open(device, precision, model, &s)) { return EXIT_FAILED; }
    print_model(model, &s);
    result = print_memory(&s, &size) ? EXIT_DONE : EXIT_FAILED;
    session_close(&s);
    return result;
}
