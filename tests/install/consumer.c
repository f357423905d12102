// A foreign program, valid C11 and C++11: a forecast without chance, whose last number is checked.
//   consumer MODEL_FOLDER [DEVICE]
#include <math.h>
#include <stdio.h>

#include <reprise.h>

enum { CONTEXT = 12, HORIZON = 6 };

// What the float64 reference gives. Other devices agree to some 1e-5 of the series' standard deviation, which is 13.
static const double expected = 121.47924, tolerance = 1e-3;

int main(int argc, char **argv) {
    static const float history[CONTEXT] = { 112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118 };
    float mean[HORIZON];
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_forecaster *forecaster = NULL;
    rp_forecaster_config sizes = RP_FORECASTER_CONFIG_INIT;
    rp_series series = RP_SERIES_INIT;
    rp_forecast_config config = RP_FORECAST_CONFIG_INIT;
    rp_forecast_result result = RP_FORECAST_RESULT_INIT;
    sizes.max_context = CONTEXT, sizes.max_horizon = HORIZON;
    series.values = history, series.context = CONTEXT;
    config.horizon = HORIZON;
    result.mean = mean;
    int good = 0;
    if (argc > 1 && rp_device_create(argc > 2 ? argv[2] : "ref", NULL, &device) == RP_OK &&
        rp_model_load(device, argv[1], NULL, &model) == RP_OK && rp_forecaster_create(model, &sizes, &forecaster) == RP_OK &&
        rp_forecast(forecaster, &series, 1, &config, &result) == RP_OK) {
        good = fabs((double)mean[HORIZON - 1] - expected) < tolerance;
        printf("%.5f, where %.5f was expected\n", (double)mean[HORIZON - 1], expected);
    } else {
        char text[1024];
        rp_device_copy_error(device, text, sizeof text);
        fprintf(stderr, "%s\n", device ? text : "usage: consumer MODEL_FOLDER [DEVICE]");
    }
    rp_forecaster_destroy(forecaster);
    rp_model_destroy(model);
    rp_device_destroy(device);
    return good ? 0 : 1;
}
