// config.json: texts that are none, and what is asked of good ones.
#include "file_rig.h"

#include "config.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configs_that_are_none),
        cmocka_unit_test(config_getters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
