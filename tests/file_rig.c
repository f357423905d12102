#include "file_rig.h"

// ---- allocations, counted and made to fail ----

uint64_t allocated_bytes;
int64_t fail_after = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool may_allocate(size_t size) {
    allocated_bytes += size;
    if (fail_after == 0) { return false; }
    if (fail_after > 0) { fail_after--; }
    return true;
}
void *__wrap_malloc(size_t size) { return may_allocate(size) ? __real_malloc(size) : NULL; }
void *__wrap_calloc(size_t count, size_t size) { return may_allocate(count * size) ? __real_calloc(count, size) : NULL; }
void *__wrap_realloc(void *old, size_t size) { return may_allocate(size) ? __real_realloc(old, size) : NULL; }

// ---- making files ----

unsigned char *file_of(const char *header, size_t header_bytes, size_t data_bytes, size_t *out_bytes) {
    const uint64_t length = header_bytes;
    *out_bytes = 8 + header_bytes + data_bytes;
    unsigned char *bytes = calloc(1, *out_bytes);
    assert_non_null(bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, header_bytes);
    return bytes;
}

char folder[64];
static char path_buffer[256];
const char *in_folder(const char *name) {
    snprintf(path_buffer, sizeof path_buffer, "%s/%s", folder, name);
    return path_buffer;
}

void write_file(const char *name, const void *bytes, size_t size) {
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

void write_safetensors(const char *name, const char *header, size_t data_bytes) {
    size_t bytes;
    unsigned char *data = file_of(header, strlen(header), data_bytes, &bytes);
    write_file(name, data, bytes);
    free(data);
}

int enter_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/reprise_files_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

int leave_folder(void **state) {
    (void)state;
    static const char *const names[] = { "model.safetensors",
                                         "model.safetensors.index.json",
                                         "a.safetensors",
                                         "b.safetensors",
                                         "file",
                                         "pipe",
                                         "big",
                                         "locked",
                                         "config.json" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) { unlink(in_folder(names[i])); }
    return rmdir(folder);
}

void expect_failure(const char *name, rp_status got, rp_status want, const rp_error *error,
                           const char *const words[3]) {
    if (got != want) { fail_msg("%s: status %d, expected %d: %s", name, (int)got, (int)want, error->text); }
    for (int i = 0; i < 3 && words[i]; i++) {
        if (!strstr(error->text, words[i])) { fail_msg("%s: no '%s' in: %s", name, words[i], error->text); }
    }
    for (const char *p = error->text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7F) { fail_msg("%s: a control character in the sentence", name); }
    }
    if (strlen(error->text) > sizeof error->text - 2) { fail_msg("%s: the sentence was cut", name); }
}

void add(text *t, const char *format, ...) {
    if (t->used + 256 > t->cap) {
        t->cap = t->cap ? 2 * t->cap : 65536;
        t->at = realloc(t->at, t->cap);
        assert_non_null(t->at);
    }
    va_list args;
    va_start(args, format);
    t->used += (size_t)vsnprintf(t->at + t->used, t->cap - t->used, format, args);
    va_end(args);
}
