// A backtest without a device: which windows a file has, what judging writes down, records that count and those that do not,
// baselines, and the page. Paths are made up; the sums that follow from them are worked out by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../tools/backtest_record.h"
#include "../tools/backtest_score.h"
#include "../tools/report.h"

static char folder[] = "/tmp/reprise-backtest-XXXXXX";

static const char *place(const char *name) {
    static char paths[8][128];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static const char *write_file(const char *name, const char *text) {
    const char *path = place(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) { n++; }
    return n;
}

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

static void near(double got, double wanted) {
    if (!(fabs(got - wanted) <= 1e-12 * (1 + fabs(wanted)))) { fail_msg("%.17g where %.17g was expected", got, wanted); }
}

static void says(const message *m, const char *part) {
    if (!strstr(m->text, part)) { fail_msg("'%s' lacks '%s'", m->text, part); }
}

// ---- windows ----

static bt_request small_request(void) {
    return (bt_request){ .model = "models/some",
                         .context = 3,
                         .horizon = 2,
                         .step = 2,
                         .samples = 5,
                         .seeds = 2,
                         .repeats = 1,
                         .accuracy_tolerance = 2,
                         .coverage_tolerance = 2,
                         .speed_tolerance = 15 };
}

static void test_windows(void **state) {
    (void)state;
    bt_request r = small_request();
    bt_file f;
    const char *path = write_file("ten.csv", "y\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
    assert_true(bt_file_load(&r, false, path, &f)); // ends count from the end of the file: 8, 6, 4
    assert_int_equal(f.n_windows, 3);
    assert_int_equal(f.ends[0], 4);
    assert_int_equal(f.ends[2], 8);
    assert_int_equal(f.season, 1);
    assert_int_equal(f.result.n_pictures, 3);
    assert_int_equal(f.result.picture_ends[0], 4);
    near(f.scales[8], 1);
    bt_file_free(&f);

    r.step = 1, r.windows = 4;
    assert_true(bt_file_load(&r, false, path, &f));
    assert_int_equal(f.n_windows, 4);
    assert_int_equal(f.ends[0], 5);
    assert_int_equal(f.ends[3], 8);
    assert_int_equal(f.result.n_pictures, 2); // 8 and 6: those between overlap
    assert_int_equal(f.result.picture_ends[0], 6);
    bt_file_free(&f);

    r.context = 8, r.windows = 0; // exactly one fits, then none
    assert_true(bt_file_load(&r, false, path, &f));
    assert_int_equal(f.n_windows, 1);
    bt_file_free(&f);
    r.context = 9;
    assert_false(bt_file_load(&r, false, path, &f));
    says(&f.problem, "has 10 rows, but a window takes 9 of context and 2 of forecast");
    assert_false(bt_usable(&f));
    bt_file_free(&f);
}

// ---- judging ----

// Paths around a centre: centre - 2, ..., centre + 2, shuffled.
static void set_paths(float *to, float centre) {
    static const float around[] = { 1, -2, 2, 0, -1 };
    for (size_t i = 0; i < 5; i++) { to[i] = centre + around[i]; }
}

static void judge_all(bt_file *f, const bt_request *r, float shift) {
    float *paths = calloc(f->n_windows * f->n_all * r->horizon * 5, sizeof *paths);
    bt_job *jobs = calloc(f->n_windows, sizeof *jobs);
    for (size_t seed = 0; seed < r->seeds; seed++) {
        for (size_t w = 0; w < f->n_windows; w++) {
            jobs[w] = (bt_job){ f, w };
            for (size_t v = 0; v < f->n_all; v++) {
                for (size_t h = 0; h < r->horizon; h++) {
                    set_paths(paths + ((w * f->n_all + v) * r->horizon + h) * 5,
                              (float)(f->ends[w] + h + 1) + shift + (float)seed);
                }
            }
        }
        bt_scoring s = { .jobs = jobs,
                         .n_jobs = f->n_windows,
                         .n_all = f->n_all,
                         .horizon = r->horizon,
                         .n_paths = 5,
                         .seed = seed,
                         .paths = paths };
        bt_scoring_start(&s);
        bt_scoring_wait(&s);
    }
    bt_result_add_timing(&f->result, (timing){ 10, 2, 1 });
    bt_result_add_timing(&f->result, (timing){ 14, 2, 1 });
    bt_result_add_timing(&f->result, (timing){ 90, 2, 0 });
    f->finished = true;
    free(paths);
    free(jobs);
}

static void test_missing(void **state) {
    (void)state;
    bt_request r = small_request();
    bt_file f;
    const char *path = write_file("gaps.csv", "t,y\n1,1\n2,2\n3,3\n4,\n5,NA\n6,\n7,7\n8,8\n9,9\n10,10\n");
    r.step = 1;
    assert_true(bt_file_load(&r, false, path, &f)); // not after row 6: no context; not after 3 and 4: nothing to compare with
    assert_int_equal(f.n_windows, 3);
    assert_int_equal(f.n_unusable, 3);
    assert_int_equal(f.ends[0], 5);
    assert_int_equal(f.ends[1], 7);
    near(f.scales[5], 1); // of the pairs 1, 2 and 2, 3
    judge_all(&f, &r, 0);
    const tally all = bt_result_tally(&f.result, 0, SIZE_MAX);
    near(all.n, 1 + 2 + 2); // row 6 is not judged
    near(f.result.steps[0].n, 2);
    near(tally_measure(&all, MEASURE_MAE), 0);
    near(all.last, (7 - 3) + (1 + 2) + (1 + 2)); // the last value before row 6 is that of row 3
    bt_file_free(&f);
    r.windows = 2; // the latest that can be used
    assert_true(bt_file_load(&r, false, path, &f));
    assert_int_equal(f.ends[0], 7);
    assert_int_equal(f.n_unusable, 0);
    bt_file_free(&f);
    r.context = 1, r.horizon = 1, r.windows = 0;
    assert_false(bt_file_load(&r, false, write_file("none.csv", "t,y\n1,\n2,1\n3,\n"), &f));
    says(&f.problem, "none of its 2 windows can be used; of the last one, the rows 3 to 3 have no value to compare with");
    bt_file_free(&f);
}

static void test_judging(void **state) {
    (void)state;
    bt_request r = small_request();
    bt_file f;
    assert_true(bt_file_load(&r, false, place("ten.csv"), &f));
    judge_all(&f, &r, 0.5f); // y = row: seed 0 misses by 0.5, seed 1 by 1.5
    tally first = bt_result_tally(&f.result, 0, SIZE_MAX), all = bt_result_tally(&f.result, SIZE_MAX, 0);
    near(first.n, 6);
    near(tally_measure(&first, MEASURE_MAE), 0.5);
    near(tally_measure(&all, MEASURE_MAE), 1);
    near(tally_measure(&all, MEASURE_MASE), 1);             // each row is one more than the row before
    near(tally_measure(&all, MEASURE_LAST_MAE), 1.5);       // 1 and 2 steps on
    near(tally_measure(&all, MEASURE_IN_50), 50);           // centre - 1 to centre + 1: seed 0 only
    near(tally_measure(&all, MEASURE_IN_80), 100);          // 1.6 to either side
    near(bt_mae_deviation(&f.result, SIZE_MAX), sqrt(0.5)); // of 0.5 and 1.5
    near(f.result.steps[0].n, 3);
    near(f.result.steps[1].last, 3 * 2);
    // The picture of the window after row 6, median at the second step: 8.5 of the first seed, though the second came later.
    near((double)f.result.pictures[(1 * PICTURE_LEVELS + PICTURE_MEDIAN) * 2 + 1], 8.5);
    near((double)f.result.pictures[(1 * PICTURE_LEVELS + 0) * 2], (double)(float)(7.5 - 1.8));
    bt_file_free(&f);

    assert_true(bt_file_load(&r, false, place("ten.csv"), &f));
    float paths[2 * 5] = { 1, 2, NAN, 4, 5, 1, 2, 3, 4, 5 };
    bt_job job = { &f, 0 };
    bt_scoring s = { .jobs = &job, .n_jobs = 1, .n_all = 1, .horizon = 2, .n_paths = 5, .paths = paths };
    bt_score(&s);
    says(&f.problem, "is not finite");
    bt_file_free(&f);
}

// ---- records ----

typedef struct stage {
    bt_request request;
    session session;
    bt_run run;
    bt_file file;
    char results[64];
} stage;

static void set_stage(stage *s, float shift) {
    *s = (stage){ .request = small_request() };
    snprintf(s->results, sizeof s->results, "%s/results/deep", folder);
    s->request.results = s->results;
    s->session.device_info = (rp_device_info)RP_DEVICE_INFO_INIT;
    s->session.model_info = (rp_model_info)RP_MODEL_INFO_INIT;
    strcpy(s->session.device_info.spec, "ref");
    strcpy(s->session.device_info.name, "reference");
    strcpy(s->session.model_info.family, "toto");
    s->run = (bt_run){ .request = &s->request, .session = &s->session, .files = &s->file, .n_files = 1, .model_digest = 42 };
    assert_true(bt_file_load(&s->request, false, place("ten.csv"), &s->file));
    s->file.name = "ten.csv";
    if (shift >= 0) { judge_all(&s->file, &s->request, shift); }
}

static void test_records(void **state) {
    (void)state;
    stage made, later;
    message error = { "" };
    set_stage(&made, 1 / 3.0f);
    assert_true(bt_make_folder(made.results, &error));
    assert_true(bt_make_folder(made.results, &error)); // it is there
    assert_true(bt_record_write(&made.run, &made.file, &error));

    set_stage(&later, -1);
    assert_true(bt_record_read(&later.run, &later.file));
    assert_true(later.file.finished && later.file.from_record);
    assert_memory_equal(later.file.result.tallies, made.file.result.tallies, 2 * sizeof(tally)); // to the last bit
    assert_memory_equal(later.file.result.steps, made.file.result.steps, 2 * 2 * sizeof(step_tally));
    assert_memory_equal(later.file.result.pictures, made.file.result.pictures, 3 * PICTURE_LEVELS * 2 * sizeof(float));
    assert_int_equal(later.file.result.n_timings, 3);
    near(later.file.result.timings[2].ms, 90);
    bt_file_free(&later.file);

    // Anything else that the numbers depend on: not this record.
    for (int i = 0; i < 7; i++) {
        set_stage(&later, -1);
        if (i == 0) { later.request.samples = 6; }
        if (i == 1) { later.request.seed = 1; }
        if (i == 2) { later.run.model_digest = 43; }
        if (i == 3) { strcpy(later.session.device_info.spec, "cuda:0"); }
        if (i == 4) { later.file.digest++; }
        if (i == 5) { later.request.temperature = 0.5; }
        if (i == 6) { later.session.model_info.precision = RP_PRECISION_MIXED; }
        assert_false(bt_record_read(&later.run, &later.file));
        assert_false(later.file.finished);
        bt_file_free(&later.file);
    }

    // A damaged one leaves nothing behind in the result.
    char path[256], command[600];
    snprintf(command, sizeof command, "ls %s", made.results);
    FILE *list = popen(command, "r");
    char name[128] = "";
    assert_non_null(fgets(name, sizeof name, list));
    pclose(list);
    name[strcspn(name, "\n")] = 0;
    snprintf(path, sizeof path, "%s/%s", made.results, name);
    char *text = read_text(path), *steps = strstr(text, "\"step_sums\":[");
    assert_non_null(steps);
    steps[strlen("\"step_sums\":[")] = 'x';
    FILE *file = fopen(path, "wb");
    fputs(text, file);
    fclose(file);
    set_stage(&later, -1);
    assert_false(bt_record_read(&later.run, &later.file));
    bt_file_free(&later.file);
    memcpy(steps, "\"stop_sums", strlen("\"stop_sums")); // whole again as JSON, but not as a record
    steps[strlen("\"step_sums\":[")] = '1';
    file = fopen(path, "wb");
    fputs(text, file);
    fclose(file);
    set_stage(&later, -1);
    assert_false(bt_record_read(&later.run, &later.file));
    near(bt_result_tally(&later.file.result, SIZE_MAX, SIZE_MAX).n, 0);
    assert_int_equal(later.file.result.n_timings, 0);
    bt_file_free(&later.file);
    free(text);
    bt_file_free(&made.file);

    write_file("no-folder", "x");
    assert_false(bt_make_folder(place("no-folder/below"), &error));
    says(&error, "cannot be made");
}

// A model's own quantiles, 9 of them: judged as they lie, [9, windows, variates, horizon]; the 90 % interval is nowhere.
static void test_quantiles(void **state) {
    (void)state;
    stage s, later;
    message error = { "" };
    enum { NINE = 9, WINDOWS = 3, STEPS = 2 };
    float numbers[NINE * WINDOWS * STEPS];
    bt_job jobs[WINDOWS];
    set_stage(&s, -1);
    s.request.samples = 0, s.request.seeds = 1;
    s.session.model_info.quantiles = NINE;
    bt_file_free(&s.file);
    assert_true(bt_file_load(&s.request, false, place("ten.csv"), &s.file));
    s.file.name = "ten.csv";
    assert_int_equal(s.file.n_windows, WINDOWS);
    for (size_t q = 0; q < NINE; q++) {                   // around half more than what happened, 0.25 apart
        for (size_t w = 0; w < WINDOWS; w++) {
            for (size_t h = 0; h < STEPS; h++) {
                numbers[(q * WINDOWS + w) * STEPS + h] = (float)(s.file.ends[w] + h + 1) + 0.5f + 0.25f * ((float)q - 4);
            }
        }
    }
    for (size_t w = 0; w < WINDOWS; w++) { jobs[w] = (bt_job){ &s.file, w }; }
    const bt_scoring scoring = { .jobs = jobs, .n_jobs = WINDOWS, .n_all = 1, .horizon = STEPS, .n_paths = bt_numbers(&s.run),
                                 .tail = session_tail(&s.session), .paths = numbers };
    bt_score(&scoring);
    s.file.finished = true;
    const tally all = bt_result_tally(&s.file.result, 0, SIZE_MAX);
    near(all.n, WINDOWS * STEPS);
    near(tally_measure(&all, MEASURE_MAE), 0.5);
    near(tally_measure(&all, MEASURE_IN_50), 100);        // half widths 0.625 and 1
    assert_true(isnan(tally_measure(&all, MEASURE_IN_90)));
    near(tally_measure(&all, MEASURE_CRPS), 2 * tally_measure(&all, MEASURE_PINBALL));
    const float *picture = s.file.result.pictures;
    assert_true(isnan(picture[0]) && isnan(picture[(PICTURE_LEVELS - 1) * STEPS]));
    near((double)picture[PICTURE_MEDIAN * STEPS], 5.5);
    near((double)picture[1 * STEPS], 4.5);

    // A record keeps what there is and what there is not, and the page draws the two inner bands.
    assert_true(bt_make_folder(s.results, &error) && bt_record_write(&s.run, &s.file, &error));
    later = s;
    later.run.request = &later.request, later.run.session = &later.session, later.run.files = &later.file;
    later.request.results = later.results;
    assert_true(bt_file_load(&later.request, false, place("ten.csv"), &later.file));
    assert_true(bt_record_read(&later.run, &later.file));
    assert_memory_equal(later.file.result.tallies, s.file.result.tallies, sizeof(tally));
    assert_true(isnan(later.file.result.pictures[0]));
    near((double)later.file.result.pictures[1 * STEPS], 4.5);
    later.file.name = "ten.csv";
    const bt_summary summary = bt_summarise(&later.run);
    const char *path = place("quantiles.html");
    assert_true(report_write(&later.run, &summary, NULL, path, &error));
    char *page = read_text(path);
    assert_int_equal(count(page, "<path class=\"band90\""), 0);
    assert_int_equal(count(page, "<path class=\"band80\" clip-path"), 3);
    assert_int_equal(count(page, "<circle class=\"dot\""), 2 * (N_LEVELS - 2));
    assert_null(strstr(page, "nan"));
    free(page);
    bt_file_free(&later.file);
    bt_file_free(&s.file);
}

// ---- baselines ----

static void test_judges(void **state) {
    (void)state;
    double change;
    assert_int_equal(judge_error(10, 10.2, 2, &change), VERDICT_SAME); // exactly the tolerance
    near(change, 2);
    assert_int_equal(judge_error(10, 10.21, 2, &change), VERDICT_WORSE);
    assert_int_equal(judge_error(10, 9.7, 2, &change), VERDICT_BETTER);
    assert_int_equal(judge_error(0, 0, 2, &change), VERDICT_SAME);
    assert_int_equal(judge_error(0, 1e-9, 2, &change), VERDICT_WORSE); // from nothing, anything is more
    assert_int_equal(judge_error(NAN, 3, 2, &change), VERDICT_SAME);
    assert_int_equal(judge_error(3, NAN, 2, &change), VERDICT_WORSE);
    assert_int_equal(judge_error(3, INFINITY, 2, &change), VERDICT_WORSE);
    assert_int_equal(judge_coverage(78, 82, 80, 2, &change), VERDICT_SAME); // as far off on the other side
    near(change, 0);
    assert_int_equal(judge_coverage(78, 84.5, 80, 2, &change), VERDICT_WORSE);
    near(change, 2.5);
    assert_int_equal(judge_coverage(70, 81, 80, 2, &change), VERDICT_BETTER);
    assert_int_equal(judge_coverage(70, NAN, 80, 2, &change), VERDICT_WORSE);
}

static const comparison *row_of(const comparisons *c, const char *scope, const char *title) {
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->rows[i].scope, scope) == 0 && strcmp(c->rows[i].title, title) == 0) { return &c->rows[i]; }
    }
    fail_msg("there is no row '%s' of '%s'", title, scope);
    return NULL;
}

static comparisons compare(stage *s, const cJSON *baseline) {
    const bt_summary now = bt_summarise(&s->run);
    return baseline_compare(&s->run, &now, baseline);
}

static void test_baseline(void **state) {
    (void)state;
    stage before, now;
    message error = { "" };
    const char *path = place("baseline.json");
    set_stage(&before, 0.5f);
    bt_summary s = bt_summarise(&before.run);
    near(s.ms_per_window, 6); // of 5 and 7: the repeats
    near(s.time_spread, sqrt(2.0) / 6);
    near(s.mae_deviation, sqrt(0.5));
    assert_true(baseline_save(&before.run, &s, path, &error));
    bt_file_free(&before.file);
    set_stage(&now, 0.5f);
    cJSON *baseline = baseline_read(&now.request, "toto", path, &error);
    assert_non_null(baseline);
    comparisons c = compare(&now, baseline);
    assert_int_equal(c.n_worse + c.n_better, 0);
    assert_int_equal(c.n, 2 * (N_MEASURES - 4) + 2); // overall and the file; speed and re-recordings
    assert_string_equal(c.notes, "");
    comparisons_free(&c);

    now.file.result.timings[0].ms = 12, now.file.result.timings[1].ms = 16; // 7 ms for each window: 17 % more
    c = compare(&now, baseline);
    assert_int_equal(c.n_worse, 1);
    assert_int_equal(row_of(&c, "speed", "ms for each window")->verdict, VERDICT_WORSE);
    near(row_of(&c, "speed", "ms for each window")->change, 100 / 6.0);
    comparisons_free(&c);
    now.request.speed_tolerance = 17;
    now.run.re_recordings = 1;
    c = compare(&now, baseline);
    assert_int_equal(c.n_worse, 1);
    assert_int_equal(row_of(&c, "speed", "re-recordings")->verdict, VERDICT_WORSE);
    comparisons_free(&c);
    now.run.re_recordings = 0;
    strcpy(now.session.device_info.name, "another"); // times of other devices are not compared
    now.request.speed_tolerance = 1;
    c = compare(&now, baseline);
    assert_int_equal(c.n_worse, 0);
    assert_non_null(strstr(c.notes, "another device (reference)"));
    comparisons_free(&c);
    bt_file_free(&now.file);

    set_stage(&now, 0.75f); // MAE 1.25 where it was 1
    c = compare(&now, baseline);
    assert_true(c.n_worse > 0);
    near(row_of(&c, "overall", "MAE")->before, 1);
    near(row_of(&c, "overall", "MAE")->change, 25);
    assert_int_equal(row_of(&c, "ten.csv", "MASE")->verdict, VERDICT_WORSE);
    near(row_of(&c, "ten.csv", "in 80 %")->change, 10); // 100 % was 20 off; seed 1 now misses, and 50 % is 30 off
    comparisons_free(&c);
    bt_file_free(&now.file);
    set_stage(&now, 0.25f);
    c = compare(&now, baseline);
    assert_int_equal(row_of(&c, "overall", "MAE")->verdict, VERDICT_BETTER);
    comparisons_free(&c);
    now.file.digest++; // another file: nothing to compare but speed
    c = compare(&now, baseline);
    assert_int_equal(c.n, 2);
    assert_non_null(strstr(c.notes, "other files: 0 of its 1 files"));
    comparisons_free(&c);
    bt_file_free(&now.file);
    cJSON_Delete(baseline);

    bt_request other = small_request();
    other.horizon = 3;
    assert_null(baseline_read(&other, "toto", path, &error));
    says(&error, "was made with horizon 2, but now it is 3");
    other = small_request();
    assert_null(baseline_read(&other, "kronos", path, &error));
    says(&error, "family \"toto\"");
    assert_null(baseline_read(&other, "toto", place("none.json"), &error));
    says(&error, "make it with --save-baseline");
    assert_null(baseline_read(&other, "toto", write_file("bad.json", "{\"reprise_backtest\":"), &error));
    says(&error, "is no JSON");
    assert_null(baseline_read(&other, "toto", write_file("other.json", "{\"reprise_backtest\":1}"), &error));
    says(&error, "is no baseline");
}

// ---- the page ----

static void test_page(void **state) {
    (void)state;
    stage s;
    message error = { "" };
    set_stage(&s, 0.5f);
    s.file.name = "<ten> & \"more\"";
    const bt_summary summary = bt_summarise(&s.run);
    const char *path = place("index.html");
    assert_true(report_write(&s.run, &summary, NULL, path, &error));
    char *page = read_text(path);
    // Fans; error by step and calibration, of all files and of the one; times.
    assert_int_equal(count(page, "<svg viewBox=\"0 0 1040 260\""), 1);
    assert_int_equal(count(page, "<svg viewBox=\"0 0 510 300\""), 5);
    assert_int_equal(count(page, "<path class=\"band80\" clip-path"), 3);
    assert_int_equal(count(page, "<path class=\"actual\" clip-path"), 1);
    assert_int_equal(count(page, "<circle class=\"dot\""), 2 * N_LEVELS);
    assert_int_equal(count(page, "<rect class=\"bar\""), 2); // 5 and 7 ms, 45 ms
    assert_non_null(strstr(page, "&lt;ten&gt; &amp; &quot;more&quot;"));
    assert_null(strstr(page, "<ten>"));
    assert_non_null(strstr(page, "prefers-color-scheme:dark"));
    // Nothing is fetched and nothing runs.
    static const char *const never[] = { "<script", "http:", "https:", "src=", "@import", "<link", "nan", "inf " };
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        if (strstr(page, never[i])) { fail_msg("the page has '%s'", never[i]); }
    }
    static const char *const pairs[] = { "svg", "figure", "details", "table", "div", "dl", "p" };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char open[16], space[16], close[16];
        snprintf(open, sizeof open, "<%s>", pairs[i]);
        snprintf(space, sizeof space, "<%s ", pairs[i]);
        snprintf(close, sizeof close, "</%s>", pairs[i]);
        assert_int_equal(count(page, open) + count(page, space), count(page, close));
    }
    free(page);
    bt_file_free(&s.file);
    assert_false(report_write(&s.run, &summary, NULL, place("no/such/folder.html"), &error));
    says(&error, "cannot be written");
}

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_windows), cmocka_unit_test(test_missing),
                                        cmocka_unit_test(test_judging), cmocka_unit_test(test_records),
                                        cmocka_unit_test(test_quantiles), cmocka_unit_test(test_judges),  cmocka_unit_test(test_baseline),
                                        cmocka_unit_test(test_page) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
