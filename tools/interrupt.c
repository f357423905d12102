// Signals become a flag that commands look at; see interrupt.h.
#define _POSIX_C_SOURCE 200809L
#include "interrupt.h"

#include <signal.h>

#include "progress.h"

static volatile sig_atomic_t came;   // the signal's number

static void note_signal(int number) { came = number; }

static void catch(int number) {
    struct sigaction old, own = { .sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART };
    sigemptyset(&own.sa_mask);
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN) { sigaction(number, &own, NULL); }
}

void interrupt_install(void) {
    came = 0;
    catch(SIGINT);
    catch(SIGTERM);
}

bool interrupt_came(void) { return came != 0; }

int interrupt_exit(int result) { return came ? 128 + (int)came : result; }

const char *interrupt_name(void) { return came == SIGINT ? "Ctrl-C" : came == SIGTERM ? "SIGTERM" : ""; }

int interrupt_step(void *user, uint32_t done, uint32_t total) {
    if (user) { (void)progress_step(user, done, total); }
    return interrupt_came();
}
