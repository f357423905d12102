// The POSIX side of platform.h.
#define _POSIX_C_SOURCE 200809L

#include "platform.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "quote.h"

static rp_status open_failed(const char *path, int reason, rp_error *error) {
    const rp_quoted file = rp_quote_path(path);
    switch (reason) {
    case ENOENT:
    case ENOTDIR: return rp_error_set(error, RP_NOT_FOUND, "%s does not exist; check the path", file.text);
    case EACCES:
    case EPERM: return rp_error_set(error, RP_NOT_FOUND, "%s may not be read; check its permissions", file.text);
    case ENAMETOOLONG: return rp_error_set(error, RP_NOT_FOUND, "%s is too long for a path", file.text);
    case ELOOP: return rp_error_set(error, RP_NOT_FOUND, "%s is a symbolic link that leads nowhere", file.text);
    case EMFILE:
    case ENFILE: return rp_error_set(error, RP_OUT_OF_MEMORY, "too many files are open to open %s; close some", file.text);
    case ENOMEM: return rp_error_set(error, RP_OUT_OF_MEMORY, "memory ran out while opening %s", file.text);
    default: return rp_error_set(error, RP_BAD_FILE, "%s cannot be read (system error %d)", file.text, reason);
    }
}

static rp_status map_open(int fd, const char *path, rp_file *out, rp_error *error) {
    struct stat info;
    if (fstat(fd, &info) != 0) { return open_failed(path, errno, error); }
    const rp_quoted file = rp_quote_path(path);
    if (S_ISDIR(info.st_mode)) {
        return rp_error_set(error, RP_BAD_FILE, "%s is a folder; a file was expected", file.text);
    }
    if (!S_ISREG(info.st_mode)) {
        return rp_error_set(error, RP_BAD_FILE, "%s is not a regular file, so it cannot be mapped", file.text);
    }
    if (info.st_size == 0) {
        return rp_error_set(error, RP_BAD_FILE, "%s is empty; copy or download it again", file.text);
    }
    if ((uint64_t)info.st_size > SIZE_MAX / 2) {
        return rp_error_set(error, RP_OUT_OF_MEMORY, "%s is larger than this machine can address", file.text);
    }
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) { return open_failed(path, errno, error); }
    *out = (rp_file){ data, (uint64_t)info.st_size };
    return RP_OK;
}

rp_status rp_file_map(const char *path, rp_file *out, rp_error *error) {
    *out = (rp_file){ 0 };
    // Without O_NONBLOCK, opening a pipe would wait for a writer before it could be refused.
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) { return open_failed(path, errno, error); }
    const rp_status status = map_open(fd, path, out, error);
    close(fd);                                                  // the mapping stays
    return status;
}

void rp_file_unmap(rp_file *file) {
    if (file->data) { munmap((void *)(uintptr_t)file->data, (size_t)file->bytes); }
    *file = (rp_file){ 0 };
}

bool rp_path_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

bool rp_path_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *rp_path_join(const char *folder, const char *name) {
    const size_t a = strlen(folder), b = strlen(name);
    const size_t slash = a > 0 && folder[a - 1] != '/';         // "" joins to the name alone
    char *path = malloc(a + slash + b + 1);
    if (!path) { return NULL; }
    memcpy(path, folder, a);
    if (slash) { path[a] = '/'; }
    memcpy(path + a + slash, name, b + 1);
    return path;
}

void *rp_library_open(const char *name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL); }
void *rp_library_symbol(void *library, const char *name) { return dlsym(library, name); }
void rp_library_close(void *library) {
    if (library) { dlclose(library); }
}

struct rp_lock {
    pthread_mutex_t mutex;
};

rp_lock *rp_lock_create(void) {
    rp_lock *lock = malloc(sizeof *lock);
    pthread_mutexattr_t kind;
    if (!lock || pthread_mutexattr_init(&kind) != 0) {
        free(lock);
        return NULL;
    }
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    const int failed = pthread_mutex_init(&lock->mutex, &kind);
    pthread_mutexattr_destroy(&kind);
    if (failed) {
        free(lock);
        return NULL;
    }
    return lock;
}

void rp_lock_destroy(rp_lock *lock) {
    if (!lock) { return; }
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}

void rp_lock_take(rp_lock *lock) {
    if (lock) { pthread_mutex_lock(&lock->mutex); }
}

void rp_lock_give(rp_lock *lock) {
    if (lock) { pthread_mutex_unlock(&lock->mutex); }
}

// Read without stdio, whose own buffer would be counted.
static uint64_t resident_bytes(void) {
    char text[128];
    unsigned long long pages = 0, resident = 0, shared = 0;
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) { return 0; }
    const ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "%llu %llu %llu", &pages, &resident, &shared) != 3 || shared > resident) { return 0; }
    return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

rp_memory_use rp_memory_used(void) {
    rp_memory_use use = { .resident_bytes = resident_bytes() };
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    const struct mallinfo2 heap = mallinfo2();     // of all arenas
    use.heap_bytes = (uint64_t)heap.uordblks + (uint64_t)heap.hblkhd;
#endif
    return use;
}

uint64_t rp_time_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
