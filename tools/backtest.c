// `reprise backtest`: forecasts windows of the past, and says how far they were from what happened.
#include "backtest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backtest_record.h"
#include "baseline.h"
#include "command.h"
#include "digest.h"
#include "interrupt.h"
#include "report.h"

enum { DEFAULT_PATHS = 256, DEFAULT_SEEDS = 3 };

// ---- the question ----

// -1 when it can be answered, else the exit code.
static int read_request(int argc, char **argv, bt_request *r) {
    const option options[] = {
        ROW_MODEL(&r->model), ROW_TOKENIZER(&r->tokenizer),
        { "input", OPTION_FILES, &r->inputs, "FILES", "CSV files as for 'reprise forecast', one after the other", NULL, true },
        { "context", OPTION_COUNT, &r->context, "N", "rows given to the model in each window", NULL, true },
        { "horizon", OPTION_COUNT, &r->horizon, "H", "rows to forecast in each window", NULL, true },
        { "step", OPTION_COUNT, &r->step, "K", "rows from one window to the next; default H", NULL, false },
        { "windows", OPTION_COUNT, &r->windows, "N", "of each file, the latest; default all that fit", NULL, false },
        { "samples", OPTION_COUNT, &r->samples, "S", "sample paths; default 256; of Toto 2.0 there are none", NULL, false },
        { "seed", OPTION_SEED, &r->seed, "N", "the first seed; default 0", NULL, false },
        { "seeds", OPTION_COUNT, &r->seeds, "N", "so many seeds, one after the other; default 3; of Toto 2.0 there are\nnone", NULL, false },
        { "columns", OPTION_NAMES, &r->columns, "a,b", "Toto: columns to forecast; default: all numeric ones", NULL, false },
        { "future-columns", OPTION_NAMES, &r->future_columns, "c,d",
          "Toto: columns that are known over the horizon and help the others", NULL, false },
        { "time-column", OPTION_TEXT, &r->time_column, "c", "default: the first column of dates", NULL, false },
        { "season", OPTION_COUNT, &r->season, "M",
          "rows of a season, for seasonal naive and MASE; default: from the dates\n"
          "(months 12, quarters 4, days 7, working days 5, hours 24, else 1;\nof bars 1)",
          NULL, false },
        ROW_TEMPERATURE(&r->temperature),
        { "top-k", OPTION_COUNT, &r->top_k, "K", "Kronos: draw among the K likeliest tokens; default all", NULL, false },
        ROW_TOP_P(&r->top_p),
        ROW_BLOCK(&r->block), ROW_FALLBACK_MIN_OBS(&r->fallback_min_obs), ROW_CAP_K(&r->cap_k),
        { "device", OPTION_TEXT, &r->device, "D", "auto, cuda, cuda:N, vulkan, vulkan:N or ref; default auto", NULL, false },
        ROW_PRECISION(&r->precision),
        { "memory", OPTION_BYTES, &r->memory, "BYTES",
          "device memory to stay within beyond the model's own, such as 2G;\ndefault: most of the device's",
          NULL, false },
        { "batch", OPTION_COUNT, &r->batch, "B", "windows forecast together; default: as many as the memory allows", NULL,
          false },
        { "repeats", OPTION_COUNT, &r->repeats, "N", "the first batch is timed so often; default 5", NULL, false },
        { "save-baseline", OPTION_TEXT, &r->save_baseline, "FILE", "write the measures as JSON, to be compared with later", NULL,
          false },
        { "baseline", OPTION_TEXT, &r->baseline, "FILE", "compare with such a file; exit code 2 if anything got worse", NULL,
          false },
        { "accuracy-tolerance", OPTION_NUMBER, &r->accuracy_tolerance, "PERCENT", "by which an error may grow; default 2", NULL,
          false },
        { "coverage-tolerance", OPTION_NUMBER, &r->coverage_tolerance, "POINTS",
          "by which an interval's share may move away from its\nnominal one; default 2",
          NULL, false },
        { "speed-tolerance", OPTION_NUMBER, &r->speed_tolerance, "PERCENT", "by which the time of a window may grow; default 15",
          NULL, false },
        { "report", OPTION_TEXT, &r->report, "DIR",
          "write DIR/index.html, one page with charts, and records of finished\nfiles in DIR/results", NULL, false },
        { "results", OPTION_TEXT, &r->results, "DIR",
          "the folder of these records, with which a run that was interrupted\ngoes on", NULL, false },
        { "fresh", OPTION_FLAG, &r->fresh, NULL, "forecast also what has a record", NULL, false },
    };
    const option_set set = {
        "backtest",
        "--model DIR --input FILES --context N --horizon H [options]",
        "Forecasts windows of the past, all that fit into each file, and compares with what happened: errors beside those of\n"
        "naive forecasts, intervals, stability and speed. docs/backtest.md defines every measure.\n"
        "Exit codes: 0 done; 1 nothing could be done; 2 worse than the baseline, or wrong use; 3 done, but a file was skipped;\n"
        "130 interrupted (finished files are reported, and kept where there is a folder for records).\n",
        "  reprise backtest --model models/demo-toto --input data/*.csv --context 96 --horizon 24 --windows 8 --report out\n",
        options,
        sizeof options / sizeof *options,
    };
    int result = options_parse(&set, argc, argv, NULL, 0, NULL);
    if (result >= 0) { return result; }
    if (r->top_p > 1) { return options_misused("backtest", "--top-p is %g; it is a probability, above 0 and up to 1", r->top_p); }
    if (r->temperature > 1e6) {
        return options_misused("backtest", "--temperature is %g; it is above 0 and up to 1e6", r->temperature);
    }
    if (r->fresh && !r->results && !r->report) {
        return options_misused("backtest", "--fresh is about records, so it needs --report or --results");
    }
    if (r->step == 0) { r->step = r->horizon; }
    return -1;
}

// -1, or the exit code: what a model that gives quantiles has beside one that samples paths.
static int settle_sampling(bt_request *r, const session *s) {
    if (s->model_info.quantiles == 0) {
        const char *option = r->block ? "block" : r->fallback_min_obs ? "scaler-fallback-min-obs" : r->cap_k > 0 ? "quantile-real-cap-k" : NULL;
        if (option) { return options_misused("backtest", "--%s is for Toto 2.0, and %s is none; leave it out", option, r->model); }
        if (r->samples == 0) { r->samples = DEFAULT_PATHS; }
        if (r->seeds == 0) { r->seeds = DEFAULT_SEEDS; }
        return -1;
    }
    const char *option = r->samples ? "samples" : r->seeds ? "seeds" : NULL;
    if (option) {
        return options_misused("backtest", "%s gives quantiles and samples no paths; leave out --%s", r->model, option);
    }
    r->seeds = 1;
    return -1;
}

// -1, or the exit code: what only the other kind of model has.
static int refuse(const bt_request *r, const session *s) {
    if (!session_is_bars(s)) {
        const char *option = r->temperature > 0 ? "temperature" : r->top_k ? "top-k" : r->top_p > 0 ? "top-p" : NULL;
        return option ? options_misused("backtest", "--%s is for models of bars, and %s is none; leave it out", option, r->model)
                      : -1;
    }
    if (r->columns.count || r->future_columns.count) {
        return options_misused("backtest",
                               "%s is a model of bars: it forecasts open, high, low, close, volume and amount together, so --%s "
                               "does not go with it",
                               r->model, r->columns.count ? "columns" : "future-columns");
    }
    if (s->model_info.window && r->horizon > s->model_info.window) {
        return options_misused("backtest", "--horizon %u: the model sees %u bars at once, and the forecast must fit into them",
                               r->horizon, s->model_info.window);
    }
    return -1;
}

// ---- files ----

static const char *base_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Files are called by their names, those of one name by their whole paths.
static void name_files(bt_run *run) {
    for (size_t i = 0; i < run->n_files; i++) {
        bool alone = true;
        for (size_t j = 0; j < run->n_files; j++) {
            alone = alone && (i == j || strcmp(base_of(run->files[i].path), base_of(run->files[j].path)) != 0);
        }
        run->files[i].name = alone ? base_of(run->files[i].path) : run->files[i].path;
    }
}

static void load_files(bt_run *run) {
    const bt_request *r = run->request;
    for (size_t i = 0; i < r->inputs.count && !interrupt_came(); i++) {
        bt_file *f = &run->files[run->n_files++];
        bool good = bt_file_load(r, session_is_bars(run->session), r->inputs.names[i], f);
        for (size_t j = 0; j < i && good; j++) {
            const bt_file *other = &run->files[j];
            if (!bt_usable(other) || other->digest != f->digest) { continue; }
            good = message_set(&f->problem, "%s holds the same as %s, which counts once", f->path, other->path);
        }
        if (!good) { complain("%s; it is skipped", f->problem.text); }
    }
    name_files(run);
}

// ---- running ----

static bool keep(const bt_run *run, const bt_file *f) {
    message error = { "" };
    if (!run->request->results || bt_record_write(run, f, &error)) { return true; }
    complain("%s", error.text);
    return false;
}

static bool prepare_folders(bt_request *r, char **results) {
    message error = { "" };
    if (r->report && !r->results) {
        const size_t size = strlen(r->report) + sizeof "/results";
        *results = take(size, 1);
        snprintf(*results, size, "%s/results", r->report);
        r->results = *results;
    }
    bool good = (!r->report || bt_make_folder(r->report, &error)) && (!r->results || bt_make_folder(r->results, &error));
    if (!good) { complain("%s", error.text); }
    return good;
}

// ---- the answer ----

static int deliver(const bt_run *run, bool ran, const cJSON *baseline) {
    const bt_request *r = run->request;
    const bt_summary s = bt_summarise(run);
    comparisons compared = { 0 };
    message error = { "" };
    const bool whole = ran && !interrupt_came() && s.n_finished > 0;
    bool good = true;
    bt_print(run, &s);
    if (baseline && whole) {
        compared = baseline_compare(run, &s, baseline);
        comparisons_print(&compared, r->baseline);
    }
    if (r->report && s.n_finished) {
        char path[4096];
        snprintf(path, sizeof path, "%s/index.html", r->report);
        good = report_write(run, &s, baseline && whole ? &compared : NULL, path, &error);
        if (good) {
            printf("\nwrote %s\n", path);
        } else {
            complain("%s", error.text);
        }
    }
    if (r->save_baseline && whole && good) {
        good = baseline_save(run, &s, r->save_baseline, &error);
        if (good) {
            printf("\nwrote %s\n", r->save_baseline);
        } else {
            complain("%s", error.text);
        }
    }
    if (interrupt_came()) {
        size_t n_open = 0;
        for (size_t i = 0; i < run->n_files; i++) { n_open += bt_usable(&run->files[i]) && !run->files[i].finished; }
        n_open += r->inputs.count - run->n_files;
        complain("stopped by %s: %zu of %zu files are finished%s", interrupt_name(), s.n_finished, s.n_finished + n_open,
                 r->results ? "; the same command goes on from here"
                            : "; with --results or --report a later run could go on from here");
    }
    if (s.n_skipped) { complain("%zu of %zu files were skipped, as said above", s.n_skipped, run->n_files); }
    const bool failed = !good || (!ran && !interrupt_came()) || s.n_finished == 0;
    const int result = failed ? EXIT_FAILED : compared.n_worse ? EXIT_WORSE : s.n_skipped ? EXIT_SKIPPED : EXIT_DONE;
    comparisons_free(&compared);
    return interrupt_exit(result);
}

static int answer(bt_run *run, bt_request *r) {
    int result = refuse(r, run->session);
    if (result < 0) { result = settle_sampling(r, run->session); }
    message error = { "" };
    cJSON *baseline = NULL;
    if (result >= 0) { return result; }
    if (r->baseline && !(baseline = baseline_read(r, run->session->model_info.family, r->baseline, &error))) {
        complain("%s", error.text);
        return EXIT_FAILED;
    }
    run->model_digest = digest_model(r->model);
    if (r->tokenizer) { run->model_digest ^= digest_model(r->tokenizer) * 3; }
    run->files = take(r->inputs.count, sizeof *run->files);
    load_files(run);
    for (size_t i = 0; i < run->n_files && r->results && !r->fresh; i++) {
        if (bt_usable(&run->files[i])) { bt_record_read(run, &run->files[i]); }
    }
    const bool ran = bt_run_all(run, keep);
    for (size_t i = 0; i < run->n_files; i++) { // those that went wrong while they were forecast
        const bt_file *f = &run->files[i];
        if (!bt_usable(f) && f->done) { complain("%s; it is skipped", f->problem.text); }
    }
    result = deliver(run, ran, baseline);
    for (size_t i = 0; i < run->n_files; i++) { bt_file_free(&run->files[i]); }
    free(run->files);
    cJSON_Delete(baseline);
    return result;
}

int command_backtest(int argc, char **argv) {
    bt_request r = {
        .repeats = 5, .accuracy_tolerance = 2, .coverage_tolerance = 2, .speed_tolerance = 15
    };
    session s = { 0 };
    char *results = NULL;
    int result = read_request(argc, argv, &r);
    if (result < 0) {
        interrupt_install();
        result = EXIT_FAILED;
        bt_run run = { .request = &r, .session = &s };
        if (prepare_folders(&r, &results) && session_open_pair(r.device, r.precision, r.model, r.tokenizer, &s)) {
            result = answer(&run, &r);
        }
    }
    session_close(&s);
    free(results);
    name_list_free(&r.inputs);
    name_list_free(&r.columns);
    name_list_free(&r.future_columns);
    return result;
}
