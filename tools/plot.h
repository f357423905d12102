// A forecast as a picture that a person can read.
#ifndef TOOLS_PLOT_H
#define TOOLS_PLOT_H

#include "outcome.h"

bool plot_is_known(const char *path);                                 // ends in .svg or .png
bool plot_write(const outcome *o, const char *path, message *error);  // by the ending

#endif
