// Weight files against good bytes, bad ones and hostile ones. Every bad input must give its status and a sentence that names what is
// wrong, and cost no more memory than it is worth.
#include "file_rig.h"

#include <math.h>

#include "platform.h"

// ---- bad headers ----

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_lie),
        cmocka_unit_test(files_that_are_none),
        cmocka_unit_test(hostile_headers_cost_little),
        cmocka_unit_test(many_tensors_are_not_quadratic),
        IN_FOLDER(header_above_the_limit),
        cmocka_unit_test(good_header),
        cmocka_unit_test(numbers_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
