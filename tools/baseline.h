// A backtest's measures frozen as JSON, and the comparison of a later one with them.
#ifndef TOOLS_BASELINE_H
#define TOOLS_BASELINE_H

#include "backtest.h"
#include "json.h"

// Freezes the finished files and their total, beside and renamed.
bool baseline_save(const bt_run *run, const bt_summary *s, const char *path, message *error);
// The same as JSON, or NULL where memory ran out.
cJSON *baseline_make(const bt_run *run, const bt_summary *s);

// Reads a baseline; NULL after writing the sentence: it is missing, is none, or was made with other options (which are named).
cJSON *baseline_read(const bt_request *r, const char *family, const char *path, message *error);

typedef enum verdict {
    VERDICT_SAME,          // within the tolerance, or better by less than it
    VERDICT_BETTER,        // by more than the tolerance
    VERDICT_WORSE,         // by more than the tolerance, or no longer there
    N_VERDICTS
} verdict;

typedef struct comparison {
    char scope[96];        // "overall" or the file's name
    const char *title;     // of the measure
    double before, now, change;     // change in percent, for coverage in points away from the nominal share
    double tolerance;      // in the unit of change
    bool points;           // that unit: points; else percent
    verdict verdict;
} comparison;

typedef struct comparisons {
    comparison *rows;      // [n]
    size_t n, n_worse, n_better;
    char notes[1024];      // sentences about what was not compared, one a line
} comparisons;

// Every measure of an error or a coverage, of each file that the baseline has too; in all, where both have the same files; speed,
// on the same device; re-recordings.
comparisons baseline_compare(const bt_run *run, const bt_summary *s, const cJSON *baseline);
void comparisons_free(comparisons *c);

// "+2.50 %", "-1.00 points"; "gone" for what can no longer be computed.
void comparison_change(const comparison *row, char *buf, size_t cap);

// Rows that changed beyond their tolerance, or a line that none did.
void comparisons_print(const comparisons *c, const char *path);

// How an error changed. NAN `before`: nothing to compare with, the same; NAN `now` alone: worse.
verdict judge_error(double before, double now, double tolerance_percent, double *change);
verdict judge_coverage(double before, double now, double nominal, double tolerance_points, double *change);

#endif
