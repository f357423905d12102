// A forecast as a table for people, and as CSV or JSON for programs.
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include "outcome.h"

// What was forecast from what, by which model where; a few lines on stdout.
void output_summary(const outcome *o);

// Each variate's forecast, row by row, on stdout; or an overview of all and one of them.
void output_table(const outcome *o);

// The scores of held-out rows on stdout; nothing if there are none.
void output_scores(const outcome *o);

bool output_is_known(const char *path);                                  // ends in .csv or .json
bool output_write(const outcome *o, const char *path, message *error);   // by the ending

#endif
