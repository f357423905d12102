// Tables and files of a forecast; see output.h.
#include "output.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draft.h"
#include "reprise.h"
#include "scores.h"

// ---- for people ----

static void level_name(float level, char *buf, size_t cap) {
    if (level == 0.5f) {
        snprintf(buf, cap, "median");
    } else {
        snprintf(buf, cap, "%.4g %%", 100 * (double)level);
    }
}

void output_summary(const outcome *o) {
    char first[64], last[64], parameters[32], rhythm[64];
    timeline_label(o->time, o->end - o->context, first, sizeof first);
    timeline_label(o->time, o->end - 1, last, sizeof last);
    format_count(o->parameters, parameters, sizeof parameters);
    timeline_describe(o->time, rhythm, sizeof rhythm);
    const char *unit = o->unit ? o->unit : "row";
    printf("history   %zu %s%s%s%s, %s to %s\n", o->context, unit, o->context == 1 ? "" : "s", rhythm[0] ? " " : "", rhythm,
           first, last);
    timeline_label(o->time, o->end, first, sizeof first);
    timeline_label(o->time, o->end + o->horizon - 1, last, sizeof last);
    printf("forecast  %zu %s%s, %s to %s", o->horizon, unit, o->horizon == 1 ? "" : "s", first, last);
    if (o->calendar) { printf(" (%s%s)", strcmp(o->calendar, "file") == 0 ? "times from the " : "calendar ", o->calendar); }
    printf("\n");
    printf("model     %s, %s parameters, %s\n", o->model, parameters, o->precision);
    printf("device    %s (%s)\n", o->device, o->device_name);
    if (o->paths) {
        printf("paths     %" PRIu32 ", seed %" PRIu64 "%s%s\n", o->paths, o->seed, o->sampling[0] ? ", " : "", o->sampling);
    } else if (outcome_has_levels(o)) {
        printf("paths     none: the model gives quantiles\n");
    } else {
        printf("paths     none: %s\n", o->mean_text ? o->mean_text : "each step appends the mean of its distribution");
    }
    printf("time      %.*f s\n", o->seconds < 1 ? 3 : 1, o->seconds);
}

static double largest_of(const outcome *o, size_t variate) {
    double largest = 0;
    for (size_t step = 0; step < o->horizon; step++) {
        double point = fabs((double)outcome_point(o, variate, step)), actual = fabs(outcome_actual(o, variate, step));
        if (point > largest) { largest = point; }
        if (actual > largest) { largest = actual; }
    }
    return largest;
}

static void print_number(double value, int decimals) {
    if (isnan(value)) {
        printf("%14s", "");
    } else if (fabs(value) >= 1e12) {
        printf("%14.6g", value);
    } else {
        printf("%14.*f", decimals, value * (1 + 1e-12));   // 71.25 is shown as 71.3, as people round, not to even
    }
}

static int label_width(const outcome *o) {
    int width = (int)strlen(o->time->name);
    for (size_t step = 0; step < o->horizon; step++) {
        char label[64];
        timeline_label(o->time, o->end + step, label, sizeof label);
        if ((int)strlen(label) > width) { width = (int)strlen(label); }
    }
    return width;
}

static void print_label(const outcome *o, size_t step, int width) {
    char label[64];
    timeline_label(o->time, o->end + step, label, sizeof label);
    printf("%-*s", width, label);
}

static const char *mean_column(const outcome *o) { return o->mean_column ? o->mean_column : "mean"; }

static const char *mean_label(const outcome *o) { return o->mean_label ? o->mean_label : "mean"; }

// One line for each step: the point forecasts of all variates.
static void print_overview(const outcome *o, int width) {
    printf("\n%s\n%-*s", outcome_has_levels(o) ? "medians" : mean_label(o), width, o->time->name);
    for (size_t v = 0; v < o->n_variates; v++) { printf("%14s", o->names[v]); }
    printf("\n");
    for (size_t step = 0; step < o->horizon; step++) {
        print_label(o, step, width);
        for (size_t v = 0; v < o->n_variates; v++) {
            print_number((double)outcome_point(o, v, step), decimals_for(largest_of(o, v)));
        }
        printf("\n");
    }
}

static void print_variate(const outcome *o, size_t variate, int width) {
    int decimals = decimals_for(largest_of(o, variate));
    bool known = false;
    for (size_t step = 0; step < o->horizon; step++) { known = known || !isnan(outcome_actual(o, variate, step)); }
    printf("\n%s\n%-*s", o->names[variate], width, o->time->name);
    if (!outcome_has_levels(o)) { printf("%14s", mean_label(o)); }
    for (size_t i = 0; i < o->n_asked; i++) {
        char name[32];
        level_name(o->levels[o->asked[i]], name, sizeof name);
        printf("%14s", name);
    }
    printf("%s\n", known ? "        actual" : "");
    for (size_t step = 0; step < o->horizon; step++) {
        print_label(o, step, width);
        if (!outcome_has_levels(o)) { print_number((double)outcome_mean(o, variate, step), decimals); }
        for (size_t i = 0; i < o->n_asked; i++) {
            print_number((double)outcome_quantile(o, o->asked[i], variate, step), decimals);
        }
        if (known) { print_number(outcome_actual(o, variate, step), decimals); }
        printf("\n");
    }
}

void output_table(const outcome *o) {
    int width = label_width(o);
    if (o->overview) {
        print_overview(o, width);
        if (outcome_has_levels(o) || outcome_n_known(o) > 0) { print_variate(o, o->drawn[0], width); }
        return;
    }
    for (size_t variate = 0; variate < o->n_variates; variate++) { print_variate(o, variate, width); }
}

static void print_percent(double value) {
    if (isnan(value)) {
        printf("%10s", "-");
    } else {
        printf("%8.*f %%", value >= 10 || value == 0 ? 0 : 1, value);
    }
}

void output_scores(const outcome *o) {
    int width = 8;
    size_t n_zero = 0, n_missing = 0;
    scores s;
    bool any = false;
    for (size_t v = 0; v < o->n_variates; v++) {
        if ((int)strlen(o->names[v]) > width) { width = (int)strlen(o->names[v]); }
        if (scores_compute(o, v, &s)) { any = true; }
    }
    if (!any) { return; }
    size_t n_known = outcome_n_known(o);
    printf("\nerror on the %zu row%s held out (MAE: mean absolute error)\n", n_known, n_known == 1 ? "" : "s");
    printf("%-*s%14s", width, "", "MAE");
    if (o->season) { printf("%14s", "seasonal"); }
    printf("%14s%10s", "last value", "MAPE");
    if (o->season) { printf("%8s", "MASE"); }
    for (size_t i = 0; i < N_INTERVALS; i++) {
        if (outcome_has_interval(o, interval_tail(i))) { printf("   in %2d %%", interval_percent[i]); }
    }
    printf("\n");
    for (size_t v = 0; v < o->n_variates; v++) {
        if (!scores_compute(o, v, &s)) { continue; }
        int decimals = decimals_for(s.mae) > 0 ? decimals_for(s.mae) - 1 : 0;   // three digits of an error are plenty
        printf("%-*s", width, o->names[v]);
        print_number(s.mae, decimals);
        if (o->season) { print_number(s.seasonal_mae, decimals); }
        print_number(s.last_mae, decimals);
        print_percent(s.mape);
        if (o->season && isnan(s.mase)) { printf("%8s", "-"); }
        else if (o->season) { printf("%8.2f", s.mase); }
        for (size_t i = 0; i < N_INTERVALS; i++) {
            if (outcome_has_interval(o, interval_tail(i))) { print_percent(s.inside[i]); }
        }
        printf("\n");
        n_zero += s.n_zero;
        n_missing += n_known - s.n;
    }
    if (o->season) {
        printf("seasonal: the MAE of seasonal naive (season %" PRIu32
               "), which repeats the last %s; last value: of repeating it\n",
               o->season, o->season == 1 ? "row" : "season");
    } else {
        printf("last value: the MAE of repeating it\n");
    }
    if (n_zero) { printf("MAPE leaves out %zu value%s that are 0\n", n_zero, n_zero == 1 ? "" : "s"); }
    if (n_missing) { printf("%zu missing value%s not judged\n", n_missing, n_missing == 1 ? "" : "s"); }
}

// ---- files ----

bool output_is_known(const char *path) { return ends_with(path, ".csv") || ends_with(path, ".json"); }

// Quotes where RFC 4180 asks for it.
static void write_cell(FILE *file, const char *text) {
    if (!strpbrk(text, ",;\"\r\n\t")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"') { fputc('"', file); }
        fputc(*text, file);
    }
    fputc('"', file);
}

static void write_float(FILE *file, float value) {
    char text[32];
    format_float(value, text, sizeof text);
    fprintf(file, ",%s", text);
}

static bool write_csv(const outcome *o, const char *path, message *error) {
    draft d;
    if (!draft_open(&d, path, error)) { return false; }
    FILE *file = d.file;
    bool known = outcome_n_known(o) > 0;
    write_cell(file, o->time->name);
    fprintf(file, ",variate,%s", mean_column(o));
    for (size_t i = 0; i < o->n_asked; i++) { fprintf(file, ",q%.6g", (double)o->levels[o->asked[i]]); }
    fputs(known ? ",actual\n" : "\n", file);
    for (size_t v = 0; v < o->n_variates; v++) {
        for (size_t step = 0; step < o->horizon; step++) {
            char label[64];
            timeline_label(o->time, o->end + step, label, sizeof label);
            write_cell(file, label);
            fputc(',', file);
            write_cell(file, o->names[v]);
            write_float(file, outcome_mean(o, v, step));
            for (size_t i = 0; i < o->n_asked; i++) { write_float(file, outcome_quantile(o, o->asked[i], v, step)); }
            double actual = outcome_actual(o, v, step);
            if (known && isnan(actual)) { fputc(',', file); }
            else if (known) { fprintf(file, ",%.15g", actual); }
            fputc('\n', file);
        }
    }
    return draft_finish(&d, true, error);
}

// cJSON prints a double with up to 17 digits; this hands it the double nearest to the float's shortest text.
static cJSON *json_float(float value) {
    char text[32];
    if (!isfinite(value)) { return cJSON_CreateNull(); }
    format_float(value, text, sizeof text);
    return cJSON_CreateNumber(strtod(text, NULL));
}

static cJSON *json_double(double value) { return isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull(); }

static bool add(cJSON *object, const char *key, cJSON *item) {
    bool done = item && cJSON_AddItemToObject(object, key, item);
    if (!done) { cJSON_Delete(item); }
    return done;
}

static bool append(cJSON *array, cJSON *item) {
    bool done = item && cJSON_AddItemToArray(array, item);
    if (!done) { cJSON_Delete(item); }
    return done;
}

static bool add_scores(cJSON *object, const outcome *o, size_t variate) {
    scores s;
    if (!scores_compute(o, variate, &s)) { return true; }
    cJSON *json = cJSON_AddObjectToObject(object, "scores"), *inside = NULL;
    bool good = json && add(json, "values", json_double((double)s.n)) && add(json, "mae", json_double(s.mae)) &&
                add(json, "mape_percent", json_double(s.mape)) && add(json, "last_value_mae", json_double(s.last_mae));
    if (o->season) {
        good = good && add(json, "mase", json_double(s.mase)) && add(json, "season", json_double(o->season)) &&
               add(json, "seasonal_naive_mae", json_double(s.seasonal_mae));
    }
    if (!good || !outcome_has_levels(o)) { return good; }
    inside = cJSON_AddObjectToObject(json, "inside_interval_percent");
    for (size_t i = 0; i < N_INTERVALS && inside; i++) {
        char key[16];
        if (!outcome_has_interval(o, interval_tail(i))) { continue; }
        snprintf(key, sizeof key, "%d", interval_percent[i]);
        good = good && add(inside, key, json_double(s.inside[i]));
    }
    return good && inside;
}

static bool add_variate(cJSON *variates, const outcome *o, size_t v) {
    cJSON *json = cJSON_CreateObject(), *mean, *quantiles, *actual;
    if (!append(variates, json)) { return false; }
    bool good = add(json, "name", cJSON_CreateString(o->names[v]));
    mean = good ? cJSON_AddArrayToObject(json, mean_column(o)) : NULL;
    for (size_t step = 0; step < o->horizon && mean; step++) {
        good = good && append(mean, json_float(outcome_mean(o, v, step)));
    }
    quantiles = mean ? cJSON_AddObjectToObject(json, "quantiles") : NULL;
    for (size_t i = 0; i < o->n_asked && quantiles; i++) {
        char key[32];
        format_float(o->levels[o->asked[i]], key, sizeof key);
        cJSON *values = cJSON_AddArrayToObject(quantiles, key);
        good = good && values;
        for (size_t step = 0; step < o->horizon && good; step++) {
            good = append(values, json_float(outcome_quantile(o, o->asked[i], v, step)));
        }
    }
    if (!good || !mean || !quantiles) { return false; }
    if (outcome_n_known(o) == 0) { return true; }
    actual = cJSON_AddArrayToObject(json, "actual");
    for (size_t step = 0; step < outcome_n_known(o) && actual && good; step++) {
        good = append(actual, json_double(outcome_actual(o, v, step)));
    }
    return good && actual && add_scores(json, o, v);
}

static bool fill_json(cJSON *json, const outcome *o) {
    char text[64];
    uint32_t version = rp_version();
    snprintf(text, sizeof text, "%u.%u.%u", version >> 16, (version >> 8) & 255, version & 255);
    bool good = add(json, "reprise", cJSON_CreateString(text)) && add(json, "model", cJSON_CreateString(o->model)) &&
                add(json, "family", cJSON_CreateString(o->family)) && add(json, "device", cJSON_CreateString(o->device)) &&
                add(json, "device_name", cJSON_CreateString(o->device_name)) &&
                add(json, "precision", cJSON_CreateString(o->precision)) && add(json, "paths", json_double(o->paths));
    snprintf(text, sizeof text, "%" PRIu64, o->seed);   // as text: a JSON number loses digits beyond 2^53
    good = good && add(json, "seed", cJSON_CreateString(text)) && add(json, "context", json_double((double)o->context)) &&
           add(json, "horizon", json_double((double)o->horizon)) &&
           add(json, "seconds", json_double(round(o->seconds * 1e6) / 1e6));
    if (o->calendar) { good = good && add(json, "calendar", cJSON_CreateString(o->calendar)); }
    if (o->calendar && o->paths) {
        good = good && add(json, "temperature", json_float(o->temperature)) && add(json, "top_k", json_double(o->top_k)) &&
               add(json, "top_p", json_float(o->top_p));
    }
    cJSON *times = good ? cJSON_AddArrayToObject(json, "times") : NULL;
    for (size_t step = 0; step < o->horizon && times && good; step++) {
        timeline_label(o->time, o->end + step, text, sizeof text);
        good = append(times, cJSON_CreateString(text));
    }
    cJSON *variates = times && good ? cJSON_AddArrayToObject(json, "variates") : NULL;
    for (size_t v = 0; v < o->n_variates && variates && good; v++) { good = add_variate(variates, o, v); }
    return good && variates;
}

static bool write_json(const outcome *o, const char *path, message *error) {
    cJSON *json = cJSON_CreateObject();
    char *text = json && fill_json(json, o) ? cJSON_Print(json) : NULL;
    cJSON_Delete(json);
    if (!text) { return message_set(error, "%s: memory ran out while writing JSON", path); }
    const bool good = draft_text(path, text, error);
    cJSON_free(text);
    return good;
}

bool output_write(const outcome *o, const char *path, message *error) {
    return ends_with(path, ".json") ? write_json(o, path, error) : write_csv(o, path, error);
}
