// A bar on stderr for work that takes more than a moment, where stderr is a terminal.
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    double start, last;   // seconds
    bool drawn;
} progress;

bool progress_is_wanted(void);
void progress_start(progress *p);

// An rp_progress_fn whose user is a progress; never stops the work.
int progress_step(void *user, uint32_t done, uint32_t total);

// Wipes the bar.
void progress_end(progress *p);

#endif
