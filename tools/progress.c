// The progress bar; see progress.h.
#define _POSIX_C_SOURCE 200809L
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "common.h"

enum { WIDTH = 40 };

bool progress_is_wanted(void) { return isatty(STDERR_FILENO) == 1; }

void progress_start(progress *p) { *p = (progress){ .start = seconds_now() }; }

int progress_step(void *user, uint32_t done, uint32_t total) {
    progress *p = user;
    double now = seconds_now(), spent = now - p->start;
    if (total == 0 || spent < 0.5 || now - p->last < 0.1) { return 0; }
    char bar[WIDTH + 1];
    uint32_t filled = (uint32_t)((uint64_t)done * WIDTH / total);
    for (uint32_t i = 0; i < WIDTH; i++) { bar[i] = i < filled ? '#' : '.'; }
    bar[WIDTH] = 0;
    fprintf(stderr, "\r[%s] %3u %%", bar, (unsigned)((uint64_t)done * 100 / total));
    if (done > 0) { fprintf(stderr, ", %.0f s left ", spent / done * (total - done)); }
    fflush(stderr);
    p->drawn = true;
    p->last = now;
    return 0;
}

void progress_end(progress *p) {
    if (p->drawn) { fprintf(stderr, "\r\033[K"); }
    p->drawn = false;
}
