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
void rp_lock_destroy(rp_lock *lock);                            // NULL is fine
void rp_lock_take(rp_lock *lock);
void rp_lock_give(rp_lock *lock);

// What this process holds at the moment: pages of memory that are its own (shared libraries and mapped files may be dropped and
// read again), and bytes handed out by malloc. 0: this system does not tell.
typedef struct rp_memory_use { uint64_t resident_bytes, heap_bytes; } rp_memory_use;
rp_memory_use rp_memory_used(void);

uint64_t rp_time_ns(void);                                      // monotonic; only differences mean something

#endif
