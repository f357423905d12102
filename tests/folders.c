// Folders of weights: shards and their index, paths that are none, no memory, and the published layout.
#include "file_rig.h"

#include <cjson/cJSON.h>
#include <sys/stat.h>

#include "config.h"
#include "platform.h"
#include "quote.h"

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
    const struct CMUnitTest tests[] = {
        IN_FOLDER(sharded_folder),
        IN_FOLDER(indexes_that_lie),
        IN_FOLDER(paths_that_are_none),
        cmocka_unit_test(small_helpers),
        IN_FOLDER(no_memory),
        cmocka_unit_test(golden_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
