// Files that the program writes: beside their place first, and moved there once they are whole and on the disk. Whoever reads
// the name sees the old file or the new one, never half; after a failure the old one is still there and nothing else is.
#ifndef TOOLS_DRAFT_H
#define TOOLS_DRAFT_H

#include <stdio.h>

#include "common.h"

typedef struct draft {
    FILE *file;        // write here
    char *place;       // where it is to be, symbolic links followed
    char *beside;      // its name until then, in the same folder: "reprise-PID-N.part"; NULL: a device or pipe, written as it comes
    const char *path;  // what the user said, borrowed
} draft;

// False after writing the sentence; then there is nothing to finish.
bool draft_open(draft *d, const char *path, message *error);

// Closes the file and, if `good` and all of it was written, moves it to its place; otherwise removes it. False if it is not
// there: the sentence says why, unless `good` was false, when the caller has written it.
bool draft_finish(draft *d, bool good, message *error);

// A whole file at once: the text and a newline.
bool draft_text(const char *path, const char *text, message *error);

#endif
