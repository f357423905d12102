// Writes seeded checkpoints; see bench_weights.h. Numbers come from a counter, so that a tensor's depend on its name, the seed
// and nothing else.
#define _POSIX_C_SOURCE 200809L
#include "bench_weights.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

// Whole: weights_make refuses folders whose names leave no room for the rest.
typedef struct path { char text[640]; } path;

static path path_of(const char *format, ...) {
    path p;
    va_list args;
    va_start(args, format);
    vsnprintf(p.text, sizeof p.text, format, args);
    va_end(args);
    return p;
}

// ---- lists ----

void weights_list_add(weights_list *list, weights_fill fill, float mean, float std, uint32_t rows, uint32_t columns,
                      const char *format, ...) {
    if (list->count == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 64;
        list->tensors = take_again(list->tensors, list->cap, sizeof *list->tensors);
    }
    weights_tensor *t = &list->tensors[list->count++];
    *t = (weights_tensor){ .n_dims = columns ? 2 : rows ? 1 : 0, .dims = { rows, columns }, .fill = fill, .mean = mean, .std = std };
    va_list args;
    va_start(args, format);
    vsnprintf(t->name, sizeof t->name, format, args);
    va_end(args);
}

void weights_list_free(weights_list *list) {
    free(list->tensors);
    *list = (weights_list){ 0 };
}

static uint64_t count_of(const weights_tensor *t) {
    uint64_t count = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) { count *= t->dims[i]; }
    return count;
}

uint64_t weights_tensor_bytes(const weights_tensor *t) { return count_of(t) * (t->fill == FILL_POWERS ? 8 : 4); }

static uint64_t bytes_of(const weights_list *list, size_t first, size_t n) {
    uint64_t bytes = 0;
    for (size_t i = first; i < first + n; i++) { bytes += weights_tensor_bytes(&list->tensors[i]); }
    return bytes;
}

// ---- numbers ----

// The output function of SplitMix64 (Steele, Lea, Flood 2014).
static uint64_t scramble(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

// The sum of four uniform 16-bit numbers, centred and scaled: mean 0, variance 1, within 3.5, near enough to a normal number for
// weights, and 600 MB of them take a second. Variance of the sum: 4 (2^32 - 1) / 12.
static float random_number(uint64_t key, uint64_t index) {
    const uint64_t x = scramble(key + index * 0x9e3779b97f4a7c15u);
    const int32_t sum = (int32_t)((x & 65535) + (x >> 16 & 65535) + (x >> 32 & 65535) + (x >> 48)) - 131070;
    return (float)sum * (1.0f / 37837.227f);
}

static uint64_t key_of(const weights_tensor *t, uint64_t seed) {
    uint64_t hash = 0xcbf29ce484222325u ^ scramble(seed + 1);    // FNV-1a over the name
    for (const char *c = t->name; *c; c++) { hash = (hash ^ (unsigned char)*c) * 0x100000001b3u; }
    return scramble(hash);
}

static void fill_floats(const weights_tensor *t, uint64_t key, uint64_t first, uint64_t n, float *out) {
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t at = first + i;
        out[i] = t->fill == FILL_RANDOM ? t->mean + t->std * random_number(key, at)
                 : t->fill == FILL_CONSTANT ? t->mean : (float)pow(10000, -(double)at / t->dims[0]);
    }
}

static bool write_tensor(FILE *file, const weights_tensor *t, uint64_t seed) {
    enum { PIECE = 1 << 14 };
    float floats[PIECE];
    const uint64_t count = count_of(t), key = key_of(t, seed);
    if (t->fill == FILL_POWERS) {
        for (uint64_t i = 0; i < count; i++) {
            const int64_t power = (int64_t)1 << (count - 1 - i);
            if (fwrite(&power, sizeof power, 1, file) != 1) { return false; }
        }
        return true;
    }
    for (uint64_t first = 0; first < count; first += PIECE) {
        const uint64_t n = count - first < PIECE ? count - first : PIECE;
        fill_floats(t, key, first, n, floats);
        if (fwrite(floats, sizeof *floats, n, file) != n) { return false; }
    }
    return true;
}

// ---- files ----

// What a signal must remove: files and folders in the order in which they were made, while a temporary folder is open.
enum { MOST_MADE = 32 };
static path made[MOST_MADE];
static volatile sig_atomic_t n_made = 0, temporary = 0;

static void remove_made(void) {     // async-signal-safe
    for (int i = n_made; i-- > 0;) {
        if (unlink(made[i].text) != 0) { rmdir(made[i].text); }
    }
    n_made = 0;
}

static void on_signal(int number) {
    remove_made();
    raise(number);                  // SA_RESETHAND: now it ends the program
}

static void remember(const char *name) {
    if (!temporary || n_made == MOST_MADE) { return; }
    made[n_made] = path_of("%s", name);
    n_made = n_made + 1;
}

static bool not_written(const char *name, message *error) {
    return message_set(error, "%s cannot be written: %s", name, strerror(errno));
}

static bool make_folder(const char *name, message *error) {
    if (mkdir(name, 0777) == 0) {
        remember(name);
        return true;
    }
    return errno == EEXIST || not_written(name, error);
}

// True where a file's first bytes are `opening` and it is `bytes` long.
static bool is_there(const char *name, const char *opening, size_t opening_bytes, uint64_t bytes) {
    struct stat info;
    FILE *file = fopen(name, "rb");
    if (file == NULL) { return false; }
    char *text = take(opening_bytes, 1);
    const bool same = fstat(fileno(file), &info) == 0 && (uint64_t)info.st_size == bytes && fread(text, 1, opening_bytes, file) == opening_bytes &&
                      memcmp(text, opening, opening_bytes) == 0;
    free(text);
    fclose(file);
    return same;
}

// Writes beside the place and moves there, so that a file that is there is whole.
static bool write_file(const char *name, const char *text, size_t text_bytes, const weights_list *list, size_t first, size_t n, uint64_t seed,
                       message *error) {
    const path part = path_of("%s.part", name);
    FILE *file = fopen(part.text, "wb");
    if (file == NULL) { return not_written(part.text, error); }
    remember(part.text);
    bool ok = fwrite(text, 1, text_bytes, file) == text_bytes;
    for (size_t i = first; i < first + n && ok; i++) { ok = write_tensor(file, &list->tensors[i], seed); }
    ok = fclose(file) == 0 && ok;
    remember(name);
    if (ok && rename(part.text, name) == 0) { return true; }
    not_written(name, error);
    unlink(part.text);
    return false;
}

static bool write_text(const char *name, const char *text, message *error) {
    return is_there(name, text, strlen(text), strlen(text)) || write_file(name, text, strlen(text), NULL, 0, 0, 0, error);
}

// ---- safetensors ----

char *weights_header(const weights_list *list, size_t first, size_t n) {
    size_t cap = n * (sizeof list->tensors->name + 112) + 16, used = 0;
    char *text = take(cap, 1);
    uint64_t offset = 0;
    for (size_t i = first; i < first + n; i++) {
        const weights_tensor *t = &list->tensors[i];
        const uint64_t end = offset + weights_tensor_bytes(t);
        char shape[32] = "";
        snprintf(shape, sizeof shape, t->n_dims == 2 ? "%u, %u" : t->n_dims == 1 ? "%u" : "", t->dims[0], t->dims[1]);
        used += (size_t)snprintf(text + used, cap - used,
                                 "%s\"%s\": {\"dtype\": \"%s\", \"shape\": [%s], \"data_offsets\": [%" PRIu64 ", %" PRIu64 "]}",
                                 i == first ? "{" : ", ", t->name, t->fill == FILL_POWERS ? "I64" : "F32", shape, offset, end);
        offset = end;
    }
    text[used++] = '}';
    while (used % 8 != 0) { text[used++] = ' '; }
    text[used] = 0;
    return text;
}

static bool write_tensors(const char *name, const weights_list *list, size_t first, size_t n, uint64_t seed, message *error) {
    char *header = weights_header(list, first, n);
    const uint64_t bytes = strlen(header);
    char *opening = take(bytes + 8, 1);
    for (int i = 0; i < 8; i++) { opening[i] = (char)(bytes >> 8 * i & 255); }
    memcpy(opening + 8, header, bytes);
    const bool ok = is_there(name, opening, bytes + 8, bytes + 8 + bytes_of(list, first, n)) ||
                    write_file(name, opening, bytes + 8, list, first, n, seed, error);
    free(header), free(opening);
    return ok;
}

// How many tensors from `first` on go into one file.
static size_t shard_of(const weights_list *list, size_t first, uint64_t most) {
    size_t n = 1;
    while (first + n < list->count && bytes_of(list, first, n + 1) <= most) { n++; }
    return n;
}

static bool write_shards(const char *folder, const weights_list *list, uint64_t seed, uint64_t most, message *error) {
    char name[64];
    size_t n_shards = 0, shard = 0;
    for (size_t first = 0; first < list->count; first += shard_of(list, first, most)) { n_shards++; }
    cJSON *index = cJSON_CreateObject(), *metadata = cJSON_AddObjectToObject(index, "metadata"), *map = cJSON_AddObjectToObject(index, "weight_map");
    cJSON_AddNumberToObject(metadata, "total_size", (double)bytes_of(list, 0, list->count));
    bool ok = true;
    for (size_t first = 0, n; first < list->count && ok; first += n) {
        n = shard_of(list, first, most);
        snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", ++shard, n_shards);
        for (size_t i = first; i < first + n; i++) { cJSON_AddStringToObject(map, list->tensors[i].name, name); }
        ok = write_tensors(path_of("%s/%s", folder, name).text, list, first, n, seed, error);
    }
    char *text = cJSON_Print(index);
    const path place = path_of("%s/model.safetensors.index.json", folder);
    if (ok) { ok = text != NULL ? write_text(place.text, text, error) : message_set(error, "memory ran out while writing %s", place.text); }
    cJSON_free(text);
    cJSON_Delete(index);
    return ok;
}

// ---- models ----

static bool make_part(const published_part *part, const char *folder, uint64_t shard_bytes, message *error) {
    weights_list list = { 0 };
    part->list(part->sizes, &list);
    const path inside = path_of("%s%s%s", folder, part->folder[0] ? "/" : "", part->folder);
    bool ok = make_folder(inside.text, error);
    if (ok && bytes_of(&list, 0, list.count) > shard_bytes) {
        ok = write_shards(inside.text, &list, part->seed, shard_bytes, error);
    } else if (ok) {
        ok = write_tensors(path_of("%s/model.safetensors", inside.text).text, &list, 0, list.count, part->seed, error);
    }
    ok = ok && write_text(path_of("%s/config.json", inside.text).text, list.config, error);
    weights_list_free(&list);
    return ok;
}

bool weights_make(const published_model *model, const char *folder, uint64_t shard_bytes, message *error) {
    if (strlen(folder) + 80 > sizeof(path)) { return message_set(error, "the path %s is too long", folder); }
    bool ok = make_folder(folder, error);
    for (size_t i = 0; i < sizeof model->parts / sizeof *model->parts && ok; i++) {
        if (model->parts[i].folder != NULL) { ok = make_part(&model->parts[i], folder, shard_bytes, error); }
    }
    return ok;
}

static uint64_t model_bytes(const published_model *model) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof model->parts / sizeof *model->parts; i++) {
        weights_list list = { 0 };
        if (model->parts[i].folder != NULL) { model->parts[i].list(model->parts[i].sizes, &list); }
        bytes += bytes_of(&list, 0, list.count);
        weights_list_free(&list);
    }
    return bytes;
}

static bool has_room(const published_model *model, const char *folder, message *error) {
    struct statvfs info;
    char needed[32], free_text[32];
    const uint64_t bytes = model_bytes(model);
    if (statvfs(folder, &info) != 0 || (uint64_t)info.f_bavail * info.f_frsize > bytes) { return true; }   // or writing will tell
    format_bytes(bytes, needed, sizeof needed);
    format_bytes((uint64_t)info.f_bavail * info.f_frsize, free_text, sizeof free_text);
    return message_set(error, "%s takes %s and %s has %s left; name a folder with more room: TMPDIR, or --weights DIR", model->name, needed,
                       folder, free_text);
}

static void watch_signals(bool on) {
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on ? on_signal : SIG_DFL, .sa_flags = (int)SA_RESETHAND };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) { sigaction(signals[i], &action, NULL); }
}

static bool open_temporary(const published_model *model, weights_folder *out, message *error) {
    const char *below = getenv("TMPDIR");
    if (below == NULL || below[0] == 0) { below = "/tmp"; }
    if (strlen(below) + 80 > sizeof out->path) { return message_set(error, "the path %s (TMPDIR) is too long", below); }
    if (!has_room(model, below, error)) { return false; }
    snprintf(out->path, sizeof out->path, "%s/reprise-bench-XXXXXX", below);
    if (mkdtemp(out->path) == NULL) { return not_written(out->path, error); }
    temporary = 1;
    remember(out->path);
    watch_signals(true);
    out->temporary = true;
    if (weights_make(model, out->path, WEIGHTS_SHARD, error)) { return true; }
    weights_close(out);
    return false;
}

bool weights_open(const published_model *model, const char *keep, weights_folder *out, message *error) {
    *out = (weights_folder){ 0 };
    if (keep == NULL) { return open_temporary(model, out, error); }
    if (strlen(keep) + 80 > sizeof out->path) { return message_set(error, "the path %s is too long", keep); }
    snprintf(out->path, sizeof out->path, "%s/%s", keep, model->name);
    return make_folder(keep, error) && weights_make(model, out->path, WEIGHTS_SHARD, error);
}

void weights_close(weights_folder *folder) {
    if (!folder->temporary) { return; }
    remove_made();
    watch_signals(false);
    temporary = 0;
    *folder = (weights_folder){ 0 };
}
