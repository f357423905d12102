// The page of a backtest: one HTML file with its charts inside, for which no script runs and nothing is fetched.
#ifndef TOOLS_REPORT_H
#define TOOLS_REPORT_H

#include "baseline.h"

// `compared` may be NULL. Written beside and renamed.
bool report_write(const bt_run *run, const bt_summary *s, const comparisons *compared, const char *path, message *error);

#endif
