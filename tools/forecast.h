// What the two kinds of `reprise forecast` share: the question, and what a kind of model does with it. forecast.c asks and
// answers; forecast_series.c (Toto, Toto 2.0) and forecast_bars.c (Kronos) read the table and call the model.
#ifndef TOOLS_FORECAST_H
#define TOOLS_FORECAST_H

#include "calendar.h"
#include "options.h"
#include "outcome.h"
#include "reprise.h"

typedef struct request {
    const char *model, *tokenizer, *input, *time_column, *device, *precision, *output, *plot;
    name_list columns, future_columns;
    uint32_t context, horizon, samples, season, block, fallback_min_obs;
    int64_t end;
    uint64_t seed, memory;
    number_list quantiles;
    bool mean, direct;
    const char *future, *calendar;
    double temperature, top_p;   // 0: not given, as top_k
    uint32_t top_k;
    double cap_k;                // 0: not given, as block and fallback_min_obs
} request;

typedef struct forecast_kind {
    // Sets the sentence if the question asks for what this kind of model does not have.
    bool (*refuses)(const request *r, const char *folder, message *error);
    // Reads the table, whose times are known, into the outcome; o->end and o->horizon are set.
    bool (*prepare)(const request *r, const rp_model_info *model, const table *t, size_t time_column, timeline *time, outcome *o,
                    message *error);
    uint32_t (*variates)(const outcome *o);   // for the forecaster
    rp_status (*run)(rp_forecaster *forecaster, const outcome *o, rp_forecast_config *config, rp_forecast_result *result);
} forecast_kind;

extern const forecast_kind forecast_of_series, forecast_of_bars;

// What only the model can say: whether it samples paths, of which the usual number is put in, or gives quantiles of its own. Sets
// the sentence if the question asks for the other.
bool forecast_suits(request *r, const rp_model_info *model, message *error);

// The context that is asked for, or `usual`, cut with a note to the rows there are.
size_t forecast_context(const request *r, size_t end, size_t usual);

#endif
