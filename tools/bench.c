// reprise bench: whole forecasts as a caller sees them, host arrays in and host arrays out, with weights of its own making.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "command.h"
#include "options.h"

// The rows of the speed table in the README, those of one model together.
static const bench_row rows[] = {
    { "T1", "toto-base", 7, 1, 4096, 336, 256, false },
    { "T2", "toto-base", 1, 1, 512, 64, 256, false },
    { "T3", "toto-base", 1, 1, 512, 256, 256, false },
    { "K1", "kronos-small", 6, 1, 392, 120, 1, false },
    { "K2", "kronos-base", 6, 1, 392, 120, 10, false },
    { "K3", "kronos-base", 6, 1, 400, 120, 10, false },
    { "K4", "kronos-base", 6, 5, 400, 120, 30, false },
    { "K5", "kronos-mini", 6, 1, 400, 120, 10, false },
    { "D1", "toto2-22m", 7, 1, 4096, 336, 0, false },
    { "D3", "toto2-22m", 1, 64, 4096, 96, 0, false },
    { "D2", "toto2-313m", 7, 1, 4096, 336, 0, false },
    { "D4", "toto2-2.5b", 7, 1, 4096, 336, 0, false },
    { "X1", "toto-tiny", 2, 1, 128, 40, 16, true },
    { "X2", "kronos-tiny", 6, 2, 64, 8, 4, true },
    { "X3", "toto2-4m", 2, 1, 256, 64, 0, true },
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static const bench_row *row_find(const char *name) {
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i].name, name) == 0) { return &rows[i]; }
    }
    return NULL;
}

// ---- which rows ----

static bool is_named(const name_list *names, const bench_row *row) {
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->names[i], row->name) == 0) { return true; }
    }
    return false;
}

// Chooses by name, or every row but the small ones; `only` leaves those of one model. A family that the library lacks is an
// error where its row was asked for, and left out where not.
static bool choose(const name_list *names, const published_model *only, const bench_row **out, size_t *n) {
    *n = 0;
    for (size_t i = 0; i < N_ROWS; i++) {
        const bench_row *row = &rows[i];
        const published_model *model = published_model_find(row->model);
        const bool named = is_named(names, row);
        if (only != NULL ? model != only || (names->count > 0 && !named) : names->count > 0 ? !named : row->small) { continue; }
        if (published_model_is_read(model)) {
            out[(*n)++] = row;
        } else if (named) {
            complain("row %s needs %s, a family that this library does not read", row->name, model->family);
            return false;
        }
    }
    return true;
}

static int check_names(const name_list *names) {
    const char *known[N_ROWS];
    for (size_t i = 0; i < N_ROWS; i++) { known[i] = rows[i].name; }
    for (size_t i = 0; i < names->count; i++) {
        if (row_find(names->names[i]) != NULL) { continue; }
        const char *near = nearest_name(names->names[i], known, N_ROWS);
        if (near != NULL) { return options_misused("bench", "there is no row %s; did you mean %s?", names->names[i], near); }
        return options_misused("bench", "there is no row %s; --help lists them", names->names[i]);
    }
    return -1;
}

// ---- a model ----

static bool open_device(const char *spec, session *s, double *ms) {
    *s = (session){ .device_info = RP_DEVICE_INFO_INIT, .model_info = RP_MODEL_INFO_INIT };
    const double start = seconds_now();
    rp_status status = rp_device_create(spec, NULL, &s->device);
    *ms = (seconds_now() - start) * 1e3;
    if (status == RP_OK) { status = rp_device_copy_info(s->device, &s->device_info); }
    if (status == RP_OK) { return true; }
    session_complain(s->device, status);
    session_close(s);
    return false;
}

static bool load(const char *folder, const char *precision, session *s, double *ms) {
    rp_model_config config = RP_MODEL_CONFIG_INIT;
    config.precision = precision_of(precision);
    const double start = seconds_now();
    rp_status status = rp_model_load(s->device, folder, &config, &s->model);
    *ms = (seconds_now() - start) * 1e3;
    if (status == RP_OK) { status = rp_model_copy_info(s->model, &s->model_info); }
    if (status != RP_OK) { session_complain(s->device, status); }
    return status == RP_OK;
}

// The reference device of --check, while the weights are still in their folder.
static bool open_reference(const char *folder, bench_model *m) {
    double ms;
    if (m->session.device_info.kind == RP_DEVICE_REFERENCE) {
        note("ref is what --check compares with, so it is not compared with itself");
        return true;
    }
    return open_device("ref", &m->reference, &ms) && load(folder, "f32", &m->reference, &ms);
}

// Weights in a folder of the caller's, or made for the occasion and gone when the model is loaded.
static bool open_model(const bench_options *options, const published_model *published, bench_model *m) {
    message error = { "" };
    weights_folder made = { 0 };
    m->published = published;
    if (!open_device(options->device, &m->session, &m->open_ms)) { return false; }
    const double start = seconds_now();
    if (options->folder == NULL && !weights_open(published, options->keep, &made, &error)) {
        complain("%s", error.text);
        return false;
    }
    m->make_ms = (seconds_now() - start) * 1e3;
    const char *folder = options->folder ? options->folder : made.path;
    bool ok = load(folder, options->precision, &m->session, &m->load_ms);
    m->load_peak_bytes = ok ? m->session.device->counters.device_bytes_peak : 0;
    ok = ok && (!options->check || open_reference(folder, m));
    weights_close(&made);
    return ok;
}

// The rows of one model. False where one of them failed; the others are run all the same.
static bool run_model(const bench_options *options, const bench_row *const *chosen, size_t n, bench_model *m) {
    bool ok = true;
    m->results = take(n, sizeof *m->results);
    if (!open_model(options, published_model_find(chosen[0]->model), m)) { return false; }
    bench_print_model(m);
    for (size_t i = 0; i < n; i++) {
        if (bench_run(m, chosen[i], options, &m->results[m->n_results])) {
            m->n_results++;
        } else {
            ok = false;
        }
    }
    return ok;
}

// Rows of one model stand together in the table, so it is opened once. A row that fails does not cost the figures of the others.
static bool run_all(const bench_options *options, const bench_row *const *chosen, size_t n, const char *json) {
    bench_model *models = take(n, sizeof *models);
    size_t n_models = 0;
    bool ok = true, there = true;
    for (size_t i = 0, same; i < n && there; i += same) {
        for (same = 1; i + same < n && strcmp(chosen[i + same]->model, chosen[i]->model) == 0; same++) {}
        bench_model *m = &models[n_models];
        ok = run_model(options, chosen + i, same, m) && ok;
        there = m->session.device != NULL;
        session_close(&m->session);      // the next model finds the device as empty as this one did
        session_close(&m->reference);
        if (m->n_results > 0) {
            n_models++;
        } else {
            free(m->results);
            *m = (bench_model){ 0 };
        }
    }
    message error = { "" };
    if (n_models > 0 && json != NULL && !bench_json_write(json, models, n_models, &error)) {
        complain("%s", error.text);
        ok = false;
    }
    for (size_t i = 0; i < n_models; i++) {
        for (size_t j = 0; j < models[i].n_results; j++) { bench_result_free(&models[i].results[j]); }
        free(models[i].results);
    }
    free(models);
    return ok;
}

// The published model whose sizes a folder has.
static const published_model *recognise(const bench_options *options) {
    session s;
    if (!session_open(options->device, options->precision, options->folder, &s)) { return NULL; }
    const published_model *model = published_model_like(s.model_info.family, s.model_info.width, s.model_info.layers);
    if (model == NULL) {
        complain("%s (%s, width %u, %u layers) has none of the sizes of the table; --help lists the rows", options->folder, s.model_info.family,
                 s.model_info.width, s.model_info.layers);
    }
    session_close(&s);
    return model;
}

int command_bench(int argc, char **argv) {
    const char *json = NULL;
    name_list names = { NULL, 0 };
    bench_options o = { .device = NULL };
    const option options[] = {
        { "rows", OPTION_NAMES, &names, "A,B",
          "only these: toto-base T1, T2, T3; kronos-small K1, kronos-base K2, K3, K4,\n"
          "kronos-mini K5; toto2-22m D1, D3, toto2-313m D2, toto2-2.5b D4; and\n"
          "only where named the small X1, X2, X3, to try the command", NULL, false },
        { "device", OPTION_TEXT, &o.device, "D", "cuda[:N], vulkan[:N], ref or auto (default)", NULL, false },
        { "precision", OPTION_CHOICE, &o.precision, "P", "auto (default), f32 or mixed", PRECISION_CHOICES, false },
        { "repeat", OPTION_COUNT, &o.repeat, "N",
          "timed forecasts of each row (default 20, and 5 of those that take\nmore than a second)", NULL, false },
        { "json", OPTION_TEXT, &json, "FILE", "all figures, as docs/benchmarks.md describes them", NULL, false },
        { "ops", OPTION_FLAG, &o.ops, NULL, "the time of each kernel too, by its share", NULL, false },
        { "check", OPTION_FLAG, &o.check, NULL,
          "compare a short forecast of each row with ref first; takes seconds to\nload and run there", NULL, false },
        { "weights", OPTION_TEXT, &o.keep, "DIR",
          "keep the seeded weights there, and use them again (default: a folder\nbelow TMPDIR or /tmp that is removed as soon as they are loaded)",
          NULL, false },
        { "model", OPTION_TEXT, &o.folder, "DIR", "weights of a published size from this folder instead: its rows are run", NULL, false },
    };
    const option_set set = { "bench", "[options]",
                             "Times whole forecasts, from host arrays to host arrays, with seeded weights of the published sizes.\n"
                             "A row is timed only after two of its forecasts had the same bits.\n",
                             "  reprise bench --rows T1,K2 --device cuda --json bench.json\n", options, sizeof options / sizeof *options };
    size_t n_rest = 0;
    int result = options_parse(&set, argc, argv, NULL, 0, &n_rest);
    if (result < 0) { result = check_names(&names); }
    if (result < 0 && o.folder != NULL && o.keep != NULL) { result = options_misused("bench", "--model brings the weights, so leave out --weights"); }
    if (result < 0) {
        const bench_row *chosen[N_ROWS];
        size_t n = 0;
        const published_model *only = o.folder != NULL ? recognise(&o) : NULL;
        bool ok = (o.folder == NULL || only != NULL) && choose(&names, only, chosen, &n);
        if (ok && n == 0) {
            complain("%s has the sizes of %s, and none of the rows asked for is its", o.folder, only->name);
            ok = false;
        }
        result = ok && run_all(&o, chosen, n, json) ? EXIT_DONE : EXIT_FAILED;
    }
    name_list_free(&names);
    return result;
}
