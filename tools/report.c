#include "report.h"
bool report_write(const bt_run *run, const bt_summary *s, const comparisons *compared, const char *path, message *error) { (void)run,(void)s,(void)compared,(void)path,(void)error; return true; }
