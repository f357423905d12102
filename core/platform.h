// Everything that the library asks of the operating system: mapped files, paths, shared libraries, the clock. platform.c is
// the only file with system calls, so it is the one to write again for another system.
#ifndef RP_PLATFORM_H
#define RP_PLATFORM_H

#include <stdbool.h>

#include "status.h"

// A whole file, mapped read-only. Starts zeroed.
typedef struct rp_file {
    const void *data;
    uint64_t bytes;
} rp_file;

// Maps a regular file. The file must not shrink while it is mapped: reading a page that is gone ends the process.
//   out      unmap with rp_file_unmap; zeroed on failure
// Errors:    NOT_FOUND (no such file, or it may not be read), BAD_FILE (a folder, a device, empty), OUT_OF_MEMORY
rp_status rp_file_map(const char *path, rp_file *out, rp_error *error);
void rp_file_unmap(rp_file *file);                              // zeroed is fine; zeroes it

bool rp_path_exists(const char *path);                          // of whatever kind
bool rp_path_is_folder(const char *path);
// "folder/name"; the caller frees it. NULL when memory ran out.
char *rp_path_join(const char *folder, const char *name);

// A shared library by its soname ("libcuda.so.1"), searched where the system's loader searches. NULL: not there.
void *rp_library_open(const char *name);
void *rp_library_symbol(void *library, const char *name);       // NULL: not there
void rp_library_close(void *library);                           // NULL is fine

// A lock that the thread which holds it may take again. NULL, where memory ran out; taking and giving NULL does nothing.
typedef struct rp_lock rp_lock;
rp_lock *rp_lock_create(void);
rp_lock *rp_lock_share(rp_lock *lock);                          // one more owner, each of whom destroys it; NULL is fine
void rp_lock_destroy(rp_lock *lock);                            // NULL is fine
void rp_lock_take(rp_lock *lock);
bool rp_lock_try(rp_lock *lock);                                // false: another thread holds it
void rp_lock_give(rp_lock *lock);

// What this process holds at the moment: pages of memory that are its own (shared libraries and mapped files may be dropped and
// read again), and bytes handed out by malloc. 0: this system does not tell.
typedef struct rp_memory_use { uint64_t resident_bytes, heap_bytes; } rp_memory_use;
rp_memory_use rp_memory_used(void);

uint64_t rp_time_ns(void);                                      // monotonic; only differences mean something

typedef enum rp_access { RP_ACCESS_MISSING, RP_ACCESS_DENIED, RP_ACCESS_OPEN } rp_access;
rp_access rp_path_access(const char *path);                     // OPEN: may be read and written
// Calls `each` with the name of every entry of a folder but . and ..; no call where there is no such folder.
void rp_folder_each(const char *path, void (*each)(void *user, const char *name), void *user);
// Makes a folder for temporary files; the caller frees the name. NULL: the system gives none.
char *rp_folder_temporary(void);
void rp_folder_make(const char *path);                          // says nothing: what is written into it fails
void rp_folder_remove(const char *path);                        // with the files and folders in it
void rp_host_memory(uint64_t *bytes, uint64_t *free_bytes);     // 0: not known

// What became of a piece of work that ran in a process of its own.
typedef enum rp_child_end {
    RP_CHILD_DONE,                                              // it returned
    RP_CHILD_LATE,                                              // it ran past its limit and was ended
    RP_CHILD_STUCK,                                             // so it was, and is still there: the system holds it, in a driver
    RP_CHILD_CRASHED,                                           // by a signal
    RP_CHILD_FAILED                                             // there was no process to be had
} rp_child_end;
typedef struct rp_child {
    rp_child_end end;
    int code;                                                   // what the work returned, or the signal
    uint64_t bytes, ns;                                         // of its answer that came back; how long it took
} rp_child;
// Runs `work` in a copy of this process, which can hang or crash without harm to this one, and brings its answer (`size` bytes,
// zeroed at first) back. What it prints is lost. This process should have one thread, and no driver open: copies of those are of no use.
rp_child rp_child_run(int (*work)(void *user, void *answer), void *user, void *answer, size_t size, uint64_t limit_ns);

#endif
