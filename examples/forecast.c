// A forecast in one page of C: what is unknown lies between a rising trend and a season of 12, both built here.
//   cc examples/forecast.c -Iapi -Lbuild -lreprise -lm -o forecast && ./forecast models/demo-toto [device]
#include <math.h>
#include <stdio.h>

#include "reprise.h"

enum { CONTEXT = 120, HORIZON = 12, PATHS = 256 };

static float season_and_trend(int month) {
    return 100.0f + 0.8f * (float)month + 20.0f * sinf((float)month * 6.2831853f / 12.0f);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s MODEL_FOLDER [device]\n", argv[0]);
        return 2;
    }
    float history[CONTEXT];
    for (int i = 0; i < CONTEXT; i++) { history[i] = season_and_trend(i); }

    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    rp_status status = rp_device_create(argc > 2 ? argv[2] : "auto", NULL, &device);
    if (status != RP_OK) { goto cleanup; }
    status = rp_model_load(device, argv[1], NULL, &model);
    if (status != RP_OK) { goto cleanup; }

    // Sizes are fixed here, once; every forecast within them replays the same recording.
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    sizes.max_context = CONTEXT;
    sizes.max_horizon = HORIZON;
    sizes.max_paths = PATHS;
    status = rp_forecaster_create(model, &sizes, &forecaster);
    if (status != RP_OK) { goto cleanup; }

    rp_series series = RP_SERIES_INIT;
    series.values = history;
    series.context = CONTEXT;
    const float levels[] = { 0.1f, 0.5f, 0.9f };
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    config.horizon = HORIZON;
    config.paths = PATHS;
    config.quantile_levels = levels;
    config.n_quantiles = 3;
    float quantiles[3][HORIZON];
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    result.quantiles = quantiles[0];
    status = rp_forecast(forecaster, &series, 1, &config, &result);
    if (status != RP_OK) { goto cleanup; }

    printf("step    10 %%  median    90 %%   truth\n");
    for (int h = 0; h < HORIZON; h++) {
        double truth = (double)season_and_trend(CONTEXT + h);
        printf("%4d%8.1f%8.1f%8.1f%8.1f\n", h + 1, (double)quantiles[0][h], (double)quantiles[1][h],
               (double)quantiles[2][h], truth);
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
