// `reprise inspect`: what is in a model folder, and the memory that forecasts of given sizes take.
#include <stdio.h>

#include "command.h"
#include "kronos.h"
#include "options.h"
#include "session.h"

typedef struct sizes {
    uint32_t context, horizon, variates, batch, samples, block;
    uint64_t memory;
} sizes;

static void print_model(const char *folder, const session *s) {
    const rp_model_info *m = &s->model_info;
    char parameters[32], file[32], device[32];
    format_count(m->parameters, parameters, sizeof parameters);
    format_bytes(m->file_bytes, file, sizeof file);
    format_bytes(m->device_bytes, device, sizeof device);
    printf("folder      %s\nfamily      %s%s\n", folder, m->family,
           m->has_labels ? ", fine-tuned with variate labels" : "");
    printf("parameters  %s (%llu), %s on disk\n", parameters, (unsigned long long)m->parameters, file);
    if (session_is_bars(s)) {
        const kronos_config *c = &((const kronos_model *)s->model)->config;
        printf("model       width %u, layers %u, heads %u, mlp %u, tokens of %u + %u bits, a window of %u bars\n", m->width,
               m->layers, m->heads, m->mlp_width, c->s1_bits, c->s2_bits, m->window);
        printf("tokenizer   width %u, layers %u + %u, heads %u, mlp %u\n", c->tokenizer.width, c->tokenizer.layers,
               c->tokenizer.decoder_layers, c->tokenizer.heads, c->tokenizer.mlp);
    } else if (m->quantiles > 0) {
        printf("sizes       patch %u, width %u, layers %u, heads %u, mlp %u, quantiles %u\n", m->patch, m->width, m->layers, m->heads,
               m->mlp_width, m->quantiles);
    } else {
        printf("sizes       patch %u, width %u, layers %u, heads %u, mlp %u, mixture components %u\n", m->patch, m->width,
               m->layers, m->heads, m->mlp_width, m->components);
    }
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
    config.block = size->block;
    rp_forecaster_info info = RP_FORECASTER_INFO_INIT;
    rp_status status = rp_forecaster_query(s->model, &config, &info);
    if (status != RP_OK) {
        session_complain(s->device, status);
        return false;
    }
    char bytes[32], total[32];
    format_bytes(info.device_bytes, bytes, sizeof bytes);
    format_bytes(info.device_bytes + s->model_info.device_bytes, total, sizeof total);
    printf("forecaster  %s more, %s with the weights: context %u, horizon %u, ", bytes, total, size->context, size->horizon);
    if (size->variates) { printf("variates %u, ", size->variates); }
    if (s->model_info.quantiles > 0) {
        printf("batch %u\n", size->batch);
        return true;
    }
    printf("batch %u, paths %u\n", size->batch, size->samples);
    if (info.chunks == 1) {
        printf("paths       all decoded together\n");
    } else {
        printf("paths       in %u chunks of %u\n", info.chunks, info.chunk_paths);
    }
    return true;
}

// What was not asked for: what the family is usually asked.
static void choose_sizes(const session *s, sizes *size) {
    uint32_t window = s->model_info.window;
    if (session_is_bars(s)) {
        if (size->horizon == 0) { size->horizon = window / 4 > 0 ? window / 4 : 1; }
        if (size->context == 0) { size->context = size->horizon < window ? window - size->horizon : window; }
        return;
    }
    if (size->horizon == 0) { size->horizon = 336; }
    if (size->context == 0) { size->context = 4096; }
    if (size->variates == 0) { size->variates = 1; }
}

int command_inspect(int argc, char **argv) {
    const char *model = NULL, *tokenizer = NULL, *device = NULL, *precision = NULL;
    sizes size = { .batch = 1, .samples = 256 };
    const option options[] = {
        ROW_MODEL(&model), ROW_TOKENIZER(&tokenizer),
        { "device", OPTION_TEXT, &device, "D", "whose memory is asked about; default auto, as forecast has it", NULL,
          false },
        { "precision", OPTION_CHOICE, &precision, "P", "f32, mixed or auto", PRECISION_CHOICES, false },
        { "context", OPTION_COUNT, &size.context, "N", "rows given to the model; default 4096, Kronos: as the window allows", NULL, false },
        { "horizon", OPTION_COUNT, &size.horizon, "H", "rows to forecast; default 336, Kronos: a quarter of its window", NULL, false },
        { "variates", OPTION_COUNT, &size.variates, "V", "Toto: columns; default 1", NULL, false },
        { "batch", OPTION_COUNT, &size.batch, "B", "series forecast together; default 1", NULL, false },
        { "samples", OPTION_COUNT, &size.samples, "S", "sample paths of each; default 256", NULL, false },
        { "block", OPTION_COUNT, &size.block, "N", "Toto 2.0: rows predicted in one pass; default: the whole horizon", NULL, false },
        { "memory", OPTION_BYTES, &size.memory, "BYTES", "device memory to stay within beyond the model's own, such as 2G",
          NULL, false },
    };
    const option_set set = {
        "inspect",
        "--model DIR [options]",
        "Says what a model folder holds, and how much device memory a forecast of the given sizes\n"
        "takes. Nothing is allocated for the forecast itself.\n",
        "  reprise inspect --model models/demo-toto --context 512 --horizon 64 --variates 7\n"
        "  reprise inspect --model models/demo-kronos --context 168 --horizon 24\n",
        options,
        sizeof options / sizeof *options,
    };
    int result = options_parse(&set, argc, argv, NULL, 0, NULL);
    if (result >= 0) { return result; }
    session s;
    if (!session_open_pair(device, precision, model, tokenizer, &s)) { return EXIT_FAILED; }
    if (session_is_bars(&s) && size.variates) {
        session_close(&s);
        return options_misused("inspect", "%s is a model of bars, which have six variates; leave out --variates", model);
    }
    choose_sizes(&s, &size);
    print_model(model, &s);
    result = print_memory(&s, &size) ? EXIT_DONE : EXIT_FAILED;
    session_close(&s);
    return result;
}
