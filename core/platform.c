// The POSIX side of platform.h.
#define _POSIX_C_SOURCE 200809L

#include "platform.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
    atomic_uint owners;
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
    atomic_init(&lock->owners, 1);
    return lock;
}

rp_lock *rp_lock_share(rp_lock *lock) {
    if (lock) { atomic_fetch_add(&lock->owners, 1); }
    return lock;
}

void rp_lock_destroy(rp_lock *lock) {
    if (!lock || atomic_fetch_sub(&lock->owners, 1) > 1) { return; }
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}

void rp_lock_take(rp_lock *lock) {
    if (lock) { pthread_mutex_lock(&lock->mutex); }
}

bool rp_lock_try(rp_lock *lock) { return !lock || pthread_mutex_trylock(&lock->mutex) == 0; }

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

rp_access rp_path_access(const char *path) {
    if (!rp_path_exists(path)) { return RP_ACCESS_MISSING; }
    return access(path, R_OK | W_OK) == 0 ? RP_ACCESS_OPEN : RP_ACCESS_DENIED;
}

void rp_folder_each(const char *path, void (*each)(void *user, const char *name), void *user) {
    DIR *folder = opendir(path);
    if (folder == NULL) { return; }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) { each(user, entry->d_name); }
    }
    closedir(folder);
}

char *rp_folder_temporary(void) {
    static const char template[] = "/tmp/reprise-XXXXXX";
    char *path = malloc(sizeof template);
    if (path != NULL && mkdtemp(memcpy(path, template, sizeof template)) != NULL) { return path; }
    free(path);
    return NULL;
}

void rp_folder_make(const char *path) { (void)mkdir(path, 0700); }

static void remove_inside(void *user, const char *name) {
    char *path = rp_path_join(user, name);
    struct stat info;
    if (path == NULL) { return; }
    if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode)) { rp_folder_remove(path); } else { (void)unlink(path); }
    free(path);
}

void rp_folder_remove(const char *path) {
    rp_folder_each(path, remove_inside, (void *)(uintptr_t)path);
    (void)rmdir(path);
}

void rp_host_memory(uint64_t *bytes, uint64_t *free_bytes) {
    const long page = sysconf(_SC_PAGESIZE), pages = sysconf(_SC_PHYS_PAGES);
    *bytes = page > 0 && pages > 0 ? (uint64_t)page * (uint64_t)pages : 0;
    *free_bytes = 0;
    FILE *file = fopen("/proc/meminfo", "r");      // where there is one: what may be had without swapping
    char line[128];
    unsigned long long kib = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "MemAvailable: %llu", &kib) == 1) { *free_bytes = kib * 1024; }
    }
    if (file != NULL) { fclose(file); }
}

// ---- a process of its own ----

#define STUCK_NS 2000000000u   // after it was ended; a process that waits for a driver may never go

static void child_main(int to, int (*work)(void *, void *), void *user, void *answer, size_t size) {
    const int nothing = open("/dev/null", O_RDWR);
    if (nothing >= 0) { (void)dup2(nothing, STDIN_FILENO), (void)dup2(nothing, STDOUT_FILENO), (void)dup2(nothing, STDERR_FILENO); }
    const int code = work(user, answer);
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(to, (const char *)answer + done, size - done);
        if (n < 0 && errno == EINTR) { continue; }
        if (n <= 0) { break; }
        done += (size_t)n;
    }
    _exit(code);                                   // nothing of the parent's is to be flushed or closed twice
}

// Takes the answer until it ends. False: the limit was reached first.
static bool child_listen(int from, char *answer, size_t size, uint64_t until, uint64_t *got) {
    for (;;) {
        const uint64_t now = rp_time_ns();
        if (now >= until) { return false; }
        struct pollfd ready = { .fd = from, .events = POLLIN };
        const uint64_t ms = (until - now) / 1000000 + 1;
        const int n = poll(&ready, 1, ms < 1000 ? (int)ms : 1000);
        if (n < 0 && errno != EINTR) { return true; }
        if (n <= 0) { continue; }
        char rest[256];
        const ssize_t bytes = *got < size ? read(from, answer + *got, size - *got) : read(from, rest, sizeof rest);
        if (bytes == 0 || (bytes < 0 && errno != EINTR && errno != EAGAIN)) { return true; }
        if (bytes > 0 && *got < size) { *got += (uint64_t)bytes; }
    }
}

// False: it is still there at the limit.
static bool child_gone(pid_t id, uint64_t until, int *status) {
    for (;;) {
        const pid_t gone = waitpid(id, status, WNOHANG);
        if (gone == id || (gone < 0 && errno != EINTR)) { return true; }
        if (rp_time_ns() >= until) { return false; }
        const struct timespec moment = { .tv_nsec = 1000000 };
        nanosleep(&moment, NULL);
    }
}

rp_child rp_child_run(int (*work)(void *user, void *answer), void *user, void *answer, size_t size, uint64_t limit_ns) {
    rp_child out = { .end = RP_CHILD_FAILED };
    const uint64_t start = rp_time_ns();
    int ends[2], status = 0;
    memset(answer, 0, size);
    if (pipe(ends) != 0) { return out; }
    const pid_t id = fork();
    if (id == 0) {
        close(ends[0]);
        child_main(ends[1], work, user, answer, size);
    }
    close(ends[1]);
    if (id > 0) {
        const bool told = child_listen(ends[0], answer, size, start + limit_ns, &out.bytes);
        if (told && child_gone(id, start + limit_ns, &status)) {
            out.end = WIFSIGNALED(status) ? RP_CHILD_CRASHED : RP_CHILD_DONE;
            out.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
        } else {
            (void)kill(id, SIGKILL);
            out.end = child_gone(id, rp_time_ns() + STUCK_NS, &status) ? RP_CHILD_LATE : RP_CHILD_STUCK;
        }
    }
    close(ends[0]);
    out.ns = rp_time_ns() - start;
    return out;
}
