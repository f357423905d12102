// A finished forecast together with the file it came from: what tables, files, pictures and scores are made of.
#ifndef TOOLS_OUTCOME_H
#define TOOLS_OUTCOME_H

#include "timeline.h"

typedef struct outcome {
    const char *model;          // the folder as it was given
    char family[16];            // "toto", "kronos"
    const char *precision;      // "f32" or "mixed"
    char device[32];            // "cuda:0"
    char device_name[128];
    uint64_t parameters;
    uint64_t seed;
    uint32_t paths;             // 0: mean mode, or a model that gives quantiles and samples none
    double seconds;             // the forecast itself, without loading

    const timeline *time;
    size_t n_rows;              // rows of the file
    size_t end;                 // rows before the forecast; later ones are held out
    size_t context;             // of these, the last so many were given to the model
    size_t horizon;
    uint32_t season;            // 0: seasons are not compared with
    size_t n_variates;          // those that were forecast
    size_t n_all;               // and those with known futures, which come last
    char **names;               // [n_all]
    double *values;             // [n_all, n_rows], NAN = missing

    const char *unit;           // "bar"; NULL: "row"
    const char *mean_label, *mean_text;   // of a forecast without sampling; NULL: "mean", and what Toto does
    const char *mean_column;    // what `mean` holds, as files call it; NULL: "mean"
    char sampling[64];          // how paths were drawn, where that can be chosen; ""
    float temperature, top_p;   // of bars, as the two below
    uint32_t top_k;
    const char *calendar;       // what said when the forecast's bars are; NULL: they are no bars
    bool overview;              // print one table of all variates, then the first drawn alone, rather than each
    size_t drawn[2], n_drawn;   // variates that a picture shows, the second lower; none: all alike

    float *levels;              // [n_levels], rising; in mean mode there are none
    size_t n_levels;
    size_t *asked;              // [n_asked], indices into levels: what the user wants to see
    size_t n_asked;
    float *mean;                // [n_all, horizon]
    float *quantiles;           // [n_levels, n_all, horizon]
} outcome;

// Takes the asked levels and those that pictures and scores need, as far as they lie between `lowest` and 1 - lowest.
void outcome_set_levels(outcome *o, const double *asked, size_t n_asked, double lowest);
void outcome_free(outcome *o);

// Whether there is more than a point forecast; in mean mode there is not.
bool outcome_has_levels(const outcome *o);

// Whether both ends of the interval between the levels tail and 1 - tail are there.
bool outcome_has_interval(const outcome *o, double tail);

// The index of a level or SIZE_MAX.
size_t outcome_level(const outcome *o, double level);

float outcome_mean(const outcome *o, size_t variate, size_t step);
float outcome_quantile(const outcome *o, size_t level, size_t variate, size_t step);

// The median; in mean mode the mean.
float outcome_point(const outcome *o, size_t variate, size_t step);

// What happened, or NAN where the file does not say.
double outcome_actual(const outcome *o, size_t variate, size_t step);

// Held-out rows that the forecast reaches.
size_t outcome_n_known(const outcome *o);

#endif
