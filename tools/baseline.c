// Freezing and comparing measures; see baseline.h.
#include "baseline.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backtest_record.h"

enum { FORMAT = 1 };
static const char *const speed_title = "ms for each window";

// ---- saving ----

static bool add_measures(cJSON *json, const tally *t, double deviation) {
    bool good = json_add(json, "values", json_double(t->n));
    for (size_t m = 0; m < N_MEASURES && good; m++) {
        good = json_add(json, measures[m].key, json_exact(tally_measure(t, (measure)m)));
    }
    return good && json_add(json, "mae_deviation_over_seeds", json_double(deviation));
}

static bool add_file(cJSON *files, const bt_file *f) {
    char digits[32];
    snprintf(digits, sizeof digits, "%016" PRIx64, f->digest);
    cJSON *json = cJSON_CreateObject();
    tally all = bt_result_tally(&f->result, SIZE_MAX, SIZE_MAX);
    bool good = json_append(files, json) && json_add(json, "name", cJSON_CreateString(f->name)) &&
                json_add(json, "digest", cJSON_CreateString(digits)) &&
                json_add(json, "windows", json_double((double)f->n_windows)) &&
                json_add(json, "season", json_double((double)f->season)) &&
                add_measures(json, &all, bt_mae_deviation(&f->result, SIZE_MAX));
    cJSON *variates = good ? cJSON_AddArrayToObject(json, "variates") : NULL;
    for (size_t v = 0; v < f->n_variates && variates && good; v++) {
        cJSON *variate = cJSON_CreateObject();
        tally one = bt_result_tally(&f->result, SIZE_MAX, v);
        good = json_append(variates, variate) && json_add(variate, "name", cJSON_CreateString(f->names[v])) &&
               add_measures(variate, &one, bt_mae_deviation(&f->result, v));
    }
    return good && variates;
}

cJSON *baseline_make(const bt_run *run, const bt_summary *s) {
    const session *session = run->session;
    cJSON *json = cJSON_CreateObject(), *overall = NULL, *speed = NULL, *files = NULL;
    bool good = json && json_add(json, "reprise_backtest", json_double(FORMAT)) &&
                json_add(json, "model", cJSON_CreateString(run->request->model)) &&
                json_add(json, "device", cJSON_CreateString(session->device_info.spec)) &&
                json_add(json, "device_name", cJSON_CreateString(session->device_info.name)) &&
                json_add(json, "precision", cJSON_CreateString(precision_name(session->model_info.precision))) &&
                json_add(json, "question", bt_question(run->request, session->model_info.family));
    overall = good ? cJSON_AddObjectToObject(json, "overall") : NULL;
    good = overall && json_add(overall, "windows", json_double((double)s->n_windows)) &&
           add_measures(overall, &s->total, s->mae_deviation);
    speed = good ? cJSON_AddObjectToObject(json, "speed") : NULL;
    good = speed && json_add(speed, "ms_per_window", json_double(s->ms_per_window)) &&
           json_add(speed, "deviation_over_mean", json_double(s->time_spread)) &&
           json_add(speed, "repeats", json_double((double)s->n_repeats)) && json_add(speed, "batch", json_double(run->batch)) &&
           json_add(speed, "recordings", json_double((double)run->recordings)) &&
           json_add(speed, "re_recordings", json_double((double)run->re_recordings));
    files = good ? cJSON_AddArrayToObject(json, "files") : NULL;
    good = files != NULL;
    for (size_t i = 0; i < run->n_files && good; i++) {
        if (run->files[i].finished) { good = add_file(files, &run->files[i]); }
    }
    if (good) { return json; }
    cJSON_Delete(json);
    return NULL;
}

bool baseline_save(const bt_run *run, const bt_summary *s, const char *path, message *error) {
    cJSON *json = baseline_make(run, s);
    bool good = json_write(path, json, true, error);
    cJSON_Delete(json);
    return good;
}

// ---- reading ----

cJSON *baseline_read(const bt_request *r, const char *family, const char *path, message *error) {
    bool missing;
    double format;
    cJSON *json = json_read(path, &missing, error), *wanted = NULL;
    if (missing) { message_set(error, "there is no baseline %s; make it with --save-baseline", path); }
    if (!json) { return NULL; }
    const cJSON *question = cJSON_GetObjectItemCaseSensitive(json, "question"), *item;
    bool good = json_get_double(json, "reprise_backtest", &format) && format == FORMAT && cJSON_IsObject(question) &&
                cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(json, "files"));
    if (!good) { message_set(error, "%s is no baseline of this program; make one with --save-baseline", path); }
    wanted = good ? bt_question(r, family) : NULL;
    if (good && !wanted) { good = message_set(error, "%s: memory ran out", path); }
    cJSON_ArrayForEach(item, wanted) {
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(question, item->string);
        const bool absent = !old && cJSON_IsNumber(item) && item->valuedouble == 0;   // an option newer than the baseline, not used
        if (!good || absent || cJSON_Compare(old, item, true)) { continue; }
        char *before = cJSON_PrintUnformatted(old), *now = cJSON_PrintUnformatted(item);
        good = message_set(error,
                           "%s was made with %s %s, but now it is %s; ask the same, or make a new baseline with --save-baseline",
                           path, item->string, before ? before : "?", now ? now : "?");
        cJSON_free(before);
        cJSON_free(now);
    }
    cJSON_Delete(wanted);
    if (good) { return json; }
    cJSON_Delete(json);
    return NULL;
}

// ---- judging ----

static verdict judge(double change, double tolerance) {
    // A change that should be the tolerance itself is not taken for more because of the last digits of its numbers.
    const double edge = tolerance * (1 + 1e-9) + 1e-9;
    return change > edge ? VERDICT_WORSE : change < -edge ? VERDICT_BETTER : VERDICT_SAME;
}

verdict judge_error(double before, double now, double tolerance_percent, double *change) {
    *change = NAN;
    if (isnan(before)) { return VERDICT_SAME; }
    if (isnan(now)) { return VERDICT_WORSE; }
    *change = before > 0 ? 100 * (now - before) / before : now > 0 ? INFINITY : 0;
    return judge(*change, tolerance_percent);
}

verdict judge_coverage(double before, double now, double nominal, double tolerance_points, double *change) {
    *change = NAN;
    if (isnan(before)) { return VERDICT_SAME; }
    if (isnan(now)) { return VERDICT_WORSE; }
    *change = fabs(now - nominal) - fabs(before - nominal);
    return judge(*change, tolerance_points);
}

static void add_row(comparisons *c, comparison row) {
    c->rows = take_again(c->rows, c->n + 1, sizeof *c->rows);
    c->rows[c->n++] = row;
    c->n_worse += row.verdict == VERDICT_WORSE;
    c->n_better += row.verdict == VERDICT_BETTER;
}

__attribute__((format(printf, 2, 3))) static void add_note(comparisons *c, const char *format, ...) {
    const size_t used = strlen(c->notes);
    va_list args;
    va_start(args, format);
    vsnprintf(c->notes + used, sizeof c->notes - used, format, args);
    va_end(args);
}

static void compare_tally(comparisons *c, const bt_request *r, const char *scope, const cJSON *old, const tally *now) {
    for (size_t m = 0; m < N_MEASURES; m++) {
        comparison row = { .title = measures[m].title, .points = measures[m].kind == KIND_COVERAGE };
        if (measures[m].kind == KIND_BESIDE || !json_get_double(old, measures[m].key, &row.before)) { continue; }
        snprintf(row.scope, sizeof row.scope, "%s", scope);
        row.now = tally_measure(now, (measure)m);
        row.tolerance = row.points ? r->coverage_tolerance : r->accuracy_tolerance;
        row.verdict = row.points ? judge_coverage(row.before, row.now, measures[m].nominal, row.tolerance, &row.change)
                                 : judge_error(row.before, row.now, row.tolerance, &row.change);
        add_row(c, row);
    }
}

static const cJSON *find_file(const cJSON *files, uint64_t digest) {
    const cJSON *file;
    char digits[32];
    snprintf(digits, sizeof digits, "%016" PRIx64, digest);
    cJSON_ArrayForEach(file, files) {
        const char *own = json_get_text(file, "digest");
        if (own && strcmp(own, digits) == 0) { return file; }
    }
    return NULL;
}

static bool is_text(const cJSON *json, const char *key, const char *text) {
    const char *own = json_get_text(json, key);
    return own && strcmp(own, text) == 0;
}

static void compare_speed(comparisons *c, const bt_run *run, const bt_summary *s, const cJSON *baseline) {
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(baseline, "speed");
    comparison row = {
        .scope = "speed", .title = speed_title, .now = s->ms_per_window, .tolerance = run->request->speed_tolerance
    };
    size_t before;
    if (!is_text(baseline, "device_name", run->session->device_info.name) ||
        !is_text(baseline, "device", run->session->device_info.spec)) {
        const char *device = json_get_text(baseline, "device_name");
        add_note(c, "speed is not compared: the baseline was made on another device (%.100s)\n", device ? device : "?");
    } else if (isnan(s->ms_per_window)) {
        add_note(c, "speed is not compared: nothing was timed\n");
    } else if (json_get_double(old, "ms_per_window", &row.before)) {
        row.verdict = judge_error(row.before, row.now, row.tolerance, &row.change);
        add_row(c, row);
    }
    if (json_get_size(old, "re_recordings", &before)) {
        row = (comparison){
            .scope = "speed", .title = "re-recordings", .before = (double)before, .now = (double)run->re_recordings
        };
        row.verdict = judge_error(row.before, row.now, 0, &row.change);
        add_row(c, row);
    }
}

comparisons baseline_compare(const bt_run *run, const bt_summary *s, const cJSON *baseline) {
    comparisons c = { 0 };
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(baseline, "files");
    size_t n_common = 0, n_old = (size_t)cJSON_GetArraySize(files);
    if (!is_text(baseline, "model", run->request->model)) {
        const char *model = json_get_text(baseline, "model");
        add_note(&c, "the baseline's model is %.200s\n", model ? model : "?");
    }
    for (size_t i = 0; i < run->n_files; i++) { n_common += run->files[i].finished && find_file(files, run->files[i].digest); }
    if (n_common == s->n_finished && n_common == n_old) {
        compare_tally(&c, run->request, "overall", cJSON_GetObjectItemCaseSensitive(baseline, "overall"), &s->total);
    } else {
        char counts[128];
        snprintf(counts, sizeof counts, "%zu of its %zu files are among the %zu of this run", n_common, n_old, s->n_finished);
        add_note(&c, "the whole is not compared, as the baseline has other files: %s\n", counts);
    }
    for (size_t i = 0; i < run->n_files; i++) {
        const bt_file *f = &run->files[i];
        const cJSON *old = f->finished ? find_file(files, f->digest) : NULL;
        const tally now = old ? bt_result_tally(&f->result, SIZE_MAX, SIZE_MAX) : (tally){ 0 };
        if (old) { compare_tally(&c, run->request, f->name, old, &now); }
    }
    compare_speed(&c, run, s, baseline);
    return c;
}

void comparisons_free(comparisons *c) {
    free(c->rows);
    *c = (comparisons){ 0 };
}

// ---- printing ----

void comparison_change(const comparison *row, char *buf, size_t cap) {
    const char *unit = row->points ? "points" : "%";
    if (isnan(row->change)) { snprintf(buf, cap, "gone"); }
    else if (fabs(row->change) < 1e4) { snprintf(buf, cap, "%+.2f %s", row->change, unit); }
    else { snprintf(buf, cap, "%+.2g %s", row->change, unit); }
}

void comparisons_print(const comparisons *c, const char *path) {
    static const char *const words[N_VERDICTS] = { "as before", "better", "WORSE" };
    int width = 8;
    for (size_t i = 0; i < c->n; i++) {
        if (c->rows[i].verdict != VERDICT_SAME && (int)strlen(c->rows[i].scope) > width) {
            width = (int)strlen(c->rows[i].scope);
        }
    }
    printf("\ncompared with %s: %zu measure%s worse beyond tolerance, %zu better, %zu as before\n", path, c->n_worse,
           c->n_worse == 1 ? "" : "s", c->n_better, c->n - c->n_worse - c->n_better);
    fputs(c->notes, stdout);
    if (c->n_worse + c->n_better == 0) { return; }
    printf("%-*s  %-20s%14s%14s%18s%14s\n", width, "", "", "before", "now", "change", "tolerance");
    for (size_t i = 0; i < c->n; i++) {
        const comparison *row = &c->rows[i];
        if (row->verdict == VERDICT_SAME) { continue; }
        char change[48], tolerance[48];
        comparison_change(row, change, sizeof change);
        snprintf(tolerance, sizeof tolerance, "%g %s", row->tolerance, row->points ? "points" : "%");
        printf("%-*s  %-20s%14.6g%14.6g%18s%14s  %s\n", width, row->scope, row->title, row->before, row->now, change, tolerance,
               words[row->verdict]);
    }
}
