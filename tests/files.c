// The file layer against good files, bad files and no memory. Every bad input must give its status and a sentence that
// names what is wrong.
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "config.h"
#include "platform.h"
#include "quote.h"
#include "safetensors_private.h"

// ---- allocations, counted and made to fail: linked with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc ----

static uint64_t allocated_bytes;        // asked for since the last reset
static int64_t fail_after = -1;         // so many allocations succeed, the next ones fail; -1: none fails

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
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

// A safetensors file in memory: its own header length, the header, then zeros.
static unsigned char *file_of(const char *header, size_t header_bytes, size_t data_bytes, size_t *out_bytes) {
    const uint64_t length = header_bytes;
    *out_bytes = 8 + header_bytes + data_bytes;
    unsigned char *bytes = calloc(1, *out_bytes);
    assert_non_null(bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, header_bytes);
    return bytes;
}

static char folder[64];
static char path_buffer[256];
static const char *in_folder(const char *name) {
    snprintf(path_buffer, sizeof path_buffer, "%s/%s", folder, name);
    return path_buffer;
}

static void write_file(const char *name, const void *bytes, size_t size) {
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void write_safetensors(const char *name, const char *header, size_t data_bytes) {
    size_t bytes;
    unsigned char *data = file_of(header, strlen(header), data_bytes, &bytes);
    write_file(name, data, bytes);
    free(data);
}

static int enter_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/reprise_files_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int leave_folder(void **state) {
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

static void expect_failure(const char *name, rp_status got, rp_status want, const rp_error *error,
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

// ---- bad headers ----

#define ENTRY(dtype, shape, begin, end)                                                                                    \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"
#define U8_4 ENTRY("U8", "[4]", 0, 4)
#define TEXT64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TEXT256 TEXT64 TEXT64 TEXT64 TEXT64

// clang-format off: one row, one line
static const struct {
    const char *name, *header;
    size_t data_bytes;
    rp_status status;
    const char *words[3];
} bad_headers[] = {
    { "not an object", "[1]", 0, RP_BAD_FILE, { "does not begin with {" } },
    { "space before", " {}", 0, RP_BAD_FILE, { "does not begin with {" } },
    { "empty header", "", 0, RP_BAD_FILE, { "does not begin with {" } },
    { "JSON cut", "{\"a\":", 0, RP_BAD_FILE, { "not valid JSON", "ends where a value was expected", "line 1, column 6" } },
    { "string cut", "{\"a", 0, RP_BAD_FILE, { "ends inside a string" } },
    { "escape cut", "{\"a\\", 0, RP_BAD_FILE, { "ends inside a string" } },
    { "brackets open", "{\"a\":[", 0, RP_BAD_FILE, { "ends where a value" } },
    { "text after", "{} x", 0, RP_BAD_FILE, { "more text follows" } },
    { "NUL padding", "{}\0", 0, RP_OK, { NULL } },              // strlen cuts it: good; the real one is in raw_files
    { "comma at the end", "{\"a\":" U8_4 ",}", 4, RP_BAD_FILE, { "a key in double quotes" } },
    { "no colon", "{\"a\" 1}", 0, RP_BAD_FILE, { "a colon was expected" } },
    { "wrong bracket", "{\"a\":[1}}", 0, RP_BAD_FILE, { "a comma or ]" } },
    { "unknown word", "{\"a\":nul}", 0, RP_BAD_FILE, { "unknown word" } },
    { "NaN", "{\"a\":NaN}", 0, RP_BAD_FILE, { "NaN and Infinity are not JSON" } },
    { "leading zero", "{\"a\":01}", 0, RP_BAD_FILE, { "begins with a zero" } },
    { "lone minus", "{\"a\":-}", 0, RP_BAD_FILE, { "a number is malformed" } },
    { "fraction cut", "{\"a\":1.}", 0, RP_BAD_FILE, { "a number is malformed" } },
    { "long number", "{\"a\":1234567890123456789012345678901234567890123456789012345678901234}", 0, RP_BAD_FILE, { "too many digits" } },
    { "control in string", "{\"a\nb\":1}", 0, RP_BAD_FILE, { "control character" } },
    { "not UTF-8", "{\"a\xFF\":1}", 0, RP_BAD_FILE, { "not UTF-8" } },
    { "overlong UTF-8", "{\"a\xC0\x80\":1}", 0, RP_BAD_FILE, { "not UTF-8" } },
    { "NUL in name", "{\"a\\u0000b\":" U8_4 "}", 4, RP_BAD_FILE, { "NUL" } },
    { "lone surrogate", "{\"\\ud800\":" U8_4 "}", 4, RP_BAD_FILE, { "surrogate" } },
    { "low surrogate", "{\"\\udc00\":" U8_4 "}", 4, RP_BAD_FILE, { "surrogate" } },
    { "bad escape", "{\"\\x41\":" U8_4 "}", 4, RP_BAD_FILE, { "unknown escape" } },
    { "bad hex", "{\"\\u00g1\":" U8_4 "}", 4, RP_BAD_FILE, { "hexadecimal" } },
    { "entry is a number", "{\"w\":3}", 0, RP_BAD_FILE, { "'w'", "is a number", "an object with dtype" } },
    { "empty name", "{\"\":" U8_4 "}", 4, RP_BAD_FILE, { "empty name" } },
    { "control name", "{\"a\\u001b[31m\":3}", 0, RP_BAD_FILE, { "'a\\x1B[31m'" } },
    { "bidi name", "{\"a\xE2\x80\xAE\":3}", 0, RP_BAD_FILE, { "'a\\xE2\\x80\\xAE'" } },
    { "huge name", "{\"" TEXT256 TEXT256 TEXT256 "\":3}", 0, RP_BAD_FILE, { "0123456789abcdef", "...'", "is a number" } },
    { "no dtype", "{\"w\":{\"shape\":[4],\"data_offsets\":[0,4]}}", 4, RP_BAD_FILE, { "'w'", "has no dtype" } },
    { "no shape", "{\"w\":{\"dtype\":\"U8\",\"data_offsets\":[0,4]}}", 4, RP_BAD_FILE, { "'w'", "has no shape" } },
    { "no offsets", "{\"w\":{\"dtype\":\"U8\",\"shape\":[4]}}", 4, RP_BAD_FILE, { "'w'", "has no data_offsets" } },
    { "dtype twice", "{\"w\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, RP_BAD_FILE, { "'w'", "dtype twice" } },
    { "dtype twice, escaped", "{\"w\":{\"dtype\":\"U8\",\"d\\u0074ype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, RP_BAD_FILE, { "dtype twice" } },
    { "dtype is a number", "{\"w\":{\"dtype\":8,\"shape\":[4],\"data_offsets\":[0,4]}}", 4, RP_BAD_FILE, { "'w'", "a number as dtype" } },
    { "known dtype", "{\"w\":" ENTRY("F8_E4M3", "[4]", 0, 4) "}", 4, RP_UNSUPPORTED, { "'w'", "F8_E4M3", "BF16" } },
    { "I16", "{\"w\":" ENTRY("I16", "[2]", 0, 4) "}", 4, RP_UNSUPPORTED, { "'w'", "I16" } },
    { "unknown dtype", "{\"w\":" ENTRY("FLOAT", "[4]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "unknown dtype '\"FLOAT\"'" } },
    { "lower case dtype", "{\"w\":" ENTRY("f32", "[1]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "unknown dtype" } },
    { "shape is a number", "{\"w\":" ENTRY("U8", "4", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "a number as shape" } },
    { "negative dim", "{\"w\":" ENTRY("U8", "[-4]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "'-4'", "whole numbers" } },
    { "fractional dim", "{\"w\":" ENTRY("U8", "[4.0]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "'4.0'", "whole numbers" } },
    { "exponent dim", "{\"w\":" ENTRY("U8", "[4e0]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "'4e0'" } },
    { "string dim", "{\"w\":" ENTRY("U8", "[\"4\"]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "whole numbers" } },
    { "dim beyond 64 bits", "{\"w\":" ENTRY("U8", "[18446744073709551616]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "whole numbers" } },
    { "nine dims", "{\"w\":" ENTRY("U8", "[1,1,1,1,1,1,1,1,4]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "more than 8 dimensions" } },
    { "product overflows", "{\"w\":" ENTRY("U8", "[4294967296,4294967296]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "more numbers than can be counted" } },
    { "bytes overflow", "{\"w\":" ENTRY("F64", "[2305843009213693952]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "more numbers than" } },
    { "overflow beside 0", "{\"w\":" ENTRY("U8", "[0,4294967296,4294967296]", 0, 0) "}", 0, RP_BAD_FILE, { "'w'", "more numbers than" } },
    { "offsets no array", "{\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":4}}", 4, RP_BAD_FILE, { "'w'", "a number as data_offsets" } },
    { "one offset", "{\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4]}}", 4, RP_BAD_FILE, { "'w'", "'[4]'", "two whole numbers" } },
    { "three offsets", "{\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4,4]}}", 4, RP_BAD_FILE, { "'w'", "two whole numbers" } },
    { "negative offset", "{\"w\":" ENTRY("U8", "[4]", -1, 3) "}", 4, RP_BAD_FILE, { "'w'", "two whole numbers" } },
    { "fractional offset", "{\"w\":" ENTRY("U8", "[4]", 0, 4.5) "}", 4, RP_BAD_FILE, { "'w'", "two whole numbers" } },
    { "begin after end", "{\"w\":" ENTRY("U8", "[4]", 4, 0) "}", 4, RP_BAD_FILE, { "'w'", "ends (byte 0) before it begins (byte 4)" } },
    { "out of the file", "{\"w\":" ENTRY("U8", "[8]", 0, 8) "}", 4, RP_BAD_FILE, { "'w'", "byte 8", "only 4 are there" } },
    { "far out of the file", "{\"w\":" ENTRY("U8", "[4]", 18446744073709551611, 18446744073709551615) "}", 4, RP_BAD_FILE, { "'w'", "cut short" } },
    { "too few bytes", "{\"w\":" ENTRY("F32", "[2]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "has 4 bytes", "need 8" } },
    { "too many bytes", "{\"w\":" ENTRY("BF16", "[1]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "has 4 bytes", "need 2" } },
    { "bytes for nothing", "{\"w\":" ENTRY("F32", "[0]", 0, 4) "}", 4, RP_BAD_FILE, { "'w'", "has 4 bytes", "need 0" } },
    { "no bytes for a scalar", "{\"w\":" ENTRY("F32", "[]", 0, 0) "}", 0, RP_BAD_FILE, { "'w'", "has 0 bytes", "need 4" } },
    { "overlap", "{\"v\":" U8_4 ",\"w\":" ENTRY("U8", "[4]", 2, 6) "}", 6, RP_BAD_FILE, { "'v'", "'w'", "overlap" } },
    { "same place", "{\"v\":" U8_4 ",\"w\":" U8_4 "}", 4, RP_BAD_FILE, { "'v'", "'w'", "overlap" } },
    { "empty one inside", "{\"v\":" U8_4 ",\"w\":" ENTRY("U8", "[0]", 2, 2) "}", 4, RP_BAD_FILE, { "'w'", "overlap" } },
    { "hole", "{\"v\":" U8_4 ",\"w\":" ENTRY("U8", "[1]", 6, 7) "}", 7, RP_BAD_FILE, { "bytes 4 to 6", "'w'", "belong to no tensor" } },
    { "hole at the start", "{\"w\":" ENTRY("U8", "[4]", 1, 5) "}", 5, RP_BAD_FILE, { "bytes 0 to 1", "'w'" } },
    { "rest at the end", "{\"w\":" U8_4 "}", 9, RP_BAD_FILE, { "the last 5 bytes", "no tensor" } },
    { "name twice", "{\"w\":" U8_4 ",\"w\":" ENTRY("U8", "[1]", 4, 5) "}", 5, RP_BAD_FILE, { "'w'", "stands twice" } },
    { "name twice, escaped", "{\"w\":" U8_4 ",\"\\u0077\":" ENTRY("U8", "[1]", 4, 5) "}", 5, RP_BAD_FILE, { "'w'", "stands twice" } },
    { "metadata is a string", "{\"__metadata__\":\"pt\"}", 0, RP_BAD_FILE, { "__metadata__", "object of strings" } },
    { "metadata with a number", "{\"__metadata__\":{\"a\":\"b\",\"c\":1}}", 0, RP_BAD_FILE, { "__metadata__", "object of strings" } },
    { "metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, RP_BAD_FILE, { "__metadata__", "twice" } },
};
// clang-format on

static void headers_that_lie(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_headers / sizeof *bad_headers; i++) {
        size_t bytes;
        unsigned char *data =
            file_of(bad_headers[i].header, strlen(bad_headers[i].header), bad_headers[i].data_bytes, &bytes);
        rp_error error = { "" };
        rp_weights *weights = (rp_weights *)1;
        allocated_bytes = 0;
        const rp_status status = rp_weights_parse(data, bytes, "dir/model.safetensors", &weights, &error);
        expect_failure(bad_headers[i].name, status, bad_headers[i].status, &error, bad_headers[i].words);
        assert_true((weights != NULL) == (status == RP_OK));
        if (status != RP_OK) { assert_non_null(strstr(error.text, "model.safetensors")); }
        assert_true(allocated_bytes < 4096);
        rp_weights_close(weights);
        free(data);
    }
}

// clang-format off: one row, one line
static const struct {
    const char *name, *bytes;
    size_t size;
    const char *words[3];
} raw_files[] = {
    { "nothing", "", 0, { "only 0 bytes" } },
    { "seven bytes", "\x02\0\0\0\0\0\0", 7, { "only 7 bytes", "too few" } },
    { "length alone", "\x02\0\0\0\0\0\0\0", 8, { "should have 2 bytes", "the file has 8" } },
    { "cut in the header", "\x40\0\0\0\0\0\0\0{\"a\":", 13, { "should have 64 bytes", "cut short" } },
    { "length of 2^63", "\0\0\0\0\0\0\0\x80{}", 10, { "9223372036854775808" } },
    { "length of 2^64 - 1", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10, { "18446744073709551615" } },
    { "LFS pointer", "version https://git-lfs.github.com/spec/v1\n", 43, { "Git LFS pointer", "git lfs pull" } },
    { "web page", "<!DOCTYPE html><html></html>", 28, { "no safetensors file" } },
    { "NUL padding", "\x03\0\0\0\0\0\0\0{}\0", 11, { "more text follows" } },
};
// clang-format on

static void files_that_are_none(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof raw_files / sizeof *raw_files; i++) {
        unsigned char *data = malloc(raw_files[i].size + 1);    // on the heap, where a sanitizer watches its end
        assert_non_null(data);
        memcpy(data, raw_files[i].bytes, raw_files[i].size);
        rp_error error = { "" };
        rp_weights *weights = NULL;
        const rp_status status = rp_weights_parse(data, raw_files[i].size, "model.safetensors", &weights, &error);
        expect_failure(raw_files[i].name, status, RP_BAD_FILE, &error, raw_files[i].words);
        free(data);
    }
}

// ---- hostile sizes ----

typedef struct text { char *at; size_t used, cap; } text;
static void __attribute__((format(printf, 2, 3))) add(text *t, const char *format, ...) {
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

static rp_status parse_text(text *t, size_t data_bytes, rp_error *error, uint32_t *count) {
    size_t bytes;
    unsigned char *data = file_of(t->at, t->used, data_bytes, &bytes);
    rp_weights *weights = NULL;
    allocated_bytes = 0;
    const rp_status status = rp_weights_parse(data, bytes, "model.safetensors", &weights, error);
    if (count) { *count = weights ? rp_weights_count(weights) : 0; }
    rp_weights_close(weights);
    free(data);
    free(t->at);
    return status;
}

// Below a megabyte each; what is asked for may be a few times the header, and nothing for a header that is bad.
static void hostile_headers_cost_little(void **state) {
    (void)state;
    rp_error error = { "" };
    uint32_t count;
    text many = { 0 };
    add(&many, "{\"0\":" ENTRY("U8", "[]", 0, 1));
    for (int i = 1; i < 20000; i++) { add(&many, ",\"%x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]}", i); }
    add(&many, "}");
    const uint64_t size = many.used;
    assert_int_equal(parse_text(&many, 1, &error, &count), RP_OK);
    assert_int_equal(count, 20000);
    assert_true(allocated_bytes < 4 * size);

    text values = { 0 };
    add(&values, "{\"w\":{\"shape\":[1");
    for (int i = 0; i < 400000; i++) { add(&values, ",1"); }
    add(&values, "]}}");
    assert_int_equal(parse_text(&values, 0, &error, NULL), RP_BAD_FILE);
    assert_true(allocated_bytes < 4096);

    text tiny = { 0 };
    add(&tiny, "{\"a\":0");
    for (int i = 0; i < 150000; i++) { add(&tiny, ",\"a\":0"); }
    add(&tiny, "}");
    assert_int_equal(parse_text(&tiny, 0, &error, NULL), RP_BAD_FILE);
    assert_true(allocated_bytes < 4096);

    text deep = { 0 };
    add(&deep, "{\"a\":");
    for (int i = 0; i < 500000; i++) { add(&deep, "["); }
    assert_int_equal(parse_text(&deep, 0, &error, NULL), RP_BAD_FILE);
    assert_non_null(strstr(error.text, "nest too deeply"));

    text digits = { 0 };
    add(&digits, "{\"a\":1");
    for (int i = 0; i < 100000; i++) { add(&digits, "00000"); }
    add(&digits, "}");
    assert_int_equal(parse_text(&digits, 0, &error, NULL), RP_BAD_FILE);
    assert_non_null(strstr(error.text, "too many digits"));
}

static void many_tensors_are_not_quadratic(void **state) {
    (void)state;
    enum { N = 100000 };
    rp_error error = { "" };
    for (int twice = 0; twice < 2; twice++) {
        text t = { 0 };
        add(&t, "{\"__metadata__\":{}");
        for (uint32_t i = 0; i < N; i++) {
            const uint32_t name = (uint32_t)(i * 48271ull % N);   // a permutation: 48271 and N have no common divisor
            add(&t, ",\"layer.%u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%u,%u]}",
                twice && i == 77777 ? 5 : name, i, i + 1);
        }
        add(&t, "}");
        const uint64_t begin = rp_time_ns();
        uint32_t count;
        const rp_status status = parse_text(&t, N, &error, &count);
        assert_int_equal(status, twice ? RP_BAD_FILE : RP_OK);
        assert_int_equal(count, twice ? 0 : N);
        if (twice) { assert_non_null(strstr(error.text, "'layer.5' stands twice")); }
        assert_true(rp_time_ns() - begin < 10000000000u);       // takes 0.1 s; quadratic work would take minutes
    }
}

// A header that claims more than the limit, in a file that is really so large: sparse, and never read.
static void header_above_the_limit(void **state) {
    (void)state;
    const uint64_t length = 100u << 20;
    write_file("big", &length, sizeof length);
    assert_int_equal(truncate(in_folder("big"), (off_t)(length + 4096)), 0);
    rp_error error = { "" };
    rp_weights *weights = NULL;
    allocated_bytes = 0;
    assert_int_equal(rp_weights_open_file(in_folder("big"), &weights, &error), RP_BAD_FILE);
    assert_non_null(strstr(error.text, "104857600"));
    assert_non_null(strstr(error.text, "32 MB"));
    assert_true(allocated_bytes < 4096);
}

// ---- good files ----

static void good_header(void **state) {
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"z\":" ENTRY("F64", "[2]", 4, 20) ",\"a.b\":" ENTRY(
            "F16", "[1,2]", 0,
            4) ",\"none\":" ENTRY("F32", "[3,0]", 4,
                                  4) ",\"\\u00e4\\ud83d\\ude00\":" ENTRY("BOOL", "[]", 20,
                                                                         21) ",\"extra\":{\"dtype\":\"I64\",\"shape\":[1],"
                                                                             "\"data_offsets\":[21,29],\"note\":[{}]}}  \n";
    size_t bytes;
    unsigned char *data = file_of(header, sizeof header - 1, 29, &bytes);
    rp_weights *weights;
    rp_error error = { "" };
    assert_int_equal(rp_weights_parse(data, bytes, "x", &weights, &error), RP_OK);
    assert_int_equal(rp_weights_count(weights), 5);
    assert_int_equal(rp_weights_file_bytes(weights), bytes);
    for (uint32_t i = 1; i < 5; i++) {
        assert_true(strcmp(rp_weights_get(weights, i - 1)->name, rp_weights_get(weights, i)->name) < 0);
    }
    assert_null(rp_weights_get(weights, 5));
    assert_null(rp_weights_find(weights, "a"));
    assert_null(rp_weights_find(weights, "__metadata__"));
    const rp_weight *w = rp_weights_find(weights, "a.b");
    assert_true(w->dtype == RP_F16 && w->n_dims == 2 && w->dims[0] == 1 && w->dims[1] == 2 && w->count == 2 &&
                w->bytes == 4);
    assert_ptr_equal(w->data, data + bytes - 29);
    w = rp_weights_find(weights, "none");
    assert_true(w->count == 0 && w->bytes == 0 && w->n_dims == 2 && w->dims[0] == 3);
    assert_int_equal(rp_weight_check_finite(w, &error), RP_OK);
    w = rp_weights_find(weights, "\xC3\xA4\xF0\x9F\x98\x80");
    assert_true(w->dtype == RP_U8 && w->n_dims == 0 && w->count == 1);
    rp_weights_close(weights);
    free(data);
    rp_weights_close(NULL);
}

static void numbers_that_are_none(void **state) {
    (void)state;
    static const struct { rp_dtype dtype; uint64_t bits; const char *kind;
    } cases[] = {
        { RP_F64, 0x7FF0000000000001u, "NaN" },
        { RP_F64, 0x7FF0000000000000u, " infinity" },
        { RP_F64, 0xFFF0000000000000u, "-infinity" },
        { RP_F32, 0xFF800001u, "NaN" },
        { RP_F32, 0x7F800000u, " infinity" },
        { RP_F32, 0xFF800000u, "-infinity" },
        { RP_F16, 0x7C01u, "NaN" },
        { RP_F16, 0x7C00u, " infinity" },
        { RP_F16, 0xFC00u, "-infinity" },
        { RP_BF16, 0xFFC0u, "NaN" },
        { RP_BF16, 0x7F80u, " infinity" },
        { RP_BF16, 0xFF80u, "-infinity" },
    };
    static const uint64_t places[] = { 0, 1, 4095, 4096, 9999 };
    enum { N = 10000 };
    unsigned char *bytes = calloc(N + 1, 8);
    assert_non_null(bytes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t size = rp_dtype_size(cases[i].dtype);
        unsigned char *data = bytes + 1;                        // unaligned
        memset(data, 0x33, N * size);                           // finite in every dtype
        const rp_weight weight = {
            .name = "model.w", .dtype = cases[i].dtype, .data = data, .bytes = N * size, .count = N
        };
        rp_error error = { "" };
        assert_int_equal(rp_weight_check_finite(&weight, &error), RP_OK);
        for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
            memset(data, 0x33, N * size);
            memcpy(data + places[k] * size, &cases[i].bits, size);
            char place[32];
            snprintf(place, sizeof place, "element %u of 10000", (unsigned)places[k]);
            const char *const words[3] = { "'model.w'", cases[i].kind, place };
            expect_failure("not finite", rp_weight_check_finite(&weight, &error), RP_BAD_FILE, &error, words);
        }
    }
    const rp_weight ints = { .name = "i", .dtype = RP_I32, .data = bytes, .bytes = 4 * N, .count = N };
    memset(bytes, 0xFF, 4 * N);
    rp_error error;
    assert_int_equal(rp_weight_check_finite(&ints, &error), RP_OK);
    free(bytes);
}

// ---- folders ----

static rp_status open_folder(rp_weights **weights, rp_error *error) { return rp_weights_open(folder, weights, error); }

static void write_index(const char *json) { write_file("model.safetensors.index.json", json, strlen(json)); }

static void sharded_folder(void **state) {
    (void)state;
    write_safetensors("a.safetensors", "{\"x\":" U8_4 ",\"m\":" ENTRY("F32", "[1]", 4, 8) "}", 8);
    write_safetensors("b.safetensors", "{\"n\":" ENTRY("BF16", "[2]", 0, 4) ",\"y\":" ENTRY("I64", "[]", 4, 12) "}", 12);
    write_index("{\"metadata\":{\"total_size\":20},\"weight_map\":{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\",\"m\":"
                "\"a.safetensors\","
                "\"n\":\"b.safetensors\"}}");
    rp_weights *weights;
    rp_error error = { "" };
    assert_int_equal(open_folder(&weights, &error), RP_OK);
    assert_int_equal(rp_weights_count(weights), 4);
    static const char *const names[] = { "m", "n", "x", "y" };
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(rp_weights_get(weights, i)->name, names[i]);
        assert_ptr_equal(rp_weights_find(weights, names[i]), rp_weights_get(weights, i));
        assert_int_equal(rp_weights_get(weights, i)->file, i % 2);
    }
    const uint64_t bytes = rp_weights_file_bytes(weights);
    rp_weights_close(weights);

    // A single file comes first where both are there.
    write_safetensors("model.safetensors", "{}", 0);
    assert_int_equal(open_folder(&weights, &error), RP_OK);
    assert_true(rp_weights_count(weights) == 0 && rp_weights_file_bytes(weights) == 10 && bytes > 100);
    assert_null(rp_weights_find(weights, "m"));
    rp_weights_close(weights);
}

// clang-format off: one row, one line
static const struct {
    const char *name, *index;
    rp_status status;
    const char *words[3];
} bad_indexes[] = {
    { "not JSON", "weights", RP_BAD_FILE, { "index.json", "not valid JSON" } },
    { "an array", "[]", RP_BAD_FILE, { "an array", "an object was expected" } },
    { "no map", "{\"metadata\":{}}", RP_BAD_FILE, { "no weight_map" } },
    { "map twice", "{\"weight_map\":{},\"weight_map\":{}}", RP_BAD_FILE, { "weight_map stands twice" } },
    { "map is a string", "{\"weight_map\":\"a\"}", RP_BAD_FILE, { "weight_map is a string" } },
    { "map is empty", "{\"weight_map\":{}}", RP_BAD_FILE, { "weight_map is empty" } },
    { "file is a number", "{\"weight_map\":{\"x\":1}}", RP_BAD_FILE, { "'x'", "a number as its file" } },
    { "empty name", "{\"weight_map\":{\"\":\"a.safetensors\"}}", RP_BAD_FILE, { "empty name" } },
    { "tensor twice", "{\"weight_map\":{\"x\":\"a.safetensors\",\"x\":\"b.safetensors\"}}", RP_BAD_FILE, { "'x'", "stands twice" } },
    { "parent folder", "{\"weight_map\":{\"x\":\"../a.safetensors\"}}", RP_BAD_FILE, { "'x'", "'../a.safetensors'", "no plain file name" } },
    { "absolute path", "{\"weight_map\":{\"x\":\"/etc/passwd\"}}", RP_BAD_FILE, { "'/etc/passwd'", "no plain file name" } },
    { "backslash", "{\"weight_map\":{\"x\":\"..\\\\a\"}}", RP_BAD_FILE, { "no plain file name" } },
    { "dots", "{\"weight_map\":{\"x\":\"..\"}}", RP_BAD_FILE, { "'..'", "no plain file name" } },
    { "nameless file", "{\"weight_map\":{\"x\":\"\"}}", RP_BAD_FILE, { "''", "no plain file name" } },
    { "control in file name", "{\"weight_map\":{\"x\":\"a\\n\"}}", RP_BAD_FILE, { "'a\\x0A'", "no plain file name" } },
    { "missing shard", "{\"weight_map\":{\"x\":\"c.safetensors\"}}", RP_NOT_FOUND, { "c.safetensors", "does not exist" } },
    { "shard is the index", "{\"weight_map\":{\"x\":\"model.safetensors.index.json\"}}", RP_BAD_FILE, { "no safetensors file" } },
    { "tensor not in its shard", "{\"weight_map\":{\"q\":\"a.safetensors\",\"x\":\"a.safetensors\"}}", RP_BAD_FILE, { "'q'", "'a.safetensors'", "but it does not" } },
    { "tensor in another shard", "{\"weight_map\":{\"x\":\"b.safetensors\",\"y\":\"a.safetensors\"}}", RP_BAD_FILE, { "'x'", "'b.safetensors'", "but it does not" } },
    { "tensor not listed", "{\"weight_map\":{\"y\":\"b.safetensors\",\"z\":\"a.safetensors\"}}", RP_BAD_FILE, { "'x'", "does not list" } },
};
// clang-format on

static void indexes_that_lie(void **state) {
    (void)state;
    write_safetensors("a.safetensors", "{\"x\":" U8_4 "}", 4);
    write_safetensors("b.safetensors", "{\"y\":" U8_4 "}", 4);
    for (size_t i = 0; i < sizeof bad_indexes / sizeof *bad_indexes; i++) {
        write_index(bad_indexes[i].index);
        rp_weights *weights = (rp_weights *)1;
        rp_error error = { "" };
        const rp_status status = open_folder(&weights, &error);
        expect_failure(bad_indexes[i].name, status, bad_indexes[i].status, &error, bad_indexes[i].words);
        assert_null(weights);
    }
    // The same tensor in two shards, each time as listed.
    write_safetensors("b.safetensors", "{\"x\":" U8_4 ",\"y\":" ENTRY("U8", "[1]", 4, 5) "}", 5);
    write_index("{\"weight_map\":{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"}}");
    rp_weights *weights;
    rp_error error = { "" };
    const char *const words[3] = { "'x' stands in both", "'a.safetensors'", "'b.safetensors'" };
    expect_failure("in two shards", open_folder(&weights, &error), RP_BAD_FILE, &error, words);
}

static void paths_that_are_none(void **state) {
    (void)state;
    rp_error error = { "" };
    rp_weights *weights;
    rp_file file;
    const char *const none[3] = { "reprise_files", "does not exist" }, *const is_folder[3] = { "is a folder" },
                      *const empty[3] = { "is empty" }, *const pipe[3] = { "not a regular file" },
                      *const locked[3] = { "may not be read", "permissions" },
                      *const neither[3] = { "neither model.safetensors nor" },
                      *const no_folder[3] = { "is not a folder", "model.safetensors" };
    expect_failure("missing", rp_file_map(in_folder("missing"), &file, &error), RP_NOT_FOUND, &error, none);
    expect_failure("folder", rp_file_map(folder, &file, &error), RP_BAD_FILE, &error, is_folder);
    write_file("file", "", 0);
    expect_failure("empty", rp_file_map(in_folder("file"), &file, &error), RP_BAD_FILE, &error, empty);
    expect_failure("below a file", rp_file_map(in_folder("file/x"), &file, &error), RP_NOT_FOUND, &error, none);
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    expect_failure("pipe", rp_file_map(in_folder("pipe"), &file, &error), RP_BAD_FILE, &error, pipe);
    assert_true(file.data == NULL && file.bytes == 0);
    if (geteuid() != 0) {                                       // root may read everything
        write_file("locked", "x", 1);
        assert_int_equal(chmod(in_folder("locked"), 0), 0);
        expect_failure("locked", rp_file_map(in_folder("locked"), &file, &error), RP_NOT_FOUND, &error, locked);
    }
    char longer[6000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    const char *const too_long[3] = { "...xxx", "too long" };
    expect_failure("long", rp_file_map(longer, &file, &error), RP_NOT_FOUND, &error, too_long);
    expect_failure("no folder", rp_weights_open(in_folder("missing"), &weights, &error), RP_NOT_FOUND, &error, none);
    expect_failure("file as folder", rp_weights_open(in_folder("file"), &weights, &error), RP_BAD_FILE, &error, no_folder);
    expect_failure("empty folder", open_folder(&weights, &error), RP_NOT_FOUND, &error, neither);
    rp_file_unmap(&file);
    rp_file_unmap(&file);
}

static void small_helpers(void **state) {
    (void)state;
    char *joined = rp_path_join("a/b", "c"), *slashed = rp_path_join("a/", "c"), *bare = rp_path_join("", "c");
    assert_string_equal(joined, "a/b/c");
    assert_string_equal(slashed, "a/c");
    assert_string_equal(bare, "c");
    free(joined);
    free(slashed);
    free(bare);
    assert_true(rp_path_is_folder("/") && rp_path_exists("/") && !rp_path_exists("/no such thing"));
    assert_null(rp_library_open("libreprise_no_such_thing.so.1"));
    void *library = rp_library_open("libm.so.6");
    assert_non_null(library);
    assert_non_null(rp_library_symbol(library, "cos"));
    assert_null(rp_library_symbol(library, "rp_no_such_thing"));
    rp_library_close(library);
    rp_library_close(NULL);
    const uint64_t begin = rp_time_ns();
    assert_true(begin > 0 && rp_time_ns() >= begin);
    assert_string_equal(rp_quote("a\tb\x7F\xC3\xA4\xC2\x85\xFF").text, "'a\\x09b\\x7F\xC3\xA4\\xC2\\x85\\xFF'");
    assert_string_equal(rp_quote("").text, "''");
}

// ---- configs ----

static const struct { const char *name, *json; const char *words[3]; } bad_configs[] = {
    { "empty", "", { "c.json", "ends where a value" } },
    { "an array", "[]", { "c.json", "an array", "an object was expected" } },
    { "a string", "\"a\"", { "a string" } },
    { "second line", "{\n \"a\": x}", { "line 2, column 7" } },
    { "key twice", "{\"a\":1,\"b\":2,\"a\":3}", { "'a'", "twice" } },
    { "key twice inside", "{\"l\":[{\"k\":1,\"k\":1}]}", { "'k'", "twice" } },
    { "key twice, escaped", "{\"k\":1,\"\\u006b\":1}", { "'k'", "twice" } },
    { "NaN", "{\"a\":NaN}", { "NaN and Infinity" } },
    { "minus infinity", "{\"a\":-Infinity}", { "number is malformed" } },
    { "comment", "{} // x", { "more text" } },
    { "byte order mark", "\xEF\xBB\xBF{}", { "a value was expected" } },
    { "LFS pointer", "version https://git-lfs.github.com/spec/v1\n", { "git lfs pull" } },
};

static void configs_that_are_none(void **state) {
    (void)state;
    rp_error error = { "" };
    rp_config *config;
    for (size_t i = 0; i < sizeof bad_configs / sizeof *bad_configs; i++) {
        const rp_status status =
            rp_config_parse(bad_configs[i].json, strlen(bad_configs[i].json), "c.json", &config, &error);
        expect_failure(bad_configs[i].name, status, RP_BAD_FILE, &error, bad_configs[i].words);
        assert_null(config);
    }
    text big = { 0 };
    add(&big, "{\"a\":[0");
    while (big.used < 100000) { add(&big, ",0"); }
    add(&big, "]}");
    const char *const many[3] = { "values", "at most 20000" }, *const large[3] = { "1 MB" };
    expect_failure("many values", rp_config_parse(big.at, big.used, "c.json", &config, &error), RP_BAD_FILE, &error, many);
    expect_failure("large", rp_config_parse(big.at, (1u << 20) + 1, "c.json", &config, &error), RP_BAD_FILE, &error, large);
    free(big.at);
    const char *const missing[3] = { "no such", "does not exist" };
    expect_failure("missing", rp_config_open("/no such/config.json", &config, &error), RP_NOT_FOUND, &error, missing);
}

static void config_getters(void **state) {
    (void)state;
    static const char json[] =
        "{\"n\":16,\"whole\":16.0,\"neg\":-1,\"frac\":1.5,\"big\":4294967296,\"inf\":1e999,\"s\":\"x\\u00e4\",\"t\":true,"
        "\"f\":false,\"null\":null,\"list\":[\"p\",\"q\"],\"mixed\":[\"p\",1],\"none\":[],\"o\":{\"k\":{\"d\":5}},"
        "\"future\":{}}";
    rp_config *c;
    rp_error e = { "" };
    uint32_t u = 0;
    double d = 0;
    bool b = false;
    const char *s = NULL;
    assert_int_equal(rp_config_parse(json, sizeof json - 1, "dir/c.json", &c, &e), RP_OK);
    assert_true(rp_config_u32(c, "n", 16, 16, &u, &e) == RP_OK && u == 16);
    assert_true(rp_config_u32(c, "whole", 1, 99, &u, &e) == RP_OK && u == 16);
    assert_true(rp_config_u32(c, "o.k.d", 1, 99, &u, &e) == RP_OK && u == 5);
    assert_true(rp_config_u32_or(c, "absent", 1, 99, 7, &u, &e) == RP_OK && u == 7);
    assert_true(rp_config_u32_or(c, "null", 1, 99, 8, &u, &e) == RP_OK && u == 8);
    assert_true(rp_config_u32_or(c, "null.x", 1, 99, 9, &u, &e) == RP_OK && u == 9);
    assert_true(rp_config_f64(c, "frac", 0, 2, &d, &e) == RP_OK && d == 1.5);
    assert_true(rp_config_f64_or(c, "absent", 0, 2, 0.25, &d, &e) == RP_OK && d == 0.25);
    assert_true(rp_config_bool(c, "t", &b, &e) == RP_OK && b);
    assert_true(rp_config_bool(c, "f", &b, &e) == RP_OK && !b);
    assert_true(rp_config_bool_or(c, "absent", true, &b, &e) == RP_OK && b);
    assert_true(rp_config_string(c, "s", &s, &e) == RP_OK && strcmp(s, "x\xC3\xA4") == 0);
    assert_true(rp_config_string_or(c, "absent", "y", &s, &e) == RP_OK && strcmp(s, "y") == 0);
    assert_true(rp_config_strings(c, "list", 1, 2, &u, &e) == RP_OK && u == 2 &&
                strcmp(rp_config_strings_get(c, "list", 1), "q") == 0);
    assert_null(rp_config_strings_get(c, "list", 2));
    assert_true(rp_config_strings(c, "none", 0, 2, &u, &e) == RP_OK && u == 0);
    assert_true(rp_config_object(c, "o.k", &e) == RP_OK);
    assert_true(rp_config_has(c, "o") && !rp_config_has(c, "null") && !rp_config_has(c, "absent") &&
                !rp_config_has(c, "n.x"));

#define EXPECT(call, ...) do { \
        static const char *const words_[3] = { __VA_ARGS__ }; \
        expect_failure(#call, call, RP_BAD_FILE, &e, words_); \
        assert_non_null(strstr(e.text, "c.json")); \
    } while (0)
    u = 77;
    EXPECT(rp_config_u32(c, "absent", 1, 99, &u, &e), "has no absent", "a whole number from 1 to 99");
    EXPECT(rp_config_u32(c, "null", 1, 99, &u, &e), "has no null");
    EXPECT(rp_config_u32(c, "n", 1, 15, &u, &e), "n is 16", "from 1 to 15");
    EXPECT(rp_config_u32(c, "neg", 0, 99, &u, &e), "neg is -1");
    EXPECT(rp_config_u32(c, "frac", 0, 99, &u, &e), "frac is 1.5", "a whole number");
    EXPECT(rp_config_u32(c, "big", 0, UINT32_MAX, &u, &e), "big is 4294967296");
    EXPECT(rp_config_u32(c, "inf", 0, UINT32_MAX, &u, &e), "inf is inf");
    EXPECT(rp_config_u32(c, "s", 0, 9, &u, &e), "s is a string", "a whole number from 0 to 9");
    EXPECT(rp_config_u32_or(c, "s", 0, 9, 1, &u, &e), "s is a string");
    EXPECT(rp_config_u32(c, "o.k.x", 0, 9, &u, &e), "has no o.k.x");
    EXPECT(rp_config_u32(c, "n.k.x", 0, 9, &u, &e), "n is a number", "an object was expected");
    EXPECT(rp_config_u32_or(c, "o.k.d.x", 0, 9, 1, &u, &e), "o.k.d is a number", "an object was expected");
    EXPECT(rp_config_f64(c, "frac", 2, 3, &d, &e), "frac is 1.5", "from 2 to 3");
    EXPECT(rp_config_f64(c, "inf", 0, 1e308, &d, &e), "inf is inf");
    EXPECT(rp_config_f64(c, "t", 0, 1, &d, &e), "t is true or false", "a number");
    EXPECT(rp_config_bool(c, "n", &b, &e), "n is a number", "true or false was expected");
    EXPECT(rp_config_string(c, "list", &s, &e), "list is an array", "a string was expected");
    EXPECT(rp_config_strings(c, "mixed", 1, 2, &u, &e), "mixed holds a number at place 1");
    EXPECT(rp_config_strings(c, "list", 3, 4, &u, &e), "list holds 2 strings", "3 to 4");
    EXPECT(rp_config_strings(c, "s", 1, 2, &u, &e), "s is a string", "an array of 1 to 2 strings");
    EXPECT(rp_config_object(c, "n", &e), "n is a number", "an object was expected");
    EXPECT(rp_config_object(c, "absent", &e), "has no absent");
    assert_int_equal(u, 77);                                    // a failure writes nothing
    rp_config_close(c);
    rp_config_close(NULL);
}

// ---- every allocation fails once ----

typedef rp_status (*opening)(rp_error *error);

static rp_status open_and_close_shards(rp_error *error) {
    rp_weights *weights;
    const rp_status status = rp_weights_open(folder, &weights, error);
    rp_weights_close(weights);
    return status;
}

static rp_status open_and_close_file(rp_error *error) {
    rp_weights *weights;
    const rp_status status = rp_weights_open_file(in_folder("a.safetensors"), &weights, error);
    rp_weights_close(weights);
    return status;
}

static rp_status open_and_close_config(rp_error *error) {
    rp_config *config;
    const rp_status status = rp_config_open(in_folder("config.json"), &config, error);
    rp_config_close(config);
    return status;
}

static void no_memory(void **state) {
    (void)state;
    write_safetensors("a.safetensors", "{\"x\":" U8_4 "}", 4);
    write_safetensors("b.safetensors", "{\"y\":" U8_4 "}", 4);
    write_index("{\"weight_map\":{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"}}");
    static const char json[] = "{\"a\":[\"b\",{\"c\":1.5}],\"d\":{\"e\":null,\"f\":true}}";
    write_file("config.json", json, sizeof json - 1);
    cJSON_Hooks hooks = { __wrap_malloc, free };
    cJSON_InitHooks(&hooks);                                    // cJSON is a shared library, out of the linker's reach
    static const opening openings[] = { open_and_close_shards, open_and_close_file, open_and_close_config };
    static const int at_least[] = { 10, 5, 10 };
    for (int i = 0; i < 3; i++) {
        rp_status status = RP_OUT_OF_MEMORY;
        int n = 0;
        for (; n < 1000 && status == RP_OUT_OF_MEMORY; n++) {
            rp_error error = { "" };
            fail_after = n;
            status = openings[i](&error);
            fail_after = -1;
            if (status == RP_OUT_OF_MEMORY) { assert_non_null(strstr(error.text, "memory ran out")); }
        }
        assert_int_equal(status, RP_OK);
        assert_true(n > at_least[i]);
    }
    cJSON_InitHooks(NULL);
}

// ---- published files ----

static void golden_checkpoint(void **state) {
    (void)state;
    rp_error error = { "" };
    rp_weights *weights;
    rp_config *config;
    uint32_t width = 0, k = 0, n = 0;
    if (rp_config_open(RP_GOLDEN_DIR "/toto-tiny/config.json", &config, &error) != RP_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(rp_config_u32(config, "embed_dim", 1, 65536, &width, &error), RP_OK);
    assert_int_equal(rp_config_u32(config, "output_distribution_kwargs.k_components", 1, 1024, &k, &error), RP_OK);
    assert_int_equal(rp_config_strings(config, "output_distribution_classes", 1, 4, &n, &error), RP_OK);
    rp_config_close(config);
    if (rp_weights_open(RP_GOLDEN_DIR "/toto-tiny", &weights, &error) != RP_OK) { fail_msg("%s", error.text); }
    const rp_weight *w = rp_weights_find(weights, "model.output_distribution.df.weight");
    assert_non_null(w);
    assert_true(w->n_dims == 2 && w->dims[0] == k && w->dims[1] == width);
    for (uint32_t i = 0; i < rp_weights_count(weights); i++) {
        assert_int_equal(rp_weight_check_finite(rp_weights_get(weights, i), &error), RP_OK);
    }
    rp_weights_close(weights);
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_lie),
        cmocka_unit_test(files_that_are_none),
        cmocka_unit_test(hostile_headers_cost_little),
        cmocka_unit_test(many_tensors_are_not_quadratic),
        IN_FOLDER(header_above_the_limit),
        cmocka_unit_test(good_header),
        cmocka_unit_test(numbers_that_are_none),
        IN_FOLDER(sharded_folder),
        IN_FOLDER(indexes_that_lie),
        IN_FOLDER(paths_that_are_none),
        cmocka_unit_test(small_helpers),
        cmocka_unit_test(configs_that_are_none),
        cmocka_unit_test(config_getters),
        IN_FOLDER(no_memory),
        cmocka_unit_test(golden_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
