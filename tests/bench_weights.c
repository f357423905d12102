// The checkpoints that `reprise bench` makes: they load, they are what they say, and temporary ones go away.
//   test_bench_weights          the suite
//   test_bench_weights lists    every size as a line of JSON, for tests/bench_lists.py
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench_weights.h"
#include "platform.h"
#include "reprise.h"
#include "safetensors.h"

static char below[] = "/tmp/reprise-weights-XXXXXX";

static rp_status load(const char *folder) {
    rp_device *device = NULL;
    rp_model *model = NULL;
    assert_int_equal(rp_device_create("ref", NULL, &device), RP_OK);
    const rp_status status = rp_model_load(device, folder, NULL, &model);
    rp_model_destroy(model);
    rp_device_destroy(device);
    return status;
}

static void temporary_ones_load_and_go(void **state) {
    (void)state;
    static const char *const names[] = { "toto-tiny", "kronos-tiny" };
    for (size_t i = 0; i < 2; i++) {
        weights_folder made;
        message error = { "" };
        assert_true(weights_open(published_model_find(names[i]), NULL, &made, &error));
        assert_true(made.temporary && strncmp(made.path, below, strlen(below)) == 0);   // TMPDIR
        char path[sizeof made.path];
        strcpy(path, made.path);
        assert_int_equal(load(path), RP_OK);
        weights_close(&made);
        assert_false(rp_path_exists(path));
        weights_close(&made);                // twice is fine
    }
}

// A signal ends the program as it would have, and the folder is gone.
static void a_signal_removes_them(void **state) {
    (void)state;
    int ends[2], how;
    weights_folder made;
    message error = { "" };
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const bool ok = weights_open(published_model_find("kronos-tiny"), NULL, &made, &error);
        if (!ok || !rp_path_exists(made.path) || write(ends[1], made.path, sizeof made.path) != (ssize_t)sizeof made.path) { _exit(3); }
        raise(SIGTERM);
        _exit(4);
    }
    assert_int_equal(read(ends[0], made.path, sizeof made.path), sizeof made.path);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGTERM);
    assert_false(rp_path_exists(made.path));
    close(ends[0]), close(ends[1]);
}

static rp_weights *open_weights(const char *folder) {
    rp_weights *weights = NULL;
    rp_error error;
    assert_int_equal(rp_weights_open(folder, &weights, &error), RP_OK);
    return weights;
}

static void join(char *out, const char *name) { snprintf(out, 256, "%s/%s", below, name); }

// Mean and standard deviation within five standard errors of what the list says; for a sum of four uniform numbers those of the
// deviation are smaller than a normal's, 1 / sqrt(2 n), which is taken.
static void numbers_have_the_spread(void **state) {
    (void)state;
    char folder[256];
    message error = { "" };
    weights_list list = { 0 };
    const published_model *model = published_model_find("toto-tiny");
    join(folder, "spread");
    assert_true(weights_make(model, folder, WEIGHTS_SHARD, &error));
    rp_weights *weights = open_weights(folder);
    model->parts[0].list(model->parts[0].sizes, &list);
    assert_int_equal(rp_weights_count(weights), list.count);
    for (size_t i = 0; i < list.count; i++) {
        const rp_weight *w = rp_weights_find(weights, list.tensors[i].name);
        assert_non_null(w);
        const double n = (double)w->count, std = (double)list.tensors[i].std;
        const float *x = w->data;
        double mean = 0, squares = 0;
        for (uint64_t j = 0; j < w->count; j++) { mean += (double)x[j] / n; }
        for (uint64_t j = 0; j < w->count; j++) { squares += ((double)x[j] - mean) * ((double)x[j] - mean) / n; }
        assert_true(fabs(mean - (double)list.tensors[i].mean) <= 5 * std / sqrt(n));
        if (n > 100) { assert_true(fabs(sqrt(squares) - std) <= 5 * std / sqrt(2 * n)); }
    }
    rp_weights_close(weights);
    weights_list_free(&list);
}

static bool is_in(const char *folder, const char *name) {
    char path[640];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return rp_path_exists(path);
}

// Split into many files it is the same checkpoint.
static void shards_hold_the_same(void **state) {
    (void)state;
    char one[256], many[256];
    message error = { "" };
    join(one, "one"), join(many, "many");
    assert_true(weights_make(published_model_find("toto-tiny"), one, WEIGHTS_SHARD, &error));
    assert_true(weights_make(published_model_find("toto-tiny"), many, 60000, &error));
    assert_int_equal(load(many), RP_OK);
    rp_weights *a = open_weights(one), *b = open_weights(many);
    assert_int_equal(rp_weights_count(a), rp_weights_count(b));
    assert_true(is_in(many, "model.safetensors.index.json") && is_in(many, "model-00001-of-00010.safetensors"));
    assert_false(is_in(many, "model.safetensors"));
    for (uint32_t i = 0; i < rp_weights_count(a); i++) {
        const rp_weight *x = rp_weights_get(a, i), *y = rp_weights_find(b, x->name);
        assert_true(y != NULL && y->count == x->count && memcmp(x->data, y->data, x->count * 4) == 0);
    }
    rp_weights_close(a);
    rp_weights_close(b);
}

static ino_t file_of(const char *folder, const char *name) {
    char path[640];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(stat(path, &info), 0);
    return info.st_ino;
}

// Kept ones are used again while they are whole and of the same sizes.
static void kept_ones_are_used_again(void **state) {
    (void)state;
    weights_folder made;
    message error = { "" };
    const published_model *model = published_model_find("toto-tiny");
    char keep[256], path[600];
    join(keep, "keep");
    assert_true(weights_open(model, keep, &made, &error));
    assert_false(made.temporary);
    const ino_t first = file_of(made.path, "model.safetensors");
    weights_close(&made);
    assert_true(weights_open(model, keep, &made, &error));
    assert_int_equal(file_of(made.path, "model.safetensors"), first);
    snprintf(path, sizeof path, "%s/model.safetensors", made.path);
    assert_int_equal(truncate(path, 1000), 0);
    assert_int_equal(load(made.path), RP_BAD_FILE);
    assert_true(weights_open(model, keep, &made, &error));
    assert_int_equal(load(made.path), RP_OK);
    snprintf(path, sizeof path, "%s/config.json", made.path);
    FILE *file = fopen(path, "w");
    assert_true(file != NULL && fputs("{}\n", file) >= 0 && fclose(file) == 0);
    assert_true(weights_open(model, keep, &made, &error));
    assert_int_equal(load(made.path), RP_OK);
}

static void what_cannot_be_written_is_said(void **state) {
    (void)state;
    weights_folder made;
    message error = { "" };
    assert_false(weights_open(published_model_find("toto-tiny"), "/proc/none", &made, &error));
    assert_non_null(strstr(error.text, "/proc/none cannot be written"));
    assert_int_equal(setenv("TMPDIR", "/proc/none", 1), 0);
    assert_false(weights_open(published_model_find("toto-tiny"), NULL, &made, &error));
    assert_non_null(strstr(error.text, "/proc/none"));
    assert_int_equal(setenv("TMPDIR", below, 1), 0);
}

static int make_below(void **state) {
    (void)state;
    return mkdtemp(below) == NULL || setenv("TMPDIR", below, 1) != 0;
}

static int remove_below(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", below);
    return system(command);
}

static void print_lists(void) {
    for (const published_model *m = published_models; m->name != NULL; m++) {
        for (size_t i = 0; i < 2; i++) {
            weights_list list = { 0 };
            if (m->parts[i].folder == NULL) { continue; }
            m->parts[i].list(m->parts[i].sizes, &list);
            for (char *c = list.config; *c; c++) { *c = *c == '\n' ? ' ' : *c; }
            printf("{\"model\": \"%s\", \"folder\": \"%s\", \"config\": %s, \"tensors\": [", m->name, m->parts[i].folder, list.config);
            for (size_t j = 0; j < list.count; j++) {
                const weights_tensor *t = &list.tensors[j];
                printf("%s{\"name\": \"%s\", \"shape\": [%u, %u], \"dims\": %u, \"fill\": %d, \"mean\": %.9g, \"std\": %.9g}", j ? ", " : "",
                       t->name, t->dims[0], t->dims[1], t->n_dims, (int)t->fill, (double)t->mean, (double)t->std);
            }
            printf("]}\n");
            weights_list_free(&list);
        }
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "lists") == 0) {
        print_lists();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temporary_ones_load_and_go),
        cmocka_unit_test(a_signal_removes_them),
        cmocka_unit_test(numbers_have_the_spread),
        cmocka_unit_test(shards_hold_the_same),
        cmocka_unit_test(kept_ones_are_used_again),
        cmocka_unit_test(what_cannot_be_written_is_said),
    };
    return cmocka_run_group_tests(tests, make_below, remove_below);
}
