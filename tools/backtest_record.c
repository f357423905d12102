// Writing and reading records; see backtest_record.h.
#define _POSIX_C_SOURCE 200809L
#include "backtest_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "digest.h"

enum { FORMAT = 2 }; // of records; to be raised when sums or their order change

static bool add_names(cJSON *object, const char *key, const name_list *names) {
    cJSON *array = cJSON_AddArrayToObject(object, key);
    bool good = array != NULL;
    for (size_t i = 0; i < names->count && good; i++) { good = json_append(array, cJSON_CreateString(names->names[i])); }
    return good;
}

cJSON *bt_question(const bt_request *r, const char *family) {
    cJSON *json = cJSON_CreateObject();
    bool good = json && json_add(json, "family", cJSON_CreateString(family)) &&
                json_add(json, "context", json_double(r->context)) && json_add(json, "horizon", json_double(r->horizon)) &&
                json_add(json, "step", json_double(r->step)) && json_add(json, "windows", json_double(r->windows)) &&
                json_add(json, "samples", json_double(r->samples)) && json_add(json, "seed", json_digits(r->seed)) &&
                json_add(json, "seeds", json_double(r->seeds)) && json_add(json, "season", json_double(r->season)) &&
                json_add(json, "time_column", cJSON_CreateString(r->time_column ? r->time_column : "")) &&
                add_names(json, "columns", &r->columns) && add_names(json, "future_columns", &r->future_columns) &&
                json_add(json, "temperature", json_double(r->temperature)) && json_add(json, "top_k", json_double(r->top_k)) &&
                json_add(json, "top_p", json_double(r->top_p)) && json_add(json, "block", json_double(r->block)) &&
                json_add(json, "scaler_fallback_min_obs", json_double(r->fallback_min_obs)) &&
                json_add(json, "quantile_real_cap_k", json_double(r->cap_k));
    if (good) { return json; }
    cJSON_Delete(json);
    return NULL;
}

// All that the numbers of a record depend on, beside the file.
static cJSON *origin(const bt_run *run) {
    const session *s = run->session;
    char digits[32], version[32];
    const uint32_t v = rp_version();
    snprintf(digits, sizeof digits, "%016" PRIx64, run->model_digest);
    snprintf(version, sizeof version, "%u.%u.%u", v >> 16, (v >> 8) & 255, v & 255);
    cJSON *json = bt_question(run->request, s->model_info.family);
    if (json && json_add(json, "reprise", cJSON_CreateString(version)) && json_add(json, "model", cJSON_CreateString(digits)) &&
        json_add(json, "device", cJSON_CreateString(s->device_info.spec)) &&
        json_add(json, "device_name", cJSON_CreateString(s->device_info.name)) &&
        json_add(json, "precision", cJSON_CreateString(precision_name(s->model_info.precision)))) {
        return json;
    }
    cJSON_Delete(json);
    return NULL;
}

// ---- places ----

bool bt_make_folder(const char *folder, message *error) {
    char *path = take_text(folder);
    bool good = true;
    for (char *at = path + 1; good && path[0]; at++) {
        if (*at != '/' && *at != 0) { continue; }
        const char kept = *at;
        *at = 0;
        good = mkdir(path, 0777) == 0 || errno == EEXIST;
        *at = kept;
        if (kept == 0) { break; }
    }
    struct stat s;
    if (good && (stat(folder, &s) != 0 || !S_ISDIR(s.st_mode))) { good = false, errno = ENOTDIR; }
    free(path);
    return good || message_set(error, "the folder %s cannot be made: %s", folder, strerror(errno));
}

// NAME is for people; the digits tell files of one name in different folders apart.
static void record_path(const bt_run *run, const bt_file *f, char *buf, size_t cap) {
    const char *slash = strrchr(f->path, '/'), *base = slash ? slash + 1 : f->path;
    const uint64_t digest = digest_bytes(DIGEST_START, f->path, strlen(f->path));
    snprintf(buf, cap, "%s/%.100s-%08" PRIx32 ".json", run->request->results, base, (uint32_t)(digest ^ digest >> 32));
}

// ---- writing ----

static bool add_pictures(cJSON *json, const bt_result *r) {
    cJSON *array = cJSON_AddArrayToObject(json, "pictures");
    const size_t each = r->n_variates * PICTURE_LEVELS * r->horizon;
    bool good = array != NULL;
    for (size_t p = 0; p < r->n_pictures && good; p++) {
        cJSON *picture = cJSON_CreateObject();
        good = json_append(array, picture) && json_add(picture, "end", json_double((double)r->picture_ends[p]));
        cJSON *values = good ? cJSON_AddArrayToObject(picture, "quantiles") : NULL;
        for (size_t i = 0; i < each && values && good; i++) { good = json_append(values, json_float(r->pictures[p * each + i])); }
        good = good && values;
    }
    return good;
}

static cJSON *record_of(const bt_run *run, const bt_file *f) {
    const bt_result *r = &f->result;
    char digits[32];
    snprintf(digits, sizeof digits, "%016" PRIx64, f->digest);
    cJSON *json = cJSON_CreateObject();
    bool good = json && json_add(json, "reprise_backtest_record", json_double(FORMAT)) &&
                json_add(json, "question", origin(run)) && json_add(json, "file", cJSON_CreateString(f->path)) &&
                json_add(json, "digest", cJSON_CreateString(digits)) &&
                json_add(json, "variates", json_double((double)r->n_variates)) &&
                json_add(json, "windows", json_double((double)r->n_windows)) &&
                json_add(json, "sums", json_doubles((const double *)r->tallies, r->n_seeds * r->n_variates * TALLY_NUMBERS)) &&
                json_add(json, "step_sums", json_doubles((const double *)r->steps, r->n_seeds * r->horizon * STEP_NUMBERS)) &&
                json_add(json, "n_timings", json_double((double)r->n_timings)) &&
                json_add(json, "timings", json_doubles((const double *)r->timings, r->n_timings * 3)) && add_pictures(json, r);
    if (good) { return json; }
    cJSON_Delete(json);
    return NULL;
}

bool bt_record_write(const bt_run *run, const bt_file *f, message *error) {
    char path[4096];
    record_path(run, f, path, sizeof path);
    cJSON *json = record_of(run, f);
    bool good = json_write(path, json, false, error);
    cJSON_Delete(json);
    return good;
}

// ---- reading ----

static bool read_pictures(const cJSON *json, bt_result *r) {
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(json, "pictures"), *picture;
    const size_t each = r->n_variates * PICTURE_LEVELS * r->horizon;
    size_t n = 0, end;
    double *values = take(each, sizeof *values);
    bool good = cJSON_IsArray(array) && (size_t)cJSON_GetArraySize(array) == r->n_pictures;
    cJSON_ArrayForEach(picture, array) {
        good = good && json_get_size(picture, "end", &end) && end == r->picture_ends[n] &&
               json_get_holed(picture, "quantiles", values, each);
        for (size_t i = 0; i < each && good; i++) { r->pictures[n * each + i] = (float)values[i]; }
        n++;
        if (!good) { break; }
    }
    free(values);
    return good;
}

static bool read_result(const cJSON *json, bt_result *r) {
    size_t variates, windows, n;
    if (!json_get_size(json, "variates", &variates) || variates != r->n_variates || !json_get_size(json, "windows", &windows) ||
        windows != r->n_windows || !json_get_size(json, "n_timings", &n) || n > 1u << 24 ||
        !json_get_doubles(json, "sums", (double *)r->tallies, r->n_seeds * r->n_variates * TALLY_NUMBERS) ||
        !json_get_doubles(json, "step_sums", (double *)r->steps, r->n_seeds * r->horizon * STEP_NUMBERS)) {
        return false;
    }
    r->timings = take(n, sizeof *r->timings);
    r->n_timings = n;
    return json_get_doubles(json, "timings", (double *)r->timings, n * 3) && read_pictures(json, r);
}

// What was half read is taken back, so that the file can be forecast.
static void clear_result(bt_result *r) {
    memset(r->tallies, 0, r->n_seeds * r->n_variates * sizeof *r->tallies);
    memset(r->steps, 0, r->n_seeds * r->horizon * sizeof *r->steps);
    free(r->timings);
    r->timings = NULL;
    r->n_timings = 0;
}

bool bt_record_read(const bt_run *run, bt_file *f) {
    char path[4096], digits[32];
    message error = { "" };
    bool missing;
    record_path(run, f, path, sizeof path);
    snprintf(digits, sizeof digits, "%016" PRIx64, f->digest);
    cJSON *json = json_read(path, &missing, &error), *wanted = origin(run);
    double format;
    const char *digest = json ? json_get_text(json, "digest") : NULL;
    const char *why = missing ? NULL
                      : !json || !json_get_double(json, "reprise_backtest_record", &format) || format != FORMAT
                          ? "is no record of this program"
                      : !cJSON_Compare(cJSON_GetObjectItemCaseSensitive(json, "question"), wanted, true)
                          ? "was made with other options, another model or another device"
                      : !digest || strcmp(digest, digits) != 0 ? "belongs to other contents of the file"
                      : !read_result(json, &f->result)         ? "is damaged"
                                                               : NULL;
    const bool good = !missing && !why;
    if (why) {
        clear_result(&f->result);
        note("%s %s; %s is forecast again", path, why, f->path);
    }
    if (good) { f->finished = f->from_record = true; }
    cJSON_Delete(json);
    cJSON_Delete(wanted);
    return good;
}
