// A forecast of price bars in one page of C: two weeks of hourly bars, a random walk with a daily swing in the volume.
//   cc examples/bars.c -Iapi -Lbuild -lreprise -lm -o bars && ./bars models/demo-kronos [device]
#include <math.h>
#include <stdio.h>

#include "reprise.h"

enum { CONTEXT = 14 * 24, HORIZON = 12, PATHS = 64, COLUMNS = 6 };

static float noise(void) {   // from -1 to 1, the same on every machine
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s MODEL_FOLDER [device]\n", argv[0]);
        return 2;
    }
    static float open[CONTEXT], high[CONTEXT], low[CONTEXT], close[CONTEXT], volume[CONTEXT];
    static int64_t times[CONTEXT];
    float price = 100;
    for (int i = 0; i < CONTEXT; i++) {
        open[i] = price;
        price *= 1 + 0.004f * noise();
        close[i] = price;
        high[i] = fmaxf(open[i], close[i]) + 0.1f * fabsf(noise());
        low[i] = fminf(open[i], close[i]) - 0.1f * fabsf(noise());
        volume[i] = 1000 + 600 * sinf((float)i * 6.2831853f / 24.0f) + 200 * noise();
        times[i] = 1704067200 + 3600 * (int64_t)i;   // from 2024-01-01 00:00
    }

    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    rp_status status = rp_device_create(argc > 2 ? argv[2] : "auto", NULL, &device);
    if (status != RP_OK) { goto cleanup; }
    status = rp_model_load(device, argv[1], NULL, &model);   // the tokenizer lies inside that folder
    if (status != RP_OK) { goto cleanup; }

    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    sizes.max_context = CONTEXT;
    sizes.max_horizon = HORIZON;
    sizes.max_paths = PATHS;
    status = rp_forecaster_create(model, &sizes, &forecaster);
    if (status != RP_OK) { goto cleanup; }

    rp_bars bars = RP_BARS_INIT;
    bars.open = open, bars.high = high, bars.low = low, bars.close = close;
    bars.volume = volume;    // no amount: volume x mean price
    bars.times = times;      // no future_times: hour by hour
    bars.context = CONTEXT;
    const float levels[] = { 0.1f, 0.5f, 0.9f };
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = HORIZON;
    config.paths = PATHS;
    config.top_p = 0.9f;
    config.quantile_levels = levels;
    config.n_quantiles = 3;
    float quantiles[3][COLUMNS][HORIZON];   // open, high, low, close, volume, amount
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    result.quantiles = quantiles[0][0];
    status = rp_forecast_bars(forecaster, &bars, 1, &config, &result);
    if (status != RP_OK) { goto cleanup; }

    printf("last close %.2f\nhour   close: 10 %%  median    90 %%   volume: median\n", (double)close[CONTEXT - 1]);
    for (int h = 0; h < HORIZON; h++) {
        printf("%4d%14.2f%8.2f%8.2f%17.0f\n", h + 1, (double)quantiles[0][3][h], (double)quantiles[1][3][h],
               (double)quantiles[2][3][h], (double)quantiles[1][4][h]);
    }
cleanup:
    if (status != RP_OK) {
        char text[1024] = "";
        if (device) { rp_device_copy_error(device, text, sizeof text); }
        fprintf(stderr, "%s: %s\n", rp_status_name(status), text[0] ? text : rp_status_text(status));
    }
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    rp_device_destroy(device);
    return status == RP_OK ? 0 : 1;
}
