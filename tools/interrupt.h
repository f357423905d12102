// Ctrl-C (SIGINT) and kill (SIGTERM): a command that takes long stops within a step, writes what is finished and tells how far it
// came. The second signal ends the program at once, as it would have without this.
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include "common.h"

// To be called first in a command. A signal that the parent had ignored (nohup, a shell's background job) stays ignored.
void interrupt_install(void);

bool interrupt_came(void);
// What the program then exits with: 128 and the signal's number, as shells count: 130 for SIGINT, 143 for SIGTERM. `result`
// where none came.
int interrupt_exit(int result);
// "Ctrl-C" or "SIGTERM"; "" where none came.
const char *interrupt_name(void);

// An rp_progress_fn that stops the forecast once a signal came. `user`: a progress (progress.h), whose bar is drawn meanwhile, or
// NULL.
int interrupt_step(void *user, uint32_t done, uint32_t total);

#endif
