// The record of a finished file, RESULTS/NAME-DIGITS.json: what lets a run that was interrupted go on. A record counts only for
// the question, model, device and file that made it.
#ifndef TOOLS_BACKTEST_RECORD_H
#define TOOLS_BACKTEST_RECORD_H

#include "backtest.h"
#include "json.h"

// What was asked, without where it ran: baselines must agree in all of it. NULL where memory ran out.
cJSON *bt_question(const bt_request *r, const char *family);

// Makes the folder, and those above it.
bool bt_make_folder(const char *folder, message *error);

bool bt_record_write(const bt_run *run, const bt_file *file, message *error);

// Takes the file's result from its record, if there is one that fits; notes one that does not. False: to be forecast.
bool bt_record_read(const bt_run *run, bt_file *file);

#endif
